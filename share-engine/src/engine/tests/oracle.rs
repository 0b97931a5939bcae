//! What a caller of the engine knows: everything that was answered, and what was under way when the answer failed to
//! come. Kept outside the engine, and compared with what is there after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::harness::*;
use crate::config::{GroupConfig, Retention, TopicConfig};
use crate::engine::{Delivery, Member, Outcome, Receipt};
use crate::error::{ProduceError, SettleResult};
use crate::ids::Offset;
use crate::record::RecordView;
use crate::time::{Clock, WallTime};

pub(super) const TOPIC: &str = "orders";
pub(super) const GROUP: &str = "work";
pub(super) const DEAD: &str = "work.dead";
pub(super) const LINES: &str = "lines";
/// A topic that keeps its records for an hour, and has no group.
const AGED: &str = "aged";
const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const LIMIT: u16 = 3;

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Open,
    Accepted,
    Dead,
}

/// One record as its group's member knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    count: u16,
    held: bool,
    parked: bool,
    checkpoint: Option<Bytes>,
    strikes: u8,
    end: End,
    redriven: bool,
}

/// What is seen of a record after a crash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Delivered {
        count: u16,
        checkpoint: Option<Bytes>,
        /// It is a copy that came back from the dead letters.
        redriven: bool,
    },
    Gone,
    Dead,
}

/// What was under way without an answer.
#[derive(Clone, Debug)]
enum Doubt {
    Acquire,
    Settle(u32, Said),
    Expire,
    Redrive(u32),
}

/// A settlement in short.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Accept,
    Emit(Vec<u32>),
    Reject,
    Release,
    Delay(u64),
    Park(u64, Option<&'static [u8]>),
}

/// Everything that was answered so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Topics by name: answered, or asked for only.
    topics: BTreeMap<String, bool>,
    deleted: BTreeMap<String, bool>,
    /// The group exists and reads the topic: answered, or asked for only.
    group: Option<bool>,
    produced: BTreeMap<u32, u64>,
    unanswered: BTreeSet<u32>,
    records: BTreeMap<u32, State>,
    emits: BTreeMap<u32, Vec<u32>>,
    doubts: Vec<Doubt>,
    /// What was produced to the topic that forgets, in order: record, its offset if that was answered, and when.
    aged: Vec<(u32, Option<u64>, WallTime)>,
    /// Reads failed: dead letters may have gone without their record.
    reads_failed: bool,
    /// Largest start offset that was seen.
    start: u64,
}

/// A member of the group at work, and its ledger.
pub(super) struct Driver {
    pub(super) world: World,
    pub(super) ledger: Ledger,
    pub(super) running: Option<Running>,
    member: Option<Member>,
    held: Vec<Delivery>,
    /// Bytes of a value.
    pub(super) value_bytes: usize,
    /// An answer failed to come: nothing more is asked.
    pub(super) dead: bool,
    stubborn: bool,
    next: u32,
}

/// The value of record `id`: its number and a pattern.
pub(super) fn value_of(id: u32, bytes: usize) -> String {
    let mut text = format!("{id}:");
    while text.len() < bytes {
        text.push(char::from(
            b'a' + u8::try_from((text.len() + id as usize) % 26).unwrap(),
        ));
    }
    text
}

fn id_of(value: &str) -> u32 {
    value.split(':').next().unwrap().parse().unwrap()
}

fn group_config() -> GroupConfig {
    GroupConfig {
        attempts: LIMIT,
        ..dead_letters(DEAD)
    }
}

fn queue() -> TopicConfig {
    TopicConfig {
        retention: Retention::Queue,
        ..TopicConfig::default()
    }
}

impl Driver {
    pub(super) fn new(world: World) -> Self {
        Self::opened(world, false)
    }

    /// Goes on after failures that are no fence.
    pub(super) fn stubborn(world: World) -> Self {
        let mut driver = Self::opened(world, true);
        driver.ledger.reads_failed = true;
        driver
    }

