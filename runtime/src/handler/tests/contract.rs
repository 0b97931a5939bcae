//! What a handler returns, emits and asks for, and what the host makes of it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::testing::{ACCEPT, BATCH, REALLOC, component, component_with, engine, handler, input, load, module};
use super::super::{
    BatchReport, CallControl, CallEnd, CallReport, HandlerSpec, Header, Input, Outcome, OutgoingRecord,
};
use super::TestServices;

async fn run_with(bytes: &[u8], spec: HandlerSpec, input: Input<'_>) -> (CallReport, Arc<TestServices>) {
    let engine = engine();
    let loaded = load(&engine, bytes, spec);
    let services = Arc::new(TestServices::default());
    let mut instance = loaded.instantiate(services.clone()).await.expect("an instance");
    let control = CallControl::new(MINUTE);
    let report = instance.call(input, &control).await;
    assert_eq!(instance.reusable(), matches!(report.end, CallEnd::Outcome(_)));
    (report, services)
}

async fn end_of(items: &str, body: &str) -> CallEnd {
    run_with(&handler(items, body), spec(), input(7)).await.0.end
}

fn spec() -> HandlerSpec {
    let mut spec = HandlerSpec {
        group: "enrich".to_owned(),
        topic: Some("orders".to_owned()),
        attempt_limit: Some(5),
        ..HandlerSpec::default()
    };
    spec.grants.emit.insert("lines".to_owned());
    spec
}

const MINUTE: Duration = Duration::from_mins(1);
const DATA: &str = r#"(data (i32.const 64) "because") (data (i32.const 128) "lines") (data (i32.const 192) "secrets")"#;

#[tokio::test]
async fn accept() {
    let (report, _) = run_with(&handler("", ACCEPT), spec(), input(7)).await;
    assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
    assert_eq!((report.memory_peak, report.host_calls), (65536, 0));
    assert!(report.log_tail.is_empty());
}

#[tokio::test]
async fn release_with_delay_and_reason() {
    let body = "(i32.store8 (i32.const 16) (i32.const 1))
        (i32.store8 (i32.const 24) (i32.const 1)) (i64.store (i32.const 32) (i64.const 1500000000))
        (i32.store8 (i32.const 40) (i32.const 1)) (i32.store (i32.const 44) (i32.const 64)) (i32.store (i32.const 48) (i32.const 7))
        (i32.const 16)";
    assert_eq!(
        end_of(DATA, body).await,
        CallEnd::Outcome(Outcome::Release {
            after: Some(Duration::from_millis(1500)),
            reason: Some("because".to_owned())
        })
    );
}

/// `reject` with the reason at `at`.
fn reject(at: &str, len: &str) -> String {
    format!(
        "(i32.store8 (i32.const 16) (i32.const 2)) (i32.store8 (i32.const 24) (i32.const 1))
         (i32.store (i32.const 28) {at}) (i32.store (i32.const 32) {len}) (i32.const 16)"
    )
}

#[tokio::test]
async fn reasons_are_cut_and_marked() {
    let short = end_of(DATA, &reject("(i32.const 64)", "(i32.const 7)")).await;
    assert_eq!(
        short,
        CallEnd::Outcome(Outcome::Reject {
            reason: Some("because".to_owned())
        })
    );
    let long = end_of("", &reject("(i32.const 8192)", "(i32.const 5000)")).await;
    let CallEnd::Outcome(Outcome::Reject { reason: Some(reason) }) = long else {
        panic!("{long:?}");
    };
    assert_eq!(reason.len(), 1024);
    assert!(reason.ends_with(" [cut, 5000 bytes]"));
}

#[tokio::test]
async fn renew_with_checkpoint() {
    let body = "(i32.store8 (i32.const 16) (i32.const 3)) (i32.store8 (i32.const 24) (i32.const 0))
        (i32.store8 (i32.const 40) (i32.const 1)) (i32.store (i32.const 44) (i32.const 64)) (i32.store (i32.const 48) (i32.const 7))
        (i32.const 16)";
    assert_eq!(
        end_of(DATA, body).await,
        CallEnd::Outcome(Outcome::Renew {
            after: None,
            checkpoint: Some(Bytes::from_static(b"because"))
        })
    );
}

