//! Guests that loop, recurse, allocate, lie and leave: each costs its own record only, within its deadline.
//!
//! Every guest accepts, but for the record whose key begins with `x` (or, where the key is out of its sight, whose value has 777 bytes).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::super::control::now;
use super::super::testing::{
    ACCEPT, HANDLE, PARAMS, QUIET, REALLOC, component, component_with, engine, handler, input, load, module,
};
use super::super::{
    CallControl, CallEnd, HandlerSpec, HostEngine, HostServices, Input, InstanceMode, LoadedHandler, Outcome,
};
use super::{STUCK, TestServices};

pub(super) const DEADLINE: Duration = Duration::from_millis(60);
/// What is promised: a call ends at most so long after its deadline.
pub(super) const LATE: Duration = Duration::from_millis(20);
/// Test machines are shared: a measurement may be late twice.
const TRIES: u32 = 3;
/// For what ends by itself, however slow the machine.
pub(super) const AMPLE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) wasm: Vec<u8>,
    pub(super) budget: Duration,
    pub(super) expected: fn(&CallEnd) -> bool,
}

/// `handle` that does `evil` for key `x` and accepts otherwise.
pub(super) fn on_x(items: &str, evil: &str) -> Vec<u8> {
    handler(items, &body_on_x(evil))
}

fn body_on_x(evil: &str) -> String {
    format!(
        "(if (i32.eq (i32.load8_u (local.get $key)) (i32.const 120)) (then {evil}))
         {ACCEPT}"
    )
}

pub(super) fn is_deadline(end: &CallEnd) -> bool {
    matches!(end, CallEnd::Deadline { limit } if *limit == DEADLINE)
}

pub(super) fn is_trap(end: &CallEnd, wanted: &str) -> bool {
    matches!(end, CallEnd::Trap { code, .. } if code == wanted)
}

fn is_limit(end: &CallEnd, wanted: &str) -> bool {
    matches!(end, CallEnd::Limit { what, .. } if *what == wanted)
}

const LOG: &str = r#"(import "sharemill:worker/logging@0.1.0" "log"
    (func $log (param i32 i32 i32 i32 i32)))"#;
pub(super) const RENEW: &str = r#"(import "sharemill:worker/lease@0.1.0" "renew" (func $renew (param i64 i32)))"#;
const COUNTER: &str = r#"(import "sharemill:worker/metrics@0.1.0" "counter-add"
    (func $counter (param i32 i32 i64 i32 i32)))"#;

fn loops() -> Vec<Case> {
    vec![
        Case {
            name: "loop in handle",
            wasm: on_x("", "(loop $l (br $l))"),
            budget: DEADLINE,
            expected: is_deadline,
        },
        Case {
            name: "loop in cabi_realloc",
            wasm: component("handler", &realloc("(loop $l (br $l))")),
            budget: DEADLINE,
            expected: is_deadline,
        },
        Case {
            name: "loop in post-return",
            wasm: component("handler", &post_return("(loop $l (br $l))")),
            budget: DEADLINE,
            expected: is_deadline,
        },
        Case {
            name: "waits in a host call",
            wasm: on_x(RENEW, "(call $renew (i64.const 666) (i32.const 64))"),
            budget: DEADLINE,
            expected: is_deadline,
        },
        Case {
            name: "asks for memory in vain, for ever",
            wasm: on_x("", "(loop $l (drop (memory.grow (i32.const 1))) (br $l))"),
            budget: DEADLINE,
            expected: is_deadline,
        },
        Case {
            name: "fills its memory again and again",
            wasm: on_x(
                "",
                "(drop (memory.grow (i32.const 511)))
                 (loop $l (memory.fill (i32.const 65536) (i32.const 1) (i32.const 33488896)) (br $l))",
            ),
            budget: DEADLINE,
            expected: is_deadline,
        },
    ]
}

