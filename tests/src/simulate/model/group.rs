//! Groups: what each knows of the records of its topics, and whether the engine's view of them can be true.

use std::collections::BTreeMap;

use share_engine::config::GroupConfig;

use super::{Check, Ghosts, Kind, LETTERS, Model, Place, Record, Rules, Seen, State};

/// A group that exists.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Deliveries of a record at most.
    pub(crate) limit: u16,
    /// The same, while the settings change: one of the two holds.
    pub(crate) limit_high: u16,
    /// The largest that there ever was: a record that comes after that is one too many.
    pub(crate) limit_ever: u16,
    /// The smallest.
    pub(crate) limit_least: u16,
    pub(crate) bounds: Bounds,
    pub(crate) dead_letters: bool,
    pub(crate) shares: BTreeMap<(u8, u32), Share>,
}

/// How long leases may last, in nanoseconds. A lease, and an attempt, goes by the settings of its time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// The shortest that there ever was.
    lock: u64,
    /// The longest that there ever was.
    pub(crate) lock_high: u64,
    /// The shortest that there ever was.
    pub(crate) max_lease: u64,
}

impl Bounds {
    /// I7: whether a lease may end at `deadline` that was granted between two moments.
    pub(crate) fn fit(&self, deadline: u64, began: u64, from: u64, to: u64) -> bool {
        // The engine counts in whole milliseconds, and keeps whole seconds over a restart.
        let capped = began.saturating_add(self.max_lease);
        let long = deadline > to + self.lock_high + 1_000_000;
        let short = deadline < from + self.lock && deadline + 1_500_000_000 < capped;
        !long && !short
    }
}

/// One share partition.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) epoch: u32,
    /// Where it began: what lies before is no concern of its.
    pub(crate) base: u64,
    /// A record that was asked for before this moment may lie before the beginning, too; 0 once the beginning was seen.
    pub(crate) vague: u64,
    /// The largest start offset that was seen.
    pub(crate) start: u64,
    /// What is not here was never delivered.
    pub(crate) records: BTreeMap<u64, Record>,
    /// There may have been acquisitions that reached nobody.
    pub(crate) ghosts: Ghosts,
    /// There may have been some when the process died, of records that nobody knew of.
    pub(crate) unseen: bool,
    /// The journal had no room some time since everything was compared: a lease may be over in memory alone.
    pub(crate) cramped: bool,
    /// Dead letters of its records that were seen before it began.
    pub(crate) lettered: BTreeMap<u64, u32>,
}

impl Share {
    pub(crate) fn new(epoch: u32, start: u64) -> Self {
        Self {
            epoch,
            base: start,
            vague: 0,
            start,
            records: BTreeMap::new(),
            ghosts: Ghosts::default(),
            unseen: false,
            cramped: false,
            lettered: BTreeMap::new(),
        }
    }
}

impl Model {
    /// Everything that the engine says of a share partition when nothing is under way: where it starts, and how each
    /// record from there on stands.
    pub(crate) fn look(
        &mut self,
        place: Place,
        start: u64,
        seen: &[(u64, Option<Seen>)],
        tight: bool,
        now: u64,
    ) -> Check {
        let Some(share) = self.share(place) else { return Ok(()) };
        if start < share.start {
            return Err(format!(
                "I6: the start offset of {place:?} moved from {} to {start}",
                share.start
            ));
        }
        let from = std::mem::replace(&mut share.start, start);
        self.pass(place, from, start, now)?;
        if let Some(share) = self.share(place).filter(|share| share.vague > 0) {
            // What turns up before this later on lay before the beginning, too.
            share.base = share.base.max(start);
            share.vague = 0;
        }
        for (offset, seen) in seen {
            let Some(seen) = seen else { continue };
            let Some(rules) = self.rules(place, *offset, now) else {
                return Ok(());
            };
            // Nothing lies there: it was dropped, or never drained.
            if seen.kind == Kind::Archived && !self.has(place, *offset) {
                continue;
            }
            let Some(share) = self.share(place) else { return Ok(()) };
            let (unseen, cramped) = (share.unseen, share.cramped);
            let known = share.records.contains_key(offset);
            if *seen == FRESH && !known && !cramped {
                continue;
            }
            let record = share.records.entry(*offset).or_default();
            if !known && unseen {
                record.crash(&rules, true);
            }
            if cramped && !tight {
                record.lag(*seen, &rules);
            }
            let checked = record.see(*seen, tight, &rules);
            let after = checked.map_err(|error| format!("I4: {place:?} offset {offset}: {error}"))?;
            if leaves_letter(&after, &rules) {
                self.owe(place, *offset);
            }
        }
        // What has a change under way was not compared.
        let whole = !tight && seen.iter().all(|one| one.1.is_some());
        if let Some(share) = self.share(place).filter(|_| whole) {
            share.ghosts.end();
            share.unseen = false;
            share.cramped = false;
        }
        Ok(())
    }

