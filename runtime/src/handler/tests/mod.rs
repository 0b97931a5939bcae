//! Calls real components, alone and together, and holds each end, its time and what is left of the instance against what is promised.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod contract;
mod hostile;
mod lifecycle;
mod loading;

use std::sync::Mutex;
use std::time::Duration;

use super::LogLevel;
use super::services::{BoxFuture, HostServices, LeaseError, LogLine, Metric, OutgoingRecord, ProducerError};

/// Remembers what handlers ask for. A renewal of `STUCK` never ends; the metric `panic` is a bug of the host.
#[derive(Default)]
struct TestServices {
    lines: Mutex<Vec<String>>,
    sent: Mutex<Vec<OutgoingRecord>>,
    metrics: Mutex<Vec<String>>,
}

/// The delivery whose lease cannot be renewed within any time.
const STUCK: u64 = 666;

impl HostServices for TestServices {
    fn renew_lease(&self, id: u64) -> BoxFuture<'_, Result<Duration, LeaseError>> {
        Box::pin(async move {
            match id {
                STUCK => std::future::pending().await,
                7 => Ok(Duration::from_secs(30)),
                _ => Err(LeaseError::Exhausted),
            }
        })
    }

    fn send(&self, records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>> {
        Box::pin(async move {
            self.sent.lock().unwrap().extend(records);
            Ok(())
        })
    }

    fn shows(&self, _: LogLevel) -> bool {
        true
    }

    fn log(&self, line: LogLine<'_>) {
        let LogLine {
            id,
            source,
            level,
            context,
            message,
        } = line;
        self.lines
            .lock()
            .unwrap()
            .push(format!("{id:?} {source:?} {level:?} {context}: {message}"));
    }

    fn metric(&self, metric: Metric<'_>) {
        assert_ne!(metric.name, "panic", "a bug in the host");
        self.metrics
            .lock()
            .unwrap()
            .push(format!("{} {:?}", metric.name, metric.value));
    }
}
