//! The container's form, what is loaded after damage, and what an unfinished write leaves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::hook::Hook;
use crate::storage::{CrashPlan, Fault, FaultKind, MemoryStorage, OpenMode, Storage};

const ID: u128 = 0xD1;
const PATH: &str = "snapshots/00000000000000004096.snap";

fn sections() -> Vec<(SectionKind, Bytes)> {
    vec![
        (SectionKind::Catalog, Bytes::from_static(b"topics")),
        (SectionKind::SharePartition, Bytes::new()),
        (SectionKind::SharePartition, Bytes::from_static(b"offsets")),
        (SectionKind::PartitionLogs, Bytes::from_static(b"segments")),
    ]
}

/// Changes a file at rest.
fn tamper(storage: &MemoryStorage, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = storage.contents(path);
    change(&mut bytes);
    storage.put(path, &bytes);
}

fn whole(storage: &MemoryStorage) -> Snapshot {
    load_newest(storage, ID).unwrap().unwrap()
}

#[test]
fn the_newest_is_loaded_and_the_only_one_that_is_kept() {
    let storage = MemoryStorage::new(1);
    assert!(load_newest(&storage, ID).unwrap().is_none());
    prune(&storage).unwrap();
    for position in [9, 4096, 77, 100_000] {
        write(&storage, ID, position, &sections(), &Hook::default()).unwrap();
    }
    let newest = whole(&storage);
    assert_eq!((newest.position, newest.sections), (100_000, sections()));
    let left = storage.open("snapshots/00000000000000200000.tmp", OpenMode::CreateNew);
    left.unwrap().write_all_at(b"half", 0).unwrap();
    prune(&storage).unwrap();
    assert_eq!(storage.files(), ["snapshots/00000000000000100000.snap"]);
    assert_eq!(whole(&storage).position, 100_000);
}

#[test]
fn a_snapshot_of_the_same_position_replaces_the_other() {
    let storage = MemoryStorage::new(1);
    write(&storage, ID, 4096, &sections(), &Hook::default()).unwrap();
    write(&storage, ID, 4096, &[], &Hook::default()).unwrap();
    assert_eq!(whole(&storage).sections, []);
    assert_eq!(storage.files(), [PATH]);
}

#[test]
fn large_sections_come_back() {
    let storage = MemoryStorage::new(1);
    let large: Vec<_> = [1, 262_144, 700_000, 3, 100_000, 200_000]
        .map(|len| (SectionKind::SharePartition, Bytes::from(vec![7; len])))
        .into();
    write(&storage, ID, 1, &large, &Hook::default()).unwrap();
    assert_eq!(whole(&storage).sections, large);
}

