//! Snapshot files in `snapshots/`: written whole or not at all, the newest loaded, all others removed.

use std::io;

use bytes::Bytes;

use super::container::{self, Examined, SectionKind, Snapshot};
use super::error::SnapshotError;
use crate::hook::{Hook, Phase};
use crate::storage::{OpenMode, Storage};

const DIRECTORY: &str = "snapshots";

/// Writes a snapshot of everything before `position`. When it returns, the file is durable under its name.
///
/// # Errors
/// [`SnapshotError::Io`]; what was written so far is removed if the disk lets us, and no snapshot is lost.
pub fn write(
    storage: &dyn Storage,
    directory_id: u128,
    position: u64,
    sections: &[(SectionKind, Bytes)],
    hook: &Hook,
) -> Result<(), SnapshotError> {
    storage
        .create_dir(DIRECTORY)
        .map_err(SnapshotError::io(DIRECTORY, "create"))?;
    storage.sync_dir("").map_err(SnapshotError::io("", "sync"))?;
    let parts = container::encode(directory_id, position, sections);
    let temporary = format!("{DIRECTORY}/{position:020}.tmp");
    let written = || hook.reach(Phase::SnapshotWritten);
    replace(storage, DIRECTORY, &temporary, &path(position), &parts, written)?;
    hook.reach(Phase::SnapshotNamed);
    Ok(())
}

/// Loads the newest snapshot, the one with the highest position in its name; `None` if there is none. The journal
/// before it is free and so are the segments that it does not list: there is nothing to fall back to.
///
/// # Errors
/// Damage, a disk that refuses, a newer format version, an unknown kind, another directory's file.
pub fn load_newest(storage: &dyn Storage, directory_id: u128) -> Result<Option<Snapshot>, SnapshotError> {
    let newest = positions(storage)?.pop();
    newest.map(|position| load(storage, directory_id, position)).transpose()
}

/// What can be read of the newest snapshot, and why not all; `None` if there is none. Its position is that in its name.
///
/// # Errors
/// A disk that refuses to list them.
pub fn examine_newest(
    storage: &dyn Storage,
    directory_id: u128,
) -> Result<Option<(Snapshot, Vec<SnapshotError>)>, SnapshotError> {
    let Some(position) = positions(storage)?.pop() else {
        return Ok(None);
    };
    let path = path(position);
    let mut examined = match read(storage, &path) {
        Ok(bytes) => container::examine(&path, &bytes.unwrap_or_default(), directory_id),
        Err(error) => Examined {
            position: None,
            sections: Vec::new(),
            errors: vec![error],
        },
    };
    if let Some(said) = examined.position.filter(|said| *said != position) {
        let what = format!("the header says position {said}");
        examined.errors.push(SnapshotError::damaged(&path, 28, what));
    }
    let snapshot = Snapshot {
        position,
        sections: examined.sections,
    };
    Ok(Some((snapshot, examined.errors)))
}

/// Whether there is a snapshot at all.
pub fn is_there(storage: &dyn Storage) -> Result<bool, SnapshotError> {
    Ok(!positions(storage)?.is_empty())
}

/// Removes all but the newest snapshot, and what unfinished writes left. After it journal and segments that only
/// older ones need may go.
pub fn prune(storage: &dyn Storage) -> Result<(), SnapshotError> {
    let mut old = positions(storage)?;
    old.pop();
    remove(storage, old)
}

/// Removes every snapshot behind `position`, all if it is `None`: a write of one failed, and it may be there all the
/// same. Until this has succeeded nothing may be changed that such a snapshot lists.
pub fn discard_after(storage: &dyn Storage, position: Option<u64>) -> Result<(), SnapshotError> {
    let mut late = positions(storage)?;
    late.retain(|found| position.is_none_or(|position| *found > position));
    remove(storage, late)?;
    match storage.sync_dir(DIRECTORY) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SnapshotError::io(DIRECTORY, "sync")(error)),
        _ => Ok(()),
    }
}

