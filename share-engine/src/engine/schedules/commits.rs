//! The engine with its threads, its callers and a disk that forgets, in schedules drawn at random. No wait has a time limit here and no
//! clock goes on, so that nothing but a wake-up wakes anybody: one that is lost is a deadlock, which the checker reports. What was
//! answered is looked up on the disk as a power loss at that moment would leave it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle, yield_now};
use shuttle::{Config, Runner};

use super::bench::{GROUP, TOPIC, environment, prepared, record, small};
use crate::config::{EngineConfig, GroupConfig, TopicConfig};
use crate::engine::recovery::look;
use crate::engine::shard::World;
use crate::engine::{Engine, Environment, Member, Outcome, Settlement, block_on, verify};
use crate::error::{AdminError, Fenced, ProduceError, SettleResult};
use crate::hook::{Hook, Phase};
use crate::ids::{DeliveryCount, LeaseKey, Offset};
use crate::share::{AcquireMode, RecordState};
use crate::storage::{CallKind, CrashPlan, Fault, FaultKind, MemoryStorage, Storage};
use crate::testing::ManualClock;
use crate::time::Clock;

/// Schedules of each scenario; `SHAREMILL_SCHEDULES` says how many thousands instead.
fn schedules(most: usize) -> usize {
    let wished = std::env::var("SHAREMILL_SCHEDULES").ok();
    wished.map_or(most, |thousands| thousands.parse::<usize>().unwrap() * 1_000)
}

/// Always the same ones, unless `SHUTTLE_RANDOM_SEED` names others.
const SEED: u64 = 1;

fn at_random(most: usize, scenario: fn()) {
    run(RandomScheduler::new_from_seed(SEED, schedules(most)), scenario);
}

/// With few changes between threads, at places that matter.
fn by_priority(most: usize, scenario: fn()) {
    run(PctScheduler::new_from_seed(SEED, 3, schedules(most)), scenario);
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) {
    prepared(|prepare| check(RandomScheduler::new_from_seed(SEED, 1), prepare));
    check(scheduler, scenario);
}

fn check(scheduler: impl Scheduler + 'static, scenario: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // The engine's threads need more than the checker gives by itself.
    config.stack_size = 256 << 10;
    Runner::new(scheduler, config).run(scenario);
}

/// An engine under test and its disk.
#[derive(Clone)]
struct Bench {
    storage: MemoryStorage,
    clock: Arc<ManualClock>,
    engine: Engine,
}

impl Bench {
    fn open(config: EngineConfig) -> Self {
        let storage = prepared(|_| ()).fork(1);
        let clock = Arc::new(ManualClock::default());
        let busy = AtomicBool::new(false);
        // Others come in while a group is being written; nobody writes one meanwhile.
        let hook = Hook::new(move |phase| match phase {
            Phase::BeforeWrite => {
                assert!(!busy.swap(true, Ordering::SeqCst), "two commit at once");
                yield_now();
            }
            Phase::BeforeSync => yield_now(),
            Phase::AfterSync => {
                yield_now();
                busy.store(false, Ordering::SeqCst);
            }
            _ => {}
        });
        let environment = Environment {
            clock: Arc::clone(&clock) as Arc<_>,
            ..environment(&storage, hook)
        };
        let (engine, _) = Engine::open_in(environment, config).unwrap();
        Self { storage, clock, engine }
    }

    /// What a power loss at this moment leaves.
    fn left(&self) -> World {
        let storage: Arc<dyn Storage> = Arc::new(self.storage.crash(CrashPlan::Lose));
        look(&storage, ManualClock::default().now()).unwrap().unwrap()
    }

    fn join(&self) -> Member {
        block_on(self.engine.join(GROUP, &[TOPIC])).unwrap()
    }

    /// The offset, which is on disk.
    fn produce(&self) -> Result<Offset, ProduceError> {
        let mut results = block_on(self.engine.produce(TOPIC, Some(0), vec![record()]));
        let offset = results.pop().unwrap()?.offset;
        let left = self.left();
        assert!(
            left.partitions.values().any(|one| one.end > offset),
            "{offset:?} is not on disk"
        );
        Ok(offset)
    }

    /// The leases, which are on disk.
    fn acquire(&self, member: &Member, most: u32) -> Result<Vec<LeaseKey>, AdminError> {
        let held = block_on(member.acquire(most, u64::MAX, AcquireMode::RecordLimit))?;
        let left = self.left();
        for one in &held {
            let record = left.shares[&one.lease.share].state.record(one.offset()).unwrap();
            let found = (record.state, record.delivery_count);
            assert_eq!(
                found,
                (RecordState::Acquired, one.lease.delivery_count),
                "{:?}",
                one.lease
            );
        }
        Ok(held.into_iter().map(|one| one.lease).collect())
    }

