//! What is left of the throughput while four processes take all the processor time they get.

use anyhow::{Context as _, Result};

use crate::child::Helper;
use crate::engine;
#[cfg(feature = "redis")]
use crate::redis;
use crate::report::Sample;
use crate::rig::Rig;

pub(crate) fn produce(rig: &Rig, name: &str) -> Result<Sample> {
    kept(|| engine::produce_batches(rig, name))
}

pub(crate) fn settle(rig: &Rig, name: &str) -> Result<Sample> {
    kept(|| engine::settle_batches(rig, name))
}

#[cfg(feature = "redis")]
pub(crate) fn redis_append(rig: &Rig) -> Result<Sample> {
    kept(|| redis::append(rig))
}

#[cfg(feature = "redis")]
pub(crate) fn redis_read(rig: &Rig) -> Result<Sample> {
    kept(|| redis::read_and_acknowledge(rig))
}

/// Undisturbed, then disturbed; the figures are those of the second.
fn kept(run: impl Fn() -> Result<Sample>) -> Result<Sample> {
    let alone = run()?.rate().context("no rate")?;
    let others = (0..SPINNERS).map(|_| Helper::spin()).collect::<Result<Vec<_>>>()?;
    let mut sample = run()?;
    drop(others);
    let disturbed = sample.rate().context("no rate")?;
    sample
        .more
        .extend([("kept", disturbed / alone), ("undisturbed", alone)]);
    Ok(sample)
}

const SPINNERS: usize = 4;
