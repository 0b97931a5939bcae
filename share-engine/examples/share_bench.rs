//! What a share partition costs: `cargo run -p share-engine --example share_bench [--release]`.
//!
//! Nanoseconds a record of acquiring and accepting a million records in order, in random order and one a call; bytes
//! of memory for each acquired record; a million leases that run out at once; and the snapshot of a million leases.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a benchmark measures real time and prints it"
)]

use std::time::{Duration, Instant as Clock};

use bytes::BytesMut;
use share_engine::ids::{
    Continuation, DeliveryCount, LeaseKey, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch,
};
use share_engine::share::{
    AcquireMode, AcquireRequest, Persisted, Settled, ShareOptions, SharePartition, Verdict, Window,
};
use share_engine::time::{Instant, Now, WallTime};

const RECORDS: u64 = 1_000_000;
const KEY: ShareKey = ShareKey(1);
const BATCH: u64 = 100;

fn now(seconds: u64) -> Now {
    Now {
        monotonic: Instant::from_nanos(seconds * 1_000_000_000),
        wall: WallTime::from_millis(1_700_000_000_000 + i64::try_from(seconds * 1_000).unwrap()),
    }
}

fn partition() -> SharePartition {
    let options = ShareOptions {
        window: Window::Acquired(u32::MAX),
        max_lease: Some(Duration::from_hours(1)),
        ..ShareOptions::default()
    };
    SharePartition::new(KEY, StateEpoch(1), Offset::ZERO, options)
}

fn batches() -> Vec<OffsetRange> {
    let batch = |first| OffsetRange::new(Offset::saturating(first), Offset::saturating(first + BATCH - 1)).unwrap();
    (0..RECORDS).step_by(100).map(batch).collect()
}

/// Acquires everything, `records` a call.
fn acquire(share: &mut SharePartition, batches: &[OffsetRange], records: u32) {
    loop {
        let from = share.next_fetch_offset();
        let index = usize::try_from(from.get() / BATCH).unwrap();
        let count = usize::try_from(records).unwrap().div_ceil(100) + 1;
        let read = &batches[index.min(batches.len())..(index + count).min(batches.len())];
        let request = AcquireRequest {
            member: MemberIndex(1),
            mode: AcquireMode::RecordLimit,
            max_records: records,
            batch_size: 0,
            from,
            batches: read,
        };
        let Some(id) = share.acquire(&request, now(1)).transition else {
            return;
        };
        share.handle_persisted(id, Persisted::Durable, now(1));
    }
}

fn leases() -> Vec<(LeaseKey, Verdict)> {
    let lease = |offset| LeaseKey {
        share: KEY,
        epoch: StateEpoch(1),
        offset: Offset::saturating(offset),
        delivery_count: DeliveryCount(1),
        continuation: Continuation(0),
    };
    (0..RECORDS).map(|offset| (lease(offset), Verdict::Accept)).collect()
}

fn shuffle(leases: &mut [(LeaseKey, Verdict)]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in (1..leases.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        leases.swap(index, usize::try_from(state % (index as u64 + 1)).unwrap());
    }
}

fn persist(share: &mut SharePartition, settled: &Settled, at: Now) {
    if let Some(id) = settled.transition {
        share.handle_persisted(id, Persisted::Durable, at);
    }
}

fn settle(share: &mut SharePartition, leases: &[(LeaseKey, Verdict)], records: usize) {
    for part in leases.chunks(records) {
        let settled = share.settle(part, now(2));
        persist(share, &settled, now(2));
    }
}

fn per_record(name: &str, took: Duration) {
    println!(
        "{name:<44} {:>8.1} ns a record",
        took.as_nanos() as f64 / RECORDS as f64
    );
}

fn main() {
    let batches = batches();
    let in_order = leases();
    let mut random = in_order.clone();
    shuffle(&mut random);
    for records in [1_u32, 100, 1_000] {
        let mut share = partition();
        let clock = Clock::now();
        acquire(&mut share, &batches, records);
        per_record(&format!("acquire, {records} a call"), clock.elapsed());
        assert_eq!(share.counts().acquired, RECORDS);
    }
    for records in [1_usize, 100, 1_000] {
        for (name, leases) in [("in order", &in_order), ("random order", &random)] {
            let mut share = partition();
            acquire(&mut share, &batches, 1_000);
            let clock = Clock::now();
            settle(&mut share, leases, records);
            per_record(&format!("accept {name}, {records} a call"), clock.elapsed());
            assert_eq!(share.start_offset().get(), RECORDS);
        }
    }
    let mut share = partition();
    acquire(&mut share, &batches, 1_000);
    println!(
        "{:<44} {:>8.2} B",
        "memory for an acquired record",
        share.heap_bytes() as f64 / RECORDS as f64
    );
    let mut snapshot = BytesMut::new();
    let clock = Clock::now();
    share.encode(&mut snapshot);
    println!(
        "{:<44} {:>8.1} ms, {} B",
        "snapshot of 1 M leases",
        millis(clock.elapsed()),
        snapshot.len()
    );
    let clock = Clock::now();
    let mut decoded = SharePartition::decode(KEY, *share.options(), &snapshot, now(3)).unwrap();
    println!("{:<44} {:>8.1} ms", "read back", millis(clock.elapsed()));
    let clock = Clock::now();
    let settled = decoded.void_leases(true, now(3));
    persist(&mut decoded, &settled, now(3));
    println!("{:<44} {:>8.1} ms", "void 1 M leases", millis(clock.elapsed()));
    let clock = Clock::now();
    let extended = share.extend(&in_order.iter().map(|(lease, _)| *lease).collect::<Vec<_>>(), now(20));
    per_record("extend", clock.elapsed());
    assert!(extended.iter().all(Result::is_ok));
    let clock = Clock::now();
    let settled = share.handle_timeout(now(60));
    let decision = clock.elapsed();
    persist(&mut share, &settled, now(60));
    assert_eq!(settled.expired, RECORDS);
    println!(
        "{:<44} {:>8.1} ms decided, {:.1} ms in all",
        "1 M leases run out",
        millis(decision),
        millis(clock.elapsed())
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
