//! The running host: its lanes and its deployments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::{DeploymentSpec, HostContext};
use crate::dispatch::{Dispatcher, DispatcherParts};
use crate::lane::{DeploymentShared, LaneError, LanePool, Staff, Stage, StationPlan, StationShared, WorkerFactory};
use crate::metrics::{DeploymentMetrics, Totals};
use crate::source::{Backlog, Source, SourceError};

/// How to run deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostOptions {
    /// Threads that run handlers; 0: one per core.
    pub lanes: usize,
    /// What runs at the end gets so long to finish.
    pub drain_timeout: Duration,
}

impl Default for HostOptions {
    /// One lane per core, 30 s.
    fn default() -> Self {
        Self {
            lanes: 0,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Why a deployment was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// Two of one name.
    #[error("deployment {0:?} is running already")]
    Duplicate(Arc<str>),
    /// The same records would be worked on twice.
    #[error("deployments {first:?} and {second:?} work on topic {topic:?} in the same group {group:?}")]
    SameGroup {
        /// Running already.
        first: Arc<str>,
        /// Refused.
        second: Arc<str>,
        /// Of both.
        group: Arc<str>,
        /// Of both.
        topic: Arc<str>,
    },
    /// A lane has ended, which it never does by itself.
    #[error("lane {0} is gone")]
    LaneGone(usize),
}

/// Lanes and deployments. Dropped without [`Host::shutdown`] it cancels everything; leases then run out by themselves.
pub struct Host {
    options: HostOptions,
    context: HostContext,
    lanes: LanePool,
    dispatchers: JoinSet<()>,
    /// Look at what is parked; have no part in the work.
    observers: JoinSet<()>,
    stage: watch::Sender<Stage>,
    deployments: Vec<DeploymentHandle>,
}

/// One running deployment. Clones are the same deployment.
#[derive(Clone)]
pub struct DeploymentHandle {
    shared: Arc<DeploymentShared>,
    source: Arc<dyn Source>,
    paused: Arc<AtomicBool>,
}

/// What the end came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Lanes that showed no progress and were left behind.
    pub wedged_lanes: usize,
    /// Records that were still with lanes when they were given up; their leases run out.
    pub abandoned: usize,
}

impl Host {
    /// Starts the lanes. Called on a tokio runtime, which dispatchers then run on.
    pub fn start(options: HostOptions, context: HostContext) -> Result<Self, LaneError> {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = if options.lanes == 0 { cores() } else { options.lanes };
        let lanes = LanePool::start(count, &context)?;
        Ok(Self::on(lanes, options, context))
    }

    /// On lanes that run already.
    pub(crate) fn on(lanes: LanePool, options: HostOptions, context: HostContext) -> Self {
        Self {
            options,
            context,
            lanes,
            dispatchers: JoinSet::new(),
            observers: JoinSet::new(),
            stage: watch::Sender::new(Stage::Running),
            deployments: Vec::new(),
        }
    }

    /// Starts a deployment: `source` is its membership of its group, `factory` makes its workers.
    pub fn deploy<F: WorkerFactory>(
        &mut self,
        spec: DeploymentSpec,
        source: Arc<dyn Source>,
        factory: F,
    ) -> Result<DeploymentHandle, DeployError> {
        self.check(&spec)?;
        let staff: Arc<dyn Staff> = Arc::new(factory);
        let metrics = DeploymentMetrics::new(&spec.name);
        let stations = self.stations(spec.concurrency as usize);
        let shared = DeploymentShared::new(spec, stations, metrics);
        for station in &shared.stations {
            let plan = StationPlan {
                deployment: shared.clone(),
                shared: station.clone(),
                source: source.clone(),
                staff: staff.clone(),
            };
            let opened = self.lanes.lanes().get(station.lane).is_some_and(|lane| lane.open(plan));
            if !opened {
                return Err(DeployError::LaneGone(station.lane));
            }
        }
        let paused = Arc::new(AtomicBool::new(false));
        let dispatcher = Dispatcher::new(DispatcherParts {
            shared: shared.clone(),
            source: source.clone(),
            context: self.context.clone(),
            stage: self.stage.subscribe(),
            paused: paused.clone(),
            drain_timeout: self.options.drain_timeout,
        });
        self.dispatchers.spawn(dispatcher.run());
        let handle = DeploymentHandle { shared, source, paused };
        self.observers.spawn(observe(handle.clone(), self.context.clone()));
        self.deployments.push(handle.clone());
        Ok(handle)
    }

