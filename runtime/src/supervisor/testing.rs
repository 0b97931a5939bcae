//! What tests of the loop run on: the clock of tokio's paused time, and a native handler that does what the record says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use share_engine::testing::SeededEntropy;
use share_engine::time::{Clock, Instant, Now, WallTime};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::{DeploymentHandle, DeploymentSpec, Host, HostContext, HostOptions};
use crate::handler::{CallControl, CallEnd, CallReport, Outcome, OutgoingRecord};
use crate::lane::{LanePool, Stage, Worker, WorkerFactory, plain_report};
use crate::shutdown::Stages;
use crate::source::{Delivery, ScriptedSource};

/// Follows tokio's clock, paused or not.
pub(crate) struct TokioClock(tokio::time::Instant);

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let nanos = u64::try_from(self.0.elapsed().as_nanos()).unwrap() + 3_600_000_000_000;
        Now {
            monotonic: Instant::from_nanos(nanos),
            wall: WallTime::from_millis(i64::try_from(nanos / 1_000_000).unwrap()),
        }
    }
}

pub(crate) fn context() -> HostContext {
    HostContext::new(
        Arc::new(TokioClock(tokio::time::Instant::now())),
        Arc::new(SeededEntropy::new(1)),
    )
}

/// Counts what its workers do.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    pub(crate) opened: Arc<AtomicUsize>,
    pub(crate) running: Arc<AtomicUsize>,
    pub(crate) most_running: Arc<AtomicUsize>,
    pub(crate) dropped: Arc<AtomicUsize>,
    /// So many openings fail.
    pub(crate) refuse_open: Arc<AtomicUsize>,
    /// How they fail; `None`: no free instance.
    pub(crate) open_end: Option<CallEnd>,
}

pub(crate) struct ScriptedWorker(Scripted);

impl Drop for ScriptedWorker {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl WorkerFactory for Scripted {
    type Worker = ScriptedWorker;

    async fn open(&self, _control: &Arc<CallControl>) -> Result<ScriptedWorker, CallEnd> {
        let refused = self
            .refuse_open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if refused.is_ok() {
            let none_free = || CallEnd::HostFault("no free instance".to_owned());
            return Err(self.open_end.clone().unwrap_or_else(none_free));
        }
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(ScriptedWorker(self.clone()))
    }

    fn module(&self) -> Arc<str> {
        Arc::from("native")
    }
}

struct Running<'a>(&'a Scripted);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Worker for ScriptedWorker {
    async fn call(&mut self, delivery: &Delivery, _id: u64, control: &Arc<CallControl>) -> CallReport {
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_running.fetch_max(running, Ordering::SeqCst);
        let _running = Running(&self.0);
        let value = delivery.record().unwrap().value.unwrap_or_default().to_vec();
        let text = String::from_utf8(value).unwrap();
        let (verb, argument) = text.split_once(' ').unwrap_or((&text, "0"));
        let wait = Duration::from_millis(argument.parse().unwrap());
        let outcome = match verb {
            "sleep" => {
                tokio::time::sleep(wait).await;
                Outcome::Accept
            }
            "until-cancelled" => {
                while control.cancel_reason().is_none() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                return plain_report(CallEnd::Cancelled, Duration::ZERO);
            }
            "until-ending" => {
                while !control.is_ending() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Outcome::Accept
            }
            "emit" => {
                let mut report = plain_report(CallEnd::Outcome(Outcome::Accept), Duration::from_micros(2));
                report.emitted.push(OutgoingRecord {
                    topic: "target".to_owned(),
                    partition: None,
                    key: None,
                    value: None,
                    headers: Vec::new(),
                });
                return report;
            }
            "never" => std::future::pending().await,
            // So many microseconds of the lane.
            "spin" => {
                let cpu = Duration::from_micros(argument.parse().unwrap());
                let began = std::hint::black_box(tokio::time::Instant::now());
                while began.elapsed() < cpu {
                    std::hint::spin_loop();
                }
                return plain_report(CallEnd::Outcome(Outcome::Accept), cpu);
            }
            "panic" => panic!("told to"),
            "trap" => {
                let end = CallEnd::Trap {
                    code: "unreachable".to_owned(),
                    message: "told to".to_owned(),
                    backtrace: Vec::new(),
                };
                return plain_report(end, Duration::from_micros(30));
            }
            "release" => Outcome::Release {
                after: None,
                reason: Some("told to".to_owned()),
            },
            "reject" => Outcome::Reject { reason: None },
            "renew" if delivery.lease.continuation.get() < 3 => Outcome::Renew {
                after: Some(wait),
                checkpoint: Some(bytes::Bytes::from_static(b"state")),
            },
            _ => Outcome::Accept,
        };
        plain_report(CallEnd::Outcome(outcome), Duration::from_micros(2))
    }
}

/// A host with lanes on this thread, one source and one deployment.
pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) source: ScriptedSource,
    pub(crate) factory: Scripted,
    pub(crate) deployment: DeploymentHandle,
    pub(crate) began: tokio::time::Instant,
}

pub(crate) fn spec(concurrency: u32) -> DeploymentSpec {
    DeploymentSpec {
        concurrency,
        ..DeploymentSpec::new("test", "scripted")
    }
}

impl World {
    pub(crate) fn new(lanes: usize, spec: DeploymentSpec) -> Self {
        Self::with(lanes, spec, Scripted::default())
    }

    pub(crate) fn with(lanes: usize, spec: DeploymentSpec, factory: Scripted) -> Self {
        Self::on(lanes, spec, factory, LanePool::local)
    }

    /// The last of the lanes is wedged from the start.
    pub(crate) fn with_dead_lane(lanes: usize, spec: DeploymentSpec) -> Self {
        Self::on(lanes, spec, Scripted::default(), LanePool::local_with_dead_lane)
    }

    fn on(
        lanes: usize,
        spec: DeploymentSpec,
        factory: Scripted,
        pool: impl FnOnce(usize, &HostContext) -> LanePool,
    ) -> Self {
        let context = context();
        let source = ScriptedSource::new(context.clock.clone(), spec.lock, spec.attempts);
        let pool = pool(lanes, &context);
        let mut host = Host::on(
            pool,
            HostOptions {
                lanes,
                ..HostOptions::default()
            },
            context,
        );
        let deployment = host.deploy(spec, Arc::new(source.clone()), factory.clone()).unwrap();
        Self {
            host,
            source,
            factory,
            deployment,
            began: tokio::time::Instant::now(),
        }
    }

    /// Until nothing is left to do; how long that took.
    pub(crate) async fn idle(&self) -> Duration {
        self.host.until_idle().await;
        self.began.elapsed()
    }

    /// Until this many calls run.
    pub(crate) async fn running(&self, count: usize) {
        while self.factory.running.load(Ordering::SeqCst) != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) async fn shutdown(self, stages: watch::Receiver<Stage>) -> super::ShutdownReport {
        self.host.shutdown(stages).await
    }

    pub(crate) async fn drain(self) {
        let stages = Stages::default();
        let report = self.shutdown(stages.subscribe()).await;
        assert_eq!(report, super::ShutdownReport::default());
    }
}

pub(crate) async fn local<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}
