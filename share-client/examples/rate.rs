//! How many records a second one member acquires, parses and accepts one by one, and what that costs this process:
//! `cargo run --release -p share-client --example rate -- localhost:9092 GROUP TOPIC RECORDS [CREDIT [OUTSTANDING]]`.
//!
//! The topic has to hold the records, and the group to begin with the first of them (share.auto.offset.reset=earliest). Each call asks
//! for CREDIT records (500), and so many batches are settled while the next ones are fetched (2). Counted from the first record on.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a measuring program"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::time::Instant;

use share_client::config::ClientConfig;
use share_client::consumer::{Acquisition, Credit, JoinOptions, Lease, Outcome, ShareConsumer, Verb};
use share_wire::records::{PLAIN_MAX, RecordsError, batches};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [servers, group, topic, wanted, rest @ ..] = &arguments[..] else {
        return Err("usage: rate BOOTSTRAP-SERVERS GROUP TOPIC RECORDS [CREDIT [OUTSTANDING]]".into());
    };
    let wanted: usize = wanted.parse()?;
    let records: u32 = rest.first().map_or(Ok(500), |credit| credit.parse())?;
    let outstanding: usize = rest.get(1).map_or(Ok(2), |outstanding| outstanding.parse())?;
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), servers.clone())]);
    let config = ClientConfig::new(&properties)?;
    let consumer = ShareConsumer::join(&config, JoinOptions::new(group, &[topic])).await?;
    let credit = Credit {
        records,
        bytes: 50 << 20,
    };
    let (mut settling, mut accepted, mut taken, mut bytes) = (JoinSet::new(), 0, 0, 0);
    let mut start = None;
    while accepted < wanted {
        while taken < wanted && settling.len() < outstanding {
            let acquisitions = consumer.acquire(credit).await?;
            start.get_or_insert_with(|| (Instant::now(), cpu_seconds()));
            let mut verbs = Vec::new();
            for acquisition in &acquisitions {
                bytes += parse(acquisition, &mut verbs)?;
            }
            taken += verbs.len();
            settling.spawn(settle(consumer.clone(), verbs));
        }
        if let Some(applied) = settling.join_next().await {
            accepted += applied?;
        }
    }
    if let Some((start, cpu)) = start {
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let requests: u64 = consumer.snapshot().brokers.iter().map(|broker| broker.answered).sum();
        println!(
            "credit {records}, {outstanding} batches outstanding: {accepted} records ({bytes} bytes) in {seconds:.2} s = {:.0}/s, \
             {:.2} s of this process a million, {requests} requests",
            accepted as f64 / seconds,
            cpu / accepted as f64 * 1e6
        );
    }
    consumer.close().await;
    Ok(())
}

async fn settle(consumer: ShareConsumer, verbs: Vec<(Lease, Verb)>) -> usize {
    let outcomes = consumer.settle(verbs).await;
    outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count()
}

/// Looks at each record that was acquired. Returns how long their values are.
fn parse(acquisition: &Acquisition, verbs: &mut Vec<(Lease, Verb)>) -> Result<usize, RecordsError> {
    let mut leases = acquisition.leases().peekable();
    let mut bytes = 0;
    for batch in batches(acquisition.records.clone()) {
        let plain = batch?.plain(PLAIN_MAX)?;
        for record in plain.records() {
            let record = record?;
            while let Some(gap) = leases.next_if(|lease| lease.offset < record.offset) {
                verbs.push((gap, Verb::Gap));
            }
            if let Some(lease) = leases.next_if(|lease| lease.offset == record.offset) {
                bytes += record.value.map_or(0, <[u8]>::len);
                verbs.push((lease, Verb::Accept));
            }
        }
    }
    verbs.extend(leases.map(|gap| (gap, Verb::Gap)));
    Ok(bytes)
}

/// Of this process, user and system, in hundredths as Linux counts them.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() as f64 / 100.0
}
