//! Produce, acquire, every verb, dead letters, redrive, restart, drain.

use std::time::Duration;

use bytes::Bytes;

use super::harness::*;
use crate::config::GroupConfig;
use crate::engine::{Outcome, Part};
use crate::error::{ProduceError, RefusedBy, SettleResult};
use crate::ids::Offset;
use crate::storage::Storage as _;
use crate::storage::{CallKind, Fault, FaultKind};

#[test]
fn produced_records_are_acquired_and_accepted_once() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    assert_eq!(engine.produce("orders", &["a", "b", "c"]), [0, 1, 2]);
    let deliveries = engine.acquire(&member, 2);
    assert_eq!(offsets(&deliveries), [(0, 1), (1, 1)]);
    assert_eq!(value(&deliveries[1]), "b");
    engine.accept(&member, &deliveries);
    let again = engine.settle(&member, vec![(deliveries[0].lease, accept())]);
    assert_eq!(again, [SettleResult::Stale]);
    let rest = engine.acquire(&member, 10);
    assert_eq!(offsets(&rest), [(2, 1)]);
    engine.accept(&member, &rest);
    assert!(engine.try_acquire(&member, 10).is_empty());
}

#[test]
fn accepted_records_stay_accepted_after_a_crash_and_counts_are_kept() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b", "c"]);
    let deliveries = engine.acquire(&member, 2);
    engine.accept(&member, &deliveries[..1]);
    drop(engine);
    let mut engine = world.open();
    assert!(!engine.report.clean);
    assert_eq!(engine.report.held, 1);
    let member = engine.join("work", "orders");
    let again = engine.acquire(&member, 10);
    assert_eq!(offsets(&again), [(1, 2), (2, 1)]);
}

#[test]
fn released_records_come_again_after_their_delay() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    let first = engine.acquire(&member, 1);
    let release = Outcome::Release {
        after: Some(Duration::from_secs(5)),
        reason: Some("busy".to_owned()),
    };
    engine.settle(&member, vec![(first[0].lease, release)]);
    assert!(engine.try_acquire(&member, 1).is_empty());
    engine.advance(Duration::from_secs(5));
    let second = engine.acquire(&member, 1);
    assert_eq!(offsets(&second), [(0, 2)]);
}

#[test]
fn a_renewed_record_keeps_count_and_checkpoint_over_a_crash() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    let first = engine.acquire(&member, 1);
    let checkpoint = Some(Bytes::from_static(b"half way"));
    let renew = Outcome::Renew {
        after: Duration::from_secs(60),
        checkpoint,
    };
    assert_eq!(
        engine.settle(&member, vec![(first[0].lease, renew)]),
        [SettleResult::Applied]
    );
    drop(engine);
    let mut engine = world.open();
    assert_eq!(engine.report.held, 0);
    let member = engine.join("work", "orders");
    assert!(engine.try_acquire(&member, 1).is_empty());
    engine.advance(Duration::from_secs(60));
    let second = engine.acquire(&member, 1);
    assert_eq!(offsets(&second), [(0, 1)]);
    assert_eq!(second[0].lease.continuation.get(), 1);
    assert_eq!(second[0].checkpoint.as_deref(), Some(&b"half way"[..]));
}

#[test]
fn a_rejected_record_becomes_a_dead_letter_with_evidence_and_is_redriven_once() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    engine.produce("orders", &["bad", "good"]);
    let first = engine.acquire(&member, 2);
    let reject = Outcome::Reject {
        reason: Some("no such customer".to_owned()),
    };
    engine.settle(&member, vec![(first[0].lease, reject), (first[1].lease, accept())]);
    assert_eq!(engine.values("work.dead"), [(0, "bad".to_owned())]);
    engine
        .pump
        .wait(engine.engine.redrive("work.dead", 0, Offset::ZERO))
        .unwrap();
    assert!(
        engine
            .pump
            .wait(engine.engine.redrive("work.dead", 0, Offset::ZERO))
            .is_err()
    );
    let again = engine.acquire(&member, 2);
    assert_eq!(offsets(&again), [(2, 1)]);
    assert_eq!(value(&again[0]), "bad");
    let view = again[0].record().unwrap();
    let headers: Vec<_> = view.headers().map(|header| text(Some(header.name))).collect();
    assert_eq!(headers, ["sharemill.origin"]);
}

