//! Kafka's ways through the engine: whole record batches, exact limits, a window of offsets, failing batches in halves.

use super::harness::*;
use crate::config::{GroupConfig, WindowMode};
use crate::engine::{Delivery, Member, Outcome};
use crate::share::AcquireMode::{self, BatchOptimized, RecordLimit};

fn with_window(engine: &mut Running, window: WindowMode) -> Member {
    engine.topic("orders");
    let config = GroupConfig {
        window,
        ..GroupConfig::default()
    };
    engine.group("work", "orders", config)
}

/// So many record batches of four.
fn produce_fours(engine: &mut Running, batches: usize) {
    for _ in 0..batches {
        engine.produce("orders", &["a", "b", "c", "d"]);
    }
}

fn take(engine: &mut Running, member: &Member, max: u32, mode: AcquireMode) -> Vec<Delivery> {
    engine.pump.wait(member.acquire(max, u64::MAX, mode)).unwrap()
}

fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|one| one.offset().get()).collect()
}

fn span(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

#[test]
fn a_span_of_offsets_gives_whole_batches() {
    let mut engine = World::new().open();
    let member = with_window(&mut engine, WindowMode::Span(10));
    produce_fours(&mut engine, 4);
    let first = take(&mut engine, &member, 1, BatchOptimized);
    assert_eq!(numbers(&first), span(0, 3));
    // Soft by one batch, both the maximum and the window.
    let second = take(&mut engine, &member, 6, BatchOptimized);
    assert_eq!(numbers(&second), span(4, 11));
    assert!(engine.try_acquire(&member, 10).is_empty(), "the window is full");
    engine.accept(&member, &second);
    assert!(
        engine.try_acquire(&member, 10).is_empty(),
        "its first record is not finished"
    );
    engine.accept(&member, &first);
    assert_eq!(numbers(&take(&mut engine, &member, 100, BatchOptimized)), span(12, 15));
}

#[test]
fn a_span_of_offsets_gives_exactly_so_many() {
    let mut engine = World::new().open();
    let member = with_window(&mut engine, WindowMode::Span(10));
    produce_fours(&mut engine, 4);
    let first = take(&mut engine, &member, 3, RecordLimit);
    assert_eq!(numbers(&first), span(0, 2));
    assert_eq!(numbers(&take(&mut engine, &member, 4, RecordLimit)), span(3, 6));
    // Offsets 0 to 7 are in the window: two more. What is left of the batch that the last lies in is in it as well.
    assert_eq!(numbers(&take(&mut engine, &member, 100, RecordLimit)), span(7, 8));
    assert_eq!(numbers(&take(&mut engine, &member, 100, RecordLimit)), span(9, 11));
    assert!(engine.try_acquire(&member, 10).is_empty(), "the window is full");
    engine.accept(&member, &first);
    assert_eq!(numbers(&take(&mut engine, &member, 1, RecordLimit)), [12]);
}

#[test]
fn so_many_held_records_give_whole_batches() {
    let mut engine = World::new().open();
    let member = with_window(&mut engine, WindowMode::Acquired(6));
    produce_fours(&mut engine, 3);
    let first = take(&mut engine, &member, 5, BatchOptimized);
    assert_eq!(numbers(&first), span(0, 7));
    assert!(engine.try_acquire(&member, 10).is_empty(), "enough are held");
    // What is finished behind an unfinished record makes room as well.
    engine.accept(&member, &first[4..]);
    assert_eq!(numbers(&take(&mut engine, &member, 1, BatchOptimized)), span(8, 11));
}

#[test]
fn so_many_held_records_are_exact() {
    let mut engine = World::new().open();
    let member = with_window(&mut engine, WindowMode::Acquired(6));
    produce_fours(&mut engine, 3);
    assert_eq!(numbers(&take(&mut engine, &member, 5, RecordLimit)), span(0, 4));
    let last = take(&mut engine, &member, 5, RecordLimit);
    assert_eq!(numbers(&last), [5]);
    assert!(engine.try_acquire(&member, 10).is_empty(), "enough are held");
    engine.accept(&member, &last);
    assert_eq!(numbers(&take(&mut engine, &member, 5, RecordLimit)), [6]);
}

/// A second acquisition for the same request gave what throttling had held back.
#[test]
fn a_failing_batch_is_halved_in_a_span_of_offsets_only() {
    let deliveries = |window, mode| {
        let mut engine = World::new().open();
        let member = with_window(&mut engine, window);
        produce_fours(&mut engine, 1);
        let mut sizes = Vec::new();
        for _ in 0..6 {
            let got = take(&mut engine, &member, 100, mode);
            sizes.push(got.len());
            let release = |one: &Delivery| {
                let outcome = Outcome::Release {
                    after: None,
                    reason: None,
                };
                (one.lease, outcome)
            };
            engine.settle(&member, got.iter().map(release).collect());
            if got.last().is_some_and(|one| one.lease.delivery_count.get() == 5) {
                break;
            }
        }
        sizes
    };
    for mode in [BatchOptimized, RecordLimit] {
        assert_eq!(deliveries(WindowMode::Span(100), mode), [4, 4, 4, 2, 1]);
        assert_eq!(deliveries(WindowMode::Acquired(100), mode), [4, 4, 4, 4, 4]);
    }
}
