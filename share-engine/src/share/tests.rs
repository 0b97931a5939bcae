//! What the host sees: parking, `max-lease`, strikes, fencing, the shape of results; and bytes that are no snapshot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::ids::{Continuation, DeliveryCount, LeaseKey, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch};
use crate::time::{Delay, Instant, Now, WallTime};

const SECOND: Duration = Duration::from_secs(1);
const KEY: ShareKey = ShareKey(3);

struct Host {
    share: SharePartition,
    now: Now,
}

fn options() -> ShareOptions {
    ShareOptions {
        delivery_limit: DeliveryCount(3),
        lock: Duration::from_secs(30),
        window: Window::Acquired(100_000),
        ..ShareOptions::default()
    }
}

fn host(options: ShareOptions) -> Host {
    Host {
        share: SharePartition::new(KEY, StateEpoch(1), Offset::ZERO, options),
        now: Now {
            monotonic: Instant::from_nanos(1_000_000_000),
            wall: WallTime::from_millis(1_700_000_000_000),
        },
    }
}

fn at(offset: u64) -> Offset {
    Offset::new(offset).unwrap()
}

fn run(first: u64, last: u64) -> OffsetRange {
    OffsetRange::new(at(first), at(last)).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as it is used")]
fn note(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

impl Host {
    /// Acquires from a log of one batch, offsets 0 to 99.
    fn take(&mut self, max: u32) -> Vec<LeaseKey> {
        self.take_from(max, &[run(0, 99)])
    }

    fn take_from(&mut self, max: u32, batches: &[OffsetRange]) -> Vec<LeaseKey> {
        let request = AcquireRequest {
            member: MemberIndex(1),
            mode: AcquireMode::RecordLimit,
            max_records: max,
            batch_size: 0,
            from: self.share.next_fetch_offset(),
            batches,
        };
        let got = self.share.acquire(&request, self.now);
        self.durable(got.transition);
        let mut leases = Vec::new();
        for acquired in got.ranges {
            for offset in acquired.range.first().get()..=acquired.range.last().get() {
                leases.push(LeaseKey {
                    share: KEY,
                    epoch: self.share.epoch(),
                    offset: at(offset),
                    delivery_count: acquired.delivery_count,
                    continuation: acquired.continuation,
                });
            }
        }
        leases
    }

    fn durable(&mut self, transition: Option<TransitionId>) {
        if let Some(transition) = transition {
            self.share.handle_persisted(transition, Persisted::Durable, self.now);
        }
        self.share.check();
    }

    fn settle(&mut self, lease: LeaseKey, verdict: Verdict) -> Settled {
        let settled = self.share.settle(&[(lease, verdict)], self.now);
        self.durable(settled.transition);
        settled
    }

    fn pass(&mut self, by: Duration) -> Settled {
        self.now = Now {
            monotonic: self.now.monotonic.after(by),
            wall: self.now.wall.after(by),
        };
        let settled = self.share.handle_timeout(self.now);
        self.durable(settled.transition);
        settled
    }

    /// The process dies and another one opens the directory: what was durable is all there is.
    fn crash(&mut self) -> Settled {
        self.share = self.restarted();
        let settled = self.share.void_leases(true, self.now);
        self.durable(settled.transition);
        settled
    }

    fn restarted(&self) -> SharePartition {
        let mut bytes = BytesMut::new();
        self.share.encode(&mut bytes);
        SharePartition::decode(KEY, *self.share.options(), &bytes, self.now).unwrap()
    }

    fn state(&self, offset: u64) -> RecordState {
        self.share.record(at(offset)).unwrap().state
    }
}

fn renew(after: Duration, state: &'static str) -> Verdict {
    Verdict::Renew {
        after,
        checkpoint: note(state),
    }
}

#[test]
fn a_parked_attempt_goes_on_with_its_checkpoint() {
    let mut host = host(options());
    let lease = host.take(1)[0];
    host.settle(lease, renew(5 * SECOND, "half"));
    assert_eq!(host.state(0), RecordState::Parked);
    assert_eq!((host.share.counts().acquired, host.share.counts().parked), (0, 1));
    assert_eq!(host.share.poll_deadline(), Some(host.now.monotonic.after(5 * SECOND)));
    host.pass(5 * SECOND);
    let again = host.take(1)[0];
    assert_eq!(
        (again.delivery_count, again.continuation),
        (DeliveryCount(1), Continuation(1))
    );
    assert_eq!(host.share.checkpoint(at(0)).unwrap(), "half");
    // The lease before the park is fenced.
    let stale = host.settle(lease, Verdict::Accept);
    assert_eq!(stale.results, [Err(Refusal::Stale(at(0)))]);
    assert_eq!(stale.transition, None);
    // The checkpoint is seen again after a release, and is gone with the record.
    host.settle(
        again,
        Verdict::Release {
            after: None,
            note: note("later"),
        },
    );
    let third = host.take(1)[0];
    assert_eq!(
        (third.delivery_count, third.continuation),
        (DeliveryCount(2), Continuation(0))
    );
    assert_eq!(host.share.checkpoint(at(0)).unwrap(), "half");
    assert_eq!(host.share.notes(at(0)), ["later"]);
    host.settle(third, Verdict::Accept);
    assert_eq!(host.share.checkpoint(at(0)), None);
    assert_eq!(host.share.start_offset(), at(1));
}

#[test]
fn a_renewal_at_once_is_available_at_once() {
    let mut host = host(options());
    let lease = host.take(1)[0];
    let settled = host.settle(lease, renew(Duration::ZERO, "x"));
    assert_eq!(settled.clamped, 0);
    assert_eq!(host.take(1)[0].continuation, Continuation(1));
}

#[test]
fn parked_records_stay_parked_over_a_crash() {
    let mut host = host(options());
    let lease = host.take(1)[0];
    host.settle(lease, renew(60 * SECOND, "half"));
    host.crash();
    assert_eq!(host.state(0), RecordState::Parked);
    host.pass(59 * SECOND);
    assert_eq!(host.state(0), RecordState::Parked);
    host.pass(SECOND);
    assert_eq!(host.take(1)[0].continuation, Continuation(1));
    assert_eq!(host.share.checkpoint(at(0)).unwrap(), "half");
}

#[test]
fn a_clock_set_back_does_not_prolong_a_park() {
    let mut host = host(options());
    let lease = host.take(1)[0];
    host.settle(lease, renew(60 * SECOND, "half"));
    host.now.wall = WallTime::from_millis(1_600_000_000_000);
    host.crash();
    host.pass(60 * SECOND);
    assert_eq!(host.state(0), RecordState::Available);
}

#[test]
fn delays_are_clamped_and_counted() {
    let mut host = host(options());
    let leases = host.take(2);
    assert_eq!(host.settle(leases[0], renew(Duration::from_millis(1), "x")).clamped, 1);
    assert_eq!(
        host.share.record(at(0)).unwrap().due,
        Some(host.now.monotonic.after(MIN_DELAY))
    );
    let long = Verdict::Release {
        after: Some(100 * MAX_DELAY),
        note: None,
    };
    assert_eq!(host.settle(leases[1], long).clamped, 1);
    assert_eq!(
        host.share.record(at(1)).unwrap().due,
        Some(host.now.monotonic.after(MAX_DELAY))
    );
}

#[test]
fn a_delayed_release_at_the_limit_archives_at_once() {
    let mut host = host(options());
    let delayed = || Verdict::Release {
        after: Some(10 * SECOND),
        note: note("no"),
    };
    for count in 1..=3 {
        let lease = host.take(1)[0];
        assert_eq!((lease.offset, lease.delivery_count), (at(0), DeliveryCount(count)));
        let settled = host.share.settle(&[(lease, delayed())], host.now);
        if count == 3 {
            let archived = Archived {
                range: run(0, 0),
                cause: ArchiveCause::DeliveryLimit,
                delivery_count: DeliveryCount(3),
            };
            assert_eq!(settled.archived, [archived]);
            assert_eq!(host.share.notes(at(0)), ["no", "no"], "for the dead letter");
        }
        host.durable(settled.transition);
        host.pass(10 * SECOND);
    }
    assert_eq!(host.share.start_offset(), at(1));
}

#[test]
fn max_lease_ends_extension_and_renewal() {
    let mut host = host(ShareOptions {
        max_lease: Some(Duration::from_secs(70)),
        ..options()
    });
    let lease = host.take(1)[0];
    host.pass(20 * SECOND);
    assert_eq!(
        host.share.extend(&[lease], host.now),
        [Ok(host.now.monotonic.after(30 * SECOND))]
    );
    host.pass(25 * SECOND);
    // 45 s are over: the attempt has 25 left.
    assert_eq!(
        host.share.extend(&[lease], host.now),
        [Ok(host.now.monotonic.after(25 * SECOND))]
    );
    host.now.monotonic = host.now.monotonic.after(25 * SECOND);
    assert_eq!(host.share.extend(&[lease], host.now), [Err(Refusal::Exhausted(at(0)))]);
    let settled = host.settle(lease, renew(SECOND, "x"));
    assert_eq!((settled.results, settled.exhausted), (vec![Ok(())], 1));
    assert_eq!(host.take(1)[0].delivery_count, DeliveryCount(2));
}

#[test]
fn max_lease_counts_while_parked() {
    let mut host = host(ShareOptions {
        max_lease: Some(Duration::from_secs(70)),
        ..options()
    });
    let lease = host.take(1)[0];
    host.settle(lease, renew(1_000 * SECOND, "x"));
    let settled = host.pass(70 * SECOND);
    assert_eq!(settled.exhausted, 1);
    let again = host.take(1)[0];
    assert_eq!(
        (again.delivery_count, again.continuation),
        (DeliveryCount(2), Continuation(0))
    );
}

#[test]
fn struck_records_go_one_by_one_beside_others() {
    let mut host = host(options());
    host.take(3);
    let settled = host.crash();
    assert_eq!(settled.changes, [Change::Void { range: run(0, 2) }]);
    assert_eq!(host.share.counts().waiting, 2);
    let leases = host.take(5);
    let offsets: Vec<_> = leases.iter().map(|lease| lease.offset.get()).collect();
    assert_eq!(offsets, [0, 3, 4, 5, 6]);
    assert_eq!(leases[0].delivery_count, DeliveryCount(2));
    assert_eq!(host.take(1)[0].offset, at(7));
    host.settle(leases[0], Verdict::Accept);
    assert_eq!(host.share.next_fetch_offset(), at(1));
    assert_eq!(
        host.take(2).iter().map(|lease| lease.offset.get()).collect::<Vec<_>>(),
        [1, 8]
    );
    // The second strike ends it; those that only waited keep their one.
    let settled = host.crash();
    assert_eq!(settled.archived[0].cause, ArchiveCause::HostCrash);
    assert_eq!(settled.archived[0].range, run(1, 1));
    assert_eq!(host.share.record(at(2)).unwrap().strikes, 1);
}

#[test]
fn a_crash_in_the_last_attempt_archives() {
    let mut host = host(ShareOptions {
        delivery_limit: DeliveryCount(1),
        ..options()
    });
    host.take(1);
    let settled = host.crash();
    assert_eq!(settled.archived[0].cause, ArchiveCause::DeliveryLimit);
    assert_eq!(host.share.start_offset(), at(1));
}

#[test]
fn one_settlement_never_affects_another() {
    let mut host = host(options());
    let leases = host.take(5);
    let other = |change: fn(&mut LeaseKey)| {
        let mut lease = leases[1];
        change(&mut lease);
        (lease, Verdict::Accept)
    };
    let settled = host.share.settle(
        &[
            (leases[0], Verdict::Accept),
            (leases[0], Verdict::Accept),
            other(|lease| lease.epoch = StateEpoch(0)),
            other(|lease| lease.share = ShareKey(0)),
            other(|lease| lease.delivery_count = DeliveryCount(2)),
            other(|lease| lease.continuation = Continuation(1)),
            other(|lease| lease.offset = Offset::MAX),
            (
                leases[2],
                Verdict::Reject {
                    note: Some(Bytes::from(vec![0; 2_000])),
                },
            ),
            (leases[3], Verdict::Accept),
            (leases[4], Verdict::Accept),
        ],
        host.now,
    );
    let stale = Err(Refusal::Stale(at(1)));
    let wanted = [
        Ok(()),
        Err(Refusal::InTransition(at(0))),
        stale,
        stale,
        stale,
        stale,
        Err(Refusal::Stale(Offset::MAX)),
        Err(Refusal::TooLarge {
            size: 2_000,
            limit: MAX_NOTE_BYTES,
        }),
        Ok(()),
        Ok(()),
    ];
    assert_eq!(settled.results, wanted);
    assert_eq!(settled.changes.len(), 2, "neighbours are one change");
    host.durable(settled.transition);
    assert_eq!(host.share.counts().acquired, 2);
}

#[test]
fn a_refused_acquisition_is_acquired_by_the_next_one() {
    let mut host = host(options());
    let batches = [run(0, 9)];
    let request = AcquireRequest {
        member: MemberIndex(1),
        mode: AcquireMode::RecordLimit,
        max_records: 4,
        batch_size: 0,
        from: Offset::ZERO,
        batches: &batches,
    };
    let refused = host.share.acquire(&request, host.now);
    let second = host.share.acquire(&AcquireRequest { from: at(4), ..request }, host.now);
    assert_eq!(second.ranges[0].range, run(4, 7));
    assert_eq!(host.share.counts().in_transition, 8);
    host.share
        .handle_persisted(refused.transition.unwrap(), Persisted::Refused, host.now);
    host.durable(second.transition);
    assert_eq!(host.share.next_fetch_offset(), Offset::ZERO);
    // A snapshot says the same: what was never delivered comes first.
    host.crash();
    assert_eq!(host.share.next_fetch_offset(), Offset::ZERO);
    assert_eq!(host.take(4)[3].delivery_count, DeliveryCount(1));
}

#[test]
fn the_window_counts_acquired_records_only() {
    let mut host = host(ShareOptions {
        window: Window::Acquired(2),
        span_limit: 10,
        ..options()
    });
    for _ in 0..5 {
        let leases = host.take(5);
        assert_eq!(leases.len(), 2);
        assert!(!host.share.can_acquire());
        for lease in leases {
            host.settle(lease, renew(100 * SECOND, "x"));
        }
    }
    // One batch was touched: its rest is in the span as well, which is full now.
    let pinned = host.share.pinned().unwrap();
    assert_eq!((pinned.offset, pinned.state), (Offset::ZERO, RecordState::Parked));
}

#[test]
fn a_jump_is_written_until_it_is_durable_itself() {
    let mut host = host(options());
    let ask = |host: &mut Host, batch: OffsetRange| {
        let request = AcquireRequest {
            member: MemberIndex(1),
            mode: AcquireMode::RecordLimit,
            max_records: 5,
            batch_size: 0,
            from: host.share.next_fetch_offset(),
            batches: &[batch],
        };
        host.share.acquire(&request, host.now)
    };
    let jump = |to| Change::StartOffset { offset: at(to) };
    let first = ask(&mut host, run(5, 9));
    assert_eq!(first.changes[0], jump(5));
    // While that is on its way the log start passes it, and the start offset jumps once more.
    host.share.handle_log_start(at(10), host.now);
    let second = ask(&mut host, run(15, 19));
    assert_eq!(second.changes[0], jump(15));
    host.durable(first.transition);
    let refused = second.transition.unwrap();
    host.share.handle_persisted(refused, Persisted::Refused, host.now);
    // Only the first jump is durable.
    let third = ask(&mut host, run(15, 19));
    assert_eq!(third.changes[0], jump(15));
    host.durable(third.transition);
    let leases = third.ranges[0].range.count();
    assert_eq!((leases, host.share.start_offset()), (5, at(15)));
    let fourth = ask(&mut host, run(20, 24));
    assert!(
        !fourth
            .changes
            .iter()
            .any(|change| matches!(change, Change::StartOffset { .. }))
    );
}

#[test]
fn an_empty_window_jumps_over_any_hole() {
    let mut host = host(options());
    let far = 1 << 40;
    let batches = [run(far, far + 9)];
    let request = AcquireRequest {
        member: MemberIndex(1),
        mode: AcquireMode::RecordLimit,
        max_records: 1,
        batch_size: 0,
        from: Offset::ZERO,
        batches: &batches,
    };
    let refused = host.share.acquire(&request, host.now);
    host.share
        .handle_persisted(refused.transition.unwrap(), Persisted::Refused, host.now);
    // The next entry says it again.
    let got = host.share.acquire(
        &AcquireRequest {
            from: at(far),
            ..request
        },
        host.now,
    );
    assert_eq!(got.changes[0], Change::StartOffset { offset: at(far) });
    host.durable(got.transition);
    assert_eq!(host.share.start_offset(), at(far));
    let next = host.share.acquire(
        &AcquireRequest {
            from: at(far + 1),
            ..request
        },
        host.now,
    );
    assert_eq!(next.changes.len(), 1);
}

#[test]
fn a_reset_fences_everything() {
    let mut host = host(options());
    let leases = host.take(2);
    host.settle(leases[0], renew(SECOND, "x"));
    let reset = host.share.reset(StateEpoch(2), at(50), host.now);
    assert!(!host.share.can_acquire());
    assert_eq!(host.share.poll_deadline(), None);
    let refused = host.share.settle(&[(leases[1], Verdict::Accept)], host.now);
    assert_eq!(refused.results, [Err(Refusal::InTransition(at(1)))]);
    host.durable(reset.transition);
    assert_eq!(host.share.start_offset(), at(50));
    assert_eq!(host.share.checkpoint(at(0)), None);
    assert_eq!(
        host.settle(leases[1], Verdict::Accept).results,
        [Err(Refusal::Stale(at(1)))]
    );
    assert_eq!(host.take(1)[0].epoch, StateEpoch(2));
}

#[test]
fn a_log_start_tells_what_it_lost() {
    let mut host = host(options());
    let leases = host.take(4);
    host.settle(leases[0], renew(SECOND, "x"));
    host.settle(
        leases[1],
        Verdict::Release {
            after: None,
            note: None,
        },
    );
    let pending = host.share.settle(&[(leases[2], Verdict::Accept)], host.now);
    let lost = host.share.handle_log_start(at(150), host.now);
    assert_eq!(lost.changes, [Change::StartOffset { offset: at(150) }]);
    assert_eq!(
        (host.share.start_offset(), host.share.durable_start()),
        (at(150), at(0))
    );
    // Nobody but the disk can say no: it is asked once more.
    let refused = lost.transition.unwrap();
    host.share.handle_persisted(refused, Persisted::Refused, host.now);
    assert_eq!(host.share.durable_start(), at(0));
    let again = host.share.handle_log_start(at(150), host.now);
    assert_eq!(again.changes, lost.changes);
    // What was lost is counted by whoever heard of it when it is durable: once more, and once only.
    assert_eq!((lost.dropped, again.dropped, again.archived.len()), (146, 146, 0));
    let twice = host.share.handle_log_start(at(150), host.now);
    assert_eq!((twice.dropped, &twice.changes), (0, &lost.changes));
    host.durable(again.transition);
    assert_eq!(host.share.durable_start(), at(150));
    let ranges: Vec<_> = lost
        .archived
        .iter()
        .map(|archived| (archived.range, archived.cause))
        .collect();
    assert_eq!(
        ranges,
        [
            (run(0, 1), ArchiveCause::Retention),
            (run(3, 3), ArchiveCause::Retention)
        ]
    );
    host.durable(pending.transition);
    assert_eq!(
        host.settle(leases[3], Verdict::Accept).results,
        [Err(Refusal::Stale(at(3)))]
    );
    assert_eq!(host.share.next_fetch_offset(), at(150));
}

#[test]
fn expiry_of_many_leases_with_different_ends() {
    let mut host = host(options());
    for _ in 0..50 {
        host.take(2);
        host.pass(Duration::from_millis(7));
    }
    let mut expired = 0;
    let begin = host.now.monotonic;
    while let Some(deadline) = host.share.poll_deadline() {
        let wait = deadline.since(host.now.monotonic);
        expired += host.pass(wait).expired;
        for view in host.share.records(run(0, 99)) {
            let late = view.deadline.map(|deadline| host.now.monotonic.since(deadline));
            assert!(late.is_none_or(|late| late <= Duration::from_millis(50)), "{late:?}");
        }
    }
    assert_eq!(expired, 100);
    assert!(host.now.monotonic.since(begin) <= 31 * SECOND);
}

#[test]
fn replay_of_what_cannot_be_is_an_error() {
    let mut host = host(options());
    let change = Change::Acknowledge { range: run(0, 5) };
    let error = host.share.apply(&change, host.now).unwrap_err();
    assert_eq!(error.to_string(), "offset 0 is None: acknowledge is impossible");
    let far = Change::Acquire {
        range: run(1 << 40, 1 << 40),
        delivery_count: DeliveryCount(1),
        at: host.now.wall,
    };
    assert!(matches!(
        host.share.apply(&far, host.now),
        Err(ReplayError::Span { .. })
    ));
    let reset = Change::Reset {
        epoch: StateEpoch(1),
        start: at(0),
    };
    assert!(matches!(
        host.share.apply(&reset, host.now),
        Err(ReplayError::Epoch { .. })
    ));
}

/// A state with everything in it.
fn rich() -> Host {
    let mut host = host(options());
    let leases = host.take(20);
    host.settle(leases[1], Verdict::Accept);
    host.settle(leases[2], Verdict::Reject { note: None });
    host.settle(leases[3], renew(60 * SECOND, "state"));
    host.settle(
        leases[4],
        Verdict::Release {
            after: Some(SECOND),
            note: note("one"),
        },
    );
    host.settle(
        leases[5],
        Verdict::Release {
            after: None,
            note: note("two"),
        },
    );
    host.settle(leases[6], renew(Duration::ZERO, "now"));
    host.crash();
    host.take(4);
    host
}

#[test]
fn damaged_snapshots_never_panic() {
    let host = rich();
    let mut bytes = BytesMut::new();
    host.share.encode(&mut bytes);
    for length in 0..bytes.len() {
        let cut = SharePartition::decode(KEY, options(), &bytes[..length], host.now);
        assert!(cut.is_err(), "cut to {length}");
    }
    let mut seed = 1_u32;
    for _ in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = usize::try_from(seed >> 8).unwrap() % damaged.len();
            // Small numbers: large spans would only cost time.
            damaged[index] = u8::try_from(seed & 0x3f).unwrap();
        }
        if let Ok(mut share) = SharePartition::decode(KEY, options(), &damaged, host.now) {
            share.check();
            let mut again = BytesMut::new();
            share.encode(&mut again);
            SharePartition::decode(KEY, options(), &again, host.now)
                .unwrap()
                .check();
            let settled = share.void_leases(true, host.now);
            if let Some(id) = settled.transition {
                share.handle_persisted(id, Persisted::Durable, host.now);
            }
            share.check();
        }
    }
}

