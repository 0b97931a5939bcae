//! Plain counters, read by whoever exports them. Written by the engine's threads, never read by them.

use std::sync::PoisonError;
use std::time::Duration;

use super::sync::Mutex;
use super::sync::atomic::{AtomicU64, Ordering};
use crate::share::{ArchiveCause, Archived, Settled};

/// What has happened since the engine was opened.
#[derive(Debug, Default)]
pub(crate) struct EngineStats {
    deliveries: AtomicU64,
    renewals: AtomicU64,
    expired: AtomicU64,
    clamped: AtomicU64,
    exhausted: AtomicU64,
    dropped: AtomicU64,
    archived_reject: AtomicU64,
    archived_limit: AtomicU64,
    archived_retention: AtomicU64,
    archived_crash: AtomicU64,
    drains: AtomicU64,
    drain_failures: AtomicU64,
    log_failures: AtomicU64,
    acquired: AtomicU64,
    parked: AtomicU64,
    window_bytes: AtomicU64,
    journal_used: AtomicU64,
    journal_capacity: AtomicU64,
    syncs: AtomicU64,
    sync_nanos: AtomicU64,
    sync_nanos_max: AtomicU64,
    last_failure: Mutex<Option<String>>,
    died: Mutex<Option<String>>,
    lost: Mutex<Option<String>>,
    /// Durations of the last syncs, until somebody takes them.
    recent_syncs: Mutex<Vec<Duration>>,
}

/// Syncs kept for whoever exports them; more are counted only.
const RECENT_SYNCS: usize = 16_384;

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// Records handed out.
    pub deliveries: u64,
    /// Leases extended.
    pub renewals: u64,
    /// Leases that ran out.
    pub expired: u64,
    /// Delays cut or raised to their limits.
    pub clamped: u64,
    /// Renewals past `max-lease`.
    pub exhausted: u64,
    /// Records that retention dropped before any delivery.
    pub dropped: u64,
    /// Records archived by a reject.
    pub archived_reject: u64,
    /// Records archived at the delivery limit.
    pub archived_delivery_limit: u64,
    /// Records archived by retention.
    pub archived_retention: u64,
    /// Records archived after the process died twice with them.
    pub archived_host_crash: u64,
    /// Drains that succeeded.
    pub drains: u64,
    /// Drains that failed and were tried again.
    pub drain_failures: u64,
    /// Reads of partition logs that failed.
    pub log_failures: u64,
    /// Records held by members now.
    pub acquired: u64,
    /// Records parked now.
    pub parked: u64,
    /// Bytes of records in memory now.
    pub window_bytes: u64,
    /// Bytes of the journal in use now.
    pub journal_used: u64,
    /// Bytes of the journal.
    pub journal_capacity: u64,
    /// Groups committed.
    pub syncs: u64,
    /// Time they took, in nanoseconds, over all.
    pub sync_nanos: u64,
    /// Time that the slowest took.
    pub sync_nanos_max: u64,
    /// The last failure in the background, in words.
    pub last_failure: Option<String>,
    /// The thread of the engine that panicked, and what it said: a bug. Every call is answered with an error since.
    pub died: Option<String>,
    /// What became of the data directory, if it was taken away: nothing is taken in since.
    pub lost: Option<String>,
}

/// What one entry adds to the counters once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    expired: u64,
    clamped: u64,
    exhausted: u64,
    dropped: u64,
    archived: Vec<Archived>,
}

impl Counts {
    pub(crate) fn of(settled: &Settled) -> Self {
        Self {
            expired: settled.expired,
            clamped: u64::from(settled.clamped),
            exhausted: u64::from(settled.exhausted),
            dropped: settled.dropped,
            archived: settled.archived.clone(),
        }
    }
}

impl EngineStats {
    /// Reads all of them.
    pub(crate) fn snapshot(&self) -> StatsSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StatsSnapshot {
            deliveries: get(&self.deliveries),
            renewals: get(&self.renewals),
            expired: get(&self.expired),
            clamped: get(&self.clamped),
            exhausted: get(&self.exhausted),
            dropped: get(&self.dropped),
            archived_reject: get(&self.archived_reject),
            archived_delivery_limit: get(&self.archived_limit),
            archived_retention: get(&self.archived_retention),
            archived_host_crash: get(&self.archived_crash),
            drains: get(&self.drains),
            drain_failures: get(&self.drain_failures),
            log_failures: get(&self.log_failures),
            acquired: get(&self.acquired),
            parked: get(&self.parked),
            window_bytes: get(&self.window_bytes),
            journal_used: get(&self.journal_used),
            journal_capacity: get(&self.journal_capacity),
            syncs: get(&self.syncs),
            sync_nanos: get(&self.sync_nanos),
            sync_nanos_max: get(&self.sync_nanos_max),
            last_failure: self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            died: self.died.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            lost: self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    pub(crate) fn deliveries(&self, count: u64) {
        add(&self.deliveries, count);
    }

    pub(crate) fn renewals(&self, count: u64) {
        add(&self.renewals, count);
    }

    pub(crate) fn count(&self, counts: &Counts) {
        add(&self.dropped, counts.dropped);
        add(&self.expired, counts.expired);
        add(&self.clamped, counts.clamped);
        add(&self.exhausted, counts.exhausted);
        for run in &counts.archived {
            let counter = match run.cause {
                ArchiveCause::Reject => &self.archived_reject,
                ArchiveCause::DeliveryLimit => &self.archived_limit,
                ArchiveCause::Retention => &self.archived_retention,
                ArchiveCause::HostCrash => &self.archived_crash,
                ArchiveCause::Gap => continue,
            };
            add(counter, run.range.count());
        }
    }

    /// Durations of the syncs since the last call, at most 16,384.
    pub(crate) fn take_syncs(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.recent_syncs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn synced(&self, took: Duration) {
        let mut recent = self.recent_syncs.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() < RECENT_SYNCS {
            recent.push(took);
        }
        drop(recent);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add(&self.syncs, 1);
        add(&self.sync_nanos, nanos);
        self.sync_nanos_max.fetch_max(nanos, Ordering::Relaxed);
    }

    pub(crate) fn drained(&self) {
        add(&self.drains, 1);
    }

    pub(crate) fn drain_failure(&self, error: &str) {
        add(&self.drain_failures, 1);
        self.note(error);
    }

    pub(crate) fn log_failure(&self, error: &str) {
        add(&self.log_failures, 1);
        self.note(error);
    }

    pub(crate) fn set_levels(&self, acquired: u64, parked: u64, window: u64, used: u64, capacity: u64) {
        self.acquired.store(acquired, Ordering::Relaxed);
        self.parked.store(parked, Ordering::Relaxed);
        self.window_bytes.store(window, Ordering::Relaxed);
        self.journal_used.store(used, Ordering::Relaxed);
        self.journal_capacity.store(capacity, Ordering::Relaxed);
    }

    /// A thread panicked; the first one counts, others may follow from it.
    pub(crate) fn lost(&self, reason: &str) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }

    pub(crate) fn died(&self, report: &str) {
        let mut died = self.died.lock().unwrap_or_else(PoisonError::into_inner);
        died.get_or_insert_with(|| report.to_owned());
        drop(died);
        self.note(report);
    }

    fn note(&self, error: &str) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
    }
}

fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}