    /// The results, and what was applied is on disk.
    fn settle(&self, member: &Member, leases: &[LeaseKey], outcome: &Outcome) -> Vec<SettleResult> {
        let settlements = leases.iter().map(|lease| Settlement {
            lease: *lease,
            outcome: outcome.clone(),
            evidence: None,
        });
        let results = block_on(member.settle(settlements.collect()));
        let left = self.left();
        let applied = leases
            .iter()
            .zip(&results)
            .filter(|(_, result)| **result == SettleResult::Applied);
        for (lease, _) in applied {
            let share = &left.shares[&lease.share].state;
            let state = share.record(lease.offset).map(|record| record.state);
            match outcome {
                Outcome::Accept { .. } => assert!(
                    lease.offset < share.start_offset() || state == Some(RecordState::Acknowledged),
                    "{lease:?} is {state:?} on disk"
                ),
                // Another may have it by now, and have settled it.
                _ => {}
            }
        }
        results
    }

    /// Ends the engine, in which nobody has found a bug.
    fn close(&self) -> Result<(), Fenced> {
        let closed = block_on(self.engine.close());
        assert_eq!(self.engine.stats().died, None);
        closed
    }
}

fn accept() -> Outcome {
    Outcome::Accept { emit: Vec::new() }
}

/// Takes so many records and accepts them; which they were.
fn work(bench: &Bench, count: usize) -> JoinHandle<Vec<Offset>> {
    let bench = bench.clone();
    let member = bench.join();
    thread::spawn(move || {
        let mut done = Vec::new();
        while done.len() < count {
            let leases = bench.acquire(&member, 2).unwrap();
            assert!(!leases.is_empty());
            let results = bench.settle(&member, &leases, &accept());
            assert!(results.iter().all(|one| *one == SettleResult::Applied), "{results:?}");
            done.extend(leases.iter().map(|lease| lease.offset));
        }
        done
    })
}

/// Two producers and a member who waits: whoever is woken commits, and every record is answered for, delivered once and accepted.
fn commits() {
    let bench = Bench::open(small());
    let member = work(&bench, 4);
    let producers = [0; 2].map(|_| {
        let bench = bench.clone();
        thread::spawn(move || [0; 2].map(|_| bench.produce().unwrap()))
    });
    let produced: Vec<Offset> = producers.into_iter().flat_map(|one| one.join().unwrap()).collect();
    let delivered = member.join().unwrap();
    let all: BTreeSet<u64> = (0..4).collect();
    for offsets in [&produced, &delivered] {
        assert_eq!(offsets.len(), 4);
        assert_eq!(
            offsets.iter().map(|one| one.get()).collect::<BTreeSet<_>>(),
            all,
            "each once"
        );
    }
    bench.close().unwrap();
    let left = bench.left();
    assert!(
        left.partitions.values().all(|one| one.end.get() == 4),
        "what was produced, and nothing twice"
    );
    assert!(left.shares.values().all(|one| one.state.start_offset().get() == 4));
}

#[test]
fn whoever_commits_every_produce_is_answered_and_delivered() {
    at_random(10_000, commits);
}

#[test]
fn whoever_commits_every_produce_is_answered_and_delivered_by_priority() {
    by_priority(10_000, commits);
}

/// A sync fails, whoever is at it: all learn it, those who wait for records and those who come later too, and nothing is answered that
/// is not on disk.
fn fences() {
    let bench = Bench::open(small());
    let nth = shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 1..6);
    bench
        .storage
        .fail(Fault::nth(FaultKind::Io, nth).on(CallKind::Sync).sticky());
    let member = bench.join();
    let mut callers = vec![{
        let bench = bench.clone();
        thread::spawn(move || {
            loop {
                match bench.acquire(&member, 1) {
                    Ok(leases) => drop(bench.settle(&member, &leases, &accept())),
                    Err(error) => break assert!(matches!(error, AdminError::Fenced(_)), "{error:?}"),
                }
            }
        })
    }];
    callers.extend([0; 2].map(|_| {
        let bench = bench.clone();
        thread::spawn(move || {
            loop {
                match bench.produce() {
                    Ok(_) => {}
                    Err(error) => break assert!(matches!(error, ProduceError::Fenced(_)), "{error:?}"),
                }
            }
        })
    }));
    for caller in callers {
        caller.join().unwrap();
    }
    assert!(matches!(bench.produce(), Err(ProduceError::Fenced(_))));
    assert!(bench.close().is_err());
    assert_eq!(bench.produce(), Err(ProduceError::Closed));
}

