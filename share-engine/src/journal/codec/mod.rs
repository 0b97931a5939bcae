//! Entries and their operations as bytes: what a group's payload is made of. Pure; `group` calls the writer, recovery
//! and `verify` call the reader. An operation of unknown kind is an error, never skipped.

mod change;
mod varint;

pub use change::{changes_len, decode_changes, encode_changes};
pub use varint::DecodeError;
pub(crate) use varint::Source;

use crate::ids::{Offset, PartitionKey, ShareKey};
use crate::share::Change;

/// One operation of an entry, as recovery sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// A record batch was appended to a partition.
    Append {
        /// The topic partition.
        partition: PartitionKey,
        /// Offset of its first record; the batch's own first field.
        base_offset: Offset,
        /// A Kafka v2 record batch with its base offset in place.
        batch: &'a [u8],
    },
    /// A share partition changed.
    Share {
        /// The share partition.
        share: ShareKey,
        /// What changed, in order.
        changes: Vec<Change>,
    },
    /// The catalog changed; the bytes are the catalog's own.
    Catalog {
        /// Opaque here.
        bytes: &'a [u8],
    },
}

/// Bytes of an entry with these operations, without the operations themselves.
pub const ENTRY_OVERHEAD: usize = 4;
/// Bytes of one operation in front of its batch, changes or catalog bytes. The catalog's has four less.
pub const OPERATION_OVERHEAD: usize = 1 + 4 + 4;
/// The fixed part of a Kafka v2 record batch: a batch cannot be shorter.
pub const BATCH_LEN_MIN: usize = 61;

/// Writes one operation: kind, length, body. The length is put in when the body is there.
pub(super) fn write_operation(buffer: &mut Vec<u8>, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) {
    buffer.push(kind as u8);
    write_prefixed(buffer, body);
}

/// Writes a 32-bit little endian length and then the body it counts.
pub(super) fn write_prefixed(buffer: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    body(buffer);
    let len = u32::try_from(buffer.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(place) = buffer.get_mut(at..at + 4) {
        place.copy_from_slice(&len.to_le_bytes());
    }
}

/// What an entry turned out to be.
pub(crate) enum Decoded {
    /// Operations were put in the list.
    Operations,
    /// The mark of a clean close.
    End,
}

/// Decodes the next entry of `payload` into `operations`, which is cleared first.
pub(crate) fn read_entry<'a>(
    payload: &mut Source<'a>,
    operations: &mut Vec<Operation<'a>>,
) -> Result<Decoded, DecodeError> {
    operations.clear();
    let len = payload.fixed_len()?;
    let mut entry = Source::new(payload.take(len)?);
    let mut end = false;
    while !entry.is_empty() {
        let kind = entry.byte()?;
        let len = entry.fixed_len()?;
        let mut body = Source::new(entry.take(len)?);
        match kind {
            APPEND => operations.push(read_append(&mut body)?),
            SHARE => operations.push(Operation::Share {
                share: ShareKey(body.fixed_u32()?),
                changes: decode_changes(body.rest())?,
            }),
            CATALOG => operations.push(Operation::Catalog { bytes: body.rest() }),
            END => end = true,
            kind => {
                return Err(DecodeError::UnknownKind {
                    what: "an operation of kind",
                    kind,
                    newest: END,
                });
            }
        }
    }
    match (end, operations.is_empty()) {
        (true, true) => Ok(Decoded::End),
        (true, false) => Err(DecodeError::Malformed("an end mark shares its entry")),
        (false, _) => Ok(Decoded::Operations),
    }
}

fn read_append<'a>(body: &mut Source<'a>) -> Result<Operation<'a>, DecodeError> {
    let partition = PartitionKey(body.fixed_u32()?);
    let batch = body.rest();
    if batch.len() < BATCH_LEN_MIN {
        return Err(DecodeError::Malformed("a record batch is shorter than its header"));
    }
    let base_offset = Offset::new(u64::from_be_bytes(body.array()?))
        .ok_or(DecodeError::Malformed("a base offset is out of range"))?;
    Ok(Operation::Append {
        partition,
        base_offset,
        batch,
    })
}

/// Operation kinds that are written. 16 to 20 are reserved: producer ids, key-value state, transactions, schedules,
/// deployments.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Kind {
    Append = APPEND,
    Share = SHARE,
    Catalog = CATALOG,
    End = END,
}

const APPEND: u8 = 1;
const SHARE: u8 = 2;
const CATALOG: u8 = 3;
const END: u8 = 4;
