//! One engine on one thread: its parts stepped in an order that the seed chooses, a clock and a disk that do as they are
//! told, and every call that is under way.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use share_engine::config::{GroupConfig, TopicConfig};
use share_engine::engine::{Delivery, Engine, Environment, Member, Part, Pump, Receipt, RecoveryReport, ResetTo};
use share_engine::error::{AdminError, Fenced, OpenError, ProduceError, SettleResult};
use share_engine::hook::Hook;
use share_engine::ids::LeaseKey;
use share_engine::storage::MemoryStorage;
use share_engine::testing::SeededEntropy;
use share_engine::time::Instant;

use super::chance::Chance;
use super::clock::SetClock;
use super::coverage::Coverage;
use super::model::value::Id;
use super::model::{Check, Drops, Model, Place};
use super::plan::Plan;
use super::slow::SlowStorage;
use super::trace::Trace;

/// Everything of one run.
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) plan: Plan,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) disk: MemoryStorage,
    pub(crate) engine: Option<Running>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) actors: Vec<Actor>,
    /// Deliveries that were settled or lost.
    pub(crate) past: Vec<Held>,
    pub(crate) model: Model,
    pub(crate) trace: Trace,
    pub(crate) seen: Coverage,
    /// Calls of the disk may fail, or it may be full: refusals and failures need no other reason.
    pub(crate) faulty: bool,
    /// Tell what happens.
    pub(crate) verbose: bool,
    /// Of the last change of the catalog.
    pub(crate) wish: Wish,
    /// A change of the catalog whose answer has come, and is heard last.
    pub(crate) deciding: Option<Change>,
    /// A change of the catalog whose answer failed to come.
    pub(crate) doubt: Option<Change>,
    /// Emitted records whose settlement was not answered.
    pub(crate) emits: Vec<(Held, Vec<Id>)>,
    pub(crate) laps: u64,
    /// When the engine had last done all there was to do: what was asked for by then was granted by then, or later.
    pub(crate) rested: u64,
    /// What a close came to, once it has.
    pub(crate) closed: Option<bool>,
}

/// An engine that runs.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) pump: Pump,
    /// A call was told so.
    pub(crate) fenced: bool,
    /// When the journal had last no room, if what that kept from happening may not have happened yet: the end of a
    /// lease may be in memory alone.
    tight: Option<u64>,
}

/// A member of a group.
pub(crate) struct Actor {
    pub(crate) group: u8,
    pub(crate) member: Member,
    pub(crate) number: u32,
    pub(crate) held: Vec<Held>,
}

/// A delivery that a member has, or had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) place: Place,
    pub(crate) lease: LeaseKey,
}

/// A call under way.
pub(crate) struct Flight {
    pub(crate) call: Call,
    future: Pin<Box<dyn Future<Output = Answer>>>,
}

/// What was asked.
#[derive(Debug)]
pub(crate) enum Call {
    Produce {
        ids: Vec<Id>,
        /// By partition: what was acknowledged before.
        floors: Vec<u64>,
    },
    Acquire {
        actor: u32,
        /// When it was asked.
        at: u64,
    },
    Settle {
        actor: u32,
        items: Vec<Item>,
    },
    Extend {
        leases: Vec<Held>,
        /// When it was asked.
        at: u64,
    },
    Join {
        group: u8,
    },
    Leave,
    Redrive {
        topic: u8,
        offset: u64,
    },
    Drain,
    Close,
    Catalog(Change),
}

/// One settlement.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) held: Held,
    pub(crate) claim: u64,
    /// Records to produce with it, and where to.
    pub(crate) emit: Vec<Id>,
    pub(crate) target: u8,
}

/// A change of topics and groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    CreateTopic(u8),
    DeleteTopic(u8),
    GrowTopic(u8),
    AlterTopic(u8),
    CreateGroup(u8),
    AlterGroup(u8),
    Subscribe(u8, u8),
    DeleteGroup(u8),
    Reset(u8),
}

/// What a change of topics and groups says besides its name, and what was known when it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    pub(crate) topic: Option<TopicConfig>,
    /// What held before a topic was to be altered.
    pub(crate) drops: Option<Drops>,
    pub(crate) group: Option<GroupConfig>,
    /// Where a group is to begin.
    pub(crate) start: Option<ResetTo>,
    pub(crate) at: u64,
    /// By topic and partition: what was acknowledged.
    pub(crate) ends: BTreeMap<(u8, u32), u64>,
}

/// What was answered.
pub(crate) enum Answer {
    Produced(Vec<Result<Receipt, ProduceError>>),
    Acquired(Result<Vec<Delivery>, AdminError>),
    Settled(Vec<SettleResult>),
    Extended(Vec<Result<Instant, share_engine::engine::Refusal>>),
    Joined(Result<Member, AdminError>),
    Redriven(Result<Receipt, AdminError>),
    Done(Result<(), AdminError>),
    Closed(Result<(), Fenced>),
}

/// How long after its lock a lease may still be there that nobody holds, in nanoseconds: upkeep looks once a second.
const LATEST: u64 = 1_500_000_000;

const PARTS: [Part; 4] = [Part::Shard, Part::Journal, Part::Drain, Part::Reader];

impl World {
    /// Nanoseconds on the engine's monotonic clock.
    pub(crate) fn now(&self) -> u64 {
        self.clock.nanos()
    }

