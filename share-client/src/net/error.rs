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
    /// Whether trying again is of no use before somebody changes the configuration, here or there.
    pub const fn is_final(&self) -> bool {
        matches!(self.failure, Failure::NotKafka { .. } | Failure::Version(_))
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

/// Durations without a row of zeros.
pub(super) fn humane(limit: Duration) -> String {
    if limit.subsec_millis() == 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{} ms", limit.as_millis())
    }
}
