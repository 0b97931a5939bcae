//! What a step does: asks the engine for something, lets time pass, or does harm.

use std::time::Duration;

use share_engine::engine::{EmitRecord, Outcome, Settlement};
use share_engine::ids::Offset;
use share_engine::record::NewRecord;
use share_engine::share::AcquireMode;

use super::answers::{checkpoint, key};
use super::model::value::{self, Id};
use super::model::{Check, Claim, LETTERS, Limbo, Model, Redrive, Verdict, group_name, topic_name};
use super::plan::{Action, GROUPS};
use super::world::{Answer, Call, Change, Held, Item, World};

/// Calls under way at most.
const FLIGHTS: usize = 12;
const MILLI: u64 = 1_000_000;

impl World {
    /// One step of a run.
    pub(crate) fn act(&mut self) -> Check {
        self.seen.steps += 1;
        let action = self.plan.action(&mut self.chance);
        self.trace.note(&[2, action as u64, self.now()]);
        if self.is_fenced() && self.chance.one_in(4) {
            return self.crash();
        }
        let jitter = self.chance.below(200_000);
        self.wait(jitter);
        self.perform(action)?;
        self.turn()
    }

    fn perform(&mut self, action: Action) -> Check {
        if self.flights.len() >= FLIGHTS && !matches!(action, Action::Crash | Action::Close | Action::Wait) {
            return Ok(());
        }
        match action {
            Action::Produce => self.produce(),
            Action::Acquire => self.acquire(),
            Action::Settle => self.settle(false),
            Action::SettleLate => self.settle(true),
            Action::Extend => self.extend(),
            Action::Abandon => {
                self.abandon();
                Ok(())
            }
            Action::Join => self.join(),
            Action::Leave => self.leave(),
            Action::Redrive => self.redrive(),
            Action::Drain => self.drain(),
            _ if action.is_administration() => self.administer(action),
            Action::Wait => {
                let nanos = self.chance.below(40 * MILLI);
                self.wait(nanos);
                Ok(())
            }
            Action::WaitLong => {
                let nanos = self.chance.within(40, 4_000) * MILLI;
                self.wait(nanos);
                Ok(())
            }
            Action::SetClock => {
                self.set_clock();
                Ok(())
            }
            Action::Look => self.look(false),
            Action::Crash => self.crash(),
            Action::Close => self.close(),
            Action::FailCall => {
                self.fail_call();
                Ok(())
            }
            Action::FillDisk => {
                self.fill_disk();
                Ok(())
            }
            Action::FlipBit => self.flip(),
            _ => Ok(()),
        }
    }

    fn new_records(&mut self, count: u64, topic: u8) -> (Vec<Id>, Vec<NewRecord>) {
        let mut ids = Vec::new();
        let mut records = Vec::new();
        for _ in 0..count {
            let bytes = self.chance.below(self.plan.value_bytes * 2);
            let id = self.model.new_id(bytes);
            let limbo = Limbo {
                topic,
                asked: self.now(),
                sure: false,
                hidden: false,
            };
            self.model.limbo.insert(id, limbo);
            ids.push(id);
            records.push(NewRecord {
                key: value::key(id),
                value: Some(value::value(id)),
                ..NewRecord::default()
            });
        }
        (ids, records)
    }

    /// A topic that nobody is about to change.
    fn some_topic(&mut self) -> Option<u8> {
        let busy = |topic: u8| match self.change() {
            Some(Change::DeleteTopic(one) | Change::GrowTopic(one)) => one == topic,
            _ => false,
        };
        let topics = self.model.topics.keys().copied();
        let topics: Vec<u8> = topics.filter(|topic| *topic < LETTERS && !busy(*topic)).collect();
        (!topics.is_empty()).then(|| self.chance.pick(&topics))
    }

    pub(crate) fn produce(&mut self) -> Check {
        match self.some_topic() {
            Some(topic) => self.produce_to(topic),
            None => Ok(()),
        }
    }

    pub(crate) fn produce_to(&mut self, topic: u8) -> Check {
        let Some(engine) = self.handle() else { return Ok(()) };
        if !self.model.topics.contains_key(&topic) {
            return Ok(());
        }
        let count = self.chance.within(1, self.plan.batch);
        let (ids, records) = self.new_records(count, topic);
        let logs = &self.model.topics[&topic].logs;
        let floors: Vec<u64> = logs.iter().map(|log| log.end).collect();
        let partition = self
            .chance
            .one_in(2)
            .then(|| self.chance.below(floors.len() as u64) as u32);
        self.trace.note(&[11, u64::from(topic), count]);
        self.start(Call::Produce { ids, floors }, async move {
            Answer::Produced(engine.produce(&topic_name(topic), partition, records).await)
        })
    }

