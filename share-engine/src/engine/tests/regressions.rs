//! What once went wrong, each under a name that says how it should be.

use std::time::Duration;

use bytes::Bytes;

use super::harness::*;
use crate::config::{EngineConfig, GroupConfig, Retention, Start, TopicConfig, WindowMode};
use crate::engine::{Evidence, Outcome, Part, ResetGroup, ResetTo, Settlement};
use crate::error::{AdminError, OpenError, RefusedBy, SettleResult};
use crate::ids::Offset;
use crate::storage::{CallKind, Fault, FaultKind};
use crate::time::Clock as _;

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
    let settle = member.settle(vec![Settlement {
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
    let letter = Offset::ZERO;
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

/// All dead letters of one call were one journal entry, however large, and a journal file did not hold it: the records
/// stayed acquired for ever.
#[test]
fn many_large_last_attempts_become_dead_letters_whatever_ends_them() {
    let sizes = [9_000, 30_000];
    for (end, size) in ["reject", "release", "expire", "leave", "crash"]
        .into_iter()
        .flat_map(|end| sizes.map(|size| (end, size)))
    {
        let world = World::new();
        let mut engine = world.open();
        engine.topic("orders");
        let config = GroupConfig {
            attempts: 1,
            ..dead_letters("work.dead")
        };
        let member = engine.group("work", "orders", config);
        let mut held = Vec::new();
        for number in 0..8 {
            engine.produce("orders", &[&format!("{number}-{}", "x".repeat(size))]);
            held.extend(engine.acquire(&member, 1));
            engine.drain();
        }
        let outcome = match end {
            "reject" => Some(Outcome::Reject { reason: None }),
            "release" => Some(Outcome::Release {
                after: None,
                reason: None,
            }),
            _ => None,
        };
        if let Some(outcome) = outcome {
            let list = held.iter().map(|one| (one.lease, outcome.clone())).collect();
            let results = engine.settle(&member, list);
            // The ring is a small one: what it refuses stays leased.
            let full =
                |one: &SettleResult| matches!(one, SettleResult::Refused(why) if why.by == RefusedBy::JournalFull);
            assert!(
                results.iter().all(|one| *one == SettleResult::Applied || full(one)),
                "{results:?}"
            );
        }
        if end == "leave" {
            engine.pump.wait(member.leave()).unwrap();
        }
        if end == "crash" {
            drop((held, engine));
            engine = world.open();
        }
        // Longer than the lock; what was refused while the ring was full is tried again.
        for _ in 0..40 {
            engine.advance(Duration::from_secs(1));
        }
        let letters: Vec<_> = engine.values("work.dead").into_iter().map(|(_, value)| value).collect();
        let numbers: Vec<_> = letters.iter().map(|value| value.split('-').next().unwrap()).collect();
        assert_eq!(numbers, ["0", "1", "2", "3", "4", "5", "6", "7"], "{end} {size}");
        assert!(letters.iter().all(|letter| letter.len() > size), "{end} {size}");
        let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
        assert_eq!(group.partitions[0].acquired, 0, "{end} {size}");
    }
}

/// A dead letter that fits nowhere is kept without its content, and is not taken for the record.
#[test]
fn a_dead_letter_beyond_any_entry_keeps_what_is_known_of_it() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    engine.produce("orders", &[&"x".repeat(62_600)]);
    let held = engine.acquire(&member, 1);
    let reason = Some("r".repeat(1_000));
    let settlement = Settlement {
        lease: held[0].lease,
        outcome: Outcome::Reject { reason: reason.clone() },
        evidence: Some(Box::new(Evidence {
            reason,
            ..Evidence::default()
        })),
    };
    let results = engine.pump.wait(member.settle(vec![settlement]));
    assert_eq!(results, [SettleResult::Applied]);
    assert_eq!(engine.values("work.dead"), [(0, String::new())]);
    let redriven = engine.pump.wait(engine.engine.redrive("work.dead", 0, Offset::ZERO));
    assert!(
        matches!(&redriven, Err(AdminError::Refused(reason)) if reason.contains("holds no record")),
        "{redriven:?}"
    );
}

/// Ring files keep the size that they were made with; what fits into one was reckoned from the size that was wished later.
#[test]
fn a_dead_letter_fits_into_the_ring_files_that_there_are() {
    let mut world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    engine.group("work", "orders", dead_letters("work.dead"));
    engine.produce("orders", &[&"x".repeat(62_600)]);
    drop(engine);
    world.config.journal_file_bytes = 1 << 20;
    world.config.journal_bytes = 4 << 20;
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    let held = engine.acquire(&member, 1);
    let settlement = Settlement {
        lease: held[0].lease,
        outcome: Outcome::Reject { reason: None },
        evidence: Some(Box::new(Evidence {
            trap: Some("t".repeat(4_000)),
            ..Evidence::default()
        })),
    };
    let results = engine.pump.wait(member.settle(vec![settlement]));
    assert_eq!(results, [SettleResult::Applied]);
}

/// Sizes that contradict each other were called damage.
#[test]
fn a_wrong_size_of_the_journal_is_an_error_of_the_settings() {
    let mut world = World::new();
    world.config.journal_file_bytes = 100_000;
    world.config.journal_bytes = 1 << 20;
    let Err(error) = world.try_open() else { panic!("opened") };
    assert!(matches!(error, OpenError::Config(_)), "{error}");
    assert_eq!(
        error.to_string(),
        "journal option journal file (bytes) is 100000, not a multiple of 512"
    );
    world.config.journal_file_bytes = 64 << 10;
    world.config.journal_bytes = 1 << 40;
    let Err(error) = world.try_open() else { panic!("opened") };
    assert_eq!(
        error.to_string(),
        "journal option journal_size is 1099511627776, more than 9999 files"
    );
    assert!(matches!(error, OpenError::Config(_)), "{error}");
}

/// A batch that no journal file can hold was called a full journal, which a producer waits out in vain.
#[test]
fn what_fits_into_no_journal_file_is_refused_with_both_sizes() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let error = engine.try_produce("orders", &[&"x".repeat(70_000)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "one entry would take 70656 bytes, a journal file has room for 65024"
    );
}

/// Retention gave records up before their dead letters were on disk, and a refused entry took the letters with it.
#[test]
fn retention_keeps_what_it_cannot_write_dead_letters_for() {
    let world = World::new();
    let mut engine = world.open();
    let config = TopicConfig {
        retention: Retention::Bounded {
            millis: Some(60_000),
            bytes: None,
        },
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    engine.produce("orders", &["a", "b", "c"]);
    let release = Outcome::Release {
        after: Some(Duration::from_millis(10)),
        reason: Some("r".repeat(900)),
    };
    let held = engine.acquire(&member, 3);
    engine.settle(&member, held.iter().map(|one| (one.lease, release.clone())).collect());
    engine.drain();
    // Nothing can be drained any more, and settlements fill the ring to the last sector.
    world.storage.fail(Fault {
        kind: FaultKind::NoSpace,
        nth: 1,
        sticky: true,
        call: None,
        path: "snapshots".to_owned(),
    });
    engine
        .pump
        .wait(engine.engine.create_topic("filler", TopicConfig::default()))
        .unwrap();
    let filler = engine.group(
        "filler",
        "filler",
        GroupConfig {
            attempts: 1_000,
            ..GroupConfig::default()
        },
    );
    engine.produce("filler", &["f"]);
    while let Some(one) = engine.try_acquire(&filler, 1).pop() {
        let results = engine.settle(&filler, vec![(one.lease, release.clone())]);
        if results != [SettleResult::Applied] {
            break;
        }
        engine.advance(Duration::from_millis(20));
    }
    engine.jump_wall(120);
    for _ in 0..3 {
        engine.advance(Duration::from_secs(2));
    }
    assert_eq!(engine.values("work.dead").len(), 0);
    world.storage.heal();
    for _ in 0..6 {
        engine.advance(Duration::from_secs(2));
    }
    assert_eq!(engine.values("work.dead").len(), 3);
    // What was refused in between was counted each time.
    assert_eq!(engine.engine.stats().archived_retention, 3);
}

/// A group could be set past the end of a log: everything up to there was lost unseen when it came.
#[test]
fn a_group_is_not_set_past_the_end() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b", "c"]);
    let reset = |to| ResetGroup {
        group: "work".to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Offset(Offset::saturating(to)),
        force: true,
    };
    for beyond in [4, i64::MAX as u64] {
        let error = engine.pump.wait(engine.engine.reset_group(reset(beyond))).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("ends at offset 3") && said.contains(&beyond.to_string()),
            "{said}"
        );
    }
    engine.pump.wait(engine.engine.reset_group(reset(3))).unwrap();
    engine.drain();
    drop((member, engine));
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    assert!(engine.try_acquire(&member, 10).is_empty());
    engine.produce("orders", &["d"]);
    assert_eq!(offsets(&engine.acquire(&member, 10)), [(3, 1)]);
}

/// A dead letter whose record had to be read back was journaled after the reset that came meanwhile: no later open
/// could make sense of it.
#[test]
fn a_reset_overtakes_a_dead_letter_that_waits_for_its_record() {
    let mut world = World::new();
    world.config.memory_window = 4 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    for number in 0..8 {
        engine.produce("orders", &[&format!("{number}-{}", "x".repeat(1_500))]);
    }
    engine.drain();
    let held = engine.acquire(&member, 1);
    let lease = held[0].lease;
    drop(held);
    // What was read ahead is forgotten, so that the letter has to wait.
    drop(engine);
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    let held = engine.acquire(&member, 8);
    assert_ne!(held[0].lease, lease);
    let reject = held.iter().map(|one| Settlement {
        lease: one.lease,
        outcome: Outcome::Reject { reason: None },
        evidence: None,
    });
    let settling = member.settle(reject.collect());
    let mut settling = std::pin::pin!(settling);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(settling.as_mut(), &mut context).is_pending());
    let reset = ResetGroup {
        group: "work".to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Start(Start::Earliest),
        force: true,
    };
    engine.pump.wait(engine.engine.reset_group(reset)).unwrap();
    engine.pump.run();
    let again = engine.acquire(&member, 3);
    assert_eq!(offsets(&again), [(0, 1), (1, 1), (2, 1)]);
    engine.accept(&member, &again);
    drop((held, again, engine));
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    assert_eq!(offsets(&engine.acquire(&member, 1)), [(3, 1)]);
}

