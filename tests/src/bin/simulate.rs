//! The simulator as a program: one run with everything told, or as many as there is time for. Exit code 1 if a promise was
//! broken, with the command that shows it again.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it reports to whoever started it"
)]

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use sharemill_tests::simulate::{Options, Plant, many, run};

/// Run the engine on a clock, a disk and an order of steps that follow from a seed, against a model of what it promises.
#[derive(Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// One run with this seed.
    #[arg(long, default_value_t = 1, conflicts_with_all = ["seeds", "count"])]
    seed: u64,
    /// Runs with the seeds from A to B, B excluded; every second one with `--swarm`.
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "count")]
    seeds: Option<Range<u64>>,
    /// Runs with the seeds from 1 on, every second one with `--swarm`.
    #[arg(long)]
    count: Option<u64>,
    /// Steps of a run, before everything has to settle.
    #[arg(long, default_value_t = 2_000)]
    steps: u64,
    /// Leave actions out and prefer others, as the seed says.
    #[arg(long, conflicts_with_all = ["seeds", "count"])]
    swarm: bool,
    /// Print a hash over everything that was asked and answered: the same for the same seed.
    #[arg(long)]
    trace_hash: bool,
    /// Tell every call and answer on standard error.
    #[arg(long, conflicts_with_all = ["seeds", "count"])]
    verbose: bool,
    /// Plant a bug in the engine, which is to be caught; with many runs, stop at the first that catches it.
    #[arg(long)]
    plant: Option<Plant>,
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
    let options = Options {
        seed: arguments.seed,
        steps: arguments.steps,
        swarm: arguments.swarm,
        verbose: arguments.verbose,
        plant: arguments.plant,
    };
    let range = arguments.seeds.or_else(|| arguments.count.map(|count| 1..count + 1));
    let (hash, failed) = match range {
        None => match run(options) {
            Ok(report) => {
                print!("{}", report.seen);
                (report.hash, false)
            }
            Err(failure) => {
                eprintln!("{failure}");
                (0, true)
            }
        },
        Some(range) => {
            let wanted = range.end - range.start;
            let summary = many(range, Options { swarm: true, ..options });
            print!("{}", summary.seen);
            println!("{:>12}  runs of {wanted} kept every promise", summary.runs);
            for failure in &summary.failures {
                eprintln!("{failure}");
                if let Some(plant) = options.plant {
                    let noticed = failure.noticed().unwrap_or_else(|| "broke nothing".to_owned());
                    println!(
                        "{plant}: seed {} {noticed} at step {}",
                        failure.options.seed, failure.step
                    );
                }
            }
            if options.plant.is_some() {
                return ExitCode::from(u8::from(!summary.failures.is_empty()));
            }
            let missing = summary.seen.missing(summary.runs, options.steps);
            for one in &missing {
                eprintln!("too little was exercised: {one}");
            }
            (summary.hash, !summary.failures.is_empty() || !missing.is_empty())
        }
    };
    if arguments.trace_hash {
        println!("{hash:016x}");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
