//! Acknowledgements of wire members, transitions, the delivery limit, members that leave.

use share_engine::share::{AckError, ArchiveCause, Change, Persisted, Settled};

use crate::rig::*;

#[test]
fn gaps_and_types_for_each_offset() {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch(M1, 500, &[(5, 6)]), [(5, 6, 1)]);
    assert_eq!(rig.fetch(M1, 500, &[(10, 18)]), [(10, 18, 1)]);
    let types = [RELEASE, RELEASE, RELEASE, RELEASE, RELEASE, GAP, GAP, GAP, ACCEPT];
    rig.ack(M1, &[(5, 6, &[RELEASE]), (10, 18, &types)]).unwrap();
    rig.all(5, 6, Available, 1);
    rig.all(10, 14, Available, 1);
    rig.all(15, 17, Archived, 1);
    assert_eq!(rig.record(18).0, Acknowledged);
    assert_eq!((rig.nfo(), rig.dcc()), (5, 4));
}

#[test]
fn out_of_range() {
    let mut rig = rig(5, 200);
    invalid_state(rig.ack(M1, &[(0, 15, &[REJECT])]));
    rig.fetch(M1, 500, &[(5, 9)]);
    let result = rig.ack(M1, &[(20, 25, &[REJECT])]);
    assert_eq!(result, Err(AckError::InvalidRequest(run(20, 25))));
}

#[test]
fn another_member() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    invalid_state(rig.ack(M2, &[(5, 9, &[ACCEPT])]));
    rig.all(5, 9, Acquired, 1);
}

#[test]
fn not_acquired() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    rig.ack(M1, &[(5, 9, &[RELEASE])]).unwrap();
    invalid_state(rig.ack(M1, &[(5, 9, &[ACCEPT])]));
    assert_eq!(rig.fetch(M1, 500, &[(5, 9)]), [(5, 9, 2)]);
    rig.ack(M1, &[(6, 8, &[REJECT])]).unwrap();
    assert_eq!(rig.dcc(), 3);
    invalid_state(rig.ack(M1, &[(6, 8, &[REJECT])]));
}

#[test]
fn one_bad_batch_rolls_back_all() {
    let mut rig = rig(5, 200);
    for first in [5, 10, 15] {
        rig.fetch(M1, 500, &[(first, first + 4)]);
    }
    invalid_state(rig.ack(
        M1,
        &[
            (5, 9, &[RELEASE]),
            (10, 14, &[ACCEPT]),
            (15, 19, &[ACCEPT]),
            (15, 19, &[ACCEPT]),
        ],
    ));
    rig.all(5, 19, Acquired, 1);
    assert_eq!(rig.dcc(), 0);
    assert_eq!(rig.share.counts().in_transition, 0);
}

#[test]
fn one_write_for_a_request_and_none_for_nothing() {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch(M1, 500, &[(5, 10)]), [(5, 10, 1)]);
    let settled = rig.ack_pending(M1, &[(5, 7, &[ACCEPT]), (8, 10, &[ACCEPT])]).unwrap();
    assert_eq!(settled.changes, [Change::Acknowledge { range: run(5, 10) }]);
    rig.persist(&settled, Persisted::Durable);
    assert_eq!(rig.writes, 1);
    assert_eq!(rig.offsets(), (11, 11, 11));
    let nothing = rig.share.release_member(M1, rig.now);
    assert_eq!(nothing, Settled::default());
    rig.release(M2);
    assert_eq!(rig.writes, 1);
}

#[test]
fn a_refused_write_leaves_records_acquired() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    let settled = rig.ack_pending(M1, &[(5, 9, &[ACCEPT])]).unwrap();
    rig.persist(&settled, Persisted::Refused);
    rig.all(5, 9, Acquired, 1);
    assert_eq!(rig.offsets(), (5, 9, 10));
    rig.ack(M1, &[(5, 9, &[ACCEPT])]).unwrap();
    assert_eq!(rig.offsets(), (10, 10, 10));
}

