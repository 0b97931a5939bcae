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
