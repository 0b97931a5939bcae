//! A member of a share group: joins, acquires records with credit from all brokers that lead its partitions, settles each by itself,
//! leaves. The public face of the crate.
//!
//! ```no_run
//! # async fn work() -> Result<(), Box<dyn std::error::Error>> {
//! use std::collections::BTreeMap;
//!
//! use share_client::config::ClientConfig;
//! use share_client::consumer::{Credit, JoinOptions, ShareConsumer, Verb};
//!
//! let properties = BTreeMap::from([("bootstrap.servers".to_owned(), "localhost:9092".to_owned())]);
//! let config = ClientConfig::new(&properties)?;
//! let consumer = ShareConsumer::join(&config, JoinOptions::new("packers", &["orders"])).await?;
//! let credit = Credit { records: 100, bytes: 1 << 20 };
//! for acquisition in consumer.acquire(credit).await? {
//!     // Read `acquisition.records`, do the work, and say of each record what came of it.
//!     let accepted = acquisition.leases().map(|lease| (lease, Verb::Accept)).collect();
//!     let outcomes = consumer.settle(accepted).await;
//! }
//! consumer.close().await;
//! # Ok(())
//! # }
//! ```

#![expect(
    clippy::todo,
    unused_variables,
    dead_code,
    clippy::unused_async,
    reason = "signatures first"
)]

mod acquisition;
mod error;
mod event;
mod options;
mod snapshot;

use std::sync::Arc;

pub use crate::session::{Lease, Outcome, TopicPartition};
pub use acquisition::{Acquisition, RenewOutcome, Verb};
pub use error::{ConsumerError, JoinError};
pub use event::Event;
pub use options::{Credit, JoinOptions};
pub use snapshot::{AssignedPartition, BrokerSnapshot, Link, Snapshot};

use crate::config::ClientConfig;

/// A member of a share group. Cheap to clone; all methods may be called at once, from any task. Needs a tokio runtime with time and
/// input and output.
///
/// When the last clone is dropped without [`ShareConsumer::close`], the connections end as in a crash: brokers give back what was held,
/// and the coordinator misses the member only after its session timeout.
#[derive(Clone, Debug)]
pub struct ShareConsumer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {}

impl ShareConsumer {
    /// Joins a group. Resolves when the coordinator has taken the member; partitions may be assigned some heartbeats later. While
    /// nobody can be reached it is tried again, within [`JoinOptions::join_within`].
    pub async fn join(config: &ClientConfig, options: JoinOptions) -> Result<Self, JoinError> {
        todo!()
    }

    /// Acquires records: resolves as soon as there is at least one offset, with at most what `credit` says. Several calls may be
    /// pending; they are served in their order.
    ///
    /// Can be cancelled: what was fetched for a dropped call goes to the next one. What nobody asks for within 5 s, or a third of
    /// its lease if that is less, is released, since others could work on it; that counts as a delivery.
    ///
    /// While nothing can be reached the call stays pending, and [`ShareConsumer::event`] says so.
    pub async fn acquire(&self, credit: Credit) -> Result<Vec<Acquisition>, ConsumerError> {
        todo!()
    }

    /// Settles records: as many outcomes as leases, in their order. Resolves when all brokers have answered; a dropped call is
    /// carried out all the same once it was polled. Of two settlements of one lease the later one is [`Outcome::Stale`]; one that meets
    /// a renewal of its lease takes its place or follows it.
    pub async fn settle(&self, batch: Vec<(Lease, Verb)>) -> Vec<Outcome> {
        todo!()
    }

    /// Asks for the whole lock duration again: as many outcomes as leases, in their order.
    pub async fn renew(&self, leases: Vec<Lease>) -> Vec<RenewOutcome> {
        todo!()
    }

    /// The next event. One caller at a time; can be cancelled. Pending for ever once the consumer is closed and all is said.
    pub async fn event(&self) -> Event {
        todo!()
    }

    /// How it stands now.
    pub fn snapshot(&self) -> Snapshot {
        todo!()
    }

    /// Sends what is to be settled, gives back what is held and not settled, and leaves the group, within
    /// [`JoinOptions::close_within`]. Pending and later calls of [`ShareConsumer::acquire`] answer [`ConsumerError::Closed`], later
    /// settlements [`Outcome::Stale`]. More than one call does no harm.
    pub async fn close(&self) {
        todo!()
    }
}