/// Hands a checkpoint back as the reason: `option<list<u8>>` arrives at 1024.
#[tokio::test]
async fn a_checkpoint_is_there_again() {
    let body = format!(
        "(call $checkpoint (local.get $id) (i32.const 1024)) {}",
        reject("(i32.load (i32.const 1028))", "(i32.load (i32.const 1032))")
    );
    let wasm = handler(
        r#"(import "sharemill:worker/lease@0.1.0" "checkpoint" (func $checkpoint (param i64 i32)))"#,
        &body,
    );
    let continued = Input {
        checkpoint: Some(Bytes::from_static(b"page 3")),
        ..input(7)
    };
    let (report, _) = run_with(&wasm, spec(), continued).await;
    assert_eq!(
        report.end,
        CallEnd::Outcome(Outcome::Reject {
            reason: Some("page 3".to_owned())
        })
    );
    assert_eq!(report.host_calls, 1);
}

#[tokio::test]
async fn keys_name_the_record_not_the_delivery() {
    let body = format!(
        "(call $idempotency (local.get $id) (i32.const 1024)) {}",
        reject("(i32.load (i32.const 1024))", "(i32.load (i32.const 1028))")
    );
    let import = r#"(import "sharemill:worker/context@0.1.0" "idempotency-key" (func $idempotency (param i64 i32)))"#;
    assert_eq!(end_of(import, &body).await, rejected("enrich:orders:3:42"));
}

#[tokio::test]
async fn another_delivery_is_nobodys_business() {
    let body = format!("(call $idempotency (i64.const 8) (i32.const 1024)) {ACCEPT}");
    let import = r#"(import "sharemill:worker/context@0.1.0" "idempotency-key" (func $idempotency (param i64 i32)))"#;
    let end = end_of(import, &body).await;
    assert!(
        matches!(&end, CallEnd::Trap { code, message, .. } if code == "unknown-delivery" && message.contains('8')),
        "{end:?}"
    );
}

#[tokio::test]
async fn the_record_arrives_as_it_is() {
    // Compares what it sees with what was sent; any difference traps.
    let body = format!(
        "(if (i64.ne (local.get $id) (i64.const 7)) (then unreachable))
         (if (i32.ne (local.get $topic-len) (i32.const 6)) (then unreachable))
         (if (i32.ne (i32.load (local.get $topic)) (i32.const 0x6564726f)) (then unreachable))
         (if (i32.ne (local.get $partition) (i32.const 3)) (then unreachable))
         (if (i64.ne (local.get $offset) (i64.const 42)) (then unreachable))
         (if (i64.ne (local.get $timestamp) (i64.const 1790000000000)) (then unreachable))
         (if (i32.ne (local.get $timestamp-type) (i32.const 1)) (then unreachable))
         (if (i32.ne (local.get $count) (i32.const 2)) (then unreachable))
         (if (local.get $has-key) (then unreachable))
         (if (i32.eqz (local.get $has-value)) (then unreachable))
         (if (local.get $value-len) (then unreachable))
         (if (i32.ne (local.get $headers-len) (i32.const 2)) (then unreachable))
         (if (i32.ne (i32.load8_u (i32.load (local.get $headers))) (i32.const 97)) (then unreachable))
         (if (i32.ne (i32.load8_u offset=8 (local.get $headers)) (i32.const 1)) (then unreachable))
         (if (i32.load8_u offset=28 (local.get $headers)) (then unreachable))
         {ACCEPT}"
    );
    let record = Input {
        delivery_count: 2,
        key: None,
        value: Some(b""),
        headers: &[
            Header {
                name: "a",
                value: Some(b"1"),
            },
            Header { name: "b", value: None },
        ],
        ..input(7)
    };
    let (report, _) = run_with(&handler("", &body), spec(), record).await;
    assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
}

const EMIT: &str = r#"(import "sharemill:worker/producer@0.1.0" "emit" (func $emit (param i64 i32 i32 i32)))
    (import "sharemill:worker/producer@0.1.0" "send" (func $send (param i32 i32 i32)))"#;

/// One outgoing record at 2048, with the topic at `topic` and `len` bytes of value.
fn outgoing(topic: u32, topic_len: u32, len: u32) -> String {
    format!(
        "(i32.store (i32.const 2048) (i32.const {topic})) (i32.store (i32.const 2052) (i32.const {topic_len}))
         (i32.store8 (i32.const 2056) (i32.const 0)) (i32.store8 (i32.const 2064) (i32.const 0))
         (i32.store8 (i32.const 2076) (i32.const 1)) (i32.store (i32.const 2080) (i32.const 64))
         (i32.store (i32.const 2084) (i32.const {len})) (i32.store (i32.const 2088) (i32.const 0))
         (i32.store (i32.const 2092) (i32.const 0))"
    )
}

