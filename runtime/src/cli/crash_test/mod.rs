//! `sharemill crash-test`: kills a loaded process of its own again and again and checks that nothing that was acknowledged is lost or
//! comes again. The parent ([`drill`], [`oracle`]) is a client that outlives every child ([`child`], [`look`], [`load`]).

mod chance;
mod child;
mod drill;
mod load;
mod look;
mod oracle;
mod patience;
mod place;
mod report;
mod said;
mod task;

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use share_engine::engine::SystemEntropy;
use share_engine::entropy::Entropy as _;

use super::args::{CrashTestArgs, CrashTestChildArgs};
use crate::output::{self, Failure, Format};
use crate::shutdown::{Signals, Stages};
use drill::{Drill, Outcome};
use place::Place;
use report::Report;

/// Runs a crash test; fails if anything was lost or came again.
pub(super) async fn run(args: CrashTestArgs) -> Result<(), Failure> {
    let seed = args.seed.unwrap_or_else(|| SystemEntropy.next_u64() >> 32);
    let signals = Signals::listen().map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))?;
    let place = Place::prepare(args.data_dir.clone(), seed)?;
    let stages = Arc::new(Stages::default());
    let mut driver = tokio::task::JoinSet::new();
    let driven = stages.clone();
    driver.spawn(async move { signals.drive(&driven).await });
    let drill = Drill {
        data: place.path().to_owned(),
        seed,
        limit: args.limit,
        kills_max: args.kills.unwrap_or(u64::MAX),
        asked: stages.subscribe(),
        plant: args.plant(),
        progress: progress(args.limit),
    };
    output::note(&format!("seed {seed}, data in {}", place.path().display()));
    let done = tokio::task::spawn_blocking(move || {
        let done = drill.run();
        drill.progress.finish_and_clear();
        done
    });
    let done = done
        .await
        .map_err(|error| Failure::new(format!("the test itself failed: {error}")));
    let is_good = matches!(&done, Ok(Ok(outcome)) if outcome.oracle.found().is_empty());
    let keeps = args.keep || !is_good;
    let told = match done {
        Ok(Ok(outcome)) => tell(&outcome, seed, keeps.then_some(&place), args.format.into()),
        Ok(Err(failure)) | Err(failure) => Err(failure.hint(format!("the data is kept in {}", place.path().display()))),
    };
    if keeps { told } else { place.remove().and(told) }
}

fn tell(outcome: &Outcome, seed: u64, kept: Option<&Place>, format: Format) -> Result<(), Failure> {
    let found = outcome.oracle.found();
    Report::of(outcome, seed, kept.map(Place::path)).print(format)?;
    if found.is_empty() {
        return Ok(());
    }
    for finding in &found.first {
        output::failure(&Failure::new(finding.text.as_str()));
    }
    let count = output::counted(found.lost + found.redelivered + found.other, "promise");
    let failure = Failure::new(format!("{count} broken"));
    Err(match kept {
        Some(place) => failure.hint(format!("the data is kept as it was found: {}", place.path().display())),
        None => failure,
    })
}

/// What a child does; how it ended is told through its standard output.
pub(super) async fn child(args: CrashTestChildArgs) -> Result<(), Failure> {
    let worked = tokio::task::spawn_blocking(move || child::run(&args.data_dir)).await;
    match worked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(())) | Err(_) => Err(Failure::told()),
    }
}

fn progress(limit: std::time::Duration) -> ProgressBar {
    let progress = ProgressBar::new(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    // Draws on a terminal only, and rarely.
    progress.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
        progress.set_style(style);
    }
    progress
}