#[test]
fn what_is_in_transition_is_not_acquired() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(21, 30)]);
    let settled = rig.ack_pending(M1, &[(21, 30, &[RELEASE])]).unwrap();
    assert_eq!(rig.fetch(M2, 500, &[(21, 30)]), []);
    invalid_state(rig.ack(M1, &[(21, 30, &[ACCEPT])]));
    rig.all(21, 30, Acquired, 1);
    assert_eq!(rig.held_by(21), Some(M1));
    rig.persist(&settled, Persisted::Durable);
    assert_eq!((rig.held_by(21), rig.nfo()), (None, 21));
    assert_eq!(rig.fetch(M2, 500, &[(21, 30)]), [(21, 30, 2)]);
    assert!((21..=30).all(|offset| rig.held_by(offset) == Some(M2)));
}

#[test]
fn what_is_in_transition_is_not_fetched_next() {
    let mut rig = rig(5, 200);
    for (first, last) in [(5, 9), (10, 14), (15, 19), (20, 24)] {
        rig.fetch(M1, 500, &[(first, last)]);
    }
    let pending = rig.ack_pending(M1, &[(5, 9, &[RELEASE])]).unwrap();
    rig.ack(M1, &[(20, 24, &[RELEASE])]).unwrap();
    assert_eq!(rig.nfo(), 20);
    rig.persist(&pending, Persisted::Durable);
    assert_eq!(rig.nfo(), 5);
}

#[test]
fn the_limit_archives_a_batch() {
    let mut rig = rig(2, 200);
    for count in 1..=2 {
        assert_eq!(rig.fetch(M1, 500, &[(5, 14)]), [(5, 14, count)]);
        rig.ack(M1, &[(5, 14, &[RELEASE])]).unwrap();
    }
    assert_eq!(rig.offsets(), (15, 15, 15));
    assert_eq!(rig.dcc(), 0);
}

#[test]
fn the_limit_archives_a_part() {
    let mut rig = rig(2, 200);
    assert_eq!(rig.fetch(M1, 500, &[(10, 14)]), [(10, 14, 1)]);
    assert_eq!(rig.fetch(M1, 500, &[(15, 19)]), [(15, 19, 1)]);
    rig.ack(M1, &[(10, 12, &[ACCEPT]), (13, 16, &[RELEASE]), (17, 19, &[ACCEPT])])
        .unwrap();
    assert_eq!(rig.offsets(), (13, 19, 13));
    assert_eq!(rig.dcc(), 3);
    assert_eq!(rig.fetch(M1, 500, &[(10, 14)]), [(13, 14, 2)]);
    assert_eq!(rig.fetch(M1, 500, &[(15, 19)]), [(15, 16, 2)]);
    let settled = rig.ack_pending(M1, &[(13, 16, &[RELEASE])]).unwrap();
    assert_eq!(lost(&settled.archived), [(13, 16, 2, ArchiveCause::DeliveryLimit)]);
    rig.persist(&settled, Persisted::Durable);
    assert_eq!(rig.offsets(), (20, 20, 20));
    assert_eq!(rig.dcc(), 0);
}

#[test]
fn an_acknowledgement_over_a_hole() {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch(M1, 500, &[(0, 4)]), [(0, 4, 1)]);
    assert_eq!(rig.fetch(M1, 500, &[(5, 6)]), [(5, 6, 1)]);
    assert_eq!(rig.fetch(M1, 500, &[(10, 18)]), [(10, 18, 1)]);
    rig.ack(M1, &[(5, 18, &[ACCEPT])]).unwrap();
    assert_eq!(rig.dcc(), 11);
    rig.release(M1);
    rig.all(0, 4, Available, 1);
    rig.all(5, 6, Acknowledged, 1);
    assert!((7..=9).all(|offset| rig.share.record(at(offset)).is_none()));
    rig.all(10, 18, Acknowledged, 1);
    assert_eq!((rig.offsets(), rig.dcc()), ((0, 18, 0), 11));
}

#[test]
fn a_member_leaves_after_acknowledging_a_part() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    rig.ack(M1, &[(5, 6, &[RELEASE]), (8, 9, &[ACCEPT])]).unwrap();
    rig.release(M1);
    rig.all(5, 7, Available, 1);
    rig.all(8, 9, Acknowledged, 1);
    assert_eq!((rig.offsets(), rig.dcc()), ((5, 9, 5), 2));
}

