//! The host on a real Kafka cluster: what a handler returns becomes the record's acknowledgement there, and what Kafka has no word for the
//! host does.
#![cfg(feature = "kafka")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_cluster::Version;
use share_client::admin::{Admin, ConfigOf, Isolation, Limit, NewTopic, Reset};
use share_client::config::ClientConfig;
use share_client::net::Connector;
use share_engine::engine::SystemClock;
use share_wire::kafka::produce_request::{PartitionProduceData, TopicProduceData};
use share_wire::kafka::{ProduceRequest, StrBytes, TopicName};
use share_wire::records::{Codec, NewBatch, NewRecord, PLAIN_MAX};
use sharemill::source::{
    Cause, Credit, KafkaContext, KafkaOptions, KafkaProducer, KafkaSource, Letters, SettleResult, Settlement,
    Source as _, SourceEvent, ToProduce, Verdict,
};
use sharemill_tests::conformance::failed;
use sharemill_tests::kafka::{Kafka, Stored, options};
use sharemill_tests::trail::{self, Trail};
use sharemill_tests::{Folder, Host, until};

fn start(test: &str) -> Option<Kafka> {
    Kafka::start(&format!("kafka_source::{test}"), options(Version::default()))
}

/// A deployment of the guest that does what records say.
fn hostile(kafka: &Kafka, lines: &str) -> Folder {
    let source = kafka.source("");
    Folder::new(&format!(
        r#"{source}
[deployments.jobs]
component = "hostile.wasm"
topic = "jobs"
backoff = {{ first = "200ms", max = "200ms", jitter = 0.0 }}
{lines}
"#
    ))
    .guest("hostile")
}

fn texts(records: &[Stored]) -> Vec<String> {
    records.iter().map(Stored::text).collect()
}

