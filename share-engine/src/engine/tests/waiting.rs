//! Members that wait for records: polled once and nothing there, then woken by whatever makes one available. Nothing
//! but that wakes them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::harness::*;
use crate::config::{GroupConfig, WindowMode};
use crate::engine::{Delivery, Member, Outcome};
use crate::error::{AdminError, ProduceError};
use crate::ids::Continuation;
use crate::share::AcquireMode;
use crate::storage::{CallKind, Fault, FaultKind};

type Answer = Result<Vec<Delivery>, AdminError>;

/// An acquisition that was asked for and found nothing.
struct Wait {
    future: Pin<Box<dyn Future<Output = Answer>>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Wait {
    fn begin(engine: &mut Running, member: &Member) -> Self {
        let member = member.clone();
        let future = async move { member.acquire(10, u64::MAX, AcquireMode::RecordLimit).await };
        let mut wait = Self {
            future: Box::pin(future),
            woken: Arc::default(),
        };
        wait.still(engine);
        wait
    }

    fn poll(&mut self) -> Poll<Answer> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Whatever has happened until now was nothing to it.
    fn still(&mut self, engine: &mut Running) {
        for _ in 0..2 {
            assert!(self.poll().is_pending());
            engine.pump.run();
            assert!(!self.woken.0.load(Ordering::SeqCst), "woken for nothing");
        }
    }

    /// Has been woken, and gets these (offset, delivery count).
    fn gets(mut self, engine: &mut Running, wanted: &[(u64, u16)]) -> Vec<Delivery> {
        engine.pump.run();
        assert!(self.woken.0.load(Ordering::SeqCst), "not woken");
        let Poll::Ready(answer) = self.poll() else {
            panic!("woken, and nothing there");
        };
        let deliveries = answer.unwrap();
        assert_eq!(offsets(&deliveries), wanted);
        deliveries
    }
}

fn release(after: Option<Duration>) -> Outcome {
    Outcome::Release { after, reason: None }
}

/// One record, held by the first of two members.
fn one_held(engine: &mut Running) -> (Member, Vec<Delivery>, Member) {
    engine.topic("orders");
    let first = engine.group("work", "orders", GroupConfig::default());
    let second = engine.join("work", "orders");
    engine.produce("orders", &["a"]);
    let held = engine.acquire(&first, 1);
    (first, held, second)
}

#[test]
fn what_is_produced_wakes_a_waiting_member() {
    let mut engine = World::new().open();
    engine.topic("orders");
    engine.topic("lines");
    let member = engine.group("work", "orders", GroupConfig::default());
    let mut wait = Wait::begin(&mut engine, &member);
    engine.produce("lines", &["elsewhere"]);
    wait.still(&mut engine);
    engine.produce("orders", &["late"]);
    let deliveries = wait.gets(&mut engine, &[(0, 1)]);
    assert_eq!(value(&deliveries[0]), "late");
}

#[test]
fn a_record_for_a_waiting_member_is_produced_and_acquired_by_one_commit() {
    for (together, commits) in [(true, 1), (false, 2)] {
        let mut engine = World {
            together,
            ..World::new()
        }
        .open();
        engine.topic("orders");
        let member = engine.group("work", "orders", GroupConfig::default());
        let wait = Wait::begin(&mut engine, &member);
        let before = engine.engine.stats().syncs;
        engine.produce("orders", &["a", "b"]);
        wait.gets(&mut engine, &[(0, 1), (1, 1)]);
        assert_eq!(engine.engine.stats().syncs - before, commits);
    }
}

#[test]
fn what_a_failed_commit_would_have_produced_and_acquired_is_not_there() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    let held = engine.acquire(&member, 1);
    let mut wait = Wait::begin(&mut engine, &member);
    world.storage.fail(Fault::nth(FaultKind::Io, 1).on(CallKind::Write));
    let lost = engine.try_produce("orders", &["b"]);
    assert!(matches!(lost, Err(ProduceError::Fenced(_))), "{lost:?}");
    engine.pump.run();
    assert!(matches!(wait.poll(), Poll::Ready(Err(AdminError::Fenced(_)))));
    assert_eq!(engine.values("orders"), [(0, "a".to_owned())]);
    let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
    assert_eq!(topic.partitions[0].end, 1);
    drop((engine, held));
    let mut engine = world.open();
    assert_eq!(engine.values("orders"), [(0, "a".to_owned())]);
}

