//! A queue into a thread's loop. It never blocks the sender: what goes in is bounded before, by credit, by the
//! place reserved with each acquisition, and by gates that callers wait at.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use super::sync::{Condvar, Mutex, MutexGuard};

/// Many senders, one receiver.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    waiting: bool,
    nudged: bool,
    closed: bool,
}

impl<T> State<T> {
    fn is_quiet(&self) -> bool {
        self.queue.is_empty() && !self.nudged && !self.closed
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                waiting: false,
                nudged: false,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl<T> Mailbox<T> {
    /// Puts one message in. Dropped if the receiver is gone: whoever waits for an answer to it learns that.
    pub(crate) fn post(&self, message: T) {
        self.wake(|state| state.queue.push_back(message));
    }

    /// As [`Mailbox::post`], but leaves the receiver asleep: the sender takes it on itself, or nudges.
    pub(crate) fn leave(&self, message: T) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return;
        }
        state.queue.push_back(message);
    }

    /// Wakes the receiver, whatever is here.
    pub(crate) fn nudge(&self) {
        self.wake(|state| state.nudged = true);
    }

    fn wake(&self, change: impl FnOnce(&mut State<T>)) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return;
        }
        change(&mut state);
        let wake = std::mem::replace(&mut state.waiting, false);
        drop(state);
        if wake {
            self.changed.notify_one();
        }
    }

    /// The receiver ends, in whatever way: what is here, and what will be posted, is dropped.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let left = std::mem::take(&mut state.queue);
        drop(state);
        self.changed.notify_all();
        drop(left);
    }

    /// Whether it takes nothing more: its receiver has ended, or is to end.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Takes everything that is there, keeping the order; `into` must be empty.
    pub(crate) fn take(&self, into: &mut VecDeque<T>) {
        debug_assert!(into.is_empty(), "messages would overtake each other");
        std::mem::swap(&mut self.lock().queue, into);
    }

    /// Blocks until something is there, it is nudged, `timeout` is over (`None` waits for ever) or the mailbox is closed.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let mut state = self.lock();
        match timeout {
            None => {
                while state.is_quiet() {
                    state.waiting = true;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
            Some(timeout) if state.is_quiet() => {
                let waited = self.changed.wait_timeout_while(state, timeout, |state| {
                    state.waiting = state.is_quiet();
                    state.waiting
                });
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            Some(_) => {}
        }
        (state.waiting, state.nudged) = (false, false);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
