//! What `verify` reports. It needs the data directory to itself and is therefore no part of [`super::Admin`].

use serde::{Deserialize, Serialize};

/// What was read, and what of it is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Segments of partition logs.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Records in the journal behind the snapshot, which are in no log yet.
    pub journal_records: u64,
    /// Entries of the journal behind the snapshot.
    pub journal_entries: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The engine was closed before.
    pub clean: bool,
    /// What was being written when the process ended: no damage, the next start cuts it.
    pub torn: Option<Damage>,
    /// What is damaged; empty if all is well.
    pub damage: Vec<Damage>,
    /// What a newer version wrote: it can read it, this one cannot.
    #[serde(default)]
    pub newer: Vec<Damage>,
    /// What could not be checked because of either.
    pub unchecked: Vec<Unchecked>,
}

/// What could not be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unchecked {
    /// File or folder, relative to the data directory.
    pub file: String,
    /// Why not.
    pub message: String,
}

/// One place that is damaged or newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// File, relative to the data directory.
    pub file: String,
    /// Where it begins, bytes.
    pub position: u64,
    /// What is wrong.
    pub message: String,
}
