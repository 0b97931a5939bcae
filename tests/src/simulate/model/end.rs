//! What ends leases without an answer: members that go, acquisitions that are given up, a process that dies or is closed.

use super::{Check, Kind, Log, Missed, Model, Place, Record, Rules, State};

impl Model {
    /// A group may have taken records that nobody has seen yet, and be through with them before anybody does.
    fn hide(&mut self, group: u8) {
        let Some(group) = self.groups.get(&group) else { return };
        if group.limit <= 2 {
            let topics: Vec<u8> = group.shares.keys().map(|place| place.0).collect();
            self.hide_unseen(|topic| topics.contains(&topic));
        }
    }

    /// A member left: its leases end some time soon. `acquiring`: so many calls were to bring it more, which comes back.
    pub(crate) fn left(&mut self, group: u8, member: u32, acquiring: u32) {
        if acquiring > 0 {
            self.hide(group);
        }
        let Some(group) = self.groups.get_mut(&group) else {
            return;
        };
        for share in group.shares.values_mut() {
            share.ghosts.add(acquiring);
            let leases = share.records.values_mut().filter_map(|record| record.lease.as_mut());
            for lease in leases.filter(|lease| lease.member == member) {
                lease.loose = true;
            }
        }
    }

    /// An acquisition was given up: what it took comes back.
    pub(crate) fn abandoned(&mut self, group: u8) {
        self.hide(group);
        let shares = self.groups.get_mut(&group).map(|group| group.shares.values_mut());
        for share in shares.into_iter().flatten() {
            share.ghosts.add(1);
        }
    }

    /// The process has died. `unseen`: groups whose acquisitions were on their way.
    pub(crate) fn crash(&mut self, unseen: impl Fn(u8) -> bool, now: u64) {
        let logs = self.topics.values_mut().flat_map(|topic| &mut topic.logs);
        logs.for_each(Log::reopen);
        for group in self
            .groups
            .keys()
            .copied()
            .filter(|group| unseen(*group))
            .collect::<Vec<_>>()
        {
            self.hide(group);
        }
        for (number, group) in &mut self.groups {
            let (limit, limit_high, max_lease) = (group.limit, group.limit_high, group.bounds.max_lease);
            let limits_ever = (group.limit_least, group.limit_ever);
            for ((topic, partition), share) in &mut group.shares {
                let topic = self.topics.get(topic);
                let drops = topic.is_some_and(|topic| topic.drops.any());
                let log = topic.and_then(|topic| topic.logs.get(*partition as usize));
                let rules = Rules {
                    limit,
                    limit_high,
                    limits_ever,
                    max_lease,
                    drops,
                    ghosts: share.ghosts,
                    fickle: self.fickle,
                    now,
                };
                let unseen = unseen(*number) || share.ghosts.are_there();
                share.unseen |= unseen;
                if unseen {
                    // What nobody was given may have been on its way.
                    for offset in log.into_iter().flat_map(|log| log.entries.range(share.start..)) {
                        share.records.entry(*offset.0).or_default();
                    }
                }
                for record in share.records.values_mut() {
                    record.crash(&rules, unseen);
                }
            }
        }
    }

    /// The engine was closed, after everybody had left: nobody holds anything.
    pub(crate) fn closed(&mut self, tight: bool, now: u64) {
        let shares = || self.groups.values().flat_map(|group| group.shares.values());
        if tight || shares().any(|share| share.cramped) {
            // There may have been no room for the end of a lease: the next open finds it held.
            return self.crash(|_| true, now);
        }
        let logs = self.topics.values_mut().flat_map(|topic| &mut topic.logs);
        logs.for_each(Log::reopen);
        self.each_record(now, |_, record, rules| record.close(rules));
    }

    /// What may have come of a group's records by itself may have come of them, whatever holds from now on.
    pub(super) fn settle_down(&mut self, group: u8, now: u64) {
        self.each_record(now, |place, record, rules| {
            if place.0 == group && !record.is_over() {
                record.remember(rules);
                record.states = record.possible(rules);
            }
        });
    }

    fn each_record(&mut self, now: u64, mut act: impl FnMut(Place, &mut Record, &Rules)) {
        let groups = self.groups.iter();
        let places = groups.flat_map(|(group, one)| one.shares.keys().map(|share| (*group, share.0, share.1)));
        for place in places.collect::<Vec<_>>() {
            let share = self.share(place);
            let offsets: Vec<u64> = share.map_or_else(Vec::new, |one| one.records.keys().copied().collect());
            for offset in offsets {
                if let Some(rules) = self.rules(place, offset, now)
                    && let Some(share) = self.share(place)
                    && let Some(record) = share.records.get_mut(&offset)
                {
                    act(place, record, &rules);
                }
            }
        }
    }

    /// The wall clock was set: what is kept over a restart may be due at once, or parked once more, and attempts may seem
    /// long.
    pub(crate) fn forget_times(&mut self) {
        let shares = self.groups.values_mut().flat_map(|group| group.shares.values_mut());
        for record in shares.flat_map(|share| share.records.values_mut()) {
            for index in 0..record.states.len() {
                let state = &mut record.states[index];
                state.due = 0;
                state.began = 0;
                if state.kind == Kind::Available && state.count > 0 {
                    let parked = State {
                        kind: Kind::Parked,
                        ..*state
                    };
                    record.states.push(parked);
                }
            }
        }
    }

    /// All logs were read after a crash: what was on its way is there now, or never will be.
    pub(crate) fn decide(&mut self) -> Check {
        for (id, limbo) in std::mem::take(&mut self.limbo) {
            let Some(topic) = self.topics.get(&limbo.topic) else {
                continue;
            };
            if topic.drops.any() || limbo.hidden {
                let ends = topic.logs.iter().map(|log| log.end).collect();
                let topic = limbo.topic;
                self.missed.insert(id, Missed { topic, ends });
            } else if limbo.sure {
                return Err(format!("I1: record {id:#x} of {limbo:?} is lost"));
            }
        }
        self.decide_redriven();
        Ok(())
    }
}
