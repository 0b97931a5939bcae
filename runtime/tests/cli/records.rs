//! `test`: record files through built handlers, and dead letters through another build.

use std::fs;

use crate::invoke::without;
use crate::support::{Folder, REJECT, component};

const ENRICH: &str = "[host]\ncache-dir = \"cache\"\n[deployments.enrich]\ncomponent = \"enrich.wasm\"\ntopic = \"orders\"\n\
                      grants = { emit = [\"order-lines\"] }\n";

/// A project with the guest `enrich` and these records.
pub(crate) fn enrich(records: &str) -> Folder {
    let folder = Folder::with_guest("enrich", ENRICH);
    folder.file("records/orders.ndjson", records);
    folder
}

pub(crate) const ORDERS: &str = r#"
{"name": "an order becomes its lines", "key": "k", "value": {"id": "o-1", "customer": "ada", "lines": [{"sku": "nail", "quantity": 3, "price_cents": 250}]}, "expect": {"outcome": "accept", "emits": [{"topic": "order-lines", "key": "o-1", "value": {"total_cents": 750, "line": 1, "order": "o-1", "sku": "nail", "quantity": 3, "price_cents": 250}}]}}
{"name": "no order", "value": "no order", "expect": {"outcome": "reject", "reason_contains": "malformed JSON in the value at line 1"}}

{"value_base64": "/w==", "expect": "reject"}
{"value": {"id": "o", "customer": "c", "lines": []}, "delivery_count": 3, "expect": {"outcome": "reject", "reason": "order \"o\": there are no lines", "emits": []}}
"#;

