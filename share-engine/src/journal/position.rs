//! Logical addresses in the journal and how they map to ring files. Pure arithmetic; every other journal module
//! uses it. Positions only grow: a file that is overwritten holds higher positions than before.

use std::fmt;

/// Everything on disk is laid out in units of this many bytes; a disk is assumed to write one such unit whole or not
/// at all.
pub const SECTOR: u64 = 512;

/// The same as an index.
pub(crate) const SECTOR_BYTES: usize = 512;

/// A byte address in the endless journal; 0 is the first. Groups start and end at multiples of [`SECTOR`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Where the first group of a new journal starts.
    pub const ZERO: Self = Self(0);

    /// From bytes since the beginning of the journal.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes since the beginning of the journal.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Bytes between `earlier` and this position, skipped room included; 0 if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The size that all files of one ring share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    file_size: u64,
}

impl Geometry {
    /// `None` unless `file_size` is a multiple of [`SECTOR`] within the supported range.
    pub(crate) fn new(file_size: u64) -> Option<Self> {
        ((FILE_SIZE_MIN..=FILE_SIZE_MAX).contains(&file_size) && file_size.is_multiple_of(SECTOR))
            .then_some(Self { file_size })
    }

    pub(crate) const fn file_size(self) -> u64 {
        self.file_size
    }

    /// Bytes of one file that positions address: all but the header sector.
    pub(crate) const fn room(self) -> u64 {
        self.file_size - SECTOR
    }

    /// Which file of the endless sequence holds `position`.
    pub(crate) const fn sequence(self, position: Position) -> u64 {
        position.0 / self.room()
    }

    /// Where `position` lies within its file.
    pub(crate) const fn offset(self, position: Position) -> u64 {
        SECTOR + position.0 % self.room()
    }

    /// The first position of a file; saturates.
    pub(crate) const fn start(self, sequence: u64) -> Position {
        Position(sequence.saturating_mul(self.room()))
    }

    /// Bytes from `position` to the end of its file, at least 1.
    pub(crate) const fn rest(self, position: Position) -> u64 {
        self.room() - position.0 % self.room()
    }
}

/// `len` rounded up to a whole number of sectors.
pub(crate) const fn padded(len: u64) -> u64 {
    len.next_multiple_of(SECTOR)
}

/// Header sector and three of data: small enough for tests that wrap around.
pub(crate) const FILE_SIZE_MIN: u64 = 4 * SECTOR;
/// A group is read as a whole; larger files would only make growing slower.
pub(crate) const FILE_SIZE_MAX: u64 = 1 << 30;
