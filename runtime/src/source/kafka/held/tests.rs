//! What a member holds, by the clock.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use bytes::Bytes;
use share_engine::ids::{Continuation, DeliveryCount, StateEpoch};
use share_engine::time::WallTime;

use super::super::super::{Payload, RecordFields};
use super::*;

const LOCK: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Instant {
    Instant::default().after(Duration::from_secs(seconds))
}

fn place() -> TopicPartition {
    TopicPartition {
        topic_id: share_wire::Uuid::nil(),
        partition: 3,
    }
}

/// A record that was acquired at `at(0)`.
fn delivery(held: &mut Held, offset: u64, delivery_count: u16) -> Delivery {
    Delivery {
        lease: LeaseKey {
            share: held.share_key(place()),
            epoch: StateEpoch(delivery_count.into()),
            offset: Offset::saturating(offset),
            delivery_count: DeliveryCount(delivery_count),
            continuation: Continuation::default(),
        },
        topic: Arc::from("t"),
        partition: 3,
        lease_deadline: at(10),
        attempt_age: Duration::ZERO,
        acquired_at: at(0),
        appended_at: WallTime::default(),
        checkpoint: None,
        payload: Payload::Fields(Arc::new(RecordFields::default())),
    }
}

/// As the brokers know it.
fn lease(delivery: &Delivery) -> Lease {
    Lease {
        place: place(),
        offset: i64::try_from(delivery.offset().get()).unwrap(),
        delivery_count: i16::try_from(delivery.attempt()).unwrap(),
        acquisition: delivery.lease.epoch.0.into(),
    }
}

fn taken(offsets: &[u64]) -> (Held, Vec<Delivery>) {
    let mut held = Held::new(LOCK, ShareKey(0));
    let deliveries: Vec<_> = offsets.iter().map(|offset| delivery(&mut held, *offset, 1)).collect();
    for delivery in &deliveries {
        held.take(delivery, lease(delivery));
    }
    (held, deliveries)
}

fn due(delivery: &Delivery) -> Due {
    Due {
        id: id(delivery),
        lease: lease(delivery),
    }
}

fn id(delivery: &Delivery) -> Id {
    (delivery.lease.share, delivery.lease.offset)
}

#[test]
fn a_record_that_waits_is_renewed_and_handed_out_as_a_continuation() {
    let (mut held, records) = taken(&[7]);
    let id = id(&records[0]);
    held.park(id, Then::Continue, at(12), Some(Bytes::from_static(b"half")));
    assert!(held.out(&records[0].lease).is_none(), "the host has it no more");
    assert_eq!((held.parked(), held.next_wake()), (1, Some(at(5))));
    let turn = held.turn(at(5));
    let lease = lease(&records[0]);
    assert_eq!(turn.renew, [lease]);
    // Without an answer it is asked for again well before the end.
    assert_eq!(held.next_wake(), Some(Instant::from_nanos(7_500_000_000)));
    held.handle_renewed(&lease, at(16), at(5));
    assert_eq!(held.next_wake(), Some(at(11)));
    held.handle_renewed(&lease, at(20), at(8));
    let turn = held.turn(at(12));
    assert!(turn.ready && turn.is_empty());
    let again = held.take_ready(5, at(13));
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].lease.continuation, Continuation(1));
    assert_eq!(again[0].lease.delivery_count, DeliveryCount(1));
    assert_eq!(again[0].age(at(13)), Duration::from_secs(13), "the attempt goes on");
    assert_eq!(
        (again[0].lease_deadline, again[0].checkpoint.as_deref()),
        (at(20), Some(&b"half"[..]))
    );
    assert!(
        held.out(&records[0].lease).is_none(),
        "an outcome of the call before is stale"
    );
    assert!(held.out(&again[0].lease).is_some());
    assert_eq!((held.parked(), held.next_wake()), (0, None));
}

#[test]
fn what_is_ready_is_renewed_until_somebody_takes_it() {
    let (mut held, records) = taken(&[7, 8]);
    held.park(id(&records[0]), Then::Continue, at(1), None);
    held.park(id(&records[1]), Then::Continue, at(1), None);
    assert!(held.turn(at(1)).ready);
    assert_eq!(held.turn(at(5)).renew.len(), 2);
    assert_eq!(held.take_ready(1, at(5)).len(), 1);
    assert_eq!((held.parked(), held.len()), (1, 2));
    // The other one runs out: the broker gives it to somebody.
    while let Some(wake) = held.next_wake().filter(|wake| *wake < at(10)) {
        held.turn(wake);
    }
    assert!(held.turn(at(10).after(SHORTEST)).ready, "there is room again");
    assert_eq!((held.parked(), held.len()), (0, 1));
    assert!(held.take_ready(9, at(11)).is_empty());
}

