//! What the simulator found, each reduced to the fewest calls that show it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::harness::*;
use crate::config::{GroupConfig, OnFull, Retention, TopicConfig};
use crate::engine::{Delivery, Member, Outcome, Part, ResetGroup, ResetTo, Settlement};
use crate::error::{AdminError, SettleResult};
use crate::ids::Offset;
use crate::share::AcquireMode;
use crate::storage::{CallKind, CrashPlan, Fault, FaultKind};

/// A reset of a group that reads no topic made a journal entry without an operation: it was never written and never
/// answered, every later change of topics and groups waited behind it, and so did the close.
#[test]
fn a_group_without_topics_can_be_reset() {
    let world = World::new();
    let mut engine = world.open();
    let config = GroupConfig::default();
    engine.pump.wait(engine.engine.create_group("work", config)).unwrap();
    let request = ResetGroup {
        group: "work".to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Offset(Offset::ZERO),
        force: false,
    };
    engine.pump.wait(engine.engine.reset_group(request)).unwrap();
    engine.topic("orders");
    engine.pump.wait(engine.engine.close()).unwrap();
}

/// A parked record of a group that held nothing when the process died had no timer in the next one: it stayed parked past
/// its time, and an attempt that had lasted too long did not end, until a member asked.
#[test]
fn a_record_parked_at_a_crash_is_due_in_time_without_a_member() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    let held = engine.acquire(&member, 1);
    let park = Outcome::Renew {
        after: Duration::from_secs(5),
        checkpoint: None,
    };
    engine.settle(&member, vec![(held[0].lease, park)]);
    drop(engine);
    let mut engine = world.open();
    engine.advance(Duration::from_secs(6));
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    assert_eq!((group.partitions[0].parked, group.partitions[0].available), (0, 1));
}

/// The log of a queue was drained and dropped, and its partition still began with its first record. A group that began
/// there waited for records that were gone, and was said to lag behind.
#[test]
fn a_new_group_does_not_wait_for_what_was_dropped() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    engine.drain();
    let held = engine.acquire(&member, 2);
    engine.accept(&member, &held);
    engine.drain();
    for reopened in [false, true] {
        if reopened {
            drop(engine);
            engine = world.open();
        }
        let name = if reopened { "second" } else { "first" };
        engine.group(name, "orders", GroupConfig::default());
        let group = engine.pump.wait(engine.engine.describe_group(name)).unwrap();
        assert_eq!((group.partitions[0].start, group.partitions[0].lag), (2, 0), "{name}");
    }
}

/// An acquisition and the deletion of its topic became durable with one commit. The records were handed out although
/// nobody held them any more, with a lease that ended when the clock began.
#[test]
fn records_of_a_topic_that_is_deleted_meanwhile_are_not_handed_out() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    let handle = engine.engine.clone();
    let mut context = Context::from_waker(Waker::noop());
    let mut deletion = pin!(handle.delete_topic("orders"));
    let mut acquisition = pin!(member.acquire(1, u64::MAX, AcquireMode::RecordLimit));
    assert!(deletion.as_mut().poll(&mut context).is_pending());
    engine.pump.step(Part::Shard);
    assert!(acquisition.as_mut().poll(&mut context).is_pending());
    engine.pump.run();
    assert!(deletion.as_mut().poll(&mut context).is_ready());
    let answer = acquisition.as_mut().poll(&mut context);
    assert!(
        matches!(answer, Poll::Ready(Err(AdminError::NotSubscribed { .. }))),
        "{answer:?}"
    );
}

/// A settlement was on its way when its member left, and was refused: the record stayed with a member that was gone until
/// its lease ended, and a close left it held, so that the next open took it for one that a crash had met.
#[test]
fn what_a_leaving_member_settles_in_vain_is_released() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let full = TopicConfig {
        retention: Retention::Queue,
        max_bytes: Some(4_096),
        on_full: OnFull::Refuse,
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("lines", full)).unwrap();
    engine.produce("lines", &["x".repeat(4_000).as_str()]);
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    let held = engine.acquire(&member, 1);
    let outcome = emit("lines", &["y".repeat(400)]);
    let settlement = Settlement {
        lease: held[0].lease,
        outcome,
        evidence: None,
    };
    let mut context = Context::from_waker(Waker::noop());
    let leaving = member.clone();
    let mut settling = pin!(member.settle(vec![settlement]));
    assert!(settling.as_mut().poll(&mut context).is_pending());
    engine.pump.step(Part::Shard);
    engine.pump.wait(leaving.leave()).unwrap();
    let results = engine.pump.wait(settling);
    assert!(matches!(results[0], SettleResult::Refused(_)), "{results:?}");
    engine.pump.wait(engine.engine.close()).unwrap();
    drop(engine);
    let mut engine = world.open();
    assert_eq!(engine.report.held, 0);
    let records = engine.engine.clone();
    let records = engine
        .pump
        .wait(records.records("work", "orders", 0, Offset::ZERO, 1))
        .unwrap();
    assert_eq!((records[0].state, records[0].strikes), ("available", 0));
}

