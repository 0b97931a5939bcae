//! Share partitions whose state was read: holes in it were never delivered durably and are delivered now. Each row once
//! from the changes of a journal and once more over a snapshot.

use crate::rig::*;

/// The state as the journal tells it, and as a snapshot of that.
fn read(start: u64, entries: &[(u64, u64, u16, share_engine::share::RecordState)]) -> [Rig; 2] {
    [false, true].map(|snapshot| {
        let mut rig = rig_at(start, 5, 200);
        rig.load(entries);
        if snapshot {
            rig.reload();
        }
        rig
    })
}

#[test]
fn state_that_was_read() {
    for mut rig in read(5, &[(5, 10, 2, Available), (11, 15, 3, Archived)]) {
        assert_eq!(rig.offsets(), (5, 15, 5));
        assert_eq!(rig.dcc(), 5);
        rig.all(5, 10, Available, 2);
        assert!((11..=15).all(|offset| rig.record(offset).0 == Archived));
        assert_eq!(rig.fetch(M1, 500, &[(5, 20)]), [(5, 10, 3), (16, 20, 1)]);
    }
}

#[test]
fn state_with_gaps() {
    for mut rig in read(10, &[(15, 20, 1, Acknowledged), (30, 40, 1, Archived)]) {
        assert_eq!(rig.offsets(), (10, 40, 10));
        assert_eq!(rig.dcc(), 17);
        rig.all(10, 14, Available, 0);
        rig.all(21, 29, Available, 0);
        assert_eq!(rig.fetch(M1, 500, &[(10, 40)]), [(10, 14, 1), (21, 29, 1)]);
        // The gaps are there no more.
        assert_eq!(rig.offsets(), (10, 40, 41));
        assert_eq!(rig.fetch(M2, 500, &[(10, 40)]), []);
    }
}

#[test]
fn gaps_are_acquired() {
    let entries = [(15, 18, 2, Available), (20, 22, 2, Archived), (26, 30, 1, Available)];
    for mut rig in read(10, &entries) {
        assert_eq!(rig.fetch(M1, 1, &[(10, 49)]), [(10, 14, 1)]);
        let got = rig.fetch(M1, 10, &[(10, 49)]);
        assert_eq!(got, [(15, 18, 3), (19, 19, 1), (23, 25, 1), (26, 30, 2)]);
        assert_eq!(rig.nfo(), 31);
        assert_eq!(rig.fetch(M1, 1, &[(10, 49)]), [(31, 49, 1)]);
        assert_eq!(rig.offsets(), (10, 49, 50));
    }
}

#[test]
fn gaps_and_holes_of_the_log() {
    for mut rig in read(10, &[(15, 20, 1, Acknowledged), (30, 40, 1, Archived)]) {
        let log = [(10, 20), (30, 50)];
        assert_eq!(rig.fetch(M1, 500, &log), [(10, 14, 1), (21, 29, 1), (41, 50, 1)]);
        assert_eq!(rig.offsets(), (10, 50, 51));
        assert_eq!(rig.fetch(M2, 500, &log), []);
        // Released, the hole is acquired like any other record, until its member says that there is none.
        rig.ack(M1, &[(10, 14, &[ACCEPT]), (21, 29, &[RELEASE]), (41, 50, &[ACCEPT])])
            .unwrap();
        assert_eq!(rig.offsets(), (21, 50, 21));
        assert_eq!(rig.fetch(M2, 500, &log), [(21, 29, 2)]);
        rig.ack(M2, &[(21, 29, &[GAP])]).unwrap();
        assert_eq!(rig.offsets(), (51, 51, 51));
    }
}

#[test]
fn a_gap_after_what_was_acknowledged() {
    for mut rig in read(11, &[(11, 20, 1, Available), (31, 40, 1, Archived)]) {
        assert_eq!(rig.fetch(M1, 500, &[(11, 20)]), [(11, 20, 2)]);
        rig.ack(M1, &[(11, 20, &[ACCEPT])]).unwrap();
        assert_eq!(rig.offsets(), (21, 40, 21));
        rig.all(21, 30, Available, 0);
        assert_eq!(rig.fetch(M1, 500, &[(21, 40)]), [(21, 30, 1)]);
    }
}
