//! Many sequences, several at once on one broker, and a broker for each pair of limits.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use kafka_cluster::Cluster;
use share_engine::testing::plant::{self, Plant};

use super::report::{Failure, Tally};
use super::{LOCK, Limits, limits, script, sequence};

/// What a run is told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Operations of a sequence, before everything is fetched and accepted.
    pub steps: u64,
    /// Sequences at once.
    pub at_once: usize,
    /// Tell every step on standard error.
    pub verbose: bool,
    /// A bug to plant on our side. It stays planted until another one is.
    pub plant: Option<Plant>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps: 60,
            at_once: 12,
            verbose: false,
            plant: None,
        }
    }
}

/// What many sequences came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Sequences in which nothing differed that was not meant to.
    pub sequences: u64,
    /// What was done and compared.
    pub tally: Tally,
    /// The first few in which something differed, by seed.
    pub failures: Vec<Failure>,
}

/// What both sides said to operations that are written down.
#[derive(Debug)]
pub struct Replayed {
    /// Step by step; a line with `DIFFERS` tells of a difference that is not meant.
    pub told: String,
    /// What was done and compared.
    pub tally: Tally,
}

/// Failures after which no more sequences begin. A planted bug is caught with the first.
const FAILURES: usize = 5;

/// The brokers that run so far, one for each pair of limits. They end with it.
#[derive(Debug, Default)]
pub struct Brokers {
    running: BTreeMap<Limits, Cluster>,
    /// Topics and groups of one broker have different names.
    runs: u64,
}

impl Brokers {
    /// Does a sequence for each seed.
    ///
    /// # Errors
    /// A broker does not start.
    pub fn many(
        &mut self,
        seeds: impl IntoIterator<Item = u64>,
        options: Options,
    ) -> Result<Summary, kafka_cluster::Error> {
        if let Some(plant) = options.plant {
            plant::arm(plant);
        }
        let mut seeds: Vec<(Limits, u64)> = seeds.into_iter().map(|seed| (limits(seed), seed)).collect();
        seeds.sort_unstable();
        let mut summary = Summary::default();
        for alike in seeds.chunk_by(|(one, _), (other, _)| one == other) {
            let seeds: Vec<u64> = alike.iter().map(|(_, seed)| *seed).collect();
            if summary.failures.len() < enough(options) {
                let (address, run) = self.of(alike[0].0)?;
                summary = on_one_broker(&address, &format!("run-{run}"), &seeds, options, summary);
            }
        }
        summary.failures.sort_by_key(|failure| failure.seed);
        Ok(summary)
    }

    /// Does operations that are written down, with these limits of deliveries and of offsets in flight.
    ///
    /// # Errors
    /// The text is not understood, or the broker does not do its part.
    pub fn replay(&mut self, text: &str, deliveries: u16, window: u32) -> anyhow::Result<Replayed> {
        let operations = script::parse(text)?;
        let limits = Limits { deliveries, window };
        let (address, run) = self.of(limits)?;
        let (told, tally) = sequence::tell(&operations, limits, &address, &format!("script-{run}"))?;
        Ok(Replayed { told, tally })
    }

    /// A broker with these limits, and the number of this run.
    fn of(&mut self, limits: Limits) -> Result<(String, u64), kafka_cluster::Error> {
        self.runs += 1;
        if let Some(cluster) = self.running.get(&limits) {
            return Ok((cluster.bootstrap(), self.runs));
        }
        let lock = LOCK.as_millis().to_string();
        let options = kafka_cluster::Options::default()
            .set("group.share.min.record.lock.duration.ms", &lock)
            .set("group.share.record.lock.duration.ms", &lock)
            .set("group.share.delivery.count.limit", &limits.deliveries.to_string())
            .set("group.share.partition.max.record.locks", &limits.window.to_string());
        let cluster = Cluster::start(options)?;
        let address = cluster.bootstrap();
        self.running.insert(limits, cluster);
        Ok((address, self.runs))
    }
}

fn enough(options: Options) -> usize {
    if options.plant.is_some() { 1 } else { FAILURES }
}

fn on_one_broker(address: &str, name: &str, seeds: &[u64], options: Options, summary: Summary) -> Summary {
    let next = AtomicUsize::new(0);
    let shared = Mutex::new(summary);
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            if lock().failures.len() >= enough(options) {
                return;
            }
            let run = || sequence::run(*seed, options.steps, address, name, options.verbose);
            let panicked = |_| {
                Err(Failure {
                    seed: *seed,
                    steps: options.steps,
                    what: "our side panicked".to_owned(),
                })
            };
            // A bug may trip the share partition's own assertions.
            match catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked) {
                Ok(tally) => {
                    let mut summary = lock();
                    summary.sequences += 1;
                    summary.tally.add(&tally);
                }
                Err(failure) => lock().failures.push(failure),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.at_once.clamp(1, seeds.len().max(1)) {
            scope.spawn(work);
        }
    });
    shared.into_inner().unwrap_or_else(PoisonError::into_inner)
}
