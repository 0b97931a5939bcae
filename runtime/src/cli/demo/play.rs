//! The run itself: two lives of the host with a SIGKILL between them, while records are leased, and the other process that
//! the handler `poll` waits for.
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::feed::Receipts;
use super::files::Room;
use super::host::{Host, ask};
use super::metrics::Scrape;
use super::plan::{Fate, Handler, Input, Plan};
use super::receiver::{Asked, Receiver};
use super::{pause, say};

/// What happened.
pub(super) struct Played {
    pub(super) receipts: Receipts,
    /// Counts of both lives; what the first counted after its last look is missing.
    pub(super) counts: Scrape,
    /// What the receiver was asked.
    pub(super) asked: Vec<Asked>,
    /// Records that were leased right before the kill.
    pub(super) leased: u64,
}

const BATCH: usize = 25;
const BURST: usize = 250;
const BETWEEN_BATCHES: Duration = Duration::from_millis(40);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
const BETWEEN_LINES: Duration = Duration::from_secs(1);
/// For one step of the run; each takes seconds.
const STEP_LIMIT: Duration = Duration::from_mins(3);
/// How long to look for a moment with leased records before killing anyway.
const KILL_LIMIT: Duration = Duration::from_secs(2);

pub(super) fn play(binary: &Path, room: &Room, plan: &Plan, receiver: &Receiver) -> Result<Played> {
    let mut run = Run {
        binary,
        room,
        plan,
        receipts: Receipts::default(),
        host: Host::start(binary, room, 1)?,
        before: Scrape::default(),
        told: Instant::now(),
    };
    run.feed(Handler::Poll, 0.0, 1.0, Duration::ZERO)?;
    // Every job is asked for in vain at first. Once they are there, their attempts count no further.
    let jobs = plan.count(Handler::Poll) as u64;
    run.wait("the first releases of poll", |counts| {
        counts.verdicts("poll", "release") >= jobs
    })?;
    run.write_jobs("running\n", |_| true)?;
    run.feed(Handler::Webhook, 0.0, 0.5, BETWEEN_BATCHES)?;
    run.feed(Handler::Thumbnail, 0.0, 0.3, BETWEEN_BATCHES)?;
    run.feed(Handler::Enrich, 0.0, 0.4, BETWEEN_BATCHES)?;
    run.wait("the first renewals of poll", |counts| {
        counts.verdicts("poll", "renew") > 0
    })?;

    run.feed(Handler::Enrich, 0.4, 0.6, Duration::ZERO)?;
    run.feed(Handler::Thumbnail, 0.3, 1.0, Duration::ZERO)?;
    run.feed(Handler::Webhook, 0.5, 0.8, Duration::ZERO)?;
    let (leased, mut run) = run.kill_and_restart()?;

    for (name, bytes) in &plan.late {
        fs::write(room.images.join(name), bytes).with_context(|| format!("cannot write {name}"))?;
    }
    run.feed(Handler::Webhook, 0.8, 1.0, BETWEEN_BATCHES)?;
    run.feed(Handler::Enrich, 0.6, 0.8, BETWEEN_BATCHES)?;
    run.write_jobs("done\n", |input| input.fate == Fate::Accepted)?;
    run.write_jobs("failed the disk is full\n", |input| input.fate == Fate::Rejected)?;
    run.feed(Handler::Enrich, 0.8, 1.0, BETWEEN_BATCHES)?;
    run.wait_until_settled()?;
    let counts = run.counts()?;
    run.host.stop()?;
    Ok(Played {
        receipts: run.receipts,
        counts,
        asked: receiver.asked(),
        leased,
    })
}

struct Run<'a> {
    binary: &'a Path,
    room: &'a Room,
    plan: &'a Plan,
    receipts: Receipts,
    host: Host,
    /// Counts of earlier lives.
    before: Scrape,
    told: Instant,
}

