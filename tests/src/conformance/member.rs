//! A member of a scenario's group: what it takes, what it says of it, and how it goes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sharemill::source::{
    Cause, Credit, Delivery, Evidence, RenewResult, SettleResult, Settlement, Source, SourceError, SourceEvent, Verdict,
};
use tokio::task::JoinHandle;

use super::case::all_distinct;
use super::{until, within};

/// A source whose events are heard, as the host does.
pub struct Member {
    source: Arc<dyn Source>,
    events: Arc<Mutex<Vec<SourceEvent>>>,
    listener: JoinHandle<()>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Member {
    pub(super) fn of(source: Box<dyn Source>) -> Self {
        let source: Arc<dyn Source> = Arc::from(source);
        let events = Arc::<Mutex<Vec<SourceEvent>>>::default();
        let (heard, told) = (Arc::clone(&source), Arc::clone(&events));
        let listener = tokio::spawn(async move {
            loop {
                let event = heard.event().await;
                told.lock().unwrap().push(event);
            }
        });
        Self {
            source,
            events,
            listener,
        }
    }

    /// One call.
    pub async fn acquire(&self, credit: Credit) -> Result<Vec<Delivery>, SourceError> {
        within("records", self.source.acquire(credit)).await
    }

    /// What one call brings, with room for so many.
    pub async fn take_some(&self, records: u32) -> Vec<Delivery> {
        self.acquire(credit(records)).await.unwrap()
    }

    /// As many as that, by as many calls as it takes, none of them twice.
    #[track_caller]
    pub fn take(&self, records: usize) -> impl Future<Output = Vec<Delivery>> {
        let caller = std::panic::Location::caller();
        async move {
            let mut taken = Vec::new();
            while taken.len() < records {
                let left = u32::try_from(records - taken.len()).unwrap();
                let call = tokio::time::timeout(crate::AMPLE, self.source.acquire(credit(left))).await;
                let Ok(more) = call else {
                    panic!(
                        "{} of {records} records came: {:?} ({caller})",
                        taken.len(),
                        texts(&taken)
                    );
                };
                taken.extend(more.unwrap());
            }
            assert_eq!(taken.len(), records, "{:?} ({caller})", texts(&taken));
            let places: Vec<_> = taken
                .iter()
                .map(|one| format!("{}/{}", one.partition, one.offset()))
                .collect();
            assert!(all_distinct(&places), "{places:?} ({caller})");
            taken
        }
    }

    /// The same, in the order of their places.
    #[track_caller]
    pub fn take_sorted(&self, records: usize) -> impl Future<Output = Vec<Delivery>> {
        let taken = self.take(records);
        async move {
            let mut taken = taken.await;
            taken.sort_by_key(|one| (one.partition, one.offset()));
            taken
        }
    }

    /// Nothing comes for so long; what a call would bring later goes back.
    pub async fn finds_nothing(&self, wait: Duration) {
        let call = tokio::time::timeout(wait, self.source.acquire(credit(1))).await;
        if let Ok(came) = call {
            panic!("{:?} came", came.map(|some| texts(&some)));
        }
    }

    pub async fn settle(&self, deliveries: &[Delivery], verdict: Verdict) -> Vec<SettleResult> {
        self.settle_each(deliveries.iter().map(|one| (one, verdict.clone())).collect())
            .await
    }

    /// One call for all; what fails says why.
    pub async fn settle_each(&self, verdicts: Vec<(&Delivery, Verdict)>) -> Vec<SettleResult> {
        let batch = verdicts
            .into_iter()
            .map(|(delivery, verdict)| settlement(delivery, verdict));
        self.settle_batch(batch.collect()).await
    }

    pub async fn settle_batch(&self, batch: Vec<Settlement>) -> Vec<SettleResult> {
        within("results", self.source.settle(batch)).await
    }

    /// Settles all alike, which has to be applied.
    #[allow(clippy::needless_pass_by_value, reason = "reads well where it is called")]
    #[track_caller]
    pub fn applied(&self, deliveries: &[Delivery], verdict: Verdict) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let batch: Vec<_> = deliveries.iter().map(|one| settlement(one, verdict.clone())).collect();
        let name = verdict.name();
        async move {
            let results = self.settle_batch(batch).await;
            let all = results.iter().all(|result| *result == SettleResult::Applied);
            assert!(all, "{name}: {results:?} ({caller})");
        }
    }

    #[track_caller]
    pub fn accept(&self, deliveries: &[Delivery]) -> impl Future<Output = ()> {
        self.applied(deliveries, Verdict::Accept)
    }

    pub async fn renew(&self, deliveries: &[Delivery]) -> Vec<RenewResult> {
        let leases = deliveries.iter().map(|one| one.lease).collect();
        within("renewals", self.source.renew(leases)).await
    }

    /// Does something, with these leases renewed meanwhile.
    pub async fn renewing<T>(&self, deliveries: &[Delivery], work: impl Future<Output = T>) -> T {
        let mut times = tokio::time::interval(Duration::from_millis(300));
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = times.tick() => {
                    let renewed = self.renew(deliveries).await;
                    let all = renewed.iter().all(|one| matches!(one, RenewResult::Until(_)));
                    assert!(all, "{renewed:?}");
                }
            }
        }
    }

    /// What is left, as the member counts it.
    pub async fn backlog(&self) -> sharemill::source::Backlog {
        within("the backlog", self.source.backlog()).await.unwrap()
    }

    /// Waits until something was told.
    pub async fn hears<T>(&self, what: &str, found: impl Fn(&SourceEvent) -> Option<T>) -> T {
        until(what, async || self.events.lock().unwrap().iter().find_map(&found)).await
    }

    /// What was told up to now.
    pub fn heard(&self) -> Vec<SourceEvent> {
        self.events.lock().unwrap().clone()
    }

    pub async fn leave(&self) {
        within("the end", self.source.leave()).await;
    }

    /// Goes without a word. Of Kafka the connections end.
    pub async fn crash(mut self) {
        self.listener.abort();
        // Ended, so that nobody has the source any more.
        let _ = (&mut self.listener).await;
    }
}

fn settlement(delivery: &Delivery, verdict: Verdict) -> Settlement {
    let evidence = match &verdict {
        Verdict::Release { .. } => Some(failed(Cause::Release, "not now")),
        Verdict::Reject => Some(failed(Cause::Reject, "never")),
        _ => None,
    };
    Settlement {
        lease: delivery.lease,
        verdict,
        emitted: Vec::new(),
        evidence,
    }
}

/// Why an attempt failed.
pub fn failed(cause: Cause, reason: &str) -> Box<Evidence> {
    Box::new(Evidence {
        cause,
        reason: Some(reason.to_owned()),
        trap: None,
        module: "0".repeat(64).into(),
        log_tail: Vec::new(),
    })
}

fn credit(records: u32) -> Credit {
    Credit {
        records,
        bytes: 64 << 20,
    }
}

/// The values of deliveries as texts.
pub fn texts(deliveries: &[Delivery]) -> Vec<String> {
    let text = |one: &Delivery| {
        let record = one.record().unwrap();
        String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()
    };
    deliveries.iter().map(text).collect()
}

/// Their offsets.
pub fn offsets(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|one| one.offset().get()).collect()
}

/// Their delivery counts.
pub fn attempts(deliveries: &[Delivery]) -> Vec<u16> {
    deliveries.iter().map(Delivery::attempt).collect()
}
