//! What a cluster is asked, against real brokers: one of 4.2.1 for most of it, one of 4.4.0 for what is new there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kafka_cluster::{Cluster, Options, PASSWORD, Version};
use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use serde_json::Value;
use share_client::admin::states::DeliveryState::{self, Acknowledged, Archived, Available};
use share_client::admin::states::{self, Entry, Key, STATE_TOPIC, ShareState};
use share_client::admin::{
    Admin, AdminError, At, ConfigOf, DeadLetters, Ensured, GroupState, Guess, Isolation, Left, Limit, MoveTo, NewTopic,
    Origin, Release, Reset, ShareSupport, Want,
};
use share_client::config::ClientConfig;
use share_client::net::{Connection, Connector};
use share_wire::call::{Api, Call};
use share_wire::code::ErrorCode;
use share_wire::error::WireError;
use share_wire::kafka::produce_request::{PartitionProduceData, TopicProduceData};
use share_wire::kafka::read_share_group_state_request::{PartitionData, ReadStateData};
use share_wire::kafka::read_share_group_state_response::StateBatch;
use share_wire::kafka::{GroupId, ProduceRequest, ShareGroupHeartbeatRequest, StrBytes, TopicName};
use share_wire::kafka::{ReadShareGroupStateRequest, ReadShareGroupStateResponse};
use share_wire::message::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgeType, AcknowledgementBatch, AcquireMode, FetchPartition,
    FetchTopic, ShareAcknowledgeRequest, ShareFetchRequest,
};
use share_wire::records::{Codec, NewBatch, NewRecord, PLAIN_MAX};
use share_wire::{Bytes, BytesMut, Uuid};
use tokio::time::Instant;

/// For what a broker does in its own time.
const PATIENCE: Duration = Duration::from_mins(1);

fn config(servers: &str) -> ClientConfig {
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), servers.to_owned())]);
    ClientConfig::new(&properties).unwrap()
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Writes records into a partition: one batch.
async fn produce(connection: &mut Connection, topic: &str, partition: i32, values: &[&str]) {
    let records: Vec<NewRecord<'_>> = values
        .iter()
        .map(|value| NewRecord {
            timestamp: 1_700_000_000_000,
            value: Some(value.as_bytes()),
            ..NewRecord::default()
        })
        .collect();
    let batch = NewBatch {
        codec: Codec::Zstd,
        ..NewBatch::default()
    };
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch.encode(&records).unwrap()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(text(topic)))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until);
        let response = connection.call(&request).await.unwrap();
        match ErrorCode(response.responses[0].partition_responses[0].error_code) {
            ErrorCode::NONE => return,
            // Its leader is the last to know that it leads it.
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::NOT_LEADER_OR_FOLLOWER => {}
            code => panic!("{code}"),
        }
    }
}

/// A share session with one partition, without a client around it.
struct Session {
    connection: Connection,
    group: String,
    topic_id: Uuid,
    epoch: i32,
}

impl Session {
    fn partition(&self, acknowledgements: Vec<AcknowledgementBatch>) -> FetchTopic {
        let partition = FetchPartition {
            partition: 0,
            acknowledgements,
        };
        FetchTopic {
            topic_id: self.topic_id,
            partitions: vec![partition],
        }
    }

    /// Acquires at most so many records; the offsets and how often each was delivered.
    async fn acquire(&mut self, records: i32) -> Vec<(i64, i16)> {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until);
            let request = ShareFetchRequest {
                group_id: Some(self.group.clone()),
                member_id: Some("tester".to_owned()),
                session_epoch: self.epoch,
                max_wait_ms: 500,
                min_bytes: 1,
                max_bytes: 1 << 20,
                max_records: records,
                batch_size: records,
                acquire_mode: AcquireMode::RecordLimit,
                is_renew_ack: false,
                topics: if self.epoch == 0 {
                    vec![self.partition(vec![])]
                } else {
                    vec![]
                },
                forgotten: vec![],
            };
            let response = self.connection.call(&request).await.unwrap();
            assert_eq!(response.error_code, 0, "{response:?}");
            self.epoch += 1;
            let ranges = response
                .topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .flat_map(|one| &one.acquired);
            let acquired: Vec<(i64, i16)> = ranges
                .flat_map(|range| (range.first_offset..=range.last_offset).map(|offset| (offset, range.delivery_count)))
                .collect();
            if !acquired.is_empty() {
                return acquired;
            }
        }
    }

    /// Settles offsets, one verb for each range.
    async fn settle(&mut self, ranges: &[(i64, i64, AcknowledgeType)]) {
        let batch = |(first, last, verb): &(i64, i64, AcknowledgeType)| AcknowledgementBatch {
            first_offset: *first,
            last_offset: *last,
            types: vec![*verb as i8],
        };
        let partition = AcknowledgePartition {
            partition: 0,
            acknowledgements: ranges.iter().map(batch).collect(),
        };
        let request = ShareAcknowledgeRequest {
            group_id: Some(self.group.clone()),
            member_id: Some("tester".to_owned()),
            session_epoch: self.epoch,
            is_renew_ack: false,
            topics: vec![AcknowledgeTopic {
                topic_id: self.topic_id,
                partitions: vec![partition],
            }],
        };
        let response = self.connection.call(&request).await.unwrap();
        assert_eq!(response.error_code, 0, "{response:?}");
        assert_eq!(response.topics[0].partitions[0].error_code, 0, "{response:?}");
        self.epoch += 1;
    }
}

