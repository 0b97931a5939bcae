//! The load of a crash test's child: producers that wait for their answers, and members of the group that settle what they get in
//! every way there is. Everything that the engine acknowledges is told at once.

use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use share_engine::engine::{AcquireMode, Delivery, EmitRecord, Engine, Member, Outcome, Settlement, block_on};
use share_engine::error::SettleResult;
use share_engine::record::NewRecord;

use super::chance::Chance;
use super::child::{GROUP, PARTITIONS, Pace, RESULTS, TASKS, say, text};
use super::patience::Obstacle;
use super::said::{Lease, Run, Said, Task, Verb, checkpoint};
use super::task;

const PRODUCERS: u32 = 3;
const WORKERS: u32 = 4;
/// Records of one produce and of one acquisition, at most.
const PRODUCED_MAX: u64 = 48;
const ACQUIRED_MAX: u64 = 32;

/// The threads of the load.
pub(super) struct Load<'scope> {
    producers: Vec<ScopedJoinHandle<'scope, ()>>,
    workers: Workers<'scope>,
}

/// The workers among them, and the members that they are.
pub(super) struct Workers<'scope>(Vec<(Member, ScopedJoinHandle<'scope, ()>)>);

impl<'scope> Load<'scope> {
    /// Waits until the producers have ended, which they do once nothing is to be produced any more, and told everything.
    pub(super) fn end_producers(self) -> Workers<'scope> {
        for producer in self.producers {
            // A panic ends the process.
            drop(producer.join());
        }
        self.workers
    }
}

impl Workers<'_> {
    /// Lets the members leave, and waits until the workers have told everything.
    pub(super) fn end(self) -> Result<(), String> {
        for (member, worker) in self.0 {
            block_on(member.leave()).map_err(text)?;
            drop(worker.join());
        }
        Ok(())
    }
}

/// Starts all threads.
pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    engine: &'scope Engine,
    task: &Task,
    pace: &'scope Pace,
) -> Result<Load<'scope>, String> {
    let mut producers = Vec::new();
    let mut workers = Vec::new();
    let chance = |stream: u32| Chance::new(task.seed, u64::from(task.round) << 32 | u64::from(stream));
    for index in 0..PRODUCERS {
        // Numbers that no other producer of any child uses.
        let first = (u64::from(task.round) << 40) | (u64::from(index) << 36);
        let chance = chance(index);
        let body = move || produce(engine, first, chance, pace);
        producers.push(named("producer").spawn_scoped(scope, body).map_err(text)?);
    }
    for index in 0..WORKERS {
        let member = block_on(engine.join(GROUP, &[TASKS])).map_err(text)?;
        let chance = chance(PRODUCERS + index);
        let worker = Worker {
            member: member.clone(),
            over: Vec::new(),
            chance,
            pace,
        };
        let thread = named("worker").spawn_scoped(scope, move || worker.run());
        workers.push((member, thread.map_err(text)?));
    }
    let workers = Workers(workers);
    Ok(Load { producers, workers })
}

fn named(name: &str) -> Builder {
    Builder::new().name(name.to_owned())
}

fn produce(engine: &Engine, first: u64, mut chance: Chance, pace: &Pace) {
    let mut next = first;
    let mut obstacle = Obstacle::default();
    loop {
        let count = chance.between(1, PRODUCED_MAX);
        if !pace.may_produce(count) {
            return;
        }
        let partition = u32::try_from(chance.below(u64::from(PARTITIONS))).unwrap_or(0);
        let records = (next..next + count).map(task::record).collect();
        let results = block_on(engine.produce(TASKS, Some(partition), records));
        let mut said: Vec<Said> = Vec::new();
        let mut refused = 0;
        for (number, result) in (next..).zip(results) {
            let Ok(receipt) = result else {
                refused += 1;
                continue;
            };
            let offset = receipt.offset.get();
            if let Some(Said::Produced { run, number: first }) = said.last_mut()
                && *first + run.count() == number
                && run.extend(receipt.partition, offset)
            {
                continue;
            }
            said.push(Said::Produced {
                run: Run::single(receipt.partition, offset),
                number,
            });
        }
        say(&said);
        pace.finished(refused);
        if refused == 0 {
            obstacle.passed(engine);
        } else if let Some(why) = obstacle.met(engine) {
            return say(&[Said::Failed(format!("no records are taken: {why}"))]);
        } else {
            // The journal is full, or the engine is at its end; then the workers say so.
            pace.rest(Duration::from_millis(1));
        }
        next += count;
    }
}

