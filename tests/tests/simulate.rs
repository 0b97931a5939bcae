//! The promises under simulation: a fixed set of seeds, the same trace for the same seed, enough exercised for that to mean
//! something, and planted bugs that those seeds have to catch. `SHAREMILL_SEEDS` sets how many seeds.

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use sharemill_tests::simulate::{Options, Plant, many, run};

/// Steps of each run.
const STEPS: u64 = 2_000;

#[test]
fn every_promise_holds_under_every_seed() {
    let seeds = std::env::var("SHAREMILL_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    let seeds: u64 = seeds.unwrap_or(2_000);
    let options = Options {
        seed: 0,
        steps: STEPS,
        swarm: true,
        verbose: false,
        plant: None,
    };
    let summary = many(1..seeds + 1, options);
    eprintln!("{}", summary.seen);
    let failures: Vec<String> = summary.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert_eq!(summary.runs, seeds);
    let missing = summary.seen.missing(seeds, STEPS);
    assert!(missing.is_empty(), "too little was exercised: {}", missing.join("; "));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=8 {
        let options = Options {
            seed,
            steps: 500,
            swarm: seed % 2 == 1,
            verbose: false,
            plant: None,
        };
        let [first, second] = [options; 2].map(|options| match run(options) {
            Ok(report) => report,
            Err(failure) => panic!("{failure}"),
        });
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.seen, second.seen, "seed {seed}");
        let other = Options {
            seed: seed + 1_000_000,
            ..options
        };
        assert!(run(other).is_ok_and(|other| other.hash != first.hash), "seed {seed}");
    }
}

/// The seeds and steps of [`every_promise_holds_under_every_seed`], until one of them notices. In a process of its own, since a
/// bug is planted for all engines of a process.
#[test]
fn every_planted_bug_is_caught() {
    for plant in Plant::ALL {
        let mut simulate = Command::new(env!("CARGO_BIN_EXE_simulate"));
        simulate.args([
            "--count",
            "2000",
            "--steps",
            &STEPS.to_string(),
            "--plant",
            plant.name(),
        ]);
        let output = simulate.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let caught = said.lines().filter(|line| line.starts_with(&format!("{plant}: seed ")));
        let caught: Vec<&str> = caught.collect();
        let why = String::from_utf8_lossy(&output.stderr);
        eprintln!("{}", caught.join("\n"));
        assert!(!caught.is_empty(), "{plant} was not caught: {said}{why}");
        let noticed = |line: &&str| line.contains(" broke I") || line.contains(" tripped the engine ");
        assert!(caught.iter().any(noticed), "{why}");
    }
}