    /// All deployments, in the order in which they were started.
    pub fn deployments(&self) -> &[DeploymentHandle] {
        &self.deployments
    }

    /// Resolves when no deployment has anything left to do: nothing held, nothing being settled, no backlog, parked records included.
    /// Deployments may feed each other: all have to be found idle twice in a row, with nothing acquired in between. What it waits for is said
    /// now and then.
    pub async fn until_idle(&self) {
        let mut before: Option<u64> = None;
        let mut say_at = self.context.clock.now().monotonic.after(SAY_FIRST);
        loop {
            let seen = self.idle_mark().await;
            let now = self.context.clock.now().monotonic;
            if let (Err(left), true) = (&seen, now >= say_at) {
                left.tell();
                say_at = now.after(SAY_AGAIN);
            }
            let seen = seen.ok();
            if seen.is_some() && seen == before {
                return;
            }
            before = seen;
            tokio::time::sleep(IDLE_LOOK).await;
        }
    }

    /// Ends everything: `stages` drives it, [`crate::shutdown::Stages::drain`] being the plain way.
    pub async fn shutdown(mut self, mut stages: watch::Receiver<Stage>) -> ShutdownReport {
        self.observers.shutdown().await;
        let first = (*stages.borrow_and_update()).max(Stage::Draining);
        self.stage.send_replace(first);
        let mut hurried = true;
        while !self.dispatchers.is_empty() {
            tokio::select! {
                Some(ended) = self.dispatchers.join_next() => note(ended),
                changed = stages.changed(), if hurried => {
                    hurried = changed.is_ok();
                    let wished = (*stages.borrow_and_update()).max(Stage::Draining);
                    self.stage.send_if_modified(|stage| {
                        let moves = wished > *stage;
                        *stage = wished.max(*stage);
                        moves
                    });
                }
            }
        }
        let abandoned = self.deployments.iter().map(|deployment| deployment.shared.held()).sum();
        let wedged_lanes = self.lanes.join(&self.context).await;
        let over = self.context.clock.now().monotonic.after(Duration::from_secs(1));
        for deployment in &self.deployments {
            deployment.shared.endings.tell_rest(over, deployment.spec());
        }
        ShutdownReport {
            wedged_lanes,
            abandoned,
        }
    }

    /// How much was acquired so far, if nothing is left to do.
    async fn idle_mark(&self) -> Result<u64, Unfinished<'_>> {
        let mut acquired = 0;
        for deployment in &self.deployments {
            let unfinished = |left| Unfinished { deployment, left };
            if !deployment.is_quiet() {
                return Err(unfinished(None));
            }
            match deployment.looked_at().await {
                Ok(left) if left.is_empty() && deployment.is_quiet() => acquired += deployment.totals().deliveries,
                left => return Err(unfinished(Some(left))),
            }
        }
        Ok(acquired)
    }

    fn check(&self, spec: &DeploymentSpec) -> Result<(), DeployError> {
        for other in &self.deployments {
            let other = &other.shared.spec;
            if other.name == spec.name {
                return Err(DeployError::Duplicate(spec.name.clone()));
            }
            if other.group == spec.group && other.topic == spec.topic {
                return Err(DeployError::SameGroup {
                    first: other.name.clone(),
                    second: spec.name.clone(),
                    group: spec.group.clone(),
                    topic: spec.topic.clone(),
                });
            }
        }
        Ok(())
    }

