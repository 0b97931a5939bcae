//! The command line on a Kafka cluster, by the real command against real brokers. Kafka's own tools act beside it, and judge.
#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write as _;

use kafka_cluster::{Cluster, Options, PASSWORD, Version};
use serde_json::Value;
use sharemill_tests::{Folder, Output, guests, until};

const SHARE_GROUPS: &str = "org.apache.kafka.tools.consumer.group.ShareGroupCommand";
const CONSOLE: &str = "org.apache.kafka.tools.consumer.ConsoleShareConsumer";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const ACLS: &str = "org.apache.kafka.tools.AclCommand";

fn runs(version: Version, test: &str) -> bool {
    kafka_cluster::runs_here(version, &format!("kafka_admin::{test}"))
}

/// A folder with a manifest on a cluster, and Kafka's tools beside it.
struct Rig {
    cluster: Cluster,
    folder: Folder,
}

impl Rig {
    fn start(options: Options, manifest: &str) -> Self {
        let cluster = Cluster::start(options).unwrap();
        let servers = cluster.bootstrap();
        let source =
            format!("[sources.main]\ntype = \"kafka\"\nproperties = {{ \"bootstrap.servers\" = \"{servers}\" }}\n");
        let folder = Folder::new(&format!("{source}{manifest}"));
        Self { cluster, folder }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.folder.run(arguments)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--format", "json"]].concat()).json()
    }

    #[track_caller]
    fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let servers = self.cluster.bootstrap();
        let arguments = [&["--bootstrap-server", &servers], arguments].concat();
        let printed = self.cluster.tool(class, &arguments);
        printed.unwrap_or_else(|error| panic!("{error}")).stdout
    }

    /// Makes the group, which begins with the first record.
    #[track_caller]
    fn group(&self, group: &str, topic: &str) {
        let reset = [
            "--reset-offsets",
            "--to-earliest",
            "--execute",
            "--group",
            group,
            "--topic",
            topic,
        ];
        self.tool(SHARE_GROUPS, &reset);
    }

    /// Has Kafka's own consumer settle so many records like this.
    #[track_caller]
    fn consume(&self, group: &str, topic: &str, count: usize, verb: &[&str]) {
        let count = count.to_string();
        let limits = ["--max-messages", &count, "--timeout-ms", "30000"];
        let printed = self.tool(
            CONSOLE,
            &[&["--topic", topic, "--group", group][..], &limits, verb].concat(),
        );
        assert!(!printed.is_empty());
    }

    /// The rows of a table of one of Kafka's tools, by the names of its columns.
    #[track_caller]
    fn rows(&self, arguments: &[&str]) -> Vec<Vec<(String, String)>> {
        let printed = self.tool(SHARE_GROUPS, arguments);
        let mut lines = printed.lines().filter(|line| !line.trim().is_empty());
        let names: Vec<String> = lines
            .by_ref()
            .find(|line| line.starts_with("GROUP"))
            .unwrap_or_else(|| panic!("{printed}"))
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let row = |line: &str| {
            names
                .iter()
                .cloned()
                .zip(line.split_whitespace().map(str::to_owned))
                .collect()
        };
        lines.map(row).collect()
    }
}

fn cell<'r>(row: &'r [(String, String)], name: &str) -> &'r str {
    &row.iter().find(|(known, _)| known == name).unwrap().1
}

#[test]
fn the_command_line_works_on_a_cluster() {
    if !runs(Version::default(), "the_command_line_works_on_a_cluster") {
        return;
    }
    // No lock ends while a test looks.
    let options = Options::default().set("group.share.record.lock.duration.ms", "60000");
    let rig = Rig::start(options, "[topics.jobs]\npartitions = 2\nretention = \"1d\"\n");
    topics_and_records(&rig);
    groups_agree_with_kafka(&rig);
    copies_stay_where_they_wait(&rig);
    groups_are_moved_and_removed(&rig);
    what_was_given_up_comes_back(&rig);
    letters_of_a_host(&rig);
    letters_by_name(&rig);
    without_a_manifest(&rig);
}

