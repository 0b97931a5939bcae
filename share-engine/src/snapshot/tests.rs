//! The container's form, what is loaded after damage, and what an unfinished write leaves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::log::tests::storage::PlainStorage;
use crate::storage::{OpenMode, Storage};

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

fn whole(storage: &PlainStorage) -> Snapshot {
    match load_newest(storage, ID).unwrap() {
        Newest::Whole(snapshot) => snapshot,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_is_loaded_and_two_are_kept() {
    let storage = PlainStorage::default();
    assert!(matches!(load_newest(&storage, ID).unwrap(), Newest::None));
    assert_eq!(prune(&storage).unwrap(), None);
    for position in [9, 4096, 77, 100_000] {
        write(&storage, ID, position, &sections()).unwrap();
    }
    let newest = whole(&storage);
    assert_eq!((newest.position, newest.sections), (100_000, sections()));
    let left = storage.open("snapshots/00000000000000200000.tmp", OpenMode::CreateNew);
    left.unwrap().write_all_at(b"half", 0).unwrap();
    assert_eq!(prune(&storage).unwrap(), Some(4096));
    assert_eq!(storage.paths(), [PATH, "snapshots/00000000000000100000.snap"]);
    assert_eq!(whole(&storage).position, 100_000);
}

#[test]
fn a_snapshot_of_the_same_position_replaces_the_other() {
    let storage = PlainStorage::default();
    write(&storage, ID, 4096, &sections()).unwrap();
    write(&storage, ID, 4096, &[]).unwrap();
    assert_eq!(whole(&storage).sections, []);
    assert_eq!(storage.paths(), [PATH]);
}

#[test]
fn large_sections_come_back() {
    let storage = PlainStorage::default();
    let large: Vec<_> = [1, 262_144, 700_000, 3, 100_000, 200_000]
        .map(|len| (SectionKind::SharePartition, Bytes::from(vec![7; len])))
        .into();
    write(&storage, ID, 1, &large).unwrap();
    assert_eq!(whole(&storage).sections, large);
}

#[test]
fn golden_bytes() {
    let storage = PlainStorage::default();
    write(
        &storage,
        ID,
        4096,
        &[(SectionKind::SharePartition, Bytes::from_static(b"hi"))],
    )
    .unwrap();
    let found = storage.content(PATH);
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
    let storage = PlainStorage::default();
    write(&storage, ID, 7, &[]).unwrap();
    write(&storage, ID, 4096, &sections()).unwrap();
    let good = storage.content(PATH);
    fuzz_snapshot(&good);
    let check = |bad: &[u8], what: &str| {
        storage.tamper(PATH, |bytes| *bytes = bad.to_vec());
        fuzz_snapshot(bad);
        let Newest::Damaged { error, older } = load_newest(&storage, ID).unwrap() else {
            panic!("{what} went unnoticed");
        };
        assert!(error.to_string().contains(PATH), "{error}");
        assert_eq!(older.map(|snapshot| snapshot.position), Some(7), "{what}");
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
    let storage = PlainStorage::default();
    write(&storage, ID, 4096, &sections()).unwrap();
    storage.rename(PATH, "snapshots/00000000000000004097.snap").unwrap();
    let newest = load_newest(&storage, ID).unwrap();
    assert!(matches!(newest, Newest::Damaged { older: None, .. }));
}

#[test]
fn newer_versions_unknown_kinds_and_other_directories_are_refused() {
    let storage = PlainStorage::default();
    write(&storage, ID, 4096, &sections()).unwrap();
    let good = storage.content(PATH);
    let with = |at: usize, value: u8, crc_at: usize, from: usize| {
        let mut bytes = good.clone();
        bytes[at] = value;
        let crc = crc32c::crc32c(&bytes[from..crc_at]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        storage.tamper(PATH, |file| *file = bytes);
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
    let storage = PlainStorage::default();
    assert_eq!(read_format(&storage).unwrap(), None);
    write_format(&storage, ID).unwrap();
    assert_eq!(read_format(&storage).unwrap(), Some(ID));
    assert_eq!(storage.paths(), ["format"]);
    let good = storage.content("format");
    let mut golden = b"SMILLDIR\x01\0\0\0\xD1".to_vec();
    golden.extend_from_slice(&[0; 15]);
    golden.extend_from_slice(&crc32c::crc32c(&golden).to_le_bytes());
    assert_eq!(good, golden);
    for bit in 0..good.len() * 8 {
        storage.tamper("format", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        assert!(read_format(&storage).unwrap_err().is_damage(), "bit {bit}");
        storage.tamper("format", |bytes| *bytes = good.clone());
    }
    for len in 0..good.len() {
        storage.tamper("format", |bytes| bytes.truncate(len));
        assert!(read_format(&storage).unwrap_err().is_damage(), "length {len}");
        storage.tamper("format", |bytes| *bytes = good.clone());
    }
    storage.tamper("format", |bytes| {
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