#[test]
fn a_delayed_release_and_a_letter_are_handed_out_once() {
    let (mut held, records) = taken(&[7, 8]);
    let letter = Then::Letter {
        why: Why::Exhausted,
        tries: 2,
        since: at(0),
    };
    held.park(id(&records[0]), Then::Release, at(2), None);
    held.park(id(&records[1]), letter.clone(), at(3), None);
    let turn = held.turn(at(2));
    assert_eq!(
        (turn.tell, turn.letters.len()),
        (vec![(due(&records[0]), Verb::Release)], 0)
    );
    let turn = held.turn(at(3));
    let wanted = Letter {
        due: due(&records[1]),
        why: Why::Exhausted,
        tries: 2,
        since: at(0),
    };
    assert_eq!(turn.letters, [wanted]);
    assert!(held.turn(at(4)).is_empty());
    // While the broker is asked, locks are kept.
    assert_eq!(held.turn(at(5)).renew.len(), 2);
    held.remove(id(&records[0]));
    held.park(id(&records[1]), letter, at(9), None);
    assert_eq!((held.parked(), held.turn(at(6)).letters.len()), (1, 0));
    // Whoever leaves does not wait for that.
    held.hurry(at(6));
    assert_eq!(held.turn(at(6)).letters.len(), 1);
    assert_eq!(held.owed().count(), 1, "it is being written");
}

/// A release, a copy or a letter that was carried out, and whose verb the broker refused, is not carried out again.
#[test]
fn what_is_done_is_only_told_again() {
    let (mut held, records) = taken(&[7]);
    let due = due(&records[0]);
    held.park(due.id, Then::Continue, at(60), None);
    let taken = held.take_aside(Which::Longest, at(1), 9);
    assert_eq!(taken.len(), 1);
    held.put_back(due, Then::Tell(Verb::Accept), at(2));
    assert!(held.take_aside(Which::Longest, at(1), 9).is_empty(), "no second copy");
    assert_eq!(held.owed().count(), 1);
    let turn = held.turn(at(2));
    assert_eq!((turn.tell, turn.ready), (vec![(due, Verb::Accept)], false));
    held.settled(due, Verb::Accept, Outcome::Applied);
    assert_eq!((held.len(), held.parked()), (0, 0));
}

/// After a change of leaders a record may come with the count that it had.
#[test]
fn a_delivery_with_the_same_count_is_another_one() {
    let (mut held, records) = taken(&[7]);
    let mut newer = delivery(&mut held, 7, 1);
    newer.lease.epoch = StateEpoch(9);
    held.take(&newer, lease(&newer));
    assert!(held.out(&records[0].lease).is_none());
    assert!(!held.end(due(&records[0])));
    held.put_back(due(&records[0]), Then::Release, at(1));
    assert!(held.handle_lost(&[lease(&records[0])]).is_empty());
    assert!(held.out(&newer.lease).is_some());
}

#[test]
fn a_lock_that_was_made_shorter_is_renewed_at_half_of_it() {
    let (mut held, records) = taken(&[7]);
    held.park(id(&records[0]), Then::Continue, at(60), None);
    held.turn(at(5));
    held.handle_renewed(&lease(&records[0]), at(9), at(5));
    assert_eq!(held.next_wake(), Some(at(7)));
}

#[test]
fn records_that_the_broker_gave_out_often_are_taken_aside() {
    let mut held = Held::new(LOCK, ShareKey(0));
    for (offset, count) in [(7, 1), (8, 2), (9, 3)] {
        let delivery = delivery(&mut held, offset, count);
        held.keep(&delivery, lease(&delivery), Then::Begin, at(60));
    }
    let taken = held.take_aside(Which::Delivered(2), at(2), 9);
    assert_eq!(taken.iter().map(|(due, ..)| due.id.1.get()).collect::<Vec<_>>(), [8, 9]);
}

/// What others were given is not known; where the topic ends is.
#[test]
fn a_window_that_others_have_filled_is_presumed() {
    let (mut held, records) = taken(&[7]);
    let id = id(&records[0]);
    held.presume(id.0, id.1, Offset::saturating(107), 100);
    assert_eq!(held.spans()[0].offsets(), 1, "there is nothing beyond the window");
    held.presume(id.0, id.1, Offset::saturating(108), 100);
    assert_eq!(held.spans()[0].offsets(), 100);
}

#[test]
fn a_lost_record_is_told_of_only_if_the_host_has_it() {
    let (mut held, records) = taken(&[7, 8, 9]);
    held.park(id(&records[1]), Then::Continue, at(2), None);
    let leases: Vec<_> = records.iter().map(lease).collect();
    // It came again meanwhile.
    let newer = delivery(&mut held, 9, 2);
    held.take(&newer, lease(&newer));
    assert_eq!(held.handle_lost(&leases), [records[0].lease]);
    assert!(held.out(&newer.lease).is_some());
    assert_eq!((held.len(), held.parked()), (1, 0));
    assert!(!held.turn(at(2)).ready);
}

