//! How a durable change alters the state: the only way in which a record gets another state, called by recovery for every change of
//! the journal, and through `plain`, which takes neighbours together, when a transition is durable.
//!
//! Parts of a change that lie before the start offset are ignored: a log start may have passed them meanwhile.

use bytes::Bytes;

use super::block::{Place, Plane, Slot, bits, places};
use super::context::Context;
use super::member::NOBODY;
use super::partition::{SharePartition, state};
use super::plain::Plain;
use super::tick::{NOT_BEGUN, half, seconds, tick, wall, whole};
use super::types::ReplayError;
use super::{ArchiveCause, Change, Checkpoint};
use crate::ids::{DeliveryCount, Offset, OffsetRange, StateEpoch};
use crate::time::{Delay, Now, WallTime};

/// Farthest that an offset may lie past the start offset.
pub(super) const HARD_SPAN: u64 = 64 << 20;

impl SharePartition {
    /// Applies one change that the journal holds, in journal order, after [`decode`](SharePartition::decode) of a
    /// snapshot or on a new share partition. Leases applied here belong to nobody: end with
    /// [`void_leases`](SharePartition::void_leases).
    ///
    /// # Errors
    /// The change does not fit the state; the state may hold a part of it.
    pub fn apply(&mut self, change: &Change, now: Now) -> Result<(), ReplayError> {
        let context = Context::of(now, &self.options);
        let result = self.apply_change(change, &context);
        self.moved(now);
        result
    }

    pub(super) fn apply_change(&mut self, change: &Change, context: &Context) -> Result<(), ReplayError> {
        match change {
            Change::Acquire {
                range,
                delivery_count,
                at,
            } => self.apply_acquire(*range, *delivery_count, *at, context),
            Change::Continue { offset, begins } => self.apply_continue(offset.get(), *begins, context),
            Change::Acknowledge { range } => self.apply_plain(Plain::Acknowledge, *range),
            Change::Archive { range, cause } => self.apply_archive(*range, *cause),
            Change::Release { range, note: None } => self.apply_plain(Plain::Release, *range),
            Change::Release {
                range,
                note: Some(note),
            } => self.apply_noted(*range, note),
            Change::Park {
                offset,
                delay,
                continuation,
                untouched,
                checkpoint,
                note,
            } => self.apply_park(
                *offset,
                *delay,
                (*continuation, *untouched),
                (checkpoint.as_ref(), note.as_ref()),
                context,
            ),
            Change::Void { range } => self.apply_plain(Plain::Void, *range),
            Change::StartOffset { offset } => {
                self.skip_to(offset.get());
                self.landed(*offset);
                Ok(())
            }
            Change::Reset { epoch, start } => self.apply_reset(*epoch, *start),
        }
    }

    fn apply_acquire(
        &mut self,
        range: OffsetRange,
        count: DeliveryCount,
        at: WallTime,
        context: &Context,
    ) -> Result<(), ReplayError> {
        let Some(range) = self.window.unpassed(range) else {
            return Ok(());
        };
        self.check_span(range.last())?;
        let live = [Plane::Available, Plane::Waiting, Plane::Parked, Plane::Acquired];
        if let Some(seen) = self.window.clamp(range) {
            self.expect(seen, "acquire", &live)?;
        }
        self.window.extend(range);
        // In whole seconds, as a snapshot would say it.
        let began = context.began(wall(seconds(at)));
        let deadline = self.capped(context.deadline, began, context.now);
        let slot = Slot {
            member: context.member,
            count,
            deadline: half(deadline),
            began,
            wall: seconds(at),
        };
        for place in places(range) {
            self.let_go(place);
            let (side, struck) = self.marks(place);
            for bit in bits(side) {
                self.update_side(place.base + bit as u64, |map, offset| {
                    map.unpark(offset);
                    map.entry(offset).continuation = 0;
                });
            }
            for bit in bits(struck) {
                self.take_struck(place.base + bit as u64);
            }
            self.window.put(place, Plane::Acquired);
            self.window.block_mut(place).slots_mut().fill(place.mask, slot);
            self.members.add(context.member, u64::from(place.mask.count_ones()));
            if context.member != NOBODY {
                self.window.arm(place.chunk, deadline);
            }
        }
        Ok(())
    }

    fn apply_continue(&mut self, offset: u64, begins: Option<WallTime>, context: &Context) -> Result<(), ReplayError> {
        if offset < self.window.start() {
            return Ok(());
        }
        let place = Place::of(offset);
        let old = self.window.plane(offset);
        let marked = self
            .side
            .get(offset)
            .and_then(|side| side.park)
            .is_some_and(|park| park.continuation);
        let live = matches!(
            old,
            Some(Plane::Available | Plane::Parked | Plane::Waiting | Plane::Acquired)
        );
        if !marked || !live {
            return Err(ReplayError::State {
                offset: Offset::saturating(offset),
                state: old.and_then(state),
                change: "continue",
            });
        }
        self.let_go(place);
        self.update_side(offset, |map, offset| {
            map.unpark(offset);
            let side = map.entry(offset);
            side.continuation = side.continuation.saturating_add(1);
        });
        let (_, struck) = self.marks(place);
        if struck != 0 {
            self.take_struck(offset);
        }
        self.window.put(place, Plane::Acquired);
        let mut slot = self.window.slot(offset);
        if let Some(at) = begins {
            slot.began = context.began(wall(seconds(at)));
            slot.wall = seconds(at);
        }
        let deadline = self.capped(context.deadline, slot.began, context.now);
        slot.member = context.member;
        slot.deadline = half(deadline);
        self.window.block_mut(place).slots_mut().set(place.bit(), slot);
        self.members.add(context.member, 1);
        if context.member != NOBODY {
            self.window.arm(place.chunk, deadline);
        }
        Ok(())
    }

