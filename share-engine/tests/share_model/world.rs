//! Runs one operation on both, and compares.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use share_engine::ids::{
    Continuation, DeliveryCount, LeaseKey, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch,
};
use share_engine::share::{
    AckBatch, AckError, AckType, AcquireMode, AcquireRequest, ArchiveCause, Change, Persisted, RecordState, Refusal,
    ShareOptions, SharePartition, TransitionId, Verdict, Window,
};
use share_engine::time::{Instant, Now, WallTime};

use crate::model::{Model, State, To};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Produce { length: u64, hole: bool },
    Acquire { member: u32, max: u32, batches: usize },
    Settle { first: u64, verdicts: Vec<(u8, u64)> },
    Acknowledge { member: u32, first: u64, types: Vec<u8> },
    Extend { first: u64, length: u64 },
    Leave { member: u32 },
    Pass { steps: u64 },
    Timeout,
    Journal { durable: bool },
    LogStart { by: u64 },
    Reset { by: u64 },
    Snapshot,
    Crash,
    Compare,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    Host,
    Wire,
}

const KEY: ShareKey = ShareKey(7);
const HELD_MAX: u64 = 25;
const SPAN_MAX: u64 = 40;
/// A whole number of seconds, so that both clocks round alike.
const WALL: i64 = 1_700_000_000_000;

struct Pending {
    id: TransitionId,
    changes: Vec<Change>,
    becomes: Vec<(u64, To)>,
    timeout: bool,
}

pub(crate) struct World {
    rules: Rules,
    share: SharePartition,
    model: Model,
    now: u64,
    batches: Vec<(u64, u64)>,
    log_end: u64,
    pending: VecDeque<Pending>,
    snapshot: BytesMut,
    journal: Vec<Change>,
    /// The start offset has jumped, and the journal does not know.
    jumped: bool,
    /// A refused expiry: memory is ahead of the journal until the next snapshot.
    ahead: bool,
}

fn at(offset: u64) -> Offset {
    Offset::new(offset).unwrap()
}

