//! The simulator: the engine as it is, on a clock, a disk and an order of steps that all follow from one number, and a
//! model that judges every answer by the promises I1 to I8, I10 and I13. The same number gives the same run.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of topics, partitions and records of one run are small"
)]

mod act;
mod answers;
mod calm;
pub(crate) mod chance;
mod change;
mod changed;
mod clock;
mod coverage;
mod crash;
mod flip;
mod harm;
mod look;
mod many;
mod model;
mod plan;
mod slow;
mod trace;
mod world;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};

use share_engine::config::Durability;
use share_engine::storage::MemoryStorage;
use share_engine::testing::plant;
pub use share_engine::testing::plant::Plant;

use self::chance::Chance;
use self::clock::SetClock;
pub use self::coverage::Coverage;
pub use self::many::{Summary, many};
use self::model::Model;
use self::plan::{GROUPS, Plan, TOPICS};
use self::trace::Trace;
use self::world::{Change, Wish, World};

/// What a run is told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything else follows from it.
    pub seed: u64,
    /// Steps before everything has to settle.
    pub steps: u64,
    /// Leave actions out and prefer others, as the seed says.
    pub swarm: bool,
    /// Tell every call and answer.
    pub verbose: bool,
    /// A bug to plant. It stays planted for the life of the process.
    pub plant: Option<Plant>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Equal for equal seeds.
    pub hash: u64,
    /// What was exercised.
    pub seen: Coverage,
}

/// A promise that was broken, or a panic, with what is needed to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Of the run.
    pub options: Options,
    /// When.
    pub step: u64,
    /// What.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Options { seed, steps, swarm, .. } = self.options;
        let swarm = if swarm { " --swarm" } else { "" };
        let plant = self
            .options
            .plant
            .map_or_else(String::new, |plant| format!(" --plant {plant}"));
        write!(
            f,
            "seed {seed}, step {}: {}\nagain: simulate --seed {seed} --steps {steps}{swarm}{plant}",
            self.step, self.what
        )
    }
}

impl Failure {
    /// What noticed a bug: the promise that was broken, or the engine's own assertions. `None` if it is neither.
    pub fn noticed(&self) -> Option<String> {
        let tripped = || self.what.starts_with(TRIPPED).then(|| "tripped the engine".to_owned());
        self.promise()
            .map(|promise| format!("broke {promise}"))
            .or_else(tripped)
    }

    /// The promise that was broken, such as `I7`.
    fn promise(&self) -> Option<&str> {
        let mut words = self.what.split([' ', '\n']).filter_map(|word| word.strip_suffix(':'));
        words.find(|word| {
            let number = word.strip_prefix('I');
            number.is_some_and(|number| number.parse::<u8>().is_ok())
        })
    }
}

/// How a failure begins that is a panic of the engine.
const TRIPPED: &str = "the engine panicked";

/// Does one run.
///
/// # Errors
/// A promise was broken, or the engine panicked.
pub fn run(options: Options) -> Result<Report, Failure> {
    if let Some(plant) = options.plant {
        plant::arm(plant);
    }
    let step = Cell::new(0);
    let failure = |what: String| Failure {
        options,
        step: step.get(),
        what,
    };
    note_places();
    match catch_unwind(AssertUnwindSafe(|| steps(options, &step))) {
        Ok(result) => result.map_err(failure),
        Err(payload) => {
            let text = payload.downcast_ref::<&'static str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let place = PLACE.take();
            let whose = if place.starts_with(ENGINE) { TRIPPED } else { "panicked" };
            Err(failure(format!(
                "{whose} at {place}: {}",
                text.unwrap_or("without a message")
            )))
        }
    }
}

/// Notes where a panic began, beside what else is done with it.
fn note_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PLACE.set(info.location().map_or_else(String::new, ToString::to_string));
            before(info);
        }));
    });
}

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Where the engine's own assertions stand: a panic of the simulator proves nothing.
const ENGINE: &str = "share-engine/src/";

fn steps(options: Options, step: &Cell<u64>) -> Result<Report, String> {
    let mut world = World::new(options);
    world.open().map_err(|error| format!("a new directory: {error}"))?;
    world.set_up()?;
    for number in 1..=options.steps {
        step.set(number);
        world.act()?;
    }
    step.set(options.steps + 1);
    world.calm()?;
    world.seen.disk_calls += world.disk.calls();
    world.seen.crowded += u64::from(world.plan.crowded);
    world.seen.grown += world.grown();
    world.seen.dropped += world.model.dropped;
    world.seen.back += world.model.back;
    world.seen.stalls += world.clock.stalls();
    world.seen.letters = world.model.letters.values().map(|count| u64::from(*count)).sum();
    Ok(Report {
        hash: world.trace.hash(),
        seen: world.seen,
    })
}

impl World {
    fn new(options: Options) -> Self {
        let mut chance = Chance::new(options.seed);
        let plan = Plan::new(&mut chance, options.swarm);
        Self {
            disk: MemoryStorage::new(chance.next()),
            clock: Arc::new(SetClock::default()),
            plan,
            chance,
            engine: None,
            flights: Vec::new(),
            actors: Vec::new(),
            past: Vec::new(),
            model: Model::default(),
            trace: Trace::default(),
            seen: Coverage::default(),
            faulty: false,
            verbose: options.verbose,
            wish: Wish::default(),
            deciding: None,
            doubt: None,
            emits: Vec::new(),
            laps: 0,
            rested: 0,
            closed: None,
        }
    }

    /// Topics and groups to begin with.
    fn set_up(&mut self) -> model::Check {
        self.say(|| format!("{:?}", self.plan));
        for topic in 0..TOPICS {
            self.change_to(Change::CreateTopic(topic))?;
            self.rest()?;
        }
        for group in 0..GROUPS {
            self.change_to(Change::CreateGroup(group))?;
            self.rest()?;
            for topic in 0..=group {
                self.change_to(Change::Subscribe(group, topic))?;
                self.rest()?;
            }
        }
        if self.plan.engine.durability == Durability::Os {
            self.model.fickle = true;
            // What there is by now is there for good.
            self.close()?;
        }
        Ok(())
    }
}
