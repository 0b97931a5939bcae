//! Power loss after every storage call of short scripts. What is opened afterwards is compared with what the script
//! had been told.

use super::harness::World;
use super::oracle::{Driver, check};
use super::scripts::{ALL, Script, world};
use crate::storage::{CrashPlan, MemoryStorage};

/// Fates of what was not synced, for each cut: all lost, all kept, and as many by chance.
const RANDOM: u64 = 16;

fn plans(cut: u64) -> impl Iterator<Item = CrashPlan> {
    let random = (0..RANDOM).map(move |seed| CrashPlan::Random(seed * 100_003 + cut));
    [CrashPlan::Lose, CrashPlan::Keep].into_iter().chain(random)
}

/// Recoveries that are cut short, for each cut.
const AGAIN: u64 = 3;

/// Cuts after each call, and cuts some of the recoveries that follow. Returns the number of states that were looked at. The shard commits by itself, or leaves it to the journal.
fn sweep(script: &Script, together: bool) -> u64 {
    let (name, least, run) = script;
    let world = |name| World {
        together,
        ..world(name)
    };
    let mut whole = Driver::new(world(name));
    run(&mut whole);
    assert!(!whole.dead, "{name} failed without a fault");
    let calls = whole.world.storage.calls();
    assert!(
        calls >= *least,
        "{name} makes {calls} storage calls, at least {least} were expected"
    );
    let mut states = 0;
    for cut in 0..=calls {
        let world = world(name);
        world.storage.stop_after(cut);
        let mut driver = Driver::new(world);
        run(&mut driver);
        for plan in plans(cut) {
            let left = driver.world.after(driver.world.storage.crash(plan));
            let what = format!("{name}, cut after call {cut} of {calls}, {plan:?}");
            check(left, &driver.ledger, driver.value_bytes, &what);
            states += 1;
        }
        states += cut_recovery(&driver, cut, &format!("{name}, cut after call {cut} of {calls}"));
    }
    states
}

/// The process was killed or the power failed, and the machine stops again while it recovers: what the second life did is lost or kept in every way, and counts for nothing.
fn cut_recovery(driver: &Driver, cut: u64, what: &str) -> u64 {
    let fate = |number: u64| match (cut + number) % 6 {
        0 => CrashPlan::Lose,
        1 => CrashPlan::Keep,
        _ => CrashPlan::Random(cut * 31 + number),
    };
    let (first, disk) = if cut.is_multiple_of(2) {
        // What was not synced is still there, and may be lost by the second end.
        ("killed".to_owned(), driver.world.storage.fork(cut))
    } else {
        (format!("{:?}", fate(0)), driver.world.storage.crash(fate(0)))
    };
    let calls = recover_until(driver, &disk.fork(cut), u64::MAX);
    for number in 0..AGAIN {
        // Over all cuts every call of a recovery has its turn.
        let stop = (cut * AGAIN + number) % (calls + 1);
        let second = disk.fork(cut + number);
        recover_until(driver, &second, stop);
        let plan = fate(number + 1);
        let what = format!("{what}, {first}, recovery cut after call {stop} of {calls}, {plan:?}");
        let left = driver.world.after(second.crash(plan));
        check(left, &driver.ledger, driver.value_bytes, &what);
    }
    AGAIN
}

/// The number of calls that it took.
fn recover_until(driver: &Driver, disk: &MemoryStorage, stop: u64) -> u64 {
    disk.stop_after(stop);
    drop(driver.world.after(disk.clone()).try_open());
    disk.calls()
}

fn visit(name: &str) {
    let script = ALL.iter().find(|script| script.0 == name).unwrap();
    for together in [false, true] {
        let states = sweep(script, together);
        println!("{name}: {states} states");
        assert!(states >= least(script), "{name}: {states} states are too few");
    }
}

/// States of a script, in each way of committing.
const fn least(script: &Script) -> u64 {
    script.1 * (RANDOM + 2 + AGAIN)
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { visit(stringify!($name)); })*

        #[test]
        fn every_script_has_a_test() {
            let names: Vec<_> = ALL.iter().map(|script| script.0).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            let states: u64 = ALL.iter().map(|script| 2 * least(script)).sum();
            println!("at least {states} states in all");
            assert!(states >= 30_000, "{states} states are too few");
        }
    };
}

scripts! {
    produce ride acquire settle park emit reject limit redrive drain snapshot wrap roll catalog strikes close cold growth
    retention
}
