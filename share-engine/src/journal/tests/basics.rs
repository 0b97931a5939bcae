//! The journal without any trouble: commit, reopen, wrap, grow, refuse, close; and the bytes on disk.

use super::*;
use crate::storage::{CallKind, CrashPlan, Fault, FaultKind, FileStorage};

#[test]
fn a_commit_is_one_write_and_one_sync() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let (mut group, _) = one(1);
    let calls = storage.calls();
    let committed = journal.commit(&mut group, Durability::Sync).unwrap();
    assert_eq!(storage.calls(), calls + 2);
    assert_eq!(committed.start, Position::ZERO);
    assert_eq!(committed.end, journal.tail());
    assert_eq!(journal.synced_through(), committed.end);
    assert!(group.is_empty(), "ready for the next one");
    let calls = storage.calls();
    journal.commit(&mut group, Durability::Sync).unwrap();
    assert_eq!(storage.calls(), calls, "an empty group costs nothing");
}

#[test]
fn what_was_committed_is_read_again() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let mut group = GroupBuilder::default();
    let mut expected: Vec<Image> = (0..3).map(|number| push(&mut group, number)).collect();
    let first = journal.commit(&mut group, Durability::Sync).unwrap();
    expected.extend(fill(&mut journal, 3..7).into_iter().map(|(image, _)| image));
    let tail = journal.close().unwrap();
    let (journal, report, found) = images(&storage, Position::ZERO).unwrap();
    assert_eq!(found, expected);
    assert!(report.clean && report.torn.is_none());
    assert_eq!((report.tail, report.groups, report.entries), (tail, 6, 7));
    drop(journal);
    let (_, report, found) = images(&storage, first.end).unwrap();
    assert_eq!(found, expected[3..]);
    assert!(!report.clean, "the second owner did not close it");
}

#[test]
fn the_ring_wraps_many_times() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let (mut kept, mut from): (Vec<(Image, Position)>, _) = (Vec::new(), Position::ZERO);
    for number in 0..400 {
        kept.extend(fill(&mut journal, [number]));
        if kept.len() > 2 {
            from = kept.remove(0).1;
            journal.free_before(from);
        }
        let (_, report, found) = images(&storage.crash(CrashPlan::Lose), from).unwrap();
        let expected: Vec<Image> = kept.iter().map(|(image, _)| image.clone()).collect();
        assert_eq!((found, report.tail), (expected, journal.tail()));
    }
    assert!(journal.tail().get() > 10 * journal.capacity(), "{journal:?}");
    assert_eq!(storage.files().len(), 2, "no growth was asked for");
}

#[test]
fn a_full_ring_refuses_and_goes_on_when_freed() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let mut ends = Vec::new();
    let refused = loop {
        let produce = journal.room(Admission::Produce);
        let always = journal.room(Admission::Always);
        assert!(produce <= always && always <= journal.free());
        let (mut group, _) = one(3);
        let len = group.disk_len();
        if journal.used() * 4 > journal.capacity() * 3 {
            assert_eq!(produce, 0);
        }
        let calls = storage.calls();
        match journal.commit(&mut group, Durability::Sync) {
            Ok(committed) => {
                assert!(len <= always);
                ends.push(committed.end);
            }
            Err(error) => {
                assert!(len > always, "refused although there was room");
                assert_eq!(storage.calls(), calls, "nothing was written");
                assert_eq!(group.entries(), 1, "the group is still there");
                break error;
            }
        }
    };
    assert!(
        matches!(refused, CommitError::Refused(RefusedError::Full { .. })),
        "{refused}"
    );
    assert!(!journal.is_fenced());
    let (mut group, _) = one(3);
    journal.free_before(*ends.last().unwrap());
    journal.commit(&mut group, Durability::Sync).unwrap();
    let (mut group, _) = one(1);
    group.push_entry(u64::MAX, |entry| entry.catalog(&[0; 8000])).unwrap();
    let error = journal.commit(&mut group, Durability::Sync).unwrap_err();
    assert!(
        matches!(error, CommitError::Refused(RefusedError::TooLarge { limit: ROOM, .. })),
        "{error}"
    );
}

