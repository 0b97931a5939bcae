//! I14: data directories as released versions wrote them, in `released/`: `N-closed` by an engine that was closed, `N-killed` by
//! a process that died, N being the number of the format. Each is a text of the files' bytes (`.hex`) beside a text of everything
//! that is in them (`.txt`). They are never changed. With a new format its version writes two more, from [`write`]:
//! `SHAREMILL_WRITE_RELEASED=DIR cargo test -p share-engine --lib released`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::harness::*;
use super::image::printed;
use crate::config::{GroupConfig, OnFull, Retention, Start, TopicConfig};
use crate::engine::{Engine, Environment, Outcome, verify};
use crate::journal::Hook;
use crate::record::{Header, NewRecord};
use crate::storage::{FileStorage, MemoryStorage, OpenMode, Storage};
use crate::testing::{ManualClock, SeededEntropy};

/// One of them.
struct Released {
    name: String,
    files: String,
    content: String,
}

fn released() -> Vec<Released> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/tests/released");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            all.push(Released {
                name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                files: std::fs::read_to_string(&path).unwrap(),
                content: std::fs::read_to_string(path.with_extension("txt")).unwrap(),
            });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(all.len() >= 2);
    all
}

/// Something of everything that a data directory can hold. Ends closed, or as the death of the process leaves it.
fn write(is_closed: bool) -> World {
    let world = World::small();
    let mut engine = world.open();
    engine.topic("orders");
    let kept = TopicConfig {
        partitions: 2,
        retention: Retention::Bounded {
            millis: Some(7 * 24 * 3_600_000),
            bytes: Some(1 << 20),
        },
        max_bytes: Some(4 << 20),
        on_full: OnFull::DropOldest,
        segment_bytes: Some(16 << 10),
    };
    engine.pump.wait(engine.engine.create_topic("kept", kept)).unwrap();
    let gone = engine.engine.create_topic("gone", TopicConfig::default());
    engine.pump.wait(gone).unwrap();
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    let late = GroupConfig {
        start: Start::Latest,
        attempts: 2,
        ..GroupConfig::default()
    };
    engine.group("late", "kept", late);
    for number in 0..12 {
        engine.produce("orders", &[&format!("{number}:{}", "x".repeat(1_500))]);
    }
    for number in 0..6_u8 {
        let record = NewRecord {
            key: (number != 1).then(|| Bytes::from(vec![b'a' + number; 5])),
            value: (number != 2).then(|| Bytes::from(vec![b'k' + number; 40])),
            headers: (0..number % 3).map(header).collect(),
            timestamp: Some(crate::time::WallTime::from_millis(
                1_599_999_000_000 + i64::from(number),
            )),
        };
        let partition = Some(u32::from(number % 2));
        let results = engine.pump.wait(engine.engine.produce("kept", partition, vec![record]));
        results[0].as_ref().unwrap();
    }
    settle_in_every_way(&mut engine, &member);
    // The process dies with what it holds, and another goes on.
    drop(engine);
    let mut engine = world.open();
    let (member, beside) = (engine.join("work", "orders"), engine.join("late", "kept"));
    engine.drain();
    engine.pump.wait(engine.engine.delete_topic("gone")).unwrap();
    engine.advance(Duration::from_secs(20));
    engine.drain();
    // From here on in the journal alone.
    engine.produce("orders", &["behind the snapshot", ""]);
    let held = engine.acquire(&member, 3);
    engine.accept(&member, &held[..1]);
    let held_too = engine.acquire(&beside, 2);
    let park = Outcome::Renew {
        after: Duration::from_secs(3_600),
        checkpoint: None,
    };
    engine.settle(&beside, vec![(held_too[0].lease, park)]);
    engine
        .pump
        .wait(engine.engine.create_group("new", GroupConfig::default()))
        .unwrap();
    if is_closed {
        engine.pump.wait(engine.engine.close()).unwrap();
    }
    world
}

fn header(number: u8) -> Header {
    Header {
        name: Bytes::from(format!("header-{number}")),
        value: (number == 0).then(|| Bytes::from_static(b"value")),
    }
}

fn settle_in_every_way(engine: &mut Running, member: &crate::engine::Member) {
    let park = |seconds, checkpoint: Option<usize>| Outcome::Renew {
        after: Duration::from_secs(seconds),
        checkpoint: checkpoint.map(|len| Bytes::from(vec![b'c'; len])),
    };
    let release = |after| Outcome::Release {
        after,
        reason: Some("not yet".to_owned()),
    };
    let reject = Outcome::Reject {
        reason: Some("bad".to_owned()),
    };
    let held = engine.acquire(member, 8);
    let outcomes = [
        accept(),
        reject,
        park(7_200, Some(100)),
        park(3_600, None),
        release(Some(Duration::from_secs(3_600))),
        release(None),
        emit("kept", &["emitted".to_owned(), "together".to_owned()]),
    ];
    let list = held.iter().map(|one| one.lease).zip(outcomes).collect();
    engine.settle(member, list);
}

/// A line for each file, with its length; below it lines of 32 bytes in hexadecimal, with the place of the first and how often
/// they are repeated. What is not named is zero.
fn to_text(storage: &MemoryStorage) -> String {
    let mut text = String::new();
    for file in storage.files() {
        let bytes = storage.contents(&file);
        writeln!(text, "{file} {}", bytes.len()).unwrap();
        let mut rows = bytes.chunks(32).enumerate().peekable();
        while let Some((number, row)) = rows.next() {
            let mut times = 1;
            while rows.next_if(|(_, next)| *next == row).is_some() {
                times += 1;
            }
            if row.iter().any(|byte| *byte != 0) {
                write!(text, "  {:x} x{times} ", number * 32).unwrap();
                for byte in row {
                    write!(text, "{byte:02x}").unwrap();
                }
                text.push('\n');
            }
        }
    }
    text
}

