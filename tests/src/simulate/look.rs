//! Comparing everything that the engine has with everything that the model knows.

use share_engine::engine::describe::RecordInfo;
use share_engine::error::AdminError;
use share_engine::ids::Offset;

use super::answers::found;
use super::model::{Check, Kind, Place, Seen, group_name, topic_name};
use super::world::{Change, World};

impl World {
    /// Lets the engine finish what it can, and compares. `restarted`: what was on its way at the crash is decided now.
    pub(crate) fn look(&mut self, restarted: bool) -> Check {
        self.rest()?;
        if self.engine.is_none() || self.is_fenced() {
            return Ok(());
        }
        if restarted {
            if !self.look_at_catalog()? {
                return Ok(());
            }
            self.doubt = None;
        }
        self.seen.looks += 1;
        if !self.is_changing() && self.doubt.is_none() {
            let (groups, now) = (self.plan.groups.clone(), self.now());
            for (group, config) in &groups {
                self.model.know_group(*group, config, now);
            }
        }
        // What ends from here on may leave its letter behind what is read.
        let owed = self.model.owed.clone();
        let mut whole = true;
        let topics: Vec<(u8, usize)> = self
            .model
            .topics
            .iter()
            .map(|(topic, one)| (*topic, one.logs.len()))
            .collect();
        for (topic, partitions) in topics {
            whole &= self.look_at_topic(topic, partitions)?;
        }
        if whole && let Some(owed) = owed.intersection(&self.model.owed).next() {
            return Err(format!("I6: {owed:?} ended without its dead letter"));
        }
        if restarted && whole {
            self.model.logs_synced();
        }
        let groups: Vec<u8> = self.model.groups.keys().copied().collect();
        for group in groups {
            whole &= self.look_at_group(group)?;
        }
        self.seen.strict += u64::from(whole && !self.is_tight());
        if restarted && whole {
            self.look_at_emits()?;
            self.model.decide()?;
        }
        Ok(())
    }

    /// An answer, unless there is a reason for none.
    fn answer_of<T>(&mut self, what: &str, answer: Option<Result<T, AdminError>>) -> Result<Option<T>, String> {
        match answer {
            Some(Ok(answer)) => Ok(Some(answer)),
            Some(Err(AdminError::Fenced(_))) => {
                self.fence();
                Ok(None)
            }
            _ if self.faulty || self.is_fenced() => Ok(None),
            Some(Err(error)) => Err(format!("I4: {what}: {error}")),
            None => Err(format!("I4: {what} is never answered")),
        }
    }

    /// Topics and groups after a restart. `false` if they cannot be had.
    fn look_at_catalog(&mut self) -> Result<bool, String> {
        let Some(engine) = self.handle() else { return Ok(false) };
        let answer = self.ask(engine.topics())?;
        let Some(topics) = self.answer_of("topics", answer)? else {
            return Ok(false);
        };
        let answer = self.ask(engine.groups())?;
        let Some(groups) = self.answer_of("groups", answer)? else {
            return Ok(false);
        };
        if let Some(change) = self.doubt.take() {
            if self.took_place(change, &topics, &groups)? {
                self.changed(change);
            } else {
                self.unchanged(change);
            }
        }
        let found: Vec<(String, usize)> = topics
            .iter()
            .map(|one| (one.name.clone(), one.partitions.len()))
            .collect();
        let known = self
            .model
            .topics
            .iter()
            .map(|(topic, one)| (topic_name(*topic), one.logs.len()));
        let mut known: Vec<(String, usize)> = known.collect();
        known.sort();
        if found != known {
            return Err(format!("I1: topics are {found:?}, were {known:?}"));
        }
        let found: Vec<(String, Vec<String>)> = groups
            .iter()
            .map(|one| (one.name.clone(), one.topics.keys().cloned().collect()))
            .collect();
        let known = self.model.groups.iter().map(|(group, one)| {
            let topics = one.shares.keys().filter(|place| place.1 == 0);
            (group_name(*group), topics.map(|place| topic_name(place.0)).collect())
        });
        let known: Vec<(String, Vec<String>)> = known.collect();
        if found != known {
            return Err(format!("I1: groups are {found:?}, were {known:?}"));
        }
        Ok(true)
    }

