//! Consumers against a real broker: who gets what, what comes of settlements, and what is left by those who go.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod group;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use group::{Bench, acquire, acquire_all, leases, offsets, settle, settled, until, within};
use share_client::consumer::{Credit, Event, JoinOptions, Lease, Outcome, RenewOutcome, Verb};
use share_client::net::Connection;
use share_wire::kafka::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use share_wire::kafka::produce_request::{PartitionProduceData, TopicProduceData};
use share_wire::kafka::{
    BrokerId, EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, ListOffsetsRequest, ProduceRequest,
    StrBytes, TransactionalId,
};
use share_wire::records::{NewBatch, NewRecord, PLAIN_MAX, batches};

/// One cluster for all: starting one takes longer than each of these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_broker() {
    let Some(bench) = Bench::start("consumer::on_one_broker", group::options()) else {
        return;
    };
    let bench = &bench;
    tokio::join!(
        verbs_and_counts(bench),
        limits_are_kept_exactly(bench),
        three_members_share_a_partition(bench),
        locks_end_and_renewals_outlast_them(bench),
        one_stale_among_many(bench),
        closing_gives_back_at_once(bench),
        a_dropped_consumer_is_a_crash(bench),
        dropped_calls_lose_nothing(bench),
        a_transaction_leaves_a_gap(bench),
    );
}

async fn verbs_and_counts(bench: &Bench) {
    bench.create("verbs", &[&[1]]).await;
    bench.fill("verbs", 0, 6).await;
    let consumer = bench.join("verbs", &["verbs"]).await;
    let first = acquire_all(&consumer, 6).await;
    assert_eq!(offsets(&first), [0, 1, 2, 3, 4, 5]);
    assert!(first.iter().all(|lease| lease.delivery_count == 1));
    // In any order, each by itself.
    let verbs = [
        (first[5], Verb::Accept),
        (first[1], Verb::Release),
        (first[0], Verb::Reject),
        (first[3], Verb::Release),
        (first[2], Verb::Gap),
    ];
    let outcomes = within("outcomes", consumer.settle(verbs.to_vec())).await;
    assert_eq!(outcomes, [Outcome::Applied; 5]);
    let again = acquire_all(&consumer, 2).await;
    let counts: Vec<_> = again.iter().map(|lease| (lease.offset, lease.delivery_count)).collect();
    assert_eq!(counts, [(1, 2), (3, 2)]);
    // The delivery before this one, and one that was settled.
    assert_eq!(
        settle(&consumer, &[first[1], first[5]], Verb::Accept).await,
        [Outcome::Stale; 2]
    );
    settled(&consumer, &[again[1], first[4], again[0]], Verb::Accept).await;
    let snapshot = consumer.snapshot();
    assert_eq!((snapshot.held(), snapshot.ready), (0, 0), "{snapshot:?}");
    assert_eq!(snapshot.assignment.len(), 1);
    assert_eq!(snapshot.assignment[0].topic.as_deref(), Some("verbs"));
    assert_eq!(snapshot.lock, Some(Duration::from_secs(30)));
    assert!(snapshot.epoch > 0 && snapshot.brokers[0].acquired == 8, "{snapshot:?}");
    within("the end", consumer.close()).await;
}

async fn limits_are_kept_exactly(bench: &Bench) {
    bench.create("limits", &[&[1]]).await;
    bench.fill("limits", 0, 1000).await;
    let consumer = bench.join("limits", &["limits"]).await;
    for count in [7, 1, 100, Credit::EXACT_BELOW - 1] {
        let acquired = leases(&acquire(&consumer, count).await);
        assert_eq!(acquired.len(), usize::try_from(count).unwrap());
        settled(&consumer, &acquired, Verb::Accept).await;
    }
    within("the end", consumer.close()).await;
}

