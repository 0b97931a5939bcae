//! A worker: prints records of a share group and accepts them; every tenth one is released once before.
//!
//! `cargo run -p share-client --example worker -- localhost:9092 packers orders`, until it is interrupted.
#![allow(clippy::print_stdout, reason = "what it is for")]

use std::collections::BTreeMap;
use std::error::Error;

use share_client::config::ClientConfig;
use share_client::consumer::{Acquisition, Credit, JoinOptions, Lease, ShareConsumer, Verb};
use share_wire::records::{PLAIN_MAX, RecordsError, batches};

/// So many records are worked on at a time.
const SLOTS: u32 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(servers), Some(group), Some(topic)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: worker BOOTSTRAP-SERVERS GROUP TOPIC".into());
    };
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), servers)]);
    let config = ClientConfig::new(&properties)?;
    let consumer = ShareConsumer::join(&config, JoinOptions::new(&group, &[&topic])).await?;
    println!("joined as {}", consumer.snapshot().member);
    let credit = Credit {
        records: SLOTS,
        bytes: 1 << 20,
    };
    loop {
        let acquisitions = tokio::select! {
            acquisitions = consumer.acquire(credit) => acquisitions?,
            event = consumer.event() => {
                println!("{event:?}");
                continue;
            }
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                break;
            }
        };
        for acquisition in acquisitions {
            let verbs = work(&acquisition)?;
            let outcomes = consumer.settle(verbs.clone()).await;
            for ((lease, verb), outcome) in verbs.iter().zip(outcomes) {
                println!("{} {verb:?}: {outcome:?}", lease.offset);
            }
        }
    }
    consumer.close().await;
    Ok(())
}

/// Prints what was acquired, and says what becomes of it. Offsets without a record are gaps.
fn work(acquisition: &Acquisition) -> Result<Vec<(Lease, Verb)>, RecordsError> {
    let mut verbs: BTreeMap<i64, (Lease, Verb)> = acquisition
        .leases()
        .map(|lease| (lease.offset, (lease, Verb::Gap)))
        .collect();
    for batch in batches(acquisition.records.clone()) {
        let plain = batch?.plain(PLAIN_MAX)?;
        // What a transaction leaves behind is no record.
        let records = (!plain.header().is_control).then(|| plain.records());
        for record in records.into_iter().flatten() {
            let record = record?;
            let Some((lease, verb)) = verbs.get_mut(&record.offset) else {
                continue;
            };
            let value = String::from_utf8_lossy(record.value.unwrap_or_default());
            let Lease {
                place, delivery_count, ..
            } = lease;
            println!(
                "{}-{} @{} (delivery {delivery_count}): {value}",
                acquisition.topic, place.partition, record.offset
            );
            let is_tenth = record.offset % 10 == 9 && *delivery_count == 1;
            *verb = if is_tenth { Verb::Release } else { Verb::Accept };
        }
    }
    Ok(verbs.into_values().collect())
}
