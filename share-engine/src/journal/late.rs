//! The planted bug "acknowledge before sync": a group is answered for as soon as it has its place, and is written and synced
//! when the next one comes. Compiled with feature `plant` only; `Journal::commit` calls it.

use super::error::CommitError;
use super::group::GroupBuilder;
use super::writer::{Committed, Durability, END_RESERVE, Journal};

impl Journal {
    pub(super) fn commit_late(&mut self, group: &mut GroupBuilder) -> Result<Committed, CommitError> {
        self.write_late()?;
        let len = group.disk_len();
        self.check_room(len, END_RESERVE)?;
        let (geometry, tail) = (self.ring.geometry, self.tail);
        let sequence = geometry.sequence(tail);
        let start = if self.rest() >= len || geometry.start(sequence) == tail {
            tail
        } else {
            geometry.start(sequence + 1)
        };
        self.late = Some(std::mem::take(group));
        Ok(Committed {
            start,
            end: start.plus(len),
        })
    }

    /// Writes and syncs the group that was answered for.
    pub(super) fn write_late(&mut self) -> Result<(), CommitError> {
        let Some(mut group) = self.late.take() else {
            return Ok(());
        };
        let len = group.disk_len();
        self.write_group(&mut group, len, Durability::Sync).map(|_| ())
    }
}
