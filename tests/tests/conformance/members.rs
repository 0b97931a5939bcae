//! Members that come, leave and die.

use std::time::{Duration, Instant};

use sharemill::source::{Credit, SettleResult, SourceError, Verdict};
use sharemill_tests::conformance::{Case, Member, On, Options, Scenario, Stage, attempts, offsets, texts, until};

use crate::differences::{CHECKPOINTS, DELAYS, GONE, LEFT};
use crate::outcomes::{later, park};

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(Shared who_leaves_gives_back_at_once),
        scenario!(Shared who_leaves_ends_its_waiting_calls),
        scenario!(Shared who_has_left_changes_nothing),
        scenario!(Shared who_comes_late_gets_its_share),
        scenario!(Shared members_come_and_go),
        scenario!(Shared records_wait_while_nobody_is_there),
        scenario!(Shared who_dies_gives_back_with_its_lock;
            On::Kafka => who_dies_gives_back_at_once: GONE),
        scenario!(Shared a_parked_record_outlives_its_member;
            On::Kafka => a_parked_record_begins_anew_without_its_member: CHECKPOINTS),
        scenario!(Shared a_parked_record_outlasts_a_leave;
            On::Kafka => a_parked_record_begins_anew_after_a_leave: LEFT),
        scenario!(Shared two_calls_wait_at_once),
        scenario!(Shared a_delay_outlives_its_member;
            On::Kafka => a_delay_ends_with_its_member: DELAYS),
    ]
}

async fn who_leaves_gives_back_at_once(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..5).await;
    let first = case.join().await;
    let held = first.take(5).await;
    first.accept(&held[..2]).await;
    first.leave().await;
    // The lock is half a minute: whatever comes sooner was given back.
    let began = Instant::now();
    let next = case.join().await;
    let again = next.take_sorted(3).await;
    assert_eq!((offsets(&again), attempts(&again)), (vec![2, 3, 4], vec![2; 3]));
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    next.accept(&again).await;
    case.leaves(0).await;
}

async fn who_leaves_ends_its_waiting_calls(case: Case) {
    let case = case.set_up(Options::default()).await;
    let member = case.join().await;
    let credit = Credit {
        records: 1,
        bytes: 1 << 20,
    };
    let (waiting, ()) = tokio::join!(member.acquire(credit), member.leave());
    assert_eq!(waiting.unwrap_err(), SourceError::Closed);
    assert_eq!(member.acquire(credit).await.unwrap_err(), SourceError::Closed);
}

async fn who_has_left_changes_nothing(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..2).await;
    let member = case.join().await;
    let held = member.take(2).await;
    member.leave().await;
    // Not applied, and stale as soon as what it held is given back.
    until("the leases are stale", async || {
        let results = member.settle(&held, Verdict::Accept).await;
        assert!(!results.contains(&SettleResult::Applied), "{results:?}");
        (results == vec![SettleResult::Stale; 2]).then_some(())
    })
    .await;
    let next = case.join().await;
    let again = next.take(2).await;
    next.accept(&again).await;
    case.leaves(0).await;
}

async fn who_comes_late_gets_its_share(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..50).await;
    let first = case.join().await;
    let held = first.take(10).await;
    let second = case.join().await;
    let others = second.take(10).await;
    assert!(others.iter().all(|one| one.attempt() == 1), "{others:?}");
    assert!(offsets(&others).iter().all(|one| !offsets(&held).contains(one)));
    first.accept(&held).await;
    second.accept(&others).await;
    let (more, others) = tokio::join!(first.take(15), second.take(15));
    first.accept(&more).await;
    second.accept(&others).await;
    case.leaves(0).await;
}

async fn members_come_and_go(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..20).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let member = case.join().await;
        let taken = member.take(4).await;
        assert_eq!(attempts(&taken), [1; 4]);
        member.accept(&taken).await;
        seen.extend(offsets(&taken));
        member.leave().await;
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    case.leaves(0).await;
}

