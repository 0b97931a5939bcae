//! Where records come from and outcomes go to: the seam between the host loop and a backend. Implemented by the embedded engine, by a
//! Kafka share group, and by [`ScriptedSource`] in tests; called by dispatchers, lanes and nobody else.

mod delivery;
mod embedded;
#[cfg(feature = "kafka")]
mod kafka;
mod scripted;
mod settlement;

use std::time::Duration;

use share_engine::ids::LeaseKey;
use share_engine::time::Instant;

pub use crate::handler::BoxFuture;
pub use delivery::{Delivery, Header, Headers, Payload, RecordFields, RecordView, TimestampKind};
pub use embedded::{EmbeddedProducer, EmbeddedSource};
#[cfg(feature = "kafka")]
pub use kafka::{
    KafkaContext, KafkaOptions, KafkaProducer, KafkaSource, Letters, ProduceFailure, Produced, PropertiesError,
    ToProduce, retry_topic,
};
pub use scripted::{ScriptedSource, ScriptedState};
pub use settlement::{Cause, Evidence, RefusedBy, SettleResult, Settlement, Verdict};

/// One member of one share group on one topic, as the host sees it. All methods may be called at once from any thread, none blocks,
/// every one is cancelled by dropping its future.
pub trait Source: Send + Sync + 'static {
    /// Resolves as soon as at least one record is acquired, with at most `credit` records (a little more where whole batches are given).
    /// An empty answer means that the source takes no further call just now. Dropping the future, or resolving to
    /// nobody, gives back what was acquired, the attempt not counted where the backend can do that. At most two calls are pending at once.
    fn acquire(&self, credit: Credit) -> BoxFuture<'_, Result<Vec<Delivery>, SourceError>>;

    /// Acknowledges deliveries, each on its own: as many results as settlements, in their order. Resolves when every result is
    /// durable. Several calls may be pending at once; a lease is in at most one of them.
    fn settle(&self, batch: Vec<Settlement>) -> BoxFuture<'_, Vec<SettleResult>>;

    /// Extends leases by the group's lock, each on its own: as many results as leases, in their order.
    fn renew(&self, leases: Vec<LeaseKey>) -> BoxFuture<'_, Vec<RenewResult>>;

    /// The next event. One caller at a time.
    fn event(&self) -> BoxFuture<'_, SourceEvent>;

    /// What is left to do for this group, this member's records included.
    fn backlog(&self) -> BoxFuture<'_, Result<Backlog, SourceError>>;

    /// Leaves the group. What is still acquired becomes available again. Later calls answer [`SourceError::Closed`].
    fn leave(&self) -> BoxFuture<'_, ()>;
}

/// What a deployment has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// At most this many records, at least 1.
    pub records: u32,
    /// At most about this many bytes, unless a single record has more.
    pub bytes: u64,
}

/// What became of one `renew`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewResult {
    /// The lease now ends at this time.
    Until(Instant),
    /// The record belongs to someone else, or is finished.
    Lost,
    /// Could not be asked; the lease stands as it was.
    Unavailable,
}

/// What a source tells without being asked.
#[derive(Clone, Debug)]
pub enum SourceEvent {
    /// These deliveries are no longer this member's: their outcomes would be stale.
    LeasesLost(Vec<LeaseKey>),
    /// The member now works on this many partitions.
    AssignmentChanged {
        /// Partitions assigned; 0 means that nothing will be delivered.
        partitions: u32,
    },
    /// The backend cannot be reached or has fenced itself. Leases run on.
    Unavailable {
        /// One line.
        reason: String,
    },
    /// It can be used again.
    Available,
    /// The dead letter of a record is written that was [kept](SettleResult::Kept), or was given up without being handled.
    Buried {
        /// The record's last delivery.
        delivery: Box<Delivery>,
        /// Why: a name of [`crate::metrics::CAUSES`].
        cause: &'static str,
        /// What is known of it beside.
        reason: Option<String>,
    },
}

/// What a group still has to do with a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Could be acquired now.
    pub available: u64,
    /// Held by members.
    pub acquired: u64,
    /// Waiting for their time.
    pub parked: u64,
    /// When the first parked record is due, from now.
    pub next_due: Option<Duration>,
}

impl Backlog {
    /// Nothing left that will ever be delivered without a new record.
    pub const fn is_empty(&self) -> bool {
        self.available == 0 && self.acquired == 0 && self.parked == 0
    }
}

/// Why a source could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// For now; asking again may help.
    #[error("source unavailable: {0}")]
    Unavailable(String),
    /// For good.
    #[error("source failed: {0}")]
    Failed(String),
    /// The member has left.
    #[error("source closed")]
    Closed,
}
