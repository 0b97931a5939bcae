//! A real broker and our share partition in Kafka's mode do the same and say the same: a few sequences of the differential run, the
//! differences that are meant, and planted bugs that it has to catch. `cargo run --bin differential -- --seeds 0..300` does more of
//! them; `SHAREMILL_DIFFERENTIAL` sets how many are done here.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::process::Command;

use kafka_cluster::Version;
use sharemill_tests::differential::{Brokers, Options, Plant};

fn runs(test: &str) -> bool {
    kafka_cluster::runs_here(Version::default(), &format!("differential::{test}"))
}

/// So that two brokers are enough: those with limits of 5 and of 2 deliveries.
fn seeds(count: usize) -> impl Iterator<Item = u64> {
    (0..).filter(|seed| seed % 4 < 2).take(count)
}

#[test]
fn a_broker_and_our_share_partition_say_the_same() {
    if !runs("a_broker_and_our_share_partition_say_the_same") {
        return;
    }
    let count = std::env::var("SHAREMILL_DIFFERENTIAL")
        .ok()
        .and_then(|count| count.parse().ok());
    let count = count.unwrap_or(16);
    let mut brokers = Brokers::default();
    let summary = brokers.many(seeds(count), Options::default()).unwrap();
    eprint!("{}", summary.tally);
    let failures: Vec<String> = summary.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert_eq!(summary.sequences, count as u64);
    for name in [
        "INVALID_RECORD_STATE",
        "INVALID_REQUEST",
        "acquire, exact",
        "acquire, whole batches",
        "done",
        "expire",
        "kill",
        "leave",
        "locks ended",
        "records delivered again",
        "reopen",
        "windows full",
    ] {
        assert!(summary.tally.of(name) > 0, "too little was exercised: {name}");
    }
    differences_that_are_meant(&mut brokers);
}

/// Each occurs where ARCHITECTURE.md says so, and the two sides go on alike.
fn differences_that_are_meant(brokers: &mut Brokers) {
    let across_an_empty_start = "produce 3 2
        0 acquires 3
        0 acknowledges 0-2:x
        1 acknowledges 1-5:a
        1 acquires 2
        1 acknowledges 3-4:a";
    let replayed = brokers.replay(across_an_empty_start, 5, 100).unwrap();
    assert_eq!(replayed.tally.of("across an empty start"), 1, "{}", replayed.told);
    assert!(!replayed.told.contains("DIFFERS"), "{}", replayed.told);
}

/// In a process of its own, since a bug is planted for all share partitions of a process.
#[test]
fn planted_bugs_are_caught() {
    if !runs("planted_bugs_are_caught") {
        return;
    }
    let plants = [Plant::StartPastAcquired, Plant::WordBoundary];
    let mut differential = Command::new(env!("CARGO_BIN_EXE_differential"));
    differential.args(["--seeds", "0..16"]);
    for plant in plants {
        differential.args(["--plant", plant.name()]);
    }
    let output = differential.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    eprint!("{said}");
    let why = String::from_utf8_lossy(&output.stderr);
    for plant in plants {
        let caught = said.lines().any(|line| line.starts_with(&format!("{plant}: seed ")));
        assert!(caught, "{plant} was not caught: {said}{why}");
    }
}
