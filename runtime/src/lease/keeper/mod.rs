//! Which leases to extend and which are gone. Sans-IO: told of chunks, of renewals and of the time; asked what is due. A lease is extended
//! at half of its lock while its record is within `max-lease`, its call within its deadline and its lane alive; else it runs out.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use share_engine::ids::LeaseKey;
use share_engine::time::{Instant, Now};

use crate::lane::{Chunk, Item, Phase};
use crate::source::RenewResult;

/// How long leases may be kept.
#[derive(Clone, Copy, Debug)]
pub struct KeeperLimits {
    /// How long a lease is and by how much it is extended.
    pub lock: Duration,
    /// One call; a call that is well past it is stuck, and not helped.
    pub deadline: Duration,
    /// One attempt.
    pub max_lease: Duration,
}

/// The leases of one deployment.
#[derive(Debug)]
pub struct Keeper {
    limits: KeeperLimits,
    chunks: BTreeMap<u64, Tracked>,
    queue: BTreeSet<(Instant, u64)>,
    next_id: u64,
    sweep_at: usize,
}

/// A lease to be extended; hand the answer to [`Keeper::handle_renewed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// What `renew` is to carry.
    pub lease: LeaseKey,
    chunk: u64,
    index: usize,
}

/// A lease that is gone.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The record.
    pub item: Item,
    /// Whether it was in a handler, which is then to be cancelled.
    pub running: bool,
}

#[derive(Debug)]
struct Tracked {
    /// Weak: a chunk whose records are all settled is gone long before its first wake.
    chunk: Weak<Chunk>,
    /// When the leases end; made when they first differ from one another.
    until: Vec<Instant>,
    first_until: Instant,
}

impl Tracked {
    fn until(&self, index: usize) -> Instant {
        self.until.get(index).copied().unwrap_or(self.first_until)
    }
}

impl Keeper {
    /// Nothing tracked.
    pub fn new(limits: KeeperLimits) -> Self {
        Self {
            limits,
            chunks: BTreeMap::new(),
            queue: BTreeSet::new(),
            next_id: 0,
            sweep_at: SWEEP,
        }
    }

    /// Watches over the leases of `chunk` from now on.
    pub fn track(&mut self, chunk: &Arc<Chunk>) {
        let Some(until) = chunk.deliveries().iter().map(|delivery| delivery.lease_deadline).min() else {
            return;
        };
        self.sweep();
        let id = self.next_id;
        self.next_id += 1;
        self.queue.insert((self.half(until), id));
        self.chunks.insert(
            id,
            Tracked {
                chunk: Arc::downgrade(chunk),
                until: Vec::new(),
                first_until: until,
            },
        );
    }

