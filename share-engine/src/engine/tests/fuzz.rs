//! The fuzz bodies of the engine, over a small corpus and 20,000 changed inputs each: none may panic, nor take memory without
//! bound. A fuzzer may call the same bodies for as long as it likes; what it finds goes into [`FOUND`].
//!
//! `SHAREMILL_FUZZ` sets the number of inputs of each body.

use bytes::Bytes;

use super::released;
use crate::drain::fuzz_image;
use crate::ids::{DeliveryCount, Offset, OffsetRange, PartitionKey, ShareKey};
use crate::journal::{Durability, GroupBuilder, Journal, JournalOptions, encode_changes, fuzz_journal, fuzz_ring};
use crate::record::{Header, NewRecord, RecordLimits, encode_batch, fuzz_record_batch};
use crate::share::{ArchiveCause, Change};
use crate::snapshot::{self, SectionKind, fuzz_snapshot};
use crate::storage::MemoryStorage;
use crate::testing::Mutator;
use crate::time::{Delay, WallTime};

/// Inputs that are worth a look of their own: body, bytes in hexadecimal, why.
const FOUND: [(&str, &str, &str); 10] = [
    ("changes", "01ffffffffffffffffffff01", "a number of more than 64 bits"),
    ("changes", "07000700ffffffff0f", "a blob longer than what is left"),
    (
        "changes",
        "03feffffffffffffffff01ffffffffffffffffff01",
        "a range beyond the last offset",
    ),
    ("image", "00", "an empty catalog"),
    ("image", "005b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b", "lists in lists"),
    ("image", "01ffffffff", "four billion partitions, and none follows"),
    (
        "image",
        "0200000000010000ffffffffffffffffff01",
        "a share partition of very many runs",
    ),
    (
        "image",
        "020000000001000001ffffffffffffffff7f00",
        "a run that is longer than any window",
    ),
    ("snapshot", "534d494c4c534e5001000000", "a header that ends early"),
    (
        "batch",
        "00000000000000007fffffff",
        "a batch of two gigabytes, of which twelve bytes are there",
    ),
];

