//! Corners that no scenario names: windows at the ends of blocks and chunks, limits that were lowered, reads that begin
//! behind what is known, commands during a reset, changes that cannot be.

use std::time::Duration;

use bytes::BytesMut;
use share_engine::ids::{Continuation, DeliveryCount, LeaseKey};
use share_engine::share::{
    AcquireMode, ArchiveCause, Change, MAX_CHECKPOINT_BYTES, MAX_NOTE_BYTES, Persisted, RecordState, Refusal,
    ReplayError, Settled, ShareOptions, Verdict, Window,
};

use crate::rig::*;

/// The host's rules: so many records may be held.
fn host(held: u32) -> Rig {
    let mut rig = rig(5, 1);
    rig.mode = AcquireMode::RecordLimit;
    alter(&mut rig, |options| options.window = Window::Acquired(held));
    rig
}

fn alter(rig: &mut Rig, change: impl FnOnce(&mut ShareOptions)) {
    let mut options = *rig.share.options();
    change(&mut options);
    rig.share.set_options(options);
}

/// Of a delivery that was not continued.
fn lease(rig: &Rig, offset: u64, count: u16) -> LeaseKey {
    LeaseKey {
        share: rig.share.key(),
        epoch: rig.share.epoch(),
        offset: at(offset),
        delivery_count: DeliveryCount(count),
        continuation: Continuation(0),
    }
}

#[test]
fn a_full_window_says_since_when_it_stands() {
    let mut rig = rig(5, 4);
    rig.advance(Duration::from_secs(7));
    let first = rig.now.monotonic;
    rig.fetch(M1, 2, &[(0, 1)]);
    assert_eq!(rig.share.pinned(), None);
    rig.advance(Duration::from_secs(1));
    rig.fetch(M1, 2, &[(2, 3)]);
    let pinned = rig.share.pinned().unwrap();
    assert_eq!((pinned.offset, pinned.state, pinned.since), (at(0), Acquired, first));
    // It moves, and stands anew.
    rig.advance(Duration::from_secs(1));
    rig.ack(M1, &[(0, 0, &[ACCEPT])]).unwrap();
    rig.fetch(M1, 1, &[(4, 4)]);
    let pinned = rig.share.pinned().unwrap();
    assert_eq!((pinned.offset, pinned.since), (at(1), rig.now.monotonic));
}

#[test]
fn a_jump_alone_is_not_written() {
    let mut rig = rig(5, 200);
    let jumped = rig.fetch_pending(M1, 5, 0, &[(5, 9)]);
    assert_eq!(jumped.changes[0], Change::StartOffset { offset: at(5) });
    // The jump is not durable yet, and there is nothing that it could come along with.
    let nothing = rig.fetch_pending(M2, 5, 5, &[(5, 9)]);
    assert_eq!((nothing.transition, nothing.changes), (None, Vec::new()));
    rig.hand_out(&jumped);
    assert_eq!(rig.offsets(), (5, 9, 10));
}

#[test]
fn a_read_that_began_behind_the_end_jumps_over_nothing() {
    let mut rig = rig(5, 200);
    assert_eq!(rig.fetch_from(M1, 5, 10, &[(15, 19)]), [(15, 19, 1)]);
    assert_eq!(rig.offsets(), (0, 19, 0), "nobody has looked at 0 to 9");
    assert!((10..15).all(|offset| rig.share.record(at(offset)).is_none()));
    rig.all(0, 9, Available, 0);
    // It began at the very batch: nothing is known of what lies before it.
    let mut rig = crate::rig::rig(5, 200);
    let acquisition = rig.fetch_pending(M1, 5, 15, &[(15, 19)]);
    assert_eq!(acquisition.changes.len(), 1, "{:?}", acquisition.changes);
    rig.hand_out(&acquisition);
    rig.all(0, 14, Available, 0);
    rig.all(15, 19, Acquired, 1);
}

#[test]
fn nothing_is_given_beyond_the_farthest_offset() {
    let far = 64 << 20;
    let mut rig = host(10);
    assert_eq!(rig.fetch_from(M1, 1, 0, &[(0, 0)]), [(0, 0, 1)]);
    let beyond = rig.fetch_pending(M1, 1, 1, &[(far, far + 1)]);
    assert_eq!((beyond.transition, beyond.ranges), (None, Vec::new()));
    assert_eq!(rig.share.next_new_offset(), at(1));
}

