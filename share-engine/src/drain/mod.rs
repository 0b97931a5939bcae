//! Draining: moves what the journal holds into partition logs and one snapshot, so that its files are free again.
//! Owned by the drain thread; a simulation steps it. Order on disk: logs, their sync, the snapshot, then removal of
//! what the snapshot no longer lists. A crash in between leaves the older snapshot and the journal behind it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{Mailbox, ToJournal, ToShard};
use crate::hook::{Hook, Phase};
use crate::ids::{Offset, PartitionKey, TopicId};
use crate::journal::{GrownFile, Growth, JournalError, Position};
use crate::log::{LogError, LogIdentity, LogOptions, LogReader, LogState, LogWriter, delete_log};
use crate::record::StoredBatch;
use crate::snapshot::{self, SectionKind, SnapshotError};
use crate::storage::Storage;

#[cfg(any(test, feature = "testing"))]
mod fuzz;
mod image;

#[cfg(any(test, feature = "testing"))]
pub use fuzz::fuzz_image;
pub(crate) use image::{Image, PartitionImage, encode_catalog, encode_share};

/// What the drain thread is told.
pub(crate) enum ToDrain {
    /// Move this to disk.
    Job(Box<DrainJob>),
    /// Make one more ring file.
    Grow(Growth),
    /// End.
    Stop,
}

/// Everything durable up to one journal position.
pub(crate) struct DrainJob {
    /// Up to where.
    pub(crate) position: Position,
    /// The catalog.
    pub(crate) catalog: Bytes,
    /// The share partitions.
    pub(crate) shares: Vec<Bytes>,
    /// The partitions with what is to be added to their logs.
    pub(crate) partitions: Vec<PartitionDrain>,
    /// Directories of logs whose topics are gone.
    pub(crate) deleted: Vec<(PartitionKey, String)>,
}

/// One partition's part of a job.
pub(crate) struct PartitionDrain {
    pub(crate) key: PartitionKey,
    pub(crate) directory: String,
    pub(crate) topic_id: TopicId,
    pub(crate) options: LogOptions,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) batches: Vec<StoredBatch>,
    /// Segments, by base and end offset, that are finished with. One that grows meanwhile is kept.
    pub(crate) drop: Vec<(Offset, Offset)>,
}

/// What a job came to.
pub(crate) struct DrainDone {
    pub(crate) position: Position,
    pub(crate) result: Result<Vec<DrainedLog>, DrainError>,
}

/// A log after a job.
pub(crate) struct DrainedLog {
    pub(crate) key: PartitionKey,
    pub(crate) state: LogState,
    pub(crate) reader: Option<LogReader>,
    /// Everything before this offset is in the log or was finished with.
    pub(crate) drained: Offset,
}

/// A job that failed; it is tried again, and the journal keeps what it holds.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrainError {
    /// A partition log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The snapshot failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// What lies under the directory's name now is not ours to write to.
    #[error("{0}")]
    Lost(String),
}

impl DrainError {
    /// Whether there was no room on the disk.
    fn is_full(&self) -> bool {
        let (Self::Log(LogError::Io { source, .. }) | Self::Snapshot(SnapshotError::Io { source, .. })) = self else {
            return false;
        };
        source.kind() == std::io::ErrorKind::StorageFull
    }
}

/// The drain thread's state.
pub(crate) struct Drainer {
    storage: Arc<dyn Storage>,
    directory_id: u128,
    writers: BTreeMap<PartitionKey, LogWriter>,
    /// As the last snapshot lists them: what a failed log is opened again with.
    known: BTreeMap<PartitionKey, LogState>,
    /// The position of the last snapshot.
    snapshot: Option<u64>,
    /// A later one may be there, although its write failed.
    uncertain: bool,
    reserve: Reserve,
    hook: Hook,
    inbox: Arc<Mailbox<ToDrain>>,
    queue: VecDeque<ToDrain>,
    shard: Arc<Mailbox<ToShard>>,
    journal: Arc<Mailbox<ToJournal>>,
    stopped: bool,
}

