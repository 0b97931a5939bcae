//! What the starts of a deployment's instances came to: how long to wait after one that failed, and whether the deployment counts as
//! broken. Pure. Told by stations, asked by stations and the dispatcher: while it rests nothing is started and nothing acquired.

use std::time::Duration;

use share_engine::time::Instant;

use super::policy::{HOST_FAULT, delay_before_retry};
use crate::supervisor::Backoff;

/// The last starts of one deployment, over all lanes.
#[derive(Clone, Debug, Default)]
pub struct Starts {
    /// In a row.
    failed: u16,
    rest_until: Option<Instant>,
    last: String,
}

impl Starts {
    /// A start failed, `text` says how. The delay before the record is to be tried again; `random` decides the jitter.
    pub fn handle_failed(&mut self, now: Instant, text: &str, random: u64) -> Duration {
        text.clone_into(&mut self.last);
        // One that was under way when the rest began tells nothing new.
        if let Some(rest) = self.rest(now) {
            return rest;
        }
        self.failed = self.failed.saturating_add(1);
        if !self.is_broken() {
            return delay_before_retry(&HOST_FAULT, self.failed, random);
        }
        let rest = delay_before_retry(&BROKEN, self.failed - BROKEN_AFTER + 1, random);
        self.rest_until = Some(now.after(rest));
        rest
    }

    /// An instance started, or one that had started worked.
    pub fn handle_good(&mut self) {
        *self = Self::default();
    }

    /// How long nothing is to be started.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        let until = self.rest_until.filter(|until| *until > now)?;
        Some(until.since(now))
    }

    /// Several starts failed in a row: one record at a time finds out whether that has changed.
    pub fn is_broken(&self) -> bool {
        self.failed >= BROKEN_AFTER
    }

    /// How the last one failed.
    pub fn last(&self) -> &str {
        &self.last
    }
}

/// Failed starts in a row after which a deployment counts as broken.
const BROKEN_AFTER: u16 = 5;

/// Between tries of a broken deployment.
const BROKEN: Backoff = Backoff {
    first: Duration::from_secs(1),
    max: Duration::from_secs(30),
    jitter: 0.2,
};

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u64 = 1 << 63;

    #[test]
    fn five_failed_starts_in_a_row_rest_the_deployment() {
        let mut starts = Starts::default();
        let mut now = Instant::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            let delay = starts.handle_failed(now, "no", MIDDLE);
            delays.push(delay.as_millis());
            now = now.after(delay);
        }
        let wanted = [
            50, 100, 200, 400, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
        ];
        assert_eq!(delays, wanted);
        assert!(starts.is_broken());
        starts.handle_good();
        assert!(!starts.is_broken());
        assert_eq!(starts.handle_failed(now, "no", MIDDLE).as_millis(), 50);
    }

    #[test]
    fn starts_that_were_under_way_do_not_lengthen_the_rest() {
        let mut starts = Starts::default();
        let now = Instant::default();
        for _ in 0..5 {
            starts.handle_failed(now, "first", MIDDLE);
        }
        let later = now.after(Duration::from_millis(400));
        assert_eq!(starts.handle_failed(later, "second", MIDDLE).as_millis(), 600);
        assert_eq!(starts.rest(later), Some(Duration::from_millis(600)));
        assert_eq!(starts.last(), "second");
        assert_eq!(starts.rest(now.after(Duration::from_secs(1))), None);
    }
}
