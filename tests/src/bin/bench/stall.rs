//! How long a producer waits at half of the load that the engine takes, while segments roll, drains and snapshots are written and the
//! ring grows. Beside it the disk's own stalls, from a file that has nothing to do with the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use share_engine::engine::Engine;
use share_engine::error::ProduceError;
use tokio::task::JoinSet;

use crate::machine::{self, Beside, Interval};
use crate::report::{Sample, Spread};
use crate::rig::{Meter, Rig, TOPIC, record};

/// Nothing is consumed: every record is drained, and segments of 64 MiB roll all the time.
pub(crate) fn half_load(rig: &Rig, _: &str) -> Result<Sample> {
    let data = rig.bench(1)?;
    let seconds = Duration::from_secs(rig.count(800) / 100);
    rig.runtime.block_on(async {
        let most = at_most(&data.engine, MAXIMUM).await?;
        let before = data.engine.stats();
        data.engine.take_syncs();
        let beside = Beside::start(&rig.scratch)?;
        let meter = Meter::start();
        let calls = at_rate(&data.engine, most / 2.0, seconds).await?;
        let mut sample = meter.sample(calls.len() as u64 * BATCH, data.control);
        let others = beside.end()?;
        let after = data.engine.stats();
        let longest = |calls: &[Interval]| {
            calls
                .iter()
                .map(|(began, ended)| *ended - *began)
                .max()
                .unwrap_or_default()
        };
        let ours = calls
            .iter()
            .map(|call| machine::alone(*call, &others, LONG))
            .max()
            .unwrap_or_default();
        let syncs = data.engine.take_syncs().into_iter().max().unwrap_or_default();
        let beside = Spread::of(others.iter().map(|(began, ended)| *ended - *began).collect());
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        sample.more.extend([
            ("most records/s", most),
            ("drains", (after.drains - before.drains) as f64),
            ("ring MiB", (after.journal_capacity >> 20) as f64),
            (
                "p99 ms",
                millis(Spread::of(calls.iter().map(|(began, ended)| *ended - *began).collect()).p99),
            ),
            ("longest ms", millis(longest(&calls))),
            ("longest less the disk's own, ms", millis(ours)),
            ("longest sync of ours, ms", millis(syncs)),
            ("longest of the control, ms", millis(beside.longest)),
            ("p99 of the control, ms", millis(beside.p99)),
        ]);
        sample.latency = Some(Spread::of(calls.iter().map(|(began, ended)| *ended - *began).collect()));
        ensure!(after.drain_failures == 0, "a drain failed: {:?}", after.last_failure);
        data.close().await?;
        Ok(sample)
    })
}

/// What four callers with a batch of 100 each get done, in records a second.
async fn at_most(engine: &Engine, length: Duration) -> Result<f64> {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    let began = machine::now();
    for _ in 0..4 {
        let (engine, stop, done) = (engine.clone(), Arc::clone(&stop), Arc::clone(&done));
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                call(&engine).await?;
                done.fetch_add(BATCH, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / (machine::now() - began).as_secs_f64())
}

/// Begins calls at a rate, whether those before have ended or not; when each began and ended.
async fn at_rate(engine: &Engine, records: f64, length: Duration) -> Result<Vec<Interval>> {
    let mut calls = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut all = Vec::new();
    let began = machine::now();
    let mut due = 0.0;
    let mut begun = 0.0;
    while machine::now() - began < length {
        ticks.tick().await;
        while begun < due {
            begun += 1.0;
            let engine = engine.clone();
            calls.spawn(async move {
                let began = machine::now();
                call(&engine).await?;
                anyhow::Ok((began, machine::now()))
            });
        }
        due = (machine::now() - began).as_secs_f64() * records / BATCH as f64;
        while let Some(done) = calls.try_join_next() {
            all.push(done??);
        }
    }
    while let Some(done) = calls.join_next().await {
        all.push(done??);
    }
    Ok(all)
}

/// A batch of 100; while the journal is full, again and again.
async fn call(engine: &Engine) -> Result<()> {
    loop {
        let results = engine.produce(TOPIC, Some(0), (0..BATCH).map(record).collect()).await;
        match results.into_iter().find_map(Result::err) {
            None => return Ok(()),
            Some(ProduceError::JournalFull { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            Some(error) => return Err(error).context("produce"),
        }
    }
}

const BATCH: u64 = 100;
/// For which the most is measured.
const MAXIMUM: Duration = Duration::from_secs(4);
/// Shorter calls of the control are the disk as it always is.
const LONG: Duration = Duration::from_millis(2);