async fn three_members_share_a_partition(bench: &Bench) {
    bench.create("shared", &[&[1]]).await;
    let members = [
        bench.join("shared", &["shared"]).await,
        bench.join("shared", &["shared"]).await,
        bench.join("shared", &["shared"]).await,
    ];
    // Whoever is assigned the partition first would have it all before the others come.
    until("assignments", async || {
        let all = members.iter().all(|member| !member.snapshot().assignment.is_empty());
        all.then_some(())
    })
    .await;
    for first in (0..300).step_by(20) {
        bench.fill("shared", first, 20).await;
    }
    let mut seen = BTreeSet::new();
    let mut shares = [0; 3];
    while seen.len() < 300 {
        let calls = [0, 1, 2].map(|index| Box::pin(acquire(&members[index], 5)));
        let [a, b, c] = calls;
        let (index, acquired) = tokio::select! { x = a => (0, x), x = b => (1, x), x = c => (2, x) };
        let leases = leases(&acquired);
        shares[index] += leases.len();
        for lease in &leases {
            assert!(seen.insert(lease.offset), "{lease:?} twice");
        }
        settled(&members[index], &leases, Verb::Accept).await;
    }
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    for member in members {
        within("the end", member.close()).await;
    }
}

async fn locks_end_and_renewals_outlast_them(bench: &Bench) {
    bench.create("locks", &[&[1]]).await;
    bench.fill("locks", 0, 2).await;
    bench.set("locks", "share.record.lock.duration.ms", "1000").await;
    let consumer = bench.join("locks", &["locks"]).await;
    let held = acquire_all(&consumer, 2).await;
    // More than three locks long the first one is renewed; the second one is not.
    let (kept, left) = (held[0], held[1]);
    let start = tokio::time::Instant::now();
    let mut lost = None;
    while start.elapsed() < Duration::from_millis(3300) {
        let renewed = within("a renewal", consumer.renew(vec![kept])).await;
        let [RenewOutcome::Until(deadline)] = renewed[..] else {
            panic!("{renewed:?}")
        };
        let ahead = deadline - tokio::time::Instant::now().into_std();
        assert!(ahead > Duration::from_millis(700), "{ahead:?}");
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(400), consumer.event()).await
            && let Event::LeasesLost(leases) = event
        {
            lost = Some(leases);
        }
    }
    assert_eq!(lost, Some(vec![left]));
    let renewed = within("a renewal", consumer.renew(vec![left])).await;
    assert_eq!(renewed, [RenewOutcome::Lost]);
    settled(&consumer, &[kept], Verb::Accept).await;
    let again = acquire_all(&consumer, 1).await;
    assert_eq!((again[0].offset, again[0].delivery_count), (left.offset, 2));
    settled(&consumer, &again, Verb::Accept).await;
    within("the end", consumer.close()).await;
}

/// The broker gave one of them to somebody else; the client cannot know.
async fn one_stale_among_many(bench: &Bench) {
    bench.create("stale", &[&[1]]).await;
    bench.fill("stale", 0, 500).await;
    let options = JoinOptions {
        member: Some("shared-name".to_owned()),
        ..JoinOptions::new("stale", &["stale"])
    };
    let consumer = bench.try_join(options.clone()).await.unwrap();
    let held = acquire_all(&consumer, 500).await;
    // Another client under the same name settles one of them on a connection of its own.
    let aside = settle_aside(bench, &options, held[321]).await;
    // The first one is not settled: below the group's start offset the broker says yes to everything.
    let outcomes = settle(&consumer, &held[1..], Verb::Accept).await;
    for (lease, outcome) in held[1..].iter().zip(&outcomes) {
        let expected = if lease.offset == 321 {
            Outcome::Stale
        } else {
            Outcome::Applied
        };
        assert_eq!(*outcome, expected, "{lease:?}, {:?}", consumer.snapshot());
    }
    settled(&consumer, &held[..1], Verb::Accept).await;
    drop(aside);
    within("the end", consumer.close()).await;
}

