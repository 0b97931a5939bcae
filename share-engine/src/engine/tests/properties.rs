//! Leases, strikes, resets, starts, partitions that grow: what holds beside crashes.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::harness::*;
use crate::config::{GroupConfig, Start, TopicConfig};
use crate::engine::Outcome;
use crate::engine::{ResetGroup, ResetTo};
use crate::error::SettleResult;

/// I3 and I7: two members never hold one record, and a lease lasts as long as it says.
#[test]
fn no_record_is_held_twice_and_a_lease_lasts() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let one = engine.group("work", "orders", GroupConfig::default());
    let two = engine.join("work", "orders");
    engine.produce("orders", &["a", "b", "c", "d"]);
    let first = engine.acquire(&one, 2);
    let second = engine.acquire(&two, 4);
    let all: BTreeSet<u64> = first.iter().chain(&second).map(|held| held.offset().get()).collect();
    assert_eq!(all.len(), first.len() + second.len());
    engine.advance(Duration::from_millis(29_999));
    assert!(engine.try_acquire(&two, 4).is_empty());
    engine.advance(Duration::from_millis(51));
    let again = engine.acquire(&two, 4);
    assert_eq!(again.len(), 4);
    assert_eq!(
        engine.settle(&one, vec![(first[0].lease, accept())]),
        [SettleResult::Stale]
    );
}

#[test]
fn a_record_that_two_crashes_met_is_a_dead_letter_and_a_clean_close_is_no_crash() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    engine.group("work", "orders", dead_letters("work.dead"));
    engine.produce("orders", &["bad", "good"]);
    for clean in [true, false, false] {
        let member = engine.join("work", "orders");
        let held = engine.acquire(&member, 1);
        assert_eq!(held[0].offset().get(), 0);
        if clean {
            engine.pump.wait(engine.engine.close()).unwrap();
        }
        drop(engine);
        engine = world.open();
    }
    assert_eq!(engine.values("work.dead"), [(0, "bad".to_owned())]);
    assert_eq!(engine.engine.stats().archived_host_crash, 1);
    let member = engine.join("work", "orders");
    assert_eq!(offsets(&engine.acquire(&member, 5)), [(1, 1)]);
}

#[test]
fn a_reset_group_begins_anew_without_checkpoints() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let held = engine.acquire(&member, 2);
    let park = Outcome::Renew {
        after: Duration::from_secs(1),
        checkpoint: Some(Bytes::from_static(b"old")),
    };
    engine.settle(&member, vec![(held[0].lease, park)]);
    let running = engine.pump.wait(engine.engine.reset_group(whole_group("work")));
    assert!(running.is_err(), "it has a member");
    engine.pump.wait(member.leave()).unwrap();
    engine
        .pump
        .wait(engine.engine.reset_group(whole_group("work")))
        .unwrap();
    drop(engine);
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    let again = engine.acquire(&member, 2);
    assert_eq!(offsets(&again), [(0, 1), (1, 1)]);
    assert!(again[0].checkpoint.is_none());
    assert_ne!(again[0].lease.epoch, held[0].lease.epoch);
}

#[test]
fn partitions_grow_under_a_running_member_and_groups_do_not_meet() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let one = engine.group("one", "orders", GroupConfig::default());
    let config = TopicConfig {
        partitions: 3,
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.alter_topic("orders", config)).unwrap();
    for partition in 0..3 {
        let results = engine
            .pump
            .wait(engine.engine.produce("orders", Some(partition), vec![record("x")]));
        assert!(results[0].is_ok());
    }
    let two = engine.group("two", "orders", GroupConfig::default());
    for member in [&one, &two] {
        let held = engine.acquire(member, 10);
        let partitions: BTreeSet<u32> = held.iter().map(|one| one.partition).collect();
        assert_eq!(partitions, BTreeSet::from([0, 1, 2]));
        engine.accept(member, &held);
    }
    let latest = GroupConfig {
        start: Start::Latest,
        ..GroupConfig::default()
    };
    let late = engine.group("late", "orders", latest);
    assert!(engine.try_acquire(&late, 1).is_empty());
}

fn whole_group(group: &str) -> ResetGroup {
    ResetGroup {
        group: group.to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Start(Start::Earliest),
        force: false,
    }
}
