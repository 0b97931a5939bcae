//! Misbehaves on command. The record's value is the command, with a number behind it where one makes sense; `README.md`
//! lists them with what a host must make of each. An unknown command is rejected, so that no test passes by a typing error.
#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, unused_imports, reason = "only a component exports the handler")
)]

use std::hint::black_box;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::sleep;
use std::time::Duration;

use sharemill_handler::bindings::handler::{self, exports::sharemill::worker::record_handler::Guest};
use sharemill_handler::bindings::imports::sharemill::worker::{context, logging, metrics, types};
use sharemill_handler::{CHECKPOINT_LIMIT, IntoOutcome, Outcome, Outgoing, Record, Renew, Result, ResultExt};

/// What an instance remembers. After a fault the host must not use it again.
static STATE: AtomicU64 = AtomicU64::new(CLEAN);
const CLEAN: u64 = 0x600d;
const CORRUPT: u64 = 0xbad;

/// Goes round the SDK, which cuts reasons and would not let a handler return what `return-huge` does.
struct Hostile;

impl Guest for Hostile {
    fn handle(delivery: types::Delivery) -> types::Outcome {
        if let Some(length) = delivery
            .value
            .as_deref()
            .and_then(|value| value.strip_prefix(b"return-huge"))
        {
            let length = std::str::from_utf8(length)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            return types::Outcome::Reject(Some("x".repeat(length.unwrap_or(100 << 20))));
        }
        handle(delivery.into()).into_outcome().into()
    }
}

#[cfg(target_arch = "wasm32")]
handler::export_handler!(Hostile with_types_in handler);

fn handle(record: Record) -> Result {
    let text = record.text().or_reject()?;
    let (command, argument) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let number = |default: u64| {
        if argument.is_empty() {
            Ok(default)
        } else {
            argument.parse::<u64>()
        }
    };
    match command {
        "loop" => spin(),
        "recurse" => _ = black_box(recurse(1)),
        "allocate" => allocate(),
        "grow" => grow(),
        "log-flood" => (0..number(10_000_000)?).for_each(|n| log(&format!("line {n} of a flood"))),
        "log-huge" => log(&"x".repeat(number(100 << 20)?.try_into()?)),
        "log-control" => log("first\nsecond \u{1b}[31mred\u{1b}[0m \u{7}\u{0} third"),
        "stdout-flood" => (0..number(10_000_000)?).for_each(|n| println!("line {n} of a flood")),
        "stderr-flood" => (0..number(10_000_000)?).for_each(|n| eprintln!("line {n} of a flood")),
        "stdout-unfinished" => flood_without_newline(number(100 << 20)?)?,
        "metric-flood" => (0..number(1_000_000)?).for_each(|n| metrics::counter_add(&format!("m{n}"), 1, &[])),
        "host-calls" => (0..number(1_000_000)?).for_each(|_| _ = black_box(context::attempt_limit())),
        "sleep" => sleep(Duration::from_millis(number(3_600_000)?)),
        "exit" => std::process::exit(number(0)?.try_into()?),
        "abort" => std::process::abort(),
        "panic" => panic!("{}", "p".repeat(number(1 << 20)?.try_into()?)),
        "complain" => {
            (0..number(100_000)?).for_each(|n| eprintln!("line {n} of a flood"));
            panic!("first\nsecond");
        }
        "corrupt" => {
            STATE.store(CORRUPT, Relaxed);
            panic!("state corrupted");
        }
        "corrupt-quietly" => STATE.store(CORRUPT, Relaxed),
        "check-state" if STATE.load(Relaxed) != CLEAN => return Ok(Outcome::reject("a corrupt state was left over")),
        "accept" | "check-state" => {}
        "count" => return Ok(Outcome::reject(STATE.fetch_add(1, Relaxed) - CLEAN)),
        "emit" => record.emit(Outgoing::new(argument).value("emitted"))?,
        "emit-trap" => {
            record.emit(Outgoing::new(argument).value("never to be seen"))?;
            panic!("after emit");
        }
        "emit-release" => {
            record.emit(Outgoing::new(argument).value("never to be seen"))?;
            return Ok(Outcome::release("after emit"));
        }
        "emit-flood" => (0..).try_for_each(|_| record.emit(Outgoing::new(argument).value("again")))?,
        "emit-huge" => record.emit(Outgoing::new(argument).value(vec![0; 2 << 20]))?,
        "send" => sharemill_handler::send([Outgoing::new(argument).value("sent")])?,
        "renew" => return Ok(Renew::now().into()),
        "renew-flood" => (0..number(1_000_000)?).for_each(|_| _ = black_box(record.lease().renew())),
        "renew-checkpoint" => return Ok(Renew::now().checkpoint(vec![1; CHECKPOINT_LIMIT + 1]).into()),
        "release" => return Ok(Outcome::release(argument)),
        "reject" => return Ok(Outcome::reject(argument)),
        "other-id" => drop(black_box(context::idempotency_key(record.id() ^ u64::MAX))),
        unknown => return Ok(Outcome::reject(format_args!("unknown command {unknown:?}"))),
    }
    Ok(Outcome::accept())
}

fn spin() {
    loop {
        black_box(());
    }
}

#[expect(unconditional_recursion, reason = "the point")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(depth + 1) + frame.iter().sum::<u64>()
}

/// Asks for memory through the allocator until it says no, which ends in an abort.
fn allocate() {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Asks for memory page by page, and goes on asking when there is none: only a deadline ends it.
fn grow() {
    #[cfg(target_arch = "wasm32")]
    loop {
        black_box(std::arch::wasm32::memory_grow::<0>(1));
    }
}

fn flood_without_newline(bytes: u64) -> std::io::Result<()> {
    let part = [b'x'; 4096];
    let mut out = std::io::stdout().lock();
    (0..bytes / 4096).try_for_each(|_| out.write_all(&part))?;
    out.flush()
}

fn log(text: &str) {
    logging::log(logging::Level::Info, "hostile", text);
}
