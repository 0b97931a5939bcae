//! When and for whom a change is applied.

use super::member::NOBODY;
use super::tick::{half, tick, tick_after};
use super::types::ShareOptions;
use crate::time::{Delay, Instant, Now, WallTime};

/// What an acquisition needs besides its change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) now: Now,
    /// Number in the member table.
    pub(super) member: u16,
    /// Tick at which leases end.
    pub(super) deadline: u64,
    /// Tick at which attempts began; `None`: as long ago as wall time says.
    pub(super) began: Option<u32>,
    /// When the change was decided; `None`: what is left of its delay is as wall time says.
    pub(super) decided: Option<Instant>,
}

impl Context {
    /// For changes that are not acquisitions of this process.
    pub(super) fn of(now: Now, options: &ShareOptions) -> Self {
        Self {
            now,
            member: NOBODY,
            deadline: tick_after(now.monotonic, options.lock),
            began: None,
            decided: None,
        }
    }

    /// When a delay is over; one that is read from the journal may be short by less than the millisecond that wall times are cut to.
    pub(super) fn due(&self, delay: Delay) -> Instant {
        match self.decided {
            Some(at) => at.after(delay.length),
            None => self.now.monotonic.after(delay.remaining(self.now.wall)),
        }
    }

    /// The tick at which an attempt began that wall time says began at `at`.
    pub(super) fn began(&self, at: WallTime) -> u32 {
        let age = self.now.wall.since(at).min(super::tick::MAX_LOCK);
        let ticks = u64::try_from(age.as_millis()).unwrap_or(0);
        self.began
            .unwrap_or_else(|| half(tick(self.now.monotonic)).wrapping_sub(half(ticks)))
    }
}
