//! A source in memory that does what its script says: leases that run out on an injected clock, refusals, outages, counts of everything.
//! For tests and for measuring the host loop alone; keeps the rules that the loop relies on (one live lease, whole keys compared).

mod state;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use share_engine::ids::{Continuation, DeliveryCount, LeaseKey, Offset, ShareKey, StateEpoch};
use share_engine::time::{Clock, Instant};
use tokio::sync::Notify;

pub use state::ScriptedState;

use super::{
    Backlog, BoxFuture, Credit, Delivery, Payload, RecordFields, RefusedBy, RenewResult, SettleResult, Settlement,
    Source, SourceError, SourceEvent, Verdict,
};

/// A source of one topic with one partition. Clones share their state.
#[derive(Clone)]
pub struct ScriptedSource {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    lock: Duration,
    attempts: u16,
    topic: Arc<str>,
    changed: Notify,
    events: Notify,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    records: Vec<Entry>,
    available: VecDeque<usize>,
    delayed: BTreeSet<(Instant, usize)>,
    held: usize,
    /// No lease ends before.
    next_expiry: Option<Instant>,
    events: VecDeque<SourceEvent>,
    refuse: u64,
    refused_by: RefusedBy,
    unavailable: bool,
    failed: Option<String>,
    settle_delay: Duration,
    keep_evidence: bool,
    state: ScriptedState,
}

struct Entry {
    fields: Arc<RecordFields>,
    count: u16,
    continuation: u32,
    continues: bool,
    began: Instant,
    checkpoint: Option<Bytes>,
    lease: Option<Instant>,
    terminal: bool,
}

impl ScriptedSource {
    /// An empty topic whose group gives leases of length `lock` and `attempts` deliveries a record.
    pub fn new(clock: Arc<dyn Clock>, lock: Duration, attempts: u16) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                lock,
                attempts,
                topic: Arc::from("scripted"),
                changed: Notify::new(),
                events: Notify::new(),
                inner: Mutex::new(Inner {
                    keep_evidence: true,
                    ..Inner::default()
                }),
            }),
        }
    }

    /// Appends records with these values.
    pub fn produce<V: Into<Bytes>>(&self, values: impl IntoIterator<Item = V>) {
        let timestamp = self.shared.clock.now().wall;
        let mut inner = self.shared.lock();
        for value in values {
            let index = inner.records.len();
            inner.records.push(Entry {
                fields: Arc::new(RecordFields {
                    value: Some(value.into()),
                    timestamp,
                    ..RecordFields::default()
                }),
                count: 0,
                continuation: 0,
                continues: false,
                began: Instant::default(),
                checkpoint: None,
                lease: None,
                terminal: false,
            });
            inner.available.push_back(index);
        }
        drop(inner);
        self.shared.changed.notify_waiters();
    }

    /// Looks at the clock again: leases run out, delays end.
    pub fn wake(&self) {
        self.shared.expire();
        self.shared.changed.notify_waiters();
    }

    /// The next `count` settlements are refused.
    pub fn refuse(&self, count: u64) {
        self.refuse_by(count, RefusedBy::Backend);
    }

    /// The next `count` settlements are refused in this way; but for the backend's sake only those that emit.
    pub fn refuse_by(&self, count: u64, by: RefusedBy) {
        let mut inner = self.shared.lock();
        inner.refuse = count;
        inner.refused_by = by;
    }

    /// From now on `acquire` and `renew` fail, or work again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.shared.lock().unavailable = unavailable;
        self.shared.changed.notify_waiters();
    }

    /// From now on `acquire` and `backlog` fail for good, and nobody learns what became of a settlement.
    pub fn fail(&self, reason: &str) {
        self.shared.lock().failed = Some(reason.to_owned());
        self.shared.changed.notify_waiters();
    }

    /// Every `settle` takes this long.
    pub fn set_settle_delay(&self, delay: Duration) {
        self.shared.lock().settle_delay = delay;
    }

    /// Takes every lease away and tells so.
    pub fn lose_all_leases(&self) {
        let mut inner = self.shared.lock();
        let mut lost = Vec::new();
        for index in 0..inner.records.len() {
            if inner.records.get(index).is_some_and(|entry| entry.lease.is_some()) {
                lost.extend(inner.key(index));
                inner.free(index);
                inner.available.push_back(index);
            }
        }
        inner.events.push_back(SourceEvent::LeasesLost(lost));
        drop(inner);
        self.shared.events.notify_waiters();
        self.shared.changed.notify_waiters();
    }

    /// Tells something.
    pub fn tell(&self, event: SourceEvent) {
        self.shared.lock().events.push_back(event);
        self.shared.events.notify_waiters();
    }

    /// A copy of what happened so far.
    pub fn state(&self) -> ScriptedState {
        self.shared.lock().state.clone()
    }

    /// Delivery counts of all records, in order.
    pub fn counts(&self) -> Vec<u16> {
        self.shared.lock().records.iter().map(|entry| entry.count).collect()
    }

    /// Records that are finished.
    pub fn terminal(&self) -> usize {
        self.shared.lock().records.iter().filter(|entry| entry.terminal).count()
    }
}

