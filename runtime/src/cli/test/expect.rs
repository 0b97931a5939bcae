//! What a record is to come to, as a record file says it, and how what came differs from it. What an expectation does not mention is
//! not compared. Pure.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, Wanted};
use crate::admin::{Header, Record};
use crate::cli::invoke::{describe, outgoing_line};
use crate::cli::shown;
use crate::config::{format_duration, nearest, parse_duration};
use crate::handler::{CallEnd, Outcome, OutgoingRecord};

/// What is expected of one record.
#[derive(Clone, Debug)]
pub(super) struct Expect {
    end: &'static str,
    after: Said<Duration>,
    reason: Said<String>,
    reason_contains: Option<String>,
    checkpoint: Option<Wanted>,
    emits: Option<Vec<Emit>>,
    sends: Option<Vec<Emit>>,
}

/// What an expectation says of something that may be there or not.
#[derive(Clone, Debug)]
enum Said<T> {
    Nothing,
    Is(Option<T>),
}

impl<T: PartialEq> Said<T> {
    /// What was expected, as text, if it is not what was found.
    fn unlike(&self, found: Option<&T>, show: impl Fn(Option<&T>) -> String) -> Option<String> {
        match self {
            Self::Is(expected) if expected.as_ref() != found => Some(show(expected.as_ref())),
            _ => None,
        }
    }

    fn is_there(&self) -> bool {
        matches!(self, Self::Is(_))
    }
}

/// One record that is to be produced.
#[derive(Clone, Debug)]
struct Emit {
    topic: String,
    key: Option<Wanted>,
    value: Option<Wanted>,
    headers: Option<Vec<Header>>,
    partition: Option<u32>,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// Which part of the expectation.
    pub(super) field: String,
    /// What it says.
    pub(super) expected: String,
    /// What came.
    pub(super) actual: String,
}

impl Expect {
    /// A word, or an object with more.
    pub(super) fn of(value: Value) -> Result<Self, String> {
        let value = match value {
            word @ Value::String(_) => Value::Object([("outcome".to_owned(), word)].into_iter().collect()),
            other => other,
        };
        let mut fields = Fields::new("\"expect\"", value, FIELDS)?;
        let word = fields
            .text("outcome")?
            .ok_or_else(|| format!("\"expect\" has no \"outcome\", one of {}", ENDS.join(", ")))?;
        let end = end(&word)?;
        let after = match fields.take("after") {
            None => Said::Nothing,
            Some(Value::Null) => Said::Is(None),
            Some(Value::String(text)) => Said::Is(Some(
                parse_duration(&text).map_err(|error| format!("\"after\" of \"expect\" {error}"))?,
            )),
            Some(other) => {
                return Err(format!(
                    "\"after\" of \"expect\" is {other}, expected a duration such as \"30s\", or null"
                ));
            }
        };
        let reason = match fields.take("reason") {
            None => Said::Nothing,
            Some(Value::Null) => Said::Is(None),
            Some(Value::String(text)) => Said::Is(Some(text)),
            Some(other) => return Err(format!("\"reason\" of \"expect\" is {other}, expected text or null")),
        };
        let reason_contains = match fields.take("reason_contains") {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => return Err(format!("\"reason_contains\" of \"expect\" is {other}, expected text")),
        };
        let expect = Self {
            end,
            after,
            reason,
            reason_contains,
            checkpoint: fields.bytes("checkpoint", "checkpoint_base64")?,
            emits: emits(fields.list("emits")?)?,
            sends: emits(fields.list("sends")?)?,
        };
        expect.goes_together()?;
        Ok(expect)
    }

