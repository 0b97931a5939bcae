//! I9 over a whole data directory that was closed in good order: thousands of flipped bits and cuts. What is live is told from
//! the layout, by a few lines of this file, and not by asking the engine.
//!
//! `SHAREMILL_FLIPS` sets how many there are (2,000).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::harness::*;
use super::image::Image;
use crate::config::{Retention, TopicConfig};
use crate::engine::{Outcome, verify};
use crate::entropy::Entropy;
use crate::record::{Header, NewRecord};
use crate::storage::{Fault, FaultKind, MemoryStorage, Storage};
use crate::testing::SeededEntropy;

/// A journal that is live in two files, segments of several batches, dead letters, parked and delayed records, keys and
/// headers.
fn directory() -> World {
    let mut world = World::new();
    world.config.segment_bytes = 16 << 10;
    world.config.reserve_bytes = 64 << 10;
    let mut engine = world.open();
    engine.topic("orders");
    let kept = TopicConfig {
        partitions: 2,
        retention: Retention::Bounded {
            millis: None,
            bytes: None,
        },
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("kept", kept)).unwrap();
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    let long = |number: u32, bytes| format!("{number}:{}", "x".repeat(bytes));
    for number in 0..8 {
        engine.produce("orders", &[&long(number, 3_500)]);
    }
    let park = |seconds| Outcome::Renew {
        after: Duration::from_secs(seconds),
        checkpoint: Some(Bytes::from(vec![7; 300])),
    };
    let release = |after| Outcome::Release {
        after,
        reason: Some("not yet".to_owned()),
    };
    let reject = Outcome::Reject {
        reason: Some("bad".to_owned()),
    };
    let held = engine.acquire(&member, 6);
    let outcomes = [
        accept(),
        reject,
        park(600),
        release(Some(Duration::from_secs(60))),
        release(None),
        emit("kept", &["emitted".to_owned()]),
    ];
    let list = held.iter().map(|one| one.lease).zip(outcomes).collect();
    engine.settle(&member, list);
    for number in 0..12_u8 {
        let record = NewRecord {
            key: Some(Bytes::from(vec![number; 9])),
            value: (number % 3 > 0).then(|| Bytes::from(vec![number; 900])),
            headers: vec![Header {
                name: Bytes::from_static(b"name"),
                value: None,
            }],
            timestamp: None,
        };
        let results = engine
            .pump
            .wait(engine.engine.produce("kept", Some(u32::from(number % 2)), vec![record]));
        results[0].as_ref().unwrap();
    }
    engine.drain();
    // The journal of two files is soon half full, and is to stay so.
    world.storage.fail(Fault {
        kind: FaultKind::Io,
        nth: 1,
        sticky: true,
        call: None,
        path: "logs/".to_owned(),
    });
    for number in 8..13 {
        engine.produce("orders", &[&long(number, 4_500)]);
    }
    let held = engine.acquire(&member, 2);
    let list = held.iter().map(|one| one.lease).zip([park(30), accept()]).collect();
    engine.settle(&member, list);
    world.storage.heal();
    engine.pump.wait(engine.engine.close()).unwrap();
    world
}

/// Which bytes of which file are needed: all but those of the reserve and of the ring that lie outside the snapshot's position
/// and the end mark.
fn live(storage: &MemoryStorage) -> BTreeMap<String, Vec<Range<u64>>> {
    let mut live = BTreeMap::new();
    for file in storage.files() {
        let len = storage.contents(&file).len() as u64;
        let ranges = match file.as_str() {
            "reserve" => Vec::new(),
            ring if ring.ends_with(".ring") => std::iter::once(0..512).collect(),
            _ => std::iter::once(0..len).collect(),
        };
        live.insert(file, ranges);
    }
    let snapshot = storage
        .files()
        .into_iter()
        .rfind(|file| file.ends_with(".snap"))
        .unwrap();
    let mut position: u64 = snapshot[10..30].parse().unwrap();
    let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let rings = || storage.files().into_iter().filter(|file| file.ends_with(".ring"));
    let room = storage.contents("journal/0000.ring").len() as u64 - 512;
    loop {
        let holds = |file: &String, which: u64| number(&storage.contents(file), 32) == which;
        let Some(file) = rings().find(|file| holds(file, position / room)) else {
            return live;
        };
        let bytes = storage.contents(&file);
        let offset = 512 + position % room;
        let at = usize::try_from(offset).unwrap();
        if bytes[at..].starts_with(b"SMJG") && number(&bytes, at + 24) == position {
            let payload = u32::from_le_bytes(bytes[at + 12..at + 16].try_into().unwrap());
            let len = (64 + u64::from(payload)).next_multiple_of(512);
            live.get_mut(&file).unwrap().push(offset..offset + len);
            position += len;
            continue;
        }
        let next = position / room + 1;
        match rings().find(|file| holds(file, next)) {
            Some(file) if number(&storage.contents(&file), 64) == position => position = next * room,
            _ => return live,
        }
    }
}