/// Whoever asked an engine that had been closed waited for ever, and what was still under way kept its lock.
#[test]
fn a_closed_engine_answers_and_is_free_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let (engine, _) = crate::engine::Engine::open(folder.path(), EngineConfig::default()).unwrap();
        crate::engine::block_on(engine.close()).unwrap();
        let refused = crate::engine::block_on(engine.create_topic("late", TopicConfig::default()));
        assert_eq!(refused, Err(AdminError::Closed));
        let refused = crate::engine::block_on(engine.produce("late", None, vec![record("a")]));
        assert!(refused[0].is_err());
        crate::engine::block_on(engine.close()).unwrap();
    }
}

/// A fenced shard found something to do in every moment until it was closed.
#[test]
fn a_fenced_engine_has_nothing_to_do() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    world.storage.fail(Fault {
        kind: FaultKind::Io,
        nth: 1,
        sticky: true,
        call: Some(CallKind::Sync),
        path: "journal".to_owned(),
    });
    assert!(engine.try_produce("orders", &["a"]).is_err());
    engine.advance(Duration::from_secs(5));
    assert!(engine.pump.next_deadline().since(world.clock.now().monotonic) > Duration::from_secs(60));
}

/// Where a group begins: at the first record, behind the last, or at the first that is young enough.
#[test]
fn a_group_begins_where_it_was_told_to() {
    for drained in [false, true] {
        let mut world = World::new();
        world.config.memory_window = 4 << 10;
        let mut engine = world.open();
        engine.topic("orders");
        for number in 0..6 {
            engine.produce("orders", &[&format!("{number}-{}", "x".repeat(1_500))]);
            engine.jump_wall(60);
        }
        if drained {
            engine.drain();
        }
        let starts = [
            (Start::Earliest, 0),
            (Start::Latest, 6),
            (Start::ByDuration(150_000), 4),
            (Start::ByDuration(10_000), 6),
            (Start::ByDuration(3_600_000), 0),
        ];
        for (number, (start, _)) in starts.iter().enumerate() {
            let config = GroupConfig {
                start: *start,
                ..GroupConfig::default()
            };
            engine.group(&format!("g{number}"), "orders", config);
        }
        engine.produce("orders", &["late"]);
        for (number, (start, first)) in starts.iter().enumerate() {
            let member = engine.join(&format!("g{number}"), "orders");
            let seen = engine.acquire(&member, 1);
            assert_eq!(offsets(&seen), [(*first, 1)], "{start:?} {drained}");
        }
    }
}

