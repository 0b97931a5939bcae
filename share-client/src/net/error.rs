//! What can be wrong with a connection: each with the broker's address, what was tried and, where it can be told, the likely cause.

use std::time::Duration;

use share_wire::call::Api;
use share_wire::error::WireError;
use share_wire::versions::VersionError;

use crate::config::Address;

/// Why a connection could not be made, or a request has no answer. Can be cloned, so that one failure can be told to all who wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {failure}")]
pub struct NetError {
    /// The broker.
    pub address: Address,
    /// What happened.
    pub failure: Failure,
}

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The name has no address.
    #[error("the name cannot be resolved: {reason}")]
    Resolve {
        /// As the system says it.
        reason: String,
    },
    /// Nothing listens there, or nothing gets there.
    #[error("no connection: {reason}")]
    Connect {
        /// As the system says it, for each IP address that was tried.
        reason: String,
    },
    /// It took too long.
    #[error("{doing} took longer than {}", humane(*.limit))]
    Timeout {
        /// What was being done.
        doing: String,
        /// How long it may take.
        limit: Duration,
    },
    /// The connection ended before the answer was there.
    #[error("the connection ended {doing}: {reason}")]
    Lost {
        /// What was being done.
        doing: String,
        /// Why, and what the likely cause is.
        reason: String,
    },
    /// A certificate that is not trusted, ours or the broker's, or no version of TLS in common.
    #[error("TLS: {reason}")]
    Tls {
        /// What is wrong, and the way out.
        reason: String,
    },
    /// The broker does not let us in.
    #[error("the login of {user:?} by {mechanism} failed: {reason}")]
    Login {
        /// By which mechanism.
        mechanism: &'static str,
        /// As whom.
        user: String,
        /// As the broker says it, or what is wrong with the broker.
        reason: String,
    },
    /// The broker has other mechanisms.
    #[error("the broker has no login by {mechanism}; sasl.mechanism may be one of {}", .offered.join(", "))]
    Mechanism {
        /// What we asked for.
        mechanism: &'static str,
        /// What the broker has.
        offered: Vec<String>,
    },
    /// There is no token to log in with.
    #[error("no token from {url}: {reason}")]
    Token {
        /// Who should have given it.
        url: String,
        /// Why it did not.
        reason: String,
    },
    /// What came is not Kafka's protocol.
    #[error("{reason}")]
    NotKafka {
        /// What it is instead.
        reason: String,
    },
    /// An answer that cannot be read, or a request that cannot be written.
    #[error("{api}: {source}")]
    Wire {
        /// The request.
        api: Api,
        /// What is wrong.
        source: Box<WireError>,
    },
    /// The broker does not speak the request as we do. The connection is none the worse.
    #[error(transparent)]
    Version(Box<VersionError>),
    /// An earlier call failed, or was dropped before its answer was there: the connection cannot be used any more.
    #[error("the connection is closed: {reason}")]
    Broken {
        /// What happened then.
        reason: String,
    },
}

impl NetError {
    /// Whether trying again is of no use before somebody changes something, here or there.
    pub const fn is_final(&self) -> bool {
        matches!(
            self.failure,
            Failure::Tls { .. }
                | Failure::Login { .. }
                | Failure::Mechanism { .. }
                | Failure::NotKafka { .. }
                | Failure::Version(_)
        )
    }

    /// Whether the request may have reached the broker, and been carried out.
    pub const fn may_have_arrived(&self) -> bool {
        !matches!(self.failure, Failure::Version(_) | Failure::Broken { .. })
    }
}

impl Failure {
    pub(super) const fn at(self, address: Address) -> NetError {
        NetError { address, failure: self }
    }
}

pub(super) fn late(doing: &str, limit: Duration) -> Failure {
    Failure::Timeout {
        doing: doing.to_owned(),
        limit,
    }
}

/// Durations without a row of zeros.
pub(super) fn humane(limit: Duration) -> String {
    if limit.subsec_millis() == 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{} ms", limit.as_millis())
    }
}
