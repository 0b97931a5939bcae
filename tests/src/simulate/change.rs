//! Changes of topics and groups: one at a time, beside everything else that goes on.

use share_engine::config::{Start, TopicConfig};
use share_engine::engine::{Engine, ResetGroup, ResetTo};
use share_engine::ids::Offset;

use super::model::{Check, group_name, topic_name};
use super::plan::{Action, GROUPS, Plan, TOPICS, drops, start};
use super::world::{Answer, Call, Change, Wish, World};

impl World {
    /// Starts a change of topics or groups, one at a time.
    pub(crate) fn administer(&mut self, action: Action) -> Check {
        if self.is_changing() {
            return Ok(());
        }
        let topic = self.chance.below(u64::from(TOPICS)) as u8;
        let group = self.chance.below(u64::from(GROUPS)) as u8;
        let redriving = self
            .flights
            .iter()
            .any(|flight| matches!(flight.call, Call::Redrive { .. } | Call::Join { .. }));
        let change = match action {
            Action::CreateTopic => Change::CreateTopic(topic),
            Action::DeleteTopic if !redriving => Change::DeleteTopic(topic),
            Action::GrowTopic => Change::GrowTopic(topic),
            Action::AlterTopic => Change::AlterTopic(topic),
            Action::CreateGroup => Change::CreateGroup(group),
            Action::AlterGroup => Change::AlterGroup(group),
            Action::Subscribe => Change::Subscribe(group, topic),
            Action::DeleteGroup if !redriving => Change::DeleteGroup(group),
            Action::Reset if !redriving => Change::Reset(group),
            _ => return Ok(()),
        };
        self.change_to(change)
    }

    /// Starts a change, unless it makes no sense.
    pub(crate) fn change_to(&mut self, change: Change) -> Check {
        let Some(engine) = self.handle() else { return Ok(()) };
        let (topics, groups) = (&self.model.topics, &self.model.groups);
        let sensible = match change {
            Change::CreateTopic(topic) => !topics.contains_key(&topic),
            Change::DeleteTopic(topic) | Change::AlterTopic(topic) => topics.contains_key(&topic),
            Change::GrowTopic(topic) => topics.get(&topic).is_some_and(|one| one.logs.len() < 3),
            Change::CreateGroup(group) => !groups.contains_key(&group),
            Change::DeleteGroup(group) => {
                groups.contains_key(&group) && self.actors.iter().all(|one| one.group != group)
            }
            Change::Reset(group) | Change::AlterGroup(group) => groups.contains_key(&group),
            Change::Subscribe(group, topic) => {
                let known = groups
                    .get(&group)
                    .is_some_and(|one| !one.shares.contains_key(&(topic, 0)));
                known && topics.contains_key(&topic)
            }
        };
        if !sensible || self.doubt.is_some() {
            return Ok(());
        }
        self.wish_for(change);
        if let Change::Reset(group) = change {
            // What is held now may be stale any moment.
            let numbers: Vec<u32> = self
                .actors
                .iter()
                .filter(|one| one.group == group)
                .map(|one| one.number)
                .collect();
            for number in numbers {
                self.model.left(group, number, self.waits(number));
            }
        }
        let asked = self.ask_for(change, engine);
        self.start(Call::Catalog(change), asked)
    }

    /// Chooses what a change says besides its name, and tells the model what may hold from now on.
    fn wish_for(&mut self, change: Change) {
        let topics = self.model.topics.iter();
        let logs =
            topics.flat_map(|(topic, one)| (0..).zip(&one.logs).map(|(number, log)| ((*topic, number), log.end)));
        self.wish = Wish {
            at: self.now(),
            ends: logs.collect(),
            ..Wish::default()
        };
        match change {
            Change::CreateTopic(topic) => self.wish.topic = Some(self.plan.topic(topic)),
            Change::GrowTopic(topic) => {
                let partitions = self.model.topics[&topic].logs.len() as u32 + 1;
                let config = self.plan.topic(topic);
                let config = TopicConfig { partitions, ..config };
                if let Some(known) = self.model.topics.get_mut(&topic) {
                    known.drops = known.drops.or(drops(&config));
                }
                self.wish.topic = Some(config);
            }
            Change::AlterTopic(topic) => {
                let partitions = self.model.topics[&topic].logs.len() as u32;
                let config = Plan::other_topic(&mut self.chance, topic, partitions);
                if let Some(known) = self.model.topics.get_mut(&topic) {
                    self.wish.drops = Some(known.drops);
                    known.drops = known.drops.or(drops(&config).later());
                }
                self.wish.topic = Some(config);
            }
            Change::CreateGroup(group) => self.wish.group = Some(self.plan.group(group)),
            Change::AlterGroup(group) => {
                let config = self.plan.other_group(&mut self.chance, group);
                let now = self.now();
                self.model.may_alter_group(group, &config, now);
                self.wish.group = Some(config);
            }
            Change::Subscribe(group, _) => self.wish.start = Some(ResetTo::Start(self.plan.groups[&group].start)),
            Change::Reset(_) => {
                let mut ends = self.wish.ends.values().copied();
                let end = ends.nth(self.chance.index(self.wish.ends.len())).unwrap_or(0);
                let to = match self.chance.below(3) {
                    // Beyond the end of some: those refuse.
                    0 => ResetTo::Offset(Offset::saturating(self.chance.below(end + 1))),
                    _ => ResetTo::Start(start(&mut self.chance)),
                };
                self.wish.start = Some(to);
            }
            Change::DeleteTopic(_) | Change::DeleteGroup(_) => {}
        }
    }

    fn ask_for(&self, change: Change, engine: Engine) -> impl Future<Output = Answer> + 'static {
        let config = self.wish.topic.clone().unwrap_or_default();
        let group_config = self.wish.group.clone().unwrap_or_default();
        let to = self.wish.start.unwrap_or(ResetTo::Start(Start::Earliest));
        async move {
            Answer::Done(match change {
                Change::CreateTopic(topic) => engine.create_topic(&topic_name(topic), config).await,
                Change::DeleteTopic(topic) => engine.delete_topic(&topic_name(topic)).await,
                Change::GrowTopic(topic) | Change::AlterTopic(topic) => {
                    engine.alter_topic(&topic_name(topic), config).await
                }
                Change::CreateGroup(group) => engine.create_group(&group_name(group), group_config).await,
                Change::AlterGroup(group) => engine.alter_group(&group_name(group), group_config).await,
                Change::Subscribe(group, topic) => engine.subscribe(&group_name(group), &topic_name(topic)).await,
                Change::DeleteGroup(group) => engine.delete_group(&group_name(group), true).await,
                Change::Reset(group) => {
                    let request = ResetGroup {
                        group: group_name(group),
                        topic: None,
                        partition: None,
                        to,
                        force: true,
                    };
                    engine.reset_group(request).await
                }
            })
        }
    }
}
