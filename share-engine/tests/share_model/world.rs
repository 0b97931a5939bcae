//! The driver: does each operation to the engine and asks the model what must come of it; keeps the log, the journal and
//! the snapshot. Has no expectation of its own but that both agree.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use share_engine::ids::{
    Continuation, DeliveryCount, LeaseKey, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch,
};
use share_engine::share::{
    self, AckError, AckType, AcquireMode, AcquireRequest, ArchiveCause, Archived, Change, Counts, Persisted,
    RecordState, RecordView, Refusal, Settled, ShareOptions, SharePartition, TransitionId, Verdict, Window,
};
use share_engine::time::{Instant, Now, WallTime};

use crate::seen::saw;
use crate::words::{Ask, Lease, Model, No, Plan, Rec, Say, State, Why};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Produce {
        length: u64,
        hole: bool,
    },
    Compact {
        index: usize,
    },
    Acquire {
        member: u32,
        exact: bool,
        max: u32,
        batch_size: u32,
        batches: usize,
    },
    Settle {
        first: usize,
        verdicts: Vec<(u8, u64)>,
    },
    Acknowledge {
        member: u32,
        batches: Vec<(u64, u64, Vec<u8>)>,
    },
    Extend {
        first: usize,
        length: usize,
    },
    Leave {
        member: u32,
    },
    Pass {
        steps: u64,
    },
    Timeout,
    Journal {
        durable: bool,
    },
    LogStart {
        by: u64,
    },
    Retire {
        by: u64,
    },
    Reset {
        by: u64,
    },
    Snapshot,
    Crash,
    Compare,
}

/// What differs from case to case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Kafka's window: so many offsets. Otherwise the host's: so many held records.
    pub(crate) kafka: bool,
    pub(crate) window: u32,
    pub(crate) span_limit: u64,
    pub(crate) limit: u16,
    pub(crate) max_lease: Option<u64>,
    pub(crate) archive_limit: u32,
    pub(crate) start: u64,
}

const KEY: ShareKey = ShareKey(7);
const LOCK: u64 = 3_000;
/// A whole number of seconds, so that both clocks round alike.
const WALL: i64 = 1_700_000_000_000;

struct Pending {
    id: TransitionId,
    changes: Vec<Change>,
    plan: Plan,
}

pub(crate) struct World {
    options: ShareOptions,
    archive_limit: u32,
    share: SharePartition,
    model: Model,
    now: u64,
    batches: Vec<(u64, u64)>,
    log_end: u64,
    /// What lies before this was given up by a log start or a reset.
    given_up: u64,
    pending: VecDeque<Pending>,
    snapshot: BytesMut,
    journal: Vec<Change>,
    /// Every lease there ever was, the newest last.
    leases: Vec<Lease>,
}

fn at(offset: u64) -> Offset {
    Offset::new(offset).unwrap()
}

fn run(first: u64, last: u64) -> OffsetRange {
    OffsetRange::new(at(first), at(last)).unwrap()
}

