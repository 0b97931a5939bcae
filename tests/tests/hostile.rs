//! Guests that misbehave, through the whole host: what becomes of their records, that each call ends within 20 ms of its
//! deadline, and that the next records succeed where the guest was. What a call ends as is tested beside the handler too;
//! here it is the records' fate on disk.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sharemill_tests::topics;
use sharemill_tests::{AMPLE, Folder, Host, guests, until};

/// Of guests that nothing else ends. What is promised, 20 ms more, is a bound of the host's histogram of calls.
const DEADLINE: Duration = Duration::from_millis(230);
const PROMISED: &str = "0.25";
/// A bound below the deadline: no endless guest ends before it, and every sound call does.
const EARLY: &str = "0.1";
/// Machines that run tests are shared: a measurement may be late twice.
const TRIES: u64 = 3;
/// What a dead letter says of a guest that only its deadline ended.
const ENDLESS: &str = "not finished after 230ms";

/// A deployment, a value that makes its guest misbehave, and what the dead letter says.
struct Case {
    deployment: &'static str,
    value: &'static str,
    reason: &'static str,
}

const fn case(deployment: &'static str, value: &'static str, reason: &'static str) -> Case {
    Case {
        deployment,
        value,
        reason,
    }
}

/// A guest in text form misbehaves for a value of 13 bytes.
const EVIL: &str = "thirteen byte";
/// A value that every guest accepts, if nothing is left of what it did before.
const SOUND: &str = "check-state";
const TOO_LARGE: &str = "6291457 bytes from guest to host in one call, the limit is 6291456";

/// Guests of `endless` end by their deadline only, guests of `hostile` by their own cause, long before theirs.
const CASES: [Case; 19] = [
    case("endless", "loop", ENDLESS),
    case("endless", "grow", ENDLESS),
    case("endless", "sleep", ENDLESS),
    case("endless", "stdout-flood", ENDLESS),
    case("realloc-loop", EVIL, ENDLESS),
    case("hostile", "recurse", "wasm trap: out of bounds memory access"),
    case("hostile", "allocate", "out of memory: the limit is 134217728 bytes"),
    case("hostile", "return-huge 104857600", TOO_LARGE),
    case("hostile", "log-flood", "100001 host calls, the limit is 100000"),
    case(
        "hostile",
        "host-calls 1000000",
        "100001 host calls, the limit is 100000",
    ),
    case("hostile", "exit 3", "the handler called exit(1)"),
    case("hostile", "abort", "unreachable"),
    case("hostile", "corrupt", "unreachable"),
    case("hostile", "panic 1000000", "unreachable"),
    case("realloc-out-of-bounds", EVIL, "realloc return: beyond end of memory"),
    case("result-out-of-bounds", EVIL, "pointer out of bounds of memory"),
    case("result-100-mib", EVIL, TOO_LARGE),
    case("remember", EVIL, "unreachable"),
    case("stack-overflow", EVIL, "call stack exhausted"),
];

impl Case {
    fn is_endless(&self) -> bool {
        self.reason == ENDLESS
    }
}

/// One deployment, on as many places as there are records at once.
fn deployment(name: &str, instance: &str, places: usize, deadline: Duration) -> String {
    let component = if name == "endless" { "hostile" } else { name };
    format!(
        r#"
[deployments.{name}]
component = "{component}.wasm"
topic = "{name}"
concurrency = {places}
instance = "{instance}"
deadline = "{}ms"
attempts = 1
memory = "128MiB"
"#,
        deadline.as_millis()
    )
}

fn deployments() -> Vec<&'static str> {
    let mut names: Vec<_> = CASES.iter().map(|case| case.deployment).collect();
    names.dedup();
    names
}

