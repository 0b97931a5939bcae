//! Bits that flip and files that are cut at rest; files of a newer version or of another directory.

use super::*;
use crate::storage::CrashPlan;

/// A closed journal on its second lap, its images and the position of its snapshot.
fn closed() -> (MemoryStorage, Vec<Image>, Position, Position) {
    let storage = storage();
    let mut journal = create(&storage, small());
    let mut done: Vec<(Image, Position)> = Vec::new();
    for number in 0..20 {
        if done.len() > 3 {
            journal.free_before(done.remove(0).1);
        }
        done.extend(fill(&mut journal, [number]));
    }
    let from = done.remove(0).1;
    let tail = journal.close().unwrap();
    (storage, done.into_iter().map(|(image, _)| image).collect(), from, tail)
}

fn is_corrupt(error: &JournalError, file: &str) -> bool {
    matches!(error, JournalError::Corrupt(damage) if damage.file == file && damage.bytes > 0)
}

/// Which bytes of which file hold something that is still needed.
fn live(storage: &MemoryStorage, from: Position, tail: Position) -> Vec<(String, u64)> {
    let mut live = Vec::new();
    for path in storage.files() {
        let bytes = storage.contents(&path);
        let sequence = u64::from_le_bytes(bytes[32..40].try_into().unwrap());
        live.extend((0..512).map(|at| (path.clone(), at)));
        let start = sequence.saturating_mul(ROOM);
        for offset in 512..FILE {
            let position = start.saturating_add(offset - 512);
            if position >= from.get() && position < tail.get() && !is_skipped(storage, sequence, position) {
                live.push((path.clone(), offset));
            }
        }
    }
    live
}

fn is_skipped(storage: &MemoryStorage, sequence: u64, position: u64) -> bool {
    storage.files().iter().any(|path| {
        let bytes = storage.contents(path);
        let field = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        field(32) == sequence + 1 && position >= field(64)
    })
}

#[test]
fn every_flipped_bit_after_a_clean_close_is_reported() {
    let (storage, expected, from, tail) = closed();
    let (_, report, found) = images(&storage.fork(0), from).unwrap();
    assert!(report.clean);
    assert_eq!((&found, report.tail), (&expected, tail));
    let live = live(&storage, from, tail);
    assert!(live.len() > 3000, "{}", live.len());
    for (path, offset) in &live {
        for bit in [0, 3, 7] {
            let disk = storage.fork(0);
            disk.flip(path, *offset, bit);
            let before: Vec<_> = disk.files().iter().map(|path| disk.contents(path)).collect();
            let error = match images(&disk, from) {
                Ok((_, report, _)) => panic!("{path} {offset} {bit}: {report:?}"),
                Err(error) => error,
            };
            assert!(is_corrupt(&error, path), "{path} {offset} {bit}: {error}");
            let JournalError::Corrupt(damage) = &error else {
                unreachable!()
            };
            let reported = damage.offset..damage.offset + damage.bytes;
            assert!(reported.contains(offset), "{path} {offset} {bit}: {error}");
            let after: Vec<_> = disk.files().iter().map(|path| disk.contents(path)).collect();
            assert!(before == after, "{path} {offset} {bit}: changed");
            let report = verify(&disk, ID, from, &mut |_, _| Ok(()));
            assert_eq!(report.damage.len(), 1, "{path} {offset} {bit}: {report:?}");
        }
    }
}

#[test]
fn every_truncation_is_reported() {
    let (storage, _, from, _) = closed();
    for path in storage.files() {
        for len in (0..FILE).step_by(64).chain([1, 511, 513, FILE - 1]) {
            let disk = storage.fork(0);
            disk.truncate(&path, len);
            let error = images(&disk, from).unwrap_err();
            assert!(is_corrupt(&error, &path), "{path} {len}: {error}");
            assert_eq!(verify(&disk, ID, from, &mut |_, _| Ok(())).damage.len(), 1);
        }
        let disk = storage.fork(0);
        let mut longer = disk.contents(&path);
        longer.push(0);
        disk.put(&path, &longer);
        assert!(is_corrupt(&images(&disk, from).unwrap_err(), &path));
    }
}

#[test]
fn a_missing_file_is_reported() {
    let (storage, _, from, _) = closed();
    for path in storage.files() {
        let disk = storage.fork(0);
        disk.remove(&path).unwrap();
        let error = images(&disk, from).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the journal is damaged: {path}: the file is missing at offset 0 (0 bytes)")
        );
    }
}

