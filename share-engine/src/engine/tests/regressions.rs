//! What once went wrong, each under a name that says how it should be.

use std::time::Duration;

use bytes::Bytes;

use super::harness::*;
use crate::config::{GroupConfig, Retention, TopicConfig};
use crate::engine::Outcome;
use crate::error::{AdminError, SettleResult};
use crate::storage::{CallKind, Fault, FaultKind};

fn park(checkpoint: &'static [u8]) -> Outcome {
    Outcome::Renew {
        after: Duration::from_secs(1),
        checkpoint: Some(Bytes::from_static(checkpoint)),
    }
}

/// A run of neighbouring records with the same count is one range; their checkpoints were left out of it.
#[test]
fn neighbouring_records_each_bring_their_checkpoint() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b", "c"]);
    let held = engine.acquire(&member, 3);
    let bare = Outcome::Renew {
        after: Duration::from_secs(1),
        checkpoint: None,
    };
    let parks = [park(b"one"), bare, park(b"three")];
    engine.settle(&member, held.iter().map(|one| one.lease).zip(parks).collect());
    engine.advance(Duration::from_secs(1));
    let held = engine.acquire(&member, 3);
    let release = Outcome::Release {
        after: None,
        reason: None,
    };
    engine.settle(&member, held.iter().map(|one| (one.lease, release.clone())).collect());
    let again = engine.acquire(&member, 3);
    assert_eq!(offsets(&again), [(0, 2), (1, 2), (2, 2)]);
    let seen: Vec<_> = again.iter().map(|one| one.checkpoint.as_deref()).collect();
    assert_eq!(seen, [Some(&b"one"[..]), None, Some(&b"three"[..])]);
}

/// Reading a checkpoint or note out of a snapshot subtracted the wrong way round.
#[test]
fn a_snapshot_with_checkpoints_and_notes_is_read_back() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let held = engine.acquire(&member, 2);
    let release = Outcome::Release {
        after: None,
        reason: Some("busy".to_owned()),
    };
    engine.settle(&member, vec![(held[0].lease, park(b"kept")), (held[1].lease, release)]);
    engine.drain();
    drop(engine);
    let mut engine = world.open();
    engine.advance(Duration::from_secs(1));
    let member = engine.join("work", "orders");
    let again = engine.acquire(&member, 1);
    assert_eq!(again[0].checkpoint.as_deref(), Some(&b"kept"[..]));
}

/// Producers looked topics up in a table that only a change of the catalog filled.
#[test]
fn topics_are_known_to_producers_after_a_restart() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    drop(engine);
    let mut engine = world.open();
    assert_eq!(engine.produce("orders", &["a"]), [0]);
}

/// Between the end of the log and the oldest batch in memory a read found the end of the partition.
#[test]
fn a_read_goes_on_behind_what_was_finished_before_it_was_drained() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["kept"]);
    let first = engine.acquire(&member, 1);
    engine.drain();
    engine.produce("orders", &["finished"]);
    let second = engine.acquire(&member, 1);
    engine.accept(&member, &second);
    engine.drain();
    engine.produce("orders", &["new"]);
    drop((engine, first));
    let mut engine = world.open();
    let values: Vec<_> = engine.values("orders").into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["kept", "new"]);
}

/// The shard went by the use of the ring as of the last commit, and drained for ever.
#[test]
fn a_ring_that_is_half_full_is_drained_once() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let long = "x".repeat(9_000);
    for _ in 0..8 {
        engine.produce("orders", &[&long]);
    }
    engine.pump.run();
    let drains = engine.engine.stats().drains;
    assert!((1..=3).contains(&drains), "{drains} drains");
}

/// Those who waited for a drain, for their turn at the catalog or for a read were forgotten by a fence.
#[test]
fn everybody_is_answered_when_the_engine_is_fenced() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    let held = engine.acquire(&member, 1);
    world
        .storage
        .fail(Fault::nth(FaultKind::Io, 1).on(CallKind::Sync).sticky());
    let config = TopicConfig::default();
    let one = engine.engine.create_topic("one", config.clone());
    let two = engine.engine.create_topic("two", config);
    let drain = engine.engine.drain();
    let settle = member.settle(vec![crate::engine::Settlement {
        lease: held[0].lease,
        outcome: accept(),
        evidence: None,
    }]);
    let all = async { (together(one, together(two, together(drain, settle))).await,) };
    let ((one, (two, (drain, settled))),) = engine.pump.wait(all);
    assert!(matches!(one, Err(AdminError::Fenced(_))), "{one:?}");
    assert!(matches!(two, Err(AdminError::Fenced(_))), "{two:?}");
    assert!(drain.is_err());
    assert_eq!(settled, [SettleResult::Unknown]);
    let later = engine.pump.wait(engine.engine.drain());
    assert!(matches!(later, Err(AdminError::Fenced(_))));
}

