//! The seam to the disk: every read, write and sync of the engine passes these two traits.
//! `file` is the only module that touches the file system; `memory` (feature `testing`) loses, reorders and
//! tears what was not synced. Paths are relative to the data directory.

mod file;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod through;

use std::io;

pub use file::{FileStorage, FileStorageError};
#[cfg(any(test, feature = "testing"))]
pub use memory::{CallKind, CrashPlan, Fault, FaultKind, MemoryStorage};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; never written.
    Read,
    /// It must exist.
    ReadWrite,
    /// It must not exist; its directory entry is durable after [`Storage::sync_dir`].
    CreateNew,
}

#[expect(
    clippy::len_without_is_empty,
    reason = "the length of a file may fail to be read; nobody asks whether it is empty"
)]
/// One open file. Calls on one file may come from several threads.
pub trait File: Send + Sync {
    /// Fills `buf` from `position`; `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()>;
    /// Writes all of `data` at `position`; the file grows if need be. Not durable before a sync.
    /// Short writes and `EINTR` are retried inside.
    fn write_all_at(&self, data: &[u8], position: u64) -> io::Result<()>;
    /// The same for what a sync follows and nobody reads soon: past the system's cache as far as that is possible. It takes
    /// as long as the disk needs, and is no more durable before a sync.
    fn write_through_at(&self, data: &[u8], position: u64) -> io::Result<()> {
        self.write_all_at(data, position)
    }
    /// Nothing is written through for some time: gives back what is kept for that alone.
    fn pause(&self) {}
    /// Makes written data and the length durable (`fdatasync`). After an error nothing is known about unsynced data.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros).
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
}

/// The data directory.
pub trait Storage: Send + Sync {
    /// Opens one file.
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Box<dyn File>>;
    /// Names (not paths) in a directory, sorted; `NotFound` if it does not exist.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;
    /// Creates a directory and its parents; no error if it exists.
    fn create_dir(&self, directory: &str) -> io::Result<()>;
    /// Replaces `to` if it exists. Durable after the directory is synced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, directory: &str) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory durable. The empty path is the data directory itself.
    fn sync_dir(&self, directory: &str) -> io::Result<()>;
    /// Bytes that an unprivileged writer may still use.
    fn free_space(&self) -> io::Result<u64>;
    /// How many files this process may have open at once; `None` for no limit.
    fn open_files_max(&self) -> Option<u64> {
        None
    }
    /// The directory as a person would name it, for messages.
    fn describe(&self) -> String;
    /// What became of the directory, in words, if it is not the one any more that was taken.
    fn lost(&self) -> Option<String> {
        None
    }
}