    /// Places over lanes: as even as can be, no lane without a place; each deployment begins at another lane.
    fn stations(&self, concurrency: usize) -> Vec<Arc<StationShared>> {
        let lanes = self.lanes.lanes();
        let concurrency = concurrency.max(1);
        let used = lanes.len().min(concurrency);
        let first = self.deployments.len();
        (0..used)
            .filter_map(|rank| {
                let number = (first + rank) % lanes.len();
                let places = concurrency / used + usize::from(rank < concurrency % used);
                lanes
                    .get(number)
                    .map(|lane| StationShared::new(number, places, lane.tick.clone()))
            })
            .collect()
    }
}

impl DeploymentHandle {
    /// What was asked for.
    pub fn spec(&self) -> &DeploymentSpec {
        &self.shared.spec
    }

    /// Acquires nothing more; what was acquired is finished.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Release);
    }

    /// Acquires again.
    pub fn resume(&self) {
        self.paused.store(false, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Everything counted since it started.
    pub fn totals(&self) -> Totals {
        self.shared.metrics.totals()
    }

    /// Records with lanes whose calls have not ended.
    pub fn held(&self) -> usize {
        self.shared.held()
    }

    /// Records whose settlement is not durable yet.
    pub fn settling(&self) -> usize {
        self.shared.settling()
    }

    /// What its source still has to do.
    pub async fn backlog(&self) -> Result<Backlog, SourceError> {
        self.source.backlog().await
    }

    /// Resolves when the deployment can do nothing more although nobody asked it to end: its source has closed or failed for
    /// good. One line says why.
    pub async fn failed(&self) -> String {
        let mut failure = self.shared.failure();
        let seen = failure.wait_for(Option::is_some).await.map(|reason| reason.clone());
        match seen {
            Ok(reason) => reason.unwrap_or_default(),
            // The sender is in `shared`, which this handle holds.
            Err(_) => std::future::pending().await,
        }
    }

    /// The backlog, if it can be had. A source that is gone for good is noticed here too: one that is paused is asked nothing else.
    async fn looked_at(&self) -> Result<Backlog, SourceError> {
        let looked = self.source.backlog().await;
        if let Err(error @ (SourceError::Closed | SourceError::Failed(_))) = &looked {
            self.shared.fail(&error.to_string());
        }
        looked
    }

    fn is_quiet(&self) -> bool {
        self.shared.held() == 0 && self.shared.settling() == 0
    }
}

/// A deployment that has something left to do.
struct Unfinished<'h> {
    deployment: &'h DeploymentHandle,
    /// `None`: it is at work.
    left: Option<Result<Backlog, SourceError>>,
}

impl Unfinished<'_> {
    fn tell(&self) {
        let shared = &self.deployment.shared;
        let deployment = &*shared.spec.name;
        match &self.left {
            None => {
                let (held, settling) = (shared.held(), shared.settling());
                tracing::info!(deployment, held, settling, "not idle yet: records are worked on");
            }
            Some(Ok(left)) => {
                let Backlog {
                    available,
                    acquired,
                    parked,
                    next_due,
                } = left;
                tracing::info!(
                    deployment,
                    available,
                    acquired,
                    parked,
                    ?next_due,
                    "not idle yet: records are left"
                );
            }
            Some(Err(reason)) => tracing::info!(deployment, %reason, "not idle yet: what is left cannot be seen"),
        }
    }
}

/// Until it is aborted.
async fn observe(deployment: DeploymentHandle, context: HostContext) {
    loop {
        let now = context.clock.now().monotonic;
        deployment.shared.endings.tell_rest(now, deployment.spec());
        if let Ok(backlog) = deployment.looked_at().await {
            deployment.shared.metrics.set_parked(backlog.parked);
        }
        tokio::time::sleep(OBSERVE).await;
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a dispatcher failed");
    }
}

/// Between looks at what is parked.
const OBSERVE: Duration = Duration::from_secs(5);

/// Between looks whether everything is done.
const IDLE_LOOK: Duration = Duration::from_millis(10);

/// Before it is said for the first time what is left to do, and before it is said again.
const SAY_FIRST: Duration = Duration::from_secs(5);
const SAY_AGAIN: Duration = Duration::from_secs(30);
