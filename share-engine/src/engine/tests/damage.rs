//! I9 and I14: what is damaged is reported with file and offset, what is newer is left untouched.

use std::sync::Arc;

use super::harness::*;
use crate::config::GroupConfig;
use crate::engine::verify;
use crate::error::OpenError;
use crate::storage::{CallKind, Fault, FaultKind, MemoryStorage, Storage};

/// A directory with a snapshot, two segments, a dead letter and a journal behind them, closed in good order.
fn directory() -> World {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    for round in 0..6 {
        engine.produce("orders", &[&format!("{round}{}", "x".repeat(3_000))]);
    }
    let held = engine.acquire(&member, 3);
    let reject = crate::engine::Outcome::Reject { reason: None };
    engine.settle(&member, vec![(held[0].lease, reject), (held[2].lease, accept())]);
    engine.drain();
    engine.produce("orders", &["behind"]);
    engine.pump.wait(engine.engine.close()).unwrap();
    world
}

fn look(storage: &MemoryStorage) -> Result<crate::engine::VerifyReport, OpenError> {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    verify(&storage)
}

#[test]
fn a_directory_in_good_order_has_no_problems() {
    let world = directory();
    let report = look(&world.storage).unwrap();
    assert_eq!(report.problems, []);
    assert!(report.clean && report.torn.is_none());
    assert!(
        report.logs == 2 && report.segments >= 3 && report.entries >= 1,
        "{report:?}"
    );
    // Four that are not finished, and the dead letter; one was produced after that.
    assert_eq!((report.records, report.journal_records), (5, 1));
    assert_eq!(report.unchecked, []);
}

fn flipped(storage: &MemoryStorage, file: &str, byte: usize) {
    storage.flip(file, byte as u64, 3);
}

/// Files with something wrong, and files that were left out, each once.
fn named(report: &crate::engine::VerifyReport) -> (Vec<String>, Vec<String>) {
    let mut problems: Vec<String> = report.problems.iter().map(|one| one.file.clone()).collect();
    let mut unchecked: Vec<String> = report.unchecked.iter().map(|one| one.file.clone()).collect();
    problems.dedup();
    unchecked.dedup();
    (problems, unchecked)
}

/// The first of its kind hid all others: a damaged snapshot the logs and the journal, a ring header the ring, a batch the
/// rest of its segment.
#[test]
fn one_damage_hides_no_other() {
    let world = directory();
    let files = world.storage.files();
    let (snapshot, from) = snapshot(&world);
    let logs: Vec<&String> = files.iter().filter(|file| file.ends_with(".log")).collect();
    // The last byte of the last section, behind which is the trailer.
    let len = world.storage.contents(&snapshot).len();
    flipped(&world.storage, &snapshot, len - 21);
    for log in &logs {
        flipped(&world.storage, log, 80);
    }
    flipped(&world.storage, "journal/0001.ring", 20);
    flipped(
        &world.storage,
        "journal/0000.ring",
        512 + usize::try_from(from).unwrap() + 70,
    );
    let report = look(&world.storage).unwrap();
    let (problems, unchecked) = named(&report);
    let mut expected = vec![snapshot];
    expected.extend(logs.iter().map(|log| (*log).clone()));
    expected.sort_by_key(|file| (!file.starts_with("snapshots"), file.clone()));
    expected.extend(["journal/0001.ring".to_owned(), "journal/0000.ring".to_owned()]);
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(problems), sorted(expected), "{report:?}");
    assert!(unchecked.contains(&"journal/0001.ring".to_owned()), "{unchecked:?}");
    assert!(report.logs == 2 && report.entries > 0, "{report:?}");
}

/// A segment of six batches.
fn six_batches() -> World {
    let mut world = World::new();
    world.config.segment_bytes = 64 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    for round in 0..6 {
        engine.produce("orders", &[&format!("{round}{}", "x".repeat(5_000))]);
    }
    engine.drain();
    engine.pump.wait(engine.engine.close()).unwrap();
    world
}

/// Of a log only the first damaged batch was named, and what lies behind it was not read.
#[test]
fn every_damaged_batch_of_a_segment_is_named() {
    let world = six_batches();
    let log = "logs/orders-0/00000000000000000000.log";
    let batch = world.storage.contents(log).len() / 6;
    let places = [batch, 4 * batch];
    for place in places {
        flipped(&world.storage, log, place + 100);
    }
    let report = look(&world.storage).unwrap();
    let found: Vec<_> = report
        .problems
        .iter()
        .map(|one| (one.file.as_str(), one.position))
        .collect();
    assert_eq!(found, places.map(|place| (log, place as u64)));
    assert_eq!(report.records, 4);
    // The end of an interval is where the next begins: without it that one is left out.
    let sums = log.replace(".log", ".sums");
    let len = world.storage.contents(&sums).len();
    flipped(&world.storage, &sums, len - 60);
    let report = look(&world.storage).unwrap();
    assert!(report.problems.iter().any(|one| one.file == sums), "{report:?}");
    assert!(
        report.problems.iter().any(|one| one.position == batch as u64),
        "{report:?}"
    );
}

