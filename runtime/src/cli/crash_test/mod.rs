//! `sharemill crash-test`: kills a loaded process of its own again and again and checks that nothing that was acknowledged is lost or
//! comes again. The parent ([`drill`], [`oracle`]) is a client that outlives every child ([`child`], [`look`], [`load`]).

mod chance;
mod child;
mod drill;
mod ground;
mod life;
mod load;
mod look;
mod machine;
mod oracle;
mod patience;
mod place;
mod process;
mod report;
mod said;
mod task;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use share_engine::engine::SystemEntropy;
use share_engine::entropy::Entropy as _;

use super::args::{CRASH_TEST_CHILD, CrashTestArgs, CrashTestChildArgs};
use crate::output::{self, Failure, milliseconds};
use crate::shutdown::{Signals, Stages};
use drill::{Drill, Outcome};
use ground::Ground;
use place::Place;
use report::Report;

/// Runs a crash test; fails if anything was lost or came again, or if that cannot be told.
pub(super) async fn run(args: CrashTestArgs) -> Result<(), Failure> {
    let seed = args.seed.unwrap_or_else(|| SystemEntropy.next_u64() >> 32);
    let cannot = |what: &str, error: io::Error| Failure::undecided(format!("cannot {what}: {error}"));
    let program = std::env::current_exe().map_err(|error| cannot("find this program", error))?;
    let signals = Signals::listen().map_err(|error| cannot("listen for signals", error))?;
    let place = Place::prepare(args.data_dir.clone(), seed)?;
    let stages = Arc::new(Stages::default());
    let mut driver = tokio::task::JoinSet::new();
    let driven = stages.clone();
    driver.spawn(async move { signals.drive(&driven).await });
    let drill = Drill {
        program: vec![program.into(), CRASH_TEST_CHILD.into(), place.path().into()],
        ground: Ground::of(place.path()),
        data: place.path().to_owned(),
        seed,
        limit: args.limit,
        kills_max: args.kills.unwrap_or(u64::MAX),
        asked: stages.subscribe(),
        end_limit: END_LIMIT,
        plant: args.plant(),
        progress: progress(args.limit),
    };
    output::note(&format!("seed {seed}, data in {}", place.path().display()));
    if place.is_memory() {
        output::warning("this folder lies in memory (tmpfs): nothing of a disk is tested; --data-dir names another");
    }
    let done = tokio::task::spawn_blocking(move || {
        let done = drill.run();
        drill.progress.finish_and_clear();
        done
    });
    let outcome = done.await.map_err(|error| {
        let failure = Failure::undecided(format!("the test itself failed: {error}"));
        failure.hint(format!("the data is kept in {}", place.path().display()))
    })?;
    let is_good = outcome.oracle.found().is_empty() && outcome.unfinished.is_none();
    let keeps = args.keep || !is_good;
    let printed = Report::of(&outcome, seed, &place, keeps).print(args.format.into());
    let told = verdict(&outcome, &place).and(printed);
    if keeps { told } else { place.remove().and(told) }
}

/// What a test that is to end may take to check what was done. With a disk that takes its time it is a second or two.
const END_LIMIT: Duration = Duration::from_secs(15);

/// What was seen, on standard error. A promise that was broken is the result, whatever came after it.
fn verdict(outcome: &Outcome, place: &Place) -> Result<(), Failure> {
    let found = outcome.oracle.found();
    for finding in &found.first {
        output::failure(&Failure::new(finding.text.as_str()));
    }
    let unfinished = outcome.unfinished.as_deref().map(Failure::undecided);
    let failure = if found.is_empty() {
        match (unfinished, outcome.interrupted) {
            (Some(unfinished), _) => unfinished,
            (None, Some(after)) => return Err(Failure::undecided(interrupted(after))),
            (None, None) => return Ok(()),
        }
    } else {
        if let Some(unfinished) = unfinished {
            output::failure(&unfinished);
        }
        let count = output::counted(found.lost + found.redelivered + found.other, "promise");
        Failure::new(format!("{count} broken"))
    };
    Err(if place.is_there() {
        failure.hint(format!("the data is kept as it was found: {}", place.path().display()))
    } else {
        failure
    })
}

/// A test that was cut short has not shown what it was to show.
fn interrupted(after: Duration) -> String {
    let after = milliseconds(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    format!("interrupted after {after}: what was done until then was checked, and nothing is lost")
}

/// What a child does; how it ended is told through its standard output.
pub(super) async fn child(args: CrashTestChildArgs) -> Result<(), Failure> {
    let worked = tokio::task::spawn_blocking(move || child::run(&args.data_dir)).await;
    match worked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(())) | Err(_) => Err(Failure::told()),
    }
}

fn progress(limit: Duration) -> ProgressBar {
    let progress = ProgressBar::new(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    // Draws on a terminal only, and rarely.
    progress.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
        progress.set_style(style);
    }
    progress
}