/// What is asked, and who acts.
struct Rig {
    cluster: Cluster,
    connector: Connector,
    admin: Admin,
}

impl Rig {
    fn start(options: Options) -> Self {
        let cluster = Cluster::start(options).unwrap();
        let connector = Connector::new(&config(&cluster.bootstrap())).unwrap();
        let admin = Admin::over(connector.clone());
        Self {
            cluster,
            connector,
            admin,
        }
    }

    async fn connect(&self) -> Connection {
        self.connector.connect(&self.connector.bootstrap()[0]).await.unwrap()
    }

    async fn session(&self, group: &str, topic: &str) -> Session {
        Session {
            connection: self.connect().await,
            group: group.to_owned(),
            topic_id: self.admin.topic(topic).await.unwrap().id,
            epoch: 0,
        }
    }

    async fn topic(&self, name: &str, partitions: i32) -> Uuid {
        let topic = NewTopic {
            partitions: Some(partitions),
            ..NewTopic::named(name)
        };
        self.admin.create_topic(&topic).await.unwrap()
    }

    /// As a principal who may do nothing as yet.
    fn worker(&self) -> Admin {
        let login = [
            ("bootstrap.servers", self.cluster.bootstrap_tls_sasl().unwrap()),
            ("security.protocol", "SASL_SSL".to_owned()),
            (
                "ssl.ca.location",
                self.cluster.authority().unwrap().to_str().unwrap().to_owned(),
            ),
            ("sasl.mechanism", "PLAIN".to_owned()),
            ("sasl.username", "worker".to_owned()),
            ("sasl.password", PASSWORD.to_owned()),
        ];
        let properties = login.map(|(name, value)| (name.to_owned(), value)).into();
        Admin::new(&ClientConfig::new(&properties).unwrap()).unwrap()
    }
}

fn offsets(found: &BTreeMap<i32, share_client::admin::Offset>) -> Vec<Option<u64>> {
    found.values().map(|one| one.offset).collect()
}

#[tokio::test]
async fn a_cluster_answers() {
    if !kafka_cluster::runs_here(Version::default(), "admin::a_cluster_answers") {
        return;
    }
    let options = Options::default()
        // In which of its partitions a state is kept is to be found out.
        .set("share.coordinator.state.topic.num.partitions", "5")
        // No lock ends while a test looks.
        .set("group.share.record.lock.duration.ms", "60000");
    let rig = Rig::start(options);
    the_cluster(&rig).await;
    topics(&rig).await;
    topics_that_are_to_be_there(&rig).await;
    groups(&rig).await;
    settings(&rig).await;
    backlogs(&rig).await;
    records(&rig).await;
    states(&rig).await;
    lost_connections(rig).await;
}

async fn the_cluster(rig: &Rig) {
    let cluster = rig.admin.cluster().await.unwrap();
    assert_eq!(cluster.brokers.len(), 1);
    assert_eq!(cluster.brokers[0].address, rig.connector.bootstrap()[0]);
    assert_eq!(cluster.id.as_deref(), Some(&*rig.admin.ping().await.unwrap()));
    let support = rig.admin.support(&cluster.brokers[0].address).await.unwrap();
    assert_eq!(
        (support.release, support.shares),
        (Release::V4_2, ShareSupport::On(1)),
        "{support}"
    );
    assert!(support.to_string().contains("Kafka 4.2 or 4.3, with share groups"));
}

