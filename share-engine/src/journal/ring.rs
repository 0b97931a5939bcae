//! The files of the ring: which slot holds which file of the endless sequence, which may be overwritten, how a file
//! is made. Slots keep their numbers for ever; what they hold is said by their headers alone.

use std::io;

use super::error::{Damage, JournalError};
use super::header::{FileHeader, HeaderError, VERSION};
use super::position::{Geometry, Position, SECTOR, SECTOR_BYTES};
use crate::storage::{File, OpenMode, Storage};

/// The directory of the ring files.
pub(super) const DIRECTORY: &str = "journal";

/// One file of the ring.
pub(super) struct Slot {
    pub(super) file: Box<dyn File>,
    pub(super) header: FileHeader,
    /// Holds bytes that are written and not synced.
    pub(super) dirty: bool,
}

/// What of the ring is in use.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// Files wholly below may be overwritten.
    pub(super) freed: Position,
    pub(super) tail: Position,
    /// The slot that is being written.
    pub(super) current: usize,
}

/// All files of the ring, in slot order.
pub(super) struct Ring {
    pub(super) slots: Vec<Slot>,
    pub(super) geometry: Geometry,
}

/// What can be used of a ring, and why not all.
pub(super) struct Examined {
    pub(super) ring: Option<Ring>,
    /// In the order of the files.
    pub(super) damage: Vec<Damage>,
    /// Files that a newer version wrote or that the disk refuses.
    pub(super) refused: Vec<(String, JournalError)>,
}

impl Ring {
    /// Opens every file and checks its header. Changes nothing on disk.
    pub(super) fn load(storage: &dyn Storage, directory_id: u128) -> Result<Self, JournalError> {
        let names = storage.list(DIRECTORY).map_err(JournalError::io("list", DIRECTORY))?;
        let names: Vec<_> = names.iter().filter(|name| name.ends_with(SUFFIX)).collect();
        check_open_files(storage, names.len() as u64)?;
        let mut slots: Vec<Slot> = Vec::new();
        for name in names {
            let expected = slot_number(slots.len());
            if **name != file_name(expected) {
                return Err(missing(&slot_path(expected)));
            }
            slots.push(load_slot(storage, expected, directory_id)?);
        }
        let Some(first) = slots.first() else {
            return Err(missing(&slot_path(0)));
        };
        let file_size = first.header.file_size;
        let geometry = Geometry::new(file_size);
        let Some(geometry) = geometry.filter(|_| slots.iter().all(|slot| slot.header.file_size == file_size)) else {
            return Err(damage(0, 0, SECTOR, "the ring files do not agree on their size"));
        };
        let files = slots.iter().map(|slot| slot.header.ring_files).max().unwrap_or(0);
        if files > slot_number(slots.len()) {
            return Err(missing(&slot_path(slot_number(slots.len()))));
        }
        let ring = Self { slots, geometry };
        for (index, slot) in ring.slots.iter().enumerate() {
            let len = slot.file.len().map_err(JournalError::io("read", &ring.path(index)))?;
            if len != file_size {
                return Err(damage(
                    slot.header.slot,
                    len.min(file_size),
                    file_size.abs_diff(len),
                    "wrong length",
                ));
            }
            let twin = |other: &&Slot| other.header.sequence.is_some() && other.header.sequence == slot.header.sequence;
            if ring.slots.iter().filter(twin).count() > 1 {
                return Err(damage(
                    slot.header.slot,
                    0,
                    SECTOR,
                    "two files hold the same part of the journal",
                ));
            }
        }
        Ok(ring)
    }

