//! On Kafka too, concurrency comes from free places, never from partitions: a handler that sleeps 20 ms, on one partition.
#![cfg(feature = "kafka")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use kafka_cluster::Version;
use sharemill_tests::kafka::{Kafka, options};
use sharemill_tests::{AMPLE, Folder, Host};

/// Machines that run tests are shared: the best of so many is taken.
const TRIES: u32 = 3;

/// Records per second in the middle of a run, from what the broker says is left for the group.
fn rate(kafka: &Kafka, name: &str, slots: u32, partitions: i32) -> f64 {
    let source = kafka.source("");
    let folder = Folder::new(&format!(
        r#"{source}
[deployments.{name}]
component = "sleeper.wasm"
topic = "{name}"
concurrency = {slots}
dead-letter = false
"#
    ));
    let folder = folder.guest("sleeper");
    kafka.create(name, partitions);
    let records = (slots * 75).max(100);
    let values = vec!["nap"; usize::try_from(records / partitions.unsigned_abs()).unwrap()];
    for partition in 0..partitions {
        kafka.produce_to(name, partition, &values);
    }
    let host = Host::start(&folder, &[]);
    let rate = middle(kafka, name, u64::from(records));
    host.stop();
    rate
}

fn middle(kafka: &Kafka, name: &str, records: u64) -> f64 {
    let began = Instant::now();
    let mut first = None;
    loop {
        let left = kafka.left(name, name);
        let now = Instant::now();
        assert!(now - began < AMPLE, "{left} of {records} records left");
        match first {
            // Nobody has said anything of the group yet where all of them are left.
            None if left * 10 <= records * 9 => first = Some((now, left)),
            Some((then, before)) if left * 5 <= records => {
                return (before - left) as f64 / (now - then).as_secs_f64();
            }
            _ => {}
        }
        // The broker is left to its work.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Best of three, or the first that is good enough.
fn best(kafka: &Kafka, slots: u32, partitions: i32, enough: f64) -> f64 {
    let mut best = 0.0_f64;
    for again in 0..TRIES {
        best = best.max(rate(
            kafka,
            &format!("naps-{slots}-{partitions}-{again}"),
            slots,
            partitions,
        ));
        if best >= enough {
            break;
        }
    }
    best
}

/// Of what so many times the rate of one slot would be.
const LINEAR_MIN: f64 = 0.7;

/// Calls of 20 ms, one after the other: a settlement that were waited for would take more than that again.
const ALONE_MIN: f64 = 28.0;

/// No slot does more. Brokers say what is left now and then, so that few records may seem to go faster.
const ALONE_MAX: f64 = 50.0;

/// What more partitions may change at most, as a part of the rate.
const PARTITIONS_MAX: f64 = 0.25;

#[test]
fn one_partition_feeds_every_slot() {
    let Some(kafka) = Kafka::start(
        "kafka_slots::one_partition_feeds_every_slot",
        options(Version::default()),
    ) else {
        return;
    };
    let alone = best(&kafka, 1, 1, ALONE_MIN).min(ALONE_MAX);
    eprintln!(" 1 slot: {alone:.1} records/s");
    assert!(alone >= ALONE_MIN, "1 slot: {alone:.1} records/s");
    let mut widest = 0.0;
    for slots in [8, 64] {
        let linear = alone * f64::from(slots);
        widest = best(&kafka, slots, 1, linear * LINEAR_MIN);
        eprintln!(
            "{slots:2} slots: {widest:.0} records/s, {:.2} of linear",
            widest / linear
        );
        assert!(
            widest >= linear * LINEAR_MIN,
            "{slots} slots: {widest:.0} of {linear:.0} records/s"
        );
    }
    let spread = best(&kafka, 64, 4, widest * (1.0 - PARTITIONS_MAX));
    let change = spread / widest - 1.0;
    eprintln!(
        "64 slots, 4 partitions: {spread:.0} records/s, {:+.1} %",
        change * 100.0
    );
    assert!(change.abs() < PARTITIONS_MAX, "{widest:.0} and {spread:.0} records/s");
}