#[test]
fn every_outcome_becomes_an_acknowledgement() {
    let Some(kafka) = start("every_outcome_becomes_an_acknowledgement") else {
        return;
    };
    kafka.create("jobs", 1);
    let folder = hostile(&kafka, "attempts = 2\ngrants = { emit = [\"out\"] }");
    kafka.produce(
        "jobs",
        &[
            "accept",
            "reject never again",
            "release not yet",
            "emit out",
            "panic 5",
            "accept",
        ],
    );
    let said = folder.run(&["run", "--until-idle"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(kafka.left("jobs", "jobs"), 0, "{said:?}");
    assert_eq!(kafka.read("out").len(), 1);
    let mut letters = kafka.read("jobs.dead");
    letters.sort_by_key(Stored::text);
    assert_eq!(texts(&letters), ["panic 5", "reject never again", "release not yet"]);
    let header = |letter: usize, name: &str| letters[letter].header(name).unwrap_or_default();
    assert_eq!(header(1, "__dlq.errors.message"), "never again");
    assert_eq!(header(1, "__dlq.errors.delivery.count"), "1");
    assert_eq!(header(1, "sharemill.cause"), "reject");
    assert_eq!(header(1, "sharemill.origin"), "jobs/0/1");
    assert_eq!(header(2, "__dlq.errors.delivery.count"), "2");
    assert_eq!(header(2, "__dlq.errors.group"), "jobs");
    assert!(header(2, "sharemill.attempts").contains("not yet"), "{:?}", letters[2]);
    assert_eq!(header(0, "sharemill.cause"), "trap");
    assert!(!header(0, "sharemill.trap").is_empty());
}

#[test]
fn a_record_that_is_renewed_with_a_delay_keeps_its_attempt_and_its_checkpoint() {
    let Some(kafka) = start("a_record_that_is_renewed_with_a_delay_keeps_its_attempt_and_its_checkpoint") else {
        return;
    };
    kafka.create("polls", 1);
    let source = kafka.source("");
    let folder = Folder::new(&format!(
        r#"{source}
[deployments.poll]
component = "poll.wasm"
topic = "polls"
lock = "2s"
attempts = 1
settings = {{ poll-interval-ms = "100" }}
grants = {{ files = [{{ host = "jobs", guest = "/jobs", access = "read" }}] }}
"#
    ))
    .guest("poll");
    folder.file("jobs/slow", "running");
    kafka.produce("polls", &["slow", "slow"]);
    let host = Host::start(&folder, &[]);
    host.wait_for("assignment changed");
    let began = Instant::now();
    until("more than two locks", || {
        (began.elapsed() > Duration::from_secs(5)).then_some(())
    });
    folder.file("jobs/slow", "done");
    kafka.finished("poll", "polls");
    let said = host.stop();
    assert_eq!(said.matches("is done after").count(), 2, "{said}");
    let polls = said.split("is done after ").nth(1).unwrap();
    let polls: u32 = polls.split(' ').next().unwrap().parse().unwrap();
    assert!(polls >= 10, "{said}");
    assert_eq!(kafka.read("poll.dead"), []);
}

#[test]
fn a_record_that_waits_and_pins_the_window_is_copied_to_the_retry_topic() {
    let test = "kafka_source::a_record_that_waits_and_pins_the_window_is_copied_to_the_retry_topic";
    let options = options(Version::default()).set("group.share.partition.max.record.locks", "100");
    let Some(kafka) = Kafka::start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    let folder = hostile(&kafka, "attempts = 2");
    let folder = folder.manifest(|text| text.replace("200ms", "8s"));
    kafka.produce("jobs", &["release not yet"]);
    // The broker gives out what is left of a batch, however full the window.
    for _ in 0..30 {
        kafka.produce("jobs", &["accept"; 10]);
    }
    let host = Host::start(&folder, &[]);
    host.wait_for(" of 100, 16 slots waiting");
    host.wait_for("records that wait were copied");
    kafka.finished("jobs", "jobs");
    let copies = kafka.read("jobs.retry");
    assert_eq!(texts(&copies), ["release not yet"]);
    assert_eq!(copies[0].header("sharemill.retry.attempt").as_deref(), Some("2"));
    // The second attempt is made on the copy, after the delay of the first.
    kafka.finished("jobs", "jobs.retry");
    let said = host.stop();
    let letters = kafka.read("jobs.dead");
    assert_eq!(texts(&letters), ["release not yet"], "{said}");
    let header = |name: &str| letters[0].header(name).unwrap_or_default();
    assert_eq!(header("sharemill.origin"), "jobs/0/0");
    assert_eq!(header("__dlq.errors.topic"), "jobs");
    assert_eq!(header("__dlq.errors.delivery.count"), "2");
    assert_eq!(header("sharemill.attempts"), "release: not yet");
    assert!(
        letters[0]
            .headers
            .iter()
            .all(|(name, _)| !name.starts_with("sharemill.retry"))
    );
}

#[test]
fn a_record_that_waits_here_is_taken_out_of_the_way_of_other_hosts() {
    let test = "kafka_source::a_record_that_waits_here_is_taken_out_of_the_way_of_other_hosts";
    let options = options(Version::default()).set("group.share.partition.max.record.locks", "100");
    let Some(kafka) = Kafka::start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    let folder = hostile(&kafka, "attempts = 2");
    let folder = folder.manifest(|text| text.replace("200ms", "2m"));
    let log = ["--log", "info,sharemill::records=debug"];
    let one = Host::start(&folder, &log);
    one.wait_for("assignment changed");
    kafka.produce("jobs", &["release not yet"]);
    one.wait_for("offset=0 delivery=1");
    let other = Host::start(&folder, &log);
    other.wait_for("assignment changed");
    // What fills the window is given to the other one, all but what this one has asked for.
    one.suspend();
    for _ in 0..30 {
        kafka.produce("jobs", &["accept"; 10]);
    }
    until("a window that is full", || {
        (kafka.left("jobs", "jobs") <= 301 - 64).then_some(())
    });
    one.resume();
    one.wait_for("offset=0 age=");
    kafka.finished("jobs", "jobs");
    other.stop();
    let said = one.stop();
    assert!(said.contains("window full: 100 of 100, 16 slots waiting"), "{said}");
    assert!(said.contains("before this record is settled: "), "{said}");
    assert_eq!(texts(&kafka.read("jobs.retry")), ["release not yet"], "{said}");
}

/// A group that begins at the end skips what is in a topic that its brokers have written nothing down of, after a restart, too.
#[test]
fn what_was_copied_comes_though_the_group_begins_at_the_end() {
    let test = "kafka_source::what_was_copied_comes_though_the_group_begins_at_the_end";
    let options = options(Version::default()).set("group.share.partition.max.record.locks", "100");
    let Some(mut kafka) = Kafka::start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    let folder = hostile(&kafka, "attempts = 2");
    let folder = folder.manifest(|text| text.replace("200ms", "20s").replace("earliest", "latest"));
    let host = Host::start(&folder, &["--log", "info,sharemill::records=debug"]);
    until("the group's beginning", || {
        kafka.produce("jobs", &["accept"]);
        host.said().contains("acquired").then_some(())
    });
    kafka.produce("jobs", &["release not yet"]);
    for _ in 0..30 {
        kafka.produce("jobs", &["accept"; 10]);
    }
    host.wait_for("records that wait were copied");
    kafka.finished("jobs", "jobs");
    kafka.cluster.stop(1).unwrap();
    kafka.cluster.restart(1).unwrap();
    until("the second attempt", || {
        let letters = texts(&kafka.read("jobs.dead"));
        (letters == ["release not yet"]).then_some(())
    });
    kafka.finished("jobs", "jobs.retry");
    host.stop();
}

#[test]
fn while_dead_letters_cannot_be_written_their_records_are_held_and_others_go_on() {
    let test = "kafka_source::while_dead_letters_cannot_be_written_their_records_are_held_and_others_go_on";
    let options = options(Version::default()).set("auto.create.topics.enable", "false");
    let Some(kafka) = Kafka::start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    let folder = hostile(&kafka, "attempts = 1");
    let host = Host::start(&folder, &[]);
    host.wait_for("assignment changed");
    kafka.wait(kafka.admin.delete_topic("jobs.dead")).unwrap();
    kafka.produce("jobs", &["reject one", "accept", "reject two", "accept"]);
    host.wait_for("a dead letter is not written");
    kafka.create("jobs.dead", 1);
    kafka.finished("jobs", "jobs");
    let said = host.stop();
    let mut letters = texts(&kafka.read("jobs.dead"));
    letters.sort();
    assert_eq!(letters, ["reject one", "reject two"], "{said}");
    assert!(said.contains("accepted=2 dead_letters=2"), "{said}");
}

#[test]
fn while_a_topic_takes_nothing_who_emits_there_holds_up_nobody() {
    let test = "kafka_source::while_a_topic_takes_nothing_who_emits_there_holds_up_nobody";
    let options = options(Version::default()).set("auto.create.topics.enable", "false");
    let Some(kafka) = Kafka::start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    let source = kafka.source("");
    let manifest = format!(
        "{source}\n[deployments.jobs]\ncomponent = \"hostile.wasm\"\ntopic = \"jobs\"\nattempts = 1\ngrants = {{ emit = [\"out\"] }}\n"
    );
    let folder = Folder::with_host(trail::LOG, &manifest).guest("hostile");
    let host = Host::start(&folder, &[]);
    host.wait_for("assignment changed");
    kafka.wait(kafka.admin.delete_topic("out")).unwrap();
    kafka.produce("jobs", &["emit out"; 8]);
    // librdkafka waits half a minute for the topic.
    host.wait_for("the source refused an outcome");
    let began = Instant::now();
    for _ in 0..25 {
        kafka.produce("jobs", &["accept"; 20]);
    }
    until("most of the others are accepted", || {
        (Trail::default().with(0, &host.said()).accepted().len() >= 400).then_some(())
    });
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "others waited with them: {took:?}");
    kafka.create("out", 1);
    kafka.finished("jobs", "jobs");
    let said = host.stop();
    assert_eq!(kafka.read("out").len(), 8, "{said}");
    assert!(said.contains("accepted=508 dead_letters=0"), "{said}");
}

const PROBE: &str = "probe";

/// In the line that tells of a dead letter.
const TOLD: &str = " dead letter deployment=";

/// Whether the dead-letter topic takes anything.
fn take_letters(kafka: &Kafka, take: bool) {
    let of = ConfigOf::Topic("jobs.dead".to_owned());
    let limit = (!take).then_some("1");
    kafka
        .wait(kafka.admin.set(&of, &[("max.message.bytes", limit)]))
        .unwrap();
    // The broker hears of it in its own time.
    until("the limit holds", || {
        let probe = ToProduce {
            topic: "jobs.dead".to_owned(),
            value: Some(PROBE.into()),
            ..ToProduce::default()
        };
        (kafka.write(vec![probe])[0].is_ok() == take).then_some(())
    });
}

fn letters(kafka: &Kafka) -> Vec<Stored> {
    let mut letters = kafka.read("jobs.dead");
    letters.retain(|letter| letter.text() != PROBE);
    letters
}

/// The broker would end the record, and its letter would never be written.
#[test]
fn the_last_delivery_is_held_until_its_letter_is_written() {
    let test = "kafka_source::the_last_delivery_is_held_until_its_letter_is_written";
    let options = options(Version::default()).set("group.share.delivery.count.limit", "2");
    let Some(kafka) = Kafka::start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    let folder = hostile(&kafka, "attempts = 1\ndeadline = \"2s\"\nmax-lease = \"2s\"");
    let host = Host::start(&folder, &[]);
    host.wait_for("assignment changed");
    take_letters(&kafka, false);
    kafka.produce("jobs", &["reject one"]);
    host.wait_for("within max-lease: its record is released, and comes again");
    host.wait_for("within max-lease; its record is held on");
    take_letters(&kafka, true);
    kafka.finished("jobs", "jobs");
    let said = host.stop();
    let letters = letters(&kafka);
    assert_eq!(texts(&letters), ["reject one"], "{said}");
    let count = letters[0].header("__dlq.errors.delivery.count");
    assert_eq!(count.as_deref(), Some("2"), "{said}");
    assert!(said.contains("dead_letters=1"), "{said}");
}

#[test]
fn who_leaves_writes_the_letters_that_are_owed_first() {
    let Some(kafka) = start("who_leaves_writes_the_letters_that_are_owed_first") else {
        return;
    };
    kafka.create("jobs", 1);
    let folder = hostile(&kafka, "attempts = 1");
    let host = Host::start(&folder, &[]);
    host.wait_for("assignment changed");
    take_letters(&kafka, false);
    kafka.produce("jobs", &["reject one"]);
    // The next try is further away by then than whoever leaves goes on.
    until("four tries", || {
        let tries = host.said().matches("a dead letter is not written").count();
        (tries >= 4).then_some(())
    });
    // What is not written is not told, and not counted.
    assert!(!host.said().contains(TOLD), "{}", host.said());
    take_letters(&kafka, true);
    let said = host.stop();
    assert_eq!(texts(&letters(&kafka)), ["reject one"], "{said}");
    assert_eq!(kafka.left("jobs", "jobs"), 0, "{said}");
    assert_eq!(said.matches(TOLD).count(), 1, "{said}");
    assert!(said.contains("dead_letters=1"), "{said}");
}

/// The broker ends while a record is given up: the letter is stored when it is back, and the lease is gone by then.
#[test]
fn a_letter_whose_rejection_is_lost_is_told() {
    let Some(mut kafka) = start("a_letter_whose_rejection_is_lost_is_told") else {
        return;
    };
    kafka.create("jobs", 1);
    kafka.create("jobs.dead", 1);
    let earliest = [("share.auto.offset.reset", Some("earliest"))];
    kafka.wait(kafka.admin.set_group("jobs", &earliest)).unwrap();
    kafka.produce("jobs", &["given up"]);
    let source = Arc::new(member(&kafka));
    let credit = Credit {
        records: 1,
        bytes: 1 << 20,
    };
    let taken = kafka.wait(source.acquire(credit)).unwrap();
    kafka.cluster.kill(1).unwrap();
    let settlement = Settlement {
        lease: taken[0].lease,
        verdict: Verdict::Reject,
        emitted: Vec::new(),
        evidence: Some(failed(Cause::Reject, "it is too late")),
    };
    let beside = tokio::runtime::Runtime::new().unwrap();
    let settling = {
        let source = source.clone();
        beside.spawn(async move { source.settle(vec![settlement]).await })
    };
    kafka.cluster.restart(1).unwrap();
    let results = kafka.wait(settling).unwrap();
    assert!(
        matches!(results[..], [SettleResult::Stale | SettleResult::Unknown]),
        "{results:?}"
    );
    let (offset, cause, reason) = kafka.wait(async {
        loop {
            if let SourceEvent::Buried {
                delivery,
                cause,
                reason,
            } = source.event().await
            {
                return (delivery.offset().get(), cause, reason);
            }
        }
    });
    assert_eq!(
        (offset, cause, reason.as_deref()),
        (0, "reject", Some("it is too late"))
    );
    assert_eq!(texts(&kafka.read("jobs.dead")), ["given up"]);
    kafka.wait(source.leave());
}

/// Of the group `jobs`, without a host.
fn member(kafka: &Kafka) -> KafkaSource {
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), kafka.cluster.bootstrap())]);
    let config = ClientConfig::new(&properties).unwrap();
    let context = KafkaContext {
        admin: Admin::new(&config).unwrap(),
        config,
        producer: Arc::new(KafkaProducer::new(&properties).unwrap()),
        clock: Arc::new(SystemClock),
    };
    let options = KafkaOptions {
        group: "jobs".to_owned(),
        topic: "jobs".to_owned(),
        attempts: 1,
        max_lease: Duration::from_mins(10),
        lock: Duration::from_secs(30),
        window: 200,
        window_is_known: true,
        deliveries: 5,
        from_the_start: true,
        slots: 1,
        parking: 10,
        letters: Letters::Host("jobs.dead".to_owned()),
        letter_bytes: 1 << 20,
        retry_topic: None,
    };
    kafka.wait(KafkaSource::join(context, options)).unwrap()
}

