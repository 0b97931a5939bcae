//! From an entry to its bytes in a group: what it takes, who it competes with for room, and how it is written.
//! Called by the sequencer alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::gauge::TopicGauge;
use super::message::{Admission, Append, Committed, Entry, Operation, Registration};
use crate::ids::{Offset, PartitionKey};
use crate::journal::{self, EntryWriter};
use crate::record::StoredBatch;
use crate::share::Change;
use crate::time::WallTime;

/// What the sequencer knows of a partition.
#[derive(Debug)]
pub(super) struct PartitionEnd {
    pub(super) next: Offset,
    pub(super) gauge: Arc<TopicGauge>,
}

/// All partitions that may be appended to.
pub(super) type Ends = BTreeMap<PartitionKey, PartitionEnd>;

/// Takes up new partitions.
pub(super) fn register(ends: &mut Ends, list: Vec<Registration>) {
    for Registration { partition, end, gauge } in list {
        ends.insert(partition, PartitionEnd { next: end, gauge });
    }
}

/// Writes one operation, with its offset if it is an append, and notes what the shard has to be told of it.
pub(super) fn write(
    operation: Operation,
    writer: &mut EntryWriter<'_>,
    ends: &mut Ends,
    now: WallTime,
    committed: &mut Committed,
) {
    match operation {
        Operation::Append(append) => {
            let Some(end) = ends.get_mut(&append.partition) else {
                return;
            };
            let base = end.next;
            end.next = base.plus(u64::from(append.records));
            end.gauge.add(append.batch.len() as u64);
            writer.append(append.partition, base, &append.batch);
            // Encoded or validated before it came here.
            if let Ok(batch) = StoredBatch::new(base, append.batch) {
                committed.appended.push((append.partition, batch.appended(now)));
            }
        }
        Operation::Share { share, changes } => writer.share(share, &changes),
        Operation::Catalog {
            change,
            bytes,
            register: new,
            forget,
        } => {
            register(ends, new);
            for partition in forget {
                ends.remove(&partition);
            }
            writer.catalog(&bytes);
            committed.catalog.push(change);
        }
    }
}

/// Who an entry competes with for room.
pub(super) fn admission(entry: &Entry) -> journal::Admission {
    let bounded = |operation: &Operation| match operation {
        Operation::Append(Append { admission, .. }) => *admission == Admission::Bounded,
        Operation::Share { .. } | Operation::Catalog { .. } => false,
    };
    if entry.operations.iter().any(bounded) {
        journal::Admission::Produce
    } else {
        journal::Admission::Always
    }
}

/// Whether it gives a share partition another start.
pub(super) fn resets(entry: &Entry) -> bool {
    entry.operations.iter().any(|operation| match operation {
        Operation::Share { changes, .. } => changes.iter().any(|change| matches!(change, Change::Reset { .. })),
        Operation::Append(_) | Operation::Catalog { .. } => false,
    })
}

/// Bytes of an entry.
pub(super) fn entry_len(entry: &Entry) -> usize {
    let batches = entry.operations.iter().filter_map(|operation| match operation {
        Operation::Append(append) => Some(append.batch.as_ref()),
        _ => None,
    });
    let changes = entry.operations.iter().filter_map(|operation| match operation {
        Operation::Share { changes, .. } => Some(changes.as_slice()),
        _ => None,
    });
    let catalog = entry.operations.iter().map(|operation| match operation {
        Operation::Catalog { bytes, .. } => bytes.len() + journal::OPERATION_OVERHEAD,
        _ => 0,
    });
    journal::entry_len(batches, changes) + catalog.sum::<usize>()
}
