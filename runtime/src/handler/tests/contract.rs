//! What a handler returns, emits and asks for, and what the host makes of it.

use std::sync::Arc;
use std::time::Duration;

use super::super::testing::{ACCEPT, engine, handler, input, load};
use super::super::{CallControl, CallEnd, CallReport, HandlerSpec, NullServices, Outcome};

async fn run(bytes: &[u8], spec: HandlerSpec) -> CallReport {
    let engine = engine();
    let loaded = load(&engine, bytes, spec);
    let mut instance = loaded.instantiate(Arc::new(NullServices)).await.expect("an instance");
    let control = CallControl::new(loaded.spec().limits.deadline);
    let report = instance.call(input(7), &control).await;
    assert_eq!(instance.reusable(), matches!(report.end, CallEnd::Outcome(_)));
    report
}

#[tokio::test]
async fn accept() {
    let report = run(&handler("", ACCEPT), HandlerSpec::default()).await;
    assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
    assert_eq!(report.memory_peak, 65536);
    assert_eq!(report.host_calls, 0);
}

#[tokio::test]
async fn an_instance_serves_many_records() {
    let engine = engine();
    let loaded = load(&engine, &handler("", ACCEPT), HandlerSpec::default());
    let mut instance = loaded.instantiate(Arc::new(NullServices)).await.expect("an instance");
    for id in 0..1000 {
        let control = CallControl::new(Duration::from_secs(10));
        let report = instance.call(input(id), &control).await;
        assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
    }
}

#[tokio::test]
async fn a_trap_has_its_code_and_frames() {
    let report = run(&handler("", "unreachable"), HandlerSpec::default()).await;
    let CallEnd::Trap { code, backtrace, .. } = report.end else {
        panic!("{report:?}");
    };
    assert_eq!(code, "unreachable");
    assert_eq!(backtrace.len(), 1);
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline() {
    let mut spec = HandlerSpec::default();
    spec.limits.deadline = Duration::from_millis(50);
    let report = run(&handler("", "(loop $l (br $l)) unreachable"), spec).await;
    assert_eq!(
        report.end,
        CallEnd::Deadline {
            limit: Duration::from_millis(50)
        }
    );
}
