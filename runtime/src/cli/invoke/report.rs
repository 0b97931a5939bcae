//! What one invocation came to, for people and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::services::Said;
use crate::admin::{Header, Record};
use crate::config::format_duration;
use crate::handler::{CallEnd, LogLevel, LogSource, Outcome, OutgoingRecord};
use crate::output::{self, Failure, Format, bytes};

/// How long each part took.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Times {
    /// Reading, checking, compiling.
    pub(in crate::cli) load: Duration,
    /// Instantiation and `configure`.
    pub(in crate::cli) start: Duration,
    /// The call.
    pub(in crate::cli) call: Duration,
    /// The call without its waits.
    pub(in crate::cli) cpu: Duration,
}

/// Everything that came of it.
#[derive(Debug)]
pub(in crate::cli) struct Invocation {
    pub(in crate::cli) end: CallEnd,
    pub(in crate::cli) emitted: Vec<OutgoingRecord>,
    pub(in crate::cli) said: Said,
    pub(in crate::cli) times: Times,
    pub(in crate::cli) memory_peak: u64,
    pub(in crate::cli) host_calls: u64,
    pub(in crate::cli) dropped_log_bytes: u64,
    pub(in crate::cli) digest: String,
}

/// A record that was emitted or sent, as JSON.
#[derive(Serialize)]
struct Outgoing<'a> {
    topic: &'a str,
    #[serde(flatten)]
    record: Record,
}

impl Invocation {
    /// Prints it on stdout.
    pub(super) fn print(&self, format: Format) -> Result<(), Failure> {
        match format {
            Format::Json => output::json(&self.as_json()),
            Format::Table => output::data(&self.as_text()),
        }
    }

    /// Why there is no outcome.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(describe(&self.end))
    }

    /// What it logged and printed, a line each.
    pub(in crate::cli) fn log_lines(&self) -> impl Iterator<Item = String> {
        self.said.lines.iter().map(|line| {
            let from = origin(line.level, line.source);
            let context = if line.context.is_empty() {
                String::new()
            } else {
                format!("{}: ", line.context)
            };
            format!("{from:<8} {context}{}", line.message)
        })
    }

    /// For people.
    pub(in crate::cli) fn as_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "outcome   {}", output::printable(&describe(&self.end)));
        if let CallEnd::Outcome(Outcome::Renew {
            checkpoint: Some(checkpoint),
            ..
        }) = &self.end
        {
            let _ = writeln!(text, "checkpoint {}", output::printable(&shown(checkpoint)));
        }
        let times = &self.times;
        let [load, start, call, cpu] = [times.load, times.start, times.call, times.cpu].map(milliseconds);
        let _ = writeln!(
            text,
            "time      load {load} ms, start {start} ms, call {call} ms (cpu {cpu} ms)"
        );
        let _ = writeln!(text, "memory    {}", bytes(self.memory_peak));
        let _ = writeln!(
            text,
            "calls     {} to the host, {} of them renewals",
            self.host_calls, self.said.renewals
        );
        let _ = writeln!(text, "module    {}", self.digest);
        list(&mut text, "emitted", self.emitted.iter().map(outgoing_line));
        list(&mut text, "sent", self.said.sent.iter().map(outgoing_line));
        list(&mut text, "metrics", self.said.metrics.iter().cloned());
        list(&mut text, "log", self.log_lines());
        if self.dropped_log_bytes > 0 {
            let _ = writeln!(
                text,
                "  ({} over the log budget were dropped)",
                bytes(self.dropped_log_bytes)
            );
        }
        text
    }

    /// With everything in it.
    pub(in crate::cli) fn as_json(&self) -> Value {
        let emitted: Vec<Outgoing<'_>> = self.emitted.iter().map(outgoing).collect();
        let sent: Vec<Outgoing<'_>> = self.said.sent.iter().map(outgoing).collect();
        let log: Vec<Value> = self
            .said
            .lines
            .iter()
            .map(|line| {
                json!({
                    "level": level_word(line.level),
                    "source": source_word(line.source),
                    "context": line.context,
                    "message": line.message,
                })
            })
            .collect();
        json!({
            "end": end_json(&self.end),
            "emitted": emitted,
            "sent": sent,
            "log": log,
            "metrics": self.said.metrics,
            "seconds": {
                "load": self.times.load.as_secs_f64(),
                "start": self.times.start.as_secs_f64(),
                "call": self.times.call.as_secs_f64(),
                "cpu": self.times.cpu.as_secs_f64(),
            },
            "memory_bytes": self.memory_peak,
            "host_calls": self.host_calls,
            "renewals": self.said.renewals,
            "dropped_log_bytes": self.dropped_log_bytes,
            "module": self.digest,
        })
    }
}

