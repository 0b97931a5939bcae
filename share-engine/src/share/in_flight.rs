//! The offsets between start and end: chunks of bitmaps, their totals, and which chunks hold something to acquire.
//!
//! Every change of a plane goes through [`InFlight::put`], [`InFlight::mark`] or [`InFlight::unmark`], which keep the
//! totals; nothing here knows why a record changes. Used by every other file of the share partition.
#![expect(clippy::indexing_slicing, reason = "block numbers are below 16 by construction")]

use std::collections::{BTreeSet, VecDeque};

use super::block::{BLOCK, BLOCKS, Block, CHUNK, Chunk, Place, Plane, Slot, places, run};
use super::types::Counts;
use crate::ids::OffsetRange;

/// See the module.
#[derive(Debug)]
pub(super) struct InFlight {
    /// First offset that is not finished.
    start: u64,
    /// First offset that was never seen; at least `start`.
    next: u64,
    /// Number of the first chunk in `chunks`.
    base: u64,
    chunks: VecDeque<Option<Box<Chunk>>>,
    totals: Counts,
    /// Chunks with something to acquire.
    ready: BTreeSet<u64>,
    /// Chunks with struck records that wait.
    waiting: BTreeSet<u64>,
    /// (tick, chunk) at which the leases of a chunk are to be looked at.
    timers: BTreeSet<(u64, u64)>,
}

