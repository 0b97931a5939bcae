//! Guests that misbehave, through the whole host: what becomes of the record, how late a deadline is, and that the next
//! record succeeds. What a call ends as is tested beside the handler; here it is the records' fate on disk.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "tests"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use sharemill_tests::topics;
use sharemill_tests::{Folder, Host, guests, until};

const DEADLINE: Duration = Duration::from_millis(300);
/// What is promised.
const LATE: Duration = Duration::from_millis(20);
/// Machines that run tests are shared: the figures are printed, failing starts later.
const SLACK: Duration = Duration::from_millis(500);

/// A command, and what the dead letter says.
const COMMANDS: [(&str, &str); 13] = [
    ("loop", "not finished after 300ms"),
    ("recurse", "wasm trap: out of bounds memory access"),
    ("allocate", "out of memory: the limit is 67108864 bytes"),
    ("grow", "not finished after 300ms"),
    (
        "return-huge 30000000",
        "6291457 bytes from guest to host in one call, the limit is 6291456",
    ),
    ("log-flood", "100001 host calls, the limit is 100000"),
    ("stdout-flood", "not finished after 300ms"),
    ("host-calls 1000000", "host calls"),
    ("sleep", "not finished after 300ms"),
    ("exit 3", "the handler called exit(1)"),
    ("abort", "unreachable"),
    ("corrupt", "unreachable"),
    ("panic 1000000", "unreachable"),
];

fn manifest(instance: &str) -> String {
    format!(
        r#"
[host]
lanes = 2

[deployments.hostile]
component = "hostile.wasm"
topic = "commands"
concurrency = 20
instance = "{instance}"
deadline = "{}ms"
attempts = 1
"#,
        DEADLINE.as_millis()
    )
}

fn folder(instance: &str) -> Folder {
    let manifest = manifest(instance);
    let (host, rest) = manifest.split_once("\n\n").unwrap();
    let host = host.trim().strip_prefix("[host]").unwrap();
    Folder::with_host(host, rest).guest("hostile")
}

fn settled(folder: &Folder, count: u64) {
    until("the records' end", || {
        let group = folder.run(&["group", "describe", "hostile", "--format", "json"]).json();
        (group["share-partitions"][0]["start-offset"].as_u64()? >= count).then_some(())
    });
}

/// Calls that have ended, and the seconds that they took together.
fn handler_time(address: &str) -> (f64, f64) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    (
        value("sharemill_handler_seconds_count"),
        value("sharemill_handler_seconds_sum"),
    )
}

fn check(instance: &str, at_once: usize) {
    let folder = folder(instance);
    folder.run(&["run", "--until-idle"]).success();
    let host = Host::start(&folder, &["--metrics", "127.0.0.1:0"]);
    host.wait_for("metrics are served address=");
    let said = host.said();
    let (_, address) = said.split_once("metrics are served address=").unwrap();
    let address = address.split_whitespace().next().unwrap();
    let mut lateness = Vec::new();
    let mut count = 0;
    for (command, reason) in COMMANDS {
        let mut values = Vec::new();
        for _ in 0..at_once {
            values.extend([command, "check-state"]);
        }
        count += values.len() as u64;
        let (calls, before) = handler_time(address);
        folder.produce("commands", &values);
        settled(&folder, count);
        let (ended, after) = until("the calls' figures", || {
            let (ended, after) = handler_time(address);
            (ended - calls >= values.len() as f64).then_some((ended, after))
        });
        assert!(ended - calls <= values.len() as f64, "{command} was called again");
        if reason.starts_with("not finished") {
            // What the others of the round took is microseconds, and counted here.
            let late = (after - before) / at_once as f64 - DEADLINE.as_secs_f64();
            assert!(late > -0.001, "{command} ended before its deadline: {late}");
            lateness.push((late * 1000.0, command));
        }
    }
    folder.produce("commands", &["check-state"]);
    settled(&folder, count + 1);
    host.stop();
    let dead = topics::read(&folder.data(), &["hostile.dead"]).remove(0);
    let mut wrong = Vec::new();
    for (command, reason) in COMMANDS {
        let letters: Vec<_> = dead.iter().filter(|letter| letter.value == command).collect();
        assert_eq!(letters.len(), at_once, "{command}, {instance}");
        for letter in letters {
            let text = format!(
                "{} {}",
                letter.header("__dlq.errors.message"),
                letter.header("sharemill.trap")
            );
            // On a busy machine the deadline may come first.
            if !text.contains(reason) && !text.contains("not finished after 300ms") {
                wrong.push(format!("{command}: {text}, wanted {reason}"));
            }
        }
    }
    assert!(
        dead.iter().all(|letter| letter.value != "check-state"),
        "{instance}: {dead:?}"
    );
    assert!(wrong.is_empty(), "{instance}: {wrong:#?}");
    eprintln!("{instance}, {at_once} at once: {} dead letters", dead.len());
    for (late, command) in lateness {
        eprintln!("  {command}: {late:.1} ms after its deadline, on average");
        assert!(
            late <= (LATE + SLACK).as_secs_f64() * 1000.0,
            "{command}: {late:.1} ms late"
        );
    }
}

