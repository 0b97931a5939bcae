//! What a caller of the engine may expect, kept in plain maps that share no code with it. Everything that the engine says
//! is told to the model, which answers with the promise that was broken. Naive on purpose.

mod end;
mod group;
mod log;
mod power;
mod record;
mod redrive;
mod state;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use group::{Group, Share};
pub(crate) use log::{Drops, Found, Log, Origin, Topic};
pub(crate) use record::{Claim, Delivered, Key, Record, Rules, Verdict};
pub(crate) use redrive::Redrive;
pub(crate) use state::{Ghosts, Kind, Seen, State};

use value::Id;

/// What was broken, in words.
pub(crate) type Check = Result<(), String>;

/// A share partition: group, topic, partition.
pub(crate) type Place = (u8, u8, u32);

/// Topics from here on hold the dead letters of the group with the rest as its number.
pub(crate) const LETTERS: u8 = 100;

/// Everything that is known.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) topics: BTreeMap<u8, Topic>,
    pub(crate) groups: BTreeMap<u8, Group>,
    /// Records that were asked to be produced, and have not been seen yet.
    pub(crate) limbo: BTreeMap<Id, Limbo>,
    /// Those that were gone when everything was read after a restart, without anybody having seen them. What ended them may
    /// be durable no sooner than the next snapshot: another restart may bring them back.
    missed: BTreeMap<Id, Missed>,
    /// Those whose topic was deleted meanwhile.
    pub(crate) buried: BTreeSet<Id>,
    /// Dead letters that were, or may have been, sent back; by topic and offset.
    pub(crate) redriven: BTreeMap<(u8, u64), Redrive>,
    /// The wall clock was set.
    pub(crate) jumped: bool,
    /// How often a share partition began anew: so many dead letters each of its records may have.
    pub(crate) lives: BTreeMap<Place, u32>,
    /// By the place of a dead letter: the topic that its record came from.
    pub(crate) origins: BTreeMap<(u8, u64), u8>,
    /// Records that ended with a dead letter, which has to be there.
    pub(crate) owed: BTreeSet<(Place, u64)>,
    /// All that ended so, seen or not.
    ended: BTreeMap<(Place, u64), Ended>,
    /// Dead letters seen.
    pub(crate) letters: BTreeMap<(Place, u64), u32>,
    /// By the place of a dead letter: the record that it stands for.
    stands: BTreeMap<(u8, u64), (Place, u64)>,
    /// Answers do not wait for the disk: loss of power may take back what was acknowledged.
    pub(crate) fickle: bool,
    /// Records that lie before the start of their topic, and must not come back while the engine runs.
    pub(crate) dropped: u64,
    /// Records that came back without anybody having seen them before.
    pub(crate) back: u64,
    produced: u64,
    claimed: u64,
}

/// A record that may turn up, or has to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limbo {
    pub(crate) topic: u8,
    /// When it was asked for.
    pub(crate) asked: u64,
    /// It is durable, says the engine.
    pub(crate) sure: bool,
    /// It may have come to its end before anybody saw it.
    pub(crate) hidden: bool,
}

/// A record that may turn up again once the engine is opened anew.
#[derive(Clone, Debug)]
struct Missed {
    topic: u8,
    /// By partition: where its log ended when it was missed, and before which it lies.
    ends: Vec<u64>,
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Begin {
    /// Not before this offset.
    pub(crate) at_least: u64,
    /// A record that was asked for before this moment may lie before the beginning.
    pub(crate) before: u64,
}

/// A record that ended with a dead letter, in one life of its share partition after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    /// The last in which it did.
    life: u32,
    /// Letters that there have to be by then.
    letters: u32,
}

/// The name of a topic.
pub(crate) fn topic_name(topic: u8) -> String {
    if topic < LETTERS {
        format!("t{topic}")
    } else {
        format!("g{}.dead", topic - LETTERS)
    }
}

/// The topic that has this name.
pub(crate) fn topic_of(name: &str) -> Option<u8> {
    match name.strip_prefix('t') {
        Some(number) => number.parse().ok(),
        None => Some(LETTERS + name.strip_prefix('g')?.strip_suffix(".dead")?.parse::<u8>().ok()?),
    }
}

/// The name of a group.
pub(crate) fn group_name(group: u8) -> String {
    format!("g{group}")
}

impl Model {
    /// A number for a new record of so many bytes.
    pub(crate) fn new_id(&mut self, bytes: u64) -> Id {
        self.produced += 1;
        value::id(self.produced, bytes)
    }

    /// A number for a new settlement.
    pub(crate) fn new_claim(&mut self) -> u64 {
        self.claimed += 1;
        self.claimed
    }

    pub(crate) fn share(&mut self, place: Place) -> Option<&mut Share> {
        self.groups.get_mut(&place.0)?.shares.get_mut(&(place.1, place.2))
    }

