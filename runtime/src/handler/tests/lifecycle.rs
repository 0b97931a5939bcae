//! Instances from their start to their end: start functions, `configure`, cancellation, dropped calls, the pool.

use std::sync::Arc;
use std::time::Duration;

use super::super::control::now;
use super::super::testing::{ACCEPT, component, engine, handler, input, load, module};
use super::super::{
    CallControl, CallEnd, CancelReason, HandlerSpec, HostServices, InstanceMode, LoadedHandler, Outcome,
};
use super::hostile::{AMPLE, Case, DEADLINE, RENEW, bad, hold, is_deadline, is_trap, on_x, serve, spec};
use super::{STUCK, TestServices};

fn to_start(wat: &str, world: &str) -> Arc<LoadedHandler> {
    let mut spec = spec(InstanceMode::Fresh);
    spec.limits.deadline = DEADLINE;
    load(&engine(), &component(world, wat), spec)
}

async fn start(loaded: &Arc<LoadedHandler>) -> (Result<(), CallEnd>, Duration) {
    let began = now();
    let started = loaded.instantiate(Arc::new(TestServices::default())).await.map(drop);
    (started, began.elapsed())
}

fn with_start(items: &str) -> String {
    module(&format!("(start $start) (func $start {items})"), ACCEPT)
}

const CONFIGURE: &str = "sharemill:worker/lifecycle@0.1.0#configure";

#[tokio::test]
async fn starting_is_under_the_same_clock() {
    let looping = "(loop $l (br $l))";
    let configure = module(
        &format!("(func (export \"{CONFIGURE}\") (param i32 i32) (result i32) {looping} unreachable)"),
        ACCEPT,
    );
    for (name, wat, world) in [
        ("start loop", with_start(looping), "handler"),
        ("configure loop", configure, "configurable-handler"),
    ] {
        let loaded = to_start(&wat, world);
        let measure = async || {
            let (started, took) = start(&loaded).await;
            assert!(is_deadline(&started.expect_err(name)), "{name}");
            took
        };
        hold(name, DEADLINE, measure).await;
    }
    let (started, _) = start(&to_start(&with_start("unreachable"), "handler")).await;
    assert!(is_trap(&started.expect_err("a trap"), "unreachable"));
}

#[tokio::test]
async fn configure_may_refuse() {
    // result<_, string> at 16: tag, pointer, length.
    let refuse = module(
        &format!(
            "(data (i32.const 64) \"no bucket\") (func (export \"{CONFIGURE}\") (param i32 i32) (result i32)
               (i32.store8 (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 64))
               (i32.store (i32.const 24) (i32.const 9)) (i32.const 16))"
        ),
        ACCEPT,
    );
    let (started, _) = start(&to_start(&refuse, "configurable-handler")).await;
    assert_eq!(
        started.expect_err("a refusal"),
        CallEnd::Refused {
            reason: "no bucket".to_owned()
        }
    );
}

#[tokio::test]
async fn cancelling_ends_guest_code_and_waits_alike() {
    let engine = engine();
    let grace = Duration::from_millis(20);
    for wasm in [
        on_x("", "(loop $l (br $l))"),
        on_x(RENEW, "(call $renew (i64.const 666) (i32.const 64))"),
    ] {
        let loaded = load(&engine, &wasm, HandlerSpec::default());
        hold("a cancelled call", grace, || cancel(&loaded, grace)).await;
    }
}

/// Cancels a call that goes on for ever; tells how long it took.
async fn cancel(loaded: &Arc<LoadedHandler>, grace: Duration) -> Duration {
    let mut instance = loaded
        .instantiate(Arc::new(TestServices::default()))
        .await
        .expect("an instance");
    let control = CallControl::new(Duration::from_mins(10));
    let (running, stop) = (Arc::clone(&control), Arc::clone(&control));
    let began = now();
    let call = tokio::spawn(async move { (instance.call(bad(STUCK), &running).await, instance) });
    tokio::task::yield_now().await;
    stop.cancel(CancelReason::Shutdown, grace);
    assert!(stop.is_ending());
    let (report, instance) = call.await.unwrap();
    let took = began.elapsed();
    assert_eq!(report.end, CallEnd::Cancelled);
    assert_eq!(control.cancel_reason(), Some(CancelReason::Shutdown));
    assert!(!instance.reusable());
    took
}

#[tokio::test]
async fn a_dropped_call_spends_the_instance() {
    let engine = engine();
    let loaded = load(
        &engine,
        &on_x(RENEW, "(call $renew (i64.const 666) (i32.const 64))"),
        HandlerSpec::default(),
    );
    let mut instance = loaded
        .instantiate(Arc::new(TestServices::default()))
        .await
        .expect("an instance");
    let control = CallControl::new(Duration::from_mins(10));
    tokio::select! {
        biased;
        report = instance.call(bad(STUCK), &control) => panic!("{report:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert!(!instance.reusable());
}

#[tokio::test]
async fn a_store_starts_from_nothing() {
    // Counts in a global and accepts while the count is 1, else traps: a fresh instance has never seen a record.
    let wasm = handler(
        "(global $seen (mut i32) (i32.const 0))",
        &format!(
            "(global.set $seen (i32.add (global.get $seen) (i32.const 1)))
             (if (i32.ne (global.get $seen) (i32.const 1)) (then unreachable))
             (if (i32.load (i32.const 2048)) (then unreachable))
             (i32.store (i32.const 2048) (i32.const 1)) {ACCEPT}"
        ),
    );
    let engine = engine();
    let loaded = load(&engine, &wasm, HandlerSpec::default());
    for id in 0..200 {
        let mut instance = loaded
            .instantiate(Arc::new(TestServices::default()))
            .await
            .expect("an instance");
        let report = instance.call(input(id), &CallControl::new(AMPLE)).await;
        assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
    }
}

#[tokio::test]
async fn the_pool_is_full() {
    let engine = super::super::testing::engine_of(2);
    let loaded = load(&engine, &handler("", ACCEPT), HandlerSpec::default());
    let services: Arc<dyn HostServices> = Arc::new(TestServices::default());
    let first = loaded.instantiate(Arc::clone(&services)).await.expect("the first");
    let second = loaded.instantiate(Arc::clone(&services)).await.expect("the second");
    if engine.is_pooling() {
        let third = loaded.instantiate(Arc::clone(&services)).await.expect_err("no room");
        assert!(
            matches!(&third, CallEnd::HostFault(why) if why.contains("no room")),
            "{third:?}"
        );
    }
    drop((first, second));
    loaded.instantiate(services).await.expect("room again");
}

/// An idle host has no ticks; the first call brings them back.
#[tokio::test]
async fn deadlines_hold_after_a_rest() {
    let engine = engine();
    let case = Case {
        name: "loop after a rest",
        wasm: on_x("", "(loop $l (br $l))"),
        budget: DEADLINE,
        expected: is_deadline,
    };
    let loaded = load(&engine, &case.wasm, spec(InstanceMode::Reuse));
    let measure = async || {
        while !engine.ticker().is_resting() {
            tokio::task::yield_now().await;
        }
        serve(Arc::clone(&loaded), &case).await
    };
    hold(case.name, DEADLINE, measure).await;
}

/// Lanes may move instances and calls between threads.
#[test]
fn calls_can_be_sent() {
    fn sendable<T: Send>(_: &T) {}
    fn call(instance: &mut super::super::Instance, control: &Arc<CallControl>) {
        sendable(&instance.call(input(1), control));
        sendable(instance);
    }
    let _: fn(&mut super::super::Instance, &Arc<CallControl>) = call;
}