#[test]
fn a_limit_of_two_that_came_later_isolates_nothing() {
    let mut rig = rig(5, 200);
    rig.load(&[(0, 3, 1, Available)]);
    for offset in 1..4 {
        rig.load_count(offset, 2);
    }
    alter(&mut rig, |options| options.delivery_limit = DeliveryCount(2));
    // Half of four, and the first of them may go along although it is its last attempt.
    assert_eq!(rig.fetch(M1, 500, &[(0, 3)]), [(0, 0, 2), (1, 1, 3)]);
}

#[test]
fn a_failing_batch_that_ends_with_its_chunk_is_halved_too() {
    let mut rig = rig_at(1_021, 5, 200);
    rig.load(&[(1_021, 1_023, 3, Available)]);
    assert_eq!(rig.fetch(M1, 500, &[(1_021, 1_023)]), [(1_021, 1_021, 4)]);
}

#[test]
fn a_reset_that_is_on_its_way_stops_everything() {
    let mut rig = rig(1, 200);
    rig.fetch(M1, 8, &[(0, 9)]);
    rig.ack(M1, &[(0, 1, &[ACCEPT])]).unwrap();
    let reset = rig.share.reset(rig.share.epoch().next(), at(0), rig.now);
    let before = rig.share.counts();
    let acquisition = rig.fetch_pending(M2, 5, 8, &[(0, 9), (10, 19)]);
    assert_eq!((acquisition.transition, acquisition.changes), (None, Vec::new()));
    rig.advance(2 * LOCK);
    assert_eq!(rig.share.release_member(M1, rig.now), Settled::default());
    assert_eq!(rig.share.retire(at(9), rig.now), Settled::default());
    assert_eq!(rig.share.handle_timeout(rig.now), Settled::default());
    assert_eq!(rig.share.counts(), before);
    rig.persist(&reset, Persisted::Refused);
    assert_eq!(rig.expire().len(), 1, "it was refused: everything is as it was");
}

#[test]
fn changes_that_cannot_be_name_their_record() {
    let wrong = |rig: &mut Rig, change: Change| match rig.share.apply(&change, rig.now) {
        Err(ReplayError::State { offset, state, .. }) => (offset.get(), state),
        other => panic!("{other:?}"),
    };
    let mut rig = rig(5, 200);
    rig.load(&[(0, 69, 1, Acquired), (70, 79, 1, Acknowledged), (80, 80, 1, Available)]);
    let range = run(60, 75);
    let cause = ArchiveCause::Reject;
    assert_eq!(wrong(&mut rig, Change::Acknowledge { range }), (70, Some(Acknowledged)));
    assert_eq!(
        wrong(&mut rig, Change::Release { range, note: None }),
        (70, Some(Acknowledged))
    );
    assert_eq!(
        wrong(&mut rig, Change::Archive { range, cause }),
        (70, Some(Acknowledged))
    );
    assert_eq!(
        wrong(&mut rig, Change::Void { range: run(80, 80) }),
        (80, Some(Available))
    );
    // Only an attempt that was parked goes on.
    for (offset, state) in [(5, Acquired), (75, Acknowledged), (80, Available)] {
        let offset = at(offset);
        let goes_on = Change::Continue { offset, begins: None };
        assert_eq!(wrong(&mut rig, goes_on), (offset.get(), Some(state)));
    }
}

#[test]
fn state_words_live_as_long_as_something_in_their_block() {
    const SLOTS: usize = 64 * (8 + 4 + 4);
    let mut rig = host(2_000);
    rig.fetch(M1, 1, &[(0, 1_023)]);
    let one_block = rig.share.heap_bytes();
    rig.fetch_from(M1, 2_000, 1, &[(0, 1_023)]);
    assert_eq!(rig.share.heap_bytes(), one_block + 15 * SLOTS);
    let all_but_the_first: Vec<_> = (1..1_024)
        .map(|offset| (lease(&rig, offset, 1), Verdict::Accept))
        .collect();
    let settled = rig.share.settle(&all_but_the_first, rig.now);
    rig.persist(&settled, Persisted::Durable);
    assert_eq!(rig.share.heap_bytes(), one_block);
    assert!(one_block > SLOTS + 16 * 64, "the bitmaps count as well: {one_block}");
    rig.fetch(M1, 1, &[(1_024, 2_047)]);
    let pointers = 2 * one_block - rig.share.heap_bytes();
    assert!(
        (16..=128).contains(&pointers),
        "two chunks take twice as much: {pointers}"
    );
}

