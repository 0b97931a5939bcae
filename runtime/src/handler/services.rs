//! What a handler asks of the host beyond its own store: the runtime implements [`HostServices`], [`NullServices`] stands in for it
//! where there is no backend. Nothing here may block the calling thread.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::spec::LogLevel;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A record that a handler wants produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// Granted to the deployment.
    pub topic: String,
    /// `None`: by key.
    pub partition: Option<u32>,
    /// `None` is null.
    pub key: Option<Bytes>,
    /// `None` is null.
    pub value: Option<Bytes>,
    /// In order, duplicates kept.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Why a lease could not be extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The record belongs to someone else now.
    #[error("lease lost")]
    Lost,
    /// The record's `max-lease` is used up.
    #[error("max-lease used up")]
    Exhausted,
    /// The backend could not be asked.
    #[error("backend unavailable")]
    Unavailable,
}

/// Why records were not produced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// The deployment has no grant for this topic.
    #[error("topic {0} is not granted")]
    NotPermitted(String),
    /// A record is over the limit for one record.
    #[error("record too large")]
    TooLarge,
    /// Too many records or bytes for one call.
    #[error("quota exceeded")]
    QuotaExceeded,
    /// The backend could not be asked.
    #[error("backend unavailable: {0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// `sharemill:worker/logging`.
    Log,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line that a handler logged or printed; control characters are escaped already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// The delivery that was being handled (the first of a batch); `None` while an instance starts.
    pub id: Option<u64>,
    /// Where it came from.
    pub source: LogSource,
    /// `Info` for standard output, `Warn` for standard error.
    pub level: LogLevel,
    /// What the handler gave as context; empty for standard output and error.
    pub context: &'a str,
    /// The line, without its end.
    pub message: &'a str,
}

/// One measurement of a handler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric<'a> {
    /// As the handler calls it.
    pub name: &'a str,
    /// What to do with it.
    pub value: MetricValue,
    /// As the handler gave them.
    pub attributes: &'a [(String, String)],
}

/// The three kinds of measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricValue {
    /// Add to a counter.
    CounterAdd(u64),
    /// Set a gauge.
    GaugeSet(f64),
    /// Record in a histogram.
    HistogramRecord(f64),
}

/// What the runtime does for its handlers. Called from lanes: no method may block, and `log` and `metric` may not call back.
pub trait HostServices: Send + Sync {
    /// Extends the lease of delivery `id`; the new remaining time.
    fn renew_lease(&self, id: u64) -> BoxFuture<'_, Result<Duration, LeaseError>>;

    /// Produces now; resolves when the records are durable. Grants and limits are checked already.
    fn send(&self, records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>>;

    /// Whether a line of this level would be seen by anybody.
    fn shows(&self, level: LogLevel) -> bool;

    /// Takes one line. Budgets are applied already.
    fn log(&self, line: LogLine<'_>);

    /// Takes one measurement; bounding the number of series is the implementation's.
    fn metric(&self, metric: Metric<'_>);

    /// The text that stays the same for every delivery of a record. `None`: made of group, topic, partition and offset, which is right
    /// as long as the record was not redriven.
    fn idempotency_key(&self, id: u64) -> Option<String> {
        let _ = id;
        None
    }
}

/// No backend: leases cannot be extended, sends are refused, lines and measurements go nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullServices;

impl HostServices for NullServices {
    fn renew_lease(&self, _id: u64) -> BoxFuture<'_, Result<Duration, LeaseError>> {
        Box::pin(async { Err(LeaseError::Unavailable) })
    }

    fn send(&self, _records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>> {
        Box::pin(async { Err(ProducerError::Unavailable("there is no backend".to_owned())) })
    }

    fn shows(&self, _: LogLevel) -> bool {
        false
    }

    fn log(&self, _line: LogLine<'_>) {}

    fn metric(&self, _metric: Metric<'_>) {}
}
