//! What goes with a group that is deleted, and what a group that comes later is given.

use std::time::Duration;

use super::harness::*;
use crate::config::{GroupConfig, Retention, TopicConfig};
use crate::engine::Outcome;
use crate::error::{AdminError, Unsettled};

/// Six records: the first is released, the second put off, the third and fourth accepted, two are new.
fn begun(engine: &mut Running) {
    engine.topic("orders");
    let member = engine.group("pay", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b", "c", "d", "e", "f"]);
    let held = engine.acquire(&member, 4);
    let released = |after| Outcome::Release { after, reason: None };
    let outcomes = [
        released(None),
        released(Some(Duration::from_secs(3_600))),
        accept(),
        accept(),
    ];
    let settlements = held.iter().map(|one| one.lease).zip(outcomes).collect();
    engine.settle(&member, settlements);
    engine.pump.wait(member.leave()).unwrap();
}

fn delete(engine: &mut Running, force: bool) -> Result<(), AdminError> {
    engine.pump.wait(engine.engine.delete_group("pay", force))
}

fn given(engine: &mut Running, topic: &str) -> Vec<(u64, u16)> {
    let member = engine.group("pay", topic, GroupConfig::default());
    let held = engine.try_acquire(&member, 10);
    engine.pump.wait(member.leave()).unwrap();
    offsets(&held)
}

/// It went without a question, with what it had not settled.
#[test]
fn a_group_with_unsettled_records_goes_only_by_force() {
    let world = World::new();
    let mut engine = world.open();
    begun(&mut engine);
    let unsettled = Unsettled {
        acquired: 0,
        parked: 1,
        again: 1,
        new: 2,
        dropped: 2,
    };
    let refused = delete(&mut engine, false).unwrap_err();
    assert_eq!(
        refused,
        AdminError::GroupUnsettled {
            group: "pay".to_owned(),
            unsettled
        }
    );
    assert_eq!(
        refused.to_string(),
        "group \"pay\" has 4 unsettled record(s): 1 parked, 1 to be delivered again, 2 not delivered yet"
    );
    delete(&mut engine, true).unwrap();
}

#[test]
fn a_group_that_has_settled_everything_goes_at_once() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("pay", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let held = engine.acquire(&member, 2);
    engine.accept(&member, &held);
    engine.pump.wait(member.leave()).unwrap();
    delete(&mut engine, false).unwrap();
}

/// A group of the same name was given what the one before it had accepted.
#[test]
fn what_a_deleted_group_has_settled_of_a_queue_is_not_handed_out_again() {
    for (drained, reopened) in [(false, false), (true, false), (false, true), (true, true)] {
        let world = World::new();
        let mut engine = world.open();
        begun(&mut engine);
        if drained {
            engine.drain();
        }
        delete(&mut engine, true).unwrap();
        if reopened {
            drop(engine);
            engine = world.open();
        }
        assert_eq!(given(&mut engine, "orders"), [(4, 1), (5, 1)], "{drained} {reopened}");
    }
}

/// The end of a deletion is found again in the journal as it was made, and in the snapshot.
#[test]
fn the_start_of_a_queue_stays_where_a_deletion_left_it() {
    let world = World::new();
    let mut engine = world.open();
    begun(&mut engine);
    delete(&mut engine, true).unwrap();
    engine.drain();
    let described = |engine: &mut Running| {
        let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
        (topic.partitions[0].start, topic.partitions[0].end)
    };
    assert_eq!(described(&mut engine), (4, 6));
    drop(engine);
    let mut engine = world.open();
    assert_eq!(described(&mut engine), (4, 6));
    assert_eq!(given(&mut engine, "orders"), [(4, 1), (5, 1)]);
}

#[test]
fn another_group_keeps_what_it_has_not_finished() {
    let world = World::new();
    let mut engine = world.open();
    begun(&mut engine);
    let audit = engine.group("audit", "orders", GroupConfig::default());
    let held = engine.acquire(&audit, 1);
    engine.accept(&audit, &held);
    let Err(AdminError::GroupUnsettled { unsettled, .. }) = delete(&mut engine, false) else {
        panic!("it was deleted");
    };
    assert_eq!(unsettled.dropped, 1, "the other group has finished one");
    delete(&mut engine, true).unwrap();
    let held = engine.acquire(&audit, 10);
    assert_eq!(offsets(&held), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
}

#[test]
fn a_topic_that_is_no_queue_keeps_its_records_for_every_group() {
    let world = World::new();
    let mut engine = world.open();
    let config = TopicConfig {
        retention: Retention::Bounded {
            millis: None,
            bytes: None,
        },
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("log", config)).unwrap();
    let member = engine.group("pay", "log", GroupConfig::default());
    engine.produce("log", &["a", "b"]);
    let held = engine.acquire(&member, 1);
    engine.accept(&member, &held);
    engine.pump.wait(member.leave()).unwrap();
    let Err(AdminError::GroupUnsettled { unsettled, .. }) = delete(&mut engine, false) else {
        panic!("it was deleted");
    };
    assert_eq!((unsettled.new, unsettled.dropped), (1, 0));
    delete(&mut engine, true).unwrap();
    assert_eq!(given(&mut engine, "log"), [(0, 1), (1, 1)]);
}