/// What a drainer is made of.
pub(crate) struct DrainerInit {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) directory_id: u128,
    pub(crate) reserve_bytes: u64,
    pub(crate) writers: BTreeMap<PartitionKey, LogWriter>,
    pub(crate) snapshot: Option<u64>,
    pub(crate) hook: Hook,
    pub(crate) inbox: Arc<Mailbox<ToDrain>>,
    pub(crate) shard: Arc<Mailbox<ToShard>>,
    pub(crate) journal: Arc<Mailbox<ToJournal>>,
}

/// However its thread ends: nobody waits for an answer of it any more.
impl Drop for Drainer {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

/// What is said of a ring that does not grow, for whoever tells a full disk from other failures.
pub const NEARLY_FULL: &str = "the disk is nearly full, and what is left is the reserve";

impl Drainer {
    pub(crate) fn new(init: DrainerInit) -> Self {
        let reserve = Reserve {
            bytes: init.reserve_bytes,
        };
        reserve.fill(&*init.storage);
        Self {
            reserve,
            storage: init.storage,
            directory_id: init.directory_id,
            known: init
                .writers
                .iter()
                .map(|(key, writer)| (*key, writer.state()))
                .collect(),
            writers: init.writers,
            snapshot: init.snapshot,
            uncertain: false,
            hook: init.hook,
            inbox: init.inbox,
            queue: VecDeque::new(),
            shard: init.shard,
            journal: init.journal,
            stopped: false,
        }
    }

    pub(crate) fn wait(&self) {
        self.inbox.wait(None);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped || self.inbox.is_closed()
    }

    /// Does everything that waits. `false` if there was nothing.
    pub(crate) fn step(&mut self) -> bool {
        self.inbox.take(&mut self.queue);
        let worked = !self.queue.is_empty();
        while let Some(message) = self.queue.pop_front() {
            match message {
                ToDrain::Job(job) => {
                    let position = job.position;
                    let result = self.run(&job);
                    self.shard.post(ToShard::Drained(DrainDone { position, result }));
                }
                ToDrain::Grow(growth) => {
                    let grown = self.grow(growth);
                    self.journal.post(ToJournal::Grown(grown));
                }
                ToDrain::Stop => self.stopped = true,
            }
        }
        worked
    }

    /// The ring does not grow into space that the reserve was given up for: settlements, drains and the end need it.
    fn grow(&self, growth: Growth) -> Result<GrownFile, JournalError> {
        if self.look().is_err() {
            return Err(growth.refuse("the data directory was taken away"));
        }
        self.reserve.fill(&*self.storage);
        if self.reserve.is_there(&*self.storage) {
            growth.run()
        } else {
            Err(growth.refuse(NEARLY_FULL))
        }
    }

    /// When the disk is full the reserve is given up and the job tried once more.
    fn run(&mut self, job: &DrainJob) -> Result<Vec<DrainedLog>, DrainError> {
        self.look()?;
        self.reserve.fill(&*self.storage);
        let result = self.attempt(job);
        if result.is_ok() {
            return result;
        }
        self.writers.clear();
        let full = result.as_ref().is_err_and(DrainError::is_full);
        if full && self.reserve.give_up(&*self.storage) {
            let again = self.attempt(job);
            if again.is_err() {
                self.writers.clear();
            }
            return again;
        }
        result
    }

    fn attempt(&mut self, job: &DrainJob) -> Result<Vec<DrainedLog>, DrainError> {
        if self.uncertain {
            // Before the logs are cut to what the last one lists.
            snapshot::discard_after(&*self.storage, self.snapshot)?;
            self.uncertain = false;
        }
        let mut logs = Vec::new();
        let mut images = Vec::new();
        for part in &job.partitions {
            self.look()?;
            let state = self.drain_partition(part)?;
            images.push(PartitionImage {
                key: part.key,
                start: part.start,
                end: part.end,
                log: state.clone(),
            });
            let reader = self.writers.get(&part.key).map(LogWriter::reader);
            logs.push(DrainedLog {
                key: part.key,
                state,
                reader,
                drained: part.end,
            });
        }
        self.hook.reach(Phase::LogsSynced);
        let partitions = image::encode_partitions(&images);
        let mut sections = vec![
            (SectionKind::Catalog, job.catalog.clone()),
            (SectionKind::PartitionLogs, partitions),
        ];
        sections.extend(
            job.shares
                .iter()
                .map(|share| (SectionKind::SharePartition, share.clone())),
        );
        self.look()?;
        self.uncertain = true;
        snapshot::write(
            &*self.storage,
            self.directory_id,
            job.position.get(),
            &sections,
            &self.hook,
        )?;
        // Before it counts, so that a drain which ends here can be repeated.
        self.look()?;
        self.uncertain = false;
        self.snapshot = Some(job.position.get());
        for log in &logs {
            self.known.insert(log.key, log.state.clone());
        }
        self.clean_up(job);
        Ok(logs)
    }

