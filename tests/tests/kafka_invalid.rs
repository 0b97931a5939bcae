//! What can be wrong between a host and a Kafka cluster, end to end: what is said of it, the way out, and that every record is still there.
#![cfg(feature = "kafka")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use kafka_cluster::{Options, PASSWORD, Version};
use share_client::admin::{ConfigOf, STATE_REPLICAS};
use sharemill::source::{ProduceFailure, ToProduce};
use sharemill_tests::folder::Output;
use sharemill_tests::host::Host;
use sharemill_tests::kafka::{Kafka, options};
use sharemill_tests::{Folder, until};

fn start(test: &str, options: Options) -> Option<Kafka> {
    Kafka::start(&format!("kafka_invalid::{test}"), options)
}

/// A deployment of the guest that does what records say, on a cluster that is reached like this.
fn folder(properties: &str, more: &str) -> Folder {
    Folder::new(&format!(
        r#"[sources.main]
type = "kafka"
start = "earliest"
properties = {{ {properties} }}
[deployments.jobs]
component = "hostile.wasm"
topic = "jobs"
{more}
"#
    ))
    .guest("hostile")
}

fn servers(servers: &str) -> String {
    format!("\"bootstrap.servers\" = \"{servers}\"")
}

fn login(kafka: &Kafka, user: &str, password: &str) -> String {
    let authority = kafka.cluster.authority().unwrap().display().to_string();
    let servers = servers(&kafka.cluster.bootstrap_tls_sasl().unwrap());
    format!(
        "{servers}, \"security.protocol\" = \"SASL_SSL\", \"sasl.mechanism\" = \"SCRAM-SHA-512\", \"ssl.ca.location\" = \"{authority}\", \
         \"sasl.username\" = \"{user}\", \"sasl.password\" = \"{password}\""
    )
}

fn run(folder: &Folder) -> Output {
    folder.run(&["run", "--until-idle"])
}

/// Three records, which nobody has seen yet.
fn fill(kafka: &Kafka) {
    kafka.create("jobs", 1);
    kafka.produce("jobs", &["accept"; 3]);
}

/// They are accepted by a host that has everything right.
fn nothing_is_lost(kafka: &Kafka) {
    let good = folder(&servers(&kafka.cluster.bootstrap()), "");
    let said = run(&good);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("accepted=3 dead_letters=0"), "{said:?}");
    assert_eq!(kafka.left("jobs", "jobs"), 0);
}

#[test]
fn addresses_listeners_and_logins() {
    let options = Options {
        tls_sasl: true,
        ..options(Version::default())
    };
    let Some(kafka) = start("addresses_listeners_and_logins", options) else {
        return;
    };
    fill(&kafka);
    let refused = |properties: &str, parts: &[&str]| {
        let output = run(&folder(properties, ""));
        output.failure(1, parts);
        // Said once, not by librdkafka as well.
        assert!(!output.stderr.contains("[thrd:"), "{output:?}");
    };
    let parts = [
        "error: the cluster cannot be asked",
        "127.0.0.1:1: no connection",
        "nothing listens on this port",
        "hint: see that a broker runs there, and that bootstrap.servers of the source has its address and port",
    ];
    refused(&servers("127.0.0.1:1"), &parts);
    let tls = kafka.cluster.bootstrap_tls().unwrap();
    let parts = [
        tls.as_str(),
        "it speaks TLS: security.protocol has to be SSL or SASL_SSL",
        "hint: set security.protocol of the source",
    ];
    refused(&servers(&tls), &parts);
    let plain = kafka.cluster.bootstrap();
    let parts = [
        plain.as_str(),
        "a listener without TLS does so: is security.protocol PLAINTEXT or SASL_PLAINTEXT meant?",
        "hint: set security.protocol of the source",
    ];
    refused(&format!("{}, \"security.protocol\" = \"SSL\"", servers(&plain)), &parts);
    let parts = [
        "the login of \"worker\" by SCRAM-SHA-512 failed: Authentication failed",
        "hint: correct the user among the properties of the source, and the password or token among its secrets",
    ];
    refused(&login(&kafka, "worker", "wrong"), &parts);
    let output = run(&folder(&login(&kafka, "worker", PASSWORD), ""));
    let parts = [
        "error: deployment jobs cannot join group jobs: not allowed: User:worker needs the operation READ on the group `jobs`",
        " --add --allow-principal User:worker --operation Read --group jobs)",
        "hint: have it granted",
    ];
    output.failure(1, &parts);
    nothing_is_lost(&kafka);
}

