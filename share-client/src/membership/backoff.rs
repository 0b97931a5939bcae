//! Pauses that grow, with a share of chance so that many clients do not come back at the same moment.

use std::time::Duration;

/// How long to wait before something is tried again.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    tries: u32,
}

impl Backoff {
    /// `first` after the first failure, then twice as long each time, `max` at most; all of them give or take a fifth.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, tries: 0 }
    }

    /// It has failed once more. `random`: any number, from wherever chance comes from.
    pub fn failed(&mut self, random: u64) -> Duration {
        let doubled = 2u32.saturating_pow(self.tries);
        self.tries = self.tries.saturating_add(1);
        let length = self.first.saturating_mul(doubled).min(self.max);
        let thousandths = u32::try_from(random % 401).unwrap_or(0);
        length / 1000 * (800 + thousandths)
    }

    /// It went well: the next pause is the first one again.
    pub const fn succeeded(&mut self) {
        self.tries = 0;
    }

    /// How often it has failed in a row.
    pub const fn failures(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let pauses: Vec<_> = (0..6).map(|_| backoff.failed(200).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        backoff.succeeded();
        assert_eq!(backoff.failed(0), Duration::from_millis(80));
        assert_eq!(backoff.failed(400), Duration::from_millis(240));
        let mut endless = Backoff::new(Duration::from_millis(100), Duration::MAX);
        for _ in 0..100 {
            endless.failed(u64::MAX);
        }
        assert_eq!(endless.failures(), 100);
    }
}
