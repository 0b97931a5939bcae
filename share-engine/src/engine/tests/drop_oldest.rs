//! A topic of two partitions that drops its oldest records: the oldest of both, once, and none that somebody holds.

use std::time::Duration;

use super::harness::*;
use crate::config::{OnFull, Retention, TopicConfig};
use crate::engine::{Delivery, Member};

const LIMIT: u64 = 40_000;

/// Records of about 1 KB, one each second, in the order of `parts`; values tell their place in it.
fn produce(engine: &mut Running, parts: impl IntoIterator<Item = u32>) {
    for (number, partition) in parts.into_iter().enumerate() {
        let value = format!("{number}:{}", "x".repeat(1_000));
        let produced = engine.engine.produce("orders", Some(partition), vec![record(&value)]);
        for result in engine.pump.wait(produced) {
            result.unwrap();
        }
        engine.advance(Duration::from_secs(1));
    }
}

fn two_partitions(engine: &mut Running) -> Member {
    let config = TopicConfig {
        partitions: 2,
        retention: Retention::Bounded {
            millis: None,
            bytes: None,
        },
        max_bytes: Some(LIMIT),
        on_full: OnFull::DropOldest,
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
    engine.group("work", "orders", dead_letters("work.dead"))
}

fn settle_down(engine: &mut Running, drained: bool) {
    for _ in 0..4 {
        engine.advance(Duration::from_secs(2));
        if drained {
            engine.drain();
        }
    }
}

/// The numbers of all records that are left, ascending.
fn left(engine: &mut Running, member: &Member) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let some = engine.try_acquire(member, 100);
        if some.is_empty() {
            break;
        }
        numbers.extend(some.iter().map(number));
        engine.accept(member, &some);
    }
    numbers.sort_unstable();
    numbers
}

fn number(delivery: &Delivery) -> u64 {
    value(delivery).split(':').next().unwrap().parse().unwrap()
}

fn bytes(engine: &mut Running) -> u64 {
    engine.pump.wait(engine.engine.describe_topic("orders")).unwrap().bytes
}

#[test]
fn the_oldest_of_both_partitions_go() {
    for drained in [false, true] {
        let mut engine = World::new().open();
        let member = two_partitions(&mut engine);
        produce(&mut engine, (0..100).map(|number| number % 2));
        settle_down(&mut engine, drained);
        let held = bytes(&mut engine);
        assert!(held <= LIMIT, "{held} bytes, drained {drained}");
        let left = left(&mut engine, &member);
        // A segment of up to 8 records goes as a whole: one may have gone too many, or be left beside newer ones.
        assert!(left.len() >= 24, "{} are left, drained {drained}", left.len());
        let first = 100 - left.len() as u64;
        let older = left.iter().filter(|number| **number < first).count();
        assert!(older <= 4, "{left:?}, drained {drained}");
    }
}

#[test]
fn an_old_partition_goes_before_a_new_one() {
    for drained in [false, true] {
        let mut engine = World::new().open();
        let member = two_partitions(&mut engine);
        produce(&mut engine, (0..60).map(|number| u32::from(number >= 30)));
        settle_down(&mut engine, drained);
        assert!(bytes(&mut engine) <= LIMIT);
        let left = left(&mut engine, &member);
        let newer = left.iter().filter(|number| **number >= 30).count();
        assert_eq!(newer, 30, "{left:?}, drained {drained}");
        assert!(left.len() < 40 && left.len() > 30, "{left:?}, drained {drained}");
    }
}

#[test]
fn what_is_held_in_the_oldest_partition_stays() {
    let mut engine = World::new().open();
    let member = two_partitions(&mut engine);
    produce(&mut engine, [0]);
    let held = engine.acquire(&member, 1);
    // 20 s: the lease goes on.
    produce(&mut engine, (0..20).map(|number| number % 2));
    engine.pump.wait(member.renew(vec![held[0].lease]));
    produce(&mut engine, (0..25).map(|number| number % 2));
    assert_eq!(engine.engine.stats().archived_retention, 0);
    engine.accept(&member, &held);
    settle_down(&mut engine, false);
    assert!(bytes(&mut engine) <= LIMIT);
    assert_eq!(engine.values("work.dead"), []);
}
