//! Components through the whole loop, over a source in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::handler::{HandlerSpec, InstanceMode, testing};
use crate::lane::LanePool;
use crate::shutdown::Stages;
use crate::source::{Cause, ScriptedSource, ScriptedState};
use crate::supervisor::testing::{context, local, spec};
use crate::supervisor::{Host, HostOptions};

struct NoProducer;

impl RecordProducer for NoProducer {
    fn send(&self, _records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>> {
        Box::pin(std::future::ready(Err(ProducerError::Unavailable("test".to_owned()))))
    }
}

/// Runs `records` through a component with this body; what the source saw.
async fn run(items: &str, body: &str, records: usize, adjust: impl FnOnce(&mut DeploymentSpec)) -> ScriptedState {
    run_component(&testing::handler(items, body), records, adjust).await
}

async fn run_component(bytes: &[u8], records: usize, adjust: impl FnOnce(&mut DeploymentSpec)) -> ScriptedState {
    let engine = testing::engine();
    let mut spec = spec(4);
    adjust(&mut spec);
    let handler = testing::load(
        &engine,
        bytes,
        HandlerSpec {
            deployment: "test".to_owned(),
            ..HandlerSpec::default()
        },
    );
    local(async move {
        let context = context();
        let source = ScriptedSource::new(context.clock.clone(), spec.lock, spec.attempts);
        let pool = LanePool::local(2, &context);
        let clock = context.clock.clone();
        let mut host = Host::on(pool, HostOptions::default(), context);
        source.produce(std::iter::repeat_n("value", records));
        let shared: Arc<dyn Source> = Arc::new(source.clone());
        let factory = WasmFactory::new(handler, &spec, shared.clone(), Arc::new(NoProducer), clock);
        host.deploy(spec, shared, factory).unwrap();
        host.until_idle().await;
        host.shutdown(Stages::default().subscribe()).await;
        source.state()
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn accepts_through_reused_and_fresh_instances() {
    for mode in [InstanceMode::Reuse, InstanceMode::Fresh] {
        let state = run("", testing::ACCEPT, 500, |spec| spec.instance = mode).await;
        assert_eq!(state.applied["accept"], 500, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_its_own_for_every_record() {
    // The second call of an instance would trap.
    let items = "(global $calls (mut i32) (i32.const 0))";
    let body = format!(
        "(if (global.get $calls) (then unreachable)) (global.set $calls (i32.const 1)) {}",
        testing::ACCEPT
    );
    let state = run(items, &body, 100, |spec| spec.instance = InstanceMode::Fresh).await;
    assert_eq!(state.applied["accept"], 100);
    assert_eq!(state.deliveries, 100);
}

#[tokio::test(start_paused = true)]
async fn traps_use_up_the_attempts_and_leave_evidence() {
    let state = run("", "unreachable", 3, |spec| spec.attempts = 2).await;
    assert_eq!((state.applied["release"], state.deliveries), (6, 6));
    let evidence = state.evidence[&0].evidence.clone().unwrap();
    assert_eq!((evidence.cause, evidence.module.len()), (Cause::Trap, 64));
    assert!(evidence.trap.unwrap().starts_with("unreachable"));
}

#[tokio::test]
async fn a_guest_that_loops_ends_at_its_deadline_and_the_next_one_works() {
    // On the real clock: guests are stopped by time, whatever the host's clock says.
    let body = format!(
        "(if (i64.eqz (local.get $offset)) (then (loop $on (br $on)))) {}",
        testing::ACCEPT
    );
    let state = run("", &body, 20, |spec| {
        spec.deadline = Duration::from_millis(60);
        spec.attempts = 1;
    })
    .await;
    assert_eq!(state.applied["accept"], 19);
    assert_eq!(state.evidence[&0].evidence.as_ref().unwrap().cause, Cause::Deadline);
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_batches_gets_batches_of_one() {
    // Accepts lists of one record; another length would trap.
    let wat = format!(
        "(module (memory (export \"memory\") 1) {}
           (func (export \"{}\") (param $list i32) (param $count i32) (result i32)
             (if (i32.ne (local.get $count) (i32.const 1)) (then unreachable))
             (i32.store8 (i32.const 16) (i32.const 0)) (i32.store8 (i32.const 24) (i32.const 0)) (i32.const 16)))",
        testing::REALLOC,
        testing::BATCH,
    );
    let state = run_component(&testing::component("batch-handler", &wat), 50, |_| {}).await;
    assert_eq!(state.applied["accept"], 50);
}