#[test]
fn a_full_ring_can_be_closed() {
    let storage = storage();
    let mut journal = create(&storage, small());
    loop {
        let mut group = GroupBuilder::default();
        group.push_entry(u64::MAX, |entry| entry.catalog(b"x")).unwrap();
        if journal.commit(&mut group, Durability::Sync).is_err() {
            break;
        }
    }
    assert_eq!(journal.free(), SECTOR);
    journal.close().unwrap();
    let (journal, report, found) = images(&storage, Position::ZERO).unwrap();
    assert!(report.clean && report.torn.is_none());
    assert_eq!((found.len(), journal.free()), (29, 0));
    journal.close().unwrap();
    let (mut journal, report, found) = images(&storage, Position::ZERO).unwrap();
    assert!(!report.clean && report.torn.is_none());
    assert_eq!(found.len(), 29);
    journal.free_before(journal.tail());
    assert_eq!(journal.free(), journal.capacity());
    fill(&mut journal, 0..2);
}

#[test]
fn the_ring_grows_up_to_its_size() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let mut expected = Vec::new();
    let mut number = 0;
    while journal.capacity() < 4 * ROOM || journal.used() < 3 * ROOM {
        if let Some(growth) = journal.begin_growth() {
            assert!(journal.begin_growth().is_none(), "one at a time");
            let made = std::thread::spawn(move || growth.run()).join().unwrap();
            journal.adopt(made.unwrap());
        }
        expected.extend(fill(&mut journal, [number]).into_iter().map(|(image, _)| image));
        number += 1;
    }
    assert_eq!(storage.files().len(), 4);
    assert!(!journal.needs_growth() && journal.begin_growth().is_none());
    drop(journal);
    let (journal, _, found) = images(&storage, Position::ZERO).unwrap();
    assert_eq!(found, expected);
    assert_eq!(journal.capacity(), 4 * ROOM);
}

#[test]
fn a_failed_growth_leaves_nothing_behind() {
    let storage = storage();
    let mut journal = create(&storage, small());
    fill(&mut journal, 0..11);
    storage.set_capacity(2 * FILE + 1000);
    let growth = journal.begin_growth().unwrap();
    growth.run().unwrap_err();
    assert_eq!(storage.files().len(), 2);
    journal.abandon_growth();
    storage.set_capacity(1 << 20);
    let grown = journal.begin_growth().unwrap().run().unwrap();
    journal.adopt(grown);
    assert_eq!(journal.capacity(), 3 * ROOM);
}

#[test]
fn os_durability_skips_the_sync_and_catches_up() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let mut expected = Vec::new();
    for number in 0..5 {
        let (mut group, image) = one(number);
        journal.commit(&mut group, Durability::Os).unwrap();
        expected.push(image);
    }
    assert_eq!(journal.synced_through(), Position::ZERO);
    let (_, _, found) = images(&storage.crash(CrashPlan::Lose), Position::ZERO).unwrap();
    assert!(found.is_empty());
    let (_, report, found) = images(&storage.crash(CrashPlan::Keep), Position::ZERO).unwrap();
    assert_eq!((found, report.synced_through), (expected.clone(), Position::ZERO));
    assert_eq!(journal.sync().unwrap(), journal.tail());
    let (_, _, found) = images(&storage.crash(CrashPlan::Lose), Position::ZERO).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn recovery_makes_what_it_serves_durable() {
    let mut in_cache_only = 0;
    for seed in 0..40 {
        let storage = MemoryStorage::new(seed);
        let mut journal = create(&storage, small());
        fill(&mut journal, 0..2);
        let (mut group, last) = one(2);
        storage.fail(Fault::nth(FaultKind::Io, 1).on(CallKind::Sync));
        let error = journal.commit(&mut group, Durability::Sync).unwrap_err();
        assert!(
            matches!(error, CommitError::Fenced { operation: "sync", .. }),
            "{error}"
        );
        drop(journal);
        let (_, _, found) = images(&storage.crash(CrashPlan::Lose), Position::ZERO).unwrap();
        in_cache_only += u32::from(found.len() == 2);
        // The process starts again on the same kernel, which still shows the pages whose sync failed.
        let (_, _, found) = images(&storage, Position::ZERO).unwrap();
        assert_eq!(found.last(), Some(&last));
        let (_, _, found) = images(&storage.crash(CrashPlan::Lose), Position::ZERO).unwrap();
        assert_eq!(found.last(), Some(&last), "what was served survives power loss");
    }
    assert!(in_cache_only > 5, "{in_cache_only}");
}

#[test]
fn creation_refuses_a_journal_and_clears_what_a_cut_creation_left() {
    let storage = storage();
    create(&storage, small());
    let mut journal = create(&storage, small());
    fill(&mut journal, 0..1);
    drop(journal);
    let error = Journal::create(shared(&storage), small(), ID).unwrap_err();
    assert_eq!(error.to_string(), "journal/0000.ring holds a journal already");
}

