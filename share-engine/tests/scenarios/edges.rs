//! The order in which an acknowledgement is checked, edge by edge: what each batch is answered, and that nothing changes
//! when the answer is an error. A gap that a restart left is like any record that nobody holds: its answer is about state.

use share_engine::ids::MemberIndex;
use share_engine::share::{AckError, AckType, Change, Persisted, Settled};

use crate::rig::*;

type Batch = (u64, u64, &'static [AckType]);

fn state(offset: u64) -> AckError {
    AckError::InvalidRecordState(at(offset))
}

fn request(batch: Batch) -> AckError {
    AckError::InvalidRequest(run(batch.0, batch.1))
}

/// 5-9 and 15-19 are held by one member; the log has nothing between them.
fn two_entries() -> Rig {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch(M1, 500, &[(5, 9)]), [(5, 9, 1)]);
    assert_eq!(rig.fetch(M1, 500, &[(15, 19)]), [(15, 19, 1)]);
    rig
}

/// The answer to a batch alone, and behind one that would do: all or nothing, and here it is nothing.
fn refused(rig: &mut Rig, member: MemberIndex, batch: Batch, wanted: AckError) {
    let seen = |rig: &Rig| {
        let records: Vec<_> = (0..40).map(|offset| rig.share.record(at(offset))).collect();
        (rig.offsets(), rig.share.counts(), records)
    };
    let before = seen(rig);
    assert_eq!(rig.ack(member, &[batch]), Err(wanted), "{batch:?}");
    assert_eq!(seen(rig), before, "{batch:?}");
    if member != M1 {
        return;
    }
    let fine: Batch = (19, 19, &[RELEASE]);
    assert_eq!(rig.ack(M1, &[fine, batch]), Err(wanted), "{batch:?} behind {fine:?}");
    assert_eq!(seen(rig), before, "{batch:?} behind {fine:?}");
}

#[test]
fn before_the_start_offset_is_a_success_without_effect() {
    let mut rig = two_entries();
    rig.ack(M1, &[(5, 6, &[ACCEPT])]).unwrap();
    for member in [M1, M2] {
        assert_eq!(rig.ack_pending(member, &[(0, 6, &[REJECT])]), Ok(Settled::default()));
    }
    rig.all(7, 9, Acquired, 1);
    // The types belong to the offsets from the first on, passed or not.
    rig.ack(M1, &[(5, 9, &[GAP, GAP, ACCEPT, RELEASE, REJECT])]).unwrap();
    assert_eq!(rig.offsets(), (8, 19, 8));
    assert_eq!((rig.record(8), rig.record(9)), ((Available, 1), (Archived, 1)));
}

#[test]
fn the_start_offset_lies_inside_the_batch() {
    let mut rig = two_entries();
    rig.ack(M1, &[(5, 6, &[ACCEPT])]).unwrap();
    rig.ack(M1, &[(3, 9, &[ACCEPT])]).unwrap();
    assert_eq!(rig.offsets(), (15, 19, 20));
}

#[test]
fn nothing_is_in_flight() {
    for mut rig in [rig(5, 200), rig_at(3, 5, 200)] {
        for batch in [(0, 15), (3, 3), (7, 9)] {
            let batch: Batch = (batch.0, batch.1, &[ACCEPT]);
            assert_eq!(rig.ack(M1, &[batch]), Err(state(batch.0)), "{batch:?}");
        }
    }
}

#[test]
fn the_batch_begins_where_no_record_is() {
    let mut rig = two_entries();
    for batch in [(10, 15, &[ACCEPT] as &[_]), (14, 19, &[RELEASE]), (12, 13, &[GAP])] {
        refused(&mut rig, M1, batch, request(batch));
    }
}

#[test]
fn the_batch_ends_beyond_what_is_in_flight() {
    let mut rig = two_entries();
    for batch in [
        (15, 20, &[ACCEPT] as &[_]),
        (20, 25, &[ACCEPT]),
        (5, 10, &[ACCEPT]),
        (8, 14, &[RELEASE]),
    ] {
        refused(&mut rig, M1, batch, request(batch));
    }
}

#[test]
fn a_hole_inside_the_batch_is_passed_over() {
    let mut rig = two_entries();
    let settled = rig.ack_pending(M1, &[(8, 16, &[ACCEPT])]).unwrap();
    assert_eq!(
        settled.changes,
        [
            Change::Acknowledge { range: run(8, 9) },
            Change::Acknowledge { range: run(15, 16) }
        ]
    );
    rig.persist(&settled, Persisted::Durable);
    assert_eq!(rig.dcc(), 4);
    assert!((10..15).all(|offset| rig.share.record(at(offset)).is_none()));
}

#[test]
fn the_number_of_types_fits_neither() {
    let mut rig = two_entries();
    for batch in [
        (5, 9, &[] as &[_]),
        (5, 9, &[ACCEPT; 4]),
        (5, 9, &[ACCEPT; 6]),
        (0, 2, &[ACCEPT; 2]),
    ] {
        refused(&mut rig, M1, batch, request(batch));
    }
}

