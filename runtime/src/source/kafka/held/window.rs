//! What stands in the way: a broker gives out a window of offsets from the first unfinished record on, and no more.

use std::collections::HashMap;

use share_engine::ids::{Offset, ShareKey};
use share_engine::time::Instant;

use super::{Due, Held, Id, Stage, Then};

/// Where the lowest record that a member holds of a partition stands, and the highest that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) partition: i32,
    pub(crate) lowest: Offset,
    pub(crate) highest: Offset,
    /// When the lowest was handed over last.
    pub(crate) since: Instant,
    pub(crate) is_parked: bool,
    pub(crate) id: Id,
}

impl Span {
    /// Offsets from the one to the other.
    pub(crate) fn offsets(&self) -> u64 {
        self.highest.since(self.lowest) + 1
    }
}

/// Records that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Of a partition, the lowest first.
    LowestOf(ShareKey),
    /// Those that wait longest first.
    Longest,
    /// Those that the broker has given out so often.
    Delivered(i16),
}

impl Held {
    /// By partition, where the member's records stand. Looks at all of them.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let mut spans: HashMap<ShareKey, Span> = HashMap::new();
        for (id, record) in &self.records {
            let (share, offset) = *id;
            let here = Span {
                partition: i32::try_from(record.delivery.partition).unwrap_or(i32::MAX),
                lowest: offset,
                highest: self.highest.get(&share).copied().unwrap_or(offset),
                since: record.delivery.acquired_at,
                is_parked: !matches!(record.stage, Stage::Out),
                id: *id,
            };
            let span = spans.entry(share).or_insert(here);
            if offset < span.lowest {
                *span = here;
            }
        }
        spans.into_values().collect()
    }

    /// Takes records out that wait for a time after `after` to be copied elsewhere, to be put back or ended.
    pub(crate) fn take_aside(&mut self, which: Which, after: Instant, most: usize) -> Vec<(Due, Then, Instant)> {
        let mut waiting: Vec<(Instant, Id)> = self
            .due
            .range((after, (ShareKey(0), Offset::default()))..)
            .copied()
            .collect();
        match which {
            Which::LowestOf(share) => {
                waiting.retain(|(_, id)| id.0 == share);
                waiting.sort_unstable_by_key(|(_, id)| id.1);
            }
            Which::Longest => waiting.reverse(),
            Which::Delivered(count) => {
                let is_so = |id: &Id| self.lease(*id).is_some_and(|lease| lease.delivery_count >= count);
                waiting.retain(|(_, id)| is_so(id));
            }
        }
        let mut taken = Vec::new();
        for (due, id) in waiting {
            if taken.len() == most {
                break;
            }
            let Some(record) = self.records.get_mut(&id) else {
                continue;
            };
            let Stage::Parked { then, renew, .. } = &record.stage else {
                continue;
            };
            if matches!(then, Then::Letter { .. } | Then::Tell(_)) {
                continue;
            }
            taken.push((record.due(id), then.clone(), due));
            record.stage = Stage::Busy { renew: *renew };
            self.due.remove(&(due, id));
        }
        taken
    }

    /// The lowest record of this member is in the way for certain, however large the window is.
    pub(crate) fn presume_full(&mut self, share: ShareKey, lowest: Offset, window: u64) {
        self.presume(share, lowest, Offset::MAX, window);
    }

    /// Records of a partition that this member holds.
    pub(crate) fn count(&self, share: ShareKey) -> u64 {
        self.records.keys().filter(|id| id.0 == share).count() as u64
    }

    /// A partition goes on to before `end`, and nothing comes. For all that can be known here, the broker has given out the window that
    /// begins with the lowest record of this member, some of it to others.
    pub(crate) fn presume(&mut self, share: ShareKey, lowest: Offset, end: Offset, window: u64) {
        if lowest.plus(window) < end {
            let last = lowest.plus(window.saturating_sub(1));
            let highest = self.highest.entry(share).or_default();
            *highest = last.max(*highest);
        }
    }
}
