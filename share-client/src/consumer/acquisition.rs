//! Records that were acquired, and what can be done with them.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use share_wire::message::{AcknowledgeType, Acquired};

use crate::session::{Lease, TopicPartition};

/// Offsets of one partition that were acquired together, with the record batches that hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquisition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition.
    pub place: TopicPartition,
    /// Record batches. They may hold records that were not acquired, which are to be passed over.
    pub records: Bytes,
    /// What was acquired: ascending, disjoint, at least one. An offset in it without a record in the batches (compacted away, or a
    /// transaction's marker) is to be settled with [`Verb::Gap`].
    pub acquired: Vec<Acquired>,
    /// The leases end no earlier than this.
    pub deadline: Instant,
    /// Its number among those of the consumer.
    pub number: u64,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Done.
    Accept,
    /// Comes again, to this member or to another one, with one more delivery counted.
    Release,
    /// Never comes again.
    Reject,
    /// There is no record at this offset.
    Gap,
}

/// What came of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewOutcome {
    /// The lease ends no earlier than this.
    Until(Instant),
    /// The record is not this member's any more.
    Lost,
    /// The broker has refused it, or the lease is being settled or renewed already; it stands as it was.
    Unavailable,
}

impl Acquisition {
    /// The leases of all acquired offsets, in their order.
    pub fn leases(&self) -> impl Iterator<Item = Lease> + '_ {
        self.acquired.iter().flat_map(|run| {
            (run.first_offset..=run.last_offset).map(|offset| Lease {
                place: self.place,
                offset,
                delivery_count: run.delivery_count,
                acquisition: self.number,
            })
        })
    }

    /// How many offsets were acquired.
    pub fn offsets(&self) -> u64 {
        self.acquired.iter().map(length).sum()
    }

    /// Keeps the first so many offsets and returns the others; the record batches are shared. `None` if there are no others.
    pub(super) fn split_off(&mut self, offsets: u64) -> Option<Self> {
        let mut left = offsets;
        let mut rest = Vec::new();
        self.acquired.retain_mut(|run| {
            let here = length(run);
            let kept = here.min(left);
            left -= kept;
            if kept < here {
                let first_offset = run.first_offset + i64::try_from(kept).unwrap_or(i64::MAX);
                rest.push(Acquired { first_offset, ..*run });
                run.last_offset = first_offset - 1;
            }
            kept > 0
        });
        (!rest.is_empty()).then(|| Self {
            acquired: rest,
            topic: Arc::clone(&self.topic),
            records: self.records.clone(),
            ..*self
        })
    }
}

impl Acquisition {
    /// Takes leases out, which are in order.
    pub(super) fn withdraw(&mut self, gone: &[Lease]) {
        let mut kept: Vec<Acquired> = Vec::new();
        for lease in self.leases().filter(|lease| gone.binary_search(lease).is_err()) {
            let same =
                |run: &&mut Acquired| run.last_offset + 1 == lease.offset && run.delivery_count == lease.delivery_count;
            match kept.last_mut().filter(same) {
                Some(run) => run.last_offset = lease.offset,
                None => kept.push(Acquired {
                    first_offset: lease.offset,
                    last_offset: lease.offset,
                    delivery_count: lease.delivery_count,
                }),
            }
        }
        self.acquired = kept;
    }
}

impl From<Verb> for AcknowledgeType {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Accept => Self::Accept,
            Verb::Release => Self::Release,
            Verb::Reject => Self::Reject,
            Verb::Gap => Self::Gap,
        }
    }
}

/// Of a run as the session lets it through: ascending, and not longer than a million.
fn length(run: &Acquired) -> u64 {
    u64::try_from(run.last_offset - run.first_offset + 1).unwrap_or(0)
}
