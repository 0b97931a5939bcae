//! Our side: a share partition whose journal answers at once, on a clock that is set.
//!
//! It is the state machine, not the whole engine: what is compared are ranges of offsets as they come in and go out, and
//! the engine's handles speak of single records. What stands around it here is what a wire front end does: it reads
//! everything from the next fetch offset on in one go, and looks at the form of a request before it asks the share partition.

use std::collections::BTreeMap;
use std::time::Duration;

use share_engine::ids::{DeliveryCount, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch};
use share_engine::share::{
    AckBatch, AckError, AcquireMode, AcquireRequest, Change, Persisted, RecordState, Settled, ShareOptions,
    SharePartition, Window,
};
use share_engine::time::{Instant, Now, WallTime};
use share_wire::code::ErrorCode;

use super::operation::{Batch, Got};
use super::{LOCK, Limits};

/// See the module.
pub(crate) struct EngineSide {
    share: SharePartition,
    /// Milliseconds since the sequence began.
    now: u64,
    /// The log.
    batches: Vec<OffsetRange>,
    /// What a broker would have written of each record: state as Kafka numbers it, and delivery count. Acquisitions are not written
    /// there.
    written: BTreeMap<u64, (i8, u16)>,
    /// The start offset when that was written last. A broker writes before it moves the start.
    written_start: u64,
    /// How often something was written.
    writes: u64,
}

impl EngineSide {
    pub(crate) fn new(limits: Limits) -> Self {
        let options = ShareOptions {
            delivery_limit: DeliveryCount(limits.deliveries),
            lock: LOCK,
            window: Window::Span(limits.window),
            ..ShareOptions::default()
        };
        Self {
            share: SharePartition::new(ShareKey(1), StateEpoch(1), Offset::ZERO, options),
            now: 0,
            batches: Vec::new(),
            written: BTreeMap::new(),
            written_start: 0,
            writes: 0,
        }
    }

    pub(crate) fn set_clock(&mut self, millis: u64) {
        self.now = millis;
    }

    fn clock(&self) -> Now {
        let since = Duration::from_millis(self.now);
        Now {
            monotonic: Instant::from_nanos(1_000_000_000).after(since),
            wall: WallTime::from_millis(1_700_000_000_000).after(since),
        }
    }

    /// Where the next batch goes.
    pub(crate) fn log_end(&self) -> u64 {
        self.batches.last().map_or(0, |last| last.last().get() + 1)
    }

    pub(crate) fn produce(&mut self, size: u64) {
        let first = self.log_end();
        self.batches.push(range(first, first + size - 1));
    }

    pub(crate) fn acquire(&mut self, member: usize, max: u32, batch_size: u32, mode: AcquireMode) -> Vec<Got> {
        let from = self.share.next_fetch_offset();
        let unread = self.batches.partition_point(|batch| batch.last() < from);
        let batches = &self.batches[unread..];
        if batches.is_empty() || !self.share.can_acquire() {
            return Vec::new();
        }
        let request = AcquireRequest {
            member: index(member),
            mode,
            max_records: max,
            batch_size,
            from,
            batches,
        };
        let now = self.clock();
        let acquisition = self.share.acquire(&request, now);
        if let Some(transition) = acquisition.transition {
            self.share.handle_persisted(transition, Persisted::Durable, now);
        }
        self.share.check();
        let got = acquisition.ranges.iter().map(|acquired| Got {
            first: acquired.range.first().get(),
            last: acquired.range.last().get(),
            count: acquired.delivery_count.get(),
        });
        got.collect()
    }

    /// Whether there is something that a member could get.
    pub(crate) fn may_give(&self) -> bool {
        self.share.can_acquire() && self.share.next_fetch_offset().get() < self.log_end()
    }

