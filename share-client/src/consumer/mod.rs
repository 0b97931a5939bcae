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

mod acquisition;
mod anybody;
mod broker;
mod calls;
mod desk;
mod error;
mod event;
mod leaders;
mod member;
mod news;
mod options;
mod shared;
mod snapshot;
mod tasks;

use std::sync::Arc;

use share_wire::message::AcknowledgeType;
use tokio::sync::{mpsc, oneshot, watch};

pub use crate::session::{Lease, Outcome, TopicPartition};
pub use acquisition::{Acquisition, RenewOutcome, Verb};
pub use error::{ConsumerError, JoinError};
pub use event::Event;
pub use options::{Credit, JoinOptions};
pub use snapshot::{AssignedPartition, BrokerSnapshot, Link, Snapshot};

use crate::config::ClientConfig;
use calls::{Done, Message};
use shared::Shared;

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
struct Inner {
    shared: Arc<Shared>,
    /// Set when it is to be closed. Its end ends all tasks.
    close: watch::Sender<bool>,
    /// Set when all tasks have ended.
    closed: watch::Receiver<bool>,
}

impl ShareConsumer {
    /// Joins a group. Resolves when the coordinator has taken the member; partitions may be assigned some heartbeats later. While
    /// nobody can be reached it is tried again, within [`JoinOptions::join_within`].
    pub async fn join(config: &ClientConfig, options: JoinOptions) -> Result<Self, JoinError> {
        options.check()?;
        let within = options.join_within;
        let (inner, joined, trouble) = tasks::start(config, options)?;
        let inner = Arc::new(inner);
        if let Ok(Ok(joined)) = tokio::time::timeout(within, joined).await {
            return joined.map(|()| Self { inner });
        }
        let last = trouble.borrow().clone();
        Err(JoinError::TimedOut {
            within,
            last: last.unwrap_or_else(|| "the coordinator does not answer".to_owned()),
        })
    }

    /// Acquires records: resolves as soon as there is at least one offset, with at most what `credit` says. Several calls may be
    /// pending; they are served in their order.
    ///
    /// Can be cancelled: what was fetched for a dropped call goes to the next one. What nobody asks for within 5 s, or a third of
    /// its lease if that is less, is released, since others could work on it; that counts as a delivery.
    ///
    /// While nothing can be reached the call stays pending, and [`ShareConsumer::event`] says so.
    pub async fn acquire(&self, credit: Credit) -> Result<Vec<Acquisition>, ConsumerError> {
        /// Ends the call, however it ends.
        struct Line<'a>(&'a Shared, u64);