    /// Whether a change whose answer failed to come was made.
    fn took_place(
        &mut self,
        change: Change,
        topics: &[share_engine::catalog::Topic],
        groups: &[share_engine::catalog::Group],
    ) -> Result<bool, String> {
        let topic = |number: u8| topics.iter().find(|one| one.name == topic_name(number));
        let group = |number: u8| groups.iter().find(|one| one.name == group_name(number));
        Ok(match change {
            Change::CreateTopic(number) => topic(number).is_some(),
            Change::DeleteTopic(number) => topic(number).is_none(),
            Change::GrowTopic(number) => {
                let known = self.model.topics.get(&number).map_or(0, |topic| topic.logs.len());
                topic(number).is_some_and(|one| one.partitions.len() > known)
            }
            Change::AlterTopic(number) => {
                topic(number).is_some_and(|one| Some(&one.config) == self.wish.topic.as_ref())
            }
            Change::AlterGroup(number) => {
                group(number).is_some_and(|one| Some(&one.config) == self.wish.group.as_ref())
            }
            Change::CreateGroup(number) => group(number).is_some(),
            Change::DeleteGroup(number) => group(number).is_none(),
            Change::Subscribe(number, of) => group(number).is_some_and(|one| one.topics.contains_key(&topic_name(of))),
            Change::Reset(number) => {
                let Some(engine) = self.handle() else { return Ok(false) };
                let answer = self.ask(engine.describe_group(&group_name(number)))?;
                let Some(one) = self.answer_of("a group", answer)? else {
                    return Ok(false);
                };
                let shares = self.model.groups.get(&number).map(|group| &group.shares);
                let known = shares
                    .into_iter()
                    .flat_map(|shares| shares.values())
                    .map(|share| share.epoch)
                    .max();
                one.partitions.iter().map(|share| share.epoch).max() > known
            }
        })
    }

    fn look_at_topic(&mut self, topic: u8, partitions: usize) -> Result<bool, String> {
        let Some(engine) = self.handle() else { return Ok(false) };
        let name = topic_name(topic);
        for partition in 0..partitions as u32 {
            let mut all = Vec::new();
            let mut from = Offset::ZERO;
            loop {
                let answer = self.ask(engine.read(&name, partition, from, u64::MAX))?;
                let Some(batches) = self.answer_of(&name, answer)? else {
                    return Ok(false);
                };
                let Some(last) = batches.last() else { break };
                from = last.last().next();
                for batch in &batches {
                    for record in batch.records() {
                        let (record, _) = record.map_err(|error| format!("I9: {name}/{partition}: {error}"))?;
                        all.push(found(topic, &record));
                    }
                }
            }
            let answer = self.ask(engine.describe_topic(&name))?;
            let Some(one) = self.answer_of(&name, answer)? else {
                return Ok(false);
            };
            let Some(one) = one.partitions.get(partition as usize) else {
                return Err(format!("I1: partition {name}/{partition} is gone"));
            };
            // A topic may start amid a batch.
            all.retain(|found| found.offset >= one.start);
            let now = self.now();
            for found in &all {
                self.model.found(topic, partition, found, now)?;
            }
            let offsets: Vec<u64> = all.iter().map(|found| found.offset).collect();
            self.say(|| format!("read {name}/{partition} {} to {}: {offsets:?}", one.start, one.end));
            self.model.read(topic, partition, one.start, one.end, &offsets, now)?;
        }
        Ok(true)
    }