#[test]
fn an_unknown_layout_is_refused() {
    let error = SharePartition::decode(KEY, options(), &[9], host(options()).now).unwrap_err();
    assert_eq!(error, DecodeError::Version { found: 9, known: 1 });
}

#[test]
fn a_million_leases_fit() {
    let mut host = host(ShareOptions {
        window: Window::Acquired(2_000_000),
        ..options()
    });
    let batches = [run(0, 999_999)];
    assert_eq!(host.take_from(1_000_000, &batches).len(), 1_000_000);
    assert!(host.share.heap_bytes() <= 24_000_000);
    let settled = host.pass(30 * SECOND);
    assert_eq!((settled.expired, settled.changes.len()), (1_000_000, 1));
    assert_eq!(host.share.counts().available, 1_000_000);
}

#[test]
fn a_park_in_the_journal_is_timed_by_wall_clock() {
    let mut host = host(options());
    let at_wall = host.now.wall;
    let acquire = Change::Acquire {
        range: run(0, 0),
        delivery_count: DeliveryCount(1),
        at: at_wall,
    };
    host.share.apply(&acquire, host.now).unwrap();
    let park = Change::Park {
        offset: at(0),
        delay: Delay {
            from: at_wall,
            length: 10 * SECOND,
        },
        continuation: false,
        untouched: false,
        checkpoint: None,
        note: None,
    };
    host.now.wall = at_wall.after(4 * SECOND);
    host.share.apply(&park, host.now).unwrap();
    assert_eq!(host.share.poll_deadline(), Some(host.now.monotonic.after(6 * SECOND)));
}

