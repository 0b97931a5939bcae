//! One engine, one member, a manual clock, a disk that can be cut.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::config::{EngineConfig, GroupConfig, Retention, TopicConfig};
use crate::engine::{Delivery, EmitRecord, Engine, Environment, Member, Outcome, Pump, RecoveryReport, Settlement};
use crate::error::{OpenError, ProduceError, SettleResult};
use crate::ids::{LeaseKey, Offset};
use crate::journal::Hook;
use crate::record::NewRecord;
use crate::share::AcquireMode;
use crate::storage::{CallKind, Fault, FaultKind, MemoryStorage};
use crate::testing::{ManualClock, SeededEntropy};
use crate::time::Clock;

pub(super) struct World {
    pub(super) storage: MemoryStorage,
    pub(super) clock: Arc<ManualClock>,
    pub(super) config: EngineConfig,
    /// The shard commits by itself.
    pub(super) together: bool,
}

pub(super) struct Running {
    pub(super) engine: Engine,
    pub(super) pump: Pump,
    pub(super) report: RecoveryReport,
    clock: Arc<ManualClock>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::small()
    }

    /// A ring of two files of 64 KiB and segments of 8 KiB, so that a short test wraps and rolls.
    pub(super) fn small() -> Self {
        let mut config = EngineConfig {
            journal_file_bytes: 64 << 10,
            journal_bytes: 128 << 10,
            memory_window: 1 << 20,
            segment_bytes: 8 << 10,
            reserve_bytes: 0,
            ..EngineConfig::default()
        };
        config.limits.group_bytes = 16 << 10;
        Self {
            storage: MemoryStorage::new(7),
            clock: Arc::new(ManualClock::default()),
            config,
            together: true,
        }
    }

    /// The same world over what a crash left of its disk.
    pub(super) fn after(&self, storage: MemoryStorage) -> Self {
        let clock = ManualClock::default();
        let ahead = self.clock.now().monotonic.since(clock.now().monotonic);
        clock.advance(ahead);
        Self {
            storage,
            clock: Arc::new(clock),
            config: self.config.clone(),
            together: self.together,
        }
    }

    pub(super) fn open(&self) -> Running {
        self.try_open().unwrap()
    }

    /// Nothing can be drained until the disk is healed.
    pub(super) fn stop_draining(&self) {
        self.storage.fail(Fault {
            kind: FaultKind::Io,
            nth: 1,
            sticky: true,
            call: Some(CallKind::Create),
            path: "snapshots".to_owned(),
        });
    }

    pub(super) fn try_open(&self) -> Result<Running, OpenError> {
        let environment = Environment {
            storage: Arc::new(self.storage.clone()),
            clock: Arc::clone(&self.clock) as Arc<_>,
            entropy: Arc::new(SeededEntropy::new(11 + self.storage.calls())),
            hook: Hook::default(),
        };
        let (engine, mut pump, report) = Engine::open_stepped(environment, self.config.clone())?;
        pump.set_together(self.together);
        pump.run();
        Ok(Running {
            engine,
            pump,
            report,
            clock: Arc::clone(&self.clock),
        })
    }
}

impl Running {
    pub(super) fn new(engine: Engine, pump: Pump, report: RecoveryReport, clock: Arc<ManualClock>) -> Self {
        Self {
            engine,
            pump,
            report,
            clock,
        }
    }

    pub(super) fn topic(&mut self, name: &str) {
        let config = TopicConfig {
            retention: Retention::Queue,
            ..TopicConfig::default()
        };
        self.pump.wait(self.engine.create_topic(name, config)).unwrap();
    }

    pub(super) fn group(&mut self, name: &str, topic: &str, config: GroupConfig) -> Member {
        self.pump.wait(self.engine.create_group(name, config)).unwrap();
        self.pump.wait(self.engine.subscribe(name, topic)).unwrap();
        self.join(name, topic)
    }

