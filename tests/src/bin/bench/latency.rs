//! How long one record takes: to be durable, and to be handled and durably acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sharemill::handler::InstanceMode;
use sharemill::supervisor::DeploymentSpec;

use crate::host::{Handler, Running};
use crate::machine;
use crate::report::{Sample, Spread};
use crate::rig::{Meter, Rig, TOPIC, produce, record};

/// One producer with one record outstanding.
pub(crate) fn produce_one(rig: &Rig, _: &str) -> Result<Sample> {
    let data = rig.bench(1)?;
    let count = rig.count(2_000);
    rig.runtime.block_on(async {
        let meter = Meter::start();
        let mut times = Vec::new();
        for number in 0..count {
            let began = machine::now();
            produce(&data.engine, number, 1, record).await?;
            times.push(machine::now() - began);
        }
        let mut sample = meter.sample(count, data.control);
        sample.latency = Some(Spread::of(times));
        data.close().await?;
        Ok(sample)
    })
}

/// From the call of `produce` to the durable acknowledgement of the record by `bench-accept`.
pub(crate) fn produce_to_acknowledgement(rig: &Rig, _: &str) -> Result<Sample> {
    let data = rig.bench(1)?;
    let count = rig.count(800);
    rig.runtime.block_on(async {
        let handler = Handler::Guest("bench-accept", InstanceMode::Reuse);
        let running = Running::start(rig, &data.engine, handler, DeploymentSpec::CONCURRENCY).await?;
        for number in 0..WARM {
            produce(&data.engine, number, 1, record).await?;
        }
        running.watch.settled(WARM).await;
        running.watch.keep_times();
        let meter = Meter::start();
        let mut ticks = tokio::time::interval(INTERVAL);
        let mut produced = tokio::task::JoinSet::new();
        for number in 0..count {
            ticks.tick().await;
            let engine = data.engine.clone();
            produced.spawn(async move {
                let began = machine::now();
                let mut results = engine.produce(TOPIC, None, vec![record(number)]).await;
                let receipt = results.pop().context("no result")??;
                anyhow::Ok((receipt.offset.get(), began))
            });
        }
        let mut began = BTreeMap::new();
        while let Some(done) = produced.join_next().await {
            began.extend([done??]);
        }
        running.watch.settled(WARM + count).await;
        let mut sample = meter.sample(count, data.control);
        let ended = running.watch.take_times();
        let took = ended
            .iter()
            .filter_map(|(offset, at)| began.get(offset).map(|from| *at - *from));
        sample.latency = Some(Spread::of(took.collect()));
        running.stop().await;
        data.close().await?;
        Ok(sample)
    })
}

/// Between two records.
pub(crate) const INTERVAL: Duration = Duration::from_millis(5);
/// Records before the measured ones.
pub(crate) const WARM: u64 = 100;