#[test]
fn a_span_is_told_by_its_lowest_record() {
    let (mut held, records) = taken(&[40, 7, 2_006]);
    held.park(id(&records[1]), Then::Release, at(60), None);
    // What is settled above it stays in its window.
    held.remove(id(&records[2]));
    let spans = held.spans();
    assert_eq!(spans.len(), 1);
    let span = spans[0];
    assert_eq!((span.partition, span.lowest.get(), span.offsets()), (3, 7, 2_000));
    assert!(span.is_parked);
    assert_eq!(span.id, id(&records[1]));
}

#[test]
fn what_waits_longest_or_lowest_is_taken_aside() {
    let (mut held, records) = taken(&[7, 8, 9, 10]);
    for (record, due) in records.iter().zip([6, 9, 8]) {
        held.park(id(record), Then::Release, at(due), None);
    }
    let letter = Then::Letter {
        why: Why::Exhausted,
        tries: 1,
        since: at(0),
    };
    held.park(id(&records[3]), letter, at(9), None);
    let offsets =
        |taken: Vec<(Due, Then, Instant)>| -> Vec<u64> { taken.iter().map(|(due, ..)| due.id.1.get()).collect() };
    assert_eq!(
        offsets(held.take_aside(Which::LowestOf(ShareKey(1)), at(1), 9)),
        [] as [u64; 0]
    );
    assert_eq!(offsets(held.take_aside(Which::Longest, at(9), 9)), [8]);
    assert_eq!(offsets(held.take_aside(Which::LowestOf(ShareKey(0)), at(1), 1)), [7]);
    assert_eq!(offsets(held.take_aside(Which::Longest, at(1), 9)), [9]);
    assert!(held.turn(at(9)).tell.is_empty(), "what is taken is not due");
    assert_eq!(held.parked(), 4);
}

#[test]
fn an_attempt_that_begins_here_is_young() {
    let (mut held, records) = taken(&[7]);
    held.park(id(&records[0]), Then::Begin, at(3), None);
    held.turn(at(3));
    let begun = held.take_ready(1, at(4));
    assert_eq!(
        (begun[0].age(at(4)), begun[0].lease.continuation),
        (Duration::ZERO, Continuation(0))
    );
}

/// What a broker releases it may give out again in the same answer, before anybody here has heard of the release.
#[test]
fn a_record_that_comes_again_before_its_release_is_answered_stays() {
    let (mut held, records) = taken(&[7]);
    held.park(id(&records[0]), Then::Release, at(1), None);
    let released = held.turn(at(1)).tell;
    let newer = delivery(&mut held, 7, 2);
    held.take(&newer, lease(&newer));
    held.put_back(released[0].0, Then::Release, at(2));
    assert!(held.out(&newer.lease).is_some());
    held.end(released[0].0);
    assert!(held.out(&newer.lease).is_some());
    assert!(held.delivery(released[0].0).is_none());
    held.end(due(&newer));
    assert_eq!(held.len(), 0);
}

#[test]
fn what_the_brokers_refuse_for_now_is_told_again_if_it_stays() {
    let refused = Outcome::Failed(share_wire::code::ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let (mut held, records) = taken(&[7, 8, 9]);
    let due: Vec<Due> = records.iter().map(due).collect();
    assert!(held.answered(due[0], Verb::Reject, refused, true, at(1)));
    assert!(held.turn(at(0)).tell.is_empty());
    assert_eq!(held.turn(at(1)).tell, [(due[0], Verb::Reject)]);
    assert!(!held.answered(due[1], Verb::Accept, refused, false, at(1)));
    assert!(held.is_out(due[1]), "the host has it, and decides");
    assert!(!held.answered(due[2], Verb::Accept, Outcome::Unknown, true, at(1)));
    assert!(held.delivery(due[2]).is_none());
}

/// Between what a batch decides of it and the end of that batch.
#[test]
fn what_was_lost_meanwhile_is_not_kept() {
    let (mut held, records) = taken(&[7, 8]);
    let due: Vec<Due> = records.iter().map(due).collect();
    assert!(held.is_out(due[0]) && held.is_out(due[1]));
    assert_eq!(held.handle_lost(&[due[0].lease]), [records[0].lease]);
    assert!(!held.is_out(due[0]));
    // Nor is a newer delivery of the same record taken for it.
    held.handle_lost(&[due[1].lease]);
    let newer = delivery(&mut held, 8, 2);
    held.take(&newer, lease(&newer));
    assert!(!held.is_out(due[1]));
    assert!(held.is_out(self::due(&newer)));
}
