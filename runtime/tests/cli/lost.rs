//! What is said of records that are gone, cannot be read, or were never there: over an engine whose files are touched.

use std::fs;
use std::path::PathBuf;

use share_engine::config::{EngineConfig, GroupConfig, Retention, TopicConfig};
use share_engine::engine::{AcquireMode, Engine, Outcome, Settlement, block_on};
use share_engine::record::NewRecord;

use crate::support::Folder;

/// Three records of `orders`, each larger than what is checked together, settled by `work`.
fn settled(outcome: fn() -> Outcome) -> Folder {
    let folder = Folder::new();
    folder.file("sharemill.toml", "");
    let (engine, _) = Engine::open(folder.path().join("data"), EngineConfig::default()).unwrap();
    block_on(async {
        let queue = TopicConfig {
            retention: Retention::Queue,
            ..TopicConfig::default()
        };
        engine.create_topic("orders", queue).await.unwrap();
        let config = GroupConfig {
            dead_letter: Some("work.dead".to_owned()),
            ..GroupConfig::default()
        };
        engine.create_group("work", config).await.unwrap();
        engine.subscribe("work", "orders").await.unwrap();
        let member = engine.join("work", &["orders"]).await.unwrap();
        for _ in 0..3 {
            let record = NewRecord {
                value: Some(vec![b'x'; 5_000].into()),
                ..NewRecord::default()
            };
            assert!(engine.produce("orders", None, vec![record]).await[0].is_ok());
            let held = member.acquire(1, u64::MAX, AcquireMode::RecordLimit).await.unwrap();
            let settlement = |lease| Settlement {
                lease,
                outcome: outcome(),
                evidence: None,
            };
            member
                .settle(held.iter().map(|one| settlement(one.lease)).collect())
                .await;
        }
        member.leave().await.unwrap();
        engine.drain().await.unwrap();
        engine.close().await.unwrap();
    });
    folder
}

fn rejected() -> Outcome {
    Outcome::Reject { reason: None }
}

fn accepted() -> Outcome {
    Outcome::Accept { emit: Vec::new() }
}

fn log(folder: &Folder) -> PathBuf {
    folder.path().join("data/logs/work.dead-0/00000000000000000000.log")
}

/// One bad byte hid every dead letter, and no way out was named.
#[test]
fn a_damaged_dead_letter_hides_no_other() {
    let folder = settled(rejected);
    let mut bytes = fs::read(log(&folder)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(log(&folder), &bytes).unwrap();
    let hint = "hint: stop the host and run sharemill verify: it names every damaged place\n";
    let place = "1 dead letter in work.dead/0, offsets 1 to 1, cannot be read: logs/work.dead-0/00000000000000000000.log is damaged at byte ";
    let listed = folder.run(&["dead", "list"]);
    assert!(listed.starts_with("exit 1\n"), "{listed}");
    assert!(
        listed.contains("\nwork.dead/0/0 ") && listed.contains("\nwork.dead/0/2 "),
        "{listed}"
    );
    assert!(
        listed.contains(&format!("\nerror: {place}")) && listed.ends_with(hint),
        "{listed}"
    );
    let json = folder.run(&["dead", "list", "--format", "json"]);
    assert!(
        json.starts_with("exit 1\n") && json.contains("\"unreadable\": ["),
        "{json}"
    );
    let shown = folder.run(&["dead", "show", "work.dead/0/1"]);
    assert!(shown.starts_with("exit 1\n") && shown.ends_with(hint), "{shown}");
    let shown = folder.run(&["dead", "show", "work.dead/0/2"]);
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let redriven = folder.run(&["dead", "redrive", "--all"]);
    assert!(redriven.starts_with("exit 1\n"), "{redriven}");
    assert!(redriven.contains("\nwork.dead/0/2  orders/0/4\n"), "{redriven}");
    assert!(
        redriven.contains(&format!("\nerror: {place}")) && redriven.ends_with(hint),
        "{redriven}"
    );
    let listed = folder.run(&["dead", "list"]);
    assert!(
        listed.starts_with("exit 1\n") && !listed.contains("\nwork.dead/0/"),
        "{listed}"
    );
}

/// It was answered with an empty table of what would be done.
#[test]
fn a_reset_of_a_drained_queue_says_that_nothing_is_left() {
    let folder = settled(accepted);
    insta::assert_snapshot!(folder.run(&["group", "reset", "work", "--to", "earliest"]), @"
    exit 0
    --- stdout
    TOPIC   PARTITION  FROM  TO  EPOCH  TO DELIVER
    orders          0     3   3      1           0
    --- stderr
    note: a topic with retention queue does not keep what its groups have settled; that is not delivered again
    ");
    let quiet = folder.run(&["group", "reset", "work", "--to", "latest"]);
    assert!(quiet.starts_with("exit 0") && !quiet.contains("note"), "{quiet}");
}

/// The answer was an empty table and exit code 0.
#[test]
fn what_is_not_there_is_an_error_that_names_what_is() {
    let folder = settled(rejected);
    for (arguments, error, hint) in [
        (
            &["records", "work", "--topic", "order"][..],
            "group work does not read topic \"order\"",
            "there is orders",
        ),
        (
            &["records", "work", "--partition", "1"],
            "group work has no partition 1",
            "there are partitions 0 to 0",
        ),
        (
            &["records", "work", "--from", "4"],
            "offset 4 is behind the end: orders/0 goes on to 3",
            "give --from 3 or less",
        ),
        (
            &["records", "wrok"],
            "unknown group \"wrok\"",
            "sharemill group list shows the groups there are",
        ),
        (
            &["dead", "list", "--group", "wrok"],
            "unknown group \"wrok\"",
            "there is work",
        ),
        (
            &["dead", "redrive", "--all", "--group", "wrok"],
            "unknown group \"wrok\"",
            "there is work",
        ),
        (
            &["dead", "list", "--topic", "dead"],
            "no group leaves its dead letters in topic \"dead\"",
            "dead letters are in work.dead",
        ),
        (
            &["group", "reset", "work", "--to", "latest", "--topic", "order"],
            "group \"work\" does not read topic \"order\"",
            "sharemill group describe work shows what it reads",
        ),
        (
            &[
                "group",
                "reset",
                "work",
                "--to",
                "latest",
                "--topic",
                "orders",
                "--partition",
                "1",
            ],
            "topic \"orders\" has no partition 1",
            "sharemill topic describe orders shows its partitions",
        ),
        (
            &["dead", "show", "work.dead/1/0"],
            "topic \"work.dead\" has no partition 1",
            "sharemill topic describe work.dead shows its partitions",
        ),
    ] {
        let expected = format!("exit 1\n--- stderr\nerror: {error}\nhint: {hint}\n");
        assert_eq!(folder.run(arguments), expected, "{arguments:?}");
    }
    let none = folder.run(&["dead", "list", "--group", "work", "--cause", "trap"]);
    assert!(none.starts_with("exit 0"), "{none}");
}
