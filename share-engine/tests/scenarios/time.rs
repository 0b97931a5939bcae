//! Acquisition locks: expiry, the limit, refused writes, renewal.

use std::time::Duration;

use share_engine::share::{ArchiveCause, Persisted};

use crate::rig::*;

const LIMIT: ArchiveCause = ArchiveCause::DeliveryLimit;
const RETENTION: ArchiveCause = ArchiveCause::Retention;

#[test]
fn expiry_reaches_the_limit() {
    let mut rig = rig(2, 200);
    assert_eq!(rig.fetch(M1, 500, &[(0, 9)]), [(0, 9, 1)]);
    assert_eq!(rig.fetch(M1, 500, &[(10, 19)]), [(10, 19, 1)]);
    assert_eq!(rig.expire(), []);
    rig.all(0, 19, Available, 1);
    assert_eq!(rig.nfo(), 0);
    assert_eq!(rig.fetch(M1, 500, &[(10, 19)]), [(10, 19, 2)]);
    assert_eq!(rig.expire(), [(10, 19, 2, LIMIT)]);
    rig.all(0, 9, Available, 1);
    rig.all(10, 19, Archived, 2);
    assert_eq!(rig.offsets(), (0, 19, 0));
    assert_eq!(rig.dcc(), 10);
}

#[test]
fn expiry_moves_the_start_offset() {
    let mut rig = rig(2, 200);
    rig.fetch(M1, 500, &[(0, 9)]);
    rig.expire();
    assert_eq!(rig.fetch(M1, 500, &[(0, 4)]), [(0, 4, 2)]);
    assert_eq!(rig.expire(), [(0, 4, 2, LIMIT)]);
    rig.all(5, 9, Available, 1);
    assert_eq!(rig.offsets(), (5, 9, 5));
}

#[test]
fn expiry_empties_the_window() {
    let mut rig = rig(2, 200);
    assert_eq!(rig.fetch(M1, 500, &[(0, 9)]), [(0, 9, 1)]);
    assert_eq!(rig.expire(), []);
    assert_eq!(rig.offsets(), (0, 9, 0));
    assert_eq!(rig.fetch(M1, 500, &[(0, 9)]), [(0, 9, 2)]);
    assert_eq!(rig.expire(), [(0, 9, 2, LIMIT)]);
    assert_eq!(rig.offsets(), (10, 10, 10));
    assert_eq!(rig.share.poll_deadline(), None);
}

#[test]
fn acknowledging_after_expiry() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    rig.expire();
    invalid_state(rig.ack(M1, &[(5, 9, &[ACCEPT])]));
    invalid_state(rig.ack(M1, &[(5, 9, &[REJECT])]));
    rig.all(5, 9, Available, 1);
    assert_eq!(rig.share.poll_deadline(), None);
}

#[test]
fn a_refused_expiry_releases_all_the_same() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    rig.advance(LOCK);
    rig.tick(Persisted::Refused);
    rig.all(5, 9, Available, 1);
    assert_eq!(rig.fetch(M1, 500, &[(5, 9)]), [(5, 9, 2)]);
}

#[test]
fn an_acknowledgement_refused_after_expiry() {
    let mut rig = rig(2, 200);
    rig.fetch(M1, 500, &[(0, 9)]);
    rig.ack(M1, &[(0, 9, &[RELEASE])]).unwrap();
    assert_eq!(rig.fetch(M1, 500, &[(0, 9)]), [(0, 9, 2)]);
    let pending = rig.ack_pending(M1, &[(0, 4, &[ACCEPT])]).unwrap();
    rig.advance(LOCK);
    assert_eq!(rig.tick(Persisted::Durable), [(5, 9, 2, LIMIT)]);
    rig.all(0, 4, Acquired, 2);
    rig.all(5, 9, Archived, 2);
    rig.persist(&pending, Persisted::Refused);
    // Its expiry was only waiting.
    assert!(rig.share.poll_deadline().unwrap() <= rig.now.monotonic);
    assert_eq!(rig.tick(Persisted::Durable), [(0, 4, 2, LIMIT)]);
    assert_eq!(rig.offsets(), (10, 10, 10));
}