    /// As [`Ring::load`], without the files that are damaged or cannot be read: those are named. `None` if none is left.
    pub(super) fn examine(storage: &dyn Storage, directory_id: u128) -> Examined {
        let (mut found, mut refused) = (Vec::new(), Vec::new());
        let numbers = slot_numbers(storage).unwrap_or_else(|error| {
            refused.push((DIRECTORY.to_owned(), error));
            Vec::new()
        });
        let mut slots: Vec<(Slot, u64)> = Vec::new();
        for number in &numbers {
            let slot = load_slot(storage, *number, directory_id).and_then(|slot| {
                let len = slot.file.len();
                let len = len.map_err(JournalError::io("read", &slot_path(*number)))?;
                Ok((slot, len))
            });
            match slot {
                Ok(slot) => slots.push(slot),
                Err(JournalError::Corrupt(damage)) => found.push(damage),
                Err(JournalError::WrongDirectory { file, .. }) => found.push(Damage {
                    file,
                    offset: 16,
                    bytes: 16,
                    reason: "the file belongs to another data directory",
                }),
                Err(error) => refused.push((slot_path(*number), error)),
            }
        }
        if refused.iter().all(|(file, _)| file != DIRECTORY) {
            let listed = slots.iter().map(|(slot, _)| slot.header.ring_files);
            let listed = listed
                .chain(numbers.last().map(|last| last.saturating_add(1)))
                .max()
                .unwrap_or(1);
            let gone = (0..listed)
                .filter(|number| !numbers.contains(number))
                .take(MISSING_NAMED);
            found.extend(gone.map(|number| place(number, 0, 0, "the file is missing")));
        }
        let geometry = common_size(&slots).and_then(Geometry::new);
        let mut sound: Vec<Slot> = Vec::new();
        for (slot, len) in slots {
            let number = slot.header.slot;
            let size = slot.header.file_size;
            let twin = |other: &Slot| other.header.sequence.is_some() && other.header.sequence == slot.header.sequence;
            if geometry.is_none_or(|geometry| geometry.file_size() != size) {
                found.push(place(number, 0, SECTOR, "the ring files do not agree on their size"));
            } else if len != size {
                found.push(place(number, len.min(size), size.abs_diff(len), "wrong length"));
            } else if sound.iter().any(twin) {
                found.push(place(number, 0, SECTOR, "two files hold the same part of the journal"));
            } else {
                sound.push(slot);
            }
        }
        found.sort_by(|a, b| a.file.cmp(&b.file));
        let ring = geometry
            .filter(|_| !sound.is_empty())
            .map(|geometry| Self { slots: sound, geometry });
        Examined {
            ring,
            damage: found,
            refused,
        }
    }

    pub(super) fn path(&self, index: usize) -> String {
        self.slots
            .get(index)
            .map_or_else(String::new, |slot| slot_path(slot.header.slot))
    }

    /// The slot that holds this file of the sequence.
    pub(super) fn index_of(&self, sequence: u64) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.header.sequence == Some(sequence))
    }

    pub(super) fn slot_of(&self, sequence: u64) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.header.sequence == Some(sequence))
    }

    /// Bytes that positions address in all files together.
    pub(super) const fn capacity(&self) -> u64 {
        self.geometry.room() * self.slots.len() as u64
    }

    /// How many slots may be overwritten.
    pub(super) fn free_slots(&self, extent: Extent) -> usize {
        (0..self.slots.len())
            .filter(|index| self.is_free(*index, extent))
            .count()
    }

    /// The slot to overwrite with this file of the sequence. One that bears the number already (left over from a
    /// tail that was cut) comes first, so that no number is ever borne twice.
    pub(super) fn claim(&self, sequence: u64, extent: Extent) -> Option<usize> {
        let free = |index: &usize| self.is_free(*index, extent);
        self.index_of(sequence).filter(free).or_else(|| {
            let age = |index: &usize| self.slots.get(*index).map(|slot| slot.header.sequence);
            (0..self.slots.len()).filter(free).min_by_key(age)
        })
    }

    fn is_free(&self, index: usize, extent: Extent) -> bool {
        let written = self.geometry.sequence(extent.tail);
        self.slots.get(index).is_some_and(|slot| match slot.header.sequence {
            None => true,
            Some(sequence) if sequence == written => index != extent.current,
            Some(sequence) => sequence > written || sequence < self.geometry.sequence(extent.freed),
        })
    }

    /// `position`, or the start of the next file if the journal went on there. A file that the tail has not entered
    /// may be left over from a tail that was cut; what it says does not count.
    pub(super) fn skip(&self, position: Position, extent: Extent) -> Position {
        let next = self.geometry.sequence(position).saturating_add(1);
        let start = self.geometry.start(next);
        let went_on = self
            .index_of(next)
            .filter(|index| start < extent.tail || *index == extent.current);
        match went_on.and_then(|index| self.slots.get(index)) {
            Some(slot) if slot.header.previous_end == position => start,
            _ => position,
        }
    }

    /// Writes a slot's header, not synced.
    pub(super) fn write_header(&mut self, index: usize, header: FileHeader) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        slot.dirty = true;
        slot.header = header;
        slot.file.write_all_at(&header.encode(), 0)
    }

    /// Syncs every file that has unsynced bytes.
    pub(super) fn sync(&mut self) -> Result<(), (usize, io::Error)> {
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.dirty) {
            slot.file.sync_data().map_err(|error| (index, error))?;
            slot.dirty = false;
        }
        Ok(())
    }
}

