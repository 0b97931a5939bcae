//! The records of a crash test: key and value follow from their number, so that whoever reads one knows whether it is whole.

use std::fmt::Write as _;

use bytes::Bytes;
use share_engine::record::{NewRecord, RecordView};

use super::chance::{Chance, mixed};

/// Least and largest size of a value in bytes; a digit of its number more or less.
const SIZES: (u64, u64) = (16, 400);

/// The record of a number.
pub(super) fn record(number: u64) -> NewRecord {
    NewRecord {
        key: Some(key(number)),
        value: Some(value(number)),
        ..NewRecord::default()
    }
}

/// The number of a record that is whole; else what is wrong with it.
pub(super) fn number(record: &RecordView<'_>) -> Result<u64, String> {
    let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
    let number = key.and_then(|key| key.parse().ok());
    let number = number.ok_or_else(|| "its key is no number".to_owned())?;
    if record.value == Some(&*value(number)) {
        Ok(number)
    } else {
        Err(format!("the value of number {number} is not what was sent"))
    }
}

fn key(number: u64) -> Bytes {
    number.to_string().into()
}

fn value(number: u64) -> Bytes {
    let mut chance = Chance::new(number, 0);
    let size = chance.between(SIZES.0, SIZES.1);
    let size = usize::try_from(size).unwrap_or(0);
    let mut text = format!("{:016x}", mixed(number));
    while text.len() < size {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:016x}", chance.next());
    }
    text.into()
}
