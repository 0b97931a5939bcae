//! A share partition whose journal answers at once, and short words for what scenarios say.

use std::time::Duration;

use bytes::BytesMut;
use share_engine::ids::{DeliveryCount, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch};
use share_engine::share::{
    AckBatch, AckError, AckType, AcquireMode, AcquireRequest, Acquisition, ArchiveCause, Archived as GivenUp, Change,
    Persisted, RecordState, Settled, ShareOptions, SharePartition, Window,
};
use share_engine::time::{Instant, Now, WallTime};

pub(crate) const GAP: AckType = AckType::Gap;
pub(crate) const ACCEPT: AckType = AckType::Accept;
pub(crate) const RELEASE: AckType = AckType::Release;
pub(crate) const REJECT: AckType = AckType::Reject;
pub(crate) const RENEW: AckType = AckType::Renew;

pub(crate) const M1: MemberIndex = MemberIndex(1);
pub(crate) const M2: MemberIndex = MemberIndex(2);
pub(crate) const M3: MemberIndex = MemberIndex(3);

pub(crate) const LOCK: Duration = Duration::from_secs(30);

pub(crate) use RecordState::{Acknowledged, Acquired, Archived, Available};

pub(crate) struct Rig {
    pub(crate) share: SharePartition,
    pub(crate) now: Now,
    /// Journal entries so far.
    pub(crate) writes: u32,
    pub(crate) batch_size: u32,
    pub(crate) mode: AcquireMode,
}

pub(crate) fn rig(limit: u16, window: u32) -> Rig {
    rig_at(0, limit, window)
}

pub(crate) fn rig_at(start: u64, limit: u16, window: u32) -> Rig {
    let options = ShareOptions {
        delivery_limit: DeliveryCount(limit),
        lock: LOCK,
        window: Window::Span(window),
        ..ShareOptions::default()
    };
    Rig {
        share: SharePartition::new(ShareKey(1), StateEpoch(1), at(start), options),
        now: Now {
            monotonic: Instant::from_nanos(5_000_000_000),
            wall: WallTime::from_millis(1_700_000_000_000),
        },
        writes: 0,
        batch_size: 1_000,
        mode: AcquireMode::BatchOptimized,
    }
}

pub(crate) fn at(offset: u64) -> Offset {
    Offset::new(offset).unwrap()
}

pub(crate) fn run(first: u64, last: u64) -> OffsetRange {
    OffsetRange::new(at(first), at(last)).unwrap()
}

/// (first, last, delivery count)
pub(crate) type Got = Vec<(u64, u64, u16)>;

/// (first, last, delivery count, cause)
pub(crate) type Lost = (u64, u64, u16, ArchiveCause);

pub(crate) fn lost(archived: &[GivenUp]) -> Vec<Lost> {
    let lost = archived.iter().map(|one| {
        let (first, last) = (one.range.first().get(), one.range.last().get());
        (first, last, one.delivery_count.get(), one.cause)
    });
    lost.collect()
}

impl Rig {
    /// A fetch whose data are these record batches; the acquisition is durable. The read began where new records are
    /// expected, or, while old ones are available, at the first batch.
    pub(crate) fn fetch(&mut self, member: MemberIndex, max: u32, batches: &[(u64, u64)]) -> Got {
        let first = batches[0].0;
        let from = if self.share.counts().available == 0 {
            self.nfo().min(first)
        } else {
            first
        };
        self.fetch_from(member, max, from, batches)
    }

    pub(crate) fn fetch_from(&mut self, member: MemberIndex, max: u32, from: u64, batches: &[(u64, u64)]) -> Got {
        let acquisition = self.fetch_pending(member, max, from, batches);
        self.hand_out(&acquisition)
    }

    /// The acquisition is durable.
    pub(crate) fn hand_out(&mut self, acquisition: &Acquisition) -> Got {
        if let Some(transition) = acquisition.transition {
            self.share.handle_persisted(transition, Persisted::Durable, self.now);
        }
        self.share.check();
        acquisition
            .ranges
            .iter()
            .map(|acquired| {
                let range = acquired.range;
                (range.first().get(), range.last().get(), acquired.delivery_count.get())
            })
            .collect()
    }

    pub(crate) fn fetch_pending(
        &mut self,
        member: MemberIndex,
        max: u32,
        from: u64,
        batches: &[(u64, u64)],
    ) -> Acquisition {
        let batches: Vec<_> = batches.iter().map(|&(first, last)| run(first, last)).collect();
        let request = AcquireRequest {
            member,
            mode: self.mode,
            max_records: max,
            batch_size: self.batch_size,
            from: at(from),
            batches: &batches,
        };
        self.share.acquire(&request, self.now)
    }

    /// One acknowledgement request with these batches; durable.
    pub(crate) fn ack(&mut self, member: MemberIndex, batches: &[(u64, u64, &[AckType])]) -> Result<(), AckError> {
        let settled = self.ack_pending(member, batches)?;
        self.persist(&settled, Persisted::Durable);
        Ok(())
    }