async fn topics(rig: &Rig) {
    let admin = &rig.admin;
    let missing = admin.topic("orders").await.unwrap_err();
    assert_eq!(missing.to_string(), "topic orders does not exist, or may not be seen");
    let new = NewTopic {
        partitions: Some(2),
        settings: BTreeMap::from([("retention.ms".to_owned(), "86400000".to_owned())]),
        ..NewTopic::named("orders")
    };
    let id = admin.create_topic(&new).await.unwrap();
    let topic = admin.topic("orders").await.unwrap();
    assert_eq!(
        (topic.id, topic.partitions.len(), topic.partitions[1].leader),
        (id, 2, Some(1))
    );
    let error = admin.create_topic(&new).await.unwrap_err().to_string();
    assert!(
        error.contains("CreateTopics for topic orders: TOPIC_ALREADY_EXISTS (36): Topic 'orders'"),
        "{error}"
    );

    let settings = admin.settings(&ConfigOf::Topic("orders".to_owned())).await.unwrap();
    let retention = settings.iter().find(|one| one.name == "retention.ms").unwrap();
    assert_eq!(
        (retention.value.as_deref(), retention.origin),
        (Some("86400000"), Origin::Topic)
    );

    admin.grow_topic("orders", 3).await.unwrap();
    let error = admin.grow_topic("orders", 1).await.unwrap_err().to_string();
    assert!(error.contains("INVALID_PARTITIONS"), "{error}");
    assert!(admin.grow_topic("nothing", 3).await.unwrap_err().is_missing());

    let mut connection = rig.connect().await;
    produce(&mut connection, "orders", 1, &["a", "b", "c"]).await;
    let at = async |at| offsets(&admin.offsets("orders", at, Isolation::Committed).await.unwrap());
    assert_eq!(at(At::Latest).await, [Some(0), Some(3), Some(0)]);
    assert_eq!(at(At::Earliest).await, [Some(0), Some(0), Some(0)]);
    assert_eq!(at(At::Timestamp(1_700_000_000_000)).await, [None, Some(0), None]);
    assert_eq!(at(At::Timestamp(1_700_000_000_001)).await, [None, None, None]);

    rig.topic("gone", 1).await;
    admin.delete_topic("gone").await.unwrap();
    assert!(admin.delete_topic("gone").await.unwrap_err().is_missing());
    let names: Vec<String> = admin
        .topics()
        .await
        .unwrap()
        .into_iter()
        .map(|topic| topic.name)
        .collect();
    assert!(
        names.contains(&"orders".to_owned()) && !names.contains(&"gone".to_owned()),
        "{names:?}"
    );
}

async fn topics_that_are_to_be_there(rig: &Rig) {
    let admin = &rig.admin;
    // What is there stays as it is.
    let other = NewTopic {
        partitions: Some(7),
        ..NewTopic::named("orders")
    };
    let there = admin.topic("orders").await.unwrap();
    assert_eq!(admin.ensure_topic(&other).await.unwrap(), Ensured::There(there));
    // Only one can make it.
    let shared = NewTopic {
        partitions: Some(3),
        ..NewTopic::named("shared")
    };
    let (one, other) = tokio::join!(admin.ensure_topic(&shared), admin.ensure_topic(&shared));
    let made = [one.unwrap(), other.unwrap()];
    assert_eq!(made.iter().filter(|one| **one == Ensured::Made).count(), 1, "{made:?}");
    let has_all = |one: &Ensured| !matches!(one, Ensured::There(topic) if topic.partitions.len() != 3);
    assert!(made.iter().all(has_all), "{made:?}");

    let all = admin.topics_with_spans().await.unwrap();
    let all: Vec<_> = all
        .iter()
        .map(|(topic, spans)| (topic.name.as_str(), spans.clone().into_values().collect::<Vec<_>>()))
        .collect();
    assert_eq!(all, [("orders", vec![0..0, 0..3, 0..0]), ("shared", vec![0..0; 3])]);
}

async fn groups(rig: &Rig) {
    let admin = &rig.admin;
    rig.topic("parcels", 2).await;
    let mut connection = rig.connect().await;
    produce(&mut connection, "parcels", 0, &["a", "b", "c"]).await;
    let error = admin.group("packers").await.unwrap_err();
    assert_eq!(error.to_string(), "group packers does not exist, or may not be seen");
    assert!(admin.delete_group("packers").await.unwrap_err().is_missing());

    // Made by the move.
    let moved = admin
        .move_group("packers", "parcels", None, MoveTo::Earliest)
        .await
        .unwrap();
    assert_eq!(moved, BTreeMap::from([(0, 0), (1, 0)]));
    let group = admin.group("packers").await.unwrap();
    assert_eq!(
        (group.state.clone(), group.members.len(), group.coordinator),
        (GroupState::Empty, 0, 1)
    );
    let list = admin.groups().await.unwrap();
    assert!(
        list.iter()
            .any(|one| one.group == "packers" && one.state == GroupState::Empty),
        "{list:?}"
    );

    let found = admin.group_offsets("packers", None).await.unwrap();
    let rows: Vec<_> = found
        .iter()
        .map(|one| (&*one.topic, one.partition, one.start, one.lag))
        .collect();
    assert_eq!(
        rows,
        [("parcels", 0, Some(0), Some(3)), ("parcels", 1, Some(0), Some(0))]
    );
    let moves = async |to| admin.move_group("packers", "parcels", Some(&[0]), to).await;
    for (to, start) in [
        (MoveTo::Latest, 3),
        (MoveTo::Offset(2), 2),
        (MoveTo::Timestamp(1_700_000_000_000), 0),
        (MoveTo::Timestamp(1_700_000_000_001), 3),
    ] {
        assert_eq!(moves(to).await.unwrap(), BTreeMap::from([(0, start)]), "{to:?}");
    }
    let found = admin
        .group_offsets("packers", Some(&["parcels", "nothing"]))
        .await
        .unwrap();
    assert_eq!((found[0].start, found[0].lag), (Some(3), Some(0)));
    let error = admin
        .move_group("packers", "parcels", Some(&[7]), MoveTo::Latest)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "topic parcels, partition 7 does not exist, or may not be seen"
    );
    with_somebody_in_it(rig).await;
}