    pub(super) fn join(&mut self, name: &str, topic: &str) -> Member {
        self.pump.wait(self.engine.join(name, &[topic])).unwrap()
    }

    pub(super) fn produce(&mut self, topic: &str, values: &[&str]) -> Vec<u64> {
        self.try_produce(topic, values).unwrap()
    }

    pub(super) fn try_produce(&mut self, topic: &str, values: &[&str]) -> Result<Vec<u64>, ProduceError> {
        let records = values.iter().map(|value| record(value)).collect();
        let results = self.pump.wait(self.engine.produce(topic, Some(0), records));
        results
            .into_iter()
            .map(|result| result.map(|receipt| receipt.offset.get()))
            .collect()
    }

    pub(super) fn acquire(&mut self, member: &Member, max: u32) -> Vec<Delivery> {
        self.pump
            .wait(member.acquire(max, u64::MAX, AcquireMode::RecordLimit))
            .unwrap()
    }

    /// Acquires if anything can be had at once.
    pub(super) fn try_acquire(&mut self, member: &Member, max: u32) -> Vec<Delivery> {
        let future = member.acquire(max, u64::MAX, AcquireMode::RecordLimit);
        let mut future = std::pin::pin!(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..3 {
            if let std::task::Poll::Ready(result) = Future::poll(future.as_mut(), &mut context) {
                return result.unwrap();
            }
            self.pump.run();
        }
        Vec::new()
    }

    pub(super) fn settle(&mut self, member: &Member, list: Vec<(LeaseKey, Outcome)>) -> Vec<SettleResult> {
        let settlements = list.into_iter().map(|(lease, outcome)| Settlement {
            lease,
            outcome,
            evidence: None,
        });
        self.pump.wait(member.settle(settlements.collect()))
    }

    pub(super) fn accept(&mut self, member: &Member, deliveries: &[Delivery]) {
        let list = deliveries.iter().map(|one| (one.lease, accept())).collect();
        let results = self.settle(member, list);
        assert!(
            results.iter().all(|result| *result == SettleResult::Applied),
            "{results:?}"
        );
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.pump.run();
    }

    pub(super) fn jump_wall(&mut self, seconds: u64) {
        self.clock.jump_wall(i64::try_from(seconds * 1_000).unwrap());
    }

    pub(super) fn drain(&mut self) {
        self.pump.wait(self.engine.drain()).unwrap();
    }

    /// All values of a topic's first partition, in order.
    pub(super) fn values(&mut self, topic: &str) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        let mut from = Offset::ZERO;
        loop {
            let batches = self.pump.wait(self.engine.read(topic, 0, from, 1 << 20)).unwrap();
            let Some(last) = batches.last() else { return found };
            from = last.last().next();
            for batch in &batches {
                found.extend(batch.records().map(|one| {
                    let (view, _) = one.unwrap();
                    (view.offset.get(), text(view.value))
                }));
            }
        }
    }
}

pub(super) fn record(value: &str) -> NewRecord {
    NewRecord {
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        ..NewRecord::default()
    }
}

pub(super) fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

pub(super) fn value(delivery: &Delivery) -> String {
    text(delivery.record().unwrap().value)
}

pub(super) fn accept() -> Outcome {
    Outcome::Accept { emit: Vec::new() }
}

pub(super) fn emit(topic: &str, values: &[String]) -> Outcome {
    let emit = values.iter().map(|one| EmitRecord {
        topic: topic.to_owned(),
        partition: None,
        record: record(one),
    });
    Outcome::Accept { emit: emit.collect() }
}

pub(super) fn offsets(deliveries: &[Delivery]) -> Vec<(u64, u16)> {
    deliveries
        .iter()
        .map(|one| (one.offset().get(), one.lease.delivery_count.get()))
        .collect()
}

pub(super) fn dead_letters(name: &str) -> GroupConfig {
    GroupConfig {
        dead_letter: Some(name.to_owned()),
        ..GroupConfig::default()
    }
}
