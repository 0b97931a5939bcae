//! Share partitions whose state was read: holes in it were never delivered durably and are delivered now.

use crate::rig::*;

#[test]
fn state_that_was_read() {
    let mut rig = rig_at(5, 5, 200);
    rig.load(&[(5, 10, 2, Available), (11, 15, 3, Archived)]);
    assert_eq!(rig.offsets(), (5, 15, 5));
    assert_eq!(rig.dcc(), 5);
    rig.all(5, 10, Available, 2);
    assert_eq!(rig.fetch(M1, 500, &[(5, 20)])[0], (5, 10, 3));
}

#[test]
fn state_with_gaps() {
    let mut rig = rig_at(10, 5, 200);
    rig.load(&[(15, 20, 1, Acknowledged), (30, 40, 1, Archived)]);
    assert_eq!(rig.offsets(), (10, 40, 10));
    assert_eq!(rig.dcc(), 17);
}

#[test]
fn gaps_are_acquired() {
    let mut rig = rig_at(10, 5, 200);
    rig.load(&[(15, 18, 2, Available), (20, 22, 2, Archived), (26, 30, 1, Available)]);
    assert_eq!(rig.fetch(M1, 1, &[(10, 49)]), [(10, 14, 1)]);
    let got = rig.fetch(M1, 10, &[(10, 49)]);
    assert_eq!(got, [(15, 18, 3), (19, 19, 1), (23, 25, 1), (26, 30, 2)]);
    assert_eq!(rig.fetch(M1, 1, &[(10, 49)]), [(31, 49, 1)]);
}

#[test]
fn gaps_and_holes_of_the_log() {
    let mut rig = rig_at(10, 5, 200);
    rig.load(&[(15, 20, 1, Acknowledged), (30, 40, 1, Archived)]);
    let got = rig.fetch(M1, 500, &[(10, 20), (30, 50)]);
    assert_eq!(got, [(10, 14, 1), (21, 29, 1), (41, 50, 1)]);
    assert_eq!(rig.nfo(), 51);
}

#[test]
fn a_gap_after_what_was_acknowledged() {
    let mut rig = rig_at(11, 5, 200);
    rig.load(&[(11, 20, 1, Available), (31, 40, 1, Archived)]);
    assert_eq!(rig.fetch(M1, 500, &[(11, 20)]), [(11, 20, 2)]);
    rig.ack(M1, &[(11, 20, &[ACCEPT])]).unwrap();
    assert_eq!(rig.offsets(), (21, 40, 21));
}