        impl Drop for Line<'_> {
            fn drop(&mut self) {
                self.0.desk().end(self.1);
            }
        }

        let shared = &self.inner.shared;
        let line = Line(shared, shared.desk().begin(credit));
        std::future::poll_fn(|context| shared.desk().poll(line.1, context)).await
    }

    /// Settles records: as many outcomes as leases, in their order. Resolves when all brokers have answered; a call that is dropped
    /// after it was handed over is carried out all the same. Of two settlements of one lease the later one is [`Outcome::Stale`]; one
    /// that meets a renewal of its lease takes its place or follows it.
    pub async fn settle(&self, batch: Vec<(Lease, Verb)>) -> Vec<Outcome> {
        let batch = batch.into_iter().map(|(lease, verb)| (lease, verb.into())).collect();
        let results = self.hand_over(batch, Done::Settled(Outcome::Stale)).await;
        let outcome = |done| match done {
            Done::Settled(outcome) => outcome,
            // No answer to a settlement; nothing is known then.
            Done::Renewed(_) | Done::NotRenewed => Outcome::Unknown,
        };
        results.into_iter().map(outcome).collect()
    }

    /// Asks for the whole lock duration again: as many outcomes as leases, in their order.
    pub async fn renew(&self, leases: Vec<Lease>) -> Vec<RenewOutcome> {
        let batch = leases
            .into_iter()
            .map(|lease| (lease, AcknowledgeType::Renew))
            .collect();
        let results = self.hand_over(batch, Done::Settled(Outcome::Stale)).await;
        let outcome = |done| match done {
            Done::Renewed(deadline) => RenewOutcome::Until(deadline),
            Done::Settled(Outcome::Failed(_)) | Done::NotRenewed => RenewOutcome::Unavailable,
            Done::Settled(_) => RenewOutcome::Lost,
        };
        results.into_iter().map(outcome).collect()
    }

    /// The next event. One caller at a time; can be cancelled. Pending for ever once the consumer is closed and all is said.
    pub async fn event(&self) -> Event {
        std::future::poll_fn(|context| self.inner.shared.news().poll(context)).await
    }

    /// How it stands now.
    pub fn snapshot(&self) -> Snapshot {
        let shared = &self.inner.shared;
        Snapshot {
            ready: self.ready(),
            ..shared.board().snapshot.clone()
        }
    }

    /// Offsets that were fetched and that no call has taken yet.
    pub fn ready(&self) -> u64 {
        self.inner.shared.desk().ready()
    }

    /// Sends what is to be settled, gives back what is held and not settled, and leaves the group, within
    /// [`JoinOptions::close_within`]. Pending and later calls of [`ShareConsumer::acquire`] answer [`ConsumerError::Closed`], later
    /// settlements [`Outcome::Stale`]. More than one call does no harm.
    pub async fn close(&self) {
        self.inner.close.send_replace(true);
        let mut closed = self.inner.closed.clone();
        // An error says that the tasks are gone.
        drop(closed.wait_for(|closed| *closed).await);
    }

    /// Hands settlements to the brokers that the records came from, and collects what came of them. `stale`: of those that came from
    /// none.
    async fn hand_over(&self, batch: Vec<(Lease, AcknowledgeType)>, stale: Done) -> Vec<Done> {
        let mut results = vec![stale; batch.len()];
        let mut parts: Vec<Part> = Vec::new();
        self.deal(batch, &mut parts);
        let mut waiting = Vec::new();
        for part in parts {
            let (reply, answer) = oneshot::channel();
            let message = Message {
                batch: part.batch,
                reply,
            };
            if part.mailbox.send(message).await.is_ok() {
                waiting.push((part.indices, answer));
            }
        }
        for (indices, answer) in waiting {
            // Without an answer the task ended while it was on its way.
            let done = answer.await.unwrap_or_default();
            let done = done
                .into_iter()
                .chain(std::iter::repeat(Done::Settled(Outcome::Unknown)));
            for (index, done) in indices.into_iter().zip(done) {
                if let Some(result) = results.get_mut(index) {
                    *result = done;
                }
            }
        }
        results
    }

    /// By brokers.
    fn deal(&self, batch: Vec<(Lease, AcknowledgeType)>, parts: &mut Vec<Part>) {
        let desk = self.inner.shared.desk();
        let mut last: Option<(TopicPartition, usize)> = None;
        for (index, (lease, verb)) in batch.into_iter().enumerate() {
            let part = if let Some((_, part)) = last.filter(|(place, _)| *place == lease.place) {
                part
            } else {
                let Some((broker, mailbox)) = desk.route(lease.place) else {
                    continue;
                };
                let found = parts.iter().position(|part| part.broker == broker);
                found.unwrap_or_else(|| {
                    parts.push(Part {
                        broker,
                        mailbox: mailbox.clone(),
                        indices: Vec::new(),
                        batch: Vec::new(),
                    });
                    parts.len() - 1
                })
            };
            last = Some((lease.place, part));
            if let Some(part) = parts.get_mut(part) {
                part.indices.push(index);
                part.batch.push((lease, verb));
            }
        }
    }
}

/// What goes to one broker.
struct Part {
    broker: i32,
    mailbox: mpsc::Sender<Message>,
    /// Where in the call.
    indices: Vec<usize>,
    batch: Vec<(Lease, AcknowledgeType)>,
}