    /// The journal has room again after it had none.
    pub(crate) fn cramped(&mut self) {
        let shares = self.groups.values_mut().flat_map(|group| group.shares.values_mut());
        shares.for_each(|share| share.cramped = true);
    }

    fn has(&self, place: Place, offset: u64) -> bool {
        let log = self.log(place.1, place.2);
        log.and_then(|log| log.entries.get(&offset))
            .is_some_and(|entry| !entry.gone)
    }

    /// I6: the start offset passes nothing that has not ended.
    fn pass(&mut self, place: Place, from: u64, start: u64, now: u64) -> Check {
        let Some(log) = self.log(place.1, place.2) else {
            return Ok(());
        };
        let passed: Vec<u64> = log.entries.range(from..start).map(|(offset, _)| *offset).collect();
        for offset in &passed {
            let offset = *offset;
            if !self.may_be_over(place, offset, now) {
                let record = self.share(place).and_then(|share| share.records.get(&offset).cloned());
                return Err(format!("I6: {place:?} starts at {start}, past {offset}: {record:?}"));
            }
        }
        for offset in passed {
            let rules = self.rules(place, offset, now);
            let vague = self.may_lie_before(place, offset);
            if let (Some(rules), Some(share)) = (rules, self.share(place)) {
                let record = share.records.entry(offset).or_default();
                record.pass(&rules);
                if !vague && leaves_letter(&record.states, &rules) {
                    self.owe(place, offset);
                }
            }
        }
        Ok(())
    }

    /// I6: a record has ended in a way that leaves a dead letter, which has to be there if it was not seen yet.
    pub(crate) fn owe(&mut self, place: Place, offset: u64) {
        let group = self.groups.get(&place.0).filter(|group| group.dead_letters);
        let Some(share) = group.and_then(|group| group.shares.get(&(place.1, place.2))) else {
            return;
        };
        let before = share.lettered.get(&offset).copied().unwrap_or(0);
        let life = self.lives.get(&place).copied().unwrap_or(0);
        let ended = self.ended.entry((place, offset)).or_default();
        if ended.life != life {
            // A letter of an earlier life may turn up only now: it does not stand for this one.
            (ended.life, ended.letters) = (life, ended.letters.max(before) + 1);
        }
        if self.letters.get(&(place, offset)).copied().unwrap_or(0) < ended.letters {
            self.owed.insert((place, offset));
        }
    }

    /// Nobody asks any more for the dead letters of these.
    pub(crate) fn forgive(&mut self, which: impl Fn(Place) -> bool) {
        self.owed.retain(|(place, _)| !which(*place));
        self.ended.retain(|(place, _), _| !which(*place));
    }

    /// Whether a record may lie before the beginning of a group.
    fn may_lie_before(&self, place: Place, offset: u64) -> bool {
        let group = self.groups.get(&place.0);
        let Some(share) = group.and_then(|group| group.shares.get(&(place.1, place.2))) else {
            return true;
        };
        let entry = self.log(place.1, place.2).and_then(|log| log.entries.get(&offset));
        let asked = entry.map_or(0, |entry| entry.asked);
        let given = |record: &Record| record.states.iter().all(|state| state.count > 0);
        let vague = asked < share.vague && !share.records.get(&offset).is_some_and(given);
        offset < share.base || vague
    }

