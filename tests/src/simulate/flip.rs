//! I9: a bit flips at rest. What is served afterwards is what was produced, or an error.

use std::sync::Arc;

use share_engine::engine::{Engine, Environment};
use share_engine::hook::Hook;
use share_engine::ids::Offset;
use share_engine::testing::SeededEntropy;

use super::answers::found;
use super::model::{Check, LETTERS, topic_of};
use super::world::World;

impl World {
    /// Flips a bit in a copy of the disk, and reads everything that an engine makes of it.
    pub(crate) fn flip(&mut self) -> Check {
        let disk = self.disk.fork(self.chance.next());
        let files: Vec<String> = disk.files().into_iter().filter(|file| file != "reserve").collect();
        if files.is_empty() {
            return Ok(());
        }
        let file = &files[self.chance.index(files.len())];
        let bytes = disk.contents(file);
        // Most of a ring file is empty.
        let live: Vec<usize> = (0..bytes.len())
            .step_by(64)
            .filter(|at| bytes[*at..].iter().take(64).any(|byte| *byte != 0))
            .collect();
        if live.is_empty() {
            return Ok(());
        }
        let at = live[self.chance.index(live.len())] as u64 + self.chance.below(64);
        let at = at.min(bytes.len() as u64 - 1);
        disk.flip(file, at, self.chance.below(8) as u8);
        self.seen.flips += 1;
        let environment = Environment {
            storage: Arc::new(disk),
            clock: Arc::clone(&self.clock) as Arc<_>,
            entropy: Arc::new(SeededEntropy::new(self.chance.next())),
            hook: Hook::default(),
        };
        let Ok((engine, mut pump, _)) = Engine::open_stepped(environment, self.plan.engine.clone()) else {
            self.seen.caught += 1;
            return Ok(());
        };
        pump.run();
        let Ok(topics) = pump.wait(engine.topics()) else {
            return Ok(());
        };
        for topic in topics {
            let number = topic_of(&topic.name).ok_or("a topic of nobody's")?;
            for partition in 0..topic.partitions.len() as u32 {
                let mut from = Offset::ZERO;
                loop {
                    let Ok(batches) = pump.wait(engine.read(&topic.name, partition, from, u64::MAX)) else {
                        self.seen.caught += 1;
                        break;
                    };
                    let Some(last) = batches.last() else { break };
                    from = last.last().next();
                    for record in batches.iter().flat_map(|batch| batch.records()) {
                        let Ok((record, _)) = record else {
                            return Err(format!("I9: {file} at {at}: a batch that cannot be read is served"));
                        };
                        let found = found(number, &record);
                        let log = self
                            .model
                            .topics
                            .get(&number)
                            .and_then(|one| one.logs.get(partition as usize));
                        let known = log.and_then(|log| log.entries.get(&found.offset));
                        // What was not synced is a torn tail if it is damaged: the open may put other letters in the place of its own.
                        let unknown = number >= LETTERS && self.model.fickle;
                        let other = !unknown && known.is_some_and(|entry| Some(entry.id) != found.id);
                        if found.id.is_none() || other {
                            return Err(format!("I9: {file} at {at}: {found:?} is served, was {known:?}"));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