fn traps() -> Vec<Case> {
    vec![
        Case {
            name: "unreachable",
            wasm: on_x("", "unreachable"),
            budget: AMPLE,
            expected: |end| is_trap(end, "unreachable"),
        },
        Case {
            name: "recursion",
            wasm: on_x(
                "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (i64.const 1)))",
                "(drop (call $deep (i64.const 1)))",
            ),
            budget: AMPLE,
            expected: |end| is_trap(end, "stack-overflow"),
        },
        Case {
            name: "division by zero",
            wasm: on_x("", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
            budget: AMPLE,
            expected: |end| is_trap(end, "integer-division-by-zero"),
        },
        Case {
            name: "takes all memory, then gives up",
            wasm: on_x(
                "",
                "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
            ),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::OutOfMemory { limit } if *limit == 128 << 20),
        },
        Case {
            name: "takes all table elements, then gives up",
            wasm: on_x(
                "(table $t 1 funcref)",
                "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable",
            ),
            budget: AMPLE,
            expected: |end| is_limit(end, "table elements"),
        },
    ]
}

fn lies() -> Vec<Case> {
    vec![
        Case {
            name: "result beyond its memory",
            wasm: on_x("", "(return (i32.const 0x7fffff00))"),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Trap { .. }),
        },
        Case {
            name: "unaligned result",
            wasm: on_x("", "(return (i32.const 17))"),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Trap { .. }),
        },
        Case {
            name: "outcome that does not exist",
            wasm: on_x("", "(i32.store8 (i32.const 16) (i32.const 9)) (return (i32.const 16))"),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Trap { .. }),
        },
        Case {
            name: "reason that is not text",
            wasm: on_x(
                "",
                &reject(64, 4).replace("(return", "(i32.store (i32.const 64) (i32.const 0xfffefdfc)) (return"),
            ),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Trap { .. }),
        },
        Case {
            name: "reason beyond its memory",
            wasm: on_x("", &reject(0x7000_0000, 1000)),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Trap { .. }),
        },
        Case {
            name: "allocator that answers beyond its memory",
            wasm: component("handler", &realloc("(return (i32.const 0x7ffffff0))")),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Trap { .. }),
        },
        Case {
            name: "corrupts its own state",
            wasm: on_x(
                "(global $broken (mut i32) (i32.const 0))",
                "(global.set $broken (i32.const 1)) (i32.store (i32.const 0x40000000) (i32.const 1))",
            ),
            budget: AMPLE,
            expected: |end| is_trap(end, "memory-out-of-bounds"),
        },
    ]
}

fn floods() -> Vec<Case> {
    let exit = r#"(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))"#;
    vec![
        Case {
            name: "a million host calls",
            wasm: on_x(
                COUNTER,
                "(loop $l (call $counter (i32.const 0) (i32.const 0) (i64.const 1) (i32.const 0) (i32.const 0)) (br $l))",
            ),
            budget: AMPLE,
            expected: |end| is_limit(end, "host calls"),
        },
        Case {
            name: "a million lines",
            wasm: on_x(
                LOG,
                "(loop $l (call $log (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 64)) (br $l))",
            ),
            budget: AMPLE,
            expected: |end| is_limit(end, "host calls"),
        },
        Case {
            name: "returns 100 MiB",
            wasm: on_x(
                "",
                &format!("(drop (memory.grow (i32.const 1600))) {}", reject(64, 100 << 20)),
            ),
            budget: AMPLE,
            expected: |end| is_limit(end, "bytes from guest to host in one call"),
        },
        Case {
            name: "exit 0",
            wasm: with_exit(&on_x_module(exit, "(call $exit (i32.const 0))")),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Exit { code: 0 }),
        },
        Case {
            name: "exit 1",
            wasm: with_exit(&on_x_module(exit, "(call $exit (i32.const 1))")),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Exit { code: 1 }),
        },
        Case {
            name: "finds a bug in the host",
            wasm: on_x(
                &format!(r#"{COUNTER} (data (i32.const 64) "panic")"#),
                "(call $counter (i32.const 64) (i32.const 5) (i64.const 1) (i32.const 0) (i32.const 0))",
            ),
            budget: AMPLE,
            expected: |end| matches!(end, CallEnd::Panic(text) if text.contains("a bug in the host")),
        },
        Case {
            name: "checkpoint over the limit",
            wasm: on_x("", &renew(65537)),
            budget: AMPLE,
            expected: |end| {
                *end == CallEnd::Limit {
                    what: "checkpoint bytes",
                    value: 65537,
                    limit: 65536,
                }
            },
        },
    ]
}

