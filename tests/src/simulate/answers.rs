//! What an answer means: it is told to the model, and decides what members hold.

use share_engine::engine::{Delivery, Member, Receipt, Refusal};
use share_engine::error::{AdminError, ProduceError, RefusedBy, SettleResult};
use share_engine::record::RecordView;
use share_engine::time::Instant;

use super::model::value::{self, Id};
use super::model::{Check, Delivered, Found, Key, Kind, LETTERS, Origin, Verdict, topic_of};
use super::plan::group_of;
use super::world::{Actor, Answer, Call, Held, Item, World};

impl World {
    /// Hears an answer.
    pub(crate) fn answer(&mut self, call: Call, answer: Answer) -> Check {
        match (call, answer) {
            (Call::Produce { ids, floors }, Answer::Produced(results)) => self.produced(&ids, floors, results),
            (Call::Acquire { actor, at }, Answer::Acquired(result)) => self.acquired(actor, at, result),
            (Call::Settle { actor, items }, Answer::Settled(results)) => self.settled(actor, items, results),
            (Call::Extend { leases, at }, Answer::Extended(results)) => self.extended(&leases, at, results),
            (Call::Join { group }, Answer::Joined(result)) => {
                self.joined(group, result);
                Ok(())
            }
            (Call::Redrive { topic, offset }, Answer::Redriven(result)) => self.redriven(topic, offset, &result),
            (Call::Catalog(change), Answer::Done(result)) => {
                self.hear(&result);
                match result {
                    Ok(()) => self.changed(change),
                    Err(AdminError::Fenced(_) | AdminError::Closed) => self.doubt = Some(change),
                    Err(_) => self.unchanged(change),
                }
                Ok(())
            }
            (_, Answer::Done(result)) => {
                self.hear(&result);
                Ok(())
            }
            (_, Answer::Closed(result)) => {
                self.closed = Some(result.is_ok());
                Ok(())
            }
            _ => Err("an answer to another question".to_owned()),
        }
    }

    fn hear<T>(&mut self, result: &Result<T, AdminError>) {
        self.say(|| format!("! {:?}", result.as_ref().err()));
        self.trace.note(&[3, u64::from(result.is_ok())]);
        if let Err(AdminError::Fenced(_)) = result {
            self.fence();
        }
    }

    fn produced(&mut self, ids: &[Id], mut floors: Vec<u64>, results: Vec<Result<Receipt, ProduceError>>) -> Check {
        self.say(|| format!("! {results:?}"));
        let now = self.now();
        for (id, result) in ids.iter().zip(results) {
            match result {
                Ok(receipt) => {
                    let (partition, offset) = (receipt.partition, receipt.offset.get());
                    self.trace.note(&[4, *id, u64::from(partition), offset]);
                    let floor = floors.get(partition as usize).copied().unwrap_or(0);
                    self.model.produced(*id, partition, offset, floor, now)?;
                    if let Some(floor) = floors.get_mut(partition as usize) {
                        *floor = offset + 1;
                    }
                    self.seen.produced += 1;
                }
                Err(ProduceError::Fenced(_)) => self.fence(),
                Err(ProduceError::Closed) => {}
                Err(error) => {
                    self.trace.note(&[5, *id]);
                    self.seen.refused += 1;
                    let full = matches!(error, ProduceError::JournalFull { .. });
                    self.seen.journal_full += u64::from(full);
                    if self.model.limbo.remove(id).is_none() && self.model.holds(*id) {
                        return Err(format!("I10: record {id:#x} was refused ({error}), and is there"));
                    }
                }
            }
        }
        Ok(())
    }

    fn acquired(&mut self, actor: u32, at: u64, result: Result<Vec<Delivery>, AdminError>) -> Check {
        self.hear(&result);
        let Some(index) = self.actors.iter().position(|one| one.number == actor) else {
            return Ok(());
        };
        let group = self.actors[index].group;
        let Ok(deliveries) = result else {
            // It may be on the disk all the same.
            self.model.abandoned(group);
            return Ok(());
        };
        for delivery in deliveries {
            let held = self.deliver(group, actor, at, &delivery)?;
            self.actors[index].held.extend(held);
        }
        Ok(())
    }

