//! Newtypes for everything that is counted or named, so that an offset is never taken for a count.
//! Pure values; used by every module.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Position of a record in a partition log; 0 is the first. Kafka's range: 0 to 2^63 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u64);

impl Offset {
    /// The first offset of every log.
    pub const ZERO: Self = Self(0);
    /// The largest offset that fits Kafka's signed 64 bits.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// `None` above [`Offset::MAX`].
    pub const fn new(value: u64) -> Option<Self> {
        if value <= i64::MAX as u64 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// For values that are known to be small: saturates at [`Offset::MAX`].
    pub const fn saturating(value: u64) -> Self {
        if value <= i64::MAX as u64 {
            Self(value)
        } else {
            Self::MAX
        }
    }

    /// The offset as a number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The offset `count` records later, saturating at [`Offset::MAX`].
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self::saturating(self.0.saturating_add(count))
    }

    /// The following offset.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The preceding offset; `None` at zero.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// How many offsets lie between `earlier` and this one; 0 if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A non-empty run of offsets, first and last included, as Kafka names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetRange {
    first: Offset,
    last: Offset,
}

impl OffsetRange {
    /// Every offset there can be.
    pub const ALL: Self = Self {
        first: Offset::ZERO,
        last: Offset::MAX,
    };

    /// `None` if `last` lies before `first`.
    pub fn new(first: Offset, last: Offset) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The run that holds one offset.
    pub const fn single(offset: Offset) -> Self {
        Self {
            first: offset,
            last: offset,
        }
    }

    /// First offset.
    pub const fn first(self) -> Offset {
        self.first
    }

    /// Last offset, included.
    pub const fn last(self) -> Offset {
        self.last
    }

    /// Number of offsets, at least 1.
    pub const fn count(self) -> u64 {
        self.last.since(self.first) + 1
    }

    /// Whether `offset` lies inside.
    pub fn contains(self, offset: Offset) -> bool {
        self.first <= offset && offset <= self.last
    }

    /// The common part of two runs.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number itself.
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The following number, saturating.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A topic partition, numbered by the catalog over the life of the data directory; never reused.
    PartitionKey(u32)
}
number! {
    /// A share partition (group, topic partition), numbered by the catalog; never reused.
    ShareKey(u32)
}
number! {
    /// A group, numbered by the catalog; never reused.
    GroupKey(u32)
}
number! {
    /// Raised by each reset of a share partition; outcomes of an earlier epoch are stale.
    StateEpoch(u32)
}
number! {
    /// How often a record has been delivered: 1 on the first delivery, 0 before it.
    DeliveryCount(u16)
}
number! {
    /// How often a delivery was continued by `renew` with parking; 0 before the first.
    Continuation(u32)
}
number! {
    /// A group member as the share partition sees it: an index given by the group, never reused in one run.
    MemberIndex(u32)
}

/// A topic's identity, kept when a topic of the same name is created anew. Kafka's 16-byte id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u128);

/// Names one delivery of one record: what `settle` and `renew` carry and the share partition compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseKey {
    /// The share partition.
    pub share: ShareKey,
    /// The share partition's epoch when the record was acquired.
    pub epoch: StateEpoch,
    /// The record.
    pub offset: Offset,
    /// Its delivery count, this delivery included.
    pub delivery_count: DeliveryCount,
    /// Which continuation of that delivery.
    pub continuation: Continuation,
}
