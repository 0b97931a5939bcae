//! Where groups begin, where they are set to, and what is left for them.

use std::time::Duration;

use share_engine::config::Start;
use sharemill::source::Backlog;
use sharemill_tests::conformance::{Case, Codec, New, Options, Scenario, Stage, To, attempts, offsets, texts, until};

use crate::outcomes::park;

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(Shared a_group_begins_with_the_oldest_record),
        scenario!(Shared a_group_begins_with_what_is_new),
        scenario!(Shared a_group_begins_with_what_is_young_enough),
        scenario!(Shared a_group_is_set_back_to_the_start),
        scenario!(Shared a_group_is_set_to_an_offset),
        scenario!(Shared a_group_is_set_to_the_end),
        scenario!(Shared a_group_with_members_is_not_set),
        scenario!(Shared a_set_group_forgets_counts_and_checkpoints),
        scenario!(Shared what_is_left_is_counted),
    ]
}

async fn a_group_begins_with_the_oldest_record(case: Case) {
    let case = case
        .set_up(Options {
            start: Start::Earliest,
            ..Options::default()
        })
        .await;
    case.fill(0..3).await;
    let member = case.join().await;
    let taken = member.take(3).await;
    assert_eq!(offsets(&taken), [0, 1, 2]);
    member.accept(&taken).await;
}

async fn a_group_begins_with_what_is_new(case: Case) {
    // The group is made after these.
    case.create_topic(case.name(), 1).await;
    case.produce(&["old", "old"]).await;
    let options = Options {
        start: Start::Latest,
        ..Options::default()
    };
    case.create_group(case.name(), &options).await;
    let member = case.join().await;
    // From some moment on it is there; nobody says when.
    let taken = {
        let take = member.take(1);
        tokio::pin!(take);
        loop {
            case.produce(&["new"]).await;
            if let Ok(taken) = tokio::time::timeout(Duration::from_millis(100), &mut take).await {
                break taken;
            }
        }
    };
    assert_eq!(texts(&taken), ["new"]);
    member.accept(&taken).await;
}

async fn a_group_begins_with_what_is_young_enough(case: Case) {
    const HOUR: i64 = 3_600_000;
    case.create_topic(case.name(), 1).await;
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    for (age, text) in [(3 * HOUR, "old"), (2 * HOUR, "old"), (HOUR / 2, "young"), (0, "new")] {
        let record = New {
            timestamp: Some(now - age),
            ..New::text(text)
        };
        case.write(0, &[record], Codec::None).await;
    }
    let options = Options {
        start: Start::ByDuration(u64::try_from(HOUR).unwrap()),
        ..Options::default()
    };
    case.create_group(case.name(), &options).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    assert_eq!(texts(&taken), ["young", "new"]);
    member.accept(&taken).await;
    case.leaves(0).await;
}

/// A group that has finished these and has no members any more.
async fn finished(case: Case, records: usize) -> Case {
    let case = case.set_up(Options::default()).await;
    case.fill(0..records).await;
    let member = case.join().await;
    member.accept(&member.take(records).await).await;
    case.leaves(0).await;
    member.leave().await;
    case
}

/// A group may seem to have members for a moment after the last has left.
async fn set(case: &Case, to: To) {
    until("the group is set", async || case.reset(to).await.ok()).await;
}

async fn a_group_is_set_back_to_the_start(case: Case) {
    let case = finished(case, 5).await;
    set(&case, To::Earliest).await;
    case.leaves(5).await;
    let member = case.join().await;
    let taken = member.take(5).await;
    assert_eq!((offsets(&taken), attempts(&taken)), (vec![0, 1, 2, 3, 4], vec![1; 5]));
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn a_group_is_set_to_an_offset(case: Case) {
    let case = finished(case, 5).await;
    set(&case, To::Offset(3)).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    assert_eq!((offsets(&taken), attempts(&taken)), (vec![3, 4], vec![1; 2]));
    member.accept(&taken).await;
    case.leaves(0).await;
    member.finds_nothing(Duration::from_millis(300)).await;
}

async fn a_group_is_set_to_the_end(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..5).await;
    let member = case.join().await;
    member.accept(&member.take(1).await).await;
    member.leave().await;
    set(&case, To::Latest).await;
    case.leaves(0).await;
    case.produce(&["new"]).await;
    let member = case.join().await;
    assert_eq!(texts(&member.take(1).await), ["new"]);
}

async fn a_group_with_members_is_not_set(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..3).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    let refused = case.reset(To::Earliest).await.unwrap_err();
    assert!(refused.contains(case.name()) || refused.contains("member"), "{refused}");
    // Nothing has changed.
    member.accept(&taken).await;
    member.accept(&member.take(1).await).await;
    case.leaves(0).await;
}

async fn a_set_group_forgets_counts_and_checkpoints(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..2).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    member.applied(&taken[..1], park(0, Some("so far"))).await;
    let again = member.take(1).await;
    let release = crate::outcomes::later(0);
    member.applied(&again, release.clone()).await;
    member.applied(&taken[1..], release).await;
    let again = member.take(2).await;
    assert_eq!(attempts(&again), [2, 2]);
    member.accept(&again[..1]).await;
    member.leave().await;
    set(&case, To::Earliest).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    assert_eq!(attempts(&taken), [1, 1]);
    assert!(taken.iter().all(|one| one.checkpoint.is_none()), "{taken:?}");
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn what_is_left_is_counted(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..10).await;
    let member = case.join().await;
    let taken = member.take(4).await;
    member.accept(&taken[..1]).await;
    member.applied(&taken[1..2], park(600_000, None)).await;
    let counted = until("the backlog", async || {
        let backlog = member.backlog().await;
        (backlog.available == 6).then_some(backlog)
    })
    .await;
    let due = counted.next_due.unwrap();
    assert!(
        (Duration::from_secs(500)..=Duration::from_mins(10)).contains(&due),
        "{due:?}"
    );
    let expected = Backlog {
        available: 6,
        acquired: 2,
        parked: 1,
        next_due: counted.next_due,
    };
    assert_eq!(counted, expected);
    assert_eq!(case.left().await, 9);
}
