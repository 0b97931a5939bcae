//! The host of a single invocation: leases last, sends succeed and are kept, lines are kept.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::handler::{
    BoxFuture, HostServices, LeaseError, LogLevel, LogLine, LogSource, Metric, MetricValue, OutgoingRecord,
    ProducerError,
};

/// What a handler said and did beside its outcome.
#[derive(Debug, Default)]
pub(in crate::cli) struct Said {
    pub(in crate::cli) lines: Vec<Line>,
    pub(in crate::cli) sent: Vec<OutgoingRecord>,
    /// Name, value and attributes as text; the first thousand.
    pub(in crate::cli) metrics: Vec<String>,
    pub(in crate::cli) renewals: u64,
}

/// One line that it logged or printed.
#[derive(Debug)]
pub(in crate::cli) struct Line {
    pub(in crate::cli) level: LogLevel,
    pub(in crate::cli) source: LogSource,
    pub(in crate::cli) context: String,
    pub(in crate::cli) message: String,
}

/// Keeps everything. Lines are bounded by the handler's log budget.
#[derive(Debug)]
pub(super) struct Recorder {
    said: Mutex<Said>,
    key: String,
}

impl Recorder {
    /// With the record's idempotency key.
    pub(super) fn new(key: String) -> Self {
        Self {
            said: Mutex::default(),
            key,
        }
    }

    /// What was kept.
    pub(super) fn take(&self) -> Said {
        std::mem::take(&mut *self.lock())
    }

    /// A panic elsewhere leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const METRICS_MAX: usize = 1_000;
const LEASE: Duration = Duration::from_secs(30);

impl HostServices for Recorder {
    fn idempotency_key(&self, _: u64) -> Option<String> {
        Some(self.key.clone())
    }

    fn renew_lease(&self, _id: u64) -> BoxFuture<'_, Result<Duration, LeaseError>> {
        self.lock().renewals += 1;
        Box::pin(async { Ok(LEASE) })
    }

    fn send(&self, records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>> {
        self.lock().sent.extend(records);
        Box::pin(async { Ok(()) })
    }

    fn shows(&self, _: LogLevel) -> bool {
        true
    }

    fn log(&self, line: LogLine<'_>) {
        self.lock().lines.push(Line {
            level: line.level,
            source: line.source,
            context: line.context.to_owned(),
            message: line.message.to_owned(),
        });
    }

    fn metric(&self, metric: Metric<'_>) {
        let value = match metric.value {
            MetricValue::CounterAdd(delta) => format!("+{delta}"),
            MetricValue::GaugeSet(value) => format!("={value}"),
            MetricValue::HistogramRecord(value) => format!("~{value}"),
        };
        let attributes: Vec<String> = metric
            .attributes
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut said = self.lock();
        if said.metrics.len() < METRICS_MAX {
            said.metrics.push(
                format!("{} {value} {}", metric.name, attributes.join(" "))
                    .trim_end()
                    .to_owned(),
            );
        }
    }
}
