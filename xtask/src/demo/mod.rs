//! `cargo xtask demo`: real files through three handlers, with a kill in the middle, then its own books against what is on
//! disk. Needs nobody to answer, works in `target/demo`, leaves nothing running, and exits 1 if a count differs.
mod check;
mod feed;
mod files;
mod find;
mod host;
mod metrics;
mod pictures;
mod plan;
mod play;
mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::guests;

/// Feed real files through the three example handlers, kill the host once, and check every count.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder whose images and texts are fed; nothing in it is changed [default: what the machine has in the usual places].
    folder: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let target = guests::target_dir();
    say("stage 1 of 5: build the handlers (about 1 min the first time, then 2 s)");
    let components = guests::default_out();
    guests::build(&components, guests::Source::default())?;
    say("stage 2 of 5: build sharemill (6 to 10 min the first time on 2 cores, then 1 s)");
    let binary = build_host(&target)?;
    let built = start.elapsed();

    say("stage 3 of 5: find files and damage some of the copies (about 2 s)");
    let room = files::Room::prepare(&target.join("demo"), &components)?;
    let found = find::find(arguments.folder.as_deref())?;
    let plan = plan::make(&found, &room)?;
    say(&format!(
        "  {} orders from {} texts, {} pictures, {} jobs",
        plan.count(plan::Handler::Enrich),
        found.texts.len(),
        plan.count(plan::Handler::Thumbnail),
        plan.count(plan::Handler::Poll)
    ));

    say("stage 4 of 5: feed them, kill the host with SIGKILL, start it again (about 15 s)");
    let played = play::play(&binary, &room, &plan)?;
    say("stage 5 of 5: compare the counts with what is on disk (about 1 s)");
    let books = check::check(&binary, &room, &plan, &played)?;
    let all = start.elapsed();
    report::print(&report::Report {
        books: &books,
        played: &played,
        binary: &binary,
        room: &room,
        built,
        all,
    })?;
    ensure!(
        books.differences.is_empty(),
        "{} differences between what was fed and what is on disk",
        books.differences.len()
    );
    Ok(())
}

/// The profile that everything here shares: a machine compiles wasmtime once.
fn build_host(target: &Path) -> Result<PathBuf> {
    let start = Instant::now();
    let status = Command::new("cargo")
        .current_dir(guests::root())
        .args(["build", "--locked", "--package", "sharemill", "--bin", "sharemill"])
        // It needs no cluster, and nobody waits for the client of one.
        .arg("--no-default-features")
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "building sharemill failed: the messages are above");
    let binary = target.join("debug").join("sharemill");
    ensure!(binary.is_file(), "cargo built no {}", binary.display());
    say(&format!("  done in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(binary)
}

/// Lets time pass between two looks at a process that tells nobody.
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Progress goes to standard error; a closed one is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "demo: {text}");
}
