//! Random operations on a share partition and on a naive model that shares no code with it: after each one every record
//! looks the same in both. Transitions fail, time passes, the log start moves, the process dies and comes back from a
//! snapshot and the changes behind it.
//!
//! `SHARE_MODEL_CASES` sets the number of cases of each test (default 2,000), each of 200 operations.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod model;
mod world;

use proptest::prelude::*;
use world::{Op, Rules, World};

fn op() -> impl Strategy<Value = Op> {
    let small = 0_u64..12;
    prop_oneof![
        8 => (1_u64..8, prop::bool::weighted(0.05)).prop_map(|(length, hole)| Op::Produce { length, hole }),
        20 => (0_u32..4, 1_u32..12, 1_usize..4).prop_map(|(member, max, batches)| Op::Acquire { member, max, batches }),
        24 => (small.clone(), prop::collection::vec((0_u8..10, 0_u64..30), 1..6))
            .prop_map(|(first, verdicts)| Op::Settle { first, verdicts }),
        6 => (0_u32..4, small.clone(), prop::collection::vec(0_u8..5, 1..5))
            .prop_map(|(member, first, types)| Op::Acknowledge { member, first, types }),
        4 => (small.clone(), small.clone()).prop_map(|(first, length)| Op::Extend { first, length }),
        2 => (0_u32..4).prop_map(|member| Op::Leave { member }),
        12 => (1_u64..20).prop_map(|steps| Op::Pass { steps }),
        12 => Just(Op::Timeout),
        28 => prop::bool::weighted(0.9).prop_map(|durable| Op::Journal { durable }),
        2 => (0_u64..20).prop_map(|by| Op::LogStart { by }),
        1 => (0_u64..3).prop_map(|by| Op::Reset { by }),
        2 => Just(Op::Snapshot),
        1 => Just(Op::Crash),
        2 => Just(Op::Compare),
    ]
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("SHARE_MODEL_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(2_000),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
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

fn run(rules: Rules, ops: &Ops) {
    let mut world = World::new(rules);
    for op in ops.0.iter().flatten() {
        world.step(op);
    }
    world.finish();
}

proptest! {
    #![proptest_config(cases())]

    /// The host's rules: exact limits, parking, `max-lease`.
    #[test]
    fn a_host_partition_is_like_the_model(ops in ops()) {
        run(Rules::Host, &ops);
    }

    /// Kafka's rules: whole batches, throttling.
    #[test]
    fn a_wire_partition_is_like_the_model(ops in ops()) {
        run(Rules::Wire, &ops);
    }
}
