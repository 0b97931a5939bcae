//! The rules for `--format json`: an object, what a command lists is an array in it, and keys are written with `_`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fake::FakeHost;
use crate::support::Folder;

const MANIFEST: &str = "[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"orders\"\n";

/// Every command that takes `--format`, called, and the array that its answer has.
const QUERIES: &[(&[&str], &[&str], Option<&str>)] = &[
    (&["config", "check"], &[], Some("problems")),
    (&["config", "show"], &[], None),
    (
        &["crash-test"],
        &["--for", "1s", "--kills", "1", "--seed", "1"],
        Some("findings"),
    ),
    (&["dead", "list"], &[], Some("dead_letters")),
    (&["dead", "redrive"], &["orders.dead/0/0"], Some("redriven")),
    (&["dead", "show"], &["orders.dead/0/0"], None),
    (&["group", "delete"], &["enrich", "--force"], None),
    (&["group", "describe"], &["enrich"], Some("share_partitions")),
    (&["group", "list"], &[], Some("groups")),
    (
        &["group", "reset"],
        &["enrich", "--to", "earliest", "--force"],
        Some("partitions"),
    ),
    (&["invoke"], &["handler.wasm"], Some("emitted")),
    (&["module", "inspect"], &["handler.wasm"], Some("imports")),
    // One object for each record, as it is stored.
    (&["produce"], &["orders", "a"], None),
    (&["records"], &["enrich"], Some("records")),
    (&["test"], &["--records", "records.ndjson"], Some("records")),
    (&["topic", "create"], &["new"], None),
    (&["topic", "delete"], &["orders", "--force"], None),
    (&["topic", "describe"], &["orders"], Some("partition_list")),
    (&["topic", "list"], &[], Some("topics")),
    (&["topic", "read"], &["orders"], Some("records")),
    (&["verify"], &[], Some("damage")),
];

/// Queries that only a Kafka cluster answers: `tests/tests/kafka_admin.rs` reads what they print.
const ON_CLUSTERS: &[&[&str]] = &[
    &["archived"],
    &["archived", "list"],
    &["archived", "recover"],
    &["doctor"],
];

#[test]
fn every_query_prints_one_object() {
    let folder = Folder::with_manifest(MANIFEST);
    folder.file("records.ndjson", "{\"expect\": \"accept\"}");
    let _host = FakeHost::start(&folder.path().join("data"));
    // Needs the directory to itself.
    let alone = Folder::with_manifest(MANIFEST);
    let made = alone.run(&["topic", "create", "extra"]);
    assert!(made.starts_with("exit 0"), "{made}");
    for (command, arguments, listed) in QUERIES {
        let folder = if *command == ["verify"] { &alone } else { &folder };
        let all = [command, *arguments, &["--format", "json"]].concat();
        let output = folder.command(&all).output().unwrap();
        let answer: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error} {output:?}"));
        assert!(answer.is_object(), "{command:?}: {answer}");
        if let Some(listed) = listed {
            assert!(answer[listed].is_array(), "{command:?}: {answer}");
        }
        // A manifest has the keys of a manifest.
        if *command != ["config", "show"] {
            assert_eq!(dashed(&answer), [""; 0], "{command:?}: {answer}");
        }
    }
}

/// Keys with a dash, at any depth.
fn dashed(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| {
                let own = key.contains('-').then_some(key.as_str());
                own.into_iter().chain(dashed(value))
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(dashed).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn no_query_is_left_out() {
    let folder = Folder::new();
    let mut found = BTreeSet::new();
    let mut open = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let help = folder.run(&[command.clone(), vec!["--help"]].concat());
        let within = help
            .split_once("\nCommands:\n")
            .map(|(_, rest)| rest.split("\n\n").next().unwrap());
        for line in within.into_iter().flat_map(str::lines) {
            // A name begins in the third column, text that goes on further to the right.
            if let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) {
                let name = name.split(' ').next().unwrap().to_owned();
                open.push([command.clone(), vec![String::leak(name) as &str]].concat());
            }
        }
        if help.contains("--format <FORMAT>") {
            found.insert(command);
        }
    }
    let queries = QUERIES.iter().map(|(command, ..)| *command);
    let known: BTreeSet<Vec<&str>> = queries
        .chain(ON_CLUSTERS.iter().copied())
        .map(<[&str]>::to_vec)
        .collect();
    assert_eq!(found, known);
}