fn remove(storage: &dyn Storage, positions: Vec<u64>) -> Result<(), SnapshotError> {
    let mut paths: Vec<String> = positions.into_iter().map(path).collect();
    let names = list(storage)?.into_iter();
    let unfinished = names.filter(|name| name.strip_suffix(".tmp").and_then(digits).is_some());
    paths.extend(unfinished.map(|name| format!("{DIRECTORY}/{name}")));
    for path in &paths {
        storage.remove(path).map_err(SnapshotError::io(path, "remove"))?;
    }
    if !paths.is_empty() {
        storage
            .sync_dir(DIRECTORY)
            .map_err(SnapshotError::io(DIRECTORY, "sync"))?;
    }
    Ok(())
}

/// Writes a file under a temporary name, syncs it, calls `written`, gives it its name and syncs the
/// directory.
pub(super) fn replace(
    storage: &dyn Storage,
    directory: &str,
    temporary: &str,
    path: &str,
    parts: &[Bytes],
    written: impl FnOnce(),
) -> Result<(), SnapshotError> {
    match storage.remove(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(SnapshotError::io(temporary, "remove")(error));
        }
        _ => {}
    }
    if let Err(error) = write_parts(storage, temporary, parts) {
        // The disk may be full: its space is wanted, and the first error says more than a second.
        let _ = storage.remove(temporary);
        return Err(error);
    }
    written();
    storage
        .rename(temporary, path)
        .map_err(SnapshotError::io(temporary, "rename"))?;
    if planted!(NoDirectorySync) {
        return Ok(());
    }
    storage
        .sync_dir(directory)
        .map_err(SnapshotError::io(directory, "sync"))
}

/// A whole file; `None` if it does not exist.
pub(super) fn read(storage: &dyn Storage, path: &str) -> Result<Option<Bytes>, SnapshotError> {
    let file = match storage.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SnapshotError::io(path, "open")(error)),
    };
    let len = file.len().map_err(SnapshotError::io(path, "measure"))?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)
        .map_err(SnapshotError::io(path, "read"))?;
    Ok(Some(Bytes::from(bytes)))
}

fn write_parts(storage: &dyn Storage, path: &str, parts: &[Bytes]) -> Result<(), SnapshotError> {
    let file = storage
        .open(path, OpenMode::CreateNew)
        .map_err(SnapshotError::io(path, "create"))?;
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut position = 0;
    let mut flush = |buffer: &mut Vec<u8>| {
        file.write_all_at(buffer, position)
            .map_err(SnapshotError::io(path, "write"))?;
        position += buffer.len() as u64;
        buffer.clear();
        Ok(())
    };
    for part in parts {
        if !buffer.is_empty() && buffer.len() + part.len() > BUFFER_BYTES {
            flush(&mut buffer)?;
        }
        buffer.extend_from_slice(part);
    }
    flush(&mut buffer)?;
    file.sync_data().map_err(SnapshotError::io(path, "sync"))
}

fn load(storage: &dyn Storage, directory_id: u128, position: u64) -> Result<Snapshot, SnapshotError> {
    let path = path(position);
    let bytes = read(storage, &path)?.unwrap_or_default();
    let snapshot = container::decode(&path, &bytes, directory_id)?;
    if snapshot.position != position {
        let what = format!("the header says position {}", snapshot.position);
        return Err(SnapshotError::damaged(&path, 28, what));
    }
    Ok(snapshot)
}

/// Positions of all snapshots, ascending.
fn positions(storage: &dyn Storage) -> Result<Vec<u64>, SnapshotError> {
    let mut positions: Vec<u64> = list(storage)?
        .iter()
        .filter_map(|name| digits(name.strip_suffix(".snap")?))
        .collect();
    positions.sort_unstable();
    Ok(positions)
}

fn list(storage: &dyn Storage) -> Result<Vec<String>, SnapshotError> {
    match storage.list(DIRECTORY) {
        Ok(names) => Ok(names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(SnapshotError::io(DIRECTORY, "list")(error)),
    }
}

fn digits(stem: &str) -> Option<u64> {
    let plain = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
    if plain { stem.parse().ok() } else { None }
}

/// The file of a snapshot, relative to the data directory.
pub fn path(position: u64) -> String {
    format!("{DIRECTORY}/{position:020}.snap")
}

const BUFFER_BYTES: usize = 256 << 10;