/// Rejects a record in the name of a member, by a session that takes the place of the member's own. With the connection that is
/// returned, all that the member holds would end.
async fn settle_aside(bench: &Bench, options: &JoinOptions, lease: Lease) -> Connection {
    use share_wire::message::{
        AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch, AcquireMode, ShareAcknowledgeRequest,
        ShareFetchRequest,
    };
    let mut connection = bench.any().await;
    let opening = ShareFetchRequest {
        group_id: Some(options.group.clone()),
        member_id: options.member.clone(),
        session_epoch: 0,
        max_wait_ms: 0,
        min_bytes: 0,
        max_bytes: 0,
        max_records: 0,
        batch_size: 0,
        acquire_mode: AcquireMode::RecordLimit,
        is_renew_ack: false,
        topics: Vec::new(),
        forgotten: Vec::new(),
    };
    let opened = connection.call(&opening).await.unwrap();
    assert_eq!(opened.error_code, 0, "{opened:?}");
    let request = ShareAcknowledgeRequest {
        group_id: Some(options.group.clone()),
        member_id: options.member.clone(),
        session_epoch: 1,
        is_renew_ack: false,
        topics: vec![AcknowledgeTopic {
            topic_id: lease.place.topic_id,
            partitions: vec![AcknowledgePartition {
                partition: lease.place.partition,
                acknowledgements: vec![AcknowledgementBatch {
                    first_offset: lease.offset,
                    last_offset: lease.offset,
                    types: vec![3],
                }],
            }],
        }],
    };
    let answer = connection.call(&request).await.unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{answer:?}");
    connection
}

async fn closing_gives_back_at_once(bench: &Bench) {
    bench.create("closing", &[&[1]]).await;
    bench.fill("closing", 0, 10).await;
    let consumer = bench.join("closing", &["closing"]).await;
    let held = acquire_all(&consumer, 10).await;
    // What was handed over before is sent before.
    let accepting = tokio::spawn({
        let (consumer, held) = (consumer.clone(), held.clone());
        async move { settle(&consumer, &held[..5], Verb::Accept).await }
    });
    until("the settlement is on its way", async || {
        (consumer.snapshot().held() < 10).then_some(())
    })
    .await;
    within("the end", consumer.close()).await;
    assert_eq!(accepting.await.unwrap(), [Outcome::Applied; 5]);
    assert_eq!(settle(&consumer, &held[5..], Verb::Accept).await, [Outcome::Stale; 5]);
    assert!(consumer.acquire(group::credit(1)).await.is_err());
    // The lock is 30 s: whatever comes sooner was given back.
    let next = bench.join("closing", &["closing"]).await;
    let again = acquire_all(&next, 5).await;
    let counts: Vec<_> = again.iter().map(|lease| (lease.offset, lease.delivery_count)).collect();
    assert_eq!(counts, (5..10).map(|offset| (offset, 2)).collect::<Vec<_>>());
    settled(&next, &again, Verb::Accept).await;
    within("the end", next.close()).await;
}

async fn a_dropped_consumer_is_a_crash(bench: &Bench) {
    bench.create("crash", &[&[1]]).await;
    bench.fill("crash", 0, 3).await;
    let consumer = bench.join("crash", &["crash"]).await;
    acquire_all(&consumer, 3).await;
    drop(consumer);
    let next = bench.join("crash", &["crash"]).await;
    let again = acquire_all(&next, 3).await;
    assert!(again.iter().all(|lease| lease.delivery_count == 2), "{again:?}");
    settled(&next, &again, Verb::Accept).await;
    within("the end", next.close()).await;
}

async fn dropped_calls_lose_nothing(bench: &Bench) {
    bench.create("dropped", &[&[1]]).await;
    let consumer = bench.join("dropped", &["dropped"]).await;
    // The fetch of a call that nobody waits for any more brings what comes while it waits at the broker.
    until("something is assigned", async || {
        consumer.snapshot().assignment.first().map(drop)
    })
    .await;
    for round in 0..5 {
        let first = round * 10;
        let call = tokio::time::timeout(Duration::from_millis(100), consumer.acquire(group::credit(10))).await;
        assert!(call.is_err(), "{call:?}");
        bench.fill("dropped", first, 10).await;
        let held = acquire_all(&consumer, 10).await;
        assert_eq!(
            offsets(&held),
            (i64::from(first)..i64::from(first) + 10).collect::<Vec<_>>()
        );
        assert!(held.iter().all(|lease| lease.delivery_count == 1), "{held:?}");
        settled(&consumer, &held, Verb::Accept).await;
    }
    within("the end", consumer.close()).await;
}

