//! What the threads say to each other. The journal thread hears entries and answers in journal order.

use std::sync::Arc;

use bytes::Bytes;

use super::gate::Pass;
use super::gauge::TopicGauge;
use super::reply::Sender;
use crate::catalog::CatalogChange;
use crate::error::{Fenced, ProduceError};
use crate::ids::{Offset, PartitionKey, ShareKey};
use crate::journal::{GrownFile, JournalError, Position};
use crate::record::StoredBatch;
use crate::share::Change;

/// What the journal thread is told.
#[derive(Debug)]
pub(crate) enum ToJournal {
    /// Write this, whole or not at all.
    Entry(Entry),
    /// The ring before this position is in logs and snapshots.
    FreeBefore(Position),
    /// A ring file that was ordered is ready.
    Grown(Result<GrownFile, JournalError>),
    /// Look whether the data directory is still ours; said once a second.
    CheckDirectory,
    /// Write the end entry, answer everybody who closes and stop.
    Close(Vec<Sender<Result<(), Fenced>>>),
}

/// A partition that the sequencer assigns offsets for.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) partition: PartitionKey,
    pub(crate) end: Offset,
    pub(crate) gauge: Arc<TopicGauge>,
}

/// Operations that reach the disk together.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) operations: Vec<Operation>,
    pub(crate) origin: Origin,
}

/// One operation of an entry.
#[derive(Debug)]
pub(crate) enum Operation {
    /// A record batch; its base offset is assigned by the sequencer.
    Append(Append),
    /// Changes of one share partition.
    Share { share: ShareKey, changes: Vec<Change> },
    /// A change of the catalog, with the sequencer's view of new partitions.
    Catalog {
        change: CatalogChange,
        bytes: Vec<u8>,
        register: Vec<Registration>,
        forget: Vec<PartitionKey>,
    },
}

/// A record batch to append.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) partition: PartitionKey,
    pub(crate) batch: Bytes,
    pub(crate) records: u32,
    pub(crate) admission: Admission,
}

/// Whether an append may be refused for lack of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// A produce or an emit: refused above the topic's limit and above 3/4 of the ring.
    Bounded,
    /// A dead letter or a redrive: part of a settlement, which must go on.
    Always,
}

/// Who waits for an entry.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A producer; answered by the journal thread itself.
    Producer {
        reply: Sender<Result<Offset, ProduceError>>,
        pass: Option<Pass>,
    },
    /// The shard, by token.
    Shard(u64),
}

/// What became of one entry, told to the shard in journal order.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The shard's token, if it was the shard's entry.
    pub(crate) token: Option<u64>,
    /// Appended batches with their offsets.
    pub(crate) appended: Vec<(PartitionKey, StoredBatch)>,
    /// Catalog changes.
    pub(crate) catalog: Vec<CatalogChange>,
}

/// What the journal thread tells the shard.
#[derive(Debug)]
pub(crate) enum FromJournal {
    /// A group is durable.
    Group {
        /// Its entries in order.
        entries: Vec<Committed>,
        /// Where the group ends.
        end: Position,
        /// Bytes of the ring in use, and in all.
        used: u64,
        capacity: u64,
    },
    /// Files were freed or added.
    Ring { used: u64, capacity: u64 },
    /// The shard's entry was refused before its first byte.
    Refused { token: u64, error: ProduceError },
    /// A write or sync failed; nothing more is accepted.
    Fenced(Fenced),
}
