//! The differential run: sequences of operations that follow from a seed, each done by a real broker and by our share partition in
//! Kafka's mode, and every answer compared.
//!
//! After each step: what was acquired (ranges, delivery counts), or what was answered to an acknowledgement; the start offset; and
//! what the broker's share coordinator has written of every record. At the end everything is fetched and accepted, so that
//! nothing that came apart stays unseen.
//!
//! Locks last for a second of real time at the broker, and on a clock that is set on our side. That clock is a schedule:
//! the broker is never asked before its time, and a sequence that falls behind while anything is held is begun anew.

#![allow(clippy::cast_possible_truncation, reason = "numbers of one sequence are small")]

mod broker;
mod engine;
mod many;
mod meant;
mod operation;
mod plan;
mod report;
mod schedule;
mod script;
mod sequence;
mod talk;

use std::time::{Duration, Instant};

pub use share_engine::testing::plant::Plant;

pub use self::many::{Brokers, Options, Replayed, Summary};
pub use self::report::{Failure, Tally};

/// Members of a sequence.
const MEMBERS: usize = 3;

/// Of an acquisition: the shortest that brokers allow.
const LOCK: Duration = Duration::from_secs(1);

/// Milliseconds on the schedule for one step.
const STEP: u64 = 15;
/// The same for a step whose end the broker tells nobody.
const SETTLES: u64 = 60;
/// How many a broker may take to end locks that are over.
const ENDS: u64 = 130;
/// How many pass when locks are to grow old.
const AGE: u64 = 450;

/// How much a broker may be late: more at each new beginning, since the machine may be busy. Well below half a lock in all.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// In milliseconds on the schedule, with any step.
    late: u64,
}

impl Patience {
    /// After so many beginnings that were too slow.
    fn after(slow: u64) -> Self {
        Self {
            late: match slow {
                0..4 => 130,
                4..8 => 220,
                _ => 300,
            },
        }
    }

    /// With less than this left of a lock nothing is done but to wait for its end.
    fn at_stake(self) -> u64 {
        SETTLES + self.late + 10
    }

    /// Locks of which one ends so long after the other do not end together.
    fn apart(self) -> u64 {
        self.at_stake() + ENDS + 60
    }
}

/// What a broker is started with, and our share partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Limits {
    pub(crate) deliveries: u16,
    /// In offsets; brokers allow no less than 100.
    pub(crate) window: u32,
}

/// Kafka 4.2 has these as settings of brokers alone.
const LIMITS: [Limits; 4] = [
    Limits {
        deliveries: 5,
        window: 100,
    },
    Limits {
        deliveries: 2,
        window: 100,
    },
    Limits {
        deliveries: 3,
        window: 140,
    },
    Limits {
        deliveries: 10,
        window: 110,
    },
];

/// Of the sequence with this seed.
fn limits(seed: u64) -> Limits {
    LIMITS[(seed % LIMITS.len() as u64) as usize]
}

/// Asks again and again until there is an answer: brokers tell nobody when they are done.
fn until<T>(what: &str, mut ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        anyhow::ensure!(began.elapsed() < crate::AMPLE, "{what}: not within {:?}", crate::AMPLE);
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