const KINDS: [&str; 9] = [
    ".ring",
    ".snap",
    ".log",
    ".sums",
    ".index",
    ".timeindex",
    "partition.metadata",
    "leader-epoch-checkpoint",
    "format",
];

struct Judge {
    world: World,
    expected: Image,
    /// Directories that were opened in spite of their damage: it lies where an open does not look.
    opened: u64,
}

impl Judge {
    fn new() -> Self {
        let world = directory();
        let expected = world.after(world.storage.fork(1)).open().image();
        assert!(expected.values().all(|part| part.errors.is_empty()));
        let mut judge = Self {
            world,
            expected,
            opened: 0,
        };
        assert_eq!(judge.opens_whole(&judge.world.storage.fork(1), "undamaged"), Ok(true));
        judge
    }

    /// Opens and reads everything. What is there must be what was there; what is not must be said, with the name of the file.
    fn opens_whole(&mut self, storage: &MemoryStorage, file: &str) -> Result<bool, String> {
        // A log is opened when the journal has been.
        let may_change = |name: &String| file.starts_with("logs/") && name.starts_with("journal/");
        let contents = |storage: &MemoryStorage| -> Vec<_> {
            let files = storage.files().into_iter().filter(|name| !may_change(name));
            files.map(|file| (storage.contents(&file), file)).collect()
        };
        let before = contents(storage);
        let mut engine = match self.world.after(storage.clone()).try_open() {
            Ok(engine) => engine,
            Err(error) => {
                assert!(error.to_string().contains(file), "{error}");
                assert!(before == contents(storage), "{file}: refused, and changed");
                return Ok(false);
            }
        };
        self.opened += 1;
        let found = engine.image();
        let mut is_whole = true;
        for (name, part) in &self.expected {
            let Some(here) = found.get(name) else {
                return Err(format!("{name} is not there"));
            };
            if let Some(strange) = here.errors.iter().find(|error| !error.contains(file)) {
                return Err(format!("{name}: {strange}"));
            }
            let mut left = part.lines.iter();
            if let Some(strange) = here.lines.iter().find(|line| !left.any(|one| one == *line)) {
                return Err(format!("{name} has {strange}"));
            }
            let is_same = part.lines == here.lines;
            if !is_same && here.errors.is_empty() {
                return Err(format!("{name} was shortened, and nobody said so"));
            }
            is_whole &= is_same && here.errors.is_empty();
        }
        if found.len() == self.expected.len() {
            Ok(is_whole)
        } else {
            Err("there is more than there was".to_owned())
        }
    }

