//! The unit of hand-over: deliveries that came together and go to one lane, and what has become of each. Shared by the lane, which starts
//! and ends them, and the lease keeper, which extends and loses them; atomics only, no delivery is copied or moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use share_engine::time::Instant;

use crate::source::Delivery;

/// Deliveries of one acquisition for one lane; at most [`Chunk::MOST`].
#[derive(Debug)]
pub struct Chunk {
    deliveries: Vec<Delivery>,
    cells: Box<[AtomicU64]>,
    lane: usize,
    _bytes: Option<Share>,
}

/// Bytes of deliveries that a deployment has in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldBytes(Arc<AtomicU64>);

impl HeldBytes {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn take(&self, bytes: u64) -> Share {
        self.0.fetch_add(bytes, Ordering::AcqRel);
        Share {
            held: self.clone(),
            bytes,
        }
    }
}

/// A part of [`HeldBytes`], given back when it is dropped: with its chunk, and the bytes themselves.
#[derive(Debug)]
struct Share {
    held: HeldBytes,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not started.
    Waiting,
    /// In a handler since this time.
    Running(Instant),
    /// Its call has ended, its settlement is on the way.
    Settling,
    /// Settled: nobody cares any more.
    Done,
    /// Its lease is gone; whatever its call comes to is dropped.
    Lost,
}

impl Chunk {
    /// Records in a chunk: what one hand-over costs is shared by so many.
    pub const MOST: usize = 256;

    /// For lane number `lane`; all deliveries wait.
    pub fn new(deliveries: Vec<Delivery>, lane: usize) -> Arc<Self> {
        Self::made(deliveries, lane, None)
    }

    /// As [`Chunk::new`], its bytes counted among `held` for as long as it is there.
    pub(crate) fn counted(deliveries: Vec<Delivery>, lane: usize, held: &HeldBytes) -> Arc<Self> {
        let bytes = deliveries.iter().map(Delivery::bytes).sum();
        Self::made(deliveries, lane, Some(held.take(bytes)))
    }

    fn made(deliveries: Vec<Delivery>, lane: usize, bytes: Option<Share>) -> Arc<Self> {
        let cells = deliveries.iter().map(|_| AtomicU64::new(WAITING)).collect();
        Arc::new(Self {
            deliveries,
            cells,
            lane,
            _bytes: bytes,
        })
    }

    /// The lane that runs these.
    pub fn lane(&self) -> usize {
        self.lane
    }

    /// The deliveries, in the order in which they are started.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Where delivery `index` stands; an index out of range is done.
    pub fn phase(&self, index: usize) -> Phase {
        self.cells
            .get(index)
            .map_or(Phase::Done, |cell| decode(cell.load(Ordering::Acquire)))
    }

    /// Waiting to running. False if it was lost meanwhile.
    pub fn start(&self, index: usize, now: Instant) -> bool {
        let running = now.as_nanos().clamp(WAITING + 1, SETTLING - 1);
        self.turn(index, |phase| matches!(phase, Phase::Waiting).then_some(running))
            .is_some()
    }

    /// Waiting or running to settling. False if it was lost meanwhile: the outcome is to be dropped.
    pub fn end(&self, index: usize) -> bool {
        self.turn(index, |phase| {
            matches!(phase, Phase::Waiting | Phase::Running(_)).then_some(SETTLING)
        })
        .is_some()
    }

    /// Settled, or given up.
    pub fn finish(&self, index: usize) {
        if let Some(cell) = self.cells.get(index) {
            cell.store(DONE, Ordering::Release);
        }
    }

    /// Takes the lease away. What it was before, unless it is done or lost already.
    pub fn lose(&self, index: usize) -> Option<Phase> {
        self.turn(index, |phase| {
            (!matches!(phase, Phase::Done | Phase::Lost)).then_some(LOST)
        })
    }

    fn turn(&self, index: usize, to: impl Fn(Phase) -> Option<u64>) -> Option<Phase> {
        let cell = self.cells.get(index)?;
        cell.try_update(Ordering::AcqRel, Ordering::Acquire, |word| to(decode(word)))
            .ok()
            .map(decode)
    }
}

/// One delivery of a chunk.
#[derive(Clone, Debug)]
pub struct Item {
    /// The chunk it came in.
    pub chunk: Arc<Chunk>,
    /// Its place there.
    pub index: usize,
}

impl Item {
    /// `None` only for an index that the chunk does not have.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.chunk.deliveries.get(self.index)
    }

    /// Whether both name the same delivery.
    pub fn is(&self, other: &Self) -> bool {
        self.index == other.index && Arc::ptr_eq(&self.chunk, &other.chunk)
    }
}

/// Any other word is the time since which the record runs.
const WAITING: u64 = 0;
const SETTLING: u64 = u64::MAX - 2;
const LOST: u64 = u64::MAX - 1;
const DONE: u64 = u64::MAX;

const fn decode(word: u64) -> Phase {
    match word {
        WAITING => Phase::Waiting,
        SETTLING => Phase::Settling,
        LOST => Phase::Lost,
        DONE => Phase::Done,
        since => Phase::Running(Instant::from_nanos(since)),
    }
}
