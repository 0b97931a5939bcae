//! A source that is watched: counts durable acknowledgements and, if wanted, notes when each came.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use share_engine::ids::LeaseKey;
use sharemill::source::{
    Backlog, BoxFuture, Credit, Delivery, EmbeddedSource, RenewResult, SettleResult, Settlement, Source, SourceError,
    SourceEvent,
};
use tokio::sync::Notify;

use crate::machine;

/// See the module.
pub(crate) struct Watch {
    source: EmbeddedSource,
    settled: AtomicU64,
    wanted: AtomicU64,
    reached: Notify,
    keep: AtomicBool,
    times: Mutex<Vec<(u64, Duration)>>,
}

impl Watch {
    pub(crate) fn new(source: EmbeddedSource) -> Self {
        Self {
            source,
            settled: AtomicU64::new(0),
            wanted: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
            keep: AtomicBool::new(false),
            times: Mutex::default(),
        }
    }

    /// Notes offset and time of each acknowledgement from now on.
    pub(crate) fn keep_times(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    /// What was noted.
    pub(crate) fn take_times(&self) -> Vec<(u64, Duration)> {
        std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when so many acknowledgements are durable. One caller at a time.
    pub(crate) async fn settled(&self, count: u64) {
        self.wanted.store(count, Ordering::SeqCst);
        while self.settled.load(Ordering::SeqCst) < count {
            self.reached.notified().await;
        }
    }

    fn note(&self, leases: Option<Vec<u64>>, results: &[SettleResult]) {
        if let Some(offsets) = leases {
            let now = machine::now();
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.extend(offsets.into_iter().map(|offset| (offset, now)));
        }
        let applied = results
            .iter()
            .filter(|result| **result == SettleResult::Applied)
            .count();
        let settled = self.settled.fetch_add(applied as u64, Ordering::SeqCst) + applied as u64;
        if settled >= self.wanted.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }
}

impl Source for Watch {
    fn acquire(&self, credit: Credit) -> BoxFuture<'_, Result<Vec<Delivery>, SourceError>> {
        self.source.acquire(credit)
    }

    fn settle(&self, batch: Vec<Settlement>) -> BoxFuture<'_, Vec<SettleResult>> {
        let keep = self.keep.load(Ordering::Relaxed);
        let offsets = keep.then(|| batch.iter().map(|settlement| settlement.lease.offset.get()).collect());
        let settle = self.source.settle(batch);
        Box::pin(async move {
            let results = settle.await;
            self.note(offsets, &results);
            results
        })
    }

    fn renew(&self, leases: Vec<LeaseKey>) -> BoxFuture<'_, Vec<RenewResult>> {
        self.source.renew(leases)
    }

    fn event(&self) -> BoxFuture<'_, SourceEvent> {
        self.source.event()
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Backlog, SourceError>> {
        self.source.backlog()
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        self.source.leave()
    }
}
