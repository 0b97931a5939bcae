//! The end of a run: nothing fails any more, members accept whatever they get, and everything has to settle.

use share_engine::error::AdminError;

use super::model::{Check, Verdict, group_name, topic_name};
use super::plan::{GROUPS, TOPICS};
use super::world::{Call, Change, World};

/// Rounds until everything has to be settled, and how long one is.
const ROUNDS: usize = 400;
const ROUND: u64 = 250_000_000;

impl World {
    /// Faults stop. I4, I10: every record comes to its end, and the engine serves again.
    pub(crate) fn calm(&mut self) -> Check {
        self.heal();
        self.clock.steady();
        if self.is_broken()? {
            self.crash()?;
            self.heal();
        }
        // What failed is tried again.
        self.wait(20_000_000_000);
        self.rest()?;
        while !self.actors.is_empty() {
            self.leave_one(0)?;
        }
        self.rest()?;
        self.plan.calm();
        for round in 0..ROUNDS {
            if self.is_settled()? {
                self.look(false)?;
                return self.serve();
            }
            self.join_all()?;
            self.take_all()?;
            if round % 16 == 15 {
                self.look(false)?;
            }
            self.wait(ROUND);
            self.rest()?;
        }
        let mut left = Vec::new();
        for group in 0..GROUPS {
            if let Some(engine) = self.handle()
                && let Some(Ok(one)) = self.ask(engine.describe_group(&group_name(group)))?
            {
                left.push(one);
            }
        }
        Err(format!("I4: not settled after {ROUNDS} rounds: {left:?}"))
    }

    /// Whether there is no engine that takes anything: one that is fenced may have told nobody yet.
    fn is_broken(&mut self) -> Result<bool, String> {
        let Some(engine) = self.handle() else { return Ok(true) };
        let answer = self.ask(engine.subscribe("nobody", "nothing"))?;
        Ok(matches!(answer, Some(Err(AdminError::Fenced(_)))))
    }

    /// Everybody accepts what there is to be had at this moment.
    fn take_all(&mut self) -> Check {
        for _ in 0..ROUNDS {
            for index in 0..self.actors.len() {
                self.acquire_at(index)?;
            }
            self.rest()?;
            if self.actors.iter().all(|one| one.held.is_empty()) {
                return Ok(());
            }
            for index in 0..self.actors.len() {
                self.settle_all(index)?;
            }
            self.rest()?;
        }
        Ok(())
    }

    /// Whether every group is through with everything.
    fn is_settled(&mut self) -> Result<bool, String> {
        let groups: Vec<u8> = self.model.groups.keys().copied().collect();
        for group in groups {
            let Some(engine) = self.handle() else { return Ok(false) };
            let name = group_name(group);
            let answer = self.ask(engine.describe_group(&name))?;
            let Some(Ok(one)) = answer else {
                return Err(format!("I4: {name} cannot be described: {answer:?}"));
            };
            if one.partitions.iter().any(|share| share.lag > 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One member for each group.
    fn join_all(&mut self) -> Check {
        let groups: Vec<u8> = self.model.groups.keys().copied().collect();
        for group in groups {
            if self.actors.iter().all(|one| one.group != group) {
                self.join_to(group)?;
                self.rest()?;
            }
        }
        Ok(())
    }

    /// The engine takes what it is given, and gives it out again.
    fn serve(&mut self) -> Check {
        let (topic, group) = (TOPICS, 0);
        self.change_to(Change::CreateTopic(topic))?;
        self.change_to_rested(Change::CreateGroup(group))?;
        self.change_to_rested(Change::Subscribe(group, topic))?;
        while !self.actors.is_empty() {
            self.leave_one(0)?;
        }
        self.join_to(group)?;
        self.rest()?;
        let before = self.seen.clone();
        self.produce_to(topic)?;
        self.rest()?;
        self.acquire_at(0)?;
        self.rest()?;
        self.settle_all(0)?;
        self.rest()?;
        let served = self.seen.produced > before.produced && self.seen.accepted > before.accepted;
        if !served || !self.model.topics.contains_key(&topic) {
            return Err(format!("I10: {} is not served", topic_name(topic)));
        }
        self.look(false)
    }

    fn change_to_rested(&mut self, change: Change) -> Check {
        self.rest()?;
        self.change_to(change)?;
        self.rest()
    }

    fn settle_all(&mut self, index: usize) -> Check {
        let held = std::mem::take(&mut self.actors[index].held);
        self.settle_as(index, held, |_| Verdict::Accept)
    }

    /// How many calls wait for records.
    pub(crate) fn waits(&self, number: u32) -> u32 {
        let mine = |call: &Call| matches!(call, Call::Acquire { actor, .. } if *actor == number);
        self.flights.iter().filter(|flight| mine(&flight.call)).count() as u32
    }
}