#[test]
fn a_member_that_leaves_takes_nothing_of_another() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 14)]);
    rig.ack(M1, &[(8, 10, &[RELEASE])]).unwrap();
    assert_eq!(rig.fetch(M2, 500, &[(8, 10)]), [(8, 10, 2)]);
    rig.release(M1);
    rig.all(5, 7, Available, 1);
    rig.all(8, 10, Acquired, 2);
    rig.all(11, 14, Available, 1);
    assert_eq!(rig.held_by(9), Some(M2));
    assert_eq!(rig.nfo(), 5);
}

#[test]
fn leaving_does_not_lower_counts() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    rig.fetch(M1, 500, &[(10, 14)]);
    rig.ack(M1, &[(12, 13, &[ACCEPT])]).unwrap();
    assert_eq!(rig.log_start(11), (vec![(5, 10, 1, ArchiveCause::Retention)], 0));
    assert_eq!(rig.held_by(10), None);
    rig.release(M1);
    assert_eq!(rig.offsets(), (11, 14, 11));
    assert_eq!(rig.record(11), (Available, 1));
    rig.all(12, 13, Acknowledged, 1);
    assert_eq!(rig.record(14), (Available, 1));
    assert_eq!(rig.dcc(), 2);
}

#[test]
fn the_log_start_passes_batches() {
    let mut rig = rig(5, 200);
    for first in [2, 7, 12, 17, 22, 27, 32] {
        rig.fetch(M1, 500, &[(first, first + 4)]);
    }
    rig.ack(
        M1,
        &[
            (2, 6, &[ACCEPT]),
            (12, 16, &[RELEASE]),
            (22, 26, &[RELEASE]),
            (27, 31, &[REJECT]),
        ],
    )
    .unwrap();
    assert_eq!(rig.log_start(20), (vec![(7, 19, 1, ArchiveCause::Retention)], 0));
    assert_eq!(rig.offsets(), (20, 36, 22));
    rig.all(20, 21, Acquired, 1);
    rig.all(22, 26, Available, 1);
    rig.all(27, 31, Archived, 1);
    rig.all(32, 36, Acquired, 1);
    assert_eq!(rig.dcc(), 5);
    // The member's acknowledgement of what was passed is a success without effect.
    rig.ack(M1, &[(7, 11, &[ACCEPT]), (17, 19, &[ACCEPT])]).unwrap();
    assert_eq!(rig.offsets(), (20, 36, 22));
}

#[test]
fn the_log_start_passes_everything() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(2, 6)]);
    rig.fetch(M1, 500, &[(7, 11)]);
    // 12 and 13 were given to nobody.
    assert_eq!(rig.log_start(14), (vec![(2, 11, 1, ArchiveCause::Retention)], 2));
    assert_eq!(rig.offsets(), (14, 14, 14));
    assert_eq!(rig.share.poll_deadline(), None);
    rig.ack(M1, &[(2, 11, &[ACCEPT])]).unwrap();
    assert_eq!(rig.fetch(M1, 500, &[(14, 18)]), [(14, 18, 1)]);
}

#[test]
fn the_log_start_meets_the_end() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(2, 6)]);
    rig.fetch(M1, 500, &[(7, 11)]);
    rig.ack(M1, &[(7, 8, &[RELEASE])]).unwrap();
    assert_eq!(rig.log_start(11), (vec![(2, 10, 1, ArchiveCause::Retention)], 0));
    assert_eq!(rig.offsets(), (11, 11, 12));
    assert_eq!(rig.record(11), (Acquired, 1));
}

#[test]
fn acknowledging_after_the_log_start_moved() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(2, 6)]);
    rig.fetch(M1, 500, &[(10, 14)]);
    let retention = ArchiveCause::Retention;
    assert_eq!(
        rig.log_start(12),
        (vec![(2, 6, 1, retention), (10, 11, 1, retention)], 0)
    );
    rig.all(12, 14, Acquired, 1);
    rig.ack(M1, &[(2, 6, &[RELEASE]), (10, 14, &[RELEASE])]).unwrap();
    assert_eq!(rig.offsets(), (12, 14, 12));
    rig.all(12, 14, Available, 1);
    assert_eq!(rig.fetch(M1, 500, &[(10, 14)]), [(12, 14, 2)]);
}