/// The journal was full, and an acquisition of a record that goes on with its attempt was refused. Its timer was set to
/// that moment, the timer had the acquisition tried again, and so on: two threads were busy until there was room.
#[test]
fn an_engine_with_a_full_journal_comes_to_rest() {
    // Acquisition and renewal take turns; either may be the last that there is room for.
    let refused = [1, 2].map(|groups| {
        let world = World::new();
        let mut engine = world.open();
        engine.topic("orders");
        let member = engine.group("work", "orders", GroupConfig::default());
        for _ in 0..groups {
            engine.produce("orders", &["a"]);
        }
        world.stop_draining();
        while let Some(held) = acquire_within(&mut engine, &member, 1_000) {
            let on = Outcome::Renew {
                after: Duration::ZERO,
                checkpoint: None,
            };
            let results = engine.settle(&member, vec![(held.lease, on)]);
            if results != [SettleResult::Applied] {
                return false;
            }
        }
        true
    });
    assert!(refused.contains(&true));
}

/// The next record; `None` if the engine comes to rest without one.
fn acquire_within(engine: &mut Running, member: &Member, steps: usize) -> Option<Delivery> {
    let mut context = Context::from_waker(Waker::noop());
    let mut acquisition = pin!(member.acquire(1, u64::MAX, AcquireMode::RecordLimit));
    for _ in 0..steps {
        if let Poll::Ready(held) = acquisition.as_mut().poll(&mut context) {
            return held.unwrap().pop();
        }
        let parts = [Part::Shard, Part::Journal, Part::Drain, Part::Reader];
        if !parts.map(|part| engine.pump.step(part)).contains(&true) {
            return None;
        }
    }
    panic!("it never rests");
}

/// The journal was full when the process died, and had no room for the end of the leases at the next open. Nobody tried again:
/// the records stayed with nobody for the length of a lock, and no strike was ever written.
#[test]
fn leases_that_could_not_be_voided_at_open_are_voided_when_there_is_room() {
    assert_eq!(voided_after(false), ("available", 1));
}

/// It had no room for their release when the engine was closed, and the next open took that for a crash: a healthy record was
/// a dead letter when a host with a full disk had been ended twice.
#[test]
fn what_a_good_end_had_no_room_to_release_is_suspected_of_nothing() {
    assert_eq!(voided_after(true), ("available", 0));
}

/// State and strikes of a record that was held when an engine with a full journal ended, well or not.
fn voided_after(closed: bool) -> (&'static str, u8) {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["held", "busy"]);
    engine.acquire(&member, 1);
    world.stop_draining();
    while let Some(busy) = acquire_within(&mut engine, &member, 1_000) {
        let on = Outcome::Renew {
            after: Duration::ZERO,
            checkpoint: None,
        };
        if engine.settle(&member, vec![(busy.lease, on)]) != [SettleResult::Applied] {
            break;
        }
    }
    if closed {
        engine.pump.wait(engine.engine.close()).unwrap();
    }
    drop(engine);
    let mut engine = world.open();
    assert_eq!(engine.report.clean, closed);
    assert_eq!(first_record(&mut engine), ("acquired", 0));
    world.storage.heal();
    engine.drain();
    engine.pump.run();
    first_record(&mut engine)
}

/// A group was deleted while somebody waited for its records: nobody ever answered.
#[test]
fn a_member_whose_topics_are_gone_is_told() {
    let mut engine = World::new().open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting = pin!(member.acquire(1, u64::MAX, AcquireMode::RecordLimit));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    engine.pump.run();
    engine.pump.wait(engine.engine.delete_topic("orders")).unwrap();
    let gone = |answer: &Result<Vec<Delivery>, AdminError>| matches!(answer, Err(AdminError::NotSubscribed { .. }));
    let answer = engine.pump.wait(waiting);
    assert!(gone(&answer), "{answer:?}");
    let answer = engine.pump.wait(member.acquire(1, u64::MAX, AcquireMode::RecordLimit));
    assert!(gone(&answer), "{answer:?}");
}