impl Run<'_> {
    fn counts(&self) -> Result<Scrape> {
        Ok(self.before.plus(&self.host.scrape()?))
    }

    /// Produces the handler's inputs from one share of them to another: at a pace, or in a burst.
    fn feed(&mut self, handler: Handler, from: f64, to: f64, between: Duration) -> Result<()> {
        let all: Vec<(usize, &Input)> = self.plan.inputs.iter().enumerate().collect();
        let all: Vec<_> = all.into_iter().filter(|(_, input)| input.handler == handler).collect();
        let size = if between.is_zero() { BURST } else { BATCH };
        let (from, to) = (position(all.len(), from), position(all.len(), to));
        for batch in all.get(from..to).unwrap_or_default().chunks(size) {
            self.receipts.produce(self.binary, &self.room.manifest, batch)?;
            self.tell()?;
            pause(between);
        }
        Ok(())
    }

    fn wait(&mut self, what: &str, is_done: impl Fn(&Scrape) -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_done(&self.counts()?) {
            ensure!(
                start.elapsed() < STEP_LIMIT,
                "{what} did not come within {STEP_LIMIT:?}"
            );
            self.host.check()?;
            self.tell()?;
            pause(BETWEEN_LOOKS);
        }
        Ok(())
    }

    /// Nothing of any group is left to do.
    fn wait_until_settled(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let mut open = 0;
            for handler in Handler::ALL {
                let group = ask(self.binary, self.room, &["group", "describe", handler.name()])?;
                open += unsettled(&group)?;
            }
            if open == 0 {
                return Ok(());
            }
            ensure!(
                start.elapsed() < STEP_LIMIT,
                "{open} records are not settled within {STEP_LIMIT:?}"
            );
            self.host.check()?;
            self.tell()?;
            pause(BETWEEN_LOOKS);
        }
    }

    /// Kills the host at a moment when it holds leases, and goes on with another one.
    fn kill_and_restart(self) -> Result<(u64, Self)> {
        let start = Instant::now();
        let leased = loop {
            let group = ask(
                self.binary,
                self.room,
                &["group", "describe", Handler::Thumbnail.name()],
            )?;
            let leased = group.get("acquired").and_then(Value::as_u64).unwrap_or(0);
            if leased > 0 || start.elapsed() > KILL_LIMIT {
                break leased;
            }
        };
        let before = self.counts()?;
        self.host.kill()?;
        say(&format!("  killed with SIGKILL while {leased} pictures were leased"));
        let start = Instant::now();
        let host = Host::start(self.binary, self.room, 2)?;
        say(&format!("  running again after {} ms", start.elapsed().as_millis()));
        Ok((leased, Self { host, before, ..self }))
    }

    /// The other process: writes the state of those jobs that ever come.
    fn write_jobs(&self, state: &str, which: impl Fn(&Input) -> bool) -> Result<()> {
        let jobs = self.plan.of(Handler::Poll).filter(|input| input.fate != Fate::GivenUp);
        for job in jobs.filter(|input| which(input)) {
            // Under another name first: the handler never reads half a state.
            let partial = self.room.folder.join("job.partial");
            fs::write(&partial, state)?;
            fs::rename(&partial, self.room.jobs.join(&job.name))?;
        }
        Ok(())
    }

    /// A line of progress now and then.
    fn tell(&mut self) -> Result<()> {
        if self.told.elapsed() < BETWEEN_LINES {
            return Ok(());
        }
        self.told = Instant::now();
        let counts = self.counts()?;
        let sum = |verdict| {
            Handler::ALL
                .iter()
                .map(|one| counts.verdicts(one.name(), verdict))
                .sum::<u64>()
        };
        say(&format!(
            "  in {} of {}, accepted {}, released {}, rejected {}, renewed {}",
            self.receipts.places.len(),
            self.plan.inputs.len(),
            sum("accept"),
            sum("release"),
            sum("reject"),
            sum("renew")
        ));
        Ok(())
    }
}

/// Records of a group that are neither accepted nor dead.
fn unsettled(group: &Value) -> Result<u64> {
    let count = |name: &str| {
        let value = group.get(name).and_then(Value::as_u64);
        value.with_context(|| format!("group describe does not say {name}"))
    };
    Ok(count("available")? + count("acquired")? + count("parked")?)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a few thousand"
)]
fn position(count: usize, share: f64) -> usize {
    (count as f64 * share).round() as usize
}
