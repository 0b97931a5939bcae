//! What the host tells a source about one delivery, and what the source answers. Plain data; made by the settlement table alone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use share_engine::ids::LeaseKey;
use share_engine::letter;

use crate::handler::OutgoingRecord;

/// The acknowledgement of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which delivery.
    pub lease: LeaseKey,
    /// What becomes of the record.
    pub verdict: Verdict,
    /// Produced in the same commit as the acknowledgement; empty unless `verdict` is [`Verdict::Accept`].
    pub emitted: Vec<OutgoingRecord>,
    /// Why the attempt failed; present whenever the record could become a dead letter by this settlement.
    pub evidence: Option<Box<Evidence>>,
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done; never delivered again.
    Accept,
    /// The attempt failed: another one after `delay`, or the end if this was the last.
    Release {
        /// Not available before this much time has passed.
        delay: Duration,
    },
    /// Never to be delivered again; the cause is in the evidence.
    Reject,
    /// The same attempt goes on after `delay`; the delivery count is not raised.
    Park {
        /// Not available before this much time has passed.
        delay: Duration,
        /// Replaces the checkpoint; `None` keeps the one there is.
        checkpoint: Option<Bytes>,
    },
    /// The host could not do its part: the delivery count is not raised by the next acquisition, where the backend can do that; else a
    /// release. The attempt goes on, and ends with `max-lease`.
    GiveBack {
        /// Not available before this much time has passed.
        delay: Duration,
    },
    /// As if it had never been acquired, where the backend can do that: nobody had begun with it. Else as [`Verdict::GiveBack`].
    Untouched,
}

impl Verdict {
    /// Its name in metrics and messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Release { .. } => "release",
            Self::Reject => "reject",
            Self::Park { .. } => "renew",
            Self::GiveBack { .. } | Self::Untouched => "give-back",
        }
    }
}

/// Why an attempt failed. Goes into the record's note and its dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The kind of failure.
    pub cause: Cause,
    /// One line: what the handler said, or what the host saw.
    pub reason: Option<String>,
    /// Code and innermost frames of a trap, one a line.
    pub trap: Option<String>,
    /// SHA-256 of the component, in hexadecimal.
    pub module: Arc<str>,
    /// The last lines that the handler logged, oldest first.
    pub log_tail: Vec<String>,
}

impl Evidence {
    /// One line for the attempt: what kind of failure, and what was said.
    pub(super) fn note(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.cause),
            None => self.cause.to_string(),
        }
    }
}

impl From<Evidence> for letter::Evidence {
    fn from(evidence: Evidence) -> Self {
        Self {
            cause: evidence.cause.name().to_owned(),
            reason: evidence.reason,
            module: Some(evidence.module.to_string()),
            trap: evidence.trap,
            log: evidence.log_tail,
        }
    }
}

/// The kinds of failure, as they stand in dead letters and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The handler released the record.
    Release,
    /// The handler rejected the record.
    Reject,
    /// The guest trapped.
    Trap,
    /// The guest was refused memory and gave up.
    OutOfMemory,
    /// The call took too long.
    Deadline,
    /// The attempt, renewals and parking included, took too long.
    MaxLease,
    /// A limit other than memory and time was passed.
    Limit,
    /// The guest called `exit`.
    Exit,
    /// The host panicked while it ran the record.
    HostCrash,
}

impl Cause {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Release,
        Self::Reject,
        Self::Trap,
        Self::OutOfMemory,
        Self::Deadline,
        Self::MaxLease,
        Self::Limit,
        Self::Exit,
        Self::HostCrash,
    ];

    /// Kebab-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Reject => "reject",
            Self::Trap => "trap",
            Self::OutOfMemory => "out-of-memory",
            Self::Deadline => "deadline",
            Self::MaxLease => "max-lease",
            Self::Limit => "limit",
            Self::Exit => "exit",
            Self::HostCrash => "host-crash",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What became of one settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleResult {
    /// Durable.
    Applied,
    /// Given up, but its dead letter cannot be written yet: the source keeps the record, and tells by
    /// [`SourceEvent::Buried`](super::SourceEvent::Buried) when it is.
    Kept,
    /// Not of the newest delivery of that record: changed nothing.
    Stale,
    /// Rolled back; the record is still leased and may be settled again.
    Refused {
        /// Whether it is worth trying again.
        by: RefusedBy,
        /// One line, such as the topic that is full.
        reason: String,
    },
    /// The backend failed on the way; after its recovery the record is either settled or delivered again.
    Unknown,
}

/// What stands against a settlement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusedBy {
    /// The target of an emitted record is full: others may be settled meanwhile.
    TargetFull,
    #[default]
    /// The backend has no room, or another passing trouble: nobody is settled meanwhile.
    Backend,
    /// What it asks for: it will always be refused.
    Never,
}
