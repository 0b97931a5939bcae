//! [`SharePartition`]: its fields, its getters, and what happens when a transition is durable or refused.
//! The commands are in the files named after them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::acquire::Jump;
use super::block::{Place, Plane, Slot, bits, places, run};
use super::context::Context;
use super::in_flight::InFlight;
use super::member::Members;
use super::open::{Kind, Open};
use super::side::{Side, SideMap};
use super::tick::{NOT_BEGUN, age, half, instant, tick, whole};
use super::types::{Counts, Persisted, Pinned, RecordState, RecordView, ShareOptions, TransitionId, Window};
use super::{Change, Checkpoint};
use crate::ids::{Continuation, DeliveryCount, Offset, OffsetRange, ShareKey, StateEpoch};
use crate::time::{Instant, Now};

/// One topic partition as one group sees it. See the [module](super) for the calling order.
#[derive(Debug)]
pub struct SharePartition {
    pub(super) key: ShareKey,
    pub(super) epoch: StateEpoch,
    pub(super) options: ShareOptions,
    pub(super) window: InFlight,
    /// Since when the start offset is where it is.
    pub(super) since: Instant,
    /// The newest `now` that was heard of: lower halves of ticks are read around it.
    pub(super) latest: Instant,
    pub(super) side: SideMap,
    pub(super) members: Members,
    pub(super) open: BTreeMap<TransitionId, Open>,
    pub(super) last_transition: u64,
    /// Records of acquisitions that are not durable yet.
    pub(super) pending: u64,
    /// A reset is on its way: nothing else is accepted.
    pub(super) resetting: bool,
    /// The one struck record that is available, in transition or acquired.
    pub(super) struck: Option<u64>,
    /// The start offset has moved over what the log does not have any more, and that is not durable yet.
    pub(super) jumped: Option<Jump>,
    /// Records that such a move lost and that nobody counts: the entry that told of them was refused.
    pub(super) uncounted: u64,
    /// Records that one call may archive.
    pub(super) archive_limit: u32,
}

impl SharePartition {
    /// Nothing acquired; `start` is the first offset that matters.
    pub fn new(key: ShareKey, epoch: StateEpoch, start: Offset, options: ShareOptions) -> Self {
        Self {
            key,
            epoch,
            options,
            window: InFlight::new(start.get()),
            since: Instant::default(),
            latest: Instant::default(),
            side: SideMap::default(),
            members: Members::default(),
            open: BTreeMap::new(),
            last_transition: 0,
            pending: 0,
            resetting: false,
            struck: None,
            jumped: None,
            uncounted: 0,
            archive_limit: u32::MAX,
        }
    }

    /// Its number.
    pub fn key(&self) -> ShareKey {
        self.key
    }

    /// Raised by each reset.
    pub fn epoch(&self) -> StateEpoch {
        self.epoch
    }

    /// As last set.
    pub fn options(&self) -> &ShareOptions {
        &self.options
    }

    /// Replaces the options. Leases that run keep their deadlines; limits hold from the next decision on. Whether attempts
    /// that are to go on may still do so is for [`handle_timeout`](SharePartition::handle_timeout) to say, at once.
    pub fn set_options(&mut self, options: ShareOptions) {
        self.options = options;
        let goes_on = |side: &Side| side.park.is_some_and(|park| park.continuation);
        let attempts = self.side.iter().filter(|(_, side)| goes_on(side));
        let attempts: Vec<u64> = attempts.map(|(offset, _)| offset).collect();
        for offset in attempts {
            self.side.set_timer(offset, Some(self.latest));
        }
    }

    /// How many records one call of [`handle_timeout`](SharePartition::handle_timeout),
    /// [`release_member`](SharePartition::release_member), [`void_leases`](SharePartition::void_leases) or
    /// [`retire`](SharePartition::retire) may archive; at least 1. The rest is left to the next call. Without limit at
    /// first: whoever writes dead letters knows how many of them fit into one journal entry.
    pub fn set_archive_limit(&mut self, records: u32) {
        self.archive_limit = records.max(1);
    }

    /// The first offset that is not finished. Never moves back, except by a reset.
    pub fn start_offset(&self) -> Offset {
        Offset::saturating(self.window.start())
    }

