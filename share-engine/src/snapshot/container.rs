//! The bytes of a snapshot file: sections between a header and a trailer, every byte under a checksum.

use bytes::Bytes;

use super::error::SnapshotError;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SectionKind {
    /// Topics, groups, ids.
    Catalog,
    /// Segments and lengths of partition logs, log starts and ends.
    PartitionLogs,
    /// One share partition.
    SharePartition,
}

impl SectionKind {
    /// The number on disk.
    pub const fn code(self) -> u16 {
        match self {
            Self::Catalog => 1,
            Self::PartitionLogs => 2,
            Self::SharePartition => 3,
        }
    }

    /// `None` for reserved and unknown numbers.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Catalog),
            2 => Some(Self::PartitionLogs),
            3 => Some(Self::SharePartition),
            _ => None,
        }
    }
}

/// A loaded snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The journal position that it sums up: everything before it is in here.
    pub position: u64,
    /// In the order in which they were written.
    pub sections: Vec<(SectionKind, Bytes)>,
}

pub(super) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"SMILLSNP";
const END_MAGIC: [u8; 8] = *b"SMILLEND";
const HEADER_BYTES: usize = 44;
const SECTION_BYTES: usize = 20;
const TRAILER_BYTES: usize = 20;

/// The parts of a file in order, so that section data need not be copied together.
pub(super) fn encode(directory_id: u128, position: u64, sections: &[(SectionKind, Bytes)]) -> Vec<Bytes> {
    let count = u32::try_from(sections.len()).unwrap_or(u32::MAX); // 2^32 share partitions do not fit a machine
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&directory_id.to_le_bytes());
    header.extend_from_slice(&position.to_le_bytes());
    header.extend_from_slice(&count.to_le_bytes());
    put_crc(&mut header);
    let mut frame_crc = crc32c::crc32c(&header);
    let mut total = HEADER_BYTES + TRAILER_BYTES;
    let mut parts = vec![Bytes::from(header)];
    for (kind, data) in sections {
        let mut head = Vec::with_capacity(SECTION_BYTES);
        head.extend_from_slice(&kind.code().to_le_bytes());
        head.extend_from_slice(&[0; 2]);
        head.extend_from_slice(&(data.len() as u64).to_le_bytes());
        head.extend_from_slice(&crc32c::crc32c(data).to_le_bytes());
        put_crc(&mut head);
        frame_crc = crc32c::crc32c_append(frame_crc, &head);
        total += SECTION_BYTES + data.len();
        parts.push(Bytes::from(head));
        parts.push(data.clone());
    }
    let mut trailer = Vec::with_capacity(TRAILER_BYTES);
    trailer.extend_from_slice(&END_MAGIC);
    trailer.extend_from_slice(&(total as u64).to_le_bytes());
    frame_crc = crc32c::crc32c_append(frame_crc, &trailer);
    trailer.extend_from_slice(&frame_crc.to_le_bytes());
    parts.push(Bytes::from(trailer));
    parts
}

/// Reads a whole file. The sections share its bytes.
pub(super) fn decode(file: &str, bytes: &Bytes, directory_id: u128) -> Result<Snapshot, SnapshotError> {
    let damaged = |position, what: &str| SnapshotError::damaged(file, position, what);
    let mut cursor = Cursor { file, bytes, at: 0 };
    let header = cursor.take(HEADER_BYTES, "header")?;
    let mut fields = &header[..];
    if take::<8>(&mut fields) != MAGIC {
        return Err(damaged(0, "magic is not that of a snapshot"));
    }
    if !crc_matches(&header) {
        return Err(damaged(0, "the header's CRC-32C does not match"));
    }
    let version = u32::from_le_bytes(take(&mut fields));
    if version != VERSION {
        return Err(SnapshotError::Version {
            file: file.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    let found = u128::from_le_bytes(take(&mut fields));
    if found != directory_id {
        return Err(SnapshotError::ForeignDirectory {
            file: file.to_owned(),
            found,
            expected: directory_id,
        });
    }
    let position = u64::from_le_bytes(take(&mut fields));
    let count = u32::from_le_bytes(take(&mut fields));
    let mut frame_crc = crc32c::crc32c(&header);
    let mut sections = Vec::new();
    for _ in 0..count {
        let at = cursor.at;
        let head = cursor.take(SECTION_BYTES, "section")?;
        if !crc_matches(&head) {
            return Err(damaged(at, "the section head's CRC-32C does not match"));
        }
        frame_crc = crc32c::crc32c_append(frame_crc, &head);
        let mut fields = &head[..];
        let kind = u16::from_le_bytes(take(&mut fields));
        let reserved = u16::from_le_bytes(take(&mut fields));
        let len = u64::from_le_bytes(take(&mut fields));
        let crc = u32::from_le_bytes(take(&mut fields));
        let len = usize::try_from(len).map_err(|_| damaged(at, "the section's length is too large"))?;
        let data_at = cursor.at;
        let data = cursor.take(len, "section data")?;
        if crc32c::crc32c(&data) != crc {
            return Err(damaged(data_at, "the section data's CRC-32C does not match"));
        }
        let unknown = SnapshotError::UnknownKind {
            file: file.to_owned(),
            position: at as u64,
            kind,
            newest: SectionKind::SharePartition.code(),
        };
        let kind = SectionKind::from_code(kind).filter(|_| reserved == 0).ok_or(unknown)?;
        sections.push((kind, data));
    }
    let at = cursor.at;
    let trailer = cursor.take(TRAILER_BYTES, "trailer")?;
    let mut fields = &trailer[..];
    let (body, stored) = trailer.split_at(16);
    let magic_matches = take::<8>(&mut fields) == END_MAGIC;
    let total = u64::from_le_bytes(take(&mut fields));
    if !magic_matches || stored != crc32c::crc32c_append(frame_crc, body).to_le_bytes() {
        return Err(damaged(at, "the trailer does not match"));
    }
    if total != bytes.len() as u64 || cursor.at != bytes.len() {
        return Err(damaged(cursor.at, "bytes follow the trailer"));
    }
    Ok(Snapshot { position, sections })
}

/// Feeds arbitrary bytes to the reader of snapshots. Panics only if what was read does not encode to the same bytes.
pub fn fuzz_snapshot(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let directory_id = data
        .get(12..28)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |id| u128::from_le_bytes(*id));
    if let Ok(snapshot) = decode("fuzz", &bytes, directory_id) {
        let again = encode(directory_id, snapshot.position, &snapshot.sections).concat();
        assert_eq!(again, data, "a snapshot has one form");
    }
}

struct Cursor<'a> {
    file: &'a str,
    bytes: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, len: usize, what: &str) -> Result<Bytes, SnapshotError> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            let what = format!("the file ends here, within a {what} that begins at byte {}", self.at);
            return Err(SnapshotError::damaged(self.file, self.bytes.len(), what));
        };
        let taken = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }
}

/// Appends the CRC-32C of what is there.
pub(super) fn put_crc(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&crc32c::crc32c(buffer).to_le_bytes());
}

/// Whether the last four bytes are the CRC-32C of those before.
pub(super) fn crc_matches(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<4>()
        .is_some_and(|(body, stored)| crc32c::crc32c(body).to_le_bytes() == *stored)
}

/// The next `N` bytes, zeros past the end; the callers know that they are there.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
    *rest = tail;
    *head
}