fn from_text(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [place, times, row] = fields[..] else {
            let len = fields[1].parse().unwrap();
            files.push((fields[0].to_owned(), vec![0; len]));
            continue;
        };
        let mut place = usize::from_str_radix(place, 16).unwrap();
        let byte = |at: usize| u8::from_str_radix(&row[at..at + 2], 16).unwrap();
        let row: Vec<u8> = (0..row.len()).step_by(2).map(byte).collect();
        for _ in 0..times[1..].parse().unwrap() {
            files.last_mut().unwrap().1[place..place + row.len()].copy_from_slice(&row);
            place += row.len();
        }
    }
    files
}

fn stored(text: &str) -> MemoryStorage {
    let storage = MemoryStorage::new(1);
    for (file, bytes) in from_text(text) {
        if let Some((directory, _)) = file.rsplit_once('/') {
            storage.create_dir(directory).unwrap();
        }
        storage.put(&file, &bytes);
    }
    storage
}

/// All of them.
pub(super) fn directories() -> Vec<MemoryStorage> {
    released().iter().map(|one| stored(&one.files)).collect()
}

fn world(storage: MemoryStorage) -> World {
    World {
        storage,
        ..World::small()
    }
}

/// What an open makes of it, whoever opens it.
fn content(storage: &MemoryStorage) -> String {
    printed(&world(storage.fork(1)).open().image())
}

#[test]
fn released_directories_hold_what_they_held() {
    for Released {
        name,
        files,
        content: expected,
    } in released()
    {
        let storage = stored(&files);
        assert_eq!(to_text(&storage), files, "{name}");
        let shared: Arc<dyn Storage> = Arc::new(storage.fork(1));
        let report = verify(&shared).unwrap();
        assert!(
            report.problems.is_empty() && report.newer.is_empty(),
            "{name}: {report:?}"
        );
        assert_eq!(report.clean, name.ends_with("closed"), "{name}");
        assert!(content(&storage) == expected, "{name} holds\n{}", content(&storage));
    }
}

/// Everything is read, settled, rewritten by drains, and read again.
#[test]
fn released_directories_go_on_living() {
    for Released { name, files, .. } in released() {
        let world = world(stored(&files));
        let mut engine = world.open();
        let kept = engine.image()["log kept-0"].clone();
        let (work, late) = (engine.join("work", "orders"), engine.join("late", "kept"));
        let mut accepted = 0;
        for _ in 0..6 {
            for member in [&work, &late] {
                let held = engine.try_acquire(member, 100);
                accepted += held.len();
                engine.accept(member, &held);
            }
            engine.produce("orders", &["new"]);
            engine.drain();
            engine.advance(Duration::from_secs(1_800));
        }
        assert!(accepted > 10, "{name}: {accepted}");
        engine
            .pump
            .wait(engine.engine.redrive("work.dead", 0, crate::ids::Offset::ZERO))
            .unwrap();
        engine.pump.wait(engine.engine.close()).unwrap();
        drop(engine);
        let shared: Arc<dyn Storage> = Arc::new(world.storage.clone());
        let report = verify(&shared).unwrap();
        assert!(report.problems.is_empty() && report.clean, "{name}: {report:?}");
        let left = world.open().image()["log kept-0"].clone();
        assert_eq!(left, kept, "{name}");
    }
}

/// On a copy in a real file system.
#[test]
fn released_directories_open_from_files() {
    for Released {
        name,
        files,
        content: expected,
    } in released()
    {
        let place = tempfile::tempdir().unwrap();
        let storage = FileStorage::open_or_create(place.path()).unwrap();
        for (file, bytes) in from_text(&files) {
            if let Some((directory, _)) = file.rsplit_once('/') {
                storage.create_dir(directory).unwrap();
            }
            let opened = storage.open(&file, OpenMode::CreateNew).unwrap();
            opened.write_all_at(&bytes, 0).unwrap();
        }
        let clock = Arc::new(ManualClock::default());
        let environment = Environment {
            storage: Arc::new(storage),
            clock: Arc::clone(&clock) as Arc<_>,
            entropy: Arc::new(SeededEntropy::new(1)),
            hook: Hook::default(),
        };
        let (engine, pump, report) = Engine::open_stepped(environment, World::small().config).unwrap();
        assert_eq!(report.clean, name.ends_with("closed"), "{name}");
        let mut running = Running::new(engine, pump, report, clock);
        assert_eq!(printed(&running.image()), expected, "{name}");
    }
}

/// What this version writes has the same content as what the releases of its format wrote.
#[test]
fn this_version_writes_the_same() {
    for (name, is_closed) in [("1-closed", true), ("1-killed", false)] {
        let written = write(is_closed);
        let content = content(&written.storage);
        if let Ok(directory) = std::env::var("SHAREMILL_WRITE_RELEASED") {
            let path = std::path::Path::new(&directory).join(name);
            std::fs::write(path.with_extension("hex"), to_text(&written.storage)).unwrap();
            std::fs::write(path.with_extension("txt"), &content).unwrap();
            continue;
        }
        let expected = released().into_iter().find(|one| one.name == name).unwrap().content;
        assert!(content == expected, "{name} holds now\n{content}");
    }
}
