//! Power loss after every storage call of short scripts. What is opened afterwards is compared with what the script
//! had been told.

use super::harness::World;
use super::oracle::{Driver, check};
use super::scripts::{ALL, CUT, Script, world};
use crate::storage::CrashPlan;

/// Fates of what was not synced, for each cut: all lost, all kept, and as many by chance.
const RANDOM: u64 = 16;

fn plans(cut: u64) -> impl Iterator<Item = CrashPlan> {
    let random = (0..RANDOM).map(move |seed| CrashPlan::Random(seed * 100_003 + cut));
    [CrashPlan::Lose, CrashPlan::Keep].into_iter().chain(random)
}

/// Cuts after each call and returns the number of states that were looked at. The shard commits by itself, or leaves it to the journal.
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
    }
    states
}

fn visit(name: &str) {
    let script = ALL.iter().chain(CUT).find(|script| script.0 == name).unwrap();
    for together in [false, true] {
        let states = sweep(script, together);
        println!("{name}: {states} states");
        assert!(states >= script.1 * (RANDOM + 2), "{name}: {states} states are too few");
    }
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { visit(stringify!($name)); })*

        #[test]
        fn every_script_has_a_test() {
            let names: Vec<_> = ALL.iter().chain(CUT).map(|script| script.0).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

scripts! {
    produce ride acquire settle park emit reject limit redrive drain snapshot wrap roll catalog strikes close cold growth
}
