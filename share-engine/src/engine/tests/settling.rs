//! Settlements that concern several share partitions at once, that come twice, or of deliveries that reached nobody.

use std::task::{Context, Poll, Waker};

use super::harness::*;
use crate::config::{Retention, TopicConfig};
use crate::engine::{Member, Outcome, Settlement};
use crate::error::{RefusedBy, SettleResult};
use crate::letter::clip;
use crate::share::AcquireMode;

/// Two partitions with three records each.
fn two_partitions() -> (World, Running, Member) {
    let world = World::new();
    let mut engine = world.open();
    let config = TopicConfig {
        partitions: 2,
        retention: Retention::Queue,
        ..TopicConfig::default()
    };
    engine.pump.wait(engine.engine.create_topic("orders", config)).unwrap();
    let member = engine.group("work", "orders", dead_letters("work.dead"));
    for partition in 0..2 {
        let records = ["a", "b", "c"].map(record).to_vec();
        let results = engine
            .pump
            .wait(engine.engine.produce("orders", Some(partition), records));
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    (world, engine, member)
}

#[test]
fn deliveries_that_reach_nobody_are_available_at_once() {
    let (_world, mut engine, member) = two_partitions();
    {
        let mut call = Box::pin(member.acquire(6, u64::MAX, AcquireMode::RecordLimit));
        let poll = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(poll, Poll::Pending));
        engine.pump.run();
        // The answer is there, and nobody waits for it any more.
    }
    engine.pump.run();
    let other = engine.join("work", "orders");
    let held = engine.try_acquire(&other, 6);
    let found: Vec<_> = held.iter().map(|one| (one.partition, one.offset().get())).collect();
    assert_eq!(found, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
    // Nobody had begun with them: it is the same delivery.
    assert!(held.iter().all(|one| one.lease.delivery_count.get() == 1));
    engine.accept(&other, &held);
}

#[test]
fn leases_of_several_partitions_are_extended_in_one_call() {
    let (_world, mut engine, member) = two_partitions();
    let held = engine.try_acquire(&member, 6);
    assert_eq!(held.len(), 6);
    let mut leases: Vec<_> = held.iter().map(|one| one.lease).collect();
    leases.swap(1, 4);
    leases.push(leases[0]);
    leases[6].delivery_count = leases[6].delivery_count.next();
    engine.advance(std::time::Duration::from_secs(1));
    let renewed = engine.pump.wait(member.renew(leases));
    let deadlines: Vec<_> = renewed.iter().flatten().collect();
    assert_eq!(deadlines.len(), 6, "{renewed:?}");
    assert!(renewed[6].is_err() && deadlines.iter().all(|one| **one > held[0].deadline));
}

#[test]
fn a_lease_that_is_settled_twice_in_one_call_is_settled_once() {
    let (_world, mut engine, member) = two_partitions();
    let held = engine.try_acquire(&member, 1);
    let lease = held[0].lease;
    let results = engine.settle(
        &member,
        vec![(lease, accept()), (lease, Outcome::Reject { reason: None })],
    );
    assert_eq!(results[0], SettleResult::Applied);
    assert!(
        matches!(&results[1], SettleResult::Refused(refused) if refused.by == RefusedBy::Other),
        "{results:?}"
    );
    assert_eq!(engine.values("work.dead"), []);
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(clip("seven..", 7), "seven..");
    assert_eq!(clip("eight...", 7), "eigh...");
    // Two bytes each, then four: the cut falls into one of them.
    assert_eq!(clip(&"\u{e4}".repeat(5), 8), "\u{e4}\u{e4}...");
    assert_eq!(clip(&"\u{1f600}".repeat(3), 10), "\u{1f600}...");
}

#[test]
fn calls_that_are_under_way_together_are_answered_each_with_its_own() {
    let (_world, mut engine, member) = two_partitions();
    let held = engine.try_acquire(&member, 2);
    let call = |index: usize, twice: usize| {
        let settlement = Settlement {
            lease: held[index].lease,
            outcome: accept(),
            evidence: None,
        };
        Box::pin(member.settle(vec![settlement; twice]))
    };
    let (mut one, mut other) = (call(0, 2), call(1, 1));
    let mut context = Context::from_waker(Waker::noop());
    assert!(one.as_mut().poll(&mut context).is_pending());
    assert!(other.as_mut().poll(&mut context).is_pending());
    let one = engine.pump.wait(one);
    let other = engine.pump.wait(other);
    assert_eq!(
        (one.len(), &one[0], &other[..]),
        (2, &SettleResult::Applied, &[SettleResult::Applied][..])
    );
    assert!(matches!(&one[1], SettleResult::Refused(_)), "{one:?}");
}