    fn acquire(&mut self) -> Check {
        if self.actors.is_empty() {
            return self.join();
        }
        let index = self.chance.index(self.actors.len());
        self.acquire_at(index)
    }

    /// Asks for records, unless enough calls of the member wait already.
    pub(crate) fn acquire_at(&mut self, index: usize) -> Check {
        let actor = &self.actors[index];
        let (number, member) = (actor.number, actor.member.clone());
        if self.waits(number) >= 2 {
            return Ok(());
        }
        let records = self.chance.within(1, 8) as u32;
        let bytes = self.chance.pick(&[u64::MAX, u64::MAX, 500]);
        let mode = self.chance.pick(&[
            AcquireMode::RecordLimit,
            AcquireMode::RecordLimit,
            AcquireMode::BatchOptimized,
        ]);
        let at = self.now();
        self.start(Call::Acquire { actor: number, at }, async move {
            Answer::Acquired(member.acquire(records, bytes, mode).await)
        })
    }

    fn verdict(&mut self) -> Verdict {
        let length = self.chance.pick(&[10, 50, 500, 3_000]) * MILLI;
        match self.chance.below(20) {
            0..9 => Verdict::Accept,
            9..11 => Verdict::Reject,
            11..14 => Verdict::Release(0),
            14 => Verdict::Release(length),
            15 => Verdict::Renew(0, self.chance.below(4) as u8),
            16..19 => Verdict::Renew(length, self.chance.below(200) as u8),
            _ => Verdict::GiveBack,
        }
    }

    /// Settles some of what a member holds; `late`: what it held some time.
    fn settle(&mut self, late: bool) -> Check {
        let holding: Vec<usize> = (0..self.actors.len())
            .filter(|index| late || !self.actors[*index].held.is_empty())
            .collect();
        if holding.is_empty() {
            return Ok(());
        }
        let index = self.chance.pick(&holding);
        let mut held = Vec::new();
        for _ in 0..self.chance.within(1, 6) {
            let from = if late {
                &mut self.past
            } else {
                &mut self.actors[index].held
            };
            if from.is_empty() {
                break;
            }
            let place = self.chance.index(from.len());
            held.push(from.swap_remove(place));
        }
        let mut verdicts = held.iter().map(|_| self.verdict()).collect::<Vec<_>>().into_iter();
        self.settle_as(index, held, |_| verdicts.next().unwrap_or(Verdict::Accept))
    }

    /// Settles deliveries.
    pub(crate) fn settle_as(&mut self, index: usize, held: Vec<Held>, mut say: impl FnMut(&Held) -> Verdict) -> Check {
        let mut items = Vec::new();
        let mut settlements = Vec::new();
        for held in held {
            let verdict = say(&held);
            let (item, settlement) = self.item(held, verdict);
            items.push(item);
            settlements.push(settlement);
        }
        let actor = &self.actors[index];
        let (actor, member) = (actor.number, actor.member.clone());
        self.start(Call::Settle { actor, items }, async move {
            Answer::Settled(member.settle(settlements).await)
        })
    }

    fn item(&mut self, held: Held, verdict: Verdict) -> (Item, Settlement) {
        let number = self.model.new_claim();
        let at = self.now();
        let record = self
            .model
            .share(held.place)
            .and_then(|share| share.records.get_mut(&held.lease.offset.get()));
        if let Some(record) = record {
            record.claims.push(Claim {
                number,
                verdict,
                lease: key(&held),
                at,
                passed: false,
            });
        }
        let mut item = Item {
            held,
            claim: number,
            emit: Vec::new(),
            target: 0,
        };
        let outcome = match verdict {
            Verdict::Accept => {
                let mut emit = Vec::new();
                if self.plan.emits
                    && self.chance.one_in(6)
                    && let Some(topic) = self.some_topic()
                {
                    let count = self.chance.within(1, 3);
                    let (ids, records) = self.new_records(count, topic);
                    item.emit = ids;
                    item.target = topic;
                    emit = records.into_iter().map(|record| emitted(topic, record)).collect();
                }
                Outcome::Accept { emit }
            }
            Verdict::Reject => Outcome::Reject {
                reason: Some("bad".to_owned()),
            },
            Verdict::Release(0) => Outcome::Release {
                after: None,
                reason: Some("busy".to_owned()),
            },
            Verdict::Release(nanos) => Outcome::Release {
                after: Some(Duration::from_nanos(nanos)),
                reason: None,
            },
            Verdict::Renew(nanos, mark) => Outcome::Renew {
                after: Duration::from_nanos(nanos),
                checkpoint: (mark > 0).then(|| checkpoint(mark)),
            },
            Verdict::GiveBack => Outcome::GiveBack,
        };
        let lease = held.lease;
        let settlement = Settlement {
            lease,
            outcome,
            evidence: None,
        };
        (item, settlement)
    }

