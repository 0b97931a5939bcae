//! The n-th storage call fails, once or from then on. Answers are typed, a fenced engine says so, any other goes on when the
//! disk is well again, and what had been answered is there after the next open.

use super::harness::*;
use super::oracle::{Driver, check};
use super::scripts::{ALL, Script, world};
use crate::config::GroupConfig;
use crate::error::{AdminError, ProduceError, SettleResult};
use crate::storage::{CallKind, CrashPlan, Fault, FaultKind};

const KINDS: [FaultKind; 4] = [
    FaultKind::Io,
    FaultKind::NoSpace,
    FaultKind::Short,
    FaultKind::Interrupted,
];

/// Fails each call in each way and returns the number of states that were looked at.
fn sweep(script: &Script) -> u64 {
    let (name, least, run) = script;
    let mut whole = Driver::new(world(name));
    run(&mut whole);
    let calls = whole.world.storage.calls();
    assert!(
        calls >= *least,
        "{name} makes {calls} storage calls, at least {least} were expected"
    );
    let mut states = 0;
    for nth in 1..=calls {
        for (kind, sticky) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
            // Who commits takes turns; a fault that stays and one that passes meet both.
            let world = World {
                together: (nth + u64::from(sticky)) % 2 == 0,
                ..world(name)
            };
            let fault = Fault::nth(kind, nth);
            world.storage.fail(if sticky { fault.sticky() } else { fault });
            let mut driver = Driver::stubborn(world);
            run(&mut driver);
            driver.world.storage.heal();
            let what = format!("{name}, {kind:?} at call {nth} of {calls}, sticky {sticky}");
            if kind == FaultKind::Interrupted && !sticky {
                assert!(driver.is_unharmed(), "{what}: an interrupted call is made again");
                continue;
            }
            let other = if nth.is_multiple_of(2) {
                CrashPlan::Keep
            } else {
                CrashPlan::Random(nth)
            };
            for plan in [CrashPlan::Lose, other] {
                let left = driver.world.after(driver.world.storage.crash(plan));
                check(left, &driver.ledger, driver.value_bytes, &format!("{what}, {plan:?}"));
                states += 1;
            }
            driver.go_on(&what);
            let left = driver.world.after(driver.world.storage.crash(CrashPlan::Lose));
            check(left, &driver.ledger, driver.value_bytes, &format!("{what}, gone on"));
            states += 1;
        }
    }
    states
}

fn visit(name: &str) {
    let script = ALL.iter().find(|script| script.0 == name).unwrap();
    let states = sweep(script);
    println!("{name}: {states} states");
    assert!(states >= script.1 * 21, "{name}: {states} states are too few");
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { visit(stringify!($name)); })*

        #[test]
        fn every_script_has_a_test() {
            let names: Vec<_> = ALL.iter().map(|script| script.0).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

scripts! {
    produce ride acquire settle park emit reject limit redrive drain snapshot wrap roll catalog strikes close cold growth
    retention
}

#[test]
fn a_failed_sync_fences_the_engine_until_it_is_opened_again() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let held = engine.acquire(&member, 1);
    world.storage.fail(Fault::nth(FaultKind::Io, 1).on(CallKind::Sync));
    let lost = engine.try_produce("orders", &["c"]);
    assert!(matches!(lost, Err(ProduceError::Fenced(_))), "{lost:?}");
    assert_eq!(
        engine.settle(&member, vec![(held[0].lease, accept())]),
        [SettleResult::Unknown]
    );
    assert!(matches!(
        engine.try_produce("orders", &["d"]),
        Err(ProduceError::Fenced(_))
    ));
    let acquired = engine
        .pump
        .wait(member.acquire(1, u64::MAX, crate::share::AcquireMode::RecordLimit));
    assert!(matches!(acquired, Err(AdminError::Fenced(_))));
    assert!(engine.pump.wait(engine.engine.close()).is_err());
    drop(engine);
    let mut engine = world.open();
    let values: Vec<_> = engine.values("orders").into_iter().map(|(_, value)| value).collect();
    assert!(values == ["a", "b"] || values == ["a", "b", "c"], "{values:?}");
}

/// While the logs cannot grow, produces go on up to three quarters of the ring, and settlements beyond it.
#[test]
fn a_full_disk_stops_produces_at_three_quarters_of_the_ring_and_freed_space_resumes_them() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    world.storage.set_capacity(0);
    let long = "x".repeat(4_000);
    let mut bytes = 0_u64;
    let full = loop {
        match engine.try_produce("orders", &[&long]) {
            Ok(_) => bytes += 4_000,
            Err(error) => break error,
        }
        assert!(bytes < 128 << 10, "the ring takes more than it has");
    };
    assert!(
        matches!(full, ProduceError::JournalFull { used, limit } if used <= limit),
        "{full:?}"
    );
    assert!(bytes > 64 << 10, "only {bytes} bytes were taken");
    assert!(engine.engine.stats().drain_failures > 0);
    let held = engine.acquire(&member, 2);
    engine.accept(&member, &held);
    world.storage.set_capacity(1 << 30);
    engine.advance(std::time::Duration::from_secs(2));
    engine.produce("orders", &[&long]);
}

#[test]
fn the_reserve_is_given_up_on_a_full_disk_and_made_again() {
    let mut world = World::new();
    world.config.reserve_bytes = 256 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    engine.produce("orders", &["a"]);
    engine.drain();
    let reserve = || world.storage.files().contains(&"reserve".to_owned());
    assert!(reserve());
    let used: usize = world
        .storage
        .files()
        .iter()
        .map(|file| world.storage.contents(file).len())
        .sum();
    world.storage.set_capacity(used as u64);
    engine.produce("orders", &["b"]);
    engine.drain();
    assert!(!reserve());
    world.storage.set_capacity(1 << 30);
    engine.produce("orders", &["c"]);
    engine.drain();
    assert!(reserve());
    drop(engine);
    assert_eq!(world.open().values("orders").len(), 3);
}
