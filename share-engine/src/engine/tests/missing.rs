//! A log that cannot be read while the engine runs: it is told and shown, it stops those who need it, and nobody else.

use std::time::Duration;

use super::harness::*;
use crate::config::{GroupConfig, Retention, TopicConfig};
use crate::engine::{Member, Outcome, Part, Settlement};
use crate::error::AdminError;
use crate::ids::Offset;
use crate::share::AcquireMode;
use crate::storage::Storage as _;

const SECOND: &str = "logs/orders-0/00000000000000000003.log";

/// Twelve records in four segments and none of them in memory, and a topic beside them.
fn cold() -> (World, Running, Member) {
    let mut world = World::new();
    world.config.memory_window = 4 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    engine.topic("other");
    engine.group("work", "orders", dead_letters("work.dead"));
    engine.pump.wait(engine.engine.subscribe("work", "other")).unwrap();
    for number in 0..12 {
        engine.produce("orders", &[&format!("{number}-{}", "x".repeat(2_500))]);
    }
    engine.drain();
    assert!(
        world.storage.files().contains(&SECOND.to_owned()),
        "{:?}",
        world.storage.files()
    );
    let member = engine
        .pump
        .wait(engine.engine.join("work", &["orders", "other"]))
        .unwrap();
    (world, engine, member)
}

/// As [`Pump::run`], for what might never end.
fn run_for_a_while(engine: &mut Running) {
    for _ in 0..200 {
        let parts = [Part::Shard, Part::Journal, Part::Drain, Part::Reader];
        if !parts.map(|part| engine.pump.step(part)).contains(&true) {
            return;
        }
    }
    panic!("it goes round in circles");
}

fn take(engine: &mut Running, member: &Member) -> Vec<(String, u64)> {
    let future = member.acquire(100, u64::MAX, AcquireMode::RecordLimit);
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..3 {
        if let std::task::Poll::Ready(result) = Future::poll(future.as_mut(), &mut context) {
            let held = result.unwrap();
            let taken = held
                .iter()
                .map(|one| (one.topic.to_string(), one.offset().get()))
                .collect();
            engine.accept(member, &held);
            return taken;
        }
        run_for_a_while(engine);
    }
    Vec::new()
}

fn take_all(engine: &mut Running, member: &Member) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    loop {
        let some = take(engine, member);
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

fn of_orders(offsets: std::ops::Range<u64>) -> Vec<(String, u64)> {
    offsets.map(|offset| ("orders".to_owned(), offset)).collect()
}

/// Steps everything but the reader while it waits.
fn wait_without_reader<T>(engine: &mut Running, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..200 {
        if let std::task::Poll::Ready(result) = Future::poll(future.as_mut(), &mut context) {
            return result;
        }
        let _ = [Part::Shard, Part::Journal, Part::Drain].map(|part| engine.pump.step(part));
    }
    panic!("it waits for the reader");
}

/// `topic read` failed with a missing file when a queue dropped the segment that was about to be read.
#[test]
fn a_read_that_a_drain_overtakes_is_read_anew() {
    let (world, mut engine, member) = cold();
    let held = engine.acquire(&member, 12);
    let first = held.iter().filter(|one| one.offset() < Offset::saturating(6));
    let list: Vec<_> = first.map(|one| (one.lease, accept())).collect();
    let handle = engine.engine.clone();
    let mut read = std::pin::pin!(handle.read("orders", 0, Offset::ZERO, 1 << 20));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(read.as_mut(), &mut context).is_pending());
    assert!(engine.pump.step(Part::Shard));
    // The reader has been asked, and has not looked yet.
    let settlements = list.into_iter().map(|(lease, outcome)| Settlement {
        lease,
        outcome,
        evidence: None,
    });
    wait_without_reader(&mut engine, member.settle(settlements.collect()));
    wait_without_reader(&mut engine, handle.drain()).unwrap();
    assert!(!world.storage.files().contains(&SECOND.to_owned()));
    let batches = engine.pump.wait(read).unwrap();
    assert_eq!(batches[0].range().first(), Offset::saturating(6));
}