fn topics_and_records(rig: &Rig) {
    let produced = rig.run(&["produce", "jobs", "--partition", "1", "a", "b", "c"]);
    assert!(produced.stderr.contains("created topic jobs"), "{produced:?}");
    let told = produced.success();
    assert!(told.contains("3 records stored in jobs, 0 refused"), "{told}");
    let lines =
        "{\"value\":\"d\",\"partition\":1}\n{\"value\":\"e\",\"partition\":9}\n{\"value\":\"f\",\"partition\":1}\n";
    let produced = rig
        .folder
        .run_with_input(&["produce", "jobs", "--ndjson", "-", "--format", "json"], lines);
    produced.failure(1, &[]);
    let results: Vec<Value> = produced
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&results[0]["partition"], &results[0]["offset"]),
        (&1.into(), &3.into())
    );
    let refused = results[1]["error"]["message"].as_str().unwrap();
    assert_eq!(refused, "topic jobs has no partition 9, it has 2");
    assert_eq!(results[2]["offset"], 4);

    let topics = rig.json(&["topic", "list"]);
    let listed: Vec<&str> = topics["topics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(listed, ["jobs"]);
    assert_eq!(
        (&topics["topics"][0]["records"], &topics["topics"][0]["bytes"]),
        (&5.into(), &Value::Null)
    );
    let topic = rig.json(&["topic", "describe", "jobs"]);
    assert_eq!(topic["retention"], "1d");
    assert_eq!(
        (
            &topic["partition_list"][1]["log_end"],
            &topic["partition_list"][1]["brokers"]["leader"]
        ),
        (&5.into(), &1.into())
    );
    let read = rig.json(&["topic", "read", "jobs", "--from", "2", "--limit", "2"]);
    let values: Vec<&str> = read["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["record"]["value"].as_str().unwrap())
        .collect();
    assert_eq!((values, &read["more"]), (vec!["c", "d"], &true.into()));

    rig.run(&["topic", "create", "spare", "--partitions", "3"]).success();
    assert_eq!(rig.json(&["topic", "describe", "spare"])["partitions"], 3);
    rig.run(&["topic", "create", "spare"])
        .failure(1, &["TOPIC_ALREADY_EXISTS"]);
    rig.run(&["topic", "create", "more", "--retention", "queue"])
        .failure(1, &["retention queue belongs to an embedded engine", "give a duration"]);
    rig.run(&["topic", "delete", "jobs"])
        .failure(1, &["topic jobs has 5 record(s)", "--force"]);
    rig.run(&["topic", "delete", "spare"]).success();
    rig.run(&["produce", "job", "x"])
        .failure(1, &["topic job does not exist", "did you mean jobs?"]);
    rig.run(&["topic", "read", "jobs", "--partition", "7"])
        .failure(1, &["topic jobs has no partition 7, it has 2"]);
    rig.run(&["verify"]).failure(1, &["main is a kafka source", "brokers"]);
    assert!(!rig.folder.data().exists());
}

/// While somebody works in it.
fn groups_agree_with_kafka(rig: &Rig) {
    rig.group("packers", "jobs");
    std::thread::scope(|scope| {
        let works = scope.spawn(|| {
            rig.tool(
                CONSOLE,
                &["--topic", "jobs", "--group", "packers", "--timeout-ms", "15000"],
            )
        });
        let group = until("five records settled by one member", || {
            let group = rig.json(&["group", "describe", "packers"]);
            let is_done = group["members"] == 1 && group["lag"] == 0;
            is_done.then_some(group)
        });
        let members = rig.rows(&["--describe", "--group", "packers", "--members"]);
        assert_eq!(members.len(), 1);
        assert_eq!(group["member_list"][0]["id"], cell(&members[0], "CONSUMER-ID"));
        assert_eq!(group["member_list"][0]["client_id"], cell(&members[0], "CLIENT-ID"));
        assert_eq!(
            group["member_list"][0]["host"],
            cell(&members[0], "HOST").trim_start_matches('/')
        );
        assert_eq!(cell(&members[0], "ASSIGNMENT"), "jobs:0,1");
        assert_eq!(
            group["member_list"][0]["assigned"],
            serde_json::json!(["jobs/0", "jobs/1"])
        );
        agree(rig, "packers", &group);
        rig.run(&["group", "reset", "packers", "--to", "earliest"])
            .failure(1, &["1 member(s) work for group packers", "stop its members first"]);
        works.join().unwrap();
    });
    // Some that nobody has settled.
    rig.run(&["produce", "jobs", "--partition", "0", "g", "h"]).success();
    let group = until("nobody in it", || {
        let group = rig.json(&["group", "describe", "packers"]);
        (group["members"] == 0).then_some(group)
    });
    assert_eq!(
        (&group["lag"], &group["delivery_count_limit"], &group["lock_ms"]),
        (&2.into(), &5.into(), &60_000.into())
    );
    agree(rig, "packers", &group);
    let list = rig.json(&["group", "list"]);
    assert_eq!(list["groups"][0]["topics"], serde_json::json!(["jobs"]));
    let shown = rig.run(&["group", "describe", "packers"]).success();
    assert!(shown.contains("TOPIC  PARTITION  START  LOG END  LAG"), "{shown}");
    assert!(shown.contains("delivery count limit  5\n"), "{shown}");
}

/// On start offset and lag of every partition.
#[track_caller]
fn agree(rig: &Rig, name: &str, group: &Value) {
    let text = |value: &Value| {
        if value.is_null() {
            "-".to_owned()
        } else {
            value.to_string()
        }
    };
    let ours: Vec<[String; 4]> = group["share_partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            [
                one["topic"].as_str().unwrap().to_owned(),
                one["partition"].to_string(),
                text(&one["start_offset"]),
                text(&one["lag"]),
            ]
        })
        .collect();
    let mut theirs: Vec<[String; 4]> = rig
        .rows(&["--describe", "--group", name])
        .iter()
        .map(|row| ["TOPIC", "PARTITION", "START-OFFSET", "LAG"].map(|column| cell(row, column).to_owned()))
        .collect();
    theirs.sort();
    assert!(!ours.is_empty());
    assert_eq!(ours, theirs);
}