fn options(rules: Rules) -> ShareOptions {
    ShareOptions {
        delivery_limit: DeliveryCount(4),
        lock: Duration::from_secs(3),
        window: match rules {
            Rules::Host => Window::Acquired(u32::try_from(HELD_MAX).unwrap()),
            Rules::Wire => Window::Span(30),
        },
        span_limit: SPAN_MAX,
        max_lease: (rules == Rules::Host).then_some(Duration::from_secs(7)),
    }
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        let share = SharePartition::new(KEY, StateEpoch(1), at(0), options(rules));
        let mut snapshot = BytesMut::new();
        share.encode(&mut snapshot);
        Self {
            rules,
            share,
            model: Model {
                limit: 4,
                lock: 3_000,
                max_lease: (rules == Rules::Host).then_some(7_000),
                ..Model::default()
            },
            now: 1_000,
            batches: Vec::new(),
            log_end: 0,
            pending: VecDeque::new(),
            snapshot,
            journal: Vec::new(),
            jumped: false,
            ahead: false,
        }
    }

    fn clock(&self) -> Now {
        Now {
            monotonic: Instant::from_nanos(self.now * 1_000_000),
            wall: WallTime::from_millis(WALL + i64::try_from(self.now).unwrap()),
        }
    }

    pub(crate) fn step(&mut self, op: &Op) {
        match op {
            Op::Produce { length, hole } => {
                self.log_end += if *hole { 3 } else { 0 };
                self.batches.push((self.log_end, self.log_end + length - 1));
                self.log_end += length;
            }
            Op::Acquire { member, max, batches } => self.acquire(*member, *max, *batches),
            Op::Settle { first, verdicts } => self.settle(*first, verdicts),
            Op::Acknowledge { member, first, types } => self.acknowledge(*member, *first, types),
            Op::Extend { first, length } => self.extend(*first, *length),
            Op::Leave { member } => self.leave(*member),
            Op::Pass { steps } => self.now += steps * 100,
            Op::Timeout => self.timeout(),
            Op::Journal { durable } => self.persist(*durable),
            Op::LogStart { by } => self.log_start(*by),
            Op::Reset { by } => self.reset(*by),
            Op::Snapshot => {
                self.snapshot.clear();
                self.share.encode(&mut self.snapshot);
                self.journal.clear();
                self.ahead = false;
                self.jumped = false;
            }
            Op::Crash => self.crash(),
            Op::Compare => {
                self.timeout();
                self.compare_durable();
            }
        }
        self.compare();
    }

    /// Everything ends: nothing stays stuck.
    pub(crate) fn finish(&mut self) {
        while !self.pending.is_empty() {
            self.persist(true);
        }
        self.now += 10_000_000;
        for _ in 0..2 {
            self.timeout();
            while !self.pending.is_empty() {
                self.persist(true);
            }
            self.now += 100;
        }
        self.compare();
        assert_eq!(self.share.counts().acquired, 0, "a lease outlived its end");
        assert_eq!(self.share.counts().parked, 0, "a record stays parked");
        self.compare_durable();
    }

    fn leases(&self) -> Vec<LeaseKey> {
        let held = self
            .model
            .recs
            .iter()
            .filter(|(_, rec)| matches!(rec.state, State::Held { .. }));
        held.map(|(offset, rec)| LeaseKey {
            share: KEY,
            epoch: self.share.epoch(),
            offset: at(*offset),
            delivery_count: DeliveryCount(rec.count),
            continuation: Continuation(rec.continuation),
        })
        .collect()
    }

    fn next(&self) -> u64 {
        let (start, end) = (self.share.start_offset().get(), self.share.end_offset().get());
        if self.share.record(at(end)).is_none() && start == end {
            start
        } else {
            end + 1
        }
    }

    fn open(&mut self, id: Option<TransitionId>, changes: &[Change], becomes: Vec<(u64, To)>, timeout: bool) {
        assert_eq!(id.is_some(), !changes.is_empty());
        assert_eq!(id.is_some(), !becomes.is_empty(), "{changes:?} but {becomes:?}");
        if let Some(id) = id {
            self.pending.push_back(Pending {
                id,
                changes: changes.to_vec(),
                becomes,
                timeout,
            });
        }
    }

    #[expect(clippy::too_many_lines, reason = "one acquisition from question to bookkeeping")]
    fn acquire(&mut self, member: u32, max: u32, count: usize) {
        let from = self.share.next_fetch_offset().get();
        let read: Vec<_> = self
            .batches
            .iter()
            .filter(|batch| batch.1 >= from)
            .take(count)
            .copied()
            .collect();
        let ranges: Vec<_> = read
            .iter()
            .map(|batch| OffsetRange::new(at(batch.0), at(batch.1)).unwrap())
            .collect();
        let next = self.next();
        let mode = match self.rules {
            Rules::Host => AcquireMode::RecordLimit,
            Rules::Wire => AcquireMode::BatchOptimized,
        };
        let request = AcquireRequest {
            member: MemberIndex(member),
            mode,
            max_records: max,
            batch_size: 3,
            from: at(from),
            batches: &ranges,
        };
        let got = self.share.acquire(&request, self.clock());
        let mut becomes = Vec::new();
        for change in &got.changes {
            let gone = match change {
                Change::StartOffset { offset } => {
                    assert!(
                        self.model.recs.is_empty() && offset.get() == read[0].0 || offset.get() <= self.model.start
                    );
                    self.model.skip_to(offset.get());
                    self.jumped = true;
                    continue;
                }
                Change::Archive { range, cause } => {
                    assert_eq!(*cause, ArchiveCause::Gap);
                    range.first().get()..range.last().get() + 1
                }
                _ => continue,
            };
            assert!(
                gone.start >= from && gone.end <= read[0].0,
                "{gone:?} was not read over"
            );
            for offset in gone {
                assert!(
                    self.model
                        .recs
                        .get(&offset)
                        .is_none_or(|rec| rec.state == State::Free && !rec.busy)
                );
                self.model.rec(offset).busy = true;
                becomes.push((offset, To::Archived));
            }
        }
        let taken: Vec<u64> = got
            .ranges
            .iter()
            .flat_map(|got| got.range.first().get()..=got.range.last().get())
            .collect();
        assert!(taken.is_sorted_by(|a, b| a < b));
        assert!(read.iter().all(|batch| batch.0 <= batch.1) || taken.is_empty());
        self.check_choice(&taken, &read, max, next);
        for range in &got.ranges {
            for offset in range.range.first().get()..=range.range.last().get() {
                assert!(self.model.can_take(offset, self.now), "{offset} was not free");
                let (count, continuation, to) = self.model.take(offset, member, self.now);
                assert_eq!(
                    (range.delivery_count.get(), range.continuation.get()),
                    (count, continuation)
                );
                assert!(count <= self.model.limit, "{offset} delivered too often");
                becomes.push((offset, to));
            }
        }
        self.open(got.transition, &got.changes, becomes, false);
    }

    /// Host: exactly the first free records. Wire: something, if anything could be had.
    fn check_choice(&self, taken: &[u64], read: &[(u64, u64)], max: u32, next: u64) {
        let (Some(first), Some(last)) = (read.first(), read.last()) else {
            assert!(taken.is_empty());
            return;
        };
        let next = next.max(self.model.start);
        let span = next - self.model.start;
        let struck = |offset| self.model.recs.get(&offset).is_some_and(|rec| rec.struck);
        let lowest = first.0.max(self.model.start);
        if self.rules == Rules::Wire {
            let end = if span < 30 {
                last.1
            } else {
                last.1.min(next.saturating_sub(1))
            };
            let free = (lowest..=end).any(|offset| !struck(offset) && self.model.can_take(offset, self.now));
            assert!(!free || !taken.is_empty(), "nothing was given though something is free");
            return;
        }
        let end = if span < SPAN_MAX {
            last.1
        } else {
            last.1.min(next.saturating_sub(1))
        };
        let held = self
            .model
            .recs
            .values()
            .filter(|rec| matches!(rec.state, State::Held { .. }))
            .count();
        let coming = self.pending.iter().flat_map(|pending| &pending.becomes);
        let coming = coming.filter(|(_, to)| matches!(to, To::Held { .. })).count();
        let room = HELD_MAX
            .saturating_sub(u64::try_from(held + coming).unwrap())
            .min(u64::from(max));
        let wanted: Vec<u64> = (lowest..=end)
            .filter(|offset| self.model.can_take(*offset, self.now))
            .filter(|offset| !struck(*offset) || taken.contains(offset))
            .take(usize::try_from(room).unwrap())
            .collect();
        assert_eq!(taken, wanted);
    }

    #[expect(clippy::too_many_lines, reason = "one arm a verdict")]
    fn settle(&mut self, first: u64, verdicts: &[(u8, u64)]) {
        let leases = self.leases();
        if leases.is_empty() {
            return;
        }
        let mut asked = Vec::new();
        let mut wanted = Vec::new();
        let mut becomes = Vec::new();
        let mut exhausted = 0;
        for (index, &(verdict, delay)) in verdicts.iter().enumerate() {
            let mut lease = leases[(usize::try_from(first).unwrap() + index * 2) % leases.len()];
            let offset = lease.offset.get();
            let delay = delay * 100;
            let after = Duration::from_millis(delay);
            let due = self.now + delay;
            let note = || (delay % 300 == 0).then(|| Bytes::from_static(b"why"));
            let note_kept = delay % 300 == 0;
            let checkpoint = (delay % 200 == 0).then(|| Bytes::from(vec![1; usize::try_from(delay / 100).unwrap()]));
            let rec = self.model.recs[&offset].clone();
            let over = self.model.over(&rec, self.now);
            let (verdict, to) = match verdict {
                0..=3 => (Verdict::Accept, Some(To::Acked)),
                4 => {
                    let verdict = Verdict::Release {
                        after: None,
                        note: note(),
                    };
                    (verdict, Some(To::Free { note: note_kept }))
                }
                5 => {
                    let verdict = Verdict::Release {
                        after: Some(after),
                        note: note(),
                    };
                    let to = if delay == 0 {
                        To::Free { note: note_kept }
                    } else {
                        To::Parked {
                            due,
                            resume: false,
                            checkpoint: None,
                            note: note_kept,
                        }
                    };
                    (verdict, Some(to))
                }
                6 => (Verdict::Reject { note: note() }, Some(To::Archived)),
                7 | 8 if self.rules == Rules::Host => {
                    let to = To::Parked {
                        due,
                        resume: true,
                        checkpoint: checkpoint.as_ref().map(Bytes::len),
                        note: false,
                    };
                    let to = if over { To::Free { note: false } } else { to };
                    (Verdict::Renew { after, checkpoint }, Some(to))
                }
                _ => {
                    match delay / 100 % 3 {
                        0 => lease.delivery_count = lease.delivery_count.next(),
                        1 => lease.continuation = lease.continuation.next(),
                        _ => lease.epoch = lease.epoch.next(),
                    }
                    (Verdict::Accept, None)
                }
            };
            let result = match to {
                None => Err(Refusal::Stale(lease.offset)),
                Some(_) if rec.busy => Err(Refusal::InTransition(lease.offset)),
                Some(to) => {
                    let fails = matches!(to, To::Free { .. } | To::Parked { resume: false, .. });
                    exhausted += u32::from(over && matches!(verdict, Verdict::Renew { .. }));
                    let to = if fails && rec.count >= self.model.limit {
                        To::Archived
                    } else {
                        to
                    };
                    self.model.rec(offset).busy = true;
                    becomes.push((offset, to));
                    Ok(())
                }
            };
            asked.push((lease, verdict));
            wanted.push(result);
        }
        let settled = self.share.settle(&asked, self.clock());
        assert_eq!(settled.results, wanted);
        assert_eq!((settled.clamped, settled.exhausted), (0, exhausted));
        self.open(settled.transition, &settled.changes, becomes, false);
    }

    fn acknowledge(&mut self, member: u32, first: u64, types: &[u8]) {
        let first = self.model.start.saturating_sub(2) + first;
        let last = first + u64::try_from(types.len()).unwrap() - 1;
        let kinds: Vec<_> = types
            .iter()
            .map(|kind| match kind {
                0 => AckType::Gap,
                1 => AckType::Accept,
                2 => AckType::Release,
                3 => AckType::Reject,
                _ => AckType::Renew,
            })
            .collect();
        let next = self.next();
        let hole = |model: &Model, offset| {
            model
                .recs
                .get(&offset)
                .is_some_and(|rec| rec.state == State::Archived && rec.count == 0)
        };
        let range = OffsetRange::new(at(first), at(last)).unwrap();
        let mut becomes = Vec::new();
        let mut wanted = Ok(());
        if last >= self.model.start {
            if next == self.model.start {
                wanted = Err(AckError::InvalidRecordState(at(first)));
            } else if last >= next || hole(&self.model, last) {
                wanted = Err(AckError::InvalidRequest(range));
            }
            for offset in first.max(self.model.start)..=last {
                if wanted.is_err() || hole(&self.model, offset) {
                    continue;
                }
                let kind = kinds[usize::try_from(offset - first).unwrap()];
                let rec = self.model.recs.get(&offset).cloned();
                let mine = rec.filter(|rec| {
                    !rec.busy && matches!(rec.state, State::Held { member: holder, .. } if holder == member)
                });
                let Some(rec) = mine else {
                    wanted = Err(AckError::InvalidRecordState(at(offset)));
                    continue;
                };
                let to = match kind {
                    AckType::Accept => To::Acked,
                    AckType::Release => self.model.fail(offset),
                    AckType::Gap | AckType::Reject => To::Archived,
                    AckType::Renew if self.model.over(&rec, self.now) => {
                        wanted = Err(AckError::InvalidRecordState(at(offset)));
                        continue;
                    }
                    AckType::Renew => {
                        let deadline = self.model.deadline(rec.attempt, self.now);
                        self.model.rec(offset).state = State::Held { member, deadline };
                        continue;
                    }
                };
                self.model.rec(offset).busy = true;
                becomes.push((offset, to));
            }
        }
        let batch = AckBatch { range, types: &kinds };
        let result = self.share.acknowledge(MemberIndex(member), &[batch], self.clock());
        assert_eq!(result.as_ref().map(|_| ()).map_err(|error| *error), wanted);
        match result {
            Ok(settled) => self.open(settled.transition, &settled.changes, becomes, false),
            Err(_) => {
                for (offset, _) in becomes {
                    self.model.rec(offset).busy = false;
                }
            }
        }
    }

    fn extend(&mut self, first: u64, length: u64) {
        let (first, length) = (usize::try_from(first).unwrap(), usize::try_from(length).unwrap());
        let leases: Vec<_> = self.leases().into_iter().skip(first).take(length).collect();
        let results = self.share.extend(&leases, self.clock());
        for (lease, result) in leases.iter().zip(results) {
            let rec = self.model.recs[&lease.offset.get()].clone();
            let wanted = if rec.busy {
                Err(Refusal::InTransition(lease.offset))
            } else if self.model.over(&rec, self.now) {
                Err(Refusal::Exhausted(lease.offset))
            } else {
                let deadline = self.model.deadline(rec.attempt, self.now);
                let State::Held { member, .. } = rec.state else {
                    unreachable!()
                };
                self.model.rec(lease.offset.get()).state = State::Held { member, deadline };
                Ok(Instant::from_nanos(deadline * 1_000_000))
            };
            assert_eq!(result, wanted);
        }
    }

    fn leave(&mut self, member: u32) {
        let mine: Vec<u64> = self
            .model
            .recs
            .iter()
            .filter(|(_, rec)| !rec.busy && matches!(rec.state, State::Held { member: holder, .. } if holder == member))
            .map(|(offset, _)| *offset)
            .collect();
        let becomes = mine
            .into_iter()
            .map(|offset| (offset, self.model.fail(offset)))
            .collect();
        let settled = self.share.release_member(MemberIndex(member), self.clock());
        self.open(settled.transition, &settled.changes, becomes, false);
    }

    fn timeout(&mut self) {
        let settled = self.share.handle_timeout(self.clock());
        let becomes = self.model.tick(self.now);
        let archived: u64 = settled.archived.iter().map(|archived| archived.range.count()).sum();
        let wanted = becomes.iter().filter(|(_, to)| matches!(to, To::Archived)).count();
        assert_eq!(archived, u64::try_from(wanted).unwrap());
        self.open(settled.transition, &settled.changes, becomes, true);
        let later = self.share.poll_deadline();
        assert!(
            later.is_none_or(|later| later > self.clock().monotonic),
            "{later:?} is due again"
        );
    }

    fn persist(&mut self, durable: bool) {
        let Some(pending) = self.pending.pop_front() else {
            return;
        };
        let now = self.now;
        if durable {
            self.share
                .handle_persisted(pending.id, Persisted::Durable, self.clock());
            self.journal.extend(pending.changes);
            for (offset, to) in &pending.becomes {
                self.model.become_(*offset, to, now);
            }
            return;
        }
        self.share
            .handle_persisted(pending.id, Persisted::Refused, self.clock());
        for (offset, to) in &pending.becomes {
            if *offset < self.model.start {
                continue;
            }
            self.model.rec(*offset).busy = false;
            match to {
                To::Free { .. } if pending.timeout => {
                    self.model.become_(*offset, to, now);
                    self.ahead = true;
                }
                To::Archived if pending.timeout => {
                    let rec = self.model.rec(*offset);
                    match &mut rec.state {
                        State::Held { deadline, .. } => *deadline = now + 100,
                        _ => rec.retry = now + 100,
                    }
                }
                _ => {}
            }
        }
    }

    fn log_start(&mut self, by: u64) {
        let start = (self.model.start + by).min(self.log_end);
        let lost = self
            .model
            .recs
            .range(..start)
            .filter(|(_, rec)| !rec.busy && rec.count > 0 && !matches!(rec.state, State::Acked | State::Archived));
        let lost = u64::try_from(lost.count()).unwrap();
        let settled = self.share.handle_log_start(at(start), self.clock());
        assert_eq!(
            settled
                .archived
                .iter()
                .map(|archived| archived.range.count())
                .sum::<u64>(),
            lost
        );
        self.journal.extend(settled.changes);
        self.model.skip_to(start);
        self.batches.retain(|batch| batch.1 >= start);
    }

    fn reset(&mut self, by: u64) {
        while !self.pending.is_empty() {
            self.persist(true);
        }
        let start = self.model.start.saturating_sub(by);
        let epoch = self.share.epoch().next();
        let settled = self.share.reset(epoch, at(start), self.clock());
        assert!(!self.share.can_acquire());
        let lease = self.leases().first().copied();
        if let Some(lease) = lease {
            let refused = self.share.settle(&[(lease, Verdict::Accept)], self.clock());
            assert_eq!(refused.results, [Err(Refusal::InTransition(lease.offset))]);
        }
        let result = if by == 2 {
            Persisted::Refused
        } else {
            Persisted::Durable
        };
        self.share
            .handle_persisted(settled.transition.unwrap(), result, self.clock());
        if by != 2 {
            self.journal.extend(settled.changes);
            self.model.recs.clear();
            self.model.start = start;
            self.ahead = false;
            self.jumped = false;
            let stale = lease.map(|lease| self.share.settle(&[(lease, Verdict::Accept)], self.clock()).results);
            assert!(stale.is_none_or(|results| matches!(results[..], [Err(Refusal::Stale(_))])));
        }
    }

    fn replay(&self) -> SharePartition {
        let options = options(self.rules);
        let mut replica = SharePartition::decode(KEY, options, &self.snapshot, self.clock()).unwrap();
        for change in &self.journal {
            replica
                .apply(change, self.clock())
                .unwrap_or_else(|error| panic!("{error}: {change:?}"));
        }
        replica.check();
        replica
    }

    fn crash(&mut self) {
        if self.ahead || self.jumped {
            self.step(&Op::Snapshot);
        }
        self.pending.clear();
        self.share = self.replay();
        let settled = self.share.void_leases(self.clock());
        if let Some(id) = settled.transition {
            self.share.handle_persisted(id, Persisted::Durable, self.clock());
            self.journal.extend(settled.changes);
        }
        self.model.crash(self.now);
        self.timeout();
    }

    /// Snapshot and journal give what is in memory, and a snapshot of that is the same bytes.
    fn compare_durable(&mut self) {
        if self.ahead || self.jumped {
            return;
        }
        let mut replica = self.replay();
        replica.handle_timeout(self.clock());
        let (mut live, mut replayed, mut again) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
        self.share.encode(&mut live);
        replica.encode(&mut replayed);
        assert_eq!(live, replayed, "replay differs: {:?} {:?}", self.share, replica);
        let mut decoded = SharePartition::decode(KEY, options(self.rules), &live, self.clock()).unwrap();
        decoded.check();
        decoded.handle_timeout(self.clock());
        decoded.encode(&mut again);
        assert_eq!(live, again);
    }

    fn compare(&self) {
        self.share.check();
        let model = &self.model;
        assert_eq!(self.share.start_offset().get(), model.start);
        let end = self
            .next()
            .max(model.recs.keys().next_back().map_or(0, |last| last + 1));
        let (mut finished, mut out, mut waiting) = (0, 0, 0);
        for offset in model.start..end {
            let view = self.share.record(at(offset));
            let Some(rec) = model.recs.get(&offset).filter(|rec| rec.count > 0 || rec.busy) else {
                let nothing =
                    view.is_none_or(|view| view.state == RecordState::Available && view.delivery_count.get() == 0);
                assert!(nothing, "{offset} was never delivered: {view:?}");
                continue;
            };
            let view = view.unwrap_or_else(|| panic!("{offset} is not there: {rec:?}"));
            assert_eq!(view.in_transition, rec.busy, "{view:?} {rec:?}");
            let state = match rec.state {
                State::Held { .. } => RecordState::Acquired,
                State::Parked => RecordState::Parked,
                State::Acked => RecordState::Acknowledged,
                State::Archived => RecordState::Archived,
                State::Free if view.state == RecordState::Waiting && rec.struck => RecordState::Waiting,
                State::Free => RecordState::Available,
            };
            assert_eq!(view.state, state, "{view:?} {rec:?}");
            if matches!(rec.state, State::Acked | State::Archived) {
                finished += 1;
                continue;
            }
            if let State::Held { member, deadline } = rec.state {
                assert_eq!(view.member, Some(MemberIndex(member)));
                assert_eq!(
                    view.deadline,
                    Some(Instant::from_nanos(deadline * 1_000_000)),
                    "{rec:?}"
                );
            }
            assert_eq!(
                (
                    view.delivery_count.get(),
                    view.continuation.get(),
                    view.checkpoint_len,
                    view.notes,
                    view.strikes
                ),
                (
                    rec.count,
                    rec.continuation,
                    rec.checkpoint,
                    rec.notes,
                    u8::from(rec.struck)
                ),
                "{view:?} {rec:?}"
            );
            if rec.struck {
                out += u32::from(matches!(view.state, RecordState::Available | RecordState::Acquired));
                waiting += u32::from(view.state == RecordState::Waiting && !rec.busy);
            }
        }
        assert_eq!(self.share.delivery_complete_count(), finished);
        assert!(
            out <= 1 && (out == 1 || waiting == 0),
            "{out} struck records out, {waiting} wait"
        );
    }
}
