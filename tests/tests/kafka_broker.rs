//! Real Kafka brokers, as the tests of everything that joins Kafka start them: they answer, share groups work on them, they
//! are killed and come back, and whoever may not log in cannot. Kafka's own command-line classes are the judges.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use kafka_cluster::{Cluster, Error, Options, Standing, Version};
use sharemill_tests::until;

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const SHARE_GROUPS: &str = "org.apache.kafka.tools.consumer.group.ShareGroupCommand";

/// Makes the group and writes its state.
const RESET: [&str; 7] = [
    "--reset-offsets",
    "--to-earliest",
    "--execute",
    "--group",
    "packers",
    "--topic",
    "orders",
];

/// Whether brokers run on this machine.
fn runs(test: &str) -> bool {
    kafka_cluster::runs_here(Version::default(), &format!("kafka_broker::{test}"))
}

/// What one of Kafka's classes prints, given the cluster's address.
#[track_caller]
fn tool(cluster: &Cluster, class: &str, arguments: &[&str]) -> String {
    let servers = cluster.bootstrap();
    let arguments = [&["--bootstrap-server", &servers], arguments].concat();
    cluster
        .tool(class, &arguments)
        .unwrap_or_else(|error| panic!("{error}"))
        .stdout
}

#[test]
fn a_broker_makes_topics_and_share_groups() {
    if !runs("a_broker_makes_topics_and_share_groups") {
        return;
    }
    let mut cluster = Cluster::start(Options::default()).unwrap();
    tool(
        &cluster,
        TOPICS,
        &["--create", "--topic", "orders", "--partitions", "3"],
    );
    // That its state is written tells that the share coordinator works.
    let offsets = tool(&cluster, SHARE_GROUPS, &RESET);
    assert_eq!(
        offsets.lines().filter(|line| line.contains("packers")).count(),
        3,
        "{offsets}"
    );
    assert_eq!(tool(&cluster, SHARE_GROUPS, &["--list"]).trim(), "packers");
    assert!(cluster.log(1).unwrap().contains("Kafka Server started"));

    let folder = cluster.folder();
    let pid = cluster.pid(1).unwrap();
    assert!(matches!(cluster.restart(1), Err(Error::RunsAlready { id: 1, pid: found }) if found == pid));
    assert!(matches!(
        cluster.kill(2),
        Err(Error::NoSuchBroker { id: 2, brokers: 1 })
    ));
    drop(cluster);
    assert!(!folder.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn the_newest_release_has_the_second_version_of_share_groups() {
    let (test, version) = (
        "the_newest_release_has_the_second_version_of_share_groups",
        Version::V4_4_0,
    );
    if !kafka_cluster::runs_here(version, &format!("kafka_broker::{test}")) {
        return;
    }
    let cluster = Cluster::start(Options {
        version,
        ..Options::default()
    })
    .unwrap();
    let features = tool(&cluster, "org.apache.kafka.tools.FeatureCommand", &["describe"]);
    let of_share_groups = features.lines().find(|line| line.contains("share.version")).unwrap();
    assert!(
        of_share_groups.contains("FinalizedVersionLevel: 2"),
        "{of_share_groups}"
    );
    tool(&cluster, TOPICS, &["--create", "--topic", "orders"]);
    assert!(tool(&cluster, SHARE_GROUPS, &RESET).contains("packers"));
}

#[test]
fn share_groups_can_be_off() {
    if !runs("share_groups_can_be_off") {
        return;
    }
    let cluster = Cluster::start(Options {
        share_groups: false,
        ..Options::default()
    })
    .unwrap();
    tool(&cluster, TOPICS, &["--create", "--topic", "orders"]);
    let servers = cluster.bootstrap();
    let error = cluster.tool(SHARE_GROUPS, &[&["--bootstrap-server", &servers][..], &RESET].concat());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("The version of API is not supported"), "{error}");
}

#[test]
fn one_of_three_is_killed_and_comes_back() {
    if !runs("one_of_three_is_killed_and_comes_back") {
        return;
    }
    let mut cluster = Cluster::start(Options {
        brokers: 3,
        ..Options::default()
    })
    .unwrap();
    let described = |cluster: &Cluster| tool(cluster, TOPICS, &["--describe", "--topic", "orders"]);
    tool(
        &cluster,
        TOPICS,
        &["--create", "--topic", "orders", "--replica-assignment", "1:2:3"],
    );
    assert!(described(&cluster).contains("Leader: 1\t"));

    cluster.kill(1).unwrap();
    assert_eq!(cluster.pid(1), None);
    let text = until("another leader", || {
        Some(described(&cluster)).filter(|text| !text.contains("Leader: 1\t"))
    });
    assert!(text.contains("Leader: 2\t"), "{text}");

    let servers = cluster.bootstrap();
    cluster.restart(1).unwrap();
    assert_eq!(cluster.bootstrap(), servers);
    until("all replicas in sync", || {
        let text = described(&cluster);
        let (_, in_sync) = text.split_once("Isr: ")?;
        let mut in_sync: Vec<&str> = in_sync.split_whitespace().next()?.split(',').collect();
        in_sync.sort_unstable();
        (in_sync == ["1", "2", "3"]).then_some(())
    });
}

#[test]
fn only_who_may_log_in_does() {
    if !runs("only_who_may_log_in_does") {
        return;
    }
    let cluster = Cluster::start(Options {
        tls_sasl: true,
        ..Options::default()
    })
    .unwrap();
    let servers = cluster.bootstrap_tls_sasl().unwrap();
    let as_user = |user: &str, mechanism: &str, arguments: &[&str]| {
        let file = cluster.client_properties(user, mechanism).unwrap().unwrap();
        let login = [
            "--bootstrap-server",
            &servers,
            "--command-config",
            file.to_str().unwrap(),
        ];
        cluster.tool(TOPICS, &[&login, arguments].concat())
    };
    let create = ["--create", "--topic", "orders"];
    as_user("admin", "PLAIN", &create).unwrap();
    assert_eq!(
        as_user("admin", "SCRAM-SHA-256", &["--list"]).unwrap().stdout.trim(),
        "orders"
    );
    // Logged in, but nobody has allowed it anything.
    assert_eq!(
        as_user("worker", "SCRAM-SHA-512", &["--list"]).unwrap().stdout.trim(),
        ""
    );
    let error = as_user("worker", "PLAIN", &["--create", "--topic", "more"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("AuthorizationException"), "{error}");
    let error = as_user("stranger", "SCRAM-SHA-512", &["--list"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("SaslAuthenticationException"), "{error}");
}

/// Ends a cluster that a failed test leaves behind.
struct Down(Standing);

impl Drop for Down {
    fn drop(&mut self) {
        drop(self.0.down());
    }
}

#[test]
fn a_standing_cluster_is_named_by_its_folder() {
    if !runs("a_standing_cluster_is_named_by_its_folder") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Down(standing) = &Down(Standing::at(folder.path().join("up")));
    assert!(standing.look().unwrap().is_none());
    assert!(standing.down().unwrap().ended.is_empty());

    let began = standing.up(Options::default()).unwrap();
    let pid = began.look.brokers[0].pid;
    let again = standing.up(Options::default()).unwrap();
    assert!(!began.already && again.already);
    assert_eq!(again.look.brokers[0].pid, pid);
    assert_eq!(again.look.brokers[0].state, "answers");
    let other = standing
        .up(Options::default().set("num.partitions", "2"))
        .unwrap_err()
        .to_string();
    assert!(
        other.contains("runs already in") && other.contains("(4.2.1, 1 of 1 brokers)"),
        "{other}"
    );
    let dir = Some(folder.path().join("up"));
    let other = Cluster::start(Options {
        dir,
        ..Options::default()
    })
    .unwrap_err();
    assert!(matches!(other, Error::OtherRuns { .. }), "{other}");
    let other = Standing::at(folder.path()).up(Options::default()).unwrap_err();
    assert!(matches!(other, Error::StrangeFolder { .. }), "{other}");

    let ended = standing.down().unwrap();
    assert_eq!((ended.ended, ended.gone), (vec![pid], vec![]));
    assert!(standing.look().unwrap().is_none());
}

#[test]
fn what_stops_a_start_is_said() {
    if !runs("what_stops_a_start_is_said") {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = Options {
        port: Some(port - 1),
        ..Options::default()
    };
    let error = Cluster::start(options).unwrap_err();
    assert!(matches!(error, Error::PortTaken { .. }), "{error}");
    let options = Options {
        heap_mib: 4,
        ..Options::default()
    };
    let error = Cluster::start(options).unwrap_err().to_string();
    assert!(
        error.starts_with("broker 1 ended at its start with exit status: "),
        "{error}"
    );
    assert!(error.contains("OutOfMemoryError"), "{error}");
    let error = "4.0.0".parse::<Version>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown version \"4.0.0\" of Kafka: 4.2.1, 4.4.0 and 3.9.1 are known"
    );
    let options = Options {
        brokers: 0,
        ..Options::default()
    };
    assert_eq!(
        Cluster::start(options).unwrap_err().to_string(),
        "0 brokers: 1 to 5 can be had"
    );
}
