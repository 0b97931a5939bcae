//! The two headers on disk: one sector at the start of every ring file and 64 bytes at the start of every group.
//! Magic, version and checksum keep their places in every future version, so that a newer file is told from a
//! damaged one. Pure; `ring`, `group` and `recovery` call it.

use super::codec::Source;
use super::position::{Geometry, Position, SECTOR_BYTES, padded};

/// The version of both headers and of the entries that this code writes, and the newest it reads.
pub(crate) const VERSION: u16 = 1;

/// Length of a group's header.
pub const GROUP_HEADER: usize = 64;

/// The sequence of a file that holds nothing yet.
const FREE: u64 = u64::MAX;

/// What a ring file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) directory_id: u128,
    /// Which file of the endless sequence this is; `None` if it holds nothing yet.
    pub(crate) sequence: Option<u64>,
    /// How often the journal had been opened when this header was written.
    pub(crate) generation: u64,
    /// Where that generation began to write: groups of the journal at or above this position have at least that
    /// generation, others are left over from a cut tail.
    pub(crate) valid_from: Position,
    /// Known to be on disk when this header was written.
    pub(crate) synced_through: Position,
    /// Where the file before this one in the sequence was left.
    pub(crate) previous_end: Position,
    pub(crate) file_size: u64,
    /// The number in the file's name.
    pub(crate) slot: u32,
    /// At least this many files make the ring.
    pub(crate) ring_files: u32,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Damaged(&'static str),
    Newer(u16),
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; SECTOR_BYTES] {
        let mut fields = Fields::<SECTOR_BYTES>::new();
        fields.put(FILE_MAGIC);
        fields.put(&[0; 4]);
        fields.put(&VERSION.to_le_bytes());
        fields.put(&[0; 2]);
        fields.put(&self.directory_id.to_le_bytes());
        fields.put(&self.sequence.unwrap_or(FREE).to_le_bytes());
        fields.put(&self.generation.to_le_bytes());
        fields.put(&self.valid_from.get().to_le_bytes());
        fields.put(&self.synced_through.get().to_le_bytes());
        fields.put(&self.previous_end.get().to_le_bytes());
        fields.put(&self.file_size.to_le_bytes());
        fields.put(&self.slot.to_le_bytes());
        fields.put(&self.ring_files.to_le_bytes());
        let mut sector = fields.bytes;
        let (front, covered) = sector.split_at_mut(FILE_COVERED_FROM);
        if let Some(place) = front.last_chunk_mut::<4>() {
            *place = crc32c::crc32c(covered).to_le_bytes();
        }
        sector
    }

    pub(crate) fn decode(sector: &[u8; SECTOR_BYTES]) -> Result<Self, HeaderError> {
        const SHORT: HeaderError = HeaderError::Damaged("the file header is cut short");
        let (front, covered) = sector.split_at(FILE_COVERED_FROM);
        if !front.starts_with(FILE_MAGIC) {
            return Err(HeaderError::Damaged("the file header has no magic"));
        }
        if front.last_chunk::<4>() != Some(&crc32c::crc32c(covered).to_le_bytes()) {
            return Err(HeaderError::Damaged("the checksum of the file header does not match"));
        }
        let mut source = Source::new(covered);
        let version = source.array().map(u16::from_le_bytes).map_err(|_| SHORT)?;
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        let mut read = || -> Option<Self> {
            source.array::<2>().ok()?;
            let directory_id = u128::from_le_bytes(source.array().ok()?);
            let mut next = || source.array().map(u64::from_le_bytes).ok();
            Some(Self {
                directory_id,
                sequence: next().map(|sequence| (sequence != FREE).then_some(sequence))?,
                generation: next()?,
                valid_from: next().map(Position::new)?,
                synced_through: next().map(Position::new)?,
                previous_end: next().map(Position::new)?,
                file_size: next()?,
                slot: source.fixed_u32().ok()?,
                ring_files: source.fixed_u32().ok()?,
            })
        };
        read().ok_or(SHORT)
    }
}

/// What a group says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) version: u16,
    /// Bytes of entries behind the header.
    pub(crate) payload_len: u32,
    /// The low half of the directory id.
    pub(crate) directory: u64,
    pub(crate) position: Position,
    pub(crate) generation: u64,
    pub(crate) synced_through: Position,
    pub(crate) entries: u32,
}

impl GroupHeader {
    pub(crate) fn encode(&self) -> [u8; GROUP_HEADER] {
        let mut fields = Fields::<GROUP_HEADER>::new();
        fields.put(GROUP_MAGIC);
        fields.put(&[0; 4]);
        fields.put(&self.version.to_le_bytes());
        fields.put(&[0; 2]);
        fields.put(&self.payload_len.to_le_bytes());
        fields.put(&self.directory.to_le_bytes());
        fields.put(&self.position.get().to_le_bytes());
        fields.put(&self.generation.to_le_bytes());
        fields.put(&self.synced_through.get().to_le_bytes());
        fields.put(&self.entries.to_le_bytes());
        fields.bytes
    }

    /// Reads the fields without a look at the checksum; `None` if these bytes begin no group.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<GROUP_HEADER>()?;
        let mut source = Source::new(bytes.strip_prefix(GROUP_MAGIC)?);
        source.array::<4>().ok()?;
        let version = u16::from_le_bytes(source.array().ok()?);
        source.array::<2>().ok()?;
        let payload_len = source.fixed_u32().ok()?;
        let mut next = || source.array().map(u64::from_le_bytes).ok();
        Some(Self {
            version,
            payload_len,
            directory: next()?,
            position: next().map(Position::new)?,
            generation: next()?,
            synced_through: next().map(Position::new)?,
            entries: source.fixed_u32().ok()?,
        })
    }

    /// Bytes that the group takes on disk.
    pub(crate) const fn disk_len(&self) -> u64 {
        padded(GROUP_HEADER as u64 + self.payload_len as u64)
    }

    /// Whether a group of this length may stand at `position` of a ring file.
    pub(crate) fn fits(&self, geometry: Geometry) -> bool {
        self.position.get().is_multiple_of(super::position::SECTOR) && self.disk_len() <= geometry.rest(self.position)
    }
}

/// Puts the checksum into a whole group, padding included.
pub(crate) fn seal_group(group: &mut [u8]) {
    if let Some((front, covered)) = group.split_at_mut_checked(GROUP_COVERED_FROM)
        && let Some(place) = front.last_chunk_mut::<4>()
    {
        *place = crc32c::crc32c(covered).to_le_bytes();
    }
}

/// Whether the checksum of a whole group, padding included, matches.
pub(crate) fn group_is_sound(group: &[u8]) -> bool {
    group
        .split_at_checked(GROUP_COVERED_FROM)
        .is_some_and(|(front, covered)| front.last_chunk::<4>() == Some(&crc32c::crc32c(covered).to_le_bytes()))
}

/// Fixed fields written one behind the other; what is left stays zero.
struct Fields<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Fields<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    fn put(&mut self, field: &[u8]) {
        let end = self.at + field.len();
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            place.copy_from_slice(field);
        }
        self.at = end;
    }
}

const FILE_MAGIC: &[u8; 8] = b"SHRMRING";
const FILE_COVERED_FROM: usize = 12;
const GROUP_MAGIC: &[u8; 4] = b"SMJG";
const GROUP_COVERED_FROM: usize = 8;
