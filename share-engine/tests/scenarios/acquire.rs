//! Acquiring new records and records that are available again; the window.

use share_engine::share::{AcquireMode, ArchiveCause};

use crate::rig::*;

#[test]
fn a_single_record() {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch(M1, 500, &[(0, 0)]), [(0, 0, 1)]);
    assert_eq!(rig.nfo(), 1);
    assert_eq!(rig.record(0), (Acquired, 1));
    assert_eq!(rig.share.poll_deadline(), Some(rig.now.monotonic.after(LOCK)));
}

#[test]
fn the_maximum_is_soft_by_one_batch() {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch(M1, 10, &[(0, 4)]), [(0, 4, 1)]);
    assert_eq!(rig.fetch(M1, 10, &[(0, 24)]), [(5, 24, 1)]);
    assert_eq!(rig.nfo(), 25);
}

#[test]
fn the_maximum_ends_a_run_of_batches() {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch(M1, 10, &[(10, 14), (15, 29), (30, 44)]), [(10, 29, 1)]);
    assert_eq!(rig.offsets(), (10, 29, 30));
}

#[test]
fn what_overlaps_is_not_given_twice() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(0, 4)]);
    assert_eq!(rig.fetch(M1, 500, &[(0, 9)]), [(5, 9, 1)]);
}

#[test]
fn the_same_batch_again_gives_nothing() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(0, 9)]);
    assert_eq!(rig.fetch(M1, 500, &[(0, 9)]), []);
    assert_eq!(rig.fetch(M2, 500, &[(3, 5)]), []);
}

#[test]
fn ranges_are_split_at_batches() {
    let mut rig = rig(5, 200);
    rig.batch_size = 5;
    let got = rig.fetch(M1, 500, &[(2, 6), (10, 14), (15, 21), (22, 27)]);
    assert_eq!(got, [(2, 9, 1), (10, 14, 1), (15, 21, 1), (22, 27, 1)]);
    assert_eq!(rig.nfo(), 28);
}

#[test]
fn a_full_window_gives_nothing_new() {
    let mut rig = rig(5, 20);
    rig.fetch(M1, 500, &[(0, 9)]);
    assert_eq!(
        rig.fetch(M1, 500, &[(10, 14), (15, 24), (25, 29), (30, 31)]),
        [(10, 24, 1)]
    );
    assert!(!rig.share.can_acquire());
    assert_eq!(rig.fetch(M1, 500, &[(25, 34)]), []);
    assert_eq!(rig.nfo(), 25);
    assert_eq!(rig.share.pinned().unwrap().offset, at(0));
}

#[test]
fn a_full_window_gives_what_it_holds() {
    let mut rig = rig(5, 20);
    assert_eq!(rig.fetch(M1, 500, &[(10, 14), (15, 24), (25, 29)]), [(10, 29, 1)]);
    rig.ack(M1, &[(15, 19, &[RELEASE])]).unwrap();
    assert_eq!(rig.nfo(), 15);
    assert_eq!(rig.fetch(M1, 500, &[(15, 24), (25, 29), (30, 39)]), [(15, 19, 2)]);
    rig.ack(M1, &[(29, 29, &[RELEASE])]).unwrap();
    assert_eq!(rig.nfo(), 29);
    assert_eq!(rig.fetch(M1, 500, &[(25, 29), (30, 39)]), [(29, 29, 2)]);
    assert_eq!(rig.nfo(), 30);
}

#[test]
fn a_full_window_gives_a_released_batch() {
    let mut rig = rig(5, 20);
    rig.fetch(M1, 500, &[(0, 4)]);
    rig.fetch(M1, 500, &[(5, 14)]);
    rig.fetch(M1, 500, &[(15, 24)]);
    rig.ack(M1, &[(5, 14, &[RELEASE])]).unwrap();
    assert_eq!(rig.fetch(M1, 500, &[(5, 14)]), [(5, 14, 2)]);
    assert_eq!(rig.nfo(), 25);
}

#[test]
fn data_before_the_start_offset_gives_nothing() {
    let mut rig = rig_at(5, 5, 200);
    rig.load(&[(5, 99, 1, Available)]);
    assert_eq!(rig.fetch(M1, 500, &[(0, 4)]), []);
    assert_eq!(rig.offsets(), (5, 99, 5));
    rig.all(5, 99, Available, 1);
}

#[test]
fn accepting_makes_room() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(0, 149)]);
    assert!(rig.share.can_acquire());
    rig.fetch(M1, 500, &[(150, 249)]);
    assert!(!rig.share.can_acquire());
    rig.ack(M1, &[(0, 89, &[ACCEPT])]).unwrap();
    assert_eq!(rig.offsets(), (90, 249, 250));
    assert!(rig.share.can_acquire());
}