/// What stands in the snapshot is needed to read the logs; for the journal its name is enough.
#[test]
fn what_a_damaged_snapshot_keeps_from_being_checked_is_said() {
    let world = directory();
    let entries = look(&world.storage).unwrap().entries;
    let (snapshot, _) = snapshot(&world);
    for (byte, logs) in [(3, 2), (20, 2), (70, 0), (46, 0)] {
        let there = world.after(world.storage.fork(1));
        flipped(&there.storage, &snapshot, byte);
        let report = look(&there.storage).unwrap();
        let (problems, unchecked) = named(&report);
        assert_eq!(problems, std::slice::from_ref(&snapshot), "{byte}");
        assert_eq!((report.logs, report.entries), (logs, entries), "{byte}");
        let left_out = if logs == 0 {
            vec!["logs/orders-0", "logs/work.dead-0"]
        } else {
            vec![]
        };
        assert_eq!(unchecked, left_out, "{byte}");
    }
}

#[test]
fn a_directory_is_known_without_its_format_file() {
    let world = directory();
    world.storage.remove("format").unwrap();
    let report = look(&world.storage).unwrap();
    assert_eq!(named(&report), (vec!["format".to_owned()], vec![]));
    assert!(report.logs == 2 && report.entries > 0, "{report:?}");
    for file in ["journal/0000.ring", "journal/0001.ring"] {
        flipped(&world.storage, file, 20);
    }
    let report = look(&world.storage).unwrap();
    assert_eq!(named(&report).1, ["snapshots", "logs", "journal"]);
    let error = look(&MemoryStorage::new(1)).unwrap_err();
    assert!(matches!(error, OpenError::NotADirectory { .. }), "{error}");
}

/// Every live byte: a flipped bit is found by `verify`, by the open or by a read, and the file is named.
#[test]
fn a_flipped_bit_is_found() {
    let world = directory();
    let mut found = 0;
    let mut opened = 0;
    for file in world.storage.files() {
        let bytes = world.storage.contents(&file);
        let live = if file.starts_with("journal/") {
            bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
        } else {
            bytes.len()
        };
        if file.ends_with(".ring") && !file.ends_with("0000.ring") || file.ends_with("epoch-checkpoint") {
            continue;
        }
        let snapshot = world
            .storage
            .files()
            .into_iter()
            .find(|file| file.ends_with(".snap"))
            .unwrap();
        let from = snapshot[10..30].parse::<usize>().unwrap() + 512;
        for offset in (0..live).step_by(1 + live / 200) {
            // What the snapshot covers is not live any more, but for the header of the file.
            if file.starts_with("journal/") && (512..from).contains(&offset) {
                continue;
            }
            let storage = world.storage.fork(1);
            storage.flip(&file, offset as u64, (offset % 8) as u8);
            let what = format!("{file} byte {offset}");
            match look(&storage) {
                Ok(report) => {
                    let named = report.problems.iter().any(|problem| problem.file == file);
                    assert!(named, "{what}: {:?}", report.problems);
                }
                Err(error) => assert!(
                    error.to_string().contains(file.rsplit('/').next().unwrap()),
                    "{what}: {error}"
                ),
            }
            found += 1;
            if let Ok(mut engine) = world.after(storage).try_open() {
                opened += 1;
                let read = engine
                    .pump
                    .wait(engine.engine.read("orders", 0, crate::ids::Offset::ZERO, 1 << 20));
                if file.contains("orders-0") && file.ends_with(".log") {
                    assert!(read.is_err(), "{what} was served");
                }
            }
        }
    }
    println!("{found} flipped bits found, {opened} directories opened");
    assert!(found > 500, "{found}");
}

#[test]
fn a_file_that_ends_too_early_or_is_gone_is_found() {
    let world = directory();
    for file in world.storage.files() {
        if file.ends_with("epoch-checkpoint") || file == "format" {
            continue;
        }
        let storage = world.storage.fork(1);
        let len = storage.contents(&file).len() as u64;
        if len == 0 {
            continue;
        }
        storage.truncate(&file, len - 1);
        let named = look(&storage).is_ok_and(|report| report.problems.iter().any(|problem| problem.file == file));
        assert!(named, "{file} cut: {:?}", look(&storage));
        if file.starts_with("logs/") {
            storage.remove(&file).unwrap();
            let named = look(&storage).is_ok_and(|report| report.problems.iter().any(|problem| problem.file == file));
            assert!(named, "{file} removed: {:?}", look(&storage));
        }
    }
}