async fn with_somebody_in_it(rig: &Rig) {
    let admin = &rig.admin;
    let mut connection = rig.connect().await;
    let member = Uuid::from_u128(5).to_string();
    let heartbeat = |epoch| {
        ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text("packers")))
            .with_member_id(text(&member))
            .with_member_epoch(epoch)
            .with_subscribed_topic_names(Some(vec![TopicName(text("parcels"))]))
    };
    let response = connection.call(&heartbeat(0)).await.unwrap();
    assert_eq!(response.error_code, 0, "{response:?}");
    let group = admin.group("packers").await.unwrap();
    assert_eq!(group.state, GroupState::Stable);
    assert_eq!(
        (&group.members[0].id, &*group.members[0].client_id),
        (&member, "sharemill")
    );
    assert_eq!(
        (&*group.members[0].host, &*group.members[0].topics),
        ("127.0.0.1", &["parcels".to_owned()][..])
    );
    assert_eq!(
        group.members[0].assignment,
        [("parcels".to_owned(), 0), ("parcels".to_owned(), 1)]
    );
    let moved = admin.move_group("packers", "parcels", None, MoveTo::Latest).await;
    let error = moved.unwrap_err().to_string();
    assert!(error.contains("NON_EMPTY_GROUP"), "{error}");
    let response = connection.call(&heartbeat(-1)).await.unwrap();
    assert_eq!(response.error_code, 0, "{response:?}");

    admin.delete_group_offsets("packers", "parcels").await.unwrap();
    assert!(
        admin
            .delete_group_offsets("packers", "parcels")
            .await
            .unwrap_err()
            .is_missing()
    );
    assert_eq!(admin.group_offsets("packers", None).await.unwrap(), []);
    admin.delete_group("packers").await.unwrap();
    assert!(admin.group("packers").await.unwrap_err().is_missing());
}

async fn settings(rig: &Rig) {
    let admin = &rig.admin;
    let limits = admin.limits("sorters").await.unwrap();
    // As the brokers of tests are set up.
    assert_eq!(limits.lock, Limit::Known(Duration::from_mins(1)));
    assert_eq!(limits.lock_min, Limit::Known(Duration::from_secs(1)));
    assert_eq!(limits.lock_max, Limit::Known(Duration::from_mins(1)));
    assert_eq!(
        (limits.attempts, limits.window, limits.members),
        (Limit::Known(5), Limit::Known(2_000), Limit::Known(200))
    );
    assert_eq!(
        (limits.reset, limits.isolation),
        (Limit::Known(Reset::Latest), Limit::Known(Isolation::Uncommitted))
    );
    assert_eq!(limits.dead_letters, Limit::Known(None));

    let lock = "share.record.lock.duration.ms";
    let changes = [
        ("share.auto.offset.reset", Some("by_duration:PT1H")),
        (lock, Some("2500")),
        ("share.isolation.level", Some("read_committed")),
    ];
    admin.set_group("sorters", &changes).await.unwrap();
    let limits = admin.limits("sorters").await.unwrap();
    assert_eq!(limits.lock, Limit::Known(Duration::from_millis(2_500)));
    assert_eq!(limits.reset, Limit::Known(Reset::ByDuration(Duration::from_hours(1))));
    assert_eq!(limits.isolation, Limit::Known(Isolation::Committed));
    let of_group = ConfigOf::Group("sorters".to_owned());
    let origin = async || {
        let settings = admin.settings(&of_group).await.unwrap();
        settings.into_iter().find(|one| one.name == lock).unwrap()
    };
    assert_eq!(origin().await.origin, Origin::Group);
    admin.set_group("sorters", &[(lock, None)]).await.unwrap();
    let setting = origin().await;
    assert_eq!(
        (setting.value.as_deref(), setting.origin),
        (Some("60000"), Origin::Default),
        "{setting:?}"
    );
    let error = admin
        .set_group("sorters", &[(lock, Some("10"))])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("INVALID_CONFIG"), "{error}");
}