/// Returns `reject` with the reason at `at`.
fn reject(at: u32, len: u32) -> String {
    format!(
        "(i32.store8 (i32.const 16) (i32.const 2)) (i32.store8 (i32.const 24) (i32.const 1))
         (i32.store (i32.const 28) (i32.const {at})) (i32.store (i32.const 32) (i32.const {len})) (return (i32.const 16))"
    )
}

/// Returns `renew` with a checkpoint of so many bytes.
fn renew(len: u32) -> String {
    format!(
        "(drop (memory.grow (i32.const 4)))
         (i32.store8 (i32.const 16) (i32.const 3)) (i32.store8 (i32.const 24) (i32.const 0))
         (i32.store8 (i32.const 40) (i32.const 1)) (i32.store (i32.const 44) (i32.const 64))
         (i32.store (i32.const 48) (i32.const {len})) (return (i32.const 16))"
    )
}

fn on_x_module(items: &str, evil: &str) -> String {
    module(items, &body_on_x(evil))
}

fn with_exit(wat: &str) -> Vec<u8> {
    component_with(
        &[
            "package wasi:cli@0.2.0; interface exit { exit: func(status: result); }",
            "package test:guest; world exits { include sharemill:worker/handler@0.1.0; import wasi:cli/exit@0.2.0; }",
        ],
        "test:guest/exits",
        wat,
    )
}

/// An allocator that does `evil` when asked for 777 bytes.
fn realloc(evil: &str) -> String {
    let allocator = REALLOC.replace(
        "(local $p i32)",
        &format!("(local $p i32) (if (i32.eq (local.get $size) (i32.const 777)) (then {evil}))"),
    );
    module("", ACCEPT).replace(REALLOC, &allocator)
}

fn post_return(evil: &str) -> String {
    format!(
        "(module (memory (export \"memory\") 1) {REALLOC} (global $evil (mut i32) (i32.const 0))
           (func (export \"{HANDLE}\") {PARAMS} {})
           (func (export \"cabi_post_{HANDLE}\") (param i32) (if (global.get $evil) (then {evil}))))",
        body_on_x("(global.set $evil (i32.const 1))")
    )
}

pub(super) fn spec(instance: InstanceMode) -> HandlerSpec {
    let mut spec = HandlerSpec {
        instance,
        ..HandlerSpec::default()
    };
    spec.limits.host_calls = 2_000;
    spec.limits.memory = 128 << 20;
    spec
}

fn good(id: u64) -> Input<'static> {
    input(id)
}

pub(super) fn bad(id: u64) -> Input<'static> {
    Input {
        key: Some(b"x"),
        value: Some(&[b'x'; 777]),
        ..input(id)
    }
}

/// What a slot does: the good record, the bad one, and with what is left of the instance the next good one. Returns the time that the bad
/// one took.
pub(super) async fn serve(loaded: Arc<LoadedHandler>, case: &Case) -> Duration {
    let Case {
        name, budget, expected, ..
    } = case;
    let services: Arc<dyn HostServices> = Arc::new(TestServices::default());
    let mut instance = loaded.instantiate(Arc::clone(&services)).await.expect("an instance");
    if loaded.spec().instance == InstanceMode::Reuse {
        let report = instance.call(good(1), &CallControl::new(AMPLE)).await;
        assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept), "{name}: before");
        assert!(instance.reusable());
    }
    let began = now();
    let report = instance.call(bad(STUCK), &CallControl::new(*budget)).await;
    let took = began.elapsed();
    assert!(expected(&report.end), "{name}: {report:?}");
    assert!(!instance.reusable(), "{name}");
    assert!(report.emitted.is_empty(), "{name}");
    drop(instance);

    let mut instance = loaded.instantiate(services).await.expect("the next instance");
    let report = instance.call(good(3), &CallControl::new(AMPLE)).await;
    assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept), "{name}: after");
    took
}

