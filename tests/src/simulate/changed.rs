//! What a change of topics and groups means once it is durable, or known not to be: it is told to the model.

use share_engine::config::Start;
use share_engine::engine::ResetTo;

use super::model::{Begin, Drops, Group, LETTERS, Log, Topic};
use super::plan::drops;
use super::world::{Change, World};

impl World {
    /// A change of the catalog is durable.
    pub(crate) fn changed(&mut self, change: Change) {
        let now = self.now();
        match change {
            Change::CreateTopic(topic) => {
                let config = self.plan.topic(topic);
                let partitions = config.partitions;
                self.model.topics.insert(topic, Topic::new(partitions, drops(&config)));
            }
            Change::DeleteTopic(topic) => {
                self.model.forget_topic(topic);
                self.seen.topics_deleted += 1;
            }
            Change::GrowTopic(topic) => {
                let Some(grown) = self.model.topics.get_mut(&topic) else {
                    return;
                };
                let partition = grown.logs.len() as u32;
                grown.logs.push(Log::default());
                let groups = self.model.groups.iter();
                let readers = groups.filter(|(_, group)| group.shares.contains_key(&(topic, 0)));
                let readers: Vec<u8> = readers.map(|(group, _)| *group).collect();
                for group in readers {
                    self.model.begin((group, topic, partition), 0, Begin::default());
                }
            }
            Change::AlterTopic(topic) => self.was_altered(topic),
            Change::AlterGroup(group) => {
                if let Some(config) = self.wish.group.take() {
                    self.plan.groups.insert(group, config);
                    self.seen.groups_altered += 1;
                }
            }
            Change::CreateGroup(group) => {
                let known = Group::new(&self.plan.group(group));
                if known.dead_letters {
                    let letters = self.model.topics.entry(LETTERS + group);
                    letters.or_insert_with(|| Topic::new(1, Drops::Never));
                }
                self.model.groups.insert(group, known);
            }
            Change::Subscribe(group, topic) => {
                self.model.loosen(topic, now);
                let partitions = self.model.topics.get(&topic).map_or(0, |topic| topic.logs.len());
                for partition in 0..partitions as u32 {
                    let begin = self.begin((topic, partition));
                    self.model.begin((group, topic, partition), 0, begin);
                }
            }
            Change::DeleteGroup(group) => {
                self.model.forgive(|place| place.0 == group);
                for topic in 0..super::plan::TOPICS {
                    self.model.loosen(topic, now);
                }
                self.model.pass_settled(group, now);
                self.model.groups.remove(&group);
                self.seen.groups_deleted += 1;
            }
            Change::Reset(group) => self.was_reset(group),
        }
    }
}

impl World {
    fn was_altered(&mut self, topic: u8) {
        if let Some(config) = self.wish.topic.take() {
            let dropping = drops(&config).later();
            if let Some(known) = self.model.topics.get_mut(&topic) {
                // What is gone by now is gone.
                let entries = known.logs.iter_mut().flat_map(|log| log.entries.values_mut());
                entries.for_each(|entry| entry.loose |= known.drops.any());
                if std::mem::replace(&mut known.drops, dropping).any() {
                    self.model.hide_unseen(|one| one == topic);
                }
            }
            self.plan.topics.insert(topic, config);
            self.seen.topics_altered += 1;
        }
    }

    fn was_reset(&mut self, group: u8) {
        let now = self.now();
        for topic in 0..super::plan::TOPICS {
            self.model.loosen(topic, now);
        }
        let shares = self.model.groups.get(&group).map(|group| &group.shares);
        let shares = shares.into_iter().flatten();
        let places: Vec<_> = shares.map(|(place, share)| (*place, share.epoch + 1)).collect();
        for (place, epoch) in places {
            let begin = self.begin(place);
            self.model.begin((group, place.0, place.1), epoch, begin);
        }
        self.seen.resets += 1;
        self.seen.resets_to += u64::from(matches!(self.wish.start, Some(ResetTo::Offset(_))));
        let aged = matches!(self.wish.start, Some(ResetTo::Start(Start::ByDuration(_))));
        self.seen.resets_aged += u64::from(aged);
    }

    /// A change of the catalog was not made.
    pub(crate) fn unchanged(&mut self, change: Change) {
        if let Change::AlterTopic(topic) = change
            && let (Some(known), Some(before)) = (self.model.topics.get_mut(&topic), self.wish.drops)
        {
            known.drops = before;
        }
    }

    /// Where a group begins with a partition, as far as anybody can know.
    fn begin(&mut self, (topic, partition): (u8, u32)) -> Begin {
        let now = self.now();
        if self
            .wish
            .start
            .is_some_and(|start| start != ResetTo::Start(Start::Earliest))
        {
            // It may begin behind what nobody has seen yet.
            self.model.hide_unseen(|one| one == topic);
        }
        let end = self.wish.ends.get(&(topic, partition)).copied().unwrap_or(0);
        match self.wish.start {
            Some(ResetTo::Offset(offset)) => Begin {
                at_least: offset.get(),
                before: 0,
            },
            Some(ResetTo::Start(Start::Latest)) => {
                self.seen.latest += 1;
                Begin {
                    at_least: end,
                    before: now,
                }
            }
            Some(ResetTo::Start(Start::ByDuration(_))) if self.model.jumped => Begin {
                at_least: 0,
                before: now,
            },
            Some(ResetTo::Start(Start::ByDuration(millis))) => {
                // Clocks count whole milliseconds.
                let age = millis * 1_000_000;
                let old = self.wish.at.saturating_sub(age + 2_000_000);
                Begin {
                    at_least: self.model.old_until(topic, partition, old),
                    before: now.saturating_sub(age) + 2_000_000,
                }
            }
            Some(ResetTo::Start(Start::Earliest)) | None => Begin::default(),
        }
    }
}
