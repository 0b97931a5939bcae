//! Share groups: what brokers answer, the errors that a client has to expect among it.

use share_wire::code::ErrorCode;
use share_wire::kafka::{
    AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DeleteShareGroupOffsetsRequest, ListGroupsRequest,
    ShareGroupDescribeRequest, ShareGroupHeartbeatRequest,
};
use share_wire::message::{
    AcknowledgedPartition, Acquired, DescribeShareGroupOffsetsRequest, FetchedPartition, ShareAcknowledgeRequest,
    ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse,
};
use share_wire::records::{Codec, PLAIN_MAX, batches};

use super::exchange::{Exchange, file};
use super::{JAVA, OURS, one};

#[test]
fn members() {
    for name in OURS {
        let all = file(name);
        let beat =
            |what: &str| one(&all, &format!("ShareGroupHeartbeat 1: {what}")).answered::<ShareGroupHeartbeatRequest>();
        let joined = beat("joins");
        assert_eq!((joined.error_code, joined.heartbeat_interval_ms), (0, 500));
        assert!(joined.member_epoch > 0);
        assert_eq!(joined.assignment.unwrap().topic_partitions, []);
        let assigned = beat("learns its assignment");
        let partitions = assigned.assignment.unwrap().topic_partitions.remove(0);
        assert!(!partitions.topic_id.is_nil());
        assert_eq!(partitions.partitions, [0]);
        // Nothing new is null, not empty.
        assert_eq!(beat("stays").assignment, None);
        assert_eq!(beat("leaves").member_epoch, -1);
        let code = |what| ErrorCode(beat(what).error_code);
        assert_eq!(code("to a broker that does not coordinate"), ErrorCode::NOT_COORDINATOR);
        assert_eq!(code("of an epoch that was never"), ErrorCode::FENCED_MEMBER_EPOCH);
        assert_eq!(code("of a member that is not there"), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(code("without a group"), ErrorCode::INVALID_REQUEST);

        let what = one(
            &all,
            "ShareGroupDescribe 1: one with a member, and one that is not there",
        );
        let described = what.answered::<ShareGroupDescribeRequest>();
        let [packers, nobody] = &described.groups[..] else {
            panic!("{described:?}")
        };
        assert_eq!((&*packers.group_state, packers.members.len()), ("Stable", 1));
        assert_eq!(packers.members[0].rack_id.as_deref(), Some("r1"));
        assert_eq!(ErrorCode(nobody.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
        let listed = one(&all, "ListGroups 5: share groups").answered::<ListGroupsRequest>();
        assert_eq!(
            (listed.groups[0].group_id.as_str(), &*listed.groups[0].group_type),
            ("packers", "share")
        );
    }
}

fn fetched(response: &ShareFetchResponse) -> &FetchedPartition {
    assert_eq!((response.error_code, response.topics.len()), (0, 1), "{response:?}");
    &response.topics[0].partitions[0]
}

fn acquired(first_offset: i64, last_offset: i64, delivery_count: i16) -> Acquired {
    Acquired {
        first_offset,
        last_offset,
        delivery_count,
    }
}

#[test]
fn fetches() {
    for (name, unknown_topic) in OURS.into_iter().zip([-1, 0]) {
        let all = file(name);
        let fetch = |version, what: &str| {
            let exchange = one(&all, &format!("ShareFetch {version}: {what}"));
            exchange.answered::<ShareFetchRequest>()
        };
        let elsewhere = fetch(2, "from a broker that does not lead");
        let partition = fetched(&elsewhere);
        assert_eq!(ErrorCode(partition.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
        assert_eq!(partition.current_leader.leader_id, elsewhere.node_endpoints[0].node_id);
        assert_eq!(elsewhere.acquisition_lock_timeout_ms, 30_000);
        assert_eq!(fetched(&fetch(2, "opens a session")).acquired, [acquired(0, 1, 1)]);
        let brought = fetch(2, "accepts one, releases one, brings others");
        assert_eq!(fetched(&brought).acquired, [acquired(2, 3, 1)]);
        // The one that was released comes again, among others.
        let again = fetch(1, "more records");
        assert_eq!(fetched(&again).acquired, [acquired(1, 1, 2), acquired(4, 5, 1)]);
        let three = fetch(2, "three records and no more");
        assert_eq!(fetched(&three).acquired, [acquired(6, 8, 1)]);
        assert_eq!(batches(fetched(&three).records.clone()).flatten().count(), 2);
        let renewed = fetch(2, "renews and fetches nothing");
        assert_eq!(
            (
                fetched(&renewed).acknowledge_error_code,
                fetched(&renewed).records.len()
            ),
            (0, 0)
        );
        let rest = fetch(2, "all codecs, transactions and their ends");
        let offsets: Vec<(i64, i64)> = fetched(&rest)
            .acquired
            .iter()
            .map(|one| (one.first_offset, one.last_offset))
            .collect();
        assert_eq!((offsets[0].0, offsets.last().unwrap().1), (9, 18), "{offsets:?}");
        let controls = batches(fetched(&rest).records.clone())
            .flatten()
            .filter(|batch| batch.header().is_control);
        assert_eq!(
            controls.map(|batch| batch.header().base_offset).collect::<Vec<_>>(),
            [12, 15, 18]
        );
        // 4.2.1 fails as a whole over a topic that it does not know, newer brokers say which one it is.
        let unknown = fetch(2, "a topic that is not there");
        assert_eq!(unknown.error_code, unknown_topic, "{name}");
        if unknown_topic == 0 {
            let code = ErrorCode(unknown.topics[0].partitions[0].error_code);
            assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_ID);
        }
        assert_eq!(fetch(2, "forgets it").error_code, 0);
        let code = |what| ErrorCode(fetch(2, what).error_code);
        assert_eq!(code("an epoch that was never"), ErrorCode::INVALID_SHARE_SESSION_EPOCH);
        assert_eq!(code("a session that is not there"), ErrorCode::SHARE_SESSION_NOT_FOUND);
    }
}

fn settled(response: &ShareAcknowledgeResponse) -> &AcknowledgedPartition {
    assert_eq!((response.error_code, response.topics.len()), (0, 1), "{response:?}");
    &response.topics[0].partitions[0]
}

#[test]
fn acknowledgements() {
    for name in OURS {
        let all = file(name);
        let exchange = |version, what: &str| one(&all, &format!("ShareAcknowledge {version}: {what}"));
        let answer = |version, what: &str| exchange(version, what).answered::<ShareAcknowledgeRequest>();
        // The oldest version does not say how long locks are.
        assert_eq!(answer(1, "rejects one").acquisition_lock_timeout_ms, 0);
        assert_eq!(settled(&answer(1, "rejects one")).error_code, 0);
        let twice = answer(2, "accepts what is rejected");
        assert_eq!(ErrorCode(settled(&twice).error_code), ErrorCode::INVALID_RECORD_STATE);
        assert_eq!(twice.acquisition_lock_timeout_ms, 30_000);
        assert!(settled(&twice).error_message.is_some());
        let renewal = exchange(2, "renews some, accepts one").asked::<ShareAcknowledgeRequest>();
        let batches = &renewal.topics[0].partitions[0].acknowledgements;
        assert!(renewal.is_renew_ack && batches[0].types == [4] && batches[1].types == [1]);
        assert_eq!(settled(&answer(2, "renews some, accepts one")).error_code, 0);
        let wrong = answer(2, "a batch that ends before it begins");
        assert_eq!(ErrorCode(settled(&wrong).error_code), ErrorCode::INVALID_REQUEST);
        let code = |what| ErrorCode(answer(2, what).error_code);
        assert_eq!(code("an epoch that was never"), ErrorCode::INVALID_SHARE_SESSION_EPOCH);
        assert_eq!(code("a session that is not there"), ErrorCode::SHARE_SESSION_NOT_FOUND);
        assert_eq!(settled(&answer(2, "ends the session")).error_code, 0);
    }
}

#[test]
fn offsets_of_groups() {
    for name in OURS {
        let all = file(name);
        let describe = |version, what| {
            let exchange = one(&all, &format!("DescribeShareGroupOffsets {version}: {what}"));
            exchange.answered::<DescribeShareGroupOffsetsRequest>().groups.remove(0)
        };
        for version in 0..=1 {
            let named = describe(version, "a topic that is there and one that is not");
            let [orders, nowhere] = &named.topics[..] else {
                panic!("{named:?}")
            };
            let partition = &orders.partitions[0];
            assert!(partition.start_offset > 0);
            assert_eq!(partition.lag > 0, version == 1, "{partition:?}");
            assert_eq!(
                (nowhere.topic_id.is_nil(), nowhere.partitions[0].start_offset),
                (true, -1)
            );
            assert_eq!(describe(version, "all topics").topics.len(), 1);
        }
        let altered = |what: &str| {
            let exchange = one(&all, &format!("AlterShareGroupOffsets 0: {what}"));
            exchange.answered::<AlterShareGroupOffsetsRequest>()
        };
        let code = ErrorCode(altered("of a group with a member").error_code);
        assert_eq!(code.name(), Some("NON_EMPTY_GROUP"));
        assert_eq!(altered("sets the start").responses[0].partitions[0].error_code, 0);
        let what = one(
            &all,
            "DeleteShareGroupOffsets 0: of a topic that is there and of one that is not",
        );
        let deleted = what.answered::<DeleteShareGroupOffsetsRequest>();
        assert_eq!(
            deleted
                .responses
                .iter()
                .map(|topic| topic.error_code)
                .collect::<Vec<_>>(),
            [0, 3]
        );
        for (version, code) in [(0, 69), (1, 69), (2, 0)] {
            let deleted = one(&all, &format!("DeleteGroups {version}: a group")).answered::<DeleteGroupsRequest>();
            assert_eq!(deleted.results[0].error_code, code);
        }
    }
}

/// Compressed by the libraries that Kafka's own producer uses.
#[test]
fn what_kafkas_producer_wrote_is_read() {
    let all = file(JAVA);
    let mut values = Vec::new();
    for exchange in all.iter().filter(|exchange| exchange.key() == 78) {
        for topic in Exchange::answered::<ShareFetchRequest>(exchange).topics {
            for batch in batches(topic.partitions[0].records.clone()).map(Result::unwrap) {
                let plain = batch.plain(PLAIN_MAX).unwrap();
                for record in plain.records().map(Result::unwrap) {
                    let value = std::str::from_utf8(record.value.unwrap()).unwrap();
                    let (codec, index) = (batch.header().codec, record.offset % 3);
                    assert_eq!(value, format!("by {codec} ").repeat(5) + &index.to_string());
                    assert_eq!(record.timestamp, 1_700_000_000_000 + index);
                    assert_eq!(record.key, Some(format!("key{index}").as_bytes()));
                    let headers: Vec<_> = record.headers().map(|header| header.value).collect();
                    assert_eq!(headers, [Some(&b"1"[..]), None]);
                    values.push(codec);
                }
            }
        }
    }
    values.sort_unstable();
    values.dedup();
    assert!(Codec::ALL.starts_with(&values) && values.len() >= 4, "{values:?}");
}
