//! The data directory of a crash test: a new one, or an empty one of the user's. Nobody's data is ever in it, so that it may be
//! removed.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::output::Failure;

/// Where the engine of the test lives.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The directory was there before, and stays.
    found: bool,
}

impl Place {
    /// The user's directory, which must be new or empty, or a new one for temporary files.
    pub(super) fn prepare(wished: Option<PathBuf>, seed: u64) -> Result<Self, Failure> {
        let named = wished.is_some();
        let path = wished.unwrap_or_else(|| {
            let name = format!("sharemill-crash-test-{}-{seed}", std::process::id());
            std::env::temp_dir().join(name)
        });
        let cannot = |error| Failure::undecided(format!("cannot use {} for the test: {error}", path.display()));
        let path = std::path::absolute(&path).map_err(cannot)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(Self { path, found: false }),
            Err(error) if named && error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(error)),
        }
        let mut entries = fs::read_dir(&path).map_err(cannot)?;
        if entries.next().is_some() {
            let message = format!("{} is not empty", path.display());
            return Err(
                Failure::usage(message).hint("name a new or an empty folder: what is in it is killed and removed")
            );
        }
        Ok(Self { path, found: true })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is anything at its path still.
    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Whether it is in memory, so that it says nothing of a disk.
    #[cfg(target_os = "linux")]
    pub(super) fn is_memory(&self) -> bool {
        // TMPFS_MAGIC of the system.
        const TMPFS: rustix::fs::FsWord = 0x0102_1994;
        rustix::fs::statfs(&self.path).is_ok_and(|found| found.f_type == TMPFS)
    }

    /// Not known elsewhere.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "there is something to know on Linux only")]
    pub(super) fn is_memory(&self) -> bool {
        false
    }

    /// Removes everything that the test has made.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        let removed = if self.found {
            fs::read_dir(&self.path).and_then(|mut entries| {
                entries.try_for_each(|entry| {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() {
                        fs::remove_dir_all(entry.path())
                    } else {
                        fs::remove_file(entry.path())
                    }
                })
            })
        } else {
            fs::remove_dir_all(&self.path)
        };
        removed.map_err(|error| Failure::undecided(format!("cannot remove {}: {error}", self.path.display())))
    }
}
