//! What sequences are made of, and what either side says to them. Plain values.

use std::fmt;

use share_engine::share::{AckType, AcquireMode};

/// One step of a sequence. Members are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A record batch for each size, in records.
    Produce { sizes: Vec<u64> },
    /// Records for a member.
    Acquire {
        member: usize,
        max: u32,
        batch_size: u32,
        mode: AcquireMode,
    },
    /// One request of a member, which may be nonsense.
    Acknowledge { member: usize, batches: Vec<Batch> },
    /// The member opens its session anew; what it holds stays its own.
    Reopen { member: usize, other_connection: bool },
    /// The connection of a member is gone.
    Kill { member: usize },
    /// A member closes its session, with its last acknowledgements.
    Leave { member: usize, batches: Vec<Batch> },
    /// Time passes, and no lock ends.
    Age,
    /// Time passes until the oldest locks have ended.
    Expire,
}

/// Offsets that are acknowledged together: one type for all, or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) types: Vec<AckType>,
}

/// Offsets that were acquired together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// This delivery included.
    pub(crate) count: u16,
}

/// As Kafka numbers it.
pub(crate) const fn number(kind: AckType) -> i8 {
    match kind {
        AckType::Gap => 0,
        AckType::Accept => 1,
        AckType::Release => 2,
        AckType::Reject => 3,
        AckType::Renew => 4,
    }
}

impl Operation {
    /// For counts.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Produce { .. } => "produce",
            Self::Acquire {
                mode: AcquireMode::RecordLimit,
                ..
            } => "acquire, exact",
            Self::Acquire { .. } => "acquire, whole batches",
            Self::Acknowledge { .. } => "acknowledge",
            Self::Reopen { .. } => "reopen",
            Self::Kill { .. } => "kill",
            Self::Leave { .. } => "leave",
            Self::Age => "age",
            Self::Expire => "expire",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Produce { sizes } => write!(f, "produce {sizes:?}"),
            Self::Acquire {
                member,
                max,
                batch_size,
                mode,
            } => write!(f, "member {member} acquires {max} ({mode:?}, batch size {batch_size})"),
            Self::Acknowledge { member, batches } => write!(f, "member {member} acknowledges {}", List(batches)),
            Self::Reopen {
                member,
                other_connection,
            } => {
                let over = if *other_connection {
                    "another connection"
                } else {
                    "its connection"
                };
                write!(f, "member {member} opens its session anew over {over}")
            }
            Self::Kill { member } => write!(f, "the connection of member {member} is gone"),
            Self::Leave { member, batches } => {
                write!(f, "member {member} closes its session, acknowledges {}", List(batches))
            }
            Self::Age => f.write_str("time passes"),
            Self::Expire => f.write_str("locks end"),
        }
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: String = self.types.iter().map(|one| letter(*one)).collect();
        write!(f, "{}-{} {letters}", self.first, self.last)
    }
}

const fn letter(kind: AckType) -> char {
    match kind {
        AckType::Gap => 'g',
        AckType::Accept => 'a',
        AckType::Release => 'r',
        AckType::Reject => 'x',
        AckType::Renew => 'n',
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} for the {}. time", self.first, self.last, self.count)
    }
}

/// Between commas.
pub(crate) struct List<'a, T>(pub(crate) &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, one) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{one}")?;
        }
        Ok(())
    }
}
