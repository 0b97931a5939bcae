//! A one-shot answer that can be awaited or waited for: the only asynchronous thing in the engine, and it needs
//! no runtime. A sender that is dropped without an answer answers `None`.

use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use super::sync::{Arc, Mutex, MutexGuard};

/// Makes both ends.
pub(crate) fn reply<T>() -> (Sender<T>, Reply<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            slot: Slot::Open,
            waker: None,
        }),
    });
    (
        Sender {
            shared: Some(Arc::clone(&shared)),
        },
        Reply { shared },
    )
}

/// The end that answers.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    shared: Option<Arc<Shared<T>>>,
}

impl<T> Sender<T> {
    /// Answers. Gives the value back if nobody waits any more.
    pub(crate) fn send(mut self, value: T) -> Result<(), T> {
        let Some(shared) = self.shared.take() else {
            return Err(value);
        };
        if Arc::strong_count(&shared) < 2 {
            return Err(value);
        }
        shared.fill(Slot::Full(value));
        Ok(())
    }

    /// Whether the other end was dropped.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| Arc::strong_count(shared) < 2)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.fill(Slot::Closed);
        }
    }
}

/// The end that waits.
#[derive(Debug)]
#[must_use = "an answer nobody waits for is given back to the engine"]
pub(crate) struct Reply<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Reply<T> {
    /// Blocks the thread until there is an answer.
    #[cfg(test)]
    pub(crate) fn wait(self) -> Option<T> {
        super::block_on(self)
    }

    /// Takes the answer if it is there; `Err` while it is not.
    #[cfg(test)]
    pub(crate) fn try_take(&self) -> Result<Option<T>, NotYet> {
        let mut state = self.shared.lock();
        match std::mem::replace(&mut state.slot, Slot::Closed) {
            Slot::Full(value) => Ok(Some(value)),
            Slot::Closed => Ok(None),
            Slot::Open => {
                state.slot = Slot::Open;
                Err(NotYet)
            }
        }
    }
}

impl<T> Future for Reply<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.shared.lock();
        match std::mem::replace(&mut state.slot, Slot::Closed) {
            Slot::Full(value) => Poll::Ready(Some(value)),
            Slot::Closed => Poll::Ready(None),
            Slot::Open => {
                state.slot = Slot::Open;
                match &mut state.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

/// The answer is not there yet.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotYet;

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    slot: Slot<T>,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Slot<T> {
    Open,
    Full(T),
    Closed,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self, slot: Slot<T>) {
        let waker = {
            let mut state = self.lock();
            state.slot = slot;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_arrives_once() {
        let (sender, answer) = reply();
        assert_eq!(answer.try_take(), Err(NotYet));
        sender.send(7).unwrap();
        assert_eq!(answer.try_take(), Ok(Some(7)));
        assert_eq!(answer.wait(), None);
    }

    #[test]
    fn a_dropped_sender_answers_none() {
        let (sender, answer) = reply::<u8>();
        drop(sender);
        assert_eq!(answer.wait(), None);
    }

    #[test]
    fn an_abandoned_answer_comes_back() {
        let (sender, answer) = reply();
        drop(answer);
        assert!(sender.is_abandoned());
        assert_eq!(sender.send(7), Err(7));
    }

    #[test]
    fn a_waiting_thread_is_woken() {
        let (sender, answer) = reply();
        let waiting = std::thread::spawn(move || answer.wait());
        sender.send("done").unwrap();
        assert_eq!(waiting.join().unwrap(), Some("done"));
    }
}