/// Without a clean close the last group may be cut, never one that a later group knows to be synced.
#[test]
fn after_a_crash_only_the_last_group_may_be_cut() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let done = fill(&mut journal, 0..3);
    let disk = storage.crash(CrashPlan::Keep);
    let (mut torn, mut corrupt) = (0, 0);
    for offset in 512..512 + done[2].1.get() {
        let disk = disk.fork(0);
        disk.flip("journal/0000.ring", offset, 5);
        let last = done[1].1.get() + 512;
        match images(&disk, Position::ZERO) {
            Ok((_, report, found)) => {
                assert!(offset >= last, "{offset}");
                assert_eq!(found.len(), 2, "{offset}");
                if let Some(cut) = report.torn {
                    torn += 1;
                    let expected = (String::from("journal/0000.ring"), last, done[2].1.since(done[1].1));
                    // A flipped length is believed as far as the file goes.
                    assert_eq!((cut.file, cut.offset), (expected.0, expected.1));
                }
            }
            Err(error) => {
                corrupt += 1;
                assert!(
                    offset < last && is_corrupt(&error, "journal/0000.ring"),
                    "{offset}: {error}"
                );
            }
        }
    }
    assert!(torn > 300 && corrupt > 300, "{torn} {corrupt}");
}

#[test]
fn damage_in_an_earlier_file_is_found_from_the_later_one() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let done = fill(&mut journal, 0..10);
    assert!(done[8].1.get() > ROOM, "the second file is in use");
    drop(journal);
    for (_, end) in done.iter().filter(|(_, end)| end.get() < ROOM) {
        let disk = storage.fork(0);
        disk.flip("journal/0000.ring", end.get() + 511, 1);
        assert!(is_corrupt(
            &images(&disk, Position::ZERO).unwrap_err(),
            "journal/0000.ring"
        ));
    }
}

#[test]
fn verify_goes_on_behind_the_damage() {
    let (storage, _, from, tail) = closed();
    let report = verify(&storage, ID, from, &mut |_, _| Ok(()));
    assert!(report.damage.is_empty());
    let (groups, entries) = (report.report.groups, report.report.entries);
    assert_eq!((groups, entries, report.report.tail), (4, 3, tail));
    let calls = storage.calls();
    assert!(report.bytes > 0 && calls > 0);
    // The sector at the snapshot's position begins the first group.
    let disk = storage.fork(0);
    let first = live(&disk, from, tail)
        .into_iter()
        .find(|(_, offset)| *offset == 512 + from.get() % ROOM)
        .unwrap();
    disk.flip(&first.0, first.1 + 70, 0);
    let report = verify(&disk, ID, from, &mut |_, _| Ok(()));
    assert_eq!(
        (report.damage.len(), report.report.groups),
        (1, groups - 1),
        "{report:?}"
    );
    assert_eq!(report.damage[0].offset, first.1);
}

/// Where the file before it was left stands in a ring file's header. Without it the end of the file before, which is sound,
/// was named as well.
#[test]
fn a_damaged_header_in_the_middle_names_no_other_file() {
    let storage = storage();
    let options = JournalOptions {
        initial_files: 3,
        ..small()
    };
    let mut journal = create(&storage, options);
    let mut done = Vec::new();
    while journal.tail().get() < 2 * ROOM + 2048 {
        done.extend(fill(&mut journal, [done.len() as u64 + 1]));
    }
    let tail = journal.close().unwrap();
    assert!(tail.get() > 2 * ROOM && tail.get() < 3 * ROOM, "{tail}");
    let in_middle = |(_, end): &&(Image, Position)| (ROOM + 1..=2 * ROOM).contains(&end.get());
    let others = done.len() - done.iter().filter(in_middle).count();
    let (middle, first) = ("journal/0001.ring", "journal/0000.ring");
    storage.flip(middle, 20, 3);
    let look = |disk: &MemoryStorage| {
        let report = verify(disk, ID, Position::ZERO, &mut |_, _| Ok(()));
        assert!(report.refused.is_empty());
        let damaged: Vec<String> = report.damage.iter().map(|one| one.file.clone()).collect();
        let unread: Vec<String> = report.unread.into_iter().map(|(file, _)| file).collect();
        (damaged, unread, report.report.groups)
    };
    let groups = others as u64 + 1;
    assert_eq!(
        look(&storage),
        (vec![middle.to_owned()], vec![middle.to_owned()], groups)
    );
    // What does stand at the end of the first file is not taken for its end.
    let last = done
        .iter()
        .rev()
        .map(|(_, end)| end.get())
        .filter(|end| *end <= ROOM)
        .nth(1)
        .unwrap();
    let disk = storage.fork(0);
    disk.flip(first, 512 + last + 100, 1);
    let both = vec![middle.to_owned(), first.to_owned()];
    assert_eq!(look(&disk), (both.clone(), vec![middle.to_owned()], groups - 1));
    // Nobody can tell what this was.
    let disk = storage.fork(0);
    disk.flip(first, 512 + last, 1);
    assert_eq!(look(&disk), (vec![middle.to_owned()], both, groups - 1));
}