    pub(crate) fn log(&self, topic: u8, partition: u32) -> Option<&Log> {
        self.topics.get(&topic)?.logs.get(partition as usize)
    }

    pub(crate) fn log_mut(&mut self, topic: u8, partition: u32) -> Option<&mut Log> {
        self.topics.get_mut(&topic)?.logs.get_mut(partition as usize)
    }

    /// What holds for the records of a share partition.
    pub(crate) fn rules(&self, place: Place, offset: u64, now: u64) -> Option<Rules> {
        let group = self.groups.get(&place.0)?;
        let share = group.shares.get(&(place.1, place.2))?;
        let topic = self.topics.get(&place.1)?;
        let entry = topic.logs.get(place.2 as usize)?.entries.get(&offset);
        let loose = entry.is_some_and(|entry| entry.loose || entry.gone);
        Some(Rules {
            limit: group.limit,
            limit_high: group.limit_high,
            limits_ever: (group.limit_least, group.limit_ever),
            max_lease: group.bounds.max_lease,
            drops: loose || self.may_drop(place.1, place.2, offset, now),
            ghosts: share.ghosts,
            fickle: self.fickle,
            now,
        })
    }

    /// I1: a produce was acknowledged.
    pub(crate) fn produced(&mut self, id: Id, partition: u32, offset: u64, floor: u64, now: u64) -> Check {
        if self.buried.remove(&id) {
            return Ok(());
        }
        let Some(limbo) = self.limbo.remove(&id) else {
            // It was seen before the answer came.
            let mut logs = self.topics.values().flat_map(|topic| &topic.logs);
            if logs.any(|log| log.entries.get(&offset).is_some_and(|entry| entry.id == id)) {
                return Ok(());
            }
            return Err(format!("I1: record {id:#x} acknowledged at {offset}, seen elsewhere"));
        };
        if !self.topics.contains_key(&limbo.topic) {
            return Ok(());
        }
        let Some(log) = self.log_mut(limbo.topic, partition) else {
            return Err(format!("I1: record {id:#x} acknowledged in partition {partition}"));
        };
        if offset < floor {
            return Err(format!("I13: record {id:#x} at {offset}, after one at {}", floor - 1));
        }
        log.end = log.end.max(offset + 1);
        log.put(offset, id, limbo.asked, now)
    }

    /// Whether a record was seen anywhere.
    pub(crate) fn holds(&self, id: Id) -> bool {
        let mut logs = self.topics.values().flat_map(|topic| &topic.logs);
        logs.any(|log| log.entries.values().any(|entry| entry.id == id))
    }

    /// I1, I8: a record was seen in the log.
    pub(crate) fn found(&mut self, topic: u8, partition: u32, found: &Found, now: u64) -> Check {
        let what = || format!("{}/{partition}/{}", topic_name(topic), found.offset);
        let Some(log) = self.log_mut(topic, partition) else {
            return Err(format!("I8: {} is in no log", what()));
        };
        let Some(id) = found.id else {
            return Err(format!("I8: {} is not what was produced", what()));
        };
        if found.offset < log.start {
            return Err(format!("I8: {} was dropped, and is back", what()));
        }
        let other = log.entries.get(&found.offset).is_some_and(|entry| entry.id != id);
        if log.cut && topic >= LETTERS && (other || self.stands_for_another(topic, found)) {
            self.cut(topic, partition, found.offset);
        }
        let Some(log) = self.log_mut(topic, partition) else {
            return Ok(());
        };
        if let Some(entry) = log.entries.get_mut(&found.offset) {
            // It is back, but a group may have passed the gap meanwhile.
            entry.loose |= std::mem::replace(&mut entry.gone, false);
            if entry.id == id {
                return Ok(());
            }
            return Err(format!("I8: {} is {id:#x}, was {:#x}", what(), entry.id));
        }
        let asked = self.limbo.get(&id).map_or(0, |limbo| limbo.asked);
        let Some(log) = self.log_mut(topic, partition) else {
            return Ok(());
        };
        let reopened = log.reopened;
        log.put(found.offset, id, asked, now)?;
        if found.offset < log.read
            && let Some(entry) = log.entries.get_mut(&found.offset)
        {
            // It was not there when this part was read: somebody was through with it before anybody saw it.
            entry.loose = true;
        }
        if topic >= LETTERS {
            return self.letter(topic, found, id);
        }
        if found.origin.is_some() {
            if !self.copy_found(id, topic, (partition, found.offset)) {
                return Err(format!("I13: {} came back, nobody sent it", what()));
            }
            return Ok(());
        }
        match self.limbo.remove(&id) {
            Some(limbo) if limbo.topic == topic => Ok(()),
            None if reopened && self.is_back(id, topic, partition, found.offset) => Ok(()),
            _ => Err(format!("I8: {} holds {id:#x}, which was never produced there", what())),
        }
    }

