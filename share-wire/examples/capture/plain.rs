//! Everything that is not about share groups: versions, topics, settings, records, transactions.

use share_wire::code::ErrorCode;
use share_wire::kafka::{
    AddPartitionsToTxnRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeTopicPartitionsRequest, EndTxnRequest,
    FetchRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, ListOffsetsRequest,
    MetadataRequest, MetadataResponse, ProduceRequest, ProducerId, SaslAuthenticateRequest, SaslHandshakeRequest,
    StrBytes, TransactionalId, add_partitions_to_txn_request, create_partitions_request, create_topics_request,
    delete_records_request, delete_topics_request, describe_configs_request, describe_topic_partitions_request,
    fetch_request, incremental_alter_configs_request, list_offsets_request, metadata_request, produce_request,
};
use share_wire::records::{Codec, NewBatch, batches};
use share_wire::versions::Negotiation;
use share_wire::{Bytes, Uuid};

use crate::talk::{Exchange, Talk, batch};

pub(crate) const TOPIC: &str = "orders";
pub(crate) const GROUP: &str = "packers";

/// The offset of the last record of all: five batches of two, three of two and a marker.
const LAST: i64 = 18;

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn versions(kept: &mut Vec<Exchange>, talk: &mut Talk) {
    // A version that nobody knows yet, with the header and fields of a flexible one.
    let request = [
        &[0, 18, 0, 127, 0, 0, 0, 0, 0, 6][..],
        b"golden",
        &[0],
        &[5],
        b"sole",
        &[2],
        b"1",
        &[0],
    ]
    .concat();
    let response = talk.raw(&request);
    kept.push(Exchange {
        what: "ApiVersions 127: a version that the broker does not know".to_owned(),
        request,
        response,
    });
    for version in 0..=4 {
        let request = if version < 3 {
            ApiVersionsRequest::default()
        } else {
            Negotiation::request("sharemill", "0.1.0")
        };
        talk.keep(kept, "what the broker speaks", version, &request);
    }
    let request = ApiVersionsRequest::default().with_client_software_name(text("-"));
    talk.keep(kept, "a name of the client that is refused", 3, &request);
}

pub(crate) fn topics(kept: &mut Vec<Exchange>, talk: &mut Talk) {
    let create = |name: &str, partitions: i32| {
        let config = create_topics_request::CreatableTopicConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("3600000")));
        let topic = create_topics_request::CreatableTopic::default()
            .with_name(text(name).into())
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(vec![config]);
        CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000)
    };
    talk.keep(kept, "a topic", 5, &create("five", 1));
    talk.keep(kept, "a topic", 6, &create("six", 1));
    talk.keep(kept, "a topic", 7, &create(TOPIC, 1));
    talk.keep(kept, "a topic that is there", 7, &create(TOPIC, 1));
    talk.keep(kept, "a name that is refused", 7, &create("a b", 1));
    for version in [2, 3] {
        let topic = create_partitions_request::CreatePartitionsTopic::default()
            .with_name(text("six").into())
            .with_count(i32::from(version))
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        talk.keep(kept, "more partitions", version, &request);
    }
}

/// Returns what is known of the topic and the brokers.
pub(crate) fn metadata(kept: &mut Vec<Exchange>, talk: &mut Talk) -> MetadataResponse {
    let named = || {
        let names = [TOPIC, "nowhere"]
            .map(|name| metadata_request::MetadataRequestTopic::default().with_name(Some(text(name).into())));
        MetadataRequest::default()
            .with_topics(Some(names.to_vec()))
            .with_allow_auto_topic_creation(false)
    };
    let has_leader = |response: &MetadataResponse| {
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.any(|partition| partition.error_code == 0 && partition.leader_id.0 > 0)
    };
    for version in 10..=12 {
        talk.keep_when(
            kept,
            "a topic that is there and one that is not",
            version,
            named,
            has_leader,
        );
    }
    let known = talk.keep_when(kept, "a topic that is there and one that is not", 13, named, has_leader);
    let by_id = [
        known
            .topics
            .iter()
            .find(|topic| topic.error_code == 0)
            .unwrap()
            .topic_id,
        Uuid::from_u128(7),
    ];
    let by_id = by_id.map(|id| {
        metadata_request::MetadataRequestTopic::default()
            .with_topic_id(id)
            .with_name(None)
    });
    let request = MetadataRequest::default().with_topics(Some(by_id.to_vec()));
    talk.keep(kept, "by id: one that is there and one that is not", 13, &request);
    for version in 0..=2 {
        talk.keep(
            kept,
            "the brokers",
            version,
            &DescribeClusterRequest::default().with_endpoint_type(1),
        );
    }
    let topic = describe_topic_partitions_request::TopicRequest::default().with_name(text("six").into());
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![topic])
        .with_response_partition_limit(1);
    talk.keep(kept, "the first of three partitions", 0, &request);
    known
}

