//! The host's path: one result for each lease, one never affects another. A lease is compared with all it carries.

use std::time::Duration;

use super::block::Place;
use super::draft::{CHANGES_AT_ONCE, Draft};
use super::open::Kind;
use super::partition::SharePartition;
use super::tick::{half, instant, tick, tick_after};
use super::types::{MAX_CHECKPOINT_BYTES, MAX_DELAY, MAX_NOTE_BYTES, MIN_DELAY, Refusal, Settled, Verdict};
use super::{ArchiveCause, Change};
use crate::ids::{Continuation, LeaseKey, MemberIndex, Offset, StateEpoch};
use crate::time::{Delay, Instant, Now};

impl SharePartition {
    /// Settles leases. What is refused changes nothing. A lease that has run out but was not yet looked at is still one.
    ///
    /// A release at the delivery limit archives, whatever its delay. A renewal after `max_lease` is a release.
    pub fn settle(&mut self, settlements: &[(LeaseKey, Verdict)], now: Now) -> Settled {
        // All are looked up before one is decided: for leases far apart the time goes into waiting for memory, and a
        // loop that only reads waits for several of them at once.
        let places: Vec<_> = settlements.iter().map(|(lease, _)| self.lease(lease)).collect();
        let mut draft = Draft::default();
        draft.settled.results.reserve(places.len());
        for (place, (lease, verdict)) in places.into_iter().zip(settlements) {
            let result = place.and_then(|place| {
                let twice = self
                    .window
                    .block(place)
                    .is_some_and(|block| block.transition & place.mask != 0);
                if twice {
                    return Err(Refusal::InTransition(lease.offset));
                }
                check_size(verdict)?;
                self.decide(place, lease, verdict, &mut draft, now);
                Ok(())
            });
            draft.settled.results.push(result);
        }
        self.finish_draft(draft, Kind::Settle, now)
    }

    /// Extends leases by another lock duration, but not past `max_lease`. Not journaled. Returns the new deadlines.
    pub fn extend(&mut self, leases: &[LeaseKey], now: Now) -> Vec<Result<Instant, Refusal>> {
        self.latest = self.latest.max(now.monotonic);
        leases
            .iter()
            .map(|lease| {
                let place = self.lease(lease)?;
                self.extend_one(place, now).ok_or(Refusal::Exhausted(lease.offset))
            })
            .collect()
    }

    /// Gives a lease another lock duration; `None` if its attempt has lasted too long.
    pub(super) fn extend_one(&mut self, place: Place, now: Now) -> Option<Instant> {
        let bit = place.bit();
        let slot = self.window.block(place)?.slot(bit);
        if self
            .attempt_left(&slot, now.monotonic)
            .is_some_and(|left| left.is_zero())
        {
            return None;
        }
        let lock = self.options.lock / if planted!(RenewedForHalf) { 2 } else { 1 };
        let deadline = self.capped(tick_after(now.monotonic, lock), slot.began, now);
        self.window
            .block_mut(place)
            .slots_mut()
            .set_deadline(bit, half(deadline));
        self.window.arm(place.chunk, deadline);
        Some(instant(deadline))
    }

    /// A member has gone: what it holds is released, or archived at the delivery limit. To be called until there is
    /// nothing more to write.
    pub fn release_member(&mut self, member: MemberIndex, now: Now) -> Settled {
        let mut draft = Draft::default();
        if let Some(number) = self.members.number(member).filter(|_| !self.resetting) {
            for offset in self.some_acquired(|slot| slot.member == number) {
                self.release_or_archive(offset, None, &mut draft);
            }
        }
        self.finish_draft(draft, Kind::Settle, now)
    }

    /// At open: the leases of the earlier process are void. Their records are available with their count kept, or archived
    /// if that was the last attempt. After a crash they get a strike, and are archived if it is the second; a process that
    /// ended well held them because the journal had no room for their release. To be called until there is nothing more
    /// to write.
    pub fn void_leases(&mut self, crashed: bool, now: Now) -> Settled {
        let mut draft = Draft::default();
        for offset in self.some_acquired(|slot| slot.member == super::member::NOBODY) {
            if !crashed {
                self.release_or_archive(offset, None, &mut draft);
                continue;
            }
            let place = Place::of(offset);
            let struck = self
                .window
                .block(place)
                .is_some_and(|block| block.struck & place.mask != 0);
            let count = self.window.slot(offset).count;
            let at = Offset::saturating(offset);
            if struck {
                draft.archive(at, ArchiveCause::HostCrash, count);
            } else if self.is_last(count) {
                draft.archive(at, ArchiveCause::DeliveryLimit, count);
            } else {
                draft.void(at);
            }
            self.window.mark(place);
        }
        self.finish_draft(draft, Kind::Settle, now)
    }

    /// Discards everything and begins anew at `start` once durable; until then nothing else is accepted. `epoch` is
    /// larger than the present one: a smaller one is a bug of the caller and panics.
    pub fn reset(&mut self, epoch: StateEpoch, start: Offset, now: Now) -> Settled {
        assert!(epoch > self.epoch, "reset to epoch {epoch} at epoch {}", self.epoch);
        let mut draft = Draft::default();
        draft.push(Change::Reset { epoch, start });
        self.resetting = true;
        self.finish_draft(draft, Kind::Reset, now)
    }

    /// Opens the transition of what a command has decided.
    pub(super) fn finish_draft(&mut self, draft: Draft, kind: Kind, now: Now) -> Settled {
        self.latest = self.latest.max(now.monotonic);
        let mut settled = draft.settled;
        settled.transition = self.begin(kind, &settled.changes, now);
        settled
    }

