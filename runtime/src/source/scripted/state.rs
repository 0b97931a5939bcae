//! What a scripted source counts, for tests to look at.

use std::collections::BTreeMap;

use crate::source::Settlement;

/// What a source was asked and what it holds.
#[derive(Clone, Debug, Default)]
pub struct ScriptedState {
    /// Deliveries handed out.
    pub deliveries: u64,
    /// Largest number of records held at once.
    pub most_held: usize,
    /// Calls of `acquire` that handed out something.
    pub acquires: u64,
    /// Calls of `settle`.
    pub settles: u64,
    /// Settlements applied, by name of the verdict.
    pub applied: BTreeMap<&'static str, u64>,
    /// Settlements that were too late.
    pub stale: u64,
    /// Settlements refused.
    pub refused: u64,
    /// Leases extended.
    pub renewed: u64,
    /// Leases that ran out.
    pub expired: u64,
    /// Records emitted by accepted ones.
    pub emitted: u64,
    /// Whether the member has left.
    pub left: bool,
    /// The last settlement of each record that carried evidence.
    pub evidence: BTreeMap<u64, Settlement>,
}