impl Source for ScriptedSource {
    fn acquire(&self, credit: Credit) -> BoxFuture<'_, Result<Vec<Delivery>, SourceError>> {
        Box::pin(async move {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let next = match self.shared.take(credit)? {
                    Taken::Records(records) => return Ok(records),
                    Taken::Nothing { next } => next,
                };
                match next {
                    Some(wait) => drop(tokio::time::timeout(wait, changed).await),
                    None => changed.await,
                }
            }
        })
    }

    fn settle(&self, batch: Vec<Settlement>) -> BoxFuture<'_, Vec<SettleResult>> {
        Box::pin(async move {
            let delay = self.shared.lock().settle_delay;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            self.shared.settle(batch)
        })
    }

    fn renew(&self, leases: Vec<LeaseKey>) -> BoxFuture<'_, Vec<RenewResult>> {
        Box::pin(async move { self.shared.renew(&leases) })
    }

    fn event(&self) -> BoxFuture<'_, SourceEvent> {
        Box::pin(async move {
            loop {
                let told = self.shared.events.notified();
                tokio::pin!(told);
                told.as_mut().enable();
                if let Some(event) = self.shared.lock().events.pop_front() {
                    return event;
                }
                told.await;
            }
        })
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Backlog, SourceError>> {
        Box::pin(async move {
            self.shared.expire();
            let now = self.shared.clock.now().monotonic;
            let inner = self.shared.lock();
            if let Some(reason) = &inner.failed {
                return Err(SourceError::Failed(reason.clone()));
            }
            Ok(Backlog {
                available: inner.available.len() as u64,
                acquired: inner.held as u64,
                parked: inner.delayed.len() as u64,
                next_due: inner.delayed.first().map(|(due, _)| due.since(now)),
            })
        })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.lock().state.left = true;
            self.shared.changed.notify_waiters();
        })
    }
}

enum Taken {
    Records(Vec<Delivery>),
    Nothing { next: Option<Duration> },
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, credit: Credit) -> Result<Taken, SourceError> {
        self.expire();
        let now = self.clock.now();
        let mut inner = self.lock();
        if inner.state.left {
            return Err(SourceError::Closed);
        }
        if let Some(reason) = &inner.failed {
            return Err(SourceError::Failed(reason.clone()));
        }
        if inner.unavailable {
            return Err(SourceError::Unavailable("scripted".to_owned()));
        }
        inner.ripen(now.monotonic);
        let deadline = now.monotonic.after(self.lock);
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < credit.records as usize && (bytes < credit.bytes || records.is_empty()) {
            let Some(index) = inner.available.pop_front() else {
                break;
            };
            let Some(entry) = inner.records.get_mut(index) else {
                continue;
            };
            if !std::mem::take(&mut entry.continues) {
                entry.count = entry.count.saturating_add(1);
                entry.began = now.monotonic;
            }
            entry.lease = Some(deadline);
            records.push(Delivery {
                lease: entry.key(index),
                topic: self.topic.clone(),
                partition: 0,
                lease_deadline: deadline,
                attempt_age: now.monotonic.since(entry.began),
                acquired_at: now.monotonic,
                appended_at: entry.fields.timestamp,
                checkpoint: entry.checkpoint.clone(),
                payload: Payload::Fields(entry.fields.clone()),
            });
            bytes += records.last().map_or(0, Delivery::bytes);
        }
        if records.is_empty() {
            let due = inner.delayed.first().map(|(due, _)| *due);
            let next = due.into_iter().chain(inner.next_expiry).min();
            let next = next.map(|at| at.since(now.monotonic));
            return Ok(Taken::Nothing { next });
        }
        inner.held += records.len();
        inner.next_expiry = Some(inner.next_expiry.map_or(deadline, |next| next.min(deadline)));
        inner.state.most_held = inner.state.most_held.max(inner.held);
        inner.state.deliveries += records.len() as u64;
        inner.state.acquires += 1;
        Ok(Taken::Records(records))
    }

    fn settle(&self, batch: Vec<Settlement>) -> Vec<SettleResult> {
        self.expire();
        let now = self.clock.now().monotonic;
        let mut inner = self.lock();
        inner.state.settles += 1;
        if inner.failed.is_some() {
            return vec![SettleResult::Unknown; batch.len()];
        }
        let results = batch
            .into_iter()
            .map(|settlement| inner.settle_one(settlement, now, self.attempts))
            .collect();
        drop(inner);
        self.changed.notify_waiters();
        results
    }

    fn renew(&self, leases: &[LeaseKey]) -> Vec<RenewResult> {
        self.expire();
        let until = self.clock.now().monotonic.after(self.lock);
        let mut inner = self.lock();
        leases
            .iter()
            .map(|lease| {
                if inner.unavailable {
                    return RenewResult::Unavailable;
                }
                let Some(index) = inner.held_by(lease) else {
                    return RenewResult::Lost;
                };
                if let Some(entry) = inner.records.get_mut(index) {
                    entry.lease = Some(until);
                }
                inner.state.renewed += 1;
                RenewResult::Until(until)
            })
            .collect()
    }

    /// Leases that are over make their records available, or end them.
    fn expire(&self) {
        let now = self.clock.now().monotonic;
        let mut inner = self.lock();
        if inner.next_expiry.is_none_or(|next| next > now) {
            return;
        }
        inner.next_expiry = None;
        for index in 0..inner.records.len() {
            let Some(lease) = inner.records.get(index).and_then(|entry| entry.lease) else {
                continue;
            };
            if lease > now {
                inner.next_expiry = Some(inner.next_expiry.map_or(lease, |next| next.min(lease)));
                continue;
            }
            inner.state.expired += 1;
            inner.free(index);
            inner.again(index, self.attempts, None);
        }
    }
}