    /// Whether a record that was missed lies where it may have lain, once.
    fn is_back(&mut self, id: Id, topic: u8, partition: u32, offset: u64) -> bool {
        let missed = self.missed.remove(&id).filter(|missed| missed.topic == topic);
        let ends = missed.map(|missed| missed.ends).unwrap_or_default();
        let back = ends.get(partition as usize).is_some_and(|end| offset < *end);
        self.back += u64::from(back);
        back
    }

    /// Whether another dead letter was seen here.
    fn stands_for_another(&self, topic: u8, found: &Found) -> bool {
        let known = self.stands.get(&(topic, found.offset));
        known.is_some_and(|(place, offset)| {
            let same = |letter: Origin| (letter.topic, letter.partition, letter.offset) == (place.1, place.2, *offset);
            !found.letter.is_some_and(same)
        })
    }

    /// I6: a dead letter stands for a record that has ended, and there is one for each.
    fn letter(&mut self, topic: u8, found: &Found, id: Id) -> Check {
        let group = topic - LETTERS;
        let Some(letter) = found.letter else {
            return Err(format!(
                "I6: a dead letter of group {group} without an origin: {found:?}"
            ));
        };
        let place = (group, letter.topic, letter.partition);
        self.origins.insert((topic, found.offset), letter.topic);
        self.stands.insert((topic, found.offset), (place, letter.offset));
        let lives = self.lives.get(&place).copied().unwrap_or(0);
        let count = self.letters.entry((place, letter.offset)).or_default();
        *count += 1;
        if self
            .ended
            .get(&(place, letter.offset))
            .is_none_or(|ended| *count >= ended.letters)
        {
            self.owed.remove(&(place, letter.offset));
        }
        if *count > lives {
            return Err(format!(
                "I6: {count} dead letters of {place:?} offset {}",
                letter.offset
            ));
        }
        let lives = if self.share(place).is_some() { lives } else { 0 };
        let log = self.log(letter.topic, letter.partition);
        match log.and_then(|log| log.entries.get(&letter.offset)) {
            Some(entry) if entry.id != id && id != value::LOST && lives == 1 => Err(format!(
                "I6: the dead letter of {letter:?} holds {id:#x}, not {:#x}",
                entry.id
            )),
            _ => Ok(()),
        }
    }

    /// I2, I3, I5: a member got a record.
    pub(crate) fn delivered(&mut self, place: Place, found: &Found, got: &Delivered, now: u64) -> Check {
        self.found(place.1, place.2, found, now)?;
        let offset = found.offset;
        let rules = self.rules(place, offset, now);
        let most = self.groups.get(&place.0).map_or(0, |group| group.limit_ever);
        let (Some(rules), Some(share)) = (rules, self.share(place)) else {
            return Err(format!("I6: a record of {place:?}, which there is not"));
        };
        if offset < share.start {
            return Err(format!(
                "I6: {place:?} offset {offset} lies before the start offset {}",
                share.start
            ));
        }
        let record = share.records.entry(offset).or_default();
        if got.key.2 > most {
            return Err(format!(
                "I5: {place:?} offset {offset} delivered {} times, the limit is {most}",
                got.key.2
            ));
        }
        let checked = record.deliver(got, &rules);
        checked.map_err(|error| format!("{place:?} offset {offset}: {error}"))
    }

    /// A group begins with a partition.
    pub(crate) fn begin(&mut self, place: Place, epoch: u32, begin: Begin) {
        *self.lives.entry(place).or_default() += 1;
        let letters = self.letters.iter().filter(|((one, _), _)| *one == place);
        let lettered = letters.map(|((_, offset), count)| (*offset, *count)).collect();
        if let Some(group) = self.groups.get_mut(&place.0) {
            let ghosts = group.shares.get(&(place.1, place.2)).map(|share| share.ghosts);
            let share = Share {
                ghosts: ghosts.unwrap_or_default(),
                vague: begin.before,
                lettered,
                ..Share::new(epoch, begin.at_least)
            };
            group.shares.insert((place.1, place.2), share);
        }
    }

    /// A topic is gone.
    pub(crate) fn forget_topic(&mut self, topic: u8) {
        self.topics.remove(&topic);
        self.forgive(|place| place.1 == topic);
        for group in self.groups.values_mut() {
            group.shares.retain(|place, _| place.0 != topic);
        }
        let gone = self.limbo.iter().filter(|(_, limbo)| limbo.topic == topic);
        self.buried.extend(gone.map(|(id, _)| *id));
        self.limbo.retain(|_, limbo| limbo.topic != topic);
        self.missed.retain(|_, missed| missed.topic != topic);
    }
}