    fn apply_archive(&mut self, range: OffsetRange, cause: ArchiveCause) -> Result<(), ReplayError> {
        let Some(range) = self.window.unpassed(range) else {
            return Ok(());
        };
        self.check_span(range.last())?;
        let live = [Plane::Available, Plane::Waiting, Plane::Parked, Plane::Acquired];
        if let Some(seen) = self.window.clamp(range) {
            self.expect(seen, "archive", &live)?;
        }
        self.window.extend(range);
        self.each(Some(range), |this, place| {
            let Some(block) = this.window.block(place) else { return };
            let fresh = if cause == ArchiveCause::Gap {
                block.available & place.mask
            } else {
                0
            };
            // Nothing is at these offsets and nobody was told otherwise: they count for nothing.
            let fresh = bits(fresh)
                .filter(|&bit| block.count(bit) == DeliveryCount(0))
                .fold(0_u64, |mask, bit| mask | 1 << bit);
            for (mask, plane) in [(fresh, Plane::Hole), (place.mask & !fresh, Plane::Archived)] {
                if mask != 0 {
                    this.finish(Place { mask, ..place }, plane);
                }
            }
        });
        Ok(())
    }

    /// A release that leaves something with each record.
    fn apply_noted(&mut self, range: OffsetRange, note: &Bytes) -> Result<(), ReplayError> {
        let live = self.expect(range, Plain::Release.name(), Plain::Release.planes())?;
        self.each(live, |this, place| {
            this.let_go(place);
            for bit in bits(place.mask) {
                this.update_side(place.base + bit as u64, |map, offset| {
                    map.unpark(offset);
                    map.entry(offset).add_note(note.clone());
                });
            }
            this.make_available(place);
        });
        Ok(())
    }

    fn apply_park(
        &mut self,
        offset: Offset,
        delay: Delay,
        (continuation, untouched): (bool, bool),
        (checkpoint, note): (Option<&Checkpoint>, Option<&Bytes>),
        context: &Context,
    ) -> Result<(), ReplayError> {
        let Some(range) = self.expect(OffsetRange::single(offset), "park", &[Plane::Acquired])? else {
            return Ok(());
        };
        let offset = range.first().get();
        let place = Place::of(offset);
        let due = context.due(delay);
        if untouched {
            let slot = Slot {
                wall: NOT_BEGUN,
                ..self.window.slot(offset)
            };
            self.window.block_mut(place).slots_mut().set(place.bit(), slot);
        }
        let end = if continuation {
            self.attempt_left(&self.window.slot(offset), context.now.monotonic)
                .map(|left| context.now.monotonic.after(left))
        } else {
            None
        };
        let at_once = due <= context.now.monotonic;
        self.let_go(place);
        self.update_side(offset, |map, offset| {
            let side = map.entry(offset);
            if let Some(checkpoint) = checkpoint {
                side.checkpoint = Some(checkpoint.clone());
            }
            if let Some(note) = note {
                side.add_note(note.clone());
            }
            if at_once && !continuation {
                map.unpark(offset);
            } else {
                let timer = if at_once {
                    end
                } else {
                    Some(end.map_or(due, |end| end.min(due)))
                };
                map.park(offset, delay, due, continuation, timer);
            }
        });
        if at_once {
            self.make_available(place);
        } else {
            self.window.put(place, Plane::Parked);
            self.leave_struck(offset);
        }
        Ok(())
    }

    fn apply_reset(&mut self, epoch: StateEpoch, start: Offset) -> Result<(), ReplayError> {
        if epoch <= self.epoch {
            return Err(ReplayError::Epoch {
                from: self.epoch,
                to: epoch,
            });
        }
        let fresh = Self::new(self.key, epoch, start, self.options);
        let (last_transition, latest, archive_limit) = (self.last_transition, self.latest, self.archive_limit);
        *self = fresh;
        self.last_transition = last_transition;
        self.latest = latest;
        self.archive_limit = archive_limit;
        Ok(())
    }

    /// The start offset moves to `start`, whatever lies before it.
    pub(super) fn skip_to(&mut self, start: u64) {
        if start <= self.window.start() {
            return;
        }
        if let Some(passed) = self.window.clamp(super::block::run(self.window.start(), start - 1)) {
            self.each(Some(passed), Self::let_go);
        }
        self.side.remove_before(start);
        self.window.skip_to(start);
        if self.struck.is_some_and(|struck| struck < self.window.start()) {
            self.struck = None;
            self.promote();
        }
    }