pub(crate) fn settings(kept: &mut Vec<Exchange>, talk: &mut Talk) {
    for version in 0..=1 {
        let config = incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text("share.auto.offset.reset"))
            .with_config_operation(0)
            .with_value(Some(text("earliest")));
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(32)
            .with_resource_name(text(GROUP))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        talk.keep(kept, "a setting of a group", version, &request);
    }
    for version in 1..=4 {
        let of_topic = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(TOPIC))
            .with_configuration_keys(Some(vec![text("retention.ms"), text("cleanup.policy")]));
        let of_group = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(32)
            .with_resource_name(text(GROUP))
            .with_configuration_keys(Some(vec![text("share.auto.offset.reset")]));
        let request = DescribeConfigsRequest::default()
            .with_resources(vec![of_topic, of_group])
            .with_include_synonyms(true)
            .with_include_documentation(version >= 3);
        talk.keep(kept, "settings of a topic and of a group", version, &request);
    }
}

fn produce(topic: &str, records: Bytes, transactional_id: Option<&str>) -> ProduceRequest {
    let partition = produce_request::PartitionProduceData::default().with_records(Some(records));
    let topic = produce_request::TopicProduceData::default()
        .with_name(text(topic).into())
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic])
}

/// One batch by each codec, and some that are refused.
pub(crate) fn records(kept: &mut Vec<Exchange>, leader: &mut Talk, other: &mut Talk) {
    for (version, codec) in (7..).zip(Codec::ALL) {
        let new = NewBatch {
            codec,
            ..NewBatch::default()
        };
        let request = produce(TOPIC, batch(new, &format!("by {codec}")), None);
        let response = leader.keep(kept, &format!("a batch by {codec}"), version, &request);
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0, "{codec}");
    }
    leader.keep(
        kept,
        "to a topic that is not there",
        12,
        &produce("nowhere", batch(NewBatch::default(), "x"), None),
    );
    let mut bytes = batch(NewBatch::default(), "x").to_vec();
    bytes[70] ^= 1;
    leader.keep(
        kept,
        "a batch with a wrong checksum",
        12,
        &produce(TOPIC, bytes.into(), None),
    );
    other.keep(
        kept,
        "to a broker that does not lead",
        12,
        &produce(TOPIC, batch(NewBatch::default(), "x"), None),
    );
}

/// Three transactions, of which the second is aborted.
pub(crate) fn transactions(kept: &mut Vec<Exchange>, leader: &mut Talk, any: &mut Talk) {
    let transactional = || {
        InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text("till"))))
            .with_transaction_timeout_ms(60_000)
    };
    // Whoever is asked names the coordinator, once its topic is there.
    let coordinator = || {
        FindCoordinatorRequest::default()
            .with_key_type(1)
            .with_coordinator_keys(vec![text("till")])
    };
    let found = any.keep_when(kept, "of a transaction", 6, coordinator, |found| {
        found.coordinators[0].error_code == 0
    });
    let found = &found.coordinators[0];
    let coordinator = &mut Talk::to(&format!("{}:{}", found.host, found.port));
    for version in 2..=4 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000);
        let request = || request.clone();
        any.keep_when(kept, "without transactions", version, request, |given| {
            given.error_code == 0
        });
    }
    let given = coordinator.keep_when(kept, "of a transaction", 5, transactional, |given| {
        given.error_code == 0
    });
    let (producer_id, mut producer_epoch) = (given.producer_id, given.producer_epoch);
    for version in 3..=5 {
        let producer = (producer_id, producer_epoch);
        producer_epoch = transaction(kept, coordinator, leader, version, producer);
    }
    let end = EndTxnRequest::default()
        .with_transactional_id(TransactionalId(text("nobody")))
        .with_producer_id(producer_id)
        .with_producer_epoch(producer_epoch);
    coordinator.keep(kept, "a transaction that is not there", 4, &end);
}