/// A log that could not be read was taken for one that has nothing young enough.
#[test]
fn a_group_does_not_begin_behind_a_damaged_log() {
    let mut world = World::new();
    world.config.memory_window = 4 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    for number in 0..6 {
        engine.produce("orders", &[&format!("{number}-{}", "x".repeat(1_500))]);
    }
    engine.drain();
    world.storage.fail(Fault {
        kind: FaultKind::Io,
        nth: 1,
        sticky: true,
        call: None,
        path: "logs/orders-0".to_owned(),
    });
    let config = GroupConfig {
        start: Start::ByDuration(3_600_000),
        ..GroupConfig::default()
    };
    engine.pump.wait(engine.engine.create_group("work", config)).unwrap();
    let error = engine.pump.wait(engine.engine.subscribe("work", "orders")).unwrap_err();
    assert!(matches!(error, AdminError::Log(_)), "{error}");
}

/// The limit of a creation that the journal had refused stayed with the name.
#[test]
fn a_refused_creation_leaves_no_limit_behind() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("filler");
    let filler = engine.group(
        "filler",
        "filler",
        GroupConfig {
            attempts: 1_000,
            ..GroupConfig::default()
        },
    );
    engine.produce("filler", &["f"]);
    world.stop_draining();
    let release = Outcome::Release {
        after: None,
        reason: Some("r".repeat(900)),
    };
    while let Some(one) = engine.try_acquire(&filler, 1).pop() {
        if engine.settle(&filler, vec![(one.lease, release.clone())]) != [SettleResult::Applied] {
            break;
        }
    }
    let config = |max_bytes| TopicConfig {
        max_bytes,
        ..TopicConfig::default()
    };
    let refused = engine
        .pump
        .wait(engine.engine.create_topic("orders", config(Some(4_096))));
    assert!(matches!(refused, Err(AdminError::Refused(_))), "{refused:?}");
    world.storage.heal();
    engine.advance(Duration::from_secs(2));
    engine
        .pump
        .wait(engine.engine.create_topic("orders", config(None)))
        .unwrap();
    engine.produce("orders", &[&"x".repeat(6_000)]);
}

