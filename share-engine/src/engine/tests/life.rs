//! From open to close: what is left alone, what is told, and how an engine ends whatever happens to its threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::harness::*;
use crate::config::{EngineConfig, GroupConfig, TopicConfig};
use crate::engine::open::build;
use crate::engine::{Engine, Environment, Settlement, SystemClock, SystemEntropy, block_on, threads};
use crate::error::{AdminError, Fenced, OpenError, ProduceError, SettleResult};
use crate::hook::{Hook, Phase};
use crate::ids::Offset;
use crate::journal::Durability;
use crate::share::AcquireMode;
use crate::storage::{CallKind, CrashPlan, Fault, FaultKind, MemoryStorage};

fn environment(storage: &MemoryStorage, hook: Hook) -> Environment {
    Environment {
        storage: Arc::new(storage.clone()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        hook,
    }
}

fn small() -> EngineConfig {
    World::small().config
}

fn panics_at(place: Phase) -> Hook {
    Hook::new(move |phase| assert!(phase != place, "a bug at {phase:?}"))
}

/// A thread that panicked left the others waiting, and nobody was told which it was and what it had said.
#[test]
fn a_thread_that_panics_is_told_and_ends_the_engine() {
    for (thread, place) in [
        ("shard", Phase::Extending),
        ("drain", Phase::LogsSynced),
        ("journal", Phase::BeforeSync),
    ] {
        let storage = MemoryStorage::new(3);
        let (engine, _) = Engine::open_in(environment(&storage, Hook::default()), small()).unwrap();
        block_on(async {
            engine.create_topic("orders", TopicConfig::default()).await.unwrap();
            engine.create_group("work", GroupConfig::default()).await.unwrap();
            engine.subscribe("work", "orders").await.unwrap();
            engine.produce("orders", None, vec![record("a")]).await;
            engine.close().await.unwrap();
        });
        let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let inner = panics_at(place);
        let (watch, fire) = (Arc::clone(&armed), inner);
        let hook = Hook::new(move |phase| {
            if watch.load(std::sync::atomic::Ordering::SeqCst) {
                fire.reach(phase);
            }
        });
        let (engine, _) = Engine::open_in(environment(&storage, hook), small()).unwrap();
        block_on(async {
            let member = engine.join("work", &["orders"]).await.unwrap();
            let held = member.acquire(1, u64::MAX, AcquireMode::RecordLimit).await.unwrap();
            armed.store(true, std::sync::atomic::Ordering::SeqCst);
            match thread {
                "shard" => drop(member.renew(vec![held[0].lease]).await),
                "drain" => assert_eq!(engine.drain().await, Err(AdminError::Closed)),
                _ => assert_eq!(
                    engine.produce("orders", None, vec![record("b")]).await,
                    [Err(ProduceError::Closed)]
                ),
            }
            let said = engine.close().await.unwrap_err().reason;
            // The shard commits as well.
            let by = if place == Phase::BeforeSync && said.contains("thread shard") {
                "shard"
            } else {
                thread
            };
            let expected = format!("engine thread {by} panicked: a bug at {place:?}");
            assert_eq!(said, expected);
            let stats = engine.stats();
            assert_eq!(
                (stats.died, stats.last_failure),
                (Some(expected.clone()), Some(expected))
            );
            // Everything is answered.
            let produced = engine.produce("orders", None, vec![record("c")]).await;
            assert_eq!(produced, [Err(ProduceError::Closed)]);
            assert_eq!(engine.drain().await, Err(AdminError::Closed));
            let acquired = member.acquire(1, u64::MAX, AcquireMode::RecordLimit).await;
            assert!(matches!(acquired, Err(AdminError::Closed)));
            let settlement = Settlement {
                lease: held[0].lease,
                outcome: accept(),
                evidence: None,
            };
            assert_eq!(member.settle(vec![settlement]).await, [SettleResult::Unknown]);
        });
        // What had been answered is there.
        let (engine, _) = Engine::open_in(environment(&storage, Hook::default()), small()).unwrap();
        let batches = block_on(engine.read("orders", 0, Offset::ZERO, 1 << 20)).unwrap();
        assert!(!batches.is_empty());
        block_on(engine.close()).unwrap();
    }
}

/// Those threads that had been started ran on, with the directory in their hands.
#[test]
fn an_open_that_cannot_start_a_thread_ends_those_that_run() {
    for nth in 0..4 {
        let environment = environment(&MemoryStorage::new(3), Hook::default());
        let storage = Arc::clone(&environment.storage);
        let (engine, parts, _) = build(environment, small()).unwrap();
        let mut started = 0;
        let result = parts.start(&engine, &mut |name, body| {
            if started == nth {
                return Err(std::io::ErrorKind::WouldBlock.into());
            }
            started += 1;
            threads::spawn(name, body)
        });
        let names = ["journal", "shard", "drain", "reader"];
        match result {
            Err(OpenError::Io { context, .. }) => assert_eq!(context, format!("cannot start thread {}", names[nth])),
            other => panic!("{other:?}"),
        }
        let refused = block_on(engine.create_topic("orders", TopicConfig::default()));
        assert_eq!(refused, Err(AdminError::Closed));
        drop(engine);
        assert_eq!(Arc::strong_count(&storage), 1, "nobody holds it any more");
    }
}

/// The first of two that closed at the same time was told that all was well, whatever came of it.
#[test]
fn all_who_close_learn_the_same() {
    for broken in [false, true] {
        let storage = MemoryStorage::new(3);
        let (engine, _) = Engine::open_in(environment(&storage, Hook::default()), small()).unwrap();
        if broken {
            storage.fail(Fault::nth(FaultKind::Io, 1).on(CallKind::Sync).sticky());
        }
        let closers: Vec<_> = (0..4)
            .map(|_| {
                let engine = engine.clone();
                std::thread::spawn(move || block_on(engine.close()))
            })
            .collect();
        let results: Vec<Result<(), Fenced>> = closers.into_iter().map(|one| one.join().unwrap()).collect();
        assert!(
            results.iter().all(|one| *one == results[0] && one.is_err() == broken),
            "{results:?}"
        );
        assert_eq!(block_on(engine.close()), results[0]);
    }
}

/// Something else in the folder of the logs kept the directory from being opened, or was taken for a log and removed.
#[test]
fn what_is_not_a_log_of_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Engine::open(folder.path(), EngineConfig::default()).unwrap().0;
    let engine = open();
    block_on(engine.create_topic("orders", TopicConfig::default())).unwrap();
    block_on(engine.close()).unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir_all(logs.join("lost+found")).unwrap();
    std::fs::create_dir_all(logs.join("orders-7")).unwrap();
    for file in ["readme", "orders-3", "lost+found/inside"] {
        std::fs::write(logs.join(file), "x").unwrap();
    }
    block_on(open().close()).unwrap();
    let mut left: Vec<_> = std::fs::read_dir(&logs)
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["lost+found", "orders-3", "readme"]);
    assert!(logs.join("lost+found/inside").exists());
}