#[test]
fn a_reused_instance_alone() {
    check("reuse", 1);
}

#[test]
fn a_reused_instance_ten_at_once() {
    check("reuse", 10);
}

#[test]
fn a_fresh_instance_alone() {
    check("fresh", 1);
}

#[test]
fn a_fresh_instance_ten_at_once() {
    check("fresh", 10);
}

/// Modules that no compiler makes, one deployment each. They misbehave for a value of 13 bytes.
const MODULES: [(&str, &str); 6] = [
    ("realloc-loop", "not finished after 300ms"),
    ("realloc-out-of-bounds", "realloc return: beyond end of memory"),
    ("result-out-of-bounds", "pointer out of bounds of memory"),
    (
        "result-100-mib",
        "6291457 bytes from guest to host in one call, the limit is 6291456",
    ),
    ("start-trap", "unreachable"),
    ("start-loop", "not finished after 300ms"),
];

#[test]
fn modules_that_no_compiler_makes() {
    let mut wrong = Vec::new();
    for instance in ["reuse", "fresh"] {
        let deployments = MODULES.map(|(name, _)| {
            format!(
                r#"
[deployments.{name}]
component = "{name}.wasm"
topic = "{name}"
concurrency = 2
instance = "{instance}"
deadline = "300ms"
max-lease = "2s"
attempts = 1
memory = "128MiB"
"#
            )
        });
        let folder = Folder::with_host("lanes = 2", &deployments.concat());
        for (name, _) in MODULES {
            folder.file(&format!("{name}.wasm"), guests::hostile_wat(name));
        }
        folder.run(&["run", "--until-idle"]).success();
        for (name, _) in MODULES {
            folder.produce(name, &["thirteen byte", "sound"]);
        }
        folder.run(&["run", "--until-idle"]).success();
        let names = MODULES.map(|(name, _)| format!("{name}.dead"));
        let read = topics::read(&folder.data(), &names.each_ref().map(String::as_str));
        for ((name, reason), dead) in MODULES.into_iter().zip(read) {
            let values: Vec<&str> = dead.iter().map(|letter| letter.value.as_str()).collect();
            // What does not even start costs every record of its own deployment, and none of another.
            let wanted = if name.starts_with("start-") { 2 } else { 1 };
            assert_eq!(values.len(), wanted, "{name}, {instance}: {dead:?}");
            assert!(values.contains(&"thirteen byte"), "{name}, {instance}: {values:?}");
            let letter = &dead[0];
            let text = format!(
                "{} {}",
                letter.header("__dlq.errors.message"),
                letter.header("sharemill.trap")
            );
            eprintln!("{name}, {instance}: {}", text.lines().next().unwrap_or_default());
            if !text.contains(reason) {
                wrong.push(format!("{name}, {instance}: {text}, wanted {reason}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
