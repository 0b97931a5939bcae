//! `sharemill demo`: files through the example handlers, with a kill in the middle, then its own books against what is on
//! disk. It needs this program and the example components, nothing else of the machine, and nobody to answer; it works in one folder,
//! leaves nothing running, and fails if a count differs. The hosts are processes of this program, used as anybody would use them.
#![expect(
    clippy::disallowed_methods,
    reason = "shows its time to a person, and asks a process of others that tells nobody"
)]

mod check;
mod examples;
mod feed;
mod files;
mod find;
mod host;
mod ledger;
mod metrics;
mod pictures;
mod plan;
mod play;
mod receiver;
mod report;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use share_engine::engine::SystemEntropy;
use share_engine::entropy::Entropy as _;

use super::args::DemoArgs;
use crate::admin::AdminClient;
use crate::output::{self, Failure};
use receiver::Receiver;

/// Runs the demo; fails if a count differs.
pub(super) async fn run(args: DemoArgs) -> Result<(), Failure> {
    if let Some(folder) = args.folder.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(Failure::usage(format!("{} is no folder", folder.display()))
            .hint("name a folder with images and texts, or none: then what the machine has is taken"));
    }
    let examples = examples::find(args.examples.clone())?;
    files::usable(&args.dir)?;
    // What it finds there it removes.
    let data = args.dir.join("data");
    if AdminClient::connect(&data).await.is_ok_and(|host| host.is_some()) {
        return Err(Failure::new(format!("a host works on {}", data.display()))
            .hint("end it, or name another folder for the demo with --dir"));
    }
    // It waits for processes.
    let done = tokio::task::spawn_blocking(move || play(&args, &examples));
    let (report, differences) = match done.await {
        Ok(Ok(played)) => played,
        Ok(Err(error)) => return Err(Failure::new(format!("{error:#}"))),
        Err(error) => return Err(Failure::new(format!("the demo itself failed: {error}"))),
    };
    output::data(&report)?;
    match differences {
        0 => Ok(()),
        count => Err(Failure::new(format!(
            "{} between what was fed and what is on disk",
            output::counted(count as u64, "difference")
        ))),
    }
}

/// The report, and how many differences there are.
fn play(args: &DemoArgs, examples: &std::path::Path) -> Result<(String, usize)> {
    let start = Instant::now();
    let binary = std::env::current_exe().context("cannot find this program")?;
    say("stage 1 of 3: find files and damage some of the copies (about 2 s)");
    let signing_key = format!("{:016x}{:016x}", SystemEntropy.next_u64(), SystemEntropy.next_u64());
    let receiver = Receiver::start(&signing_key)?;
    let room = files::Room::prepare(&args.dir, examples, &receiver.origin(), &signing_key)?;
    let found = find::find(args.folder.as_deref());
    let plan = plan::make(&found, &room)?;
    say(&format!(
        "  {} orders from {} texts, {} pictures, {} jobs, {} events",
        plan.count(plan::Handler::Enrich),
        found.texts.len(),
        plan.count(plan::Handler::Thumbnail),
        plan.count(plan::Handler::Poll),
        plan.count(plan::Handler::Webhook)
    ));

    say("stage 2 of 3: feed them, kill the host with SIGKILL, start it again (about 15 s)");
    let played = play::play(&binary, &room, &plan, &receiver)?;
    say("stage 3 of 3: compare the counts with what is on disk (about 1 s)");
    let books = check::check(&binary, &room, &plan, &played, &signing_key)?;
    let report = report::text(&report::Report {
        books: &books,
        played: &played,
        binary: &binary,
        room: &room,
        all: start.elapsed(),
    });
    Ok((report, books.differences.len()))
}

/// Lets time pass between two looks at a process that tells nobody.
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Progress goes to standard error.
fn say(text: &str) {
    output::message(&format!("demo: {text}"));
}