#[test]
fn golden_bytes() {
    let storage = MemoryStorage::new(1);
    write(
        &storage,
        ID,
        4096,
        &[(SectionKind::SharePartition, Bytes::from_static(b"hi"))],
        &Hook::default(),
    )
    .unwrap();
    let found = storage.contents(PATH);
    let crc = |bytes: &[u8]| crc32c::crc32c(bytes).to_le_bytes();

    let mut header = b"SMILLSNP\x01\0\0\0\xD1".to_vec();
    header.extend_from_slice(&[0; 15]);
    header.extend_from_slice(&[0, 16, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    header.extend_from_slice(&crc(&header));
    let mut section = vec![3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    section.extend_from_slice(&crc(b"hi"));
    section.extend_from_slice(&crc(&section));
    let mut trailer = b"SMILLEND".to_vec();
    trailer.extend_from_slice(&[86, 0, 0, 0, 0, 0, 0, 0]);
    let frame = [&header[..], &section, &trailer].concat();
    trailer.extend_from_slice(&crc(&frame));
    assert_eq!(found, [&header[..], &section, b"hi", &trailer].concat());
    assert_eq!(crc(b"123456789"), 0xE306_9283_u32.to_le_bytes());
}

#[test]
fn every_bit_and_length_of_the_newest_counts() {
    let storage = MemoryStorage::new(1);
    write(&storage, ID, 7, &[], &Hook::default()).unwrap();
    write(&storage, ID, 4096, &sections(), &Hook::default()).unwrap();
    let good = storage.contents(PATH);
    fuzz_snapshot(&good);
    let check = |bad: &[u8], what: &str| {
        tamper(&storage, PATH, |bytes| *bytes = bad.to_vec());
        fuzz_snapshot(bad);
        let error = load_newest(&storage, ID).expect_err(what);
        assert!(error.is_damage() && error.to_string().contains(PATH), "{error}");
    };
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        check(&bad, &format!("bit {bit}"));
    }
    for len in 0..good.len() {
        check(&good[..len], &format!("length {len}"));
    }
    check(&[&good[..], b"x"].concat(), "a byte more");
}

#[test]
fn a_snapshot_under_a_wrong_name_is_damage() {
    let storage = MemoryStorage::new(1);
    write(&storage, ID, 4096, &sections(), &Hook::default()).unwrap();
    storage.rename(PATH, "snapshots/00000000000000004097.snap").unwrap();
    assert!(load_newest(&storage, ID).unwrap_err().is_damage());
}

#[test]
fn newer_versions_unknown_kinds_and_other_directories_are_refused() {
    let storage = MemoryStorage::new(1);
    write(&storage, ID, 4096, &sections(), &Hook::default()).unwrap();
    let good = storage.contents(PATH);
    let with = |at: usize, value: u8, crc_at: usize, from: usize| {
        let mut bytes = good.clone();
        bytes[at] = value;
        let crc = crc32c::crc32c(&bytes[from..crc_at]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        tamper(&storage, PATH, |file| *file = bytes);
        load_newest(&storage, ID).unwrap_err()
    };
    assert!(matches!(
        with(8, 2, 40, 0),
        SnapshotError::Version {
            found: 2,
            supported: 1,
            ..
        }
    ));
    assert!(matches!(
        with(12, 9, 40, 0),
        SnapshotError::ForeignDirectory { found: 9, .. }
    ));
    for kind in [0, 4, 8, 200] {
        let error = with(44, kind, 60, 44);
        assert!(
            matches!(error, SnapshotError::UnknownKind { position: 44, kind: found, .. } if found == u16::from(kind)),
            "{error}"
        );
    }
}

#[test]
fn format_says_whose_directory_it_is() {
    let storage = MemoryStorage::new(1);
    assert_eq!(read_format(&storage).unwrap(), None);
    write_format(&storage, ID).unwrap();
    assert_eq!(read_format(&storage).unwrap(), Some(ID));
    assert_eq!(storage.files(), ["format"]);
    let good = storage.contents("format");
    let mut golden = b"SMILLDIR\x01\0\0\0\xD1".to_vec();
    golden.extend_from_slice(&[0; 15]);
    golden.extend_from_slice(&crc32c::crc32c(&golden).to_le_bytes());
    assert_eq!(good, golden);
    for bit in 0..good.len() * 8 {
        tamper(&storage, "format", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        assert!(read_format(&storage).unwrap_err().is_damage(), "bit {bit}");
        tamper(&storage, "format", |bytes| *bytes = good.clone());
    }
    for len in 0..good.len() {
        tamper(&storage, "format", |bytes| bytes.truncate(len));
        assert!(read_format(&storage).unwrap_err().is_damage(), "length {len}");
        tamper(&storage, "format", |bytes| *bytes = good.clone());
    }
    tamper(&storage, "format", |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(b"what the future holds");
    });
    let error = read_format(&storage).unwrap_err();
    assert!(
        matches!(
            error,
            SnapshotError::Version {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_snapshot(&bytes);
    }
}

/// A new directory, three snapshots, each with a prune behind it. `done` is the last position that was acknowledged.
fn history(storage: &MemoryStorage, done: &mut Option<u64>) -> Result<(), SnapshotError> {
    write_format(storage, ID)?;
    for position in [10, 20, 30] {
        write(storage, ID, position, &sections(), &Hook::default())?;
        *done = Some(position);
        prune(storage)?;
    }
    Ok(())
}

/// An acknowledged snapshot is there; one that was not may be; none is half there.
fn check_recovery(storage: &MemoryStorage, done: Option<u64>, story: &str) {
    let id = read_format(storage).unwrap();
    assert!(id == Some(ID) || (id.is_none() && done.is_none()), "{story}");
    let found = load_newest(storage, ID).unwrap_or_else(|error| panic!("{story}: {error}"));
    let found = found.map(|snapshot| {
        assert_eq!(snapshot.sections, sections(), "{story}");
        snapshot.position
    });
    assert!(found >= done, "{story}: {found:?} loaded, {done:?} was acknowledged");
    write(storage, ID, 40, &sections(), &Hook::default()).unwrap();
    prune(storage).unwrap();
    assert_eq!(whole(storage).position, 40);
    assert!(
        storage
            .files()
            .iter()
            .filter(|path| path.starts_with("snapshots/"))
            .count()
            == 1
    );
}

#[test]
fn power_loss_after_every_call() {
    let calls = {
        let storage = MemoryStorage::new(1);
        history(&storage, &mut None).unwrap();
        storage.calls()
    };
    for stop in 0..=calls {
        let storage = MemoryStorage::new(stop);
        storage.stop_after(stop);
        let mut done = None;
        assert_eq!(history(&storage, &mut done).is_ok(), stop == calls);
        let random = (0..20).map(|seed| CrashPlan::Random(stop * 20 + seed));
        for plan in random.chain([CrashPlan::Lose, CrashPlan::Keep]) {
            check_recovery(&storage.crash(plan), done, &format!("{plan:?} after call {stop}"));
        }
    }
}

#[test]
fn every_call_fails_once() {
    let storage = MemoryStorage::new(1);
    history(&storage, &mut None).unwrap();
    for nth in 1..=storage.calls() {
        for kind in [FaultKind::NoSpace, FaultKind::Short] {
            let storage = MemoryStorage::new(nth);
            storage.fail(Fault::nth(kind, nth));
            let mut done = None;
            let _ = history(&storage, &mut done);
            check_recovery(&storage, done, &format!("{kind:?} at call {nth}"));
        }
    }
}

#[test]
fn a_full_disk_gets_its_space_back() {
    let storage = MemoryStorage::new(1);
    write(&storage, ID, 10, &sections(), &Hook::default()).unwrap();
    let files = storage.files();
    storage.set_capacity(400_000);
    let large = [
        (SectionKind::SharePartition, Bytes::from(vec![1; 300_000])),
        (SectionKind::Catalog, Bytes::from(vec![1; 300_000])),
    ];
    let error = write(&storage, ID, 20, &large, &Hook::default()).unwrap_err();
    assert!(matches!(error, SnapshotError::Io { action: "write", .. }), "{error}");
    assert_eq!(storage.files(), files);
    assert_eq!(whole(&storage).position, 10);
}
