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
    let examined = examine(file, bytes, directory_id);
    match (examined.errors.into_iter().next(), examined.position) {
        (None, Some(position)) => Ok(Snapshot {
            position,
            sections: examined.sections,
        }),
        (Some(error), _) => Err(error),
        (None, None) => Err(SnapshotError::damaged(file, 0, "the header is missing")),
    }
}

/// What can be read of a file, and what is wrong with it.
pub(super) struct Examined {
    /// `None` if the header cannot be read.
    pub(super) position: Option<u64>,
    /// Those that are whole.
    pub(super) sections: Vec<(SectionKind, Bytes)>,
    /// In the order of the file.
    pub(super) errors: Vec<SnapshotError>,
}

/// Reads on behind damage as long as it is known where the next section begins.
pub(super) fn examine(file: &str, bytes: &Bytes, directory_id: u128) -> Examined {
    let mut found = Examined {
        position: None,
        sections: Vec::new(),
        errors: Vec::new(),
    };
    let mut cursor = Cursor {
        file,
        bytes,
        at: 0,
        frame_crc: 0,
    };
    if let Err(error) = cursor.read(directory_id, &mut found) {
        found.errors.push(error);
    }
    found
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
    /// Of the header and the heads of the sections so far.
    frame_crc: u32,
}

impl Cursor<'_> {
    /// An error is where nothing more can be told apart; others are noted.
    fn read(&mut self, directory_id: u128, found: &mut Examined) -> Result<(), SnapshotError> {
        let bytes = self.take(HEADER_BYTES, "header")?;
        let mut left = None;
        match self.header(&bytes, directory_id) {
            Ok((position, count)) => {
                found.position = Some(position);
                left = Some(count);
            }
            Err(error) if error.is_damage() => found.errors.push(error),
            Err(error) => return Err(error),
        }
        // Without its header the trailer ends it.
        while left.map_or_else(|| !self.is_at_trailer(), |left| left > 0) {
            match self.section()? {
                Ok(section) => found.sections.push(section),
                Err(error) => found.errors.push(error),
            }
            left = left.map(|left| left - 1);
        }
        self.trailer(left.is_some())
    }

    fn header(&mut self, header: &Bytes, directory_id: u128) -> Result<(u64, u32), SnapshotError> {
        let damaged = |what: &str| SnapshotError::damaged(self.file, 0, what);
        let mut fields = &header[..];
        if take::<8>(&mut fields) != MAGIC {
            return Err(damaged("magic is not that of a snapshot"));
        }
        if !crc_matches(header) {
            return Err(damaged("the header's CRC-32C does not match"));
        }
        let version = u32::from_le_bytes(take(&mut fields));
        if version != VERSION {
            return Err(SnapshotError::Version {
                file: self.file.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        let found = u128::from_le_bytes(take(&mut fields));
        if found != directory_id {
            return Err(SnapshotError::ForeignDirectory {
                file: self.file.to_owned(),
                found,
                expected: directory_id,
            });
        }
        self.frame_crc = crc32c::crc32c(header);
        let position = u64::from_le_bytes(take(&mut fields));
        Ok((position, u32::from_le_bytes(take(&mut fields))))
    }

    /// A section; the inner error leaves the end of the section known.
    fn section(&mut self) -> Result<Result<(SectionKind, Bytes), SnapshotError>, SnapshotError> {
        let at = self.at;
        let damaged = |position, what: &str| SnapshotError::damaged(self.file, position, what);
        let head = self.take(SECTION_BYTES, "section")?;
        if !crc_matches(&head) {
            return Err(damaged(at, "the section head's CRC-32C does not match"));
        }
        self.frame_crc = crc32c::crc32c_append(self.frame_crc, &head);
        let mut fields = &head[..];
        let kind = u16::from_le_bytes(take(&mut fields));
        let reserved = u16::from_le_bytes(take(&mut fields));
        let len = u64::from_le_bytes(take(&mut fields));
        let crc = u32::from_le_bytes(take(&mut fields));
        let len = usize::try_from(len).map_err(|_| damaged(at, "the section's length is too large"))?;
        let data_at = self.at;
        let data = self.take(len, "section data")?;
        if crc32c::crc32c(&data) != crc {
            return Ok(Err(damaged(data_at, "the section data's CRC-32C does not match")));
        }
        let unknown = SnapshotError::UnknownKind {
            file: self.file.to_owned(),
            position: at as u64,
            kind,
            newest: SectionKind::SharePartition.code(),
        };
        let known = SectionKind::from_code(kind).filter(|_| reserved == 0);
        Ok(known.map(|kind| (kind, data)).ok_or(unknown))
    }

    fn is_at_trailer(&self) -> bool {
        self.bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(&END_MAGIC))
    }

    /// Its checksum says something only if all that it covers was read.
    fn trailer(&mut self, is_framed: bool) -> Result<(), SnapshotError> {
        let at = self.at;
        let trailer = self.take(TRAILER_BYTES, "trailer")?;
        let mut fields = &trailer[..];
        let (body, stored) = trailer.split_at(16);
        let magic_matches = take::<8>(&mut fields) == END_MAGIC;
        let total = u64::from_le_bytes(take(&mut fields));
        let crc_matches = stored == crc32c::crc32c_append(self.frame_crc, body).to_le_bytes();
        if !magic_matches || (is_framed && !crc_matches) {
            return Err(SnapshotError::damaged(self.file, at, "the trailer does not match"));
        }
        if total != self.bytes.len() as u64 || self.at != self.bytes.len() {
            return Err(SnapshotError::damaged(self.file, self.at, "bytes follow the trailer"));
        }
        Ok(())
    }

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