/// A transaction of one batch; returns the epoch that the producer has then.
fn transaction(
    kept: &mut Vec<Exchange>,
    coordinator: &mut Talk,
    leader: &mut Talk,
    version: i16,
    (producer_id, producer_epoch): (ProducerId, i16),
) -> i16 {
    let topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
        .with_name(text(TOPIC).into())
        .with_partitions(vec![0]);
    let add = || {
        AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text("till")))
            .with_v3_and_below_producer_id(producer_id)
            .with_v3_and_below_producer_epoch(producer_epoch)
            .with_v3_and_below_topics(vec![topic.clone()])
    };
    coordinator.keep_when(kept, "a partition", 3, add, |added| {
        added.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code == 0
    });
    let new = NewBatch {
        codec: Codec::Lz4,
        is_transactional: true,
        producer_id: producer_id.0,
        producer_epoch,
        base_sequence: 2 * i32::from(version - 3),
        ..NewBatch::default()
    };
    let records = batch(new, &format!("in transaction {version}"));
    let request = produce(TOPIC, records, Some("till"));
    let done = leader.keep(kept, "a batch of a transaction", 11, &request);
    assert_eq!(done.responses[0].partition_responses[0].error_code, 0);
    let end = || {
        EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text("till")))
            .with_producer_id(producer_id)
            .with_producer_epoch(producer_epoch)
            .with_committed(version != 4)
    };
    let what = if version == 4 { "aborts" } else { "commits" };
    let ended = coordinator.keep_when(kept, what, version, end, |ended| ended.error_code == 0);
    // Before version 5 it stays the same, and is not said.
    if version == 5 {
        ended.producer_epoch
    } else {
        producer_epoch
    }
}

pub(crate) fn reads(kept: &mut Vec<Exchange>, leader: &mut Talk, topic_id: Uuid) {
    for version in 12..=16 {
        let of_topic = |max_bytes| {
            let partition = fetch_request::FetchPartition::default().with_partition_max_bytes(max_bytes);
            let topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
            let topic = if version == 12 {
                topic.with_topic(text(TOPIC).into())
            } else {
                topic.with_topic_id(topic_id)
            };
            FetchRequest::default()
                .with_max_wait_ms(100)
                .with_min_bytes(1)
                .with_max_bytes(1 << 20)
                .with_isolation_level(1)
                .with_session_epoch(-1)
                .with_topics(vec![topic])
        };
        leader.keep_when(
            kept,
            "all records that are committed",
            version,
            || of_topic(1 << 20),
            |fetched| {
                let records = fetched.responses[0].partitions[0].records.clone();
                let last = batches(records.unwrap()).flatten().last();
                last.is_some_and(|batch| batch.header().last_offset == LAST)
            },
        );
        if version == 16 {
            leader.keep(
                kept,
                "as many bytes as the first batch and a half",
                version,
                &of_topic(200),
            );
        }
    }
    for (version, timestamp) in (1..=10).zip([-1, -2, 0, -1, -2, 0, -3, -4, -5, -1]) {
        let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(text(TOPIC).into())
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_topics(vec![topic]);
        leader.keep(kept, &format!("timestamp {timestamp}"), version, &request);
    }
}

pub(crate) fn ends(kept: &mut Vec<Exchange>, leader: &mut Talk, topic_id: Uuid) {
    let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(2);
    let topic = delete_records_request::DeleteRecordsTopic::default()
        .with_name(text(TOPIC).into())
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(10_000);
    leader.keep(kept, "the first batch", 2, &request);
    let names = vec![text("five").into(), text("nowhere").into()];
    let request = DeleteTopicsRequest::default()
        .with_topic_names(names)
        .with_timeout_ms(10_000);
    leader.keep(kept, "one that is there and one that is not", 5, &request);
    let by_id = delete_topics_request::DeleteTopicState::default()
        .with_name(None)
        .with_topic_id(topic_id);
    let by_name = delete_topics_request::DeleteTopicState::default().with_name(Some(text("six").into()));
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![by_id, by_name])
        .with_timeout_ms(10_000);
    leader.keep(kept, "by id and by name", 6, &request);
}

pub(crate) fn logins(kept: &mut Vec<Exchange>, address: &str) {
    let mechanism = |name| SaslHandshakeRequest::default().with_mechanism(text(name));
    Talk::to(address).keep(kept, "a mechanism that is not there", 1, &mechanism("GSSAPI"));
    for version in 0..=2 {
        let talk = &mut Talk::to(address);
        talk.keep(kept, "a mechanism", 1, &mechanism("PLAIN"));
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0admin\0not-a-secret"));
        let done = talk.keep(kept, "a password", version, &request);
        assert_eq!(ErrorCode(done.error_code), ErrorCode::NONE);
    }
    let talk = &mut Talk::to(address);
    talk.ask(1, &mechanism("PLAIN"));
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0admin\0wrong"));
    talk.keep(kept, "a password that is wrong", 2, &request);
}
