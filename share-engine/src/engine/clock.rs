//! The only reader of the system's clocks and random numbers.

use rustix::time::{ClockId, clock_gettime};

use crate::entropy::Entropy;
use crate::time::{Clock, Instant, Now, WallTime};

/// `CLOCK_BOOTTIME`, which goes on while the machine sleeps, and the wall clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let monotonic = clock_gettime(ClockId::Boottime);
        let wall = clock_gettime(ClockId::Realtime);
        let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        let monotonic = nanos(monotonic.tv_sec, monotonic.tv_nsec);
        Now {
            monotonic: Instant::from_nanos(u64::try_from(monotonic).unwrap_or(0)),
            wall: WallTime::from_millis(nanos(wall.tv_sec, wall.tv_nsec) / 1_000_000),
        }
    }
}

/// The standard library's source of random keys, which asks the operating system once for each thread.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher, RandomState};
        RandomState::new().build_hasher().finish()
    }
}