    /// Whether every answer came, and said yes.
    pub(super) fn is_unharmed(&self) -> bool {
        let ledger = &self.ledger;
        let sure = |doubt: &Doubt| matches!(doubt, Doubt::Expire);
        let aged = ledger.aged.iter().all(|(_, offset, _)| offset.is_some());
        !self.dead && ledger.unanswered.is_empty() && ledger.doubts.iter().all(sure) && aged
    }

    /// The disk is well again: an engine that is fenced tells everybody, any other serves, drains and closes. What it holds
    /// afterwards is opened once more, and compared.
    pub(super) fn go_on(&mut self, what: &str) {
        let Some(running) = self.running.as_mut() else { return };
        if running.is_fenced() {
            if running.topic_names().iter().any(|name| name == TOPIC) {
                let answer = running.try_produce(TOPIC, &["x"]);
                assert!(matches!(answer, Err(ProduceError::Fenced(_))), "{what}: {answer:?}");
            }
            assert!(running.pump.wait(running.engine.drain()).is_err(), "{what}: drained");
            assert!(running.pump.wait(running.engine.close()).is_err(), "{what}: closed");
            return;
        }
        assert!(!self.dead, "{what}: not fenced");
        self.advance(2);
        self.create_topic("after");
        let running = self.running.as_mut().unwrap();
        running.drain();
        running.produce("after", &["served"]);
        self.close();
        assert!(self.is_serving(), "{what}: does not go on");
        let running = self.running.as_mut().unwrap();
        assert_eq!(running.values("after"), [(0, "served".to_owned())], "{what}");
        self.running = None;
    }

    fn is_serving(&self) -> bool {
        !self.dead && self.running.is_some()
    }

    fn opened(world: World, stubborn: bool) -> Self {
        let mut driver = Self {
            world,
            ledger: Ledger::default(),
            running: None,
            member: None,
            held: Vec::new(),
            value_bytes: 40,
            dead: false,
            stubborn,
            next: 0,
        };
        driver.open();
        driver
    }

    fn open(&mut self) {
        let opened = self.world.try_open();
        let opened = if self.stubborn && opened.is_err() {
            self.world.try_open()
        } else {
            opened
        };
        match opened {
            Ok(running) => self.running = Some(running),
            Err(_) => self.dead = true,
        }
    }

    /// An answer failed to come; the stubborn go on unless the engine is fenced.
    fn failed(&mut self) {
        let fenced = self.running.as_mut().is_none_or(Running::is_fenced);
        self.dead |= fenced || !self.stubborn;
    }

    /// The engine, unless nothing more is asked.
    fn engine(&mut self) -> Option<&mut Running> {
        if self.dead { None } else { self.running.as_mut() }
    }

    pub(super) fn create_topic(&mut self, name: &str) {
        self.create(name, queue());
    }

    fn create(&mut self, name: &str, config: TopicConfig) {
        let Some(running) = self.engine() else { return };
        let done = running.pump.wait(running.engine.create_topic(name, config)).is_ok();
        let known = self.ledger.topics.entry(name.to_owned()).or_default();
        *known |= done;
        if done {
            self.ledger.deleted.remove(name);
        } else {
            self.ledger.deleted.insert(name.to_owned(), false);
            self.failed();
        }
    }

    pub(super) fn create_aged(&mut self) {
        let retention = Retention::Bounded {
            millis: Some(u64::try_from(HOUR.as_millis()).unwrap()),
            bytes: None,
        };
        let config = TopicConfig { retention, ..queue() };
        self.create(AGED, config);
    }

    /// Records that will be forgotten, one after the other.
    pub(super) fn produce_aged(&mut self, count: u32) {
        let bytes = self.value_bytes;
        for _ in 0..count {
            let (id, at) = (self.next, self.world.clock.now().wall);
            let Some(running) = self.engine() else { return };
            let answer = running.try_produce(AGED, &[&value_of(id, bytes)]);
            self.next += 1;
            self.ledger
                .aged
                .push((id, answer.as_ref().ok().map(|offsets| offsets[0]), at));
            if answer.is_err() {
                self.failed();
            }
        }
    }

    pub(super) fn delete_topic(&mut self, name: &str) {
        let Some(running) = self.engine() else { return };
        let done = running.pump.wait(running.engine.delete_topic(name)).is_ok();
        self.ledger.deleted.insert(name.to_owned(), done);
        if !done {
            self.failed();
        }
    }