    fn deliver(&mut self, group: u8, actor: u32, at: u64, delivery: &Delivery) -> Result<Option<Held>, String> {
        let topic = topic_of(&delivery.topic).ok_or("a topic of nobody's")?;
        let place = (group, topic, delivery.partition);
        let lease = delivery.lease;
        let record = delivery.record().map_err(|error| format!("I9: {place:?}: {error}"))?;
        let found = found(topic, &record);
        let handed_out = delivery.handed_out_at.as_nanos();
        let age = u64::try_from(delivery.attempt_age.as_nanos()).unwrap_or(u64::MAX);
        let got = Delivered {
            key: key(&Held { place, lease }),
            mark: mark(delivery.checkpoint.as_deref())?,
            deadline: delivery.deadline.as_nanos(),
            member: actor,
            began: handed_out.saturating_sub(age),
        };
        self.say(|| format!("! delivered {place:?} {} {lease:?} {got:?}", found.offset));
        self.trace
            .note(&[6, u64::from(topic), found.offset, u64::from(got.key.2), got.deadline]);
        self.seen.delivered += 1;
        let Some(known) = self.model.groups.get(&group) else {
            return Err(format!("I6: a delivery to group {group}, which is gone"));
        };
        // It was granted after it was asked for, after the record was, and after the engine had last nothing to do.
        let log = self.model.log(topic, delivery.partition);
        let asked = log
            .and_then(|log| log.entries.get(&found.offset))
            .map_or(0, |entry| entry.asked);
        let granted = at.max(asked).max(self.rested);
        let fits = known.bounds.fit(got.deadline, got.began, granted, handed_out);
        if !fits || handed_out < granted || handed_out > self.now() {
            return Err(format!(
                "I7: {place:?} {}: {got:?} asked at {at}, granted after {granted}, {handed_out}",
                found.offset
            ));
        }
        if let Some(share) = self.model.share(place)
            && share.epoch != lease.epoch.get()
        {
            return Err(format!(
                "I6: {place:?} delivers in epoch {}, not {}",
                lease.epoch, share.epoch
            ));
        }
        let now = self.now();
        self.model.delivered(place, &found, &got, now)?;
        Ok(Some(Held { place, lease }))
    }

    fn settled(&mut self, actor: u32, items: Vec<Item>, results: Vec<SettleResult>) -> Check {
        if items.len() != results.len() {
            return Err(format!("{} answers to {} settlements", results.len(), items.len()));
        }
        for (item, result) in items.into_iter().zip(results) {
            self.say(|| format!("! settled {item:?} {result:?}"));
            let checked = self.settled_one(&item, &result);
            checked.map_err(|error| format!("{:?}: {result:?}: {error}", item.held))?;
            match result {
                SettleResult::Refused(refused) => {
                    let full = refused.by == RefusedBy::JournalFull;
                    self.seen.unsettled += u64::from(full);
                    let actor = self.actors.iter_mut().find(|one| one.number == actor);
                    if let Some(actor) = actor {
                        actor.held.push(item.held);
                    }
                }
                SettleResult::Unknown if item.emit.is_empty() => {}
                SettleResult::Unknown => self.doubt_emits(item),
                _ => self.keep(item.held),
            }
        }
        Ok(())
    }

    /// The answer to a settlement failed to come: the records that it emits are there if it was applied.
    pub(crate) fn doubt_emits(&mut self, item: Item) {
        let offset = item.held.lease.offset.get();
        let record = self
            .model
            .share(item.held.place)
            .and_then(|share| share.records.get(&offset));
        let lease = record.and_then(|record| record.lease);
        if !item.emit.is_empty() && lease.is_some_and(|lease| lease.key == key(&item.held)) {
            self.emits.push((item.held, item.emit));
        }
    }

