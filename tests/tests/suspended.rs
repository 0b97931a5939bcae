//! A host that is stopped for longer than its leases last (SIGSTOP: a closed laptop, a paused machine) and goes on. The leases are
//! over on the monotonic clock; whatever its handlers say then counts once: every record is accepted once and none is lost.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use sharemill::admin::{Admin as _, ProduceOutcome, Record};
use sharemill_tests::{Folder, Host, client, topics, until};

const MANIFEST: &str = r#"
[deployments.naps]
component = "sleeper.wasm"
topic = "naps"
concurrency = 8
lock = "1s"
attempts = 10
"#;

/// Hosts side by side.
const HOSTS: usize = 25;
/// What the records of each stop ask of their handlers, in milliseconds: the first go on after it, so that their leases run out before
/// they end; the others are at their end at once, and their accept and the end of their lease meet.
const STOPS: [&str; 2] = ["1700", "800"];
/// Records at work in each stop.
const HELD: u64 = 8;
/// Longer than the lock; a stopped process tells nobody anything, so that this is a real wait.
const STOPPED: Duration = Duration::from_millis(1_150);

#[test]
fn leases_end_while_a_host_is_stopped_and_nothing_is_lost_or_done_twice() {
    let totals: Vec<Counts> = std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..HOSTS).map(|_| scope.spawn(stop_again_and_again)).collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    });
    let sum = |count: fn(&Counts) -> u64| totals.iter().map(count).sum::<u64>();
    let (deliveries, accepted) = (sum(|one| one.deliveries), sum(|one| one.accepted));
    let (expired, late) = (sum(|one| one.expired), sum(|one| one.late));
    let stops = HOSTS * STOPS.len();
    eprintln!(
        "{stops} stops: {accepted} records accepted in {deliveries} deliveries, {expired} leases ran out, \
         {late} outcomes came too late"
    );
    let sure = HOSTS as u64 * HELD;
    assert!(expired * 10 >= sure * 9, "{expired} leases ran out, {sure} had to");
    assert!(late * 10 >= sure * 9, "{late} outcomes came too late");
}

/// What a host has counted.
struct Counts {
    deliveries: u64,
    accepted: u64,
    expired: u64,
    late: u64,
}

fn stop_again_and_again() -> Counts {
    let folder = Folder::new(MANIFEST).guest("sleeper");
    let host = Host::start(&folder, &["--metrics", "127.0.0.1:0"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = runtime.block_on(client::connect(&folder.data()));
    let share = || {
        runtime
            .block_on(client.group("naps"))
            .unwrap()
            .share_partitions
            .remove(0)
    };
    for (stop, nap) in (1..).zip(STOPS) {
        for _ in 0..HELD {
            let record = Record {
                value: Some(nap.into()),
                ..Record::default()
            };
            let stored = runtime.block_on(client::produce_one(&client, "naps", record)).unwrap();
            assert!(matches!(stored, ProduceOutcome::Stored { .. }), "{stored:?}");
        }
        until("records in handlers", || (share().acquired == Some(HELD)).then_some(()));
        host.suspend();
        std::thread::sleep(STOPPED);
        host.resume();
        // Every one comes again or has come to its end.
        until("all accepted", || {
            (share().start_offset == Some(stop * HELD)).then_some(())
        });
    }
    let produced = STOPS.len() as u64 * HELD;
    host.wait_for("metrics are served address=");
    let counts = until("the last counts", || {
        let text = scrape(&host);
        let counts = Counts {
            deliveries: counted(&text, "sharemill_deliveries_total{"),
            accepted: counted(&text, "sharemill_records_total{deployment=\"naps\",verdict=\"accept\"}"),
            expired: counted(&text, "sharemill_engine_lease_expiries_total"),
            late: counted(&text, "sharemill_settlements_stale_total{")
                + counted(&text, "sharemill_outcomes_dropped_total{"),
        };
        // Counts are brought up to date now and then, the engine's own once a second.
        (counts.accepted >= produced && counts.deliveries == produced + counts.expired).then_some(counts)
    });
    assert_eq!(counts.accepted, produced, "a record is accepted once");
    host.stop();
    folder.run(&["verify"]).success();
    assert!(topics::read(&folder.data(), &["naps.dead"])[0].is_empty());
    counts
}

fn scrape(host: &Host) -> String {
    let said = host.said();
    let (_, address) = said.split_once("metrics are served address=").unwrap();
    let address = address.split_whitespace().next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The sum of all series that begin like this.
fn counted(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}
