//! Where the scenarios of a stage meet, so that one end of a process serves all of them. One that has failed is not waited for.

use tokio::sync::watch;

/// How many come, and how many are there.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    expected: usize,
    arrived: usize,
    over: bool,
}

/// Whoever ends the process.
pub(super) struct Host(watch::Sender<State>);

/// Of one scenario.
pub(super) struct Seat {
    state: watch::Sender<State>,
    arrived: std::sync::atomic::AtomicBool,
}

impl Host {
    pub(super) fn new() -> Self {
        Self(watch::Sender::default())
    }

    pub(super) fn seat(&self) -> Seat {
        self.0.send_modify(|state| state.expected += 1);
        Seat {
            state: self.0.clone(),
            arrived: false.into(),
        }
    }

    /// Does it when everybody is there.
    pub(super) async fn hold(&self, work: impl Future<Output = ()>) {
        let mut states = self.0.subscribe();
        let _ = states.wait_for(|state| state.arrived >= state.expected).await;
        work.await;
        self.0.send_modify(|state| state.over = true);
    }
}

impl Seat {
    /// Returns when it is done.
    pub(super) async fn arrive(&self) {
        let mut states = self.state.subscribe();
        let before = self.arrived.swap(true, std::sync::atomic::Ordering::SeqCst);
        assert!(!before, "a process ends once in a stage");
        self.state.send_modify(|state| state.arrived += 1);
        let _ = states.wait_for(|state| state.over).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !*self.arrived.get_mut() {
            self.state.send_modify(|state| state.expected -= 1);
        }
    }
}