#[test]
fn the_last_delivery_ends_in_a_dead_letter() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let config = GroupConfig {
        attempts: 2,
        ..dead_letters("work.dead")
    };
    let member = engine.group("work", "orders", config);
    engine.produce("orders", &["a"]);
    for _ in 0..2 {
        let deliveries = engine.acquire(&member, 1);
        let release = Outcome::Release {
            after: None,
            reason: None,
        };
        engine.settle(&member, vec![(deliveries[0].lease, release)]);
    }
    assert!(engine.try_acquire(&member, 1).is_empty());
    assert_eq!(engine.values("work.dead").len(), 1);
}

#[test]
fn an_expired_lease_is_stale_and_its_record_comes_again() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let first = engine.acquire(&member, 2);
    engine.advance(Duration::from_secs(20));
    let kept = engine.pump.wait(member.renew(vec![first[0].lease]));
    assert!(kept[0].is_ok());
    engine.advance(Duration::from_secs(15));
    let second = engine.acquire(&member, 5);
    assert_eq!(offsets(&second), [(1, 2)]);
    let results = engine.settle(&member, vec![(first[0].lease, accept()), (first[1].lease, accept())]);
    assert_eq!(results, [SettleResult::Applied, SettleResult::Stale]);
}

#[test]
fn emitted_records_come_with_the_acknowledgement_or_not_at_all() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    engine.topic("lines");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let first = engine.acquire(&member, 2);
    let lines = ["a1".to_owned(), "a2".to_owned()];
    let results = engine.settle(
        &member,
        vec![
            (first[0].lease, emit("lines", &lines)),
            (first[1].lease, emit("nowhere", &lines)),
        ],
    );
    assert_eq!(results[0], SettleResult::Applied);
    assert!(
        matches!(&results[1], SettleResult::Refused(why) if why.by == RefusedBy::Never && why.reason.contains("nowhere")),
        "{results:?}"
    );
    let stale = engine.settle(&member, vec![(first[0].lease, emit("lines", &lines))]);
    assert_eq!(stale, [SettleResult::Stale]);
    let expected = [(0, "a1".to_owned()), (1, "a2".to_owned())];
    assert_eq!(engine.values("lines"), expected);
}

#[test]
fn a_drained_engine_serves_from_its_logs_and_after_a_restart() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    let long = "x".repeat(900);
    for round in 0..60 {
        let value = format!("{round}-{long}");
        engine.produce("orders", &[&value]);
    }
    engine.drain();
    let first = engine.acquire(&member, 10);
    assert_eq!(first.len(), 10);
    engine.accept(&member, &first);
    drop(engine);
    let mut engine = world.open();
    assert_eq!(engine.values("orders").len(), 60);
    let member = engine.join("work", "orders");
    let mut seen = 10;
    while seen < 60 {
        let deliveries = engine.acquire(&member, 7);
        for delivery in &deliveries {
            assert!(value(delivery).starts_with(&format!("{seen}-")));
            seen += 1;
        }
        engine.accept(&member, &deliveries);
    }
    assert!(engine.try_acquire(&member, 1).is_empty());
}

#[test]
fn a_clean_close_leaves_nothing_to_repair() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    let held = engine.acquire(&member, 1);
    assert_eq!(held.len(), 1);
    engine.pump.wait(engine.engine.close()).unwrap();
    let engine = world.open();
    assert!(engine.report.clean);
    assert_eq!(engine.report.held, 0);
}

#[test]
fn a_queue_that_keeps_up_is_hardly_written_twice() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    let long = "x".repeat(2_000);
    for _ in 0..300 {
        engine.produce("orders", &[&long]);
        let deliveries = engine.acquire(&member, 10);
        engine.accept(&member, &deliveries);
    }
    let in_logs: usize = world
        .storage
        .files()
        .iter()
        .filter(|file| file.starts_with("logs/"))
        .map(|file| world.storage.contents(file).len())
        .sum();
    assert!(
        in_logs < 60_000,
        "600 KB went through a ring of 128 KiB, {in_logs} bytes of it into logs"
    );
    assert!(engine.engine.stats().drains >= 4);
}