    pub(super) fn subscribe(&mut self) {
        let Some(running) = self.engine() else { return };
        let created = running.pump.wait(running.engine.create_group(GROUP, group_config()));
        let done = created.is_ok() && running.pump.wait(running.engine.subscribe(GROUP, TOPIC)).is_ok();
        self.ledger.group = Some(done);
        if done {
            self.join();
        } else {
            self.failed();
        }
    }

    pub(super) fn delete_group(&mut self) {
        self.leave();
        let Some(running) = self.engine() else { return };
        let done = running.pump.wait(running.engine.delete_group(GROUP, true)).is_ok();
        if done {
            self.ledger.group = None;
        } else {
            self.ledger.group = Some(false);
            self.failed();
        }
    }

    fn join(&mut self) {
        if self.ledger.group.is_none() {
            return;
        }
        let Some(running) = self.engine() else { return };
        let joined = running.pump.wait(running.engine.join(GROUP, &[TOPIC]));
        match joined {
            Ok(member) => self.member = Some(member),
            Err(_) => self.failed(),
        }
    }

    fn leave(&mut self) {
        let Some(member) = self.member.take() else { return };
        let Some(running) = self.engine() else { return };
        running.pump.wait(member.leave()).ok();
        running.pump.run();
        self.let_go(false);
    }

    /// Everything held is released, if that reached the disk.
    fn let_go(&mut self, sure: bool) {
        for delivery in std::mem::take(&mut self.held) {
            let id = id_of(&value(&delivery));
            let state = self.ledger.records.get_mut(&id).unwrap();
            if sure {
                state.held = false;
                if state.count >= LIMIT {
                    state.end = End::Dead;
                }
            }
        }
        if !sure {
            self.ledger.doubts.push(Doubt::Expire);
        }
    }

    pub(super) fn produce(&mut self, count: u32) {
        let bytes = self.value_bytes;
        let ids: Vec<u32> = (self.next..self.next + count).collect();
        let Some(running) = self.engine() else { return };
        let records = ids.iter().map(|id| record(&value_of(*id, bytes))).collect();
        let results = running.pump.wait(running.engine.produce(TOPIC, Some(0), records));
        self.produced(count, &ids, results);
    }

    fn produced(&mut self, count: u32, ids: &[u32], results: Vec<Result<Receipt, ProduceError>>) {
        self.next += count;
        for (&id, result) in ids.iter().zip(results) {
            match result {
                Ok(receipt) => {
                    self.ledger.produced.insert(id, receipt.offset.get());
                    self.ledger.records.insert(id, State::new());
                }
                Err(_) => {
                    self.ledger.unanswered.insert(id);
                    self.failed();
                }
            }
        }
    }

    /// Each record by a produce of its own, and none waits for the answer to another.
    pub(super) fn produce_at_once(&mut self, count: u32) {
        let bytes = self.value_bytes;
        let ids: Vec<u32> = (self.next..self.next + count).collect();
        let Some(running) = self.engine() else { return };
        let engine = running.engine.clone();
        let all = ids
            .iter()
            .map(|id| engine.produce(TOPIC, Some(0), vec![record(&value_of(*id, bytes))]));
        let mut all: Vec<_> = all.map(Box::pin).collect();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for future in &mut all {
            assert!(Future::poll(future.as_mut(), &mut context).is_pending());
        }
        let results: Vec<_> = all.into_iter().flat_map(|future| running.pump.wait(future)).collect();
        self.produced(count, &ids, results);
    }

    pub(super) fn acquire(&mut self, max: u32) {
        let Some(member) = self.member.clone() else { return };
        let Some(running) = self.engine() else { return };
        let Ok(deliveries) = running.ask(&member, max) else {
            self.ledger.doubts.push(Doubt::Acquire);
            return self.failed();
        };
        self.acquired(deliveries);
    }

