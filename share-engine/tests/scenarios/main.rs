//! The share-partition scenarios of Kafka 4.2.1's own unit tests, by number. Each asserts what a member can see:
//! acquired ranges with their counts, results, next fetch offset, start and end offset, completed deliveries.
//!
//! `scenarios.txt` lists every number with the test that covers it, or the reason why none does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod acknowledge;
mod acquire;
mod bytes;
mod corners;
mod edges;
mod questions;
mod recovered;
mod rig;
mod throttle;
mod time;

use std::collections::BTreeSet;
use std::fs;

/// A function alone is no test: somebody must have said that it is to be run.
fn has_test(source: &str, name: &str) -> bool {
    source.contains(&format!("#[test]\nfn {name}()"))
}

#[test]
fn every_scenario_is_listed_and_every_listed_test_exists() {
    let sources = [
        include_str!("acknowledge.rs"),
        include_str!("acquire.rs"),
        include_str!("recovered.rs"),
        include_str!("throttle.rs"),
        include_str!("time.rs"),
    ];
    let engine: Vec<_> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/tests"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut named = BTreeSet::new();
    let mut rows = BTreeSet::new();
    for line in include_str!("scenarios.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (row, what) = line
            .split_once(": ")
            .expect("a row is `number: test` or `number: not ours: reason`");
        assert!(rows.insert(row.parse::<u32>().expect("a number")), "row {row} twice");
        let Some(reason) = what.strip_prefix("not ours: ") else {
            for test in what.split(", ") {
                let (name, found) = match test.strip_prefix("engine::") {
                    Some(name) => (name, engine.iter().any(|source| has_test(source, name))),
                    None => (test, sources.iter().any(|source| has_test(source, test))),
                };
                assert!(found, "row {row}: no test {test}");
                named.insert(name);
            }
            continue;
        };
        assert!(reason.len() > 20, "row {row}: a reason, please");
    }
    assert_eq!(rows, (1..=67).collect(), "rows of the table");
    for source in sources {
        for test in source.split("#[test]\nfn ").skip(1) {
            let name = test.split('(').next().unwrap();
            assert!(named.contains(name), "{name} is in no row");
        }
    }
}