    /// Offsets of acquired records that are not in transition and fit `wanted`, as many as one call deals with: up to
    /// the limit of those that may have to be archived, and of runs of neighbours that fare alike.
    fn some_acquired(&self, wanted: impl Fn(super::block::Slot) -> bool) -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        let (mut doomed, mut runs, mut fate) = (0, 0, None);
        for number in self.window.acquired_chunks() {
            let Some(chunk) = self.window.chunk(number) else {
                continue;
            };
            for (index, block) in (0..).zip(&chunk.blocks) {
                let base = number * super::block::CHUNK + index * super::block::BLOCK;
                for bit in super::block::bits(block.acquired & !block.transition).filter(|&bit| wanted(block.slot(bit)))
                {
                    if doomed >= self.archive_limit || runs >= CHANGES_AT_ONCE {
                        return found;
                    }
                    let offset = base + bit as u64;
                    let (last, struck) = (self.is_last(block.slot(bit).count), block.struck & (1 << bit) != 0);
                    doomed += u32::from(last || struck);
                    runs +=
                        usize::from(fate != Some((last, struck)) || found.last().is_none_or(|end| end + 1 != offset));
                    fate = Some((last, struck));
                    found.push(offset);
                }
            }
        }
        found
    }

    /// The place of a lease's record, if the lease is its newest and nothing is under way.
    fn lease(&self, lease: &LeaseKey) -> Result<Place, Refusal> {
        let stale = Refusal::Stale(lease.offset);
        let offset = lease.offset.get();
        if lease.share != self.key || lease.epoch != self.epoch {
            return Err(stale);
        }
        if offset < self.window.start() || offset >= self.window.next() {
            return Err(stale);
        }
        let place = Place::of(offset);
        let block = self.window.block(place).ok_or(stale)?;
        let newest = planted!(StaleAck) || block.count(place.bit()) == lease.delivery_count;
        if block.acquired & place.mask == 0 || !newest {
            return Err(stale);
        }
        let continuation = if block.side & place.mask == 0 {
            Continuation(0)
        } else {
            self.continuation(lease.offset)
        };
        if continuation != lease.continuation {
            return Err(stale);
        }
        if self.resetting || block.transition & place.mask != 0 {
            return Err(Refusal::InTransition(lease.offset));
        }
        Ok(place)
    }

    fn decide(&mut self, place: Place, lease: &LeaseKey, verdict: &Verdict, draft: &mut Draft, now: Now) {
        let at = lease.offset;
        self.window.mark(place);
        match verdict {
            Verdict::Accept => draft.acknowledge(at),
            Verdict::Reject { .. } => draft.archive(at, ArchiveCause::Reject, lease.delivery_count),
            Verdict::Release { after, note } => {
                let length = after.map_or(Duration::ZERO, |after| clamp(after, &mut draft.settled.clamped));
                if self.is_last(lease.delivery_count) {
                    draft.archive(at, ArchiveCause::DeliveryLimit, lease.delivery_count);
                } else if length.is_zero() {
                    draft.release(at, note.clone());
                } else {
                    draft.push(Change::Park {
                        offset: at,
                        delay: Delay { from: now.wall, length },
                        continuation: false,
                        untouched: false,
                        checkpoint: None,
                        note: note.clone(),
                    });
                }
            }
            Verdict::Renew { after, checkpoint } => {
                if self
                    .attempt_left(&self.window.slot(at.get()), now.monotonic)
                    .is_some_and(|left| left.is_zero())
                {
                    draft.settled.exhausted += 1;
                    self.release_or_archive(at.get(), None, draft);
                    return;
                }
                let length = clamp(*after, &mut draft.settled.clamped);
                draft.push(Change::Park {
                    offset: at,
                    delay: Delay { from: now.wall, length },
                    continuation: true,
                    untouched: false,
                    checkpoint: checkpoint.clone(),
                    note: None,
                });
            }
            Verdict::GiveBack => draft.push(Change::Park {
                offset: at,
                delay: Delay {
                    from: now.wall,
                    length: Duration::ZERO,
                },
                continuation: true,
                untouched: true,
                checkpoint: None,
                note: None,
            }),
        }
    }

    /// The delivery of a record has ended without a result.
    pub(super) fn release_or_archive(&mut self, offset: u64, note: Option<bytes::Bytes>, draft: &mut Draft) {
        let at = Offset::saturating(offset);
        let count = self.window.slot(offset).count;
        self.window.mark(Place::of(offset));
        if self.is_last(count) {
            draft.archive(at, ArchiveCause::DeliveryLimit, count);
        } else {
            draft.release(at, note);
        }
    }

    /// The tick of `now`, remembered.
    pub(super) fn hear(&mut self, now: Now) -> u64 {
        self.latest = self.latest.max(now.monotonic);
        tick(now.monotonic)
    }
}

fn clamp(delay: Duration, clamped: &mut u32) -> Duration {
    if delay.is_zero() {
        return delay;
    }
    let fit = delay.clamp(MIN_DELAY, MAX_DELAY);
    *clamped += u32::from(fit != delay);
    fit
}

fn check_size(verdict: &Verdict) -> Result<(), Refusal> {
    let (bytes, limit) = match verdict {
        Verdict::Accept | Verdict::GiveBack => return Ok(()),
        Verdict::Release { note, .. } | Verdict::Reject { note } => (note, MAX_NOTE_BYTES),
        Verdict::Renew { checkpoint, .. } => (checkpoint, MAX_CHECKPOINT_BYTES),
    };
    match bytes {
        Some(bytes) if bytes.len() > limit => Err(Refusal::TooLarge {
            size: bytes.len(),
            limit,
        }),
        _ => Ok(()),
    }
}
