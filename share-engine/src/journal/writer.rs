//! The journal as its one writer sees it: group commit, room, freeing, growing, closing. Owned by the journal thread.
//! After a failed write or sync nothing is known of the unsynced bytes, so that everything is refused from then on.

use std::io;
use std::sync::Arc;

use super::error::{CommitError, RefusedError};
use super::group::GroupBuilder;
use super::growth::{GrownFile, Growth};
use super::header::{FileHeader, GroupHeader, VERSION};
use super::options::JournalOptions;
use super::position::{Position, SECTOR};
use super::ring::{self, Extent, Ring};
use crate::hook::Phase;
use crate::storage::Storage;

/// When a commit returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the group is on disk.
    #[default]
    Sync,
    /// When the operating system has the group; power loss may take it.
    Os,
}

/// Who asks for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// New records: up to three quarters of the ring.
    Produce,
    /// Acquisitions, settlements, parking, deletions, the catalog: all of it.
    Always,
}

/// Where a group was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its first byte.
    pub start: Position,
    /// The position behind it, padding included.
    pub end: Position,
}

/// The open journal.
pub struct Journal {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) options: JournalOptions,
    pub(super) directory_id: u128,
    pub(super) ring: Ring,
    /// The slot that holds `tail`, or the newest one if `tail` is the start of a file not entered yet.
    pub(super) current: usize,
    pub(super) generation: u64,
    /// Where this generation began to write.
    pub(super) began: Position,
    pub(super) tail: Position,
    pub(super) synced: Position,
    pub(super) freed: Position,
    pub(super) growing: bool,
    pub(super) fence: Option<Fence>,
    #[cfg(feature = "plant")]
    pub(super) late: Option<GroupBuilder>,
}

pub(super) struct Fence {
    operation: &'static str,
    file: String,
    message: String,
    kind: io::ErrorKind,
}

impl Journal {
    /// Writes and syncs the group and empties it. A refused group is left as it is and nothing is written; a fenced
    /// journal stays fenced. An empty group costs nothing.
    pub fn commit(&mut self, group: &mut GroupBuilder, durability: Durability) -> Result<Committed, CommitError> {
        self.check_fence()?;
        if group.is_empty() {
            return Ok(Committed {
                start: self.tail,
                end: self.tail,
            });
        }
        let len = group.disk_len();
        self.check_room(len, END_RESERVE)?;
        #[cfg(feature = "plant")]
        if planted!(AckBeforeSync) {
            return self.commit_late(group);
        }
        self.write_group(group, len, durability)
    }

    /// Makes everything committed so far durable; for [`Durability::Os`]. Returns how far that is.
    pub fn sync(&mut self) -> Result<Position, CommitError> {
        self.check_fence()?;
        if self.synced < self.tail {
            if !planted!(NoSync)
                && let Err((index, error)) = self.ring.sync()
            {
                return Err(self.fence("sync", index, &error));
            }
            self.synced = self.tail;
        }
        Ok(self.synced)
    }

    /// The files that lie wholly below `position` may be overwritten: a durable snapshot covers them. Positions
    /// behind the tail or before an earlier call's change nothing.
    pub fn free_before(&mut self, position: Position) {
        self.freed = self.freed.max(self.ring.skip(position.min(self.tail), self.extent()));
    }

    /// Where the next group goes, unless it has to skip to the next file.
    pub const fn tail(&self) -> Position {
        self.tail
    }

    /// Everything below is on disk.
    pub const fn synced_through(&self) -> Position {
        self.synced
    }

    /// Bytes in all files.
    pub const fn capacity(&self) -> u64 {
        self.ring.capacity()
    }

    /// Bytes that can be written before something has to be freed, not necessarily in one piece.
    pub fn free(&self) -> u64 {
        let files = self.ring.free_slots(self.extent()) as u64;
        self.rest() + files * self.ring.geometry.room()
    }

    /// Bytes that hold what is not freed, or wait in files that are freed in part only.
    pub fn used(&self) -> u64 {
        self.capacity().saturating_sub(self.free())
    }

    /// The largest group, in bytes on disk, that `admission` lets in now; at most [`Journal::group_len_max`].
    pub fn room(&self, admission: Admission) -> u64 {
        let held_back = match admission {
            Admission::Produce => self.capacity() / 4,
            Admission::Always => END_RESERVE,
        };
        let free = self.free().saturating_sub(held_back);
        let here = self.rest().min(free);
        // A group that starts the next file loses what is left of this one.
        let next = self.free().saturating_sub(self.rest()).saturating_sub(held_back);
        let room = here.max(next.min(self.group_len_max()));
        room - room % SECTOR
    }

