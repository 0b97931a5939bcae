//! What retention, queries and redrive ask: which offsets are finished, held or new, and to end one by hand.

use std::time::Duration;

use share_engine::ids::{Continuation, DeliveryCount, LeaseKey, Offset};
use share_engine::share::{Change, Persisted, Settled, Verdict};

use crate::rig::*;

/// 5 is held, 6 accepted, 7 rejected, 8 released, 9 parked for an hour, 10 and 11 accepted, 12 to 14 never delivered
/// although their record batch was begun; the log goes on behind them.
fn mixed() -> Rig {
    let mut rig = rig_at(5, 5, 200);
    rig.mode = share_engine::share::AcquireMode::RecordLimit;
    assert_eq!(rig.fetch(M1, 7, &[(5, 14)]), [(5, 11, 1)]);
    rig.ack(M1, &[(6, 8, &[ACCEPT, REJECT, RELEASE]), (10, 11, &[ACCEPT])])
        .unwrap();
    let lease = LeaseKey {
        share: rig.share.key(),
        epoch: rig.share.epoch(),
        offset: at(9),
        delivery_count: DeliveryCount(1),
        continuation: Continuation(0),
    };
    let renew = Verdict::Renew {
        after: Duration::from_hours(1),
        checkpoint: None,
    };
    let settled = rig.share.settle(&[(lease, renew)], rig.now);
    rig.persist(&settled, Persisted::Durable);
    rig
}

#[test]
fn what_is_finished() {
    let mut rig = mixed();
    let finished = |rig: &Rig, first, last| rig.share.is_finished(run(first, last));
    assert!(finished(&rig, 0, 4), "it is before the start offset");
    for (first, last, wanted) in [
        (0, 5, false),
        (5, 7, false),
        (6, 7, true),
        (6, 8, false),
        (9, 9, false),
        (10, 11, true),
        (10, 12, false),
        (14, 14, false),
        (15, 15, false),
        (10, 15, false),
    ] {
        assert_eq!(finished(&rig, first, last), wanted, "{first} to {last}");
    }
    let pending = rig.ack_pending(M1, &[(5, 5, &[ACCEPT])]).unwrap();
    assert!(!finished(&rig, 5, 7), "it is not durable yet");
    rig.persist(&pending, Persisted::Durable);
    assert!(finished(&rig, 5, 7));
}

#[test]
fn what_is_held() {
    let mut rig = mixed();
    let held = |rig: &Rig, first, last| rig.share.first_held(run(first, last)).map(Offset::get);
    assert_eq!(held(&rig, 0, 20), Some(5));
    assert_eq!(held(&rig, 6, 8), None);
    assert_eq!(held(&rig, 6, 20), Some(9));
    assert_eq!(held(&rig, 10, 20), None);
    assert_eq!(held(&rig, 0, 4), None);
    assert!(rig.share.holds(M1) && !rig.share.holds(M2));
    let pending = rig.fetch_pending(M2, 1, 8, &[(5, 14)]);
    assert_eq!(held(&rig, 6, 8), Some(8), "a change of it is under way");
    assert!(rig.share.holds(M2), "it is about to hold it");
    rig.share
        .handle_persisted(pending.transition.unwrap(), Persisted::Refused, rig.now);
    assert!(!rig.share.holds(M2));
    rig.release(M1);
    assert!(!rig.share.holds(M1));
}

#[test]
fn what_is_new_and_what_is_left() {
    let mut rig = mixed();
    assert_eq!(rig.share.next_new_offset(), at(15));
    assert_eq!((rig.share.settled_end(), rig.share.untried()), (at(12), 3));
    // 5, 8, 9, and from 12 on all that the log has.
    for (to, wanted) in [
        (0, 0),
        (5, 0),
        (6, 1),
        (8, 1),
        (9, 2),
        (10, 3),
        (12, 3),
        (15, 6),
        (16, 7),
        (20, 11),
    ] {
        assert_eq!(rig.share.unsettled_before(at(to)), wanted, "before {to}");
    }
    assert_eq!(rig_at(5, 5, 200).share.settled_end(), at(5));
    assert_eq!(rig_at(5, 5, 200).share.unsettled_before(at(9)), 4);
    assert_eq!(
        rig.share.first_due(),
        Some(rig.now.monotonic.after(Duration::from_hours(1)))
    );
    rig.advance(Duration::from_secs(9));
    assert_eq!(rig.share.attempt_age(at(5), rig.now.monotonic), Duration::from_secs(9));
    assert!(rig.share.can_retire());
    let pending = rig.ack_pending(M1, &[(5, 5, &[ACCEPT])]).unwrap();
    let transition = pending.transition.unwrap();
    assert!(rig.share.is_open(transition));
    let reset = rig.share.reset(rig.share.epoch().next(), at(3), rig.now);
    assert!(!rig.share.can_retire() && !rig.share.is_open(transition));
    rig.persist(&reset, Persisted::Refused);
    assert!(rig.share.can_retire() && rig.share.is_open(transition));
    rig.persist(&pending, Persisted::Durable);
    assert!(!rig.share.is_open(transition));
    assert_eq!(rig.share.settled_end(), at(12));
}

#[test]
fn one_that_is_available_is_ended_by_hand() {
    let mut rig = mixed();
    let now = rig.now;
    // Passed, held, accepted, rejected, parked, or farther than any window reaches.
    for offset in [0, 4, 5, 6, 7, 9, 5 + (64 << 20)] {
        assert_eq!(rig.share.conclude(at(offset), now), Settled::default(), "{offset}");
        rig.share.check();
    }
    for (offset, count) in [(8, 1), (13, 0), (15, 0), (18, 0)] {
        let settled = rig.share.conclude(at(offset), now);
        let range = run(offset, offset);
        let acquire = Change::Acquire {
            range,
            delivery_count: DeliveryCount(count),
            at: now.wall,
        };
        assert_eq!(settled.changes, [acquire, Change::Acknowledge { range }], "{offset}");
        assert_eq!(
            rig.share.conclude(at(offset), now),
            Settled::default(),
            "{offset} is under way"
        );
        rig.persist(&settled, Persisted::Durable);
        assert_eq!(rig.share.record(at(offset)).unwrap().state, Acknowledged);
    }
    assert_eq!(rig.share.next_new_offset(), at(19));
    rig.all(16, 17, Available, 0);
    // The very first is no exception.
    let mut rig = rig_at(5, 5, 200);
    let settled = rig.share.conclude(at(5), rig.now);
    rig.persist(&settled, Persisted::Durable);
    assert_eq!(rig.offsets(), (6, 6, 6));
}
