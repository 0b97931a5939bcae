//! What became of the records: counts and the summary for people, one result a line as JSON, progress on a terminal.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::admin::{AdminError, ProduceOutcome};
use crate::output::{self, Align, Failure, Format, Table, counted};

/// Refusals that are told one by one.
const TOLD_MAX: u64 = 10;

/// Counts results while they arrive.
#[derive(Debug)]
pub(super) struct Tally {
    topic: String,
    format: Format,
    stored: u64,
    refused: u64,
    partitions: BTreeMap<u32, Stored>,
    progress: ProgressBar,
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
    pub(super) fn new(topic: &str, format: Format, size: Option<u64>) -> Self {
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
            format,
            stored: 0,
            refused: 0,
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

    /// The record on this line is nowhere.
    pub(super) fn refused(&mut self, line: u64, error: &AdminError) -> Result<(), Failure> {
        self.refused += 1;
        if self.format == Format::Json {
            let outcome = ProduceOutcome::Refused { error: error.clone() };
            return output::json_line(&Line {
                line,
                outcome: &outcome,
            });
        }
        if self.refused <= TOLD_MAX {
            let failure = Failure::new(format!("record {line} was refused: {}", error.message));
            self.progress.suspend(|| {
                output::failure(&match &error.hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                });
            });
        }
        Ok(())
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
        let summary = format!(
            "{} stored in {}, {} refused",
            counted(self.stored, "record"),
            self.topic,
            self.refused
        );
        if self.format == Format::Json {
            output::message(&summary);
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
        output::data(&format!("{summary}\n{table}"))
    }
}