    /// The largest group that can ever be committed, in bytes on disk: one file without its header.
    pub const fn group_len_max(&self) -> u64 {
        self.ring.geometry.room()
    }

    /// Bytes of one ring file, as it was made.
    pub const fn file_size(&self) -> u64 {
        self.ring.geometry.file_size()
    }

    /// What became of the data directory, if it is another's now.
    pub fn lost(&self) -> Option<String> {
        self.storage.lost()
    }

    /// Whether a write or a sync has failed.
    pub const fn is_fenced(&self) -> bool {
        self.fence.is_some()
    }

    /// Whether more than half the ring is used, it may still grow and no growth is under way.
    pub fn needs_growth(&self) -> bool {
        self.can_grow() && self.used() > self.capacity() / 2
    }

    /// Whether the ring may still grow and no growth is under way.
    fn can_grow(&self) -> bool {
        !self.growing && (self.ring.slots.len() as u64) < self.options.files_max(self.ring.geometry)
    }

    /// Whether one more file is being made.
    pub const fn is_growing(&self) -> bool {
        self.growing
    }

    /// [`Journal::capacity`] once the ring has grown to all of its size.
    pub fn capacity_max(&self) -> u64 {
        let files = self.options.files_max(self.ring.geometry);
        self.capacity().max(files.saturating_mul(self.ring.geometry.room()))
    }

    /// The order to make one more file, to be run by another thread; `None` unless [`Journal::needs_growth`].
    /// Ends with [`Journal::adopt`] or [`Journal::abandon_growth`].
    pub fn begin_growth(&mut self) -> Option<Growth> {
        if self.needs_growth() { self.order_growth() } else { None }
    }

    /// As [`Journal::begin_growth`], however little is used: something did not fit. `None` if the ring has all its files
    /// or one is being made.
    pub fn order_growth(&mut self) -> Option<Growth> {
        self.can_grow().then(|| {
            self.growing = true;
            Growth {
                storage: Arc::clone(&self.storage),
                geometry: self.ring.geometry,
                directory_id: self.directory_id,
                slot: ring::slot_number(self.ring.slots.len()),
            }
        })
    }

    /// Takes a file made by [`Growth::run`] into the ring.
    ///
    /// # Panics
    /// If it is not the file that was ordered last.
    pub fn adopt(&mut self, file: GrownFile) {
        let GrownFile(slot) = file;
        assert_eq!(
            slot.header.slot,
            ring::slot_number(self.ring.slots.len()),
            "a ring file out of turn"
        );
        self.ring.slots.push(slot);
        self.growing = false;
    }

    /// The order failed; another may be given.
    pub const fn abandon_growth(&mut self) {
        self.growing = false;
    }

    /// Writes the end mark, syncs it and marks everything as synced. If the ring is full to the last sector the end
    /// mark is left out and the next open is not called clean.
    pub fn close(mut self) -> Result<Position, CommitError> {
        self.check_fence()?;
        #[cfg(feature = "plant")]
        self.write_late()?;
        if self.check_room(SECTOR, 0).is_ok() {
            let mut group = GroupBuilder::default();
            group.push_end();
            self.write_group(&mut group, SECTOR, Durability::Sync)?;
        }
        self.sync()?;
        if let Some(slot) = self.ring.slots.get(self.current) {
            let header = FileHeader {
                synced_through: self.synced,
                ..slot.header
            };
            if let Err(error) = self.ring.write_header(self.current, header) {
                return Err(self.fence("write", self.current, &error));
            }
            if let Err((index, error)) = self.ring.sync() {
                return Err(self.fence("sync", index, &error));
            }
        }
        Ok(self.tail)
    }

