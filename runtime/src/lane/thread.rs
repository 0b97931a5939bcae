//! The threads: one per lane, each with a current-thread runtime that runs stations. A lane shows progress by ticking; a thread that is
//! wedged is left behind at the end, not waited for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use super::foreman;
use super::shared::{DeploymentShared, LANE_SILENCE, StationShared};
use super::slot::Staff;
use super::station::Station;
use crate::dispatch::Fair;
use crate::source::Source;
use crate::supervisor::HostContext;

/// Why lanes could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The operating system refused.
    #[error("cannot start lane {lane}: {source}")]
    Thread {
        /// Which.
        lane: usize,
        /// Why.
        source: std::io::Error,
    },
}

/// All lanes of the process.
pub(crate) struct LanePool {
    lanes: Vec<Lane>,
    threads: Vec<JoinHandle<()>>,
}

/// One lane, from outside.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) tick: Arc<AtomicU64>,
    plans: mpsc::UnboundedSender<StationPlan>,
}

/// A deployment comes to a lane.
pub(crate) struct StationPlan {
    pub(crate) deployment: Arc<DeploymentShared>,
    pub(crate) shared: Arc<StationShared>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) staff: Arc<dyn Staff>,
}

impl LanePool {
    /// Starts `count` threads.
    pub(crate) fn start(count: usize, context: &HostContext) -> Result<Self, LaneError> {
        let mut pool = Self {
            lanes: Vec::new(),
            threads: Vec::new(),
        };
        for number in 0..count {
            let (lane, body) = Lane::new(number, context.clone());
            let failed = |source| LaneError::Thread { lane: number, source };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(failed)?;
            let thread = std::thread::Builder::new()
                .name(format!("lane-{number}"))
                .spawn(move || LocalSet::new().block_on(&runtime, body()))
                .map_err(failed)?;
            pool.lanes.push(lane);
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Lanes that run on the caller's `LocalSet`: for tests under a paused clock.
    #[cfg(test)]
    pub(crate) fn local(count: usize, context: &HostContext) -> Self {
        let lanes = (0..count)
            .map(|number| {
                let (lane, body) = Lane::new(number, context.clone());
                tokio::task::spawn_local(body());
                lane
            })
            .collect();
        Self {
            lanes,
            threads: Vec::new(),
        }
    }

    /// As [`LanePool::local`], but the last lane never does anything.
    #[cfg(test)]
    pub(crate) fn local_with_dead_lane(count: usize, context: &HostContext) -> Self {
        let mut pool = Self::local(count - 1, context);
        let (lane, body) = Lane::new(count - 1, context.clone());
        std::mem::forget(body);
        pool.lanes.push(lane);
        pool
    }

    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Ends the threads that have nothing left to do. How many are wedged and were left behind.
    pub(crate) async fn join(self, context: &HostContext) -> usize {
        drop(self.lanes);
        let mut patience = LANE_SILENCE;
        let mut left = self.threads;
        let begun = context.clock.now().monotonic;
        while !left.is_empty() && !patience.is_zero() {
            let (done, running): (Vec<_>, Vec<_>) = left.into_iter().partition(JoinHandle::is_finished);
            for thread in done {
                if thread.join().is_err() {
                    tracing::error!("a lane panicked");
                }
            }
            left = running;
            if !left.is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            patience = LANE_SILENCE.saturating_sub(context.clock.now().monotonic.since(begun));
        }
        left.len()
    }
}

impl Lane {
    /// The handle, and what its thread is to run.
    fn new(
        number: usize,
        context: HostContext,
    ) -> (Self, impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = ()>>>) {
        let (plans, incoming) = mpsc::unbounded_channel();
        let tick = Arc::new(AtomicU64::new(context.clock.now().monotonic.as_nanos()));
        let lane = Self {
            tick: tick.clone(),
            plans,
        };
        let body =
            move || -> std::pin::Pin<Box<dyn Future<Output = ()>>> { Box::pin(run(number, context, tick, incoming)) };
        (lane, body)
    }

    /// Opens a station. False if the lane is gone.
    pub(crate) fn open(&self, plan: StationPlan) -> bool {
        self.plans.send(plan).is_ok()
    }
}

/// The body of a lane: until nobody can send plans and every station has ended.
async fn run(
    number: usize,
    context: HostContext,
    tick: Arc<AtomicU64>,
    mut plans: mpsc::UnboundedReceiver<StationPlan>,
) {
    let fair = Rc::new(RefCell::new(Fair::default()));
    // The lane in the upper bits: no id is given twice in one process.
    let next_id = Rc::new(Cell::new(((number as u64) << 48) + 1));
    let mut stations: JoinSet<()> = JoinSet::new();
    let mut open = true;
    while open || !stations.is_empty() {
        tick.store(context.clock.now().monotonic.as_nanos(), Ordering::Release);
        tokio::select! {
            plan = plans.recv(), if open => match plan {
                Some(plan) => {
                    let module = plan.staff.module_digest();
                    let station = Station::new(
                        plan.deployment,
                        plan.shared,
                        plan.source,
                        context.clone(),
                        module,
                        fair.clone(),
                        next_id.clone(),
                    );
                    stations.spawn_local(foreman::run(station, plan.staff));
                }
                None => open = false,
            },
            Some(ended) = stations.join_next(), if !stations.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(lane = number, %error, "a station failed");
                }
            }
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Well below [`LANE_SILENCE`].
const TICK: Duration = Duration::from_millis(200);