fn instant(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn key(lease: Lease) -> LeaseKey {
    LeaseKey {
        share: KEY,
        epoch: StateEpoch(lease.epoch),
        offset: at(lease.offset),
        delivery_count: DeliveryCount(lease.count),
        continuation: Continuation(lease.continuation),
    }
}

fn why(cause: ArchiveCause) -> Why {
    match cause {
        ArchiveCause::Reject => Why::Reject,
        ArchiveCause::DeliveryLimit => Why::Limit,
        ArchiveCause::Retention => Why::Retention,
        ArchiveCause::Gap => Why::Gap,
        ArchiveCause::HostCrash => Why::Crash,
        cause => panic!("{cause:?} is new"),
    }
}

fn no(refusal: Refusal) -> No {
    match refusal {
        Refusal::Stale(_) => No::Stale,
        Refusal::InTransition(_) => No::InTransition,
        Refusal::Exhausted(_) => No::Exhausted,
        refusal => panic!("{refusal}"),
    }
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        let options = ShareOptions {
            delivery_limit: DeliveryCount(rules.limit),
            lock: Duration::from_millis(LOCK),
            window: if rules.kafka {
                Window::Span(rules.window)
            } else {
                Window::Acquired(rules.window)
            },
            span_limit: rules.span_limit,
            max_lease: rules.max_lease.map(Duration::from_millis),
        };
        let mut share = SharePartition::new(KEY, StateEpoch(1), at(rules.start), options);
        share.set_archive_limit(rules.archive_limit);
        let mut snapshot = BytesMut::new();
        share.encode(&mut snapshot);
        let window = u64::from(rules.window);
        let span = if rules.kafka {
            rules.span_limit.min(window)
        } else {
            rules.span_limit
        };
        Self {
            options,
            archive_limit: rules.archive_limit,
            share,
            model: Model {
                start: rules.start,
                next: rules.start,
                epoch: 1,
                limit: rules.limit,
                lock: LOCK,
                max_lease: rules.max_lease.unwrap_or(u64::MAX),
                span,
                held: (!rules.kafka).then_some(window),
                ..Model::default()
            },
            now: 1_000,
            batches: Vec::new(),
            log_end: rules.start,
            given_up: 0,
            pending: VecDeque::new(),
            snapshot,
            journal: Vec::new(),
            leases: Vec::new(),
        }
    }

    fn clock(&self) -> Now {
        Now {
            monotonic: instant(self.now),
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
            Op::Compact { index } => {
                if self.batches.len() > index + 1 {
                    self.batches.remove(*index);
                }
            }
            Op::Acquire {
                member,
                exact,
                max,
                batch_size,
                batches,
            } => {
                self.acquire(*member, *exact, (*max, *batch_size), *batches);
            }
            Op::Settle { first, verdicts } => self.settle(*first, verdicts),
            Op::Acknowledge { member, batches } => self.acknowledge(*member, batches),
            Op::Extend { first, length } => self.extend(*first, *length),
            Op::Leave { member } => self.leave(*member),
            Op::Pass { steps } => self.now += steps * 100,
            Op::Timeout => self.timeout(),
            Op::Journal { durable } => self.persist(*durable),
            Op::LogStart { by } => self.log_start(*by),
            Op::Retire { by } => self.retire(*by),
            Op::Reset { by } => self.reset(*by),
            Op::Snapshot => self.take_snapshot(),
            Op::Crash => self.crash(),
            Op::Compare => {
                self.timeout();
                self.compare_durable();
            }
        }
        self.compare();
    }

    /// Every record that is left in the log comes to an end, and then nothing is left to do.
    pub(crate) fn finish(&mut self) {
        for round in 0.. {
            assert!(round < 2_000, "no end: {:?} {:?}", self.share, self.model);
            self.persist_all();
            self.now += 500;
            self.timeout();
            self.persist_all();
            self.acquire(9, round % 2 == 0, (50, 4), usize::MAX);
            self.persist_all();
            self.compare();
            let held = self.held();
            let mut plan = Plan::default();
            let leases: Vec<_> = held.iter().map(|lease| (key(*lease), Verdict::Accept)).collect();
            for lease in &held {
                assert_eq!(self.model.settle(&mut plan, *lease, Say::Accept, self.now), Ok(()));
            }
            let settled = self.share.settle(&leases, self.clock());
            self.open(settled, plan);
            self.persist_all();
            let nothing = self.model.start >= self.batches.last().map_or(0, |batch| batch.1 + 1);
            if nothing && self.model.start == self.model.next {
                break;
            }
        }
        let left = self.batches.iter().flat_map(|batch| batch.0..=batch.1);
        for offset in left.filter(|offset| *offset >= self.given_up) {
            let rec = &self.model.recs[&offset];
            let ended = matches!(rec.state, State::Acked | State::Archived(_));
            assert!(ended, "{offset} was never delivered to an end: {rec:?}");
        }
        self.compare();
        assert_eq!(self.share.counts(), Counts::default());
        self.compare_durable();
    }

    fn persist_all(&mut self) {
        while !self.pending.is_empty() {
            self.persist(true);
        }
    }

    fn held(&self) -> Vec<Lease> {
        let held = self.model.live().filter(|(_, rec)| rec.state == State::Held);
        held.map(|(offset, rec)| Lease {
            offset,
            count: rec.count,
            continuation: rec.continuation,
            epoch: self.model.epoch,
        })
        .collect()
    }

    /// What the engine wants to write must be what the model has decided.
    fn open(&mut self, settled: Settled, plan: Plan) {
        assert_eq!(told(&settled.archived), told_of(&plan), "archived: {plan:?}");
        assert_eq!(settled.transition.is_some(), !settled.changes.is_empty());
        assert_eq!(
            settled.transition.is_some(),
            !plan.to.is_empty(),
            "{:?} but {plan:?}",
            settled.changes
        );
        assert_eq!(
            (settled.expired, settled.exhausted, settled.dropped, settled.clamped),
            (plan.expired, plan.exhausted, plan.dropped, 0),
            "{plan:?}"
        );
        saw("expired", plan.expired);
        saw("exhausted", plan.exhausted);
        saw("dropped", plan.dropped);
        saw("throttled", plan.throttled);
        if let Some(id) = settled.transition {
            let changes = settled.changes;
            self.pending.push_back(Pending { id, changes, plan });
        }
    }

    /// Several calls of the engine, each within the limit of what may be archived at once, are one of the model.
    fn open_some(&mut self, mut plan: Plan, mut call: impl FnMut(&mut SharePartition, Now) -> Settled) {
        let mut left: BTreeMap<u64, Rec> = plan.to.drain(..).collect();
        loop {
            let now = self.clock();
            let settled = call(&mut self.share, now);
            let archived: u64 = settled.archived.iter().map(|one| one.range.count()).sum();
            assert!(archived <= u64::from(self.archive_limit), "{settled:?}");
            let mut part = Plan {
                timeout: plan.timeout,
                ..Plan::default()
            };
            for offset in settled.changes.iter().flat_map(offsets) {
                let rec = left
                    .remove(&offset)
                    .unwrap_or_else(|| panic!("{offset} was not to change: {plan:?}"));
                part.to.push((offset, rec));
            }
            (part.expired, part.exhausted, part.dropped) = (settled.expired, settled.exhausted, settled.dropped);
            plan.expired -= part.expired;
            plan.exhausted -= part.exhausted;
            plan.dropped -= part.dropped;
            saw("archived in parts", archived == u64::from(self.archive_limit));
            let last = settled.transition.is_none();
            self.open(settled, part);
            if last {
                break;
            }
        }
        assert!(
            left.is_empty() && (plan.expired, plan.exhausted, plan.dropped) == (0, 0, 0),
            "{left:?} {plan:?}"
        );
    }

    fn acquire(&mut self, member: u32, exact: bool, (max, batch_size): (u32, u32), count: usize) {
        let from = self.share.next_fetch_offset().get();
        let read = self.batches.iter().filter(|batch| batch.1 >= from).take(count);
        let read: Vec<_> = read.copied().collect();
        let ranges: Vec<_> = read.iter().map(|batch| run(batch.0, batch.1)).collect();
        let request = AcquireRequest {
            member: MemberIndex(member),
            mode: if exact {
                AcquireMode::RecordLimit
            } else {
                AcquireMode::BatchOptimized
            },
            max_records: max,
            batch_size,
            from: at(from),
            batches: &ranges,
        };
        let ask = Ask {
            member,
            exact,
            max: u64::from(max),
            batch_size: u64::from(batch_size),
            from,
            read: &read,
        };
        let acquisition = self.share.acquire(&request, self.clock());
        let (wanted, plan) = self.model.acquire(&ask, self.now);
        let got: Vec<_> = acquisition
            .ranges
            .iter()
            .map(|got| {
                let (first, last) = (got.range.first().get(), got.range.last().get());
                (first, last, got.delivery_count.get(), got.continuation.get())
            })
            .collect();
        assert_eq!(got, wanted, "{ask:?}");
        let records: u64 = got.iter().map(|got| got.1 - got.0 + 1).sum();
        saw("more than asked for", records > u64::from(max));
        saw(
            "split",
            got.len() > 1
                && got
                    .windows(2)
                    .any(|two| two[0].1 + 1 == two[1].0 && two[0].2 == two[1].2),
        );
        saw("continued", got.iter().any(|got| got.3 > 0));
        saw("holes", plan.to.iter().any(|to| to.1.state == State::Hole));
        saw("jumped", self.model.jumped.is_some());
        for (first, last, count, continuation) in got {
            assert!(count <= self.model.limit, "delivered too often");
            let epoch = self.model.epoch;
            self.leases.extend((first..=last).map(|offset| Lease {
                offset,
                count,
                continuation,
                epoch,
            }));
        }
        let settled = Settled {
            transition: acquisition.transition,
            changes: acquisition.changes,
            archived: acquisition.archived,
            ..Settled::default()
        };
        self.open(settled, plan);
    }

    fn settle(&mut self, first: usize, verdicts: &[(u8, u64)]) {
        let held = self.held();
        let (mut asked, mut wanted, mut plan) = (Vec::new(), Vec::new(), Plan::default());
        for (index, &(verdict, delay)) in verdicts.iter().enumerate() {
            let old = verdict == 9 && !self.leases.is_empty();
            let list = if old { &self.leases } else { &held };
            if list.is_empty() {
                continue;
            }
            let mut lease = list[(first + index * 2) % list.len()];
            match delay % 4 {
                0 if verdict == 10 => lease.count += 1,
                1 if verdict == 10 => lease.continuation += 1,
                2 if verdict == 10 => lease.epoch += 1,
                3 if verdict == 10 => lease.offset = self.log_end,
                _ => {}
            }
            let after = Duration::from_millis(delay * 100);
            let until = self.now + delay * 100;
            let note = (delay % 3 == 0).then(|| Bytes::from_static(b"why"));
            let noted = note.is_some();
            let checkpoint = (delay % 2 == 0).then(|| Bytes::from(vec![1; usize::try_from(delay).unwrap()]));
            let bytes = checkpoint.as_ref().map(Bytes::len);
            let (verdict, say) = match verdict {
                4 => (Verdict::Release { after: None, note }, Say::Release(0, noted)),
                5 => (
                    Verdict::Release {
                        after: Some(after),
                        note,
                    },
                    Say::Release(until, noted),
                ),
                6 => (Verdict::Reject { note }, Say::Reject),
                7 | 8 => (Verdict::Renew { after, checkpoint }, Say::Renew(until, bytes)),
                9 => (Verdict::GiveBack, Say::GiveBack),
                _ => (Verdict::Accept, Say::Accept),
            };
            asked.push((key(lease), verdict));
            wanted.push(self.model.settle(&mut plan, lease, say, self.now));
        }
        let mut settled = self.share.settle(&asked, self.clock());
        let results: Vec<_> = std::mem::take(&mut settled.results);
        let results: Vec<_> = results.into_iter().map(|result| result.map_err(no)).collect();
        assert_eq!(results, wanted, "{asked:?}");
        let given = wanted
            .iter()
            .zip(&asked)
            .filter(|(result, (_, verdict))| result.is_ok() && *verdict == Verdict::GiveBack);
        saw("given back", given.count() as u64);
        saw("stale", results.contains(&Err(No::Stale)));
        saw("in transition", results.contains(&Err(No::InTransition)));
        self.open(settled, plan);
    }

    fn acknowledge(&mut self, member: u32, batches: &[(u64, u64, Vec<u8>)]) {
        let mut first = self.model.start.saturating_sub(2);
        let (mut asked, mut types) = (Vec::new(), Vec::new());
        for (skip, length, kinds) in batches {
            let kinds = if *length == 0 { &kinds[..1] } else { &kinds[..] };
            first += skip;
            let last = first
                + if *length == 0 {
                    3
                } else {
                    kinds.len() as u64 - 1 + u64::from(*length == 9)
                };
            let says = kinds.iter().map(|kind| match kind {
                0 => Some(Say::Gap),
                1 => Some(Say::Accept),
                2 => Some(Say::Release(0, false)),
                3 => Some(Say::Reject),
                _ => None,
            });
            asked.push((first, last, says.collect::<Vec<_>>()));
            let kinds = kinds.iter().map(|kind| match kind {
                0 => AckType::Gap,
                1 => AckType::Accept,
                2 => AckType::Release,
                3 => AckType::Reject,
                _ => AckType::Renew,
            });
            types.push(kinds.collect::<Vec<_>>());
            first = last + 1;
        }
        let batches: Vec<_> = asked
            .iter()
            .zip(&types)
            .map(|(batch, types)| share::AckBatch {
                range: run(batch.0, batch.1),
                types,
            })
            .collect();
        let result = self.share.acknowledge(MemberIndex(member), &batches, self.clock());
        let wanted = self.model.acknowledge(member, &asked, self.now);
        let error = result.as_ref().err().map(|error| match error {
            AckError::InvalidRecordState(offset) => No::State(offset.get()),
            AckError::InvalidRequest(range) => No::Request(range.first().get(), range.last().get()),
            error => panic!("{error}"),
        });
        assert_eq!(error, wanted.as_ref().err().copied(), "{asked:?}");
        let (No::State(wrong) | No::Request(wrong, _)) = error.unwrap_or(No::State(0)) else {
            unreachable!()
        };
        saw("rolled back after a batch that fits", wrong > asked[0].1);
        saw("no state", matches!(error, Some(No::State(_))));
        saw("no request", matches!(error, Some(No::Request(..))));
        if let (Ok(settled), Ok(plan)) = (result, wanted) {
            saw("acknowledged several batches", batches.len() > 1 && plan.to.len() > 1);
            self.open(settled, plan);
        }
    }

    fn extend(&mut self, first: usize, length: usize) {
        let leases: Vec<_> = self.held().into_iter().skip(first).take(length).collect();
        let keys: Vec<_> = leases.iter().map(|lease| key(*lease)).collect();
        let results = self.share.extend(&keys, self.clock());
        for (lease, result) in leases.iter().zip(results) {
            let wanted = self.model.extend(*lease, self.now);
            assert_eq!(result.map_err(no), wanted.map(instant));
            saw("extended", wanted.is_ok());
            saw("too long", wanted == Err(No::Exhausted));
        }
    }

    fn leave(&mut self, member: u32) {
        let plan = self.model.leave(member);
        self.open_some(plan, |share, now| share.release_member(MemberIndex(member), now));
    }

    fn timeout(&mut self) {
        let plan = self.model.tick(self.now);
        self.open_some(plan, SharePartition::handle_timeout);
        let later = self.share.poll_deadline();
        assert!(
            later.is_none_or(|later| later > self.clock().monotonic),
            "{later:?} is due again"
        );
    }

    fn retire(&mut self, by: u64) {
        let before = self.model.start + by;
        let plan = self.model.retire(before);
        self.open_some(plan, |share, now| share.retire(at(before), now));
    }

    fn persist(&mut self, durable: bool) {
        let Some(Pending { id, changes, plan }) = self.pending.pop_front() else {
            return;
        };
        let result = if durable {
            Persisted::Durable
        } else {
            Persisted::Refused
        };
        self.share.handle_persisted(id, result, self.clock());
        saw("refused log start", !durable && plan.log_start);
        if durable {
            self.journal.extend(changes);
            if plan.log_start {
                self.batches.retain(|batch| batch.1 >= plan.jump);
            }
            for (_, to) in &plan.to {
                saw("parked", to.state == State::Parked && to.until > self.now);
                let causes = [
                    ("archived: Reject", Why::Reject),
                    ("archived: Limit", Why::Limit),
                    ("archived: Retention", Why::Retention),
                    ("archived: Gap", Why::Gap),
                ];
                for (what, cause) in causes {
                    saw(what, to.state == State::Archived(cause));
                }
            }
        }
        saw("refused", !durable);
        saw("refused expiry", !durable && plan.timeout);
        self.model.persisted(&plan, durable, self.now);
    }

    fn log_start(&mut self, by: u64) {
        let start = (self.model.start + by).min(self.log_end);
        let settled = self.share.handle_log_start(at(start), self.clock());
        let plan = self.model.log_start(start);
        assert_eq!(told(&settled.archived), told_of(&plan), "{plan:?}");
        assert_eq!(settled.dropped, plan.dropped, "{plan:?}");
        assert_eq!(settled.transition.is_some(), plan.jump > 0, "{plan:?}");
        saw("dropped", plan.dropped);
        saw(
            "two log starts under way",
            plan.jump > 0 && self.pending.iter().any(|pending| pending.plan.log_start),
        );
        if let Some(id) = settled.transition {
            let changes = settled.changes;
            // What it passes is lost at once.
            let plan = Plan { to: Vec::new(), ..plan };
            self.pending.push_back(Pending { id, changes, plan });
        }
        self.given_up = self.given_up.max(start);
    }

    fn reset(&mut self, by: u64) {
        let overtakes = by == 1;
        if !overtakes {
            self.persist_all();
        }
        let start = self.model.start.saturating_sub(by);
        let settled = self.share.reset(self.share.epoch().next(), at(start), self.clock());
        assert!(!self.share.can_acquire());
        let lease = self.held().first().copied();
        if let Some(lease) = lease {
            let refused = self.share.settle(&[(key(lease), Verdict::Accept)], self.clock());
            assert_eq!(refused.results, [Err(Refusal::InTransition(at(lease.offset)))]);
        }
        // What was on its way before is answered before.
        while let Some(pending) = self.pending.front() {
            saw("log start answered in a reset", pending.plan.log_start);
            self.persist(self.pending.len().is_multiple_of(2));
        }
        let durable = by != 2;
        let result = if durable {
            Persisted::Durable
        } else {
            Persisted::Refused
        };
        self.share
            .handle_persisted(settled.transition.unwrap(), result, self.clock());
        if durable {
            self.journal.extend(settled.changes);
            let model = std::mem::take(&mut self.model);
            self.model = Model {
                recs: BTreeMap::new(),
                start,
                next: start,
                jumped: None,
                snapped: 0,
                uncounted: 0,
                out: None,
                epoch: model.epoch + 1,
                ..model
            };
            self.given_up = self.given_up.max(start);
        }
    }

    fn take_snapshot(&mut self) {
        self.snapshot.clear();
        self.share.encode(&mut self.snapshot);
        self.journal.clear();
        self.model.snapped = self.model.start;
        for rec in self.model.recs.values_mut() {
            rec.disk = None;
        }
    }

    fn replay(&self) -> SharePartition {
        let mut replica = self.decode(&self.snapshot);
        for change in &self.journal {
            let applied = replica.apply(change, self.clock());
            applied.unwrap_or_else(|error| panic!("{error}: {change:?}"));
        }
        replica.check();
        replica
    }

    fn decode(&self, bytes: &[u8]) -> SharePartition {
        let mut share = SharePartition::decode(KEY, self.options, bytes, self.clock()).unwrap();
        share.set_archive_limit(self.archive_limit);
        share.check();
        share
    }

    /// The process dies, another opens what the journal holds and voids all leases, and dies again: of that one the
    /// newest snapshot is all there is.
    fn crash(&mut self) {
        saw(
            "crash behind a refused expiry",
            self.model.count(|rec| rec.disk.is_some()),
        );
        saw("crash behind a jump", self.model.durable_start() < self.model.start);
        self.pending.clear();
        let before = self.model.clone();
        self.model.crash(self.now);
        self.share = self.replay();
        let mut archived = Vec::new();
        loop {
            let settled = self.share.void_leases(true, self.clock());
            let Some(id) = settled.transition else { break };
            self.share.handle_persisted(id, Persisted::Durable, self.clock());
            self.journal.extend(settled.changes);
            archived.extend(told(&settled.archived));
        }
        for (offset, cause, count) in &archived {
            let rec = &self.model.recs[offset];
            assert_eq!((rec.state, rec.count), (State::Archived(*cause), *count));
            saw("archived: Crash", *cause == Why::Crash);
        }
        let ended = |model: &Model, offset| matches!(model.recs.get(&offset), Some(rec) if rec.disk.is_none() && matches!(rec.state, State::Archived(_)));
        let new = (self.model.recs.keys()).filter(|&&offset| ended(&self.model, offset) && !ended(&before, offset));
        assert_eq!(new.count(), archived.len());
        self.timeout();
        self.persist_all();
        let mut bytes = BytesMut::new();
        self.share.encode(&mut bytes);
        self.share = self.decode(&bytes);
        self.model.reload(self.now);
        self.timeout();
        saw("struck", self.model.count(|rec| rec.struck));
        saw("waiting", self.model.count(|rec| rec.state == State::Waiting));
    }

    /// All that is due: one look archives no more than the limit allows.
    fn look_at_timers(&self, share: &mut SharePartition) {
        while share.handle_timeout(self.clock()).transition.is_some() {}
    }

    /// Snapshot and journal give what is in memory, and a snapshot of that is the same bytes.
    fn compare_durable(&mut self) {
        if self.model.durable_start() < self.model.start || self.model.count(|rec| rec.disk.is_some()) > 0 {
            return;
        }
        let mut replica = self.replay();
        self.look_at_timers(&mut replica);
        let (mut live, mut replayed, mut again) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
        self.share.encode(&mut live);
        replica.encode(&mut replayed);
        assert_eq!(live, replayed, "replay differs: {:?} {replica:?}", self.share);
        let mut decoded = self.decode(&live);
        self.look_at_timers(&mut decoded);
        decoded.encode(&mut again);
        assert_eq!(live, again);
        saw("compared with the journal", self.model.next > self.model.start);
    }

    fn compare(&self) {
        self.share.check();
        let (share, model) = (&self.share, &self.model);
        assert_eq!(share.start_offset().get(), model.start);
        assert_eq!(share.next_new_offset().get(), model.next);
        let empty = model.start == model.next;
        assert_eq!(
            share.end_offset().get(),
            if empty { model.start } else { model.next - 1 }
        );
        assert_eq!(share.next_fetch_offset().get(), model.next_fetch(), "{model:?}");
        assert_eq!(share.can_acquire(), model.can_acquire(), "{model:?}");
        let done = |rec: &Rec| matches!(rec.state, State::Acked | State::Archived(_));
        let counts = Counts {
            available: model.count(|rec| rec.state == State::Free),
            acquired: model.count(|rec| rec.state == State::Held),
            parked: model.count(|rec| rec.state == State::Parked),
            waiting: model.count(|rec| rec.state == State::Waiting),
            terminal: model.count(done),
            in_transition: model.count(|rec| rec.busy),
        };
        assert_eq!(share.counts(), counts, "{model:?}");
        assert_eq!(share.delivery_complete_count(), counts.terminal);
        for (offset, rec) in model.live() {
            let seen = share.record(at(offset)).map(|view| RecordView {
                delivery_count: if done(rec) {
                    DeliveryCount(0)
                } else {
                    view.delivery_count
                },
                ..view
            });
            assert_eq!(seen, view(offset, rec), "{rec:?}");
        }
        assert_eq!(share.record(at(model.next)), None);
        saw("full window", model.next - model.start >= model.span);
        saw("full hands", counts.acquired > 0 && !share.can_acquire());
    }
}