    /// Damage of live bytes: `verify` names it, and nothing is served in its place.
    fn is_reported(&mut self, storage: &MemoryStorage, file: &str, offset: u64, what: &str) {
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let report = verify(&shared).unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut named = report.problems.iter().filter(|problem| problem.file == file);
        // These headers have one checksum, at their end.
        let last = match file {
            "format" => 28,
            sums if sums.ends_with(".sums") => 36,
            _ => 0,
        };
        let places = named.any(|problem| problem.position <= offset.max(last));
        assert!(places, "{what}: {report:?}");
        assert!(
            report.problems.iter().all(|problem| problem.file == file),
            "{what}: {report:?}"
        );
        assert!(
            report.newer.is_empty() && !report.clean | !file.ends_with(".ring"),
            "{what}: {report:?}"
        );
        self.opens_whole(storage, file)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

fn below(entropy: &SeededEntropy, limit: u64) -> u64 {
    entropy.next_u64() % limit.max(1)
}

#[test]
fn damage_of_live_bytes_is_reported_and_never_served() {
    let wanted = std::env::var("SHAREMILL_FLIPS")
        .ok()
        .and_then(|count| count.parse().ok());
    let wanted: u64 = wanted.unwrap_or(2_000);
    let mut judge = Judge::new();
    let live = live(&judge.world.storage);
    let rings = live
        .iter()
        .filter(|(file, ranges)| file.ends_with(".ring") && ranges.len() > 1);
    assert_eq!(rings.count(), 2, "{live:?}");
    let entropy = SeededEntropy::new(9);
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for number in 0..wanted {
        let kind = KINDS[usize::try_from(number % KINDS.len() as u64).unwrap()];
        let of_kind = live
            .iter()
            .filter(|(file, ranges)| file.ends_with(kind) && ranges.iter().any(|one| !one.is_empty()));
        let of_kind: Vec<_> = of_kind.collect();
        let (file, ranges) = of_kind[usize::try_from(below(&entropy, of_kind.len() as u64)).unwrap()];
        let storage = judge.world.storage.fork(number);
        let (way, offset) = if number % 5 == 4 {
            let len = below(&entropy, storage.contents(file).len() as u64);
            storage.truncate(file, len);
            ("cut", len)
        } else {
            let bytes: u64 = ranges.iter().map(|one| one.end - one.start).sum();
            let mut at = below(&entropy, bytes);
            let range = ranges.iter().find(|one| {
                let here = at < one.end - one.start;
                at -= if here { 0 } else { one.end - one.start };
                here
            });
            let offset = range.unwrap().start + at;
            storage.flip(file, offset, u8::try_from(below(&entropy, 8)).unwrap());
            ("flipped", offset)
        };
        *counts.entry((kind, way)).or_default() += 1;
        judge.is_reported(&storage, file, offset, &format!("{number}: {file} {way} at {offset}"));
    }
    println!("{wanted} places, {} opened all the same: {counts:?}", judge.opened);
    assert!(counts.values().sum::<u64>() == wanted && judge.opened > wanted / 10);
    assert!(counts.len() == 2 * KINDS.len() && counts.values().all(|count| *count >= wanted / 60));
}

/// What is not live may be anything.
#[test]
fn what_lies_outside_is_free() {
    let mut judge = Judge::new();
    let live = live(&judge.world.storage);
    let entropy = SeededEntropy::new(10);
    let mut flips = 0;
    while flips < 200 {
        let file = ["journal/0000.ring", "journal/0001.ring", "reserve"][usize::try_from(flips % 3).unwrap()];
        let storage = judge.world.storage.fork(flips);
        let offset = below(&entropy, storage.contents(file).len() as u64);
        if live[file].iter().any(|range| range.contains(&offset)) {
            continue;
        }
        storage.flip(file, offset, u8::try_from(below(&entropy, 8)).unwrap());
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let report = verify(&shared).unwrap();
        assert!(
            report.problems.is_empty() && report.clean,
            "{file} {offset}: {report:?}"
        );
        assert_eq!(judge.opens_whole(&storage, file), Ok(true), "{file} {offset}");
        flips += 1;
    }
}

/// Every file but the reserve is missed.
#[test]
fn a_file_that_is_gone_is_reported() {
    let mut judge = Judge::new();
    for file in judge.world.storage.files().iter().filter(|file| *file != "reserve") {
        let storage = judge.world.storage.fork(1);
        storage.remove(file).unwrap();
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let report = verify(&shared).unwrap();
        let named = report.problems.iter().any(|one| one.file == *file);
        if file.ends_with(".snap") {
            // The journal has gone round nowhere: it holds all that was in the snapshot, and what was finished before it.
            let found = judge.world.after(storage).open().image();
            for (name, part) in &judge.expected {
                // How often a finished record was delivered is not in a snapshot.
                let known = |line: &str| line.split(',').next().unwrap().to_owned();
                let here: Vec<_> = found[name].lines.iter().map(|line| known(line)).collect();
                assert!(
                    part.lines.iter().all(|line| here.contains(&known(line))),
                    "{name}: {here:?}"
                );
            }
            continue;
        }
        assert!(named, "{file}: {report:?}");
        if file == "format" {
            let error = judge.world.after(storage).try_open().err().unwrap();
            assert!(error.to_string().contains("journal/0000.ring"), "{error}");
        } else {
            judge
                .opens_whole(&storage, file)
                .unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }
}
