//! Manifests with a Kafka source: what they may say, what is refused with which words, and what is never printed. Without a cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::Folder;

const SOURCE: &str = "[sources.main]\ntype = \"kafka\"\nproperties = { \"bootstrap.servers\" = \"k1:9092\" }\n";
/// The same with a login, whose password is still to be said.
const LOGIN: &str = "[sources.main]\ntype = \"kafka\"\nproperties = { \"bootstrap.servers\" = \"k1:9092\", \
    \"security.protocol\" = \"SASL_PLAINTEXT\", \"sasl.mechanism\" = \"PLAIN\", \"sasl.username\" = \"jobs\" }\n";
const DEPLOYMENT: &str = "[topics.t]\n[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\n";

fn check(manifest: &str) -> String {
    Folder::with_manifest(manifest).run(&["config", "check"])
}

/// With these lines in place of the properties, from line 3.
fn source(lines: &str) -> String {
    check(&format!("[sources.main]\ntype = \"kafka\"\n{lines}\n{DEPLOYMENT}"))
}

/// With these lines more on a source with a login, from line 4.
fn with_login(lines: &str) -> String {
    check(&format!("{LOGIN}{lines}\n{DEPLOYMENT}"))
}

/// With these lines more on the source, from line 4.
fn with_source(lines: &str) -> String {
    check(&format!("{SOURCE}{lines}\n{DEPLOYMENT}"))
}

/// With these lines more on the deployment, from line 8.
fn with_deployment(lines: &str) -> String {
    check(&format!("{SOURCE}{DEPLOYMENT}{lines}\n"))
}

/// With these lines more on the topic, from line 5.
fn with_topic(lines: &str) -> String {
    check(&format!("{SOURCE}[topics.t]\n{lines}\n"))
}

fn with_password(mode: u32) -> Folder {
    let folder = Folder::with_manifest(&format!(
        "{LOGIN}secrets = {{ \"sasl.password\" = {{ file = \"password\" }} }}\n{DEPLOYMENT}"
    ));
    let file = folder.file("password", "open sesame\n");
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    folder
}