    /// Records for a member that waits for them already.
    pub(super) fn produce_to_waiting(&mut self, count: u32, max: u32) {
        let Some(member) = self.member.clone() else { return };
        let bytes = self.value_bytes;
        let ids: Vec<u32> = (self.next..self.next + count).collect();
        let Some(running) = self.engine() else { return };
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut waiting = Box::pin(member.acquire(max, u64::MAX, crate::share::AcquireMode::RecordLimit));
        assert!(Future::poll(waiting.as_mut(), &mut context).is_pending());
        running.pump.run();
        let records = ids.iter().map(|id| record(&value_of(*id, bytes))).collect();
        let results = running.pump.wait(running.engine.produce(TOPIC, Some(0), records));
        running.pump.run();
        let answer = Future::poll(waiting.as_mut(), &mut context);
        self.produced(count, &ids, results);
        match answer {
            std::task::Poll::Ready(Ok(deliveries)) => self.acquired(deliveries),
            std::task::Poll::Ready(Err(_)) | std::task::Poll::Pending => {
                self.ledger.doubts.push(Doubt::Acquire);
                self.failed();
            }
        }
    }

    fn acquired(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let id = id_of(&value(&delivery));
            assert_eq!(
                value(&delivery),
                value_of(id, self.value_bytes),
                "not what was produced"
            );
            let state = self.ledger.records.entry(id).or_insert_with(State::new);
            let seen = Seen::Delivered {
                count: delivery.lease.delivery_count.get(),
                checkpoint: delivery.checkpoint.clone(),
                redriven: state.redriven,
            };
            assert_eq!(
                Seen::Delivered {
                    count: if state.parked { state.count } else { state.count + 1 },
                    checkpoint: state.checkpoint.clone(),
                    redriven: state.redriven
                },
                seen,
                "record {id}: {state:?}"
            );
            assert!(!state.held && state.end == End::Open, "record {id}: {state:?}");
            state.count = delivery.lease.delivery_count.get();
            state.held = true;
            state.parked = false;
            self.held.push(delivery);
        }
    }

    /// Settles the oldest `count` records that are held.
    pub(super) fn settle(&mut self, count: usize, said: &Said) {
        let Some(member) = self.member.clone() else { return };
        let bytes = self.value_bytes;
        let count = count.min(self.held.len());
        if self.dead || count == 0 {
            return;
        }
        let some: Vec<Delivery> = self.held.drain(..count).collect();
        let list = some.iter().map(|one| (one.lease, said.outcome(bytes))).collect();
        let Some(running) = self.engine() else { return };
        let results = running.settle(&member, list);
        for (delivery, result) in some.into_iter().zip(results) {
            let id = id_of(&value(&delivery));
            match result {
                SettleResult::Applied => {
                    self.ledger.records.get_mut(&id).unwrap().apply(said);
                    if let Said::Emit(ids) = said {
                        self.ledger.emits.insert(id, ids.clone());
                    }
                }
                SettleResult::Refused(_) if self.stubborn => self.held.push(delivery),
                SettleResult::Unknown | SettleResult::Refused(_) => {
                    if let Said::Emit(ids) = said {
                        self.ledger.emits.insert(id, ids.clone());
                    }
                    self.ledger.doubts.push(Doubt::Settle(id, said.clone()));
                    self.failed();
                }
                SettleResult::Stale => assert!(self.stubborn, "record {id} was held"),
            }
        }
    }

    pub(super) fn redrive(&mut self, offset: u64) {
        let ledger = self.ledger.clone();
        let Some(running) = self.engine() else { return };
        let letters = running.letters(&ledger).0;
        let Some(id) = letters.get(&offset).copied() else {
            return self.failed();
        };
        let done = running
            .pump
            .wait(running.engine.redrive(DEAD, 0, Offset::new(offset).unwrap()));
        if done.is_ok() {
            let redriven = State {
                redriven: true,
                ..State::new()
            };
            self.ledger.records.insert(id, redriven);
        } else {
            self.ledger.doubts.push(Doubt::Redrive(id));
            self.failed();
        }
    }

    pub(super) fn drain(&mut self) {
        let Some(running) = self.engine() else { return };
        if running.pump.wait(running.engine.drain()).is_err() {
            self.failed();
        }
    }

    /// Time passes; after 30 s leases are over.
    pub(super) fn advance(&mut self, seconds: u64) {
        let Some(running) = self.engine() else { return };
        running.advance(Duration::from_secs(seconds));
        if seconds >= 30 {
            for delivery in std::mem::take(&mut self.held) {
                let state = self.ledger.records.get_mut(&id_of(&value(&delivery))).unwrap();
                state.expire();
            }
            self.ledger.doubts.push(Doubt::Expire);
        }
    }

    /// The process is killed, and another takes over.
    pub(super) fn restart(&mut self) {
        if self.dead {
            return;
        }
        self.running = None;
        self.held.clear();
        for state in self.ledger.records.values_mut() {
            *state = state.after_crash();
        }
        self.open();
        self.join();
    }

    pub(super) fn close(&mut self) {
        let Some(running) = self.engine() else { return };
        if running.pump.wait(running.engine.close()).is_err() {
            self.failed();
        }
        self.running = None;
        // Nothing was in a handler of a process that died: no strikes. Its last attempts are over all the same.
        let sure = !self.dead;
        self.let_go(sure);
        if !self.dead {
            self.open();
            self.join();
        }
    }

    /// Notes how far the group has come.
    pub(super) fn look(&mut self) {
        let known = self.ledger.group == Some(true);
        let Some(running) = self.engine().filter(|_| known) else {
            return;
        };
        let start = running.start_offset();
        assert!(start >= self.ledger.start, "the start offset moved back");
        self.ledger.start = start;
    }
}