    /// [`start_offset`](SharePartition::start_offset) as a restart would find it: behind while the log has moved on and
    /// that is not durable yet.
    pub fn durable_start(&self) -> Offset {
        self.jumped.map_or(self.start_offset(), |jump| jump.from)
    }

    /// The last offset seen; the start offset while nothing is in flight.
    pub fn end_offset(&self) -> Offset {
        let (start, next) = (self.window.start(), self.window.next());
        Offset::saturating(if start == next { start } else { next - 1 })
    }

    /// Where the next read of the log should begin: the first record that is available again, or the first new one.
    pub fn next_fetch_offset(&self) -> Offset {
        Offset::saturating(self.window.first_ready(0).unwrap_or(self.window.next()))
    }

    /// Whether an acquisition could give anything, provided that the log has new records.
    pub fn can_acquire(&self) -> bool {
        if self.resetting {
            return false;
        }
        let room = self.window.span() < self.span_max();
        match self.options.window {
            Window::Span(_) => self.window.has_ready() || room,
            Window::Acquired(limit) => self.held_or_pending() < u64::from(limit) && (self.window.has_ready() || room),
        }
    }

    /// Finished offsets that the start offset has not passed.
    pub fn delivery_complete_count(&self) -> u64 {
        self.window.totals().terminal
    }

    /// How many records are in which state. In O(1).
    pub fn counts(&self) -> Counts {
        self.window.totals()
    }

    /// What keeps new records from being acquired because the window is as long as it may be.
    pub fn pinned(&self) -> Option<Pinned> {
        if self.window.span() < self.span_max() {
            return None;
        }
        Some(Pinned {
            offset: self.start_offset(),
            state: state(self.window.plane(self.window.start())?)?,
            since: self.since,
        })
    }

    /// One record; `None` if it was never seen, is passed by the start offset, or does not exist.
    pub fn record(&self, offset: Offset) -> Option<RecordView> {
        let at = offset.get();
        let state = state(self.window.plane(at)?)?;
        let place = Place::of(at);
        let block = self.window.block(place)?;
        let slot = self.window.slot(at);
        let side = self.side.get(at);
        let acquired = state == RecordState::Acquired;
        Some(RecordView {
            offset,
            state,
            delivery_count: slot.count,
            continuation: Continuation(side.map_or(0, |side| side.continuation)),
            member: if acquired {
                self.members.member(slot.member)
            } else {
                None
            },
            deadline: self.lease_deadline(offset),
            due: side
                .and_then(|side| side.park)
                .filter(|_| state == RecordState::Parked)
                .map(|park| park.due),
            checkpoint_len: side.and_then(|side| side.checkpoint.as_ref()).map_or(0, Bytes::len),
            notes: side.map_or(0, |side| side.notes.len()),
            strikes: u8::from(block.struck & place.mask != 0),
            in_transition: block.transition & place.mask != 0,
        })
    }

