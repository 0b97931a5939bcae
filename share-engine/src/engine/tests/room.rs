//! Room in the ring and on the disk: who gets it, who waits for it, and what is kept for the end.

use std::time::Duration;

use super::harness::*;
use crate::config::GroupConfig;
use crate::engine::{Outcome, Part, ResetGroup, ResetTo, Settlement};
use crate::error::{ProduceError, SettleResult};
use crate::ids::Offset;
use crate::share::AcquireMode;

fn fill(engine: &mut Running) -> u64 {
    for count in 0..200 {
        match engine.try_produce("orders", &[&"x".repeat(4_000)]) {
            Ok(_) => {}
            Err(ProduceError::JournalFull { .. }) => return count,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the ring is never full");
}

/// The shard learned of the ring's room with the next commit, and a full ring had none.
#[test]
fn a_full_ring_is_drained_after_a_restart_and_takes_records_again() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    world.stop_draining();
    let count = fill(&mut engine);
    assert!(count > 10, "{count}");
    drop(engine);
    world.storage.heal();
    let mut engine = world.open();
    assert_eq!(engine.produce("orders", &["late"]), [count]);
    assert!(engine.engine.stats().drains > 0);
}

/// As above, with a disk that is mended only after the engine was opened.
#[test]
fn a_full_ring_is_drained_when_the_disk_is_mended() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    world.stop_draining();
    let count = fill(&mut engine);
    drop((engine, member));
    let mut engine = world.open();
    let refused = engine.try_produce("orders", &["early"]);
    assert!(matches!(refused, Err(ProduceError::JournalFull { .. })), "{refused:?}");
    let member = engine.join("work", "orders");
    let held = engine.acquire(&member, 4);
    engine.accept(&member, &held);
    world.storage.heal();
    engine.advance(Duration::from_secs(2));
    assert_eq!(engine.produce("orders", &["late"]), [count]);
}

/// A ring that was less than half used was not grown for a batch that did not fit.
#[test]
fn a_batch_waits_for_the_growth_that_admits_it() {
    let mut world = World::new();
    world.config.journal_bytes = 256 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    engine.produce("orders", &[&"x".repeat(30_000)]);
    assert_eq!(engine.produce("orders", &[&"y".repeat(50_000)]), [1]);
}

/// Runs a future as far as it gets while the drain thread does nothing.
fn before_the_drain<F: Future>(engine: &mut Running, mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..20 {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        engine.pump.step(Part::Shard);
        engine.pump.step(Part::Journal);
    }
    None
}

/// What settles was refused in the moment in which a ring file was being made.
#[test]
fn a_settlement_waits_for_a_growth_that_is_under_way() {
    let mut world = World::new();
    world.config.journal_bytes = 512 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    engine.topic("other");
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    engine.produce("orders", &[&"x".repeat(30_000)]);
    engine.produce("orders", &[&"x".repeat(30_000)]);
    let all = engine.engine.clone();
    // The third one has a ring file ordered, which is not made yet.
    let long = vec![record(&"x".repeat(30_000))];
    let produced = before_the_drain(&mut engine, std::pin::pin!(all.produce("orders", None, long)));
    assert!(produced.is_some_and(|results| results[0].is_ok()));
    let acquired = member.acquire(3, u64::MAX, AcquireMode::RecordLimit);
    let held = before_the_drain(&mut engine, std::pin::pin!(acquired))
        .unwrap()
        .unwrap();
    let reject = held.iter().map(|one| Settlement {
        lease: one.lease,
        outcome: Outcome::Reject { reason: None },
        evidence: None,
    });
    let mut settling = std::pin::pin!(member.settle(reject.collect()));
    assert!(before_the_drain(&mut engine, settling.as_mut()).is_none());
    let results = engine.pump.wait(settling);
    assert!(results.iter().all(|one| *one == SettleResult::Applied), "{results:?}");
    assert_eq!(engine.values("work.dead").len(), 3);
}

/// The reserve was given up for a drain, and the next ring file took what it had freed.
#[test]
fn the_ring_does_not_grow_into_what_the_reserve_was_given_up_for() {
    let mut world = World::new();
    world.config.reserve_bytes = 256 << 10;
    world.config.journal_bytes = 512 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let used = |world: &World| {
        let files = world.storage.files();
        files
            .iter()
            .map(|file| world.storage.contents(file).len() as u64)
            .sum::<u64>()
    };
    let rings = |world: &World| {
        world
            .storage
            .files()
            .iter()
            .filter(|file| file.ends_with(".ring"))
            .count()
    };
    world.storage.set_capacity(used(&world));
    engine.drain();
    assert!(!world.storage.files().contains(&"reserve".to_owned()));
    let before = rings(&world);
    let count = fill(&mut engine);
    assert!(count > 10, "{count}");
    assert_eq!(rings(&world), before);
    // What is set aside is there for the end.
    let held = engine.acquire(&member, 200);
    engine.accept(&member, &held);
    engine.drain();
    engine.pump.wait(engine.engine.close()).unwrap();
    drop(engine);
    assert!(world.open().report.clean);
}

/// The reset passed an acknowledgement that waited for room, which then spoke of records before the start: the directory
/// could not be opened again.
#[test]
fn a_reset_waits_behind_what_waits_for_a_growth() {
    let mut world = World::new();
    world.config.journal_bytes = 512 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    engine.topic("lines");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &[&"x".repeat(30_000)]);
    engine.produce("orders", &[&"x".repeat(30_000)]);
    let (all, settler) = (engine.engine.clone(), member.clone());
    let long = vec![record(&"x".repeat(20_000))];
    let produced = before_the_drain(&mut engine, std::pin::pin!(all.produce("orders", None, long)));
    assert!(produced.is_some_and(|results| results[0].is_ok()));
    let acquired = member.acquire(1, u64::MAX, AcquireMode::RecordLimit);
    let held = before_the_drain(&mut engine, std::pin::pin!(acquired))
        .unwrap()
        .unwrap();
    let settlement = Settlement {
        lease: held[0].lease,
        outcome: emit("lines", &["y".repeat(30_000)]),
        evidence: None,
    };
    let mut settling = std::pin::pin!(settler.settle(vec![settlement]));
    assert!(before_the_drain(&mut engine, settling.as_mut()).is_none());
    let reset = ResetGroup {
        group: "work".to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Offset(Offset::saturating(1)),
        force: true,
    };
    let mut resetting = std::pin::pin!(all.reset_group(reset));
    assert!(before_the_drain(&mut engine, resetting.as_mut()).is_none());
    engine.pump.wait(resetting).unwrap();
    assert_eq!(engine.pump.wait(settling), [SettleResult::Applied]);
    assert_eq!(engine.values("lines").len(), 1);
    drop(engine);
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    assert_eq!(offsets(&engine.acquire(&member, 3)), [(1, 1), (2, 1)]);
}
