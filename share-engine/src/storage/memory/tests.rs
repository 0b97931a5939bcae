//! That the storage in memory forgets what a disk may forget and nothing else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;

#[test]
fn only_what_was_synced_survives_the_worst_crash() {
    let storage = MemoryStorage::new(1);
    storage.create_dir("a").unwrap();
    storage.sync_dir("").unwrap();
    let file = storage.open("a/x", OpenMode::CreateNew).unwrap();
    file.write_all_at(b"one", 0).unwrap();
    file.sync_data().unwrap();
    assert!(
        storage.crash(CrashPlan::Lose).files().is_empty(),
        "the name was not synced"
    );
    storage.sync_dir("a").unwrap();
    file.write_all_at(b"two", 0).unwrap();
    assert_eq!(storage.crash(CrashPlan::Lose).contents("a/x"), b"one");
    assert_eq!(storage.crash(CrashPlan::Keep).contents("a/x"), b"two");
    storage.rename("a/x", "a/y").unwrap();
    assert_eq!(storage.crash(CrashPlan::Lose).files(), ["a/x"]);
    assert_eq!(storage.crash(CrashPlan::Keep).files(), ["a/y"]);
    storage.remove("a/y").unwrap();
    file.write_all_at(b"nameless", 0).unwrap();
    assert_eq!(storage.crash(CrashPlan::Lose).contents("a/x"), b"one");
}

#[test]
fn random_crashes_reorder_and_tear_at_sectors_and_replay_from_their_seed() {
    let storage = MemoryStorage::new(1);
    let file = storage.open("x", OpenMode::CreateNew).unwrap();
    file.write_all_at(&[0; 2048], 0).unwrap();
    file.sync_data().unwrap();
    storage.sync_dir("").unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    file.write_all_at(&[2; 1024], 1024).unwrap();
    let mut images = std::collections::BTreeSet::new();
    for seed in 0..2000 {
        let image = storage.crash(CrashPlan::Random(seed)).contents("x");
        assert_eq!(image, storage.crash(CrashPlan::Random(seed)).contents("x"));
        for sector in image.chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "torn inside a sector");
        }
        images.insert([image[0], image[512], image[1024], image[1536]]);
    }
    assert!(images.contains(&[0, 0, 2, 2]), "reordered: {images:?}");
    assert!(images.contains(&[1, 0, 0, 0]), "torn: {images:?}");
    assert_eq!(images.len(), 16, "{images:?}");
}

#[test]
fn calls_fail_as_told() {
    let storage = MemoryStorage::new(1);
    let file = storage.open("x", OpenMode::CreateNew).unwrap();
    storage.fail(Fault::nth(FaultKind::NoSpace, 2).on(CallKind::Write));
    file.write_all_at(b"a", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(
        file.write_all_at(b"b", 0).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    file.write_all_at(b"c", 0).unwrap();
    let calls = storage.calls();
    storage.fail(Fault::nth(FaultKind::Interrupted, 1));
    file.write_all_at(b"d", 0).unwrap();
    assert_eq!(storage.calls(), calls + 2, "retried");
    storage.fail(Fault::nth(FaultKind::Short, 1));
    file.write_all_at(&[7; 100], 0).unwrap_err();
    assert!(storage.contents("x").len() < 100);
    storage.fail(Fault::nth(FaultKind::Io, 1).sticky());
    file.len().unwrap_err();
    storage.list("").unwrap_err();
    storage.heal();
    storage.stop_after(storage.calls() + 1);
    storage.list("").unwrap();
    storage.list("").unwrap_err();
}

#[test]
fn a_failed_sync_is_not_repaired_by_the_next() {
    let lost = (0..50).any(|seed| {
        let storage = MemoryStorage::new(seed);
        let file = storage.open("x", OpenMode::CreateNew).unwrap();
        storage.sync_dir("").unwrap();
        file.write_all_at(b"data", 0).unwrap();
        storage.fail(Fault::nth(FaultKind::Io, 1).on(CallKind::Sync));
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        assert_eq!(storage.contents("x"), b"data", "the cache has it");
        storage.crash(CrashPlan::Lose).contents("x").is_empty()
    });
    assert!(lost);
}

#[test]
fn a_full_disk_says_so() {
    let storage = MemoryStorage::new(1);
    storage.set_capacity(1000);
    let file = storage.open("x", OpenMode::CreateNew).unwrap();
    file.write_all_at(&[1; 900], 0).unwrap();
    assert_eq!(storage.free_space().unwrap(), 100);
    assert_eq!(
        file.write_all_at(&[1; 200], 900).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    file.write_all_at(&[2; 900], 0).unwrap();
    storage.remove("x").unwrap();
    assert_eq!(storage.free_space().unwrap(), 100, "the handle keeps it");
    drop(file);
    assert_eq!(storage.free_space().unwrap(), 1000);
}

#[test]
fn forks_are_independent() {
    let storage = MemoryStorage::new(1);
    storage.put("x", &[1; 10_000]);
    let fork = storage.fork(2);
    fork.flip("x", 5000, 3);
    assert_eq!(storage.contents("x"), [1; 10_000]);
    assert_eq!(fork.contents("x")[5000], 1 ^ 8);
    fork.truncate("x", 10);
    assert_eq!(fork.contents("x").len(), 10);
    assert_eq!(fork.crash(CrashPlan::Lose).contents("x").len(), 10);
}

#[test]
fn a_renamed_directory_keeps_its_files() {
    let storage = MemoryStorage::new(1);
    storage.create_dir("logs/a").unwrap();
    storage.open("logs/a/x", OpenMode::CreateNew).unwrap();
    storage.rename("logs/a", "logs/b").unwrap();
    assert_eq!(storage.files(), ["logs/b/x"]);
    assert_eq!(
        storage.remove_dir("logs/b").unwrap_err().kind(),
        io::ErrorKind::DirectoryNotEmpty
    );
    for path in ["../x", "/x", "logs/../x", "logs/./b"] {
        assert_eq!(
            storage.remove(path).unwrap_err().kind(),
            io::ErrorKind::InvalidInput,
            "{path}"
        );
    }
}

/// What goes past the cache goes by other calls than what lies around it.
#[test]
fn what_is_written_through_can_break_off_between_its_parts() {
    let (len, position) = (200_000_usize, 1_000_u64);
    let data: Vec<u8> = (0..=250).cycle().take(len).collect();
    let parts = [3_096..196_608 + 3_096, 0..3_096, 199_704..200_000];
    for failing in 1..=4 {
        let storage = MemoryStorage::new(1);
        let file = storage.open("x", OpenMode::CreateNew).unwrap();
        file.set_len(position + len as u64).unwrap();
        storage.fail(Fault::nth(FaultKind::Io, failing).on(CallKind::Write));
        let calls = storage.calls();
        let written = file.write_through_at(&data, position);
        assert_eq!(written.is_ok(), failing == 4);
        assert_eq!(storage.calls() - calls, failing.min(3));
        let mut expected = vec![0; 1_000 + len];
        for part in &parts[..usize::try_from(failing).unwrap() - 1] {
            expected[1_000 + part.start..1_000 + part.end].copy_from_slice(&data[part.clone()]);
        }
        assert!(storage.contents("x") == expected, "call {failing}");
    }
}
