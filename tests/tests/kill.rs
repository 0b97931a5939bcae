//! Kill -9 of a loaded host at chosen steps of its work, again and again: no confirmed record is lost, none has its
//! lines twice. `SHAREMILL_KILLS` sets how often.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sharemill::admin::Record;
use sharemill_tests::client::{Produced, Producer};
use sharemill_tests::host::End;
use sharemill_tests::topics::{self, Stored};
use sharemill_tests::{Folder, Host, until};

const MANIFEST: &str = r#"
[sources.main]
journal-size = "16MiB"
memory-window = "1MiB"

[deployments.enrich]
component = "enrich.wasm"
topic = "orders"
concurrency = 64
dead-letter = "orders.dead"
grants = { emit = ["order-lines"] }

# Long calls with a short lock: their leases have to be extended.
[deployments.naps]
component = "sleeper.wasm"
topic = "naps"
concurrency = 8
lock = "1s"
"#;

const PHASES: [&str; 6] = ["journal-written", "drain", "snapshot", "emit", "extend", "recovery"];
/// Records that must be held for a kill to count.
const HELD_MIN: u64 = 32;
/// How long a host may take to get to its kill; then it is killed from outside and does not count.
const PATIENCE: Duration = Duration::from_secs(20);

/// Orders that the client may send between two kills: more would pile up faster than they are done.
const SENT_MAX: u64 = 60_000;
/// How long the last host may take to finish everything.
const FINISH: Duration = Duration::from_mins(3);

/// Every 20th order is malformed; the others have 1 to 3 lines.
fn lines_of(number: u64) -> u64 {
    if number % 20 == 7 { 0 } else { 1 + number % 3 }
}