async fn backlogs(rig: &Rig) {
    let admin = &rig.admin;
    rig.topic("letters", 1).await;
    let mut connection = rig.connect().await;
    produce(&mut connection, "letters", 0, &["a", "b", "c", "d"]).await;
    let left = async |group| admin.backlog(group, "letters").await.unwrap().partitions[&0];
    let guessed = |offsets, from| Left::Guessed { offsets, from };
    // Nobody has begun: by the setting.
    assert_eq!(left("readers").await, guessed(0, Guess::Reset(Reset::Latest)));
    let set = async |value| {
        admin
            .set_group("readers", &[("share.auto.offset.reset", Some(value))])
            .await
            .unwrap();
    };
    set("earliest").await;
    assert_eq!(left("readers").await, guessed(4, Guess::Reset(Reset::Earliest)));
    // The records are some years old.
    set("by_duration:PT1H").await;
    assert_eq!(
        left("readers").await,
        guessed(0, Guess::Reset(Reset::ByDuration(Duration::from_hours(1))))
    );
    admin
        .move_group("readers", "letters", None, MoveTo::Offset(1))
        .await
        .unwrap();
    assert_eq!(left("readers").await, Left::Counted(3));
    assert_eq!(admin.backlog("readers", "letters").await.unwrap().total(), (3, false));
    assert!(admin.backlog("readers", "nothing").await.unwrap_err().is_missing());
}

async fn records(rig: &Rig) {
    let admin = &rig.admin;
    rig.topic("notes", 1).await;
    let mut connection = rig.connect().await;
    produce(&mut connection, "notes", 0, &["zero", "one"]).await;
    produce(&mut connection, "notes", 0, &["two", "three", "four"]).await;
    let values = async |want: Want| {
        let fetched = admin.read("notes", 0, want).await.unwrap();
        let mut values = Vec::new();
        for batch in fetched.batches() {
            let plain = batch.unwrap().plain(PLAIN_MAX).unwrap();
            values.extend(
                plain
                    .records()
                    .map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap()),
            );
        }
        (values.join(" "), fetched.earliest, fetched.latest)
    };
    assert_eq!(
        values(Want::from(0)).await,
        ("zero one two three four".to_owned(), 0, 5)
    );
    // Whole batches.
    assert_eq!(values(Want::from(3)).await.0, "two three four");
    let least = Want {
        bytes_max: 1,
        isolation: Isolation::Committed,
        ..Want::from(0)
    };
    assert_eq!(values(least).await.0, "zero one");
    assert_eq!(values(Want::from(5)).await.0, "");
    let error = admin.read("notes", 0, Want::from(6)).await.unwrap_err().to_string();
    assert!(error.contains("OFFSET_OUT_OF_RANGE"), "{error}");
    assert!(admin.read("notes", 1, Want::from(0)).await.unwrap_err().is_missing());
}

fn pieces(state: &ShareState) -> Vec<(u64, u64, DeliveryState, u16)> {
    let batches = state.batches.iter();
    batches
        .map(|one| (one.first, one.last, one.state, one.deliveries))
        .collect()
}