    /// When [`Keeper::poll`] has something to do.
    pub fn next_wake(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Leases to extend and leases that ran out. `alive` says whether a lane has shown progress lately.
    pub fn poll(&mut self, now: Now, alive: impl Fn(usize) -> bool) -> (Vec<Renewal>, Vec<Lost>) {
        let (mut renewals, mut lost) = (Vec::new(), Vec::new());
        while let Some(&(at, id)) = self.queue.first() {
            if at > now.monotonic {
                break;
            }
            self.queue.pop_first();
            self.poll_chunk(id, now, &alive, &mut renewals, &mut lost);
        }
        (renewals, lost)
    }

    /// The record of `renewal`, if it is in a handler.
    pub fn running(&self, renewal: Renewal) -> Option<Item> {
        let chunk = self.chunks.get(&renewal.chunk)?.chunk.upgrade()?;
        let index = renewal.index;
        matches!(chunk.phase(index), Phase::Running(_)).then_some(Item { chunk, index })
    }

    /// What `renew` answered. `Some` if the lease is gone.
    pub fn handle_renewed(&mut self, renewal: Renewal, result: RenewResult) -> Option<Lost> {
        let tracked = self.chunks.get_mut(&renewal.chunk)?;
        match result {
            RenewResult::Until(until) => {
                if let Some(slot) = tracked.until.get_mut(renewal.index) {
                    *slot = until;
                }
                None
            }
            // Asked again at the next wake, as long as the lease stands.
            RenewResult::Unavailable => None,
            RenewResult::Lost => {
                let chunk = tracked.chunk.upgrade()?;
                lose(chunk, renewal.index)
            }
        }
    }

    /// The source said that these are no longer ours.
    pub fn handle_lost(&mut self, leases: &[LeaseKey]) -> Vec<Lost> {
        let leases: HashSet<&LeaseKey> = leases.iter().collect();
        let mut lost = Vec::new();
        for chunk in self.chunks.values().filter_map(|tracked| tracked.chunk.upgrade()) {
            for (index, delivery) in chunk.deliveries().iter().enumerate() {
                if leases.contains(&delivery.lease) {
                    lost.extend(lose(chunk.clone(), index));
                }
            }
        }
        lost
    }

    fn poll_chunk(
        &mut self,
        id: u64,
        now: Now,
        alive: &impl Fn(usize) -> bool,
        renewals: &mut Vec<Renewal>,
        lost: &mut Vec<Lost>,
    ) {
        let limits = self.limits;
        let Some(tracked) = self.chunks.get_mut(&id) else {
            return;
        };
        let Some(chunk) = tracked.chunk.upgrade() else {
            self.chunks.remove(&id);
            return;
        };
        if tracked.until.is_empty() {
            tracked.until = chunk
                .deliveries()
                .iter()
                .map(|delivery| delivery.lease_deadline)
                .collect();
        }
        let lane_alive = alive(chunk.lane());
        let half = limits.lock / 2;
        let mut next: Option<Instant> = None;
        for (index, delivery) in chunk.deliveries().iter().enumerate() {
            let phase = chunk.phase(index);
            if matches!(phase, Phase::Done | Phase::Lost) {
                continue;
            }
            let until = tracked.until(index);
            if until <= now.monotonic {
                lost.extend(lose(chunk.clone(), index));
                continue;
            }
            let left = until.since(now.monotonic);
            let in_time = match phase {
                Phase::Running(since) => now.monotonic.since(since) <= limits.deadline + STUCK,
                _ => true,
            };
            let due = left <= half;
            let extend = lane_alive && in_time && delivery.age(now.monotonic) < limits.max_lease;
            if due && extend {
                renewals.push(Renewal {
                    lease: delivery.lease,
                    chunk: id,
                    index,
                });
            }
            // What was asked for, or could not be, is looked at again well before it ends; the last look is the end itself.
            let wait = if due {
                (left / 2).max(SHORTEST).min(left)
            } else {
                left.saturating_sub(half)
            };
            let at = now.monotonic.after(wait);
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        match next {
            Some(at) => drop(self.queue.insert((at, id))),
            None => drop(self.chunks.remove(&id)),
        }
    }

    /// Half of a lock before `until`.
    fn half(&self, until: Instant) -> Instant {
        let half = u64::try_from((self.limits.lock / 2).as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(until.as_nanos().saturating_sub(half))
    }

    /// Forgets chunks that are settled; amortised over the calls.
    fn sweep(&mut self) {
        if self.chunks.len() < self.sweep_at {
            return;
        }
        self.chunks.retain(|_, tracked| tracked.chunk.strong_count() > 0);
        self.queue.retain(|(_, id)| self.chunks.contains_key(id));
        self.sweep_at = (self.chunks.len() * 2).max(SWEEP);
    }
}

fn lose(chunk: Arc<Chunk>, index: usize) -> Option<Lost> {
    let phase = chunk.lose(index)?;
    Some(Lost {
        item: Item { chunk, index },
        running: matches!(phase, Phase::Running(_)),
    })
}

/// A call this long past its deadline is stuck: its instance is being torn down, or cannot be.
const STUCK: Duration = Duration::from_secs(1);

/// Between two looks at a lease that could not be extended.
const SHORTEST: Duration = Duration::from_millis(50);

/// Chunks tracked before the first sweep.
const SWEEP: usize = 4_096;

#[cfg(test)]
mod tests;
