//! Entries on their way to the disk, and what happens when they are there or were refused.

use super::deliver::AcquiredPart;
use super::{Shard, admin, members};
use crate::engine::message::{Entry, Operation, Origin, ToJournal};
use crate::engine::stats::Counts;
use crate::error::{AdminError, ProduceError};
use crate::ids::{MemberIndex, Offset, PartitionKey, ShareKey};
use crate::share::{Change, Persisted, TransitionId};
use crate::time::Now;

/// An entry that is on its way to the disk.
pub(super) struct Pending {
    pub(super) transitions: Vec<(ShareKey, TransitionId)>,
    /// Changes of share partitions that come into being with the entry.
    pub(super) apply: Vec<(ShareKey, Change)>,
    /// What is counted when it is durable, and never if it is refused.
    pub(super) counts: Counts,
    pub(super) then: Then,
}

impl Pending {
    pub(super) fn new(transitions: Vec<(ShareKey, TransitionId)>, then: Then) -> Self {
        Self {
            transitions,
            apply: Vec::new(),
            counts: Counts::default(),
            then,
        }
    }
}

/// What happens when an entry is durable.
pub(super) enum Then {
    Nothing,
    Deliver {
        member: MemberIndex,
        waiting: members::Waiting,
        parts: Vec<AcquiredPart>,
    },
    Settle {
        call: u64,
        slots: Vec<usize>,
    },
    /// Leases ran out.
    Expire,
    /// A group gave up records that retention is about to drop.
    Retire,
    /// Leases of an earlier process ended.
    Void,
    Admin(admin::Continuation),
}

impl Shard {
    /// Leaves an entry for the journal, for whoever commits once this turn is over.
    pub(super) fn submit(&mut self, operations: Vec<Operation>, pending: Pending) {
        let token = self.next_token;
        self.next_token += 1;
        self.pending.insert(token, pending);
        self.journal.leave(ToJournal::Entry(Entry {
            operations,
            origin: Origin::Shard(token),
        }));
    }

    /// An entry is durable.
    pub(super) fn finish(&mut self, pending: Pending, appended: Option<(PartitionKey, Offset)>, now: Now) {
        for (key, change) in &pending.apply {
            if let Some(share) = self.world.shares.get_mut(key) {
                // The share partition is new, so that nothing can contradict the change.
                let applied = share.state.apply(change, now);
                debug_assert!(applied.is_ok(), "{applied:?}");
                self.changed.insert(*key);
            }
        }
        for (key, transition) in &pending.transitions {
            self.persisted(*key, *transition, Persisted::Durable, now);
        }
        self.stats.count(&pending.counts);
        match pending.then {
            Then::Nothing | Then::Void => {}
            Then::Expire => self.expired(&pending.transitions),
            Then::Retire => self.retired(now),
            Then::Deliver { member, waiting, parts } => self.hand_out(member, waiting, parts, now),
            Then::Settle { call, slots } => self.settled(call, &slots, &crate::error::SettleResult::Applied),
            Then::Admin(continuation) => self.admin_done(continuation, Ok(appended), now),
        }
        for (key, _) in pending.transitions {
            self.drop_finished(key);
        }
    }

    /// The journal took nothing of an entry.
    pub(super) fn roll_back(&mut self, pending: Pending, error: &ProduceError, now: Now) {
        for (key, transition) in &pending.transitions {
            self.persisted(*key, *transition, Persisted::Refused, now);
        }
        match pending.then {
            Then::Nothing => {}
            Then::Expire => self.expired(&pending.transitions),
            // As soon as there is room.
            Then::Void => self.upkeep.unvoided = true,
            // The next look at what has to go tries it again.
            Then::Retire => self.upkeep.retiring -= 1,
            Then::Deliver { member, waiting, .. } => {
                for (key, _) in &pending.transitions {
                    self.changed.remove(key);
                    self.stalled.insert(*key);
                }
                self.wait_again(member, waiting);
            }
            Then::Settle { call, slots } => {
                self.settled(call, &slots, &crate::error::SettleResult::Refused(error.clone().into()));
                for (key, _) in pending.transitions {
                    self.release_left(key, now);
                }
            }
            Then::Admin(continuation) => {
                self.admin_done(continuation, Err(AdminError::Refused(error.to_string())), now);
            }
        }
    }

    pub(super) fn persisted(&mut self, key: ShareKey, transition: TransitionId, result: Persisted, now: Now) {
        if let Some(share) = self.world.shares.get_mut(&key) {
            share.state.handle_persisted(transition, result, now);
            self.changed.insert(key);
            self.schedule(key);
        }
    }
}