    /// The records of `range` that [`SharePartition::record`] knows, ascending.
    pub fn records(&self, range: OffsetRange) -> impl Iterator<Item = RecordView> + '_ {
        let offsets = self
            .window
            .clamp(range)
            .map(|range| (range.first().get(), range.last().get()));
        let (first, end) = offsets.map_or((0, 0), |(first, last)| (first, last + 1));
        (first..end).filter_map(|offset| self.record(Offset::saturating(offset)))
    }

    /// The checkpoints of a range, in order.
    pub fn checkpoints(&self, range: OffsetRange) -> impl Iterator<Item = (Offset, &Checkpoint)> {
        let entries = self.side.within(range);
        entries.filter_map(|(offset, side)| Some((Offset::saturating(offset), side.checkpoint.as_ref()?)))
    }

    /// What the last renewal of a record left.
    pub fn checkpoint(&self, offset: Offset) -> Option<&Checkpoint> {
        self.side.get(offset.get())?.checkpoint.as_ref()
    }

    /// What the attempts at a record left, the oldest first; at most 32.
    pub fn notes(&self, offset: Offset) -> &[Bytes] {
        self.side.get(offset.get()).map_or(&[], |side| side.notes.as_slice())
    }

    /// How often the present delivery of a record was continued.
    pub fn continuation(&self, offset: Offset) -> Continuation {
        Continuation(self.side.get(offset.get()).map_or(0, |side| side.continuation))
    }

    /// When the lease of a record ends; `None` unless it is acquired.
    pub fn lease_deadline(&self, offset: Offset) -> Option<Instant> {
        let at = offset.get();
        (self.window.plane(at)? == Plane::Acquired)
            .then(|| instant(whole(self.window.slot(at).deadline, tick(self.latest))))
    }

    /// When [`handle_timeout`](SharePartition::handle_timeout) is due; may be early by a little, never late.
    pub fn poll_deadline(&self) -> Option<Instant> {
        if self.resetting {
            return None;
        }
        let lease = self.window.first_timer().map(|(tick, _)| instant(tick));
        let park = self.side.first_due().map(|(due, _)| due);
        lease.into_iter().chain(park).min()
    }

    /// Bytes on the heap for window and state words, side entries not counted. For benchmarks.
    pub fn heap_bytes(&self) -> usize {
        self.window.heap_bytes()
    }

    /// Whether a transition waits for the journal, and no reset is about to make it void.
    pub fn is_open(&self, transition: TransitionId) -> bool {
        !self.resetting && self.open.contains_key(&transition)
    }

    /// Ends a transition: its changes hold, or are rolled back. Unknown transitions are those that a reset overtook.
    ///
    /// A refused expiry is not rolled back: the records it would have released are available, those it would have
    /// archived are tried again after 100 ms.
    pub fn handle_persisted(&mut self, transition: TransitionId, result: Persisted, now: Now) {
        let Some(Open {
            kind,
            changes,
            at,
            lost,
        }) = self.open.remove(&transition)
        else {
            return;
        };
        let context = match kind {
            Kind::Acquire {
                member,
                deadline,
                began,
                count,
            } => {
                self.pending -= count;
                Context {
                    now,
                    member,
                    deadline,
                    began: Some(began),
                    decided: Some(at),
                }
            }
            _ => Context {
                decided: Some(at),
                ..Context::of(now, &self.options)
            },
        };
        match result {
            Persisted::Durable => {
                let applied = self.apply_all(&changes, &context);
                assert!(applied.is_ok(), "a change of our own cannot be applied: {applied:?}");
            }
            Persisted::Refused => {
                self.uncounted += lost;
                self.roll_back(kind, &changes, &context);
            }
        }
        if let Kind::Acquire { member, .. } = kind {
            self.members.close(member);
        }
        self.moved(now);
    }

    fn roll_back(&mut self, kind: Kind, changes: &[Change], context: &Context) {
        if kind == Kind::Reset {
            self.resetting = false;
            return;
        }
        let now = context.now.monotonic;
        for change in changes {
            let Some(range) = range_of(change).and_then(|range| self.window.clamp(range)) else {
                continue;
            };
            if kind == Kind::Timeout && matches!(change, Change::Release { .. }) {
                let applied = self.apply_change(change, context);
                assert!(applied.is_ok(), "a release of our own cannot be applied: {applied:?}");
                continue;
            }
            let retry = if kind == Kind::Timeout {
                now.after(super::lease::RETRY)
            } else {
                now
            };
            for place in places(range) {
                self.window.unmark(place);
                self.look_again(place, kind == Kind::Timeout, retry);
            }
        }
        if self.struck.is_none() {
            self.promote();
        }
    }

    /// Leases and parks of a place are looked at again at `when`; with `delay`, their leases last until then.
    fn look_again(&mut self, place: Place, delay: bool, when: Instant) {
        let Some(block) = self.window.block(place) else { return };
        let (acquired, side) = (block.acquired & place.mask, block.side & place.mask);
        if acquired != 0 {
            let at = tick(when);
            if delay {
                let slots = self.window.block_mut(place).slots_mut();
                for bit in bits(acquired) {
                    slots.set_deadline(bit, half(at));
                }
            }
            self.window.arm(place.chunk, at);
        }
        for bit in bits(side) {
            self.side.set_timer(place.base + bit as u64, Some(when));
        }
    }

    /// Opens a transition for `changes`, whose records are marked already.
    pub(super) fn begin(&mut self, kind: Kind, changes: &[Change], now: Now) -> Option<TransitionId> {
        if changes.is_empty() {
            return None;
        }
        self.last_transition += 1;
        let id = TransitionId(self.last_transition);
        let changes = changes.to_vec();
        let open = Open {
            kind,
            changes,
            at: now.monotonic,
            lost: 0,
        };
        self.open.insert(id, open);
        Some(id)
    }

    /// Moves the start offset over what is finished.
    pub(super) fn moved(&mut self, now: Now) {
        self.latest = self.latest.max(now.monotonic);
        if self.window.advance() {
            self.since = now.monotonic;
        }
    }

    /// Acquired records and those that are about to be.
    pub(super) fn held_or_pending(&self) -> u64 {
        self.window.totals().acquired + self.pending
    }

    /// Offsets from start to end at which new records are not acquired any more.
    pub(super) fn span_max(&self) -> u64 {
        let limit = self.options.span_limit.min(super::apply::HARD_SPAN / 2);
        match self.options.window {
            Window::Span(window) => limit.min(u64::from(window)),
            Window::Acquired(_) => limit,
        }
    }

    /// What is left of the attempt of a record; `None` if attempts have no end. One that has not begun is whole.
    pub(super) fn attempt_left(&self, slot: &Slot, now: Instant) -> Option<std::time::Duration> {
        let max = self.options.max_lease?.min(super::tick::MAX_LOCK);
        Some(if slot.wall == NOT_BEGUN {
            max
        } else {
            max.saturating_sub(age(slot.began, tick(now)))
        })
    }

    /// Whether a record that was delivered so often is archived instead of becoming available.
    pub(super) fn is_last(&self, count: DeliveryCount) -> bool {
        count >= self.options.delivery_limit
    }

    /// Panics if an invariant is broken. For tests and simulation.
    pub fn check(&self) {
        self.window.check();
        self.side.check();
        let (start, next) = (self.window.start(), self.window.next());
        for (offset, side) in self.side.iter() {
            assert!(
                start <= offset && offset < next,
                "side entry of {offset} outside the window"
            );
            let place = Place::of(offset);
            let block = self.window.block(place);
            assert!(
                block.is_some_and(|block| block.side & place.mask != 0),
                "no side bit for {offset}"
            );
            if self.window.plane(offset) == Some(Plane::Parked) {
                assert!(side.park.is_some());
            }
        }
        let mut sides = 0;
        let mut held = BTreeMap::new();
        let range = (start < next).then(|| run(start, next - 1));
        for place in range.into_iter().flat_map(places) {
            let Some(block) = self.window.block(place) else {
                continue;
            };
            sides += (block.side & place.mask).count_ones() as usize;
            for bit in bits(block.acquired & place.mask) {
                *held.entry(block.slot(bit).member).or_insert(0_u64) += 1;
            }
            for bit in bits(block.struck & (block.available | block.acquired) & place.mask) {
                assert_eq!(self.struck, Some(place.base + bit as u64), "two struck records are out");
            }
        }
        assert_eq!(sides, self.side.len(), "side bits and entries differ");
        for open in self.open.values() {
            if let Kind::Acquire { member, .. } = open.kind {
                *held.entry(member).or_insert(0) += 1;
            }
        }
        held.remove(&super::member::NOBODY);
        for (member, uses) in held {
            assert_eq!(self.members.uses(member), uses, "uses of member number {member}");
        }
        if self.struck.is_none() {
            assert_eq!(self.window.first_waiting(), None, "a struck record waits for nothing");
        }
    }
}

/// The offsets a change is about; `None` for changes of the whole partition.
pub(super) fn range_of(change: &Change) -> Option<OffsetRange> {
    match change {
        Change::Acquire { range, .. }
        | Change::Acknowledge { range }
        | Change::Archive { range, .. }
        | Change::Release { range, .. }
        | Change::Void { range } => Some(*range),
        Change::Continue { offset, .. } | Change::Park { offset, .. } => Some(OffsetRange::single(*offset)),
        Change::StartOffset { offset } => Some(run(0, offset.previous()?.get())),
        Change::Reset { .. } => None,
    }
}

/// How a plane is called outside.
pub(super) fn state(plane: Plane) -> Option<RecordState> {
    Some(match plane {
        Plane::Available => RecordState::Available,
        Plane::Acquired => RecordState::Acquired,
        Plane::Parked => RecordState::Parked,
        Plane::Waiting => RecordState::Waiting,
        Plane::Acknowledged => RecordState::Acknowledged,
        Plane::Archived => RecordState::Archived,
        Plane::Hole => return None,
    })
}