/// Two wall times are each cut to milliseconds: a delay that began at 0.9 and was durable at 1.0 ended one early.
#[test]
fn a_delay_runs_from_its_decision_however_long_the_journal_takes() {
    let mut host = host(options());
    let leases = host.take(2);
    let decided = host.now.monotonic.after(Duration::from_micros(900));
    host.now.monotonic = decided;
    let verdicts = leases.into_iter().map(|lease| (lease, renew(SECOND, "so far")));
    let settled = host.share.settle(&verdicts.collect::<Vec<_>>(), host.now);
    host.now.monotonic = decided.after(Duration::from_micros(100));
    host.now.wall = host.now.wall.after(Duration::from_millis(1));
    host.durable(settled.transition);
    assert_eq!(host.share.record(at(0)).unwrap().due, Some(decided.after(SECOND)));
    assert_eq!(host.share.poll_deadline(), Some(decided.after(SECOND)));
}

#[test]
fn a_clock_set_forward_ends_no_delay_of_this_process() {
    let mut host = host(options());
    let lease = host.take(1)[0];
    let settled = host.share.settle(&[(lease, renew(SECOND, "so far"))], host.now);
    host.now.wall = host.now.wall.after(100 * SECOND);
    host.durable(settled.transition);
    assert_eq!(
        host.share.record(at(0)).unwrap().due,
        Some(host.now.monotonic.after(SECOND))
    );
}