/// Rejects with the error's number and text if the result at 1024 is one.
fn reject_on_error() -> String {
    format!(
        "(if (i32.load8_u (i32.const 1024)) (then
           (i32.store8 (i32.const 3000) (i32.add (i32.const 48) (i32.load8_u (i32.const 1028))))
           (if (i32.load8_u (i32.const 1028)) (then {} return) (else {} return))))",
        reject("(i32.const 3000)", "(i32.const 1)"),
        reject("(i32.load (i32.const 1032))", "(i32.load (i32.const 1036))"),
    )
}

const CALL_EMIT: &str = "(call $emit (local.get $id) (i32.const 2048) (i32.const 1) (i32.const 1024))";

fn emitting(topic: u32, topic_len: u32, len: u32, call: &str, then: &str) -> Vec<u8> {
    handler(
        &format!("{EMIT} {DATA}"),
        &format!(
            "(drop (memory.grow (i32.const 40))) {} {call} {} {then}",
            outgoing(topic, topic_len, len),
            reject_on_error()
        ),
    )
}

fn because(topic: &str) -> OutgoingRecord {
    OutgoingRecord {
        topic: topic.to_owned(),
        partition: None,
        key: None,
        value: Some(Bytes::from_static(b"because")),
        headers: Vec::new(),
    }
}

#[tokio::test]
async fn what_is_emitted_leaves_with_accept_only() {
    let (report, _) = run_with(&emitting(128, 5, 7, CALL_EMIT, ACCEPT), spec(), input(7)).await;
    assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
    assert_eq!(report.emitted, [because("lines")]);
    for then in [reject("(i32.const 64)", "(i32.const 7)"), "unreachable".to_owned()] {
        let (report, _) = run_with(&emitting(128, 5, 7, CALL_EMIT, &then), spec(), input(7)).await;
        assert_ne!(report.end, CallEnd::Outcome(Outcome::Accept));
        assert!(report.emitted.is_empty());
    }
}

fn rejected(reason: &str) -> CallEnd {
    CallEnd::Outcome(Outcome::Reject {
        reason: Some(reason.to_owned()),
    })
}

#[tokio::test]
async fn emit_needs_its_grant_and_has_its_limits() {
    let send = "(call $send (i32.const 2048) (i32.const 1) (i32.const 1024))";
    for (call, what) in [(CALL_EMIT, "emit"), (send, "send")] {
        let not_granted = emitting(192, 7, 7, call, ACCEPT);
        let (report, services) = run_with(&not_granted, spec(), input(7)).await;
        assert_eq!(report.end, rejected("secrets"), "{what}");
        assert!(services.sent.lock().unwrap().is_empty());
        let (report, _) = run_with(&emitting(128, 5, (1 << 20) + 1, call, ACCEPT), spec(), input(7)).await;
        assert_eq!(report.end, rejected("1"), "{what}: too-large");
    }
    let many = "(i32.store (i32.const 4000) (i32.const 0))
        (loop $again CALL ERROR
          (i32.store (i32.const 4000) (i32.add (i32.load (i32.const 4000)) (i32.const 1)))
          (br_if $again (i32.lt_u (i32.load (i32.const 4000)) (i32.const COUNT))))"
        .replace("CALL", CALL_EMIT)
        .replace("ERROR", &reject_on_error());
    for (count, len, end) in [
        (1000, 1, CallEnd::Outcome(Outcome::Accept)),
        (1001, 1, rejected("2")),
        (4, 1_000_000, CallEnd::Outcome(Outcome::Accept)),
        (5, 1_000_000, rejected("2")),
        // The topic of the value, 5 bytes, is no part of the record: the largest that Kafka takes, and one byte more.
        (1, 1_048_516, CallEnd::Outcome(Outcome::Accept)),
        (1, 1_048_517, rejected("1")),
    ] {
        let wasm = emitting(128, 5, len, &many.replace("COUNT", &count.to_string()), ACCEPT);
        let (report, _) = run_with(&wasm, spec(), input(7)).await;
        assert_eq!(report.end, end, "{count} records of {len} bytes");
    }
}

#[tokio::test]
async fn all_that_may_be_emitted_crosses_at_once() {
    // Four records of 1 MB in one call: the same record four times.
    let mut records = outgoing(128, 5, 1_000_000);
    for index in 1..4 {
        let at = 2048 + index * 48;
        let _ = write!(
            records,
            "(memory.copy (i32.const {at}) (i32.const 2048) (i32.const 48))"
        );
    }
    let body = format!(
        "(drop (memory.grow (i32.const 40))) {records}
         (call $emit (local.get $id) (i32.const 2048) (i32.const 4) (i32.const 1024)) {} {ACCEPT}",
        reject_on_error()
    );
    let (report, _) = run_with(&handler(&format!("{EMIT} {DATA}"), &body), spec(), input(7)).await;
    assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
    assert_eq!(report.emitted.len(), 4);
}