async fn records_wait_while_nobody_is_there(case: Case) {
    let case = case.set_up(Options::default()).await;
    let member = case.join().await;
    case.produce(&["one"]).await;
    member.accept(&member.take(1).await).await;
    member.leave().await;
    case.produce(&["two", "three"]).await;
    case.leaves(2).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    assert_eq!(texts(&taken), ["two", "three"]);
    assert_eq!(attempts(&taken), [1, 1]);
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn who_dies_gives_back_with_its_lock(case: Case) {
    let (case, waited) = after_a_death(case, Duration::from_secs(2)).await;
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
    case.leaves(0).await;
}

async fn who_dies_gives_back_at_once(case: Case) {
    let (case, waited) = after_a_death(case, Duration::from_secs(30)).await;
    assert!(waited < Duration::from_secs(25), "{waited:?}");
    case.leaves(0).await;
}

/// When nobody of a group fetches any more a Kafka broker may forget counts that it has not written yet.
async fn at_work(member: &Member) {
    member.finds_nothing(Duration::from_millis(500)).await;
}

/// How long what a dead member had was out of reach.
async fn after_a_death(case: Case, lock: Duration) -> (Case, Duration) {
    let case = case
        .set_up(Options {
            lock,
            ..Options::default()
        })
        .await;
    case.fill(0..3).await;
    let (member, next) = (case.join().await, case.join().await);
    let began = Instant::now();
    let held = member.take(3).await;
    member.accept(&held[1..2]).await;
    at_work(&next).await;
    member.crash().await;
    let again = next.take_sorted(2).await;
    assert_eq!((offsets(&again), attempts(&again)), (vec![0, 2], vec![2, 2]));
    next.accept(&again).await;
    (case, began.elapsed())
}

async fn a_parked_record_outlives_its_member(case: Case) {
    let (case, came) = after_parking(case, End::Crash).await;
    assert_eq!(came, (1, Some("so far".to_owned())));
    case.leaves(0).await;
}

async fn a_parked_record_begins_anew_without_its_member(case: Case) {
    let (case, came) = after_parking(case, End::Crash).await;
    assert_eq!(came, (2, None));
    case.leaves(0).await;
}

async fn a_parked_record_outlasts_a_leave(case: Case) {
    let (case, came) = after_parking(case, End::Leave).await;
    assert_eq!(came, (1, Some("so far".to_owned())));
    case.leaves(0).await;
}

async fn a_parked_record_begins_anew_after_a_leave(case: Case) {
    let (case, came) = after_parking(case, End::Leave).await;
    assert_eq!(came, (2, None));
    case.leaves(0).await;
}

enum End {
    Crash,
    Leave,
}

/// With which count and checkpoint a parked record comes when its member has gone.
async fn after_parking(case: Case, end: End) -> (Case, (u16, Option<String>)) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..1).await;
    let (member, next) = (case.join().await, case.join().await);
    let taken = member.take(1).await;
    member.applied(&taken, park(5_000, Some("so far"))).await;
    at_work(&next).await;
    match end {
        End::Crash => member.crash().await,
        End::Leave => member.leave().await,
    }
    let again = next.take(1).await;
    next.accept(&again).await;
    let checkpoint = again[0].checkpoint.as_deref();
    let checkpoint = checkpoint.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (case, (again[0].attempt(), checkpoint))
}

async fn a_delay_outlives_its_member(case: Case) {
    let (case, waited) = after_delaying(case, 3_000).await;
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
    case.leaves(0).await;
}

async fn a_delay_ends_with_its_member(case: Case) {
    let (case, waited) = after_delaying(case, 30_000).await;
    assert!(waited < Duration::from_secs(25), "{waited:?}");
    case.leaves(0).await;
}

/// After which time a record comes that was released with a delay by a member that has died.
async fn after_delaying(case: Case, delay: u64) -> (Case, Duration) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..1).await;
    let (member, next) = (case.join().await, case.join().await);
    let taken = member.take(1).await;
    let began = Instant::now();
    member.applied(&taken, later(delay)).await;
    at_work(&next).await;
    member.crash().await;
    let again = next.take(1).await;
    assert_eq!(attempts(&again), [2]);
    next.accept(&again).await;
    (case, began.elapsed())
}

async fn two_calls_wait_at_once(case: Case) {
    let case = case.set_up(Options::default()).await;
    let member = case.join().await;
    let (one, other, ()) = tokio::join!(member.take(2), member.take(2), async {
        case.fill(0..2).await;
        case.fill(2..4).await;
    });
    let mut all = [offsets(&one), offsets(&other)].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    member.accept(&one).await;
    member.accept(&other).await;
    case.leaves(0).await;
}
