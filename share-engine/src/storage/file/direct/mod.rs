//! Writes that pass the system's page cache (`O_DIRECT`): what is written once, synced at once and not read soon is copied
//! neither into memory that the system has to find first nor out of it later. Owned by an open file; where the
//! system, the file system or the place of the data does not allow it, the caller writes as always. The way takes a
//! descriptor of its own only while it is in use: from the first write that can go it until [`Direct::close`].

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::storage::through::{BLOCK, PIECE, SECTOR, direct_part};
use crate::sys;

/// The way past the cache into one file.
#[derive(Debug)]
pub(super) struct Direct {
    staging: Arc<Staging>,
    way: Mutex<Way>,
}

#[derive(Debug)]
enum Way {
    /// Nothing has gone this way since it was closed.
    Closed,
    Open(Arc<dyn WriteAt>),
    /// The system said that it cannot; it is not asked again.
    Refused,
}

/// One write as the system does it: of the first so many bytes, at least one.
pub(super) trait WriteAt: std::fmt::Debug + Send + Sync {
    fn write_at(&self, data: &[u8], position: u64) -> io::Result<usize>;
}

impl WriteAt for fs::File {
    fn write_at(&self, data: &[u8], position: u64) -> io::Result<usize> {
        sys::write_at(self, data, position)
    }
}

impl Direct {
    pub(super) fn new(staging: &Arc<Staging>) -> Self {
        Self {
            staging: Arc::clone(staging),
            way: Mutex::new(Way::Closed),
        }
    }

    /// Writes the part of `data` that can go this way into `file`, of which the range is returned; the rest is the caller's.
    pub(super) fn write(&self, file: &fs::File, data: &[u8], position: u64) -> io::Result<Range<usize>> {
        self.write_by(|| Ok(Arc::new(sys::reopen_direct(file)?)), data, position)
    }

    /// Gives the descriptor back. A later write opens the way again.
    pub(super) fn close(&self) {
        let mut way = self.way();
        if matches!(*way, Way::Open(_)) {
            *way = Way::Closed;
        }
    }

    fn write_by(
        &self,
        open: impl FnOnce() -> io::Result<Arc<dyn WriteAt>>,
        data: &[u8],
        position: u64,
    ) -> io::Result<Range<usize>> {
        let part = direct_part(data.len(), position);
        if part.is_empty() {
            return Ok(0..0);
        }
        let Some(writer) = self.open(open)? else {
            return Ok(0..0);
        };
        let mut at = part.start;
        for piece in data.get(part.clone()).unwrap_or_default().chunks(PIECE) {
            let position = position + at as u64;
            let written = self
                .staging
                .with(piece, |aligned| write_piece(&*writer, aligned, position));
            match written {
                Ok(written) => {
                    at += written;
                    if written < piece.len() {
                        break;
                    }
                }
                Err(error) if is_refusal(&error) => {
                    *self.way() = Way::Refused;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(part.start..at)
    }

    /// `None` where there is no such way, or no descriptor for it at the moment: the next write asks again then.
    fn open(&self, open: impl FnOnce() -> io::Result<Arc<dyn WriteAt>>) -> io::Result<Option<Arc<dyn WriteAt>>> {
        let mut way = self.way();
        match &*way {
            Way::Open(writer) => return Ok(Some(Arc::clone(writer))),
            Way::Refused => return Ok(None),
            Way::Closed => {}
        }
        match open() {
            Ok(writer) => {
                *way = Way::Open(Arc::clone(&writer));
                Ok(Some(writer))
            }
            Err(error) if is_refusal(&error) || is_no_way(&error) => {
                *way = Way::Refused;
                Ok(None)
            }
            // The file is open already: what can be written as always is not failed for the want of a second descriptor.
            Err(error) if sys::is_out_of_descriptors(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn way(&self) -> std::sync::MutexGuard<'_, Way> {
        // What it says is true at any time.
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all of `data`, whose place in memory suits the device; or as much of it as ended with a whole sector, if the system wrote
/// less and what is left cannot go on from there.
fn write_piece(writer: &dyn WriteAt, data: &[u8], position: u64) -> io::Result<usize> {
    let mut written = 0;
    while let Some(rest) = data.get(written..).filter(|rest| !rest.is_empty()) {
        match writer.write_at(rest, position + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => {
                written += more;
                if !written.is_multiple_of(SECTOR) {
                    return Ok(written - written % SECTOR);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Not from there: the caller goes on.
            Err(error) if written > 0 && is_refusal(&error) => return Ok(written),
            Err(error) => return Err(error),
        }
    }
    Ok(written)
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

/// What a file system says that has no direct writes, or not of such a size.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// What the system says where a file that is open cannot be opened once more: without `/proc`, or with fewer rights than it was
/// opened with.
fn is_no_way(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// Buffers that are kept: the threads that write are the journal's, the shard's and the drain's.
const KEPT: usize = 3;

#[cfg(test)]
mod tests;