#[test]
fn the_window_moves_over_several_rounds() {
    let mut rig = rig(5, 100);
    for first in [0, 20, 40] {
        assert_eq!(rig.fetch(M1, 500, &[(first, first + 19)]), [(first, first + 19, 1)]);
    }
    rig.ack(M1, &[(0, 19, &[ACCEPT])]).unwrap();
    assert_eq!(rig.offsets(), (20, 59, 60));
    assert_eq!(rig.fetch(M1, 500, &[(60, 79)]), [(60, 79, 1)]);
    rig.ack(M1, &[(20, 49, &[ACCEPT])]).unwrap();
    assert_eq!((rig.offsets(), rig.dcc()), ((50, 79, 80), 0));
    assert_eq!(rig.fetch(M1, 500, &[(80, 179)]), [(80, 179, 1)]);
    assert!(!rig.share.can_acquire());
    assert_eq!(rig.offsets(), (50, 179, 180));
    rig.ack(M1, &[(50, 179, &[REJECT])]).unwrap();
    assert_eq!(rig.offsets(), (180, 180, 180));
    assert!(rig.share.can_acquire());
    assert_eq!(rig.fetch(M1, 500, &[(180, 199)]), [(180, 199, 1)]);
    assert_eq!(rig.offsets(), (180, 199, 200));
}

#[test]
fn released_records_come_again() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(10, 14)]);
    rig.ack(M1, &[(12, 13, &[RELEASE])]).unwrap();
    assert_eq!(rig.nfo(), 12);
    assert_eq!(rig.fetch(M1, 500, &[(10, 14)]), [(12, 13, 2)]);
    assert_eq!(rig.nfo(), 15);
}

/// What is left of a record batch belongs to the entry that began it: a maximum that is not exact does not end before it.
#[test]
fn released_records_come_with_the_rest_of_their_entry() {
    let mut rig = rig(5, 200);
    let batches = [(0, 9), (10, 19), (20, 29)];
    rig.mode = AcquireMode::RecordLimit;
    assert_eq!(rig.fetch(M1, 15, &batches), [(0, 14, 1)]);
    rig.ack(M1, &[(2, 3, &[RELEASE])]).unwrap();
    rig.mode = AcquireMode::BatchOptimized;
    assert_eq!(rig.fetch(M2, 1, &batches), [(2, 3, 2), (15, 19, 1)]);
    assert_eq!(rig.nfo(), 20);
}

#[test]
fn another_member_takes_a_part() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    rig.fetch(M1, 500, &[(10, 21)]);
    rig.ack(
        M1,
        &[
            (5, 11, &[RELEASE]),
            (12, 13, &[GAP]),
            (14, 15, &[RELEASE]),
            (17, 20, &[RELEASE]),
        ],
    )
    .unwrap();
    assert_eq!(rig.fetch(M2, 500, &[(5, 9)]), [(5, 9, 2)]);
    assert_eq!(rig.nfo(), 10);
    assert_eq!(rig.fetch(M2, 500, &[(7, 16)]), [(10, 11, 2), (14, 15, 2)]);
    assert_eq!(rig.nfo(), 17);
    assert_eq!((rig.held_by(16), rig.held_by(21)), (Some(M1), Some(M1)));
    assert_eq!((rig.held_by(5), rig.held_by(15)), (Some(M2), Some(M2)));
    assert_eq!(rig.record(16), (Acquired, 1));
    rig.all(12, 13, Archived, 1);
    rig.all(17, 20, Available, 1);
}

#[test]
fn the_next_fetch_is_the_first_released_record() {
    let mut rig = rig(5, 100);
    rig.fetch(M1, 500, &[(0, 2)]);
    assert_eq!(rig.nfo(), 3);
    rig.ack(M1, &[(0, 2, &[RELEASE])]).unwrap();
    assert_eq!(rig.nfo(), 0);
    assert_eq!(rig.fetch(M2, 500, &[(3, 4)]), [(3, 4, 1)]);
    assert_eq!(rig.nfo(), 0);
    assert_eq!(rig.fetch(M1, 500, &[(0, 2)]), [(0, 2, 2)]);
    assert_eq!(rig.nfo(), 5);
    rig.ack(M2, &[(3, 4, &[RELEASE])]).unwrap();
    assert_eq!(rig.nfo(), 3);
}

#[test]
fn a_batch_with_missing_offsets() {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch(M1, 500, &[(5, 16)]), [(5, 16, 1)]);
    rig.ack(
        M1,
        &[
            (5, 9, &[GAP]),
            (10, 11, &[ACCEPT]),
            (12, 14, &[REJECT]),
            (15, 16, &[RELEASE]),
        ],
    )
    .unwrap();
    assert_eq!(rig.offsets(), (15, 16, 15));
    assert_eq!(rig.dcc(), 0);
}

