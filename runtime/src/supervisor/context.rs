//! What the whole host loop is given from outside: clocks and randomness.

use std::sync::Arc;
use std::time::Duration;

use share_engine::engine::{SystemClock, SystemEntropy};
use share_engine::entropy::Entropy;
use share_engine::time::{Clock, Instant};

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
    /// The system's own.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemEntropy))
    }

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
