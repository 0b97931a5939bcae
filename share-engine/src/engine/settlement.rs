//! What a host says of a delivery, and the evidence that goes into a dead letter.

use std::time::Duration;

use bytes::Bytes;

use crate::ids::LeaseKey;
use crate::record::NewRecord;

/// What becomes of one delivery.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which delivery.
    pub lease: LeaseKey,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What is known about a failure; goes into the dead letter if this settlement makes one.
    pub evidence: Option<Box<Evidence>>,
}

/// The four verbs.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Done. The emitted records and the acknowledgement are one commit: both or none.
    Accept {
        /// Records to produce with it.
        emit: Vec<EmitRecord>,
    },
    /// Available again, at once or after a delay of 10 ms to 7 days.
    Release {
        /// `None`: at once.
        after: Option<Duration>,
        /// Kept with the attempt; cut at 1 KiB and marked.
        reason: Option<String>,
    },
    /// Archived; a dead letter if the group has a topic for them.
    Reject {
        /// Goes into the dead letter; cut at 1 KiB and marked.
        reason: Option<String>,
    },
    /// Parked: the same attempt goes on later, with the same delivery count.
    Renew {
        /// Zero: at once.
        after: Duration,
        /// State for the next call, at most 64 KiB; `None` keeps the one there is.
        checkpoint: Option<Bytes>,
    },
    /// Nobody had begun with it: available at once, as the same delivery; its attempt begins when it is acquired again.
    GiveBack,
}

/// A record produced together with an acknowledgement.
#[derive(Clone, Debug)]
pub struct EmitRecord {
    /// Where to.
    pub topic: String,
    /// `None`: by key (murmur2), or in turn without one.
    pub partition: Option<u32>,
    /// What.
    pub record: NewRecord,
}

/// What a dead letter tells about the last attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// In a word: `reject`, `trap`, `deadline`, `limit` ...
    pub cause: String,
    /// The handler's or the host's explanation.
    pub reason: Option<String>,
    /// SHA-256 of the component, in hexadecimal.
    pub module: Option<String>,
    /// The trap and where it happened.
    pub trap: Option<String>,
    /// The last log lines.
    pub log: Vec<String>,
}

impl Evidence {
    /// Bytes of its texts.
    pub(crate) fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let log: usize = self.log.iter().map(|line| line.len() + 1).sum();
        self.cause.len() + text(&self.reason) + text(&self.module) + text(&self.trap) + log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_as_large_as_all_its_texts() {
        assert_eq!(Evidence::default().size(), 0);
        let text = |len| Some("x".repeat(len));
        let evidence = Evidence {
            cause: "x".repeat(7),
            reason: text(20),
            module: text(300),
            trap: text(4_000),
            log: vec!["x".repeat(50_000), "x".repeat(10_000)],
        };
        // Each line of the log ends.
        assert_eq!(evidence.size(), 64_327 + 2);
    }
}
