//! What brokers keep of the records of a share group, in the topic `__share_group_state`: no request tells of it. Sans-IO: a record
//! of that topic is read by [`Key::read`] and [`Entry::read`], a share partition's state is put together by [`ShareState::apply`], what is older by
//! [`History::apply`], and [`place`] says in which partition of the topic it lies. `Admin::states` and `Admin::histories` do the reading.

mod codec;
mod error;
mod history;
mod merge;
mod place;

pub use codec::{Entry, Key, Snapshot, Update};
pub use error::StateError;
pub use history::History;
pub use place::place;

/// The topic in which states are kept.
pub const STATE_TOPIC: &str = "__share_group_state";

/// What is kept of a share partition: one group in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareState {
    /// Counts how often the state was begun anew.
    pub state_epoch: i32,
    /// The leader's epoch when it was written.
    pub leader_epoch: i32,
    /// Everything below is finished, its outcome no longer known. `None`: nothing was finished yet.
    pub start: Option<u64>,
    /// Offsets from the start on that are finished; `None` if the broker does not count them.
    pub finished: Option<u32>,
    /// When the state was begun, in milliseconds since 1970.
    pub created_ms: i64,
    /// What is known of offsets, ascending, disjoint and none below the start. Of others it is not known whether they were ever
    /// delivered; those that a member holds are kept as what they were before.
    pub batches: Vec<StateBatch>,
}

/// Consecutive offsets that are in the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBatch {
    /// The first one.
    pub first: u64,
    /// The last one, inclusive.
    pub last: u64,
    /// The state.
    pub state: DeliveryState,
    /// How often they were delivered.
    pub deliveries: u16,
}

/// The state of a record, as far as it is kept: that a member holds it never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    /// To be delivered again.
    Available = 0,
    /// Done.
    Acknowledged = 2,
    /// Given up; the broker is about to write a dead letter (Kafka 4.4).
    Archiving = 3,
    /// Given up: refused, delivered too often, or no record at all.
    Archived = 4,
}

impl DeliveryState {
    const ALL: [Self; 4] = [Self::Available, Self::Acknowledged, Self::Archiving, Self::Archived];

    /// Kafka's number of it.
    pub const fn number(self) -> i8 {
        self as i8
    }

    /// What this number means.
    pub fn of(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Whether the record is delivered no more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Available)
    }
}

impl ShareState {
    /// What is known of an offset. `None`: held by a member, never delivered, or below the start.
    pub fn at(&self, offset: u64) -> Option<&StateBatch> {
        let index = self.batches.partition_point(|batch| batch.last < offset);
        self.batches.get(index).filter(|batch| batch.first <= offset)
    }
}

#[cfg(test)]
mod tests;
