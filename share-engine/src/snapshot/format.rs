//! The `format` file: magic, format version and id of the data directory. Read before anything else is.

use super::container::{crc_matches, put_crc, take};
use super::error::SnapshotError;
use super::store;
use crate::storage::Storage;

const PATH: &str = "format";
const TEMPORARY: &str = "format.tmp";
const MAGIC: [u8; 8] = *b"SMILLDIR";
const VERSION: u32 = 1;
const BYTES: usize = 32;

/// The id of the data directory; `None` if there is no `format` file, that is in a new directory.
///
/// # Errors
/// [`SnapshotError::Damaged`], and [`SnapshotError::Version`] for a directory of a newer version.
pub fn read_format(storage: &dyn Storage) -> Result<Option<u128>, SnapshotError> {
    let Some(bytes) = store::read(storage, PATH)? else {
        return Ok(None);
    };
    let Some(head) = bytes.get(..BYTES) else {
        let what = format!("the file ends here, {BYTES} bytes expected");
        return Err(SnapshotError::damaged(PATH, bytes.len(), what));
    };
    let mut fields = head;
    if take::<8>(&mut fields) != MAGIC {
        return Err(SnapshotError::damaged(PATH, 0, "magic is not that of a data directory"));
    }
    if !crc_matches(head) {
        return Err(SnapshotError::damaged(PATH, 28, "the CRC-32C does not match"));
    }
    let version = u32::from_le_bytes(take(&mut fields));
    if version != VERSION {
        return Err(SnapshotError::Version {
            file: PATH.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    if bytes.len() > BYTES {
        return Err(SnapshotError::damaged(PATH, BYTES, "bytes follow the end"));
    }
    Ok(Some(u128::from_le_bytes(take(&mut fields))))
}

/// Makes this data directory the one with this id. For a new directory, once.
pub fn write_format(storage: &dyn Storage, directory_id: u128) -> Result<(), SnapshotError> {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&directory_id.to_le_bytes());
    put_crc(&mut bytes);
    store::replace(storage, "", TEMPORARY, PATH, &[bytes.into()], || {})
}