fn grant(kafka: &Kafka, operation: &str, resource: &[&str]) {
    permissions(kafka, &["--add", "--operation", operation], resource);
}

fn permissions(kafka: &Kafka, change: &[&str], resource: &[&str]) {
    let servers = kafka.cluster.bootstrap();
    let whose = ["--bootstrap-server", &servers, "--allow-principal", "User:worker"];
    let arguments = [&whose, change, resource].concat();
    kafka
        .cluster
        .tool("org.apache.kafka.tools.AclCommand", &arguments)
        .unwrap();
}

#[test]
fn topics_that_may_not_be_read_or_are_not_there() {
    let options = Options {
        tls_sasl: true,
        ..options(Version::default())
    };
    let Some(kafka) = start("topics_that_may_not_be_read_or_are_not_there", options) else {
        return;
    };
    let earliest = [("share.auto.offset.reset", Some("earliest"))];
    kafka.wait(kafka.admin.set_group("jobs", &earliest)).unwrap();
    grant(&kafka, "Read", &["--group", "jobs"]);
    let folder = folder(
        &login(&kafka, "worker", PASSWORD),
        "dead-letter = false\n[topics.jobs]\npartitions = 3",
    );
    let parts = [
        "error: deployment jobs cannot join group jobs: not allowed: User:worker needs the operations DESCRIBE and READ on each of the topics jobs",
        "hint: have it granted",
    ];
    run(&folder).failure(1, &parts);
    grant(&kafka, "Describe", &["--topic", "jobs"]);
    let host = Host::start(&folder, &[]);
    host.wait_for("the topic is not there, and may not be made: User:worker needs CREATE on topic jobs");
    assert!(
        host.said().contains("--create --topic jobs --partitions 3"),
        "{}",
        host.said()
    );
    host.wait_for("there is no topic `jobs`, or User:worker may not know of it");
    fill(&kafka);
    let servers = kafka.cluster.bootstrap_tls_sasl().unwrap();
    host.wait_for(&format!(
        "not allowed: User:worker needs the operations DESCRIBE and READ on the topic `jobs` (kafka-acls.sh --bootstrap-server {servers} --add \
         --allow-principal User:worker --operation Describe --operation Read --topic jobs)"
    ));
    // It goes on by itself.
    grant(&kafka, "Read", &["--topic", "jobs"]);
    kafka.finished("jobs", "jobs");
    let said = host.stop();
    assert!(said.contains("accepted=3 dead_letters=0"), "{said}");

    let host = Host::start(&folder, &[]);
    host.wait_for("assignment changed");
    permissions(
        &kafka,
        &["--remove", "--force", "--operation", "Read"],
        &["--group", "jobs"],
    );
    let end = host.end();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    for part in [
        "error: deployment jobs lost its source: source failed: not allowed: User:worker needs the operation READ on the group `jobs`",
        "hint: sharemill doctor says what stands in the way",
    ] {
        assert!(end.stderr.contains(part), "{}", end.stderr);
    }
}

/// What it finds of a kind, and what it hints at.
fn doctor(folder: &Folder, mark: &str) -> (Option<i32>, Vec<String>, Vec<String>) {
    let output = folder.run(&["doctor"]);
    let (mut found, mut hints) = (Vec::new(), Vec::new());
    let mut lines = output.stdout.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(line) = line.strip_prefix(mark) {
            found.push(line.trim_start().to_owned());
            hints.extend(lines.next_if(|line| line.starts_with("     hint: ")).map(str::to_owned));
        }
    }
    (output.code, found, hints)
}

