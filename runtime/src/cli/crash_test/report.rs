//! What a crash test came to, for people and as JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::drill::Outcome;
use super::place::Place;
use crate::output::{self, Failure, Format, milliseconds};

/// The answer of `crash-test --format json`.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    seed: u64,
    seconds: f64,
    kills: u64,
    kills_under_load: u64,
    kills_in_recovery: u64,
    kills_in_between: u64,
    produced: u64,
    produced_unanswered: u64,
    delivered: u64,
    accepted: u64,
    accepted_unanswered: u64,
    emitted: u64,
    dead_letters: u64,
    redelivered_after_accept: u64,
    lost: u64,
    other: u64,
    ready_ms: Option<Ready>,
    findings: Vec<&'a str>,
    /// Why the test came to no end: the disk, the machine or the user.
    unfinished: Option<&'a str>,
    /// Somebody ended the test before it was over.
    interrupted_after_seconds: Option<f64>,
    /// The data lay in memory: nothing of a disk was tested.
    in_memory: bool,
    #[serde(skip)]
    place: &'a Path,
    #[serde(skip)]
    keeps: bool,
    /// Where the data was left.
    data_dir: Option<&'a Path>,
}

/// From the start of a process to an open engine.
#[derive(Debug, Serialize)]
struct Ready {
    median: f64,
    most: f64,
}

impl<'a> Report<'a> {
    pub(super) fn of(outcome: &'a Outcome, seed: u64, place: &'a Place, keeps: bool) -> Self {
        let (counts, found) = (outcome.oracle.counts(), outcome.oracle.found());
        Self {
            seed,
            seconds: tenths(outcome.took),
            kills: outcome.kills,
            kills_under_load: outcome.kills_under_load,
            kills_in_recovery: outcome.kills_in_recovery,
            kills_in_between: outcome.kills_in_between,
            produced: counts.produced,
            produced_unanswered: counts.produced_unanswered,
            delivered: counts.delivered,
            accepted: counts.accepted,
            accepted_unanswered: counts.accepted_unanswered,
            emitted: counts.emitted,
            dead_letters: counts.dead,
            redelivered_after_accept: found.redelivered,
            lost: found.lost,
            other: found.other,
            ready_ms: ready(&outcome.ready),
            findings: found.first.iter().map(|finding| finding.text.as_str()).collect(),
            unfinished: outcome.unfinished.as_deref(),
            interrupted_after_seconds: outcome.interrupted.map(tenths),
            in_memory: place.is_memory(),
            place: place.path(),
            data_dir: (keeps && place.is_there()).then_some(place.path()),
            keeps,
        }
    }

    pub(super) fn print(&self, format: Format) -> Result<(), Failure> {
        match format {
            Format::Json => output::json(self),
            Format::Table => output::data(&self.as_text()),
        }
    }

    fn as_text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<26}{value}");
        };
        let (loaded, recovering, others) = (self.kills_under_load, self.kills_in_recovery, self.kills_in_between);
        line(
            "kills",
            &format!(
                "{}: {loaded} with records in hand, {recovering} during recovery, {others} in between",
                self.kills
            ),
        );
        line("produced", &self.produced.to_string());
        line("produced unanswered", &self.produced_unanswered.to_string());
        line("accepted", &self.accepted.to_string());
        line("accepted unanswered", &self.accepted_unanswered.to_string());
        line("dead letters", &self.dead_letters.to_string());
        line("redelivered after accept", &self.redelivered_after_accept.to_string());
        line("lost", &self.lost.to_string());
        if self.other > 0 {
            line("other promises broken", &self.other.to_string());
        }
        if let Some(Ready { median, most }) = &self.ready_ms {
            line("ready again after", &format!("{median} ms (median), {most} ms at most"));
        }
        let took = Duration::from_secs_f64(self.seconds).as_millis();
        line("time", &milliseconds(u64::try_from(took).unwrap_or(u64::MAX)));
        if let Some(after) = self.interrupted_after_seconds {
            line("interrupted", &format!("after {after} s, before it was over"));
        }
        line("seed", &self.seed.to_string());
        if let Some(why) = self.unfinished {
            line("not finished", &output::printable(why));
        }
        let place = output::printable(&self.place.display().to_string());
        let medium = if self.in_memory {
            ", in memory: nothing of a disk was tested"
        } else {
            ""
        };
        let fate = match self.data_dir {
            Some(_) => "",
            None if self.keeps => ", gone",
            None => ", removed",
        };
        line("data", &format!("{place}{medium}{fate}"));
        text
    }
}

fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

fn ready(all: &[Duration]) -> Option<Ready> {
    // The first start is no restart.
    let mut all = all.get(1..)?.to_vec();
    all.sort_unstable();
    let tenths = |duration: &Duration| (duration.as_secs_f64() * 10_000.0).round() / 10.0;
    Some(Ready {
        median: tenths(all.get(all.len() / 2)?),
        most: tenths(all.last()?),
    })
}
