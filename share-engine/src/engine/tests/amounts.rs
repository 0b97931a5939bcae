//! How much goes into one acquisition and into one entry, by what the records really take.

use super::harness::*;
use crate::config::{Retention, TopicConfig};
use crate::engine::open::Part;
use crate::engine::{Delivery, Member, Outcome};
use crate::error::{ProduceError, SettleResult};
use crate::ids::Offset;
use crate::record::Walk;
use crate::share::AcquireMode;

fn partitions(engine: &mut Running, count: u32) -> Member {
    let config = TopicConfig {
        partitions: count,
        retention: Retention::Queue,
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
    engine.group("work", "orders", dead_letters("work.dead"))
}

fn produce_to(engine: &mut Running, partition: u32, count: usize, bytes: usize) {
    let records = vec![record(&"x".repeat(bytes)); count];
    let results = engine
        .pump
        .wait(engine.engine.produce("orders", Some(partition), records));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

fn acquire(engine: &mut Running, member: &Member, bytes: u64, mode: AcquireMode) -> Vec<Delivery> {
    engine.pump.wait(member.acquire(100, bytes, mode)).unwrap()
}

fn sizes(deliveries: &[Delivery]) -> Vec<usize> {
    let size = |one: &Delivery| Walk::new(one.batch()).seek(one.offset()).unwrap().len();
    deliveries.iter().map(size).collect()
}

/// Each partition gave at least a batch, whatever the others had given.
#[test]
fn an_acquisition_over_many_partitions_keeps_to_its_bytes() {
    let world = World::new();
    let mut engine = world.open();
    let member = partitions(&mut engine, 4);
    for partition in 0..4 {
        produce_to(&mut engine, partition, 3, 1_000);
    }
    let mut seen = 0;
    for _ in 0..4 {
        let held = acquire(&mut engine, &member, 3_500, AcquireMode::RecordLimit);
        let sizes = sizes(&held);
        assert!(sizes.len() == 3 && sizes.iter().sum::<usize>() <= 3_500, "{sizes:?}");
        engine.accept(&member, &held);
        seen += held.len();
    }
    assert_eq!(seen, 12);
}

/// A batch was given out whole up to the number of records, however large they were.
#[test]
fn a_batch_is_given_out_in_pieces_of_the_bytes_that_were_asked_for() {
    let world = World::new();
    let mut engine = world.open();
    let member = partitions(&mut engine, 1);
    produce_to(&mut engine, 0, 10, 1_000);
    let held = acquire(&mut engine, &member, 3_500, AcquireMode::RecordLimit);
    assert_eq!(held.len(), 3);
    // The first record comes even if it is larger.
    let one = acquire(&mut engine, &member, 1, AcquireMode::RecordLimit);
    assert_eq!(offsets(&one), [(3, 1)]);
    // Finished and held ones do not count.
    let release = Outcome::Release {
        after: None,
        reason: None,
    };
    engine.settle(&member, vec![(held[0].lease, accept()), (held[2].lease, release)]);
    let more = acquire(&mut engine, &member, 4_200, AcquireMode::RecordLimit);
    assert_eq!(offsets(&more), [(2, 2), (4, 1), (5, 1), (6, 1)]);
    let rest = acquire(&mut engine, &member, u64::MAX, AcquireMode::RecordLimit);
    assert_eq!(rest.len(), 3);
}

#[test]
fn whole_batches_are_given_out_up_to_the_bytes_that_were_asked_for() {
    let world = World::new();
    let mut engine = world.open();
    let member = partitions(&mut engine, 2);
    for partition in 0..2 {
        for _ in 0..2 {
            produce_to(&mut engine, partition, 3, 1_000);
        }
    }
    let batch = |deliveries: &[Delivery]| deliveries.len() / 3;
    let first = acquire(&mut engine, &member, 10, AcquireMode::BatchOptimized);
    assert_eq!(batch(&first), 1);
    let second = acquire(&mut engine, &member, 6_500, AcquireMode::BatchOptimized);
    assert_eq!(batch(&second), 2);
    let third = acquire(&mut engine, &member, 6_500, AcquireMode::BatchOptimized);
    assert_eq!(batch(&third), 1);
}

/// After a restart every record of a log counted with the largest size there can be: three dead letters to an entry.
#[test]
fn dead_letters_share_entries_by_their_real_sizes() {
    let mut world = World::new();
    world.config.journal_file_bytes = 8 << 20;
    world.config.journal_bytes = 16 << 20;
    world.config.limits.group_bytes = 4 << 20;
    let mut engine = world.open();
    partitions(&mut engine, 1);
    produce_to(&mut engine, 0, 600, 100);
    engine.drain();
    drop(engine);
    let mut engine = world.open();
    let member = engine.join("work", "orders");
    let mut left = 600;
    while left > 0 {
        let held = acquire(&mut engine, &member, u64::MAX, AcquireMode::RecordLimit);
        left -= held.len();
        let reject = held.iter().map(|one| (one.lease, Outcome::Reject { reason: None }));
        let results = engine.settle(&member, reject.collect());
        assert!(results.iter().all(|one| *one == SettleResult::Applied));
    }
    drop((member, engine));
    let engine = world.open();
    // Six acquisitions, six times their letters.
    assert!(engine.report.entries <= 20, "{} entries", engine.report.entries);
}

/// The walk agrees with the records whatever order they are asked for in.
#[test]
fn a_walk_finds_every_record() {
    let world = World::new();
    let mut engine = world.open();
    partitions(&mut engine, 1);
    let records = (0..50).map(|number| record(&"x".repeat(number * 7))).collect();
    engine.pump.wait(engine.engine.produce("orders", Some(0), records));
    let batches = engine
        .pump
        .wait(engine.engine.read("orders", 0, Offset::ZERO, 1 << 20))
        .unwrap();
    let batch = &batches[0];
    let known: Vec<_> = batch.positions().map(Result::unwrap).collect();
    let mut walk = Walk::new(batch);
    for step in [1, 7, 49, 13] {
        for index in (0..50).map(|index| index * step % 50) {
            let (offset, position) = known[index];
            let place = walk.seek(offset).unwrap();
            let end = known
                .get(index + 1)
                .map_or(batch.bytes().len(), |(_, next)| *next as usize);
            assert_eq!(place, position as usize..end);
        }
    }
    assert_eq!(walk.seek(Offset::saturating(50)), None);
    let last = known[49].1 as usize;
    assert_eq!(Walk::new(batch).largest(), (batch.bytes().len() - last) as u64);
    let all = batch.range();
    assert_eq!(Walk::new(batch).bytes(all), batch.size());
}

/// Files of the ring as small as they may be, and enough of them.
fn narrow() -> World {
    let mut world = World::new();
    world.config.journal_bytes = 2 << 20;
    world
}

/// Leases of every second record, more of them than one entry of the journal holds changes of.
fn apart(engine: &mut Running) -> (Member, Vec<Delivery>) {
    let member = partitions(engine, 1);
    for _ in 0..60 {
        produce_to(engine, 0, 1_000, 1);
    }
    let mut held = Vec::new();
    while held.len() < 60_000 {
        held.extend(
            engine
                .pump
                .wait(member.acquire(1_000, u64::MAX, AcquireMode::RecordLimit))
                .unwrap(),
        );
    }
    let (kept, settled): (Vec<_>, Vec<_>) = held.into_iter().partition(|one| one.offset().get() % 2 == 0);
    for some in settled.chunks(1_000) {
        engine.accept(&member, some);
    }
    (member, kept)
}

/// All leases that ended together were one entry, which had no room in a ring file: they were free in memory only.
#[test]
fn leases_that_end_together_are_as_many_entries_as_it_takes() {
    let world = narrow();
    let mut engine = world.open();
    let (_member, kept) = apart(&mut engine);
    engine.advance(std::time::Duration::from_secs(31));
    assert_eq!(engine.engine.stats().expired, kept.len() as u64);
    drop(engine);
    // What they were on disk: available, so that nothing is void, and no strike is given.
    let engine = world.after(world.storage.crash(crate::storage::CrashPlan::Lose)).open();
    assert_eq!(engine.report.held, 0);
}

/// All of them were decided before any was written, and everybody else waited for all of them.
#[test]
fn no_more_of_what_ends_together_is_decided_than_is_written_meanwhile() {
    let world = narrow();
    let mut engine = world.open();
    let (_member, kept) = apart(&mut engine);
    engine.pump.set_together(false);
    world.clock.advance(std::time::Duration::from_secs(31));
    while engine.pump.step(Part::Shard) {}
    while engine.pump.step(Part::Journal) {}
    engine.pump.step(Part::Shard);
    let expired = engine.engine.stats().expired;
    assert!(expired > 20_000 && expired < kept.len() as u64, "{expired}");
    engine.pump.run();
    assert_eq!(engine.engine.stats().expired, kept.len() as u64);
}

/// A part that the journal has no room for ends in memory, and makes way for the next one like any other.
#[test]
fn what_ends_together_ends_while_the_journal_is_full() {
    let world = World::new();
    let mut engine = world.open();
    let (_member, kept) = apart(&mut engine);
    world.stop_draining();
    let long = record(&"x".repeat(4_000));
    let refused = (0..100).find_map(|_| {
        let produced = engine.engine.produce("orders", Some(0), vec![long.clone()]);
        engine.pump.wait(produced).remove(0).err()
    });
    assert!(matches!(refused, Some(ProduceError::JournalFull { .. })), "{refused:?}");
    engine.advance(std::time::Duration::from_secs(31));
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    assert_eq!(group.partitions[0].acquired, 0);
    assert!(
        engine.engine.stats().expired < kept.len() as u64,
        "the journal had room for all"
    );
}

/// The same with a process that ended: its leases were void for as long as nothing could be written of it.
#[test]
fn leases_of_an_earlier_process_are_as_many_entries_as_it_takes() {
    let world = narrow();
    let mut engine = world.open();
    let (_member, kept) = apart(&mut engine);
    drop(engine);
    let mut engine = world.after(world.storage.crash(crate::storage::CrashPlan::Lose)).open();
    assert_eq!(engine.report.held, kept.len() as u64);
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    assert_eq!(
        (group.partitions[0].acquired, group.partitions[0].struck),
        (0, kept.len() as u64 - 1)
    );
}

#[test]
fn what_a_leaving_member_holds_is_as_many_entries_as_it_takes() {
    let world = narrow();
    let mut engine = world.open();
    let (member, kept) = apart(&mut engine);
    engine.pump.wait(member.leave()).unwrap();
    engine.pump.run();
    let group = engine.pump.wait(engine.engine.describe_group("work")).unwrap();
    assert_eq!(
        (group.partitions[0].acquired, group.partitions[0].available),
        (0, kept.len() as u64)
    );
}
