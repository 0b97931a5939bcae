//! The checksum sidecar of a segment: layout in the module's head, nothing but bytes here.

use super::error::LogError;
use crate::ids::Offset;
use crate::time::WallTime;

pub(super) const HEADER_BYTES: usize = 40;
pub(super) const ENTRY_BYTES: usize = 24;

const MAGIC: [u8; 8] = *b"SMILLSUM";
const VERSION: u32 = 1;

/// One interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Position in the log behind it.
    pub(super) end: u32,
    /// Last offset in it minus segment base.
    pub(super) last: u32,
    /// Largest timestamp from the segment's first record to its last.
    pub(super) max_timestamp: WallTime,
    /// CRC-32C of its bytes.
    pub(super) crc: u32,
}

impl Entry {
    pub(super) fn encode(&self, base: Offset, number: u32) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let (body, crc) = bytes.split_at_mut(20);
        let fields = [
            &self.end.to_le_bytes()[..],
            &self.last.to_le_bytes(),
            &self.max_timestamp.as_millis().to_le_bytes(),
            &self.crc.to_le_bytes(),
        ];
        for (to, from) in body.iter_mut().zip(fields.concat()) {
            *to = from;
        }
        crc.copy_from_slice(&entry_crc(base, number, body).to_le_bytes());
        bytes
    }

    /// `Err` says what is wrong.
    pub(super) fn parse(bytes: &[u8; ENTRY_BYTES], base: Offset, number: u32) -> Result<Self, String> {
        let (body, stored) = bytes.split_at(20);
        let mut rest = bytes.as_slice();
        let end = u32::from_le_bytes(take(&mut rest));
        let last = u32::from_le_bytes(take(&mut rest));
        let max_timestamp = WallTime::from_millis(i64::from_le_bytes(take(&mut rest)));
        let crc = u32::from_le_bytes(take(&mut rest));
        let computed = entry_crc(base, number, body);
        if stored != computed.to_le_bytes() {
            return Err(format!(
                "entry {number} has CRC-32C {computed:#010x}, another is stored"
            ));
        }
        Ok(Self {
            end,
            last,
            max_timestamp,
            crc,
        })
    }
}

pub(super) fn header(directory_id: u128, base: Offset) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let (body, crc) = bytes.split_at_mut(36);
    let fields = [
        &MAGIC[..],
        &VERSION.to_le_bytes(),
        &directory_id.to_le_bytes(),
        &base.get().to_le_bytes(),
    ];
    for (to, from) in body.iter_mut().zip(fields.concat()) {
        *to = from;
    }
    crc.copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    bytes
}

/// Tells damage from a newer version and from another directory's file.
pub(super) fn check_header(
    bytes: &[u8; HEADER_BYTES],
    file: &str,
    directory_id: u128,
    base: Offset,
) -> Result<(), LogError> {
    let (body, stored) = bytes.split_at(36);
    let mut rest = body;
    let magic: [u8; 8] = take(&mut rest);
    if magic != MAGIC {
        return Err(LogError::corrupt(file, 0, "magic is not that of a sidecar"));
    }
    if stored != crc32c::crc32c(body).to_le_bytes() {
        return Err(LogError::corrupt(file, 36, "the header's CRC-32C does not match"));
    }
    let version = u32::from_le_bytes(take(&mut rest));
    if version != VERSION {
        return Err(LogError::Version {
            file: file.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    let found = u128::from_le_bytes(take(&mut rest));
    if found != directory_id {
        return Err(LogError::ForeignDirectory {
            file: file.to_owned(),
            found,
            expected: directory_id,
        });
    }
    let found = u64::from_le_bytes(take(&mut rest));
    if found != base.get() {
        let what = format!("sidecar of segment {found}, expected {base}");
        return Err(LogError::corrupt(file, 28, what));
    }
    Ok(())
}

/// How many entries a sidecar of this length has; `None` if it ends within one or is shorter than its header.
pub(super) fn entry_count(bytes: u64) -> Option<u32> {
    let entries = bytes.checked_sub(HEADER_BYTES as u64)?;
    if !entries.is_multiple_of(ENTRY_BYTES as u64) {
        return None;
    }
    u32::try_from(entries / ENTRY_BYTES as u64).ok()
}

pub(super) fn entry_position(number: u32) -> u64 {
    HEADER_BYTES as u64 + u64::from(number) * ENTRY_BYTES as u64
}

fn entry_crc(base: Offset, number: u32, body: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&base.get().to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
    crc32c::crc32c_append(crc, body)
}

/// The next `N` bytes, zeros past the end; the callers know that they are there.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
    *rest = tail;
    *head
}
