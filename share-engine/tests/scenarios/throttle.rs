//! Records that fail again and again are delivered with fewer and fewer others.

use crate::rig::*;

#[test]
fn failing_records_end_an_acquisition() {
    let mut rig = rig_at(7, 5, 200);
    rig.load(&[(15, 19, 2, Available), (20, 22, 1, Archived), (26, 30, 3, Available)]);
    assert_eq!(rig.fetch(M1, 500, &[(7, 27)]), [(7, 14, 1), (15, 19, 3), (23, 25, 1)]);
    assert_eq!(rig.fetch(M1, 500, &[(7, 27)]), [(26, 27, 4)]);
}

#[test]
fn each_failure_halves_the_batch() {
    let mut rig = rig_at(15, 7, 200);
    rig.load(&[(15, 34, 4, Available)]);
    let batch = [(15, 34)];
    assert_eq!(rig.fetch(M1, 500, &batch), [(15, 24, 5)]);
    rig.expire();
    assert_eq!(rig.fetch(M1, 500, &batch), [(15, 19, 6)]);
    rig.expire();
    for offset in 15..=19 {
        assert_eq!(rig.fetch(M1, 500, &batch), [(offset, offset, 7)]);
    }
    assert_eq!(rig.fetch(M1, 500, &batch), [(20, 24, 6)]);
    assert_eq!(rig.fetch(M1, 500, &batch), [(25, 34, 5)]);
}

#[test]
fn the_last_attempt_is_alone() {
    let mut rig = rig_at(15, 5, 200);
    rig.load(&[(15, 24, 3, Available)]);
    // Raise 17 and 20 to 4.
    for offset in [17, 20] {
        rig.load_count(offset, 4);
    }
    assert_eq!(rig.fetch(M1, 500, &[(15, 24)]), [(15, 16, 4)]);
    assert_eq!(rig.fetch(M1, 500, &[(15, 24)]), [(17, 17, 5)]);
}

/// A broker's way of counting, seen on 4.2.1: the part of an entry ends it only if it is reached after the first record that
/// has failed often. It was given out as a part all the same.
#[test]
fn many_good_records_before_a_failing_one_lift_the_limit() {
    for (good, wanted) in [(7, vec![(0, 6, 5), (7, 7, 6)]), (8, vec![(0, 7, 5), (8, 15, 6)])] {
        let mut rig = rig(10, 200);
        rig.load(&[(0, 15, 4, Available)]);
        for offset in good..16 {
            rig.load_count(offset, 5);
        }
        assert_eq!(rig.fetch(M1, 500, &[(0, 15)]), wanted);
    }
}

/// The last attempt is alone, however many may be taken.
#[test]
fn many_good_records_before_a_last_attempt_leave_it_alone() {
    let mut rig = rig(5, 200);
    rig.load(&[(0, 9, 2, Available), (10, 14, 1, Available)]);
    for offset in 5..10 {
        rig.load_count(offset, 4);
    }
    let batches = [(0, 9), (10, 14)];
    assert_eq!(rig.fetch(M1, 500, &batches), [(0, 4, 3)]);
    assert_eq!(rig.fetch(M1, 500, &batches), [(5, 5, 5)]);
}

#[test]
fn failing_records_that_are_held_do_not_throttle() {
    let mut rig = rig_at(15, 5, 200);
    rig.load(&[(15, 19, 2, Available)]);
    rig.load_count(15, 3);
    rig.load_acquired(15, 3);
    assert_eq!(rig.fetch(M1, 500, &[(15, 19)]), [(16, 19, 3)]);
}

#[test]
fn a_batch_that_always_fails() {
    let mut rig = rig(5, 200);
    let mut sizes = Vec::new();
    loop {
        let got = rig.fetch(M1, 500, &[(0, 99)]);
        let Some(&(first, last, _)) = got.first() else { break };
        assert_eq!(got.len(), 1);
        sizes.push(last - first + 1);
        rig.ack(M1, &[(first, last, &[RELEASE])]).unwrap();
    }
    let mut wanted = vec![100, 100, 100, 50];
    wanted.extend([1; 50]);
    wanted.push(50);
    wanted.extend([1; 50]);
    assert_eq!(sizes, wanted);
    assert_eq!(rig.offsets(), (100, 100, 100));
}
