//! A new ring file is zeroed by another thread (the drain's), so that the journal thread never waits for it:
//! `Journal::begin_growth` hands out a [`Growth`], whoever has time runs it, `Journal::adopt` takes the result.

use std::io;
use std::sync::Arc;

use super::error::JournalError;
use super::position::Geometry;
use super::ring::{self, Slot};
use crate::storage::Storage;

/// The order to make one more ring file.
pub struct Growth {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) geometry: Geometry,
    pub(super) directory_id: u128,
    pub(super) slot: u32,
}

/// A ring file that is ready and durable and that the journal does not use yet.
pub struct GrownFile(pub(super) Slot);

impl Growth {
    /// Writes and syncs the file; takes as long as the disk needs for it. After an error the journal is as good as
    /// before; hand the order back with `Journal::abandon_growth`.
    pub fn run(self) -> Result<GrownFile, JournalError> {
        ring::make_file(&*self.storage, self.geometry, self.directory_id, self.slot).map(GrownFile)
    }

    /// It is not made, since the disk has no room for it.
    pub fn refuse(&self, reason: &'static str) -> JournalError {
        let source = io::Error::new(io::ErrorKind::StorageFull, reason);
        JournalError::io("make", &ring::slot_path(self.slot))(source)
    }

    /// Bytes that it will take on disk.
    pub const fn len(&self) -> u64 {
        self.geometry.file_size()
    }

    /// Never: every ring file has the size of the others.
    pub const fn is_empty(&self) -> bool {
        false
    }
}

impl std::fmt::Debug for Growth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Growth")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for GrownFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GrownFile").field(&self.0.header.slot).finish()
    }
}