    /// The end that is expected.
    pub(super) fn end(&self) -> &'static str {
        self.end
    }

    fn goes_together(&self) -> Result<(), String> {
        let only = |name: &str, is_there: bool, with: &[&str]| {
            if is_there && !with.contains(&self.end) {
                return Err(format!(
                    "\"{name}\" of \"expect\" goes with {}, not with {}",
                    with.join(" and "),
                    self.end
                ));
            }
            Ok(())
        };
        only("after", self.after.is_there(), &["release", "renew"])?;
        only("checkpoint", self.checkpoint.is_some(), &["renew"])?;
        let has_reason = self.reason.is_there() || self.reason_contains.is_some();
        if has_reason && ["accept", "renew"].contains(&self.end) {
            return Err(format!("\"reason\" of \"expect\" does not go with {}", self.end));
        }
        if self.emits.as_ref().is_some_and(|emits| !emits.is_empty()) && self.end != "accept" {
            return Err(format!(
                "\"emits\" of \"expect\" goes with accept: with {} what was emitted is dropped",
                self.end
            ));
        }
        Ok(())
    }

    /// Everything that is not as expected, the gravest first.
    pub(super) fn compare(
        &self,
        found: &CallEnd,
        emitted: &[OutgoingRecord],
        sent: &[OutgoingRecord],
    ) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut differs = |field: &str, expected: String, actual: String| {
            differences.push(Difference {
                field: field.to_owned(),
                expected,
                actual,
            });
        };
        if end_word(found) == self.end {
            let delay = delay_of(found);
            if let Some(after) = self.after.unlike(delay.as_ref(), |delay| delay_text(delay.copied())) {
                differs("after", after, delay_text(delay));
            }
            let reason = reason_of(found);
            let shown_reason = text_or_none(reason.as_deref());
            if let Some(expected) = self
                .reason
                .unlike(reason.as_ref(), |it| text_or_none(it.map(String::as_str)))
            {
                differs("reason", expected, shown_reason.clone());
            }
            if let Some(part) = &self.reason_contains
                && !reason.is_some_and(|reason| reason.contains(part))
            {
                differs("reason", format!("... {part} ..."), shown_reason);
            }
            let checkpoint = checkpoint_of(found);
            if let Some(wanted) = self.checkpoint.as_ref().filter(|wanted| !wanted.fits(checkpoint)) {
                differs("checkpoint", wanted_text(wanted), shown::text(checkpoint));
            }
        } else {
            differs("outcome", self.end.to_owned(), describe(found));
        }
        for (name, wanted, found) in [("emits", &self.emits, emitted), ("sends", &self.sends, sent)] {
            if let Some(wanted) = wanted {
                compare_all(name, wanted, found, &mut differences);
            }
        }
        differences
    }
}

fn compare_all(name: &str, wanted: &[Emit], found: &[OutgoingRecord], differences: &mut Vec<Difference>) {
    for index in 0..wanted.len().max(found.len()) {
        let field = format!("{name}[{index}]");
        match (wanted.get(index), found.get(index)) {
            (Some(wanted), Some(found)) => wanted.compare(&field, found, differences),
            (wanted, found) => differences.push(Difference {
                field,
                expected: wanted.map_or_else(|| NOTHING.to_owned(), Emit::line),
                actual: found.map_or_else(|| NOTHING.to_owned(), outgoing_line),
            }),
        }
    }
}

impl Emit {
    fn of(value: Value) -> Result<Self, String> {
        let mut fields = Fields::new("a record of \"emits\" or \"sends\"", value, EMIT_FIELDS)?;
        let topic = fields.text("topic")?;
        let emit = Self {
            topic: topic.ok_or_else(|| "a record of \"emits\" or \"sends\" has no \"topic\"".to_owned())?,
            key: fields.bytes("key", "key_base64")?,
            value: fields.bytes("value", "value_base64")?,
            partition: fields.number("partition", 0, u32::MAX)?,
            headers: None,
        };
        let rest = fields.rest();
        let has_headers = rest.get("headers").is_some();
        let record: Record = serde_json::from_value(rest).map_err(|error| error.to_string())?;
        Ok(Self {
            headers: has_headers.then_some(record.headers),
            ..emit
        })
    }

    fn compare(&self, field: &str, found: &OutgoingRecord, differences: &mut Vec<Difference>) {
        let mut differs = |part: &str, expected: String, actual: String| {
            differences.push(Difference {
                field: format!("{field}.{part}"),
                expected,
                actual,
            });
        };
        if self.topic != found.topic {
            differs("topic", self.topic.clone(), found.topic.clone());
        }
        for (part, wanted, found) in [("key", &self.key, &found.key), ("value", &self.value, &found.value)] {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| !wanted.fits(found.as_deref())) {
                differs(part, wanted_text(wanted), shown::text(found.as_deref()));
            }
        }
        if self.partition.is_some() && self.partition != found.partition {
            let text = |partition: Option<u32>| partition.map_or_else(|| "by key".to_owned(), |it| it.to_string());
            differs("partition", text(self.partition), text(found.partition));
        }
        if let Some(wanted) = &self.headers {
            let wanted: Vec<(&str, Option<&Bytes>)> = wanted
                .iter()
                .map(|header| (header.name.as_str(), header.value.as_ref()))
                .collect();
            let found: Vec<(&str, Option<&Bytes>)> = found
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_ref()))
                .collect();
            if wanted != found {
                differs("headers", headers_text(&wanted), headers_text(&found));
            }
        }
    }

    fn line(&self) -> String {
        let part = |name: &str, wanted: &Option<Wanted>| {
            wanted
                .as_ref()
                .map_or_else(String::new, |wanted| format!(" {name} {}", wanted_text(wanted)))
        };
        format!("{}{}{}", self.topic, part("key", &self.key), part("value", &self.value))
    }
}

