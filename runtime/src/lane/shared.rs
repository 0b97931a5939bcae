//! What a deployment's dispatcher and its stations on the lanes share: bounded hand-over, counts, the stage. Locks are held for a push or
//! a swap; nothing here waits.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use share_engine::time::Instant;
use tokio::sync::{Notify, watch};

use super::chunk::{Chunk, HeldBytes, Item};
use super::endings::Endings;
use super::faults::Faults;
use crate::metrics::DeploymentMetrics;
use crate::supervisor::DeploymentSpec;

/// One deployment.
#[derive(Debug)]
pub struct DeploymentShared {
    /// What was asked for.
    pub spec: DeploymentSpec,
    /// One for each lane that has places.
    pub stations: Vec<Arc<StationShared>>,
    /// Everything that is counted.
    pub metrics: DeploymentMetrics,
    /// Rings when there may be something to do for the dispatcher.
    pub(crate) wake: Notify,
    pub(crate) faults: Faults,
    pub(crate) endings: Endings,
    /// The dispatcher wants to hear when bytes become free.
    pub(crate) short_of_bytes: AtomicBool,
    /// The dispatcher wants to hear when a station falls to its refill level.
    pub(crate) hungry: AtomicBool,
    failure: watch::Sender<Option<String>>,
    stage: AtomicU8,
}

/// How far a deployment's life has come. Only ever moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Everything runs.
    Running = 0,
    /// What runs may end; nothing is started.
    Draining = 1,
    /// What runs is cancelled.
    Releasing = 2,
}

impl DeploymentShared {
    pub(crate) fn new(
        spec: DeploymentSpec,
        stations: Vec<Arc<StationShared>>,
        metrics: DeploymentMetrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            spec,
            stations,
            metrics,
            wake: Notify::new(),
            faults: Faults::default(),
            endings: Endings::default(),
            short_of_bytes: AtomicBool::new(false),
            hungry: AtomicBool::new(false),
            failure: watch::Sender::new(None),
            stage: AtomicU8::new(Stage::Running as u8),
        })
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Running,
            1 => Stage::Draining,
            _ => Stage::Releasing,
        }
    }

    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        for station in &self.stations {
            station.bell.notify_one();
        }
        self.wake.notify_one();
    }

    /// The deployment can do nothing more. The first reason stands.
    pub(crate) fn fail(&self, reason: &str) {
        if self.stage() != Stage::Running {
            return;
        }
        let deployment = &*self.spec.name;
        tracing::error!(deployment, reason, "deployment stopped");
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| reason.to_owned());
            first
        });
    }

    pub(crate) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Records handed to lanes whose calls have not ended.
    pub fn held(&self) -> usize {
        self.stations.iter().map(|station| station.held()).sum()
    }

    /// Records whose settlements are on the way.
    pub fn settling(&self) -> usize {
        self.stations
            .iter()
            .map(|station| station.settling.load(Ordering::Acquire))
            .sum()
    }
}

/// One deployment on one lane.
#[derive(Debug)]
pub struct StationShared {
    /// Which lane.
    pub lane: usize,
    /// Records in handlers at once, on this lane; at least 1.
    pub places: usize,
    /// When the lane last showed progress, in nanoseconds of the host's clock.
    pub(crate) tick: Arc<AtomicU64>,
    pub(crate) bell: Notify,
    pub(crate) held: AtomicUsize,
    pub(crate) held_bytes: HeldBytes,
    pub(crate) settling: AtomicUsize,
    pub(crate) refused: AtomicUsize,
    pub(crate) refill_at: AtomicI64,
    pub(crate) closed: AtomicBool,
    pub(crate) measured: Measured,
    inbox: Mutex<Inbox>,
}

/// Sums over all calls; whoever reads keeps the last values.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) healthy: AtomicU64,
    pub(crate) unhealthy: AtomicU64,
    pub(crate) wall_nanos: AtomicU64,
    pub(crate) busy_nanos: AtomicU64,
}

/// What a station finds when its bell rings.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) chunks: Vec<Arc<Chunk>>,
    pub(crate) notices: Vec<Notice>,
}

/// News about one record that a station holds.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Its lease is gone.
    Lost(Item),
    /// Its lease now ends then.
    Extended(Item, Instant),
}

impl StationShared {
    pub(crate) fn new(lane: usize, places: usize, tick: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self {
            lane,
            places,
            tick,
            bell: Notify::new(),
            held: AtomicUsize::new(0),
            held_bytes: HeldBytes::default(),
            settling: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            refill_at: AtomicI64::new(-1),
            closed: AtomicBool::new(false),
            measured: Measured::default(),
            inbox: Mutex::new(Inbox::default()),
        })
    }

    /// Records handed over whose calls have not ended.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Whether the lane has shown progress within [`LANE_SILENCE`].
    pub fn is_alive(&self, now: Instant) -> bool {
        now.since(Instant::from_nanos(self.tick.load(Ordering::Acquire))) <= LANE_SILENCE
    }

    pub(crate) fn hand_over(&self, chunk: Arc<Chunk>) {
        self.held.fetch_add(chunk.deliveries().len(), Ordering::AcqRel);
        self.with_inbox(|inbox| inbox.chunks.push(chunk));
        self.bell.notify_one();
    }

    pub(crate) fn tell(&self, notice: Notice) {
        self.with_inbox(|inbox| inbox.notices.push(notice));
        self.bell.notify_one();
    }

    pub(crate) fn take_inbox(&self) -> Inbox {
        self.with_inbox(std::mem::take)
    }

    fn with_inbox<T>(&self, action: impl FnOnce(&mut Inbox) -> T) -> T {
        action(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A lane that has not ticked for so long is wedged: it gets nothing new, and its leases run out.
pub const LANE_SILENCE: Duration = Duration::from_secs(1);