/// Accepts records that M1 holds for the first time.
fn accept(rig: &mut Rig, first: u64, last: u64) {
    rig.ack(M1, &[(first, last, &[ACCEPT])]).unwrap();
}

#[test]
fn what_is_passed_takes_no_memory() {
    let mut rig = rig(5, 2_000);
    for step in 0..50 {
        let (first, last) = (step * 1_000, step * 1_000 + 999);
        assert_eq!(rig.fetch(M1, 1_000, &[(first, last)]), [(first, last, 1)]);
        assert!(rig.share.heap_bytes() < 3 * 64 * 1_024, "{}", rig.share.heap_bytes());
        accept(&mut rig, first, last - 1);
        rig.reload();
        rig.ack(M1, &[(last, last, &[ACCEPT])]).unwrap_err();
        let leases = rig.share.void_leases(false, rig.now);
        rig.persist(&leases, Persisted::Durable);
        assert_eq!(rig.fetch_from(M1, 1, last, &[(last, last)]), [(last, last, 2)]);
        accept(&mut rig, last, last);
        assert!(rig.share.heap_bytes() < 1_024, "{}", rig.share.heap_bytes());
    }
}

#[test]
fn half_of_an_entry_is_half_of_all_of_it() {
    // It lies in several blocks, and most of it is done.
    let mut rig = rig_at(0, 7, 5_000);
    rig.fetch(M1, 200, &[(0, 199)]);
    accept(&mut rig, 0, 129);
    rig.load(&[(130, 199, 5, Available)]);
    assert_eq!(rig.fetch(M1, 500, &[(130, 199)]), [(130, 179, 6)]);
    // What lies in chunks that are passed is not known any more.
    let mut rig = rig_at(2_000, 7, 5_000);
    rig.fetch(M1, 200, &[(2_000, 2_199)]);
    accept(&mut rig, 2_000, 2_150);
    rig.load(&[(2_151, 2_199, 5, Available)]);
    assert_eq!(rig.fetch(M1, 500, &[(2_151, 2_199)]), [(2_151, 2_188, 6)]);
    // It ends where the log had nothing.
    let mut rig = rig_at(0, 5, 5_000);
    rig.fetch(M1, 5, &[(0, 4), (9, 9)]);
    rig.fetch(M1, 5, &[(9, 9)]);
    rig.load(&[(0, 4, 3, Available)]);
    assert_eq!(rig.fetch(M2, 500, &[(0, 4), (9, 9)]), [(0, 1, 4)]);
}

#[test]
fn records_given_up_for_different_reasons_are_different_changes() {
    let mut rig = rig(2, 200);
    rig.fetch(M1, 3, &[(0, 2)]);
    rig.expire();
    assert_eq!(rig.fetch(M1, 3, &[(0, 2)]), [(0, 2, 2)]);
    let settled = rig.ack_pending(M1, &[(0, 2, &[REJECT, RELEASE, GAP])]).unwrap();
    let causes = [ArchiveCause::Reject, ArchiveCause::DeliveryLimit, ArchiveCause::Gap];
    let changes = causes.into_iter().zip(0..).map(|(cause, offset)| Change::Archive {
        range: run(offset, offset),
        cause,
    });
    assert_eq!(settled.changes, changes.collect::<Vec<_>>());
    let told = causes
        .into_iter()
        .zip(0..)
        .map(|(cause, offset)| (offset, offset, 2, cause));
    assert_eq!(lost(&settled.archived), told.collect::<Vec<_>>());
}

#[test]
fn leases_that_end_one_by_one_are_looked_at_in_pauses() {
    let mut rig = host(100);
    for offset in 0..40 {
        rig.fetch(M1, 1, &[(offset, offset)]);
        rig.advance(Duration::from_millis(1));
    }
    rig.advance(LOCK.saturating_sub(Duration::from_millis(40)));
    assert_eq!(rig.share.poll_deadline(), Some(rig.now.monotonic));
    for _ in 0..4 {
        rig.tick(Persisted::Durable);
        let due = rig.share.poll_deadline();
        if rig.share.counts().acquired > 0 {
            assert_eq!(due, Some(rig.now.monotonic.after(Duration::from_millis(16))));
        }
        rig.advance(Duration::from_millis(16));
    }
    assert_eq!((rig.share.counts().available, rig.share.poll_deadline()), (40, None));
}