#[tokio::test]
async fn send_goes_out_whatever_follows() {
    let send = "(call $send (i32.const 2048) (i32.const 1) (i32.const 1024))";
    let (report, services) = run_with(&emitting(128, 5, 7, send, "unreachable"), spec(), input(7)).await;
    assert!(matches!(report.end, CallEnd::Trap { .. }));
    assert_eq!(*services.sent.lock().unwrap(), [because("lines")]);
}

#[tokio::test]
async fn renewing_by_hand_answers_with_the_new_time() {
    // result<u64, lease-error> at 1024: tag, then the time at 1032.
    let body = format!(
        "(call $renew (local.get $id) (i32.const 1024))
         (if (i32.load8_u (i32.const 1024)) (then unreachable))
         (if (i64.ne (i64.load (i32.const 1032)) (i64.const 30000000000)) (then unreachable))
         (if (i64.gt_u (call $remaining (local.get $id)) (i64.const 30000000000)) (then unreachable))
         (if (i64.lt_u (call $remaining (local.get $id)) (i64.const 20000000000)) (then unreachable))
         (if (i64.gt_u (call $deadline) (i64.const 60000000000)) (then unreachable))
         (if (call $cancelled) (then unreachable))
         (call $renew (i64.const 8) (i32.const 1024))
         (if (i32.eqz (i32.load8_u (i32.const 1024))) (then unreachable))
         (if (i32.load8_u (i32.const 1032)) (then unreachable))
         {ACCEPT}"
    );
    let items = r#"(import "sharemill:worker/lease@0.1.0" "renew" (func $renew (param i64 i32)))
        (import "sharemill:worker/lease@0.1.0" "remaining" (func $remaining (param i64) (result i64)))
        (import "sharemill:worker/lease@0.1.0" "deadline" (func $deadline (result i64)))
        (import "sharemill:worker/lease@0.1.0" "is-cancelled" (func $cancelled (result i32)))"#;
    assert_eq!(end_of(items, &body).await, CallEnd::Outcome(Outcome::Accept));
}

#[tokio::test]
async fn lines_are_kept_with_the_call() {
    let items = format!(
        r#"{DATA} (import "sharemill:worker/logging@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))
        (import "sharemill:worker/logging@0.1.0" "threshold" (func $threshold (result i32)))"#
    );
    let log = |level: u32| {
        format!("(call $log (i32.const {level}) (i32.const 128) (i32.const 5) (i32.const 64) (i32.const 7))")
    };
    let body = format!(
        "{} {} (if (i32.ne (call $threshold) (i32.const 2)) (then unreachable)) {ACCEPT}",
        log(1),
        log(3)
    );
    let (report, services) = run_with(&handler(&items, &body), spec(), input(7)).await;
    assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
    assert_eq!(report.log_tail, ["because"]);
    assert_eq!(*services.lines.lock().unwrap(), ["Some(7) Log Warn lines: because"]);
}