/// Changes a file and makes a checksum good again: of `from..to`, at `at`.
fn edit(storage: &MemoryStorage, file: &str, byte: usize, value: u8, (at, from, to): (usize, usize, usize)) {
    let mut bytes = storage.contents(file);
    assert_ne!(bytes[byte], value);
    bytes[byte] = value;
    let crc = crc32c::crc32c(&bytes[from..to]).to_le_bytes();
    bytes[at..at + 4].copy_from_slice(&crc);
    storage.put(file, &bytes);
}

/// Refused as newer, with the numbers, by open and by verify, and nothing is touched.
fn is_newer(world: &World, file: &str, what: &str, found: u32, known: u32) {
    let all = |world: &World| -> Vec<_> {
        let files = world.storage.files();
        files.iter().map(|file| world.storage.contents(file)).collect()
    };
    let before = all(world);
    let expected = format!("{file} in the data directory has {what} {found}, this program reads up to {known}");
    let Err(error) = world.try_open() else {
        panic!("opened in spite of {expected}")
    };
    assert!(matches!(error, OpenError::NewerFormat { .. }), "{error}");
    assert_eq!(error.to_string(), expected);
    let report = look(&world.storage).unwrap();
    assert_eq!(report.problems, []);
    let newer: Vec<_> = report
        .newer
        .iter()
        .map(|one| format!("{} {}", one.file, one.what))
        .collect();
    assert_eq!(
        newer,
        [format!("{file} has {what} {found}, this program reads up to {known}")]
    );
    assert_eq!(before, all(world));
}

/// The version of a file lies behind its magic.
#[test]
fn a_newer_format_is_refused_untouched() {
    let world = directory();
    edit(&world.storage, "format", 8, 9, (28, 0, 28));
    is_newer(&world, "format", "format", 9, 1);
}

#[test]
fn a_newer_journal_is_refused_untouched() {
    let ring = "journal/0000.ring";
    let world = directory();
    edit(&world.storage, ring, 12, 7, (8, 12, 512));
    is_newer(&world, ring, "format", 7, 1);
    // The group behind the snapshot.
    let world = directory();
    let bytes = world.storage.contents(ring);
    let group = 512 + usize::try_from(snapshot(&world).1).unwrap();
    let len = u32::from_le_bytes(bytes[group + 12..group + 16].try_into().unwrap()) as usize;
    let sum = (group + 4, group + 8, group + (64 + len).next_multiple_of(512));
    let there = world.after(world.storage.fork(1));
    edit(&there.storage, ring, group + 8, 2, sum);
    is_newer(&there, ring, "format", 2, 1);
    let there = world.after(world.storage.fork(1));
    edit(&there.storage, ring, group + 64 + 4, 18, sum);
    is_newer(&there, ring, "an operation of kind", 18, 4);
}

#[test]
fn a_newer_snapshot_is_refused_untouched() {
    let world = directory();
    let (file, _) = snapshot(&world);
    edit(&world.storage, &file, 8, 3, (40, 0, 40));
    is_newer(&world, &file, "format", 3, 1);
    let world = directory();
    edit(&world.storage, &file, 44, 6, (60, 44, 60));
    is_newer(&world, &file, "a section of kind", 6, 3);
}

/// The sidecar was looked at only after the journal had been written to.
#[test]
fn a_newer_sidecar_is_refused_untouched() {
    let world = directory();
    let file = world
        .storage
        .files()
        .into_iter()
        .rfind(|file| file.ends_with(".sums"))
        .unwrap();
    edit(&world.storage, &file, 8, 3, (36, 0, 36));
    is_newer(&world, &file, "format", 3, 1);
}

