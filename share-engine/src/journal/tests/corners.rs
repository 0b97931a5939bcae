//! Corners of the journal: limits that are met exactly, groups that only a later one knows to be synced, words.

use super::*;
use crate::journal::codec::Source;
use crate::journal::header::FileHeader;
use crate::journal::position::padded;
use crate::storage::{CallKind, CrashPlan, Fault, FaultKind};

/// What `change` makes of the options is refused for this option, or not at all.
fn refused(change: impl FnOnce(&mut JournalOptions)) -> Option<&'static str> {
    let mut options = small();
    change(&mut options);
    match options.check() {
        Ok(geometry) => {
            assert_eq!(geometry.file_size(), options.file_size);
            None
        }
        Err(JournalError::Options { option, .. }) => Some(option),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn each_size_is_taken_up_to_its_limit() {
    let sized = |size: u64| {
        refused(move |options| {
            options.file_size = size;
            options.journal_size = 2 * size;
        })
    };
    for (size, fits) in [
        (2_048, true),
        (1_536, false),
        (1 << 30, true),
        ((1 << 30) + 512, false),
        (4_000, false),
    ] {
        assert_eq!(sized(size).is_none(), fits, "{size}");
    }
    let files = |initial: u32, files: u64| {
        refused(move |options| {
            options.initial_files = initial;
            options.journal_size = files * FILE;
        })
    };
    assert_eq!(files(2, 9_999), None);
    assert_eq!(files(9_999, 9_999), None);
    assert_eq!(files(2, 10_000), Some("journal_size"));
    assert_eq!(files(1, 4), Some("initial_files"));
    assert_eq!(files(10_000, 9_999), Some("initial_files"));
    assert_eq!(files(3, 3), None);
    assert_eq!(files(3, 2), Some("journal_size"));
    let default = JournalOptions::default();
    assert_eq!((default.file_size, default.journal_size), (8 << 20, 512 << 20));
}

#[test]
fn positions_are_counted_in_bytes() {
    let (near, far) = (Position::new(512), Position::new(2_048));
    assert_eq!((far.since(near), near.since(far)), (1_536, 0));
    assert_eq!(near.to_string(), "512");
    assert_eq!((padded(1), padded(512), padded(513)), (512, 512, 1_024));
    assert_eq!(alone_on_disk(448), 512);
    assert_eq!(alone_on_disk(449), 1_024);
}

#[test]
fn a_group_says_what_it_holds_and_takes() {
    let mut group = GroupBuilder::default();
    assert!(group.is_empty());
    push(&mut group, 1);
    let len = group.disk_len();
    push(&mut group, 2);
    assert_eq!(group.entries(), 2);
    let before = group.disk_len();
    let room = group.disk_len_with(1_000);
    assert!(room > before && room <= before + 1_024 && room % SECTOR == 0);
    // Exactly as much as there is fits, and one sector less does not.
    let needed = {
        let mut group = GroupBuilder::default();
        push(&mut group, 1);
        push(&mut group, 2);
        push(&mut group, 3);
        group.disk_len()
    };
    let batch = batch(3);
    let append = |entry: &mut EntryWriter<'_>| {
        entry.append(PartitionKey(3), Offset::ZERO, &batch);
        entry.share(ShareKey(5), &changes(3));
    };
    let error = group.push_entry(needed - SECTOR, append).unwrap_err();
    assert_eq!((error.needed, error.room), (needed, needed - SECTOR));
    assert_eq!((group.entries(), group.disk_len()), (2, before));
    group.push_entry(needed, append).unwrap();
    assert_eq!((group.entries(), group.disk_len()), (3, needed));
    group.clear();
    push(&mut group, 1);
    assert_eq!((group.entries(), group.disk_len()), (1, len));
}

/// Where the groups of a journal that nothing was freed of begin, in its first file.
fn offsets(ends: &[(Image, Position)]) -> Vec<u64> {
    let begins = std::iter::once(Position::ZERO).chain(ends.iter().map(|(_, end)| *end));
    begins.map(|begin| SECTOR + begin.get()).collect()
}

fn damage(storage: &MemoryStorage) -> Damage {
    match images(storage, Position::ZERO) {
        Err(JournalError::Corrupt(damage)) => damage,
        Err(error) => panic!("{error}"),
        Ok((_, report, _)) => panic!("{report:?}"),
    }
}

