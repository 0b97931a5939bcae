//! One suite on three backends: every scenario on the embedded engine and on Kafka 4.2.1 and 4.4.0, and at the end a line for each of them
//! with what came of it. Where a backend behaves differently by its nature, that is asserted as well, and a line of ARCHITECTURE.md says it.
//! `SHAREMILL_CONFORMANCE` takes the scenarios whose names contain it, `SHAREMILL_CONFORMANCE_ON` the backends (`embedded`, `4.2.1`).
#![cfg(feature = "kafka")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

/// A row of the table: the function's name is the scenario's. What differs follows, with the function that asserts it.
macro_rules! scenario {
    ($stage:ident $name:ident $(; $on:expr => $other:ident: $anchor:expr)*) => {
        Scenario::new(Stage::$stage, stringify!($name), |case| Box::pin($name(case)))
            $(.differs($on, $anchor, |case| Box::pin($other(case))))*
    };
}

mod cli;
mod delivery;
mod differences;
mod ends;
mod formats;
mod locks;
mod members;
mod outcomes;
mod positions;

use std::collections::BTreeSet;

use sharemill_tests::conformance::{Scenario, run};
use sharemill_tests::guests::root;

fn scenarios() -> Vec<Scenario> {
    [
        delivery::scenarios(),
        outcomes::scenarios(),
        locks::scenarios(),
        members::scenarios(),
        positions::scenarios(),
        formats::scenarios(),
        ends::scenarios(),
        cli::scenarios(),
    ]
    .concat()
}

#[test]
fn every_scenario_on_every_backend() {
    let wanted = std::env::var("SHAREMILL_CONFORMANCE").unwrap_or_default();
    let scenarios: Vec<_> = scenarios()
        .into_iter()
        .filter(|one| one.name.contains(&wanted))
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let matrix = runtime.block_on(async { tokio::spawn(async move { run(&scenarios).await }).await.unwrap() });
    eprintln!("{matrix}");
    let wrong = matrix.wrong();
    assert!(wrong.is_empty(), "{} failed\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn there_are_enough_scenarios_and_none_twice() {
    let scenarios = scenarios();
    let names: BTreeSet<_> = scenarios.iter().map(|one| one.name).collect();
    assert_eq!(names.len(), scenarios.len());
    assert!(names.len() >= 40, "{}", names.len());
}

#[test]
fn what_differs_stands_in_the_architecture() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, part) = text.split_once("\n### Where the backends differ\n").unwrap();
    let part = part.split("\n#").next().unwrap();
    let scenarios = scenarios();
    let anchors: BTreeSet<_> = scenarios
        .iter()
        .flat_map(|one| &one.differs)
        .map(|difference| difference.anchor)
        .collect();
    let missing: Vec<_> = anchors.iter().filter(|anchor| !part.contains(**anchor)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // Nothing is said there that no scenario shows.
    let rows: Vec<_> = part.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let idle: Vec<_> = rows
        .iter()
        .filter(|row| !anchors.iter().any(|anchor| row.contains(anchor)))
        .collect();
    assert!(idle.is_empty(), "{idle:#?}");
}