    /// The part of `range` that matters, provided that every offset of it is in one of `planes`.
    pub(super) fn expect(
        &self,
        range: OffsetRange,
        change: &'static str,
        planes: &[Plane],
    ) -> Result<Option<OffsetRange>, ReplayError> {
        let Some(range) = self.window.unpassed(range) else {
            return Ok(None);
        };
        for place in places(range) {
            self.expect_place(place, change, planes)?;
        }
        Ok(Some(range))
    }

    pub(super) fn expect_place(&self, place: Place, change: &'static str, planes: &[Plane]) -> Result<(), ReplayError> {
        let block = self.window.block(place);
        let allowed = planes.iter().fold(0, |mask, plane| {
            block.map_or(mask, |block| {
                mask | match plane {
                    Plane::Available => block.available,
                    Plane::Acquired => block.acquired,
                    Plane::Parked => block.parked,
                    Plane::Waiting => block.waiting,
                    Plane::Acknowledged | Plane::Archived | Plane::Hole => 0,
                }
            })
        });
        let wrong = place.mask & !allowed;
        if wrong == 0 {
            return Ok(());
        }
        let offset = place.base + u64::from(wrong.trailing_zeros());
        Err(ReplayError::State {
            offset: Offset::saturating(offset),
            state: self.window.plane(offset).and_then(state),
            change,
        })
    }

    pub(super) fn check_span(&self, last: Offset) -> Result<(), ReplayError> {
        let span = last.get().saturating_sub(self.window.start());
        if span >= HARD_SPAN {
            return Err(ReplayError::Span {
                offset: last,
                span,
                limit: HARD_SPAN,
            });
        }
        Ok(())
    }

    pub(super) fn each(&mut self, range: Option<OffsetRange>, mut act: impl FnMut(&mut Self, Place)) {
        for place in range.into_iter().flat_map(places) {
            act(self, place);
        }
    }

    /// Side and struck bits of a place.
    pub(super) fn marks(&self, place: Place) -> (u64, u64) {
        self.window
            .block(place)
            .map_or((0, 0), |block| (block.side & place.mask, block.struck & place.mask))
    }

    /// The members that hold records of this place hold them no more.
    pub(super) fn let_go(&mut self, place: Place) {
        let Some(block) = self.window.block(place) else { return };
        for bit in bits(block.acquired & place.mask) {
            self.members.close(block.member(bit));
        }
    }

    /// Changes a side entry and keeps its bit.
    pub(super) fn update_side(&mut self, offset: u64, change: impl FnOnce(&mut super::side::SideMap, u64)) {
        change(&mut self.side, offset);
        let left = self.side.tidy(offset);
        let place = Place::of(offset);
        let block = self.window.block_mut(place);
        if left {
            block.side |= place.mask;
        } else {
            block.side &= !place.mask;
        }
    }

    /// The records of a place have ended.
    pub(super) fn finish(&mut self, place: Place, end: Plane) {
        self.let_go(place);
        let (side, struck) = self.marks(place);
        for bit in bits(side) {
            self.side.remove(place.base + bit as u64);
        }
        if side != 0 {
            self.window.block_mut(place).side &= !side;
        }
        self.window.put(place, end);
        for bit in bits(struck) {
            self.leave_struck(place.base + bit as u64);
        }
    }

    /// The records of a place are available, struck ones as soon as it is their turn.
    pub(super) fn make_available(&mut self, place: Place) {
        let (_, struck) = self.marks(place);
        let mask = place.mask & !struck;
        if mask != 0 {
            self.window.put(Place { mask, ..place }, Plane::Available);
        }
        for bit in bits(struck) {
            let offset = place.base + bit as u64;
            let turn = *self.struck.get_or_insert(offset) == offset;
            let new = if turn { Plane::Available } else { Plane::Waiting };
            self.window.put(Place::of(offset), new);
        }
    }

    /// A struck record is acquired: it is its turn.
    pub(super) fn take_struck(&mut self, offset: u64) {
        if let Some(other) = self.struck.replace(offset)
            && other != offset
            && self.window.plane(other) == Some(Plane::Available)
        {
            self.window.put(Place::of(other), Plane::Waiting);
        }
    }

    /// A record is not out any more; if it was struck, the next struck record has its turn.
    fn leave_struck(&mut self, offset: u64) {
        if self.struck == Some(offset) {
            self.struck = None;
            self.promote();
        }
    }

    /// The first struck record that waits has its turn.
    pub(super) fn promote(&mut self) {
        if let Some(next) = self.window.first_waiting() {
            self.struck = Some(next);
            self.window.put(Place::of(next), Plane::Available);
        }
    }

    /// A lease deadline that does not outlast its attempt.
    pub(super) fn capped(&self, deadline: u64, began: u32, now: Now) -> u64 {
        let max = self
            .options
            .max_lease
            .map(|max| max.min(super::tick::MAX_LOCK).as_millis());
        max.and_then(|max| whole(began, tick(now.monotonic)).checked_add(u64::try_from(max).ok()?))
            .map_or(deadline, |end| deadline.min(end))
    }
}