/// A drain looked twice whether the directory is still its own: what was taken away in between, it wrote to all the same, or removed
/// files of.
#[test]
fn a_drain_that_loses_its_directory_goes_no_further() {
    let mut seen = BTreeSet::new();
    for after in 0.. {
        let world = World::new();
        let mut engine = world.open();
        let config = TopicConfig {
            partitions: 3,
            ..TopicConfig::default()
        };
        engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
        for _ in 0..2 {
            for partition in 0..3 {
                let results = engine
                    .pump
                    .wait(engine.engine.produce("orders", Some(partition), vec![record("a")]));
                assert!(results.iter().all(Result::is_ok), "{results:?}");
            }
            if world.storage.files().iter().all(|file| !file.starts_with("snapshots/")) {
                engine.drain();
            }
        }
        let names = |start: &str, end: &str| -> Vec<String> {
            let mut files = world.storage.files();
            files.retain(|file| file.starts_with(start) && file.ends_with(end));
            files
        };
        let logs = names("logs/", ".log");
        let lengths = || logs.iter().map(|file| world.storage.contents(file).len());
        let before: Vec<_> = lengths().collect();
        world.storage.lose_after(world.storage.calls() + after);
        let drained = engine.pump.wait(engine.engine.drain());
        let grown = lengths().zip(&before).filter(|(now, before)| now > *before).count();
        seen.insert((grown, names("snapshots/", ".snap").len()));
        if drained.is_ok() {
            break;
        }
        // Whoever has put it back in time finds all as it was.
        world.storage.heal();
        engine.drain();
        let read = engine
            .pump
            .wait(engine.engine.read("orders", 2, Offset::ZERO, u64::MAX));
        assert_eq!(read.unwrap().len(), 2, "{after}");
    }
    // Logs that were written to, and snapshots.
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        [(0, 1), (1, 1), (2, 1), (3, 1), (3, 2)]
    );
}