#[test]
fn another_directory_is_refused() {
    let (storage, ..) = closed();
    let before: Vec<_> = storage.files().iter().map(|path| storage.contents(path)).collect();
    let error = Journal::open(shared(&storage), small(), ID + 1, Position::ZERO, &mut |_, _| Ok(())).unwrap_err();
    let expected = format!(
        "journal/0000.ring belongs to data directory {ID:032x}, not to {:032x}",
        ID + 1
    );
    assert_eq!(error.to_string(), expected);
    let after: Vec<_> = storage.files().iter().map(|path| storage.contents(path)).collect();
    assert_eq!(before, after);
}

/// Such a journal was opened once, as one that had been closed, and then never again.
#[test]
fn an_end_mark_below_what_was_synced_is_damage() {
    let (storage, _, from, tail) = closed();
    let path = format!("journal/{:04}.ring", tail.get() / ROOM % 2);
    let mut bytes = storage.contents(&path);
    bytes[56..64].copy_from_slice(&(tail.get() + 1024).to_le_bytes());
    seal_file_header(&mut bytes);
    storage.put(&path, &bytes);
    let error = images(&storage, from).unwrap_err();
    assert!(error.to_string().contains("a synced group is not whole"), "{error}");
    assert!(storage.contents(&path) == bytes);
    assert_eq!(verify(&storage, ID, from, &mut |_, _| Ok(())).damage.len(), 1);
}

/// Each of them was named, in tens of gigabytes.
#[test]
fn missing_files_are_named_up_to_a_number() {
    let (storage, _, from, _) = closed();
    let path = "journal/0000.ring";
    let mut bytes = storage.contents(path);
    bytes[84..88].copy_from_slice(&u32::MAX.to_le_bytes());
    seal_file_header(&mut bytes);
    storage.put(path, &bytes);
    let report = verify(&storage, ID, from, &mut |_, _| Ok(()));
    assert_eq!(report.damage.len(), 64);
    assert!(report.damage.iter().all(|one| one.reason == "the file is missing"));
    assert!(is_missing(&images(&storage, from).unwrap_err(), "journal/0002.ring"));
}

fn is_missing(error: &JournalError, file: &str) -> bool {
    matches!(error, JournalError::Corrupt(damage) if damage.file == file && damage.reason == "the file is missing")
}

fn seal_file_header(bytes: &mut [u8]) {
    let sum = crc32c::crc32c(&bytes[12..512]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
}

/// Seals the group that starts at offset 512.
fn seal_first_group(bytes: &mut [u8]) {
    let len = usize::try_from(u32::from_le_bytes(bytes[524..528].try_into().unwrap())).unwrap();
    let end = 512 + (64 + len).next_multiple_of(512);
    let sum = crc32c::crc32c(&bytes[520..end]);
    bytes[516..520].copy_from_slice(&sum.to_le_bytes());
}

fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> (MemoryStorage, JournalError) {
    let storage = storage();
    fill(&mut create(&storage, small()), 1..3);
    let mut bytes = storage.contents("journal/0000.ring");
    edit(&mut bytes);
    storage.put("journal/0000.ring", &bytes);
    let error = images(&storage, Position::ZERO).unwrap_err();
    assert!(storage.contents("journal/0000.ring") == bytes, "refused untouched");
    (storage, error)
}

#[test]
fn newer_formats_are_refused_untouched() {
    let (_, error) = edited(|bytes| {
        bytes[12] = 2;
        seal_file_header(bytes);
    });
    let expected = "journal/0000.ring has format version 2, newer than 1, the newest this version reads";
    assert_eq!(error.to_string(), expected);
    let (_, error) = edited(|bytes| {
        bytes[520] = 2;
        seal_first_group(bytes);
    });
    assert_eq!(error.to_string(), expected);
    // Kind of the first operation of the first entry.
    let (_, error) = edited(|bytes| {
        bytes[512 + 64 + 4] = 16;
        seal_first_group(bytes);
    });
    let expected = "journal/0000.ring holds an operation of kind 16 in the group at offset 512; a newer version wrote it, this one reads up to 4";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_sound_group_with_senseless_content_is_damage() {
    for at in [512 + 64, 512 + 64 + 5, 512 + 48] {
        let (_, error) = edited(|bytes| {
            bytes[at + 1] ^= 0x40;
            seal_first_group(bytes);
        });
        assert!(is_corrupt(&error, "journal/0000.ring"), "{at}: {error}");
    }
}

#[test]
fn a_visitor_may_give_up() {
    let (storage, _, from, _) = closed();
    let mut seen = 0;
    let error = Journal::open(shared(&storage), small(), ID, from, &mut |_, _| {
        seen += 1;
        if seen == 2 {
            Err("no such partition".into())
        } else {
            Ok(())
        }
    })
    .unwrap_err();
    assert!(matches!(error, JournalError::Visitor { .. }), "{error}");
    assert!(
        error.to_string().ends_with("cannot be applied: no such partition"),
        "{error}"
    );
    assert_eq!(seen, 2);
}
