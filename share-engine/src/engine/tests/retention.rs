//! What is dropped, what is not, and what is said of it.

use std::time::Duration;

use super::harness::*;
use crate::config::{GroupConfig, Retention, TopicConfig};
use crate::engine::Outcome;

const HOUR: u64 = 3_600;

fn topic(engine: &mut Running, retention: Retention) {
    let config = TopicConfig {
        retention,
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
}

fn aged() -> Retention {
    Retention::Bounded {
        millis: Some(HOUR * 1_000),
        bytes: None,
    }
}

/// Twelve records in four segments.
fn segments(engine: &mut Running) {
    for number in 0..12 {
        engine.produce("orders", &[&format!("{number}-{}", "x".repeat(2_500))]);
    }
    engine.drain();
}

fn settle_down(engine: &mut Running) {
    for _ in 0..6 {
        engine.advance(Duration::from_secs(2));
    }
    engine.drain();
}

fn release() -> Outcome {
    Outcome::Release {
        after: None,
        reason: None,
    }
}

fn present(engine: &mut Running) -> Vec<u64> {
    let start = engine
        .pump
        .wait(engine.engine.describe_topic("orders"))
        .unwrap()
        .partitions[0]
        .start;
    let values = engine.values("orders");
    values
        .into_iter()
        .map(|(offset, _)| offset)
        .filter(|offset| *offset >= start)
        .collect()
}

#[test]
fn old_segments_go_and_what_had_been_tried_leaves_dead_letters() {
    let world = World::new();
    let mut engine = world.open();
    topic(&mut engine, aged());
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    segments(&mut engine);
    let held = engine.acquire(&member, 5);
    engine.settle(&member, held.iter().map(|one| (one.lease, release())).collect());
    engine.advance(Duration::from_secs(2 * HOUR));
    settle_down(&mut engine);
    assert_eq!(present(&mut engine), [0_u64; 0]);
    let letters = engine.values("work.dead");
    let values: Vec<_> = letters
        .iter()
        .map(|(_, value)| value.split('-').next().unwrap().to_owned())
        .collect();
    assert_eq!(values, ["0", "1", "2", "3", "4"]);
    assert_eq!(engine.engine.stats().archived_retention, 5);
    assert_eq!(engine.engine.stats().dropped, 7);
    drop(engine);
    let mut engine = world.open();
    assert_eq!(engine.values("work.dead").len(), 5);
    let member = engine.join("work", "orders");
    assert!(engine.try_acquire(&member, 10).is_empty());
}

#[test]
fn held_and_parked_records_stay_and_what_is_older_goes() {
    let world = World::new();
    let mut engine = world.open();
    topic(&mut engine, aged());
    let member = engine.group("work", "orders", GroupConfig::default());
    segments(&mut engine);
    let held = engine.acquire(&member, 12);
    let park = Outcome::Renew {
        after: Duration::from_secs(24 * HOUR),
        checkpoint: None,
    };
    let list = held.iter().map(|one| {
        let parked = one.offset().get() == 7;
        (one.lease, if parked { park.clone() } else { accept() })
    });
    engine.settle(&member, list.collect());
    // An attempt may last ten minutes, so that the clock of retention alone goes on.
    engine.jump_wall(2 * HOUR);
    settle_down(&mut engine);
    assert!(present(&mut engine).contains(&7), "{:?}", present(&mut engine));
    assert!(!present(&mut engine).contains(&2));
}

#[test]
fn the_largest_log_is_bounded() {
    let world = World::new();
    let mut engine = world.open();
    topic(
        &mut engine,
        Retention::Bounded {
            millis: None,
            bytes: Some(16_000),
        },
    );
    segments(&mut engine);
    settle_down(&mut engine);
    let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
    assert!(topic.partitions[0].log_bytes <= 16_000 && topic.partitions[0].log_bytes > 4_000);
    assert!(present(&mut engine).contains(&11));
}

#[test]
fn a_queue_drops_in_the_middle_and_keeps_for_the_abandoned() {
    let world = World::new();
    let mut engine = world.open();
    topic(&mut engine, Retention::Queue);
    let one = engine.group("one", "orders", GroupConfig::default());
    let two = engine.group("two", "orders", GroupConfig::default());
    segments(&mut engine);
    let held = engine.acquire(&one, 12);
    engine.accept(&one, &held);
    settle_down(&mut engine);
    assert_eq!(present(&mut engine).len(), 12, "group two has not seen them");
    let held = engine.acquire(&two, 12);
    engine.accept(&two, &held[3..]);
    settle_down(&mut engine);
    let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
    assert!(
        topic.partitions[0].segments <= 2,
        "{} segments",
        topic.partitions[0].segments
    );
    // What is finished may stay in memory as long as the process.
    drop((held, engine));
    let mut engine = world.open();
    let left = present(&mut engine);
    assert!(left.contains(&0) && left.len() < 6, "{left:?}");
    let late = engine.group("late", "orders", GroupConfig::default());
    let seen = engine.acquire(&late, 12);
    assert_eq!(seen.iter().map(|one| one.offset().get()).collect::<Vec<_>>(), left);
}

#[test]
fn a_queue_without_groups_keeps_everything() {
    let world = World::new();
    let mut engine = world.open();
    topic(&mut engine, Retention::Queue);
    segments(&mut engine);
    engine.advance(Duration::from_secs(30 * 24 * HOUR));
    settle_down(&mut engine);
    assert_eq!(present(&mut engine).len(), 12);
}

/// Records in the journal alone were never too old and never too many.
#[test]
fn what_was_never_drained_goes_too() {
    for (retention, left) in [
        (aged(), 0),
        (
            Retention::Bounded {
                millis: None,
                bytes: Some(9_000),
            },
            3,
        ),
    ] {
        let world = World::new();
        let mut engine = world.open();
        topic(&mut engine, retention);
        let member = engine.group("work", "orders", dead_letters("work.dead"));
        for number in 0..12 {
            engine.produce("orders", &[&format!("{number}-{}", "x".repeat(2_500))]);
        }
        let held = engine.acquire(&member, 2);
        engine.settle(&member, held.iter().map(|one| (one.lease, release())).collect());
        engine.advance(Duration::from_secs(2 * HOUR));
        engine.advance(Duration::from_secs(2));
        engine.advance(Duration::from_secs(2));
        assert_eq!(engine.engine.stats().drains, 0, "{retention:?}");
        assert_eq!(present(&mut engine).len(), left, "{retention:?}");
        let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
        assert!(topic.bytes <= 9_000, "{} bytes, {retention:?}", topic.bytes);
        assert_eq!(engine.values("work.dead").len(), 2);
        assert_eq!(engine.engine.stats().archived_retention, 2);
    }
}

/// A topic that gets little kept everything in its newest segment, which was never too old.
#[test]
fn a_segment_is_rolled_before_it_is_too_old() {
    let mut world = World::new();
    world.config.segment_bytes = 1 << 20;
    let mut engine = world.open();
    topic(&mut engine, aged());
    for number in 0..30 {
        engine.produce("orders", &[&format!("{number}")]);
        engine.drain();
        engine.advance(Duration::from_secs(HOUR / 6));
        if number == 20 {
            // A segment that was left by another process is as old as its first record.
            drop(engine);
            engine = world.open();
        }
    }
    settle_down(&mut engine);
    // An hour, a quarter of it for the segment's span, and what was produced last.
    let left = present(&mut engine);
    assert!(left.len() <= 8 && left.contains(&29), "{left:?}");
    let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
    assert!(topic.partitions[0].segments <= 6, "{:?}", topic.partitions);
}

/// A limit below the size of a segment dropped everything or nothing.
#[test]
fn a_limit_below_a_segment_is_kept() {
    let mut world = World::new();
    world.config.segment_bytes = 1 << 20;
    let mut engine = world.open();
    topic(
        &mut engine,
        Retention::Bounded {
            millis: None,
            bytes: Some(16_000),
        },
    );
    for _ in 0..4 {
        segments(&mut engine);
        settle_down(&mut engine);
        let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
        assert!(topic.bytes <= 16_000 && topic.bytes > 8_000, "{} bytes", topic.bytes);
    }
}

/// Other segment sizes did not reach a log that was open.
#[test]
fn a_new_segment_size_holds_for_the_next_segment() {
    let world = World::new();
    let mut engine = world.open();
    topic(&mut engine, aged());
    segments(&mut engine);
    let count = |engine: &mut Running| {
        let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
        topic.partitions[0].segments
    };
    let before = count(&mut engine);
    let config = TopicConfig {
        retention: aged(),
        segment_bytes: Some(1 << 20),
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.alter_topic("orders", config)).unwrap();
    segments(&mut engine);
    assert_eq!(count(&mut engine), before);
}

/// What was asked for was shown, not what is done.
#[test]
fn a_description_has_the_size_at_which_segments_end() {
    let mut world = World::new();
    world.config.segment_bytes = 1 << 20;
    let mut engine = world.open();
    let bounded = |bytes| Retention::Bounded { millis: None, bytes };
    for (name, retention, partitions, expected) in [
        ("plain", Retention::Queue, 1, 1 << 20),
        ("small", bounded(Some(1 << 20)), 1, 1 << 18),
        ("many", Retention::Queue, 4, 1 << 17),
    ] {
        let config = TopicConfig {
            retention,
            partitions,
            max_bytes: (partitions > 1).then_some(2 << 20),
            ..TopicConfig::default()
        };
        engine.pump.wait(engine.engine.create_topic(name, config)).unwrap();
        let topic = engine.pump.wait(engine.engine.describe_topic(name)).unwrap();
        assert_eq!(topic.segment_bytes, expected, "{name}");
    }
}