impl Said {
    fn outcome(&self, bytes: usize) -> Outcome {
        match self {
            Self::Accept => accept(),
            Self::Emit(ids) => emit(LINES, &ids.iter().map(|id| value_of(*id, bytes)).collect::<Vec<_>>()),
            Self::Reject => Outcome::Reject {
                reason: Some("bad".to_owned()),
            },
            Self::Release => Outcome::Release {
                after: None,
                reason: Some("busy".to_owned()),
            },
            Self::Delay(seconds) => Outcome::Release {
                after: Some(Duration::from_secs(*seconds)),
                reason: None,
            },
            Self::Park(seconds, checkpoint) => Outcome::Renew {
                after: Duration::from_secs(*seconds),
                checkpoint: checkpoint.map(Bytes::from_static),
            },
        }
    }
}

impl State {
    fn new() -> Self {
        Self {
            count: 0,
            held: false,
            parked: false,
            checkpoint: None,
            strikes: 0,
            end: End::Open,
            redriven: false,
        }
    }

    fn apply(&mut self, said: &Said) {
        self.held = false;
        match said {
            Said::Accept | Said::Emit(_) => self.end = End::Accepted,
            Said::Reject => self.end = End::Dead,
            Said::Release | Said::Delay(_) if self.count >= LIMIT => self.end = End::Dead,
            Said::Release | Said::Delay(_) => {}
            Said::Park(_, checkpoint) => {
                self.parked = true;
                self.checkpoint = checkpoint.map(Bytes::from_static).or(self.checkpoint.take());
            }
        }
    }

    fn expire(&mut self) {
        self.held = false;
        if self.count >= LIMIT {
            self.end = End::Dead;
        }
    }

    /// What void leases make of it.
    fn after_crash(&self) -> Self {
        let mut state = self.clone();
        if state.held && state.end == End::Open {
            state.held = false;
            state.strikes += 1;
            if state.strikes > 1 || state.count >= LIMIT {
                state.end = End::Dead;
            }
        }
        state
    }

    fn seen(&self) -> Seen {
        match self.end {
            End::Open => Seen::Delivered {
                count: if self.parked { self.count } else { self.count + 1 },
                checkpoint: self.checkpoint.clone(),
                redriven: self.redriven,
            },
            End::Accepted => Seen::Gone,
            End::Dead => Seen::Dead,
        }
    }
}

