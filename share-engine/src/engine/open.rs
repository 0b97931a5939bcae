//! Puts an engine together: recovery, the four parts, and either their threads or a pump that steps them.

use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::thread;

use super::clock::{SystemClock, SystemEntropy};
use super::gate::Gate;
use super::handle::{Engine, Inner, Routes};
use super::mailbox::Mailbox;
use super::reader::Reader;
use super::recovery::{self, Recovered};
use super::sequencer::{Sequencer, SequencerInit};
use super::shard::{Shard, ShardInit};
use super::stats::EngineStats;
use crate::config::EngineConfig;
use crate::drain::{Drainer, DrainerInit};
use crate::entropy::Entropy;
use crate::error::OpenError;
use crate::hook::Hook;
use crate::storage::{FileStorage, FileStorageError, Storage};
use crate::time::Clock;

/// What an engine needs of the world: replaced as a whole in tests and simulations.
#[derive(Clone)]
pub struct Environment {
    /// The data directory.
    pub storage: Arc<dyn Storage>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub entropy: Arc<dyn Entropy>,
    /// Called at the phases of its work, in tests.
    pub hook: Hook,
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The engine was closed before, or is new.
    pub clean: bool,
    /// Entries read back from the journal.
    pub entries: u64,
    /// The file, offset and length of a group that was being written when the process ended.
    pub torn: Option<(String, u64, u64)>,
    /// Records that an earlier process held.
    pub held: u64,
}

/// The four parts of an engine.
struct Parts {
    sequencer: Sequencer,
    shard: Shard,
    drainer: Drainer,
    reader: Reader,
}

impl Engine {
    /// Opens a data directory, making it if it does not exist, and starts the engine's threads.
    pub fn open(directory: impl AsRef<Path>, config: EngineConfig) -> Result<(Self, RecoveryReport), OpenError> {
        let storage = FileStorage::open_or_create(directory.as_ref())?;
        let environment = Environment {
            storage: Arc::new(storage),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            hook: Hook::default(),
        };
        Self::open_in(environment, config)
    }

    /// As [`Engine::open`], in an environment of the caller's.
    pub fn open_in(environment: Environment, config: EngineConfig) -> Result<(Self, RecoveryReport), OpenError> {
        let clock = Arc::clone(&environment.clock);
        let (engine, parts, report) = build(environment, config)?;
        let Parts {
            mut sequencer,
            mut shard,
            mut drainer,
            mut reader,
        } = parts;
        let mut threads = Vec::new();
        let mut spawn = |name: &str, body: Box<dyn FnOnce() + Send>| -> Result<(), OpenError> {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
            threads.push(thread.map_err(|source| OpenError::Io {
                context: format!("cannot start thread {name}"),
                source,
            })?);
            Ok(())
        };
        spawn(
            "journal",
            Box::new(move || {
                while !sequencer.is_closed() {
                    sequencer.wait();
                    sequencer.step();
                }
            }),
        )?;
        spawn(
            "shard",
            Box::new(move || {
                while !shard.is_closed() {
                    shard.wait(clock.now().monotonic);
                    shard.step(clock.now());
                }
            }),
        )?;
        spawn(
            "drain",
            Box::new(move || {
                while !drainer.is_stopped() {
                    drainer.wait();
                    drainer.step();
                }
            }),
        )?;
        spawn(
            "reader",
            Box::new(move || {
                while !reader.is_stopped() {
                    reader.wait();
                    reader.step();
                }
            }),
        )?;
        *engine
            .inner
            .threads
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = threads;
        Ok((engine, report))
    }

    /// As [`Engine::open_in`], without threads: nothing happens but what the pump steps.
    #[cfg(any(test, feature = "testing"))]
    pub fn open_stepped(
        environment: Environment,
        config: EngineConfig,
    ) -> Result<(Self, Pump, RecoveryReport), OpenError> {
        let clock = Arc::clone(&environment.clock);
        let (engine, parts, report) = build(environment, config)?;
        Ok((engine, Pump { parts, clock }, report))
    }
}