/// What a broker does by itself that nobody told that it is the only one.
#[test]
fn whoever_is_given_no_partition_is_told_and_doctor_says_why() {
    let options = options(Version::default()).set(STATE_REPLICAS, "3");
    let Some(kafka) = start("whoever_is_given_no_partition_is_told_and_doctor_says_why", options) else {
        return;
    };
    kafka.create("jobs", 1);
    kafka.produce("jobs", &["accept"]);
    let folder = folder(&servers(&kafka.cluster.bootstrap()), "");
    let (code, bad, hints) = doctor(&folder, "BAD");
    let expected = "cluster: the brokers cannot make __share_group_state, which wants 3 replicas, with 1 broker: no group is given a \
                    partition";
    assert_eq!((code, bad), (Some(1), vec![expected.to_owned()]));
    assert!(
        hints[0].contains("set share.coordinator.state.topic.replication.factor to 1"),
        "{hints:?}"
    );
    let host = Host::start(&folder, &[]);
    host.wait_for("group jobs has given this member no partition for 10 s: sharemill doctor says why");
    host.stop();
}

#[test]
fn doctor_says_what_may_not_be_written_and_how_it_is_allowed() {
    let test = "doctor_says_what_may_not_be_written_and_how_it_is_allowed";
    let options = Options {
        tls_sasl: true,
        ..options(Version::default())
    };
    let Some(kafka) = start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    kafka.create("jobs.dead", 1);
    grant(&kafka, "Read", &["--group", "jobs"]);
    grant(&kafka, "Read", &["--topic", "jobs"]);
    let more = "grants = { emit = [\"out\"] }\n[topics.out]\npartitions = 2\nretention = \"2h\"";
    let worker = folder(&login(&kafka, "worker", PASSWORD), more);
    let (code, bad, hints) = doctor(&worker, "BAD");
    let needs = |topic: &str, rest: &str| format!("jobs: User:worker needs WRITE on topic {topic} for {rest}");
    let expected = [
        needs(
            "jobs.dead",
            "dead letters: what is given up is held instead, and comes again",
        ),
        needs("out", "emitted records: whatever emits there fails"),
        needs(
            "jobs.retry",
            "records that wait: records that wait stay where they are, and may keep others from coming",
        ),
    ];
    assert_eq!((code, bad), (Some(1), expected.to_vec()));
    let servers = kafka.cluster.bootstrap_tls_sasl().unwrap();
    assert_eq!(
        hints[0],
        format!(
            "     hint: have it granted: kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:worker --operation Write --topic \
             jobs.dead; and made, if it is not there: kafka-topics.sh --bootstrap-server {servers} --create --topic jobs.dead"
        )
    );
    what_it_hints_at_helps(&kafka, &worker);
    the_retry_topic_is_looked_at(&kafka, &worker);
}

/// It is done, until nothing stands in the way.
fn what_it_hints_at_helps(kafka: &Kafka, worker: &Folder) {
    let mut done = Vec::new();
    until("nothing in the way", || {
        let (code, bad, hints) = doctor(worker, "BAD");
        assert_eq!(code, Some(i32::from(!bad.is_empty())), "{bad:?}");
        for hint in hints {
            let command = hint
                .split_once(": ")
                .and_then(|(_, said)| said.split_once("have it "))
                .unwrap()
                .1;
            let command = command.split(';').next().unwrap().to_owned();
            // An ACL takes a moment to be known to all of the broker.
            if !done.contains(&command) {
                carry_out(kafka, &command);
                done.push(command);
            }
        }
        bad.is_empty().then_some(())
    });
    // As the manifest has it.
    let out = "--create --topic out --partitions 2 --config retention.bytes=-1 --config retention.ms=7200000";
    assert!(done.iter().any(|command| command.ends_with(out)), "{done:?}");
    assert_eq!(kafka.wait(kafka.admin.topic("out")).unwrap().partitions.len(), 2);
}

