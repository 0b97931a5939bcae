//! How long a record is a member's, and what holds up others.

use std::time::{Duration, Instant};

use sharemill::source::{RenewResult, SettleResult, SourceEvent, Verdict};
use sharemill_tests::conformance::{Case, On, Options, Scenario, Stage, attempts, offsets, texts};

use crate::differences::{MAX_LEASE, ONE_MORE, PARKING, TOLD, WINDOW};
use crate::outcomes::park;

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(Shared a_lock_ends_and_another_member_goes_on),
        scenario!(Shared a_lock_lasts_as_long_as_it_says),
        scenario!(Shared renewals_outlast_the_lock),
        scenario!(Shared only_the_lock_that_is_not_renewed_ends),
        scenario!(Shared what_is_finished_cannot_be_renewed),
        scenario!(Shared locks_that_end_use_up_the_attempts;
            On::Kafka => locks_that_end_use_up_the_attempts_and_one_more: ONE_MORE),
        scenario!(Shared a_lost_lease_is_found_out;
            On::Kafka => a_lost_lease_is_told: TOLD),
        scenario!(Shared a_slow_record_holds_up_nobody),
        scenario!(Shared a_slow_record_holds_up_nobody_ever;
            On::Kafka => a_slow_record_pins_the_window: WINDOW),
        scenario!(Shared any_number_may_be_parked;
            On::Kafka => so_many_may_be_parked: PARKING),
        scenario!(Shared an_attempt_ends_with_its_max_lease;
            On::Kafka => an_attempt_goes_on_beyond_its_max_lease: MAX_LEASE),
    ]
}

async fn a_lock_ends_and_another_member_goes_on(case: Case) {
    let case = case.set_up(Options::lock(1)).await;
    case.fill(0..2).await;
    let (first, second) = (case.join().await, case.join().await);
    let held = first.take(2).await;
    let again = second.take_sorted(2).await;
    assert_eq!((offsets(&again), attempts(&again)), (vec![0, 1], vec![2, 2]));
    assert_eq!(first.renew(&held).await, [RenewResult::Lost; 2]);
    for verdict in [Verdict::Accept, Verdict::Reject] {
        assert_eq!(first.settle(&held, verdict).await, vec![SettleResult::Stale; 2]);
    }
    second.accept(&again).await;
    case.leaves(0).await;
    assert_eq!(case.read(&format!("{}.dead", case.name())).await, []);
}

async fn a_lock_lasts_as_long_as_it_says(case: Case) {
    let case = case.set_up(Options::lock(1)).await;
    case.fill(0..1).await;
    let (first, second) = (case.join().await, case.join().await);
    let before = Instant::now();
    let held = first.take(1).await;
    let told = held[0].lease_deadline.since(held[0].acquired_at);
    assert!(!told.is_zero() && told <= Duration::from_millis(1_001), "{told:?}");
    let again = second.take(1).await;
    let after = before.elapsed();
    assert!(after >= Duration::from_secs(1), "{after:?}");
    assert_eq!(attempts(&again), [2]);
    second.accept(&again).await;
}

async fn renewals_outlast_the_lock(case: Case) {
    let case = case.set_up(Options::lock(2)).await;
    case.fill(0..3).await;
    let (first, second) = (case.join().await, case.join().await);
    let held = first.take(3).await;
    first
        .renewing(&held, second.finds_nothing(Duration::from_millis(4_500)))
        .await;
    first.accept(&held).await;
    case.leaves(0).await;
}

async fn only_the_lock_that_is_not_renewed_ends(case: Case) {
    let case = case.set_up(Options::lock(2)).await;
    case.fill(0..3).await;
    let (first, second) = (case.join().await, case.join().await);
    let held = first.take(3).await;
    let kept = [held[0].clone(), held[2].clone()];
    let again = first.renewing(&kept, second.take(1)).await;
    assert_eq!((offsets(&again), attempts(&again)), (vec![1], vec![2]));
    first.accept(&kept).await;
    second.accept(&again).await;
    case.leaves(0).await;
}

async fn what_is_finished_cannot_be_renewed(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..3).await;
    let member = case.join().await;
    let taken = member.take(3).await;
    member.accept(&taken[..1]).await;
    member.applied(&taken[1..2], Verdict::Reject).await;
    member.applied(&taken[2..], park(60_000, None)).await;
    assert_eq!(member.renew(&taken).await, [RenewResult::Lost; 3]);
}

async fn locks_that_end_use_up_the_attempts(case: Case) {
    assert_eq!(letter_of_expiry(case).await, "2");
}

async fn locks_that_end_use_up_the_attempts_and_one_more(case: Case) {
    assert_eq!(letter_of_expiry(case).await, "3");
}

/// The delivery count in the letter of a record of whose two attempts nobody said anything.
async fn letter_of_expiry(case: Case) -> String {
    let case = case
        .set_up(Options {
            attempts: 2,
            ..Options::lock(1)
        })
        .await;
    case.fill(0..1).await;
    let member = case.join().await;
    for attempt in [1, 2] {
        assert_eq!(attempts(&member.take(1).await), [attempt]);
    }
    // Somebody has to ask, where the host writes the letter.
    while case.left().await > 0 {
        member.finds_nothing(Duration::from_millis(300)).await;
    }
    let letters = case.letters(1).await;
    case.leaves(0).await;
    assert_eq!(letters[0].text(), "0");
    assert_eq!(letters[0].header("sharemill.cause").unwrap(), "delivery-limit");
    letters[0].header("__dlq.errors.delivery.count").unwrap()
}