    /// Whether a group may be through with a record.
    pub(crate) fn may_be_over(&self, place: Place, offset: u64, now: u64) -> bool {
        let Some(share) = self
            .groups
            .get(&place.0)
            .and_then(|group| group.shares.get(&(place.1, place.2)))
        else {
            return true;
        };
        let Some(rules) = self.rules(place, offset, now) else {
            return true;
        };
        if self.may_lie_before(place, offset) {
            return true;
        }
        if let Some(record) = share.records.get(&offset) {
            return record.may_be_over(&rules);
        }
        let mut record = Record::default();
        if share.unseen {
            record.crash(&rules, true);
        }
        record.may_be_over(&rules)
    }

    /// Whether the engine may have dropped a record: every group of its topic is through with it.
    pub(crate) fn may_be_gone(&self, topic: u8, partition: u32, offset: u64, now: u64) -> bool {
        let Some(log) = self.log(topic, partition) else {
            return true;
        };
        if log.entries.get(&offset).is_none_or(|entry| entry.loose || entry.gone) {
            return true;
        }
        if topic >= LETTERS {
            return self.redriven.contains_key(&(topic, offset));
        }
        let groups = self.groups.iter();
        let mut readers = groups
            .filter(|(_, group)| group.shares.contains_key(&(topic, partition)))
            .peekable();
        readers.peek().is_some() && readers.all(|(group, _)| self.may_be_over((*group, topic, partition), offset, now))
    }

    /// A group goes by force. Where it was alone, its queue goes on behind the last record that it has settled.
    pub(crate) fn pass_settled(&mut self, group: u8, now: u64) {
        let places: Vec<(u8, u32)> = self
            .groups
            .get(&group)
            .into_iter()
            .flat_map(|group| group.shares.keys().copied())
            .collect();
        for (topic, partition) in places {
            let mut others = self.groups.iter().filter(|(number, _)| **number != group);
            if others.any(|(_, other)| other.shares.contains_key(&(topic, partition))) {
                continue;
            }
            let known = self
                .log(topic, partition)
                .into_iter()
                .flat_map(|log| log.entries.keys());
            let last = known
                .copied()
                .rev()
                .find(|offset| self.may_be_over((group, topic, partition), *offset, now));
            let (Some(last), Some(log)) = (last, self.log_mut(topic, partition)) else {
                continue;
            };
            for (_, entry) in log.entries.range_mut(..=last) {
                entry.loose = true;
            }
            // What nobody has seen may lie before.
            self.hide_unseen(|one| one == topic);
        }
    }

    /// The groups of a topic change: what may be gone by now may be gone for good.
    pub(crate) fn loosen(&mut self, topic: u8, now: u64) {
        let logs = self.topics.get(&topic).map_or(0, |topic| topic.logs.len());
        for partition in 0..logs as u32 {
            let all = self
                .log(topic, partition)
                .into_iter()
                .flat_map(|log| log.entries.keys());
            let all: Vec<u64> = all.copied().collect();
            let gone: Vec<u64> = all
                .into_iter()
                .filter(|offset| self.may_be_gone(topic, partition, *offset, now))
                .collect();
            let Some(log) = self.log_mut(topic, partition) else {
                continue;
            };
            for offset in gone {
                if let Some(entry) = log.entries.get_mut(&offset) {
                    entry.loose = true;
                }
            }
        }
    }
}

/// Whether what may have become of a record, all of it, leaves a dead letter. What its topic drops ends in a way of its own.
fn leaves_letter(states: &[State], rules: &Rules) -> bool {
    let ended = |state: &State| state.kind == Kind::Archived && state.count > 0;
    !rules.drops && !states.is_empty() && states.iter().all(ended)
}

/// A record that nobody was given.
pub(crate) const FRESH: Seen = Seen {
    kind: Kind::Available,
    count: 0,
    struck: false,
    marked: false,
};

