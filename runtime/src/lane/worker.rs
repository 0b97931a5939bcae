//! What a slot runs: the seam between the loop and handlers, so that a native handler and a Wasm instance are driven alike.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::handler::{CallControl, CallEnd, CallReport};
use crate::source::Delivery;

/// Serves one record at a time; lives on one lane.
pub trait Worker: 'static {
    /// Runs one record. Has to end when `control` says so; what does not is dropped a second later. `id` names the delivery.
    fn call(&mut self, delivery: &Delivery, id: u64, control: &Arc<CallControl>) -> impl Future<Output = CallReport>;
}

/// Makes workers of one deployment, on any lane.
pub trait WorkerFactory: Send + Sync + 'static {
    /// What it makes.
    type Worker: Worker;

    /// A new worker, within the time of `control`.
    fn open(&self, control: &Arc<CallControl>) -> impl Future<Output = Result<Self::Worker, CallEnd>>;

    /// Names the code in dead letters: SHA-256 of the component in hexadecimal, or what stands for it.
    fn module(&self) -> Arc<str>;

    /// Called once on every lane before the first worker.
    fn prepare_lane(&self) {}
}

/// The report of a call that emitted, logged and measured nothing.
pub fn plain_report(end: CallEnd, cpu: Duration) -> CallReport {
    CallReport {
        end,
        emitted: Vec::new(),
        log_tail: Vec::new(),
        cpu,
        ended: tokio::time::Instant::now().into_std(),
        memory_peak: 0,
        host_calls: 0,
        dropped_log_bytes: 0,
    }
}
