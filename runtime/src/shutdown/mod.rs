//! The two signals: the first drains, the second releases at once. Gives a stage to follow; [`crate::supervisor::Host::shutdown`] follows it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

pub use crate::lane::Stage;

/// Says how far the process is to be wound up.
#[derive(Debug)]
pub struct Stages {
    sender: watch::Sender<Stage>,
}

impl Default for Stages {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(Stage::Running),
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

    /// One stage further, as a signal asks.
    pub fn next(&self) {
        let now = *self.sender.borrow();
        self.reach(if now == Stage::Running {
            Stage::Draining
        } else {
            Stage::Releasing
        });
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

    /// Moves `stages` on with every signal; never ends. Run beside the host.
    pub async fn drive(mut self, stages: &Stages) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            stages.next();
            tracing::info!(stage = ?*stages.sender.borrow(), "signal received");
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
        stages.next();
        assert_eq!(*seen.borrow(), Stage::Draining);
        stages.next();
        assert_eq!(*seen.borrow(), Stage::Releasing);
        stages.drain();
        assert_eq!(*seen.borrow(), Stage::Releasing);
    }
}
