//! What is not about share groups.

use share_wire::call::Call as _;
use share_wire::code::ErrorCode;
use share_wire::conversation::Answer;
use share_wire::kafka::{
    AddPartitionsToTxnRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeTopicPartitionsRequest, EndTxnRequest,
    FetchRequest, FetchResponse, FindCoordinatorRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest,
    ListOffsetsRequest, MetadataRequest, ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use share_wire::message::{ShareAcknowledgeRequest, ShareFetchRequest};
use share_wire::records::{Codec, PLAIN_MAX, batches};
use share_wire::versions::Negotiation;

use super::exchange::{Exchange, file};
use super::{LOGINS, OURS, one};

#[test]
fn brokers_say_what_they_speak() {
    for (name, share_version) in OURS.into_iter().zip([1, 2]) {
        let all = file(name);
        for version in 0..=4 {
            let what = one(&all, &format!("ApiVersions {version}: what the broker speaks"));
            let answer = Answer {
                correlation_id: 0,
                api: ApiVersionsRequest::API,
                version,
                body: what.response.slice(4..),
            };
            let versions = Negotiation::default().answered(answer).unwrap().unwrap();
            assert_eq!(versions.pick::<ShareFetchRequest>(), Ok(2));
            assert_eq!(versions.pick::<ShareAcknowledgeRequest>(), Ok(2));
            assert_eq!(versions.pick::<AddPartitionsToTxnRequest>(), Ok(3));
            let said = if version >= 3 { share_version } else { 0 };
            assert_eq!(versions.feature("share.version"), said, "{name} {version}");
        }
        let refused = one(&all, "ApiVersions 3: a name of the client that is refused").answered::<ApiVersionsRequest>();
        assert_eq!(ErrorCode(refused.error_code), ErrorCode::INVALID_REQUEST);
        // A newer version than the broker's is answered in the oldest, whatever is in it.
        let unknown = one(&all, "ApiVersions 127: a version that the broker does not know");
        let mut negotiation = Negotiation::default();
        let answer = Answer {
            correlation_id: 0,
            api: ApiVersionsRequest::API,
            version: 4,
            body: unknown.response.slice(4..),
        };
        assert_eq!(negotiation.answered(answer.clone()), Ok(None));
        assert_eq!(negotiation.version(), 3);
        let code = i16::from_be_bytes([answer.body[0], answer.body[1]]);
        assert_eq!(ErrorCode(code), ErrorCode::UNSUPPORTED_VERSION);
    }
}

#[test]
fn topics() {
    for name in OURS {
        let all = file(name);
        let made = |what: &str| one(&all, what).answered::<CreateTopicsRequest>().topics.remove(0);
        for version in 5..=7 {
            let topic = made(&format!("CreateTopics {version}: a topic"));
            assert_eq!(
                (topic.error_code, topic.num_partitions, topic.replication_factor),
                (0, 1, 1)
            );
            assert_eq!(topic.topic_id.is_nil(), version < 7);
            let configs = topic.configs.unwrap();
            let retention = configs.iter().find(|config| &*config.name == "retention.ms").unwrap();
            assert_eq!(
                (retention.value.as_deref(), retention.config_source),
                (Some("3600000"), 1)
            );
        }
        assert_eq!(made("CreateTopics 7: a topic that is there").error_code, 36);
        assert_eq!(made("CreateTopics 7: a name that is refused").error_code, 17);
        for version in 2..=3 {
            let what = one(&all, &format!("CreatePartitions {version}: more partitions"));
            assert_eq!(what.answered::<CreatePartitionsRequest>().results[0].error_code, 0);
        }
    }
}

#[test]
fn what_is_known_of_topics_and_settings() {
    for name in OURS {
        let all = file(name);
        for version in 10..=13 {
            let what = one(
                &all,
                &format!("Metadata {version}: a topic that is there and one that is not"),
            );
            let metadata = what.answered::<MetadataRequest>();
            assert_eq!(metadata.brokers.len(), 2);
            let [orders, nowhere] = &metadata.topics[..] else {
                panic!("{metadata:?}")
            };
            assert!(!orders.topic_id.is_nil() && orders.partitions[0].leader_id.0 > 0);
            assert_eq!(ErrorCode(nowhere.error_code), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let by_id =
            one(&all, "Metadata 13: by id: one that is there and one that is not").answered::<MetadataRequest>();
        let mut codes: Vec<i16> = by_id.topics.iter().map(|topic| topic.error_code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [0, ErrorCode::UNKNOWN_TOPIC_ID.0]);
        for version in 0..=2 {
            let cluster =
                one(&all, &format!("DescribeCluster {version}: the brokers")).answered::<DescribeClusterRequest>();
            assert_eq!((cluster.brokers.len(), cluster.endpoint_type), (2, 1));
        }
        let what = one(&all, "DescribeTopicPartitions 0: the first of three partitions");
        let described = what.answered::<DescribeTopicPartitionsRequest>();
        assert_eq!(described.topics[0].partitions.len(), 1);
        assert_eq!(described.next_cursor.unwrap().partition_index, 1);
        for version in 0..=1 {
            let what = one(
                &all,
                &format!("IncrementalAlterConfigs {version}: a setting of a group"),
            );
            assert_eq!(
                what.answered::<IncrementalAlterConfigsRequest>().responses[0].error_code,
                0
            );
        }
        for version in 1..=4 {
            let what = one(
                &all,
                &format!("DescribeConfigs {version}: settings of a topic and of a group"),
            );
            let described = what.answered::<DescribeConfigsRequest>();
            let config = &described.results[1].configs[0];
            assert_eq!(
                (&*config.name, config.value.as_deref()),
                ("share.auto.offset.reset", Some("earliest"))
            );
            assert_eq!(
                config.documentation.as_ref().is_some_and(|text| text.len() > 20),
                version >= 3
            );
        }
    }
}

#[test]
fn records_are_written_and_read() {
    for name in OURS {
        let all = file(name);
        let written = |what: &str| {
            let mut answer = one(&all, what).answered::<ProduceRequest>();
            (
                answer.responses.remove(0).partition_responses.remove(0),
                answer.node_endpoints,
            )
        };
        for ((version, codec), base_offset) in (7..).zip(Codec::ALL).zip((0..).step_by(2)) {
            let (partition, _) = written(&format!("Produce {version}: a batch by {codec}"));
            assert_eq!(
                (partition.error_code, partition.base_offset),
                (0, base_offset),
                "{codec}"
            );
        }
        assert_eq!(written("Produce 12: to a topic that is not there").0.error_code, 3);
        let (corrupt, _) = written("Produce 12: a batch with a wrong checksum");
        assert_eq!(ErrorCode(corrupt.error_code).name(), Some("CORRUPT_MESSAGE"));
        let (elsewhere, nodes) = written("Produce 12: to a broker that does not lead");
        assert_eq!(ErrorCode(elsewhere.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
        assert_eq!(elsewhere.current_leader.leader_id, nodes[0].node_id);
        for version in 12..=16 {
            let what = one(&all, &format!("Fetch {version}: all records that are committed"));
            all_records(&what.answered::<FetchRequest>());
        }
        let cut = one(&all, "Fetch 16: as many bytes as the first batch and a half").answered::<FetchRequest>();
        let records = cut.responses[0].partitions[0].records.clone().unwrap();
        assert_eq!(records.len(), 200);
        let mut read = batches(records);
        assert_eq!(read.by_ref().map(Result::unwrap).count(), 1);
        assert_eq!(read.left(), 100);
    }
}

/// A batch of each codec, three transactions with their ends.
fn all_records(fetched: &FetchResponse) {
    let partition = &fetched.responses[0].partitions[0];
    let (mut values, mut ends) = (Vec::new(), Vec::new());
    for batch in batches(partition.records.clone().unwrap()).map(Result::unwrap) {
        let header = *batch.header();
        let plain = batch.plain(PLAIN_MAX).unwrap();
        let records: Vec<_> = plain.records().map(Result::unwrap).collect();
        if header.is_control {
            assert!(header.is_transactional);
            // Its key says how it ends: a version, then 0 or 1.
            ends.push((records[0].offset, records[0].key.unwrap()[3]));
            continue;
        }
        assert_eq!(header.is_transactional, header.producer_id >= 0);
        assert_eq!((records.len(), records[1].offset), (2, header.last_offset));
        assert_eq!((records[0].key, records[1].key), (Some(&b"key"[..]), None));
        let headers: Vec<_> = records[0].headers().map(|header| (header.name, header.value)).collect();
        assert_eq!(headers, [(&b"trace"[..], Some(&b"1"[..])), (&b"trace"[..], None)]);
        values.push(String::from_utf8(records[0].value.unwrap().to_vec()).unwrap());
    }
    let mut expected: Vec<String> = Codec::ALL.map(|codec| format!("by {codec}")).to_vec();
    expected.extend((3..=5).map(|version| format!("in transaction {version}")));
    assert_eq!(values, expected);
    assert_eq!(ends, [(12, 1), (15, 0), (18, 1)]);
    let aborted: Vec<i64> = partition
        .aborted_transactions
        .iter()
        .flatten()
        .map(|one| one.first_offset)
        .collect();
    assert_eq!(aborted, [13]);
}

#[test]
fn transactions_and_offsets() {
    for name in OURS {
        let all = file(name);
        for version in 2..=5 {
            let what = if version == 5 {
                "of a transaction"
            } else {
                "without transactions"
            };
            let given = one(&all, &format!("InitProducerId {version}: {what}")).answered::<InitProducerIdRequest>();
            assert_eq!((given.error_code, given.producer_epoch), (0, 0), "{version}");
        }
        let added = one(&all, "AddPartitionsToTxn 3: a partition").answered::<AddPartitionsToTxnRequest>();
        assert_eq!(
            added.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code,
            0
        );
        let ended = |what| one(&all, what).answered::<EndTxnRequest>();
        assert_eq!(ended("EndTxn 3: commits").producer_epoch, -1);
        assert_eq!(ended("EndTxn 4: aborts").error_code, 0);
        // From version 5 on each transaction has an epoch of its own.
        assert_eq!(ended("EndTxn 5: commits").producer_epoch, 1);
        let code = ErrorCode(ended("EndTxn 4: a transaction that is not there").error_code);
        assert_eq!(code.name(), Some("INVALID_PRODUCER_ID_MAPPING"));
        let timestamps = [-1, -2, 0, -1, -2, 0, -3, -4, -5, -1];
        let offsets = [19, 0, 0, 19, 0, 0, 18, 0, -1, 19];
        for ((version, timestamp), offset) in (1..).zip(timestamps).zip(offsets) {
            let what = one(&all, &format!("ListOffsets {version}: timestamp {timestamp}"));
            let listed = what.answered::<ListOffsetsRequest>();
            assert_eq!(listed.topics[0].partitions[0].offset, offset, "{version}");
        }
        let first = one(&all, "FindCoordinator 6: of a group, the first time").answered::<FindCoordinatorRequest>();
        let code = ErrorCode(first.coordinators[0].error_code);
        assert_eq!(code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
        for version in 4..=6 {
            let found =
                one(&all, &format!("FindCoordinator {version}: of a group")).answered::<FindCoordinatorRequest>();
            let found = &found.coordinators[0];
            assert_eq!(
                (found.error_code, &*found.key, &*found.host),
                (0, "packers", "127.0.0.1")
            );
        }
    }
}

#[test]
fn ends_of_records_and_topics() {
    for name in OURS {
        let all = file(name);
        let deleted = one(&all, "DeleteRecords 2: the first batch").answered::<DeleteRecordsRequest>();
        let partition = &deleted.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.low_watermark), (0, 2));
        let codes = |exchange: &Exchange| {
            let mut topics = exchange.answered::<DeleteTopicsRequest>().responses;
            topics.sort_by_key(|topic| topic.error_code);
            topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>()
        };
        assert_eq!(
            codes(one(&all, "DeleteTopics 5: one that is there and one that is not")),
            [0, 3]
        );
        assert_eq!(codes(one(&all, "DeleteTopics 6: by id and by name")), [0, 0]);
    }
}

#[test]
fn logins() {
    let all = file(LOGINS);
    let refused = one(&all, "SaslHandshake 1: a mechanism that is not there").answered::<SaslHandshakeRequest>();
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    assert_eq!(
        refused.mechanisms.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["PLAIN"]
    );
    assert_eq!(
        one(&all, "SaslHandshake 1: a mechanism")
            .answered::<SaslHandshakeRequest>()
            .error_code,
        0
    );
    for version in 0..=2 {
        let done = one(&all, &format!("SaslAuthenticate {version}: a password")).answered::<SaslAuthenticateRequest>();
        assert_eq!((done.error_code, done.session_lifetime_ms), (0, 0));
    }
    let wrong = one(&all, "SaslAuthenticate 2: a password that is wrong").answered::<SaslAuthenticateRequest>();
    assert_eq!(ErrorCode(wrong.error_code), ErrorCode::SASL_AUTHENTICATION_FAILED);
}