/// Deliveries that are accepted once more after they are over, at most so many with each acquisition.
const OVER_MAX: usize = 4;

struct Worker<'a> {
    member: Member,
    /// Deliveries that are over: their leases are worth nothing any more.
    over: Vec<Delivery>,
    chance: Chance,
    pace: &'a Pace,
}

/// One delivery and what becomes of it; `None`: its lease runs out.
type Plan = (Delivery, Option<Verb>);

impl Worker<'_> {
    fn run(mut self) {
        loop {
            let most = u32::try_from(self.chance.between(1, ACQUIRED_MAX)).unwrap_or(1);
            let acquired = block_on(self.member.acquire(most, 1 << 20, AcquireMode::RecordLimit));
            let deliveries = match acquired {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    if !self.pace.has_ended() {
                        say(&[Said::Failed(text(error))]);
                    }
                    return;
                }
            };
            let finished = self.handle(deliveries);
            self.pace.finished(finished);
        }
    }

    /// Settles some at once, some after others; returns how many are finished.
    fn handle(&mut self, deliveries: Vec<Delivery>) -> u64 {
        say(&got(&deliveries));
        if self.chance.one_in(8) {
            let leases = deliveries.iter().map(|delivery| delivery.lease).collect();
            drop(block_on(self.member.renew(leases)));
        }
        let mut plans: Vec<Plan> = deliveries.into_iter().map(|delivery| (delivery, self.verb())).collect();
        // An accept of these is refused, and changes nothing.
        let over = std::mem::take(&mut self.over).into_iter();
        let mut finished = self.settle(over.map(|delivery| (delivery, Some(Verb::Accept))).collect());
        while !plans.is_empty() {
            let some = self.chance.between(1, ACQUIRED_MAX);
            let rest = plans.split_off(plans.len().min(usize::try_from(some).unwrap_or(1)));
            finished += self.settle(std::mem::replace(&mut plans, rest));
        }
        finished
    }

    fn verb(&mut self) -> Option<Verb> {
        let drawn = self.chance.below(200);
        if self.pace.is_finishing() {
            return Some(if drawn < 10 { Verb::AcceptAndEmit } else { Verb::Accept });
        }
        match drawn {
            0 => None,
            1 => Some(Verb::Reject),
            2..10 => Some(Verb::Park),
            10..14 => Some(Verb::GiveBack),
            14..30 => Some(Verb::Release),
            30..40 => Some(Verb::AcceptAndEmit),
            _ => Some(Verb::Accept),
        }
    }

    fn settle(&mut self, plans: Vec<Plan>) -> u64 {
        let plans: Vec<(Delivery, Verb)> = plans
            .into_iter()
            .filter_map(|(delivery, verb)| Some((delivery, verb?)))
            .collect();
        if plans.is_empty() {
            return 0;
        }
        let places = || plans.iter().map(|(delivery, verb)| (delivery, *verb));
        say(&runs(places(), Said::Tries));
        let chance = &mut self.chance;
        let settlements = places()
            .map(|(delivery, verb)| settlement(delivery, verb, chance))
            .collect();
        let results = block_on(self.member.settle(settlements));
        let is = |wanted: fn(&SettleResult) -> bool| {
            let results = results.iter();
            places()
                .zip(results)
                .filter_map(move |(place, result)| wanted(result).then_some(place))
        };
        let mut said = runs(is(|result| *result == SettleResult::Applied), Said::Done);
        // One whose answer is unknown may be either.
        let not = |result: &SettleResult| matches!(result, SettleResult::Stale | SettleResult::Refused(_));
        said.extend(runs(is(not), Said::Missed));
        say(&said);
        let mut finished = 0;
        for (delivery, verb) in is(|result| *result == SettleResult::Applied) {
            match verb {
                Verb::Accept | Verb::AcceptAndEmit | Verb::Reject => finished += 1,
                Verb::Release | Verb::Park if self.over.len() < OVER_MAX => self.over.push(delivery.clone()),
                Verb::Release | Verb::Park | Verb::GiveBack => {}
            }
        }
        finished
    }
}