fn groups_are_moved_and_removed(rig: &Rig) {
    let moved = rig.json(&[
        "group",
        "reset",
        "packers",
        "--to",
        "offset:2",
        "--topic",
        "jobs",
        "--partition",
        "1",
    ]);
    assert_eq!(
        (&moved["partitions"][0]["from"], &moved["partitions"][0]["to"]),
        // Where it was written to be: what was settled behind it moves it with the next write only.
        (&0.into(), &2.into())
    );
    agree(rig, "packers", &rig.json(&["group", "describe", "packers"]));
    // Everything up to there would be lost unseen, and in one partition it is.
    rig.run(&["group", "reset", "packers", "--to", "offset:3"]).failure(
        1,
        &["offset 3 is behind the end of jobs/0, which has 0 to 2", "--partition"],
    );
    agree(rig, "packers", &rig.json(&["group", "describe", "packers"]));
    let moved = rig.json(&["group", "reset", "packers", "--to", "by-duration:1h"]);
    assert_eq!(
        (&moved["partitions"][1]["to"], &moved["partitions"][1]["unsettled"]),
        (&0.into(), &5.into())
    );
    rig.run(&["group", "reset", "packers", "--to", "latest", "--topic", "other"])
        .failure(1, &["group packers does not read topic \"other\"", "there is jobs"]);
    rig.run(&["group", "delete", "packers"])
        .failure(1, &["group packers has 7 record(s) that are not settled", "--force"]);
    let gone = rig.json(&["group", "delete", "packers", "--force"]);
    assert_eq!((&gone["share_partitions"], &gone["unsettled"]), (&2.into(), &7.into()));
    for command in [
        &["group", "describe", "packers"][..],
        &["records", "packers"],
        &["archived", "--group", "packers"],
    ] {
        rig.run(command)
            .failure(1, &["group packers does not exist", "sharemill group list"]);
    }
}