async fn run_batch(body: &str, records: usize) -> BatchReport {
    let wasm = component(
        "batch-handler",
        &format!(
            "(module {EMIT} {DATA} (memory (export \"memory\") 1) {REALLOC}
               (func (export \"{BATCH}\") (param $list i32) (param $count i32) (result i32) {body}))"
        ),
    );
    let engine = engine();
    let loaded = load(&engine, &wasm, spec());
    assert!(loaded.is_batch_handler() && !loaded.is_record_handler());
    let mut instance = loaded
        .instantiate(Arc::new(TestServices::default()))
        .await
        .expect("an instance");
    let inputs: Vec<Input<'_>> = (0..records as u64).map(input).collect();
    let control = CallControl::new(MINUTE);
    let report = instance.call_batch(&inputs, &control).await;
    assert_eq!(report.ends.len(), records);
    assert_eq!(report.emitted.len(), records);
    assert_eq!(
        instance.reusable(),
        report.ends.iter().all(|end| matches!(end, CallEnd::Outcome(_)))
    );
    report
}

/// `each` with as many accepts as given: batch-outcome at 16 (tag, list at 24 and 28), outcomes of 40 bytes from 8192.
fn each(count: u32) -> String {
    format!(
        "(drop (memory.grow (i32.const 1)))
         (i32.store8 (i32.const 16) (i32.const 1)) (i32.store (i32.const 24) (i32.const 8192))
         (i32.store (i32.const 28) (i32.const {count})) (i32.const 16)"
    )
}

#[tokio::test]
async fn a_batch_has_one_end_a_record() {
    let accept = CallEnd::Outcome(Outcome::Accept);
    let all = run_batch(
        "(i32.store8 (i32.const 16) (i32.const 0)) (i32.store8 (i32.const 24) (i32.const 0)) (i32.const 16)",
        3,
    )
    .await;
    assert_eq!(all.ends, [accept.clone(), accept.clone(), accept.clone()]);
    assert_eq!(run_batch(&each(3), 3).await.ends, all.ends);
    let few = run_batch(&each(2), 3).await.ends;
    assert_eq!(few[..2], [accept.clone(), accept]);
    assert!(matches!(
        &few[2],
        CallEnd::Outcome(Outcome::Release {
            after: None,
            reason: Some(_)
        })
    ));
    let many = run_batch(&each(4), 3).await.ends;
    let fault = CallEnd::Limit {
        what: "outcomes",
        value: 4,
        limit: 3,
    };
    assert_eq!(many, [fault.clone(), fault.clone(), fault]);
    let trapped = run_batch("unreachable", 2).await.ends;
    assert!(trapped.iter().all(|end| matches!(end, CallEnd::Trap { .. })));
}

#[tokio::test]
async fn each_record_of_a_batch_emits_for_itself() {
    let body = format!(
        "{} (call $emit (i64.const 1) (i32.const 2048) (i32.const 1) (i32.const 1024))
         (if (i32.load8_u (i32.const 1024)) (then unreachable))
         (call $emit (i64.const 9) (i32.const 2048) (i32.const 1) (i32.const 1024))
         (if (i32.eqz (i32.load8_u (i32.const 1024))) (then unreachable))
         {}",
        outgoing(128, 5, 7),
        each(3)
    );
    let report = run_batch(&body, 3).await;
    let counts: Vec<usize> = report.emitted.iter().map(Vec::len).collect();
    assert_eq!(counts, [0, 1, 0]);
}

#[tokio::test]
async fn an_instance_serves_many_records() {
    let engine = engine();
    let loaded = load(&engine, &component("handler", &module("", ACCEPT)), spec());
    let mut instance = loaded
        .instantiate(Arc::new(TestServices::default()))
        .await
        .expect("an instance");
    let control = CallControl::new(MINUTE);
    for id in 0..1000 {
        control.rearm(MINUTE);
        let report = instance.call(input(id), &control).await;
        assert_eq!(report.end, CallEnd::Outcome(Outcome::Accept));
    }
    assert_eq!(instance.memory(), 65536);
}

/// Reads a value through `wasi:config`, counts the environment, and rejects with what it found.
#[tokio::test]
async fn values_are_granted_one_by_one() {
    let store = "package wasi:config@0.2.0-rc.1; interface store { variant error { upstream(string), io(string) }
        get: func(key: string) -> result<option<string>, error>; }";
    let environment =
        "package wasi:cli@0.2.0; interface environment { get-environment: func() -> list<tuple<string, string>>; }";
    let world =
        "package test:guest; world w { include sharemill:worker/handler@0.1.0; import wasi:config/store@0.2.0-rc.1;
        import wasi:cli/environment@0.2.0; }";
    let items = r#"(data (i32.const 64) "bucket") (data (i32.const 128) "none")
        (import "wasi:config/store@0.2.0-rc.1" "get" (func $get (param i32 i32 i32)))
        (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))"#;
    // result<option<string>, error> at 1024: tag, option's tag at 1028, pointer and length behind it.
    let body = format!(
        "(call $environment (i32.const 2048)) (if (i32.ne (i32.load (i32.const 2052)) (i32.const 1)) (then unreachable))
         (call $get (i32.const 64) (i32.const 6) (i32.const 1024))
         (if (i32.load8_u (i32.const 1024)) (then unreachable))
         (if (i32.eqz (i32.load8_u (i32.const 1028)))
           (then (i32.store (i32.const 1032) (i32.const 128)) (i32.store (i32.const 1036) (i32.const 4))))
         {}",
        reject("(i32.load (i32.const 1032))", "(i32.load (i32.const 1036))")
    );
    let wasm = component_with(&[store, environment, world], "test:guest/w", &module(items, &body));
    let mut granted = spec();
    granted.grants.env.insert("LANG".to_owned(), "C".to_owned());
    let (report, _) = run_with(&wasm, granted.clone(), input(7)).await;
    assert_eq!(report.end, rejected("none"));
    granted.grants.config.insert("bucket".to_owned(), "images".to_owned());
    let (report, _) = run_with(&wasm, granted, input(7)).await;
    assert_eq!(report.end, rejected("images"));
    let (report, _) = run_with(&wasm, spec(), input(7)).await;
    assert!(
        matches!(report.end, CallEnd::Trap { .. }),
        "an environment that was not granted"
    );
}