fn order(number: u64) -> Record {
    let lines: Vec<String> = (0..lines_of(number))
        .map(|line| {
            format!(
                r#"{{"sku":"sku-{line}","quantity":{},"price_cents":250}}"#,
                number % 9 + 1
            )
        })
        .collect();
    let lines = lines.join(",");
    let (customer, end) = ("c".repeat(100), if lines.is_empty() { "" } else { "]}" });
    let value = format!(r#"{{"id":"{number}","customer":"{customer}","lines":[{lines}{end}"#);
    Record {
        key: Some(number.to_string().into()),
        value: Some(value.into()),
        ..Record::default()
    }
}

/// A call that is longer than the lock of its record.
fn nap(_: u64) -> Record {
    Record {
        value: Some("2500".into()),
        ..Record::default()
    }
}

/// Orders that must be confirmed for each kill: a run that hardly produced proves nothing.
const CONFIRMED_MIN: usize = 500;

/// What one kill was.
struct Kill {
    phase: &'static str,
    counts: bool,
    /// For the run's log.
    story: String,
}

#[test]
fn nothing_confirmed_is_lost_and_nothing_is_done_twice() {
    let kills: usize = std::env::var("SHAREMILL_KILLS").map_or(10, |text| text.parse().unwrap());
    let folder = Folder::new(MANIFEST).guest("enrich").guest("sleeper");
    let producer = Producer::start(&folder.data(), "orders", folder.path().join("confirmed"), order);
    let naps = Producer::start(&folder.data(), "naps", folder.path().join("naps"), nap);
    let mut done: Vec<Kill> = Vec::new();
    for round in 0..kills {
        let (kill, held) = kill_once(&folder, [&producer, &naps], round, done.last());
        judge(done.last_mut(), held);
        eprintln!("kill {:2} {:15} {}", round + 1, kill.phase, kill.story);
        done.push(kill);
    }
    naps.stop();
    let (produced, held) = finish(&folder, producer);
    judge(done.last_mut(), held);
    check(&folder, &produced, kills);
    folder.run(&["verify"]).success();
    report(&done);
}

/// A killed recovery counts by what the next one found.
fn judge(before: Option<&mut Kill>, held: Option<u64>) {
    if let Some(kill) = before.filter(|kill| kill.phase == "recovery") {
        let found = held.unwrap_or_default();
        eprintln!("        the next recovery found {found} held");
        kill.counts &= found >= HELD_MIN;
    }
}

/// What a host says of its recovery.
fn held(stderr: &str) -> Option<u64> {
    let line = stderr
        .lines()
        .find(|line| line.contains("recovered after an unclean end"))?;
    number(line, "held=")
}

fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(name)?;
    let digits = rest.split(|other: char| !other.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The kill, and what the host had recovered from before.
fn kill_once(
    folder: &Folder,
    [producer, naps]: [&Producer; 2],
    round: usize,
    before: Option<&Kill>,
) -> (Kill, Option<u64>) {
    let phase = PHASES[round % PHASES.len()];
    let after = match phase {
        "journal-written" => 40 + 37 * (round % 11),
        "emit" => 200 + 311 * (round % 7),
        _ => 1 + round / PHASES.len() % 2,
    };
    producer.allow(SENT_MAX);
    let host = Host::spawn(folder, &[], &[("SHAREMILL_KILL", &format!("{phase}:{after}"))]);
    let sent = producer.sent();
    let ended = if phase == "extend" {
        end_among_naps([producer, naps], host)
    } else {
        host.end_within(PATIENCE)
    };
    let end = ended.unwrap_or_else(|host| {
        eprintln!("{}", state(folder));
        host.kill();
        host.end()
    });
    assert_eq!(end.signal, Some(9), "round {round}, {phase}: {}", end.stderr);
    let Some((_, line)) = end.stderr.split_once("killed at ") else {
        let story = format!("not reached in {PATIENCE:?}:\n{}", end.stderr);
        let kill = Kill {
            phase,
            counts: false,
            story,
        };
        return (kill, held(&end.stderr));
    };
    // Recovery is killed before anything can be under way: what counts is what it recovers from (`judge`).
    let counts = if phase == "recovery" {
        before.is_some_and(|before| before.counts)
    } else {
        number(line, "acquired=") >= Some(HELD_MIN) && number(line, "settling=") > Some(0)
    };
    let sent = producer.sent() - sent;
    let kill = Kill {
        phase,
        counts,
        story: format!("{} sent={sent}", line.trim()),
    };
    (kill, held(&end.stderr))
}

/// Gives the host long calls and orders beside them, again and again: a lease has to be extended while others are settled.
fn end_among_naps([producer, naps]: [&Producer; 2], mut host: Host) -> Result<End, Host> {
    for _ in 0..PATIENCE.as_secs() {
        naps.allow(4);
        match host.end_within(Duration::from_secs(1)) {
            Ok(end) => return Ok(end),
            Err(same) => host = same,
        }
        producer.allow(SENT_MAX / 4);
    }
    Err(host)
}

/// Lets the host finish everything.
fn finish(folder: &Folder, producer: Producer) -> (Produced, Option<u64>) {
    let last = Host::start(folder, &[]);
    let sent = producer.sent();
    producer.allow(2_000);
    until("records after the last kill", || {
        (producer.sent() > sent + 1000).then_some(())
    });
    let produced = producer.stop();
    let found = held(&last.stop());
    let end = Host::spawn(folder, &["--until-idle"], &[]).end_within(FINISH);
    let end = end.unwrap_or_else(|_| panic!("not idle after {FINISH:?}: {}", state(folder)));
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    (produced, found)
}

/// What the running host has still to do.
fn state(folder: &Folder) -> String {
    let show = |arguments: &[&str]| {
        let output = folder.run(arguments);
        format!("{arguments:?}\n{}{}", output.stdout, output.stderr)
    };
    ["enrich", "naps"]
        .map(|group| show(&["group", "describe", group]))
        .join("")
        + &show(&["topic", "list"])
}

fn check(folder: &Folder, produced: &Produced, kills: usize) {
    let mut read = topics::read(&folder.data(), &["order-lines", "orders.dead"]).into_iter();
    let (lines, dead) = (read.next().unwrap(), read.next().unwrap());
    let mut seen: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(&line.value).unwrap();
        let number = value["order"].as_str().unwrap().parse().unwrap();
        seen.entry(number).or_default().push(value["line"].as_u64().unwrap());
    }
    for (number, lines) in &mut seen {
        assert!(*number < produced.sent, "order {number} was never sent");
        lines.sort_unstable();
        let wanted: Vec<u64> = (1..=lines_of(*number)).collect();
        assert_eq!(*lines, wanted, "lines of order {number}");
    }
    let mut letters = BTreeSet::new();
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for letter in &dead {
        let number: u64 = letter.key.as_ref().unwrap().parse().unwrap();
        assert!(number < produced.sent, "order {number} was never sent");
        assert!(letters.insert(number), "order {number} is twice in the dead letters");
        assert!(
            !seen.contains_key(&number),
            "order {number} has lines and a dead letter"
        );
        *causes.entry(cause(letter, number)).or_default() += 1;
    }
    for number in &produced.confirmed {
        let is_there = seen.contains_key(number) || letters.contains(number);
        assert!(is_there, "order {number} was confirmed and is nowhere");
    }
    let (sent, confirmed) = (produced.sent, produced.confirmed.len());
    assert!(
        confirmed >= kills * CONFIRMED_MIN,
        "{confirmed} orders confirmed in {kills} kills"
    );
    assert!(
        seen.len() * 10 >= confirmed * 9,
        "{} of {confirmed} confirmed orders have lines",
        seen.len()
    );
    eprintln!(
        "{sent} orders sent, {confirmed} confirmed; {} with lines, {} dead {causes:?}; {} lines",
        seen.len(),
        letters.len(),
        lines.len()
    );
}

/// A sound order dies only with the process, twice.
fn cause(letter: &Stored, number: u64) -> &str {
    let cause = letter.header("sharemill.cause");
    let deliveries: u64 = letter.header("__dlq.errors.delivery.count").parse().unwrap();
    let allowed = (cause == "host-crash" && deliveries >= 2) || (cause == "reject" && lines_of(number) == 0);
    assert!(allowed, "order {number}: {:?}", letter.headers);
    cause
}

fn report(done: &[Kill]) {
    let counting = done.iter().filter(|kill| kill.counts).count();
    for phase in PHASES {
        let of_phase = done.iter().filter(|kill| kill.phase == phase);
        let counting = of_phase.clone().filter(|kill| kill.counts).count();
        eprintln!("{phase:15} {:2} kills, {counting:2} count", of_phase.count());
        assert!(
            counting > 0 || done.len() < PHASES.len(),
            "no kill of phase {phase} counts"
        );
    }
    eprintln!("{counting} of {} kills count", done.len());
    assert!(
        counting * 10 >= done.len() * 9,
        "{counting} of {} kills count",
        done.len()
    );
}
