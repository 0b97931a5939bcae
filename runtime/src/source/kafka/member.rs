//! One membership in a share group: a client, what it holds, and what both members of a source share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use share_client::admin::Admin;
use share_client::config::ClientConfig;
use share_client::consumer::{Event, JoinError, JoinOptions, Lease, RenewOutcome, ShareConsumer};
use share_engine::ids::{LeaseKey, ShareKey};
use share_engine::time::{Clock, Instant};
use tokio::sync::{Notify, mpsc, watch};

use super::super::{RenewResult, SourceEvent};
use super::held::Held;
use super::{KafkaOptions, KafkaProducer};

/// What the members of a source share.
pub(super) struct Common {
    pub(super) config: ClientConfig,
    pub(super) admin: Admin,
    pub(super) producer: Arc<KafkaProducer>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: KafkaOptions,
    /// Records became ready, or there is room again.
    pub(super) room: Notify,
    /// The member that works on the retry topic.
    pub(super) second: OnceLock<Weak<Member>>,
    /// Partitions of the retry topic that the group has a start in: whatever is copied there comes.
    pub(super) begun: Mutex<Vec<i32>>,
    /// There are records to be copied there.
    pub(super) second_wanted: Notify,
    /// What the host is to hear beside what the client of the first member tells.
    pub(super) events: mpsc::Sender<SourceEvent>,
    /// Set when the members are to finish what they owe, and leave.
    pub(super) leaving: watch::Sender<bool>,
    /// The last dead letter could not be written.
    pub(super) letters_fail: AtomicBool,
}

/// What a member works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The deployment's topic.
    Main,
    /// Its retry topic.
    Retry,
}

impl Kind {
    /// Partitions of the two are told apart by their numbers.
    pub(super) const fn first_key(self) -> ShareKey {
        match self {
            Self::Main => ShareKey(0),
            Self::Retry => ShareKey(1 << 31),
        }
    }
}

/// See the module.
pub(super) struct Member {
    pub(super) common: Arc<Common>,
    pub(super) kind: Kind,
    pub(super) topic: String,
    pub(super) consumer: ShareConsumer,
    held: Mutex<Held>,
    /// Something is due earlier than the driver knows.
    pub(super) stirred: Notify,
    waiting: Mutex<Waiting>,
    refused_at: Mutex<Option<Instant>>,
    asides: Mutex<Asides>,
}

/// How moving records to the retry topic fares.
#[derive(Debug, Default)]
pub(super) struct Asides {
    pub(super) is_busy: bool,
    /// Not before this time again.
    pub(super) rest_until: Option<Instant>,
}

impl Asides {
    /// Nothing is to be moved now.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.is_busy || self.rest_until.is_some_and(|until| now < until)
    }
}

/// Calls that wait for records, what for, and since when nothing has come.
#[derive(Debug, Default)]
struct Waiting {
    calls: u64,
    records: u64,
    since: Option<Instant>,
}

impl Member {
    /// Joins the group. Needs a tokio runtime.
    pub(super) async fn join(common: Arc<Common>, kind: Kind) -> Result<Self, JoinError> {
        let options = &common.options;
        let topic = match (kind, &options.retry_topic) {
            (Kind::Retry, Some(topic)) => topic,
            _ => &options.topic,
        };
        let consumer = ShareConsumer::join(&common.config, JoinOptions::new(&options.group, &[topic])).await?;
        Ok(Self {
            kind,
            topic: topic.clone(),
            consumer,
            held: Mutex::new(Held::new(options.lock, kind.first_key())),
            stirred: Notify::new(),
            waiting: Mutex::default(),
            refused_at: Mutex::default(),
            asides: Mutex::default(),
            common,
        })
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn asides(&self) -> MutexGuard<'_, Asides> {
        self.asides.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.common.clock.now().monotonic
    }