/// One record at once has a lane with one place, ten have two lanes with five each.
fn folder(instance: &str, at_once: usize) -> Folder {
    let lanes = if at_once == 1 { 1 } else { 2 };
    let manifest: String = deployments()
        .iter()
        .map(|name| {
            let endless = CASES.iter().any(|case| case.deployment == *name && case.is_endless());
            deployment(name, instance, at_once, if endless { DEADLINE } else { AMPLE })
        })
        .collect();
    let folder = Folder::with_host(&format!("lanes = {lanes}"), &manifest).guest("hostile");
    for name in deployments() {
        if !["endless", "hostile"].contains(&name) {
            folder.file(&format!("{name}.wasm"), guests::hostile_wat(name));
        }
    }
    folder
}

/// How many records of the deployment are done with.
fn done(folder: &Folder, deployment: &str) -> u64 {
    let group = folder
        .run(&["group", "describe", deployment, "--format", "json"])
        .json();
    group["share_partitions"][0]["start_offset"].as_u64().unwrap_or(0)
}

/// A running host and where it serves its metrics.
struct Running<'f> {
    folder: &'f Folder,
    host: Host,
    address: String,
    produced: BTreeMap<&'static str, u64>,
}

/// What the metrics say of the calls of one deployment.
struct Calls {
    ended: u64,
    /// Within [`EARLY`] and [`PROMISED`].
    early: u64,
    promised: u64,
    seconds: f64,
}

impl<'f> Running<'f> {
    fn start(folder: &'f Folder) -> Self {
        folder.run(&["run", "--until-idle"]).success();
        let host = Host::start(folder, &["--metrics", "127.0.0.1:0"]);
        host.wait_for("metrics are served address=");
        let said = host.said();
        let (_, address) = said.split_once("metrics are served address=").unwrap();
        let address = address.split_whitespace().next().unwrap().to_owned();
        Self {
            folder,
            host,
            address,
            produced: BTreeMap::new(),
        }
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// The metric of this name and these labels; 0 if there is none yet.
    fn value(text: &str, name: &str, labels: &[String]) -> f64 {
        let line = text.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{') && labels.iter().all(|label| rest.contains(label)))
        });
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    fn calls(&self, deployment: &str) -> Calls {
        let text = self.metrics();
        let label = format!("deployment=\"{deployment}\"");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, written as a decimal number"
        )]
        let count = |name: &str, labels: &[String]| Self::value(&text, name, labels) as u64;
        let within = |bound: &str| {
            let labels = [label.clone(), format!("le=\"{bound}\"")];
            count("sharemill_handler_seconds_bucket", &labels)
        };
        Calls {
            ended: count("sharemill_handler_seconds_count", std::slice::from_ref(&label)),
            early: within(EARLY),
            promised: within(PROMISED),
            seconds: Self::value(&text, "sharemill_handler_seconds_sum", std::slice::from_ref(&label)),
        }
    }

    /// Produces so many at once, waits until they are done with, and tells what their calls were.
    fn serve(&mut self, deployment: &'static str, value: &str, count: usize) -> Calls {
        let before = self.calls(deployment);
        self.folder.produce(deployment, &vec![value; count]);
        let count = u64::try_from(count).unwrap();
        let produced = self.produced.entry(deployment).or_default();
        *produced += count;
        let produced = *produced;
        until("the records' end", || {
            (done(self.folder, deployment) >= produced).then_some(())
        });
        let after = until("the calls' figures", || {
            let after = self.calls(deployment);
            (after.ended >= before.ended + count).then_some(after)
        });
        assert_eq!(after.ended, before.ended + count, "{value} was called again");
        Calls {
            ended: count,
            early: after.early - before.early,
            promised: after.promised - before.promised,
            seconds: after.seconds - before.seconds,
        }
    }

    /// The misbehaving records, and twice as many sound ones, which meet the same places. False if a deadline was late.
    fn round(&mut self, case: &Case, at_once: usize) -> bool {
        let name = format!("{} {}", case.deployment, case.value);
        let calls = self.serve(case.deployment, case.value, at_once);
        self.serve(case.deployment, SOUND, 2 * at_once);
        if !case.is_endless() {
            return true;
        }
        assert_eq!(calls.early, 0, "{name} ended before its deadline");
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let mean = calls.seconds / calls.ended as f64 - DEADLINE.as_secs_f64();
        assert!(mean > -0.001, "{name} ended {mean} s after its deadline");
        eprintln!(
            "  {name}: {} of {} ended at most 20 ms after the deadline, on average {:.1} ms",
            calls.promised,
            calls.ended,
            mean * 1000.0
        );
        calls.promised == calls.ended
    }
}

