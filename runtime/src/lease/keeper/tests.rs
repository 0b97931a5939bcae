//! The keeper against a clock moved by hand.

use share_engine::ids::{Continuation, DeliveryCount, Offset, ShareKey, StateEpoch};
use share_engine::time::WallTime;

use super::*;
use crate::source::{Delivery, Payload, RecordFields};

const LOCK: Duration = Duration::from_secs(30);

fn keeper() -> Keeper {
    Keeper::new(KeeperLimits {
        lock: LOCK,
        deadline: Duration::from_mins(1),
        max_lease: Duration::from_mins(10),
    })
}

fn at(seconds: u64) -> Now {
    Now {
        monotonic: Instant::from_nanos(seconds * 1_000_000_000),
        wall: WallTime::from_millis(i64::try_from(seconds).unwrap() * 1_000),
    }
}

fn chunk(records: u64, lane: usize) -> Arc<Chunk> {
    let deliveries = (0..records)
        .map(|offset| Delivery {
            lease: LeaseKey {
                share: ShareKey(1),
                epoch: StateEpoch(0),
                offset: Offset::saturating(offset),
                delivery_count: DeliveryCount(1),
                continuation: Continuation(0),
            },
            topic: Arc::from("t"),
            partition: 0,
            lease_deadline: at(0).monotonic.after(LOCK),
            attempt_age: Duration::ZERO,
            acquired_at: at(0).monotonic,
            appended_at: at(0).wall,
            checkpoint: None,
            payload: Payload::Fields(Arc::new(RecordFields::default())),
        })
        .collect();
    Chunk::new(deliveries, lane)
}

fn renew_all(keeper: &mut Keeper, renewals: Vec<Renewal>, now: Now) {
    for renewal in renewals {
        assert!(
            keeper
                .handle_renewed(renewal, RenewResult::Until(now.monotonic.after(LOCK)))
                .is_none()
        );
    }
}

#[test]
fn waiting_and_running_leases_are_extended_at_half_of_the_lock() {
    let mut keeper = keeper();
    let chunk = chunk(3, 0);
    keeper.track(&chunk);
    assert_eq!(keeper.next_wake(), Some(at(15).monotonic));
    assert!(chunk.start(1, at(1).monotonic));
    assert!(chunk.end(2));
    chunk.finish(2);
    let (renewals, lost) = keeper.poll(at(15), |_| true);
    assert_eq!((renewals.len(), lost.len()), (2, 0), "the settled one needs nothing");
    renew_all(&mut keeper, renewals, at(15));
    assert!(keeper.poll(at(29), |_| true).0.is_empty(), "extended to 45 s");
    assert_eq!(keeper.poll(at(30), |_| true).0.len(), 2);
}

#[test]
fn a_settled_chunk_is_forgotten() {
    let mut keeper = keeper();
    let chunk = chunk(1, 0);
    keeper.track(&chunk);
    drop(chunk);
    assert!(keeper.poll(at(15), |_| true).0.is_empty());
    assert_eq!(keeper.next_wake(), None);
}

#[test]
fn leases_of_a_wedged_lane_run_out() {
    let mut keeper = keeper();
    let (stuck, fine) = (chunk(2, 0), chunk(1, 1));
    keeper.track(&stuck);
    keeper.track(&fine);
    stuck.start(0, at(1).monotonic);
    let mut lost = Vec::new();
    for second in 0..=30 {
        let (renewals, gone) = keeper.poll(at(second), |lane| lane == 1);
        renew_all(&mut keeper, renewals, at(second));
        lost.extend(gone);
    }
    let running: Vec<(usize, bool)> = lost.iter().map(|lost| (lost.item.index, lost.running)).collect();
    assert_eq!(running, [(0, true), (1, false)]);
    assert_eq!((stuck.phase(0), fine.phase(0)), (Phase::Lost, Phase::Waiting));
    assert!(!stuck.end(0), "the outcome is dropped");
    assert!(!stuck.start(1, at(31).monotonic), "and the other is never started");
}

#[test]
fn a_lane_that_comes_back_in_time_keeps_its_leases() {
    let mut keeper = keeper();
    let chunk = chunk(1, 0);
    keeper.track(&chunk);
    assert!(keeper.poll(at(15), |_| false).0.is_empty());
    let (renewals, lost) = keeper.poll(at(29), |_| true);
    assert_eq!((renewals.len(), lost.len()), (1, 0));
}

#[test]
fn neither_a_stuck_call_nor_an_old_attempt_is_extended() {
    let mut keeper = keeper();
    let chunk = chunk(2, 0);
    keeper.track(&chunk);
    chunk.start(0, at(0).monotonic);
    let mut ends = Vec::new();
    for second in 0..=700 {
        let (renewals, lost) = keeper.poll(at(second), |_| true);
        renew_all(&mut keeper, renewals, at(second));
        ends.extend(lost.iter().map(|lost| (lost.item.index, second)));
    }
    let [(0, stuck), (1, old)] = ends[..] else {
        panic!("{ends:?}")
    };
    assert!((75..=91).contains(&stuck), "deadline and lock: {stuck}");
    assert!((600..=630).contains(&old), "max-lease and lock: {old}");
}

#[test]
fn what_cannot_be_asked_is_asked_again_until_the_lease_ends() {
    let mut keeper = keeper();
    let chunk = chunk(1, 0);
    keeper.track(&chunk);
    let (mut asked, mut now) = (0, at(0));
    let lost = loop {
        now.monotonic = keeper.next_wake().unwrap();
        let (renewals, lost) = keeper.poll(now, |_| true);
        if !lost.is_empty() {
            break lost;
        }
        for renewal in renewals {
            asked += 1;
            assert!(keeper.handle_renewed(renewal, RenewResult::Unavailable).is_none());
        }
    };
    assert!((5..=20).contains(&asked), "{asked}");
    assert_eq!((lost.len(), now.monotonic), (1, at(30).monotonic));
}

#[test]
fn the_source_takes_leases_away() {
    let mut keeper = keeper();
    let chunk = chunk(3, 0);
    keeper.track(&chunk);
    chunk.start(0, at(1).monotonic);
    let keys: Vec<LeaseKey> = chunk.deliveries()[..2].iter().map(|delivery| delivery.lease).collect();
    let lost = keeper.handle_lost(&keys);
    assert_eq!(lost.iter().filter(|lost| lost.running).count(), 1);
    assert_eq!(lost.len(), 2);
    assert!(keeper.handle_lost(&keys).is_empty(), "once");
    assert_eq!(keeper.poll(at(15), |_| true).0.len(), 1);
    let (renewals, _) = keeper.poll(at(20), |_| true);
    for renewal in renewals {
        assert!(keeper.handle_renewed(renewal, RenewResult::Lost).is_some());
    }
}

#[test]
fn many_settled_chunks_are_swept() {
    let mut keeper = keeper();
    for _ in 0..100_000 {
        keeper.track(&chunk(1, 0));
    }
    assert!(keeper.chunks.len() <= 2 * SWEEP);
    assert_eq!(keeper.chunks.len(), keeper.queue.len());
}

#[test]
fn a_wall_clock_that_jumps_ends_no_attempt() {
    let mut keeper = keeper();
    let chunk = chunk(1, 0);
    keeper.track(&chunk);
    let mut now = at(15);
    now.wall = WallTime::from_millis(86_400_000);
    assert_eq!(keeper.poll(now, |_| true).0.len(), 1);
    assert_eq!(chunk.deliveries()[0].age(now.monotonic), Duration::from_secs(15));
}
