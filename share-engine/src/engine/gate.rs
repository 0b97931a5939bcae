//! Back-pressure for producers: a budget of bytes that wait for their commit. First come, first served.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::reply::{Reply, Sender, reply};
use super::sync::{Mutex, MutexGuard};

/// A budget that many callers share.
#[derive(Debug)]
pub(crate) struct Gate {
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    waiting: VecDeque<(u64, Sender<Pass>)>,
    gate: std::sync::Weak<Gate>,
}

/// Part of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    amount: u64,
    gate: Arc<Gate>,
}

impl Gate {
    /// A gate that lets `limit` through at once; a larger single amount passes alone.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new_cyclic(|weak| Self {
            limit,
            state: Mutex::new(State {
                gate: weak.clone(),
                ..State::default()
            }),
        })
    }

    /// Takes `amount`, at once or when it is this caller's turn.
    pub(crate) fn enter(self: &Arc<Self>, amount: u64) -> Result<Pass, Reply<Pass>> {
        let mut state = self.lock();
        if state.waiting.is_empty() && fits(state.used, amount, self.limit) {
            state.used = state.used.saturating_add(amount);
            return Ok(Pass {
                amount,
                gate: Arc::clone(self),
            });
        }
        let (sender, waiting) = reply();
        state.waiting.push_back((amount, sender));
        Err(waiting)
    }

    fn leave(&self, amount: u64) {
        let mut let_in = Vec::new();
        {
            let mut state = self.lock();
            state.used = state.used.saturating_sub(amount);
            let Some(gate) = state.gate.upgrade() else { return };
            while let Some((next, _)) = state.waiting.front() {
                let next = *next;
                if !fits(state.used, next, self.limit) {
                    break;
                }
                if let Some((_, sender)) = state.waiting.pop_front() {
                    state.used = state.used.saturating_add(next);
                    let_in.push((
                        sender,
                        Pass {
                            amount: next,
                            gate: Arc::clone(&gate),
                        },
                    ));
                }
            }
        }
        for (sender, pass) in let_in {
            // A caller that no longer waits gives its part back by dropping it.
            drop(sender.send(pass));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fits(used: u64, amount: u64, limit: u64) -> bool {
    used == 0 || used.saturating_add(amount) <= limit
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.leave(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_waits_above_the_limit_and_enters_in_turn() {
        let gate = Gate::new(10);
        let first = gate.enter(8).unwrap();
        let second = gate.enter(8).unwrap_err();
        let third = gate.enter(1).unwrap_err();
        assert!(second.try_take().is_err());
        drop(first);
        let second = second.wait().unwrap();
        let third = third.wait().unwrap();
        assert!(gate.enter(2).is_err());
        drop((second, third));
    }

    #[test]
    fn a_caller_that_went_away_gives_its_part_back() {
        let gate = Gate::new(10);
        let first = gate.enter(10).unwrap();
        drop(gate.enter(10).unwrap_err());
        let third = gate.enter(10).unwrap_err();
        drop(first);
        assert!(third.wait().is_some());
    }
}
