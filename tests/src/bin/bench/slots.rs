//! Concurrency beyond partitions: a handler that sleeps 5 ms, and one that does not wait at all, on so many slots and partitions as
//! the benchmark's name says.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use share_engine::record::NewRecord;
use sharemill::handler::InstanceMode;

use crate::host::{Handler, Running};
use crate::machine;
use crate::report::Sample;
use crate::rig::{Meter, Rig, produce_all, record};

/// The middle half of a backlog, so that neither the opening of the slots nor the last calls count.
pub(crate) fn sleeping(rig: &Rig, name: &str) -> Result<Sample> {
    let (slots, partitions) = numbers(name)?;
    // At least a second and a half of it.
    let count = (u64::from(slots) * 600).div_ceil(400) * 400;
    let mut sample = middle(rig, "sleeper", slots, partitions, count, nap)?;
    let each = sample.rate().unwrap_or(0.0) / f64::from(slots);
    sample.more.insert("records/s a slot", each);
    sample.more.insert("part of 200 a slot", each / 200.0);
    Ok(sample)
}

/// The same with the guest that accepts at once.
pub(crate) fn waking(rig: &Rig, name: &str) -> Result<Sample> {
    let (slots, partitions) = numbers(name)?;
    middle(rig, "bench-accept", slots, partitions, rig.count(400_000), record)
}

fn numbers(name: &str) -> Result<(u32, u32)> {
    let numbers = name.rsplit_once('-').and_then(|(_, numbers)| numbers.split_once('x'));
    let (slots, partitions) = numbers.context("not the name of a benchmark of slots")?;
    Ok((slots.parse()?, partitions.parse()?))
}

fn middle(
    rig: &Rig,
    guest: &'static str,
    slots: u32,
    partitions: u32,
    count: u64,
    make: fn(u64) -> NewRecord,
) -> Result<Sample> {
    let data = rig.bench(partitions)?;
    rig.runtime.block_on(async {
        produce_all(&data.engine, count, 4, 25, make).await?;
        let running = Running::start(rig, &data.engine, Handler::Guest(guest, InstanceMode::Reuse), slots).await?;
        running.watch.settled(count / 4).await;
        let began = machine::now();
        let meter = Meter::start();
        running.watch.settled(count / 4 * 3).await;
        let mut sample = meter.sample(count / 2, data.control);
        sample.took = machine::now() - began;
        running.watch.settled(count).await;
        running.stop().await;
        data.close().await?;
        Ok(sample)
    })
}

fn nap(_: u64) -> NewRecord {
    NewRecord {
        key: None,
        value: Some(Bytes::from_static(b"5")),
        headers: Vec::new(),
        timestamp: None,
    }
}
