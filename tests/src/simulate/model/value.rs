//! What the records hold: a number, and a filling that follows from it, so that every byte of a record can be checked by
//! its number alone.

use bytes::Bytes;

use crate::simulate::chance::mix;

/// Numbers of one run are given in order; the size of a record lies in its number's upper half.
pub(crate) type Id = u64;

/// A dead letter whose record could not be read.
pub(crate) const LOST: Id = 0;

/// A number for a record of so many bytes.
pub(crate) fn id(count: u64, bytes: u64) -> Id {
    bytes << 32 | count
}

/// The value of a record.
pub(crate) fn value(id: Id) -> Bytes {
    let len = (id >> 32) as usize;
    let mut value = Vec::with_capacity(len + 8);
    value.extend_from_slice(&id.to_le_bytes());
    value.resize(len + 8, filling(id));
    Bytes::from(value)
}

/// The number of the record that has this value; `None` if none has.
pub(crate) fn read(value: Option<&[u8]>) -> Option<Id> {
    let (number, rest) = value?.split_first_chunk::<8>()?;
    let id = u64::from_le_bytes(*number);
    let whole = rest.len() as u64 == id >> 32 && rest.iter().all(|byte| *byte == filling(id));
    whole.then_some(id)
}

/// Some records have a key: it follows from the number.
pub(crate) fn key(id: Id) -> Option<Bytes> {
    let len = 1 + (id % 4) as usize;
    let keyed = mix(id).is_multiple_of(3);
    keyed.then(|| Bytes::copy_from_slice(&mix(id ^ 7).to_le_bytes()[..len]))
}

fn filling(id: Id) -> u8 {
    mix(id) as u8
}