/// A million of them took the better part of a second, in which nobody else was heard.
#[test]
fn leases_that_end_together_and_are_no_neighbours_end_part_by_part() {
    let mut host = host(options());
    let mut leases = Vec::new();
    for first in (0..60_000).step_by(10_000) {
        leases.extend(host.take_from(10_000, &[run(first, first + 9_999)]));
    }
    assert_eq!(leases.len(), 60_000);
    let accepted: Vec<_> = leases
        .iter()
        .skip(1)
        .step_by(2)
        .map(|lease| (*lease, Verdict::Accept))
        .collect();
    let settled = host.share.settle(&accepted, host.now);
    host.durable(settled.transition);
    let mut parts = vec![host.pass(Duration::from_secs(30))];
    while parts.last().unwrap().transition.is_some() {
        assert!(host.share.poll_deadline().is_none_or(|due| due <= host.now.monotonic));
        parts.push(host.pass(Duration::ZERO));
    }
    assert_eq!(parts.iter().map(|part| part.expired).sum::<u64>(), 30_000);
    assert_eq!(parts.len(), 4);
    // One entry of the smallest ring file holds them all, at five bytes a change.
    assert!(parts.iter().all(|part| part.changes.len() * 5 < 64 << 10));
    assert_eq!(
        (host.share.counts().acquired, host.share.counts().available),
        (0, 30_000)
    );
}

