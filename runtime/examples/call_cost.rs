//! What a call costs: thread CPU time and time of day of a call on a reused instance, of a fresh instance with its call, and of the
//! control beside it. `cargo run -p sharemill --example call_cost [COMPONENT.wasm]`; without a component it takes one of 2 KB that reads
//! nothing and accepts.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use sharemill::handler::{
    CallControl, CallEnd, HandlerSpec, Header, HostEngine, HostEngineConfig, HostServices, Input, LoadedHandler,
    NullServices, Outcome, TimestampType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WAT: &str = r#"(module (memory (export "memory") 1) (global $heap (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $p i32)
    (local.set $p (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $p) (local.get 3)))
    (local.get $p))
  (func (export "sharemill:worker/record-handler@0.1.0#handle")
    (param i64 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 16))
  (func (export "cabi_post_sharemill:worker/record-handler@0.1.0#handle") (param i32) (global.set $heap (i32.const 4096))))"#;

fn built_in() -> Result<Vec<u8>> {
    let mut core = wat::parse_str(WAT)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit"))?;
    let world = resolve.select_world(&[package], Some("handler"))?;
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false)?;
    ComponentEncoder::default().module(&core)?.encode()
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Median over batches of (CPU, time of day) per call, in nanoseconds.
async fn measure<F: AsyncFnMut() -> Result<()>>(calls: u32, mut call: F) -> Result<(u128, u128)> {
    let mut figures = Vec::new();
    for batch in 0..15 {
        let (cpu_before, began) = (cpu(), Instant::now());
        for _ in 0..calls {
            call().await?;
        }
        if batch > 0 {
            figures.push((
                cpu().saturating_sub(cpu_before).as_nanos() / u128::from(calls),
                began.elapsed().as_nanos() / u128::from(calls),
            ));
        }
    }
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().context("figures")
}

fn input<'a>(headers: &'a [Header<'a>]) -> Input<'a> {
    Input {
        id: 1,
        topic: "orders",
        partition: 0,
        offset: 1,
        timestamp_ms: 1_790_000_000_000,
        timestamp_type: TimestampType::CreateTime,
        delivery_count: 1,
        key: Some(b"customer-00017"),
        value: Some(&[b'v'; 200]),
        headers,
        checkpoint: None,
    }
}

async fn run(loaded: &Arc<LoadedHandler>) -> Result<()> {
    let services: Arc<dyn HostServices> = Arc::new(NullServices);
    let control = CallControl::new(Duration::from_secs(30));
    let accepted = |end: CallEnd| match end {
        CallEnd::Outcome(Outcome::Accept) => Ok(()),
        other => anyhow::bail!("{other:?}"),
    };
    let header = Header {
        name: "trace-id00",
        value: Some(b"0123456789abcdef0"),
    };
    let headers = [header.clone(), header.clone(), header];
    for (name, headers) in [("no headers", &headers[..0]), ("3 headers", &headers[..])] {
        let mut instance = loaded
            .instantiate(Arc::clone(&services))
            .await
            .map_err(|end| anyhow::anyhow!("{end:?}"))?;
        let mut began = Instant::now();
        let reused = measure(20_000, async || {
            // As a slot does: one call ends where the next begins.
            control.rearm_at(began, Duration::from_secs(30));
            let report = instance.call(input(headers), &control).await;
            began = report.ended;
            accepted(report.end)
        })
        .await?;
        let fresh = measure(3_000, async || {
            control.rearm(Duration::from_secs(30));
            let instance = loaded.instantiate_under(Arc::clone(&services), &control).await;
            let mut instance = instance.map_err(|end| anyhow::anyhow!("{end:?}"))?;
            accepted(instance.call(input(headers), &control).await.end)
        })
        .await?;
        println!(
            "{name}: reused {} ns cpu, {} ns; fresh {} ns cpu, {} ns",
            reused.0, reused.1, fresh.0, fresh.1
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    let bytes = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read(&path).with_context(|| format!("{}", Path::new(&path).display()))?,
        None => built_in()?,
    };
    let engine = HostEngine::new(&HostEngineConfig::default())?;
    HostEngine::prepare_thread();
    let spec = HandlerSpec {
        topic: Some("orders".to_owned()),
        ..HandlerSpec::default()
    };
    let loaded = engine.load_bytes(Path::new("component"), &bytes, Arc::new(spec))?;
    println!("pooling: {}", engine.is_pooling());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(run(&loaded))
}
