//! How long an engine that was killed takes until it gives somebody a record again, by what it had on disk.

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::child::Helper;
use crate::machine;
use crate::report::{Figures, Sample};
use crate::rig::Rig;
use crate::scale::options;

/// One gigabyte of records, killed as it stands: part of it in the journal only.
pub(crate) fn gigabyte(rig: &Rig, _: &str) -> Result<Sample> {
    killed(rig, rig.count(GIGABYTE), 0, false)
}

/// The same straight after a checkpoint.
pub(crate) fn drained(rig: &Rig, _: &str) -> Result<Sample> {
    killed(rig, rig.count(GIGABYTE), 0, true)
}

/// Ten gigabytes, a million of its records acquired.
pub(crate) fn ten_gigabytes(rig: &Rig, _: &str) -> Result<Sample> {
    killed(rig, rig.count(10 * GIGABYTE), rig.count(1_000_000), false)
}

/// The median of three ends and openings of what was filled once.
fn killed(rig: &Rig, records: u64, acquired: u64, drain: bool) -> Result<Sample> {
    let control = machine::control(&rig.scratch)?;
    let directory = TempDir::new_in(&rig.scratch)?;
    let mut arguments = options(&[("acquired", acquired)], drain);
    let mut child = Helper::fill(
        directory.path(),
        &[&arguments[..], &[format!("--records={records}")]].concat(),
    )?;
    let mut found = child.found()?;
    child.kill()?;
    arguments.retain(|argument| argument != "--drain");
    let mut opened = Vec::new();
    for _ in 0..3 {
        let mut child = Helper::open(directory.path(), &arguments)?;
        found = child.found()?;
        child.kill()?;
        opened.push((
            *found.get("ready ms").context("no time")?,
            *found.get("entries").context("no entries")?,
        ));
    }
    opened.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (millis, entries) = opened.get(1).copied().context("no openings")?;
    let get = |name: &str| found.get(name).copied().unwrap_or(0.0);
    let more = Figures::from([
        ("ready after ms", millis),
        ("of it opening ms", get("open ms")),
        ("entries since the checkpoint", entries),
        ("journal MiB at the end", get("journal MiB")),
        ("held", get("held")),
        ("process MB", get("before MB")),
    ]);
    Ok(Sample::of(more, control))
}

/// Records of 200 bytes and a key of 14, as they lie in a log.
const GIGABYTE: u64 = 4_400_000;
