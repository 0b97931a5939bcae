//! Promises that were not kept: how many of each kind, and the first ones in words.

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Which.
    pub(crate) kind: Kind,
    /// What was expected and what was seen.
    pub(crate) text: String,
}

/// Which promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record that was acknowledged to its producer, or what was emitted or put aside for it, is gone.
    Lost,
    /// A record came again after its accept had been acknowledged.
    Redelivered,
    /// Anything else.
    Other,
}

/// Promises that were not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// How many of each kind.
    pub(crate) lost: u64,
    pub(crate) redelivered: u64,
    pub(crate) other: u64,
    /// The first ones.
    pub(crate) first: Vec<Finding>,
}

/// Findings that are kept with their text.
const TOLD_MAX: usize = 20;

impl Found {
    /// Nothing was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.lost + self.redelivered + self.other == 0
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        match finding.kind {
            Kind::Lost => self.lost += 1,
            Kind::Redelivered => self.redelivered += 1,
            Kind::Other => self.other += 1,
        }
        if self.first.len() < TOLD_MAX {
            self.first.push(finding);
        }
    }
}