#[test]
fn a_park_is_not_cut_short_by_an_archival_that_was_refused() {
    let mut rig = host(10);
    alter(&mut rig, |options| {
        options.delivery_limit = DeliveryCount(1);
        options.max_lease = Some(Duration::from_secs(10));
    });
    rig.fetch(M1, 1, &[(0, 0)]);
    let renew = Verdict::Renew {
        after: Duration::from_secs(100),
        checkpoint: None,
    };
    let settled = rig.share.settle(&[(lease(&rig, 0, 1), renew)], rig.now);
    rig.persist(&settled, Persisted::Durable);
    rig.advance(Duration::from_secs(10));
    let archived = [(0, 0, 1, ArchiveCause::DeliveryLimit)];
    assert_eq!(rig.tick(Persisted::Refused), archived);
    assert_eq!(rig.record(0), (RecordState::Parked, 1));
    rig.advance(Duration::from_millis(99));
    assert_eq!(rig.tick(Persisted::Durable), []);
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.tick(Persisted::Durable), archived);
    assert_eq!(rig.offsets(), (1, 1, 1));
}

#[test]
fn what_ended_during_a_refused_acquisition_is_looked_at_again() {
    let mut rig = host(10);
    rig.share =
        share_engine::share::SharePartition::new(rig.share.key(), rig.share.epoch(), at(130), *rig.share.options());
    alter(&mut rig, |options| options.max_lease = Some(Duration::from_secs(10)));
    assert_eq!(rig.fetch_from(M1, 3, 130, &[(130, 139)]), [(130, 132, 1)]);
    let renew = |after| Verdict::Renew {
        after: Duration::from_secs(after),
        checkpoint: None,
    };
    let verdicts = [(lease(&rig, 130, 1), renew(0)), (lease(&rig, 131, 1), renew(5))];
    let settled = rig.share.settle(&verdicts, rig.now);
    rig.persist(&settled, Persisted::Durable);
    let (begun, lock) = (rig.now.monotonic, LOCK.min(Duration::from_secs(10)));
    // A change of another record moves no time of theirs.
    let other = rig.share.settle(&[(lease(&rig, 132, 1), Verdict::Accept)], rig.now);
    rig.persist(&other, Persisted::Refused);
    assert_eq!(rig.share.first_due(), Some(begun.after(Duration::from_secs(5))));
    let other = rig.share.settle(&[(lease(&rig, 132, 1), Verdict::Accept)], rig.now);
    rig.persist(&other, Persisted::Durable);
    let pending = rig.fetch_pending(M2, 3, 130, &[(130, 139)]);
    rig.advance(lock);
    rig.tick(Persisted::Durable);
    assert_eq!(rig.record(131).0, Available, "its attempt is over as well");
    assert_eq!(rig.share.counts().in_transition, 3);
    rig.share
        .handle_persisted(pending.transition.unwrap(), Persisted::Refused, rig.now);
    assert_eq!(rig.share.poll_deadline(), Some(rig.now.monotonic));
    let settled = rig.share.handle_timeout(rig.now);
    assert_eq!(
        (settled.exhausted, &settled.changes[..]),
        (
            1,
            &[Change::Release {
                range: run(130, 130),
                note: None
            }][..]
        )
    );
    rig.persist(&settled, Persisted::Durable);
    assert_eq!(rig.fetch_from(M1, 2, 130, &[(130, 139)]), [(130, 131, 2)]);
}

#[test]
fn no_window_is_longer_than_half_of_what_may_be() {
    let half = 32 << 20;
    let mut rig = host(10);
    alter(&mut rig, |options| options.span_limit = u64::MAX);
    rig.fetch(M1, 1, &[(0, 0)]);
    for last in [half - 2, half - 1] {
        assert!(rig.share.can_acquire());
        let far = rig.fetch_pending(M1, 1, rig.nfo(), &[(last, last)]);
        assert_eq!(far.ranges.len(), 1);
    }
    assert!(!rig.share.can_acquire());
    assert_eq!(rig.fetch_pending(M1, 1, half, &[(half, half)]).ranges, []);
}