    fn extend(&mut self) -> Check {
        if self.actors.is_empty() {
            return Ok(());
        }
        let index = self.chance.index(self.actors.len());
        let actor = &self.actors[index];
        let mut leases: Vec<Held> = actor.held.iter().take(8).copied().collect();
        leases.extend(self.past.first().filter(|_| self.chance.one_in(4)));
        let member = actor.member.clone();
        let keys = leases.iter().map(|held| held.lease).collect();
        let at = self.now();
        self.start(Call::Extend { leases, at }, async move {
            Answer::Extended(member.renew(keys).await)
        })
    }

    /// Gives up an acquisition that waits.
    fn abandon(&mut self) {
        let waiting = self
            .flights
            .iter()
            .position(|flight| matches!(flight.call, Call::Acquire { .. }));
        let Some(index) = waiting else { return };
        let flight = self.flights.remove(index);
        if let Call::Acquire { actor, .. } = flight.call
            && let Some(actor) = self.actors.iter().find(|one| one.number == actor)
        {
            self.model.abandoned(actor.group);
        }
    }

    fn join(&mut self) -> Check {
        let group = self.chance.below(u64::from(GROUPS)) as u8;
        let joining = |call: &Call| matches!(call, Call::Join { .. });
        if self.actors.len() >= 5 || self.flights.iter().any(|flight| joining(&flight.call)) || self.is_changing() {
            return Ok(());
        }
        self.join_to(group)
    }

    /// A new member of a group, on all that the group reads.
    pub(crate) fn join_to(&mut self, group: u8) -> Check {
        let Some(engine) = self.handle() else { return Ok(()) };
        let Some(known) = self.model.groups.get(&group) else {
            return Ok(());
        };
        let topics = known.shares.keys().filter(|place| place.1 == 0);
        let topics: Vec<String> = topics.map(|place| topic_name(place.0)).collect();
        self.start(Call::Join { group }, async move {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            Answer::Joined(engine.join(&group_name(group), &topics).await)
        })
    }

    fn leave(&mut self) -> Check {
        if self.actors.is_empty() {
            return Ok(());
        }
        let index = self.chance.index(self.actors.len());
        self.leave_one(index)
    }

    pub(crate) fn leave_one(&mut self, index: usize) -> Check {
        let actor = self.actors.swap_remove(index);
        let number = actor.number;
        self.model.left(actor.group, number, self.waits(number));
        for held in actor.held {
            self.keep(held);
        }
        let member = actor.member;
        self.start(Call::Leave, async move { Answer::Done(member.leave().await) })
    }

    /// Every member is about to go.
    pub(crate) fn leave_all(&mut self) {
        for index in 0..self.actors.len() {
            let (group, number) = (self.actors[index].group, self.actors[index].number);
            self.model.left(group, number, self.waits(number));
        }
    }

    fn redrive(&mut self) -> Check {
        let Some(engine) = self.handle() else { return Ok(()) };
        if self.is_changing() {
            return Ok(());
        }
        let Some((topic, offset, id, to)) = some_letter(&self.model, self.chance.next()) else {
            return Ok(());
        };
        let same = |call: &Call| matches!(call, Call::Redrive { offset: other, .. } if *other == offset);
        if self.flights.iter().any(|flight| same(&flight.call)) || !self.model.topics.contains_key(&to) {
            return Ok(());
        }
        let known = self.model.redriven.entry((topic, offset));
        known.or_insert(Redrive::new(id, to));
        let at = Offset::saturating(offset);
        self.start(Call::Redrive { topic, offset }, async move {
            Answer::Redriven(engine.redrive(&topic_name(topic), 0, at).await)
        })
    }

    fn drain(&mut self) -> Check {
        let Some(engine) = self.handle() else { return Ok(()) };
        self.start(Call::Drain, async move { Answer::Done(engine.drain().await) })
    }
}

fn emitted(topic: u8, record: NewRecord) -> EmitRecord {
    EmitRecord {
        topic: topic_name(topic),
        partition: None,
        record,
    }
}

/// A dead letter that was seen, and where it would go.
fn some_letter(model: &Model, chance: u64) -> Option<(u8, u64, Id, u8)> {
    let topics: Vec<u8> = model.topics.keys().copied().filter(|topic| *topic >= LETTERS).collect();
    let topic = *topics.get(chance as usize % topics.len().max(1))?;
    let letters = &model.topics[&topic].logs[0].entries;
    let index = (chance >> 32) as usize % letters.len().max(1);
    let (offset, entry) = letters.iter().nth(index)?;
    let to = model.origins.get(&(topic, *offset))?;
    Some((topic, *offset, entry.id, *to))
}
