//! What a member holds of a Kafka cluster: records that the host works on, and those that wait here for their time, with their locks
//! renewed. Sans-IO: told of the time and of answers, asked what is due.

mod notes;
mod window;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use share_client::consumer::{Lease, Outcome, TopicPartition, Verb};
use share_engine::ids::{LeaseKey, Offset, ShareKey};
use share_engine::time::Instant;

use super::super::{Delivery, Evidence};
use notes::Notes;
pub(super) use window::{Span, Which};

/// Everything that one member holds.
#[derive(Debug)]
pub(super) struct Held {
    /// The number of each partition. A topic that was made anew has others.
    keys: HashMap<TopicPartition, ShareKey>,
    next_key: ShareKey,
    records: HashMap<Id, Record>,
    /// The highest offset of each partition that the broker has given out, as far as known here.
    highest: HashMap<ShareKey, Offset>,
    /// When those that wait are due, and when their locks are to be renewed.
    due: BTreeSet<(Instant, Id)>,
    renewals: BTreeSet<(Instant, Id)>,
    /// Those that are due and wait for somebody to take them, oldest first.
    ready: VecDeque<Id>,
    /// Offsets without a record, to be told so.
    gaps: Vec<Lease>,
    parked: usize,
    lock: Duration,
    pub(super) notes: Notes,
}

/// One record of this member.
pub(super) type Id = (ShareKey, Offset);

/// A delivery whose turn has come. It names the lease, since the record may be another delivery by the time that something is answered:
/// what brokers release they may give out again in the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) id: Id,
    pub(super) lease: Lease,
}

#[derive(Debug)]
struct Record {
    delivery: Delivery,
    /// As the brokers know it.
    lease: Lease,
    /// When its lock ends.
    until: Instant,
    stage: Stage,
}

impl Record {
    const fn due(&self, id: Id) -> Due {
        Due { id, lease: self.lease }
    }
}

#[derive(Debug)]
enum Stage {
    /// With the host, whose lease keeper renews it.
    Out,
    /// Here until it is due.
    Parked { then: Then, due: Instant, renew: Instant },
    /// Here until somebody takes it.
    Ready { renew: Instant, begins: bool },
    /// Due, and being carried out.
    Busy { renew: Instant },
}

/// What becomes of a record that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The same attempt goes on.
    Continue,
    /// The next attempt begins here, not with the broker.
    Begin,
    /// The attempt has failed: the broker gives the record out again.
    Release,
    /// A dead letter is to be written, after so many tries in vain since then.
    Letter { why: Why, tries: u16, since: Instant },
    /// All else is done, only the brokers have not heard of it.
    Tell(Verb),
}

/// Why a record is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its last attempt failed like this, or its handler rejected it.
    Failed(Option<Box<Evidence>>),
    /// It came once more although it had no attempt left: whoever had it last did not say what became of it.
    Exhausted,
    /// It cannot be read.
    Unreadable(std::sync::Arc<str>),
}

/// What is to be done now.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) renew: Vec<Lease>,
    /// Offsets without a record.
    pub(super) gaps: Vec<Lease>,
    /// What the brokers are to hear.
    pub(super) tell: Vec<(Due, Verb)>,
    pub(super) letters: Vec<Letter>,
    /// Somebody may take records now, or there is room again.
    pub(super) ready: bool,
}

/// A dead letter that is to be written: see [`Then::Letter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) due: Due,
    pub(super) why: Why,
    pub(super) tries: u16,
    pub(super) since: Instant,
}

impl Turn {
    pub(super) fn is_empty(&self) -> bool {
        self.renew.is_empty() && self.gaps.is_empty() && self.tell.is_empty() && self.letters.is_empty()
    }
}

