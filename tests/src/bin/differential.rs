//! The differential run as a program: one sequence with every step told, or many. Exit code 1 if a broker and our share
//! partition said different things, with the command that shows it again.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it reports to whoever started it"
)]

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use sharemill_tests::differential::{Brokers, Options, Plant};

/// Do sequences of operations that follow from a seed on a real broker and on our share partition, and compare every answer.
#[derive(Parser)]
#[command(name = "differential")]
struct Arguments {
    /// One sequence with this seed.
    #[arg(long, default_value_t = 1, conflicts_with = "seeds")]
    seed: u64,
    /// Sequences with the seeds from A to B, B excluded.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// Operations of a sequence, before everything is fetched and accepted.
    #[arg(long, default_value_t = Options::default().steps)]
    steps: u64,
    /// Sequences at once.
    #[arg(long, default_value_t = Options::default().at_once)]
    at_once: usize,
    /// Tell every step on standard error.
    #[arg(long)]
    verbose: bool,
    /// Plant a bug on our side, which is to be caught; stop at the first sequence that catches it. Several are planted one
    /// after the other.
    #[arg(long)]
    plant: Vec<Plant>,
    /// Do the operations of a file in place of those that follow from a seed, and tell all that differs.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "seeds"])]
    script: Option<PathBuf>,
    /// For a script: the broker's limit of deliveries.
    #[arg(long, default_value_t = 5, requires = "script")]
    deliveries: u16,
    /// For a script: the broker's limit of offsets in flight.
    #[arg(long, default_value_t = 100, requires = "script")]
    window: u32,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    let range: Option<Range<u64>> = parsed;
    range
        .filter(|range| range.start < range.end)
        .ok_or_else(|| format!("{text:?} is no range such as 1..100"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut brokers = Brokers::default();
    let done = match &arguments.script {
        Some(path) => script(&mut brokers, path, &arguments),
        None if arguments.plant.is_empty() => sequences(&mut brokers, &arguments),
        None => plants(&mut brokers, &arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing differed.
fn script(brokers: &mut Brokers, path: &Path, arguments: &Arguments) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let replayed = brokers.replay(&text, arguments.deliveries, arguments.window)?;
    print!("{}{}", replayed.told, replayed.tally);
    Ok(!replayed.told.contains("DIFFERS"))
}

/// Whether nothing differed.
fn sequences(brokers: &mut Brokers, arguments: &Arguments) -> anyhow::Result<bool> {
    let summary = brokers.many(arguments.range(), arguments.options(None))?;
    print!("{}", summary.tally);
    let wanted = arguments.range().count();
    println!("{:>8}  sequences of {wanted} went alike", summary.sequences);
    for failure in &summary.failures {
        eprintln!("{failure}");
    }
    Ok(summary.failures.is_empty())
}

/// Whether each of them was caught.
fn plants(brokers: &mut Brokers, arguments: &Arguments) -> anyhow::Result<bool> {
    let mut caught = true;
    for plant in &arguments.plant {
        let summary = brokers.many(arguments.range(), arguments.options(Some(*plant)))?;
        match summary.failures.first() {
            Some(failure) => println!(
                "{plant}: seed {}: {}",
                failure.seed,
                failure.what.lines().next().unwrap_or_default()
            ),
            None => println!("{plant}: not caught"),
        }
        caught &= !summary.failures.is_empty();
    }
    Ok(caught)
}

impl Arguments {
    fn range(&self) -> Range<u64> {
        self.seeds.clone().unwrap_or(self.seed..self.seed + 1)
    }

    fn options(&self, plant: Option<Plant>) -> Options {
        Options {
            steps: self.steps,
            at_once: self.at_once,
            verbose: self.verbose,
            plant,
        }
    }
}
