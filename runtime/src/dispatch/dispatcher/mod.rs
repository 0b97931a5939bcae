//! The task of one deployment, outside the lanes: asks the source for what fits, hands it to lanes, extends leases, listens to events, and
//! winds everything up at the end. Woken by lanes only when there is room again.

mod stations;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use share_engine::time::{Instant, Now};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use self::stations::Seen;
use super::breaker::Breaker;
use super::pace::Pace;
use super::rate::RateLimit;
use super::spread::spread;
use crate::lane::{Chunk, DeploymentShared, Failed, Notice, Stage, StationShared};
use crate::lease::{Keeper, KeeperLimits, Lost, Renewal};
use crate::settle::{Desk, HostFaultBackoff};
use crate::source::{BoxFuture, Credit, Delivery, RenewResult, Settlement, Source, SourceError, SourceEvent};
use crate::supervisor::HostContext;

/// What a dispatcher is made of.
pub(crate) struct DispatcherParts {
    pub(crate) shared: Arc<DeploymentShared>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) context: HostContext,
    /// How far the deployment is to be; only ever moves on.
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) paused: Arc<AtomicBool>,
    /// What runs at the end gets so long.
    pub(crate) drain_timeout: Duration,
}

/// See the module.
pub(crate) struct Dispatcher {
    parts: DispatcherParts,
    pace: Pace,
    breaker: Breaker,
    rate: RateLimit,
    keeper: Keeper,
    /// Calls of `acquire` on their way, and what they asked for together.
    acquires: JoinSet<(Credit, Result<Vec<Delivery>, SourceError>)>,
    requested: usize,
    requested_bytes: u64,
    renewals: JoinSet<(Vec<Renewal>, Vec<RenewResult>)>,
    outage: HostFaultBackoff,
    /// The source failed: not asked before this time.
    quiet_until: Option<Instant>,
    closed: bool,
    assigned: bool,
    wedged: Vec<bool>,
    seen: Vec<Seen>,
    release_at: Option<Instant>,
    /// Acquired when nothing was to be started any more.
    unwanted: Vec<Settlement>,
    load_told_at: Instant,
    /// Held and settling, as the gauges show them.
    load_told: (usize, usize),
}

enum Woken {
    Acquired(Result<(Credit, Result<Vec<Delivery>, SourceError>), JoinError>),
    Renewed(Result<(Vec<Renewal>, Vec<RenewResult>), JoinError>),
    Told(SourceEvent),
    Staged,
    Rung,
}

impl Dispatcher {
    pub(crate) fn new(parts: DispatcherParts) -> Self {
        let spec = &parts.shared.spec;
        let lanes = parts.shared.stations.len();
        Self {
            pace: Pace::new(spec.concurrency as usize, lanes, spec.lookahead, spec.most_ahead),
            breaker: Breaker::new(lanes),
            rate: RateLimit::new(spec.rate_limit),
            keeper: Keeper::new(KeeperLimits {
                lock: spec.lock,
                deadline: spec.deadline,
                max_lease: spec.max_lease,
            }),
            acquires: JoinSet::new(),
            requested: 0,
            requested_bytes: 0,
            renewals: JoinSet::new(),
            outage: HostFaultBackoff::default(),
            quiet_until: None,
            closed: false,
            assigned: true,
            wedged: vec![false; lanes],
            seen: vec![Seen::default(); lanes],
            release_at: None,
            unwanted: Vec::new(),
            load_told_at: Instant::default(),
            load_told: (0, 0),
            parts,
        }
    }

    /// Until the deployment has been told to end, and has.
    pub(crate) async fn run(mut self) {
        let source = self.parts.source.clone();
        let mut event = source.event();
        loop {
            let now = self.parts.context.clock.now();
            self.look_at_stations(now.monotonic);
            self.keep_leases(now);
            if self.end_stage(now.monotonic) {
                break;
            }
            self.ask(now.monotonic);
            match self.wait(&mut event, now.monotonic).await {
                Woken::Acquired(Ok((asked, result))) => self.handle_acquired(asked, result),
                Woken::Renewed(Ok((renewals, results))) => self.handle_renewed(renewals, results),
                Woken::Acquired(Err(error)) | Woken::Renewed(Err(error)) => self.handle_failed(&error),
                Woken::Told(told) => {
                    event = source.event();
                    self.handle_event(told);
                }
                Woken::Staged | Woken::Rung => {}
            }
        }
        drop(event);
        self.renewals.shutdown().await;
        let unwanted = std::mem::take(&mut self.unwanted);
        if !unwanted.is_empty() {
            let _ = source.settle(unwanted).await;
        }
        // What is written on the way out is told, too.
        let mut leave = source.leave();
        loop {
            tokio::select! {
                biased;
                told = source.event() => self.handle_event(told),
                () = &mut leave => break,
            }
        }
    }