fn the_retry_topic_is_looked_at(kafka: &Kafka, worker: &Folder) {
    let (_, notes, hints) = doctor(worker, "note");
    let is_noted = |notes: &[String], part: &str| notes.iter().any(|note| note.contains(part));
    assert!(
        is_noted(
            &notes,
            "topic jobs.retry for records that wait is not there and cannot be made, User:worker needs CREATE on topic jobs.retry"
        ),
        "{notes:?}"
    );
    // What waits there must not be deleted meanwhile, whatever the cluster does with other topics.
    let create = hints.iter().find_map(|hint| hint.split_once("have it "));
    carry_out(kafka, create.unwrap().1);
    let of = ConfigOf::Topic("jobs.retry".to_owned());
    let settings = kafka.wait(kafka.admin.settings(&of)).unwrap();
    let retention = settings.iter().find(|one| one.name == "retention.ms").unwrap();
    assert_eq!(retention.value.as_deref(), Some("2592000000"));
    kafka.produce("jobs.retry", &["a", "b"]);
    let (code, notes, _) = doctor(worker, "note");
    assert_eq!(code, Some(0));
    assert!(
        is_noted(&notes, "User:worker needs READ on topic jobs.retry"),
        "{notes:?}"
    );
    let everything = folder(&servers_of(kafka), "");
    let (code, notes, _) = doctor(&everything, "note");
    assert_eq!(code, Some(0));
    assert!(!is_noted(&notes, "needs READ"), "{notes:?}");
    // The group has not begun there: what it will be given is a guess.
    let earliest = [("share.auto.offset.reset", Some("earliest"))];
    kafka.wait(kafka.admin.set_group("jobs", &earliest)).unwrap();
    let (_, notes, _) = doctor(&everything, "note");
    assert!(
        is_noted(&notes, "about 2 copies wait in the retry topic jobs.retry"),
        "{notes:?}"
    );
    what_may_not_be_written_is_said_once(kafka, worker);
}

/// In our words alone, and it goes on by itself.
fn what_may_not_be_written_is_said_once(kafka: &Kafka, worker: &Folder) {
    let of = ["--topic", "jobs.dead"];
    permissions(kafka, &["--remove", "--force", "--operation", "Write"], &of);
    until("the broker knows", || {
        (doctor(worker, "BAD").1.len() == 1).then_some(())
    });
    kafka.produce("jobs", &["reject one"]);
    let host = Host::start(worker, &[]);
    host.wait_for(
        "User:worker may not write to topic jobs.dead: whoever may, allows it by kafka-acls.sh --bootstrap-server",
    );
    assert!(!host.said().contains(" dead letter deployment="), "{}", host.said());
    grant(kafka, "Write", &of);
    host.wait_for(" dead letter deployment=");
    kafka.finished("jobs", "jobs");
    let said = host.stop();
    assert!(
        !said.contains("[thrd:") && !said.contains("FATAL") && !said.contains("anew"),
        "{said}"
    );
    assert!(said.contains("accepted=0 dead_letters=1"), "{said}");
}

fn servers_of(kafka: &Kafka) -> String {
    servers(&kafka.cluster.bootstrap())
}

/// A command of Kafka's, as somebody who may.
fn carry_out(kafka: &Kafka, command: &str) {
    let (_, command) = command.split_once(": ").unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    let class = match words[0] {
        "kafka-acls.sh" => "org.apache.kafka.tools.AclCommand",
        "kafka-topics.sh" => "org.apache.kafka.tools.TopicCommand",
        other => panic!("{other} in {command}"),
    };
    let servers = kafka.cluster.bootstrap();
    let arguments = [&["--bootstrap-server", &servers][..], &words[3..]].concat();
    kafka.cluster.tool(class, &arguments).unwrap();
}

