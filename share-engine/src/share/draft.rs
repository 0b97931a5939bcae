//! Collects what a command decides: changes and archived records, neighbours merged into runs.

use bytes::Bytes;

use super::types::{Archived, Settled};
use super::{ArchiveCause, Change};
use crate::ids::{DeliveryCount, Offset, OffsetRange};

/// A result in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) settled: Settled,
    /// Records among them that are archived and wanted by somebody.
    archived: u32,
}

impl Draft {
    pub(super) fn acknowledge(&mut self, offset: Offset) {
        if let Some(Change::Acknowledge { range }) = self.settled.changes.last_mut()
            && let Some(longer) = follow(*range, offset)
        {
            *range = longer;
        } else {
            self.push(Change::Acknowledge {
                range: OffsetRange::single(offset),
            });
        }
    }

    pub(super) fn release(&mut self, offset: Offset, note: Option<Bytes>) {
        if let Some(Change::Release { range, note: None }) = self.settled.changes.last_mut()
            && note.is_none()
            && let Some(longer) = follow(*range, offset)
        {
            *range = longer;
        } else {
            self.push(Change::Release {
                range: OffsetRange::single(offset),
                note,
            });
        }
    }

    pub(super) fn void(&mut self, offset: Offset) {
        if let Some(Change::Void { range }) = self.settled.changes.last_mut()
            && let Some(longer) = follow(*range, offset)
        {
            *range = longer;
        } else {
            self.push(Change::Void {
                range: OffsetRange::single(offset),
            });
        }
    }

    /// Archives a record of which nobody is told.
    pub(super) fn bury(&mut self, offset: Offset, cause: ArchiveCause) {
        if let Some(Change::Archive { range, cause: same }) = self.settled.changes.last_mut()
            && *same == cause
            && let Some(longer) = follow(*range, offset)
        {
            *range = longer;
        } else {
            self.push(Change::Archive {
                range: OffsetRange::single(offset),
                cause,
            });
        }
    }

    pub(super) fn archive(&mut self, offset: Offset, cause: ArchiveCause, count: DeliveryCount) {
        self.bury(offset, cause);
        note_archived(&mut self.settled.archived, offset, cause, count);
        self.archived += 1;
    }

    /// Whether no more than what is here may be archived, or changed, at once.
    pub(super) const fn is_full(&self, limit: u32) -> bool {
        self.archived >= limit || self.settled.changes.len() >= CHANGES_AT_ONCE
    }

    pub(super) fn push(&mut self, change: Change) {
        self.settled.changes.push(change);
    }
}

/// Changes that one call begins no more after: with those of the records that are looked at together they fit into one journal entry,
/// however small the journal's files are, and nobody waits for more than some milliseconds until they are decided and applied.
pub(super) const CHANGES_AT_ONCE: usize = 12_288;

/// Adds one record to a list of archived runs.
pub(super) fn note_archived(list: &mut Vec<Archived>, offset: Offset, cause: ArchiveCause, count: DeliveryCount) {
    if let Some(last) = list.last_mut()
        && last.cause == cause
        && last.delivery_count == count
        && let Some(longer) = follow(last.range, offset)
    {
        last.range = longer;
    } else {
        list.push(Archived {
            range: OffsetRange::single(offset),
            cause,
            delivery_count: count,
        });
    }
}

/// The run with `offset` at its end, if it follows.
pub(super) fn follow(range: OffsetRange, offset: Offset) -> Option<OffsetRange> {
    if range.last().next() == offset {
        OffsetRange::new(range.first(), offset)
    } else {
        None
    }
}
