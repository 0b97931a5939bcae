//! What benchmarks run on: a fresh data directory with its topics and groups, a runtime, the Wasm engine, records.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use share_engine::config::{EngineConfig, GroupConfig, Retention, TopicConfig};
use share_engine::engine::Engine;
use share_engine::error::ProduceError;
use share_engine::record::NewRecord;
use sharemill::handler::{HostEngine, HostEngineConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::machine;
use crate::report::{Figures, Sample, Spread};

/// As many as the peer appends: more than memory keeps, so that they are drained meanwhile.
pub(crate) const PRODUCED: u64 = 1_200_000;
/// As many as the peer reads and acknowledges.
pub(crate) const SETTLED: u64 = 400_000;

/// Shared by all benchmarks of a run.
pub(crate) struct Rig {
    pub(crate) runtime: Runtime,
    pub(crate) wasm: HostEngine,
    pub(crate) guests: PathBuf,
    pub(crate) sharemill: PathBuf,
    pub(crate) scratch: PathBuf,
    /// Programs of others that are measured beside ours, if there are any.
    #[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "all of them use Kafka"))]
    pub(crate) peers: Option<PathBuf>,
    scale: f64,
}

impl Rig {
    pub(crate) fn new(scratch: &Path, guests: &Path, sharemill: &Path, scale: f64) -> Result<Self> {
        // As the program itself does.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let wasm = HostEngine::new(&HostEngineConfig {
            cache_dir: Some(scratch.join("cache")),
            ..HostEngineConfig::default()
        })?;
        Ok(Self {
            runtime,
            wasm,
            guests: guests.to_owned(),
            sharemill: sharemill.to_owned(),
            scratch: scratch.to_owned(),
            peers: None,
            scale,
        })
    }

    /// The path of a peer's program.
    #[cfg(feature = "kafka")]
    pub(crate) fn peer(&self, name: &str) -> Result<String> {
        let folder = self.peers.as_ref().context("--peers names no folder")?;
        Ok(folder.join(name).display().to_string())
    }

    /// So many records as `--scale` makes of `count`; a multiple of 400.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number of records"
    )]
    pub(crate) fn count(&self, count: u64) -> u64 {
        (count as f64 * self.scale / 400.0).ceil() as u64 * 400
    }

    /// A fresh engine with one topic, `jobs`, and one group, `work`, on it.
    pub(crate) fn bench(&self, partitions: u32) -> Result<Data> {
        let control = machine::control(&self.scratch)?;
        let directory = TempDir::new_in(&self.scratch)?;
        let (engine, _) = Engine::open(directory.path(), EngineConfig::default())?;
        self.runtime.block_on(async {
            engine.create_topic(TOPIC, queue(partitions)).await?;
            engine.create_group(GROUP, GroupConfig::default()).await?;
            engine.subscribe(GROUP, TOPIC).await
        })?;
        Ok(Data {
            engine,
            control,
            _directory: directory,
        })
    }
}

/// An engine in a directory of its own.
pub(crate) struct Data {
    pub(crate) engine: Engine,
    pub(crate) control: Spread,
    _directory: TempDir,
}

impl Data {
    /// Closes the engine; the directory goes with it.
    pub(crate) async fn close(self) -> Result<()> {
        self.engine.close().await.map_err(|fenced| anyhow!(fenced.reason))
    }
}

/// Wall and processor time from here on.
pub(crate) struct Meter {
    began: Duration,
    cpu: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self {
            began: machine::now(),
            cpu: machine::cpu(),
        }
    }

    /// The figures of a run that ends now.
    pub(crate) fn sample(&self, records: u64, control: Spread) -> Sample {
        Sample {
            records,
            took: machine::now() - self.began,
            cpu: Some(machine::cpu() - self.cpu),
            latency: None,
            more: Figures::new(),
            control,
        }
    }
}

/// A topic whose records go when its groups have finished with them.
pub(crate) fn queue(partitions: u32) -> TopicConfig {
    TopicConfig {
        partitions,
        retention: Retention::Queue,
        ..TopicConfig::default()
    }
}

/// A key of 14 bytes, a value of 200, no headers.
pub(crate) fn record(number: u64) -> NewRecord {
    NewRecord {
        key: Some(Bytes::from(format!("job-{number:010}"))),
        value: Some(Bytes::from_static(&[b'x'; 200])),
        headers: Vec::new(),
        timestamp: None,
    }
}

/// Produces records `first..first + count` made by `make` in one call, again while the journal is full.
pub(crate) async fn produce(engine: &Engine, first: u64, count: u64, make: fn(u64) -> NewRecord) -> Result<()> {
    loop {
        let records = (first..first + count).map(make).collect();
        let results = engine.produce(TOPIC, None, records).await;
        match results.into_iter().find_map(Result::err) {
            None => return Ok(()),
            Some(ProduceError::JournalFull { .. }) if count == 1 => tokio::time::sleep(FULL).await,
            // Keyed records of one call may lie in several batches: a second try would double some of them.
            Some(error) => return Err(error).context("produce"),
        }
    }
}

/// Produces `count` records by `callers` tasks, `batch` records a call.
pub(crate) async fn produce_all(
    engine: &Engine,
    count: u64,
    callers: u64,
    batch: u64,
    make: fn(u64) -> NewRecord,
) -> Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    let share = count / callers;
    for caller in 0..callers {
        let engine = engine.clone();
        tasks.spawn(async move {
            let mut next = caller * share;
            let end = next + share;
            while next < end {
                let size = batch.min(end - next);
                produce(&engine, next, size, make).await?;
                next += size;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Where the guest of this name is.
pub(crate) fn component(rig: &Rig, name: &str) -> Arc<Path> {
    Arc::from(rig.guests.join(format!("{name}.wasm")))
}

pub(crate) const TOPIC: &str = "jobs";
pub(crate) const GROUP: &str = "work";
/// Between tries while the journal is full.
const FULL: Duration = Duration::from_millis(1);