#[test]
fn a_topic_is_deleted_while_it_is_worked_on() {
    let Some(kafka) = start("a_topic_is_deleted_while_it_is_worked_on", options(Version::default())) else {
        return;
    };
    fill(&kafka);
    let folder = folder(&servers(&kafka.cluster.bootstrap()), "");
    let host = Host::start(&folder, &[]);
    kafka.finished("jobs", "jobs");
    let servers = kafka.cluster.bootstrap();
    let delete = ["--bootstrap-server", &servers, "--delete", "--topic", "jobs"];
    kafka
        .cluster
        .tool("org.apache.kafka.tools.TopicCommand", &delete)
        .unwrap();
    host.wait_for("partitions=0");
    host.wait_for("there is no topic `jobs`");
    // What is made under the same name is worked on.
    fill(&kafka);
    until("all six were accepted", || {
        (kafka.left("jobs", "jobs") == 0 && host.said().contains("partitions=1")).then_some(())
    });
    let said = host.stop();
    assert!(said.contains("accepted=6 dead_letters=0"), "{said}");
}

#[test]
fn brokers_without_share_groups() {
    let old = Options {
        share_groups: false,
        ..options(Version::default())
    };
    if let Some(kafka) = start("brokers_without_share_groups", old) {
        kafka.create("jobs", 1);
        kafka.produce("jobs", &["accept"]);
        let parts = [
            "share groups are off",
            "share.version is 0",
            "hint: ",
            "upgrade --feature share.version=1",
        ];
        run(&folder(&servers(&kafka.cluster.bootstrap()), "")).failure(1, &parts);
        assert_eq!(kafka.read("jobs").len(), 1);
    }
    let old = Options {
        version: Version::V3_9_1,
        ..Options::default()
    };
    if let Some(kafka) = start("brokers_without_share_groups", old) {
        kafka.create("jobs", 1);
        kafka.produce("jobs", &["accept"]);
        let parts = ["has no share groups", "hint: ", "4.2.1"];
        let folder = folder(&servers(&kafka.cluster.bootstrap()), "");
        run(&folder).failure(1, &parts);
        // There being none is not the same.
        let parts = ["is Kafka 3.8 or 3.9, which has no share groups; 4.2.1 or newer is needed"];
        folder.run(&["group", "list"]).failure(1, &parts);
        assert_eq!(kafka.read("jobs").len(), 1);
    }
}

#[test]
fn a_record_above_the_limit_of_its_topic() {
    let Some(kafka) = start("a_record_above_the_limit_of_its_topic", options(Version::default())) else {
        return;
    };
    kafka.create("jobs", 1);
    kafka.create("out", 1);
    let limit = |bytes| {
        let out = ConfigOf::Topic("out".to_owned());
        kafka
            .wait(kafka.admin.set(&out, &[("max.message.bytes", Some(bytes))]))
            .unwrap();
    };
    limit("60");
    kafka.produce("jobs", &["accept", "emit out", "accept"]);
    let folder = folder(
        &servers(&kafka.cluster.bootstrap()),
        "attempts = 1\ngrants = { emit = [\"out\"] }",
    );
    let said = run(&folder);
    assert_eq!(said.code, Some(0), "{said:?}");
    let letters = kafka.read("jobs.dead");
    assert_eq!(letters.len(), 1);
    let reason = letters[0].header("__dlq.errors.message").unwrap();
    assert_eq!(
        reason,
        "the outcome was refused: the record takes 7 bytes, more than topic out (its max.message.bytes) or this client (message.max.bytes) \
         takes: raise the one that is too low, or keep what is large elsewhere and send where it is"
    );
    assert_eq!((kafka.left("jobs", "jobs"), kafka.read("out").len()), (0, 0));
    // A batch is refused as a whole; what is small enough by itself does not pay for its neighbours.
    limit("1000");
    let record = |length: usize| ToProduce {
        topic: "out".to_owned(),
        partition: Some(0),
        value: Some(vec![b'x'; length].into()),
        ..ToProduce::default()
    };
    let lengths = (0..50).map(|number| if number == 25 { 1_000 } else { 100 });
    for (number, stored) in kafka.write(lengths.map(record).collect()).into_iter().enumerate() {
        let refused = Err(ProduceFailure::TooLarge {
            topic: "out".to_owned(),
            bytes: 1_000,
        });
        let is_right = if number == 25 {
            stored == refused
        } else {
            stored.is_ok()
        };
        assert!(is_right, "{number}: {stored:?}");
    }
    assert_eq!(kafka.read("out").len(), 49);
}