#[test]
fn expiry_beside_an_acknowledgement() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(0, 9)]);
    let pending = rig.ack_pending(M1, &[(0, 3, &[ACCEPT]), (6, 9, &[ACCEPT])]).unwrap();
    assert_eq!(rig.expire(), []);
    rig.all(0, 3, Acquired, 1);
    rig.all(4, 5, Available, 1);
    rig.all(6, 9, Acquired, 1);
    rig.persist(&pending, Persisted::Durable);
    assert_eq!(rig.offsets(), (4, 9, 4));
    rig.all(4, 5, Available, 1);
    rig.all(6, 9, Acknowledged, 1);
    // Their timers mean nothing any more.
    assert_eq!(rig.share.poll_deadline(), None);
    let writes = rig.writes;
    rig.expire();
    assert_eq!(rig.writes, writes);
}

#[test]
fn expiry_after_the_log_start_moved_into_a_batch() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(5, 9)]);
    rig.fetch(M1, 500, &[(10, 14)]);
    assert_eq!(rig.log_start(11), (vec![(5, 10, 1, RETENTION)], 0));
    rig.all(11, 14, Acquired, 1);
    assert_eq!(rig.expire(), []);
    assert_eq!(rig.offsets(), (11, 14, 11));
    rig.all(11, 14, Available, 1);
}

#[test]
fn the_log_start_moves_beside_acknowledgements() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(0, 4)]);
    rig.ack(M1, &[(1, 1, &[ACCEPT]), (3, 3, &[ACCEPT])]).unwrap();
    assert_eq!(rig.log_start(3), (vec![(0, 0, 1, RETENTION), (2, 2, 1, RETENTION)], 0));
    assert_eq!(rig.offsets(), (4, 4, 5));
    rig.expire();
    assert_eq!(rig.record(4), (Available, 1));
    assert_eq!(rig.offsets(), (4, 4, 4));
}

#[test]
fn the_log_start_moves_beside_pending_acknowledgements() {
    for (result, start) in [(Persisted::Durable, 4), (Persisted::Refused, 3)] {
        let mut rig = rig(5, 200);
        assert_eq!(rig.fetch(M1, 500, &[(0, 4)]), [(0, 4, 1)]);
        let pending = rig.ack_pending(M1, &[(1, 1, &[ACCEPT]), (3, 3, &[ACCEPT])]).unwrap();
        // 1 has an end on its way to the disk: it is not lost.
        assert_eq!(rig.log_start(3), (vec![(0, 0, 1, RETENTION), (2, 2, 1, RETENTION)], 0));
        assert_eq!(rig.offsets(), (3, 4, 5));
        rig.persist(&pending, result);
        assert_eq!(rig.offsets(), (start, 4, 5));
        rig.all(start, 4, Acquired, 1);
        assert_eq!(rig.expire(), []);
        rig.all(start, 4, Available, 1);
        assert_eq!(rig.offsets(), (start, 4, start));
    }
}

#[test]
fn a_renewal_moves_the_deadline() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(0, 9)]);
    rig.advance(Duration::from_secs(20));
    rig.ack(M1, &[(0, 9, &[RENEW])]).unwrap();
    assert_eq!(rig.writes, 0);
    rig.advance(Duration::from_secs(29));
    rig.tick(Persisted::Durable);
    rig.all(0, 9, Acquired, 1);
    assert_eq!(rig.writes, 0);
    rig.advance(Duration::from_secs(1));
    rig.tick(Persisted::Durable);
    rig.all(0, 9, Available, 1);
    assert_eq!(rig.writes, 1);
}

#[test]
fn a_renewal_after_expiry() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(0, 9)]);
    rig.expire();
    invalid_state(rig.ack(M1, &[(0, 9, &[RENEW])]));
}

#[test]
fn a_renewal_of_one_record_of_two() {
    let mut rig = rig(5, 200);
    rig.fetch(M1, 500, &[(0, 1)]);
    rig.advance(Duration::from_secs(10));
    rig.ack(M1, &[(0, 1, &[RENEW, ACCEPT])]).unwrap();
    assert_eq!(rig.record(0), (Acquired, 1));
    assert_eq!(rig.record(1).0, Acknowledged);
    assert_eq!(rig.writes, 1);
    assert_eq!(rig.share.lease_deadline(at(0)), Some(rig.now.monotonic.after(LOCK)));
    rig.expire();
    assert_eq!(rig.record(0), (Available, 1));
    assert_eq!(rig.writes, 2);
}