fn build(environment: Environment, config: EngineConfig) -> Result<(Engine, Parts, RecoveryReport), OpenError> {
    config.check()?;
    let Environment {
        storage,
        clock,
        entropy,
        hook,
    } = environment;
    let now = clock.now();
    let Recovered {
        directory_id,
        world,
        writers,
        journal,
        position,
        report,
    } = recovery::recover(&storage, &config, &*entropy, hook.clone(), now)?;
    let report = RecoveryReport {
        clean: report.clean,
        entries: report.entries,
        torn: report.torn.map(|torn| (torn.file, torn.offset, torn.bytes)),
        held: recovery::held(&world).iter().map(|(_, held)| held).sum(),
    };
    let to_shard = Arc::new(Mailbox::default());
    let to_journal = Arc::new(Mailbox::default());
    let to_reader = Arc::new(Mailbox::default());
    let to_drain = Arc::new(Mailbox::default());
    let stats = Arc::new(EngineStats::default());
    let routes = Arc::new(Routes::default());
    let sequencer = Sequencer::new(SequencerInit {
        journal,
        partitions: recovery::registrations(&world),
        durability: config.durability,
        group_bytes: config.limits.group_bytes,
        inbox: Arc::clone(&to_journal),
        shard: Arc::clone(&to_shard),
        drain: Arc::clone(&to_drain),
        clock: Arc::clone(&clock),
        stats: Arc::clone(&stats),
    });
    let drainer = Drainer::new(DrainerInit {
        storage,
        directory_id,
        segment_bytes: config.segment_bytes,
        reserve_bytes: config.reserve_bytes,
        writers,
        hook: hook.clone(),
        inbox: Arc::clone(&to_drain),
        shard: Arc::clone(&to_shard),
        journal: Arc::clone(&to_journal),
    });
    let reader = Reader::new(Arc::clone(&to_reader), Arc::clone(&to_shard));
    let init = ShardInit {
        config: config.clone(),
        world,
        routes: Arc::clone(&routes),
        position,
        inbox: Arc::clone(&to_shard),
        journal: Arc::clone(&to_journal),
        reader: to_reader,
        drain: to_drain,
        entropy,
        stats: Arc::clone(&stats),
        hook,
    };
    let shard = Shard::new(init, now);
    let inner = Inner {
        shard: to_shard,
        journal: to_journal,
        routes,
        gate: Gate::new(config.limits.produce_bytes),
        clock,
        stats,
        config,
        threads: Mutex::new(Vec::new()),
        turn: AtomicU32::new(0),
    };
    Ok((
        Engine { inner: Arc::new(inner) },
        Parts {
            sequencer,
            shard,
            drainer,
            reader,
        },
        report,
    ))
}

/// Steps the parts of an engine one at a time, on the caller's thread.
#[cfg(any(test, feature = "testing"))]
pub struct Pump {
    parts: Parts,
    clock: Arc<dyn Clock>,
}

/// One part of an engine.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Sequences, writes, syncs.
    Journal,
    /// Owns what is known.
    Shard,
    /// Writes logs and snapshots.
    Drain,
    /// Reads them back.
    Reader,
}

#[cfg(any(test, feature = "testing"))]
impl Pump {
    /// Steps one part; `false` if it had nothing to do.
    pub fn step(&mut self, part: Part) -> bool {
        match part {
            Part::Journal => self.parts.sequencer.step(),
            Part::Shard => self.parts.shard.step(self.clock.now()),
            Part::Drain => self.parts.drainer.step(),
            Part::Reader => self.parts.reader.step(),
        }
    }

    /// Steps all parts until none has anything to do at this moment of the clock.
    pub fn run(&mut self) {
        while [Part::Shard, Part::Journal, Part::Drain, Part::Reader]
            .map(|part| self.step(part))
            .contains(&true)
        {}
    }

    /// Runs a future to its end, stepping all parts meanwhile.
    ///
    /// # Panics
    /// If it waits for something that only time brings.
    pub fn wait<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            let before = [Part::Shard, Part::Journal, Part::Drain, Part::Reader].map(|part| self.step(part));
            if !before.contains(&true)
                && let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context)
            {
                return output;
            }
            assert!(
                before.contains(&true),
                "nothing is left to do, and the future still waits"
            );
        }
    }

    /// When the engine has something to do by itself.
    pub fn poll_deadline(&self) -> crate::time::Instant {
        self.parts.shard.poll_deadline()
    }
}

impl From<FileStorageError> for OpenError {
    fn from(error: FileStorageError) -> Self {
        match error {
            FileStorageError::InUse { directory, pid } => Self::InUse {
                directory: directory.display().to_string(),
                holder: pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")),
            },
            FileStorageError::Io { directory, source } => Self::Io {
                context: format!("cannot open data directory {}", directory.display()),
                source,
            },
        }
    }
}
