//! Measures the engine and the host as a user runs them, beside a raw `fdatasync` control taken in the same run. A program, not a
//! test: nothing here fails for being slow. Started by `cargo xtask bench`, which builds it optimised.

#![expect(
    clippy::cast_precision_loss,
    clippy::unchecked_time_subtraction,
    reason = "rates are floating point; clocks of one process do not run backwards"
)]

mod engine;
mod host;
mod latency;
mod machine;
#[cfg(feature = "redis")]
mod redis;
mod report;
mod rig;
mod slots;
mod start;
mod watch;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};

use report::{Row, Sample};
use rig::Rig;

/// Measure the engine and the host.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Only benchmarks whose names begin so; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Runs of each benchmark; medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Multiplies the number of records.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Where the components of the guests are.
    #[arg(long, value_name = "DIR")]
    guests: PathBuf,
    /// The `sharemill` program.
    #[arg(long, value_name = "FILE")]
    sharemill: PathBuf,
    /// Data directories are made here: on the disk that is to be measured.
    #[arg(long, value_name = "DIR")]
    scratch: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object a line
    Json,
}

/// A benchmark: its name, what it does in a line, and one run of it.
struct Bench {
    name: &'static str,
    what: &'static str,
    run: fn(&Rig, &'static str) -> Result<Sample>,
}

/// The same work done by a peer, measured in turn with ours.
struct Peer {
    /// Of which benchmark.
    of: &'static str,
    name: &'static str,
    run: fn(&Rig) -> Result<Sample>,
}

#[cfg(feature = "redis")]
const PEERS: &[Peer] = &[
    Peer {
        of: "p1-batch",
        name: "p1-redis",
        run: redis::append,
    },
    Peer {
        of: "p4",
        name: "p4-redis",
        run: redis::read_and_acknowledge,
    },
    Peer {
        of: "p9",
        name: "p9-redis",
        run: redis::append_to_acknowledgement,
    },
];
#[cfg(not(feature = "redis"))]
const PEERS: &[Peer] = &[];

/// What is measured beside a benchmark, if it is installed.
fn peer_of(bench: &Bench) -> Option<&'static Peer> {
    #[cfg(feature = "redis")]
    if !redis::is_installed() {
        return None;
    }
    PEERS.iter().find(|peer| peer.of == bench.name)
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "p1-batch",
        what: "durable produce, 4 callers, batches of 100",
        run: engine::produce_batches,
    },
    Bench {
        name: "p1-single",
        what: "durable produce, 4 x 100 callers of one record each",
        run: engine::produce_singles,
    },
    Bench {
        name: "p3",
        what: "durable produce, one record at a time",
        run: latency::produce_one,
    },
    Bench {
        name: "p4",
        what: "durable acquire and single acknowledgements, 4 x 100, produced in batches",
        run: engine::settle_batches,
    },
    Bench {
        name: "p4-single",
        what: "the same, each record produced by itself",
        run: engine::settle_singles,
    },
    Bench {
        name: "p6",
        what: "produce and handle at once, stock guest, reused instances",
        run: host::reused,
    },
    Bench {
        name: "p7",
        what: "the same, a fresh instance for each record",
        run: host::fresh,
    },
    Bench {
        name: "p7-lean",
        what: "the same, lean guest",
        run: host::fresh_lean,
    },
    Bench {
        name: "p8",
        what: "the same, handler in native Rust",
        run: host::native,
    },
    Bench {
        name: "enrich",
        what: "orders of two lines, each line emitted with the acknowledgement",
        run: host::enrich,
    },
    Bench {
        name: "p9",
        what: "produce to durable acknowledgement at 200 records/s",
        run: latency::produce_to_acknowledgement,
    },
    Bench {
        name: "p11",
        what: "process start to first durable acknowledgement",
        run: start::first_record,
    },
    Bench {
        name: "slots-1x1",
        what: "handler of 20 ms: 1 slot, 1 partition",
        run: slots::run,
    },
    Bench {
        name: "slots-8x1",
        what: "8 slots, 1 partition",
        run: slots::run,
    },
    Bench {
        name: "slots-64x1",
        what: "64 slots, 1 partition",
        run: slots::run,
    },
    Bench {
        name: "slots-256x1",
        what: "256 slots, 1 partition",
        run: slots::run,
    },
    Bench {
        name: "slots-1x4",
        what: "1 slot, 4 partitions",
        run: slots::run,
    },
    Bench {
        name: "slots-8x4",
        what: "8 slots, 4 partitions",
        run: slots::run,
    },
    Bench {
        name: "slots-64x4",
        what: "64 slots, 4 partitions",
        run: slots::run,
    },
    Bench {
        name: "slots-256x4",
        what: "256 slots, 4 partitions",
        run: slots::run,
    },
];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = |bench: &&Bench| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| bench.name.starts_with(name.as_str()))
    };
    let benches: Vec<&Bench> = BENCHES.iter().filter(wanted).collect();
    ensure!(
        !benches.is_empty(),
        "no benchmark's name begins with any of {:?}",
        arguments.only
    );
    std::fs::create_dir_all(&arguments.scratch)
        .with_context(|| format!("cannot create {}", arguments.scratch.display()))?;
    // The program that is started works in a folder of its own.
    let full = |path: &PathBuf| std::path::absolute(path);
    let (scratch, guests) = (full(&arguments.scratch)?, full(&arguments.guests)?);
    let rig = Rig::new(&scratch, &guests, &full(&arguments.sharemill)?, arguments.scale)?;
    let mut out = std::io::stdout().lock();
    if arguments.format == Format::Table {
        writeln!(out, "{}", report::heading(&machine::load()))?;
    }
    for bench in benches {
        let peer = peer_of(bench);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..arguments.repeats {
            ours.push((bench.run)(&rig, bench.name).with_context(|| bench.name)?);
            if let Some(peer) = peer {
                theirs.push((peer.run)(&rig).with_context(|| peer.name)?);
            }
        }
        let mut rows = vec![Row::new(bench.name, bench.what, &ours, machine::load())];
        rows.extend(peer.map(|peer| Row::new(peer.name, PEER, &theirs, machine::load())));
        for row in rows {
            match arguments.format {
                Format::Table => writeln!(out, "{}", row.line())?,
                Format::Json => writeln!(out, "{}", row.json())?,
            }
        }
        out.flush()?;
    }
    Ok(())
}

const PEER: &str = "the same work by Redis streams, every append synced; cpu with the server's";
