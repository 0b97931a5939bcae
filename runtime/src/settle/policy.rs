//! How long to wait before what: back-off between attempts, and after faults of the host. The only place that draws jitter.

use std::time::Duration;

use share_engine::time::Instant;

use crate::source::Delivery;
use crate::supervisor::Backoff;

/// Where a record stands in its life when a call of it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its delivery count, this delivery included.
    pub number: u16,
    /// Age of the attempt, renewals and parking included.
    pub age: Duration,
}

impl Attempt {
    /// Of `delivery` at `now`.
    pub fn of(delivery: &Delivery, now: Instant) -> Self {
        Self {
            number: delivery.attempt(),
            age: delivery.age(now),
        }
    }
}

/// The delay after attempt number `attempt` (from 1): `first * 2^(attempt - 1)`, at most `max`, moved by up to `jitter` of itself
/// in either direction, `random` deciding where.
pub fn delay_before_retry(backoff: &Backoff, attempt: u16, random: u64) -> Duration {
    let doublings = u32::from(attempt.saturating_sub(1)).min(MAX_DOUBLINGS);
    let plain = backoff.first.saturating_mul(1 << doublings).min(backoff.max);
    jittered(plain, backoff.jitter, random).min(backoff.max)
}

/// Delays after faults that are the host's: short, doubled while they go on, over when a call succeeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFaultBackoff {
    streak: u16,
}

impl HostFaultBackoff {
    /// A call worked: the next fault begins anew.
    pub fn handle_success(&mut self) {
        self.streak = 0;
    }

    /// The delay after one more fault.
    pub fn next(&mut self, random: u64) -> Duration {
        self.streak = self.streak.saturating_add(1);
        delay_before_retry(&HOST_FAULT, self.streak, random)
    }
}

/// `random` decides where in `[plain * (1 - jitter), plain * (1 + jitter)]`.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits of randomness are enough, and they fit a float exactly"
)]
fn jittered(plain: Duration, jitter: f64, random: u64) -> Duration {
    let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
    let factor = 1.0 + jitter.clamp(0.0, 1.0) * (2.0 * unit - 1.0);
    plain.mul_f64(factor.max(0.0))
}

const MAX_DOUBLINGS: u32 = 30;

/// Long enough not to spin, short enough that a passing shortage costs little.
pub(super) const HOST_FAULT: Backoff = Backoff {
    first: Duration::from_millis(50),
    max: Duration::from_secs(10),
    jitter: 0.5,
};

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(1),
        max: Duration::from_mins(5),
        jitter: 0.2,
    };

    #[test]
    fn doubles_up_to_the_maximum() {
        let middle = 1 << 63;
        let delays: Vec<u64> = [1, 2, 3, 9, 10, 65_535]
            .map(|attempt| delay_before_retry(&BACKOFF, attempt, middle).as_secs())
            .to_vec();
        assert_eq!(delays, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn jitter_stays_within_its_share_and_below_the_maximum() {
        assert_eq!(delay_before_retry(&BACKOFF, 1, 0), Duration::from_millis(800));
        let most = delay_before_retry(&BACKOFF, 1, u64::MAX);
        assert!(most > Duration::from_millis(1199) && most <= Duration::from_millis(1200));
        assert_eq!(delay_before_retry(&BACKOFF, 20, u64::MAX), BACKOFF.max);
    }

    #[test]
    fn host_faults_begin_anew_after_a_success() {
        let mut backoff = HostFaultBackoff::default();
        let first = backoff.next(1 << 63);
        assert_eq!(backoff.next(1 << 63), first * 2);
        backoff.handle_success();
        assert_eq!(backoff.next(1 << 63), first);
    }
}
