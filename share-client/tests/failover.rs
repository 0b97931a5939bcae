//! Consumers while brokers die and come back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod group;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use group::{Bench, acquire_all, credit, leases, settled, until, within};
use kafka_cluster::Options;
use share_client::consumer::{Event, Outcome, ShareConsumer, Verb};

/// What became of each record: by partition and offset.
#[derive(Debug, Default)]
struct Seen {
    /// Accepted for certain.
    applied: BTreeSet<(i32, i64)>,
    /// On its way when a connection broke.
    unknown: BTreeSet<(i32, i64)>,
    /// Delivered again though it was accepted for certain.
    repeated: Vec<(i32, i64)>,
}

/// Accepts whatever comes, until the consumer is closed.
async fn work(consumer: ShareConsumer, seen: Arc<Mutex<Seen>>) {
    while let Ok(acquisitions) = consumer.acquire(credit(50)).await {
        let held = leases(&acquisitions);
        let outcomes = consumer
            .settle(held.iter().map(|lease| (*lease, Verb::Accept)).collect())
            .await;
        let mut seen = seen.lock().unwrap();
        for (lease, outcome) in held.iter().zip(outcomes) {
            let record = (lease.place.partition, lease.offset);
            if seen.applied.contains(&record) {
                seen.repeated.push(record);
            }
            match outcome {
                Outcome::Applied => drop(seen.applied.insert(record)),
                Outcome::Unknown => drop(seen.unknown.insert(record)),
                // It comes again, at the latest when its lock has ended: a broker that cannot write down what it is told keeps it.
                Outcome::Stale | Outcome::Lost | Outcome::Failed(_) => {}
            }
        }
    }
}

/// Writes to each of three partitions.
async fn write(bench: &Bench, round: u32) {
    let values: Vec<String> = (0..10).map(|index| format!("{round}-{index}")).collect();
    for partition in 0..3 {
        bench.produce_anywhere("orders", partition, &values).await;
    }
}