/// Two futures side by side.
async fn together<A: Future, B: Future>(left: A, right: B) -> (A::Output, B::Output) {
    let (mut left, mut right) = (Box::pin(left), Box::pin(right));
    let (mut one, mut two) = (None, None);
    std::future::poll_fn(move |context| {
        use std::task::Poll;
        if one.is_none()
            && let Poll::Ready(output) = left.as_mut().poll(context)
        {
            one = Some(output);
        }
        if two.is_none()
            && let Poll::Ready(output) = right.as_mut().poll(context)
        {
            two = Some(output);
        }
        if one.is_some() && two.is_some() {
            return Poll::Ready((one.take().unwrap(), two.take().unwrap()));
        }
        Poll::Pending
    })
    .await
}

/// The new topic's log was made in the directory of the old one, and removed with it.
#[test]
fn a_topic_is_made_again_under_its_old_name() {
    for restart in [false, true] {
        let world = World::new();
        let mut engine = world.open();
        engine.topic("orders");
        engine.produce("orders", &["old"]);
        engine.drain();
        engine.pump.wait(engine.engine.delete_topic("orders")).unwrap();
        if restart {
            drop(engine);
            engine = world.open();
        }
        engine.topic("orders");
        engine.produce("orders", &["new"]);
        engine.drain();
        engine.drain();
        drop(engine);
        let mut engine = world.open();
        assert_eq!(engine.values("orders"), [(0, "new".to_owned())]);
    }
}

/// A drain that failed was answered as one that had not.
#[test]
fn a_failed_drain_is_told() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    engine.produce("orders", &["a"]);
    world.storage.fail(Fault::nth(FaultKind::Io, 1).on(CallKind::Create));
    let result = engine.pump.wait(engine.engine.drain());
    assert!(
        matches!(&result, Err(AdminError::NotDrained(why)) if why.contains("injected")),
        "{result:?}"
    );
    engine.drain();
    drop(engine);
    assert_eq!(world.open().values("orders"), [(0, "a".to_owned())]);
}

/// What the journal still held of finished records counted against the topic's limit, with nothing left to settle.
#[test]
fn finished_records_do_not_fill_a_topic_after_a_restart() {
    let world = World::new();
    let mut engine = world.open();
    let config = TopicConfig {
        retention: Retention::Queue,
        max_bytes: Some(8_192),
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
    let member = engine.group("work", "orders", GroupConfig::default());
    for _ in 0..6 {
        engine.produce("orders", &[&"x".repeat(3_000)]);
        let held = engine.acquire(&member, 1);
        engine.accept(&member, &held);
    }
    drop(engine);
    let mut engine = world.open();
    assert!(engine.try_produce("orders", &[&"x".repeat(3_000)]).is_ok());
}

/// A dead letter or a redrive that cannot be read was asked for again without end.
#[test]
fn a_damaged_segment_fails_a_redrive_and_does_not_hold_up_a_dead_letter() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    engine.produce("orders", &[&"a".repeat(500), &"b".repeat(500)]);
    let held = engine.acquire(&member, 2);
    let reject = || Outcome::Reject { reason: None };
    engine.settle(&member, vec![(held[0].lease, reject())]);
    engine.drain();
    drop(engine);
    world.storage.flip("logs/orders-0/00000000000000000000.log", 300, 1);
    world.storage.flip("logs/work.dead-0/00000000000000000000.log", 300, 1);
    let mut engine = world.open();
    let letter = crate::ids::Offset::ZERO;
    let redriven = engine.pump.wait(engine.engine.redrive("work.dead", 0, letter));
    assert!(
        matches!(&redriven, Err(AdminError::Log(why)) if why.contains("work.dead-0/00000000000000000000.log")),
        "{redriven:?}"
    );
    assert!(engine.engine.stats().log_failures > 0);
}

/// New batches went into the last segment, which was finished with and dropped in the same drain.
#[test]
fn a_drain_that_drops_the_last_segment_keeps_what_it_appends() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["old"]);
    engine.drain();
    let held = engine.acquire(&member, 1);
    engine.accept(&member, &held);
    engine.produce("orders", &["new"]);
    engine.drain();
    drop(engine);
    assert_eq!(world.open().values("orders"), [(1, "new".to_owned())]);
}

/// The name of the format file was not yet on disk when an open that had been cut short was repeated.
#[test]
fn an_open_that_failed_at_its_last_call_and_was_repeated_is_durable() {
    let world = World::new();
    drop(world.open());
    let calls = world.storage.calls();
    let mut reached = 0;
    for nth in 1..=calls {
        let world = World::new();
        world.storage.fail(Fault::nth(FaultKind::Io, nth));
        if world.try_open().is_ok() {
            continue;
        }
        reached += 1;
        let mut engine = world.open();
        engine.topic("orders");
        engine.produce("orders", &["a"]);
        let left = world.after(world.storage.crash(crate::storage::CrashPlan::Lose));
        assert_eq!(
            left.open().values("orders"),
            [(0, "a".to_owned())],
            "call {nth} of {calls}"
        );
    }
    assert!(reached > 10, "{reached} of {calls} calls matter");
}
