//! The storage of a real data directory: the only module that touches the file system. It holds the directory's lock
//! as long as it lives, so that a data directory has one owner.

mod direct;

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use self::direct::{Direct, Staging};
use super::{File, OpenMode, Storage};
use crate::sys;

/// A locked data directory.
#[derive(Debug)]
pub struct FileStorage {
    root: PathBuf,
    /// Closing it gives the lock up.
    lock: fs::File,
    staging: Arc<Staging>,
}

/// The data directory cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileStorageError {
    /// Another process (or another handle of this one) owns it.
    #[error("data directory {} is in use{}", directory.display(), owner(*pid))]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// The owner's process id, if it could be read.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("cannot open data directory {}: {source}", directory.display())]
    Io {
        /// The data directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileStorage {
    /// Takes an existing data directory.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, FileStorageError> {
        let root = root.into();
        match lock(&root) {
            Ok(Ok(lock)) => Ok(Self {
                root,
                lock,
                staging: Arc::default(),
            }),
            Ok(Err(pid)) => Err(FileStorageError::InUse { directory: root, pid }),
            Err(source) => Err(FileStorageError::Io {
                directory: root,
                source,
            }),
        }
    }

    /// Takes a data directory, which is made, with its parents, if it does not exist.
    pub fn open_or_create(root: impl Into<PathBuf>) -> Result<Self, FileStorageError> {
        let root = root.into();
        match make_durable_directory(&root) {
            Ok(()) => Self::open(root),
            Err(source) => Err(FileStorageError::Io {
                directory: root,
                source,
            }),
        }
    }

    /// Whether there is anything in a directory that only a data directory has. Changes nothing, takes no lock.
    pub fn is_data_directory(root: &Path) -> bool {
        [LOCK, "format", "journal"].iter().any(|name| root.join(name).exists())
    }

    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn open_file(&self, path: &str, mode: OpenMode) -> io::Result<OpenFile> {
        let mut options = fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::ReadWrite => options.read(true).write(true),
            OpenMode::CreateNew => options.read(true).write(true).create_new(true),
        };
        Ok(OpenFile {
            file: options.open(self.resolve(path)?)?,
            direct: (mode != OpenMode::Read).then(|| Direct::new(&self.staging)),
        })
    }

    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        let inside = Path::new(path)
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        if inside {
            Ok(self.root.join(path))
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("path {path} leaves the data directory"),
            ))
        }
    }
}

impl Storage for FileStorage {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Box<dyn File>> {
        Ok(Box::new(self.open_file(path, mode)?))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.resolve(directory)?)? {
            // Every name of ours is ASCII; what is not was put there by somebody else.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, directory: &str) -> io::Result<()> {
        fs::create_dir_all(self.resolve(directory)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.resolve(from)?, self.resolve(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.resolve(path)?)
    }

    fn remove_dir(&self, directory: &str) -> io::Result<()> {
        fs::remove_dir(self.resolve(directory)?)
    }

    fn sync_dir(&self, directory: &str) -> io::Result<()> {
        sys::sync_directory(&self.resolve(directory)?)
    }

    fn free_space(&self) -> io::Result<u64> {
        sys::free_space(&self.root)
    }

    fn open_files_max(&self) -> Option<u64> {
        sys::open_files_max()
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }

    fn lost(&self) -> Option<String> {
        let became = match fs::metadata(self.root.join(LOCK)) {
            Ok(found) if self.lock.metadata().is_ok_and(|held| !sys::is_same_file(&held, &found)) => "replaced",
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => "removed",
            // What cannot be told for the moment is no loss.
            Ok(_) | Err(_) => return None,
        };
        Some(format!(
            "data directory {} was {became}, moved or mounted over while it was in use: its {LOCK} file is not the one that this process holds",
            self.root.display()
        ))
    }
}

#[derive(Debug)]
struct OpenFile {
    file: fs::File,
    direct: Option<Direct>,
}

impl File for OpenFile {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        sys::read_exact_at(&self.file, buf, position)
    }

