//! What retention, queries and redrive ask: which offsets are finished, held or new, and to end one by hand.

use std::time::Duration;

use super::block::{Place, Plane, bits, places, run};
use super::draft::Draft;
use super::open::Kind;
use super::tick::{age, tick};
use super::{ArchiveCause, Change, RecordState, Settled, SharePartition};
use crate::ids::{DeliveryCount, MemberIndex, Offset, OffsetRange};
use crate::time::{Instant, Now};

impl SharePartition {
    /// The first offset that no member was ever given.
    pub fn next_new_offset(&self) -> Offset {
        Offset::saturating(self.window.next())
    }

    /// Whether every offset of `range` is finished with.
    pub fn is_finished(&self, range: OffsetRange) -> bool {
        let Some(open) = OffsetRange::new(self.start_offset().max(range.first()), range.last()) else {
            return true;
        };
        if open.last() >= self.next_new_offset() {
            return false;
        }
        self.records(open).all(|record| {
            matches!(record.state, RecordState::Acknowledged | RecordState::Archived) && !record.in_transition
        })
    }

    /// The first record of `range` that a member holds, that is parked, or that has a change under way.
    pub fn first_held(&self, range: OffsetRange) -> Option<Offset> {
        let open = OffsetRange::new(self.start_offset().max(range.first()), range.last())?;
        let mut records = self.records(open);
        let held = records
            .find(|record| matches!(record.state, RecordState::Acquired | RecordState::Parked) || record.in_transition);
        held.map(|record| record.offset)
    }

    /// Whether a member holds anything, changes under way included.
    pub fn holds(&self, member: MemberIndex) -> bool {
        self.members.number(member).is_some()
    }

    /// Where the last settled record ends; the durable start offset if none is settled behind it.
    pub fn settled_end(&self) -> Offset {
        let tracked = self.start_offset().get()..self.next_new_offset().get();
        let settled = |offset: &u64| {
            let plane = self.window.plane(*offset);
            matches!(plane, Some(Plane::Acknowledged | Plane::Archived))
        };
        tracked
            .rev()
            .find(settled)
            .map_or(self.durable_start(), |last| Offset::saturating(last).next())
    }

    /// How many available records were never delivered, although others that came with them were.
    pub fn untried(&self) -> u64 {
        let tracked = self.start_offset().get()..self.next_new_offset().get();
        let is_untried = |offset: &u64| {
            let record = self.record(Offset::saturating(*offset));
            record.is_some_and(|record| record.state == RecordState::Available && record.delivery_count.get() == 0)
        };
        tracked.filter(is_untried).count() as u64
    }

    /// How many records before `to` are not settled, those included that were never acquired.
    pub fn unsettled_before(&self, to: Offset) -> u64 {
        let start = self.start_offset();
        let Some(open) = to.previous().and_then(|last| OffsetRange::new(start, last)) else {
            return 0;
        };
        let new = to.since(self.next_new_offset().max(start));
        let states = self.records(open).map(|record| record.state);
        let open = states.filter(|state| !matches!(state, RecordState::Acknowledged | RecordState::Archived));
        open.count() as u64 + new
    }

    /// Whether [`retire`](SharePartition::retire) means anything: not while a reset is on its way.
    pub const fn can_retire(&self) -> bool {
        !self.resetting
    }

    /// Gives up what is available before `before`, since its log is about to drop it. What a member holds, what is parked
    /// and what has a change under way stays. To be called, within the
    /// [limit](SharePartition::set_archive_limit), until there is nothing more to write.
    pub fn retire(&mut self, before: Offset, now: Now) -> Settled {
        let mut draft = Draft::default();
        let start = self.window.start();
        let passed = before
            .get()
            .checked_sub(1)
            .filter(|&last| last >= start && !self.resetting);
        for place in passed
            .and_then(|last| self.window.clamp(run(start, last)))
            .into_iter()
            .flat_map(places)
        {
            let Some(block) = self.window.block(place) else {
                continue;
            };
            let open = (block.available | block.waiting) & !block.transition & place.mask;
            let records: Vec<_> = bits(open).map(|bit| (bit, block.count(bit))).collect();
            for (bit, count) in records {
                if draft.is_full(self.archive_limit) {
                    return self.finish_draft(draft, Kind::Settle, now);
                }
                let offset = place.base + bit as u64;
                self.window.mark(Place::of(offset));
                let at = Offset::saturating(offset);
                if count == DeliveryCount(0) {
                    draft.settled.dropped += 1;
                    draft.bury(at, ArchiveCause::Retention);
                } else {
                    draft.archive(at, ArchiveCause::Retention, count);
                }
            }
        }
        self.finish_draft(draft, Kind::Settle, now)
    }

    /// How long the present attempt at a record has lasted: since the acquisition that raised its count.
    pub fn attempt_age(&self, offset: Offset, now: Instant) -> Duration {
        age(self.window.slot(offset.get()).began, tick(now))
    }

    /// When the first parked record becomes available.
    pub fn first_due(&self) -> Option<Instant> {
        self.side.first_due().map(|(due, _)| due)
    }

    /// Ends an available record by hand, without a member: it was dealt with elsewhere, in the same journal entry.
    /// Without effect (no transition) if the record is not available.
    pub fn conclude(&mut self, offset: Offset, now: Now) -> Settled {
        let at = offset.get();
        if at < self.window.start() || self.check_span(offset).is_err() {
            return Settled::default();
        }
        if at >= self.window.next() {
            self.window.extend(run(at, at));
        }
        let place = Place::of(at);
        let under_way = self
            .window
            .block(place)
            .is_some_and(|block| block.transition & place.mask != 0);
        if under_way || self.window.plane(at) != Some(Plane::Available) {
            return Settled::default();
        }
        let count = self.window.slot(at).count;
        self.window.mark(place);
        let mut draft = Draft::default();
        draft.push(Change::Acquire {
            range: OffsetRange::single(offset),
            delivery_count: count,
            at: now.wall,
        });
        draft.acknowledge(offset);
        self.finish_draft(draft, Kind::Settle, now)
    }
}
