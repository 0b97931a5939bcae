//! Signals: the first drains, the second releases what runs, the third gives up what has not ended by then. Gives a stage to follow, from
//! the start of the process on; [`crate::supervisor::Host::shutdown`] follows it, and [`crate::host::run`] the giving up.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

pub use crate::lane::Stage;

/// Says how far the process is to be wound up.
#[derive(Debug)]
pub struct Stages {
    sender: watch::Sender<Stage>,
    given_up: watch::Sender<bool>,
}

impl Default for Stages {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(Stage::Running),
            given_up: watch::Sender::new(false),
        }
    }
}

impl Stages {
    /// Follows what is said from now on.
    pub fn subscribe(&self) -> watch::Receiver<Stage> {
        self.sender.subscribe()
    }

    /// What runs may end, nothing is started.
    pub fn drain(&self) {
        self.reach(Stage::Draining);
    }

    /// What runs is cancelled and released.
    pub fn release(&self) {
        self.reach(Stage::Releasing);
    }

    /// Nothing is waited for any more but the last write.
    pub fn give_up(&self) {
        self.release();
        self.given_up.send_replace(true);
    }

    /// Resolves when it has been given up.
    pub async fn given_up(&self) {
        // The sender is in `self`.
        let _ = self.given_up.subscribe().wait_for(|given_up| *given_up).await;
    }

    /// One stage further, as a signal asks; false if there is none.
    pub fn next(&self) -> bool {
        let now = *self.sender.borrow();
        self.reach(if now == Stage::Running {
            Stage::Draining
        } else {
            Stage::Releasing
        });
        now != Stage::Releasing
    }

    /// Resolves when the process has been told to end.
    pub async fn ending(&self) {
        // The sender is in `self`.
        let _ = self.subscribe().wait_for(|stage| *stage > Stage::Running).await;
    }

    fn reach(&self, stage: Stage) {
        self.sender.send_if_modified(|now| {
            let moves = stage > *now;
            *now = stage.max(*now);
            moves
        });
    }
}

/// SIGTERM and SIGINT, from the moment it is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over both signals.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Moves `stages` on with every signal; ends with the one that finds no further stage, which wants the process gone: it is given up.
    pub async fn drive(mut self, stages: &Stages) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            if !stages.next() {
                tracing::warn!("another signal received: ends at once; what is held is delivered again");
                stages.give_up();
                return;
            }
            let stage = *stages.sender.borrow();
            let what = match stage {
                Stage::Running => "nothing ends",
                Stage::Draining => "what runs may finish, for up to drain-timeout; another one releases it",
                Stage::Releasing => "what runs is released; another one ends at once",
            };
            tracing::info!(?stage, "signal received: {what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_only_move_on() {
        let stages = Stages::default();
        let seen = stages.subscribe();
        assert!(stages.next());
        assert_eq!(*seen.borrow(), Stage::Draining);
        assert!(stages.next());
        assert_eq!(*seen.borrow(), Stage::Releasing);
        assert!(!stages.next());
        stages.drain();
        assert_eq!(*seen.borrow(), Stage::Releasing);
    }
}
