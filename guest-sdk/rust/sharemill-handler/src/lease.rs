//! The lease of a record. A handler seldom needs it: the host extends leases by itself.
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::bindings::imports::sharemill::worker::lease as wire;
use crate::{Record, host};

/// The lease of one delivery.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    id: u64,
    record: PhantomData<&'a Record>,
}

impl<'a> Lease<'a> {
    pub(crate) fn of(record: &'a Record) -> Self {
        Self {
            id: record.id(),
            record: PhantomData,
        }
    }

    /// Time until the lease ends if nobody extends it.
    pub fn remaining(self) -> Duration {
        Duration::from_nanos(host::remaining(self.id))
    }

    /// Extend it now; returns the new remaining time.
    ///
    /// # Errors
    /// See [`LeaseError`]. After `Lost` the outcome of this call is ignored: stop.
    pub fn renew(self) -> Result<Duration, LeaseError> {
        host::renew(self.id).map(Duration::from_nanos).map_err(LeaseError::from)
    }
}

/// Why a lease was not extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseError {
    /// The record belongs to someone else now; the outcome will be ignored.
    Lost,
    /// The deployment's `max-lease` is used up.
    Exhausted,
    /// The backend could not be asked; try again.
    Unavailable,
}

impl fmt::Display for LeaseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Lost => "the lease is lost: the record belongs to someone else now",
            Self::Exhausted => "the lease cannot be extended: max-lease is used up",
            Self::Unavailable => "the lease could not be extended: the backend did not answer",
        })
    }
}

impl std::error::Error for LeaseError {}

impl From<wire::LeaseError> for LeaseError {
    fn from(error: wire::LeaseError) -> Self {
        match error {
            wire::LeaseError::Lost => Self::Lost,
            wire::LeaseError::Exhausted => Self::Exhausted,
            wire::LeaseError::Unavailable => Self::Unavailable,
        }
    }
}
