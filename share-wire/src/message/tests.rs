//! Each message both ways, byte by byte where it is small, and whatever lengths claim.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::call::Call;

fn id(byte: u8) -> Uuid {
    Uuid::from_bytes([byte; 16])
}

fn written(request: &impl Call, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    request.put(version, &mut out).unwrap();
    out.freeze()
}

fn fetch() -> ShareFetchRequest {
    ShareFetchRequest {
        group_id: Some("g".to_owned()),
        member_id: Some("m".to_owned()),
        session_epoch: 3,
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 65_536,
        max_records: 7,
        batch_size: 7,
        acquire_mode: AcquireMode::RecordLimit,
        is_renew_ack: false,
        topics: vec![FetchTopic {
            topic_id: id(1),
            partitions: vec![FetchPartition {
                partition: 2,
                acknowledgements: vec![AcknowledgementBatch {
                    first_offset: 10,
                    last_offset: 11,
                    types: vec![AcknowledgeType::Accept as i8, AcknowledgeType::Release as i8],
                }],
            }],
        }],
        forgotten: vec![ForgottenTopic {
            topic_id: id(2),
            partitions: vec![0],
        }],
    }
}

/// By the schema of `ShareFetchRequest`, version 2, in Kafka 4.2.1.
#[test]
fn a_fetch_is_written_as_the_schema_has_it() {
    let head = [
        &[2, b'g', 2, b'm'][..],
        &[
            0, 0, 0, 3, 0, 0, 1, 0xf4, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 7,
        ],
    ]
    .concat();
    let tail = [
        &[2][..],
        &[1; 16],
        &[2, 0, 0, 0, 2],
        &[2, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 11, 3, 1, 2, 0],
        &[0, 0],
        &[2],
        &[2; 16],
        &[2, 0, 0, 0, 0, 0],
        &[0],
    ]
    .concat();
    let newest = [&head[..], &[1, 0], &tail].concat();
    assert_eq!(written(&fetch(), 2), newest);
    assert_eq!(written(&fetch(), 1), [&head[..], &tail].concat());
    assert_eq!(ShareFetchRequest::parse(2, newest.into()).unwrap(), fetch());
}

/// The `kafka-protocol` crate has version 1: both write the same.
#[test]
fn version_1_is_what_the_crate_reads() {
    use kafka_protocol::protocol::Decodable as _;

    let mut bytes = written(&fetch(), 1);
    let theirs = crate::kafka::ShareFetchRequest::decode(&mut bytes, 1).unwrap();
    assert!(bytes.is_empty());
    let batch = &theirs.topics[0].partitions[0].acknowledgement_batches[0];
    assert_eq!((batch.first_offset, batch.last_offset), (10, 11));
    assert_eq!(theirs.forgotten_topics_data[0].topic_id, id(2));
    assert_eq!((theirs.max_records, theirs.max_wait_ms), (7, 500));
    let mut out = BytesMut::new();
    response().put(&mut out);
    let theirs = crate::kafka::ShareFetchResponse::decode(&mut out, 1).unwrap();
    assert!(out.is_empty());
    let partition = &theirs.responses[0].partitions[0];
    assert_eq!(partition.acquired_records[0].delivery_count, 2);
    assert_eq!(partition.records.as_deref(), Some(&b"batch"[..]));
    assert_eq!(theirs.node_endpoints[0].port, 9_092);
}

#[test]
fn a_renewal_needs_version_2() {
    let request = ShareFetchRequest {
        is_renew_ack: true,
        ..fetch()
    };
    assert!(request.put(1, &mut BytesMut::new()).is_err());
    let parsed = ShareFetchRequest::parse(2, written(&request, 2)).unwrap();
    assert_eq!(parsed, request);
}

fn leader() -> CurrentLeader {
    CurrentLeader {
        leader_id: -1,
        leader_epoch: 4,
    }
}

fn endpoint() -> NodeEndpoint {
    NodeEndpoint {
        node_id: 1,
        host: "localhost".to_owned(),
        port: 9_092,
        rack: None,
    }
}

