//! `cargo xtask bench`: builds the benchmark program and the host optimised, the guests as any user would, and runs the one over the
//! others. Only our own crates are compiled again for it; what they depend on is shared with every other command.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::guests;

/// Measure the engine and the host.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only benchmarks whose names begin so; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Runs of each benchmark; medians are printed.
    #[arg(long, default_value_t = 3)]
    repeats: u32,
    /// Multiplies the number of records.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// How the figures are printed.
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// Build everything as a release is built, which takes long; else only our own code is optimised, and nothing across crates.
    #[arg(long)]
    release: bool,
    /// Where data directories are made: on the disk that is to be measured [default: target/bench].
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// A folder with programs of others that use a share group, `ShareBench.java` and `share_librdkafka.py`, to be measured beside ours.
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let components = guests::default_out();
    guests::build(&components, guests::toolchain::Source::default())?;
    let programs = build(arguments.release)?;
    let scratch = arguments
        .scratch
        .clone()
        .unwrap_or_else(|| guests::target_dir().join("bench"));
    let mut command = Command::new(programs.join("bench"));
    command.arg("--guests").arg(&components);
    command.arg("--sharemill").arg(programs.join("sharemill"));
    command.arg("--scratch").arg(scratch);
    command.args([
        "--format",
        &arguments.format,
        "--repeats",
        &arguments.repeats.to_string(),
    ]);
    command.args(["--scale", &arguments.scale.to_string()]);
    if let Some(peers) = &arguments.peers {
        command.arg("--peers").arg(peers);
    }
    for name in &arguments.only {
        command.args(["--only", name]);
    }
    let status = command.status().context("cannot start the benchmark program")?;
    ensure!(status.success(), "the benchmark program ended with {status}");
    Ok(())
}

/// Returns where the programs are. The host's program takes the place of the unoptimised one until it is built again.
fn build(release: bool) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(guests::root());
    // Optimised code that is put together from an earlier build's pieces is slower, and does not always link.
    command.env("CARGO_INCREMENTAL", "0");
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "sharemill-tests",
        "--package",
        "sharemill",
        "--bin",
        "bench",
        "--bin",
        "sharemill",
        // Without what only tests may do to an engine.
        "--no-default-features",
        "--features",
        "sharemill-tests/redis,sharemill-tests/kafka",
    ]);
    if release {
        command.arg("--release");
    } else {
        for package in [
            "share-engine",
            "share-wire",
            "share-client",
            "sharemill",
            "sharemill-tests",
        ] {
            for setting in ["opt-level=3", "debug-assertions=false", "overflow-checks=false"] {
                command
                    .arg("--config")
                    .arg(format!("profile.dev.package.{package}.{setting}"));
            }
        }
        // The peer's client shares the machine with its server.
        for package in ["redis", "combine"] {
            command
                .arg("--config")
                .arg(format!("profile.dev.package.{package}.opt-level=3"));
        }
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(guests::target_dir().join(if release { "release" } else { "debug" }))
}