    pub(super) fn write_group(
        &mut self,
        group: &mut GroupBuilder,
        len: u64,
        durability: Durability,
    ) -> Result<Committed, CommitError> {
        if self.rest() < len {
            self.roll()?;
        }
        let header = GroupHeader {
            version: VERSION,
            payload_len: 0,
            directory: u64::try_from(self.directory_id & u128::from(u64::MAX)).unwrap_or(0),
            position: self.tail,
            generation: self.generation,
            synced_through: self.synced,
            entries: 0,
        };
        let bytes = group.seal(&header);
        self.options.hook.reach(Phase::BeforeWrite);
        let offset = self.ring.geometry.offset(self.tail);
        if let Some(slot) = self.ring.slots.get_mut(self.current) {
            slot.dirty = true;
            let written = match durability {
                Durability::Sync => slot.file.write_through_at(bytes, offset),
                Durability::Os => slot.file.write_all_at(bytes, offset),
            };
            if let Err(error) = written {
                return Err(self.fence("write", self.current, &error));
            }
        }
        let start = self.tail;
        self.tail = start.plus(len);
        self.options.hook.reach(Phase::BeforeSync);
        if durability == Durability::Sync {
            self.sync()?;
            self.options.hook.reach(Phase::AfterSync);
        }
        group.clear();
        Ok(Committed { start, end: self.tail })
    }

    /// Goes on at the start of the next file. Only called when there is a free slot for it.
    fn roll(&mut self) -> Result<(), CommitError> {
        let geometry = self.ring.geometry;
        let mut sequence = geometry.sequence(self.tail);
        if geometry.start(sequence) != self.tail {
            sequence += 1;
        }
        let start = geometry.start(sequence);
        let Some(index) = self.ring.claim(sequence, self.extent()) else {
            return Err(self.full(geometry.room()).into());
        };
        let header = self.header(index, sequence, self.tail);
        if let Some(left) = self.ring.slots.get(self.current) {
            left.file.pause();
        }
        self.current = index;
        if let Err(error) = self.ring.write_header(index, header) {
            return Err(self.fence("write", index, &error));
        }
        self.tail = start;
        self.freed = self.ring.skip(self.freed, self.extent());
        Ok(())
    }

    pub(super) const fn extent(&self) -> Extent {
        Extent {
            freed: self.freed,
            tail: self.tail,
            current: self.current,
        }
    }

    pub(super) fn header(&self, index: usize, sequence: u64, previous_end: Position) -> FileHeader {
        FileHeader {
            directory_id: self.directory_id,
            sequence: Some(sequence),
            generation: self.generation,
            valid_from: self.began,
            synced_through: self.synced,
            previous_end,
            file_size: self.ring.geometry.file_size(),
            slot: ring::slot_number(index),
            ring_files: ring::slot_number(self.ring.slots.len()),
        }
    }

    /// Bytes left in the current file.
    pub(super) fn rest(&self) -> u64 {
        let sequence = self.ring.geometry.sequence(self.tail);
        match self.ring.slots.get(self.current) {
            Some(slot) if slot.header.sequence == Some(sequence) => self.ring.geometry.rest(self.tail),
            _ => 0,
        }
    }

    pub(super) fn check_room(&self, len: u64, reserve: u64) -> Result<(), RefusedError> {
        if len > self.group_len_max() {
            return Err(RefusedError::TooLarge {
                len,
                limit: self.group_len_max(),
            });
        }
        let free = self.free();
        let in_reach = if self.rest() < len { free - self.rest() } else { free };
        if in_reach < len + reserve {
            return Err(self.full(len));
        }
        Ok(())
    }

    fn full(&self, needed: u64) -> RefusedError {
        RefusedError::Full {
            needed,
            free: self.free(),
            capacity: self.capacity(),
        }
    }

    fn check_fence(&self) -> Result<(), CommitError> {
        self.fence.as_ref().map_or(Ok(()), |fence| {
            Err(CommitError::Fenced {
                operation: fence.operation,
                file: fence.file.clone(),
                message: fence.message.clone(),
                kind: fence.kind,
            })
        })
    }

    fn fence(&mut self, operation: &'static str, index: usize, error: &io::Error) -> CommitError {
        let fence = Fence {
            operation,
            file: self.ring.path(index),
            message: error.to_string(),
            kind: error.kind(),
        };
        let error = CommitError::Fenced {
            operation,
            file: fence.file.clone(),
            message: fence.message.clone(),
            kind: fence.kind,
        };
        self.fence.get_or_insert(fence);
        error
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("tail", &self.tail)
            .field("synced", &self.synced)
            .field("freed", &self.freed)
            .field("generation", &self.generation)
            .field("files", &self.ring.slots.len())
            .field("fenced", &self.is_fenced())
            .finish_non_exhaustive()
    }
}

/// Kept back so that a full journal can still be closed.
pub(super) const END_RESERVE: u64 = SECTOR;