#[test]
fn a_topic_made_again_after_a_failed_drain_keeps_its_records() {
    let world = World::new();
    let mut running = world.open();
    running.topic("orders");
    running.produce("orders", &["old"]);
    world.storage.fail(Fault {
        path: "snapshots".to_owned(),
        ..Fault::nth(FaultKind::NoSpace, 1).on(CallKind::Create)
    });
    let engine = running.engine.clone();
    assert!(running.pump.wait(engine.drain()).is_err());
    running.pump.wait(engine.delete_topic("orders")).unwrap();
    running.topic("orders");
    running.produce("orders", &["new"]);
    running.advance(Duration::from_secs(2));
    running.drain();
    assert_eq!(running.values("orders").len(), 1);
    drop(running);
    let mut running = world.open();
    assert_eq!(running.values("orders").len(), 1);
}

#[test]
fn a_record_that_is_too_large_costs_its_neighbours_nothing() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let large = "x".repeat(2 << 20);
    let records = ["a", &large, "b"].map(record).to_vec();
    let results = engine.pump.wait(engine.engine.produce("orders", Some(0), records));
    let offsets: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().map(|receipt| receipt.offset.get()).ok())
        .collect();
    assert_eq!(offsets, [Some(0), None, Some(1)]);
    assert!(matches!(
        results[1],
        Err(ProduceError::RecordTooLarge { limit: 1_048_588, .. })
    ));
}

#[test]
fn a_record_with_a_wrong_timestamp_costs_its_neighbours_nothing() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let mut records = ["a", "early", "b"].map(record).to_vec();
    records[1].timestamp = Some(crate::time::WallTime::from_millis(-5));
    let results = engine.pump.wait(engine.engine.produce("orders", Some(0), records));
    let said = results[1].as_ref().unwrap_err().to_string();
    assert!(said.contains("the timestamp is -5, at least 0 expected"), "{said}");
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
}

#[test]
fn a_newer_format_is_named_as_such_and_left_alone() {
    let world = World::new();
    drop(world.open());
    let mut bytes = world.storage.contents("format");
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..28]).to_le_bytes();
    bytes[28..].copy_from_slice(&crc);
    let file = world
        .storage
        .open("format", crate::storage::OpenMode::ReadWrite)
        .unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    let Err(error) = world.try_open() else {
        panic!("opened");
    };
    let text = "format in the data directory has format 2, this program reads up to 1";
    assert_eq!(error.to_string(), text);
    assert_eq!(world.storage.contents("format"), bytes);
}

#[test]
fn a_segment_that_grows_while_it_is_to_be_dropped_keeps_what_is_new() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    engine.drain();
    let deliveries = engine.acquire(&member, 1);
    engine.accept(&member, &deliveries);
    // The next drain may drop the segment of "a", and the log puts "b" into the same one.
    engine.produce("orders", &["b"]);
    engine.drain();
    drop(engine);
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    assert_eq!(offsets(&engine.try_acquire(&member, 10)), [(1, 1)]);
}

#[test]
fn a_produce_waits_while_the_ring_grows() {
    let mut world = World::small();
    world.config.journal_bytes = 1 << 20;
    let mut running = world.open();
    running.topic("jobs");
    let value = "v".repeat(12 << 10);
    let engine = running.engine.clone();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut waiting: Vec<_> = (0..20)
        .map(|_| Box::pin(engine.produce("jobs", Some(0), vec![record(&value)])))
        .collect();
    for future in &mut waiting {
        assert!(Future::poll(future.as_mut(), &mut context).is_pending());
    }
    // The ring of two files takes less than half of it; nobody has made a third yet.
    while running.pump.step(Part::Journal) {}
    let mut offsets = Vec::new();
    waiting.retain_mut(|future| match Future::poll(future.as_mut(), &mut context) {
        std::task::Poll::Ready(results) => {
            offsets.extend(results.into_iter().map(|result| result.unwrap().offset.get()));
            false
        }
        std::task::Poll::Pending => true,
    });
    assert!(!waiting.is_empty(), "it all went in");
    running.pump.run();
    for future in waiting {
        let results = running.pump.wait(future);
        offsets.extend(results.into_iter().map(|result| result.unwrap().offset.get()));
    }
    assert_eq!(offsets, (0..20).collect::<Vec<_>>());
}