/// State and strikes.
fn first_record(engine: &mut Running) -> (&'static str, u8) {
    let handle = engine.engine.clone();
    let records = engine.pump.wait(handle.records("work", "orders", 0, Offset::ZERO, 1));
    let records = records.unwrap();
    (records[0].state, records[0].strikes)
}

/// The process died between the renaming of a snapshot and the sync of its directory. The next one went by that snapshot
/// and removed a log that it did not list; then the power failed, and the older snapshot was back, which lists that log.
#[test]
fn a_snapshot_whose_name_is_in_memory_only_is_made_durable_before_it_counts() {
    let mut world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    engine.drain();
    let held = engine.acquire(&member, 2);
    engine.accept(&member, &held);
    world.storage.fail(no_sync_of("snapshots"));
    assert!(engine.pump.wait(engine.engine.drain()).is_err());
    drop(engine);
    world.storage.heal();
    drop(world.open());
    assert!(!world.storage.files().iter().any(|file| file.ends_with(".log")));
    world.storage = world.storage.crash(CrashPlan::Lose);
    let mut engine = world.open();
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    assert_eq!(group.partitions[0].lag, 0);
}

/// The same with a ring file: the next process wrote to a file whose name was lost with the power.
#[test]
fn a_ring_file_whose_name_is_in_memory_only_is_made_durable_before_it_is_written() {
    let mut world = World::new();
    world.config.journal_bytes = 192 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    world.stop_draining();
    world.storage.fail(no_sync_of("journal"));
    let value = "x".repeat(3_000);
    let has_third = |world: &World| world.storage.files().iter().any(|file| file == "journal/0002.ring");
    while !has_third(&world) {
        engine.produce("orders", &[&value]);
    }
    drop(engine);
    world.storage.heal();
    let mut engine = world.open();
    world.stop_draining();
    let mut count = engine.values("orders").len();
    while engine.try_produce("orders", &[&value]).is_ok() {
        count += 1;
    }
    drop(engine);
    world.storage = world.storage.crash(CrashPlan::Lose);
    let mut engine = world.open();
    assert_eq!(engine.values("orders").len(), count);
}

fn no_sync_of(directory: &str) -> Fault {
    Fault {
        path: directory.to_owned(),
        ..Fault::nth(FaultKind::Io, 1).on(CallKind::SyncDir)
    }
}

