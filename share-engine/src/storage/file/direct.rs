//! Writes that pass the system's page cache (`O_DIRECT`): what is written once, synced at once and not read soon is copied
//! neither into memory that the system has to find first nor out of it later. Owned by an open file; where the
//! system, the file system or the place of the data does not allow it, the caller writes as always.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sys;

/// The way past the cache into one file.
#[derive(Debug)]
pub(super) struct Direct {
    file: fs::File,
    staging: Arc<Staging>,
    /// The system said that it cannot; it is not asked again.
    refused: AtomicBool,
}

impl Direct {
    /// `None` if the file cannot be opened so.
    pub(super) fn open(path: &Path, staging: &Arc<Staging>) -> Option<Self> {
        sys::open_direct(path).ok().map(|file| Self {
            file,
            staging: Arc::clone(staging),
            refused: AtomicBool::new(false),
        })
    }

    /// Writes the part of `data` that can go this way, of which the range is returned; the rest is the caller's.
    pub(super) fn write(&self, data: &[u8], position: u64) -> io::Result<Range<usize>> {
        let part = direct_part(data.len(), position);
        if part.is_empty() || self.refused.load(Ordering::Relaxed) {
            return Ok(0..0);
        }
        let mut at = part.start;
        for piece in data.get(part.clone()).unwrap_or_default().chunks(PIECE) {
            let written = self.staging.with(piece, |aligned| {
                sys::write_all_at(&self.file, aligned, position + at as u64)
            });
            match written {
                Ok(()) => at += piece.len(),
                Err(error) if is_refusal(&error) => {
                    self.refused.store(true, Ordering::Relaxed);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(part.start..at)
    }
}

/// Memory that begins where the device wants it to, one piece for each thread that writes at the moment.
#[derive(Debug, Default)]
pub(super) struct Staging(Mutex<Vec<Vec<u8>>>);

impl Staging {
    fn with<T>(&self, piece: &[u8], write: impl FnOnce(&[u8]) -> T) -> T {
        let mut buffer = self.buffers().pop().unwrap_or_default();
        let needed = piece.len() + BLOCK;
        if buffer.len() < needed {
            buffer.resize(needed, 0);
        }
        let start = buffer.as_ptr().align_offset(BLOCK);
        let result = match buffer.get_mut(start..start + piece.len()) {
            Some(aligned) => {
                aligned.copy_from_slice(piece);
                write(aligned)
            }
            // Nowhere near: `align_offset` found no such place.
            None => write(piece),
        };
        let mut buffers = self.buffers();
        if buffers.len() < KEPT {
            buffers.push(buffer);
        }
        result
    }

    fn buffers(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // A list of buffers is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole sectors go directly as they are. Of other data the whole blocks in the middle do, if they are worth a call of their own: a
/// page that is written in part both ways is written twice.
fn direct_part(len: usize, position: u64) -> Range<usize> {
    if position.is_multiple_of(SECTOR as u64) && len.is_multiple_of(SECTOR) {
        return 0..len;
    }
    let past = usize::try_from(position % BLOCK as u64).unwrap_or(0);
    let head = (BLOCK - past) % BLOCK;
    let blocks = len.saturating_sub(head) / BLOCK;
    if blocks * BLOCK < WORTH {
        return 0..0;
    }
    head..head + blocks * BLOCK
}

/// What a file system says that has no direct writes, or not of such a size.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// The smallest unit of a device.
const SECTOR: usize = 512;
/// A page, and the largest unit of a device.
const BLOCK: usize = 4096;
/// The least that leaves the cache out in the midst of other data.
const WORTH: usize = 64 << 10;
/// The most that is written by one call.
const PIECE: usize = 1 << 20;
/// Buffers that are kept: the threads that write are the journal's, the shard's and the drain's.
const KEPT: usize = 3;

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "tests"
    )]

    use super::*;
    use crate::entropy::Entropy as _;
    use crate::storage::{FileStorage, OpenMode, Storage as _};
    use crate::testing::SeededEntropy;

    #[test]
    fn whole_sectors_go_directly_and_of_the_rest_the_blocks_between() {
        assert_eq!(direct_part(512, 512), 0..512);
        assert_eq!(direct_part(4096 + 512, 3 * 512), 0..4096 + 512);
        assert_eq!(direct_part(511, 512), 0..0);
        assert_eq!(direct_part(WORTH + 1, 0), 0..WORTH);
        assert_eq!(direct_part(WORTH + 4095, 1), 4095..WORTH + 4095);
        assert_eq!(direct_part(WORTH + 4094, 1), 0..0);
        assert_eq!(direct_part(100, 4095), 0..0);
    }

    #[test]
    fn both_ways_of_writing_make_one_file() {
        let place = tempfile::tempdir().unwrap();
        let storage = FileStorage::open_or_create(place.path()).unwrap();
        let file = storage.open("x", OpenMode::CreateNew).unwrap();
        let entropy = SeededEntropy::new(7);
        let mut model: Vec<u8> = Vec::new();
        for turn in 0..300_usize {
            let draw = |below: usize| (entropy.next_u64() % below as u64) as usize;
            let unit = [1, 512, 4096][draw(3)];
            let len = (1 + draw([600, 5_000, 300_000][draw(3)])).next_multiple_of(unit);
            // Mostly behind the end, as a log grows; else over what is there, as a ring.
            let position = if draw(2) == 0 {
                model.len()
            } else {
                draw(model.len() + 1)
            }
            .next_multiple_of(unit);
            let data: Vec<u8> = (0..len).map(|at| (at as u8) ^ (turn as u8)).collect();
            if draw(4) == 0 {
                file.write_all_at(&data, position as u64).unwrap();
            } else {
                file.write_through_at(&data, position as u64).unwrap();
            }
            model.resize(model.len().max(position + len), 0);
            model[position..position + len].copy_from_slice(&data);
            if draw(8) == 0 {
                file.sync_data().unwrap();
                let mut found = vec![0; model.len()];
                file.read_exact_at(&mut found, 0).unwrap();
                assert!(found == model, "turn {turn}: the file is not what was written");
            }
        }
        assert_eq!(file.len().unwrap(), model.len() as u64);
    }

    #[test]
    fn what_the_system_refuses_is_left_to_the_caller() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        fs::write(&path, vec![1; 8192]).unwrap();
        // A descriptor without the right to write stands for a file system that refuses with another error.
        let readable = Direct {
            file: fs::File::open(&path).unwrap(),
            staging: Arc::default(),
            refused: AtomicBool::new(false),
        };
        readable.write(&[2; 512], 0).unwrap_err();
        let refused = Direct {
            refused: AtomicBool::new(true),
            ..readable
        };
        assert_eq!(refused.write(&[2; 512], 0).unwrap(), 0..0);
        assert_eq!(fs::read(&path).unwrap(), vec![1; 8192]);
    }

    #[test]
    fn pieces_begin_where_devices_want_them() {
        let staging = Staging::default();
        for len in [512, 4096, PIECE, 512] {
            let piece = vec![7; len];
            staging.with(&piece, |aligned| {
                assert_eq!(aligned.as_ptr().align_offset(BLOCK), 0);
                assert!(aligned == piece);
            });
        }
        assert_eq!(staging.buffers().len(), 1);
    }
}