/// How a call ended, in one line.
pub(in crate::cli) fn describe(end: &CallEnd) -> String {
    let because = |reason: &Option<String>| reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let later = |after: &Option<Duration>, otherwise: &str| {
        after.map_or_else(
            || otherwise.to_owned(),
            |after| format!(" after {}", format_duration(after)),
        )
    };
    match end {
        CallEnd::Outcome(Outcome::Accept) => "accept".to_owned(),
        CallEnd::Outcome(Outcome::Release { after, reason }) => {
            format!("release{}{}", later(after, ""), because(reason))
        }
        CallEnd::Outcome(Outcome::Reject { reason }) => format!("reject{}", because(reason)),
        CallEnd::Outcome(Outcome::Renew { after, .. }) => format!("renew{}", later(after, " at once")),
        CallEnd::Trap {
            code,
            message,
            backtrace,
        } => {
            let frames = backtrace.iter().flat_map(|frame| [" < ", frame.as_str()]);
            format!("trap {code}: {message}{}", frames.collect::<String>())
        }
        CallEnd::OutOfMemory { limit } => format!("out of memory: the limit is {}", bytes(*limit)),
        CallEnd::Deadline { limit } => format!("deadline of {} passed", format_duration(*limit)),
        CallEnd::Cancelled => "cancelled".to_owned(),
        CallEnd::Limit { what, value, limit } => format!("{value} {what}, above the limit of {limit}"),
        CallEnd::Exit { code } => format!("the handler called exit({code}) instead of returning an outcome"),
        CallEnd::Refused { reason } => format!("configure refused the settings: {reason}"),
        CallEnd::HostFault(reason) => format!("host fault: {reason}"),
        CallEnd::Panic(text) => format!("the host panicked: {text}"),
    }
}

fn end_json(end: &CallEnd) -> Value {
    let milliseconds = |after: &Option<Duration>| after.map(|after| after.as_millis());
    match end {
        CallEnd::Outcome(Outcome::Accept) => json!({ "outcome": "accept" }),
        CallEnd::Outcome(Outcome::Release { after, reason }) => {
            json!({ "outcome": "release", "after_ms": milliseconds(after), "reason": reason })
        }
        CallEnd::Outcome(Outcome::Reject { reason }) => json!({ "outcome": "reject", "reason": reason }),
        CallEnd::Outcome(Outcome::Renew { after, checkpoint }) => {
            let checkpoint = checkpoint.as_ref().map(|bytes| Record {
                value: Some(bytes.clone()),
                ..Record::default()
            });
            json!({ "outcome": "renew", "after_ms": milliseconds(after), "checkpoint": checkpoint })
        }
        other => json!({ "failure": describe(other) }),
    }
}

fn outgoing(record: &OutgoingRecord) -> Outgoing<'_> {
    let headers = record.headers.iter().map(|(name, value)| Header {
        name: name.clone(),
        value: value.clone(),
    });
    Outgoing {
        topic: &record.topic,
        record: Record {
            key: record.key.clone(),
            value: record.value.clone(),
            headers: headers.collect(),
            partition: record.partition,
            timestamp: None,
        },
    }
}

/// A record that was produced, in one line.
pub(in crate::cli) fn outgoing_line(record: &OutgoingRecord) -> String {
    let part = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or_else(|| "null".to_owned(), |bytes| shown(bytes));
    format!(
        "{} key {} value {}",
        record.topic,
        part(&record.key),
        part(&record.value)
    )
}

fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("({}, not text)", output::counted(bytes.len() as u64, "byte")),
    }
}

fn list(text: &mut String, name: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.map(|line| format!("  {}\n", output::printable(&line))).collect();
    if !lines.is_empty() {
        let _ = write!(text, "\n{name}\n{}", lines.concat());
    }
}

/// With microseconds: most calls are shorter than a millisecond.
fn milliseconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_millis(), duration.subsec_micros() % 1_000)
}

fn origin(level: LogLevel, source: LogSource) -> &'static str {
    if source == LogSource::Log {
        level_word(level)
    } else {
        source_word(source)
    }
}

fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::Critical => "critical",
    }
}

fn source_word(source: LogSource) -> &'static str {
    match source {
        LogSource::Log => "log",
        LogSource::Stdout => "stdout",
        LogSource::Stderr => "stderr",
    }
}
