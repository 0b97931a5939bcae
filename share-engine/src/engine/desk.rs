//! Who commits: the journal thread, or the shard itself when nobody is at it and it has nothing else to do. That spares what the shard
//! decides two hand-overs between threads, and lets the acquisition of a new record ride in the commit that produces it. Invariant: whoever
//! holds the lock is the only one who writes to the journal; the shard sees what is not durable yet only while it holds the lock.

use std::sync::Arc;

use super::mailbox::Mailbox;
use super::message::{Entry, ToJournal};
use super::sequencer::Sequencer;
use super::shard::{Shard, ToShard};
use super::sync::Mutex;
use super::sync::atomic::{AtomicBool, Ordering};
use crate::time::Clock;

/// The sequencer and the way to it.
pub(crate) struct Desk {
    sequencer: Mutex<Sequencer>,
    counter: Arc<Counter>,
}

/// Where producers hand in.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) journal: Arc<Mailbox<ToJournal>>,
    pub(crate) shard: Arc<Mailbox<ToShard>>,
    /// The shard sleeps, and somebody waits for records: it is to be woken instead of the journal thread.
    resting: AtomicBool,
}

impl Counter {
    /// Hands in a produce.
    pub(crate) fn hand_in(&self, entry: Entry) {
        if self.resting.swap(false, Ordering::AcqRel) {
            self.journal.leave(ToJournal::Entry(entry));
            self.shard.nudge();
        } else {
            self.journal.post(ToJournal::Entry(entry));
        }
    }
}

impl Desk {
    pub(crate) fn new(sequencer: Sequencer, counter: Arc<Counter>) -> Self {
        Self {
            sequencer: Mutex::new(sequencer),
            counter,
        }
    }

    /// The journal thread's body: commits whatever waits, until the journal is closed.
    pub(crate) fn serve(&self) {
        // Nothing is committed after a panic at the desk: who panicked ends all threads.
        while let Ok(mut sequencer) = self.sequencer.lock() {
            sequencer.step();
            if sequencer.is_closed() {
                return;
            }
            let waits = sequencer.has_backlog();
            drop(sequencer);
            if !waits {
                self.counter.journal.wait(None);
            }
        }
    }

    /// The journal thread's part alone; `false` if there was nothing to do.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn step(&self) -> bool {
        self.sequencer.lock().is_ok_and(|mut sequencer| sequencer.step())
    }

    /// The shard's body: until the engine is closed.
    pub(crate) fn attend(&self, shard: &mut Shard, clock: &dyn Clock) {
        while !shard.is_closed() {
            // Whoever hands in before this is seen by the turn before, or wakes the journal thread.
            self.counter.resting.store(shard.has_credit(), Ordering::Release);
            shard.wait(clock.now().monotonic);
            self.counter.resting.store(false, Ordering::Release);
            self.turn(shard, clock);
        }
    }

    /// One turn of the shard. What it leaves for the journal it commits here, if nothing else waits for it and nobody is at it; else the
    /// journal thread does. `false` if there was nothing to do.
    pub(crate) fn turn(&self, shard: &mut Shard, clock: &dyn Clock) -> bool {
        let worked = shard.step(clock);
        if self.counter.journal.is_empty() {
            return worked;
        }
        let free = if shard.is_idle() {
            self.sequencer.try_lock().ok()
        } else {
            None
        };
        let Some(mut sequencer) = free else {
            self.counter.journal.nudge();
            return true;
        };
        // A group that was committed a moment ago comes before what is sequenced now.
        if !shard.is_idle() {
            shard.step(clock);
        }
        sequencer.gather();
        if shard.has_credit() && sequencer.let_ride(|appended| shard.handle_sequenced(appended, clock.now())) {
            sequencer.gather();
        }
        if !sequencer.commit() {
            shard.take_back();
        }
        let left = sequencer.has_backlog() || sequencer.is_closed();
        drop(sequencer);
        if left || !self.counter.journal.is_empty() {
            self.counter.journal.nudge();
        }
        true
    }
}