    fn look_at_group(&mut self, group: u8) -> Result<bool, String> {
        let Some(engine) = self.handle() else { return Ok(false) };
        let name = group_name(group);
        let answer = self.ask(engine.describe_group(&name))?;
        let Some(one) = self.answer_of(&name, answer)? else {
            return Ok(false);
        };
        for share in one.partitions {
            let topic = super::model::topic_of(&share.topic).ok_or("a topic of nobody's")?;
            let place: Place = (group, topic, share.partition);
            match self.model.share(place) {
                Some(known) if known.epoch != share.epoch => {
                    return Err(format!(
                        "I6: {place:?} is in epoch {}, was in {}",
                        share.epoch, known.epoch
                    ));
                }
                Some(_) => {}
                None => return Err(format!("I1: {place:?} is back")),
            }
            let future = engine.records(&name, &share.topic, share.partition, Offset::ZERO, usize::MAX);
            let answer = self.ask(future)?;
            let Some(records) = self.answer_of(&name, answer)? else {
                return Ok(false);
            };
            let seen: Vec<_> = records.iter().map(|record| (record.offset, seen(record))).collect();
            let now = self.now();
            self.say(|| format!("look {place:?} from {} {}", share.start, brief(&records)));
            self.check_late(place, &records)?;
            let tight = self.is_tight();
            self.model.look(place, share.start, &seen, tight, now)?;
        }
        Ok(true)
    }

    /// I7: no lease is there long after its end.
    fn check_late(&mut self, place: Place, records: &[RecordInfo]) -> Check {
        let now = self.now();
        // A journal without room refuses what ends leases; they are over for all that.
        if self.faulty || self.is_tight() {
            return Ok(());
        }
        let Some(share) = self.model.share(place) else {
            return Ok(());
        };
        for record in records
            .iter()
            .filter(|one| one.state == "acquired" && !one.in_transition)
        {
            let lease = share.records.get(&record.offset).and_then(|one| one.lease);
            // What nobody holds, after a refusal in a full journal, ends with a lock: that it ends at all shows at the end.
            if lease.is_some_and(|lease| lease.deadline + LATE < now) {
                return Err(format!("I7: {place:?} {record:?} at {now}: {lease:?}"));
            }
        }
        Ok(())
    }

    /// I2: what was emitted with a settlement is there if the settlement is, and only then.
    fn look_at_emits(&mut self) -> Check {
        for (held, ids) in std::mem::take(&mut self.emits) {
            let limbo = || ids.iter().filter_map(|id| self.model.limbo.get(id));
            let missing = limbo().count();
            if limbo().any(|limbo| limbo.hidden) {
                continue;
            }
            let place = held.place;
            let offset = held.lease.offset.get();
            let Some(record) = self.model.share(place).and_then(|share| share.records.get(&offset)) else {
                continue;
            };
            let all = |kind| record.states.iter().all(|state| state.kind == kind);
            let open = record.states.iter().all(|state| !state.is_over());
            let broken = missing != 0 && (missing != ids.len() || all(Kind::Accepted)) || missing == 0 && open;
            if broken {
                return Err(format!(
                    "I2: {missing} of {} emitted records missing: {held:?} {record:?}",
                    ids.len()
                ));
            }
        }
        Ok(())
    }
}

/// How late a lease may end, in nanoseconds.
const LATE: u64 = 50_000_000;

/// How a record stands, says the engine; `None` while that is changing.
fn seen(record: &RecordInfo) -> Option<Seen> {
    let kind = match record.state {
        "available" | "struck" => Kind::Available,
        "acquired" => Kind::Held,
        "parked" => Kind::Parked,
        "acknowledged" => Kind::Accepted,
        _ => Kind::Archived,
    };
    (!record.in_transition).then_some(Seen {
        kind,
        count: record.delivery_count,
        struck: record.strikes > 0,
        marked: record.checkpoint_bytes > 0,
    })
}

/// Records in a few words.
fn brief(records: &[RecordInfo]) -> String {
    let word = |one: &RecordInfo| {
        let changing = if one.in_transition { "*" } else { "" };
        format!(
            "{} {}{changing} {}/{}",
            one.offset, one.state, one.delivery_count, one.continuation
        )
    };
    records.iter().map(word).collect::<Vec<_>>().join(", ")
}
