//! The leases of a session and when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Lease, TopicPartition};

/// What is held of one broker.
#[derive(Debug, Default)]
pub(super) struct Held {
    records: BTreeMap<(TopicPartition, i64), Record>,
    /// The same by time.
    ends: BTreeSet<(Instant, TopicPartition, i64)>,
    settling: usize,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    lease: Lease,
    deadline: Instant,
    is_settling: bool,
}

/// Whether a lease can be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is being settled from now on.
    Now,
    /// It was being settled or renewed before.
    Before,
    /// This delivery of the record is not held.
    No,
}

impl Held {
    /// Leases that nobody has settled.
    pub(super) fn len(&self) -> usize {
        self.records.len() - self.settling
    }

    /// The same with those that are being settled.
    pub(super) fn len_in_all(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// A record was acquired, of which no earlier delivery is held.
    pub(super) fn acquire(&mut self, lease: Lease, deadline: Instant) {
        let record = Record {
            lease,
            deadline,
            is_settling: false,
        };
        self.records.insert((lease.place, lease.offset), record);
        self.ends.insert((deadline, lease.place, lease.offset));
    }

    /// Somebody settles a record.
    pub(super) fn settle(&mut self, lease: Lease) -> Taken {
        match self.records.get_mut(&(lease.place, lease.offset)) {
            Some(record) if record.lease != lease => Taken::No,
            Some(record) if record.is_settling => Taken::Before,
            Some(record) => {
                record.is_settling = true;
                self.settling += 1;
                Taken::Now
            }
            None => Taken::No,
        }
    }

    /// A renewal was applied. `is_settling`: something else is to be sent for the same lease.
    pub(super) fn renew(&mut self, place: TopicPartition, offset: i64, deadline: Instant, is_settling: bool) {
        if let Some(record) = self.records.get_mut(&(place, offset)) {
            self.ends.remove(&(record.deadline, place, offset));
            self.ends.insert((deadline, place, offset));
            record.deadline = deadline;
            self.settling -= usize::from(record.is_settling);
            self.settling += usize::from(is_settling);
            record.is_settling = is_settling;
        }
    }

    /// A settlement came to nothing: the lease stands as it was.
    pub(super) fn keep(&mut self, place: TopicPartition, offset: i64) {
        if let Some(record) = self.records.get_mut(&(place, offset)) {
            self.settling -= usize::from(record.is_settling);
            record.is_settling = false;
        }
    }

    /// A lease has ended, in whatever way. Returns it, and whether it was being settled.
    pub(super) fn remove(&mut self, place: TopicPartition, offset: i64) -> Option<(Lease, bool)> {
        let record = self.records.remove(&(place, offset))?;
        self.ends.remove(&(record.deadline, place, offset));
        self.settling -= usize::from(record.is_settling);
        Some((record.lease, record.is_settling))
    }

    /// As [`Held::remove`], if it is to be.
    pub(super) fn remove_if(
        &mut self,
        place: TopicPartition,
        offset: i64,
        wanted: impl FnOnce(bool) -> bool,
    ) -> Option<Lease> {
        let record = self.records.get(&(place, offset))?;
        if !wanted(record.is_settling) {
            return None;
        }
        self.remove(place, offset).map(|(lease, _)| lease)
    }

    /// Leases whose time is over, oldest first.
    pub(super) fn over(&self, now: Instant) -> Vec<(TopicPartition, i64)> {
        let over = self.ends.iter().take_while(|(deadline, ..)| *deadline <= now);
        over.map(|(_, place, offset)| (*place, *offset)).collect()
    }

    /// When the next lease ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(deadline, ..)| *deadline)
    }

    /// All leases of a partition, or of all partitions.
    pub(super) fn places(&self, of: Option<TopicPartition>) -> Vec<(TopicPartition, i64)> {
        let keys = self.records.keys();
        keys.filter(|(place, _)| of.is_none_or(|of| of == *place))
            .copied()
            .collect()
    }
}