#[test]
fn options_are_checked() {
    for (options, message) in [
        (
            JournalOptions {
                file_size: 5000,
                ..small()
            },
            "journal option file_size is 5000, not a multiple of 512 between 2 KiB and 1 GiB",
        ),
        (
            JournalOptions {
                initial_files: 1,
                ..small()
            },
            "journal option initial_files is 1, not between 2 and 9999",
        ),
        (
            JournalOptions {
                journal_size: 16383,
                ..small()
            },
            "journal option journal_size is 16383, less than the first files take",
        ),
    ] {
        let error = Journal::create(shared(&storage()), options, ID).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn an_entry_that_does_not_fit_leaves_the_group_as_it_was() {
    let (mut group, _) = one(1);
    let len = group.disk_len();
    let error = group.push_entry(len, |entry| entry.catalog(&[0; 600])).unwrap_err();
    assert_eq!(error.room, len);
    assert!(error.needed > len);
    assert_eq!((group.disk_len(), group.entries()), (len, 1));
    group.push_entry(len, |_| {}).unwrap();
    assert_eq!(group.entries(), 1, "an entry without operations is none");
    let (batch, changes) = (batch(1), changes(1));
    let measured = entry_len([&batch[..]], [&changes[..]]);
    let needed = group.disk_len_with(measured);
    group
        .push_entry(needed, |entry| {
            entry.append(PartitionKey(1), Offset::ZERO, &batch);
            entry.share(ShareKey(1), &changes);
        })
        .unwrap();
    assert_eq!(group.disk_len(), needed);
}

#[test]
fn it_works_on_a_real_directory() {
    let place = tempfile::tempdir().unwrap();
    let open = || -> Arc<dyn Storage> { Arc::new(FileStorage::open_or_create(place.path()).unwrap()) };
    let mut journal = Journal::create(open(), small(), ID).unwrap();
    let mut expected = Vec::new();
    for number in 0..12 {
        if let Some(growth) = journal.begin_growth() {
            journal.adopt(growth.run().unwrap());
        }
        expected.extend(fill(&mut journal, [number]).into_iter().map(|(image, _)| image));
    }
    journal.close().unwrap();
    let mut found = Vec::new();
    let (journal, report) = Journal::open(open(), small(), ID, Position::ZERO, &mut |_, entry| {
        found.push(image(entry.operations));
        Ok(())
    })
    .unwrap();
    assert_eq!(found, expected);
    assert!(report.clean && journal.capacity() > 2 * ROOM);
}

#[test]
fn phases_are_reached_in_order() {
    let storage = storage();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hook = {
        let seen = Arc::clone(&seen);
        Hook::new(move |phase| seen.lock().unwrap().push(phase))
    };
    let mut journal = create(&storage, JournalOptions { hook, ..small() });
    fill(&mut journal, 0..1);
    let expected = [
        Phase::Recovered,
        Phase::Rewritten,
        Phase::BeforeWrite,
        Phase::BeforeSync,
        Phase::AfterSync,
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// The format cannot change unseen: a new layout needs a new version and a reader for this one.
#[test]
fn the_bytes_on_disk_are_these() {
    let storage = storage();
    let mut journal = create(&storage, small());
    let mut group = GroupBuilder::default();
    let batch: Vec<u8> = (0..64).collect();
    group
        .push_entry(u64::MAX, |entry| {
            entry.append(PartitionKey(0x0102), Offset::saturating(0x1122), &batch);
            entry.share(ShareKey(7), &changes(3));
            entry.catalog(b"cat");
        })
        .unwrap();
    journal.commit(&mut group, Durability::Sync).unwrap();
    let bytes = storage.contents("journal/0000.ring");
    assert_eq!(hex(&bytes[..96]), GOLDEN_FILE_HEADER);
    assert!(bytes[96..512].iter().all(|byte| *byte == 0));
    assert_eq!(
        hex(&bytes[512..1024]).trim_end_matches("00"),
        GOLDEN_GROUP.trim_end_matches("00")
    );
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

const GOLDEN_FILE_HEADER: &str = "5348524d52494e478081aacb010000001032547698badcfeefcdab896745230100000000000000000100000000000000000000000000000000000000000000000000000000000000002000000000000000000000020000000000000000000000";
const GOLDEN_GROUP: &str = "534d4a47514f172301000000dc0000001032547698badcfe00000000000000000100000000000000000000000000000001000000000000000000000000000000d8000000014400000002010000000000000000112208090a0b00000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f028200000007000000013c03018080f4f6905d070702c8010180cab5ee016409090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909040103010303000000636174";