/// The drain that drops the segment may not have told of it yet when the reader misses it.
#[test]
fn a_read_in_the_middle_of_a_drain_waits_for_its_end() {
    let (world, mut engine, member) = cold();
    let held = engine.acquire(&member, 12);
    let list = held.iter().take(6).map(|one| (one.lease, accept())).collect();
    engine.settle(&member, list);
    let handle = engine.engine.clone();
    let mut read = std::pin::pin!(handle.read("orders", 0, Offset::ZERO, 1 << 20));
    let mut drain = std::pin::pin!(handle.drain());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(read.as_mut(), &mut context).is_pending());
    assert!(Future::poll(drain.as_mut(), &mut context).is_pending());
    while world.storage.files().contains(&SECOND.to_owned()) {
        let steps = [Part::Shard, Part::Journal, Part::Drain].map(|part| engine.pump.step(part));
        assert!(steps.contains(&true), "nothing dropped the segment");
    }
    // The shard has not heard of it when the reader looks.
    assert!(engine.pump.step(Part::Reader));
    let batches = engine.pump.wait(read).unwrap();
    assert_eq!(batches[0].range().first(), Offset::saturating(6));
    engine.pump.wait(drain).unwrap();
}

/// The read was repeated without end and without a word.
#[test]
fn a_segment_that_is_gone_stops_its_share_partition_and_is_told() {
    let (world, mut engine, member) = cold();
    let bytes = world.storage.contents(SECOND);
    world.storage.remove(SECOND).unwrap();
    assert_eq!(take_all(&mut engine, &member), of_orders(0..3));
    let said = engine.engine.stats().last_failure.unwrap();
    assert!(
        said.contains("\"orders\" partition 0") && said.contains("offset 3") && said.contains(SECOND),
        "{said}"
    );
    let failures = engine.engine.stats().log_failures;
    // Others go on, and what comes meanwhile makes no noise.
    for number in 0..3 {
        engine.produce("orders", &["late"]);
        engine.produce("other", &["a"]);
        assert_eq!(take_all(&mut engine, &member), [("other".to_owned(), number)]);
    }
    assert_eq!(engine.engine.stats().log_failures, failures);
    let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
    assert!(topic.partitions[0].failure.as_ref().unwrap().contains(SECOND));
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    let shown: Vec<_> = group.partitions.iter().map(|one| one.failure.is_some()).collect();
    assert_eq!(shown, [true, false]);
    engine.drain();
    // It is there again.
    world.storage.put(SECOND, &bytes);
    engine.advance(Duration::from_secs(11));
    assert_eq!(take_all(&mut engine, &member), of_orders(3..15));
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    assert!(group.partitions[0].failure.is_none());
    let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
    assert!(topic.partitions[0].failure.is_none());
}

/// It was shown for as long as nobody asked for that very offset again.
#[test]
fn a_mended_place_that_others_have_read_is_shown_no_more() {
    let (world, mut engine, member) = cold();
    let bytes = world.storage.contents(SECOND);
    world.storage.remove(SECOND).unwrap();
    assert_eq!(take_all(&mut engine, &member), of_orders(0..3));
    world.storage.put(SECOND, &bytes);
    let second = engine.group("second", "orders", GroupConfig::default());
    assert_eq!(take_all(&mut engine, &second), of_orders(0..12));
    let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
    assert!(topic.partitions[0].failure.is_none());
}

/// A group that is set past the place goes on.
#[test]
fn a_reset_passes_what_cannot_be_read() {
    let (world, mut engine, member) = cold();
    world.storage.flip(SECOND, 300, 1);
    assert_eq!(take_all(&mut engine, &member), of_orders(0..3));
    let reset = crate::engine::ResetGroup {
        group: "work".to_owned(),
        topic: Some("orders".to_owned()),
        partition: None,
        to: crate::engine::ResetTo::Offset(Offset::saturating(4)),
        force: true,
    };
    engine.pump.wait(engine.engine.reset_group(reset)).unwrap();
    assert_eq!(take_all(&mut engine, &member), of_orders(4..12));
}

/// One record that could not be read took the content of all dead letters of its entry with it.
#[test]
fn dead_letters_lose_only_what_cannot_be_read() {
    let mut world = World::new();
    // Three letters to an entry.
    world.config.journal_file_bytes = 8 << 20;
    world.config.journal_bytes = 16 << 20;
    world.config.limits.group_bytes = 4 << 20;
    world.config.memory_window = 4 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    let config = GroupConfig {
        attempts: 1,
        ..dead_letters("work.dead")
    };
    let member = engine.group("work", "orders", config);
    for number in 0..12 {
        engine.produce("orders", &[&format!("{number}-{}", "x".repeat(2_500))]);
    }
    engine.drain();
    let held = engine.acquire(&member, 12);
    assert_eq!(held.len(), 12);
    drop((held, engine));
    world.storage.flip(SECOND, 300, 1);
    let mut engine = world.open();
    let letters = engine.values("work.dead");
    let numbers: Vec<_> = letters
        .iter()
        .map(|(_, value)| value.split('-').next().unwrap())
        .collect();
    let lost = numbers.iter().filter(|number| number.is_empty()).count();
    assert!(numbers.len() == 12 && (1..=2).contains(&lost), "{numbers:?}");
    assert!(numbers.contains(&"2") && numbers.contains(&"5"), "{numbers:?}");
}

