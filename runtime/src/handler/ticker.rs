//! The thread that advances the engine's epoch, which is what makes running guests look at their deadlines. It rests while no call
//! runs: an idle host wakes nobody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// Told of every poll and every epoch callback by [`Activity::note`]; owned by the ticker thread and by every instance.
#[derive(Debug, Default)]
pub(super) struct Activity {
    seen: AtomicBool,
    resting: AtomicBool,
    stop: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl Activity {
    /// Says that guest code is about to run or running. Free of shared writes but for the first call of each tick.
    pub(super) fn note(&self) {
        if !self.seen.load(Ordering::Relaxed) {
            // Ordered against `rest`: either it sees this, or this sees that it rests.
            self.seen.store(true, Ordering::SeqCst);
            if self.resting.load(Ordering::SeqCst)
                && let Some(thread) = self.thread.get()
            {
                thread.unpark();
            }
        }
    }

    fn rest(&self) {
        self.resting.store(true, Ordering::SeqCst);
        while !self.seen.load(Ordering::SeqCst) && !self.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.resting.store(false, Ordering::SeqCst);
    }
}

/// Owns the thread; shared by the engine and everything it loaded. The last one out ends the thread.
#[derive(Debug)]
pub(super) struct Ticker {
    activity: Arc<Activity>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(engine: &Engine, tick: Duration) -> std::io::Result<Self> {
        let activity = Arc::new(Activity::default());
        let seen = Arc::clone(&activity);
        let engine = engine.weak();
        let thread = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
            let mut quiet = 0;
            while !seen.stop.load(Ordering::SeqCst) {
                std::thread::park_timeout(tick);
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
                drop(engine);
                quiet = if seen.seen.swap(false, Ordering::SeqCst) {
                    0
                } else {
                    quiet + 1
                };
                if quiet > QUIET_TICKS {
                    seen.rest();
                    quiet = 0;
                }
            }
        })?;
        let _ = activity.thread.set(thread.thread().clone());
        Ok(Self {
            activity,
            thread: Some(thread),
        })
    }

    #[cfg(test)]
    pub(super) fn is_resting(&self) -> bool {
        self.activity.resting.load(Ordering::SeqCst)
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.activity.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only sleeps and counts; were it to panic, guests would have lost their deadlines long ago.
            let _ = thread.join();
        }
    }
}

/// Ticks without a call before the thread rests.
const QUIET_TICKS: u32 = 50;