    /// What is over is kept, to be settled once more some time.
    pub(crate) fn keep(&mut self, held: Held) {
        if self.past.len() < 64 {
            self.past.push(held);
        } else {
            let place = self.chance.index(64);
            self.past[place] = held;
        }
    }

    fn settled_one(&mut self, item: &Item, result: &SettleResult) -> Check {
        let (place, lease) = (item.held.place, item.held.lease);
        let offset = lease.offset.get();
        self.trace
            .note(&[7, offset, u64::from(*result == SettleResult::Applied)]);
        let kept = self.model.topics.contains_key(&item.target);
        for id in &item.emit {
            match (result, self.model.limbo.get_mut(id)) {
                (SettleResult::Applied, Some(limbo)) => limbo.sure = true,
                (SettleResult::Stale | SettleResult::Refused(_), Some(_)) => {
                    self.model.limbo.remove(id);
                }
                (SettleResult::Stale | SettleResult::Refused(_), None) if kept => {
                    return Err(format!(
                        "I2: emitted record {id:#x} is there, its settlement was not applied"
                    ));
                }
                _ => {}
            }
        }
        let now = self.now();
        let changing = self.is_changing_at(place) || self.is_tight();
        let Some(rules) = self.model.rules(place, offset, now) else {
            return Ok(());
        };
        let Some(record) = self.model.share(place).and_then(|share| share.records.get_mut(&offset)) else {
            return Ok(());
        };
        let Some(claim) = record.answered(item.claim) else {
            return Ok(());
        };
        match result {
            SettleResult::Applied => {
                record.applied(&claim, &rules)?;
                let ended = record.states.iter().all(|state| state.kind == Kind::Archived);
                let exhausted = record.states.len() > 1;
                if ended {
                    self.model.owe(place, offset);
                }
                self.count(claim.verdict, item.emit.len() as u64, exhausted);
            }
            SettleResult::Stale => {
                record.loosen(changing);
                record.stale(claim.lease, &rules)?;
                self.seen.stale += 1;
            }
            SettleResult::Unknown => {
                record.claims.push(claim);
                self.fence();
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, verdict: Verdict, emitted: u64, exhausted: bool) {
        let seen = &mut self.seen;
        seen.emitted += emitted;
        seen.exhausted += u64::from(exhausted);
        *match verdict {
            Verdict::Accept => &mut seen.accepted,
            Verdict::Reject => &mut seen.rejected,
            Verdict::Release(0) => &mut seen.released,
            Verdict::Release(_) | Verdict::Renew(..) => &mut seen.parked,
            Verdict::GiveBack => &mut seen.given_back,
        } += 1;
    }

    fn extended(&mut self, leases: &[Held], at: u64, results: Vec<Result<Instant, Refusal>>) -> Check {
        let (now, fenced) = (self.now(), self.is_fenced());
        for (held, result) in leases.iter().zip(results) {
            let offset = held.lease.offset.get();
            let Some(rules) = self.model.rules(held.place, offset, now) else {
                continue;
            };
            let changing = self.is_changing_at(held.place) || self.is_tight();
            let place = (held.place.1, held.place.2);
            let Some(group) = self.model.groups.get_mut(&held.place.0) else {
                continue;
            };
            let (bounds, share) = (group.bounds, group.shares.get_mut(&place));
            let Some(record) = share.and_then(|share| share.records.get_mut(&offset)) else {
                continue;
            };
            let key = key(held);
            match result {
                Ok(deadline) => {
                    let lease = record.lease.as_mut().filter(|one| one.key == key);
                    let Some(lease) = lease else {
                        return Err(format!("I3: {held:?} was extended, and is over: {record:?}"));
                    };
                    let deadline = deadline.as_nanos();
                    if !bounds.fit(deadline, lease.began, at, now) {
                        return Err(format!(
                            "I7: {held:?} asked at {at}, extended at {now} to {deadline}: {lease:?}"
                        ));
                    }
                    lease.deadline = deadline;
                    self.seen.extended += 1;
                }
                // A fenced engine says so of every lease.
                Err(Refusal::Stale(_)) if self.faulty || fenced => {}
                Err(Refusal::Stale(_)) => {
                    record.loosen(changing);
                    let checked = record.stale(key, &rules);
                    checked.map_err(|error| format!("{held:?}: {error}"))?;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn joined(&mut self, group: u8, result: Result<Member, AdminError>) {
        self.hear(&result);
        if let Ok(member) = result {
            let number = member.index().get();
            self.actors.push(Actor {
                group,
                member,
                number,
                held: Vec::new(),
            });
        }
    }

    fn redriven(&mut self, topic: u8, offset: u64, result: &Result<Receipt, AdminError>) -> Check {
        self.hear(result);
        let now = self.now();
        let letter = (topic, offset);
        match result {
            Ok(receipt) => {
                let at = (receipt.partition, receipt.offset.get());
                self.model.sent_back(letter, at)?;
                self.seen.redriven += 1;
                let Some((id, to)) = self.model.redriven.get(&letter).map(|sent| (sent.id, sent.to)) else {
                    return Ok(());
                };
                match self.model.log_mut(to, at.0) {
                    Some(log) => {
                        log.end = log.end.max(at.1 + 1);
                        log.put(at.1, id, 0, now)
                    }
                    None => Ok(()),
                }
            }
            Err(AdminError::Fenced(_) | AdminError::Closed) => Ok(()),
            Err(_) => {
                self.model.not_sent_back(letter);
                Ok(())
            }
        }
    }
}

/// A lease in the model's words.
pub(crate) fn key(held: &Held) -> Key {
    let lease = held.lease;
    (
        lease.share.get(),
        lease.epoch.get(),
        lease.delivery_count.get(),
        lease.continuation.get(),
    )
}

/// The bytes of checkpoint number `mark`.
pub(crate) fn checkpoint(mark: u8) -> bytes::Bytes {
    bytes::Bytes::from(vec![mark; 1 + usize::from(mark % 8)])
}

fn mark(bytes: Option<&[u8]>) -> Result<u8, String> {
    match bytes {
        None => Ok(0),
        Some(bytes) => match bytes.first() {
            Some(mark) if checkpoint(*mark) == bytes => Ok(*mark),
            _ => Err(format!("I8: a checkpoint that nobody made: {bytes:?}")),
        },
    }
}

/// What was read, in the model's words.
pub(crate) fn found(topic: u8, record: &RecordView<'_>) -> Found {
    let mut found = Found {
        offset: record.offset.get(),
        id: value::read(record.value).filter(|id| value::key(*id).as_deref() == record.key),
        origin: None,
        letter: None,
    };
    let mut letter = Origin {
        topic: u8::MAX,
        partition: 0,
        offset: 0,
    };
    for header in record.headers() {
        let text = std::str::from_utf8(header.value.unwrap_or_default()).unwrap_or_default();
        match header.name {
            b"sharemill.payload" if topic >= LETTERS => found.id = Some(value::LOST),
            b"sharemill.origin" => found.origin = origin(text),
            b"__dlq.errors.topic" => letter.topic = topic_of(text).unwrap_or(u8::MAX),
            b"__dlq.errors.partition" => letter.partition = text.parse().unwrap_or(u32::MAX),
            b"__dlq.errors.offset" => letter.offset = text.parse().unwrap_or(u64::MAX),
            b"__dlq.errors.group" if topic >= LETTERS && group_of(text) != Some(topic - LETTERS) => return found,
            _ => {}
        }
    }
    found.letter = (letter.topic != u8::MAX).then_some(letter);
    found
}

fn origin(text: &str) -> Option<Origin> {
    let mut parts = text.split('/');
    Some(Origin {
        topic: topic_of(parts.next()?)?,
        partition: parts.next()?.parse().ok()?,
        offset: parts.next()?.parse().ok()?,
    })
}
