//! Errors of the admin interface: a code for programs, a message and a way out for people. Crosses the socket unchanged.

use serde::{Deserialize, Serialize};

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The request makes no sense.
    Invalid,
    /// There is no such topic, group, record or dead letter.
    NotFound,
    /// There is one already.
    Exists,
    /// The principal lacks a permission.
    Denied,
    /// It cannot be done in the present state, for example while a host works on the group.
    Conflict,
    /// The topic, the journal or the disk is full.
    Full,
    /// A record or a request is larger than its limit.
    TooLarge,
    /// The data directory belongs to another process.
    InUse,
    /// The engine does not answer, or its state is unknown after a failed write.
    Unavailable,
    /// The host ended before it took the request: nothing was done, and asking again is safe.
    Ended,
    /// The two sides do not speak the same protocol.
    Protocol,
    /// Something that should not happen.
    #[serde(other)]
    Internal,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Invalid,
        Self::NotFound,
        Self::Exists,
        Self::Denied,
        Self::Conflict,
        Self::Full,
        Self::TooLarge,
        Self::InUse,
        Self::Unavailable,
        Self::Ended,
        Self::Protocol,
        Self::Internal,
    ];

    /// As it is written in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not-found",
            Self::Exists => "exists",
            Self::Denied => "denied",
            Self::Conflict => "conflict",
            Self::Full => "full",
            Self::TooLarge => "too-large",
            Self::InUse => "in-use",
            Self::Unavailable => "unavailable",
            Self::Ended => "ended",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        }
    }

    /// What it says, for the reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Invalid => "The request makes no sense.",
            Self::NotFound => "There is no such topic, group, record or dead letter.",
            Self::Exists => "There is one already.",
            Self::Denied => "The principal lacks a permission on the cluster; `hint` has the command that grants it.",
            Self::Conflict => "It cannot be done in the present state, for example while a host works on the group.",
            Self::Full => "The topic, the journal or the disk is full.",
            Self::TooLarge => "A record or a request is larger than its limit.",
            Self::InUse => "The data directory belongs to another process.",
            Self::Unavailable => {
                "The engine or the cluster does not answer, or its state is unknown after a failed write."
            }
            Self::Ended => "The host ended before it took the request: nothing was done, and asking again is safe.",
            Self::Protocol => "The two sides do not speak the same protocol.",
            Self::Internal => "Something that should not happen.",
        }
    }

    /// The HTTP status that carries it.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Invalid | Self::Protocol => 400,
            Self::Denied => 403,
            Self::NotFound => 404,
            Self::Exists | Self::Conflict | Self::InUse => 409,
            Self::TooLarge => 413,
            Self::Full => 507,
            Self::Unavailable | Self::Ended => 503,
            Self::Internal => 500,
        }
    }
}

/// An error with its way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct AdminError {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// What is wrong, with the offending value and the limit.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl AdminError {
    /// An error without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
