//! Many members of one group on one partition, while some are killed (SIGKILL) and others join: nothing is lost, nothing that was confirmed
//! comes again, and the others go on. `SHAREMILL_CROWD=full` takes more members and records.
#![cfg(feature = "kafka")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::time::Duration;

use kafka_cluster::Version;
use sharemill_tests::host::{End, Host};
use sharemill_tests::kafka::{Kafka, options};
use sharemill_tests::trail::{self, Trail};
use sharemill_tests::{Folder, program, until};

/// Of the group: what a member holds that hangs is given to others after this.
const LOCK: Duration = Duration::from_secs(5);

fn is_full() -> bool {
    std::env::var("SHAREMILL_CROWD").is_ok_and(|size| size == "full")
}

fn start(test: &str) -> Option<Kafka> {
    let options = options(Version::default()).set("group.share.record.lock.duration.ms", "5000");
    Kafka::start(&format!("kafka_crowd::{test}"), options)
}

/// Waits until so many records are left for the group.
fn wait_left(kafka: &Kafka, group: &str, records: u64) {
    let mut before = u64::MAX;
    let mut waited = 0;
    loop {
        let left = kafka.left(group, "jobs");
        if left <= records {
            return;
        }
        waited = if left < before { 0 } else { waited + 1 };
        before = left;
        assert!(waited < 3_000, "{left} records are left and nobody takes them");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Everything was accepted but for what the killed had in hand, which the broker knows the end of; nothing came again; nobody stood still.
fn check(kafka: &Kafka, group: &str, trail: &Trail, records: u64, killed: &[usize], held_max: usize) {
    assert_eq!(kafka.left(group, "jobs"), 0);
    let repeated = trail.repeated();
    assert!(repeated.is_empty(), "delivered after they were accepted: {repeated:?}");
    // Accepted, and killed before that could be told.
    let mut unheard = 0;
    for offset in (0..records).filter(|offset| !trail.accepted().contains_key(&(0, *offset))) {
        let last = trail.acquired().iter().rfind(|one| one.place == (0, offset));
        let last = last.unwrap_or_else(|| panic!("nobody was given record {offset}, and it is not left"));
        assert!(killed.contains(&last.told.by), "record {offset} was lost: {last:?}");
        unheard += 1;
    }
    assert!(
        unheard <= killed.len() * held_max,
        "{unheard} acceptances were not told"
    );
    let again = trail.redelivered().len();
    assert!(again > 0, "the killed held nothing");
    let (pause, at) = trail.longest_pause();
    eprintln!(
        "{records} records in {:.1} s: {} acceptances confirmed, {unheard} made and not told by the killed, {again} records delivered again, \
         {} after their confirmation; longest pause {} ms, {:.1} s after the first",
        trail.span().as_secs_f64(),
        trail.accepted().len(),
        repeated.len(),
        pause.as_millis(),
        at.as_secs_f64(),
    );
    assert!(pause < LOCK, "no progress for {pause:?}, {at:?} after the first");
}

/// Records that a member takes at a time, and what it takes for them in milliseconds.
const CREDIT: usize = 10;
const WORK: &str = "100";

fn member(kafka: &Kafka) -> Host {
    let mut command = program("share-member");
    let credit = CREDIT.to_string();
    command.args([&kafka.cluster.bootstrap(), "crowd", "jobs", &credit, WORK]);
    Host::of(command)
}

#[test]
fn members_come_and_are_killed() {
    let Some(kafka) = start("members_come_and_are_killed") else {
        return;
    };
    let (records, members, turnover) = if is_full() { (100_000, 50, 10) } else { (10_000, 20, 4) };
    kafka.create("jobs", 1);
    let earliest = [("share.auto.offset.reset", Some("earliest"))];
    kafka.wait(kafka.admin.set_group("crowd", &earliest)).unwrap();
    let mut hosts: Vec<Host> = (0..members).map(|_| member(&kafka)).collect();
    for host in &hosts {
        host.wait_for("assigned partitions=1");
    }
    for _ in 0..records / 1_000 {
        kafka.produce("jobs", &["job"; 1_000]);
    }
    let killed: Vec<usize> = (0..turnover).collect();
    for round in &killed {
        wait_left(
            &kafka,
            "crowd",
            records * (turnover as u64 + 2 - *round as u64) / (turnover as u64 + 3),
        );
        hosts[*round].kill();
        hosts.push(member(&kafka));
    }
    wait_left(&kafka, "crowd", 0);
    let trail = ended(hosts, &killed);
    check(&kafka, "crowd", &trail, records, &killed, CREDIT);
    for one in 0..members + turnover {
        assert!(trail.accepted_by(one) > 0, "member {one} has done nothing");
    }
}

/// What all of them told. Those who live leave well.
fn ended(hosts: Vec<Host>, killed: &[usize]) -> Trail {
    let mut trail = Trail::default();
    for host in &hosts {
        host.terminate();
    }
    for (index, host) in hosts.into_iter().enumerate() {
        let End { code, signal, stderr } = host.end();
        let wanted = if killed.contains(&index) {
            (None, Some(9))
        } else {
            (Some(0), None)
        };
        assert_eq!((code, signal), wanted, "{index}: {stderr}");
        trail = trail.with(index, &stderr);
    }
    trail
}

#[test]
fn one_of_three_hosts_is_killed() {
    let Some(kafka) = start("one_of_three_hosts_is_killed") else {
        return;
    };
    let records = if is_full() { 30_000 } else { 3_000 };
    kafka.create("jobs", 1);
    let source = kafka.source("");
    let manifest = format!(
        r#"{source}
[deployments.naps]
component = "sleeper.wasm"
topic = "jobs"
concurrency = 4
lock = "5s"
"#
    );
    let folders: Vec<Folder> = (0..3)
        .map(|_| Folder::with_host(trail::LOG, &manifest).guest("sleeper"))
        .collect();
    let hosts: Vec<Host> = folders.iter().map(|folder| Host::start(folder, &[])).collect();
    for host in &hosts {
        host.wait_for("assignment changed");
    }
    for _ in 0..records / 1_000 {
        kafka.produce("jobs", &["20"; 1_000]);
    }
    wait_left(&kafka, "naps", records * 2 / 3);
    until("the host has records in hand", || {
        let trail = Trail::default().with(0, &hosts[0].said());
        (!trail.left_by(0).is_empty()).then(|| hosts[0].kill())
    });
    wait_left(&kafka, "naps", 0);
    let trail = ended(hosts, &[0]);
    check(&kafka, "naps", &trail, records, &[0], 64);
    assert!((0..3).all(|host| trail.accepted_by(host) > 100), "{:?}", trail.span());
    assert_eq!(kafka.read("naps.dead"), []);
}
