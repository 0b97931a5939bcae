//! Random operations on a share partition and on a naive model that shares no code with it: after each one every record,
//! every count and every offset is the same in both. Transitions fail, time passes, the log start moves, the process dies
//! and comes back from a snapshot and the changes behind it; at the end every record is delivered to an end.
//!
//! `SHARE_MODEL_CASES` sets the number of cases of each test (default 5,000, so that there are 10,000 in all), each of 200
//! operations.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod model;
mod seen;
mod words;
mod world;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use world::{Op, Rules, World};

fn op() -> impl Strategy<Value = Op> {
    let small = 0_usize..12;
    let verdicts = prop::collection::vec((0_u8..11, 0_u64..30), 1..6);
    let batch = (0_u64..3, 0_u64..10, prop::collection::vec(0_u8..5, 1..5));
    let acquire = (0_u32..4, any::<bool>(), 0_u32..12, 1_u32..7, 1_usize..4);
    prop_oneof![
        8 => (1_u64..8, prop::bool::weighted(0.05)).prop_map(|(length, hole)| Op::Produce { length, hole }),
        1 => (0_usize..4).prop_map(|index| Op::Compact { index }),
        20 => acquire.prop_map(|(member, exact, max, batch_size, batches)| {
            Op::Acquire { member, exact, max, batch_size, batches }
        }),
        20 => (small.clone(), verdicts).prop_map(|(first, verdicts)| Op::Settle { first, verdicts }),
        8 => (0_u32..4, prop::collection::vec(batch, 1..4))
            .prop_map(|(member, batches)| Op::Acknowledge { member, batches }),
        4 => (small.clone(), small).prop_map(|(first, length)| Op::Extend { first, length }),
        2 => (0_u32..4).prop_map(|member| Op::Leave { member }),
        12 => (1_u64..20).prop_map(|steps| Op::Pass { steps }),
        12 => Just(Op::Timeout),
        28 => prop::bool::weighted(0.9).prop_map(|durable| Op::Journal { durable }),
        2 => (0_u64..20).prop_map(|by| Op::LogStart { by }),
        1 => (0_u64..20).prop_map(|by| Op::Retire { by }),
        1 => (0_u64..3).prop_map(|by| Op::Reset { by }),
        2 => Just(Op::Snapshot),
        1 => Just(Op::Crash),
        2 => Just(Op::Compare),
    ]
}

/// Limits as small as they may be, windows that are soon full, offsets beside the ends of blocks and chunks.
fn rules(kafka: bool) -> impl Strategy<Value = Rules> {
    let lease = prop::option::of(Just(7_000)).prop_map(move |max| max.filter(|_| !kafka));
    let archive = prop_oneof![Just(1_u32), Just(3), Just(u32::MAX)];
    let start = prop_oneof![Just(0_u64), Just(50), Just(1_000)];
    (1_u16..8, 3_u32..40, 20_u64..60, lease, archive, start).prop_map(
        move |(limit, window, span_limit, max_lease, archive_limit, start)| Rules {
            kafka,
            window,
            span_limit,
            limit,
            max_lease,
            archive_limit,
            start,
        },
    )
}

/// Operations of which shrinking can drop any.
struct Ops(Vec<Option<Op>>);

impl std::fmt::Debug for Ops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().flatten().try_for_each(|op| writeln!(f, "{op:?}"))
    }
}

fn ops() -> impl Strategy<Value = Ops> {
    prop::collection::vec(prop::option::weighted(0.999, op()), 200).prop_map(Ops)
}

/// What must have happened in a run of many cases, under any rules.
const ALWAYS: [&str; 34] = [
    "acknowledged several batches",
    "archived in parts",
    "archived: Crash",
    "archived: Gap",
    "archived: Limit",
    "archived: Reject",
    "archived: Retention",
    "compared with the journal",
    "continued",
    "crash behind a jump",
    "crash behind a refused expiry",
    "dropped",
    "expired",
    "extended",
    "full hands",
    "full window",
    "holes",
    "in transition",
    "jumped",
    "log start answered in a reset",
    "more than asked for",
    "no request",
    "no state",
    "parked",
    "refused",
    "refused expiry",
    "refused log start",
    "rolled back after a batch that fits",
    "split",
    "stale",
    "given back",
    "struck",
    "two log starts under way",
    "waiting",
];

fn run(kafka: bool, besides: &[&str]) {
    let cases = std::env::var("SHARE_MODEL_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse().ok()).unwrap_or(5_000);
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&(rules(kafka), ops()), |(rules, ops)| {
        let mut world = World::new(rules);
        ops.0.iter().flatten().for_each(|op| world.step(op));
        world.finish();
        Ok(())
    });
    let seen = seen::seen();
    result.unwrap_or_else(|error| panic!("{error}"));
    for what in ALWAYS.iter().chain(besides).filter(|_| cases >= 2_000) {
        assert!(seen.get(what).is_some_and(|times| *times > 0), "never {what}: {seen:?}");
    }
}

/// The host's rules: exact limits, parking, `max-lease`.
#[test]
fn a_host_partition_is_like_the_model() {
    run(false, &["exhausted", "too long"]);
}

/// Kafka's rules: a window of offsets, throttling.
#[test]
fn a_wire_partition_is_like_the_model() {
    run(true, &["throttled"]);
}

/// It is worth a comparison only while it is simple, and its own.
#[test]
fn the_model_is_naive() {
    let files = [
        include_str!("model/acquire.rs"),
        include_str!("model/mod.rs"),
        include_str!("model/settle.rs"),
        include_str!("model/time.rs"),
        include_str!("words.rs"),
    ];
    for file in files {
        assert!(file.lines().count() <= 200, "{}", file.lines().count());
        assert!(!file.contains("share_engine"));
    }
}