async fn states(rig: &Rig) {
    use AcknowledgeType::{Accept, Reject, Release};

    let admin = &rig.admin;
    rig.topic("jobs", 2).await;
    let mut connection = rig.connect().await;
    let values: Vec<String> = (0..20).map(|number| format!("job {number}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    produce(&mut connection, "jobs", 0, &values).await;
    assert_eq!(admin.states("workers", "jobs").await.unwrap(), BTreeMap::new());
    admin
        .move_group("workers", "jobs", None, MoveTo::Earliest)
        .await
        .unwrap();
    let fresh = admin.states("workers", "jobs").await.unwrap();
    assert_eq!(fresh.len(), 2);
    assert_eq!((fresh[&0].start, pieces(&fresh[&0])), (Some(0), vec![]));

    let mut session = rig.session("workers", "jobs").await;
    assert_eq!(session.acquire(12).await.len(), 12);
    session.settle(&[(2, 4, Reject), (6, 7, Release), (9, 9, Accept)]).await;
    let expected = [(2, 4, Archived, 1), (6, 7, Available, 1), (9, 9, Acknowledged, 1)];
    let found = admin.states("workers", "jobs").await.unwrap();
    assert_eq!((found[&0].start, pieces(&found[&0])), (Some(0), expected.to_vec()));
    assert_eq!(found[&0].finished, Some(4));
    assert_eq!(found[&0].at(5), None);

    // The start moves up to what is not finished.
    session.settle(&[(0, 1, Accept)]).await;
    assert_eq!(session.acquire(2).await, [(6, 2), (7, 2)]);
    session.settle(&[(6, 6, Release), (7, 7, Reject)]).await;
    let found = admin.states("workers", "jobs").await.unwrap();
    let expected = [(6, 6, Available, 2), (7, 7, Archived, 2), (9, 9, Acknowledged, 1)];
    assert_eq!((found[&0].start, pieces(&found[&0])), (Some(5), expected.to_vec()));
    assert_eq!(admin.states("strangers", "jobs").await.unwrap(), BTreeMap::new());
    as_the_broker_tells_it(rig, "workers", "jobs", &found[&0]).await;
    let lag = admin.group_offsets("workers", None).await.unwrap()[0].lag;
    assert_eq!(lag, Some(20 - 5 - 2));
    many_states(rig).await;
    as_kafka_tells_it(rig).await;

    drop(session);
    admin.delete_group("workers").await.unwrap();
    assert_eq!(admin.states("workers", "jobs").await.unwrap(), BTreeMap::new());
}

/// Settled at random, and compared with what the broker made of it after each request.
async fn many_states(rig: &Rig) {
    rig.topic("errands", 1).await;
    let mut connection = rig.connect().await;
    produce(&mut connection, "errands", 0, &["an errand"; 80]).await;
    rig.admin
        .move_group("runners", "errands", None, MoveTo::Earliest)
        .await
        .unwrap();
    let mut session = rig.session("runners", "errands").await;
    let mut random = 7u32;
    let mut next = |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % below
    };
    for _ in 0..16 {
        let mut acquired = session.acquire(i32::try_from(1 + next(6)).unwrap()).await;
        acquired.retain(|_| next(5) > 0);
        let verbs = [
            AcknowledgeType::Accept,
            AcknowledgeType::Reject,
            AcknowledgeType::Release,
            AcknowledgeType::Gap,
        ];
        let settled: Vec<_> = acquired
            .iter()
            .map(|(offset, _)| (*offset, *offset, verbs[next(4) as usize]))
            .collect();
        if !settled.is_empty() {
            session.settle(&settled).await;
        }
        let found = rig.admin.states("runners", "errands").await.unwrap();
        as_the_broker_tells_it(rig, "runners", "errands", &found[&0]).await;
    }
}

/// The request by which brokers ask each other for a state.
struct ReadState(ReadShareGroupStateRequest);

impl Call for ReadState {
    const API: Api = Api {
        key: 84,
        name: "ReadShareGroupState",
    };
    const VERSIONS: (i16, i16) = (0, 0);
    const FLEXIBLE: i16 = 0;
    type Response = ReadShareGroupStateResponse;

    fn put(&self, version: i16, out: &mut BytesMut) -> Result<(), WireError> {
        self.0.encode(out, version).unwrap();
        Ok(())
    }

    fn take(version: i16, mut bytes: Bytes) -> Result<Self::Response, WireError> {
        Ok(ReadShareGroupStateResponse::decode(&mut bytes, version).unwrap())
    }
}

/// What the broker itself has put together of the same records.
async fn as_the_broker_tells_it(rig: &Rig, group: &str, topic: &str, state: &ShareState) {
    let partition = PartitionData::default().with_partition(0).with_leader_epoch(0);
    let topic = ReadStateData::default()
        .with_topic_id(rig.admin.topic(topic).await.unwrap().id)
        .with_partitions(vec![partition]);
    let request = ReadShareGroupStateRequest::default()
        .with_group_id(text(group))
        .with_topics(vec![topic]);
    let response = rig.connect().await.call(&ReadState(request)).await.unwrap();
    let theirs = &response.results[0].partitions[0];
    assert_eq!(theirs.error_code, 0, "{theirs:?}");
    assert_eq!(
        (theirs.state_epoch, theirs.start_offset),
        (state.state_epoch, state.start.unwrap().cast_signed())
    );
    let piece = |one: &StateBatch| {
        let state = DeliveryState::of(one.delivery_state).unwrap();
        (
            one.first_offset.cast_unsigned(),
            one.last_offset.cast_unsigned(),
            state,
            one.delivery_count.cast_unsigned(),
        )
    };
    assert_eq!(
        pieces(state),
        theirs.state_batches.iter().map(piece).collect::<Vec<_>>()
    );
}

/// Kafka's own reader of the state topic finds the same fields in each record.
async fn as_kafka_tells_it(rig: &Rig) {
    let mut ours: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for partition in rig.admin.topic(STATE_TOPIC).await.unwrap().partitions {
        let fetched = rig
            .admin
            .read(STATE_TOPIC, partition.partition, Want::from(0))
            .await
            .unwrap();
        for batch in fetched.batches() {
            let plain = batch.unwrap().plain(PLAIN_MAX).unwrap();
            for record in plain.records() {
                let record = record.unwrap();
                let key = Key::read(record.key.unwrap()).unwrap();
                let id = BASE64_URL_SAFE_NO_PAD.encode(key.topic_id);
                let whose = format!("{} {id} {}", key.group, key.partition);
                ours.entry(whose)
                    .or_default()
                    .push(told(&Entry::read(&key, record.value).unwrap()));
            }
        }
    }
    let servers = rig.cluster.bootstrap();
    let formatter = "org.apache.kafka.tools.consumer.group.share.ShareGroupStateMessageFormatter";
    let mut arguments = vec![
        "--bootstrap-server",
        &servers,
        "--topic",
        STATE_TOPIC,
        "--from-beginning",
    ];
    arguments.extend(["--timeout-ms", "4000", "--formatter", formatter]);
    let printed = rig
        .cluster
        .tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments)
        .unwrap();
    let mut theirs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // Behind the records it says that no more came.
    let values = serde_json::Deserializer::from_str(&printed.stdout).into_iter::<Value>();
    for record in values.map_while(Result::ok).filter(Value::is_object) {
        let key = &record["key"]["data"];
        let word = |name: &str| key[name].as_str().unwrap().to_owned();
        let whose = format!("{} {} {}", word("groupId"), word("topicId"), key["partition"]);
        theirs.entry(whose).or_default().push(told_by_kafka(&record["value"]));
    }
    // What was given back when a connection ended may have come behind.
    for (whose, entries) in &mut theirs {
        entries.truncate(ours.get(whose).map_or(0, Vec::len));
    }
    assert_eq!(ours, theirs);
}

