//! What `verify` reports. It needs the data directory to itself and is therefore no part of [`super::Admin`].

use serde::{Deserialize, Serialize};

/// What was read, and what of it is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VerifyReport {
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Record batches whose checksum was compared.
    pub batches: u64,
    /// What is damaged; empty if all is well.
    pub damage: Vec<Damage>,
}

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Damage {
    /// File, relative to the data directory.
    pub file: String,
    /// Where it begins, bytes.
    pub position: u64,
    /// How long it is, bytes.
    pub bytes: u64,
    /// What is wrong.
    pub message: String,
}