/// A share partition in a snapshot, and what is inside of changes in the journal.
#[test]
fn newer_content_of_whole_files_is_refused_untouched() {
    let world = directory();
    let (file, _) = snapshot(&world);
    let mut bytes = world.storage.contents(&file);
    // Header, then sections: kind, length at 4, checksum of the data at 12, checksum of that head at 16, data.
    let put = |bytes: &mut [u8], at: usize, from: usize, to: usize| {
        let sum = crc32c::crc32c(&bytes[from..to]).to_le_bytes();
        bytes[at..at + 4].copy_from_slice(&sum);
    };
    let (mut at, mut frame) = (44, bytes[..44].to_vec());
    while !bytes[at..].starts_with(b"SMILLEND") {
        let len = u64::from_le_bytes(bytes[at + 4..at + 12].try_into().unwrap());
        let (data, end) = (at + 20, at + 20 + usize::try_from(len).unwrap());
        if bytes[at] == 3 {
            // Behind its key.
            bytes[data + 4] = 2;
            put(&mut bytes, at + 12, data, end);
            put(&mut bytes, at + 16, at, at + 16);
        }
        frame.extend_from_slice(&bytes[at..data]);
        at = end;
    }
    frame.extend_from_slice(&bytes[at..at + 16]);
    bytes[at + 16..at + 20].copy_from_slice(&crc32c::crc32c(&frame).to_le_bytes());
    world.storage.put(&file, &bytes);
    let error = world.try_open().err().unwrap();
    let expected = "a share partition of format 2, this program reads up to 1";
    assert!(matches!(error, OpenError::NewerFormat { .. }), "{error}");
    assert!(error.to_string().ends_with(expected), "{error}");
    let report = look(&world.storage).unwrap();
    assert!(!report.newer.is_empty() && report.problems.is_empty(), "{report:?}");
    let told = |one: &crate::engine::Problem| one.file == file && one.what.ends_with(expected);
    assert!(report.newer.iter().all(told), "{report:?}");
    assert!(world.storage.contents(&file) == bytes && report.logs == 2);

    let world = acquired();
    let ring = "journal/0000.ring";
    let bytes = world.storage.contents(ring);
    let group = 512 + usize::try_from(snapshot(&world).1).unwrap();
    let len = u32::from_le_bytes(bytes[group + 12..group + 16].try_into().unwrap()) as usize;
    let sum = (group + 4, group + 8, group + (64 + len).next_multiple_of(512));
    // Header, entry's length, operation's kind and length, share key, change.
    let (operation, change) = (group + 64 + 4, group + 64 + 4 + 5 + 4);
    assert_eq!((bytes[operation], bytes[change]), (2, 1), "an acquisition");
    edit(&world.storage, ring, change, 99, sum);
    is_newer(&world, ring, "a change of kind", 99, 11);
}

/// Behind the snapshot stands an acquisition.
fn acquired() -> World {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    engine.drain();
    engine.acquire(&member, 1);
    engine.pump.wait(engine.engine.close()).unwrap();
    world
}

/// The first file of a newer version ended it, and nothing else was looked at.
#[test]
fn a_newer_file_hides_no_damage() {
    let world = directory();
    let files = world.storage.files();
    let sums: Vec<&String> = files.iter().filter(|file| file.ends_with(".sums")).collect();
    edit(&world.storage, sums[0], 8, 3, (36, 0, 36));
    let log = sums.last().unwrap().replace(".sums", ".log");
    flipped(&world.storage, &log, 80);
    let (snapshot, from) = snapshot(&world);
    edit(&world.storage, &snapshot, 44, 6, (60, 44, 60));
    // That was the catalog, without which no log can be told from another.
    let report = look(&world.storage).unwrap();
    assert_eq!(report.newer.len(), 1, "{report:?}");
    assert_eq!(named(&report).1, ["logs/orders-0", "logs/work.dead-0"]);
    assert!(report.entries > 0 && report.problems.is_empty(), "{report:?}");
    edit(&world.storage, &snapshot, 44, 1, (60, 44, 60));
    let ring = "journal/0000.ring";
    let bytes = world.storage.contents(ring);
    let group = 512 + usize::try_from(from).unwrap();
    let len = u32::from_le_bytes(bytes[group + 12..group + 16].try_into().unwrap()) as usize;
    let end = group + (64 + len).next_multiple_of(512);
    edit(&world.storage, ring, group + 64 + 4, 18, (group + 4, group + 8, end));
    // Behind what is newer stands the mark of the end.
    flipped(&world.storage, ring, end + 10);
    let report = look(&world.storage).unwrap();
    let newer: Vec<_> = report
        .newer
        .iter()
        .map(|one| (one.file.as_str(), one.position))
        .collect();
    assert_eq!(newer, [(sums[0].as_str(), 0), (ring, group as u64)]);
    let found: Vec<_> = report
        .problems
        .iter()
        .map(|one| (one.file.as_str(), one.position))
        .collect();
    assert_eq!(found, [(log.as_str(), 0), (ring, end as u64)]);
    let left_out = sums[0].replace(".sums", ".log");
    assert!(named(&report).1.contains(&left_out), "{report:?}");
}