/// The record as it is to be seen. How often a finished one was delivered may be forgotten.
fn view(offset: u64, rec: &Rec) -> Option<RecordView> {
    let held = rec.state == State::Held;
    let done = matches!(rec.state, State::Acked | State::Archived(_));
    Some(RecordView {
        offset: at(offset),
        state: match rec.state {
            State::Free => RecordState::Available,
            State::Waiting => RecordState::Waiting,
            State::Held => RecordState::Acquired,
            State::Parked => RecordState::Parked,
            State::Acked => RecordState::Acknowledged,
            State::Archived(_) => RecordState::Archived,
            State::Hole => return None,
        },
        delivery_count: DeliveryCount(if done { 0 } else { rec.count }),
        continuation: Continuation(if done { 0 } else { rec.continuation }),
        member: held.then_some(MemberIndex(rec.member)),
        deadline: held.then(|| instant(rec.until)),
        due: (rec.state == State::Parked).then(|| instant(rec.until)),
        checkpoint_len: if done { 0 } else { rec.checkpoint },
        notes: if done { 0 } else { rec.notes },
        strikes: u8::from(rec.struck && !done),
        in_transition: rec.busy,
    })
}

/// What the engine says of archived records: offset, cause and count of each.
fn told(archived: &[Archived]) -> Vec<(u64, Why, u16)> {
    let each = archived.iter().flat_map(|one| {
        let (first, last) = (one.range.first().get(), one.range.last().get());
        (first..=last).map(|offset| (offset, why(one.cause), one.delivery_count.get()))
    });
    each.collect()
}

/// Archived records that somebody may want to know of, in the order of the plan.
fn told_of(plan: &Plan) -> Vec<(u64, Why, u16)> {
    let told = plan.to.iter().filter_map(|(offset, rec)| match rec.state {
        State::Archived(cause) if rec.count > 0 => Some((*offset, cause, rec.count)),
        _ => None,
    });
    told.collect()
}

fn offsets(change: &Change) -> Vec<u64> {
    match change {
        Change::Acknowledge { range } | Change::Archive { range, .. } | Change::Release { range, .. } => {
            (range.first().get()..=range.last().get()).collect()
        }
        Change::Park { offset, .. } => vec![offset.get()],
        change => panic!("{change:?} of time"),
    }
}