impl Held {
    /// Of a member whose records are locked for `lock` at a time. Its partitions are numbered from `first` on.
    pub(super) fn new(lock: Duration, first: ShareKey) -> Self {
        Self {
            keys: HashMap::new(),
            next_key: first,
            records: HashMap::new(),
            highest: HashMap::new(),
            due: BTreeSet::new(),
            renewals: BTreeSet::new(),
            ready: VecDeque::new(),
            gaps: Vec::new(),
            parked: 0,
            lock,
            notes: Notes::default(),
        }
    }

    /// The number of a partition.
    pub(super) fn share_key(&mut self, place: TopicPartition) -> ShareKey {
        *self.keys.entry(place).or_insert_with(|| {
            let key = self.next_key;
            self.next_key = key.next();
            key
        })
    }

    /// The lease that the brokers know a record by.
    pub(super) fn lease(&self, id: Id) -> Option<Lease> {
        self.records.get(&id).map(|record| record.lease)
    }

    /// The record that a lease of the member is of, if it is held.
    fn id(&self, lease: &Lease) -> Option<Id> {
        let share = *self.keys.get(&lease.place)?;
        let id = (share, Offset::saturating(u64::try_from(lease.offset).ok()?));
        (self.records.get(&id)?.lease == *lease).then_some(id)
    }

    /// A record that was acquired and goes to the host.
    pub(super) fn take(&mut self, delivery: &Delivery, lease: Lease) {
        let id = (delivery.lease.share, delivery.lease.offset);
        let highest = self.highest.entry(id.0).or_default();
        *highest = id.1.max(*highest);
        self.remove(id);
        let record = Record {
            until: delivery.lease_deadline,
            delivery: delivery.clone(),
            lease,
            stage: Stage::Out,
        };
        self.records.insert(id, record);
    }

    /// One that was acquired and that the host is not to see.
    pub(super) fn keep(&mut self, delivery: &Delivery, lease: Lease, then: Then, due: Instant) {
        self.take(delivery, lease);
        self.stay((delivery.lease.share, delivery.lease.offset), then, due);
    }

    /// An offset that was acquired and has no record.
    pub(super) fn gap(&mut self, lease: Lease) {
        self.gaps.push(lease);
    }

    /// The delivery that the host has, if `key` is its newest.
    pub(super) fn out(&self, key: &LeaseKey) -> Option<&Delivery> {
        let record = self.records.get(&(key.share, key.offset))?;
        (matches!(record.stage, Stage::Out) && record.delivery.lease == *key).then_some(&record.delivery)
    }

    /// A delivery, if it is still held.
    pub(super) fn delivery(&self, due: Due) -> Option<&Delivery> {
        let record = self.records.get(&due.id)?;
        (record.lease == due.lease).then_some(&record.delivery)
    }

    /// Keeps a record here until `due`. A checkpoint replaces the one there is.
    pub(super) fn park(&mut self, id: Id, then: Then, due: Instant, checkpoint: Option<bytes::Bytes>) {
        if let (Some(record), Some(checkpoint)) = (self.records.get_mut(&id), checkpoint) {
            record.delivery.checkpoint = Some(checkpoint);
        }
        self.stay(id, then, due);
    }

    /// Records that wait here, those that are ready and those that are being carried out included.
    pub(super) const fn parked(&self) -> usize {
        self.parked
    }

