//! Streams of records into an engine with a small ring, and into topics that are full.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use share_engine::config::{EngineConfig, GroupConfig, Limits, Retention, TopicConfig};
use share_engine::engine::{AcquireMode, Engine, Outcome, Settlement};

use super::*;
use crate::admin::{Admin as _, ErrorCode, PRODUCE_BUFFER};

const PARTITIONS: u32 = 3;

async fn opened(directory: &std::path::Path, topic: TopicConfig) -> (Engine, EmbeddedAdmin) {
    // Records arrive faster than this ring is drained.
    let config = EngineConfig {
        journal_file_bytes: 2 << 20,
        journal_bytes: 4 << 20,
        memory_window: 1 << 20,
        limits: Limits {
            group_bytes: 1 << 20,
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    let (engine, _) = Engine::open(directory, config).unwrap();
    engine.create_topic("orders", topic).await.unwrap();
    (engine.clone(), EmbeddedAdmin::owning(engine))
}

/// One stream: its results, and how it ended.
async fn stream(
    admin: &EmbeddedAdmin,
    patience: Duration,
    records: Vec<Record>,
) -> (Vec<ProduceOutcome>, Result<(), AdminError>) {
    let (record_sender, record_receiver) = mpsc::channel(PRODUCE_BUFFER);
    let (result_sender, mut results) = mpsc::channel::<ProduceResult>(PRODUCE_BUFFER);
    let send = async move {
        for record in records {
            if record_sender.send(record).await.is_err() {
                return;
            }
        }
    };
    let collect = async {
        let mut outcomes = Vec::new();
        while let Some(result) = results.recv().await {
            assert_eq!(result.index, outcomes.len() as u64);
            outcomes.push(result.outcome);
        }
        outcomes
    };
    let produced = admin.produce("orders", patience, record_receiver, result_sender);
    let ((), end, outcomes) = tokio::join!(send, produced, collect);
    (outcomes, end)
}

fn place(outcome: &ProduceOutcome) -> (u32, u64) {
    match outcome {
        ProduceOutcome::Stored { partition, offset } => (*partition, *offset),
        refused @ ProduceOutcome::Refused { .. } => panic!("{refused:?}"),
    }
}

fn record(key: Option<String>, partition: Option<u32>, bytes: usize) -> Record {
    Record {
        key: key.map(Into::into),
        value: Some(vec![b'v'; bytes].into()),
        partition,
        ..Record::default()
    }
}

/// A seventh of a file was refused, in patches, and what came behind a patch was stored before it.
#[tokio::test]
async fn a_stream_larger_than_the_ring_is_stored_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let topic = TopicConfig {
        partitions: PARTITIONS,
        ..TopicConfig::default()
    };
    let (engine, admin) = opened(directory.path(), topic).await;
    // Large ones that find no room, small ones that would; some name the partition that the keys of others lead to.
    let records: Vec<Record> = (0..2_400_usize)
        .map(|number| {
            let key = format!("key {}", number % 7);
            let partition = (number % 50 < 5).then_some(0);
            record(Some(key), partition, if number % 3 == 0 { 30_000 } else { 20 })
        })
        .collect();
    let (outcomes, end) = stream(&admin, Duration::from_mins(1), records.clone()).await;
    assert_eq!((outcomes.len(), end), (records.len(), Ok(())));
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    for (number, outcome) in outcomes.iter().enumerate() {
        let (partition, offset) = place(outcome);
        let next = ends.entry(partition).or_default();
        assert_eq!(offset, *next, "record {number} in partition {partition}");
        *next += 1;
    }
    assert_eq!(ends.len(), PARTITIONS as usize, "{ends:?}");
    let topic = engine.describe_topic("orders").await.unwrap();
    let stored: u64 = topic.partitions.iter().map(|one| one.end).sum();
    assert_eq!(stored, records.len() as u64, "nothing is there twice");
    engine.close().await.unwrap();
}

fn small_topic() -> TopicConfig {
    TopicConfig {
        max_bytes: Some(100_000),
        retention: Retention::Queue,
        ..TopicConfig::default()
    }
}

/// The small ones behind it were stored.
#[tokio::test]
async fn nothing_is_stored_behind_what_gets_no_room() {
    for patience in [Duration::ZERO, Duration::from_millis(50)] {
        let directory = tempfile::tempdir().unwrap();
        let (engine, admin) = opened(directory.path(), small_topic()).await;
        let large = vec![record(None, None, 30_000); 5];
        let records = [large, vec![record(None, None, 10); 2_000]].concat();
        let (outcomes, end) = stream(&admin, patience, records).await;
        // As many as there is room for, although they came together with others.
        assert_eq!(outcomes.iter().map(place).collect::<Vec<_>>(), [(0, 0), (0, 1), (0, 2)]);
        let error = end.unwrap_err();
        assert_eq!(error.code, ErrorCode::Full);
        assert!(error.message.starts_with("topic \"orders\" is full: "), "{error:?}");
        let waited = error.message.contains("; nothing was taken for 50ms");
        assert_eq!(waited, !patience.is_zero(), "{error:?}");
        engine.close().await.unwrap();
    }
}

/// Of a run that is more than one batch, a later batch could be taken although an earlier one was not.
#[tokio::test]
async fn large_records_that_come_together_are_stored_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let topic = TopicConfig {
        max_bytes: Some(1_500_000),
        ..small_topic()
    };
    let (engine, admin) = opened(directory.path(), topic).await;
    let records = [vec![record(None, None, 900_000); 5], vec![record(None, None, 10); 10]].concat();
    let (outcomes, end) = stream(&admin, Duration::ZERO, records).await;
    assert_eq!(outcomes.iter().map(place).collect::<Vec<_>>(), [(0, 0)]);
    assert_eq!(end.unwrap_err().code, ErrorCode::Full);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_stream_goes_on_when_a_group_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, admin) = opened(directory.path(), small_topic()).await;
    engine.create_group("work", GroupConfig::default()).await.unwrap();
    engine.subscribe("work", "orders").await.unwrap();
    let member = engine.join("work", &["orders"]).await.unwrap();
    let work = async {
        let mut settled = 0;
        while settled < 12 {
            let deliveries = member.acquire(1, 1 << 20, AcquireMode::RecordLimit).await.unwrap();
            let accept = |delivery: share_engine::engine::Delivery| Settlement {
                lease: delivery.lease,
                outcome: Outcome::Accept { emit: Vec::new() },
                evidence: None,
            };
            settled += deliveries.len();
            member.settle(deliveries.into_iter().map(accept).collect()).await;
        }
    };
    let records = vec![record(None, None, 30_000); 12];
    let produced = stream(&admin, Duration::from_mins(1), records);
    let ((outcomes, end), ()) = tokio::join!(produced, work);
    assert_eq!((outcomes.len(), end), (12, Ok(())));
    let offsets: Vec<u64> = outcomes.iter().map(|outcome| place(outcome).1).collect();
    assert_eq!(offsets, (0..12).collect::<Vec<_>>());
    engine.close().await.unwrap();
}

/// It would come again for ever, and must not hold up the others.
#[tokio::test]
async fn a_record_that_can_never_be_stored_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, admin) = opened(directory.path(), TopicConfig::default()).await;
    let records = vec![
        record(None, None, 10),
        record(None, None, 2 << 20),
        record(None, Some(9), 10),
        record(None, None, 10),
    ];
    let (outcomes, end) = stream(&admin, Duration::from_mins(1), records).await;
    assert_eq!(end, Ok(()));
    let codes = outcomes.iter().map(|outcome| match outcome {
        ProduceOutcome::Stored { .. } => None,
        ProduceOutcome::Refused { error } => Some(error.code),
    });
    let expected = [None, Some(ErrorCode::TooLarge), Some(ErrorCode::Invalid), None];
    assert_eq!(codes.collect::<Vec<_>>(), expected);
    engine.close().await.unwrap();
}
