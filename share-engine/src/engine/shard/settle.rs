//! Settlement, extension and release: one answer for each lease, one never affects another.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::letters::LETTERS_AT_ONCE;
use super::message::{EmitBatch, SettleItem};
use super::{Pending, Shard, Then};
use crate::engine::message::{Admission, Append, Operation};
use crate::engine::reply::Sender;
use crate::engine::stats::Counts;
use crate::error::{RefusedBy, RefusedSettlement, SettleResult};
use crate::hook::Phase;
use crate::ids::{LeaseKey, Offset, ShareKey};
use crate::letter::Evidence;
use crate::share::{Refusal, Settled, SharePartition, TransitionId, Verdict};
use crate::time::{Instant, Now};

/// A `settle` call whose parts are under way.
pub(super) struct Call {
    results: Vec<SettleResult>,
    open: usize,
    reply: Sender<Vec<SettleResult>>,
}

/// A settlement without emitted records: its place in the call, and what it says.
type Plain = (usize, LeaseKey, Verdict, Option<Box<Evidence>>);

/// What a settlement carried for the dead letter, by offset.
pub(super) type EvidenceOf = (Offset, Box<Evidence>);

/// Large parts of what has run out, of one share partition, that are on their way to the disk at once: while one is written the next is
/// decided, and whoever asks meanwhile waits for no more than these.
const PARTS_AT_ONCE: u32 = 2;

/// Changes of a large part.
const LARGE_PART: usize = 1_024;

impl Shard {
    /// Settlements without emitted records share one entry for each share partition; one with emitted records is an
    /// entry of its own, so that a refused emit costs nobody else.
    pub(super) fn settle(&mut self, items: Vec<SettleItem>, reply: Sender<Vec<SettleResult>>, now: Now) {
        let call = self.next_token;
        self.next_token += 1;
        let results = vec![SettleResult::Stale; items.len()];
        self.calls.insert(
            call,
            Call {
                results,
                open: 1,
                reply,
            },
        );
        let mut plain: BTreeMap<ShareKey, Vec<Plain>> = BTreeMap::new();
        for (slot, item) in items.into_iter().enumerate() {
            if item.emit.is_empty() {
                let list = plain.entry(item.lease.share).or_default();
                list.push((slot, item.lease, item.verdict, item.evidence));
            } else {
                self.settle_with_emit(call, slot, item, now);
            }
        }
        for (key, list) in plain {
            self.settle_plain(call, key, list, now);
        }
        self.close_part(call);
    }

    /// In as many entries as what they hold asks for.
    fn settle_plain(&mut self, call: u64, key: ShareKey, mut list: Vec<Plain>, now: Now) {
        // From behind, so that what is cut off is moved once.
        let cuts = self.cuts(key, &list);
        let mut parts: Vec<Vec<Plain>> = cuts.into_iter().rev().map(|cut| list.split_off(cut)).collect();
        parts.push(list);
        for part in parts.into_iter().rev() {
            self.settle_part(call, key, part, now);
        }
    }

    /// Where a list of settlements has to be cut for what each part holds to fit into one entry: checkpoints, notes, and
    /// the dead letters that may come of it.
    fn cuts(&self, key: ShareKey, list: &[Plain]) -> Vec<usize> {
        let Some(share) = self.world.shares.get(&key) else {
            return Vec::new();
        };
        let limit = share.state.options().delivery_limit;
        let may_end = |(_, lease, verdict, _): &Plain| match verdict {
            Verdict::Accept | Verdict::GiveBack => false,
            Verdict::Reject { .. } => true,
            Verdict::Release { .. } | Verdict::Renew { .. } => lease.delivery_count >= limit,
        };
        let doomed: Vec<_> = list
            .iter()
            .filter(|one| may_end(one))
            .map(|(_, lease, _, evidence)| (lease.offset, evidence.as_deref()))
            .collect();
        let sizes = if doomed.is_empty() {
            None
        } else {
            self.letter_sizes(key, &doomed)
        };
        let mut sizes = sizes.unwrap_or_default().into_iter();
        let most = self.config.entry_bytes();
        let mut cuts = Vec::new();
        let (mut letters, mut bytes) = (0, 0);
        for (index, one) in list.iter().enumerate() {
            let letter = may_end(one).then(|| sizes.next()).flatten();
            let size = kept_bytes(&one.2) + letter.unwrap_or_default();
            if (bytes > 0 && bytes + size > most) || (letter.is_some() && letters == LETTERS_AT_ONCE) {
                cuts.push(index);
                (letters, bytes) = (0, 0);
            }
            letters += u64::from(letter.is_some());
            bytes += size;
        }
        cuts
    }