#[test]
fn a_release_wakes_a_waiting_member() {
    let mut engine = World::new().open();
    let (first, held, second) = one_held(&mut engine);
    let wait = Wait::begin(&mut engine, &second);
    engine.settle(&first, vec![(held[0].lease, release(None))]);
    wait.gets(&mut engine, &[(0, 2)]);
}

#[test]
fn an_expiry_wakes_a_waiting_member() {
    let mut engine = World::new().open();
    let (_first, _held, second) = one_held(&mut engine);
    let mut wait = Wait::begin(&mut engine, &second);
    engine.advance(Duration::from_millis(29_900));
    wait.still(&mut engine);
    engine.advance(Duration::from_millis(100));
    wait.gets(&mut engine, &[(0, 2)]);
}

#[test]
fn a_park_that_is_due_wakes_a_waiting_member() {
    let mut engine = World::new().open();
    let (first, held, second) = one_held(&mut engine);
    let renew = Outcome::Renew {
        after: Duration::from_secs(5),
        checkpoint: None,
    };
    engine.settle(&first, vec![(held[0].lease, renew)]);
    let mut wait = Wait::begin(&mut engine, &second);
    engine.advance(Duration::from_millis(4_900));
    wait.still(&mut engine);
    engine.advance(Duration::from_millis(100));
    let again = wait.gets(&mut engine, &[(0, 1)]);
    assert_eq!(again[0].lease.continuation, Continuation(1));
    engine.settle(&second, vec![(again[0].lease, release(Some(Duration::from_secs(2))))]);
    let mut wait = Wait::begin(&mut engine, &first);
    engine.advance(Duration::from_millis(1_900));
    wait.still(&mut engine);
    engine.advance(Duration::from_millis(100));
    wait.gets(&mut engine, &[(0, 2)]);
}

#[test]
fn an_accept_in_a_full_window_wakes_a_waiting_member() {
    for window in [WindowMode::Acquired(2), WindowMode::Span(2)] {
        let mut engine = World::new().open();
        engine.topic("orders");
        let config = GroupConfig {
            window,
            ..GroupConfig::default()
        };
        let first = engine.group("work", "orders", config);
        let second = engine.join("work", "orders");
        for value in ["a", "b", "c"] {
            engine.produce("orders", &[value]);
        }
        let held = engine.acquire(&first, 10);
        assert_eq!(offsets(&held), [(0, 1), (1, 1)], "{window:?}");
        let mut wait = Wait::begin(&mut engine, &second);
        if matches!(window, WindowMode::Span(_)) {
            // The window is as long as before: its first record is not finished.
            engine.accept(&first, &held[1..]);
            wait.still(&mut engine);
        }
        engine.accept(&first, &held[..1]);
        wait.gets(&mut engine, &[(2, 1)]);
    }
}

#[test]
fn a_member_that_leaves_wakes_a_waiting_member() {
    let mut engine = World::new().open();
    let (first, _held, second) = one_held(&mut engine);
    let wait = Wait::begin(&mut engine, &second);
    engine.pump.wait(first.leave()).unwrap();
    wait.gets(&mut engine, &[(0, 2)]);
}

#[test]
fn an_end_wakes_nobody() {
    let mut engine = World::new().open();
    let (first, held, second) = one_held(&mut engine);
    let mut wait = Wait::begin(&mut engine, &second);
    engine.accept(&first, &held);
    wait.still(&mut engine);
}