impl InFlight {
    pub(super) fn new(start: u64) -> Self {
        Self {
            start,
            next: start,
            base: start / CHUNK,
            chunks: VecDeque::new(),
            totals: Counts::default(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            timers: BTreeSet::new(),
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Offsets from start to end.
    pub(super) fn span(&self) -> u64 {
        self.next - self.start
    }

    pub(super) fn totals(&self) -> Counts {
        self.totals
    }

    /// The part of `range` that is in the window.
    pub(super) fn clamp(&self, range: OffsetRange) -> Option<OffsetRange> {
        (self.start < self.next).then(|| range.intersect(run(self.start, self.next - 1)))?
    }

    /// The part of `range` that is not before the start offset.
    pub(super) fn unpassed(&self, range: OffsetRange) -> Option<OffsetRange> {
        (range.last().get() >= self.start).then(|| run(range.first().get().max(self.start), range.last().get()))
    }

    /// The block of a place; `None` if nothing in its chunk was ever seen.
    pub(super) fn block(&self, place: Place) -> Option<&Block> {
        self.chunk(place.chunk).map(|chunk| &chunk.blocks[place.block])
    }

    /// The block of a place, to change side, struck and boundary bits and state words. Planes change by `put`.
    pub(super) fn block_mut(&mut self, place: Place) -> &mut Block {
        &mut self.chunk_mut(place.chunk).blocks[place.block]
    }

    /// A chunk, if anything in it was seen.
    pub(super) fn chunk(&self, number: u64) -> Option<&Chunk> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.chunks.get(index)?.as_deref()
    }

    fn chunk_mut(&mut self, number: u64) -> &mut Chunk {
        let index = usize::try_from(number.saturating_sub(self.base)).unwrap_or(usize::MAX);
        while self.chunks.len() <= index {
            self.chunks.push_back(None);
        }
        self.chunks[index].get_or_insert_with(Box::default)
    }

    /// Numbers of the chunks that have acquired records.
    pub(super) fn acquired_chunks(&self) -> impl Iterator<Item = u64> + '_ {
        (self.base..)
            .zip(&self.chunks)
            .filter(|(_, chunk)| chunk.as_ref().is_some_and(|chunk| chunk.acquired > 0))
            .map(|(number, _)| number)
    }

    /// Where one offset stands. `None` outside the window.
    pub(super) fn plane(&self, offset: u64) -> Option<Plane> {
        if offset < self.start || offset >= self.next {
            return None;
        }
        let place = Place::of(offset);
        self.block(place)?.plane(place.mask)
    }

    /// The state word of one offset.
    pub(super) fn slot(&self, offset: u64) -> Slot {
        let place = Place::of(offset);
        self.block(place)
            .map_or_else(Slot::default, |block| block.slot(place.bit()))
    }

    /// Adds never-seen offsets up to the end of `range` as available with count 0. `range` becomes one entry, and what
    /// lies between the old end and `range` another.
    pub(super) fn extend(&mut self, range: OffsetRange) {
        let first = range.first().get().max(self.next);
        let last = range.last().get();
        if last < self.next {
            return;
        }
        if first > self.next {
            let gap = run(self.next, first - 1);
            self.cover(gap);
        }
        self.cover(run(first, last));
    }

    fn cover(&mut self, range: OffsetRange) {
        self.next = range.last().get() + 1;
        self.set_boundary(range.first().get());
        for place in places(range) {
            self.put(place, Plane::Available);
        }
    }

    /// Begins an entry at `offset`.
    pub(super) fn set_boundary(&mut self, offset: u64) {
        let place = Place::of(offset);
        self.block_mut(place).boundary |= place.mask;
    }

    /// Moves the offsets of one place to a plane; a transition of theirs is over.
    pub(super) fn put(&mut self, place: Place, to: Plane) {
        self.change(place, |block| block.put(place.mask, to));
    }

    /// The offsets of one place are in transition from now on.
    pub(super) fn mark(&mut self, place: Place) {
        if self.set_transition(place, true) {
            return;
        }
        self.change(place, |block| block.transition |= place.mask);
    }

    /// Their transition was rolled back.
    pub(super) fn unmark(&mut self, place: Place) {
        if self.set_transition(place, false) {
            return;
        }
        self.change(place, |block| block.transition &= !place.mask);
    }

    /// The short way for what is not available, and so does not count as ready: only one total changes.
    fn set_transition(&mut self, place: Place, transition: bool) -> bool {
        let block = self.block_mut(place);
        if block.available & place.mask != 0 {
            return false;
        }
        let old = block.transition;
        block.transition = if transition {
            old | place.mask
        } else {
            old & !place.mask
        };
        let changed = u64::from(ones(old ^ block.transition));
        if transition {
            self.totals.in_transition += changed;
        } else {
            self.totals.in_transition -= changed;
        }
        true
    }

    /// [`InFlight::mark`] for a run.
    pub(super) fn mark_run(&mut self, range: OffsetRange) {
        for place in places(range) {
            self.mark(place);
        }
    }

    fn change(&mut self, place: Place, change: impl FnOnce(&mut Block)) {
        let number = place.chunk;
        let chunk = self.chunk_mut(number);
        let before = Census::of(&chunk.blocks[place.block], place.mask);
        change(&mut chunk.blocks[place.block]);
        let after = Census::of(&chunk.blocks[place.block], place.mask);
        let was = (chunk.ready > 0, chunk.waiting > 0);
        chunk.ready = chunk.ready + after.ready - before.ready;
        chunk.acquired = chunk.acquired + after.acquired - before.acquired;
        chunk.waiting = chunk.waiting + after.waiting - before.waiting;
        let is = (chunk.ready > 0, chunk.waiting > 0);
        if was.0 != is.0 {
            toggle(&mut self.ready, number, is.0);
        }
        if was.1 != is.1 {
            toggle(&mut self.waiting, number, is.1);
        }
        let totals = &mut self.totals;
        totals.available = totals.available + u64::from(after.available) - u64::from(before.available);
        totals.acquired = totals.acquired + u64::from(after.acquired) - u64::from(before.acquired);
        totals.parked = totals.parked + u64::from(after.parked) - u64::from(before.parked);
        totals.waiting = totals.waiting + u64::from(after.waiting) - u64::from(before.waiting);
        totals.terminal = totals.terminal + u64::from(after.terminal) - u64::from(before.terminal);
        totals.in_transition = totals.in_transition + u64::from(after.transition) - u64::from(before.transition);
    }

    /// Whether anything seen can be acquired.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The first offset at or after `from` that can be acquired.
    pub(super) fn first_ready(&self, from: u64) -> Option<u64> {
        self.first_in(&self.ready, from.max(self.start), Block::ready)
    }

    /// The first struck record that waits.
    pub(super) fn first_waiting(&self) -> Option<u64> {
        self.first_in(&self.waiting, self.start, |block| block.waiting & !block.transition)
    }

    fn first_in(&self, chunks: &BTreeSet<u64>, from: u64, plane: impl Fn(&Block) -> u64) -> Option<u64> {
        chunks.range(from / CHUNK..).find_map(|&number| {
            let chunk = self.chunk(number)?;
            (0..).zip(&chunk.blocks).find_map(|(block, planes)| {
                let base = number * CHUNK + block * BLOCK;
                let skipped = from.saturating_sub(base);
                let mask = u64::MAX.checked_shl(u32::try_from(skipped).unwrap_or(64)).unwrap_or(0);
                let found = plane(planes) & mask;
                (found != 0).then(|| base + u64::from(found.trailing_zeros()))
            })
        })
    }

    /// The last offset of the entry that holds `offset`, or `limit` if that is nearer.
    pub(super) fn entry_last(&self, offset: u64, limit: u64) -> u64 {
        for place in places(run(offset + 1, limit.max(offset + 1))) {
            let Some(block) = self.block(place) else { break };
            let end = (block.boundary | block.hole | !block.tracked()) & place.mask;
            if end != 0 {
                return (place.base + u64::from(end.trailing_zeros()) - 1).min(limit);
            }
        }
        limit
    }

    /// The first offset of the entry that holds `offset`.
    pub(super) fn entry_first(&self, offset: u64) -> u64 {
        let mut place = Place::of(offset);
        let mut mask = place.mask | (place.mask - 1);
        loop {
            let Some(block) = self.block(place) else {
                return place.base + BLOCK;
            };
            let found = block.boundary & mask;
            if found != 0 {
                return place.base + 63 - u64::from(found.leading_zeros());
            }
            // What an entry has lost below the first chunk is not known any more.
            if place.base <= self.base * CHUNK {
                return place.base;
            }
            place = Place::of(place.base - 1);
            mask = u64::MAX;
        }
    }

    /// Moves the start offset over everything finished. Returns whether it moved.
    pub(super) fn advance(&mut self) -> bool {
        let old = self.start;
        while self.start < self.next {
            let place = Place::of(self.start);
            let bit = self.start - place.base;
            let Some(block) = self.block(place) else { break };
            let passable = if planted!(StartPastAcquired) {
                block.done | block.acquired
            } else {
                block.done
            };
            let run = u64::from((passable >> bit).trailing_ones()).min(self.next - self.start);
            if run == 0 {
                break;
            }
            let passed = (u64::MAX >> (BLOCK - run)) << bit;
            self.totals.terminal -= u64::from((block.done & !block.hole & passed).count_ones());
            self.start += run;
        }
        self.drop_passed();
        self.start != old
    }

    /// Moves the start offset over everything, finished or not. The caller has said what is lost.
    pub(super) fn skip_to(&mut self, start: u64) {
        if start <= self.start {
            return;
        }
        if start >= self.next {
            *self = Self::new(start);
            return;
        }
        for place in places(run(self.start, start - 1)) {
            self.put(place, Plane::Hole);
        }
        self.start = start;
        self.drop_passed();
        self.advance();
    }

    fn drop_passed(&mut self) {
        let keep = if self.start == self.next {
            self.base + self.chunks.len() as u64
        } else {
            self.start / CHUNK
        };
        while self.base < keep {
            if let Some(Some(chunk)) = self.chunks.pop_front() {
                self.ready.remove(&self.base);
                self.waiting.remove(&self.base);
                self.timers.remove(&(chunk.armed, self.base));
            }
            self.base += 1;
        }
        if self.chunks.is_empty() {
            self.base = self.start / CHUNK;
        }
    }

    /// The leases of a chunk are looked at no later than `tick`.
    pub(super) fn arm(&mut self, number: u64, tick: u64) {
        if self.chunk(number).is_some_and(|chunk| chunk.armed > tick) {
            self.rearm(number, tick);
        }
    }

    /// The leases of a chunk are looked at when `tick` comes; `u64::MAX`: never.
    pub(super) fn rearm(&mut self, number: u64, tick: u64) {
        let chunk = self.chunk_mut(number);
        let old = std::mem::replace(&mut chunk.armed, tick);
        if old == tick {
            return;
        }
        self.timers.remove(&(old, number));
        if tick != u64::MAX {
            self.timers.insert((tick, number));
        }
    }

    /// The earliest (tick, chunk) at which leases are to be looked at.
    pub(super) fn first_timer(&self) -> Option<(u64, u64)> {
        self.timers.first().copied()
    }

    /// Bytes on the heap, for the benchmark and the tests of memory goals.
    pub(super) fn heap_bytes(&self) -> usize {
        let slots: usize = self
            .chunks
            .iter()
            .flatten()
            .map(|chunk| chunk.blocks.iter().filter(|block| block.has_slots()).count())
            .sum();
        let chunks = self.chunks.iter().flatten().count();
        chunks * size_of::<Chunk>()
            + slots * size_of::<super::block::Slots>()
            + self.chunks.capacity() * size_of::<usize>()
    }

    /// Panics unless totals, indices and planes agree.
    pub(super) fn check(&self) {
        assert!(self.start <= self.next);
        let mut totals = Counts::default();
        for (number, chunk) in (self.base..).zip(&self.chunks) {
            let Some(chunk) = chunk else { continue };
            let (mut ready, mut acquired, mut waiting) = (0, 0, 0);
            for index in 0..BLOCKS {
                let block = &chunk.blocks[index];
                let planes = [block.available, block.acquired, block.parked, block.waiting, block.done];
                let ones: u32 = planes.iter().map(|plane| plane.count_ones()).sum();
                assert_eq!(ones, block.tracked().count_ones(), "an offset is in two planes");
                assert_eq!(block.archived & !block.done, 0);
                assert_eq!(block.hole & !block.archived, 0);
                assert_eq!(block.transition & block.done, 0);
                let base = number * CHUNK + index as u64 * BLOCK;
                let low = u64::MAX
                    .checked_shl(u32::try_from(self.start.saturating_sub(base)).unwrap_or(64))
                    .unwrap_or(0);
                let census = Census::of(block, low);
                totals.available += u64::from(census.available);
                totals.acquired += u64::from(census.acquired);
                totals.parked += u64::from(census.parked);
                totals.waiting += u64::from(census.waiting);
                totals.terminal += u64::from(census.terminal);
                totals.in_transition += u64::from(census.transition);
                ready += census.ready;
                acquired += census.acquired;
                waiting += census.waiting;
            }
            assert_eq!((ready, acquired, waiting), (chunk.ready, chunk.acquired, chunk.waiting));
            assert_eq!(ready > 0, self.ready.contains(&number));
            assert_eq!(waiting > 0, self.waiting.contains(&number));
            assert_eq!(chunk.armed != u64::MAX, self.timers.contains(&(chunk.armed, number)));
        }
        assert_eq!(totals, self.totals);
        if self.start < self.next {
            assert!(!matches!(
                self.plane(self.start),
                None | Some(Plane::Acknowledged | Plane::Archived | Plane::Hole)
            ));
        }
    }
}

/// How many offsets of a mask are in which plane.
#[derive(Clone, Copy, Default)]
struct Census {
    available: u32,
    acquired: u32,
    parked: u32,
    waiting: u32,
    terminal: u32,
    transition: u32,
    ready: u32,
}

impl Census {
    fn of(block: &Block, mask: u64) -> Self {
        Self {
            available: ones(block.available & mask),
            acquired: ones(block.acquired & mask),
            parked: ones(block.parked & mask),
            waiting: ones(block.waiting & mask),
            terminal: ones(block.done & !block.hole & mask),
            transition: ones(block.transition & mask),
            ready: ones(block.ready() & mask),
        }
    }
}

/// Most planes are empty or full under a mask: those cost no count.
fn ones(bits: u64) -> u32 {
    if bits == 0 { 0 } else { bits.count_ones() }
}

fn toggle(set: &mut BTreeSet<u64>, number: u64, present: bool) {
    if present {
        set.insert(number);
    } else {
        set.remove(&number);
    }
}