#[test]
fn a_group_far_behind_knows_what_was_synced() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let mut ends = Vec::new();
    for number in [1, 2, 3] {
        let (mut group, image) = one(number);
        ends.push((image, journal.commit(&mut group, Durability::Os).unwrap().end));
    }
    let synced = journal.sync().unwrap();
    ends.extend(fill(&mut journal, [4]));
    drop(journal);
    let offsets = offsets(&ends);
    let disk = storage.crash(CrashPlan::Keep);
    disk.flip("journal/0000.ring", offsets[1] + 70, 0);
    // The second group is broken and the third knows of no sync: only the fourth does.
    let found = damage(&disk);
    assert_eq!((found.file.as_str(), found.offset), ("journal/0000.ring", offsets[1]));
    assert_eq!(found.bytes, offsets[2] - offsets[1], "{found}");
    let report = verify(&disk, ID, Position::ZERO, &mut |_, _| Ok(()));
    assert_eq!((report.damage, report.report.groups), (vec![found], 3));
    assert!(report.report.synced_through >= synced);
    // Without the fourth nothing says so, and the tail is cut at the second.
    for at in [offsets[3], offsets[3] + 64] {
        disk.flip("journal/0000.ring", at, 1);
    }
    let (_, report, _) = images(&disk, Position::ZERO).unwrap();
    assert_eq!((report.groups, report.tail), (1, ends[0].1));
    let torn = report.torn.unwrap();
    assert_eq!((torn.offset, torn.bytes), (offsets[1], offsets[3] - offsets[1]));
}

#[test]
fn damage_is_as_long_as_its_group_says_or_else_reaches_to_the_next() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let ends = fill(&mut journal, 1..6);
    drop(journal);
    let offsets = offsets(&ends);
    let path = "journal/0000.ring";
    let disk = storage.fork(0);
    disk.flip(path, offsets[1] + 100, 0);
    disk.flip(path, offsets[2] + 100, 0);
    assert_eq!(damage(&disk).bytes, offsets[2] - offsets[1]);
    // Without its magic the first of them says nothing.
    disk.flip(path, offsets[1], 0);
    assert_eq!(damage(&disk).bytes, offsets[3] - offsets[1]);
}

#[test]
fn growth_says_what_it_makes() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let growth = journal.order_growth().unwrap();
    assert_eq!((growth.len(), growth.is_empty()), (FILE, false));
    assert!(format!("{growth:?}").contains("slot: 2"), "{growth:?}");
    let file = growth.run().unwrap();
    assert_eq!(format!("{file:?}"), "GrownFile(2)");
    journal.adopt(file);
    assert_eq!((journal.capacity(), journal.capacity_max()), (3 * ROOM, 4 * ROOM));
    let text = format!("{journal:?}");
    assert!(text.contains("files: 3") && text.contains("fenced: false"), "{text}");
    assert_eq!((journal.file_size(), journal.group_len_max()), (FILE, ROOM));
}

/// A group of so many bytes on disk.
fn group_of(bytes: u64) -> GroupBuilder {
    let mut group = GroupBuilder::default();
    let overhead = GROUP_HEADER + entry_len([&[][..]], []);
    let len = usize::try_from(bytes).unwrap() - overhead;
    group
        .push_entry(u64::MAX, |entry| entry.catalog(&vec![6; len]))
        .unwrap();
    assert_eq!(group.disk_len(), bytes);
    group
}

#[test]
fn a_group_may_fill_its_file_to_the_last_byte() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let committed = journal.commit(&mut group_of(ROOM), Durability::Sync).unwrap();
    assert_eq!((committed.start, committed.end), (Position::ZERO, Position::new(ROOM)));
    let error = journal
        .commit(&mut group_of(ROOM + SECTOR), Durability::Sync)
        .unwrap_err();
    let too_large = RefusedError::TooLarge {
        len: ROOM + SECTOR,
        limit: ROOM,
    };
    assert_eq!(error.to_string(), CommitError::from(too_large).to_string());
    // The next one stands at the same place of the next file.
    let second = journal.commit(&mut group_of(ROOM - SECTOR), Durability::Sync).unwrap();
    let (_, report, found) = images(&storage, Position::ZERO).unwrap();
    assert_eq!((report.groups, report.tail, found.len()), (2, second.end, 2));
}

