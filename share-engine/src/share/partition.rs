//! The share partition and its method families.

use bytes::{BufMut, Bytes, BytesMut};

use super::types::*;
use super::{Change, Checkpoint};
use crate::ids::{Continuation, DeliveryCount, LeaseKey, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch};
use crate::time::{Instant, Now};

/// One topic partition as one group sees it.
#[derive(Debug)]
pub struct SharePartition {
    key: ShareKey,
    epoch: StateEpoch,
    options: ShareOptions,
    start: Offset,
}

impl SharePartition {
    /// Nothing acquired; `start` is the first offset that matters.
    pub fn new(key: ShareKey, epoch: StateEpoch, start: Offset, options: ShareOptions) -> Self {
        Self {
            key,
            epoch,
            options,
            start,
        }
    }
    /// Its number.
    pub fn key(&self) -> ShareKey {
        self.key
    }
    /// Raised by resets.
    pub fn epoch(&self) -> StateEpoch {
        self.epoch
    }
    /// As set.
    pub fn options(&self) -> &ShareOptions {
        &self.options
    }
    /// First unfinished offset.
    pub fn start_offset(&self) -> Offset {
        self.start
    }
    /// Last offset that was acquired; the start offset while nothing is in flight.
    pub fn end_offset(&self) -> Offset {
        self.start
    }
    /// Where the next read of the log should begin.
    pub fn next_fetch_offset(&self) -> Offset {
        self.start
    }
    /// Whether an acquisition could give anything.
    pub fn can_acquire(&self) -> bool {
        true
    }
    /// Finished offsets not yet passed.
    pub fn delivery_complete_count(&self) -> u64 {
        0
    }
    /// By state.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
    /// If the window is full.
    pub fn pinned(&self) -> Option<Pinned> {
        None
    }
    /// `None` outside the window.
    pub fn record(&self, _offset: Offset) -> Option<RecordView> {
        None
    }
    /// Those of `range` inside the window.
    pub fn records(&self, _range: OffsetRange) -> impl Iterator<Item = RecordView> + '_ {
        std::iter::empty()
    }
    /// What the last renewal left.
    pub fn checkpoint(&self, _offset: Offset) -> Option<&Checkpoint> {
        None
    }
    /// What the attempts left.
    pub fn notes(&self, _offset: Offset) -> &[Bytes] {
        &[]
    }
    /// Which continuation.
    pub fn continuation(&self, _offset: Offset) -> Continuation {
        Continuation(0)
    }
    /// When the lease ends.
    pub fn lease_deadline(&self, _offset: Offset) -> Option<Instant> {
        None
    }

    /// Takes records.
    pub fn acquire(&mut self, _request: &AcquireRequest<'_>, _now: Now) -> Acquisition {
        Acquisition::default()
    }
    /// Host path.
    pub fn settle(&mut self, _settlements: &[(LeaseKey, Verdict)], _now: Now) -> Settled {
        Settled::default()
    }
    /// Wire path.
    pub fn acknowledge(
        &mut self,
        _member: MemberIndex,
        _batches: &[AckBatch<'_>],
        _now: Now,
    ) -> Result<Settled, AckError> {
        Ok(Settled::default())
    }
    /// Extends leases; not durable.
    pub fn extend(&mut self, leases: &[LeaseKey], _now: Now) -> Vec<Result<Instant, Refusal>> {
        leases.iter().map(|lease| Err(Refusal::Stale(lease.offset))).collect()
    }
    /// A member has gone.
    pub fn release_member(&mut self, _member: MemberIndex, _now: Now) -> Settled {
        Settled::default()
    }
    /// Discards everything.
    pub fn reset(&mut self, _epoch: StateEpoch, _start: Offset, _now: Now) -> Settled {
        Settled::default()
    }
    /// At open: every lease is void.
    pub fn void_leases(&mut self, _now: Now) -> Settled {
        Settled::default()
    }
    /// Dead letters that are redriven.
    pub fn conclude(&mut self, _offsets: &[Offset], _now: Now) -> Settled {
        Settled::default()
    }
    /// New options.
    pub fn set_options(&mut self, options: ShareOptions) {
        self.options = options;
    }

    /// The journal's answer.
    pub fn handle_persisted(&mut self, _transition: TransitionId, _result: Persisted, _now: Now) {}
    /// Time has passed.
    pub fn handle_timeout(&mut self, _now: Now) -> Settled {
        Settled::default()
    }
    /// The log begins later.
    pub fn handle_log_start(&mut self, _start: Offset, _now: Now) -> Settled {
        Settled::default()
    }
    /// When `handle_timeout` is due.
    pub fn poll_deadline(&self) -> Option<Instant> {
        None
    }

    /// Replays one change.
    pub fn apply(&mut self, _change: &Change, _now: Now) -> Result<(), ReplayError> {
        Ok(())
    }
    /// The durable view.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(1);
    }
    /// The inverse of `encode`.
    pub fn decode(key: ShareKey, options: ShareOptions, _bytes: &[u8], _now: Now) -> Result<Self, DecodeError> {
        Ok(Self::new(key, StateEpoch(0), Offset::ZERO, options))
    }
    /// Panics if an invariant is broken.
    pub fn check(&self) {
        let _ = DeliveryCount(0);
    }
}
