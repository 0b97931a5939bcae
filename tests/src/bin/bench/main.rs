//! Measures the engine and the host as a user runs them, beside a raw `fdatasync` control taken in the same run. A program, not a
//! test: nothing here fails for being slow. Started by `cargo xtask bench`, which builds it optimised.

#![expect(
    clippy::cast_precision_loss,
    clippy::unchecked_time_subtraction,
    reason = "rates are floating point; clocks of one process do not run backwards"
)]

mod child;
mod contention;
mod edge;
mod engine;
mod goal;
mod host;
#[cfg(feature = "kafka")]
mod kafka;
mod latency;
mod list;
mod machine;
mod recover;
#[cfg(feature = "redis")]
mod redis;
mod report;
mod rig;
mod scale;
mod slots;
mod stall;
mod start;
mod watch;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};

use child::CHILD;
use goal::{Earlier, Standing};
use list::{BENCHES, Bench};
use report::Row;
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
    /// `ShareBench.java` and `share_librdkafka.py` in this folder are measured beside ours.
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object a line
    Json,
}

fn main() -> Result<()> {
    if std::env::args().nth(1).is_some_and(|first| first == CHILD) {
        return child::run(&child::Arguments::parse_from(std::env::args().skip(1)));
    }
    let arguments = Arguments::parse();
    let wanted = |bench: &&Bench| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| bench.name.starts_with(name.as_str()))
    };
    let benches: Vec<&Bench> = BENCHES
        .iter()
        .chain(list::kafka(arguments.peers.is_some()))
        .filter(wanted)
        .collect();
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
    let mut rig = Rig::new(&scratch, &guests, &full(&arguments.sharemill)?, arguments.scale)?;
    rig.peers = arguments.peers.as_ref().map(full).transpose()?;
    let mut out = std::io::stdout().lock();
    if arguments.format == Format::Table {
        writeln!(out, "{}", report::heading(&machine::load(), machine::processor()))?;
    }
    let mut earlier = Earlier::new();
    for bench in benches {
        for (row, standings) in measure(&rig, bench, arguments.repeats, &mut earlier)? {
            match arguments.format {
                Format::Table => writeln!(out, "{}", row.lines(&standings))?,
                Format::Json => writeln!(out, "{}", row.json(&standings))?,
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// A benchmark and its peer in turn.
fn measure(rig: &Rig, bench: &Bench, repeats: u32, earlier: &mut Earlier) -> Result<Vec<(Row, Vec<Standing>)>> {
    let peer = list::peer_of(bench);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let runs = if bench.once { 1 } else { repeats };
    for _ in 0..runs {
        ours.push((bench.run)(rig, bench.name).with_context(|| bench.name)?);
        if let Some(peer) = peer {
            theirs.push((peer.run)(rig).with_context(|| peer.name)?);
        }
    }
    let row = Row::new(bench.name, bench.what, &ours, machine::load());
    let beside = peer.map(|peer| Row::new(peer.name, peer.what, &theirs, machine::load()));
    let standings = bench
        .goals
        .iter()
        .map(|goal| goal.look(row.figures(), beside.as_ref().map(Row::figures), earlier))
        .collect();
    earlier.insert(bench.name, row.figures().clone());
    let mut rows = vec![(row, standings)];
    rows.extend(beside.map(|row| (row, Vec::new())));
    Ok(rows)
}