/// Whoever waited for room in a window waited on when it had been made larger.
#[test]
fn a_larger_window_wakes_who_waits_for_it() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let config = |records| GroupConfig {
        window: WindowMode::Acquired(records),
        ..GroupConfig::default()
    };
    let member = engine.group("work", "orders", config(2));
    engine.produce("orders", &["a", "b", "c", "d"]);
    assert_eq!(engine.acquire(&member, 4).len(), 2);
    let waiting = member.acquire(4, u64::MAX, crate::share::AcquireMode::RecordLimit);
    let mut waiting = std::pin::pin!(waiting);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(waiting.as_mut(), &mut context).is_pending());
    engine.pump.run();
    engine.pump.wait(engine.engine.alter_group("work", config(10))).unwrap();
    let more = engine.pump.wait(waiting).unwrap();
    assert_eq!(offsets(&more), [(2, 1), (3, 1)]);
}

/// The limit of a checkpoint was a setting that nobody looked at.
#[test]
fn limits_of_checkpoints_and_notes_hold() {
    let mut world = World::new();
    world.config.limits.checkpoint_bytes = 100;
    world.config.limits.note_bytes = 20;
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let held = engine.acquire(&member, 2);
    let park = |size: usize| Outcome::Renew {
        after: Duration::ZERO,
        checkpoint: Some(Bytes::from(vec![0; size])),
    };
    let results = engine.settle(&member, vec![(held[0].lease, park(101)), (held[1].lease, park(100))]);
    assert!(
        matches!(&results[0], SettleResult::Refused(why) if why.by == RefusedBy::Never
            && why.reason == "101 bytes are more than the limit of 100"),
        "{results:?}"
    );
    assert_eq!(results[1], SettleResult::Applied);
    let release = Outcome::Release {
        after: None,
        reason: Some("r".repeat(50)),
    };
    engine.settle(&member, vec![(held[0].lease, release)]);
    let records = engine
        .pump
        .wait(engine.engine.records("work", "orders", 0, Offset::ZERO, 1))
        .unwrap();
    assert_eq!(records[0].notes, [format!("{}...", "r".repeat(17))]);
    drop(engine);
    for (checkpoint, note) in [(65_537, 1_024), (65_536, 1_025), (100, 3)] {
        world.config.limits.checkpoint_bytes = checkpoint;
        world.config.limits.note_bytes = note;
        assert!(
            matches!(world.try_open(), Err(OpenError::Config(_))),
            "{checkpoint} {note}"
        );
    }
}