    fn write_all_at(&self, data: &[u8], position: u64) -> io::Result<()> {
        sys::write_all_at(&self.file, data, position)
    }

    fn write_through_at(&self, data: &[u8], position: u64) -> io::Result<()> {
        let Some(direct) = &self.direct else {
            return self.write_all_at(data, position);
        };
        let written = direct.write(&self.file, data, position)?;
        let (head, rest) = data.split_at(written.start);
        let tail = rest.get(written.len()..).unwrap_or_default();
        for (part, start) in [(head, 0), (tail, written.end)] {
            if !part.is_empty() {
                self.write_all_at(part, position + start as u64)?;
            }
        }
        Ok(())
    }

    fn pause(&self) {
        if let Some(direct) = &self.direct {
            direct.close();
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }
}

/// The lock, or the owner's process id if it is taken.
fn lock(root: &Path) -> io::Result<Result<fs::File, Option<u32>>> {
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(root.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            // For the message only: the owner may be writing it at this moment.
            drop(file.read_to_string(&mut text));
            return Ok(Err(text.trim().parse().ok()));
        }
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Ok(file))
}

/// Makes a directory and the entries that lead to it durable.
fn make_durable_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_durable_directory(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sys::sync_directory(parent.unwrap_or_else(|| Path::new(".")))
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

/// The file that the owner keeps locked.
const LOCK: &str = "LOCK";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_directory_has_one_owner() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("a/b");
        let first = FileStorage::open_or_create(&root).unwrap();
        let error = FileStorage::open(&root).unwrap_err();
        let expected = format!(
            "data directory {} is in use by process {}",
            root.display(),
            std::process::id()
        );
        assert_eq!(error.to_string(), expected);
        drop(first);
        FileStorage::open(&root).unwrap();
        assert!(matches!(
            FileStorage::open(place.path().join("none")),
            Err(FileStorageError::Io { .. })
        ));
    }

    #[test]
    fn a_directory_that_is_not_the_one_that_was_taken_is_lost() {
        let place = tempfile::tempdir().unwrap();
        let (root, aside) = (place.path().join("data"), place.path().join("aside"));
        let storage = FileStorage::open_or_create(&root).unwrap();
        assert_eq!(storage.lost(), None);
        fs::rename(&root, &aside).unwrap();
        assert!(storage.lost().unwrap().contains(" was removed, moved or "));
        let other = FileStorage::open_or_create(&root).unwrap();
        assert!(storage.lost().unwrap().contains(" was replaced, moved or "));
        assert_eq!(other.lost(), None);
        drop(other);
        fs::remove_dir_all(&root).unwrap();
        fs::rename(&aside, &root).unwrap();
        assert_eq!(storage.lost(), None);
    }

    #[test]
    fn files_are_read_as_written() {
        let place = tempfile::tempdir().unwrap();
        let storage = FileStorage::open_or_create(place.path()).unwrap();
        storage.create_dir("logs/orders-0").unwrap();
        let file = storage.open("logs/orders-0/x", OpenMode::CreateNew).unwrap();
        file.write_all_at(b"hello", 3).unwrap();
        file.sync_data().unwrap();
        storage.sync_dir("logs/orders-0").unwrap();
        storage.rename("logs/orders-0/x", "logs/orders-0/y").unwrap();
        assert_eq!(storage.list("logs/orders-0").unwrap(), ["y"]);
        let file = storage.open("logs/orders-0/y", OpenMode::Read).unwrap();
        assert_eq!(file.len().unwrap(), 8);
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\0\0\0hello");
        assert_eq!(
            file.read_exact_at(&mut bytes, 1).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert!(storage.free_space().unwrap() > 0);
        storage.remove("logs/orders-0/y").unwrap();
        storage.remove_dir("logs/orders-0").unwrap();
        assert_eq!(storage.list("logs/none").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn paths_stay_inside() {
        let place = tempfile::tempdir().unwrap();
        let storage = FileStorage::open_or_create(place.path()).unwrap();
        for path in ["../x", "/etc/passwd", "a/../../x"] {
            let error = storage.remove(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path}");
        }
    }
}