/// Of a group that has a retry topic; nobody named it.
fn copies_stay_where_they_wait(rig: &Rig) {
    rig.run(&["topic", "create", "movers.retry"]).success();
    rig.run(&["produce", "movers.retry", "a", "b"]).success();
    rig.group("movers", "jobs");
    rig.group("movers", "movers.retry");
    let start = |topic: &str| {
        let group = rig.json(&["group", "describe", "movers"]);
        let shares = group["share_partitions"].as_array().unwrap().clone();
        let one = shares.into_iter().find(|one| one["topic"] == topic).unwrap();
        one["start_offset"].clone()
    };
    let moved = rig.json(&["group", "reset", "movers", "--to", "latest"]);
    let topics: Vec<&Value> = moved["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["topic"])
        .collect();
    assert_eq!(topics, ["jobs", "jobs"]);
    assert_eq!(
        moved["left"],
        serde_json::json!([{"topic": "movers.retry", "records": 2}])
    );
    assert_eq!(start("movers.retry"), 0);
    let told = rig.run(&["group", "reset", "movers", "--to", "earliest"]);
    assert!(
        told.stderr
            .contains("note: retry topic movers.retry is left as it is: 2 copies still wait there"),
        "{told:?}"
    );
    let moved = rig.json(&["group", "reset", "movers", "--to", "latest", "--topic", "movers.retry"]);
    assert_eq!(
        (&moved["partitions"][0]["to"], &moved["left"]),
        (&2.into(), &Value::Null)
    );
    assert_eq!(start("movers.retry"), 2);
    rig.run(&["group", "delete", "movers", "--force"]).success();
    rig.run(&["topic", "delete", "movers.retry", "--force"]).success();
}

/// Three of a hundred, by a group that has never seen Sharemill.
fn what_was_given_up_comes_back(rig: &Rig) {
    rig.run(&["topic", "create", "parcels"]).success();
    rig.run(&["topic", "create", "rescued"]).success();
    let mut lines = String::new();
    for number in 0..100 {
        let _ = writeln!(
            lines,
            "{{\"key\":\"k{number}\",\"value_base64\":\"/w{number:02}\",\"headers\":[{{\"name\":\"n\",\"value\":\"{number}\"}},\
             {{\"name\":\"n\",\"value\":null}}],\"timestamp\":{}}}",
            1_700_000_000_000u64 + number
        );
    }
    rig.folder
        .run_with_input(&["produce", "parcels", "--ndjson", "-"], &lines)
        .success();
    rig.group("sorters", "parcels");
    rig.consume("sorters", "parcels", 10, &[]);
    rig.consume("sorters", "parcels", 3, &["--reject"]);
    let offsets = |archived: &Value| -> Vec<u64> {
        let archived = archived["archived"].as_array().unwrap();
        archived.iter().map(|one| one["offset"].as_u64().unwrap()).collect()
    };
    assert_eq!(offsets(&rig.json(&["archived", "--group", "sorters"])), [10, 11, 12]);
    assert_eq!(
        offsets(&rig.json(&["archived", "list", "--group", "sorters", "--limit", "2"])),
        [10, 11]
    );
    rig.run(&["records", "sorters", "--from", "101"]).failure(
        1,
        &[
            "offset 101 is behind the end: parcels/0 goes on to 100",
            "--from 100 or less",
        ],
    );
    rig.consume("sorters", "parcels", 87, &[]);
    // The start passes them, as soon as the broker has written it.
    until("nothing is left", || {
        let group = rig.json(&["group", "describe", "sorters"]);
        let lags = (&group["lag"], &group["share_partitions"][0]["lag"]);
        (lags == (&0.into(), &0.into())).then_some(())
    });
    let archived = rig.json(&["archived", "--group", "sorters"]);
    assert_eq!(offsets(&archived), [10, 11, 12]);
    assert_eq!(
        (&archived["more"], &archived["forgotten"]),
        (&false.into(), &serde_json::json!([]))
    );
    let records = rig.json(&["records", "--group", "sorters", "--from", "0", "--limit", "1000"]);
    let states = |wanted: &str| {
        let records = records["records"].as_array().unwrap();
        records.iter().filter(|one| one["state"] == wanted).count()
    };
    assert_eq!(
        (states("archived"), states("acknowledged"), states("finished")),
        (3, 97, 0)
    );
    given_up_is_copied(rig);
}

fn given_up_is_copied(rig: &Rig) {
    let told = rig
        .run(&["archived", "recover", "--group", "sorters", "--to", "rescued"])
        .success();
    assert_eq!(told, "3 records copied to rescued\n");
    let read = |topic: &str, from: &str| {
        let page = rig.json(&["topic", "read", topic, "--from", from, "--limit", "3"]);
        let records = page["records"].as_array().unwrap().clone();
        records.into_iter().map(|one| one["record"].clone()).collect::<Vec<_>>()
    };
    let (before, after) = (read("parcels", "10"), read("rescued", "0"));
    assert_eq!(
        (before.len(), &before[0]["timestamp"]),
        (3, &1_700_000_000_010u64.into())
    );
    assert!(
        before[0]["value_base64"].is_string() && before[0]["headers"][1]["value"].is_null(),
        "{before:?}"
    );
    assert_eq!(before, after);
    rig.run(&["archived", "recover", "--group", "sorters", "--to", "nowhere"])
        .failure(
            1,
            &[
                "topic nowhere does not exist",
                "sharemill topic list",
                "sharemill topic create nowhere makes it",
            ],
        );
    // What is held is told apart neither from what was never delivered, nor guessed.
    rig.run(&["produce", "parcels", "late"]).success();
    let shown = rig.run(&["records", "sorters"]).success();
    assert!(shown.contains("100  held elsewhere or never delivered"), "{shown}");
}

/// As a host writes it, as a line of a file of records.
fn letter(number: u32, cause: &str) -> String {
    serde_json::json!({
        "key": format!("k{number}"), "value": format!("v{number}"),
        "headers": {
            "own": "kept",
            "__dlq.errors.topic": "jobs", "__dlq.errors.partition": "1", "__dlq.errors.offset": number.to_string(),
            "__dlq.errors.group": "enrich", "__dlq.errors.delivery.count": "2", "__dlq.errors.message": "no price",
            "sharemill.cause": cause, "sharemill.archived-at": "1700000000000", "sharemill.origin": "orders/0/77",
            "sharemill.attempts": "release: later", "sharemill.log": "warn no price",
        },
    })
    .to_string()
}

fn letters_of_a_host(rig: &Rig) {
    rig.run(&["topic", "create", "jobs.dead"]).success();
    let lines = format!(
        "{}\n{}\n{{\"value\":\"no letter\"}}\n{}\n",
        letter(0, "reject"),
        letter(3, "trap"),
        letter(4, "reject")
    );
    rig.folder
        .run_with_input(&["produce", "jobs.dead", "--ndjson", "-"], &lines)
        .success();
    assert_eq!(letters(rig, &[]), ["jobs.dead/0/0", "jobs.dead/0/1", "jobs.dead/0/3"]);
    assert_eq!(letters(rig, &["--cause", "trap"]), ["jobs.dead/0/1"]);
    assert_eq!(letters(rig, &["--limit", "1"]), ["jobs.dead/0/0"]);
    let shown = rig.json(&["dead", "show", "jobs.dead/0/0"]);
    assert_eq!(
        (&shown["source_topic"], &shown["reason"]),
        (&"jobs".into(), &"no price".into())
    );
    assert_eq!(
        shown["record"]["headers"],
        serde_json::json!([{"name": "own", "value": "kept"}])
    );
    assert_eq!(
        (&shown["attempts"][0], &shown["log"][0]),
        (&"release: later".into(), &"warn no price".into())
    );
    rig.run(&["dead", "show", "jobs.dead/0/2"])
        .failure(1, &["there is no dead letter jobs.dead/0/2"]);
    a_letter_goes_through_a_build(rig);
    redriven_letters_are_there_no_more(rig);
}

fn replay(id: &str) -> [&str; 5] {
    ["test", "--manifest", "build.toml", "--from-dead-letter", id]
}

/// A letter of the cluster, as a handler of the manifest would take it now.
fn a_letter_goes_through_a_build(rig: &Rig) {
    std::fs::copy(guests::built("enrich"), rig.folder.path().join("enrich.wasm")).unwrap();
    let servers = rig.cluster.bootstrap();
    let manifest = format!(
        "[sources.main]\ntype = \"kafka\"\nproperties = {{ \"bootstrap.servers\" = \"{servers}\" }}\n\
         [deployments.sorter]\ncomponent = \"enrich.wasm\"\ntopic = \"jobs\"\ngroup = \"enrich\"\n"
    );
    rig.folder.file("build.toml", manifest);
    let replayed = rig.run(&replay("jobs.dead/0/0"));
    replayed.failure(
        1,
        &["redriven now it would be a dead letter again: reject: malformed JSON"],
    );
    assert!(replayed.stdout.contains("was       reject: no price"), "{replayed:?}");
    assert!(
        replayed.stdout.contains("from      jobs/1/0, group enrich"),
        "{replayed:?}"
    );
    // With the headers that it has after a redrive.
    let shown = rig.run(&[&replay("jobs.dead/0/0")[..], &["--format", "json"]].concat());
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let record = &shown["dead_letter"]["record"];
    let headers =
        serde_json::json!([{"name": "own", "value": "kept"}, {"name": "sharemill.origin", "value": "orders/0/77"}]);
    assert_eq!((&record["headers"], &record["partition"]), (&headers, &1.into()));
    // Without its record, which is not where it was, or another one is: as a redrive refuses it, no build gets it.
    rig.run(&["topic", "create", "lost-letters"]).success();
    for (index, offset) in ["1000000", "0"].into_iter().enumerate() {
        let mut lost: Value = serde_json::from_str(&letter(7, "reject")).unwrap();
        let lost = lost.as_object_mut().unwrap();
        lost.retain(|name, _| name == "headers");
        lost["headers"]["sharemill.payload"] = "lost".into();
        lost["headers"]["__dlq.errors.offset"] = offset.into();
        // Before the topic had any record.
        lost.insert("timestamp".to_owned(), 1_000.into());
        let line = serde_json::to_string(&lost).unwrap();
        rig.folder
            .run_with_input(&["produce", "lost-letters", "--ndjson", "-"], &line)
            .success();
        let id = format!("lost-letters/0/{index}");
        let told = ["holds no copy of its record, and orders/0/77 is not kept any more"];
        rig.run(&replay(&id)).failure(1, &told);
        rig.run(&["dead", "redrive", &id]).failure(1, &told);
    }
}

/// The ids of those that are listed.
#[track_caller]
fn letters(rig: &Rig, arguments: &[&str]) -> Vec<String> {
    let page = rig.json(&[&["dead", "list"], arguments].concat());
    let letters = page["dead_letters"].as_array().unwrap().iter();
    letters.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

fn redriven_letters_are_there_no_more(rig: &Rig) {
    let before = rig.json(&["topic", "describe", "jobs"])["partition_list"][1]["log_end"]
        .as_u64()
        .unwrap();
    let redriven = rig.json(&["dead", "redrive", "jobs.dead/0/1"]);
    assert_eq!(
        (
            &redriven["redriven"][0]["partition"],
            &redriven["redriven"][0]["offset"]
        ),
        (&1.into(), &before.into())
    );
    assert_eq!(letters(rig, &[]), ["jobs.dead/0/0", "jobs.dead/0/3"]);
    rig.run(&["dead", "redrive", "jobs.dead/0/1"]).failure(
        1,
        &[
            "dead letter jobs.dead/0/1 has been redriven already",
            "its record is in jobs again",
        ],
    );
    // A cluster is not one user's, and this manifest has no group.
    rig.run(&["dead", "redrive", "--all"])
        .failure(1, &["whose dead letters are to be redriven is not said", "--topic"]);
    let redriven = rig.json(&["dead", "redrive", "--all", "--topic", "jobs.dead"]);
    assert_eq!(redriven["redriven"].as_array().unwrap().len(), 2);
    assert!(letters(rig, &[]).is_empty() && letters(rig, &["--topic", "jobs.dead"]).is_empty());
    let from = before.to_string();
    let read = rig.json(&["topic", "read", "jobs", "--partition", "1", "--from", &from]);
    let records = read["records"].as_array().unwrap();
    let values: Vec<&Value> = records.iter().map(|one| &one["record"]["value"]).collect();
    assert_eq!(values, ["v3", "v0", "v4"]);
    let headers =
        serde_json::json!([{"name": "own", "value": "kept"}, {"name": "sharemill.origin", "value": "orders/0/77"}]);
    assert_eq!(
        (&records[0]["record"]["headers"], &records[0]["record"]["key"]),
        (&headers, &"k3".into())
    );
}

/// Several at once, whatever became of some of them before.
fn letters_by_name(rig: &Rig) {
    rig.run(&["topic", "create", "hand.dead", "--partitions", "2"])
        .success();
    for partition in ["0", "1"] {
        let lines = format!("{}\n{}\n", letter(5, "reject"), letter(6, "reject"));
        let produce = ["produce", "hand.dead", "--ndjson", "-", "--partition", partition];
        rig.folder.run_with_input(&produce, &lines).success();
    }
    let redrive = |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(|id| format!("hand.dead/{id}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let arguments = [&["dead", "redrive"], &ids[..], &["--format", "json"]].concat();
        let done: Value = serde_json::from_str(&rig.run(&arguments).stdout).unwrap();
        let ids = |of: &str| {
            let all = done[of].as_array().unwrap().iter();
            all.map(|one| one["id"].as_str().unwrap().replace("hand.dead/", ""))
                .collect::<Vec<_>>()
        };
        (ids("redriven"), ids("failed"))
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        redrive(&["1/0", "0/0", "0/0", "0/9"]),
        (texts(&["1/0", "0/0"]), texts(&["0/9"]))
    );
    assert_eq!(
        redrive(&["0/1", "0/0", "1/1", "1/0"]),
        (texts(&["0/1", "1/1"]), texts(&["0/0", "1/0"]))
    );
    assert_eq!(letters(rig, &["--topic", "hand.dead"]), [""; 0]);
}

fn without_a_manifest(rig: &Rig) {
    let folder = Folder::new("");
    std::fs::remove_file(folder.path().join("sharemill.toml")).unwrap();
    let servers = rig.cluster.bootstrap();
    let at = ["--bootstrap", &servers, "--property", "client.id=looker"];
    let run = |arguments: &[&str]| folder.run(&[arguments, &at].concat());
    let told = run(&["archived", "--group", "sorters"]).success();
    assert_eq!(told.lines().count(), 4, "{told}");
    assert!(run(&["topic", "list"]).success().contains("parcels"));
    run(&["produce", "parcels", "more"]).success();
    folder
        .run(&["topic", "list", "--bootstrap", &servers, "--property", "sasl.pasword=x"])
        .failure(1, &["sasl.pasword", "sasl.password"]);
    folder
        .run(&["topic", "list", "--property", "a=b"])
        .failure(2, &["--bootstrap"]);
}

/// With a copy of the record, and without.
#[test]
fn letters_that_a_broker_wrote() {
    let version = Version::V4_4_0;
    if !runs(version, "letters_that_a_broker_wrote") {
        return;
    }
    let options = Options {
        version,
        ..Options::default()
    };
    let options = options.set("errors.deadletterqueue.auto.create.topics.enable", "true");
    let rig = Rig::start(options, "[topics.jobs]\n");
    rig.run(&["produce", "jobs", "a", "b", "c", "d", "--key", "k", "--header", "h=v"])
        .success();
    let source = rig.json(&["topic", "read", "jobs"]);
    let own = serde_json::json!([{"name": "h", "value": "v"}]);
    assert_eq!(source["records"][0]["record"]["headers"], own);
    for (group, copies) in [("copying", "true"), ("naming", "false")] {
        let settings =
            format!("errors.deadletterqueue.topic.name=dlq.{group},errors.deadletterqueue.copy.record.enable={copies}");
        rig.tool(
            CONFIGS,
            &[
                "--alter",
                "--entity-type",
                "groups",
                "--entity-name",
                group,
                "--add-config",
                &settings,
            ],
        );
        rig.group(group, "jobs");
        rig.consume(group, "jobs", 2, &["--reject"]);
        broker_letters_go_back(&rig, group);
    }
}

fn broker_letters_go_back(rig: &Rig, group: &str) {
    let letters = until("two letters", || {
        let letters = rig.json(&["dead", "list", "--group", group]);
        (letters["dead_letters"].as_array().unwrap().len() == 2).then_some(letters)
    });
    let first = &letters["dead_letters"][0];
    assert_eq!(
        (&first["id"], &first["cause"], &first["reason"]),
        (
            &format!("dlq.{group}/0/0").into(),
            &"reject".into(),
            &"Offset rejected by client.".into(),
        )
    );
    // The broker writes them in any order.
    let offsets = [0, 1].map(|number| letters["dead_letters"][number]["source_offset"].as_u64().unwrap());
    assert!([[0, 1], [1, 0]].contains(&offsets), "{offsets:?}");
    let described = rig.json(&["group", "describe", group]);
    assert_eq!(described["dead_letter"], format!("dlq.{group}"));
    let shown = rig.run(&["dead", "show", &format!("dlq.{group}/0/0")]).success();
    assert!(shown.contains("written by  the broker"), "{shown}");
    let redriven = rig.json(&["dead", "redrive", "--all", "--group", group]);
    assert_eq!(
        (redriven["redriven"].as_array().unwrap().len(), &redriven["failed"]),
        (2, &serde_json::json!([]))
    );
    let from = redriven["redriven"][0]["offset"].to_string();
    let read = rig.json(&["topic", "read", "jobs", "--from", &from]);
    let records = read["records"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    for (one, offset) in records.iter().zip(offsets) {
        let value = if offset == 0 { "a" } else { "b" };
        let headers = serde_json::json!([
            {"name": "h", "value": "v"}, {"name": "sharemill.origin", "value": format!("jobs/0/{offset}")}
        ]);
        let record = &one["record"];
        assert_eq!((&record["key"], &record["value"]), (&"k".into(), &value.into()));
        assert_eq!(record["headers"], headers);
    }
    let left = rig.json(&["dead", "list", "--group", group]);
    assert_eq!(left["dead_letters"], serde_json::json!([]));
}

#[test]
fn what_stops_a_command_is_said_with_a_way_out() {
    if !runs(Version::default(), "what_stops_a_command_is_said_with_a_way_out") {
        return;
    }
    let options = Options {
        tls_sasl: true,
        ..Options::default()
    };
    let rig = Rig::start(options, "[topics.jobs]\n");
    rig.run(&["produce", "jobs", "a", "b"]).success();
    rig.group("packers", "jobs");
    rig.consume("packers", "jobs", 1, &["--reject"]);
    let at = |servers: &str| rig.run(&["topic", "list", "--bootstrap", servers]);
    at("127.0.0.1:1").failure(1, &["no broker answers", "127.0.0.1:1", "no connection"]);
    at(&rig.cluster.bootstrap_tls().unwrap()).failure(1, &["security.protocol", "SSL"]);
    at(&rig.cluster.bootstrap_sasl().unwrap()).failure(1, &["SASL_PLAINTEXT"]);

    let servers = rig.cluster.bootstrap_tls_sasl().unwrap();
    let authority = format!("ssl.ca.location={}", rig.cluster.authority().unwrap().display());
    let as_worker = |password: &str, arguments: &[&str]| {
        let password = format!("sasl.password={password}");
        let login = [
            "security.protocol=SASL_SSL",
            &authority,
            "sasl.mechanism=PLAIN",
            "sasl.username=worker",
            &password,
        ];
        let login: Vec<&str> = login.iter().flat_map(|property| ["--property", property]).collect();
        rig.run(&[arguments, &["--bootstrap", &servers], &login].concat())
    };
    let archived = ["archived", "--group", "packers", "--topic", "jobs", "--format", "json"];
    let refused = as_worker("wrong", &archived);
    refused.failure(1, &["the login of \"worker\" by PLAIN failed"]);
    assert!(!refused.stderr.contains("wrong"), "{refused:?}");
    as_worker(PASSWORD, &["produce", "jobs", "x"]).failure(1, &["topic jobs"]);

    what_a_page_needs_not_is_not_read(&rig, &|arguments| as_worker(PASSWORD, arguments));

    // What is said is done, until nothing is missing.
    let mut granted: Vec<String> = Vec::new();
    let found = until("every permission", || {
        let output = as_worker(PASSWORD, &archived);
        if output.code == Some(0) {
            return Some(output.json());
        }
        let (_, command) = output
            .stderr
            .split_once("kafka-acls.sh ")
            .unwrap_or_else(|| panic!("{output:?}"));
        let command = command.lines().next().unwrap().to_owned();
        // An ACL takes a moment to be known to all of the broker.
        if !granted.contains(&command) {
            if granted.len() == 1 {
                // What may not be seen is not said to be nothing.
                as_worker(PASSWORD, &["archived", "--group", "packers"])
                    .failure(1, &["group packers reads no topic that may be seen", "--topic"]);
            }
            output.failure(1, &["User:worker needs ", "allows it by: "]);
            let words: Vec<&str> = command.split(' ').collect();
            rig.tool(ACLS, &words[2..]);
            granted.push(command);
        }
        None
    });
    assert!(
        granted
            .iter()
            .any(|command| command.ends_with("--operation Read --topic __share_group_state")),
        "{granted:?}"
    );
    assert_eq!(found["archived"][0]["offset"], 0);
    to_read_is_not_to_write(&servers, &|arguments| as_worker(PASSWORD, arguments));
    letters_may_be_elsewhere(&rig, &|arguments| as_worker(PASSWORD, arguments));
}

fn to_read_is_not_to_write(servers: &str, as_worker: &dyn Fn(&[&str]) -> Output) {
    for arguments in [
        &["produce", "jobs", "x"][..],
        &["archived", "recover", "--group", "packers", "--to", "jobs"],
    ] {
        as_worker(arguments).failure(
            1,
            &[
                "error: User:worker may not write to topic jobs",
                &format!(
                    "hint: whoever may, allows it by: kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:worker --operation \
                     Write --topic jobs"
                ),
            ],
        );
    }
    as_worker(&["dead", "list", "--group", "packers"]).failure(
        1,
        &["User:worker needs DESCRIBE on topic packers.dead", "kafka-acls.sh"],
    );
}

/// The usual topic is not there, and the worker may not ask for another one.
fn letters_may_be_elsewhere(rig: &Rig, as_worker: &dyn Fn(&[&str]) -> Output) {
    let principal = ["--add", "--allow-principal", "User:worker"];
    rig.tool(
        ACLS,
        &[&principal[..], &["--operation", "Describe", "--topic", "packers.dead"]].concat(),
    );
    until("the group's settings are asked for", || {
        let output = as_worker(&["dead", "list", "--group", "packers"]);
        assert_eq!(output.code, Some(1), "{output:?}");
        output
            .stderr
            .contains("User:worker needs DESCRIBE_CONFIGS on group packers")
            .then_some(())
    });
}

/// Of two topics of letters, one may be read.
fn what_a_page_needs_not_is_not_read(rig: &Rig, as_worker: &dyn Fn(&[&str]) -> Output) {
    for (topic, operation) in [("a.dead", "Read"), ("b.dead", "Describe")] {
        rig.run(&["topic", "create", topic]).success();
        let lines = format!("{}\n{}\n", letter(1, "reject"), letter(2, "reject"));
        rig.folder
            .run_with_input(&["produce", topic, "--ndjson", "-"], &lines)
            .success();
        let granted = [
            "--allow-principal",
            "User:worker",
            "--operation",
            operation,
            "--topic",
            topic,
        ];
        rig.tool(ACLS, &[&["--add"], &granted[..]].concat());
    }
    let list = |limit| as_worker(&["dead", "list", "--limit", limit, "--format", "json"]);
    // An ACL takes a moment to be known to all of the broker.
    let both = until("both are known", || {
        let output = list("9");
        let page = (output.code == Some(0)).then(|| output.json())?;
        (page["hidden"] == serde_json::json!(["b.dead"])).then_some(page)
    });
    let found: Vec<_> = both["dead_letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(found, ["a.dead/0/0", "a.dead/0/1"], "what may be read is there");
    // Whoever means that topic is told.
    as_worker(&["dead", "list", "--topic", "b.dead"]).failure(1, &["User:worker needs READ on topic b.dead"]);
    let page = list("1").json();
    assert_eq!(
        (&page["dead_letters"][0]["id"], &page["more"]),
        (&"a.dead/0/0".into(), &true.into())
    );
}