    fn settle_part(&mut self, call: u64, key: ShareKey, list: Vec<Plain>, now: Now) {
        let Some(share) = self.world.shares.get_mut(&key) else {
            return;
        };
        let mut settlements = Vec::with_capacity(list.len());
        let mut slots = Vec::with_capacity(list.len());
        let mut evidence = Vec::new();
        for (slot, lease, verdict, kept) in list {
            if let Some(kept) = kept {
                evidence.push((lease.offset, kept));
            }
            settlements.push((lease, verdict));
            slots.push(slot);
        }
        let settled = share.state.settle(&settlements, now);
        let applied = self.sort_results(call, &slots, &settled);
        self.open_part(call);
        self.persist_settled(key, settled, Then::Settle { call, slots: applied }, &evidence, now);
    }

    fn settle_with_emit(&mut self, call: u64, slot: usize, item: SettleItem, now: Now) {
        let key = item.lease.share;
        let Some(share) = self.world.shares.get_mut(&key) else {
            return;
        };
        self.hook.reach(Phase::Settling);
        let settled = share.state.settle(&[(item.lease, item.verdict)], now);
        let applied = self.sort_results(call, &[slot], &settled);
        let Some(transition) = settled.transition else { return };
        self.open_part(call);
        let mut operations = vec![Operation::Share {
            share: key,
            changes: settled.changes,
        }];
        if planted!(EmitWithoutAck) {
            operations.clear();
        }
        operations.extend(item.emit.into_iter().map(EmitBatch::into_operation));
        let then = Then::Settle { call, slots: applied };
        // An acceptance counts for none of the statistics.
        self.submit(operations, Pending::new(vec![(key, transition)], then));
        self.schedule(key);
    }

    /// Notes what is decided at once and returns the slots that wait for the disk.
    fn sort_results(&mut self, call: u64, slots: &[usize], settled: &Settled) -> Vec<usize> {
        let mut applied = Vec::with_capacity(slots.len());
        let Some(call) = self.calls.get_mut(&call) else {
            return applied;
        };
        for (slot, result) in slots.iter().zip(&settled.results) {
            match result {
                Ok(()) => applied.push(*slot),
                Err(refusal) => {
                    if let Some(place) = call.results.get_mut(*slot) {
                        *place = refused(refusal);
                    }
                }
            }
        }
        applied
    }

    /// Writes what a share partition decided, with the dead letters that belong to it.
    pub(super) fn persist_settled(
        &mut self,
        key: ShareKey,
        settled: Settled,
        then: Then,
        evidence: &[EvidenceOf],
        now: Now,
    ) {
        self.schedule(key);
        let counts = Counts::of(&settled);
        if settled.changes.is_empty() {
            self.stats.count(&counts);
            if let Then::Settle { call, slots } = then {
                self.settled(call, &slots, &SettleResult::Applied);
            }
            return;
        }
        let transitions = settled
            .transition
            .map(|transition| (key, transition))
            .into_iter()
            .collect();
        let operations = vec![Operation::Share {
            share: key,
            changes: settled.changes,
        }];
        let pending = Pending {
            counts,
            ..Pending::new(transitions, then)
        };
        let left_out = planted!(LetterLeftOut) && !matches!(pending.then, Then::Settle { .. });
        if settled.archived.is_empty() || left_out {
            self.submit(operations, pending);
        } else {
            self.submit_with_letters(key, operations, pending, &settled.archived, evidence, now);
        }
    }

