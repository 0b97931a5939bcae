//! When a step may begin, and whether it ended in time.

use std::time::{Duration, Instant};

/// Milliseconds since a sequence began, as our side counts them, and the moments of real time that they stand for.
pub(crate) struct Schedule {
    zero: Instant,
    now: u64,
}

impl Schedule {
    pub(crate) fn new() -> Self {
        Self {
            zero: Instant::now(),
            now: 0,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The next step is later by so much.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now += millis;
    }

    /// Waits for the moment of the next step: a lock is over at the broker when its time has passed there.
    pub(crate) fn wait(&self) {
        let moment = self.zero + Duration::from_millis(self.now);
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::park_timeout(left);
        }
    }

    /// How many milliseconds the step before has taken too long.
    pub(crate) fn late(&self) -> u64 {
        let real = self.zero.elapsed().as_millis();
        u64::try_from(real).unwrap_or(u64::MAX).saturating_sub(self.now)
    }

    /// Nothing is held: the schedule goes on from this moment.
    pub(crate) fn forgive(&mut self) {
        let now = Instant::now();
        let passed = Duration::from_millis(self.now);
        self.zero = now.checked_sub(passed).unwrap_or(now);
    }
}
