//! Two clocks that move only when told to. Wall time goes along with the monotonic clock to the nanosecond, and can be set.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use share_engine::time::{Clock, Instant, Now, WallTime};

/// The clocks of one run.
#[derive(Debug, Default)]
pub(crate) struct SetClock {
    nanos: AtomicU64,
    /// Milliseconds by which wall time was set forward, or back.
    jump: AtomicI64,
    /// Calls of the disk that took long.
    stalls: AtomicU64,
    /// They take no time any more.
    steady: AtomicBool,
}

/// As much as a lease may be late.
const STALL: u64 = 50_000_000;

/// The monotonic clock begins with an hour, wall time in 2020.
const HOUR: u64 = 3_600_000_000_000;
const BEGIN: i64 = 1_600_000_000_000;

impl SetClock {
    pub(crate) fn advance(&self, nanos: u64) {
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// A call of the disk takes so long.
    pub(crate) fn slow(&self, nanos: u64) {
        if self.steady.load(Ordering::Relaxed) {
            return;
        }
        self.advance(nanos);
        self.stalls.fetch_add(u64::from(nanos > STALL), Ordering::Relaxed);
    }

    /// Calls of the disk take no time any more.
    pub(crate) fn steady(&self) {
        self.steady.store(true, Ordering::Relaxed);
    }

    /// Calls that took longer than a lease may be late.
    pub(crate) fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    pub(crate) fn jump(&self, millis: i64) {
        self.jump.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn nanos(&self) -> u64 {
        HOUR + self.nanos.load(Ordering::Relaxed)
    }
}

impl Clock for SetClock {
    fn now(&self) -> Now {
        let nanos = self.nanos();
        let millis = i64::try_from((nanos - HOUR) / 1_000_000).unwrap_or(i64::MAX);
        Now {
            monotonic: Instant::from_nanos(nanos),
            wall: WallTime::from_millis(BEGIN + millis + self.jump.load(Ordering::Relaxed)),
        }
    }
}
