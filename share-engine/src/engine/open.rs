//! Puts an engine together: recovery, the four parts, and either their threads or a pump that steps them.

use std::path::Path;
use std::sync::Arc;

use super::clock::{SystemClock, SystemEntropy};
use super::desk::{Counter, Desk};
use super::gate::Gate;
use super::handle::{Engine, Inner};
use super::mailbox::Mailbox;
use super::reader::Reader;
use super::recovery::{self, Recovered};
use super::routes::Routes;
use super::sequencer::{Ended, Sequencer, SequencerInit};
use super::shard::{Shard, ShardInit, ToReader};
use super::stats::EngineStats;
use super::sync::Mutex;
use super::sync::atomic::AtomicU32;
use super::threads::{self, Threads};
use crate::config::EngineConfig;
use crate::drain::{Drainer, DrainerInit, ToDrain};
use crate::entropy::Entropy;
use crate::error::OpenError;
use crate::hook::Hook;
use crate::storage::{FileStorage, FileStorageError, Storage};
use crate::time::{Clock, Now};

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

impl Environment {
    /// A directory of this machine, its clocks and its random numbers. Takes the directory's lock.
    pub fn system(directory: impl AsRef<Path>) -> Result<Self, OpenError> {
        let storage = FileStorage::open_or_create(directory.as_ref())?;
        Ok(Self {
            storage: Arc::new(storage),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            hook: Hook::default(),
        })
    }
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
pub(super) struct Parts {
    pub(super) desk: Arc<Desk>,
    pub(super) shard: Shard,
    pub(super) drainer: Drainer,
    pub(super) reader: Reader,
    pub(super) ways: Ways,
}

impl Engine {
    /// Opens a data directory, making it if it does not exist, and starts the engine's threads.
    pub fn open(directory: impl AsRef<Path>, config: EngineConfig) -> Result<(Self, RecoveryReport), OpenError> {
        Self::open_in(Environment::system(directory)?, config)
    }

    /// As [`Engine::open`], in an environment of the caller's.
    pub fn open_in(environment: Environment, config: EngineConfig) -> Result<(Self, RecoveryReport), OpenError> {
        let (engine, parts, report) = build(environment, config)?;
        parts.start(&engine, &mut threads::spawn)?;
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
        let together = false;
        Ok((engine, Pump { parts, clock, together }, report))
    }
}

/// The ways between the parts.
#[derive(Clone, Default)]
pub(super) struct Ways {
    pub(super) counter: Arc<Counter>,
    pub(super) reader: Arc<Mailbox<ToReader>>,
    pub(super) drain: Arc<Mailbox<ToDrain>>,
    pub(super) stats: Arc<EngineStats>,
    pub(super) ended: Arc<Ended>,
    routes: Arc<Routes>,
    hook: Hook,
}

pub(super) fn build(
    environment: Environment,
    mut config: EngineConfig,
) -> Result<(Engine, Parts, RecoveryReport), OpenError> {
    config.check()?;
    let Environment {
        storage,
        clock,
        entropy,
        hook,
    } = environment;
    let now = clock.now();
    let recovered = recovery::recover(&storage, &config, &*entropy, hook.clone(), now)?;
    // Fixed when the directory was made, whatever is wished now.
    config.journal_file_bytes = recovered.journal.file_size();
    config.limits.group_bytes = config.limits.group_bytes.min(config.journal_file_bytes / 2);
    let report = RecoveryReport {
        clean: recovered.report.clean,
        entries: recovered.report.entries,
        torn: recovered
            .report
            .torn
            .as_ref()
            .map(|torn| (torn.file.clone(), torn.offset, torn.bytes)),
        held: recovery::held(&recovered.world).iter().map(|(_, held)| held).sum(),
    };
    let ways = Ways {
        hook,
        ..Ways::default()
    };
    let parts = parts(recovered, storage, &clock, entropy, &config, &ways, now);
    let inner = Inner {
        counter: ways.counter,
        routes: ways.routes,
        gate: Gate::new(config.limits.produce_bytes),
        clock,
        stats: ways.stats,
        config,
        threads: Mutex::new(Threads::default()),
        ended: ways.ended,
        turn: AtomicU32::new(0),
    };
    Ok((Engine { inner: Arc::new(inner) }, parts, report))
}

fn parts(
    recovered: Recovered,
    storage: Arc<dyn Storage>,
    clock: &Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: &EngineConfig,
    ways: &Ways,
    now: Now,
) -> Parts {
    let sequencer = Sequencer::new(SequencerInit {
        journal: recovered.journal,
        partitions: recovery::registrations(&recovered.world),
        durability: config.durability,
        group_bytes: config.limits.group_bytes,
        inbox: Arc::clone(&ways.counter.journal),
        shard: Arc::clone(&ways.counter.shard),
        drain: Arc::clone(&ways.drain),
        clock: Arc::clone(clock),
        stats: Arc::clone(&ways.stats),
        ended: Arc::clone(&ways.ended),
    });
    let drainer = Drainer::new(DrainerInit {
        storage,
        directory_id: recovered.directory_id,
        reserve_bytes: config.reserve_bytes,
        writers: recovered.writers,
        snapshot: recovered.snapshot,
        hook: ways.hook.clone(),
        inbox: Arc::clone(&ways.drain),
        shard: Arc::clone(&ways.counter.shard),
        journal: Arc::clone(&ways.counter.journal),
    });
    let init = ShardInit {
        config: config.clone(),
        world: recovered.world,
        routes: Arc::clone(&ways.routes),
        position: recovered.position,
        crashed: !recovered.report.clean,
        inbox: Arc::clone(&ways.counter.shard),
        journal: Arc::clone(&ways.counter.journal),
        reader: Arc::clone(&ways.reader),
        drain: Arc::clone(&ways.drain),
        entropy,
        stats: Arc::clone(&ways.stats),
        hook: ways.hook.clone(),
    };
    Parts {
        desk: Arc::new(Desk::new(sequencer, Arc::clone(&ways.counter))),
        shard: Shard::new(init, now),
        drainer,
        reader: Reader::new(Arc::clone(&ways.reader), Arc::clone(&ways.counter.shard)),
        ways: ways.clone(),
    }
}

/// Steps the parts of an engine one at a time, on the caller's thread.
#[cfg(any(test, feature = "testing"))]
pub struct Pump {
    parts: Parts,
    clock: Arc<dyn Clock>,
    together: bool,
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
    /// Whether the shard, when it is stepped, commits by itself what there is to commit; without, only the journal's steps commit.
    pub fn set_together(&mut self, together: bool) {
        self.together = together;
    }

    /// Steps one part; `false` if it had nothing to do.
    pub fn step(&mut self, part: Part) -> bool {
        match part {
            Part::Journal => self.parts.desk.step(),
            Part::Shard if self.together => self.parts.desk.turn(&mut self.parts.shard, &*self.clock),
            Part::Shard => self.parts.shard.step(&*self.clock),
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

    /// Bytes of the journal in use, and in all, as the shard last heard.
    pub fn ring(&self) -> (u64, u64) {
        self.parts.shard.ring()
    }

    /// When the engine has something to do by itself.
    pub fn next_deadline(&self) -> crate::time::Instant {
        self.parts.shard.poll_deadline()
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