fn response() -> ShareFetchResponse {
    ShareFetchResponse {
        throttle_time_ms: 0,
        error_code: 0,
        error_message: None,
        acquisition_lock_timeout_ms: 30_000,
        topics: vec![FetchedTopic {
            topic_id: id(1),
            partitions: vec![FetchedPartition {
                partition: 0,
                error_code: 0,
                error_message: None,
                acknowledge_error_code: 121,
                acknowledge_error_message: Some("late".to_owned()),
                current_leader: leader(),
                records: Bytes::from_static(b"batch"),
                acquired: vec![Acquired {
                    first_offset: 10,
                    last_offset: 19,
                    delivery_count: 2,
                }],
            }],
        }],
        node_endpoints: vec![endpoint()],
    }
}

/// Records are not nullable from version 1 on.
#[test]
fn records_that_are_null_are_refused() {
    let mut out = BytesMut::new();
    response().put(&mut out);
    let at = out.windows(6).position(|window| window == b"\x06batch").unwrap();
    let null = [&out[..at], &[0], &out[at + 6..]].concat();
    let error = <ShareFetchRequest as Call>::take(2, null.into()).unwrap_err();
    let message = format!("ShareFetch response: Records at {at}: null");
    assert_eq!(error.to_string(), message);
}

fn text() -> impl Strategy<Value = String> {
    "[a-z\u{e4}]{0,6}"
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text())
}

fn batches() -> impl Strategy<Value = Vec<AcknowledgementBatch>> {
    let batch = (any::<i64>(), any::<i64>(), vec(any::<i8>(), 0..4));
    vec(
        batch.prop_map(|(first_offset, last_offset, types)| AcknowledgementBatch {
            first_offset,
            last_offset,
            types,
        }),
        0..3,
    )
}