impl Ledger {
    /// Everything that may have become of record `id`.
    fn possible(&self, id: u32) -> BTreeSet<Seen> {
        let mut states: BTreeSet<State> = self.records.get(&id).cloned().into_iter().collect();
        for doubt in &self.doubts {
            let mut more = BTreeSet::new();
            for state in &states {
                let mut after = state.clone();
                match doubt {
                    Doubt::Acquire if !state.held && state.end == End::Open => {
                        after.count += u16::from(!state.parked);
                        after.parked = false;
                        after.held = true;
                    }
                    Doubt::Settle(of, said) if *of == id && state.held => after.apply(said),
                    Doubt::Expire if state.held => after.expire(),
                    Doubt::Redrive(of) if *of == id && state.end == End::Dead => {
                        after = State {
                            redriven: true,
                            ..State::new()
                        };
                    }
                    _ => {}
                }
                more.insert(after);
            }
            states.extend(more);
        }
        states.iter().map(|state| state.after_crash().seen()).collect()
    }

    /// The record of which a letter has the facts alone.
    fn origin(&self, letter: &RecordView<'_>) -> u32 {
        let mut headers = letter.headers();
        let at = headers.find(|header| header.name == b"__dlq.errors.offset").unwrap();
        let at: u64 = text(at.value).parse().unwrap();
        let mut produced = self.produced.iter();
        let found = produced.find(|(_, offset)| **offset == at);
        *found.expect("a record that was acknowledged").0
    }

    fn may_be_redriven(&self, id: u32) -> bool {
        let back = |seen: &Seen| matches!(seen, Seen::Delivered { redriven: true, .. });
        self.possible(id).iter().any(back) || self.records.get(&id).is_some_and(|state| state.redriven)
    }

    fn may_be_deleted(&self, topic: &str) -> bool {
        self.deleted.contains_key(topic)
    }
}

/// Opens what a crash left and compares it with the ledger. The storage is used up.
pub(super) fn check(world: World, ledger: &Ledger, value_bytes: usize, what: &str) {
    let mut engine = match world.try_open() {
        Ok(engine) => engine,
        Err(error) => panic!("{what}: cannot be opened: {error}"),
    };
    let names: Vec<String> = engine.topic_names();
    for (topic, answered) in &ledger.topics {
        if *answered && !ledger.may_be_deleted(topic) {
            assert!(names.contains(topic), "{what}: topic {topic} is lost");
        }
    }
    for (topic, answered) in &ledger.deleted {
        assert!(!*answered || !names.contains(topic), "{what}: topic {topic} is back");
    }
    if names.iter().any(|name| name == AGED) {
        check_aged(&mut engine, ledger, world.clock.now().wall, value_bytes, what);
    }
    if !names.iter().any(|name| name == TOPIC) {
        return;
    }
    let kept = check_log(&mut engine, ledger, value_bytes, what);
    if ledger.group == Some(true) {
        check_group(engine, world, ledger, &kept, what);
    }
}

/// I1 and I8 with a retention: what is too old may be gone from the front, and nothing else.
fn check_aged(engine: &mut Running, ledger: &Ledger, now: WallTime, value_bytes: usize, what: &str) {
    let found = engine.values(AGED);
    let mut produced = ledger.aged.iter();
    let mut first = None;
    for (offset, value) in &found {
        let place = produced.find(|(id, ..)| *value == value_of(*id, value_bytes));
        let Some((id, at, _)) = place else {
            panic!("{what}: what stands at {offset} was not produced, or not there")
        };
        assert!(at.is_none_or(|at| at == *offset), "{what}: record {id} at {offset}");
        first = first.or(Some(*id));
    }
    for (id, at, when) in ledger.aged.iter().filter(|(_, at, _)| at.is_some()) {
        let wanted = now.since(*when) < HOUR || first.is_some_and(|first| first < *id);
        let there = found.iter().any(|(offset, _)| Some(*offset) == *at);
        assert!(there || !wanted, "{what}: record {id} at {at:?} is lost");
    }
}

