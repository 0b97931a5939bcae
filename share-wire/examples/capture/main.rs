//! Writes `share-wire/tests/golden`: what real brokers and Kafka's own clients say, byte by byte. It starts brokers of each version
//! (Java and Maven are needed), asks every request in every version that we speak, and listens to Kafka's programs.
//! `cargo run -p share-wire --example capture`; nothing else writes those files, and tests only read them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program for developers, which ends at the first surprise"
)]

mod plain;
mod proxy;
mod share;
mod talk;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;

use kafka_cluster::{Cluster, Options, Version};
use share_wire::call::{Api, Call};
use share_wire::kafka::{
    AlterShareGroupOffsetsRequest, ApiVersionsRequest, CreateTopicsRequest, DeleteGroupsRequest,
    DeleteShareGroupOffsetsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeTopicPartitionsRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, ListGroupsRequest,
    ListOffsetsRequest, MetadataRequest, ProduceRequest, ShareGroupDescribeRequest, ShareGroupHeartbeatRequest,
};
use share_wire::message::{DescribeShareGroupOffsetsRequest, ShareAcknowledgeRequest, ShareFetchRequest};

use crate::talk::{Exchange, Talk, write_file};

fn main() {
    for version in Version::ALL {
        let options = Options {
            version,
            brokers: 2,
            ..Options::default()
        };
        let options = options
            .set("default.replication.factor", "1")
            .set("group.share.record.lock.duration.ms", "30000");
        let cluster = Cluster::start(options).unwrap();
        let kept = asked_by_us(&cluster);
        let head =
            format!("Two brokers of Apache Kafka {version}, asked by `cargo run -p share-wire --example capture`.");
        write_file(&golden(&format!("ours-{version}.txt")), &head, &kept);
        println!("{version}: {} exchanges", kept.len());
    }
    let (logins, overheard) = asked_by_others();
    let head = "A broker of Apache Kafka 4.2.1 with SASL, asked by `cargo run -p share-wire --example capture`.";
    write_file(&golden("logins-4.2.1.txt"), head, &logins);
    let head = "A broker of Apache Kafka 4.2.1, asked by Kafka's own clients and programs.";
    write_file(&golden("java-4.2.1.txt"), head, &overheard);
    println!("{} logins, {} exchanges of others", logins.len(), overheard.len());
}

macro_rules! spoken {
    ($($request:ident)*) => {
        /// What Kafka's programs ask and we speak too.
        const SPOKEN: &[(Api, (i16, i16))] = &[$((<$request as Call>::API, <$request as Call>::VERSIONS)),*];
    };
}