#[test]
fn all_as_expected() {
    let folder = enrich(ORDERS);
    insta::assert_snapshot!(folder.run(&["test"]), @r#"
    exit 0
    --- stdout
    ok       records/orders.ndjson:2  an order becomes its lines
    ok       records/orders.ndjson:3  no order
    ok       records/orders.ndjson:5  (1 byte, not text)
    ok       records/orders.ndjson:6  {"customer":"c","id":"o","lines":[]}
    4 records, all as expected
    "#);
    insta::assert_snapshot!(folder.run(&["test", "becomes its"]), @"
    exit 0
    --- stdout
    ok       records/orders.ndjson:2  an order becomes its lines
    1 record, all as expected
    ");
    insta::assert_snapshot!(folder.run(&["test", "orders.ndjson:3", "--records", "records/orders.ndjson"]), @"
    exit 0
    --- stdout
    ok       records/orders.ndjson:3  no order
    1 record, all as expected
    ");
    insta::assert_snapshot!(folder.run(&["test", "becomes nothing"]), @r#"
    exit 2
    --- stderr
    error: none of the 4 records has "becomes nothing" in its name or place
    hint: a line is an object such as {"value": {"any": "JSON"}, "key": "k", "expect": "accept"}; sharemill test --help has all fields
    "#);
    let shown = folder.run(&["test", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_str(shown.strip_prefix("exit 0\n--- stdout\n").unwrap()).unwrap();
    assert_eq!((&answer["passed"], &answer["failed"]), (&4.into(), &0.into()));
    let first = &answer["records"][0];
    assert_eq!(first["place"], "records/orders.ndjson:2");
    assert_eq!(first["came"]["emitted"][0]["topic"], "order-lines");
}

#[test]
fn every_difference_is_shown() {
    let order = r#"{"id": "o-1", "customer": "ada", "lines": [{"sku": "nail", "quantity": 3, "price_cents": 250}]}"#;
    let with = |expect: &str| format!("{{\"value\": {order}, \"expect\": {expect}}}\n");
    let records = [
        with(r#""reject""#),
        with(r#"{"outcome": "accept", "emits": []}"#),
        with(
            r#"{"outcome": "accept", "emits": [{"topic": "lines", "key": "o-2", "value": "{}", "headers": {"h": "v"}, "partition": 1}]}"#,
        ),
        with(
            r#"{"outcome": "accept", "emits": [{"topic": "order-lines"}, {"topic": "order-lines", "value": {"a": 1}}], "sends": [{"topic": "t", "key": null}]}"#,
        ),
        "{\"name\": \"another reason\", \"value\": \"{\", \"expect\": {\"outcome\": \"reject\", \"reason\": \"no\"}}\n"
            .to_owned(),
        "{\"value\": \"{\", \"expect\": {\"outcome\": \"reject\", \"reason_contains\": \"no\"}}\n".to_owned(),
    ];
    let folder = enrich(&records.concat());
    insta::assert_snapshot!(folder.run(&["test"]), @r#"
    exit 1
    --- stdout
    DIFFERS  records/orders.ndjson:1  {"customer":"ada","id":"o-1","lines":[{"price...
      outcome            expected  reject
                         came      accept
      log                debug    enrich: order o-1 of ada: 1 lines
    DIFFERS  records/orders.ndjson:2  {"customer":"ada","id":"o-1","lines":[{"price...
      emits[0]           expected  nothing
                         came      order-lines key o-1 value {"order":"o-1","line":1,"sku":"nail","quantity":3,"price_cents":250,"total_cents":750}
      log                debug    enrich: order o-1 of ada: 1 lines
    DIFFERS  records/orders.ndjson:3  {"customer":"ada","id":"o-1","lines":[{"price...
      emits[0].topic     expected  lines
                         came      order-lines
      emits[0].key       expected  o-2
                         came      o-1
      emits[0].value     expected  {}
                         came      {"order":"o-1","line":1,"sku":"nail","quantity":3,"price_cents":250,"total_cents":750}
      emits[0].partition expected  1
                         came      by key
      emits[0].headers   expected  h=v
                         came      none
      log                debug    enrich: order o-1 of ada: 1 lines
    DIFFERS  records/orders.ndjson:4  {"customer":"ada","id":"o-1","lines":[{"price...
      emits[1]           expected  order-lines value {"a":1}
                         came      nothing
      sends[0]           expected  t key null
                         came      nothing
      log                debug    enrich: order o-1 of ada: 1 lines
    DIFFERS  records/orders.ndjson:5  another reason
      reason             expected  no
                         came      malformed JSON in the value at line 1 column 1: EOF while parsing an object
    DIFFERS  records/orders.ndjson:6  {
      reason             expected  ... no ...
                         came      malformed JSON in the value at line 1 column 1: EOF while parsing an object
    6 records, 0 as expected, 6 differ
    "#);
    let shown = folder.run(&["test", "another reason", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_str(shown.strip_prefix("exit 1\n--- stdout\n").unwrap()).unwrap();
    assert_eq!(answer["failed"], 1);
    assert_eq!(answer["records"][0]["differences"][0]["expected"], "no");
}

#[test]
fn every_malformed_line_is_named() {
    let folder = enrich(
        r#"{"value": "x", "expect": "accept"}
{"value": "x", "expect": "accept"
["x"]
{"vlaue": "x", "expect": "accept"}
{"value": "x"}
{"value": "x", "expect": "acept"}
{"value": "x", "expect": "cancelled"}
{"value": "x", "value_base64": "eA==", "expect": "accept"}
{"key_base64": "*", "expect": "accept"}
{"delivery_count": 0, "expect": "accept"}
{"name": 1, "expect": "accept"}
{"expect": {"outcome": "accept", "after": "1s"}}
{"expect": {"outcome": "release", "after": "1"}}
{"expect": {"outcome": "release", "after": 1}}
{"expect": {"outcome": "accept", "reason": "x"}}
{"expect": {"outcome": "reject", "emits": [{"topic": "t"}]}}
{"expect": {"outcome": "accept", "emits": {"topic": "t"}}}
{"expect": {"outcome": "accept", "emits": [{"key": "t"}]}}
{"expect": {"outcome": "reject", "checkpoint": "t"}}
{"expect": {"reason": "t"}}
"#,
    );
    folder.file(
        "records/second.ndjson",
        r#"x
{"value": 1, "value": 2, "expect": "accept"}
{"value": {"a": [{"b": 1, "b": 1}]}, "expect": "accept"}
{"expect": {"outcome": "reject", "reason_contains": null}}
"#,
    );
    insta::assert_snapshot!(folder.run(&["test"]), @r#"
    exit 2
    --- stderr
    error: records/orders.ndjson:2: not JSON, column 33: EOF while parsing an object
    error: records/orders.ndjson:3: the record is a list, expected an object
    error: records/orders.ndjson:4: the record has the unknown field "vlaue"; did you mean "value"?
    error: records/orders.ndjson:5: the record has no "expect"; write "expect": "accept", or another of accept, release, reject, renew, trap, out-of-memory, deadline, limit, exit
    error: records/orders.ndjson:6: "acept" is no outcome; did you mean "accept"?
    error: records/orders.ndjson:7: "cancelled" is no outcome; one of accept, release, reject, renew, trap, out-of-memory, deadline, limit, exit
    error: records/orders.ndjson:8: value and value_base64 are both given
    error: records/orders.ndjson:9: key_base64 is not base64: Invalid symbol 42, offset 0.
    error: records/orders.ndjson:10: "delivery_count" of the record is 0, expected a whole number from 1 to 32767
    error: records/orders.ndjson:11: "name" of the record is a number, expected text
    error: records/orders.ndjson:12: "after" of "expect" goes with release and renew, not with accept
    error: records/orders.ndjson:13: "after" of "expect" "1" has no unit, expected a duration such as "30s", "5m", "1h30m" or "250ms"
    error: records/orders.ndjson:14: "after" of "expect" is 1, expected a duration such as "30s", or null
    error: records/orders.ndjson:15: "reason" of "expect" does not go with accept
    error: records/orders.ndjson:16: "emits" of "expect" goes with accept: with reject what was emitted is dropped
    error: records/orders.ndjson:17: "emits" of "expect" is an object, expected a list
    error: records/orders.ndjson:18: a record of "emits" or "sends" has no "topic"
    error: records/orders.ndjson:19: "checkpoint" of "expect" goes with renew, not with reject
    error: records/orders.ndjson:20: "expect" has no "outcome", one of accept, release, reject, renew, trap, out-of-memory, deadline, limit, exit
    error: records/second.ndjson:1: not JSON, column 1: expected value
    error: records/second.ndjson:2: column 23: "value" is given twice
    error: records/second.ndjson:3: column 33: "b" is given twice
    error: records/second.ndjson:4: "reason_contains" of "expect" is null, expected text
    error: 23 lines of record files cannot be read, and nothing was run
    hint: a line is an object such as {"value": {"any": "JSON"}, "key": "k", "expect": "accept"}; sharemill test --help has all fields
    "#);
}

#[test]
fn delays_and_checkpoints() {
    let folder = Folder::with_guest(
        "poll",
        "[host]\ncache-dir = \"cache\"\n[deployments.poll]\ncomponent = \"poll.wasm\"\ntopic = \"jobs\"\n\
         grants = { files = [{ host = \"jobs\", guest = \"/jobs\" }], config = { poll-interval-ms = 1500 } }\n",
    );
    folder.file("jobs/a", "running");
    folder.file(
        "records/jobs.ndjson",
        r#"{"value": "a", "checkpoint": {"polls": 1, "started_at": 5}, "expect": {"outcome": "renew", "after": "1s500ms", "checkpoint": {"started_at": 5, "polls": 2}}}
{"value": "b", "expect": {"outcome": "release", "after": "1s500ms", "reason": "job b is not there yet"}}
{"value": "a", "checkpoint": {"polls": 1, "started_at": 5}, "expect": {"outcome": "renew", "after": "2s", "checkpoint": {"started_at": 5, "polls": 3}}}
{"value": "b", "expect": {"outcome": "release", "after": null}}
"#,
    );
    insta::assert_snapshot!(folder.run(&["test"]), @r#"
    exit 1
    --- stdout
    ok       records/jobs.ndjson:1  a
    ok       records/jobs.ndjson:2  b
    DIFFERS  records/jobs.ndjson:3  a
      after              expected  2s
                         came      1s500ms
      checkpoint         expected  {"polls":3,"started_at":5}
                         came      {"polls":2,"started_at":5}
    DIFFERS  records/jobs.ndjson:4  b
      after              expected  none of its own
                         came      1s500ms
    4 records, 2 as expected, 2 differ
    "#);
}

#[test]
fn calls_that_end_without_an_outcome() {
    let folder = Folder::with_manifest(
        "[host]\ncache-dir = \"cache\"\n[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\ndeadline = \"100ms\"\n",
    );
    fs::write(
        folder.path().join("handler.wasm"),
        component("(loop $l (br $l)) unreachable"),
    )
    .unwrap();
    folder.file(
        "records/a.ndjson",
        "{\"expect\": \"deadline\"}\n{\"expect\": \"accept\"}\n",
    );
    insta::assert_snapshot!(folder.run(&["test"]), @"
    exit 1
    --- stdout
    ok       records/a.ndjson:1  null
    DIFFERS  records/a.ndjson:2  null
      outcome            expected  accept
                         came      deadline of 100ms passed
    2 records, 1 as expected, 1 differs
    ");
}

#[test]
fn each_deployment_has_its_files() {
    let folder = enrich(ORDERS);
    fs::write(folder.path().join("handler.wasm"), component(REJECT)).unwrap();
    let second = "[deployments.refuse]\ncomponent = \"handler.wasm\"\ntopic = \"orders\"\n";
    folder.file("sharemill.toml", &format!("{ENRICH}{second}"));
    insta::assert_snapshot!(folder.run(&["test"]), @"
    exit 2
    --- stderr
    error: [DIR]/records does not say which deployment its records are for; there are enrich, refuse
    hint: name it with --deployment NAME, or put its files into a folder of its name: records/NAME/*.ndjson
    ");
    insta::assert_snapshot!(folder.run(&["test", "--deployment", "enrich", "no order"]), @"
    exit 0
    --- stdout
    ok       records/orders.ndjson:3  no order
    1 record, all as expected
    ");
    insta::assert_snapshot!(folder.run(&["test", "--deployment", "enrihc"]), @r#"
    exit 1
    --- stderr
    error: the manifest has no deployment enrihc
    hint: did you mean "enrich"?
    "#);
    fs::create_dir(folder.path().join("records/enrich")).unwrap();
    fs::rename(
        folder.path().join("records/orders.ndjson"),
        folder.path().join("records/enrich/orders.ndjson"),
    )
    .unwrap();
    folder.file(
        "records/refuse/all.ndjson",
        "{\"value\": \"x\", \"expect\": {\"outcome\": \"reject\", \"reason\": \"no price\"}}\n",
    );
    insta::assert_snapshot!(folder.run(&["test"]), @r#"
    exit 0
    --- stdout
    ok       records/enrich/orders.ndjson:2  an order becomes its lines
    ok       records/enrich/orders.ndjson:3  no order
    ok       records/enrich/orders.ndjson:5  (1 byte, not text)
    ok       records/enrich/orders.ndjson:6  {"customer":"c","id":"o","lines":[]}
    ok       records/refuse/all.ndjson:1  x
    5 records, all as expected
    "#);
    folder.file("records/other/all.ndjson", "");
    insta::assert_snapshot!(folder.run(&["test"]), @"
    exit 2
    --- stderr
    error: [DIR]/records/other is the folder of no deployment
    hint: record files of deployment NAME are in a folder NAME
    ");
    insta::assert_snapshot!(folder.run(&["test", "--deployment", "refuse"]), @"
    exit 0
    --- stdout
    ok       records/refuse/all.ndjson:1  x
    1 record, all as expected
    ");
    insta::assert_snapshot!(folder.run(&["test", "--records", "nowhere"]), @"
    exit 2
    --- stderr
    error: cannot read nowhere: No such file or directory (os error 2)
    hint: name the file or folder of records with --records; it is records beside the manifest otherwise
    ");
    insta::assert_snapshot!(folder.run(&["test", "--records", "records/other", "--deployment", "refuse"]), @r#"
    exit 2
    --- stderr
    error: there are no records in records/other
    hint: a line is an object such as {"value": {"any": "JSON"}, "key": "k", "expect": "accept"}; sharemill test --help has all fields
    "#);
    insta::assert_snapshot!(folder.run(&["test", "--data-dir", "data", "--deployment", "refuse"]), @"
    exit 2
    --- stderr
    error: a data directory or a cluster is asked only with --from-dead-letter
    hint: leave it out: the records of a test are in files
    ");
}

#[test]
fn a_dead_letter_through_another_build() {
    let folder = enrich(ORDERS);
    let order = r#"{"id": "o", "customer": "c", "lines": []}"#;
    assert!(
        folder
            .run(&["produce", "orders", "--key", "k", order])
            .starts_with("exit 0")
    );
    assert!(folder.run(&["run", "--until-idle"]).starts_with("exit 0"));
    let shown = folder.run(&["test", "--from-dead-letter", "enrich.dead/0/0"]);
    let steady = |shown: &str| without(shown, &["time ", "memory ", "module ", "by module "]);
    insta::assert_snapshot!(steady(&shown), @r#"
    exit 1
    --- stdout
    letter    enrich.dead/0/0
    from      orders/0/0, group enrich
    was       reject: order "o": there are no lines

    outcome   reject: order "o": there are no lines
    calls     0 to the host, 0 of them renewals
    --- stderr
    error: redriven now it would be a dead letter again: reject: order "o": there are no lines
    "#);
    fs::write(folder.path().join("other.wasm"), component(crate::support::ACCEPT)).unwrap();
    let shown = folder.run(&[
        "test",
        "--from-dead-letter",
        "enrich.dead/0/0",
        "--component",
        "other.wasm",
    ]);
    insta::assert_snapshot!(steady(&shown), @r#"
    exit 0
    --- stdout
    letter    enrich.dead/0/0
    from      orders/0/0, group enrich
    was       reject: order "o": there are no lines

    outcome   accept
    calls     0 to the host, 0 of them renewals
    "#);
    let shown = folder.run(&["test", "--from-dead-letter", "enrich.dead/0/0", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_str(
        shown
            .strip_prefix("exit 1\n--- stdout\n")
            .unwrap()
            .split("\n--- stderr")
            .next()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(answer["dead_letter"]["record"]["key"], "k");
    // As it comes after a redrive.
    let origin = serde_json::json!([{ "name": "sharemill.origin", "value": "orders/0/0" }]);
    assert_eq!(answer["dead_letter"]["record"]["headers"], origin);
    assert_eq!(answer["now"]["end"]["outcome"], "reject");
    insta::assert_snapshot!(folder.run(&["test", "--from-dead-letter", "enrich.dead/0/1"]), @"
    exit 1
    --- stderr
    error: there is no dead letter enrich.dead/0/1
    hint: sharemill dead list shows those that there are
    ");
    insta::assert_snapshot!(folder.run(&["test", "--from-dead-letter", "enrich.dead"]), @"
    exit 2
    --- stderr
    error: invalid value 'enrich.dead' for '--from-dead-letter <TOPIC/PARTITION/OFFSET>': expected TOPIC/PARTITION/OFFSET, for example orders.dead/0/17

    For more information, try '--help'.
    ");
    // It stays where it lies.
    assert!(folder.run(&["dead", "list"]).contains("enrich.dead/0/0"));
    folder.file(
        "sharemill.toml",
        &ENRICH.replace("[deployments.enrich]", "[deployments.other]"),
    );
    insta::assert_snapshot!(folder.run(&["test", "--from-dead-letter", "enrich.dead/0/0"]), @"
    exit 1
    --- stderr
    error: the manifest has no deployment of group enrich on topic orders, from which enrich.dead/0/0 comes; it has other
    hint: name the deployment with --deployment NAME
    ");
}

/// What a redrive refuses is not tried with a record that nobody would get.
#[test]
fn a_dead_letter_that_has_lost_its_record_goes_through_no_build() {
    let folder = enrich(ORDERS);
    assert!(folder.run(&["produce", "orders", "no order"]).starts_with("exit 0"));
    assert!(folder.run(&["run", "--until-idle"]).starts_with("exit 0"));
    let headers = serde_json::json!({
        "__dlq.errors.topic": "orders", "__dlq.errors.partition": "0", "__dlq.errors.offset": "0",
        "__dlq.errors.group": "enrich", "sharemill.cause": "reject", "sharemill.payload": "lost",
    });
    let letter = serde_json::json!({ "headers": headers }).to_string();
    let produce = ["produce", "enrich.dead", "--ndjson", "-"];
    assert!(folder.run_with_input(&produce, Some(&letter)).starts_with("exit 0"));
    insta::assert_snapshot!(folder.run(&["test", "--from-dead-letter", "enrich.dead/0/1"]), @"
    exit 1
    --- stderr
    error: dead letter enrich.dead/0/1 holds no record, only what is known of it
    hint: dead redrive cannot bring it back, either
    ");
    let told = folder.run(&["dead", "redrive", "enrich.dead/0/1"]);
    assert!(
        told.starts_with("exit 1") && told.contains("holds no record, only what is known of it"),
        "{told}"
    );
}
