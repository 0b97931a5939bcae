//! How large the journal is. Read at creation (`file_size`, `initial_files`) and at every open (`journal_size`).

use super::error::JournalError;
use super::position::{FILE_SIZE_MAX, FILE_SIZE_MIN, Geometry};
use super::writer::Durability;
use crate::hook::Hook;

/// Sizes of the journal.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Bytes of one ring file, a multiple of 512; fixed at creation. The largest group is 512 bytes smaller.
    pub file_size: u64,
    /// Files made at creation, at least 2.
    pub initial_files: u32,
    /// Bytes that all files may take together; at least `initial_files` files.
    pub journal_size: u64,
    /// What the groups were, and will be, committed with.
    pub durability: Durability,
    /// Called at every phase of a commit; for tests.
    pub hook: Hook,
}

impl Default for JournalOptions {
    /// Two files of 8 MiB that may grow to 512 MiB.
    fn default() -> Self {
        Self {
            file_size: 8 << 20,
            initial_files: 2,
            journal_size: 512 << 20,
            durability: Durability::Sync,
            hook: Hook::default(),
        }
    }
}

impl JournalOptions {
    pub(super) fn check(&self) -> Result<Geometry, JournalError> {
        let wrong = |option, value, rule| Err(JournalError::Options { option, value, rule });
        let Some(geometry) = Geometry::new(self.file_size) else {
            return wrong("file_size", self.file_size, SIZE_RULE);
        };
        if !(2..=FILES_MAX).contains(&self.initial_files) {
            return wrong("initial_files", u64::from(self.initial_files), "not between 2 and 9999");
        }
        if self.journal_size < self.file_size.saturating_mul(u64::from(self.initial_files)) {
            return wrong("journal_size", self.journal_size, "less than the first files take");
        }
        if self.journal_size / self.file_size > u64::from(FILES_MAX) {
            return wrong("journal_size", self.journal_size, "more than 9999 files");
        }
        Ok(geometry)
    }

    /// The number of files that a ring may grow to: of files of that size, which is not always the one that is wished now.
    pub(super) fn files_max(&self, geometry: Geometry) -> u64 {
        (self.journal_size / geometry.file_size()).min(u64::from(FILES_MAX))
    }
}

const SIZE_RULE: &str = "not a multiple of 512 between 2 KiB and 1 GiB";
const _: () = assert!(
    FILE_SIZE_MIN == 2 << 10 && FILE_SIZE_MAX == 1 << 30,
    "SIZE_RULE names both"
);

/// File names have four digits.
const FILES_MAX: u32 = 9999;