/// Neighbours of which every second one ends for good are a change each: twenty thousand were one entry, for which a small
/// ring file has no room.
#[test]
fn neighbours_that_fare_differently_end_part_by_part() {
    const RECORDS: u64 = 20_000;
    let all = [run(0, RECORDS - 1)];
    let mut host = host(ShareOptions {
        delivery_limit: DeliveryCount(2),
        ..options()
    });
    let odd: Vec<_> = host
        .take_from(20_000, &all)
        .into_iter()
        .filter(|lease| lease.offset.get() % 2 == 1)
        .map(|lease| {
            (
                lease,
                Verdict::Release {
                    after: None,
                    note: None,
                },
            )
        })
        .collect();
    let settled = host.share.settle(&odd, host.now);
    host.durable(settled.transition);
    assert_eq!(host.take_from(20_000, &all).len(), 10_000);
    let mut restarted = Host {
        share: host.restarted(),
        now: host.now,
    };
    let member_goes: End = |host| host.share.release_member(MemberIndex(1), host.now);
    let process_died: End = |host| host.share.void_leases(true, host.now);
    for (host, end) in [(&mut host, member_goes), (&mut restarted, process_died)] {
        let mut parts = vec![end(host)];
        while let Some(transition) = parts.last().unwrap().transition {
            host.durable(Some(transition));
            parts.push(end(host));
        }
        assert_eq!(parts.iter().map(|part| part.changes.len()).sum::<usize>(), 20_000);
        // One entry of the smallest ring file holds them all, at five bytes a change.
        assert!(parts.iter().all(|part| part.changes.len() * 5 < 64 << 10));
        let counts = host.share.counts();
        assert_eq!((counts.acquired, counts.available + counts.waiting), (0, 10_000));
    }
}