    async fn wait(&mut self, event: &mut BoxFuture<'_, SourceEvent>, now: Instant) -> Woken {
        let sleep = self.next_wake(now).map(|at| at.since(now));
        // From here on a lane that has room again rings; one that had it since `ask` has rung already.
        self.parts.shared.hungry.store(true, Ordering::Release);
        // With the lane's (`Station::publish`): either it sees the wish, or the look that follows sees its room.
        fence(Ordering::SeqCst);
        if self.has_room_now() {
            return Woken::Rung;
        }
        tokio::select! {
            biased;
            changed = self.parts.stage.changed() => {
                if changed.is_err() {
                    // Nobody is left who could say so: the same as the second signal.
                    self.parts.shared.advance(Stage::Releasing);
                }
                Woken::Staged
            }
            Some(acquired) = self.acquires.join_next(), if !self.acquires.is_empty() => Woken::Acquired(acquired),
            Some(renewed) = self.renewals.join_next(), if !self.renewals.is_empty() => Woken::Renewed(renewed),
            told = event => Woken::Told(told),
            () = self.parts.shared.wake.notified() => Woken::Rung,
            () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => Woken::Rung,
        }
    }

    fn next_wake(&mut self, now: Instant) -> Option<Instant> {
        let shared = &self.parts.shared;
        // Wedged lanes are found by looking, and gauges stand until somebody looks.
        let look = (shared.held() > 0
            || self.load_told != (0, 0)
            || shared.stage() != Stage::Running
            || self.wedged.contains(&true))
        .then(|| now.after(LOOK));
        let running = shared.stage() == Stage::Running;
        [
            look,
            self.keeper.next_wake(),
            self.release_at.filter(|at| *at > now),
            self.quiet_until.filter(|_| running),
            self.breaker.resting(now).filter(|_| running),
            shared.faults.rest(now).filter(|_| running).map(|rest| now.after(rest)),
            self.rate.next(now).filter(|_| running && self.acquires.is_empty()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // Acquiring.

    fn may_ask(&mut self, now: Instant) -> bool {
        self.quiet_until = self.quiet_until.filter(|until| *until > now);
        let shared = &self.parts.shared;
        let refused = shared
            .stations
            .iter()
            .any(|station| station.refused.load(Ordering::Acquire) > 0);
        shared.stage() == Stage::Running
            && !refused
            && !self.closed
            && self.assigned
            && self.quiet_until.is_none()
            && !self.parts.paused.load(Ordering::Acquire)
            && self.breaker.resting(now).is_none()
            && shared.faults.rest(now).is_none()
            && shared.settling() < MOST_SETTLING
    }

    fn held(&self) -> usize {
        let stations = self.parts.shared.stations.iter().zip(&self.wedged);
        stations
            .filter(|(_, wedged)| !**wedged)
            .map(|(station, _)| station.held())
            .sum()
    }

    /// Records to ask for now: one at a time while no instance starts.
    fn credit(&self) -> usize {
        let held = self.held();
        if self.byte_room() == 0 {
            // Set before the look at what has become free meanwhile (`has_room_now`): no ring is missed.
            self.parts.shared.short_of_bytes.store(true, Ordering::Release);
            fence(Ordering::SeqCst);
            return 0;
        }
        let credit = self.pace.credit(held, self.requested);
        if self.parts.shared.faults.is_broken() {
            credit.min(1_usize.saturating_sub(held + self.requested))
        } else {
            credit
        }
    }

    fn ask(&mut self, now: Instant) {
        while self.acquires.len() < MOST_ACQUIRES && self.may_ask(now) {
            let wanted = self.credit();
            let credit = self.rate.allows(now, wanted);
            let Ok(records @ 1..) = u32::try_from(credit) else {
                break;
            };
            // What room there is, shared with the calls that may still be made.
            let calls = MOST_ACQUIRES.saturating_sub(self.acquires.len()).max(1) as u64;
            let bytes = (self.byte_room() / calls).max(1);
            let asked = Credit { records, bytes };
            self.requested += credit;
            self.requested_bytes += bytes;
            let source = self.parts.source.clone();
            self.acquires.spawn(async move { (asked, source.acquire(asked).await) });
        }
        self.set_refill();
    }

    fn has_room_now(&mut self) -> bool {
        let now = self.parts.context.clock.now().monotonic;
        self.acquires.len() < MOST_ACQUIRES && self.may_ask(now) && self.rate.next(now).is_none() && self.credit() > 0
    }

    fn handle_acquired(&mut self, asked: Credit, result: Result<Vec<Delivery>, SourceError>) {
        self.requested -= asked.records as usize;
        self.requested_bytes -= asked.bytes;
        match result {
            // Resolved to nothing: the source has no place for one more call.
            Ok(records) if records.is_empty() => {
                self.quiet_until = Some(self.parts.context.clock.now().monotonic.after(PAUSE));
            }
            Ok(records) => {
                self.outage.handle_success();
                self.rate.handle_acquired(records.len());
                self.parts.shared.metrics.add_deliveries(records.len());
                if self.parts.shared.stage() == Stage::Running {
                    self.hand_out(records);
                } else {
                    let give_back = |delivery: &Delivery| Desk::give_back(delivery.lease);
                    self.unwanted.extend(records.iter().map(give_back));
                }
            }
            // Asking again cannot help: what waits for this deployment must hear of it.
            Err(error @ (SourceError::Closed | SourceError::Failed(_))) => {
                self.closed = true;
                self.parts.shared.fail(&error.to_string());
            }
            Err(error) => {
                let delay = self.outage.next(self.parts.context.entropy.next_u64());
                let deployment = &*self.parts.shared.spec.name;
                tracing::warn!(deployment, %error, ?delay, "cannot acquire records");
                self.quiet_until = Some(self.parts.context.clock.now().monotonic.after(delay));
            }
        }
    }

    fn handle_failed(&mut self, error: &JoinError) {
        if error.is_cancelled() {
            return;
        }
        tracing::error!(%error, "a call of the source failed");
        // What the lost call had asked for is not known: nothing is on its way once the others are gone.
        self.acquires.abort_all();
        self.requested = 0;
        self.requested_bytes = 0;
        self.acquires = JoinSet::new();
    }

    fn hand_out(&mut self, records: Vec<Delivery>) {
        let stations = &self.parts.shared.stations;
        let usable: Vec<usize> = (0..stations.len())
            .filter(|index| !self.wedged.get(*index).copied().unwrap_or(true))
            .collect();
        // All lanes wedged: somebody has to have them; their leases run out if nothing moves.
        let usable = if usable.is_empty() { vec![0] } else { usable };
        let targets: Vec<_> = usable.iter().filter_map(|index| stations.get(*index)).collect();
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let loads: Vec<i64> = targets
            .iter()
            .map(|station| signed(station.held()) - signed(station.places))
            .collect();
        let shares = spread(records.len(), &loads);
        let mut records = records.into_iter();
        for (station, mut share) in targets.into_iter().zip(shares) {
            while share > 0 {
                let size = share.min(Chunk::MOST);
                share -= size;
                let deliveries = records.by_ref().take(size).collect();
                let chunk = Chunk::counted(deliveries, station.lane, &station.held_bytes);
                self.keeper.track(&chunk);
                station.hand_over(chunk);
            }
        }
    }

    // Leases.

    fn keep_leases(&mut self, now: Now) {
        if self.keeper.next_wake().is_none_or(|at| at > now.monotonic) {
            return;
        }
        let shared = self.parts.shared.clone();
        let alive = |lane: usize| {
            let station = shared.stations.iter().find(|station| station.lane == lane);
            station.is_some_and(|station| station.is_alive(now.monotonic))
        };
        let (renewals, lost) = self.keeper.poll(now, alive);
        self.drop_lost(lost);
        for batch in renewals.chunks(RENEWALS) {
            let batch = batch.to_vec();
            let source = self.parts.source.clone();
            let leases = batch.iter().map(|renewal| renewal.lease).collect();
            self.renewals.spawn(async move { (batch, source.renew(leases).await) });
        }
    }

    fn handle_renewed(&mut self, renewals: Vec<Renewal>, results: Vec<RenewResult>) {
        let mut extended = 0;
        let mut lost = Vec::new();
        for (renewal, result) in renewals.into_iter().zip(results) {
            if let RenewResult::Until(until) = result {
                extended += 1;
                if let Some(item) = self.keeper.running(renewal) {
                    let lane = item.chunk.lane();
                    self.tell(lane, Notice::Extended(item, until));
                }
            }
            lost.extend(self.keeper.handle_renewed(renewal, result));
        }
        self.parts.shared.metrics.add_leases(extended, 0);
        self.drop_lost(lost);
    }

    fn drop_lost(&self, lost: Vec<Lost>) {
        if lost.is_empty() {
            return;
        }
        self.parts.shared.metrics.add_leases(0, lost.len() as u64);
        let deployment = &*self.parts.shared.spec.name;
        tracing::warn!(deployment, leases = lost.len(), "leases lost");
        for lost in lost.into_iter().filter(|lost| lost.running) {
            self.tell(lost.item.chunk.lane(), Notice::Lost(lost.item));
        }
    }

    fn tell(&self, lane: usize, notice: Notice) {
        if let Some(station) = self.parts.shared.stations.iter().find(|station| station.lane == lane) {
            station.tell(notice);
        }
    }

    fn handle_event(&mut self, event: SourceEvent) {
        let deployment = self.parts.shared.spec.name.clone();
        match event {
            SourceEvent::LeasesLost(leases) => {
                let lost = self.keeper.handle_lost(&leases);
                self.drop_lost(lost);
            }
            SourceEvent::AssignmentChanged { partitions } => {
                tracing::info!(%deployment, partitions, "assignment changed");
                self.assigned = partitions > 0;
            }
            SourceEvent::Unavailable { reason } => {
                tracing::warn!(%deployment, reason, "source unavailable");
                self.quiet_until = Some(self.parts.context.clock.now().monotonic.after(OUTAGE));
            }
            SourceEvent::Available => self.quiet_until = None,
            SourceEvent::Buried {
                delivery,
                cause,
                reason,
            } => {
                let shared = &self.parts.shared;
                shared.metrics.add_archived(cause);
                let now = self.parts.context.clock.now().monotonic;
                shared
                    .endings
                    .tell(now, &shared.spec, &Failed::buried(&delivery, cause, reason.as_deref()));
            }
        }
    }

    // The end.

    /// Moves on with the stage. True when nothing is left to do here.
    fn end_stage(&mut self, now: Instant) -> bool {
        let wished = *self.parts.stage.borrow_and_update();
        let shared = self.parts.shared.clone();
        if wished > shared.stage() {
            shared.advance(wished);
        }
        if shared.stage() == Stage::Running {
            return false;
        }
        // Dropped: the source takes back what it had acquired for them.
        self.acquires.abort_all();
        let mut release_at = *self.release_at.get_or_insert(now.after(self.parts.drain_timeout));
        if shared.stage() == Stage::Releasing {
            release_at = release_at.min(now);
            self.release_at = Some(release_at);
        } else if now >= release_at {
            shared.advance(Stage::Releasing);
        }
        let closed = |station: &Arc<StationShared>| station.closed.load(Ordering::Acquire) || !station.is_alive(now);
        let give_up = now >= release_at.after(GIVE_UP);
        self.acquires.is_empty() && shared.stations.iter().all(closed) || give_up
    }
}

/// One that waits for records, and one more when places fall free meanwhile.
const MOST_ACQUIRES: usize = 2;

/// Before a source is asked again that answered with nothing.
const PAUSE: Duration = Duration::from_millis(5);

/// Settlements on their way above which nothing is acquired.
const MOST_SETTLING: usize = 65_536;

/// Leases in one call of `renew`.
const RENEWALS: usize = 4_096;

/// Between looks at lanes while they hold something.
const LOOK: Duration = Duration::from_millis(250);

/// A source that said that it is unavailable is asked again after this time, unless it says more.
const OUTAGE: Duration = Duration::from_secs(5);

/// After everything was cancelled lanes get so long to hand back what they have.
const GIVE_UP: Duration = Duration::from_secs(5);