/// I1 and I8: what was acknowledged is there, at its offset and byte by byte; nothing else but what was under way.
fn check_log(engine: &mut Running, ledger: &Ledger, value_bytes: usize, what: &str) -> BTreeSet<u32> {
    let mut present = BTreeSet::new();
    let mut times: BTreeMap<u32, u32> = BTreeMap::new();
    for (offset, value) in engine.values(TOPIC) {
        let id = id_of(&value);
        assert_eq!(
            value,
            value_of(id, value_bytes),
            "{what}: record {id} is not what was produced"
        );
        *times.entry(id).or_default() += 1;
        present.insert(id);
        match ledger.produced.get(&id) {
            Some(at) => assert!(
                *at == offset || ledger.may_be_redriven(id),
                "{what}: record {id} at {offset}, not {at}"
            ),
            None => assert!(
                ledger.unanswered.contains(&id),
                "{what}: record {id} was never produced"
            ),
        }
    }
    for (id, at) in &ledger.produced {
        let unfinished = ledger
            .possible(*id)
            .iter()
            .all(|seen| matches!(seen, Seen::Delivered { .. }));
        let wanted = ledger.group.is_none_or(|known| !known) || unfinished;
        if wanted && !ledger.may_be_deleted(TOPIC) && ledger.group.is_some() {
            assert!(present.contains(id), "{what}: record {id} at {at} is lost");
        }
    }
    for (id, times) in times {
        let redriven = ledger
            .possible(id)
            .iter()
            .any(|seen| matches!(seen, Seen::Delivered { redriven: true, .. }))
            || ledger.records.get(&id).is_some_and(|state| state.redriven);
        assert!(
            times == 1 || times == 2 && redriven,
            "{what}: record {id} is there {times} times"
        );
    }
    present
}

/// I2, I4, I5, I6, and what belongs together: emits, dead letters, redrives.
fn check_group(mut engine: Running, world: World, ledger: &Ledger, kept: &BTreeSet<u32>, what: &str) {
    let start = engine.start_offset();
    assert!(
        start >= ledger.start,
        "{what}: the start offset moved back from {} to {start}",
        ledger.start
    );
    let (letters, lost) = engine.letters(ledger);
    assert!(
        ledger.reads_failed || lost.is_empty(),
        "{what}: dead letters without their record at {lost:?}"
    );
    let emitted = engine.emitted();
    let mut delivered: BTreeMap<u32, Seen> = BTreeMap::new();
    let member = engine.join(GROUP, TOPIC);
    let mut idle = 0;
    while idle < 4 {
        let some = engine.try_acquire(&member, 100);
        idle = if some.is_empty() { idle + 1 } else { 0 };
        for delivery in &some {
            let id = id_of(&value(delivery));
            assert!(
                delivery.offset().get() >= start,
                "{what}: record {id} lies before the start offset"
            );
            let redriven = ledger
                .produced
                .get(&id)
                .is_some_and(|at| *at != delivery.offset().get());
            let seen = Seen::Delivered {
                count: delivery.lease.delivery_count.get(),
                checkpoint: delivery.checkpoint.clone(),
                redriven,
            };
            assert!(delivery.lease.delivery_count.get() <= LIMIT, "{what}: {seen:?}");
            assert!(delivered.insert(id, seen).is_none(), "{what}: record {id} came twice");
        }
        engine.accept(&member, &some);
        engine.advance(Duration::from_secs(if some.is_empty() { 61 } else { 0 }));
    }
    for id in ledger.records.keys() {
        let letters = letters.values().filter(|letter| *letter == id).count();
        assert!(letters <= 1, "{what}: record {id} has {letters} dead letters");
        let seen = match delivered.get(id) {
            Some(seen) => seen.clone(),
            None if letters == 1 && !ledger.records[id].redriven => Seen::Dead,
            None => Seen::Gone,
        };
        let possible = ledger.possible(*id);
        let fits = possible.contains(&seen);
        assert!(
            fits,
            "{what}: record {id} is {seen:?}, possible is {possible:?}; kept {}",
            kept.contains(id)
        );
        let redriven = matches!(seen, Seen::Delivered { redriven: true, .. }) || ledger.records[id].redriven;
        assert!(
            redriven || (letters == 1) == (seen == Seen::Dead),
            "{what}: record {id}, {seen:?}, {letters} letters"
        );
        if let Some(lines) = ledger.emits.get(id) {
            for line in lines {
                let times = emitted.iter().filter(|one| *one == line).count();
                assert_eq!(
                    times,
                    usize::from(seen == Seen::Gone),
                    "{what}: record {id} {seen:?} emitted {line}"
                );
            }
        }
    }
    for id in delivered.keys() {
        let known = ledger.records.contains_key(id) || ledger.unanswered.contains(id);
        assert!(known, "{what}: record {id} came from nowhere");
    }
    let whole = letters.iter().filter(|(offset, _)| !lost.contains(offset));
    let whole: BTreeMap<u64, u32> = whole.map(|(offset, id)| (*offset, *id)).collect();
    check_redrive(&mut engine, &whole, ledger, &delivered, what);
    drop(engine);
    // What was accepted just now stays so.
    let mut engine = world.open();
    let member = engine.join(GROUP, TOPIC);
    engine.advance(Duration::from_secs(61));
    let again = engine.try_acquire(&member, 100);
    let redrivable: BTreeSet<u32> = letters.values().copied().collect();
    for delivery in again {
        let id = id_of(&value(&delivery));
        assert!(
            redrivable.contains(&id),
            "{what}: record {id} was accepted and came again"
        );
    }
}