#[test]
fn batches_compacted_away_meanwhile() {
    let mut rig = rig(5, 200);
    for (first, last) in [(0, 4), (5, 9), (10, 14), (15, 19), (20, 24)] {
        rig.fetch(M1, 500, &[(first, last)]);
    }
    rig.release(M1);
    assert_eq!(rig.nfo(), 0);
    // 0-4 and 10-14 are gone. What was passed over in front is given up, what lies between is still acquired.
    let acquisition = rig.fetch_pending(M2, 500, 0, &[(5, 9), (15, 19), (20, 22)]);
    assert_eq!(lost(&acquisition.archived), [(0, 4, 1, ArchiveCause::Gap)]);
    let got = rig.hand_out(&acquisition);
    assert_eq!(got, [(5, 9, 2), (10, 14, 2), (15, 19, 2), (20, 22, 2)]);
    assert_eq!(rig.offsets(), (5, 24, 23));
    rig.all(5, 22, Acquired, 2);
    assert!((5..=22).all(|offset| rig.held_by(offset) == Some(M2)));
    rig.all(23, 24, Available, 1);
}

#[test]
fn record_limit_is_exact() {
    let mut rig = rig(5, 200);
    rig.mode = AcquireMode::RecordLimit;
    assert_eq!(rig.fetch(M1, 5, &[(0, 9)]), [(0, 4, 1)]);
    assert_eq!(rig.offsets(), (0, 9, 5));
    rig.all(5, 9, Available, 0);
    assert_eq!(rig.fetch(M2, 5, &[(0, 9)]), [(5, 9, 1)]);
    assert_eq!(rig.nfo(), 10);
}

#[test]
fn record_limit_over_several_batches() {
    let mut rig = rig(5, 200);
    rig.mode = AcquireMode::RecordLimit;
    assert_eq!(rig.fetch(M1, 10, &[(10, 14), (15, 29), (30, 44)]), [(10, 19, 1)]);
    assert_eq!(rig.offsets(), (10, 29, 20));
    rig.all(20, 29, Available, 0);
    assert!(rig.share.record(at(30)).is_none());
}

#[test]
fn record_limit_with_too_few_records() {
    let mut rig = rig(5, 200);
    rig.mode = AcquireMode::RecordLimit;
    rig.batch_size = 2;
    assert_eq!(rig.fetch(M1, 20, &[(10, 14), (15, 19), (20, 24)]), [(10, 24, 1)]);
    assert_eq!(rig.nfo(), 25);
}

#[test]
fn the_maximum_may_lie_in_a_hole_of_the_log() {
    let mut rig = rig(5, 200);
    let batches = [(0, 4), (10, 14)];
    assert_eq!(rig.fetch(M1, 7, &batches), [(0, 6, 1)]);
    assert_eq!(rig.offsets(), (0, 6, 7));
    assert!(rig.share.record(at(10)).is_none());
    assert_eq!(rig.fetch_from(M1, 7, 7, &batches[1..]), [(10, 14, 1)]);
    assert_eq!(rig.offsets(), (0, 14, 15));
}

/// Batches 10-14, 15-29 and 30-44, of which the third member finds 12-14 and 21-22 released.
fn before_the_third_member() -> Rig {
    let mut rig = rig(5, 200);
    let batches = THREE_BATCHES;
    assert_eq!(rig.fetch(M1, 10, &batches), [(10, 29, 1)]);
    rig.ack(
        M1,
        &[
            (10, 14, &[RELEASE]),
            (15, 20, &[ACCEPT]),
            (21, 22, &[RELEASE]),
            (23, 29, &[ACCEPT]),
        ],
    )
    .unwrap();
    rig.mode = AcquireMode::RecordLimit;
    assert_eq!(rig.fetch(M2, 2, &batches), [(10, 11, 2)]);
    assert_eq!(rig.nfo(), 12);
    rig.mode = AcquireMode::BatchOptimized;
    rig
}

const THREE_BATCHES: [(u64, u64); 3] = [(10, 14), (15, 29), (30, 44)];

#[test]
fn members_with_different_modes() {
    // Five are there: the maximum is reached, nothing new is begun.
    let mut rig = before_the_third_member();
    let got = rig.fetch_from(M3, 5, 12, &THREE_BATCHES);
    assert_eq!(got, [(12, 14, 2), (21, 22, 2)]);
    assert_eq!(rig.nfo(), 30);
    // More are wanted: all that is in the touched entry comes; new ones then are one whole batch.
    let mut rig = before_the_third_member();
    let got = rig.fetch_from(M3, 10, 12, &THREE_BATCHES);
    assert_eq!(got, [(12, 14, 2), (21, 22, 2), (30, 44, 1)]);
    assert_eq!(rig.nfo(), 45);
}
