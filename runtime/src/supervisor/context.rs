//! What the whole host loop is given from outside: clocks and randomness. The only file of the loop that reads the system's clocks.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use share_engine::entropy::Entropy;
use share_engine::time::{Clock, Instant, Now, WallTime};

/// Clock and randomness, injected.
#[derive(Clone)]
pub struct HostContext {
    /// The same clock as the source's: lease deadlines are compared with it.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub entropy: Arc<dyn Entropy>,
    /// Between the host's clock and the one that timers use.
    pub anchor: Anchor,
}

impl HostContext {
    /// With this clock and randomness.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let anchor = Anchor::new(clock.now().monotonic);
        Self { clock, entropy, anchor }
    }
}

/// One moment on two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    host: Instant,
    std: std::time::Instant,
}

impl Anchor {
    #[expect(clippy::disallowed_methods, reason = "the host's clock module")]
    fn new(host: Instant) -> Self {
        let std = std::time::Instant::now();
        Self { host, std }
    }

    /// The same moment as timers know it; off by the time that the machine was suspended since the start.
    pub fn std_instant(&self, at: Instant) -> std::time::Instant {
        self.std + at.since(self.host).min(FAR)
    }
}

const FAR: Duration = Duration::from_hours(100 * 365 * 24);

/// The system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let monotonic = clock_gettime(ClockId::Boottime);
        let wall = clock_gettime(ClockId::Realtime);
        let whole = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
        Now {
            monotonic: Instant::from_nanos(whole(monotonic.tv_sec) * 1_000_000_000 + whole(monotonic.tv_nsec)),
            wall: WallTime::from_millis(wall.tv_sec * 1_000 + wall.tv_nsec / 1_000_000),
        }
    }
}
