//! How long a child waits for something that the engine does by itself: bound by what gets done, not by what is said. Counted in
//! rests, so that a process that is stopped meanwhile loses nothing of it.

use std::time::Duration;

use share_engine::engine::Engine;

use super::machine::at_fault;

/// A wait for something whose rest can be counted.
pub(super) struct Patience<'a> {
    engine: &'a Engine,
    turn: Duration,
    /// The least that was left.
    least: u64,
    /// How long nothing has become less.
    waited: Duration,
    /// Failures in the background until then.
    failures: u64,
}

/// Nothing gets done for so long: nothing will.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// The same where it is known why: the disk is full or fails, and nobody mends it for a test.
const PATIENCE_WITH_MACHINE: Duration = Duration::from_secs(1);

impl<'a> Patience<'a> {
    /// Rests `turn` at a time.
    pub(super) fn new(engine: &'a Engine, turn: Duration) -> Self {
        Self {
            engine,
            turn,
            least: u64::MAX,
            waited: Duration::ZERO,
            failures: 0,
        }
    }

    /// Rests once.
    ///
    /// # Errors
    /// Nothing has become less for a minute; in words, with what the engine has failed to do meanwhile.
    pub(super) fn rest(&mut self, left: u64, rest: impl FnOnce(Duration)) -> Result<(), String> {
        if left < self.least {
            self.least = left;
            self.waited = Duration::ZERO;
            self.failures = self.failures();
        }
        let machine =
            self.waited >= PATIENCE_WITH_MACHINE && self.failure().is_some_and(|why| at_fault(&why).is_some());
        if machine || self.waited >= PATIENCE {
            return Err(self.complaint(left));
        }
        rest(self.turn);
        self.waited += self.turn;
        Ok(())
    }

    fn failures(&self) -> u64 {
        failures(self.engine)
    }

    /// What failed in the background meanwhile; what failed before is overcome.
    fn failure(&self) -> Option<String> {
        let stats = (self.failures() > self.failures).then(|| self.engine.stats());
        stats.and_then(|stats| stats.last_failure)
    }

    fn complaint(&self, left: u64) -> String {
        let seconds = self.waited.as_secs();
        let mut text = format!("nothing was finished for {seconds} s, with {left} to do");
        if let Some(failure) = self.failure() {
            text = format!("{text}, while the engine failed in the background: {failure}");
        }
        text
    }
}

/// How often the engine has failed in the background.
fn failures(engine: &Engine) -> u64 {
    let stats = engine.stats();
    stats.drain_failures + stats.log_failures
}

/// What keeps the engine from taking records, if that is the disk or the machine.
#[derive(Debug, Default)]
pub(super) struct Obstacle {
    /// Failures in the background until a record was last taken.
    failures: u64,
}

impl Obstacle {
    /// Everything was taken: what failed before is overcome.
    pub(super) fn passed(&mut self, engine: &Engine) {
        self.failures = failures(engine);
    }

    /// Something was refused: why, if it is in vain to wait.
    pub(super) fn met(&self, engine: &Engine) -> Option<String> {
        let is_new = failures(engine) > self.failures;
        let failure = is_new.then(|| engine.stats().last_failure).flatten();
        failure.filter(|why| at_fault(why).is_some())
    }
}
