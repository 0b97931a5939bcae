//! What the engine does with the files that a process may have open. The limit is the whole process's: this test is alone in
//! its program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![cfg(target_os = "linux")]

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use share_engine::config::EngineConfig;
use share_engine::engine::Engine;
use share_engine::error::OpenError;
use share_engine::journal::{Durability, GroupBuilder, Journal, JournalOptions, Position};
use share_engine::storage::{FileStorage, Storage};

const FILES: u64 = 40;
const FILE: u64 = 64 << 10;

#[test]
fn a_ring_file_is_one_open_file_and_more_than_there_may_be_is_said_early() {
    // In this order: the threads of an engine may close their files after it.
    a_ring_file_is_held_by_one_descriptor();
    too_many_for_this_process_are_refused_early();
}

fn too_many_for_this_process_are_refused_early() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("data");
    let config = || {
        let mut config = EngineConfig {
            journal_file_bytes: FILE,
            journal_bytes: FILES * FILE,
            reserve_bytes: 0,
            ..EngineConfig::default()
        };
        config.limits.group_bytes = FILE / 2;
        config
    };
    allow(FILES + 63);
    let Err(error) = Engine::open(&directory, config()) else {
        panic!("opened")
    };
    assert!(matches!(error, OpenError::OpenFiles { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "the journal may come to 40 files, and this process may have 103 open, 64 of them for other things"
    );
    assert!(!directory.join("journal").exists());
    allow(FILES + 64);
    let (engine, _) = Engine::open(&directory, config()).unwrap();
    share_engine::engine::block_on(engine.close()).unwrap();
}

/// Grows a ring to all of its files and writes each of them twice.
fn a_ring_file_is_held_by_one_descriptor() {
    let place = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::open_or_create(place.path().join("data")).unwrap());
    let options = JournalOptions {
        file_size: FILE,
        journal_size: FILES * FILE,
        ..JournalOptions::default()
    };
    let before = open_files();
    let mut journal = Journal::create(Arc::clone(&storage), options.clone(), 7).unwrap();
    while let Some(growth) = journal.order_growth() {
        journal.adopt(growth.run().unwrap());
    }
    let held = || open_files() - before;
    assert_eq!(held(), FILES, "none is kept beside each file that was made");
    for round in 0..2 * FILES {
        commit_a_file(&mut journal);
        assert!(held() <= FILES + 1, "round {round}: {} are open", held());
    }
    // The next file has no descriptor to write past the cache with, and needs none.
    let limit = getrlimit(Resource::Nofile).current.unwrap();
    allow(3);
    commit_a_file(&mut journal);
    allow(limit);
    let tail = journal.tail();
    drop(journal);
    let mut groups = 0;
    let from = Position::new(tail.get() - 3 * (FILE - 512));
    let (journal, report) = Journal::open(Arc::clone(&storage), options, 7, from, &mut |_, _| {
        groups += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!((groups, report.tail), (3, tail));
    assert!(held() <= FILES + 1, "{} are open", held());
    drop(journal);
    assert_eq!(held(), 0);
}

/// A group that fills a ring file, so that the next goes on to the next.
fn commit_a_file(journal: &mut Journal) {
    let mut group = GroupBuilder::default();
    let bytes = vec![6; 64 << 10];
    let len = usize::try_from(journal.group_len_max()).unwrap() - 512;
    group
        .push_entry(u64::MAX, |entry| entry.catalog(bytes.get(..len).unwrap()))
        .unwrap();
    assert_eq!(group.disk_len(), journal.group_len_max());
    journal.free_before(journal.tail());
    journal.commit(&mut group, Durability::Sync).unwrap();
}

fn allow(files: u64) {
    let limit = Rlimit {
        current: Some(files),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Without the one that looks.
fn open_files() -> u64 {
    u64::try_from(std::fs::read_dir("/proc/self/fd").unwrap().count()).unwrap() - 1
}