impl Model {
    /// Everything that the engine has of a partition, from `start` to `end`: what is missing must be allowed to.
    pub(crate) fn read(&mut self, topic: u8, partition: u32, start: u64, end: u64, offsets: &[u64], now: u64) -> Check {
        let Some(log) = self.log(topic, partition) else {
            return Ok(());
        };
        let name = super::topic_name(topic);
        let end_at_least = if log.cut { log.synced } else { log.end };
        if end < end_at_least {
            return Err(format!(
                "I1: {name}/{partition} ends at {end}, {end_at_least} were acknowledged",
            ));
        }
        if start < log.start {
            return Err(format!(
                "I8: {name}/{partition} starts at {start}, started at {}",
                log.start
            ));
        }
        if log.cut {
            self.cut(topic, partition, end);
        }
        if let Some(log) = self.log_mut(topic, partition) {
            log.end = end;
        }
        let Some(log) = self.log(topic, partition) else {
            return Ok(());
        };
        let mut seen = offsets.iter().copied().peekable();
        let mut missing = Vec::new();
        for (offset, _) in log.entries.iter().filter(|(_, entry)| !entry.gone) {
            while seen.next_if(|one| one < offset).is_some() {}
            if seen.next_if_eq(offset).is_none() {
                missing.push(*offset);
            }
        }
        for offset in missing {
            let dropped = offset < start && self.may_drop(topic, partition, offset, now);
            if !dropped && !self.may_be_gone(topic, partition, offset, now) {
                return Err(format!("I1: {name}/{partition} offset {offset} is lost"));
            }
            let log = self.log_mut(topic, partition);
            if let Some(entry) = log.and_then(|log| log.entries.get_mut(&offset)) {
                entry.gone = true;
            }
        }
        let before = self.log(topic, partition).map_or(0, |log| log.start);
        if let Some(log) = self.log_mut(topic, partition).filter(|_| before < start) {
            let dropped = log.entries.range(before..start).count() as u64;
            self.dropped += dropped;
        }
        if let Some(log) = self.log_mut(topic, partition) {
            log.start = start;
            log.reopened = false;
            log.read = log.read.max(end);
        }
        Ok(())
    }
}

impl Group {
    /// As a group is made.
    pub(crate) fn new(config: &GroupConfig) -> Self {
        let lock = u64::from(config.lock_millis) * 1_000_000;
        Self {
            limit: config.attempts,
            limit_high: config.attempts,
            limit_ever: config.attempts,
            limit_least: config.attempts,
            bounds: Bounds {
                lock,
                lock_high: lock,
                max_lease: config.max_lease_millis * 1_000_000,
            },
            dead_letters: config.dead_letter.is_some(),
            shares: BTreeMap::new(),
        }
    }

    fn may_become(&mut self, config: &GroupConfig) {
        let new = Self::new(config);
        self.limit = self.limit.min(new.limit);
        self.limit_high = self.limit_high.max(new.limit);
        self.limit_ever = self.limit_ever.max(new.limit);
        self.limit_least = self.limit_least.min(new.limit);
        let (old, new) = (&mut self.bounds, new.bounds);
        old.lock = old.lock.min(new.lock);
        old.lock_high = old.lock_high.max(new.lock_high);
        old.max_lease = old.max_lease.min(new.max_lease);
    }
}

impl Model {
    /// A group is about to get other settings: the old or the new ones hold.
    pub(crate) fn may_alter_group(&mut self, group: u8, config: &GroupConfig, now: u64) {
        // What has come of it by itself has come by the old ones.
        self.settle_down(group, now);
        if let Some(group) = self.groups.get_mut(&group) {
            group.may_become(config);
        }
    }

    /// These settings hold, and nothing is on its way that was decided by others.
    pub(crate) fn know_group(&mut self, group: u8, config: &GroupConfig, now: u64) {
        let known = self.groups.get(&group);
        if known.is_none_or(|group| group.limit == group.limit_high) {
            return;
        }
        self.settle_down(group, now);
        if let Some(group) = self.groups.get_mut(&group) {
            (group.limit, group.limit_high) = (config.attempts, config.attempts);
        }
    }
}