type End = fn(&mut Host) -> Settled;

type Spoil = fn(&mut SharePartition);

/// A check that sees nothing proves nothing.
#[test]
fn what_breaks_an_invariant_is_seen() {
    use super::block::{Place, Plane};
    // New records from 200 on are held and were never struck.
    let breaks: [(&str, Spoil); 9] = [
        ("in two planes", |share| {
            share.window.block_mut(Place::of(200)).parked |= Place::of(200).mask;
        }),
        ("in no plane", |share| {
            share.window.block_mut(Place::of(200)).acquired &= !Place::of(200).mask;
        }),
        ("finished at the start", |share| {
            share.window.put(Place::of(0), Plane::Acknowledged);
        }),
        ("a side entry outside the window", |share| {
            share.side.entry(5_000).continuation = 1;
        }),
        ("a side entry without its bit", |share| {
            share.side.entry(200).continuation = 1;
        }),
        ("a side bit without its entry", |share| {
            share.window.block_mut(Place::of(200)).side |= Place::of(200).mask;
        }),
        ("an empty side entry", |share| {
            share.side.entry(200);
            share.window.block_mut(Place::of(200)).side |= Place::of(200).mask;
        }),
        ("a member holds too little", |share| share.members.add(0, 1)),
        ("two struck records are out", |share| {
            share.window.block_mut(Place::of(200)).struck |= Place::of(200).mask;
        }),
    ];
    for (what, spoil) in breaks {
        let mut host = rich();
        assert_eq!(host.take_from(5, &[run(200, 204)]).len(), 5);
        host.share.check();
        spoil(&mut host.share);
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| host.share.check()));
        assert!(seen.is_err(), "{what}");
    }
}