spoken! {
    AlterShareGroupOffsetsRequest ApiVersionsRequest CreateTopicsRequest DeleteGroupsRequest DeleteShareGroupOffsetsRequest
    DescribeClusterRequest DescribeConfigsRequest DescribeShareGroupOffsetsRequest DescribeTopicPartitionsRequest
    FindCoordinatorRequest IncrementalAlterConfigsRequest InitProducerIdRequest ListGroupsRequest ListOffsetsRequest
    MetadataRequest ProduceRequest ShareAcknowledgeRequest ShareFetchRequest ShareGroupDescribeRequest
    ShareGroupHeartbeatRequest
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn asked_by_us(cluster: &Cluster) -> Vec<Exchange> {
    let kept = &mut Vec::new();
    let servers = cluster.bootstrap();
    let servers: Vec<&str> = servers.split(',').collect();
    let any = &mut Talk::to(servers[0]);
    plain::versions(kept, any);
    plain::topics(kept, any);
    let metadata = plain::metadata(kept, any);
    let topic = metadata.topics.iter().find(|topic| topic.error_code == 0).unwrap();
    let leader_id = topic.partitions[0].leader_id;
    let broker = metadata
        .brokers
        .iter()
        .find(|broker| broker.node_id == leader_id)
        .unwrap();
    let leads = format!("{}:{}", broker.host, broker.port);
    let leader = &mut Talk::to(&leads);
    let other = &mut Talk::to(servers.iter().find(|server| **server != leads).unwrap());
    plain::settings(kept, any);
    plain::records(kept, leader, other);
    plain::transactions(kept, leader, any);
    plain::reads(kept, leader, topic.topic_id);
    let coordinator = &mut share::coordinator(kept, any);
    let elsewhere = servers.iter().map(|server| Talk::to(server));
    let mut elsewhere: Vec<Talk> = elsewhere.collect();
    let does_not_coordinate = elsewhere.iter_mut().find(|talk| talk.peer() != coordinator.peer());
    let epoch = share::join(kept, coordinator, does_not_coordinate);
    let mut session = share::Session::open(kept, leader, other, topic.topic_id);
    session.records(kept);
    session.errors(kept);
    share::group(kept, coordinator, epoch);
    plain::ends(kept, leader, topic.topic_id);
    std::mem::take(kept)
}

/// A broker whose listener for clients names the proxy, so that they all go through it.
fn asked_by_others() -> (Vec<Exchange>, Vec<Exchange>) {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (proxy, [clients, logins]) = (listen(), [listen(), listen()].map(|listener| port(&listener)));
    // Below what the system gives out.
    let own = 23_000 + clients % 1_000;
    let options = Options {
        port: Some(own),
        ..Options::default()
    };
    let address = |port: u16| format!("127.0.0.1:{port}");
    let listeners = format!(
        "PLAINTEXT://{},CONTROLLER://{},CLIENTS://{},LOGINS://{}",
        address(own),
        address(own + 1),
        address(clients),
        address(logins)
    );
    let advertised = format!(
        "PLAINTEXT://{},CLIENTS://{},LOGINS://{}",
        address(own),
        address(port(&proxy)),
        address(logins)
    );
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required user_admin=\"not-a-secret\";";
    let options = options
        .set("listeners", &listeners)
        .set("advertised.listeners", &advertised)
        .set(
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CLIENTS:PLAINTEXT,LOGINS:SASL_PLAINTEXT",
        )
        .set("listener.name.logins.sasl.enabled.mechanisms", "PLAIN")
        .set("listener.name.logins.plain.sasl.jaas.config", login);
    let bootstrap = address(port(&proxy));
    let overheard = proxy::start(proxy, address(clients));
    let cluster = Cluster::start(options).unwrap();
    let kept = &mut Vec::new();
    plain::logins(kept, &address(logins));
    kafkas_programs(&cluster, &bootstrap);
    let overheard = std::mem::take(&mut *overheard.lock().unwrap());
    (std::mem::take(kept), some_of(overheard))
}

/// They make a topic, write, consume, look at the group and take it away.
fn kafkas_programs(cluster: &Cluster, bootstrap: &str) {
    let tool = |class: &str, arguments: &[&str]| {
        let printed = cluster.tool(class, arguments).unwrap_or_else(|error| panic!("{error}"));
        println!("{}", printed.stdout.trim());
    };
    let servers = ["--bootstrap-server", bootstrap];
    let topics = "org.apache.kafka.tools.TopicCommand";
    tool(
        topics,
        &[&servers[..], &["--create", "--topic", "orders", "--partitions", "1"]].concat(),
    );
    let of_group = ["--entity-type", "groups", "--entity-name", "packers"];
    let earliest = ["--alter", "--add-config", "share.auto.offset.reset=earliest"];
    tool(
        "kafka.admin.ConfigCommand",
        &[&servers[..], &of_group, &earliest].concat(),
    );
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/capture/Golden.java");
    tool(program.to_str().unwrap(), &[bootstrap, "orders", "packers"]);
    let groups = |arguments: &[&str]| {
        tool(
            "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
            &[&servers[..], arguments].concat(),
        );
    };
    let of_group = ["--group", "packers"];
    groups(&["--list"]);
    groups(&[&["--describe", "--offsets", "--verbose"], &of_group[..]].concat());
    groups(&[&["--describe", "--members"], &of_group[..]].concat());
    groups(
        &[
            &["--reset-offsets", "--to-earliest", "--execute", "--topic", "orders"],
            &of_group[..],
        ]
        .concat(),
    );
    groups(&[&["--delete-offsets", "--topic", "orders"], &of_group[..]].concat());
    groups(&[&["--delete"], &of_group[..]].concat());
}

/// Of what clients say again and again only the first few.
fn some_of(overheard: Vec<Exchange>) -> Vec<Exchange> {
    let mut seen: BTreeMap<(Vec<u8>, usize), usize> = BTreeMap::new();
    let mut some = Vec::new();
    for mut exchange in overheard {
        let number = |at: usize| i16::from_be_bytes([exchange.request[at], exchange.request[at + 1]]);
        let (key, version) = (number(0), number(2));
        // Newer versions than ours say nothing about ours.
        let spoken = SPOKEN
            .iter()
            .find(|(api, (least, newest))| api.key == key && (*least..=*newest).contains(&version));
        let Some((api, _)) = spoken else { continue };
        // The same request, but for its number, and for what its size says.
        let kind = (exchange.request[..4].to_vec(), exchange.request.len());
        let times = seen.entry(kind).or_default();
        *times += 1;
        let most = if matches!(key, 76 | 78 | 79) { 4 } else { 1 };
        if *times <= most {
            exchange.what = format!("{} {version}: overheard", api.name);
            some.push(exchange);
        }
    }
    some
}