    /// One request: all of it or nothing.
    pub(crate) fn acknowledge(&mut self, member: usize, batches: &[Batch]) -> ErrorCode {
        if !is_well_formed(batches) {
            return ErrorCode::INVALID_REQUEST;
        }
        let asked: Vec<AckBatch<'_>> = batches
            .iter()
            .map(|batch| AckBatch {
                range: range(batch.first, batch.last),
                types: &batch.types,
            })
            .collect();
        let settled = self.share.acknowledge(index(member), &asked, self.clock());
        self.share.check();
        match settled {
            Ok(settled) => {
                self.persist(&settled);
                ErrorCode::NONE
            }
            Err(AckError::InvalidRecordState(_)) => ErrorCode::INVALID_RECORD_STATE,
            Err(_) => ErrorCode::INVALID_REQUEST,
        }
    }

    /// The member's session has ended.
    pub(crate) fn release(&mut self, member: usize) {
        loop {
            let settled = self.share.release_member(index(member), self.clock());
            if !self.persist(&settled) {
                return;
            }
        }
    }

    /// Ends what is over by now, and returns how many locks those were.
    pub(crate) fn expire(&mut self) -> u64 {
        let mut expired = 0;
        loop {
            let settled = self.share.handle_timeout(self.clock());
            expired += settled.expired;
            if !self.persist(&settled) {
                return expired;
            }
        }
    }

    /// Whether anything was written.
    fn persist(&mut self, settled: &Settled) -> bool {
        let Some(transition) = settled.transition else {
            return false;
        };
        for change in &settled.changes {
            let (state, range) = match change {
                Change::Release { range, .. } => (0, range),
                Change::Acknowledge { range } => (2, range),
                Change::Archive { range, .. } => (4, range),
                other => panic!("a wire member cannot cause {other:?}"),
            };
            for view in self.share.records(*range) {
                self.written
                    .insert(view.offset.get(), (state, view.delivery_count.get()));
            }
        }
        self.written_start = self.start();
        self.writes += 1;
        self.share
            .handle_persisted(transition, Persisted::Durable, self.clock());
        self.share.check();
        true
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }

    /// Whether nothing new can be acquired because of what is in flight.
    pub(crate) fn is_full(&self) -> bool {
        self.share.pinned().is_some()
    }

    /// The start offset.
    pub(crate) fn start(&self) -> u64 {
        self.share.start_offset().get()
    }

    /// The first offset that was never in flight.
    pub(crate) fn next_new(&self) -> u64 {
        self.share.next_new_offset().get()
    }

    pub(crate) fn written(&self) -> (u64, &BTreeMap<u64, (i8, u16)>) {
        (self.written_start, &self.written)
    }

    /// What members hold, with the ends of the locks on this side's clock.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held> + '_ {
        let last = self.next_new().max(1) - 1;
        let all = self.share.records(range(0, last));
        all.filter(|view| view.state == RecordState::Acquired)
            .filter_map(|view| {
                let deadline = view.deadline?.since(Instant::from_nanos(1_000_000_000));
                Some(Held {
                    offset: view.offset.get(),
                    member: view.member?.get() as usize,
                    ends: u64::try_from(deadline.as_millis()).ok()?,
                })
            })
    }
}

/// One record in the hands of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) offset: u64,
    pub(crate) member: usize,
    pub(crate) ends: u64,
}

/// What a front end refuses by itself: batches that go back, and as many types as fit neither the range nor all of it.
pub(crate) fn is_well_formed(batches: &[Batch]) -> bool {
    let mut before = 0;
    batches.iter().all(|batch| {
        let types = batch.types.len() as u64;
        let in_order = batch.first <= batch.last && before <= batch.first;
        before = batch.last;
        in_order && (types == 1 || types == batch.last - batch.first + 1)
    })
}

fn index(member: usize) -> MemberIndex {
    MemberIndex(u32::try_from(member).unwrap())
}

fn range(first: u64, last: u64) -> OffsetRange {
    OffsetRange::new(Offset::saturating(first), Offset::saturating(last)).unwrap()
}