fn inputs() -> u64 {
    let wanted = std::env::var("SHAREMILL_FUZZ")
        .ok()
        .and_then(|count| count.parse().ok());
    wanted.unwrap_or(20_000)
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// Runs a body over a corpus, over what was found for it, and over changes of both.
fn run(name: &str, mut corpus: Vec<Vec<u8>>, body: fn(&[u8])) {
    let found = FOUND.iter().filter(|(of, ..)| *of == name);
    corpus.extend(found.map(|(_, hex, _)| bytes(hex)));
    let mutator = Mutator::new(7);
    let changed = |_| {
        let mut input = corpus[mutator.below(corpus.len())].clone();
        mutator.mutate(&mut input, &corpus[mutator.below(corpus.len())]);
        input
    };
    let mut inputs = corpus.iter().cloned().chain((0..inputs()).map(changed)).peekable();
    let (mut count, mut longest) = (0, 0);
    while inputs.peek().is_some() {
        let before = most_memory();
        for input in inputs.by_ref().take(16) {
            body(&input);
            count += 1;
            longest = longest.max(input.len());
        }
        // Threads of other tests, which may begin beside this one, reserve far less.
        let more = most_memory().saturating_sub(before);
        assert!(
            more < 512 << 10,
            "{name}: {more} KiB more for sixteen inputs up to number {count}"
        );
    }
    println!("{name}: {count} inputs, up to {longest} bytes");
}

/// The most that this process ever asked for, touched or not, in KiB; 0 where the system does not say.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

fn range(first: u64, count: u64) -> OffsetRange {
    OffsetRange::new(Offset::saturating(first), Offset::saturating(first + count - 1)).unwrap()
}

/// Every kind of change.
fn changes() -> Vec<Change> {
    let (offset, at) = (Offset::saturating(300), WallTime::from_millis(1_600_000_000_000));
    let delivery_count = DeliveryCount(2);
    let park = |checkpoint: Option<&'static [u8]>, note: Option<&'static [u8]>| Change::Park {
        offset,
        delay: Delay {
            from: at,
            length: std::time::Duration::from_millis(1_500),
        },
        continuation: checkpoint.is_some(),
        untouched: note.is_none(),
        checkpoint: checkpoint.map(Bytes::from_static),
        note: note.map(Bytes::from_static),
    };
    let mut all = vec![
        Change::Acquire {
            range: range(300, 70),
            delivery_count,
            at,
        },
        Change::Acknowledge { range: range(301, 9) },
        park(Some(b"half of it"), None),
        park(None, Some(b"not yet")),
        Change::Void { range: range(310, 2) },
    ];
    let causes = [ArchiveCause::Reject, ArchiveCause::Retention, ArchiveCause::HostCrash];
    all.extend(causes.map(|cause| Change::Archive {
        range: range(320, 3),
        cause,
    }));
    all
}

fn batches() -> Vec<Vec<u8>> {
    let record = |number: u8| NewRecord {
        key: (!number.is_multiple_of(2)).then(|| Bytes::from(vec![b'k'; 3])),
        value: (number != 4).then(|| Bytes::from(vec![number; usize::from(number) * 20])),
        headers: (0..number % 3)
            .map(|header| Header {
                name: Bytes::from(vec![b'a' + header; 2]),
                value: (header > 0).then(|| Bytes::from_static(b"v")),
            })
            .collect(),
        timestamp: Some(WallTime::from_millis(1_600_000_000_000 + i64::from(number))),
    };
    let encode = |count: u8| {
        let records: Vec<_> = (0..count).map(record).collect();
        encode_batch(&records, WallTime::from_millis(5), RecordLimits::default())
            .unwrap()
            .to_vec()
    };
    [1, 2, 7, 30].map(encode).to_vec()
}

/// Both ring files of journals that began, that went round, and that were closed.
fn rings() -> Vec<Vec<u8>> {
    let options = || JournalOptions {
        file_size: 8192,
        journal_size: 2 * 8192,
        initial_files: 2,
        ..JournalOptions::default()
    };
    let ring = |groups: usize, closed: bool| {
        let storage = MemoryStorage::new(1);
        let mut journal = Journal::create(std::sync::Arc::new(storage.clone()), options(), 7).unwrap();
        for number in 0..groups {
            let mut group = GroupBuilder::default();
            let batch = batches()[number % 3].clone();
            group
                .push_entry(u64::MAX, |entry| {
                    entry.append(PartitionKey(3), Offset::saturating(number as u64), &batch);
                    entry.share(ShareKey(5), &changes());
                    entry.catalog(b"{}");
                })
                .unwrap();
            let before = journal.tail();
            journal.free_before(before);
            journal.commit(&mut group, Durability::Sync).unwrap();
        }
        if closed {
            journal.close().unwrap();
        }
        [
            storage.contents("journal/0000.ring"),
            storage.contents("journal/0001.ring"),
        ]
        .concat()
    };
    vec![ring(3, false), ring(5, true), ring(40, true)]
}

#[test]
fn any_changes_of_records_are_read_or_refused() {
    let mut list = Vec::new();
    encode_changes(&changes(), &mut list);
    let single = changes().into_iter().map(|change| {
        let mut bytes = Vec::new();
        encode_changes(&[change], &mut bytes);
        bytes
    });
    run("changes", single.chain([list]).collect(), fuzz_journal);
}

#[test]
fn any_ring_is_read_or_refused() {
    run("ring", rings(), fuzz_ring);
}

#[test]
fn any_ring_with_wrong_checksums_is_read_or_refused() {
    let choose = |choice: u8| rings().into_iter().map(move |ring| [&[choice][..], &ring].concat());
    run(
        "journal",
        [0, 3, 24, 27].into_iter().flat_map(choose).collect(),
        fuzz_journal,
    );
}

#[test]
fn any_batch_of_records_is_read_or_refused() {
    run("batch", batches(), fuzz_record_batch);
}

fn snapshots() -> Vec<snapshot::Snapshot> {
    let of = |storage: MemoryStorage| {
        let owner = snapshot::read_format(&storage).unwrap().unwrap();
        snapshot::load_newest(&storage, owner).unwrap().unwrap()
    };
    released::directories().into_iter().map(of).collect()
}

#[test]
fn any_snapshot_is_read_or_refused() {
    let files = released::directories().into_iter().flat_map(|storage| {
        let files = storage.files().into_iter().filter(|file| file.ends_with(".snap"));
        files.map(|file| storage.contents(&file)).collect::<Vec<_>>()
    });
    run("snapshot", files.collect(), fuzz_snapshot);
}

#[test]
fn any_content_of_a_snapshot_is_read_or_refused() {
    let sections = snapshots().into_iter().flat_map(|snapshot| snapshot.sections);
    let input = |(kind, content): (SectionKind, Bytes)| {
        let choice = u8::try_from(kind.code() - 1).unwrap();
        [&[choice][..], &content].concat()
    };
    run("image", sections.map(input).collect(), fuzz_image);
}
