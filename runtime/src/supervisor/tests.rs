//! The loop as a whole, on one thread under paused time: scripted records through a native handler.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use share_engine::config::{EngineConfig, GroupConfig, TopicConfig};
use share_engine::engine::{Engine, Environment, SystemClock, SystemEntropy};
use share_engine::hook::Hook;
use share_engine::record::NewRecord;
use share_engine::storage::{CallKind, Fault, FaultKind, MemoryStorage};

use super::testing::{self, Scripted, World, local, spec};
use super::*;
use crate::handler::{CallEnd, InstanceMode};
use crate::shutdown::{Stage, Stages};
use crate::source::{Cause, EmbeddedSource, RefusedBy, ScriptedSource};

fn repeat(value: &'static str, count: usize) -> impl Iterator<Item = &'static str> {
    std::iter::repeat_n(value, count)
}

#[tokio::test(start_paused = true)]
async fn every_outcome_reaches_the_source() {
    local(async {
        let world = World::new(2, spec(4));
        world
            .source
            .produce(["accept", "reject", "release", "renew 1000", "trap", "panic"]);
        world.idle().await;
        let state = world.source.state();
        let applied: Vec<(&str, u64)> = state.applied.iter().map(|(name, count)| (*name, *count)).collect();
        // Release and trap use all five attempts; a renewal is parked three times and then accepted.
        assert_eq!(applied, [("accept", 2), ("reject", 2), ("release", 10), ("renew", 3)]);
        assert_eq!(world.source.counts(), [1, 1, 5, 1, 5, 1]);
        assert_eq!(world.source.terminal(), 6);
        let causes: Vec<Cause> = state
            .evidence
            .values()
            .map(|s| s.evidence.as_ref().unwrap().cause)
            .collect();
        assert_eq!(causes, [Cause::Reject, Cause::Release, Cause::Trap, Cause::HostCrash]);
        let totals = world.deployment.totals();
        assert_eq!(totals.archived.get("trap") + totals.archived.get("release"), 2);
        assert_eq!((totals.deliveries, state.stale), (17, 0));
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn back_off_spreads_the_attempts() {
    local(async {
        let world = World::new(1, spec(1));
        world.source.produce(["trap"]);
        let took = world.idle().await;
        // 1 + 2 + 4 + 8 seconds, a fifth more or less.
        assert!(
            took > Duration::from_secs(12) && took < Duration::from_secs(19),
            "{took:?}"
        );
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_linear_and_a_bound() {
    for (lanes, slots) in [(1, 1), (2, 1), (2, 3), (2, 8), (2, 64), (4, 256), (2, 1_000)] {
        local(async move {
            let world = World::new(lanes, spec(slots));
            let records = slots as usize * 10;
            world.source.produce(repeat("sleep 20", records));
            let took = world.idle().await;
            let linear = Duration::from_millis(20) * 10;
            assert!(
                took.as_secs_f64() < linear.as_secs_f64() / 0.9,
                "{slots} slots: {took:?}"
            );
            assert_eq!(world.factory.most_running.load(Ordering::SeqCst), slots as usize);
            assert_eq!(world.source.state().applied["accept"], records as u64);
            assert!(world.source.state().most_held <= 2 * slots as usize, "acquired to fit");
            world.drain().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_holds_no_more_than_its_places() {
    local(async {
        let world = World::new(2, spec(8));
        world.source.produce(repeat("sleep 1000", 80));
        world.idle().await;
        assert_eq!(world.source.state().most_held, 8);
        assert_eq!(world.source.state().renewed, 0);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_handler_stays_at_one_instance_a_lane() {
    local(async {
        let world = World::new(2, spec(64));
        world.source.produce(repeat("accept", 10_000));
        world.idle().await;
        assert_eq!(world.factory.opened.load(Ordering::SeqCst), 2);
        assert_eq!(world.source.state().applied["accept"], 10_000);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn idle_instances_are_dropped_and_come_back() {
    local(async {
        let world = World::new(1, spec(8));
        world.source.produce(repeat("sleep 100", 8));
        world.idle().await;
        assert_eq!(world.factory.opened.load(Ordering::SeqCst), 8);
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(world.factory.dropped.load(Ordering::SeqCst), 8);
        world.source.produce(["accept"]);
        world.idle().await;
        assert_eq!(world.factory.opened.load(Ordering::SeqCst), 9);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn instances_are_replaced_after_use_errors_and_each_record_in_fresh_mode() {
    local(async {
        let mut recycled = spec(1);
        recycled.max_instance_reuse = 100;
        let world = World::new(1, recycled);
        world.source.produce(repeat("accept", 1_000));
        world.idle().await;
        let opened = world.factory.opened.load(Ordering::SeqCst);
        assert!((8..=13).contains(&opened), "{opened}");
        world.source.produce(["trap", "accept"]);
        world.drain().await;

        let mut fresh = spec(1);
        fresh.instance = InstanceMode::Fresh;
        let world = World::new(1, fresh);
        world.source.produce(repeat("accept", 100));
        world.idle().await;
        assert_eq!(world.factory.opened.load(Ordering::SeqCst), 100);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_own_record_only() {
    local(async {
        let world = World::new(1, spec(4));
        world
            .source
            .produce(repeat("sleep 10", 3).chain(["panic"]).chain(repeat("sleep 10", 100)));
        world.idle().await;
        let state = world.source.state();
        assert_eq!((state.applied["accept"], state.applied["reject"]), (103, 1));
        assert_eq!(state.evidence[&3].evidence.as_ref().unwrap().cause, Cause::HostCrash);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_free_instance_costs_no_attempt() {
    local(async {
        let factory = Scripted::default();
        factory.refuse_open.store(4, Ordering::SeqCst);
        let world = World::with(1, spec(4), factory);
        world.source.produce(repeat("accept", 20));
        world.idle().await;
        let state = world.source.state();
        assert_eq!(state.applied["accept"], 20);
        assert_eq!(state.applied["give-back"], 4);
        assert!(world.source.counts().iter().all(|count| *count == 1));
        world.drain().await;
    })
    .await;
}

fn trap_at_start(times: usize) -> Scripted {
    let factory = Scripted {
        open_end: Some(CallEnd::Trap {
            code: "unreachable".to_owned(),
            message: "in the start section".to_owned(),
            backtrace: Vec::new(),
        }),
        ..Scripted::default()
    };
    factory.refuse_open.store(times, Ordering::SeqCst);
    factory
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_does_not_start_rests_and_costs_no_attempt() {
    local(async {
        let times = 1_000;
        let world = World::with(2, spec(16), trap_at_start(times));
        world.source.produce(repeat("accept", 200));
        tokio::time::sleep(Duration::from_mins(5)).await;
        let left = world.factory.refuse_open.load(Ordering::SeqCst);
        let tries = times - left;
        assert!((8..=30).contains(&tries), "{tries} tries in 5 minutes");
        assert_eq!(world.source.terminal(), 0);
        assert!(world.source.state().evidence.is_empty());
        let calls = world.deployment.totals().ends;
        assert_eq!((calls.get("trap"), calls.get("failed-start")), (0, tries as u64));
        // Mended: what waited is handled on its first attempt, soon.
        world.factory.refuse_open.store(0, Ordering::SeqCst);
        let mended = tokio::time::Instant::now();
        world.host.until_idle().await;
        assert!(mended.elapsed() < Duration::from_secs(40), "{:?}", mended.elapsed());
        assert_eq!(world.source.state().applied["accept"], 200);
        assert!(world.source.counts().iter().all(|count| *count == 1));
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_never_starts_ends_at_max_lease_and_says_why() {
    local(async {
        let mut short = spec(2);
        short.max_lease = Duration::from_secs(2);
        short.attempts = 1;
        let world = World::with(1, short, trap_at_start(usize::MAX));
        world.source.produce(["accept", "accept"]);
        world.idle().await;
        let evidence = world.source.state().evidence;
        assert_eq!(evidence.len(), 2);
        for settlement in evidence.values() {
            let evidence = settlement.evidence.as_ref().unwrap();
            let reason = evidence.reason.as_deref().unwrap();
            assert_eq!(evidence.cause, Cause::MaxLease);
            assert!(
                reason.contains("did not start: trap unreachable: in the start section"),
                "{reason}"
            );
        }
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_target_holds_up_its_own_records_only() {
    local(async {
        let world = World::new(1, spec(4));
        world.source.refuse_by(u64::MAX, RefusedBy::TargetFull);
        world.source.produce(["emit"].into_iter().chain(repeat("accept", 50)));
        tokio::time::sleep(Duration::from_mins(1)).await;
        let state = world.source.state();
        assert_eq!(state.applied["accept"], 50, "the others go on");
        let runs = state.deliveries - 50;
        assert!((5..=16).contains(&runs), "the call was made {runs} times in a minute");
        world.source.refuse(0);
        world.host.until_idle().await;
        assert_eq!(world.source.state().emitted, 1);
        assert!(world.source.counts().iter().all(|count| *count == 1));
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_refused_for_ever_is_a_failed_attempt() {
    local(async {
        let mut twice = spec(1);
        twice.attempts = 2;
        let world = World::new(1, twice);
        world.source.refuse_by(u64::MAX, RefusedBy::Never);
        world.source.produce(["emit"]);
        world.idle().await;
        let state = world.source.state();
        assert_eq!((state.refused, state.applied["release"]), (2, 2));
        let evidence = state.evidence[&0].evidence.as_ref().unwrap();
        assert_eq!(evidence.cause, Cause::Limit);
        assert_eq!(evidence.reason.as_deref(), Some("the outcome was refused: scripted"));
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_held_are_taken_off_the_credit() {
    local(async {
        let mut small = spec(100);
        // Eight bytes a record.
        small.max_waiting_bytes = 80;
        let world = World::new(2, small);
        world.source.produce(repeat("sleep 50", 400));
        world.idle().await;
        let state = world.source.state();
        assert_eq!(state.applied["accept"], 400);
        assert!((5..=12).contains(&state.most_held), "{}", state.most_held);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_gauges_of_load_fall_to_zero() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let value = |name: &str| {
        let text = shown.render();
        let line = text.lines().find(|line| line.starts_with(name));
        line.map(|line| line.rsplit(' ').next().unwrap().to_owned())
    };
    local(async {
        let world = World::new(1, spec(4));
        world.source.produce(repeat("sleep 900", 4));
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(value("sharemill_records_held").as_deref(), Some("4"));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(value("sharemill_records_held").as_deref(), Some("0"));
        assert_eq!(value("sharemill_records_settling").as_deref(), Some("0"));
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn draining_asks_running_calls_to_end() {
    local(async {
        let world = World::new(1, spec(2));
        world.source.produce(repeat("until-ending", 2));
        world.running(2).await;
        let source = world.source.clone();
        let began = tokio::time::Instant::now();
        world.drain().await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(source.state().applied["accept"], 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn leases_of_long_calls_are_extended() {
    local(async {
        let mut long = spec(4);
        long.deadline = Duration::from_mins(5);
        let world = World::new(2, long);
        world.source.produce(repeat("sleep 100000", 4));
        world.idle().await;
        let state = world.source.state();
        assert_eq!((state.applied["accept"], state.expired, state.stale), (4, 0, 0));
        assert!(state.renewed >= 4 * 5, "{}", state.renewed);
        assert_eq!(world.deployment.totals().renewals, state.renewed);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_dropped_after_its_deadline() {
    local(async {
        let mut stubborn = spec(2);
        stubborn.attempts = 1;
        let world = World::new(1, stubborn);
        world.source.produce(["never", "sleep 20"]);
        let took = world.idle().await;
        assert!(
            took >= Duration::from_secs(30) && took < Duration::from_secs(33),
            "{took:?}"
        );
        let state = world.source.state();
        assert_eq!(state.evidence[&0].evidence.as_ref().unwrap().cause, Cause::Deadline);
        assert_eq!(state.applied["accept"], 1);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_cancels_its_call_and_drops_the_outcome() {
    local(async {
        let world = World::new(1, spec(2));
        world.source.produce(["sleep 5000"]);
        world.running(1).await;
        world.source.lose_all_leases();
        world.idle().await;
        let state = world.source.state();
        // Lost once, delivered again: the first call was dropped, its outcome never sent.
        assert_eq!((state.applied["accept"], state.stale), (1, 0));
        assert_eq!(world.source.counts(), [2]);
        let totals = world.deployment.totals();
        assert_eq!((totals.dropped, totals.expiries), (1, 1));
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn refused_settlements_stop_acquisition_and_are_tried_again() {
    local(async {
        let world = World::new(1, spec(4));
        world.source.refuse(1_000);
        world.source.produce(repeat("accept", 200));
        tokio::time::sleep(Duration::from_secs(8)).await;
        let state = world.source.state();
        assert!(state.deliveries <= 200 && state.refused > 4);
        assert!(state.refused < 200, "backs off: {}", state.refused);
        world.source.refuse(0);
        world.idle().await;
        let state = world.source.state();
        assert_eq!((state.applied["accept"], state.expired), (200, 0));
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn draining_finishes_what_runs_and_gives_back_the_rest() {
    local(async {
        let world = World::new(2, spec(4));
        // Measured as quick, so that records stand ready.
        world.source.produce(repeat("accept", 100));
        world.idle().await;
        world.source.produce(repeat("sleep 3000", 100));
        world.running(4).await;
        let source = world.source.clone();
        let began = tokio::time::Instant::now();
        world.drain().await;
        let took = began.elapsed();
        assert!(
            took > Duration::from_secs(2) && took < Duration::from_secs(4),
            "{took:?}"
        );
        let state = source.state();
        assert_eq!(state.applied["accept"], 104);
        assert!(state.applied.get("give-back").is_some_and(|given| *given > 0));
        assert_eq!(state.deliveries, state.applied.values().sum::<u64>());
        assert!(state.left);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_drain_timeout_cancels_what_goes_on() {
    local(async {
        let mut long = spec(4);
        long.deadline = Duration::from_mins(5);
        let world = World::new(2, long);
        world
            .source
            .produce(repeat("until-cancelled", 2).chain(repeat("sleep 200000", 2)));
        world.running(4).await;
        let source = world.source.clone();
        let began = tokio::time::Instant::now();
        world.drain().await;
        let took = began.elapsed();
        assert!(
            took >= Duration::from_secs(30) && took < Duration::from_secs(33),
            "{took:?}"
        );
        assert_eq!(source.state().applied["give-back"], 4);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_second_signal_releases_at_once() {
    local(async {
        let world = World::new(2, spec(4));
        world.source.produce(repeat("sleep 20000", 4));
        world.running(4).await;
        let source = world.source.clone();
        let stages = Stages::default();
        stages.next();
        let began = tokio::time::Instant::now();
        let shutdown = world.shutdown(stages.subscribe());
        let second = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            stages.next();
            std::future::pending::<()>().await;
        };
        let report = tokio::select! {
            report = shutdown => report,
            () = second => unreachable!(),
        };
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(report, ShutdownReport::default());
        assert_eq!(source.state().applied["give-back"], 4);
        assert_eq!(*stages.subscribe().borrow(), Stage::Releasing);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn pause_and_resume() {
    local(async {
        let world = World::new(2, spec(4));
        world.deployment.pause();
        tokio::time::sleep(Duration::from_millis(100)).await;
        // A call of acquire that waits already may still be answered, once for each place.
        world.source.produce(repeat("accept", 100));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(world.source.state().deliveries <= 8);
        world.deployment.resume();
        world.idle().await;
        assert_eq!(world.source.terminal(), 100);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_away_is_asked_again() {
    local(async {
        let world = World::new(1, spec(4));
        world.source.set_unavailable(true);
        world.source.produce(["accept"]);
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(world.source.state().deliveries, 0);
        world.source.set_unavailable(false);
        world.idle().await;
        assert_eq!(world.source.terminal(), 1);
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_closes_is_told_of() {
    local(async {
        let world = World::new(1, spec(4));
        world.source.produce(["accept"]);
        world.idle().await;
        crate::source::Source::leave(&world.source).await;
        assert_eq!(world.deployment.failed().await, "source closed");
        world.drain().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_failed_for_good_ends_its_deployment() {
    for paused in [false, true] {
        local(async move {
            let world = World::new(1, spec(4));
            if paused {
                world.deployment.pause();
                world.source.produce(["accept"]);
            } else {
                world.source.produce(["sleep 50"]);
                world.running(1).await;
            }
            world.source.fail("the disk said no");
            let failed = tokio::time::timeout(Duration::from_secs(10), world.deployment.failed());
            assert_eq!(failed.await.unwrap(), "source failed: the disk said no");
            world.drain().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_failed_sync_of_the_journal_ends_the_deployment() {
    // On the real clock, for the engine has threads of its own.
    local(async {
        let storage = MemoryStorage::new(7);
        let clock: Arc<dyn share_engine::time::Clock> = Arc::new(SystemClock);
        let environment = Environment {
            storage: Arc::new(storage.clone()),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            hook: Hook::default(),
        };
        let (engine, _) = Engine::open_in(environment, EngineConfig::default()).unwrap();
        engine.create_topic("t", TopicConfig::default()).await.unwrap();
        engine.create_group("g", GroupConfig::default()).await.unwrap();
        engine.subscribe("g", "t").await.unwrap();
        let source = EmbeddedSource::join(engine.clone(), "g", "t").await.unwrap();
        let context = HostContext::new(clock, Arc::new(SystemEntropy));
        let pool = crate::lane::LanePool::local(1, &context);
        let mut host = Host::on(pool, HostOptions::default(), context);
        let deployment = host.deploy(spec(4), Arc::new(source), Scripted::default()).unwrap();
        storage.fail(Fault::nth(FaultKind::Io, 1).on(CallKind::Sync));
        let record = NewRecord {
            value: Some(bytes::Bytes::from_static(b"accept")),
            ..NewRecord::default()
        };
        engine.produce("t", None, vec![record]).await;
        let failed = tokio::time::timeout(Duration::from_secs(10), deployment.failed());
        let reason = failed.await.unwrap();
        assert!(
            reason.starts_with("source failed: the engine stopped and must be opened again"),
            "{reason}"
        );
        host.shutdown(Stages::default().subscribe()).await;
        assert!(engine.close().await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn poison_costs_the_others_little() {
    // The share of poison, and the virtual time that 2,000 good records of 5 ms took.
    let mut took = Vec::new();
    for every in [0, 100, 10] {
        local(async {
            let world = World::new(2, spec(16));
            let values = (1..=2_000).map(|n| if every > 0 && n % every == 0 { "trap" } else { "sleep 5" });
            world.source.produce(values);
            let poison = 2_000_u64.checked_div(every).unwrap_or(0);
            while world.source.state().applied.get("accept").copied().unwrap_or(0) < 2_000 - poison {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            took.push(world.began.elapsed());
            world.idle().await;
            assert_eq!(world.source.terminal(), 2_000);
            let attempts: u64 = world.source.counts().iter().map(|count| u64::from(*count)).sum();
            assert_eq!(attempts, 2_000 - poison + 5 * poison, "attempts are exact");
            world.drain().await;
        })
        .await;
    }
    assert!(took[1] < took[0] * 10 / 9 && took[2] < took[0] * 10 / 9, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wedged_lane_loses_its_leases_and_gets_nothing_new() {
    local(async {
        let world = World::with_dead_lane(2, spec(4));
        // Two of the four go to the lane that does nothing.
        world.source.produce(repeat("sleep 10", 4));
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.source.produce(repeat("sleep 10", 100));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(world.source.state().applied["accept"], 102, "the other lane goes on");
        assert_eq!(world.source.state().renewed, 0);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let state = world.source.state();
        assert_eq!((state.expired, state.applied["accept"]), (2, 104));
        assert_eq!(world.deployment.totals().expiries, 2);
        let source = world.source.clone();
        let report = world.shutdown(Stages::default().subscribe()).await;
        assert_eq!(report.abandoned, 2, "still with the lane, though their leases are gone");
        assert!(source.state().left);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn deployments_of_one_group_and_topic_are_refused() {
    local(async {
        let mut world = World::new(1, spec(1));
        let source = Arc::new(world.source.clone());
        let mut same = spec(1);
        let refused = world.host.deploy(same.clone(), source.clone(), Scripted::default());
        assert!(matches!(refused, Err(DeployError::Duplicate(_))));
        same.name = Arc::from("other");
        let refused = world.host.deploy(same, source, Scripted::default());
        assert!(matches!(refused, Err(DeployError::SameGroup { .. })));
        world.drain().await;
    })
    .await;
}

#[tokio::test]
async fn two_busy_deployments_share_a_lane_by_time() {
    // On the real clock, for slices are measured on it: one handler holds the lane ten times as long as the other.
    local(async {
        let mut world = World::new(1, spec(8));
        let context = testing::context();
        let other = ScriptedSource::new(context.clock, DeploymentSpec::LOCK, 5);
        let mut second = spec(8);
        second.name = Arc::from("second");
        second.topic = Arc::from("other");
        let handle = world
            .host
            .deploy(second, Arc::new(other.clone()), Scripted::default())
            .unwrap();
        world.source.produce(repeat("spin 100", 20_000));
        other.produce(repeat("spin 1000", 2_000));
        while handle.totals().ends.get("accept") < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (short, long) = (world.deployment.totals(), handle.totals());
        let short = short.ends.get("accept") * 100;
        let long = long.ends.get("accept") * 1_000;
        assert!(short * 10 > long * 6 && short * 10 < long * 17, "{short} {long}");
        let stages = Stages::default();
        stages.release();
        world.shutdown(stages.subscribe()).await;
    })
    .await;
}