/// Larger than what is zeroed, read or written again in one piece, and no multiple of any of them.
#[test]
fn a_large_file_is_dealt_with_in_pieces() {
    let size = (1 << 20) + 3 * SECTOR;
    let options = JournalOptions {
        file_size: size,
        journal_size: 2 * size,
        ..small()
    };
    // Other groups lie across the ends of the pieces each time.
    for first in 0..6 {
        let durability = [Durability::Sync, Durability::Os][first % 2];
        let storage = storage();
        let mut journal = create(&storage, options.clone());
        let mut expected = Vec::new();
        for number in (first as u64)..900 {
            let (mut group, image) = one(number);
            journal.commit(&mut group, durability).unwrap();
            expected.push(image);
        }
        let tail = journal.tail();
        assert!(tail.get() > 800 << 10, "{tail}");
        drop(journal);
        let (journal, report, found) = images(&storage.crash(CrashPlan::Keep), Position::ZERO).unwrap();
        assert_eq!((found, report.tail), (expected, tail));
        assert_eq!((report.groups, report.torn), (900 - first as u64, None));
        assert_eq!(journal.synced_through(), tail);
    }
}

#[test]
fn the_owner_is_known_once_something_was_written() {
    let storage = storage();
    assert_eq!(owner(&storage), None);
    let mut journal = create(&storage, small());
    assert_eq!(owner(&storage), None);
    fill(&mut journal, [1]);
    assert_eq!(owner(&storage), Some(ID));
    storage.flip("journal/0000.ring", 20, 0);
    assert_eq!(owner(&storage), None, "the only file that says so is damaged");
}

#[test]
fn a_directory_that_cannot_be_listed_is_not_taken_for_an_empty_one() {
    let failing = |storage: &MemoryStorage| {
        let disk = storage.fork(0);
        disk.fail(Fault {
            call: Some(CallKind::List),
            ..Fault::nth(FaultKind::Io, 1)
        });
        disk
    };
    let storage = storage();
    let report = verify(&storage, ID, Position::ZERO, &mut |_, _| Ok(()));
    let named: Vec<_> = report.damage.iter().map(|damage| damage.file.as_str()).collect();
    assert_eq!((named, report.files), (vec!["journal/0000.ring"], 0));
    let mut journal = create(&storage, small());
    let done = fill(&mut journal, 1..4);
    drop(journal);
    let files = |disk: &MemoryStorage| -> Vec<_> { disk.files().iter().map(|path| disk.contents(path)).collect() };
    let before = files(&storage);
    let disk = failing(&storage);
    let created = Journal::create(shared(&disk), small(), ID).unwrap_err();
    assert!(
        matches!(created, JournalError::Io { operation: "list", .. }),
        "{created}"
    );
    assert_eq!(files(&disk), before);
    let disk = failing(&storage);
    let checked = verify(&disk, ID, Position::ZERO, &mut |_, _| Ok(())).refused;
    let refused: Vec<_> = checked.iter().map(|one| &one.error).collect();
    assert!(
        matches!(refused[..], [JournalError::Io { operation: "list", .. }]),
        "{refused:?}"
    );
    assert_eq!(images(&storage, Position::ZERO).unwrap().2.len(), done.len());
}

#[test]
fn the_file_that_differs_is_the_one_that_is_named() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let grown = journal.order_growth().unwrap().run().unwrap();
    journal.adopt(grown);
    fill(&mut journal, 1..4);
    drop(journal);
    let path = "journal/0001.ring";
    let mut bytes = storage.contents(path);
    let header = FileHeader::decode(bytes.first_chunk().unwrap()).unwrap();
    let other = FileHeader {
        file_size: 2 * FILE,
        ..header
    };
    bytes[..512].copy_from_slice(&other.encode());
    let disk = storage.fork(0);
    disk.put(path, &bytes);
    let report = verify(&disk, ID, Position::ZERO, &mut |_, _| Ok(()));
    let named: Vec<_> = report
        .damage
        .iter()
        .map(|damage| (damage.file.as_str(), damage.reason))
        .collect();
    assert_eq!(named, [(path, "the ring files do not agree on their size")]);
    assert_eq!((report.files, report.report.groups), (2, 3));
    // One that is missing is named although those behind it are damaged.
    let disk = storage.fork(0);
    disk.remove(path).unwrap();
    disk.flip("journal/0002.ring", 20, 0);
    let report = verify(&disk, ID, Position::ZERO, &mut |_, _| Ok(()));
    let named: Vec<_> = report.damage.iter().map(|damage| damage.file.as_str()).collect();
    assert_eq!(named, [path, "journal/0002.ring"]);
}

#[test]
fn integers_have_at_most_64_bits() {
    let read = |last: &[u8]| Source::new(&[&[0xff; 9][..], last].concat()).unsigned().ok();
    assert_eq!(read(&[1]), Some(u64::MAX));
    assert_eq!(read(&[0]), Some(u64::MAX >> 1));
    assert_eq!(
        (read(&[2]), read(&[0x7f]), read(&[0x81]), read(&[])),
        (None, None, None, None)
    );
}