fn load_all(engine: &HostEngine, mode: InstanceMode, cases: Vec<Case>) -> Vec<(Case, Arc<LoadedHandler>)> {
    cases
        .into_iter()
        .map(|case| {
            let loaded = load(engine, &case.wasm, spec(mode));
            (case, loaded)
        })
        .collect()
}

/// Measures until what it took is not later than promised after `limit`. Other tests neither measure nor compile
/// meanwhile; `measure` must not load anything.
#[expect(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]
#[expect(clippy::await_holding_lock, reason = "every test has a thread of its own")]
pub(super) async fn hold<F: Future<Output = Duration>>(what: &str, limit: Duration, mut measure: impl FnMut() -> F) {
    let _quiet = QUIET.write().unwrap_or_else(PoisonError::into_inner);
    for attempt in 1..=TRIES {
        let took = measure().await;
        println!("{what}: {took:?} of {limit:?}, measurement {attempt}");
        if took <= limit + LATE {
            return;
        }
    }
    panic!("{what}: later than {LATE:?} after {limit:?} in each of {TRIES} measurements");
}

async fn alone(cases: fn() -> Vec<Case>) {
    for mode in [InstanceMode::Reuse, InstanceMode::Fresh] {
        let engine = engine();
        for (case, loaded) in load_all(&engine, mode, cases()) {
            let what = format!("{}, {mode:?}", case.name);
            hold(&what, case.budget, || serve(Arc::clone(&loaded), &case)).await;
        }
    }
}

#[tokio::test]
async fn loops_end_at_their_deadline() {
    alone(loops).await;
}

#[tokio::test]
async fn traps_are_told_apart() {
    alone(traps).await;
}

#[tokio::test]
async fn lies_are_traps() {
    alone(lies).await;
}

#[tokio::test]
async fn floods_are_stopped() {
    alone(floods).await;
}

/// Ten at once on two threads, as lanes run them; a good handler on each goes on meanwhile. The longest time counts.
async fn together(cases: fn() -> Vec<Case>) {
    for mode in [InstanceMode::Reuse, InstanceMode::Fresh] {
        let engine = engine();
        let loaded = load_all(&engine, mode, cases());
        let budget = loaded[0].0.budget;
        assert!(loaded.iter().all(|(case, _)| case.budget == budget));
        let what = format!("ten at once, {mode:?}");
        hold(&what, budget, || std::future::ready(longest_of_ten(&loaded))).await;
    }
}

fn longest_of_ten(loaded: &[(Case, Arc<LoadedHandler>)]) -> Duration {
    std::thread::scope(|scope| {
        let lanes = [0, 1].map(|lane| scope.spawn(move || longest_of_five(loaded, lane * 5)));
        lanes.into_iter().map(|lane| lane.join().unwrap()).max().unwrap()
    })
}

fn longest_of_five(loaded: &[(Case, Arc<LoadedHandler>)], first: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut slots = JoinSet::new();
    for index in first..first + 5 {
        let (case, loaded) = loaded[index % loaded.len()].clone();
        let slot = async move { serve(loaded, &case).await };
        slots.spawn_on(slot, runtime.handle());
    }
    runtime.block_on(slots.join_all()).into_iter().max().unwrap()
}

#[tokio::test]
async fn ten_loops_at_once() {
    together(loops).await;
}

#[tokio::test]
async fn ten_traps_at_once() {
    together(traps).await;
}

#[tokio::test]
async fn ten_lies_at_once() {
    together(lies).await;
}

#[tokio::test]
async fn ten_floods_at_once() {
    together(floods).await;
}
