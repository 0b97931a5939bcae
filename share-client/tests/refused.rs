//! What consumers are refused, and what they are told of it, by a real broker.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod group;

use std::time::Duration;

use group::{Bench, acquire_all, config, name, settled, within};
use kafka_cluster::{Options, PASSWORD, USERS, Version};
use share_client::config::ClientConfig;
use share_client::consumer::{ConsumerError, Event, JoinError, JoinOptions, ShareConsumer, Verb};
use share_client::membership::Refusal;
use share_wire::code::ErrorCode;
use share_wire::kafka::DeleteTopicsRequest;
use share_wire::kafka::delete_topics_request::DeleteTopicState;

/// The next event of a kind that somebody waits for.
async fn event<T>(consumer: &ShareConsumer, wanted: impl Fn(Event) -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = wanted(consumer.event().await) {
                return found;
            }
        }
    };
    within("the event", search).await
}

fn refused(event: Event) -> Option<(String, ErrorCode)> {
    match event {
        Event::Refused { topic, code, .. } => Some((topic.to_string(), code)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_broker() {
    let options = group::options().set("group.share.max.size", "2");
    let Some(bench) = Bench::start("refused::on_one_broker", options) else {
        return;
    };
    let bench = &bench;
    tokio::join!(
        a_full_group(bench),
        a_topic_comes_and_goes_and_comes_again(bench),
        options_and_addresses_that_are_no_use(bench),
    );
    a_group_of_another_kind(bench).await;
}

async fn a_full_group(bench: &Bench) {
    bench.create("full", &[&[1]]).await;
    let members = [bench.join("full", &["full"]).await, bench.join("full", &["full"]).await];
    let error = bench.try_join(JoinOptions::new("full", &["full"])).await.unwrap_err();
    assert!(
        matches!(error, JoinError::Refused(Refusal::GroupFull { .. })) && error.to_string().contains('2'),
        "{error}"
    );
    for member in members {
        within("the end", member.close()).await;
    }
    // There is room again.
    within("the end", bench.join("full", &["full"]).await.close()).await;
}

async fn a_topic_comes_and_goes_and_comes_again(bench: &Bench) {
    let consumer = bench.join("later", &["later"]).await;
    let unknown = ("later".to_owned(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(event(&consumer, refused).await, unknown);
    for round in 0..2 {
        bench.create("later", &[&[1], &[1]]).await;
        bench.fill("later", 0, 5).await;
        let held = acquire_all(&consumer, 5).await;
        assert!(held.iter().all(|lease| lease.delivery_count == 1), "{round}: {held:?}");
        settled(&consumer, &held, Verb::Accept).await;
        let waiting = tokio::spawn({
            let consumer = consumer.clone();
            async move { consumer.acquire(group::credit(1)).await }
        });
        let topic = DeleteTopicState::default().with_name(Some(name("later")));
        let request = DeleteTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let answer = bench.any().await.call(&request).await.unwrap();
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
        event(&consumer, |event| {
            (event == Event::AssignmentChanged { partitions: 0 }).then_some(())
        })
        .await;
        waiting.abort();
    }
    within("the end", consumer.close()).await;
}

/// A consumer group has the id.
async fn a_group_of_another_kind(bench: &Bench) {
    bench.create("other", &[&[1]]).await;
    bench.fill("other", 0, 1).await;
    let servers = bench.cluster.bootstrap();
    let arguments = [
        "--bootstrap-server",
        &servers,
        "--topic",
        "other",
        "--group",
        "other",
        "--from-beginning",
    ];
    let arguments = [&arguments[..], &["--max-messages", "1"]].concat();
    let consumed = tokio::task::block_in_place(|| {
        bench
            .cluster
            .tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments)
    });
    consumed.unwrap_or_else(|error| panic!("{error}"));
    let joined = ShareConsumer::join(&config(&servers), JoinOptions::new("other", &["other"])).await;
    let group = "other".to_owned();
    assert_eq!(joined.unwrap_err(), JoinError::Refused(Refusal::OtherKind { group }));
}

async fn options_and_addresses_that_are_no_use(bench: &Bench) {
    let options = JoinOptions {
        join_within: Duration::from_millis(300),
        ..JoinOptions::new("nowhere", &["nowhere"])
    };
    // A port where nobody listens.
    let error = ShareConsumer::join(&config("127.0.0.1:1"), options).await.unwrap_err();
    assert!(
        matches!(error, JoinError::TimedOut { .. }) && error.to_string().contains("127.0.0.1:1"),
        "{error}"
    );
    let mut twice = JoinOptions::new("g", &["a", "a"]);
    let error = ShareConsumer::join(&config(&bench.cluster.bootstrap()), twice.clone())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    twice.topics.truncate(1);
    twice.member = Some("x".repeat(37));
    let error = ShareConsumer::join(&config(&bench.cluster.bootstrap()), twice)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("36"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_share_groups() {
    let options = Options {
        share_groups: false,
        ..Options::default()
    };
    let Some(bench) = Bench::start("refused::a_cluster_without_share_groups", options) else {
        return;
    };
    let joined = ShareConsumer::join(&config(&bench.cluster.bootstrap()), JoinOptions::new("g", &["t"])).await;
    let error = joined.unwrap_err();
    assert!(matches!(error, JoinError::Refused(Refusal::Off { .. })), "{error}");
}

/// First the group, then its topic, then nothing is in the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_is_told_what_is_missing() {
    let options = Options {
        tls_sasl: true,
        ..group::options()
    };
    let test = "refused::whoever_may_not_is_told_what_is_missing";
    let Some(bench) = Bench::start(test, options) else {
        return;
    };
    bench.create("orders", &[&[1]]).await;
    bench.fill("orders", 0, 1).await;
    bench.set("packers", "share.auto.offset.reset", "earliest").await;
    let (user, servers) = (USERS[1], bench.cluster.bootstrap_tls_sasl().unwrap());
    let authority = bench.cluster.authority().unwrap().to_str().unwrap();
    let properties = [
        ("bootstrap.servers", servers.as_str()),
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", user),
        ("sasl.password", PASSWORD),
        ("ssl.ca.location", authority),
    ];
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let config = ClientConfig::new(&properties.iter().map(owned).collect()).unwrap();
    let join = async || ShareConsumer::join(&config, JoinOptions::new("packers", &["orders"])).await;
    let principal = format!("User:{user}");
    let (open, allow) = (bench.cluster.bootstrap(), format!("--allow-principal={principal}"));
    let grant = |resource: [&str; 2], operations: &[&str]| {
        let mut arguments = vec!["--bootstrap-server", &open, "--add", &allow, "--force"];
        arguments.extend(resource);
        for operation in operations {
            arguments.extend(["--operation", operation]);
        }
        let granted =
            tokio::task::block_in_place(|| bench.cluster.tool("org.apache.kafka.tools.AclCommand", &arguments));
        granted.unwrap_or_else(|error| panic!("{error}"));
    };

    let error = join().await.unwrap_err();
    assert!(
        matches!(error, JoinError::Refused(Refusal::GroupDenied { .. })),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&format!("{principal} needs the operation READ on the group `packers`")),
        "{error}"
    );
    grant(["--group", "packers"], &["Read"]);
    let error = join().await.unwrap_err();
    assert!(
        matches!(error, JoinError::Refused(Refusal::TopicDenied { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains(&principal) && error.to_string().contains("orders"),
        "{error}"
    );
    grant(["--topic", "orders"], &["Describe"]);
    // It is a member, and is told what it may not read.
    let consumer = join().await.unwrap();
    let waiting = tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.acquire(group::credit(1)).await }
    });
    let denied = ("orders".to_owned(), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(event(&consumer, refused).await, denied);
    grant(["--topic", "orders"], &["Read"]);
    let acquired = within("the record", waiting).await.unwrap().unwrap();
    settled(&consumer, &group::leases(&acquired), Verb::Accept).await;
    within("the end", consumer.close()).await;
}

/// The newest release serves the same client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_release() {
    let options = Options {
        version: Version::V4_4_0,
        ..group::options()
    };
    let Some(bench) = Bench::start("refused::the_newest_release", options) else {
        return;
    };
    bench.create("orders", &[&[1]]).await;
    bench.fill("orders", 0, 20).await;
    let consumer = bench.join("packers", &["orders"]).await;
    let held = acquire_all(&consumer, 20).await;
    settled(&consumer, &held[..19], Verb::Accept).await;
    settled(&consumer, &held[19..], Verb::Release).await;
    let again = acquire_all(&consumer, 1).await;
    assert_eq!((again[0].offset, again[0].delivery_count), (19, 2));
    settled(&consumer, &again, Verb::Reject).await;
    within("the end", consumer.close()).await;
    assert_eq!(consumer.acquire(group::credit(1)).await, Err(ConsumerError::Closed));
}