#[test]
fn what_cannot_be_copied_waits_on_where_it_is() {
    let test = "kafka_source::what_cannot_be_copied_waits_on_where_it_is";
    let options = options(Version::default()).set("group.share.partition.max.record.locks", "100");
    let Some(kafka) = Kafka::start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    let small = NewTopic {
        settings: [("max.message.bytes".to_owned(), "1".to_owned())].into(),
        ..NewTopic::named("jobs.retry")
    };
    kafka.wait(kafka.admin.create_topic(&small)).unwrap();
    let folder = hostile(&kafka, "attempts = 2");
    let folder = folder.manifest(|text| text.replace("200ms", "8s"));
    kafka.produce("jobs", &["release not yet"]);
    for _ in 0..30 {
        kafka.produce("jobs", &["accept"; 10]);
    }
    let host = Host::start(&folder, &[]);
    host.wait_for("cannot be copied to the retry topic");
    kafka.finished("jobs", "jobs");
    let said = host.stop();
    assert_eq!(kafka.read("jobs.retry"), [], "{said}");
    assert_eq!(texts(&kafka.read("jobs.dead")), ["release not yet"], "{said}");
}

#[test]
fn limits_of_the_brokers_are_kept_and_the_group_is_set_up() {
    let test = "kafka_source::limits_of_the_brokers_are_kept_and_the_group_is_set_up";
    let options = options(Version::default()).set("group.share.partition.max.record.locks", "100");
    let Some(kafka) = Kafka::start(test, options) else {
        return;
    };
    kafka.create("jobs", 1);
    for (line, limit) in [
        (
            "attempts = 5",
            "attempts is 5: the brokers end a record after 5 deliveries",
        ),
        ("lock = \"2m\"", "lock is 2m: the brokers allow 1s to 1m"),
        (
            "concurrency = 101",
            "concurrency is 101: the brokers give a group at most 100 records",
        ),
    ] {
        let said = hostile(&kafka, line).run(&["run", "--until-idle"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains(limit), "{said:?}");
    }
    let folder = hostile(&kafka, "attempts = 4\nlock = \"1m\"\nconcurrency = 100");
    let folder = folder.manifest(|text| text.replace("earliest\"", "earliest\"\nisolation-level = \"read_committed\""));
    folder.run(&["run", "--until-idle"]).success();
    let limits = kafka.wait(kafka.admin.limits("jobs")).unwrap();
    assert_eq!(limits.reset, Limit::Known(Reset::Earliest));
    assert_eq!(limits.lock, Limit::Known(Duration::from_mins(1)));
    assert_eq!(limits.isolation, Limit::Known(Isolation::Committed));
}

/// One batch that takes more bytes uncompressed than the host reads: few as it is stored.
fn write_too_large_to_read(kafka: &Kafka) {
    let value = vec![0; PLAIN_MAX];
    let record = NewRecord {
        value: Some(&value),
        ..NewRecord::default()
    };
    let batch = NewBatch {
        codec: Codec::Zstd,
        ..NewBatch::default()
    };
    let data = PartitionProduceData::default().with_records(Some(batch.encode(&[record]).unwrap()));
    let data = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("jobs")))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![data]);
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), kafka.cluster.bootstrap())]);
    let connector = Connector::new(&ClientConfig::new(&properties).unwrap()).unwrap();
    let answer = kafka.wait(async {
        let mut connection = connector.connect(&connector.bootstrap()[0]).await.unwrap();
        connection.call(&request).await.unwrap()
    });
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "{answer:?}");
}

