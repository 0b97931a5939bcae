//! The desk: the engine's own journal thread and shard, and producers who wake the one or the other, in every schedule with few changes
//! of thread where none was forced. All of the engine is real but its files.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use loom::model::Builder;
use loom::thread::{self, JoinHandle};

use super::bench::{GROUP, TOPIC, environment, prepared, record, small};
use crate::engine::open::{Parts, build};
use crate::engine::{Engine, block_on};
use crate::hook::Hook;
use crate::share::AcquireMode;
use crate::testing::ManualClock;

/// Tries the schedules of a scenario from where it calls `loom::explore` on. How many there were.
fn check(preemptions: usize, scenario: impl Fn() + Send + Sync + 'static) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut model = Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 50_000;
    model.expect_explicit_explore = true;
    let scenario = Arc::new(scenario);
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let scenario = Arc::clone(&scenario);
        on_a_large_stack(move || scenario()).join().unwrap();
    });
    count.load(Ordering::Relaxed)
}

/// The checker's own stacks are too small for an engine.
fn on_a_large_stack(body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().stack_size(WORDS).spawn(body).unwrap()
}

/// Of eight bytes.
const WORDS: usize = 64 << 10;

/// Steps the shard and the journal until a future is done.
fn wait<F: Future>(parts: &mut Parts, future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        parts.shard.step(&ManualClock::default());
        parts.desk.step();
    }
}

/// Whoever a producer wakes, the journal thread or a shard that rests: he is answered, and a member that waited gets the record.
fn produces(producers: usize, waits: bool) {
    let storage = prepared(|_| ()).fork(1);
    let (engine, mut parts, _) = build(environment(&storage, Hook::default()), small()).unwrap();
    let member = wait(&mut parts, engine.join(GROUP, &[TOPIC])).unwrap();
    let mut acquired = pin!(member.acquire(10, u64::MAX, AcquireMode::RecordLimit));
    if waits {
        let pending = acquired.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(pending.is_pending());
        parts.shard.step(&ManualClock::default());
    }
    let Parts {
        desk, mut shard, ways, ..
    } = parts;
    let beside = Arc::clone(&desk);
    let journal = on_a_large_stack(move || desk.serve());
    let shard = on_a_large_stack(move || beside.attend(&mut shard, &ManualClock::default()));
    loom::explore();
    let more: Vec<_> = (1..producers)
        .map(|_| {
            let engine = engine.clone();
            on_a_large_stack(move || produce(&engine))
        })
        .collect();
    produce(&engine);
    for other in more {
        other.join().unwrap();
    }
    let delivered = block_on(acquired).unwrap();
    assert!(!delivered.is_empty() && delivered.len() <= producers);
    loom::stop_exploring();
    ways.counter.journal.close();
    ways.counter.shard.close();
    journal.join().unwrap();
    shard.join().unwrap();
}

fn produce(engine: &Engine) {
    let results = block_on(engine.produce(TOPIC, Some(0), vec![record()]));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

fn run(preemptions: usize, producers: usize, waits: bool, least: usize) {
    prepared(|prepare| assert_eq!(check(0, prepare), 1));
    let count = check(preemptions, move || produces(producers, waits));
    assert!(count > least, "{count} schedules");
}

#[test]
fn a_produce_wakes_whoever_commits_it() {
    run(3, 1, false, 10_000);
}

#[test]
fn a_produce_wakes_the_shard_for_a_member_that_waits() {
    run(3, 1, true, 10_000);
}

#[test]
fn two_produces_wake_whoever_commits_them() {
    run(2, 2, true, 10_000);
}

/// Both do not fit into one group, and nobody but the journal thread is there to write the second.
#[test]
fn what_did_not_fit_is_committed_next() {
    run(1, 2, false, 100);
}
