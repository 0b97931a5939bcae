//! What the host loop costs by itself: records through a native handler that does nothing, over a source in memory, against the same
//! source driven directly. Prints CPU nanoseconds per record. A program, not a test.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use share_engine::time::Clock;
use sharemill::handler::{CallControl, CallEnd, CallReport, Outcome};
use sharemill::lane::{Worker, WorkerFactory, plain_report};
use sharemill::shutdown::Stages;
use sharemill::source::{Credit, Delivery, ScriptedSource, Settlement, Source, Verdict};
use sharemill::supervisor::{DeploymentSpec, Host, HostContext, HostOptions};

struct NoOp;

impl Worker for NoOp {
    async fn call(&mut self, delivery: &Delivery, _id: u64, _control: &Arc<CallControl>) -> CallReport {
        std::hint::black_box(delivery.record().is_ok());
        plain_report(CallEnd::Outcome(Outcome::Accept), Duration::from_nanos(300))
    }
}

struct NoOps;

impl WorkerFactory for NoOps {
    type Worker = NoOp;

    async fn open(&self, _control: &Arc<CallControl>) -> Result<NoOp, CallEnd> {
        Ok(NoOp)
    }

    fn module(&self) -> Arc<str> {
        Arc::from("native")
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn source(clock: &Arc<dyn Clock>, records: usize) -> ScriptedSource {
    let source = ScriptedSource::new(clock.clone(), DeploymentSpec::LOCK, 5);
    source.produce(std::iter::repeat_n(&b"200 bytes or so"[..], records));
    source
}

async fn direct(clock: &Arc<dyn Clock>, records: usize) -> Duration {
    let source = source(clock, records);
    let began = cpu();
    let credit = Credit {
        records: 256,
        bytes: u64::MAX,
    };
    while source.state().applied.get("accept").copied().unwrap_or(0) < records as u64 {
        let batch = source.acquire(credit).await.unwrap();
        let settle = |delivery: Delivery| Settlement {
            lease: delivery.lease,
            verdict: Verdict::Accept,
            emitted: Vec::new(),
            evidence: None,
        };
        source.settle(batch.into_iter().map(settle).collect()).await;
    }
    cpu().saturating_sub(began)
}

async fn looped(clock: &Arc<dyn Clock>, records: usize, lanes: usize) -> (Duration, Duration, u64, u64) {
    let source = source(clock, records);
    let context = HostContext::system();
    let options = HostOptions {
        lanes,
        ..HostOptions::default()
    };
    let mut host = Host::start(options, context).unwrap();
    let (began, wall) = (cpu(), clock.now().monotonic);
    let spec = DeploymentSpec {
        concurrency: 64,
        ..DeploymentSpec::new("noop", "scripted")
    };
    host.deploy(spec, Arc::new(source.clone()), NoOps).unwrap();
    host.until_idle().await;
    let used = cpu().saturating_sub(began);
    let took = clock.now().monotonic.since(wall);
    let stages = Stages::default();
    host.shutdown(stages.subscribe()).await;
    let state = source.state();
    (used, took, state.acquires, state.settles)
}

fn main() {
    let records = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(2_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clock: Arc<dyn Clock> = HostContext::system().clock;
    runtime.block_on(async {
        let each = |time: Duration| time.as_nanos() / records as u128;
        let alone = direct(&clock, records).await;
        println!("source alone: {} ns CPU a record", each(alone));
        for lanes in [1, 2] {
            let (used, took, acquires, settles) = looped(&clock, records, lanes).await;
            println!(
                "{lanes} lanes: {} ns CPU a record, {} ns wall, {} records an acquire, {} a settle",
                each(used),
                each(took),
                records as u64 / acquires.max(1),
                records as u64 / settles.max(1)
            );
        }
    });
}