/// A snapshot or format file that could not be read ended it.
#[test]
fn a_file_that_the_disk_refuses_is_a_problem_among_others() {
    for (path, logs) in [("format", 2), ("snapshots/", 0), ("journal/0001", 2), ("orders-0/0", 2)] {
        let world = directory();
        let calls = [CallKind::Open, CallKind::Read, CallKind::Len];
        for call in calls
            .into_iter()
            .filter(|call| *call != CallKind::Len || path != "orders-0/0")
        {
            let there = world.storage.fork(1);
            there.fail(Fault {
                kind: FaultKind::Io,
                nth: 1,
                sticky: true,
                call: Some(call),
                path: path.to_owned(),
            });
            let report = look(&there).unwrap();
            let problems = named(&report).0;
            assert!(!problems.is_empty(), "{path} {call:?}");
            assert!(
                problems.iter().all(|file| file.contains(path)),
                "{path} {call:?}: {problems:?}"
            );
            assert_eq!(report.logs, logs, "{path} {call:?}");
            assert!(report.entries > 0 && !report.problems[0].what.is_empty(), "{report:?}");
        }
    }
}

/// A damaged index kept its segment from being read, and one text file the other from being compared.
#[test]
fn a_damaged_index_hides_no_damage_of_its_segment() {
    let world = six_batches();
    let log = "logs/orders-0/00000000000000000000.log";
    let place = world.storage.contents(log).len() / 6 * 4;
    for end in ["index", "timeindex"] {
        let index = format!("{}{end}", log.strip_suffix("log").unwrap());
        let storage = world.storage.fork(1);
        storage.truncate(&index, 3);
        flipped(&storage, log, place + 100);
        for name in ["partition.metadata", "leader-epoch-checkpoint"] {
            flipped(&storage, &format!("logs/orders-0/{name}"), 3);
        }
        let report = look(&storage).unwrap();
        let mut problems = named(&report).0;
        problems.sort();
        let mut expected = vec![
            "logs/orders-0/leader-epoch-checkpoint".to_owned(),
            "logs/orders-0/partition.metadata".to_owned(),
            index,
            log.to_owned(),
        ];
        expected.sort();
        assert_eq!(problems, expected, "{report:?}");
        assert_eq!(report.records, 5);
    }
}

/// The newest snapshot and the journal position that it sums up.
fn snapshot(world: &World) -> (String, u64) {
    let files = world.storage.files();
    let file = files.iter().rfind(|file| file.ends_with(".snap")).unwrap();
    (file.clone(), file[10..30].parse().unwrap())
}

/// After a crash the torn tail is no problem, and it is told.
#[test]
fn a_torn_tail_is_told_apart() {
    let world = World::new();
    let mut engine = world.open();
    engine.topic("orders");
    engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["a"]);
    drop(engine);
    let report = look(&world.storage).unwrap();
    assert!(!report.clean);
    assert_eq!(report.problems, []);
}

/// A change that only a later version knows was called damage.
#[test]
fn a_newer_change_of_the_catalog_is_refused_untouched() {
    let world = directory();
    let mut engine = world.open();
    engine
        .pump
        .wait(engine.engine.create_group("late", GroupConfig::default()))
        .unwrap();
    engine.pump.wait(engine.engine.close()).unwrap();
    let ring = "journal/0000.ring";
    let mut bytes = world.storage.contents(ring);
    let find = |part: &[u8]| bytes.windows(part.len()).rposition(|window| window == part).unwrap();
    let at = find(b"create-group");
    let group = (512..at)
        .step_by(512)
        .rfind(|start| bytes[*start..].starts_with(b"SMJG"))
        .unwrap();
    bytes[at..at + 12].copy_from_slice(b"rename-group");
    let len = u32::from_le_bytes(bytes[group + 12..group + 16].try_into().unwrap()) as usize;
    let sum = crc32c::crc32c(&bytes[group + 8..group + (64 + len).next_multiple_of(512)]);
    bytes[group + 4..group + 8].copy_from_slice(&sum.to_le_bytes());
    world.storage.put(ring, &bytes);
    let what = " has a change of the catalog of kind rename-group, this program reads create-topic, ";
    let error = world.try_open().err().unwrap();
    assert!(matches!(error, OpenError::NewerFormat { .. }), "{error}");
    assert!(error.to_string().contains(what), "{error}");
    let newer = look(&world.storage).unwrap().newer;
    assert_eq!((newer.len(), newer[0].file.as_str()), (1, ring));
    assert!(
        newer[0].position == group as u64 && format!(" {}", newer[0].what).starts_with(what),
        "{newer:?}"
    );
    assert!(world.storage.contents(ring) == bytes, "what is newer is left as it is");
}
