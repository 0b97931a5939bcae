//! The differences that are meant, each as narrow as it can be told beforehand. They are listed in ARCHITECTURE.md under "Differences from
//! Kafka"; where one is told and does not occur, the sequence fails as well.

use share_wire::code::ErrorCode;

use super::broker::UNKNOWN_SERVER_ERROR;
use super::engine::{EngineSide, is_well_formed};
use super::operation::Batch;

/// Why the two sides answer an acknowledgement differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// Nothing is in flight, and a batch begins before the start offset and ends behind it: a broker looks for what is in flight
    /// there, finds nothing, and runs into an error.
    AcrossAnEmptyStart,
}

impl Meant {
    /// Whether a request will be answered differently, as our side stands before it.
    pub(crate) fn by(engine: &EngineSide, batches: &[Batch]) -> Option<Self> {
        let start = engine.start();
        if start < engine.next_new() || !is_well_formed(batches) {
            return None;
        }
        // What lies before the start is done with, whoever asks.
        let first = batches.iter().find(|batch| batch.last >= start)?;
        (first.first < start).then_some(Self::AcrossAnEmptyStart)
    }

    /// What our side and a broker answer.
    pub(crate) const fn answers(self) -> (ErrorCode, ErrorCode) {
        match self {
            Self::AcrossAnEmptyStart => (ErrorCode::INVALID_RECORD_STATE, UNKNOWN_SERVER_ERROR),
        }
    }

    /// For counts.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AcrossAnEmptyStart => "across an empty start",
        }
    }
}
