//! `config check` and `config show`, and every message about an invalid manifest.

use std::fs;

use crate::support::{ACCEPT, Folder, component, component_of, handler_module};

fn check(manifest: &str) -> String {
    Folder::with_manifest(manifest).run(&["config", "check"])
}

/// Checks a manifest with one deployment and these lines added to it; they begin on line 4.
fn deployment(lines: &str) -> String {
    check(&format!(
        "[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\n{lines}\n[topics.t]\n"
    ))
}

/// Checks a manifest with these lines on topic `t`, beginning on line 5.
fn topic(lines: &str) -> String {
    check(&format!(
        "[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\n[topics.t]\n{lines}\n"
    ))
}

#[test]
fn a_sound_manifest_is_counted() {
    insta::assert_snapshot!(deployment(""), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 0 errors, 0 warnings
    ");
}

#[test]
fn a_manifest_that_is_not_there() {
    insta::assert_snapshot!(Folder::new().run(&["config", "check"]), @"
    exit 1
    --- stderr
    error: there is no manifest at sharemill.toml
    hint: name one with --manifest FILE, or run the command in its folder
    ");
    insta::assert_snapshot!(Folder::new().run(&["config", "show", "--manifest", "other.toml"]), @"
    exit 1
    --- stderr
    error: there is no manifest at other.toml
    hint: name one with --manifest FILE, or run the command in its folder
    ");
}

#[test]
fn a_manifest_that_is_not_toml() {
    insta::assert_snapshot!(check("[topics.t\npartitions = 1\n"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 0 warnings
    --- stderr
    error: sharemill.toml is not valid TOML: unclosed table, expected `]` (line 1)
    ");
    insta::assert_snapshot!(check("[topics.t]\npartitions = 1\npartitions = 2\n"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 1 topic, 1 error, 0 warnings
    --- stderr
    error: sharemill.toml is not valid TOML: duplicate key (line 3)
    ");
}

#[test]
fn a_log_filter_that_silences_everything_by_mistake() {
    insta::assert_snapshot!(check("[host]\nlog = \"loud\"\n[topics.t]\n"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 1 topic, 1 error, 1 warning
    --- stderr
    error: host.log is "loud", in which "loud" is neither a level (off, error, warn, info, debug, trace) nor TARGET=LEVEL (line 2)
    hint: write a level such as info, or a filter such as info,sharemill=debug
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    "#);
    insta::assert_snapshot!(Folder::with_manifest("").run(&["run", "--log", "info,loud"]), @r#"
    exit 2
    --- stderr
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    error: the log filter is "info,loud", in which "loud" is neither a level (off, error, warn, info, debug, trace) nor TARGET=LEVEL
    hint: write a level such as info, or a filter such as info,sharemill=debug
    "#);
    insta::assert_snapshot!(Folder::with_manifest("").run(&["run", "--metrics", "localhost:9464"]), @"
    exit 2
    --- stderr
    error: invalid value 'localhost:9464' for '--metrics <ADDR>': expected an address and a port, such as 127.0.0.1:9464

    For more information, try '--help'.
    ");
}

#[test]
fn an_empty_manifest_is_legal_and_idle() {
    insta::assert_snapshot!(check(""), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 0 errors, 1 warning
    --- stderr
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    ");
}

#[test]
fn unknown_keys_name_the_nearest() {
    insta::assert_snapshot!(deployment("concurency = 3"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: unknown key deployments.d.concurency (line 4)
    hint: did you mean "concurrency"?
    "#);
    insta::assert_snapshot!(deployment("max_lease = \"1m\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: unknown key deployments.d.max_lease (line 4)
    hint: did you mean "max-lease"?
    "#);
    insta::assert_snapshot!(deployment("partitions = 3"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: unknown key deployments.d.partitions (line 4)
    hint: "partitions" belongs to [topics.NAME]
    "#);
    insta::assert_snapshot!(deployment("colour = \"red\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: unknown key deployments.d.colour (line 4)
    hint: known keys here: component, topic, source, group, enabled, concurrency, instance, deadline, max-lease, lock, memory, attempts, backoff, dead-letter, retry-topic, start, http, settings, secrets, grants
    ");
    insta::assert_snapshot!(check("[deployment.d]\n"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 1 warning
    --- stderr
    error: unknown key deployment (line 1)
    hint: did you mean "deployments"?
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    "#);
    insta::assert_snapshot!(deployment("backoff = { fist = \"1s\" }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: unknown key deployments.d.backoff.fist (line 4)
    hint: did you mean "first"?
    "#);
    insta::assert_snapshot!(topic("retention = { tme = \"1d\" }"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: unknown key topics.t.retention.tme (line 4)
    hint: known keys here: time, size
    ");
}

#[test]
fn values_out_of_range_name_value_limit_and_way_out() {
    insta::assert_snapshot!(deployment("lock = \"90s\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.lock is 1m30s, above the limit of 1m (line 4)
    hint: choose 1s to 60s (default 30s)
    ");
    insta::assert_snapshot!(deployment("lock = \"500ms\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.lock is 500ms, below the limit of 1s (line 4)
    hint: choose 1s to 60s (default 30s)
    ");
    insta::assert_snapshot!(deployment("attempts = 11"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.attempts is 11, above the limit of 10 (line 4)
    hint: choose 1 to 10 (default 5)
    ");
    insta::assert_snapshot!(deployment("concurrency = -1"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.concurrency is -1, below the limit of 1 (line 4)
    hint: choose 1 to 10000 (default 16)
    ");
    insta::assert_snapshot!(deployment("memory = \"8GiB\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.memory is 8GiB, above the limit of 4GiB (line 4)
    hint: choose 1MiB to 4GiB (default 64MiB)
    ");
    insta::assert_snapshot!(deployment("backoff = { jitter = 1.5 }"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.backoff.jitter is 1.5, outside of 0 to 1 (line 4)
    hint: choose 0.0 to 1.0 (default 0.2)
    ");
    insta::assert_snapshot!(topic("partitions = 0"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: topics.t.partitions is 0, below the limit of 1 (line 5)
    hint: choose 1 to 1000 (default 1)
    ");
    insta::assert_snapshot!(topic("retention = \"0s\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: topics.t.retention is 0s, below the limit of 1s (line 5)
    hint: choose 1s to 3650d
    ");
    insta::assert_snapshot!(topic("retention = { size = \"1KiB\" }"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: topics.t.retention.size is 1KiB, below the limit of 1MiB (line 4)
    hint: choose 1MiB to 1024TiB
    ");
    insta::assert_snapshot!(check("[host]\ndrain-timeout = \"2h\"\n[deployments]"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 1 warning
    --- stderr
    error: host.drain-timeout is 2h, above the limit of 1h (line 2)
    hint: choose 0s to 1h (default 30s)
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    ");
    insta::assert_snapshot!(check("[sources.main]\njournal-size = \"1MiB\"\n[deployments]"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 1 warning
    --- stderr
    error: sources.main.journal-size is 1MiB, below the limit of 16MiB (line 2)
    hint: choose 16MiB to 64GiB (default 512MiB)
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    ");
}

#[test]
fn values_of_another_type_or_form() {
    insta::assert_snapshot!(deployment("concurrency = \"many\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.concurrency is text, expected a whole number (line 4)
    hint: choose 1 to 10000 (default 16)
    ");
    insta::assert_snapshot!(deployment("deadline = 30"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.deadline is a whole number, expected a duration such as "30s" (line 4)
    hint: choose 10ms to 24h (default 30s)
    "#);
    insta::assert_snapshot!(deployment("deadline = \"30\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.deadline "30" has no unit, expected a duration such as "30s", "5m", "1h30m" or "250ms" (line 4)
    hint: write a number and a unit, for example "30s"
    "#);
    insta::assert_snapshot!(deployment("memory = \"64M\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.memory cannot be read: "64M" has the unknown unit "M", expected one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB (line 4)
    hint: write a number and a unit, for example "64MiB"
    "#);
    insta::assert_snapshot!(deployment("instance = \"reused\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.instance is "reused", expected one of "reuse", "fresh" (line 4)
    hint: did you mean "reuse"?
    "#);
    insta::assert_snapshot!(deployment("enabled = \"yes\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.enabled is text, expected true or false (line 4)
    hint: write enabled = true or false (default true)
    ");
    insta::assert_snapshot!(deployment("start = \"newest\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.start is "newest", expected "earliest", "latest" or "by-duration:AGE" (line 4)
    hint: write start = "earliest", "latest" or "by-duration:1h"
    "#);
    insta::assert_snapshot!(deployment("dead-letter = true"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.dead-letter is a boolean, expected a topic name or false (line 4)
    hint: write a topic name or false
    ");
    insta::assert_snapshot!(deployment("grants = { emit = \"lines\" }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.grants.emit is text, expected a list (line 4)
    hint: write emit = ["NAME"]
    "#);
    insta::assert_snapshot!(deployment("grants = { env = { A = 1 } }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.grants.env.A is a whole number, expected text or { from = "NAME" } (line 4)
    hint: write text or { from = "NAME" }
    "#);
    insta::assert_snapshot!(deployment("settings = { a = [1] }"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.settings.a is a list, expected text, a number or a boolean (line 4)
    hint: write text, a number or a boolean
    ");
    insta::assert_snapshot!(topic("retention = \"sometimes\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: topics.t.retention is "sometimes", expected "queue", "forever" or a duration such as "7d" (line 5)
    hint: queue keeps records until every group has finished with them
    "#);
    insta::assert_snapshot!(check("[host]\nmetrics = \"localhost\"\n[deployments]"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 1 warning
    --- stderr
    error: host.metrics is "localhost", expected an address and a port (line 2)
    hint: write metrics = "127.0.0.1:9464"
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    "#);
    insta::assert_snapshot!(check("topics = 3\n[deployments]"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 1 warning
    --- stderr
    error: topics is a whole number, expected a table (line 1)
    hint: write [topics]
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    ");
}

#[test]
fn names_follow_kafkas_rule() {
    insta::assert_snapshot!(check("[topics.\"a b\"]\n[deployments]"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 1 topic, 1 error, 1 warning
    --- stderr
    error: the name topics."a b" has the character ' '; a topic name is made of a-z, A-Z, 0-9, ".", "_" and "-" (line 1)
    hint: choose another name
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    "#);
    insta::assert_snapshot!(deployment("group = \"\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.group is empty, expected a group name (line 4)
    hint: choose another name
    ");
    insta::assert_snapshot!(deployment("grants = { emit = [\"a/b\"] }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.grants.emit[0] has the character '/'; a topic name is made of a-z, A-Z, 0-9, ".", "_" and "-" (line 4)
    hint: choose another name
    "#);
}

#[test]
fn required_keys() {
    insta::assert_snapshot!(check("[deployments.d]\n"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 1 topic, 2 errors, 0 warnings
    --- stderr
    error: deployments.d.component is missing (line 1)
    hint: add component = "..."
    error: deployments.d.topic is missing (line 1)
    hint: add topic = "..."
    "#);
    insta::assert_snapshot!(deployment("grants = { files = [{ host = \".\" }] }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.grants.files[0].guest is missing (line 4)
    hint: add guest = "..."
    "#);
}

#[test]
fn relations_between_keys() {
    insta::assert_snapshot!(deployment("deadline = \"20m\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.deadline is 20m, above max-lease (10m) (line 4)
    hint: one call is part of one attempt: lower deadline or raise max-lease
    ");
    insta::assert_snapshot!(deployment("backoff = { first = \"10m\" }"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.backoff.first is 10m, above backoff.max (5m) (line 4)
    hint: the delay grows from first to max
    ");
    insta::assert_snapshot!(deployment("dead-letter = \"t\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 1 topic, 1 error, 0 warnings
    --- stderr
    error: deployments.d.dead-letter is "t", the topic that it handles (line 4)
    hint: choose another topic
    "#);
    insta::assert_snapshot!(deployment("source = \"other\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.source is "other", which is not among the sources (line 4)
    hint: known sources: "main"
    "#);
    insta::assert_snapshot!(topic("max-bytes = \"64MiB\""), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 0 errors, 0 warnings
    ");
    insta::assert_snapshot!(topic("max-bytes = \"64MiB\"\nsegment-bytes = \"40MiB\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: topics.t.segment-bytes is 40MiB, above half of max-bytes (32MiB) (line 6)
    hint: space is freed in whole segments: raise max-bytes or lower segment-bytes
    ");
}

#[test]
fn deployments_of_one_group() {
    let pair = |second: &str| {
        check(&format!(
            "[topics]\na.retention = \"queue\"\nb.retention = \"queue\"\n\
             [deployments.x]\ncomponent = \"handler.wasm\"\ntopic = \"a\"\ngroup = \"g\"\n\
             [deployments.y]\ncomponent = \"handler.wasm\"\ngroup = \"g\"\n{second}\n"
        ))
    };
    insta::assert_snapshot!(pair("topic = \"b\""), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 2 deployments, 3 topics, 0 errors, 0 warnings
    ");
    insta::assert_snapshot!(pair("topic = \"a\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 2 deployments, 3 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.y.group is "g" on topic a, which is taken by deployments.x (line 10)
    hint: give one of them another group, or raise concurrency of one
    "#);
    insta::assert_snapshot!(
        pair("topic = \"b\"\nattempts = 3\nlock = \"5s\"\nstart = \"latest\"\ndead-letter = \"other\""), @r#"
        exit 1
        --- stdout
        [DIR]/sharemill.toml: 2 deployments, 4 topics, 4 errors, 0 warnings
        --- stderr
        error: deployments.y.attempts is 3, and deployments.x of the same group "g" has 5 (line 12)
        hint: these belong to the group: write the same value, or use another group
        error: deployments.y.lock is 5s, and deployments.x of the same group "g" has 30s (line 13)
        hint: these belong to the group: write the same value, or use another group
        error: deployments.y.start is latest, and deployments.x of the same group "g" has earliest (line 14)
        hint: these belong to the group: write the same value, or use another group
        error: deployments.y.dead-letter is "other", and deployments.x of the same group "g" has "g.dead" (line 15)
        hint: these belong to the group: write the same value, or use another group
        "#);
}

#[test]
fn sources() {
    insta::assert_snapshot!(check("[sources.a]\n[sources.b]\ndata-dir = \"b\"\n[deployments]"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 1 warning
    --- stderr
    error: sources.b is a second embedded source, and one process owns one data directory (line 2)
    hint: run a second host with a manifest of its own
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    ");
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_build_without_kafka_says_so() {
    let source = "type = \"kafka\"\nproperties = { \"bootstrap.servers\" = \"k1:9092\" }\n";
    insta::assert_snapshot!(check(&format!("[sources.main]\n{source}[deployments]")), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 1 warning
    --- stderr
    error: sources.main.type is "kafka", and this build has no kafka (line 2)
    hint: use one with the feature: cargo build --package sharemill --features kafka
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    "#);
}

#[test]
fn what_the_manifest_names_must_be_there() {
    insta::assert_snapshot!(
        check("[topics.t]\n[deployments.d]\ntopic = \"t\"\ncomponent = \"missing.wasm\"\n"), @"
        exit 1
        --- stdout
        [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
        --- stderr
        error: deployments.d.component does not exist: [DIR]/missing.wasm (line 4)
        hint: build it, or correct the path: relative paths start at the manifest's folder
        ");
    insta::assert_snapshot!(deployment("grants = { files = [{ host = \"missing\", guest = \"/a\" }] }"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.grants.files[0].host is not an existing folder: [DIR]/missing (line 4)
    hint: relative paths start at the manifest's folder
    ");
    insta::assert_snapshot!(deployment("grants = { env = { A = { from = \"UNSET\" } } }"), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 0 errors, 0 warnings
    --- stderr
    note: deployments.d.grants.env.A takes the host's variable UNSET, which is not set here (line 4)
    hint: set UNSET before sharemill run
    ");
}

#[test]
fn guest_paths() {
    insta::assert_snapshot!(deployment("grants = { files = [{ host = \".\", guest = \"images\" }] }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.grants.files[0].guest is "images", which is not an absolute path (line 4)
    hint: begin it with "/"
    "#);
    insta::assert_snapshot!(deployment("grants = { files = [{ host = \".\", guest = \"/a/../b\" }] }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.grants.files[0].guest is "/a/../b", which has an empty, "." or ".." part (line 4)
    hint: write it without, for example "/images"
    "#);
    insta::assert_snapshot!(
        deployment("grants = { files = [{ host = \".\", guest = \"/a/b\" }, { host = \".\", guest = \"/a\" }] }"), @r#"
        exit 1
        --- stdout
        [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
        --- stderr
        error: deployments.d.grants.files[1].guest is "/a", which overlaps with "/a/b" (line 4)
        hint: no guest path may lie in another
        "#);
}

#[test]
fn warnings_and_notes() {
    insta::assert_snapshot!(deployment("dead-letter = false"), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 1 topic, 0 errors, 1 warning
    --- stderr
    warning: deployments.d keeps no dead letters: records that are rejected or run out of attempts are gone (line 4)
    hint: leave dead-letter out to keep them
    ");
    insta::assert_snapshot!(deployment("grants = { emit = [\"lines\"] }"), @r#"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 0 errors, 0 warnings
    --- stderr
    note: topic lines is emitted to by d and is not listed: it is created with 1 partition and retention "7d"
    hint: add [topics.lines] to choose otherwise
    "#);
    insta::assert_snapshot!(topic("on-full = \"drop-oldest\""), @r#"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 0 errors, 1 warning
    --- stderr
    warning: topics.t drops its oldest records when it is full, even those that no group has handled (line 5)
    hint: use on-full = "refuse" to make producers wait instead
    "#);
    insta::assert_snapshot!(
        check("[topics.t]\n[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\n\
               [deployments.e]\ncomponent = \"handler.wasm\"\ntopic = \"d.dead\"\n"), @r#"
               exit 0
               --- stdout
               [DIR]/sharemill.toml: 2 deployments, 2 topics, 0 errors, 0 warnings
               --- stderr
               note: deployments.e handles the dead-letter topic d.dead and keeps no dead letters of its own (line 5)
               hint: write dead-letter = false to say so
               note: topic d.dead has its records handled by e and is not listed: it is created with 1 partition and retention "queue"
               hint: add [topics."d.dead"] to choose otherwise
               "#);
}

#[test]
fn everything_wrong_is_named_at_once() {
    insta::assert_snapshot!(deployment("lock = \"2m\"\ncolour = 1\nattempts = 0\ninstance = 3"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 4 errors, 0 warnings
    --- stderr
    error: deployments.d.lock is 2m, above the limit of 1m (line 4)
    hint: choose 1s to 60s (default 30s)
    error: unknown key deployments.d.colour (line 5)
    hint: known keys here: component, topic, source, group, enabled, concurrency, instance, deadline, max-lease, lock, memory, attempts, backoff, dead-letter, retry-topic, start, http, settings, secrets, grants
    error: deployments.d.attempts is 0, below the limit of 1 (line 6)
    hint: choose 1 to 10 (default 5)
    error: deployments.d.instance is a whole number, expected text (line 7)
    hint: choose one of "reuse", "fresh" (default reuse)
    "#);
}

#[test]
fn findings_as_json() {
    let folder = Folder::with_manifest("[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\nlock = \"2m\"\n");
    insta::assert_snapshot!(folder.run(&["config", "check", "--format", "json"]), @r#"
    exit 1
    --- stdout
    {
      "manifest": "[DIR]/sharemill.toml",
      "errors": 1,
      "warnings": 0,
      "problems": [
        {
          "severity": "error",
          "key": "deployments.d.lock",
          "line": 4,
          "message": "deployments.d.lock is 2m, above the limit of 1m",
          "hint": "choose 1s to 60s (default 30s)"
        },
        {
          "severity": "note",
          "key": "topics.t",
          "message": "topic t has its records handled by d and is not listed: it is created with 1 partition and retention \"queue\"",
          "hint": "add [topics.t] to choose otherwise"
        }
      ]
    }
    "#);
}

#[test]
fn show_prints_every_default() {
    let folder = Folder::with_manifest(
        "[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\n\
         grants = { emit = [\"lines\"], files = [{ host = \".\", guest = \"/data\" }], env = { A = \"1\" } }\n",
    );
    insta::assert_snapshot!(folder.run(&["config", "show"]), @r#"
    exit 0
    --- stdout
    [host]
    profile = "default"
    drain-timeout = "30s"
    cache-dir = "[DIR]/someone/.cache/sharemill"
    log = "info"
    log-format = "text"

    [sources.main]
    type = "embedded"
    data-dir = "[DIR]/data"
    durability = "sync"
    journal-size = "512MiB"
    memory-window = "128MiB"
    reserve = "16MiB"

    [topics."d.dead"]
    source = "main"
    partitions = 1
    max-bytes = "10GiB"
    on-full = "refuse"
    segment-bytes = "64MiB"
    retention = "queue"

    [topics.lines]
    source = "main"
    partitions = 1
    max-bytes = "10GiB"
    on-full = "refuse"
    segment-bytes = "64MiB"
    retention = "7d"

    [topics.t]
    source = "main"
    partitions = 1
    max-bytes = "10GiB"
    on-full = "refuse"
    segment-bytes = "64MiB"
    retention = "queue"

    [deployments.d]
    component = "[DIR]/handler.wasm"
    topic = "t"
    source = "main"
    group = "d"
    enabled = true
    concurrency = 16
    instance = "reuse"
    deadline = "30s"
    max-lease = "10m"
    lock = "30s"
    memory = "64MiB"
    attempts = 5
    dead-letter = "d.dead"
    start = "earliest"

    [deployments.d.backoff]
    first = "1s"
    max = "5m"
    jitter = 0.2

    [deployments.d.http]
    connections = 32
    connect-timeout = "5s"
    first-byte-timeout = "20s"
    between-bytes-timeout = "10s"
    header-bytes = "16KiB"
    request-bytes = "4MiB"
    response-bytes = "4MiB"

    [deployments.d.settings]

    [deployments.d.secrets]

    [deployments.d.grants]
    emit = ["lines"]

    [deployments.d.grants.config]

    [deployments.d.grants.env]
    A = "1"

    [[deployments.d.grants.files]]
    host = "[DIR]"
    guest = "/data"
    access = "read"
    "#);
    insta::assert_snapshot!(folder.run(&["config", "show", "--format", "json"]), @r#"
    exit 0
    --- stdout
    {
      "host": {
        "profile": "default",
        "drain-timeout": "30s",
        "cache-dir": "[DIR]/someone/.cache/sharemill",
        "log": "info",
        "log-format": "text"
      },
      "sources": {
        "main": {
          "type": "embedded",
          "data-dir": "[DIR]/data",
          "durability": "sync",
          "journal-size": "512MiB",
          "memory-window": "128MiB",
          "reserve": "16MiB"
        }
      },
      "topics": {
        "d.dead": {
          "source": "main",
          "partitions": 1,
          "max-bytes": "10GiB",
          "on-full": "refuse",
          "segment-bytes": "64MiB",
          "retention": "queue"
        },
        "lines": {
          "source": "main",
          "partitions": 1,
          "max-bytes": "10GiB",
          "on-full": "refuse",
          "segment-bytes": "64MiB",
          "retention": "7d"
        },
        "t": {
          "source": "main",
          "partitions": 1,
          "max-bytes": "10GiB",
          "on-full": "refuse",
          "segment-bytes": "64MiB",
          "retention": "queue"
        }
      },
      "deployments": {
        "d": {
          "component": "[DIR]/handler.wasm",
          "topic": "t",
          "source": "main",
          "group": "d",
          "enabled": true,
          "concurrency": 16,
          "instance": "reuse",
          "deadline": "30s",
          "max-lease": "10m",
          "lock": "30s",
          "memory": "64MiB",
          "attempts": 5,
          "dead-letter": "d.dead",
          "start": "earliest",
          "backoff": {
            "first": "1s",
            "max": "5m",
            "jitter": 0.2
          },
          "http": {
            "connections": 32,
            "connect-timeout": "5s",
            "first-byte-timeout": "20s",
            "between-bytes-timeout": "10s",
            "header-bytes": "16KiB",
            "request-bytes": "4MiB",
            "response-bytes": "4MiB"
          },
          "settings": {},
          "secrets": {},
          "grants": {
            "emit": [
              "lines"
            ],
            "config": {},
            "env": {
              "A": "1"
            },
            "files": [
              {
                "host": "[DIR]",
                "guest": "/data",
                "access": "read"
              }
            ]
          }
        }
      }
    }
    "#);
}

#[test]
fn show_prints_a_manifest_that_shows_itself() {
    let folder = Folder::with_manifest(
        "[host]\nprofile = \"edge\"\nlanes = 2\nmetrics = \"127.0.0.1:0\"\nlog-format = \"json\"\n\
         [topics.t]\nretention = { time = \"7d\", size = \"1GB\" }\n[topics.\"u.v\"]\nretention = \"forever\"\n\
         [deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\nstart = \"by-duration:PT1H\"\n\
         backoff = { first = \"250ms\", jitter = 0 }\nsettings = { n = 3, b = true }\ndead-letter = false\n\
         [deployments.e]\ncomponent = \"handler.wasm\"\ntopic = \"w\"\ngrants = { env = { A = { from = \"HOME\" } } }\n",
    );
    let first = std::process::Command::output(&mut folder.command(&["config", "show"])).unwrap();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    folder.file("again.toml", std::str::from_utf8(&first.stdout).unwrap());
    let second = folder
        .command(&["config", "show", "--manifest", "again.toml"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(first.stdout).unwrap(),
        String::from_utf8(second.stdout).unwrap()
    );
}

/// What `run` refuses for its component, `config check` names, all of it at once and beside the rest.
#[test]
fn components_are_looked_into_as_run_does() {
    let folder = Folder::with_manifest("");
    let whole = component(ACCEPT);
    fs::write(folder.path().join("cut.wasm"), &whole[..whole.len() - 9]).unwrap();
    fs::write(folder.path().join("core.wasm"), wat::parse_str("(module)").unwrap()).unwrap();
    folder.file("text.wasm", "(component)");
    let nothing = ["package test:guest; world w { }"];
    let module = "(module (memory (export \"memory\") 1))";
    fs::write(
        folder.path().join("world.wasm"),
        component_of("test:guest/w", &nothing, module),
    )
    .unwrap();
    let asking = [
        "package test:clock; interface now { now: func(); }",
        "package test:guest; world w { include sharemill:worker/handler@0.1.0; import test:clock/now; }",
    ];
    let import = "(import \"test:clock/now\" \"now\" (func $now))";
    let module = handler_module(import, &format!("(call $now) {ACCEPT}"));
    fs::write(
        folder.path().join("import.wasm"),
        component_of("test:guest/w", &asking, &module),
    )
    .unwrap();
    let names = ["core", "cut", "import", "text", "world"];
    let deployment = |name: &&str| format!("[deployments.{name}]\ncomponent = \"{name}.wasm\"\ntopic = \"t\"\n");
    let manifest: String = names.iter().map(deployment).collect();
    folder.file("sharemill.toml", &format!("{manifest}memory = 7\n"));
    insta::assert_snapshot!(folder.run(&["config", "check"]), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 5 deployments, 6 topics, 6 errors, 0 warnings
    --- stderr
    error: deployment core: [DIR]/core.wasm is a core wasm module, not a component (line 2)
    hint: build for wasm32-wasip2, or wrap it: `wasm-tools component embed` and `wasm-tools component new`
    error: deployment cut: [DIR]/cut.wasm is cut off: it has 2388 bytes and needs at least 2397 (line 5)
    hint: copy or build the file again
    error: deployment import: [DIR]/import.wasm imports test:clock/now, which this host does not have (line 8)
    hint: build it without what needs this; `sharemill module inspect` lists what a component imports
    error: deployment text: [DIR]/text.wasm is not a wasm component: it looks like the text form of wasm (line 11)
    hint: this is wasm text: turn it into a component with `wasm-tools`
    error: deployment world: [DIR]/world.wasm exports no handler: it has no exports, wanted is sharemill:worker/record-handler@[VERSION] or sharemill:worker/record-batch-handler@[VERSION] (line 14)
    hint: build it against a world of wit/worker.wit, such as `sharemill:worker/handler`
    error: deployments.world.memory is 7B, below the limit of 1MiB (line 16)
    hint: choose 1MiB to 4GiB (default 64MiB)
    note: topic t has its records handled by core and is not listed: it is created with 1 partition and retention "queue"
    hint: add [topics.t] to choose otherwise
    "#);
    for name in names {
        folder.file("sharemill.toml", &deployment(&name));
        let (checked, run) = (folder.run(&["config", "check"]), folder.run(&["run"]));
        let (_, refused) = run.split_once("error: ").unwrap();
        let (message, hint) = refused.trim_end().split_once('\n').unwrap();
        assert!(
            checked.contains(&format!("error: {message} (line 2)\n{hint}\n")),
            "{checked}\n{run}"
        );
    }
    folder.file("sharemill.toml", &format!("{}enabled = false\n", deployment(&"core")));
    insta::assert_snapshot!(folder.run(&["config", "check"]), @r#"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 0 errors, 1 warning
    --- stderr
    warning: deployment core, which is not enabled: [DIR]/core.wasm is a core wasm module, not a component (line 2)
    hint: build for wasm32-wasip2, or wrap it: `wasm-tools component embed` and `wasm-tools component new`
    note: topic t has its records handled by core and is not listed: it is created with 1 partition and retention "queue"
    hint: add [topics.t] to choose otherwise
    "#);
    // What it looks at, it does not change.
    assert!(!folder.path().join("data/cache").exists());
}
