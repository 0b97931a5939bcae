//! Components for tests, written as WAT core modules against `wit/worker.wit` and wrapped by `wit-component`: no compiler needed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::{HandlerSpec, HostEngine, HostEngineConfig, Input, LoadedHandler, TimestampType};

/// What `handle` is called in a core module.
pub(super) const HANDLE: &str = "sharemill:worker/record-handler@0.1.0#handle";
/// What `handle-batch` is called in a core module.
pub(crate) const BATCH: &str = "sharemill:worker/record-batch-handler@0.1.0#handle-batch";
/// The 16 flattened parameters of `handle`, by name, and its result: a pointer to the outcome.
pub(super) const PARAMS: &str = "(param $id i64) (param $topic i32) (param $topic-len i32) (param $partition i32) (param $offset i64) \
     (param $timestamp i64) (param $timestamp-type i32) (param $count i32) (param $has-key i32) (param $key i32) (param $key-len i32) \
     (param $has-value i32) (param $value i32) (param $value-len i32) (param $headers i32) (param $headers-len i32) (result i32)";

/// A bump allocator that starts at 4096 and is reset by post-return.
pub(crate) const REALLOC: &str = r#"
  (global $heap (mut i32) (i32.const 4096))
  (func $realloc (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
    (local $p i32)
    (local.set $p (i32.and (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
                           (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $p) (local.get $size)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.ne (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))) (i32.const -1)))
      unreachable)
    (local.get $p))"#;

/// A module with a memory of one page, the allocator, `items`, and `handle` with `body` (which leaves the outcome's address).
pub(super) fn module(items: &str, body: &str) -> String {
    format!(
        "(module {items}
           (memory (export \"memory\") 1) {REALLOC}
           (func (export \"{HANDLE}\") {PARAMS} {body})
           (func (export \"cabi_post_{HANDLE}\") (param i32) (global.set $heap (i32.const 4096))))"
    )
}

/// Accepts: the outcome at address 16 has tag 0.
pub(crate) const ACCEPT: &str = "(i32.store8 (i32.const 16) (i32.const 0)) (i32.const 16)";

/// Wraps a core module in a component of the world `world`.
pub(crate) fn component(world: &str, wat: &str) -> Vec<u8> {
    component_with(&[], world, wat)
}

/// As [`component`], with more packages (in the order of their use) and the world's full name.
pub(super) fn component_with(packages: &[&str], world: &str, wat: &str) -> Vec<u8> {
    let wit = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/worker.wit")).expect("wit");
    let packages: Vec<&str> = std::iter::once(wit.as_str()).chain(packages.iter().copied()).collect();
    component_of(&packages, world, wat)
}

/// A component of a world in the last of these packages.
pub(super) fn component_of(packages: &[&str], world: &str, wat: &str) -> Vec<u8> {
    let mut core = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"));
    let mut resolve = Resolve::default();
    let mut package = None;
    for text in packages {
        package = Some(resolve.push_str("test.wit", text).expect("valid wit"));
    }
    let world = resolve
        .select_world(&[package.expect("a package")], Some(world))
        .expect("world");
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default()
        .module(&core)
        .expect("module fits the world")
        .validate(true)
        .encode()
        .expect("component")
}

/// A component of the world `handler` whose `handle` has this body.
pub(crate) fn handler(items: &str, body: &str) -> Vec<u8> {
    component("handler", &module(items, body))
}

/// An engine small enough for every test to have its own.
pub(crate) fn engine() -> HostEngine {
    engine_of(64)
}

pub(super) fn engine_of(max_instances: u32) -> HostEngine {
    engine_with(&HostEngineConfig {
        max_instances,
        memory_max: 256 << 20,
        ..HostEngineConfig::default()
    })
}

pub(super) fn engine_with(config: &HostEngineConfig) -> HostEngine {
    HostEngine::new(config).expect("engine")
}

/// Compiling takes all processors: nobody does it while a test holds this to measure a deadline.
pub(super) static QUIET: RwLock<()> = RwLock::new(());

pub(crate) fn load(engine: &HostEngine, bytes: &[u8], spec: HandlerSpec) -> Arc<LoadedHandler> {
    let _busy = QUIET.read().unwrap_or_else(PoisonError::into_inner);
    engine
        .load_bytes(Path::new("guest.wasm"), bytes, Arc::new(spec))
        .unwrap_or_else(|error| panic!("{error} {:?}", error.hint()))
}

/// A record of 200 bytes with a key.
pub(super) fn input(id: u64) -> Input<'static> {
    Input {
        id,
        topic: "orders",
        partition: 3,
        offset: 42,
        timestamp_ms: 1_790_000_000_000,
        timestamp_type: TimestampType::CreateTime,
        delivery_count: 1,
        key: Some(b"customer-00017"),
        value: Some(&[b'v'; 200]),
        headers: &[],
        checkpoint: None,
    }
}
