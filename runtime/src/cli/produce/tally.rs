//! What became of the records: counts and the summary for people, one result a line as JSON, progress on a terminal.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::admin::{AdminError, ErrorCode, ProduceOutcome};
use crate::output::{self, Align, Failure, Format, Table, counted};

/// Refusals that are told one by one.
const TOLD_MAX: u64 = 10;

/// Counts results while they arrive.
#[derive(Debug)]
pub(super) struct Tally {
    topic: String,
    /// What the input is made of: lines or values.
    noun: &'static str,
    format: Format,
    /// The first that is not stored, or is not known to be.
    missing: Option<u64>,
    /// The last that is.
    last_stored: u64,
    cut: Cut,
    /// The last that was read.
    reached: u64,
    /// The hint of the last refusal that was told.
    hint: Option<String>,
    stored: u64,
    refused: u64,
    /// Some of those refused may be stored all the same.
    is_doubtful: bool,
    partitions: BTreeMap<u32, Stored>,
    progress: ProgressBar,
}

/// Whether all of the input was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// It was.
    No,
    /// It was read up to the line before this one, which cannot be.
    Unread(u64),
    /// Everything up to the line before this one was answered, and nothing from there on is stored.
    Stopped(u64),
    /// What is under way had no result.
    Unknown,
}

#[derive(Debug)]
struct Stored {
    records: u64,
    first: u64,
    last: u64,
}

/// One result as JSON.
#[derive(Serialize)]
struct Line<'a> {
    line: u64,
    #[serde(flatten)]
    outcome: &'a ProduceOutcome,
}

impl Tally {
    /// `size`: bytes of the input, where they are known.
    pub(super) fn new(topic: &str, noun: &'static str, format: Format, size: Option<u64>) -> Self {
        let (progress, template) = match size {
            Some(size) => (
                ProgressBar::new(size),
                "{wide_bar} {binary_bytes} of {binary_total_bytes}, {msg}",
            ),
            None => (ProgressBar::no_length(), "{spinner} {msg}"),
        };
        // Draws on a terminal only, and rarely.
        progress.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template(template) {
            progress.set_style(style);
        }
        let topic = topic.to_owned();
        Self {
            topic,
            noun,
            format,
            missing: None,
            last_stored: 0,
            cut: Cut::No,
            reached: 0,
            hint: None,
            stored: 0,
            refused: 0,
            is_doubtful: false,
            partitions: BTreeMap::new(),
            progress,
        }
    }

    /// Bytes of the input that have been read.
    pub(super) fn position(&mut self, bytes: u64) {
        self.progress.set_position(bytes);
    }

    /// What became of the record on this line.
    pub(super) fn result(&mut self, line: u64, outcome: ProduceOutcome) -> Result<(), Failure> {
        match outcome {
            ProduceOutcome::Refused { error } => return self.refused(line, &error),
            ProduceOutcome::Stored { partition, offset } => {
                self.stored += 1;
                self.last_stored = self.last_stored.max(line);
                let stored = self.partitions.entry(partition).or_insert(Stored {
                    records: 0,
                    first: offset,
                    last: offset,
                });
                stored.records += 1;
                stored.first = stored.first.min(offset);
                stored.last = stored.last.max(offset);
                if self.stored.is_multiple_of(1_000) {
                    self.progress
                        .set_message(format!("{} stored", counted(self.stored, "record")));
                }
            }
        }
        if self.format == Format::Json {
            output::json_line(&Line {
                line,
                outcome: &outcome,
            })
        } else {
            Ok(())
        }
    }

