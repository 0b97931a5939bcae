//! The engine alone: durable produce, durable acquisition and acknowledgement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use share_engine::engine::{Member, Outcome, Settlement};
use share_engine::error::SettleResult;
use share_engine::share::AcquireMode;

use crate::report::Sample;
use crate::rig::{GROUP, Meter, PRODUCED, Rig, SETTLED, TOPIC, produce_all, record};

pub(crate) fn produce_batches(rig: &Rig, _: &str) -> Result<Sample> {
    produce(rig, rig.count(PRODUCED), 4, 100)
}

pub(crate) fn produce_singles(rig: &Rig, _: &str) -> Result<Sample> {
    produce(rig, rig.count(200_000), 400, 1)
}

fn produce(rig: &Rig, count: u64, callers: u64, batch: u64) -> Result<Sample> {
    let data = rig.bench(1)?;
    rig.runtime.block_on(async {
        // A young journal grows, and memory that was never used has to be found first: that is over after as many.
        produce_all(&data.engine, count, callers, batch, record).await?;
        let before = data.engine.stats().drains;
        let meter = Meter::start();
        produce_all(&data.engine, count, callers, batch, record).await?;
        let mut sample = meter.sample(count, data.control);
        sample
            .more
            .insert("drains", (data.engine.stats().drains - before) as f64);
        data.close().await?;
        Ok(sample)
    })
}

pub(crate) fn settle_batches(rig: &Rig, _: &str) -> Result<Sample> {
    settle(rig, rig.count(SETTLED), 4, 100)
}

pub(crate) fn settle_singles(rig: &Rig, _: &str) -> Result<Sample> {
    settle(rig, rig.count(200_000), 400, 1)
}

fn settle(rig: &Rig, count: u64, callers: u64, batch: u64) -> Result<Sample> {
    let data = rig.bench(1)?;
    rig.runtime.block_on(async {
        produce_all(&data.engine, count, callers, batch, record).await?;
        let left = Arc::new(AtomicU64::new(count));
        let mut workers = tokio::task::JoinSet::new();
        let mut members = Vec::new();
        for _ in 0..4 {
            members.push(data.engine.join(GROUP, &[TOPIC]).await?);
        }
        let meter = Meter::start();
        for member in members {
            workers.spawn(work(member, left.clone()));
        }
        // Whoever settles the last record ends; the others wait for more.
        while let Some(ended) = workers.join_next().await {
            ended??;
            if left.load(Ordering::Relaxed) == 0 {
                break;
            }
        }
        let sample = meter.sample(count, data.control);
        workers.shutdown().await;
        data.close().await?;
        Ok(sample)
    })
}

async fn work(member: Member, left: Arc<AtomicU64>) -> Result<()> {
    loop {
        let deliveries = member.acquire(100, 1 << 20, AcquireMode::RecordLimit).await?;
        let settlements: Vec<Settlement> = deliveries
            .iter()
            .map(|delivery| Settlement {
                lease: delivery.lease,
                outcome: Outcome::Accept { emit: Vec::new() },
                evidence: None,
            })
            .collect();
        for delivery in &deliveries {
            std::hint::black_box(delivery.record()?.value);
        }
        let count = settlements.len() as u64;
        let results = member.settle(settlements).await;
        ensure!(
            results.iter().all(|result| *result == SettleResult::Applied),
            "a settlement was not applied"
        );
        if left.fetch_sub(count, Ordering::Relaxed) == count {
            return Ok(());
        }
    }
}
