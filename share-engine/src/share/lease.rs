//! Time: leases that run out, parked records that are due, attempts that have lasted too long, a log that begins later.

use std::time::Duration;

use super::ArchiveCause;
use super::Change;
use super::block::{BLOCK, CHUNK, Place, Plane, bits, places, run};
use super::draft::{Draft, note_archived};
use super::open::Kind;
use super::partition::SharePartition;
use super::tick::whole;
use super::types::Settled;
use crate::ids::{DeliveryCount, Offset};
use crate::time::Now;

/// After which time a refused archival is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// A chunk whose leases end one by one is looked at no more often than this, in ticks: 16 ms.
const PAUSE: u64 = 16;

impl SharePartition {
    /// Ends leases that have run out (released, or archived at the limit) and makes parked records available that are
    /// due. A record in transition is left alone; it is looked at when its transition ends. What is above the
    /// [limit](SharePartition::set_archive_limit), or above some ten thousand changes, is still due.
    pub fn handle_timeout(&mut self, now: Now) -> Settled {
        let mut draft = Draft::default();
        if !self.resetting {
            let tick = self.hear(now);
            while let Some((armed, number)) = self.window.first_timer() {
                if armed > tick {
                    break;
                }
                self.expire_chunk(number, tick, &mut draft);
                if draft.is_full(self.archive_limit) {
                    break;
                }
            }
            while let Some((due, offset)) = self.side.first_due() {
                if due > now.monotonic || draft.is_full(self.archive_limit) {
                    break;
                }
                self.unpark(offset, &mut draft, now);
            }
        }
        self.finish_draft(draft, Kind::Timeout, now)
    }

    fn expire_chunk(&mut self, number: u64, tick: u64, draft: &mut Draft) {
        let mut earliest = u64::MAX;
        let mut left = false;
        for index in 0..CHUNK / BLOCK {
            let mut place = Place::of(number * CHUNK + index * BLOCK);
            place.mask = 0;
            let Some(block) = self.window.block(place) else { break };
            for bit in bits(block.acquired & !block.transition) {
                let slot = block.slot(bit);
                let deadline = whole(slot.deadline, tick);
                if deadline > tick {
                    earliest = earliest.min(deadline);
                    continue;
                }
                let last = self.is_last(slot.count);
                if last && draft.is_full(self.archive_limit) {
                    left = true;
                    continue;
                }
                place.mask |= 1 << bit;
                draft.settled.expired += 1;
                let at = Offset::saturating(place.base + bit as u64);
                if last {
                    draft.archive(at, ArchiveCause::DeliveryLimit, slot.count);
                } else {
                    draft.release(at, None);
                }
            }
            if place.mask != 0 {
                self.window.mark(place);
            }
        }
        let again = if left {
            tick
        } else if earliest == u64::MAX {
            earliest
        } else {
            earliest.max(tick + PAUSE)
        };
        self.window.rearm(number, again);
    }

    /// The time of a park has come: its due time, or the end of its attempt.
    fn unpark(&mut self, offset: u64, draft: &mut Draft, now: Now) {
        let Some(park) = self.side.get(offset).and_then(|side| side.park) else {
            return;
        };
        let place = Place::of(offset);
        if self
            .window
            .block(place)
            .is_none_or(|block| block.transition & place.mask != 0)
        {
            self.side.set_timer(offset, None);
            return;
        }
        let slot = self.window.slot(offset);
        let left = if park.continuation {
            self.attempt_left(&slot, now.monotonic)
        } else {
            None
        };
        if left.is_some_and(|left| left.is_zero()) {
            self.side.set_timer(offset, None);
            if park.due <= now.monotonic && self.window.plane(offset) == Some(Plane::Parked) {
                self.make_available(place);
            }
            draft.settled.exhausted += 1;
            self.release_or_archive(offset, None, draft);
            return;
        }
        let end = left.map(|left| now.monotonic.after(left));
        if park.due > now.monotonic {
            let timer = end.map_or(park.due, |end| end.min(park.due));
            self.side.set_timer(offset, Some(timer));
            return;
        }
        self.update_side(offset, |map, offset| {
            if park.continuation {
                map.set_timer(offset, end);
            } else {
                map.unpark(offset);
            }
        });
        if self.window.plane(offset) == Some(Plane::Parked) {
            self.make_available(place);
        }
    }

    /// The log begins at `start` now: what lies before it is lost to this group. Takes effect at once and cannot be
    /// rolled back; until its change is durable the [durable start](SharePartition::durable_start) stays behind. If the
    /// change is refused, it comes along with the next acquisition, or with another call of this; what it lost is counted with
    /// the next call of this that writes anything.
    ///
    /// Records that are held are lost as well: their leases are stale from now on. Those whose settlement is on its way
    /// to the disk are not reported.
    pub fn handle_log_start(&mut self, start: Offset, now: Now) -> Settled {
        let mut settled = Settled::default();
        let (old, next, new) = (self.window.start(), self.window.next(), start.get());
        if new <= old {
            return match self.jumped {
                Some(jump) if jump.from < start => self.write_start(settled, jump.to, 0, now),
                _ => settled,
            };
        }
        let mut lost = new.saturating_sub(next);
        if let Some(passed) = self.window.clamp(run(old, new - 1)) {
            for place in places(passed) {
                let Some(block) = self.window.block(place) else {
                    continue;
                };
                for bit in bits(!block.done & !block.transition & place.mask) {
                    let count = block.slot(bit).count;
                    if count == DeliveryCount(0) {
                        lost += 1;
                    } else {
                        let at = Offset::saturating(place.base + bit as u64);
                        note_archived(&mut settled.archived, at, ArchiveCause::Retention, count);
                    }
                }
            }
        }
        self.jump_to(new);
        self.since = now.monotonic;
        self.moved(now);
        self.write_start(settled, start, lost, now)
    }

    fn write_start(&mut self, mut settled: Settled, offset: Offset, lost: u64, now: Now) -> Settled {
        settled.changes.push(Change::StartOffset { offset });
        settled.transition = self.begin(Kind::Settle, &settled.changes, now);
        if let Some(open) = settled.transition.and_then(|id| self.open.get_mut(&id)) {
            open.lost = lost + std::mem::take(&mut self.uncounted);
            settled.dropped = open.lost;
        }
        settled
    }
}