fn told(entry: &Entry) -> String {
    let (state_epoch, leader_epoch, start, finished, batches) = match entry {
        Entry::Gone => return "gone".to_owned(),
        Entry::Snapshot(one) => (
            one.state_epoch.to_string(),
            one.leader_epoch,
            one.start,
            one.finished,
            &one.batches,
        ),
        Entry::Update(one) => (
            "null".to_owned(),
            one.leader_epoch,
            one.start,
            one.finished,
            &one.batches,
        ),
    };
    let batch =
        |one: &states::StateBatch| format!(" {}-{}:{}x{}", one.first, one.last, one.state.number(), one.deliveries);
    let batches: String = batches.iter().map(batch).collect();
    format!("{state_epoch} {leader_epoch} {start} {finished}{batches}")
}

fn told_by_kafka(value: &Value) -> String {
    if value.is_null() {
        return "gone".to_owned();
    }
    let data = &value["data"];
    let batch = |one: &Value| {
        let (first, last) = (&one["firstOffset"], &one["lastOffset"]);
        format!(" {first}-{last}:{}x{}", one["deliveryState"], one["deliveryCount"])
    };
    let batches: String = data["stateBatches"].as_array().unwrap().iter().map(batch).collect();
    let number = |name: &str| data[name].to_string();
    let numbers = ["stateEpoch", "leaderEpoch", "startOffset", "deliveryCompleteCount"].map(number);
    format!("{}{batches}", numbers.join(" "))
}

/// A connection that was closed while nobody used it is made anew; when nobody is there any more, that is said.
async fn lost_connections(rig: Rig) {
    let Rig { mut cluster, admin, .. } = rig;
    let before = admin.cluster().await.unwrap();
    cluster.kill(1).unwrap();
    cluster.restart(1).unwrap();
    assert_eq!(admin.cluster().await.unwrap(), before);
    cluster.kill(1).unwrap();
    let error = admin.cluster().await.unwrap_err();
    assert!(
        matches!(&error, AdminError::Unreachable { tried, .. } if tried.len() == 1),
        "{error}"
    );
    assert!(error.to_string().contains("connection refused"), "{error}");
}

