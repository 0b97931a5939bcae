//! Concurrency beyond partitions: a handler that sleeps 20 ms, on so many slots and partitions as the benchmark's name says.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use share_engine::record::NewRecord;
use sharemill::handler::InstanceMode;

use crate::host::{Handler, Running};
use crate::machine;
use crate::report::Sample;
use crate::rig::{Meter, Rig, produce_all};

/// The middle half of a backlog, so that neither the opening of the slots nor the last calls count.
pub(crate) fn run(rig: &Rig, name: &str) -> Result<Sample> {
    let numbers = name.strip_prefix("slots-").and_then(|rest| rest.split_once('x'));
    let (slots, partitions) = numbers.context("not the name of a benchmark of slots")?;
    let (slots, partitions): (u32, u32) = (slots.parse()?, partitions.parse()?);
    let data = rig.bench(partitions)?;
    let best = f64::from(slots) * 50.0;
    let count = (u64::from(slots) * 200).div_ceil(400) * 400;
    rig.runtime.block_on(async {
        produce_all(&data.engine, count, 4, 25, nap).await?;
        let running = Running::start(rig, &data.engine, Handler::Guest("sleeper", InstanceMode::Reuse), slots).await?;
        running.watch.settled(count / 4).await;
        let began = machine::now();
        let meter = Meter::start();
        running.watch.settled(count / 4 * 3).await;
        let mut sample = meter.sample(count / 2, data.control);
        sample.took = machine::now().saturating_sub(began);
        sample.linear = Some((count / 2) as f64 / sample.took.as_secs_f64() / best);
        running.watch.settled(count).await;
        running.stop().await;
        data.close().await?;
        Ok(sample)
    })
}

fn nap(_: u64) -> NewRecord {
    NewRecord {
        key: None,
        value: Some(Bytes::from_static(b"20")),
        headers: Vec::new(),
        timestamp: None,
    }
}
