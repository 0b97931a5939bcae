//! A disk that says EIO to a sync, once, at every early place and some later ones: `strace` makes the real call fail in the real host.
//! The host says so and ends, what it confirmed is there, what it did not is there once or not at all, and the next host goes on.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use sharemill::admin::Record;
use sharemill_tests::client::Producer;
use sharemill_tests::{End, Folder, Host, SYNC_CALLS, failing_syncs, topics};

const MANIFEST: &str = r#"
[sources.main]
journal-size = "16MiB"
memory-window = "1MiB"

[deployments.enrich]
component = "enrich.wasm"
topic = "orders"
concurrency = 16
grants = { emit = ["order-lines"] }
"#;

/// Which sync of each thread fails.
fn places() -> Vec<u32> {
    let later = [24, 28, 32, 40, 48, 56, 64, 80, 100, 128];
    (1..=20).chain(later).collect()
}

/// How long a host may take to come to the failing sync.
const PATIENCE: Duration = Duration::from_secs(30);
const TURN: Duration = Duration::from_millis(10);
/// What the kernel says.
const EIO: &str = "Input/output error (os error 5)";

fn order(number: u64) -> Record {
    let value = format!(
        r#"{{"id":"{number}","customer":"{}","lines":[{{"sku":"a","quantity":1,"price_cents":250}}]}}"#,
        "c".repeat(200)
    );
    Record {
        value: Some(value.into()),
        ..Record::default()
    }
}

/// What one failing sync came to.
struct Outcome {
    /// Sync that failed, of its thread.
    nth: u32,
    /// The host never ran.
    at_start: bool,
    confirmed: usize,
    refused: usize,
}

#[test]
fn a_sync_that_fails_ends_the_host_and_loses_nothing() {
    let strace = Command::new("strace").arg("-V").output();
    assert!(strace.is_ok(), "strace is missing: install it, as .ci/run does");
    let places = places();
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let halves = places.chunks(places.len().div_ceil(2));
        let running: Vec<_> = halves
            .map(|half| scope.spawn(|| half.iter().map(|nth| fail_once(*nth)).collect::<Vec<_>>()))
            .collect();
        running.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    for Outcome {
        nth,
        at_start,
        confirmed,
        refused,
    } in &outcomes
    {
        let when = if *at_start { "at the start" } else { "under load" };
        eprintln!("sync {nth:3} failed {when}: {confirmed} confirmed, {refused} kinds of refusals");
    }
    let at_start = outcomes.iter().filter(|one| one.at_start).count();
    let refusing = outcomes.iter().filter(|one| one.refused > 0).count();
    let loaded = outcomes.iter().filter(|one| one.confirmed > 0).count();
    eprintln!(
        "{} syncs failed, {at_start} of them at the start; {refusing} refused a produce, {loaded} had confirmed some before",
        outcomes.len()
    );
    assert!(at_start >= 2 && refusing >= 10 && loaded >= 10);
}

/// A few records again and again, so that each needs syncs of its own.
fn end_under_load(mut host: Host, producer: &Producer) -> Result<End, Host> {
    for _ in 0..PATIENCE.as_millis() / TURN.as_millis() {
        producer.allow(100);
        match host.end_within(TURN) {
            Ok(end) => return Ok(end),
            Err(same) => host = same,
        }
    }
    Err(host)
}

fn fail_once(nth: u32) -> Outcome {
    let folder = Folder::new(MANIFEST).guest("enrich");
    let inject = format!("inject=fdatasync:error=EIO:when={nth}");
    let calls = folder.path().join(SYNC_CALLS);
    let strace = failing_syncs(&inject);
    let host = Host::spawn_under(&folder, &strace, &[]);
    let producer = Producer::start(&folder.data(), "orders", folder.path().join("confirmed"), order);
    let end = end_under_load(host, &producer).unwrap_or_else(|host| {
        let (said, calls) = (host.said(), fs::read_to_string(&calls).unwrap_or_default());
        panic!("sync {nth} never failed, {} syncs:\n{said}", calls.lines().count())
    });
    let produced = producer.stop();
    // It says why, and does not call it a success.
    assert_eq!(end.code, Some(1), "sync {nth}: {}", end.stderr);
    let last = end.stderr.lines().rev().find(|line| line.starts_with("error: "));
    assert!(
        last.is_some_and(|line| line.contains(EIO)),
        "sync {nth}: {}",
        end.stderr
    );
    assert!(fs::read_to_string(&calls).unwrap().contains("INJECTED"));
    for refusal in &produced.refused {
        let clear = refusal.contains("the engine stopped and must be opened again") && refusal.contains(EIO);
        assert!(
            clear || refusal.contains("the engine is closed"),
            "sync {nth}: {refusal}"
        );
    }
    // The next one reads what is on disk and goes on.
    let next = Host::spawn(&folder, &["--until-idle"], &[]).end();
    assert_eq!(next.code, Some(0), "sync {nth}: {}", next.stderr);
    folder.run(&["verify"]).success();
    let mut lines: BTreeMap<u64, u64> = BTreeMap::new();
    for line in &topics::read(&folder.data(), &["order-lines"])[0] {
        let value: serde_json::Value = serde_json::from_str(&line.value).unwrap();
        *lines
            .entry(value["order"].as_str().unwrap().parse().unwrap())
            .or_default() += 1;
    }
    for (number, count) in &lines {
        assert!(*number < produced.sent, "sync {nth}: order {number} was never sent");
        assert_eq!(*count, 1, "sync {nth}: lines of order {number}");
    }
    for number in &produced.confirmed {
        assert!(
            lines.contains_key(number),
            "sync {nth}: order {number} was confirmed and is nowhere"
        );
    }
    Outcome {
        nth,
        at_start: !end.stderr.contains(sharemill_tests::host::RUNNING),
        confirmed: produced.confirmed.len(),
        refused: produced.refused.len(),
    }
}