#[test]
fn a_sound_manifest_is_counted() {
    insta::assert_snapshot!(with_password(0o600).run(&["config", "check"]), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 0 errors, 0 warnings
    ");
    insta::assert_snapshot!(check(&format!("{SOURCE}[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\n")), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 0 errors, 0 warnings
    --- stderr
    note: topic t has its records handled by d and is not listed: if the cluster lacks it, it is created there with 1 partition
    hint: add [topics.t] to choose otherwise
    ");
}

#[test]
fn what_belongs_to_the_other_kind_of_source_is_refused_by_name() {
    insta::assert_snapshot!(with_source("journal-size = \"64MiB\"\ndurability = \"os\"\nmemory-window = 7\nreserve = 0"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 4 errors, 0 warnings
    --- stderr
    error: sources.main.journal-size belongs to an embedded engine (line 4)
    hint: leave it out: the source is of type "kafka"
    error: sources.main.durability belongs to an embedded engine (line 5)
    hint: leave it out: the source is of type "kafka"
    error: sources.main.memory-window belongs to an embedded engine (line 6)
    hint: leave it out: the source is of type "kafka"
    error: sources.main.reserve belongs to an embedded engine (line 7)
    hint: leave it out: the source is of type "kafka"
    "#);
    insta::assert_snapshot!(check("[sources.main]\nstart = \"latest\"\nisolation-level = \"read_committed\"\nparking = 0\n\
        properties = {}\nsecrets = {}\n[topics.t]\n[deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\nretry-topic = \"r\"\n"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 6 errors, 0 warnings
    --- stderr
    error: sources.main.start belongs to a kafka source (line 2)
    hint: leave it out: the source is an embedded engine
    error: sources.main.isolation-level belongs to a kafka source (line 3)
    hint: leave it out: the source is an embedded engine
    error: sources.main.parking belongs to a kafka source (line 4)
    hint: leave it out: the source is an embedded engine
    error: sources.main.properties belongs to a kafka source (line 5)
    hint: leave it out: the source is an embedded engine
    error: sources.main.secrets belongs to a kafka source (line 6)
    hint: leave it out: the source is an embedded engine
    error: deployments.d.retry-topic belongs to a kafka source (line 11)
    hint: leave it out: the source is an embedded engine
    ");
}

#[test]
fn a_host_runs_on_one_source() {
    insta::assert_snapshot!(check(&format!("{SOURCE}[sources.other]\ndata-dir = \"b\"\n[deployments]")), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 0 topics, 1 error, 1 warning
    --- stderr
    error: sources.other is a second source beside main, and one process runs on one (line 4)
    hint: run a second host with a manifest of its own
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    ");
}

#[test]
fn properties_that_cannot_work() {
    insta::assert_snapshot!(source(""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 1 error, 0 warnings
    --- stderr
    error: sources.main.properties."bootstrap.servers": it is missing: name at least one broker as host:port
    "#);
    insta::assert_snapshot!(source("properties = { \"bootstrap.servers\" = \"k1\", \"share.group.id\" = \"g\", \"group.id\" = \"g\" }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 2 errors, 0 warnings
    --- stderr
    error: sources.main.properties."group.id" is set: use group of the deployment (line 3)
    hint: write group = "NAME" under [deployments.NAME]; without it the group is the deployment's name
    error: sources.main.properties."share.group.id" is set: Kafka has no such property; use group (line 3)
    hint: write group = "NAME" under [deployments.NAME]; without it the group is the deployment's name
    "#);
    insta::assert_snapshot!(source("properties.bootstrap.servers = \"k1:9092\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 2 errors, 0 warnings
    --- stderr
    error: sources.main.properties.bootstrap is a table, expected text, a number or a boolean (line 3)
    hint: a name with dots stands in quotes: "bootstrap.servers" = "..."
    error: sources.main.properties."bootstrap.servers": it is missing: name at least one broker as host:port (line 3)
    "#);
    insta::assert_snapshot!(source("properties = { \"bootstrap.servers\" = [\"k1:9092\"] }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 2 errors, 0 warnings
    --- stderr
    error: sources.main.properties."bootstrap.servers" is a list, expected text, a number or a boolean (line 3)
    hint: write text, a number or a boolean
    error: sources.main.properties."bootstrap.servers": it is missing: name at least one broker as host:port (line 3)
    "#);
}

#[test]
fn what_the_client_says_of_properties_is_told() {
    insta::assert_snapshot!(source("properties = { \"bootstrap.servers\" = \"k1:x\", \"sasl.mechanisms\" = \"PLAIN\", \"auto.offset.reset\" = \"earliest\", \"boostrap.servers\" = 1 }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 4 errors, 0 warnings
    --- stderr
    error: sources.main.properties."auto.offset.reset": a share group's start is kept with the group: use the source's start, or the group's share.auto.offset.reset (line 3)
    error: sources.main.properties."boostrap.servers": there is no such property; is bootstrap.servers meant? (line 3)
    error: sources.main.properties."bootstrap.servers": "k1:x" is not host:port with a port from 1 to 65535 (line 3)
    error: sources.main.properties."sasl.mechanism": it has no effect with security.protocol PLAINTEXT: use SASL_PLAINTEXT or SASL_SSL, or leave it out (line 3)
    "#);
    // A value that is not known is no mistake, a name is.
    insta::assert_snapshot!(source("properties = { \"security.protocol\" = \"SASL_PLAINTEXT\", \"sasl.mechanism\" = \"PLAIN\", \"sasl.username\" = \"u\" }\n\
        secrets = { \"sasl.password\" = { env = \"HOME\" }, \"bootstrap.servers\" = { env = \"HOME\" }, \"socket.timeout.ms\" = { env = \"HOME\" }, \"sasl.pasword\" = { env = \"HOME\" } }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 1 error, 0 warnings
    --- stderr
    error: sources.main.secrets."sasl.pasword": there is no such property; is sasl.password meant? (line 4)
    "#);
    insta::assert_snapshot!(source("properties = { \"bootstrap.servers\" = \"k1\", \"security.protocol\" = \"ssl\", \"ssl.ca.location\" = \"ca.pem\" }"), @r#"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 0 errors, 1 warning
    --- stderr
    warning: sources.main.properties."ssl.ca.location" does not exist here: [DIR]/ca.pem (line 3)
    hint: relative paths start at the manifest's folder
    "#);
}

#[test]
fn secrets_that_cannot_be_had() {
    insta::assert_snapshot!(with_login("secrets = { \"sasl.password\" = \"open sesame\" }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 2 errors, 0 warnings
    --- stderr
    error: sources.main.properties."sasl.password": it is missing or empty, and sasl.mechanism needs it (line 3)
    error: sources.main.secrets."sasl.password" is text, expected { file = "PATH" } or { env = "NAME" } (line 4)
    hint: write { file = "PATH" } or { env = "NAME" }
    "#);
    insta::assert_snapshot!(with_login("secrets = { \"sasl.password\" = { file = \"a\", env = \"B\" } }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 2 errors, 0 warnings
    --- stderr
    error: sources.main.properties."sasl.password": it is missing or empty, and sasl.mechanism needs it (line 3)
    error: sources.main.secrets."sasl.password" is a table of another form (line 4)
    hint: write { file = "PATH" } or { env = "NAME" }
    "#);
    insta::assert_snapshot!(with_login("secrets = { \"bootstrap.servers\" = { env = \"HOME\" } }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 2 errors, 0 warnings
    --- stderr
    error: sources.main.properties."sasl.password": it is missing or empty, and sasl.mechanism needs it (line 3)
    error: sources.main.secrets."bootstrap.servers" stands in properties, too (line 4)
    hint: keep this one and take it out of properties
    "#);
    insta::assert_snapshot!(with_login("secrets = { \"sasl.password\" = { file = \"a\" }, \"ssl.key.password\" = { env = \"B\" } }"), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 1 error, 0 warnings
    --- stderr
    error: sources.main.secrets."ssl.key.password": it has no effect with security.protocol SASL_PLAINTEXT: use SSL or SASL_SSL, or leave it out (line 4)
    note: sources.main.secrets."sasl.password" cannot be read from [DIR]/a: No such file or directory (os error 2) (line 4)
    hint: sharemill run reads it when it starts
    note: sources.main.secrets."ssl.key.password" takes the variable B, which is not set here (line 4)
    hint: set B before sharemill run
    "#);
    insta::assert_snapshot!(with_password(0o644).run(&["config", "check"]), @r#"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 0 errors, 1 warning
    --- stderr
    warning: sources.main.secrets."sasl.password" is in [DIR]/password, which others may read (mode 644) (line 4)
    hint: chmod 600 [DIR]/password
    "#);
}

#[test]
fn a_secret_in_the_manifest_is_taken_and_never_printed() {
    let folder = Folder::with_manifest(&format!(
        "[sources.main]\ntype = \"kafka\"\nproperties = {{ \"bootstrap.servers\" = \"k1\", \"security.protocol\" = \"SASL_PLAINTEXT\", \
         \"sasl.mechanism\" = \"PLAIN\", \"sasl.username\" = \"u\", \"sasl.password\" = \"open sesame\" }}\n{DEPLOYMENT}"
    ));
    insta::assert_snapshot!(folder.run(&["config", "check"]), @r#"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 0 errors, 1 warning
    --- stderr
    warning: sources.main.properties."sasl.password" is a secret that whoever reads the manifest reads, too (line 3)
    hint: write secrets = { "sasl.password" = { file = "/run/secrets/sasl.password" } } instead, or { env = "NAME" }
    "#);
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--format", "json"],
        &["run"],
        &["topic", "list"],
    ] {
        let told = folder.run(arguments);
        assert!(!told.contains("sesame"), "{arguments:?}: {told}");
    }
    let shown = folder.command(&["config", "show"]).output().unwrap();
    folder.file("again.toml", std::str::from_utf8(&shown.stdout).unwrap());
    insta::assert_snapshot!(folder.run(&["config", "check", "--manifest", "again.toml"]), @r#"
    exit 1
    --- stdout
    [DIR]/again.toml: 1 deployment, 3 topics, 1 error, 0 warnings
    --- stderr
    error: sources.main.properties."sasl.password" is not the secret but what config show prints for it (line 16)
    hint: write secrets = { "sasl.password" = { file = "/run/secrets/sasl.password" } } instead, or { env = "NAME" }
    "#);
}

#[test]
fn ranges_are_those_of_kafka() {
    insta::assert_snapshot!(with_deployment("attempts = 10\nlock = \"2h\""), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 2 errors, 0 warnings
    --- stderr
    error: deployments.d.attempts is 10, above the limit of 9 (line 8)
    hint: choose 1 to 9 (default 4)
    error: deployments.d.lock is 2h, above the limit of 1h (line 9)
    hint: choose 1s to 1h
    ");
    insta::assert_snapshot!(with_deployment("attempts = 9\nlock = \"5s\""), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 0 errors, 1 warning
    --- stderr
    warning: deployments.d.lock is 5s, and brokers allow 15s to 1m unless they are told otherwise (line 9)
    hint: see that group.share.min.record.lock.duration.ms and its max fit; run refuses what they do not allow
    note: deployments.d.attempts is 9, and brokers end a record after 5 deliveries unless they are told otherwise (line 8)
    hint: group.share.delivery.count.limit has to be above attempts; run reads it and refuses what does not fit
    ");
    insta::assert_snapshot!(with_deployment("attempts = 4\nlock = \"15s\""), @"
    exit 0
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 0 errors, 0 warnings
    ");
    insta::assert_snapshot!(with_source("parking = 10001\nisolation-level = \"committed\"\nstart = \"newest\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 3 topics, 3 errors, 0 warnings
    --- stderr
    error: sources.main.parking is 10001, above the limit of 10000 (line 4)
    hint: choose 0 to 10000 (default 1000)
    error: sources.main.isolation-level is "committed", expected one of "read_uncommitted", "read_committed" (line 5)
    hint: did you mean "read_committed"?
    error: sources.main.start is "newest", expected "earliest", "latest" or "by-duration:AGE" (line 6)
    hint: write start = "earliest", "latest" or "by-duration:1h"
    "#);
}

#[test]
fn a_retry_topic_is_one_of_its_own() {
    insta::assert_snapshot!(with_deployment("retry-topic = \"t\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.retry-topic is "t", the topic that it handles (line 8)
    hint: choose another topic
    "#);
    insta::assert_snapshot!(with_deployment("retry-topic = \"d.dead\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.retry-topic is "d.dead", its topic for dead letters (line 8)
    hint: choose another topic
    "#);
    insta::assert_snapshot!(check(&format!("{SOURCE}{DEPLOYMENT}[topics.u]\n[deployments.e]\ncomponent = \"handler.wasm\"\ntopic = \"u\"\ngroup = \"d\"\n")), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 2 deployments, 4 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.e.retry-topic is "d.retry", which is taken by deployments.d (line 9)
    hint: records of the one would come to the other: name another topic, or write retry-topic = false
    "#);
    insta::assert_snapshot!(with_deployment("retry-topic = true"), @"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 1 deployment, 2 topics, 1 error, 0 warnings
    --- stderr
    error: deployments.d.retry-topic is a boolean, expected a topic name or false (line 8)
    hint: write a topic name or false
    ");
}

#[test]
fn topics_have_what_kafka_has() {
    insta::assert_snapshot!(with_topic("max-bytes = \"1GiB\"\non-full = \"refuse\"\nretention = \"queue\"\nsegment-bytes = \"64KiB\""), @r#"
    exit 1
    --- stdout
    [DIR]/sharemill.toml: 0 deployments, 1 topic, 4 errors, 1 warning
    --- stderr
    error: topics.t.max-bytes cannot be had on Kafka (line 5)
    hint: Kafka bounds each partition: retention = { size = "1GiB" }
    error: topics.t.on-full cannot be had on Kafka (line 6)
    hint: Kafka drops the oldest segments past its retention, and never refuses a record for want of room
    error: topics.t.retention is "queue", and Kafka does not know when every group has finished with a record (line 7)
    hint: write a duration such as "7d", or leave it out: the cluster has a default
    error: topics.t.segment-bytes is 64KiB, below the limit of 1MiB (line 8)
    hint: choose 1MiB to 1GiB
    warning: there is no deployment: nothing will be handled
    hint: add [deployments.NAME] with component and topic
    "#);
}

#[test]
fn show_says_who_sees_to_what() {
    let folder = Folder::with_manifest(&format!(
        "{LOGIN}start = \"latest\"\nsecrets = {{ \"sasl.password\" = {{ env = \"HOME\" }} }}\n\
         [topics.t]\npartitions = 3\nretention = {{ time = \"1d\", size = \"1GiB\" }}\n\
         [deployments.d]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\nlock = \"40s\"\n\
         settings = {{ greeting = \"two\\nlines\" }}\n\
         grants = {{ env = {{ A = {{ from = \"HOME\" }} }}, files = [{{ host = \".\", guest = \"/data\" }}] }}\n\
         [deployments.e]\ncomponent = \"handler.wasm\"\ntopic = \"t\"\nretry-topic = false\ndead-letter = false\n"
    ));
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
    type = "kafka"
    data-dir = "[DIR]/data"
    start = "latest"
    parking = 1000

    [sources.main.properties]
    "bootstrap.servers" = "k1:9092"
    "sasl.mechanism" = "PLAIN"
    "sasl.username" = "jobs"
    "security.protocol" = "SASL_PLAINTEXT"

    [sources.main.secrets."sasl.password"]
    env = "HOME"

    [topics."d.dead"]
    source = "main" # host
    partitions = 1 # broker
    # retention is not given # broker
    # max-bytes # refused
    # on-full # refused
    # segment-bytes is not given # broker

    [topics."d.retry"]
    source = "main" # host
    partitions = 1 # broker
    # retention is not given # broker
    # max-bytes # refused
    # on-full # refused
    # segment-bytes is not given # broker

    [topics.t]
    source = "main" # host
    partitions = 3 # broker
    # max-bytes # refused
    # on-full # refused
    # segment-bytes is not given # broker

    [topics.t.retention]
    time = "1d" # broker
    size = "1GiB" # broker

    [deployments.d]
    component = "[DIR]/handler.wasm" # host
    topic = "t" # broker
    source = "main" # host
    group = "d" # broker
    enabled = true # host
    concurrency = 16 # host
    instance = "reuse" # host
    deadline = "30s" # host
    max-lease = "10m" # host
    lock = "40s" # broker
    memory = "64MiB" # host
    attempts = 4 # host
    dead-letter = "d.dead" # host
    retry-topic = "d.retry" # host
    start = "latest" # broker

    [deployments.d.backoff]
    first = "1s" # host
    max = "5m" # host
    jitter = 0.2 # host

    [deployments.d.http]
    connections = 32 # host
    connect-timeout = "5s" # host
    first-byte-timeout = "20s" # host
    between-bytes-timeout = "10s" # host
    header-bytes = "16KiB" # host
    request-bytes = "4MiB" # host
    response-bytes = "4MiB" # host

    [deployments.d.settings]
    greeting = """
    two
    lines""" # host

    [deployments.d.secrets]

    [deployments.d.grants]
    emit = [] # host

    [deployments.d.grants.config]

    [deployments.d.grants.env.A]
    from = "HOME" # host

    [[deployments.d.grants.files]]
    host = "[DIR]" # host
    guest = "/data" # host
    access = "read" # host

    [deployments.e]
    component = "[DIR]/handler.wasm" # host
    topic = "t" # broker
    source = "main" # host
    group = "e" # broker
    enabled = true # host
    concurrency = 16 # host
    instance = "reuse" # host
    deadline = "30s" # host
    max-lease = "10m" # host
    memory = "64MiB" # host
    attempts = 4 # host
    dead-letter = false # host
    retry-topic = false # host
    start = "latest" # broker
    # lock is not given # broker

    [deployments.e.backoff]
    first = "1s" # host
    max = "5m" # host
    jitter = 0.2 # host

    [deployments.e.http]
    connections = 32 # host
    connect-timeout = "5s" # host
    first-byte-timeout = "20s" # host
    between-bytes-timeout = "10s" # host
    header-bytes = "16KiB" # host
    request-bytes = "4MiB" # host
    response-bytes = "4MiB" # host

    [deployments.e.settings]

    [deployments.e.secrets]

    [deployments.e.grants]
    emit = [] # host

    [deployments.e.grants.config]

    [deployments.e.grants.env]
    --- stderr
    warning: deployments.e keeps no dead letters: records that are rejected or run out of attempts are gone (line 19)
    hint: leave dead-letter out to keep them
    "#);
    let first = folder.command(&["config", "show"]).output().unwrap().stdout;
    folder.file("again.toml", std::str::from_utf8(&first).unwrap());
    let second = folder
        .command(&["config", "show", "--manifest", "again.toml"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(first).unwrap(),
        String::from_utf8(second.stdout).unwrap()
    );
    let json = folder
        .command(&["config", "show", "--format", "json"])
        .output()
        .unwrap()
        .stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let enforced = |part: &str, name: &str, key: &str| json[part][name]["enforced_by"][key].clone();
    assert_eq!(enforced("topics", "t", "partitions"), "broker");
    assert_eq!(enforced("topics", "t", "max-bytes"), "refused");
    for (key, by) in [
        ("lock", "broker"),
        ("attempts", "host"),
        ("backoff.first", "host"),
        ("grants.env", "host"),
    ] {
        assert_eq!(enforced("deployments", "e", key), by, "{key}");
    }
    assert_eq!(json["deployments"]["e"]["enforced_by"].as_object().unwrap().len(), 36);
}

#[test]
fn commands_ask_the_cluster_and_open_nothing_on_the_disk() {
    let nobody = SOURCE.replace("k1:9092", "127.0.0.1:1");
    let folder = Folder::with_manifest(&format!("{nobody}{DEPLOYMENT}"));
    insta::assert_snapshot!(folder.run(&["verify"]), @"
    exit 1
    --- stderr
    error: main is a kafka source: there is no engine on this disk that this command could open
    hint: the records are with the cluster's brokers, which look after their files themselves
    ");
    for arguments in [
        &["topic", "list"][..],
        &["produce", "t", "value"],
        &["dead", "list"],
        &["group", "list"],
        &["records", "d"],
        &["archived", "--group", "d"],
        &["topic", "create", "u"],
    ] {
        let said = folder.run(arguments);
        assert!(
            said.starts_with("exit 1\n--- stderr\nerror: no broker answers "),
            "{said}"
        );
        assert!(said.contains(": 127.0.0.1:1: no connection: "), "{said}");
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_cluster_without_a_manifest() {
    let folder = Folder::new();
    let list = |arguments: &[&str]| folder.run(&[&["topic", "list"], arguments].concat());
    insta::assert_snapshot!(list(&["--bootstrap", "k1:x", "--property", "sasl.pasword=open sesame"]), @r#"
    exit 1
    --- stderr
    error: bootstrap.servers: "k1:x" is not host:port with a port from 1 to 65535; sasl.pasword: there is no such property; is sasl.password meant?
    "#);
    insta::assert_snapshot!(list(&["--bootstrap", "k1", "--manifest", "sharemill.toml"]), @"
    exit 2
    --- stderr
    error: the argument '--bootstrap <HOST:PORT>' cannot be used with '--manifest <FILE>'

    Usage: sharemill topic list --bootstrap <HOST:PORT>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(list(&["--property", "client.id=me"]), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      --bootstrap <HOST:PORT>

    Usage: sharemill topic list --bootstrap <HOST:PORT> --property <NAME=VALUE>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(list(&["--bootstrap", "k1", "--property", "client.id"]), @"
    exit 2
    --- stderr
    error: invalid value 'client.id' for '--property <NAME=VALUE>': expected NAME=VALUE

    For more information, try '--help'.
    ");
}

#[test]
fn an_engine_has_letters_of_what_it_gives_up() {
    let folder = Folder::with_manifest(DEPLOYMENT);
    let made = folder.run(&["topic", "create", "extra"]);
    assert!(made.starts_with("exit 0"), "{made}");
    insta::assert_snapshot!(folder.run(&["archived", "--group", "d"]), @"
    exit 1
    --- stderr
    error: group d belongs to an embedded engine, which keeps what it gives up as dead letters
    hint: sharemill dead list --group d shows them, sharemill dead redrive brings them back
    ");
    insta::assert_snapshot!(folder.run(&["archived"]), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      --group <GROUP>

    Usage: sharemill archived --group <GROUP>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(folder.run(&["records"]), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <GROUP>

    Usage: sharemill records <GROUP>

    For more information, try '--help'.
    ");
}
