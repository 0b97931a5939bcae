//! Full topics: who is refused, who is not, and what makes room again.

use std::time::Duration;

use super::harness::*;
use crate::config::{GroupConfig, OnFull, Retention, TopicConfig};
use crate::error::{ProduceError, RefusedBy, SettleResult};

fn bounded(on_full: OnFull) -> TopicConfig {
    TopicConfig {
        retention: Retention::Queue,
        max_bytes: Some(10_000),
        on_full,
        ..TopicConfig::default()
    }
}

fn fill(engine: &mut Running, topic: &str) -> (u64, ProduceError) {
    let long = "x".repeat(1_000);
    for count in 0..100 {
        if let Err(error) = engine.try_produce(topic, &[&long]) {
            return (count, error);
        }
    }
    panic!("{topic} is never full");
}

#[test]
fn a_full_topic_says_so_and_stops_nobody_else() {
    let world = World::new();
    let mut engine = world.open();
    engine
        .pump
        .wait(engine.engine.create_topic("orders", bounded(OnFull::Refuse)))
        .unwrap();
    engine.topic("other");
    let fast = engine.group("fast", "orders", GroupConfig::default());
    engine.group("slow", "orders", GroupConfig::default());
    engine.produce("orders", &["first"]);
    let first = engine.acquire(&fast, 1);
    engine.accept(&fast, &first);
    let (count, error) = fill(&mut engine, "orders");
    assert!((7..10).contains(&count));
    match error {
        ProduceError::TopicFull {
            topic,
            bytes,
            limit,
            oldest_group,
        } => {
            assert_eq!(
                (topic.as_str(), limit, oldest_group.as_deref()),
                ("orders", 10_000, Some("slow"))
            );
            assert!(bytes <= limit && bytes > 8_000);
        }
        other => panic!("{other}"),
    }
    engine.produce("other", &["goes on"]);
}

#[test]
fn settling_makes_room_whether_drained_or_not() {
    for drained in [false, true] {
        let world = World::new();
        let mut engine = world.open();
        engine
            .pump
            .wait(engine.engine.create_topic("orders", bounded(OnFull::Refuse)))
            .unwrap();
        let member = engine.group("work", "orders", GroupConfig::default());
        for _ in 0..3 {
            fill(&mut engine, "orders");
            if drained {
                engine.drain();
            }
            loop {
                let held = engine.try_acquire(&member, 10);
                if held.is_empty() {
                    break;
                }
                engine.accept(&member, &held);
            }
            engine.pump.run();
            engine.advance(Duration::from_secs(2));
            engine.produce("orders", &[&"y".repeat(1_000)]);
        }
    }
}

#[test]
fn an_emit_to_a_full_topic_is_refused_alone() {
    let world = World::new();
    let mut engine = world.open();
    engine
        .pump
        .wait(engine.engine.create_topic("lines", bounded(OnFull::Refuse)))
        .unwrap();
    engine.topic("orders");
    let member = engine.group("work", "orders", GroupConfig::default());
    let reader = engine.group("lines", "lines", GroupConfig::default());
    engine.produce("orders", &["a", "b"]);
    let held = engine.acquire(&member, 2);
    let (count, _) = fill(&mut engine, "lines");
    let long = ["x".repeat(2_000)];
    let results = engine.settle(
        &member,
        vec![(held[0].lease, emit("lines", &long)), (held[1].lease, accept())],
    );
    assert!(
        matches!(&results[0], SettleResult::Refused(why) if why.by == RefusedBy::TopicFull),
        "{results:?}"
    );
    assert_eq!(results[1], SettleResult::Applied);
    let room = engine.acquire(&reader, u32::try_from(count).unwrap());
    engine.accept(&reader, &room);
    engine.pump.run();
    let again = engine.settle(&member, vec![(held[0].lease, emit("lines", &long))]);
    assert_eq!(again, [SettleResult::Applied]);
}

#[test]
fn drop_oldest_keeps_the_newest() {
    for drained in [false, true] {
        let world = World::new();
        let mut engine = world.open();
        let config = TopicConfig {
            retention: Retention::Bounded {
                millis: None,
                bytes: None,
            },
            ..bounded(OnFull::DropOldest)
        };
        engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
        let member = engine.group("work", "orders", dead_letters("work.dead"));
        engine.produce("orders", &["tried"]);
        let tried = engine.acquire(&member, 1);
        let release = crate::engine::Outcome::Release {
            after: None,
            reason: None,
        };
        engine.settle(&member, vec![(tried[0].lease, release)]);
        for number in 0..30 {
            engine.produce("orders", &[&format!("{number}-{}", "x".repeat(1_000))]);
        }
        if drained {
            engine.drain();
        }
        for _ in 0..4 {
            engine.advance(Duration::from_secs(2));
        }
        engine.drain();
        let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
        assert!(
            topic.bytes <= 10_000 && topic.bytes > 1_000,
            "{} bytes, drained {drained}",
            topic.bytes
        );
        let first = engine.acquire(&member, 1);
        assert!(first[0].offset().get() > 15, "{}", first[0].offset());
        assert_eq!(engine.values("work.dead").len(), 1, "one record had been delivered");
        assert_eq!(engine.engine.stats().archived_retention, 1);
    }
}

fn dropping() -> TopicConfig {
    TopicConfig {
        retention: Retention::Bounded {
            millis: None,
            bytes: None,
        },
        ..bounded(OnFull::DropOldest)
    }
}

fn bytes(engine: &mut Running) -> u64 {
    engine.pump.wait(engine.engine.describe_topic("orders")).unwrap().bytes
}

/// For up to a second a topic that drops its oldest records took whatever came.
#[test]
fn drop_oldest_gives_way_at_once() {
    let world = World::new();
    let mut engine = world.open();
    engine
        .pump
        .wait(engine.engine.create_topic("orders", dropping()))
        .unwrap();
    let member = engine.group("work", "orders", GroupConfig::default());
    for number in 0..60 {
        engine.produce("orders", &[&format!("{number}-{}", "x".repeat(1_000))]);
        engine.pump.run();
        let topic = engine.pump.wait(engine.engine.describe_topic("orders")).unwrap();
        let kept = topic.partitions[0].end - topic.partitions[0].start;
        assert!(kept <= 9, "{kept} records after {number}");
    }
    assert!(bytes(&mut engine) < 20_000);
    assert_eq!(offsets(&engine.acquire(&member, 1)), [(51, 1)]);
}

/// What a member holds is not dropped, so that something else has to bound the topic.
#[test]
fn drop_oldest_is_bounded_while_the_oldest_is_held() {
    let world = World::new();
    let mut engine = world.open();
    engine
        .pump
        .wait(engine.engine.create_topic("orders", dropping()))
        .unwrap();
    let member = engine.group("work", "orders", GroupConfig::default());
    engine.produce("orders", &["held"]);
    let held = engine.acquire(&member, 1);
    let long = "x".repeat(20_000);
    let error = (0..600)
        .find_map(|_| {
            engine.pump.run();
            engine.try_produce("orders", &[&long]).err()
        })
        .expect("it is bounded");
    let most = 10_000 + (8 << 20);
    assert!(
        matches!(error, ProduceError::TopicFull { limit, bytes, .. } if limit == most && bytes <= most),
        "{error}"
    );
    engine.accept(&member, &held);
    for _ in 0..4 {
        engine.advance(Duration::from_secs(2));
    }
    engine.produce("orders", &["on"]);
    engine.drain();
    engine.advance(Duration::from_secs(2));
    assert!(bytes(&mut engine) <= 10_000);
}
