//! Dead letters as the admin interface shows and takes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AdminError, Record};
use crate::metrics::CAUSES;

/// Names a dead letter by where it lies, written `TOPIC/PARTITION/OFFSET`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId {
    /// Dead-letter topic.
    pub topic: String,
    /// Partition of it.
    pub partition: u32,
    /// Offset in it.
    pub offset: u64,
}

/// Not of the form `TOPIC/PARTITION/OFFSET`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected TOPIC/PARTITION/OFFSET, for example orders.dead/0/17")]
pub struct DeadLetterIdError;

impl FromStr for DeadLetterId {
    type Err = DeadLetterIdError;

    fn from_str(text: &str) -> Result<Self, DeadLetterIdError> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(topic), Some(partition), Some(offset), None) if !topic.is_empty() => Ok(Self {
                topic: topic.to_owned(),
                partition: partition.parse().map_err(|_| DeadLetterIdError)?,
                offset: offset.parse().map_err(|_| DeadLetterIdError)?,
            }),
            _ => Err(DeadLetterIdError),
        }
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl Serialize for DeadLetterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeadLetterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Why a record was given up: one of [`CAUSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadCause(&'static str);

/// Not one of [`CAUSES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cause, expected one of {known}", known = known_causes())]
pub struct DeadCauseError(String);

fn known_causes() -> String {
    let names: Vec<&str> = CAUSES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

impl DeadCause {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl FromStr for DeadCause {
    type Err = DeadCauseError;

    fn from_str(text: &str) -> Result<Self, DeadCauseError> {
        let known = CAUSES.iter().find(|(name, _)| *name == text);
        known
            .map(|(name, _)| Self(name))
            .ok_or_else(|| DeadCauseError(text.to_owned()))
    }
}

impl Serialize for DeadCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for DeadCause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadFilter {
    /// Only those of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only those in this dead-letter topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Only those with this cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<DeadCause>,
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadQuery {
    /// Which of them.
    pub filter: DeadFilter,
    /// At most so many, 1 to 10,000.
    pub limit: u32,
}

/// One dead letter in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it lies.
    pub id: DeadLetterId,
    /// Group that gave it up.
    pub group: String,
    /// Topic it came from.
    pub source_topic: String,
    /// Partition it came from.
    pub source_partition: u32,
    /// Offset it had there.
    pub source_offset: u64,
    /// Why: one of [`CAUSES`], unless another version wrote it.
    pub cause: String,
    /// What the handler, or the trap, said.
    pub reason: Option<String>,
    /// Attempts that it had.
    pub delivery_count: u32,
    /// When it was written, milliseconds since the Unix epoch.
    pub timestamp: i64,
}

/// Some dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadPage {
    /// Oldest first.
    pub dead_letters: Vec<DeadLetter>,
    /// Whether the limit left some out.
    pub more: bool,
    /// Where there are more that cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<UnreadableLetters>,
    /// Topics that may have others that this principal may not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

/// Dead letters that cannot be read where they lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableLetters {
    /// Dead-letter topic.
    pub topic: String,
    /// Partition of it.
    pub partition: u32,
    /// First offset of the damaged place.
    pub first: u64,
    /// Last offset of it.
    pub last: u64,
    /// How many of these offsets hold a letter that was not redriven.
    pub letters: u64,
    /// Why.
    pub error: AdminError,
}

/// One dead letter with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: DeadLetter,
    /// The record as it was produced, without the headers that its end added.
    pub record: Record,
    /// Where it was first produced, TOPIC/PARTITION/OFFSET, if the letter says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// SHA-256 of the component that handled it.
    pub module: Option<String>,
    /// The trap of the last attempt.
    pub trap: Option<String>,
    /// One line for each failed attempt before the last, whose cause and reason stand above.
    pub attempts: Vec<String>,
    /// Last log lines of the last attempt.
    pub log: Vec<String>,
    /// Size of its checkpoint.
    pub checkpoint_bytes: Option<u32>,
    /// A broker wrote it by itself, and knows neither what the handler said nor its log.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_broker: bool,
}

/// Which dead letters to redrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RedriveRequest {
    /// These.
    Ids(Vec<DeadLetterId>),
    /// Every one that the filter leaves, as of now.
    All(DeadFilter),
}

/// What a redrive did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveResult {
    /// Those that are back in their topic.
    pub redriven: Vec<Redriven>,
    /// Those that still lie where they lay.
    pub failed: Vec<RedriveFailure>,
    /// Where there are more that cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<UnreadableLetters>,
}

/// A dead letter that is back in its topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// Where it lay.
    pub id: DeadLetterId,
    /// Topic it is in again.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// New offset.
    pub offset: u64,
}

/// A dead letter that was not redriven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveFailure {
    /// Where it lies.
    pub id: DeadLetterId,
    /// Why.
    pub error: AdminError,
}