    /// The record on this line is nowhere, or nobody knows where.
    pub(super) fn refused(&mut self, line: u64, error: &AdminError) -> Result<(), Failure> {
        let is_doubtful = error.code == ErrorCode::Unavailable;
        self.is_doubtful |= is_doubtful;
        self.refused += 1;
        self.misses(line);
        if self.format == Format::Json {
            let outcome = ProduceOutcome::Refused { error: error.clone() };
            return output::json_line(&Line {
                line,
                outcome: &outcome,
            });
        }
        if self.refused <= TOLD_MAX {
            let fate = if is_doubtful {
                "may or may not be stored"
            } else {
                "was refused"
            };
            let failure = Failure::new(format!("{} {line} {fate}: {}", self.noun, error.message));
            // The same hint once.
            let hint = error.hint.as_ref().filter(|hint| self.hint.as_ref() != Some(*hint));
            self.progress.suspend(|| {
                output::failure(&match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                });
            });
            self.hint.clone_from(&error.hint);
        }
        Ok(())
    }

    /// The input was read up to the line before this one.
    pub(super) fn unread_from(&mut self, line: u64) {
        self.misses(line);
        self.cut = Cut::Unread(line);
    }

    /// This line was read.
    pub(super) fn reached(&mut self, line: u64) {
        self.reached = line;
    }

    /// There is an answer to every line before this one, or else to every line that was read; nobody takes what comes from there on.
    pub(super) fn stopped(&mut self, at: Option<u64>) {
        let next = at.unwrap_or(self.reached + 1);
        self.misses(next);
        self.cut = Cut::Stopped(next);
    }

    /// What became of this line and those after it that were sent is not known.
    pub(super) fn unknown_from(&mut self, line: u64) {
        self.misses(line);
        self.cut = Cut::Unknown;
    }

    fn misses(&mut self, line: u64) {
        self.missing = Some(self.missing.map_or(line, |first| first.min(line)));
    }

    /// Up to where everything is stored, and how to go on from there.
    fn rest(&self) -> Option<String> {
        let (missing, noun) = (self.missing.filter(|_| self.stored > 0)?, self.noun);
        let go_on = |from: u64| match noun {
            "line" => format!("go on with --from-line {from}"),
            _ => format!("give {noun} {from} and those after it again"),
        };
        let before = format!("everything before {noun} {missing} is stored");
        let leave_out = |line: u64| format!("leave it out with --from-line {}", line + 1);
        let cut = if self.is_doubtful { Cut::Unknown } else { self.cut };
        Some(match cut {
            Cut::Unknown => {
                let again = "what is sent again may then be there twice";
                format!("{before}; of the rest nothing is known, {again}: {}", go_on(missing))
            }
            Cut::Unread(line) if line == missing => {
                format!(
                    "{before}, and nothing from there on: {}, or {}",
                    go_on(missing),
                    leave_out(line)
                )
            }
            Cut::Stopped(line) if line > missing && self.last_stored > missing => format!(
                "every {noun} before {line} is stored but those refused, which are to be given again: {}",
                go_on(line)
            ),
            _ if self.last_stored < missing => {
                format!("{before}, and nothing from there on: {}", go_on(missing))
            }
            Cut::Unread(line) => {
                let refused = "those refused are to be given again";
                format!(
                    "every {noun} before {line} is stored but those refused: {}, or {}; {refused}",
                    go_on(line),
                    leave_out(line)
                )
            }
            Cut::No | Cut::Stopped(_) => {
                let named = if self.refused > TOLD_MAX && self.format == Format::Table {
                    "; --format json names each of them"
                } else {
                    ""
                };
                format!("every other {noun} is stored: give only those refused again{named}")
            }
        })
    }

    /// Whether any record was refused.
    pub(super) fn has_failures(&self) -> bool {
        self.refused > 0
    }

    /// The summary; none where a failure says everything.
    pub(super) fn finish(&mut self, is_complete: bool) -> Result<(), Failure> {
        self.progress.finish_and_clear();
        if !is_complete && self.stored + self.refused == 0 {
            return Ok(());
        }
        if self.refused > TOLD_MAX && self.format == Format::Table {
            output::message(&format!("and {} more were refused", self.refused - TOLD_MAX));
        }
        let rest = self.rest();
        let summary = format!(
            "{} stored in {}, {} refused",
            counted(self.stored, "record"),
            self.topic,
            self.refused
        );
        if self.format == Format::Json {
            output::message(&summary);
            if let Some(rest) = rest {
                output::note(&rest);
            }
            return Ok(());
        }
        let mut table = Table::new(&[
            ("partition", Align::Right),
            ("records", Align::Right),
            ("first offset", Align::Right),
            ("last offset", Align::Right),
        ]);
        for (partition, stored) in &self.partitions {
            table.row([
                partition.to_string(),
                stored.records.to_string(),
                stored.first.to_string(),
                stored.last.to_string(),
            ]);
        }
        let table = if self.partitions.is_empty() {
            String::new()
        } else {
            format!("\n{}", table.render())
        };
        output::data(&format!("{summary}\n{table}"))?;
        if let Some(rest) = rest {
            output::note(&rest);
        }
        Ok(())
    }
}
