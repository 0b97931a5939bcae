//! What parent and child of a crash test say to each other: JSON, a line each, through the child's standard streams. A line
//! is written at once, so that what a killed child had said is in the pipe; one that it was cut off in does not count.

use serde::{Deserialize, Serialize};

/// What a child is to do: its first line on standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    /// Which child it is, from 0: no two give their records the same numbers.
    pub(super) round: u32,
    /// For everything that is drawn.
    pub(super) seed: u64,
    /// What had been looked at before.
    pub(super) known: Known,
    /// The mistake that the engine is to make, in tests.
    pub(super) plant: Option<String>,
}

/// Up to where the topics that only grow have been looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Next offset of the emitted records.
    pub(super) results: u64,
    /// Next offset of the dead letters.
    pub(super) letters: u64,
}

/// What was looked at of a topic that only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    /// First offset that was asked for.
    pub(super) from: u64,
    /// Next offset of the topic, behind all that was read.
    pub(super) end: u64,
    /// Oldest offset that the topic keeps.
    pub(super) start: u64,
    /// Bytes that it holds.
    pub(super) bytes: u64,
}

/// The line on standard input that ends the load: what is there is worked off and the engine is closed.
pub(super) const FINISH: &str = "finish";

/// Neighbours in one partition of the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Partition.
    pub(super) partition: u32,
    /// First offset.
    pub(super) first: u64,
    /// Last offset, included.
    pub(super) last: u64,
}

/// Deliveries of neighbours that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    /// Which records.
    pub(super) run: Run,
    /// Delivery count.
    pub(super) count: u16,
    /// Continuation of that delivery.
    pub(super) continuation: u32,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verb {
    /// Accepted.
    Accept,
    /// Accepted together with a record for the topic of results.
    AcceptAndEmit,
    /// To be delivered again, at once or later.
    Release,
    /// The same delivery goes on later, with a checkpoint.
    Park,
    /// As if it had not been delivered.
    GiveBack,
    /// A dead letter.
    Reject,
}

/// Where a record stands in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// Delivered again some time: available, parked, struck, or held by a process that is gone.
    Open,
    /// Accepted.
    Acknowledged,
    /// A dead letter.
    Archived,
}

/// What a child says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// The engine is about to be opened.
    Opening,
    /// The engine is open; before it takes or gives anything, it is looked at.
    Ready,
    /// Looked at: everything of a partition before this offset is finished.
    Start {
        /// Partition.
        partition: u32,
        /// The group's start offset.
        offset: u64,
    },
    /// Looked at: these records lie in the topic, numbered from `number` on, with the content that belongs to their numbers.
    Lies {
        /// Which records.
        run: Run,
        /// Of the first.
        number: u64,
    },
    /// Looked at: where these records stand.
    Stands {
        /// Which records.
        run: Run,
        /// Where.
        state: State,
        /// How often they have been delivered; means something for open ones only.
        count: u16,
    },
    /// Looked at: a record that was emitted by this delivery.
    Emitted {
        /// Its own offset.
        at: u64,
        /// Partition of its task.
        partition: u32,
        /// Offset of its task.
        offset: u64,
        /// Delivery count of its task.
        count: u16,
    },
    /// Looked at: the dead letter of a task.
    Letter {
        /// Its own offset.
        at: u64,
        /// Partition of its task.
        partition: u32,
        /// Offset of its task.
        offset: u64,
        /// The number that its content belongs to.
        number: u64,
    },
    /// Everything has been looked at.
    Looked {
        /// What of the emitted records.
        results: Span,
        /// What of the dead letters.
        letters: Span,
    },
    /// These records were acknowledged to their producer.
    Produced {
        /// Where.
        run: Run,
        /// Number of the first.
        number: u64,
    },
    /// These records were delivered, with the content that belongs to their numbers.
    Got {
        /// Their leases.
        lease: Lease,
        /// Number of the first.
        number: u64,
        /// What the checkpoint that came with them holds.
        checkpoint: Option<u32>,
    },
    /// A settlement is about to be sent.
    Tries(Verb, Lease),
    /// The engine has acknowledged it.
    Done(Verb, Lease),
    /// The engine has not done it.
    Missed(Verb, Lease),
    /// Something lies or comes that nobody sent.
    Wrong(String),
    /// All is worked off and looked at, and the engine is closed.
    Finished,
    /// It cannot go on, and says why.
    Failed(String),
}

impl Verb {
    /// Whether the record is accepted by it.
    pub(super) fn accepts(self) -> bool {
        matches!(self, Self::Accept | Self::AcceptAndEmit)
    }
}

impl Run {
    /// One record.
    pub(super) fn single(partition: u32, offset: u64) -> Self {
        Self {
            partition,
            first: offset,
            last: offset,
        }
    }

    /// How many records.
    pub(super) fn count(self) -> u64 {
        self.last.saturating_sub(self.first) + 1
    }

    /// Takes up the next neighbour; false if it is none.
    pub(super) fn extend(&mut self, partition: u32, offset: u64) -> bool {
        let next = partition == self.partition && Some(offset) == self.last.checked_add(1);
        if next {
            self.last = offset;
        }
        next
    }
}

/// What a parked delivery leaves as its checkpoint: grows with every delivery and continuation of the record.
pub(super) fn checkpoint(count: u16, continuation: u32) -> u32 {
    (u32::from(count) << 16) | (continuation.saturating_add(1) & 0xFFFF)
}