fn emits(list: Option<Vec<Value>>) -> Result<Option<Vec<Emit>>, String> {
    list.map(|items| items.into_iter().map(Emit::of).collect()).transpose()
}

fn end(word: &str) -> Result<&'static str, String> {
    ENDS.iter().find(|known| **known == word).copied().ok_or_else(|| {
        let near = nearest(word, ENDS.iter().copied());
        let advice = near.map_or_else(
            || format!("one of {}", ENDS.join(", ")),
            |near| format!("did you mean \"{near}\"?"),
        );
        format!("\"{word}\" is no outcome; {advice}")
    })
}

/// The word for an end, as metrics have it.
pub(super) fn end_word(end: &CallEnd) -> &'static str {
    match end {
        CallEnd::Outcome(Outcome::Accept) => "accept",
        CallEnd::Outcome(Outcome::Release { .. }) => "release",
        CallEnd::Outcome(Outcome::Reject { .. }) => "reject",
        CallEnd::Outcome(Outcome::Renew { .. }) => "renew",
        CallEnd::Trap { .. } => "trap",
        CallEnd::OutOfMemory { .. } => "out-of-memory",
        CallEnd::Deadline { .. } => "deadline",
        CallEnd::Limit { .. } => "limit",
        CallEnd::Exit { .. } => "exit",
        CallEnd::Cancelled => "cancelled",
        CallEnd::Panic(_) => "panic",
        CallEnd::HostFault(_) | CallEnd::Refused { .. } => "host-fault",
    }
}

fn delay_of(end: &CallEnd) -> Option<Duration> {
    match end {
        CallEnd::Outcome(Outcome::Release { after, .. } | Outcome::Renew { after, .. }) => *after,
        _ => None,
    }
}

/// What the handler said, or what is said of how its call ended.
fn reason_of(end: &CallEnd) -> Option<String> {
    match end {
        CallEnd::Outcome(Outcome::Release { reason, .. } | Outcome::Reject { reason }) => reason.clone(),
        CallEnd::Outcome(_) => None,
        other => Some(describe(other)),
    }
}

fn checkpoint_of(end: &CallEnd) -> Option<&[u8]> {
    match end {
        CallEnd::Outcome(Outcome::Renew { checkpoint, .. }) => checkpoint.as_deref(),
        _ => None,
    }
}

fn delay_text(delay: Option<Duration>) -> String {
    delay.map_or_else(|| "none of its own".to_owned(), format_duration)
}

fn text_or_none(text: Option<&str>) -> String {
    text.unwrap_or("none").to_owned()
}

fn wanted_text(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Json(json) => json.to_string(),
        other => shown::text(other.clone().into_bytes().as_deref()),
    }
}

fn headers_text(headers: &[(&str, Option<&Bytes>)]) -> String {
    let each = headers
        .iter()
        .map(|(name, value)| format!("{name}={}", shown::text(value.map(|bytes| &bytes[..]))));
    let all: Vec<String> = each.collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

const NOTHING: &str = "nothing";

/// What may be expected; `cancelled`, `panic` and `host-fault` are nobody's wish.
pub(super) const ENDS: &[&str] = &[
    "accept",
    "release",
    "reject",
    "renew",
    "trap",
    "out-of-memory",
    "deadline",
    "limit",
    "exit",
];

const FIELDS: &[&str] = &[
    "outcome",
    "after",
    "reason",
    "reason_contains",
    "checkpoint",
    "checkpoint_base64",
    "emits",
    "sends",
];

const EMIT_FIELDS: &[&str] = &[
    "topic",
    "key",
    "key_base64",
    "value",
    "value_base64",
    "headers",
    "partition",
];
