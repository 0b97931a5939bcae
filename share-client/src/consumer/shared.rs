//! What the tasks of a consumer and its handles have in common. Every lock is held for a few instructions, and never over an await.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use share_wire::code::ErrorCode;
use share_wire::message::{CurrentLeader, NodeEndpoint};
use tokio::sync::Notify;

use super::desk::Desk;
use super::news::News;
use super::{BrokerSnapshot, JoinOptions, Link, Snapshot};
use crate::net::Connector;
use crate::session::TopicPartition;

/// Between the tasks of a consumer.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connector: Connector,
    pub(super) options: JoinOptions,
    desk: Mutex<Desk>,
    news: Mutex<News>,
    board: Mutex<Board>,
    reports: Mutex<Reports>,
    pub(super) reported: Notify,
    /// The number of the next acquisition.
    pub(super) acquisitions: Arc<AtomicU64>,
}

/// How far a consumer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Running,
    /// What waits is sent, and sessions end.
    Closing,
    /// The member leaves.
    Leaving,
}

#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) snapshot: Snapshot,
    /// Why the coordinator cannot be reached, if it cannot.
    pub(super) silence: Option<String>,
}

/// What brokers have said of leaders since somebody looked.
#[derive(Debug, Default)]
pub(super) struct Reports {
    pub(super) refused: BTreeMap<TopicPartition, (ErrorCode, Option<CurrentLeader>)>,
    pub(super) endpoints: BTreeMap<i32, NodeEndpoint>,
    pub(super) unreachable: BTreeSet<i32>,
}

impl Shared {
    pub(super) fn new(connector: Connector, options: JoinOptions, desk: Desk, snapshot: Snapshot) -> Self {
        let board = Board {
            snapshot,
            silence: None,
        };
        Self {
            connector,
            options,
            desk: Mutex::new(desk),
            news: Mutex::default(),
            board: Mutex::new(board),
            reports: Mutex::default(),
            reported: Notify::new(),
            acquisitions: Arc::default(),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    pub(super) fn news(&self) -> MutexGuard<'_, News> {
        lock(&self.news)
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Changes what is said of a broker.
    pub(super) fn broker(&self, id: i32, change: impl FnOnce(&mut BrokerSnapshot)) {
        let mut board = self.board();
        let brokers = &mut board.snapshot.brokers;
        if let Ok(index) = brokers.binary_search_by_key(&id, |broker| broker.id)
            && let Some(broker) = brokers.get_mut(index)
        {
            change(broker);
        }
    }

    pub(super) fn report(&self, change: impl FnOnce(&mut Reports)) {
        change(&mut lock(&self.reports));
        self.reported.notify_one();
    }

    pub(super) fn take_reports(&self) -> Reports {
        std::mem::take(&mut lock(&self.reports))
    }

    /// Tells whether anything can be acquired, if that has changed.
    pub(super) fn look(&self) {
        let trouble = self.board().trouble();
        self.news().trouble(trouble);
    }
}

impl Board {
    fn trouble(&self) -> Option<String> {
        let mut serving = self
            .snapshot
            .brokers
            .iter()
            .filter(|broker| broker.partitions > 0)
            .peekable();
        if serving.peek().is_none() {
            return self.silence.clone();
        }
        let mut reason = None;
        for broker in serving {
            if broker.link != Link::Unreachable {
                return None;
            }
            reason = broker.last_error.clone().or(reason);
        }
        reason
    }
}

/// A number by chance, for ids that must not meet and for pauses. Not for secrets.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// An id that nobody else has: a UUID of version 4 in hexadecimal.
pub(super) fn member_id() -> String {
    let bits = (u128::from(random()) << 64) | u128::from(random());
    let version = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    format!("{version:032x}")
}

/// The clock of the runtime, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that panics is done under these locks, and each change is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