    /// Files are opened by path: not in a directory that has taken the place of ours.
    fn look(&self) -> Result<(), DrainError> {
        self.storage
            .lost()
            .map_or(Ok(()), |reason| Err(DrainError::Lost(reason)))
    }

    fn drain_partition(&mut self, part: &PartitionDrain) -> Result<LogState, LogError> {
        let known = self.known.get(&part.key).cloned().unwrap_or_default();
        if part.batches.is_empty() && known.segments.is_empty() {
            return Ok(known);
        }
        let writer = match self.writers.entry(part.key) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let identity = LogIdentity {
                    directory_id: self.directory_id,
                    topic_id: part.topic_id,
                };
                let storage = Arc::clone(&self.storage);
                let writer = LogWriter::resume(storage, &part.directory, identity, part.options, &known)?;
                entry.insert(writer)
            }
        };
        writer.set_options(part.options);
        // Before anything is appended: the last segment would take it, and go with it.
        if !part.drop.is_empty() {
            writer.drop_segments(|segment| part.drop.contains(&(segment.base, segment.end)));
        }
        writer.append(&part.batches)?;
        writer.sync()?;
        Ok(writer.state())
    }

    /// Removal of what no snapshot lists any more. What fails here is tried again with the next job, and removed by
    /// the next open.
    fn clean_up(&mut self, job: &DrainJob) {
        drop(snapshot::prune(&*self.storage));
        for writer in self.writers.values_mut().filter(|writer| writer.has_dropped()) {
            drop(writer.remove_dropped());
        }
        for (key, directory) in &job.deleted {
            self.writers.remove(key);
            self.known.remove(key);
            // The topic may have been made again meanwhile: the directory is the new log's then.
            if job.partitions.iter().all(|part| part.directory != *directory) {
                drop(delete_log(&*self.storage, directory));
            }
        }
    }
}

/// Space set aside for the time when the disk is full.
struct Reserve {
    bytes: u64,
}

impl Reserve {
    const FILE: &'static str = "reserve";
    const CHUNK: usize = 64 << 10;

    /// Makes the reserve if it is not there and there is room for twice as much. Losing it is no failure.
    fn fill(&self, storage: &dyn Storage) {
        if self.is_there(storage) {
            return;
        }
        if storage
            .free_space()
            .is_ok_and(|free| free > self.bytes.saturating_mul(2))
            && self.write(storage).is_err()
        {
            drop(storage.remove(Self::FILE));
        }
    }

    /// Whether there is one, or none is wanted.
    fn is_there(&self, storage: &dyn Storage) -> bool {
        self.bytes == 0 || storage.open(Self::FILE, crate::storage::OpenMode::Read).is_ok()
    }

    fn write(&self, storage: &dyn Storage) -> std::io::Result<()> {
        let file = storage.open(Self::FILE, crate::storage::OpenMode::CreateNew)?;
        let zeros = vec![0; Self::CHUNK];
        let mut written = 0;
        while written < self.bytes {
            file.write_all_at(&zeros, written)?;
            written += zeros.len() as u64;
        }
        file.sync_data()?;
        storage.sync_dir("")
    }

    /// `true` if there was something to give up.
    fn give_up(&self, storage: &dyn Storage) -> bool {
        self.bytes > 0 && storage.remove(Self::FILE).is_ok()
    }
}
