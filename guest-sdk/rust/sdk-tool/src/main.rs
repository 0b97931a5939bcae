//! Writes the committed bindings of `sharemill-handler`, and judges built guests. Called by `cargo xtask guests`.
mod bindings;
mod component;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Tools around the Rust SDK for handlers.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the bindings from the WIT files.
    Bindings {
        /// Write nothing; fail if what is committed differs.
        #[arg(long)]
        check: bool,
        /// The folder with `worker.wit`.
        #[arg(long, default_value = "../../wit")]
        wit: PathBuf,
        /// The folder of the generated files.
        #[arg(long, default_value = "sharemill-handler/src/bindings")]
        out: PathBuf,
    },
    /// Turn core modules (.wat or .wasm) that export world `handler` into components.
    Componentize {
        /// The folder with `worker.wit`.
        #[arg(long, default_value = "../../wit")]
        wit: PathBuf,
        /// Where the components go, named after their sources.
        #[arg(long)]
        out: PathBuf,
        /// Core modules.
        #[arg(required = true)]
        modules: Vec<PathBuf>,
    },
    /// Validate components and print what they import and export.
    Inspect {
        /// Print one line per component only.
        #[arg(long)]
        quiet: bool,
        /// Components.
        #[arg(required = true)]
        components: Vec<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Bindings { check, wit, out } => bindings::run(&wit, &out, check),
        Command::Componentize { wit, out, modules } => component::componentize(&wit, &out, &modules),
        Command::Inspect { quiet, components } => component::inspect(&components, quiet),
    }
}
