//! Many runs, over the cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Coverage, Failure, Options, run};

/// What many runs came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Runs that kept every promise.
    pub runs: u64,
    /// Equal for equal seeds, in whatever order they ran.
    pub hash: u64,
    /// What was exercised.
    pub seen: Coverage,
    /// The first few that broke a promise, by seed.
    pub failures: Vec<Failure>,
}

/// Failures after which no more runs begin: what one shows may be another's cause too. A planted bug is caught with the first.
const FAILURES: usize = 5;

/// Does a run for each seed, as many at once as there are cores. Every second one is a swarm run if `options` says so.
pub fn many(seeds: std::ops::Range<u64>, options: Options) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    let enough = if options.plant.is_some() { 1 } else { FAILURES };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let full = || lock(&summary).failures.len() >= enough;
            if seed >= seeds.end || full() {
                return;
            }
            let swarm = options.swarm && seed % 2 == 1;
            let result = run(Options { seed, swarm, ..options });
            let mut summary = lock(&summary);
            match result {
                Ok(report) => {
                    summary.runs += 1;
                    summary.hash ^= report.hash.rotate_left((seed % 64) as u32);
                    summary.seen.add(&report.seen);
                }
                Err(failure) => summary.failures.push(failure),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Seeds begin in their order, so that these are the same however many ran at once.
    summary.failures.sort_by_key(|failure| failure.options.seed);
    summary.failures.truncate(enough);
    summary
}

fn lock(summary: &Mutex<Summary>) -> std::sync::MutexGuard<'_, Summary> {
    summary.lock().unwrap_or_else(PoisonError::into_inner)
}
