//! Changes of topics and groups: one at a time, beside everything else that goes on.

use share_engine::config::Start;
use share_engine::engine::{Engine, ResetGroup, ResetTo};

use super::model::{Check, group_name, topic_name};
use super::plan::{Action, GROUPS, TOPICS};
use super::world::{Answer, Call, Change, World};

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
            Action::CreateGroup => Change::CreateGroup(group),
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
            Change::DeleteTopic(topic) => topics.contains_key(&topic),
            Change::GrowTopic(topic) => topics.get(&topic).is_some_and(|one| one.logs.len() < 3),
            Change::CreateGroup(group) => !groups.contains_key(&group),
            Change::DeleteGroup(group) => {
                groups.contains_key(&group) && self.actors.iter().all(|one| one.group != group)
            }
            Change::Reset(group) => groups.contains_key(&group),
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
        if let Change::Reset(group) = change {
            // What is held now may be stale any moment.
            let numbers: Vec<u32> = self
                .actors
                .iter()
                .filter(|one| one.group == group)
                .map(|one| one.number)
                .collect();
            for number in numbers {
                self.model.left(group, number, true);
            }
        }
        let asked = self.ask_for(change, engine);
        self.start(Call::Catalog(change), asked)
    }

    fn ask_for(&self, change: Change, engine: Engine) -> impl Future<Output = Answer> + 'static {
        let mut config = match change {
            Change::CreateTopic(topic) | Change::GrowTopic(topic) => self.plan.topic(topic),
            _ => self.plan.topic(0),
        };
        if let Change::GrowTopic(topic) = change {
            config.partitions = self.model.topics[&topic].logs.len() as u32 + 1;
        }
        let group_config = match change {
            Change::CreateGroup(group) => self.plan.group(group),
            _ => self.plan.group(0),
        };
        async move {
            Answer::Done(match change {
                Change::CreateTopic(topic) => engine.create_topic(&topic_name(topic), config).await,
                Change::DeleteTopic(topic) => engine.delete_topic(&topic_name(topic)).await,
                Change::GrowTopic(topic) => engine.alter_topic(&topic_name(topic), config).await,
                Change::CreateGroup(group) => engine.create_group(&group_name(group), group_config).await,
                Change::Subscribe(group, topic) => engine.subscribe(&group_name(group), &topic_name(topic)).await,
                Change::DeleteGroup(group) => engine.delete_group(&group_name(group), true).await,
                Change::Reset(group) => {
                    let request = ResetGroup {
                        group: group_name(group),
                        topic: None,
                        partition: None,
                        to: ResetTo::Start(Start::Earliest),
                        force: true,
                    };
                    engine.reset_group(request).await
                }
            })
        }
    }
}
