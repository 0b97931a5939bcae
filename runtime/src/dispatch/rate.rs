//! Records started per second, at most: a bucket that holds a tenth of a second's worth. Pure.

use std::time::Duration;

use share_engine::time::Instant;

/// A limit, or none.
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_second: Option<f64>,
    tokens: f64,
    filled_at: Option<Instant>,
}

impl RateLimit {
    /// `None` or a rate that is not positive: no limit.
    pub fn new(per_second: Option<f64>) -> Self {
        Self {
            per_second: per_second.filter(|rate| *rate > 0.0),
            tokens: 0.0,
            filled_at: None,
        }
    }

    /// How many of `wanted` may be acquired now.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and `wanted`, a number of records"
    )]
    pub fn allows(&mut self, now: Instant, wanted: usize) -> usize {
        let Some(rate) = self.per_second else {
            return wanted;
        };
        let most = (rate * BURST.as_secs_f64()).max(1.0);
        let gained = self.filled_at.map_or(most, |at| now.since(at).as_secs_f64() * rate);
        self.filled_at = Some(now);
        self.tokens = (self.tokens + gained).min(most);
        wanted.min(self.tokens.max(0.0) as usize)
    }

    /// So many were acquired.
    #[expect(clippy::cast_precision_loss, reason = "a number of records")]
    pub fn handle_acquired(&mut self, records: usize) {
        if self.per_second.is_some() {
            self.tokens -= records as f64;
        }
    }

    /// When one more may be acquired; `None`: not limited, or now.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let rate = self.per_second?;
        let missing = 1.0 - self.tokens;
        (missing > 0.0).then(|| now.after(Duration::from_secs_f64((missing / rate).min(1.0))))
    }
}

const BURST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_rate_over_time() {
        let mut limit = RateLimit::new(Some(1_000.0));
        let mut acquired = 0;
        for millis in 0..10_000 {
            let allowed = limit.allows(Instant::from_nanos(millis * 1_000_000), 64);
            limit.handle_acquired(allowed);
            acquired += allowed;
        }
        assert!((9_990..=10_110).contains(&acquired), "{acquired}");
    }

    #[test]
    fn no_limit_allows_everything() {
        let mut limit = RateLimit::new(None);
        assert_eq!(limit.allows(Instant::from_nanos(0), 5), 5);
        assert_eq!(limit.next(Instant::from_nanos(0)), None);
    }
}