/// Makes the file of a slot: zeros to its full size, a header that says it holds nothing, synced before it gets its
/// name, so that a file with that name is always whole.
pub(super) fn make_file(
    storage: &dyn Storage,
    geometry: Geometry,
    directory_id: u128,
    slot: u32,
) -> Result<Slot, JournalError> {
    let (unfinished, path) = (format!("{DIRECTORY}/{slot:04}.new"), slot_path(slot));
    match storage.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(JournalError::io("remove", &unfinished)(error));
        }
        _ => {}
    }
    let header = FileHeader {
        directory_id,
        sequence: None,
        generation: 0,
        valid_from: Position::ZERO,
        synced_through: Position::ZERO,
        previous_end: Position::ZERO,
        file_size: geometry.file_size(),
        slot,
        ring_files: slot + 1,
    };
    let fill = || -> io::Result<Box<dyn File>> {
        let file = storage.open(&unfinished, OpenMode::CreateNew)?;
        let zeros = vec![0; ZERO_CHUNK];
        let mut at = 0;
        while at < geometry.file_size() {
            let len = usize::try_from(geometry.file_size() - at).map_or(ZERO_CHUNK, |rest| rest.min(ZERO_CHUNK));
            file.write_through_at(zeros.get(..len).unwrap_or_default(), at)?;
            at += len as u64;
        }
        file.write_all_at(&header.encode(), 0)?;
        file.sync_data()?;
        file.pause();
        Ok(file)
    };
    let made = fill().map_err(|error| {
        // Best effort: what is left of it is removed when the file is tried again.
        drop(storage.remove(&unfinished));
        JournalError::io("fill", &unfinished)(error)
    })?;
    storage
        .rename(&unfinished, &path)
        .map_err(JournalError::io("rename", &unfinished))?;
    storage
        .sync_dir(DIRECTORY)
        .map_err(JournalError::io("sync", DIRECTORY))?;
    Ok(Slot {
        file: made,
        header,
        dirty: false,
    })
}

/// Every file of the ring is held open as long as the journal is: better refused here than in the midst of writing.
pub(super) fn check_open_files(storage: &dyn Storage, files: u64) -> Result<(), JournalError> {
    files_within(storage.open_files_max(), files)
}

/// Whether a process that may have `limit` files open, if there is a limit, may have a ring of so many.
pub fn files_within(limit: Option<u64>, files: u64) -> Result<(), JournalError> {
    match limit {
        Some(limit) if files.saturating_add(SPARE_OPEN_FILES) > limit => Err(JournalError::OpenFiles {
            files,
            limit,
            spare: SPARE_OPEN_FILES,
        }),
        _ => Ok(()),
    }
}

/// Removes what a creation that was cut short left behind; refuses if a group was ever written.
pub(super) fn remove_unused(storage: &dyn Storage) -> Result<(), JournalError> {
    let names = match storage.list(DIRECTORY) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(JournalError::io("list", DIRECTORY)(error)),
    };
    for name in &names {
        let path = format!("{DIRECTORY}/{name}");
        if name.ends_with(SUFFIX) {
            let file = storage
                .open(&path, OpenMode::Read)
                .map_err(JournalError::io("open", &path))?;
            let mut sectors = [0; 2 * SECTOR_BYTES];
            file.read_exact_at(&mut sectors, 0)
                .map_err(JournalError::io("read", &path))?;
            let (header, first) = sectors.split_at(SECTOR_BYTES);
            let header = header.first_chunk().map(FileHeader::decode);
            let unused = matches!(header, Some(Ok(header)) if header.sequence.unwrap_or(0) == 0);
            if !unused || first.iter().any(|byte| *byte != 0) {
                return Err(JournalError::NotEmpty { file: path });
            }
        }
    }
    for name in &names {
        let path = format!("{DIRECTORY}/{name}");
        storage.remove(&path).map_err(JournalError::io("remove", &path))?;
    }
    storage.sync_dir(DIRECTORY).map_err(JournalError::io("sync", DIRECTORY))
}