/// Each refusal says what is missing and how it is granted: what it says is done, until nothing is missing.
#[tokio::test]
async fn a_missing_permission_is_named() {
    if !kafka_cluster::runs_here(Version::default(), "admin::a_missing_permission_is_named") {
        return;
    }
    let rig = Rig::start(Options {
        tls_sasl: true,
        ..Options::default()
    });
    rig.topic("orders", 1).await;
    rig.admin
        .move_group("packers", "orders", None, MoveTo::Earliest)
        .await
        .unwrap();
    let worker = rig.worker();

    let error = worker.create_topic(&NewTopic::named("more")).await.unwrap_err();
    assert_eq!(error.to_string(), "User:worker needs CREATE on topic more");
    let error = worker.ensure_topic(&NewTopic::named("more")).await.unwrap_err();
    assert_eq!(error.to_string(), "User:worker needs DESCRIBE on topic more");
    let error = worker
        .set_group("packers", &[("share.auto.offset.reset", Some("earliest"))])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "User:worker needs ALTER_CONFIGS on group packers");
    assert_eq!(worker.groups().await.unwrap(), []);
    let limits = worker.limits("packers").await.unwrap();
    assert_eq!(
        (limits.attempts.value(), limits.attempts.assumed()),
        (&5, Some("User:worker needs DESCRIBE_CONFIGS on the cluster"))
    );
    assert_eq!(
        limits.reset.assumed(),
        Some("User:worker needs DESCRIBE_CONFIGS on group packers")
    );

    let asked = async || {
        worker.group("packers").await?;
        let left = worker.backlog("packers", "orders").await?;
        worker.read("orders", 0, Want::from(0)).await?;
        Ok::<_, AdminError>((left, worker.states("packers", "orders").await?))
    };
    let mut needed = Vec::new();
    let until = Instant::now() + PATIENCE;
    let (left, states) = loop {
        assert!(Instant::now() < until, "{needed:?}");
        match asked().await {
            Ok(answers) => break answers,
            Err(AdminError::Denied(denied)) => {
                // An ACL takes a moment to be known to all of the broker.
                if !needed.contains(&denied.to_string()) {
                    grant(&rig, &denied.command());
                    needed.push(denied.to_string());
                }
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(
        needed,
        [
            "User:worker needs DESCRIBE on group packers",
            "User:worker needs DESCRIBE on topic orders",
            "User:worker needs READ on topic orders",
            "User:worker needs READ on topic __share_group_state",
        ]
    );
    assert_eq!((left.partitions[&0], states[&0].start), (Left::Counted(0), Some(0)));
}

/// Does what an administrator would do with the command, over the open listener.
fn grant(rig: &Rig, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let servers = rig.cluster.bootstrap();
    assert_eq!(words[..2], ["kafka-acls.sh", "--bootstrap-server"]);
    let arguments = [&["--bootstrap-server", &servers][..], &words[3..]].concat();
    rig.cluster
        .tool("org.apache.kafka.tools.AclCommand", &arguments)
        .unwrap();
}

#[tokio::test]
async fn the_newest_release_writes_dead_letters_itself() {
    let version = Version::V4_4_0;
    if !kafka_cluster::runs_here(version, "admin::the_newest_release_writes_dead_letters_itself") {
        return;
    }
    let options = Options {
        version,
        ..Options::default()
    };
    let rig = Rig::start(options.set("errors.deadletterqueue.auto.create.topics.enable", "true"));
    let support = rig.admin.support(&rig.connector.bootstrap()[0]).await.unwrap();
    assert_eq!(
        (support.release, support.shares),
        (Release::V4_4, ShareSupport::On(2)),
        "{support}"
    );
    rig.topic("orders", 1).await;
    let limits = rig.admin.limits("packers").await.unwrap();
    assert_eq!(
        (limits.attempts, limits.window, limits.dead_letters),
        (Limit::Known(5), Limit::Known(2_000), Limit::Known(None))
    );
    let changes = [
        ("errors.deadletterqueue.topic.name", Some("dlq.orders")),
        ("errors.deadletterqueue.copy.record.enable", Some("true")),
        ("share.delivery.count.limit", Some("3")),
    ];
    rig.admin.set_group("packers", &changes).await.unwrap();
    let limits = rig.admin.limits("packers").await.unwrap();
    assert_eq!(limits.attempts, Limit::Known(3));
    let dead_letters = DeadLetters {
        topic: "dlq.orders".to_owned(),
        copies: true,
    };
    assert_eq!(limits.dead_letters, Limit::Known(Some(dead_letters)));

    rig.admin
        .move_group("packers", "orders", None, MoveTo::Earliest)
        .await
        .unwrap();
    produce(&mut rig.connect().await, "orders", 0, &["a", "b", "c"]).await;
    let mut session = rig.session("packers", "orders").await;
    assert_eq!(session.acquire(3).await.len(), 3);
    session.settle(&[(1, 1, AcknowledgeType::Reject)]).await;
    // On its way to the dead letters, then there.
    let state = async || {
        rig.admin.states("packers", "orders").await.unwrap()[&0]
            .at(1)
            .unwrap()
            .state
    };
    let until = Instant::now() + PATIENCE;
    loop {
        match state().await {
            DeliveryState::Archiving => assert!(Instant::now() < until),
            state => break assert_eq!(state, Archived),
        }
    }
    let letters = rig
        .admin
        .offsets("dlq.orders", At::Latest, Isolation::Uncommitted)
        .await
        .unwrap();
    assert_eq!(letters.values().filter_map(|one| one.offset).sum::<u64>(), 1);
}

#[tokio::test]
async fn brokers_without_share_groups_are_told_apart() {
    let test = "admin::brokers_without_share_groups_are_told_apart";
    if !kafka_cluster::runs_here(Version::V3_9_1, test) || !kafka_cluster::runs_here(Version::default(), test) {
        return;
    }
    let rig = Rig::start(Options {
        version: Version::V3_9_1,
        ..Options::default()
    });
    let address = rig.connector.bootstrap()[0].clone();
    let support = rig.admin.support(&address).await.unwrap();
    assert_eq!((support.release, support.shares), (Release::V3_8, ShareSupport::TooOld));
    assert_eq!(
        support.to_string(),
        format!("{address} is Kafka 3.8 or 3.9, which has no share groups; 4.2.1 or newer is needed")
    );
    let error = rig.admin.group("packers").await.unwrap_err();
    assert!(
        error.is_version() && error.to_string().contains("share groups need Apache Kafka 4.2.1"),
        "{error}"
    );
    drop(rig);

    let rig = Rig::start(Options {
        share_groups: false,
        ..Options::default()
    });
    let address = rig.connector.bootstrap()[0].clone();
    let support = rig.admin.support(&address).await.unwrap();
    assert_eq!((support.release, support.shares), (Release::V4_2, ShareSupport::Off));
    let error = rig.admin.group("packers").await.unwrap_err();
    assert_eq!(
        error,
        AdminError::SharesOff {
            broker: address.clone()
        }
    );
    assert_eq!(error.to_string(), support.to_string());
    assert!(error.to_string().ends_with(&format!(
        "kafka-features.sh --bootstrap-server {address} upgrade --feature share.version=1"
    )));
}