/// Two records in a transaction, at offsets 2 and 3, and its marker behind them.
async fn write_transaction(bench: &Bench, topic: &str) {
    let id = TransactionalId(StrBytes::from_string(format!("{topic}-writer")));
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id.clone()))
        .with_transaction_timeout_ms(10_000);
    // The topic of transactions is made for whoever looks for their coordinator.
    let search = FindCoordinatorRequest::default()
        .with_key_type(1)
        .with_coordinator_keys(vec![id.0.clone()]);
    let producer = until("there is a producer id", async || {
        bench.any().await.call(&search).await.unwrap();
        let answer = bench.any().await.call(&request).await.unwrap();
        (answer.error_code == 0).then_some(answer)
    })
    .await;
    let batch = NewBatch {
        producer_id: producer.producer_id.0,
        producer_epoch: producer.producer_epoch,
        base_sequence: 0,
        is_transactional: true,
        ..NewBatch::default()
    };
    let record = NewRecord {
        value: Some(b"paid"),
        ..NewRecord::default()
    };
    let data = PartitionProduceData::default().with_records(Some(batch.encode(&[record; 2]).unwrap()));
    let data = TopicProduceData::default()
        .with_name(group::name(topic))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_transactional_id(Some(id.clone()))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![data]);
    let answer = bench.any().await.call(&request).await.unwrap();
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "{answer:?}");
    let request = EndTxnRequest::default()
        .with_transactional_id(id)
        .with_producer_id(producer.producer_id)
        .with_producer_epoch(producer.producer_epoch)
        .with_committed(true);
    let answer = bench.any().await.call(&request).await.unwrap();
    assert_eq!(answer.error_code, 0, "{answer:?}");
    // The marker comes after the answer.
    let end = ListOffsetsPartition::default().with_timestamp(-1);
    let end = ListOffsetsTopic::default()
        .with_name(group::name(topic))
        .with_partitions(vec![end]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![end]);
    until("the marker is written", async || {
        let answer = bench.any().await.call(&request).await.unwrap();
        (answer.topics[0].partitions[0].offset == 5).then_some(())
    })
    .await;
}

async fn a_transaction_leaves_a_gap(bench: &Bench) {
    bench.create("gaps", &[&[1]]).await;
    bench.fill("gaps", 0, 2).await;
    write_transaction(bench, "gaps").await;
    bench.fill("gaps", 2, 2).await;
    let consumer = bench.join("gaps", &["gaps"]).await;
    let (mut values, mut gaps, mut last) = (BTreeMap::new(), BTreeSet::new(), -1);
    while last < 6 {
        for acquisition in acquire(&consumer, 10).await {
            for batch in batches(acquisition.records.clone()) {
                let plain = batch.unwrap().plain(PLAIN_MAX).unwrap();
                let records = (!plain.header().is_control).then(|| plain.records());
                for record in records.into_iter().flatten() {
                    let record = record.unwrap();
                    values.insert(record.offset, record.value.unwrap().to_vec());
                }
            }
            let verb = |lease: &Lease| {
                let is_record = values.contains_key(&lease.offset);
                if is_record { Verb::Accept } else { Verb::Gap }
            };
            let verbs: Vec<_> = acquisition.leases().map(|lease| (lease, verb(&lease))).collect();
            gaps.extend(
                verbs
                    .iter()
                    .filter(|(_, verb)| *verb == Verb::Gap)
                    .map(|(lease, _)| lease.offset),
            );
            last = last.max(verbs.last().unwrap().0.offset);
            let count = verbs.len();
            assert_eq!(
                within("outcomes", consumer.settle(verbs)).await,
                vec![Outcome::Applied; count]
            );
        }
    }
    let expected: [(i64, &[u8]); 6] = [(0, b"0"), (1, b"1"), (2, b"paid"), (3, b"paid"), (5, b"2"), (6, b"3")];
    let expected = expected.map(|(offset, value)| (offset, value.to_vec()));
    assert_eq!(values, BTreeMap::from(expected));
    assert!(gaps.iter().all(|gap| *gap == 4), "{gaps:?}");
    // Nothing of it comes again.
    bench.fill("gaps", 4, 1).await;
    let next = acquire_all(&consumer, 1).await;
    assert_eq!((next[0].offset, next[0].delivery_count), (7, 1));
    settled(&consumer, &next, Verb::Accept).await;
    within("the end", consumer.close()).await;
}