    /// Tells what happens, if somebody wants to know.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{:>6} {:>14} {}", self.seen.steps, self.now(), what());
        }
    }

    /// Opens what is on the disk.
    pub(crate) fn open(&mut self) -> Result<RecoveryReport, OpenError> {
        let environment = Environment {
            storage: Arc::new(SlowStorage::new(self.disk.clone(), Arc::clone(&self.clock), &self.plan)),
            clock: Arc::clone(&self.clock) as Arc<_>,
            entropy: Arc::new(SeededEntropy::new(self.chance.next())),
            hook: Hook::default(),
        };
        let (engine, pump, report) = Engine::open_stepped(environment, self.plan.engine.clone())?;
        self.engine = Some(Running {
            engine,
            pump,
            fenced: false,
            tight: None,
        });
        Ok(report)
    }

    /// Asks for something.
    pub(crate) fn start(&mut self, call: Call, future: impl Future<Output = Answer> + 'static) -> Check {
        self.say(|| format!("? {call:?}"));
        self.flights.push(Flight {
            call,
            future: Box::pin(future),
        });
        self.poll()
    }

    /// Steps one part of the engine, and hears what that answers.
    pub(crate) fn step_part(&mut self, part: Part) -> Result<bool, String> {
        let Some(running) = &mut self.engine else {
            return Ok(false);
        };
        if part == Part::Shard {
            running.pump.set_together(self.chance.below(4) < self.plan.commits);
        }
        let worked = running.pump.step(part);
        let (used, capacity) = running.pump.ring();
        if used > capacity / 4 * 3 {
            self.seen.cramped += u64::from(running.tight.is_none());
            running.tight = Some(self.clock.nanos());
        }
        if worked {
            self.seen.parts += 1;
            self.trace.note(&[1, part as u64]);
            self.poll()?;
        }
        Ok(worked)
    }

    /// Steps some parts, chosen by the seed.
    pub(crate) fn turn(&mut self) -> Check {
        for _ in 0..self.chance.below(self.plan.turns + 1) {
            let total: u64 = self.plan.paces.iter().sum();
            let mut left = self.chance.below(total);
            let mut part = Part::Shard;
            for (index, pace) in self.plan.paces.iter().enumerate() {
                part = PARTS[index];
                if left < *pace {
                    break;
                }
                left -= pace;
            }
            self.step_part(part)?;
        }
        Ok(())
    }

    /// Steps everything until nothing is left to do at this moment.
    pub(crate) fn rest(&mut self) -> Check {
        for _ in 0..10_000 {
            let mut worked = false;
            for part in PARTS {
                worked |= self.step_part(part)?;
            }
            if !worked {
                self.rested = self.now();
                self.breathe();
                return Ok(());
            }
        }
        Err("I12: the engine never rests".to_owned())
    }

    /// Nothing is left to do. With room for longer than a lock, every lease has ended that was to end meanwhile; on the disk
    /// some have not.
    fn breathe(&mut self) {
        let locks = self.model.groups.values().map(|group| group.bounds.lock_high);
        let (lock, now) = (locks.max().unwrap_or(0), self.now());
        if let Some(running) = &mut self.engine
            && running.tight.is_some_and(|last| last + lock + LATEST < now)
        {
            running.tight = None;
            self.model.cramped();
        }
    }

    /// Runs a query while nothing else is asked. `None` if there is no answer.
    pub(crate) fn ask<T>(&mut self, future: impl Future<Output = T>) -> Result<Option<T>, String> {
        let mut future = std::pin::pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..1_000 {
            if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
                return Ok(Some(answer));
            }
            let mut worked = false;
            for part in PARTS {
                worked |= self.step_part(part)?;
            }
            if !worked {
                return match future.as_mut().poll(&mut context) {
                    Poll::Ready(answer) => Ok(Some(answer)),
                    Poll::Pending => Ok(None),
                };
            }
        }
        Err("I12: a query is never answered".to_owned())
    }

    /// Hears every answer that has come; what changes topics and groups last, since others may have come before it.
    fn poll(&mut self) -> Check {
        let mut context = Context::from_waker(Waker::noop());
        let mut change = None;
        let mut index = 0;
        while index < self.flights.len() {
            match self.flights[index].future.as_mut().poll(&mut context) {
                Poll::Pending => index += 1,
                Poll::Ready(answer) => {
                    let flight = self.flights.remove(index);
                    if let Call::Catalog(one) = flight.call {
                        self.deciding = Some(one);
                        change = Some((flight.call, answer));
                    } else {
                        self.answer(flight.call, answer)?;
                    }
                }
            }
        }
        self.deciding = None;
        change.map_or(Ok(()), |(call, answer)| self.answer(call, answer))
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, nanos: u64) {
        self.clock.advance(nanos);
    }

    /// Whether a change of the catalog is under way, which others keep away from.
    pub(crate) fn is_changing(&self) -> bool {
        self.change().is_some()
    }

    /// The change of the catalog that is under way.
    pub(crate) fn change(&self) -> Option<Change> {
        let mut flights = self.flights.iter();
        let flying = flights.find_map(|flight| match flight.call {
            Call::Catalog(change) => Some(change),
            _ => None,
        });
        flying.or(self.deciding)
    }

    /// Whether a change is under way that ends leases of a share partition.
    pub(crate) fn is_changing_at(&self, place: Place) -> bool {
        match self.change() {
            Some(Change::DeleteTopic(topic)) => topic == place.1,
            Some(Change::Reset(group) | Change::DeleteGroup(group)) => group == place.0,
            _ => false,
        }
    }

    /// Whether the end of a lease may be in memory alone.
    pub(crate) fn is_tight(&self) -> bool {
        self.engine.as_ref().is_none_or(|running| running.tight.is_some())
    }

    /// The engine that takes calls.
    pub(crate) fn handle(&self) -> Option<Engine> {
        self.engine.as_ref().map(|running| running.engine.clone())
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.engine.as_ref().is_some_and(|running| running.fenced)
    }

    pub(crate) fn fence(&mut self) {
        if let Some(running) = &mut self.engine
            && !running.fenced
        {
            running.fenced = true;
            self.seen.fences += 1;
        }
    }
}
