//! Developer commands, one module each.
#![expect(
    clippy::disallowed_methods,
    reason = "developer commands time themselves and poll programs that tell nobody"
)]

mod bench;
mod demo;
mod dist;
mod docs;
mod guests;
mod kafka;
mod test;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the engine and the host.
    Bench(bench::Arguments),
    /// Build everything and run `sharemill demo`.
    Demo(demo::Arguments),
    /// Make the archive and the Debian package that users download.
    Dist(dist::Arguments),
    /// Run the console blocks of all pages and compare what they print.
    DocsRun(docs::Arguments),
    /// Prepare the Wasm target and build the guests.
    Guests(guests::Arguments),
    /// Start, end or look at a Kafka cluster on this machine.
    Kafka(kafka::Arguments),
    /// Run everything that must pass.
    Test(test::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Dist(arguments) => dist::run(&arguments),
        Command::DocsRun(arguments) => docs::run(&arguments),
        Command::Guests(arguments) => guests::run(&arguments),
        Command::Kafka(arguments) => kafka::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // No trace of this program: what went wrong is in the messages, and above them.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
