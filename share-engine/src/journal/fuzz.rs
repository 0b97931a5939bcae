//! The fuzz body of the journal: any bytes as ring files, as a group's payload and as changes. Run on a corpus by a
//! plain test; a fuzzer may call it too.

#![allow(clippy::indexing_slicing, reason = "compiled for tests only")]

use std::sync::Arc;

use super::codec::{self, Source};
use super::header::{FileHeader, GroupHeader, seal_group};
use super::position::{Position, SECTOR_BYTES};
use super::{GROUP_HEADER, Journal, JournalOptions, changes_len, decode_changes, encode_changes, verify};
use crate::storage::{MemoryStorage, Storage};

/// Panics only on a bug: whatever the bytes are, they are read or refused, and what was opened once opens again.
pub fn fuzz_journal(bytes: &[u8]) {
    read_changes(bytes);
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

/// Changes that are understood are written so that they are understood the same.
fn read_changes(bytes: &[u8]) {
    let Ok(changes) = decode_changes(bytes) else { return };
    let mut again = Vec::new();
    encode_changes(&changes, &mut again);
    assert_eq!(again.len(), changes_len(&changes), "the length was computed before");
    assert_eq!(
        decode_changes(&again).as_ref(),
        Ok(&changes),
        "changes have one meaning"
    );
}

/// The same with all bytes as two whole files, whose checksums are put right wherever something claims to be a header or a
/// group: what they guard is reached with whatever it is. Whom the first file belongs to is believed.
pub fn fuzz_ring(bytes: &[u8]) {
    let storage = MemoryStorage::new(1);
    if storage.create_dir(super::ring::DIRECTORY).is_err() {
        return;
    }
    for slot in 0..2_u32 {
        let start = (slot as usize * FILE_SIZE).min(bytes.len());
        let piece = &bytes[start..(start + FILE_SIZE).min(bytes.len())];
        let mut file = vec![0; FILE_SIZE];
        file[..piece.len()].copy_from_slice(piece);
        mend(&mut file);
        storage.put(&super::ring::slot_path(slot), &file);
    }
    let owner = bytes
        .get(16..32)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |id| u128::from_le_bytes(*id));
    let options = JournalOptions {
        file_size: FILE_SIZE as u64,
        journal_size: 2 * FILE_SIZE as u64,
        ..JournalOptions::default()
    };
    let mut seen = Vec::new();
    let report = verify(&storage, owner, Position::ZERO, &mut |end, entry| {
        seen.push((end, entry.operations.len()));
        Ok(())
    });
    let is_sound = report.damage.is_empty() && report.refused.is_empty();
    let shared: Arc<dyn Storage> = Arc::new(storage);
    for life in 0..2 {
        let mut found = Vec::new();
        let opened = Journal::open(
            Arc::clone(&shared),
            options.clone(),
            owner,
            Position::ZERO,
            &mut |end, entry| {
                found.push((end, entry.operations.len()));
                Ok(())
            },
        );
        // A ring without a single file that can be written is refused by the open alone.
        assert!(
            opened.is_ok() <= is_sound,
            "life {life}: opened, although damage was found: {report:?}"
        );
        if let Err(error) = opened {
            assert_eq!(life, 0, "opened once and never again: {error}, {report:?}");
            return;
        }
        assert_eq!(found, seen, "life {life} found something else");
    }
}

/// Puts the checksums of the header and of every group right, as long as they are within the file.
fn mend(file: &mut [u8]) {
    let sum = crc32c::crc32c(&file[12..SECTOR_BYTES]);
    file[8..12].copy_from_slice(&sum.to_le_bytes());
    let mut at = SECTOR_BYTES;
    while at < FILE_SIZE {
        let Some(group) = GroupHeader::decode(&file[at..at + SECTOR_BYTES]) else {
            at += SECTOR_BYTES;
            continue;
        };
        let len = usize::try_from(group.disk_len()).unwrap_or(usize::MAX);
        match file.get_mut(at..at.saturating_add(len)) {
            Some(group) => {
                seal_group(group);
                at += len;
            }
            None => at += SECTOR_BYTES,
        }
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