/// Two hosts at once would measure each other.
static MEASURING: Mutex<()> = Mutex::new(());

fn check(instance: &str, at_once: usize) {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = folder(instance, at_once);
    let mut running = Running::start(&folder);
    let mut rounds = Vec::new();
    eprintln!("{instance}, {at_once} at once");
    for case in &CASES {
        let taken = (1..=TRIES).find(|_| running.round(case, at_once));
        let (deployment, value) = (case.deployment, case.value);
        assert!(
            taken.is_some(),
            "{deployment} {value}: later than 20 ms in each of {TRIES} measurements"
        );
        rounds.push(taken.unwrap());
    }
    running.host.stop();
    let names: Vec<String> = deployments().iter().map(|name| format!("{name}.dead")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let dead: BTreeMap<_, _> = deployments()
        .into_iter()
        .zip(topics::read(&folder.data(), &names))
        .collect();
    let mut wrong = Vec::new();
    for (case, rounds) in CASES.iter().zip(rounds) {
        let Case {
            deployment,
            value,
            reason,
        } = case;
        let letters = dead[deployment].iter().filter(|letter| letter.value == *value);
        let wanted = rounds * u64::try_from(at_once).unwrap();
        assert_eq!(letters.clone().count() as u64, wanted, "{value}, {instance}");
        for letter in letters {
            let (message, trap) = (letter.header("__dlq.errors.message"), letter.header("sharemill.trap"));
            if !message.contains(reason) && !trap.contains(reason) {
                wrong.push(format!("{deployment} {value}: {message} {trap}, wanted {reason}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{instance}: {wrong:#?}");
    let sound = dead.values().flatten().filter(|letter| letter.value == SOUND);
    assert_eq!(sound.count(), 0, "{instance}: a sound record failed: {dead:?}");
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

/// A guest that does not even start is the host's matter: its records stay what they are, and a sound component takes
/// them up. Other deployments go on meanwhile.
#[test]
fn a_guest_that_does_not_start_costs_no_record() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    for (instance, guest) in [
        ("reuse", "start-trap"),
        ("fresh", "start-trap"),
        ("reuse", "start-loop"),
        ("fresh", "start-loop"),
    ] {
        let manifest = ["hostile", guest].map(|name| deployment(name, instance, 10, DEADLINE));
        let folder = Folder::with_host("lanes = 2", &manifest.concat()).guest("hostile");
        let component = format!("{guest}.wasm");
        folder.file(&component, guests::hostile_wat(guest));
        let mut running = Running::start(&folder);
        folder.produce(guest, &[SOUND; 10]);
        let given_back = || {
            let labels = [format!("deployment=\"{guest}\""), "verdict=\"give-back\"".to_owned()];
            Running::value(&running.metrics(), "sharemill_records_total", &labels)
        };
        until("a record given back", || (given_back() >= 1.0).then_some(()));
        let began = Instant::now();
        running.serve("hostile", SOUND, 20);
        eprintln!("{guest}, {instance}: 20 records beside it in {:?}", began.elapsed());
        assert_eq!(done(&folder, guest), 0, "{guest}, {instance}");
        running.host.stop();
        let letters = || topics::read(&folder.data(), &[&format!("{guest}.dead")]).remove(0);
        assert_eq!(letters(), [], "{guest}, {instance}");
        folder.file(&component, guests::hostile_wat("accept"));
        folder.run(&["run", "--until-idle"]).success();
        assert_eq!(done(&folder, guest), 10, "{guest}, {instance}");
        assert_eq!(letters(), [], "{guest}, {instance}");
    }
}