    /// The same moment on the host's clock, which goes on while the machine sleeps.
    #[expect(
        clippy::disallowed_methods,
        reason = "leases of the client run on the clock of timers"
    )]
    pub(super) fn moment(&self, at: std::time::Instant) -> Instant {
        let left = at.saturating_duration_since(std::time::Instant::now());
        self.now().after(left)
    }

    /// So many records wait here that nothing more is acquired.
    pub(super) fn is_full(&self) -> bool {
        self.held().parked() >= self.common.options.parking.max(1)
    }

    /// Counts as waiting for so many records until it is dropped.
    pub(super) fn waits(&self, records: u32) -> Waits<'_> {
        let now = self.now();
        let mut waiting = self.waiting();
        waiting.calls += 1;
        waiting.records += u64::from(records);
        waiting.since.get_or_insert(now);
        drop(waiting);
        Waits(self, records)
    }

    /// What is waited for, and since when nothing has come.
    pub(super) fn waited(&self) -> Option<(u64, Instant)> {
        let waiting = self.waiting();
        waiting.since.map(|since| (waiting.records, since))
    }

    /// Whether the topic could not be consumed lately; it is tried again more often than that.
    pub(super) fn was_refused(&self, now: Instant) -> bool {
        let refused = *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner);
        refused.is_some_and(|at| now.since(at) < REFUSED)
    }

    /// Extends leases of records that the host has.
    pub(super) async fn renew_out(&self, keys: Vec<LeaseKey>) -> Vec<RenewResult> {
        let mut results = vec![RenewResult::Lost; keys.len()];
        let (mut places, mut asked) = (Vec::new(), Vec::new());
        {
            let held = self.held();
            for (place, key) in keys.iter().enumerate() {
                let lease = held.out(key).and_then(|_| held.lease((key.share, key.offset)));
                if let Some(lease) = lease {
                    places.push(place);
                    asked.push(lease);
                }
            }
        }
        for (place, result) in places.into_iter().zip(self.renew(asked).await) {
            if let Some(slot) = results.get_mut(place) {
                *slot = result;
            }
        }
        results
    }

    /// Extends any leases.
    pub(super) async fn renew(&self, leases: Vec<Lease>) -> Vec<RenewResult> {
        if leases.is_empty() {
            return Vec::new();
        }
        let outcomes = self.consumer.renew(leases.clone()).await;
        let outcomes = leases.iter().zip(outcomes);
        let told = outcomes.map(|(lease, outcome)| match outcome {
            RenewOutcome::Until(at) => {
                let until = self.moment(at);
                self.held().handle_renewed(lease, until, self.now());
                RenewResult::Until(until)
            }
            RenewOutcome::Lost => {
                self.held().handle_lost(std::slice::from_ref(lease));
                // What waited here leaves room.
                self.common.room.notify_waiters();
                RenewResult::Lost
            }
            RenewOutcome::Unavailable => RenewResult::Unavailable,
        });
        told.collect()
    }

    /// What the host is to hear.
    pub(super) fn event(&self, event: Event) -> Option<SourceEvent> {
        let topic = &self.topic;
        match event {
            Event::LeasesLost(leases) => {
                let lost = self.held().handle_lost(&leases);
                self.common.room.notify_waiters();
                (!lost.is_empty()).then_some(SourceEvent::LeasesLost(lost))
            }
            Event::AssignmentChanged { partitions } => Some(SourceEvent::AssignmentChanged { partitions }),
            Event::Unavailable { reason } => Some(SourceEvent::Unavailable { reason }),
            Event::Available => Some(SourceEvent::Available),
            Event::Refused { reason, .. } => {
                *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.now());
                tracing::error!(%topic, "{reason}");
                None
            }
            // The next `acquire` says so, too.
            Event::Failed { reason } => {
                tracing::error!(%topic, "out of the group: {reason}");
                None
            }
            _ => None,
        }
    }
}

/// For so long a topic that could not be consumed counts as one that cannot: twice as long as until its client says so again.
const REFUSED: Duration = Duration::from_mins(2);

/// A call that waits for records.
pub(super) struct Waits<'a>(&'a Member, u32);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.calls -= 1;
        waiting.records -= u64::from(self.1);
        // Something has come, or nobody waits any more.
        waiting.since = (waiting.calls > 0).then(|| self.0.now());
    }
}