fn topics<T: std::fmt::Debug>(partition: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<(Uuid, Vec<T>)>> {
    vec((any::<u8>().prop_map(id), vec(partition, 0..3)), 0..3)
}

prop_compose! {
    fn any_fetch()(
        names in (maybe(), maybe()),
        numbers in any::<[i32; 6]>(),
        is_renew_ack: bool,
        limit: bool,
        asked in topics((any::<i32>(), batches())),
        forgotten in topics(any::<i32>()),
    ) -> ShareFetchRequest {
        let [session_epoch, max_wait_ms, min_bytes, max_bytes, max_records, batch_size] = numbers;
        ShareFetchRequest {
            group_id: names.0,
            member_id: names.1,
            session_epoch,
            max_wait_ms,
            min_bytes,
            max_bytes,
            max_records,
            batch_size,
            acquire_mode: if limit { AcquireMode::RecordLimit } else { AcquireMode::BatchOptimized },
            is_renew_ack,
            topics: asked.into_iter().map(|(topic_id, partitions)| FetchTopic {
                topic_id,
                partitions: partitions
                    .into_iter()
                    .map(|(partition, acknowledgements)| FetchPartition { partition, acknowledgements })
                    .collect(),
            }).collect(),
            forgotten: forgotten
                .into_iter()
                .map(|(topic_id, partitions)| ForgottenTopic { topic_id, partitions })
                .collect(),
        }
    }
}

prop_compose! {
    fn any_fetched()(
        partition: i32,
        codes: (i16, i16),
        messages in (maybe(), maybe()),
        leader: (i32, i32),
        records in vec(any::<u8>(), 0..200),
        acquired in vec(any::<(i64, i64, i16)>(), 0..3),
    ) -> FetchedPartition {
        FetchedPartition {
            partition,
            error_code: codes.0,
            error_message: messages.0,
            acknowledge_error_code: codes.1,
            acknowledge_error_message: messages.1,
            current_leader: CurrentLeader { leader_id: leader.0, leader_epoch: leader.1 },
            records: records.into(),
            acquired: acquired
                .into_iter()
                .map(|(first_offset, last_offset, delivery_count)| Acquired { first_offset, last_offset, delivery_count })
                .collect(),
        }
    }
}

prop_compose! {
    fn any_endpoint()(node_id: i32, host in text(), port: i32, rack in maybe()) -> NodeEndpoint {
        NodeEndpoint { node_id, host, port, rack }
    }
}

prop_compose! {
    fn any_response()(
        numbers: (i32, i16, i32),
        error_message in maybe(),
        fetched in topics(any_fetched()),
        node_endpoints in vec(any_endpoint(), 0..3),
    ) -> ShareFetchResponse {
        ShareFetchResponse {
            throttle_time_ms: numbers.0,
            error_code: numbers.1,
            error_message,
            acquisition_lock_timeout_ms: numbers.2,
            topics: fetched.into_iter().map(|(topic_id, partitions)| FetchedTopic { topic_id, partitions }).collect(),
            node_endpoints,
        }
    }
}

prop_compose! {
    fn any_acknowledged()(
        numbers: (i32, i16, i32),
        error_message in maybe(),
        topics in topics((any::<(i32, i16, i32, i32)>(), maybe())),
        node_endpoints in vec(any_endpoint(), 0..3),
    ) -> ShareAcknowledgeResponse {
        ShareAcknowledgeResponse {
            throttle_time_ms: numbers.0,
            error_code: numbers.1,
            error_message,
            acquisition_lock_timeout_ms: numbers.2,
            topics: topics.into_iter().map(|(topic_id, partitions)| AcknowledgedTopic {
                topic_id,
                partitions: partitions
                    .into_iter()
                    .map(|((partition, error_code, leader_id, leader_epoch), error_message)| AcknowledgedPartition {
                        partition,
                        error_code,
                        error_message,
                        current_leader: CurrentLeader { leader_id, leader_epoch },
                    })
                    .collect(),
            }).collect(),
            node_endpoints,
        }
    }
}

prop_compose! {
    fn any_offsets()(
        throttle_time_ms: i32,
        groups in vec((text(), vec((text(), any::<u8>(), vec((any::<(i32, i64, i32, i64, i16)>(), maybe()), 0..3)), 0..3), any::<i16>(), maybe()), 0..3),
    ) -> DescribeShareGroupOffsetsResponse {
        DescribeShareGroupOffsetsResponse {
            throttle_time_ms,
            groups: groups.into_iter().map(|(group_id, topics, error_code, error_message)| GroupOffsets {
                group_id,
                topics: topics.into_iter().map(|(topic, byte, partitions)| TopicOffsets {
                    topic,
                    topic_id: id(byte),
                    partitions: partitions
                        .into_iter()
                        .map(|((partition, start_offset, leader_epoch, lag, error_code), error_message)| PartitionOffset {
                            partition, start_offset, leader_epoch, lag, error_code, error_message,
                        })
                        .collect(),
                }).collect(),
                error_code,
                error_message,
            }).collect(),
        }
    }
}

/// All truncations are errors, and so is a byte more.
fn holds_to_its_end<T: std::fmt::Debug>(bytes: &Bytes, take: impl Fn(Bytes) -> Result<T, WireError>) {
    for len in 0..bytes.len() {
        let error = take(bytes.slice(..len)).expect_err("cut off");
        assert!(
            matches!(error, WireError::Truncated { .. } | WireError::Count { .. }),
            "{error}"
        );
    }
    let longer = [bytes, &[0][..]].concat();
    let error = take(longer.into()).expect_err("too long");
    assert!(matches!(error, WireError::Trailing { bytes: 1, .. }), "{error}");
}

/// Whatever a byte is turned to: a message or an error.
fn survives_wrong_bytes<T>(bytes: &Bytes, take: impl Fn(Bytes) -> Result<T, WireError>) {
    for at in 0..bytes.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut wrong = bytes.to_vec();
            wrong[at] = byte;
            drop(take(wrong.into()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fetches_come_back(request in any_fetch()) {
        let bytes = written(&request, 2);
        prop_assert_eq!(&ShareFetchRequest::parse(2, bytes.clone()).unwrap(), &request);
        holds_to_its_end(&bytes, |bytes| ShareFetchRequest::parse(2, bytes));
        survives_wrong_bytes(&bytes, |bytes| ShareFetchRequest::parse(2, bytes));
        let older = ShareFetchRequest { acquire_mode: AcquireMode::default(), is_renew_ack: false, ..request };
        prop_assert_eq!(ShareFetchRequest::parse(1, written(&older, 1)).unwrap(), older);
    }

    #[test]
    fn fetched_records_come_back(response in any_response()) {
        let mut out = BytesMut::new();
        response.put(&mut out);
        let bytes = out.freeze();
        let take = |bytes| <ShareFetchRequest as Call>::take(2, bytes);
        prop_assert_eq!(take(bytes.clone()).unwrap(), response);
        holds_to_its_end(&bytes, take);
        survives_wrong_bytes(&bytes, take);
    }

    #[test]
    fn acknowledgements_come_back(names in (maybe(), maybe()), session_epoch: i32, is_renew_ack: bool, topics in topics((any::<i32>(), batches()))) {
        let topics = topics.into_iter().map(|(topic_id, partitions)| AcknowledgeTopic {
            topic_id,
            partitions: partitions
                .into_iter()
                .map(|(partition, acknowledgements)| AcknowledgePartition { partition, acknowledgements })
                .collect(),
        });
        let request = ShareAcknowledgeRequest {
            group_id: names.0,
            member_id: names.1,
            session_epoch,
            is_renew_ack,
            topics: topics.collect(),
        };
        let bytes = written(&request, 2);
        prop_assert_eq!(&ShareAcknowledgeRequest::parse(2, bytes.clone()).unwrap(), &request);
        holds_to_its_end(&bytes, |bytes| ShareAcknowledgeRequest::parse(2, bytes));
        survives_wrong_bytes(&bytes, |bytes| ShareAcknowledgeRequest::parse(2, bytes));
        prop_assert_eq!(request.put(1, &mut BytesMut::new()).is_err(), is_renew_ack);
    }

    #[test]
    fn results_of_acknowledgements_come_back(response in any_acknowledged()) {
        for version in [1, 2] {
            let mut out = BytesMut::new();
            response.put(version, &mut out);
            let bytes = out.freeze();
            let take = |bytes| <ShareAcknowledgeRequest as Call>::take(version, bytes);
            let lock = if version == 1 { 0 } else { response.acquisition_lock_timeout_ms };
            let expected = ShareAcknowledgeResponse { acquisition_lock_timeout_ms: lock, ..response.clone() };
            prop_assert_eq!(take(bytes.clone()).unwrap(), expected);
            holds_to_its_end(&bytes, take);
            survives_wrong_bytes(&bytes, take);
        }
    }

    #[test]
    fn group_offsets_come_back(response in any_offsets()) {
        for version in [0, 1] {
            let mut out = BytesMut::new();
            response.put(version, &mut out);
            let bytes = out.freeze();
            let take = |bytes| <DescribeShareGroupOffsetsRequest as Call>::take(version, bytes);
            let mut expected = response.clone();
            if version == 0 {
                let topics = expected.groups.iter_mut().flat_map(|group| &mut group.topics);
                topics.flat_map(|topic| &mut topic.partitions).for_each(|one| one.lag = -1);
            }
            prop_assert_eq!(take(bytes.clone()).unwrap(), expected);
            holds_to_its_end(&bytes, take);
            survives_wrong_bytes(&bytes, take);
        }
    }

    #[test]
    fn questions_for_group_offsets_come_back(groups in vec((text(), proptest::option::of(vec((text(), vec(any::<i32>(), 0..3)), 0..3))), 0..3)) {
        let groups = groups.into_iter().map(|(group_id, topics)| GroupTopics {
            group_id,
            topics: topics.map(|topics| {
                topics.into_iter().map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect()
            }),
        });
        let request = DescribeShareGroupOffsetsRequest { groups: groups.collect() };
        let bytes = written(&request, 1);
        prop_assert_eq!(&DescribeShareGroupOffsetsRequest::parse(1, bytes.clone()).unwrap(), &request);
        holds_to_its_end(&bytes, |bytes| DescribeShareGroupOffsetsRequest::parse(1, bytes));
        survives_wrong_bytes(&bytes, |bytes| DescribeShareGroupOffsetsRequest::parse(1, bytes));
    }
}