/// Every record of so many rounds was accepted, and none again.
async fn all_done(seen: &Mutex<Seen>, rounds: i64, consumers: &[ShareConsumer]) {
    let missing = || {
        let seen = seen.lock().unwrap();
        let all = (0..3).flat_map(|partition| (0..rounds * 10).map(move |offset| (partition, offset)));
        let missing = all.filter(|record| !seen.applied.contains(record) && !seen.unknown.contains(record));
        missing.collect::<Vec<_>>()
    };
    let all = until("all is done", async || missing().is_empty().then_some(()));
    if tokio::time::timeout(Duration::from_secs(55), all).await.is_err() {
        let snapshots: Vec<_> = consumers.iter().map(ShareConsumer::snapshot).collect();
        panic!("{:?} are missing: {snapshots:#?}", missing());
    }
    assert_eq!(seen.lock().unwrap().repeated, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_and_coordinators_may_die() {
    let options = Options {
        brokers: 3,
        ..group::options()
    };
    let Some(mut bench) = Bench::start("failover::leaders_and_coordinators_may_die", options) else {
        return;
    };
    bench.create("orders", &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]).await;
    // What a dying broker leaves acquired somewhere comes again after this.
    bench.set("packers", "share.record.lock.duration.ms", "5000").await;
    let consumers = [
        bench.join("packers", &["orders"]).await,
        bench.join("packers", &["orders"]).await,
    ];
    let seen = Arc::new(Mutex::default());
    let workers: Vec<_> = consumers
        .iter()
        .map(|one| tokio::spawn(work(one.clone(), Arc::clone(&seen))))
        .collect();
    write(&bench, 0).await;
    all_done(&seen, 1, &consumers).await;

    // A leader of a partition, then whoever coordinates the group.
    let coordinator = consumers[0].snapshot().coordinator.unwrap();
    let index = bench
        .connector
        .bootstrap()
        .iter()
        .position(|address| *address == coordinator)
        .unwrap();
    let coordinator = u32::try_from(index).unwrap() + 1;
    let leader = coordinator % 3 + 1;
    let mut rounds = 1;
    for victim in [leader, coordinator] {
        write(&bench, u32::try_from(rounds).unwrap()).await;
        tokio::task::block_in_place(|| bench.cluster.kill(victim)).unwrap();
        for _ in 0..3 {
            rounds += 1;
            write(&bench, u32::try_from(rounds).unwrap()).await;
        }
        rounds += 1;
        all_done(&seen, rounds, &consumers).await;
        tokio::task::block_in_place(|| bench.cluster.restart(victim)).unwrap();
    }
    let counts: BTreeMap<_, _> = consumers
        .iter()
        .map(|one| (one.snapshot().member, one.snapshot().epoch))
        .collect();
    assert!(counts.values().all(|epoch| *epoch > 0), "{counts:?}");
    for consumer in consumers {
        within("the end", consumer.close()).await;
    }
    for worker in workers {
        within("the worker", worker).await.unwrap();
    }
}

/// Nothing tells of it but what the old leader answers: its connection stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_broker_may_lead_while_all_are_well() {
    let options = Options {
        brokers: 3,
        ..group::options()
    };
    let Some(mut bench) = Bench::start("failover::another_broker_may_lead_while_all_are_well", options) else {
        return;
    };
    bench.create("orders", &[&[1, 2, 3]]).await;
    let consumer = bench.join("packers", &["orders"]).await;
    bench.produce_anywhere("orders", 0, &["0".to_owned()]).await;
    // The group has its partitions: the topic of its states cannot be made by two brokers of three.
    settled(&consumer, &acquire_all(&consumer, 1).await, Verb::Accept).await;
    tokio::task::block_in_place(|| bench.cluster.stop(1)).unwrap();
    bench.produce_anywhere("orders", 0, &["1".to_owned()]).await;
    settled(&consumer, &acquire_all(&consumer, 1).await, Verb::Accept).await;
    let connects = |id| {
        let brokers = consumer.snapshot().brokers;
        brokers
            .iter()
            .find(|broker| broker.id == id)
            .map(|broker| broker.connects)
    };
    let before = connects(2);
    tokio::task::block_in_place(|| bench.cluster.restart(1)).unwrap();
    let servers = bench.cluster.bootstrap();
    let arguments = ["--bootstrap-server", &servers, "--election-type", "preferred"];
    let arguments = [&arguments[..], &["--topic", "orders", "--partition", "0"]].concat();
    until("broker 1 leads again", async || {
        let elected = tokio::task::block_in_place(|| {
            bench
                .cluster
                .tool("org.apache.kafka.tools.LeaderElectionCommand", &arguments)
        });
        // Not before it has caught up.
        elected.ok()
    })
    .await;
    bench.produce_anywhere("orders", 0, &["2".to_owned()]).await;
    let held = acquire_all(&consumer, 1).await;
    assert_eq!((held[0].offset, held[0].delivery_count), (2, 1));
    settled(&consumer, &held, Verb::Accept).await;
    assert_eq!(connects(2), before);
    within("the end", consumer.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_broker_may_die_and_come_back() {
    let Some(mut bench) = Bench::start("failover::the_only_broker_may_die_and_come_back", group::options()) else {
        return;
    };
    bench.create("orders", &[&[1], &[1], &[1]]).await;
    let consumer = bench.join("packers", &["orders"]).await;
    let seen = Arc::new(Mutex::default());
    let worker = tokio::spawn(work(consumer.clone(), Arc::clone(&seen)));
    write(&bench, 0).await;
    all_done(&seen, 1, std::slice::from_ref(&consumer)).await;
    tokio::task::block_in_place(|| bench.cluster.kill(1)).unwrap();
    let reason = within("the event", async {
        loop {
            if let Event::Unavailable { reason } = consumer.event().await {
                return reason;
            }
        }
    });
    let reason = reason.await;
    assert!(reason.contains("refused") || reason.contains("closed"), "{reason}");
    tokio::task::block_in_place(|| bench.cluster.restart(1)).unwrap();
    within("the event", async {
        while consumer.event().await != Event::Available {}
    })
    .await;
    write(&bench, 1).await;
    all_done(&seen, 2, std::slice::from_ref(&consumer)).await;
    within("the end", consumer.close()).await;
    within("the worker", worker).await.unwrap();
}