    fn open_part(&mut self, call: u64) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.open += 1;
        }
    }

    fn close_part(&mut self, key: u64) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.open -= 1;
        if call.open == 0
            && let Some(call) = self.calls.remove(&key)
        {
            drop(call.reply.send(call.results));
        }
    }

    /// A part of a call is decided.
    pub(super) fn settled(&mut self, key: u64, slots: &[usize], result: &SettleResult) {
        if let Some(call) = self.calls.get_mut(&key) {
            for slot in slots {
                if let Some(place) = call.results.get_mut(*slot) {
                    *place = result.clone();
                }
            }
        }
        self.close_part(key);
    }

    /// Extends leases; answered at once, nothing is journaled.
    pub(super) fn extend(&mut self, leases: &[LeaseKey], reply: Sender<Vec<Result<Instant, Refusal>>>, now: Now) {
        let mut results = Vec::with_capacity(leases.len());
        for run in leases.chunk_by(|left, right| left.share == right.share) {
            let Some(key) = run.first().map(|lease| lease.share) else {
                continue;
            };
            match self.world.shares.get_mut(&key) {
                Some(share) => results.extend(share.state.extend(run, now)),
                None => results.extend(run.iter().map(|lease| Err(Refusal::Stale(lease.offset)))),
            }
            self.schedule(key);
        }
        self.stats
            .renewals(results.iter().filter(|result| result.is_ok()).count() as u64);
        drop(reply.send(results));
    }

    /// Records that reached nobody: available again at once, and the attempt is not spent.
    pub(super) fn abandon(&mut self, leases: &[LeaseKey], now: Now) {
        for run in leases.chunk_by(|left, right| left.share == right.share) {
            let Some(key) = run.first().map(|lease| lease.share) else {
                continue;
            };
            let most = usize::try_from(self.limit_letters(key)).unwrap_or(usize::MAX);
            for part in run.chunks(most) {
                let settlements: Vec<_> = part.iter().map(|lease| (*lease, Verdict::GiveBack)).collect();
                let Some(share) = self.world.shares.get_mut(&key) else {
                    break;
                };
                let settled = share.state.settle(&settlements, now);
                self.persist_settled(key, settled, Then::Nothing, &[], now);
            }
        }
    }

    /// Expired leases and due parked records: of each share partition as many as it decides at once. The others are still due in the
    /// next turn, after what was asked for meanwhile. `false` if nothing was due.
    pub(super) fn handle_timeouts(&mut self, now: Now) -> bool {
        if self.fenced.is_some() {
            return false;
        }
        let due = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now.monotonic);
        let due: Vec<(Instant, ShareKey)> = due.copied().collect();
        let worked = !due.is_empty();
        for (deadline, key) in due {
            self.deadlines.remove(&(deadline, key));
            self.limit_letters(key);
            let Some(share) = self.world.shares.get_mut(&key) else {
                continue;
            };
            share.deadline = None;
            // Scheduled anew by the first of them that is durable.
            if share.expiring >= PARTS_AT_ONCE {
                continue;
            }
            let settled = share.state.handle_timeout(now);
            // One that waits for its dead letters counts, too: until it goes no more is decided than a second one.
            let then = if settled.changes.len() < LARGE_PART {
                Then::Nothing
            } else {
                share.expiring += 1;
                Then::Expire
            };
            // What the journal has no room for is asked for again when it has moved on, not at once and for ever.
            if !self.stalled.contains(&key) {
                self.changed.insert(key);
            }
            self.persist_settled(key, settled, then, &[], now);
        }
        worked
    }

    /// A part of what has run out is durable, or was refused.
    pub(super) fn expired(&mut self, transitions: &[(ShareKey, TransitionId)]) {
        for (key, _) in transitions {
            if let Some(share) = self.world.shares.get_mut(key) {
                share.expiring = share.expiring.saturating_sub(1);
            }
            self.schedule(*key);
        }
    }

    /// At open: what an earlier process held.
    pub(super) fn void_leases(&mut self, now: Now) {
        let keys: Vec<ShareKey> = self.world.shares.keys().copied().collect();
        let crashed = self.crashed;
        for key in keys {
            self.limit_letters(key);
            self.settle_all(key, now, || Then::Void, |state, now| state.void_leases(crashed, now));
            // Parked records are due, and attempts over, whether anybody was held or not.
            self.schedule(key);
            self.changed.insert(key);
        }
    }

    /// What the journal had no room for at open.
    pub(super) fn void_again(&mut self, now: Now) {
        if std::mem::take(&mut self.upkeep.unvoided) {
            self.void_leases(now);
        }
    }

    /// A command that deals with a part at a time, until nothing is left.
    pub(super) fn settle_all(
        &mut self,
        key: ShareKey,
        now: Now,
        then: fn() -> Then,
        mut command: impl FnMut(&mut SharePartition, Now) -> Settled,
    ) {
        while let Some(share) = self.world.shares.get_mut(&key) {
            let settled = command(&mut share.state, now);
            if settled.changes.is_empty() {
                return;
            }
            self.persist_settled(key, settled, then(), &[], now);
        }
    }
}

impl EmitBatch {
    fn into_operation(self) -> Operation {
        Operation::Append(Append {
            partition: self.partition,
            batch: self.batch,
            records: self.records,
            admission: Admission::Bounded,
        })
    }
}

/// What a settlement leaves with its record.
fn kept_bytes(verdict: &Verdict) -> u64 {
    let kept = match verdict {
        Verdict::Release { note, .. } => note.as_ref().map(Bytes::len),
        Verdict::Renew { checkpoint, .. } => checkpoint.as_ref().map(Bytes::len),
        Verdict::Accept | Verdict::Reject { .. } | Verdict::GiveBack => None,
    };
    kept.unwrap_or_default() as u64
}

fn refused(refusal: &Refusal) -> SettleResult {
    match refusal {
        Refusal::Stale(_) => SettleResult::Stale,
        other => SettleResult::Refused(RefusedSettlement {
            by: match other {
                Refusal::InTransition(_) => RefusedBy::Other,
                _ => RefusedBy::Never,
            },
            reason: other.to_string(),
        }),
    }
}