async fn a_lost_lease_is_found_out(case: Case) {
    let case = case.set_up(Options::lock(1)).await;
    case.fill(0..1).await;
    let member = case.join().await;
    let held = member.take(1).await;
    let again = member.take(1).await;
    assert!(member.heard().is_empty());
    assert_eq!(member.renew(&held).await, [RenewResult::Lost]);
    member.accept(&again).await;
}

async fn a_lost_lease_is_told(case: Case) {
    let case = case.set_up(Options::lock(1)).await;
    case.fill(0..1).await;
    let member = case.join().await;
    let held = member.take(1).await;
    let lost = member
        .hears("the lost lease", |event| match event {
            SourceEvent::LeasesLost(lost) => Some(lost.clone()),
            _ => None,
        })
        .await;
    assert_eq!(lost, [held[0].lease]);
    assert_eq!(member.settle(&held, Verdict::Accept).await, [SettleResult::Stale]);
    let again = member.take(1).await;
    assert_eq!(attempts(&again), [2]);
    member.accept(&again).await;
}

async fn a_slow_record_holds_up_nobody(case: Case) {
    let case = case.set_up(Options::lock(2)).await;
    case.produce(&["slow"]).await;
    let member = case.join().await;
    let slow = member.take(1).await;
    let began = Instant::now();
    let fast = async {
        for round in 0..15 {
            case.fill(round * 10..round * 10 + 10).await;
            let taken = member.take(10).await;
            assert_eq!(attempts(&taken), [1; 10]);
            member.accept(&taken).await;
        }
        began.elapsed()
    };
    member.renewing(&slow, fast).await;
    case.leaves(1).await;
    member.accept(&slow).await;
    case.leaves(0).await;
}

async fn a_slow_record_holds_up_nobody_ever(case: Case) {
    let (case, member, slow, done) = three_windows_behind(case).await;
    assert_eq!(done, 600);
    member.accept(&slow).await;
    case.leaves(0).await;
}

async fn a_slow_record_pins_the_window(case: Case) {
    let (case, member, slow, done) = three_windows_behind(case).await;
    assert!((190..=220).contains(&done), "{done}");
    member.accept(&slow).await;
    // It was the only reason.
    let mut left = 600 - done;
    while left > 0 {
        let some = member.take_some(40).await;
        left -= some.len();
        member.accept(&some).await;
    }
    case.leaves(0).await;
}

type Behind = (
    Case,
    sharemill_tests::conformance::Member,
    Vec<sharemill::source::Delivery>,
    usize,
);

/// A record that is held, and how many of 600 behind it come. The window is 200 offsets where it is a span.
async fn three_windows_behind(case: Case) -> Behind {
    let case = case.set_up(Options::default()).await;
    case.produce(&["slow"]).await;
    let member = case.join().await;
    let slow = member.take(1).await;
    assert_eq!(texts(&slow), ["slow"]);
    for first in (0..600).step_by(20) {
        case.fill(first..first + 20).await;
    }
    let mut done = 0;
    while done < 600 {
        let credit = sharemill::source::Credit {
            records: 40,
            bytes: 1 << 20,
        };
        let some = tokio::time::timeout(Duration::from_secs(5), member.acquire(credit)).await;
        let Ok(some) = some else { break };
        let some = some.unwrap();
        member.accept(&some).await;
        done += some.len();
    }
    (case, member, slow, done)
}

async fn any_number_may_be_parked(case: Case) {
    let (case, member, parked) = five_parked(case).await;
    let rest = member.take(15).await;
    member.accept(&rest).await;
    case.leaves(parked).await;
}

async fn so_many_may_be_parked(case: Case) {
    let (case, member, parked) = five_parked(case).await;
    member.finds_nothing(Duration::from_secs(1)).await;
    // Others are not concerned.
    let other = case.join().await;
    let rest = other.take(15).await;
    other.accept(&rest).await;
    case.leaves(parked).await;
    assert_eq!(member.backlog().await.parked, parked);
}

/// As many as may wait at a time, of twenty.
async fn five_parked(case: Case) -> (Case, sharemill_tests::conformance::Member, u64) {
    let case = case
        .set_up(Options {
            parking: 5,
            ..Options::default()
        })
        .await;
    case.fill(0..20).await;
    let member = case.join().await;
    let taken = member.take(5).await;
    member.applied(&taken, park(600_000, None)).await;
    (case, member, 5)
}

async fn an_attempt_ends_with_its_max_lease(case: Case) {
    assert_eq!(parked_beyond_max_lease(case).await, [1, 2, 3]);
}

/// The host's lease keeper and its table of outcomes end it, not its source.
async fn an_attempt_goes_on_beyond_its_max_lease(case: Case) {
    assert_eq!(parked_beyond_max_lease(case).await, [1, 1, 1]);
}

/// Delivery counts of a record that is parked for longer than an attempt may take, again and again.
async fn parked_beyond_max_lease(case: Case) -> Vec<u16> {
    let options = Options {
        max_lease: Duration::from_secs(1),
        ..Options::default()
    };
    let case = case.set_up(options).await;
    case.fill(0..1).await;
    let member = case.join().await;
    let mut counts = Vec::new();
    for _ in 0..3 {
        let taken = member.take(1).await;
        counts.extend(attempts(&taken));
        if counts.len() < 3 {
            member.applied(&taken, park(1_200, None)).await;
        } else {
            member.accept(&taken).await;
        }
    }
    case.leaves(0).await;
    counts
}
