//! Publishes what the engine counts, once a second. The engine knows nothing of metrics.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use share_engine::engine::Engine;

use crate::metrics::names;

/// Until it is aborted.
pub(super) async fn publish(engine: Engine) {
    let mut failures = 0;
    let mut timer = tokio::time::interval(PERIOD);
    loop {
        timer.tick().await;
        let stats = engine.stats();
        for sync in engine.take_syncs() {
            histogram!(names::JOURNAL_SYNC_SECONDS).record(sync.as_secs_f64());
        }
        let archived = [
            ("reject", stats.archived_reject),
            ("delivery-limit", stats.archived_delivery_limit),
            ("retention", stats.archived_retention),
            ("host-crash", stats.archived_host_crash),
        ];
        for (cause, count) in archived {
            counter!(names::ENGINE_ARCHIVED, "cause" => cause).absolute(count);
        }
        counter!(names::ENGINE_EXPIRIES).absolute(stats.expired);
        counter!(names::ENGINE_DRAINS).absolute(stats.drains);
        gauge!(names::JOURNAL_USED).set(count(stats.journal_used));
        gauge!(names::JOURNAL_CAPACITY).set(count(stats.journal_capacity));
        gauge!(names::MEMORY_WINDOW).set(count(stats.window_bytes));
        let failed = stats.drain_failures + stats.log_failures;
        if failed > failures {
            failures = failed;
            let last = stats.last_failure.unwrap_or_default();
            tracing::warn!(failures, %last, "the engine could not move its journal or read a log");
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

/// Exact up to 2^53 bytes.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating point; a petabyte is exact"
)]
fn count(value: u64) -> f64 {
    value as f64
}
