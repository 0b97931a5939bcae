//! Monotonic milliseconds, and their lower half as state words keep it: enough for spans of 24 days around a moment.

use std::time::Duration;

use crate::time::{Instant, WallTime};

/// Longest lease: well inside what half a tick can tell.
pub(super) const MAX_LOCK: Duration = Duration::from_hours(20 * 24);

const NANOS: u64 = 1_000_000;

/// The last whole tick at `now`.
pub(super) fn tick(now: Instant) -> u64 {
    now.as_nanos() / NANOS
}

/// The first whole tick that is at least `length` after `now`: a lease never ends early.
pub(super) fn tick_after(now: Instant, length: Duration) -> u64 {
    let end = now.after(length.min(MAX_LOCK));
    if planted!(LeaseOffByOne) {
        return tick(end);
    }
    end.as_nanos().div_ceil(NANOS)
}

/// The instant of a tick.
pub(super) fn instant(tick: u64) -> Instant {
    Instant::from_nanos(tick.saturating_mul(NANOS))
}

/// What a state word keeps.
pub(super) fn half(tick: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    let half = tick as u32;
    half
}

/// The tick nearest to `near` with this lower half.
pub(super) fn whole(half_tick: u32, near: u64) -> u64 {
    let ahead = half_tick.wrapping_sub(half(near));
    if ahead < 1 << 31 {
        near.saturating_add(u64::from(ahead))
    } else {
        near.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}

/// Milliseconds since `began`, for spans below 49 days.
pub(super) fn age(began: u32, now: u64) -> Duration {
    Duration::from_millis(u64::from(half(now).wrapping_sub(began)))
}

/// Wall time in whole seconds, as state words keep it: 1970 to 2106. Rounded up, so that no attempt ends early.
pub(super) fn seconds(time: WallTime) -> u32 {
    u32::try_from(time.as_millis().max(0).saturating_add(999) / 1_000).unwrap_or(u32::MAX)
}

/// Instead of a second: the attempt begins with the next acquisition.
pub(super) const NOT_BEGUN: u32 = u32::MAX;

/// The wall time of whole seconds.
pub(super) fn wall(seconds: u32) -> WallTime {
    WallTime::from_millis(i64::from(seconds) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_tick_is_read_back_around_any_moment() {
        for near in [0_u64, 1 << 31, (1 << 32) - 1, 1 << 32, 123_456_789_012] {
            for distance in [0_u64, 1, 1_000, (1 << 31) - 1] {
                assert_eq!(whole(half(near + distance), near), near + distance);
                if near >= distance {
                    assert_eq!(whole(half(near - distance), near), near - distance);
                }
            }
        }
    }

    #[test]
    fn a_lease_never_ends_early() {
        let now = Instant::from_nanos(1_500_001);
        let end = instant(tick_after(now, Duration::from_millis(10)));
        assert!(end.since(now) >= Duration::from_millis(10));
        assert!(end.since(now) <= Duration::from_millis(11));
    }
}
