//! SIGTERM and SIGINT as stages of the shutdown: the first asks to finish what runs, the second to release it.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How far the shutdown has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Work.
    #[default]
    Run,
    /// Stop acquiring, let running handlers finish within the drain timeout.
    Drain,
    /// Release what runs at once.
    Release,
}

/// Tells everyone who holds it how far the shutdown has come. Stages only go forward.
#[derive(Clone, Debug)]
pub struct Shutdown {
    stage: watch::Receiver<Stage>,
}

impl Shutdown {
    /// A shutdown that the returned sender moves forward.
    pub fn by_hand() -> (watch::Sender<Stage>, Self) {
        let (sender, stage) = watch::channel(Stage::Run);
        (sender, Self { stage })
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits until it has come this far. Never ends if whoever moves it is gone before.
    pub async fn reached(&mut self, stage: Stage) {
        if self.stage.wait_for(|current| *current >= stage).await.is_err() {
            std::future::pending().await
        }
    }
}

/// Listens for SIGTERM and SIGINT from now on.
pub(super) fn listen() -> io::Result<Shutdown> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (sender, shutdown) = Shutdown::by_hand();
    // Ends with the process: signals must be taken for as long as anything runs.
    tokio::spawn(async move {
        for stage in [Stage::Drain, Stage::Release] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sender.send_replace(stage);
        }
        // Holds the last stage for those who still wait.
        sender.closed().await;
    });
    Ok(shutdown)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_later_stage_has_reached_the_earlier() {
        let (sender, mut shutdown) = Shutdown::by_hand();
        assert_eq!(shutdown.stage(), Stage::Run);
        sender.send(Stage::Release).unwrap();
        shutdown.reached(Stage::Drain).await;
        shutdown.reached(Stage::Release).await;
    }
}