#[test]
fn the_records_are_not_held_by_this_member() {
    let mut rig = two_entries();
    for types in [&[ACCEPT], &[RELEASE], &[REJECT], &[GAP], &[RENEW]] as [&[_]; 5] {
        refused(&mut rig, M2, (5, 9, types), state(5));
    }
    // One in the middle is another member's.
    rig.ack(M1, &[(7, 7, &[RELEASE])]).unwrap();
    assert_eq!(rig.fetch(M2, 500, &[(7, 7)]), [(7, 7, 2)]);
    refused(&mut rig, M1, (5, 9, &[ACCEPT]), state(7));
    refused(&mut rig, M2, (7, 8, &[ACCEPT]), state(8));
}

#[test]
fn the_records_are_not_held_at_all() {
    let mut rig = two_entries();
    rig.ack(M1, &[(7, 9, &[RELEASE, ACCEPT, REJECT])]).unwrap();
    for offset in 7..=9 {
        refused(&mut rig, M1, (offset, offset, &[ACCEPT]), state(offset));
    }
    refused(&mut rig, M1, (5, 9, &[ACCEPT]), state(7));
    // The rest of a record batch that nobody has asked for yet.
    rig.mode = share_engine::share::AcquireMode::RecordLimit;
    assert_eq!(rig.fetch_from(M1, 2, 20, &[(20, 24)]), [(20, 21, 1)]);
    refused(&mut rig, M1, (20, 24, &[ACCEPT]), state(22));
    // An acquisition that is not durable was told to nobody.
    let acquisition = rig.fetch_pending(M1, 500, 22, &[(20, 24)]);
    refused(&mut rig, M1, (22, 24, &[ACCEPT]), state(22));
    rig.hand_out(&acquisition);
    rig.ack(M1, &[(20, 24, &[ACCEPT])]).unwrap();
}

#[test]
fn another_change_is_on_its_way() {
    let mut rig = two_entries();
    let pending = rig.ack_pending(M1, &[(7, 7, &[RELEASE])]).unwrap();
    for types in [&[ACCEPT], &[RELEASE], &[REJECT], &[GAP], &[RENEW]] as [&[_]; 5] {
        refused(&mut rig, M1, (7, 9, types), state(7));
    }
    rig.persist(&pending, Persisted::Refused);
    rig.ack(M1, &[(7, 9, &[ACCEPT])]).unwrap();
    rig.all(7, 9, Acknowledged, 1);
    let pending = rig.share.release_member(M1, rig.now);
    assert_eq!(rig.ack(M1, &[(5, 5, &[ACCEPT])]), Err(state(5)));
    rig.persist(&pending, Persisted::Durable);
    rig.all(5, 6, Available, 1);
}

#[test]
fn the_same_offset_twice_in_one_request() {
    let mut rig = two_entries();
    let twice: [Batch; 2] = [(5, 9, &[ACCEPT]), (9, 9, &[ACCEPT])];
    assert_eq!(rig.ack(M1, &twice), Err(state(9)));
    rig.all(5, 9, Acquired, 1);
    // A renewal is no change that is on its way.
    rig.ack(M1, &[(5, 9, &[RENEW]), (9, 9, &[ACCEPT])]).unwrap();
    assert_eq!(rig.record(9), (Acknowledged, 1));
}

#[test]
fn what_was_renewed_stays_renewed() {
    let mut rig = two_entries();
    rig.advance(LOCK / 2);
    let mixed: [Batch; 3] = [(5, 6, &[RENEW, ACCEPT]), (15, 19, &[RELEASE]), (20, 20, &[ACCEPT])];
    assert_eq!(rig.ack(M1, &mixed), Err(request(mixed[2])));
    rig.all(5, 9, Acquired, 1);
    rig.all(15, 19, Acquired, 1);
    let renewed = rig.now.monotonic.after(LOCK);
    assert_eq!(rig.share.lease_deadline(at(5)), Some(renewed));
    assert_ne!(rig.share.lease_deadline(at(6)), Some(renewed));
    assert_ne!(rig.share.lease_deadline(at(15)), Some(renewed));
}

#[test]
fn a_reset_is_on_its_way() {
    let mut rig = two_entries();
    let reset = rig.share.reset(rig.share.epoch().next(), at(7), rig.now);
    assert_eq!(rig.ack(M1, &[(5, 9, &[ACCEPT])]), Err(state(5)));
    rig.persist(&reset, Persisted::Durable);
    assert_eq!(rig.offsets(), (7, 7, 7));
    assert_eq!(rig.ack(M1, &[(5, 9, &[ACCEPT])]), Err(state(5)));
    assert_eq!(
        rig.ack(M1, &[(5, 6, &[ACCEPT])]),
        Ok(()),
        "it is before the start offset now"
    );
}

#[test]
fn a_gap_that_a_restart_left() {
    let mut rig = rig_at(10, 5, 200);
    rig.load(&[(15, 20, 1, Available), (30, 40, 1, Archived)]);
    assert_eq!(rig.fetch_from(M1, 6, 15, &[(15, 20)]), [(15, 20, 2)]);
    for (first, last, wrong) in [(10, 20, 10), (15, 25, 21), (21, 29, 21)] {
        let batch: Batch = (first, last, &[ACCEPT]);
        assert_eq!(rig.ack(M1, &[batch]), Err(state(wrong)), "{batch:?}");
    }
    rig.all(15, 20, Acquired, 2);
}