impl Inner {
    fn settle_one(&mut self, settlement: Settlement, now: Instant, attempts: u16) -> SettleResult {
        let Some(index) = self.held_by(&settlement.lease) else {
            self.state.stale += 1;
            return SettleResult::Stale;
        };
        let concerned = self.refused_by == RefusedBy::Backend || !settlement.emitted.is_empty();
        if self.refuse > 0 && concerned {
            self.refuse -= 1;
            self.state.refused += 1;
            let reason = "scripted".to_owned();
            let by = self.refused_by;
            return SettleResult::Refused { by, reason };
        }
        *self.state.applied.entry(settlement.verdict.name()).or_default() += 1;
        self.state.emitted += settlement.emitted.len() as u64;
        self.free(index);
        match &settlement.verdict {
            Verdict::Accept | Verdict::Reject => self.end(index),
            Verdict::Release { delay } => self.again(index, attempts, Some(now.after(*delay))),
            Verdict::Park { delay, checkpoint } => {
                if let Some(entry) = self.records.get_mut(index) {
                    entry.continuation += 1;
                    entry.continues = true;
                    if checkpoint.is_some() {
                        entry.checkpoint.clone_from(checkpoint);
                    }
                }
                self.delayed.insert((now.after(*delay), index));
            }
            Verdict::GiveBack { .. } | Verdict::Untouched => {
                let delay = match &settlement.verdict {
                    Verdict::GiveBack { delay } => *delay,
                    _ => Duration::ZERO,
                };
                if let Some(entry) = self.records.get_mut(index) {
                    entry.continuation += 1;
                    entry.continues = true;
                }
                self.delayed.insert((now.after(delay), index));
            }
        }
        if self.keep_evidence && settlement.evidence.is_some() {
            self.state.evidence.insert(settlement.lease.offset.get(), settlement);
        }
        SettleResult::Applied
    }

    fn ripen(&mut self, now: Instant) {
        while let Some((due, index)) = self.delayed.pop_first() {
            if due > now {
                self.delayed.insert((due, index));
                break;
            }
            self.available.push_back(index);
        }
    }

    fn again(&mut self, index: usize, attempts: u16, due: Option<Instant>) {
        if self.records.get(index).is_some_and(|entry| entry.count >= attempts) {
            return self.end(index);
        }
        match due {
            Some(due) => drop(self.delayed.insert((due, index))),
            None => self.available.push_back(index),
        }
    }

    fn end(&mut self, index: usize) {
        if let Some(entry) = self.records.get_mut(index) {
            entry.terminal = true;
        }
    }

    fn free(&mut self, index: usize) {
        if let Some(entry) = self.records.get_mut(index) {
            entry.lease = None;
            self.held -= 1;
        }
    }

    fn key(&self, index: usize) -> Option<LeaseKey> {
        self.records.get(index).map(|entry| entry.key(index))
    }

    /// The record that `lease` names, if that is the newest delivery of it and still held.
    fn held_by(&self, lease: &LeaseKey) -> Option<usize> {
        let index = usize::try_from(lease.offset.get()).ok()?;
        let entry = self.records.get(index)?;
        (entry.lease.is_some() && entry.key(index) == *lease).then_some(index)
    }
}

impl Entry {
    fn key(&self, index: usize) -> LeaseKey {
        LeaseKey {
            share: ShareKey(1),
            epoch: StateEpoch(0),
            offset: Offset::saturating(index as u64),
            delivery_count: DeliveryCount(self.count),
            continuation: Continuation(self.continuation),
        }
    }
}