/// A dead letter goes back once.
fn check_redrive(
    engine: &mut Running,
    letters: &BTreeMap<u64, u32>,
    ledger: &Ledger,
    delivered: &BTreeMap<u32, Seen>,
    what: &str,
) {
    for (offset, id) in letters {
        let at = Offset::new(*offset).unwrap();
        let back = matches!(delivered.get(id), Some(Seen::Delivered { redriven: true, .. }))
            || ledger.records.get(id).is_some_and(|state| state.redriven);
        let first = engine.pump.wait(engine.engine.redrive(DEAD, 0, at));
        assert_eq!(first.is_ok(), !back, "{what}: redrive of {id}: {first:?}");
        let second = engine.pump.wait(engine.engine.redrive(DEAD, 0, at));
        assert!(second.is_err(), "{what}: record {id} was redriven twice");
    }
}

impl Running {
    /// What a fenced engine says to a change that makes no sense.
    pub(super) fn is_fenced(&mut self) -> bool {
        let answer = self.pump.wait(self.engine.subscribe("nobody", "nowhere"));
        matches!(answer, Err(crate::error::AdminError::Fenced(_)))
    }

    fn topic_names(&mut self) -> Vec<String> {
        let topics = self.pump.wait(self.engine.topics()).unwrap();
        topics.into_iter().map(|topic| topic.name).collect()
    }

    pub(super) fn start_offset(&mut self) -> u64 {
        let group = self.pump.wait(self.engine.describe_group(GROUP)).unwrap();
        group.partitions.iter().map(|one| one.start).max().unwrap_or(0)
    }

    /// Dead letters by offset, and those that went without their record.
    fn letters(&mut self, ledger: &Ledger) -> (BTreeMap<u64, u32>, BTreeSet<u64>) {
        let (mut letters, mut lost) = (BTreeMap::new(), BTreeSet::new());
        let mut from = Offset::ZERO;
        loop {
            let batches = self.pump.wait(self.engine.read(DEAD, 0, from, 1 << 20)).unwrap();
            let Some(last) = batches.last() else {
                return (letters, lost);
            };
            from = last.last().next();
            for batch in &batches {
                for record in batch.records() {
                    let (view, _) = record.unwrap();
                    let offset = view.offset.get();
                    let id = view.value.map(|value| id_of(&text(Some(value))));
                    letters.insert(offset, id.unwrap_or_else(|| ledger.origin(&view)));
                    lost.extend(id.is_none().then_some(offset));
                }
            }
        }
    }

    fn emitted(&mut self) -> Vec<u32> {
        if !self.topic_names().iter().any(|name| name == LINES) {
            return Vec::new();
        }
        self.values(LINES).iter().map(|(_, value)| id_of(value)).collect()
    }

    /// As `try_acquire`, with the engine's error.
    fn ask(&mut self, member: &Member, max: u32) -> Result<Vec<Delivery>, crate::error::AdminError> {
        let future = member.acquire(max, u64::MAX, crate::share::AcquireMode::RecordLimit);
        let mut future = std::pin::pin!(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..3 {
            if let std::task::Poll::Ready(result) = Future::poll(future.as_mut(), &mut context) {
                return result;
            }
            self.pump.run();
        }
        Ok(Vec::new())
    }
}