    pub(crate) fn ack_pending(
        &mut self,
        member: MemberIndex,
        batches: &[(u64, u64, &[AckType])],
    ) -> Result<Settled, AckError> {
        let batches: Vec<_> = batches
            .iter()
            .map(|&(first, last, types)| AckBatch {
                range: run(first, last),
                types,
            })
            .collect();
        let settled = self.share.acknowledge(member, &batches, self.now);
        self.share.check();
        settled
    }

    pub(crate) fn persist(&mut self, settled: &Settled, result: Persisted) {
        if let Some(transition) = settled.transition {
            self.writes += 1;
            self.share.handle_persisted(transition, result, self.now);
        }
        self.share.check();
    }

    pub(crate) fn release(&mut self, member: MemberIndex) {
        let settled = self.share.release_member(member, self.now);
        self.persist(&settled, Persisted::Durable);
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.now = Now {
            monotonic: self.now.monotonic.after(by),
            wall: self.now.wall.after(by),
        };
    }

    /// A lock duration passes.
    pub(crate) fn expire(&mut self) -> Vec<Lost> {
        self.advance(LOCK);
        self.tick(Persisted::Durable)
    }

    /// What is archived, whether that becomes durable or not.
    pub(crate) fn tick(&mut self, result: Persisted) -> Vec<Lost> {
        let settled = self.share.handle_timeout(self.now);
        self.persist(&settled, result);
        lost(&settled.archived)
    }

    /// What is archived, and how many offsets are passed that nobody was given.
    pub(crate) fn log_start(&mut self, start: u64) -> (Vec<Lost>, u64) {
        let before = self.share.durable_start();
        let settled = self.share.handle_log_start(at(start), self.now);
        assert!(self.share.start_offset() >= at(start), "it does not wait for the disk");
        assert_eq!(self.share.durable_start(), before, "the disk does not know of it yet");
        self.persist(&settled, Persisted::Durable);
        assert_eq!(self.share.durable_start(), self.share.start_offset());
        (lost(&settled.archived), settled.dropped)
    }

    /// The process ends and another reads the state.
    pub(crate) fn reload(&mut self) {
        let mut bytes = BytesMut::new();
        self.share.encode(&mut bytes);
        self.share = SharePartition::decode(ShareKey(1), *self.share.options(), &bytes, self.now).unwrap();
        self.share.check();
    }

    /// As if the state had been read: each (first, last, count, state) is one entry.
    pub(crate) fn load(&mut self, entries: &[(u64, u64, u16, RecordState)]) {
        for &(first, last, count, state) in entries {
            let range = run(first, last);
            let mut changes = vec![Change::Acquire {
                range,
                delivery_count: DeliveryCount(count),
                at: self.now.wall,
            }];
            match state {
                Available => changes.push(Change::Release { range, note: None }),
                Archived => changes.push(Change::Archive {
                    range,
                    cause: ArchiveCause::Reject,
                }),
                Acknowledged => changes.push(Change::Acknowledge { range }),
                _ => {}
            }
            for change in changes {
                self.share.apply(&change, self.now).unwrap();
            }
        }
        self.share.check();
    }

    /// (start offset, end offset, next fetch offset)
    pub(crate) fn offsets(&self) -> (u64, u64, u64) {
        (
            self.share.start_offset().get(),
            self.share.end_offset().get(),
            self.share.next_fetch_offset().get(),
        )
    }

    pub(crate) fn nfo(&self) -> u64 {
        self.share.next_fetch_offset().get()
    }

    pub(crate) fn dcc(&self) -> u64 {
        self.share.delivery_complete_count()
    }

    /// State and count of one record, its holder if it has one.
    pub(crate) fn record(&self, offset: u64) -> (RecordState, u16) {
        let view = self.share.record(at(offset)).unwrap();
        (view.state, view.delivery_count.get())
    }

    pub(crate) fn all(&self, first: u64, last: u64, state: RecordState, count: u16) {
        for offset in first..=last {
            assert_eq!(self.record(offset), (state, count), "offset {offset}");
        }
    }

    pub(crate) fn held_by(&self, offset: u64) -> Option<MemberIndex> {
        self.share.record(at(offset)).and_then(|view| view.member)
    }
}

pub(crate) fn invalid_state(result: Result<(), AckError>) {
    assert!(matches!(result, Err(AckError::InvalidRecordState(_))), "{result:?}");
}

impl Rig {
    /// As if one more delivery of a record had been read, which ended in a release.
    pub(crate) fn load_count(&mut self, offset: u64, count: u16) {
        self.load_acquired(offset, count);
        let range = run(offset, offset);
        self.share
            .apply(&Change::Release { range, note: None }, self.now)
            .unwrap();
    }

    /// As if a delivery of a record had been read that goes on.
    pub(crate) fn load_acquired(&mut self, offset: u64, count: u16) {
        let change = Change::Acquire {
            range: run(offset, offset),
            delivery_count: DeliveryCount(count),
            at: self.now.wall,
        };
        self.share.apply(&change, self.now).unwrap();
    }
}
