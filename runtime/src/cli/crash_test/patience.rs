//! How long a child waits for something that the engine does by itself: bound by what gets done, not by what is said. Counted in
//! rests, so that a process that is stopped meanwhile loses nothing of it.

use std::time::Duration;

use share_engine::engine::Engine;

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
        if self.waited >= PATIENCE {
            return Err(self.complaint(left));
        }
        rest(self.turn);
        self.waited += self.turn;
        Ok(())
    }

    fn failures(&self) -> u64 {
        let stats = self.engine.stats();
        stats.drain_failures + stats.log_failures
    }

    fn complaint(&self, left: u64) -> String {
        let seconds = PATIENCE.as_secs();
        let mut text = format!("nothing was finished for {seconds} s, with {left} to do");
        // What failed before is overcome.
        if self.failures() > self.failures
            && let Some(failure) = self.engine.stats().last_failure
        {
            text = format!("{text}, while the engine failed in the background: {failure}");
        }
        text
    }
}