/// An open failed in its sync, and the next one read from the page cache what was not on the disk: where answers do not
/// wait for the disk it was synced, not written again, so that the first loss of power left a journal which knew of more
/// than it held, and the engine did not open any more.
#[test]
fn what_a_failed_sync_left_in_the_page_cache_is_written_again_at_open() {
    let mut world = World::new();
    world.config.durability = Durability::Os;
    let mut engine = world.open();
    engine.topic("orders");
    for _ in 0..5 {
        engine.produce("orders", &[&"x".repeat(2_000)]);
    }
    drop(engine);
    // Which of the unsynced writes a failed sync brings to the disk is up to the seed.
    for seed in 0..8 {
        let world = world.after(world.storage.fork(seed));
        let fault = Fault::nth(FaultKind::Io, 1).on(CallKind::Sync);
        world.storage.fail(Fault {
            path: "journal".to_owned(),
            ..fault
        });
        assert!(world.try_open().is_err());
        world.storage.heal();
        drop(world.open());
        let mut left = world.after(world.storage.crash(CrashPlan::Lose)).open();
        assert_eq!(left.values("orders").len(), 5);
    }
}

/// What was produced after that was acknowledged, and in no directory.
#[test]
fn nothing_is_drained_into_a_directory_that_took_the_place_of_ours() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("data");
    let (engine, _) = Engine::open(&root, EngineConfig::default()).unwrap();
    block_on(async {
        engine.create_topic("orders", TopicConfig::default()).await.unwrap();
        engine.produce("orders", None, vec![record("a")]).await[0]
            .as_ref()
            .unwrap();
        std::fs::rename(&root, place.path().join("aside")).unwrap();
        std::fs::create_dir(&root).unwrap();
        engine.drain().await.unwrap_err();
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
        // The journal may have been asked already whether it is still ours.
        drop(engine.close().await);
    });
}

#[test]
fn an_engine_whose_directory_was_taken_away_takes_nothing_more() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("data");
    let (engine, _) = Engine::open(&root, EngineConfig::default()).unwrap();
    block_on(async {
        engine.create_topic("orders", TopicConfig::default()).await.unwrap();
        std::fs::rename(&root, place.path().join("aside")).unwrap();
        let fenced = loop {
            if let Err(error) = &engine.produce("orders", None, vec![record("a")]).await[0] {
                break error.clone();
            }
        };
        let text = fenced.to_string();
        assert!(
            matches!(fenced, ProduceError::Fenced(_)) && text.contains(" was removed, moved or mounted over "),
            "{text}"
        );
        assert!(engine.stats().lost.is_some());
        engine.close().await.unwrap_err();
    });
}