/// The shard looked into the log itself, and everybody waited for its disk.
#[test]
fn a_group_that_begins_by_age_is_looked_for_by_the_reader() {
    let mut world = World::new();
    world.config.memory_window = 4 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    for number in 0..6 {
        engine.produce("orders", &[&format!("{number}-{}", "x".repeat(1_500))]);
        engine.jump_wall(60);
    }
    engine.drain();
    let config = GroupConfig {
        start: Start::ByDuration(150_000),
        ..GroupConfig::default()
    };
    engine.pump.wait(engine.engine.create_group("work", config)).unwrap();
    let handle = engine.engine.clone();
    let mut subscribing = std::pin::pin!(handle.subscribe("work", "orders"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(subscribing.as_mut(), &mut context).is_pending());
    let calls = world.storage.calls();
    engine.pump.step(Part::Shard);
    assert_eq!(world.storage.calls(), calls, "the shard reads no file");
    // Others are served, other changes wait, and a drain that comes between is no harm.
    assert_eq!(engine.produce("orders", &["new"]), [6]);
    engine.pump.step(Part::Drain);
    engine.pump.wait(subscribing).unwrap();
    let reset = ResetGroup {
        group: "work".to_owned(),
        topic: None,
        partition: None,
        to: ResetTo::Start(Start::ByDuration(210_000)),
        force: true,
    };
    let starts = |engine: &mut Running| {
        let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
        group.partitions[0].start
    };
    assert_eq!(starts(&mut engine), 4);
    let resetting = engine.engine.reset_group(reset);
    let creating = engine.engine.create_topic("later", TopicConfig::default());
    let both = async { (together(resetting, creating).await,) };
    let ((reset, created),) = engine.pump.wait(both);
    assert_eq!((reset, created), (Ok(()), Ok(())));
    assert_eq!(starts(&mut engine), 3);
}

/// A host that was down for longer than an attempt may last took the attempt of every record that had waited in it.
#[test]
fn what_was_given_back_untouched_costs_nothing_however_long_nobody_comes() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let config = GroupConfig {
        attempts: 1,
        max_lease_millis: 10_000,
        ..dead_letters("work.dead")
    };
    let member = engine.group("work", "orders", config);
    engine.produce("orders", &["a", "b"]);
    let held = engine.acquire(&member, 2);
    // One had been begun: its attempt goes on.
    let begun = Outcome::Renew {
        after: Duration::ZERO,
        checkpoint: None,
    };
    let outcomes = vec![(held[0].lease, Outcome::GiveBack), (held[1].lease, begun)];
    assert_eq!(engine.settle(&member, outcomes), [const { SettleResult::Applied }; 2]);
    engine.pump.wait(member.leave()).unwrap();
    engine.drain();
    for _ in 0..3 {
        engine.advance(Duration::from_secs(20));
        engine.jump_wall(20);
    }
    assert_eq!(engine.values("work.dead").len(), 1);
    drop(engine);
    world.clock.advance(Duration::from_secs(60));
    world.clock.jump_wall(60_000);
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    let held = engine.acquire(&member, 2);
    assert_eq!(offsets(&held), [(0, 1)]);
    assert_eq!(held[0].attempt_age, Duration::ZERO);
    // From here on it is an attempt as any other.
    engine.advance(Duration::from_secs(30));
    assert_eq!(engine.values("work.dead").len(), 2);
}

/// The checkpoints of one call were one entry: too large for any ring file, it was refused for good.
#[test]
fn checkpoints_of_one_call_are_as_many_entries_as_they_need() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    let names: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    engine.produce("orders", &names.iter().map(String::as_str).collect::<Vec<_>>());
    let held = engine.acquire(&member, 8);
    // Seven times 10 KiB on ring files of 64 KiB; the last one is plain.
    let outcome = |index: usize| {
        if index == 7 {
            return Outcome::Accept { emit: Vec::new() };
        }
        Outcome::Renew {
            after: Duration::from_secs(1),
            checkpoint: Some(Bytes::from(vec![7; 10 << 10])),
        }
    };
    let list = held.iter().enumerate().map(|(index, one)| (one.lease, outcome(index)));
    let results = engine.settle(&member, list.collect());
    assert_eq!(results, [const { SettleResult::Applied }; 8]);
}
