//! The fuzz body of the journal: any bytes as ring files, as a group's payload and as changes. Run on a corpus by a
//! plain test; a fuzzer may call it too.

#![allow(clippy::indexing_slicing, reason = "compiled for tests only")]

use std::sync::Arc;

use super::codec::{self, Source};
use super::header::{FileHeader, GroupHeader, seal_group};
use super::position::{Position, SECTOR_BYTES};
use super::{GROUP_HEADER, Journal, JournalOptions, decode_changes, verify};
use crate::storage::{MemoryStorage, Storage};

/// Panics only on a bug: whatever the bytes are, they are read or refused, and what was opened once opens again.
pub fn fuzz_journal(bytes: &[u8]) {
    drop(decode_changes(bytes));
    let mut payload = Source::new(bytes);
    let mut operations = Vec::new();
    while !payload.is_empty() && codec::read_entry(&mut payload, &mut operations).is_ok() {}

    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let storage = MemoryStorage::new(u64::from(*choice));
    if storage.create_dir(super::ring::DIRECTORY).is_err() {
        return;
    }
    for slot in 0..2_u32 {
        let half = bytes.len() / 2;
        let piece = if slot == 0 { &bytes[..half] } else { &bytes[half..] };
        let mut file = vec![0; FILE_SIZE];
        let len = piece.len().min(FILE_SIZE);
        file[..len].copy_from_slice(&piece[..len]);
        // Bit by bit the checksums are put right, so that what they guard is reached.
        if choice & (1 << slot) != 0 {
            let header = FileHeader {
                directory_id: 7,
                sequence: (choice & 4 == 0 || slot == 0).then_some(u64::from(slot)),
                generation: u64::from(choice >> 6),
                valid_from: Position::ZERO,
                synced_through: Position::ZERO,
                previous_end: Position::new(u64::from(choice >> 5) * 512),
                file_size: FILE_SIZE as u64,
                slot,
                ring_files: 2,
            };
            file[..SECTOR_BYTES].copy_from_slice(&header.encode());
        }
        if choice & (8 << slot) != 0 {
            seal_groups(&mut file, slot);
        }
        storage.put(&super::ring::slot_path(slot), &file);
    }
    drop(verify(&storage, 7, Position::ZERO, &mut |_, _| Ok(())));
    let options = JournalOptions {
        file_size: FILE_SIZE as u64,
        journal_size: 2 * FILE_SIZE as u64,
        ..JournalOptions::default()
    };
    let shared: Arc<dyn Storage> = Arc::new(storage);
    let mut first = 0_u64;
    let opened = Journal::open(Arc::clone(&shared), options.clone(), 7, Position::ZERO, &mut |_, _| {
        first += 1;
        Ok(())
    });
    if opened.is_ok() {
        let mut second = 0_u64;
        let again = Journal::open(shared, options, 7, Position::ZERO, &mut |_, _| {
            second += 1;
            Ok(())
        });
        assert!(again.is_ok(), "opened once and never again: {again:?}");
        assert_eq!(first, second, "the second open found something else");
    }
}

/// Turns every sector into the start of a sound group that takes the rest of its length from the bytes.
fn seal_groups(file: &mut [u8], slot: u32) {
    let mut at = SECTOR_BYTES;
    while at < FILE_SIZE {
        let wanted = usize::from(file[at]) * 4;
        let len = (GROUP_HEADER + wanted)
            .next_multiple_of(SECTOR_BYTES)
            .min(FILE_SIZE - at);
        let header = GroupHeader {
            version: 1,
            payload_len: u32::try_from(wanted.min(len - GROUP_HEADER)).unwrap_or(0),
            directory: 7,
            position: Position::new(u64::from(slot) * (FILE_SIZE - SECTOR_BYTES) as u64 + (at - SECTOR_BYTES) as u64),
            generation: u64::from(file[at + 1] & 3),
            synced_through: Position::new(u64::from(file[at + 2]) * 64),
            entries: u32::from(file[at + 3] & 3),
        };
        file[at..at + GROUP_HEADER].copy_from_slice(&header.encode());
        seal_group(&mut file[at..at + len]);
        at += len;
    }
}

const FILE_SIZE: usize = 8192;
