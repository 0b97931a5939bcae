//! `cargo xtask demo`: builds the example components and the program, then runs the program's own demo on them in `target/demo`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::guests;

/// Build everything and run `sharemill demo`: the example handlers on what the machine has, with a kill in the middle.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder whose images and texts are fed; nothing in it is changed [default: what the machine has in the usual places].
    folder: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let target = guests::target_dir();
    say("build the handlers (about 1 min the first time, then 2 s)");
    let components = guests::default_out();
    guests::build(&components, guests::Source::default())?;
    say("build sharemill (6 to 10 min the first time on 2 cores, then 1 s)");
    let status = Command::new(build_host(&target)?)
        .args(["demo", "--dir"])
        .arg(target.join("demo"))
        .arg("--examples")
        .arg(components)
        .args(&arguments.folder)
        .stdin(Stdio::null())
        .status()
        .context("cannot start sharemill demo")?;
    ensure!(status.success(), "the demo ended with {status}: its messages are above");
    Ok(())
}

/// The profile that everything here shares: a machine compiles wasmtime once.
fn build_host(target: &Path) -> Result<PathBuf> {
    let start = Instant::now();
    let status = Command::new("cargo")
        .current_dir(guests::root())
        .args(["build", "--locked", "--package", "sharemill", "--bin", "sharemill"])
        // It needs no cluster, and nobody waits for the client of one.
        .args(["--no-default-features", "--features", "demo"])
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "building sharemill failed: the messages are above");
    let binary = target.join("debug").join("sharemill");
    ensure!(binary.is_file(), "cargo built no {}", binary.display());
    say(&format!("  done in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(binary)
}

/// Progress goes to standard error; a closed one is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "demo: {text}");
}
