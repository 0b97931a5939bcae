//! A scenario as data: its name, what it needs, what it does, and where it comes out differently.

use std::pin::Pin;

use kafka_cluster::Version;

use super::backend::Place;
use super::case::Case;

/// What a scenario does. It panics if it does not hold.
pub type Run = fn(Case) -> Pin<Box<dyn Future<Output = ()>>>;

/// A line of the matrix.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub stage: Stage,
    pub run: Run,
    pub differs: Vec<Difference>,
}

/// What a scenario needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// One broker for all, which goes on.
    Shared,
    /// The only broker, or the engine, is killed and comes back.
    Restart,
    /// Three brokers, of which the one that leads is killed.
    Leaders,
}

/// Another behaviour, asserted by itself.
#[derive(Clone, Debug)]
pub struct Difference {
    pub on: On,
    /// What stands in ARCHITECTURE.md.
    pub anchor: &'static str,
    pub run: Run,
}

/// Where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Embedded,
    Kafka,
    Only(Version),
}

impl On {
    fn holds(self, place: Place) -> bool {
        match self {
            Self::Embedded => place == Place::Embedded,
            Self::Kafka => place != Place::Embedded,
            Self::Only(version) => place == Place::Kafka(version),
        }
    }
}

impl Scenario {
    pub fn new(stage: Stage, name: &'static str, run: Run) -> Self {
        Self {
            name,
            stage,
            run,
            differs: Vec::new(),
        }
    }

    #[must_use]
    pub fn differs(mut self, on: On, anchor: &'static str, run: Run) -> Self {
        self.differs.push(Difference { on, anchor, run });
        self
    }

    /// What is run there.
    pub(super) fn on(&self, place: Place) -> (Run, Option<&'static str>) {
        let other = self.differs.iter().find(|difference| difference.on.holds(place));
        other.map_or((self.run, None), |other| (other.run, Some(other.anchor)))
    }
}