pub(super) fn slot_path(slot: u32) -> String {
    format!("{DIRECTORY}/{}", file_name(slot))
}

pub(super) fn slot_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Damage in the file of a slot.
pub(super) fn damage(slot: u32, offset: u64, bytes: u64, reason: &'static str) -> JournalError {
    JournalError::Corrupt(place(slot, offset, bytes, reason))
}

fn place(slot: u32, offset: u64, bytes: u64, reason: &'static str) -> Damage {
    Damage {
        file: slot_path(slot),
        offset,
        bytes,
        reason,
    }
}

/// The ring files that there are, ascending.
fn slot_numbers(storage: &dyn Storage) -> Result<Vec<u32>, JournalError> {
    let names = match storage.list(DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(JournalError::io("list", DIRECTORY))?,
    };
    let number = |name: &String| {
        let number = name.strip_suffix(SUFFIX)?.parse().ok()?;
        (*name == file_name(number)).then_some(number)
    };
    let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The size that most files say.
fn common_size(slots: &[(Slot, u64)]) -> Option<u64> {
    let say = |size: u64| slots.iter().filter(|(slot, _)| slot.header.file_size == size).count();
    let sizes = slots.iter().map(|(slot, _)| slot.header.file_size);
    sizes.max_by_key(|size| (say(*size), *size))
}

/// Which data directory the ring is of, as its first sound file says; `None` if no group was ever written, as far as can
/// be told.
pub(super) fn owner(storage: &dyn Storage) -> Option<u128> {
    let used = |number: u32| {
        let file = storage.open(&slot_path(number), OpenMode::Read).ok()?;
        let mut sectors = [0; 2 * SECTOR_BYTES];
        file.read_exact_at(&mut sectors, 0).ok()?;
        let (header, first) = sectors.split_at(SECTOR_BYTES);
        let header = FileHeader::decode(header.first_chunk()?).ok()?;
        first.iter().any(|byte| *byte != 0).then_some(header.directory_id)
    };
    slot_numbers(storage).ok()?.into_iter().find_map(used)
}

fn missing(path: &str) -> JournalError {
    JournalError::Corrupt(Damage {
        file: path.to_owned(),
        offset: 0,
        bytes: 0,
        reason: "the file is missing",
    })
}

fn load_slot(storage: &dyn Storage, number: u32, directory_id: u128) -> Result<Slot, JournalError> {
    let path = slot_path(number);
    let file = storage
        .open(&path, OpenMode::ReadWrite)
        .map_err(JournalError::io("open", &path))?;
    let mut sector = [0; SECTOR_BYTES];
    match file.read_exact_at(&mut sector, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let len = file.len().map_err(JournalError::io("read", &path))?;
            return Err(damage(
                number,
                len,
                SECTOR.saturating_sub(len),
                "the file header is cut short",
            ));
        }
        other => other.map_err(JournalError::io("read", &path))?,
    }
    let header = match FileHeader::decode(&sector) {
        Ok(header) => header,
        Err(HeaderError::Damaged(reason)) => return Err(damage(number, 0, SECTOR, reason)),
        Err(HeaderError::Newer(found)) => {
            return Err(JournalError::NewerVersion {
                file: path,
                found,
                supported: VERSION,
            });
        }
    };
    if header.directory_id != directory_id {
        return Err(JournalError::WrongDirectory {
            file: path,
            expected: directory_id,
            found: header.directory_id,
        });
    }
    if header.slot != number {
        return Err(damage(number, 0, SECTOR, "the file bears the number of another"));
    }
    Ok(Slot {
        file,
        header,
        dirty: false,
    })
}

fn file_name(slot: u32) -> String {
    format!("{slot:04}{SUFFIX}")
}

const SUFFIX: &str = ".ring";

/// How many missing files are named: more say nothing more, and a header can claim four billion.
const MISSING_NAMED: usize = 64;

/// Files that a process has open beside the ring: streams, the lock, a segment and a snapshot that are being written, sockets.
pub(super) const SPARE_OPEN_FILES: u64 = 64;

/// Zeros are written in pieces of this size.
const ZERO_CHUNK: usize = 1 << 20;
