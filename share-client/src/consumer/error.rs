//! Why a consumer cannot join, or go on.

use std::time::Duration;

use crate::config::ConfigError;
use crate::membership::Refusal;
use crate::net::NetError;

/// Why a group could not be joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The options do not go together.
    #[error("{option}: {reason}")]
    Option {
        /// Which.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A broker cannot be talked to, and trying again is of no use.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The coordinator refuses the member.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was tried again and again.
    #[error("the group could not be joined within {} ms: {last}", .within.as_millis())]
    TimedOut {
        /// How long.
        within: Duration,
        /// What went wrong last.
        last: String,
    },
}

/// Why nothing can be acquired any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The consumer was closed.
    #[error("the consumer is closed")]
    Closed,
    /// The coordinator has put the member out of the group for good.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A broker cannot be talked to, and trying again is of no use.
    #[error(transparent)]
    Net(#[from] NetError),
}