    /// All records that are held.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// When the first of those that wait is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Hands out records that are ready, as continuations of their attempts.
    pub(super) fn take_ready(&mut self, most: usize, now: Instant) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(id) = self.ready.pop_front() else {
                break;
            };
            let Some(record) = self.records.get_mut(&id) else {
                continue;
            };
            let Stage::Ready { renew, begins } = record.stage else {
                continue;
            };
            self.renewals.remove(&(renew, id));
            self.parked -= 1;
            record.stage = Stage::Out;
            let delivery = &mut record.delivery;
            delivery.attempt_age = if begins { Duration::ZERO } else { delivery.age(now) };
            delivery.acquired_at = now;
            delivery.lease_deadline = record.until;
            if !begins {
                delivery.lease.continuation = delivery.lease.continuation.next();
            }
            taken.push(delivery.clone());
        }
        taken
    }

    /// When [`Held::turn`] has something to do.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        let firsts = [self.due.first(), self.renewals.first()];
        firsts.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// What is due. What is handed out here is asked for again by `put_back`, or ended by `end`.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        let mut turn = Turn {
            gaps: std::mem::take(&mut self.gaps),
            ..Turn::default()
        };
        while let Some((_, id)) = self.due.pop_first_if_due(now) {
            let Some(record) = self.records.get_mut(&id) else {
                continue;
            };
            let Stage::Parked { then, renew, .. } = &record.stage else {
                continue;
            };
            let (then, renew) = (then.clone(), *renew);
            let due = record.due(id);
            record.stage = match then {
                Then::Continue | Then::Begin => {
                    self.ready.push_back(id);
                    turn.ready = true;
                    let begins = then == Then::Begin;
                    Stage::Ready { renew, begins }
                }
                Then::Release => {
                    turn.tell.push((due, Verb::Release));
                    Stage::Busy { renew }
                }
                Then::Tell(verb) => {
                    turn.tell.push((due, verb));
                    Stage::Busy { renew }
                }
                Then::Letter { why, tries, since } => {
                    let letter = Letter { due, why, tries, since };
                    turn.letters.push(letter);
                    Stage::Busy { renew }
                }
            };
        }
        while let Some((_, id)) = self.renewals.pop_first_if_due(now) {
            self.renewal_due(id, now, &mut turn);
        }
        turn
    }

    fn renewal_due(&mut self, id: Id, now: Instant, turn: &mut Turn) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        if record.until <= now {
            // The broker has given it to somebody else by now, or will.
            self.remove(id);
            turn.ready = true;
            return;
        }
        // Asked again well before its end, should there be no answer.
        let again = now.after((record.until.since(now) / 2).max(SHORTEST));
        let (Stage::Parked { renew, .. } | Stage::Ready { renew, .. } | Stage::Busy { renew }) = &mut record.stage
        else {
            return;
        };
        *renew = again;
        self.renewals.insert((again, id));
        turn.renew.push(record.lease);
    }

    /// A lock lasts until `until` now. It may be shorter than it was: whoever manages the group can change that at any time.
    pub(super) fn handle_renewed(&mut self, lease: &Lease, until: Instant, now: Instant) {
        let Some(id) = self.id(lease) else {
            return;
        };
        let renew_at = self.renew_at(until).max(now.after(until.since(now) / 2));
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        record.until = until;
        if let Stage::Parked { renew, .. } | Stage::Ready { renew, .. } | Stage::Busy { renew } = &mut record.stage {
            self.renewals.remove(&(*renew, id));
            *renew = renew_at;
            self.renewals.insert((renew_at, id));
        }
    }

    /// These are no longer the member's. The keys of those that the host has.
    pub(super) fn handle_lost(&mut self, leases: &[Lease]) -> Vec<LeaseKey> {
        let mut lost = Vec::new();
        for lease in leases {
            let Some(id) = self.id(lease) else {
                continue;
            };
            if let Some((key, true)) = self.remove(id) {
                lost.push(key);
            }
        }
        lost
    }

    /// Forgets a delivery, if it is held. One of the same record that has come meanwhile stays.
    pub(super) fn end(&mut self, due: Due) -> bool {
        let is_held = self.is_held(due);
        if is_held {
            self.remove(due.id);
        }
        is_held
    }

    /// The brokers have heard of it. What is known of the record is of use as long as it may come again.
    pub(super) fn settled(&mut self, due: Due, verb: Verb, outcome: Outcome) {
        if self.end(due) && verb != Verb::Release && outcome == Outcome::Applied {
            self.notes.take(due.id);
        }
    }

    /// What the brokers said of a verb. Where they refuse it for now and it `stays`, they are told again then; else whoever decided hears of
    /// it. Whether the record stays.
    pub(super) fn answered(&mut self, due: Due, verb: Verb, outcome: Outcome, stays: bool, again: Instant) -> bool {
        let is_refused = matches!(outcome, Outcome::Failed(_));
        if is_refused && stays {
            self.put_back(due, Then::Tell(verb), again);
        } else if !is_refused {
            self.settled(due, verb, outcome);
        }
        is_refused && stays
    }

    /// As [`Held::park`], for what was carried out in vain. A delivery that has come meanwhile stays as it is.
    pub(super) fn put_back(&mut self, due: Due, then: Then, at: Instant) {
        if self.is_held(due) {
            self.stay(due.id, then, at);
        }
    }

    /// Whether the host has this delivery.
    pub(super) fn is_out(&self, due: Due) -> bool {
        let record = self.records.get(&due.id);
        record.is_some_and(|record| record.lease == due.lease && matches!(record.stage, Stage::Out))
    }

    fn is_held(&self, due: Due) -> bool {
        self.lease(due.id) == Some(due.lease)
    }

    /// Forgets a record: its key, and whether the host has it.
    pub(super) fn remove(&mut self, id: Id) -> Option<(LeaseKey, bool)> {
        let record = self.records.remove(&id)?;
        let is_out = self.leave(id, &record.stage);
        Some((record.delivery.lease, is_out))
    }

    /// What is owed to the brokers and to the dead-letter topic is due now: the member leaves.
    pub(super) fn hurry(&mut self, now: Instant) {
        for (id, record) in &mut self.records {
            if let Stage::Parked { then, due, .. } = &mut record.stage
                && matches!(then, Then::Letter { .. } | Then::Tell(_))
            {
                self.due.remove(&(*due, *id));
                *due = now;
                self.due.insert((now, *id));
            }
        }
    }

    /// Records that are being carried out, or are to be before the member leaves.
    pub(super) fn owed(&self) -> impl Iterator<Item = &Delivery> {
        let owed = self.records.values().filter(|record| match &record.stage {
            Stage::Busy { .. } => true,
            Stage::Parked { then, .. } => matches!(then, Then::Letter { .. } | Then::Tell(_)),
            Stage::Out | Stage::Ready { .. } => false,
        });
        owed.map(|record| &record.delivery)
    }

    fn stay(&mut self, id: Id, then: Then, due: Instant) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let until = record.until;
        let before = std::mem::replace(&mut record.stage, Stage::Out);
        self.leave(id, &before);
        let renew = self.renew_at(until);
        if let Some(record) = self.records.get_mut(&id) {
            record.stage = Stage::Parked { then, due, renew };
            self.due.insert((due, id));
            self.renewals.insert((renew, id));
            self.parked += 1;
        }
    }

    /// Out of the lists that a stage stands in. Whether the host had the record.
    fn leave(&mut self, id: Id, stage: &Stage) -> bool {
        match stage {
            Stage::Out => return true,
            Stage::Parked { due, renew, .. } => {
                self.due.remove(&(*due, id));
                self.renewals.remove(&(*renew, id));
            }
            Stage::Ready { renew, .. } => {
                self.renewals.remove(&(*renew, id));
                self.ready.retain(|one| *one != id);
            }
            Stage::Busy { renew } => {
                self.renewals.remove(&(*renew, id));
            }
        }
        self.parked -= 1;
        false
    }

    /// Half a lock before the end.
    fn renew_at(&self, until: Instant) -> Instant {
        let half = u64::try_from((self.lock / 2).as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(until.as_nanos().saturating_sub(half))
    }
}

trait PopDue {
    fn pop_first_if_due(&mut self, now: Instant) -> Option<(Instant, Id)>;
}

impl PopDue for BTreeSet<(Instant, Id)> {
    fn pop_first_if_due(&mut self, now: Instant) -> Option<(Instant, Id)> {
        self.first().filter(|(at, _)| *at <= now)?;
        self.pop_first()
    }
}

/// Between two tries of a renewal.
const SHORTEST: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