/// A redrive names the file, and those of other records go on.
#[test]
fn a_redrive_fails_where_its_own_letter_cannot_be_read() {
    let (world, mut engine, member) = cold();
    for _ in 0..6 {
        let held = engine.acquire(&member, 2);
        let reject = held.iter().map(|one| (one.lease, Outcome::Reject { reason: None }));
        engine.settle(&member, reject.collect());
    }
    engine.drain();
    drop((member, engine));
    let mut engine = world.open();
    let files = world.storage.files();
    let last = files
        .iter()
        .rfind(|file| file.starts_with("logs/work.dead-0") && file.ends_with(".log"));
    let last = last.unwrap();
    world.storage.remove(last).unwrap();
    let letter = Offset::saturating(11);
    let error = engine
        .pump
        .wait(engine.engine.redrive("work.dead", 0, letter))
        .unwrap_err();
    assert!(matches!(&error, AdminError::Log(why) if why.contains(last)), "{error}");
    engine
        .pump
        .wait(engine.engine.redrive("work.dead", 0, Offset::ZERO))
        .unwrap();
}

/// The list that a read went by may be older than the last drop of segments.
#[test]
fn a_read_that_retention_overtakes_is_no_failure() {
    let mut world = World::new();
    world.config.memory_window = 4 << 10;
    let mut engine = world.open();
    let config = TopicConfig {
        retention: Retention::Bounded {
            millis: Some(3_600_000),
            bytes: None,
        },
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
    let member = engine.group("work", "orders", GroupConfig::default());
    for number in 0..12 {
        engine.produce("orders", &[&format!("{number}-{}", "x".repeat(2_500))]);
    }
    engine.drain();
    let future = member.acquire(100, u64::MAX, AcquireMode::RecordLimit);
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(future.as_mut(), &mut context).is_pending());
    engine.pump.step(Part::Shard);
    engine.jump_wall(7_200);
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(2));
        for part in [Part::Shard, Part::Journal, Part::Shard, Part::Drain] {
            engine.pump.step(part);
        }
    }
    assert!(!world.storage.files().contains(&SECOND.to_owned()));
    run_for_a_while(&mut engine);
    assert_eq!(engine.engine.stats().log_failures, 0);
    engine.produce("orders", &["late"]);
    let held = engine.pump.wait(future).unwrap();
    assert_eq!(offsets(&held), [(12, 1)]);
}

/// After one failed drain logs were opened anew, and refused for what their readers had been told of: nothing was drained any more,
/// in any topic.
#[test]
fn damage_in_a_log_does_not_end_the_drains() {
    for how in ["gone", "index", "header"] {
        let (world, mut engine, _) = cold();
        let bounded = TopicConfig {
            retention: Retention::Bounded {
                millis: Some(604_800_000),
                bytes: None,
            },
            ..TopicConfig::default()
        };
        engine.pump.wait(engine.engine.create_topic("week", bounded)).unwrap();
        engine.produce("week", &["a"]);
        engine.drain();
        let last = |kind: &str| format!("logs/week-0/00000000000000000000.{kind}");
        match how {
            "gone" => world.storage.remove(&last("log")).unwrap(),
            "index" => world.storage.put(&last("index"), &[0xff; 8]),
            _ => world.storage.flip(&last("log"), 16, 0),
        }
        // The writers are forgotten.
        world.stop_draining();
        engine.produce("other", &["b"]);
        let failures = engine.engine.stats().drain_failures;
        let all = engine.engine.clone();
        let mut draining = std::pin::pin!(all.drain());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(Future::poll(draining.as_mut(), &mut context).is_pending());
        engine.pump.run();
        assert!(engine.engine.stats().drain_failures > failures);
        world.storage.heal();
        engine.advance(Duration::from_secs(2));
        for number in 0..3 {
            let place = engine.produce("week", &["c"]);
            assert_eq!(place, [number + 1], "{how}");
            engine.drain();
        }
    }
}