#[test]
fn a_record_that_cannot_be_read_leaves_a_letter_that_says_so() {
    let Some(kafka) = start("a_record_that_cannot_be_read_leaves_a_letter_that_says_so") else {
        return;
    };
    kafka.create("jobs", 1);
    write_too_large_to_read(&kafka);
    kafka.produce("jobs", &["accept"]);
    let said = hostile(&kafka, "attempts = 2").run(&["run", "--until-idle"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(kafka.left("jobs", "jobs"), 0, "{said:?}");
    let letters = kafka.read("jobs.dead");
    assert_eq!(letters.len(), 1, "{said:?}");
    let header = |name: &str| letters[0].header(name).unwrap_or_default();
    assert_eq!(header("sharemill.origin"), "jobs/0/0");
    assert_eq!(header("sharemill.cause"), "unreadable");
    assert_eq!(header("sharemill.payload"), "lost");
    assert_eq!(header("__dlq.errors.delivery.count"), "2");
    assert!(header("__dlq.errors.message").contains("grows beyond"), "{letters:?}");
}

/// What it finds of a kind, and how it ends.
fn doctor(folder: &Folder, mark: &str) -> (Option<i32>, Vec<String>) {
    let output = folder.run(&["doctor"]);
    let found = output.stdout.lines().filter(|line| line.starts_with(mark));
    (output.code, found.map(str::to_owned).collect())
}

#[test]
fn doctor_names_what_stands_in_the_way() {
    let test = "kafka_source::doctor_names_what_stands_in_the_way";
    let options = options(Version::default()).set("group.share.max.size", "1");
    let Some(kafka) = Kafka::start(test, options) else {
        return;
    };
    let folder = hostile(&kafka, "attempts = 1\ndead-letter = false");
    let (code, bad) = doctor(&folder, "BAD");
    assert_eq!(
        (code, bad),
        (Some(1), vec!["BAD  jobs: topic jobs is not there".to_owned()])
    );

    kafka.create("jobs", 1);
    // The other way round, the broker may keep a partition in which all that is left to be seen was given up.
    kafka.produce("jobs", &["reject that", "accept"]);
    let folder = folder.manifest(|text| text.replace("start = \"earliest\"", ""));
    let (code, bad) = doctor(&folder, "BAD");
    let skipped = "BAD  jobs: group jobs has no start offset and begins at the end: the 2 records in jobs are skipped";
    assert_eq!((code, bad), (Some(1), vec![skipped.to_owned()]));

    let folder = folder.manifest(|text| text.replace("type = \"kafka\"", "type = \"kafka\"\nstart = \"earliest\""));
    let host = Host::start(&folder, &[]);
    kafka.finished("jobs", "jobs");
    let (code, bad) = doctor(&folder, "BAD");
    assert_eq!(code, Some(1));
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert!(bad[0].starts_with("BAD  jobs: group jobs takes no member:"), "{bad:?}");
    let (_, hints) = doctor(&folder, "     hint: group.share.max.size is 1 at the brokers");
    assert_eq!(hints.len(), 1);
    host.stop();
    let (code, notes) = doctor(&folder, "note");
    assert_eq!(code, Some(0));
    assert!(
        notes
            .iter()
            .any(|note| note.contains("has finished with all 2 records")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|note| note.contains("group jobs is empty")),
        "{notes:?}"
    );

    let folder = folder.manifest(|text| text.replace(&kafka.cluster.bootstrap(), "127.0.0.1:1"));
    let (code, bad) = doctor(&folder, "BAD");
    assert_eq!((code, bad.len()), (Some(1), 1), "{bad:?}");
    assert!(bad[0].contains("127.0.0.1:1"), "{bad:?}");
}
