//! The one thing that a running call shares with the outside: when it must end, whether it is cancelled, until when its leases hold.
//! Set by lanes and the lease keeper, read by the epoch callback, the host functions and the poll loop. Atomics only, no lock.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Why the host wants a call to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CancelReason {
    /// The process is stopping.
    Shutdown = 1,
    /// The record belongs to someone else now.
    LeaseLost = 2,
    /// Somebody asked for it.
    ByHand = 3,
}

/// Deadline, cancellation and lease of one call. One per call; a slot may use the same one again through [`CallControl::rearm`] when
/// nobody else holds it.
#[derive(Debug)]
pub struct CallControl {
    /// Nanoseconds since `epoch()`, as all times here: the call is stopped at this time, whatever it is doing.
    stop_at: AtomicU64,
    deadline: AtomicU64,
    /// From here on `is-cancelled` answers true.
    warn_at: AtomicU64,
    budget: AtomicU64,
    lease_until: AtomicU64,
    cancelled: AtomicU8,
    /// Set by the epoch callback when it gave up the lane for the others: nothing to wait for.
    yielded: AtomicBool,
    pub(super) wake: Notify,
}

impl CallControl {
    /// A call that may take `budget` from now. Without a lease the lease is as long as the call.
    pub fn new(budget: Duration) -> Arc<Self> {
        let control = Self {
            stop_at: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            warn_at: AtomicU64::new(0),
            budget: AtomicU64::new(0),
            lease_until: AtomicU64::new(0),
            cancelled: AtomicU8::new(0),
            yielded: AtomicBool::new(false),
            wake: Notify::new(),
        };
        control.rearm(budget);
        Arc::new(control)
    }

    /// Starts the clock again for the next call: not cancelled, `budget` from now.
    pub fn rearm(&self, budget: Duration) {
        self.rearm_at(now(), budget);
    }

    /// As [`CallControl::rearm`], for callers that know the time: a report's `ended` is when the next call begins.
    pub fn rearm_at(&self, now: Instant, budget: Duration) {
        let deadline = to_nanos(now + budget.min(FOREVER));
        // Cancelled is cleared first: whoever cancels the new call does so after it was told of it.
        self.cancelled.store(0, Ordering::Relaxed);
        self.budget.store(nanos(budget), Ordering::Relaxed);
        self.deadline.store(deadline, Ordering::Relaxed);
        self.warn_at.store(
            deadline.saturating_sub(nanos((budget / 10).min(WARN_AT_MOST))),
            Ordering::Relaxed,
        );
        self.lease_until.store(deadline, Ordering::Relaxed);
        self.stop_at.store(deadline, Ordering::Release);
    }

    /// Asks the call to end: `is-cancelled` answers true at once, after `grace` the call is stopped. The first reason stands.
    pub fn cancel(&self, reason: CancelReason, grace: Duration) {
        let _ = self
            .cancelled
            .compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        let stop = to_nanos(now() + grace.min(FOREVER));
        self.stop_at.fetch_min(stop, Ordering::AcqRel);
        self.wake.notify_waiters();
    }

    /// The end of the call is wished for, without haste: `is-cancelled` answers true from now on, its deadline stays.
    pub fn ask_to_end(&self) {
        self.warn_at.store(0, Ordering::Relaxed);
    }

    /// Why the call was cancelled, if it was.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        match self.cancelled.load(Ordering::Acquire) {
            1 => Some(CancelReason::Shutdown),
            2 => Some(CancelReason::LeaseLost),
            3 => Some(CancelReason::ByHand),
            _ => None,
        }
    }

    /// Until when the leases of this call hold: of a batch, the first to end.
    pub fn set_lease_until(&self, until: Instant) {
        self.lease_until.store(to_nanos(until), Ordering::Relaxed);
    }

    /// Time until the lease ends; zero when it has.
    pub fn lease_remaining(&self) -> Duration {
        remaining(self.lease_until.load(Ordering::Relaxed))
    }

    /// Time until the host stops the call; zero when it is due.
    pub fn deadline_remaining(&self) -> Duration {
        remaining(self.stop_at.load(Ordering::Relaxed))
    }

    /// What the call was given.
    pub fn budget(&self) -> Duration {
        Duration::from_nanos(self.budget.load(Ordering::Relaxed))
    }

    /// True once the host wants the call to end: cancelled, asked to end, or its last tenth (at most a second) has begun.
    pub fn is_ending(&self) -> bool {
        self.cancelled.load(Ordering::Acquire) != 0 || to_nanos(now()) >= self.warn_at.load(Ordering::Relaxed)
    }

    pub(super) fn must_stop(&self, now: Instant) -> bool {
        to_nanos(now) >= self.stop_at.load(Ordering::Acquire)
    }

    pub(super) fn stop_instant(&self) -> Instant {
        *EPOCH + Duration::from_nanos(self.stop_at.load(Ordering::Acquire))
    }

    pub(super) fn note_yield(&self) {
        self.yielded.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_yield(&self) -> bool {
        self.yielded.swap(false, Ordering::Relaxed)
    }
}

/// Times are kept as distances from the first one asked for.
static EPOCH: LazyLock<Instant> = LazyLock::new(now);

/// Longer budgets mean "no end" and must not overflow an `Instant`.
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);

const WARN_AT_MOST: Duration = Duration::from_secs(1);

/// The handler module's only reader of the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the host's monotonic clock: deadlines of guests are real time"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A time in the past that costs nothing to have.
pub(super) fn beginning() -> Instant {
    *EPOCH
}

fn to_nanos(at: Instant) -> u64 {
    nanos(at.saturating_duration_since(*EPOCH))
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn remaining(until: u64) -> Duration {
    Duration::from_nanos(until.saturating_sub(to_nanos(now())))
}