#[test]
fn a_fence_reaches_everybody() {
    at_random(2_000, fences);
}

#[test]
fn a_fence_reaches_everybody_by_priority() {
    by_priority(2_000, fences);
}

/// The lease of a record ends while its member accepts it and another waits: it is accepted, or the other has it.
fn expires() {
    let bench = Bench::open(small());
    let (first, second) = (bench.join(), bench.join());
    bench.produce().unwrap();
    let held = bench.acquire(&first, 1).unwrap();
    let other = bench.clone();
    let next = thread::spawn(move || other.acquire(&second, 1).map(|held| (second, held)));
    let timed = bench.clone();
    let time = thread::spawn(move || {
        timed.clock.advance(GroupConfig::default().lock());
        // Nothing else tells the shard what time it is.
        block_on(timed.engine.topics()).unwrap();
    });
    let results = bench.settle(&first, &held, &accept());
    time.join().unwrap();
    let accepted = results == [SettleResult::Applied];
    if accepted {
        // Something else for whoever waits.
        bench.produce().unwrap();
    }
    let (second, got) = next.join().unwrap().unwrap();
    let got_at: Vec<_> = got
        .iter()
        .map(|lease| (lease.offset.get(), lease.delivery_count.get()))
        .collect();
    assert_eq!(got_at, [if accepted { (1, 1) } else { (0, 2) }], "{results:?}");
    let results = bench.settle(&second, &got, &accept());
    assert_eq!(results, [SettleResult::Applied]);
    assert_eq!(bench.engine.stats().expired, u64::from(!accepted));
    bench.close().unwrap();
}

#[test]
fn a_lease_ends_while_its_record_is_accepted() {
    at_random(2_000, expires);
}

/// Everything at once: records are released and come again, an acquisition is given up, a member leaves, batches leave memory and are
/// read back, the catalog changes, and two close it while a producer goes on.
fn everything() {
    let mut config = small();
    config.memory_window = 1 << 10;
    let bench = Bench::open(config);
    let (member, guest) = (bench.join(), bench.join());
    let spawn = |body: fn(Bench)| {
        let bench = bench.clone();
        thread::spawn(move || body(bench))
    };
    let callers = [
        spawn(|bench| assert!([0; 3].map(|_| bench.produce()).iter().all(Result::is_ok))),
        spawn(|bench| {
            block_on(bench.engine.drain()).unwrap();
            block_on(bench.engine.create_topic("more", TopicConfig::default())).unwrap();
            block_on(bench.engine.drain()).unwrap();
        }),
        spawn(|bench| {
            for _ in 0..2 {
                let batches = block_on(bench.engine.read(TOPIC, 0, Offset::ZERO, 1 << 20)).unwrap();
                let offsets: Vec<u64> = batches.iter().map(|batch| batch.base().get()).collect();
                assert!(offsets.iter().copied().eq(0..offsets.len() as u64), "{offsets:?}");
            }
        }),
    ];
    let leaver = thread::spawn(move || {
        let mut given_up = Box::pin(guest.acquire(1, u64::MAX, AcquireMode::RecordLimit));
        let first = given_up.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(first.is_pending());
        yield_now();
        drop(given_up);
        block_on(guest.leave()).unwrap();
    });
    let mut accepted = BTreeSet::new();
    while accepted.len() < 3 {
        for lease in bench.acquire(&member, 2).unwrap() {
            let again = lease.delivery_count > DeliveryCount(1);
            let outcome = if again { accept() } else { release() };
            assert_eq!(bench.settle(&member, &[lease], &outcome), [SettleResult::Applied]);
            assert!(!again || accepted.insert(lease.offset), "{lease:?} was accepted before");
        }
    }
    for caller in callers {
        caller.join().unwrap();
    }
    leaver.join().unwrap();
    let late = spawn(|bench| while bench.produce().is_ok() {});
    let closer = bench.clone();
    let closer = thread::spawn(move || closer.close());
    assert_eq!((bench.close(), closer.join().unwrap()), (Ok(()), Ok(())));
    late.join().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(bench.storage.crash(CrashPlan::Lose));
    let report = verify(&storage).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn an_engine_does_everything_at_once() {
    at_random(1_000, everything);
}

fn release() -> Outcome {
    Outcome::Release {
        after: None,
        reason: None,
    }
}