#[test]
fn one_call_voids_many_and_archives_few() {
    let mut rig = host(10);
    rig.fetch(M1, 8, &[(0, 19)]);
    accept(&mut rig, 0, 4);
    let void = |rig: &mut Rig| {
        rig.share.set_archive_limit(1);
        let settled = rig.share.void_leases(true, rig.now);
        rig.persist(&settled, Persisted::Durable);
        settled
    };
    rig.reload();
    assert_eq!(void(&mut rig).changes, [Change::Void { range: run(5, 7) }]);
    // The struck record is out beside a new one, and the process dies again.
    assert_eq!(rig.fetch_from(M1, 2, 5, &[(0, 19)]), [(5, 5, 2), (8, 8, 1)]);
    rig.reload();
    let settled = void(&mut rig);
    assert_eq!(lost(&settled.archived), [(5, 5, 2, ArchiveCause::HostCrash)]);
    assert_eq!(settled.changes.len(), 1, "{:?}", settled.changes);
    assert_eq!(void(&mut rig).changes, [Change::Void { range: run(8, 8) }]);
    assert_eq!(void(&mut rig), Settled::default());
}

#[test]
fn notes_and_checkpoints_may_have_their_largest_size() {
    let mut rig = host(10);
    rig.fetch(M1, 2, &[(0, 9)]);
    let release = |size| Verdict::Release {
        after: None,
        note: Some(vec![1; size].into()),
    };
    let renew = |size| Verdict::Renew {
        after: Duration::ZERO,
        checkpoint: Some(vec![1; size].into()),
    };
    for (offset, verdict, limit) in [
        (0, &release as &dyn Fn(usize) -> Verdict, MAX_NOTE_BYTES),
        (1, &renew, MAX_CHECKPOINT_BYTES),
    ] {
        let lease = lease(&rig, offset, 1);
        let settled = rig.share.settle(&[(lease, verdict(limit + 1))], rig.now);
        let size = limit + 1;
        assert_eq!(settled.results, [Err(Refusal::TooLarge { size, limit })]);
        let settled = rig.share.settle(&[(lease, verdict(limit))], rig.now);
        assert_eq!(settled.results, [Ok(())]);
        rig.persist(&settled, Persisted::Durable);
    }
    rig.reload();
    assert_eq!(rig.share.checkpoint(at(1)).unwrap().len(), MAX_CHECKPOINT_BYTES);
    assert_eq!(rig.share.notes(at(0))[0].len(), MAX_NOTE_BYTES);
}

#[test]
fn a_park_that_is_over_leaves_nothing() {
    let after = |after| {
        let mut rig = host(10);
        rig.fetch(M1, 1, &[(0, 9)]);
        let verdict = Verdict::Release { after, note: None };
        let settled = rig.share.settle(&[(lease(&rig, 0, 1), verdict)], rig.now);
        rig.persist(&settled, Persisted::Durable);
        rig.advance(Duration::from_secs(1));
        rig.tick(Persisted::Durable);
        assert_eq!(rig.fetch_from(M1, 1, 0, &[(0, 9)]), [(0, 0, 2)]);
        let mut bytes = BytesMut::new();
        rig.share.encode(&mut bytes);
        bytes
    };
    assert_eq!(after(Some(Duration::from_secs(1))), after(None));
}

#[test]
fn what_is_gone_from_the_log_counts_if_somebody_had_it() {
    let mut rig = rig(5, 200);
    rig.mode = AcquireMode::RecordLimit;
    assert_eq!(rig.fetch(M1, 3, &[(0, 9)]), [(0, 2, 1)]);
    rig.ack(M1, &[(1, 2, &[RELEASE])]).unwrap();
    // The log has lost the rest of the batch.
    let acquisition = rig.fetch_pending(M1, 3, 1, &[(20, 29)]);
    assert_eq!(lost(&acquisition.archived), [(1, 2, 1, ArchiveCause::Gap)]);
    assert_eq!(rig.hand_out(&acquisition), [(20, 22, 1)]);
    rig.all(1, 2, Archived, 1);
    assert!((3..20).all(|offset| rig.share.record(at(offset)).is_none()));
    assert_eq!((rig.offsets(), rig.dcc()), ((0, 29, 23), 2));
}
