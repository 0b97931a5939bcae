//! Tests of the journal on a disk in memory, and what they share: a script of entries whose bytes follow from their
//! number, and readers that give back those numbers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]

mod basics;
mod codec;
mod corners;
mod crash;
mod damage;
mod faults;
mod fuzz;
mod open_files;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::ids::{DeliveryCount, Offset, OffsetRange, PartitionKey, ShareKey};
use crate::share::{ArchiveCause, Change};
use crate::storage::{MemoryStorage, Storage};
use crate::time::{Delay, WallTime};

const ID: u128 = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210;

/// Bytes of a ring file: a header and fifteen sectors.
const FILE: u64 = 8192;
const ROOM: u64 = FILE - SECTOR;

/// Two files at first, four at most.
fn small() -> JournalOptions {
    JournalOptions {
        durability: Durability::Sync,
        file_size: FILE,
        initial_files: 2,
        journal_size: 4 * FILE,
        hook: Hook::default(),
    }
}

fn storage() -> MemoryStorage {
    MemoryStorage::new(7)
}

fn shared(storage: &MemoryStorage) -> Arc<dyn Storage> {
    Arc::new(storage.clone())
}

fn create(storage: &MemoryStorage, options: JournalOptions) -> Journal {
    Journal::create(shared(storage), options, ID).unwrap()
}

/// An entry as bytes that can be compared: what `Debug` says of its operations.
type Image = String;

fn images(storage: &MemoryStorage, from: Position) -> Result<(Journal, Report, Vec<Image>), JournalError> {
    let mut images = Vec::new();
    let (journal, report) = Journal::open(shared(storage), small(), ID, from, &mut |_, entry| {
        images.push(image(entry.operations));
        Ok(())
    })?;
    Ok((journal, report, images))
}

fn image(operations: &[Operation<'_>]) -> Image {
    format!("{operations:?}")
}

fn batch(number: u64) -> Vec<u8> {
    let len = BATCH_LEN_MIN + usize::try_from(number * 397 % 1400).unwrap();
    let mut batch: Vec<u8> = (0..len)
        .map(|at| (at as u64 * 31 + number * 7 + 1).to_le_bytes()[0])
        .collect();
    batch[12..16].fill(0);
    batch
}

fn changes(number: u64) -> Vec<Change> {
    let offset = Offset::saturating(number * 10);
    let range = OffsetRange::new(offset, offset.plus(number % 5)).unwrap();
    vec![
        Change::Acquire {
            range,
            delivery_count: DeliveryCount(1),
            at: WallTime::from_millis(1_600_000_000_000),
        },
        Change::Park {
            offset,
            delay: Delay {
                from: WallTime::from_millis(1_600_000_000_100),
                length: Duration::from_millis(1500),
            },
            continuation: number.is_multiple_of(2),
            untouched: number.is_multiple_of(4),
            checkpoint: number.is_multiple_of(3).then(|| Bytes::from(vec![9; 100])),
            note: None,
        },
        Change::Archive {
            range,
            cause: ArchiveCause::Reject,
        },
    ]
}

/// Entry `number` of the script.
fn push(group: &mut GroupBuilder, number: u64) -> Image {
    let (partition, share) = (PartitionKey(3), ShareKey(5));
    let base_offset = Offset::saturating(number * 100);
    let (batch, changes) = (batch(number), changes(number));
    let mut stored = batch.clone();
    stored[..8].copy_from_slice(&base_offset.get().to_be_bytes());
    let mut operations = Vec::new();
    if !number.is_multiple_of(4) {
        operations.push(Operation::Append {
            partition,
            base_offset,
            batch: &stored,
        });
    }
    if number % 3 != 1 {
        operations.push(Operation::Share {
            share,
            changes: changes.clone(),
        });
    }
    if number.is_multiple_of(4) {
        operations.push(Operation::Catalog { bytes: b"catalog" });
    }
    group
        .push_entry(u64::MAX, |entry| {
            for operation in &operations {
                match operation {
                    Operation::Append { .. } => entry.append(partition, base_offset, &batch),
                    Operation::Share { changes, .. } => entry.share(share, changes),
                    Operation::Catalog { bytes } => entry.catalog(bytes),
                }
            }
        })
        .unwrap();
    image(&operations)
}

/// A group with one entry.
fn one(number: u64) -> (GroupBuilder, Image) {
    let mut group = GroupBuilder::default();
    let image = push(&mut group, number);
    (group, image)
}

/// Commits entries `numbers`, one group each, and gives back their images and ends. Nothing is freed.
fn fill(journal: &mut Journal, numbers: impl IntoIterator<Item = u64>) -> Vec<(Image, Position)> {
    let commit = |number| {
        let (mut group, image) = one(number);
        let committed = journal.commit(&mut group, Durability::Sync).unwrap();
        (image, committed.end)
    };
    numbers.into_iter().map(commit).collect()
}
