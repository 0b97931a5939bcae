//! What only few records have: checkpoints, notes, due times, continuation numbers. An ordered map beside the bitmaps;
//! the `side` bit of a block says whether an offset has an entry.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Checkpoint;
use crate::ids::OffsetRange;
use crate::time::{Delay, Instant};

/// Notes kept of one record: the newest ones.
pub(super) const MAX_NOTES: usize = 32;

/// A parked record, or one whose park is over and whose attempt waits to go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Park {
    pub(super) delay: Delay,
    pub(super) due: Instant,
    /// The next acquisition goes on with the same attempt.
    pub(super) continuation: bool,
    /// When this is to be looked at again: the key of its entry in the due set.
    timer: Option<Instant>,
}

/// Entry of one record.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) notes: Vec<Bytes>,
    pub(super) continuation: u32,
    pub(super) park: Option<Park>,
}

impl Side {
    pub(super) fn is_empty(&self) -> bool {
        self.checkpoint.is_none() && self.notes.is_empty() && self.continuation == 0 && self.park.is_none()
    }

    pub(super) fn add_note(&mut self, note: Bytes) {
        if self.notes.len() >= MAX_NOTES {
            self.notes.remove(0);
        }
        self.notes.push(note);
    }
}

/// All entries and when the next of them is due.
#[derive(Debug, Default)]
pub(super) struct SideMap {
    entries: BTreeMap<u64, Side>,
    due: BTreeSet<(Instant, u64)>,
}

impl SideMap {
    pub(super) fn get(&self, offset: u64) -> Option<&Side> {
        self.entries.get(&offset)
    }

    /// The entry, made if there is none. The caller sets the `side` bit, and does not touch `park`.
    pub(super) fn entry(&mut self, offset: u64) -> &mut Side {
        self.entries.entry(offset).or_default()
    }

    /// Drops the entry if nothing is in it. Returns whether one is left.
    pub(super) fn tidy(&mut self, offset: u64) -> bool {
        match self.entries.get(&offset) {
            Some(side) if side.is_empty() => {
                self.entries.remove(&offset);
                false
            }
            side => side.is_some(),
        }
    }

    pub(super) fn park(&mut self, offset: u64, delay: Delay, due: Instant, continuation: bool, timer: Option<Instant>) {
        self.unpark(offset);
        self.entry(offset).park = Some(Park {
            delay,
            due,
            continuation,
            timer,
        });
        if let Some(timer) = timer {
            self.due.insert((timer, offset));
        }
    }

    /// Forgets the park; the entry stays.
    pub(super) fn unpark(&mut self, offset: u64) {
        self.set_timer(offset, None);
        if let Some(side) = self.entries.get_mut(&offset) {
            side.park = None;
        }
    }

    /// Moves the time at which a park is looked at again.
    pub(super) fn set_timer(&mut self, offset: u64, timer: Option<Instant>) {
        let Some(park) = self.entries.get_mut(&offset).and_then(|side| side.park.as_mut()) else {
            return;
        };
        if let Some(old) = std::mem::replace(&mut park.timer, timer) {
            self.due.remove(&(old, offset));
        }
        if let Some(timer) = timer {
            self.due.insert((timer, offset));
        }
    }

    pub(super) fn remove(&mut self, offset: u64) {
        self.set_timer(offset, None);
        self.entries.remove(&offset);
    }

    /// Removes everything before `start`.
    pub(super) fn remove_before(&mut self, start: u64) {
        let keep = self.entries.split_off(&start);
        for (offset, side) in std::mem::replace(&mut self.entries, keep) {
            if let Some(timer) = side.park.and_then(|park| park.timer) {
                self.due.remove(&(timer, offset));
            }
        }
    }

    pub(super) fn first_due(&self) -> Option<(Instant, u64)> {
        self.due.first().copied()
    }

    pub(super) fn within(&self, range: OffsetRange) -> impl Iterator<Item = (u64, &Side)> {
        let entries = self.entries.range(range.first().get()..=range.last().get());
        entries.map(|(offset, side)| (*offset, side))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Side)> {
        self.entries.iter().map(|(offset, side)| (*offset, side))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn check(&self) {
        let timers: BTreeSet<_> = self
            .iter()
            .filter_map(|(offset, side)| Some((side.park?.timer?, offset)))
            .collect();
        assert_eq!(timers, self.due);
        assert!(self.iter().all(|(_, side)| !side.is_empty()), "an empty side entry");
    }
}
