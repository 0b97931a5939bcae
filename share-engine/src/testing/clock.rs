//! A clock that moves only when told to, and a generator that replays from its seed.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::entropy::Entropy;
use crate::time::{Clock, Instant, Now, WallTime};

/// Starts at one hour of monotonic time and 2020-09-13 12:26:40 UTC.
#[derive(Debug)]
pub struct ManualClock {
    nanos: AtomicU64,
    wall_millis: AtomicI64,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self {
            nanos: AtomicU64::new(3_600_000_000_000),
            wall_millis: AtomicI64::new(1_600_000_000_000),
        }
    }
}

impl ManualClock {
    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::SeqCst);
        self.jump_wall(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Sets the wall clock forward or back by this many milliseconds; the monotonic clock does not notice.
    pub fn jump_wall(&self, millis: i64) {
        self.wall_millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        Now {
            monotonic: Instant::from_nanos(self.nanos.load(Ordering::SeqCst)),
            wall: WallTime::from_millis(self.wall_millis.load(Ordering::SeqCst)),
        }
    }
}

/// splitmix64 over a counter.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
        let mut mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
