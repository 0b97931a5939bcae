//! Publishes what the engine counts, once a second, and ends the host when the engine has lost its directory: the engine knows nothing of
//! metrics and of hosts. Sums a deployment up when it ends.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use share_engine::engine::Engine;

use crate::metrics::names;
use crate::shutdown::Stages;
use crate::supervisor::DeploymentHandle;

/// Until it is aborted.
pub(super) async fn publish(engine: Engine, stages: Arc<Stages>) {
    let (mut failures, mut crashed, mut is_lost) = (0, 0, false);
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
        if stats.archived_host_crash > crashed {
            let count = stats.archived_host_crash - crashed;
            crashed = stats.archived_host_crash;
            tracing::warn!(
                count,
                "records that hosts died with became dead letters: sharemill dead list --cause host-crash"
            );
        }
        counter!(names::ENGINE_EXPIRIES).absolute(stats.expired);
        counter!(names::ENGINE_DRAINS).absolute(stats.drains);
        gauge!(names::JOURNAL_USED).set(count(stats.journal_used));
        gauge!(names::JOURNAL_CAPACITY).set(count(stats.journal_capacity));
        gauge!(names::MEMORY_WINDOW).set(count(stats.window_bytes));
        if let Some(reason) = stats.lost.filter(|_| !std::mem::replace(&mut is_lost, true)) {
            tracing::error!(%reason, "the host ends");
            stages.drain();
        }
        let failed = stats.drain_failures + stats.log_failures;
        if failed > failures {
            failures = failed;
            let last = stats.last_failure.unwrap_or_default();
            tracing::warn!(failures, %last, "the engine could not move its journal or read a log");
        }
    }
}

/// One line on everything that became of a deployment's records.
pub(super) fn sum_up(deployment: &DeploymentHandle) {
    let totals = deployment.totals();
    let (accepted, renewed) = (totals.verdicts.get("accept"), totals.verdicts.get("renew"));
    // A reject is no failure of an attempt: it is what the handler decided, and a dead letter.
    let failed_attempts = totals.verdicts.get("release");
    let dead_letters: u64 = totals.archived.iter().map(|(_, count)| count).sum();
    let deployment = &*deployment.spec().name;
    tracing::info!(deployment, accepted, dead_letters, failed_attempts, renewed, "handled");
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
