//! What a commit costs on a real disk, beside a raw `pwrite` + `fdatasync` of the same length over written blocks.
//! `cargo run -p share-engine --example journal_bench -- DIRECTORY [COMMITS]`

#![allow(clippy::print_stdout, reason = "prints its figures")]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use share_engine::ids::{Offset, PartitionKey};
use share_engine::journal::{Durability, GroupBuilder, Journal, JournalOptions, Position};
use share_engine::storage::FileStorage;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: journal_bench DIRECTORY [COMMITS]")?;
    let commits: u32 = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    let root = Path::new(&directory).join("journal_bench");
    fs::create_dir_all(&root)?;
    for (name, records, entries) in [
        ("1 record of 200 B", 1, 1),
        ("1,000 records of 200 B in one batch", 1000, 1),
        ("1,000 entries of one record", 1, 1000),
    ] {
        let (mut journal_times, mut raw_times) = (Vec::new(), Vec::new());
        // Alternating, so that both see the same neighbours.
        for round in 0..4 {
            if round % 2 == 0 {
                journal(
                    &root,
                    records,
                    entries,
                    commits / 2,
                    Durability::Sync,
                    &mut journal_times,
                )?;
            } else {
                let len = (64 + entries * (75 + records * 212)).next_multiple_of(512);
                raw(&root, len, commits / 2, &mut raw_times)?;
            }
        }
        let mut os_times = Vec::new();
        journal(&root, records, entries, commits / 2, Durability::Os, &mut os_times)?;
        println!("{name}");
        print("  journal, sync", &mut journal_times);
        print("  raw pwrite + fdatasync", &mut raw_times);
        print("  journal, os (CPU and page cache only)", &mut os_times);
    }
    recovery(&root)?;
    fs::remove_dir_all(&root)?;
    Ok(())
}

/// Opens a journal of 400 MiB whose last process was killed.
fn recovery(root: &Path) -> Result<(), Failure> {
    let place = root.join("data");
    let mut journal = Journal::create(
        Arc::new(FileStorage::open_or_create(&place)?),
        JournalOptions::default(),
        1,
    )?;
    let batch = vec![7; 61 + 200];
    let mut group = GroupBuilder::default();
    let mut entries = 0_u64;
    while journal.tail().get() < 400 << 20 {
        if let Some(growth) = journal.begin_growth() {
            journal.adopt(growth.run()?);
        }
        for _ in 0..100 {
            group.push_entry(u64::MAX, |entry| entry.append(PartitionKey(1), Offset::ZERO, &batch))?;
        }
        entries += 100;
        journal.commit(&mut group, Durability::Os)?;
    }
    journal.sync()?;
    drop(journal);
    let start = now();
    let storage = Arc::new(FileStorage::open(&place)?);
    let mut found = 0_u64;
    let (journal, report) = Journal::open(storage, JournalOptions::default(), 1, Position::ZERO, &mut |_, _| {
        found += 1;
        Ok(())
    })?;
    let took = now() - start;
    let mib = report.tail.get() >> 20;
    println!(
        "recovery of {mib} MiB, {found} of {entries} entries: {took:.1?}, rewritten {} MiB",
        report.tail.since(report.synced_through) >> 20
    );
    drop(journal);
    Ok(fs::remove_dir_all(place)?)
}

fn journal(
    root: &Path,
    records: usize,
    entries: usize,
    commits: u32,
    durability: Durability,
    times: &mut Vec<Duration>,
) -> Result<(), Failure> {
    let place = root.join("data");
    let storage = Arc::new(FileStorage::open_or_create(&place)?);
    let mut journal = Journal::create(storage, JournalOptions::default(), 1)?;
    let batch = vec![7; 61 + records * 212];
    let mut group = GroupBuilder::default();
    for number in 0..u64::from(commits) {
        let start = now();
        for _ in 0..entries {
            group.push_entry(u64::MAX, |entry| {
                entry.append(PartitionKey(1), Offset::saturating(number), &batch);
            })?;
        }
        journal.commit(&mut group, durability)?;
        times.push(now() - start);
        journal.free_before(journal.tail());
    }
    drop(journal);
    fs::remove_dir_all(place)?;
    Ok(())
}

fn raw(root: &Path, len: usize, writes: u32, times: &mut Vec<Duration>) -> Result<(), Failure> {
    let path = root.join("raw");
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    let size = 16 << 20;
    file.write_all_at(&vec![0; size], 0)?;
    file.sync_all()?;
    let data = vec![7; len];
    let mut at = 0;
    for _ in 0..writes {
        if at + len > size {
            at = 0;
        }
        let start = now();
        file.write_all_at(&data, at as u64)?;
        file.sync_data()?;
        times.push(now() - start);
        at += len;
    }
    fs::remove_file(path)?;
    Ok(())
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    println!(
        "{name:40} p50 {:>9.1?}  p99 {:>9.1?}  n {}",
        at(50),
        at(99),
        times.len()
    );
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