/// A topic dropped its oldest records, and a group was said to begin behind them before that was on the disk. The process
/// died, and the group began earlier again.
#[test]
fn a_group_is_said_to_begin_where_it_would_after_a_restart() {
    let world = World::new();
    let mut engine = world.open();
    engine.pump.set_together(false);
    let config = TopicConfig {
        max_bytes: Some(16 << 10),
        on_full: OnFull::DropOldest,
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
    engine.group("work", "orders", GroupConfig::default());
    let value = "x".repeat(1_000);
    let shown = loop {
        let handle = engine.engine.clone();
        let mut produced = pin!(handle.produce("orders", None, vec![record(&value)]));
        let mut context = Context::from_waker(Waker::noop());
        while produced.as_mut().poll(&mut context).is_pending() {
            engine.pump.step(Part::Journal);
        }
        while engine.pump.step(Part::Shard) {}
        // What the shard has decided by now, the journal has not heard of.
        let mut described = pin!(handle.describe_group("work"));
        let group = loop {
            if let Poll::Ready(group) = described.as_mut().poll(&mut context) {
                break group.unwrap();
            }
            engine.pump.step(Part::Shard);
        };
        let topic = group.partitions[0].log_end;
        if topic > 20 {
            break group.partitions[0].start;
        }
        if topic < 16 {
            engine.pump.run();
        }
    };
    drop(engine);
    let mut engine = world.open();
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    assert!(
        group.partitions[0].start >= shown,
        "{} after {shown}",
        group.partitions[0].start
    );
}

/// A record was renewed, and the group's longest attempt was shortened to less than it had lasted. It was handed out no
/// more, did not end before its old time, and held up what was not read together with it.
#[test]
fn an_attempt_that_is_too_long_by_new_settings_ends() {
    let mut engine = World::new().open();
    engine.topic("orders");
    let config = GroupConfig::default();
    let member = engine.group("work", "orders", config.clone());
    engine.produce("orders", &["a", "b"]);
    let held = engine.acquire(&member, 1);
    let on = Outcome::Renew {
        after: Duration::ZERO,
        checkpoint: None,
    };
    engine.settle(&member, vec![(held[0].lease, on)]);
    engine.advance(Duration::from_secs(5));
    let shorter = GroupConfig {
        max_lease_millis: 2_000,
        ..config
    };
    engine.pump.wait(engine.engine.alter_group("work", shorter)).unwrap();
    engine.pump.run();
    assert_eq!(offsets(&engine.try_acquire(&member, 2)), [(0, 2), (1, 1)]);
}

/// A group was set back to a record while a drain removed it: it was delivered from memory and released, was there no more,
/// and the group lagged behind by it until something else was produced.
#[test]
fn a_group_passes_what_a_drain_removed_while_it_was_set_back() {
    let mut engine = World::new().open();
    engine.pump.set_together(false);
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    engine.drain();
    let held = engine.acquire(&member, 1);
    engine.accept(&member, &held);
    let handle = engine.engine.clone();
    let mut context = Context::from_waker(Waker::noop());
    let mut drained = pin!(handle.drain());
    assert!(drained.as_mut().poll(&mut context).is_pending());
    engine.pump.step(Part::Shard);
    let request = ResetGroup {
        group: "work".to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Offset(Offset::ZERO),
        force: true,
    };
    without_drain(&mut engine, handle.reset_group(request)).unwrap();
    let again = member.acquire(1, u64::MAX, AcquireMode::RecordLimit);
    let again = without_drain(&mut engine, again).unwrap();
    engine.pump.run();
    let release = Outcome::Release {
        after: None,
        reason: None,
    };
    engine.settle(&member, vec![(again[0].lease, release)]);
    for _ in 0..4 {
        engine.advance(Duration::from_secs(2));
    }
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    assert_eq!((group.partitions[0].start, group.partitions[0].lag), (1, 0));
}

/// The answer to a call that the drain thread has no part in, which stands still.
fn without_drain<T>(engine: &mut Running, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
        for part in [Part::Shard, Part::Journal, Part::Reader] {
            engine.pump.step(part);
        }
    }
}

/// A topic let go of its oldest records, which is durable with the next snapshot. The process died before that: they are read
/// again, and given to nobody, since their group had passed them. The simulator took one that it had never read for one that
/// nobody had produced.
#[test]
fn what_a_topic_has_dropped_may_be_read_again_after_a_crash_and_is_nobodys() {
    let world = World::new();
    let mut engine = world.open();
    let config = TopicConfig {
        max_bytes: Some(16 << 10),
        on_full: OnFull::DropOldest,
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
    engine.group("work", "orders", GroupConfig::default());
    world.stop_draining();
    let value = "x".repeat(1_000);
    for _ in 0..20 {
        engine.produce("orders", &[&value]);
    }
    engine.advance(Duration::from_secs(2));
    let topic = |engine: &mut Running| {
        let handle = engine.engine.clone();
        engine.pump.wait(handle.describe_topic("orders")).unwrap()
    };
    let first = topic(&mut engine).partitions[0].start;
    assert!(first > 0);
    drop(engine);
    // Nothing but what the journal and the snapshot say: nobody has looked yet whether the topic is above its limit.
    let mut engine = world.open();
    assert_eq!(topic(&mut engine).partitions[0].start, 0);
    let member = engine.join("work", "orders");
    assert_eq!(offsets(&engine.acquire(&member, 1)), [(first, 1)]);
}

/// Two records were finished; one of them had been drained, the other had left memory with that. The group was set back to the
/// first, and the process died: the second was back, and had to be delivered like the first.
#[test]
fn what_left_memory_is_back_after_a_crash_if_its_group_was_set_back() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    engine.drain();
    engine.produce("orders", &["b"]);
    let held = engine.acquire(&member, 2);
    engine.accept(&member, &held);
    assert_eq!(engine.values("orders"), [(0, "a".to_owned())]);
    let request = ResetGroup {
        group: "work".to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Offset(Offset::ZERO),
        force: true,
    };
    engine.pump.wait(engine.engine.reset_group(request)).unwrap();
    drop(engine);
    let mut engine = world.open();
    assert_eq!(engine.values("orders"), [(0, "a".to_owned()), (1, "b".to_owned())]);
    let member = engine.join("work", "orders");
    assert_eq!(offsets(&engine.acquire(&member, 2)), [(0, 1), (1, 1)]);
}