fn settlement(delivery: &Delivery, verb: Verb, chance: &mut Chance) -> Settlement {
    let lease = delivery.lease;
    let (count, continuation) = (lease.delivery_count.get(), lease.continuation.get());
    let outcome = match verb {
        Verb::Accept => Outcome::Accept { emit: Vec::new() },
        Verb::AcceptAndEmit => Outcome::Accept {
            emit: vec![EmitRecord {
                topic: RESULTS.to_owned(),
                partition: None,
                record: NewRecord {
                    key: Some(format!("{}/{}/{count}", delivery.partition, lease.offset).into()),
                    ..NewRecord::default()
                },
            }],
        },
        Verb::Release => Outcome::Release {
            after: chance.one_in(2).then(|| Duration::from_millis(chance.between(10, 300))),
            reason: Some("released".to_owned()),
        },
        Verb::Park => Outcome::Renew {
            after: Duration::from_millis(chance.between(0, 300)),
            checkpoint: Some(checkpoint(count, continuation).to_string().into()),
        },
        Verb::GiveBack => Outcome::GiveBack,
        Verb::Reject => Outcome::Reject {
            reason: Some("rejected".to_owned()),
        },
    };
    Settlement {
        lease,
        outcome,
        evidence: None,
    }
}

fn lease(delivery: &Delivery) -> Lease {
    Lease {
        run: Run::single(delivery.partition, delivery.offset().get()),
        count: delivery.lease.delivery_count.get(),
        continuation: delivery.lease.continuation.get(),
    }
}

/// Whether the second continues the first, which then has both.
fn joined(first: &mut Lease, second: Lease) -> bool {
    (first.count, first.continuation) == (second.count, second.continuation)
        && first.run.extend(second.run.partition, second.run.first)
}

fn runs<'a>(settled: impl Iterator<Item = (&'a Delivery, Verb)>, tell: impl Fn(Verb, Lease) -> Said) -> Vec<Said> {
    let mut runs: Vec<(Verb, Lease)> = Vec::new();
    for (delivery, verb) in settled {
        let lease = lease(delivery);
        let last = runs.last_mut();
        if !last.is_some_and(|(before, run)| *before == verb && joined(run, lease)) {
            runs.push((verb, lease));
        }
    }
    runs.into_iter().map(|(verb, lease)| tell(verb, lease)).collect()
}

fn got(deliveries: &[Delivery]) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    for delivery in deliveries {
        let place = lease(delivery);
        let number = match delivery.record().map_err(text).and_then(|record| task::number(&record)) {
            Ok(number) => number,
            Err(why) => {
                let (partition, offset) = (delivery.partition, delivery.offset());
                said.push(Said::Wrong(format!(
                    "task {partition}/{offset} is delivered damaged: {why}"
                )));
                continue;
            }
        };
        let with = delivery.checkpoint.as_ref();
        let with = with.map(|bytes| String::from_utf8_lossy(bytes).parse().unwrap_or(0));
        if let Some(Said::Got {
            lease,
            number: first,
            checkpoint,
        }) = said.last_mut()
            && *checkpoint == with
            && *first + lease.run.count() == number
            && joined(lease, place)
        {
            continue;
        }
        said.push(Said::Got {
            lease: place,
            number,
            checkpoint: with,
        });
    }
    said
}
