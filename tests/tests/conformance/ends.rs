//! The end of the process that keeps the records: the engine's or the only broker's, which comes back, and the leader's among three.

use std::time::Duration;

use sharemill::source::{SettleResult, Verdict};
use sharemill_tests::conformance::{Case, On, Options, Scenario, Stage, attempts, offsets, texts, until};

use crate::differences::{BROKERS, COUNTS, PROCESS};
use crate::outcomes::later;

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(Restart accepted_stays_accepted_over_a_restart),
        scenario!(Restart rejected_stays_rejected_over_a_restart),
        scenario!(Restart counts_of_releases_last_over_a_restart),
        scenario!(Restart what_was_held_comes_again_with_the_next_count;
            On::Kafka => what_was_held_comes_again_with_the_same_count: COUNTS),
        scenario!(Restart a_member_goes_on_after_a_restart;
            On::Embedded => a_member_ends_with_its_process: PROCESS),
        scenario!(Restart records_and_letters_are_there_after_a_restart),
        scenario!(Leaders accepted_stays_accepted_over_a_change_of_leader;
            On::Embedded => accepted_stays_accepted_over_a_restart: BROKERS),
        scenario!(Leaders what_was_held_comes_again_from_another_leader;
            On::Embedded => what_was_held_comes_again_with_the_next_count: BROKERS),
        scenario!(Leaders a_member_goes_on_with_another_leader;
            On::Embedded => a_member_ends_with_its_process: BROKERS),
        scenario!(Leaders counts_of_releases_last_over_a_change_of_leader;
            On::Embedded => counts_of_releases_last_over_a_restart: BROKERS),
    ]
}

/// A lock that a process may outlast with its end.
fn options() -> Options {
    Options {
        lock: Duration::from_secs(2),
        ..Options::default()
    }
}

async fn accepted_stays_accepted_over_a_restart(case: Case) {
    let case = case.set_up(options()).await;
    case.fill(0..10).await;
    let member = case.join().await;
    let taken = member.take(10).await;
    let done: Vec<_> = taken
        .iter()
        .filter(|one| one.offset().get() % 2 == 1)
        .cloned()
        .collect();
    member.accept(&done).await;
    case.crash().await;
    drop(member);
    let member = case.join().await;
    let mut left = Vec::new();
    while left.len() < 5 {
        let some = member.take_some(10).await;
        left.extend(offsets(&some));
        member.accept(&some).await;
    }
    left.sort_unstable();
    assert_eq!(left, [0, 2, 4, 6, 8]);
    case.leaves(0).await;
}

async fn accepted_stays_accepted_over_a_change_of_leader(case: Case) {
    accepted_stays_accepted_over_a_restart(case).await;
}

async fn rejected_stays_rejected_over_a_restart(case: Case) {
    let case = case.set_up(options()).await;
    case.fill(0..3).await;
    let member = case.join().await;
    let taken = member.take(3).await;
    member.applied(&taken[..2], Verdict::Reject).await;
    member.accept(&taken[2..]).await;
    case.crash().await;
    drop(member);
    case.produce(&["new"]).await;
    let member = case.join().await;
    let taken = member.take(1).await;
    assert_eq!(texts(&taken), ["new"]);
    member.accept(&taken).await;
    case.leaves(0).await;
    assert_eq!(case.letters(2).await.len(), 2);
}

async fn counts_of_releases_last_over_a_restart(case: Case) {
    let case = case.set_up(options()).await;
    case.fill(0..2).await;
    let member = case.join().await;
    member.applied(&member.take(2).await, later(0)).await;
    member.applied(&member.take(2).await, later(0)).await;
    case.crash().await;
    drop(member);
    let member = case.join().await;
    let taken = member.take(2).await;
    assert_eq!(attempts(&taken), [3, 3]);
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn counts_of_releases_last_over_a_change_of_leader(case: Case) {
    counts_of_releases_last_over_a_restart(case).await;
}

async fn what_was_held_comes_again_with_the_next_count(case: Case) {
    assert_eq!(held_over_the_end(case).await, [(0, 2), (2, 2)]);
}

async fn what_was_held_comes_again_with_the_same_count(case: Case) {
    assert_eq!(held_over_the_end(case).await, [(0, 1), (2, 1)]);
}

async fn what_was_held_comes_again_from_another_leader(case: Case) {
    // What was never settled is written nowhere.
    assert_eq!(held_over_the_end(case).await, [(0, 1), (2, 1)]);
}

/// Offsets and counts of what nobody had settled when the process ended, as they come to a member that joins then.
async fn held_over_the_end(case: Case) -> Vec<(u64, u16)> {
    let case = case.set_up(options()).await;
    case.fill(0..3).await;
    let member = case.join().await;
    let held = member.take(3).await;
    member.accept(&held[1..2]).await;
    case.crash().await;
    member.crash().await;
    let member = case.join().await;
    let mut came = Vec::new();
    // One at a time where they are suspected of the end.
    while came.len() < 2 {
        let some = member.take_some(2).await;
        came.extend(some.iter().map(|one| (one.offset().get(), one.attempt())));
        member.accept(&some).await;
    }
    came.sort_unstable();
    case.leaves(0).await;
    came
}

async fn a_member_goes_on_after_a_restart(case: Case) {
    let case = case.set_up(options()).await;
    case.fill(0..5).await;
    let member = case.join().await;
    member.accept(&member.take(5).await).await;
    case.crash().await;
    case.fill(5..10).await;
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let some = member.take_some(5).await;
        seen.extend(texts(&some));
        // An answer that was lost on the way is no answer.
        let results = member.settle(&some, Verdict::Accept).await;
        assert_eq!(results, vec![SettleResult::Applied; some.len()]);
    }
    assert_eq!(seen, ["5", "6", "7", "8", "9"]);
    case.leaves(0).await;
}

async fn a_member_goes_on_with_another_leader(case: Case) {
    a_member_goes_on_after_a_restart(case).await;
}

async fn a_member_ends_with_its_process(case: Case) {
    let case = case.set_up(options()).await;
    case.fill(0..5).await;
    let member = case.join().await;
    member.accept(&member.take(5).await).await;
    case.crash().await;
    let credit = sharemill::source::Credit {
        records: 1,
        bytes: 1 << 20,
    };
    until("the end of the member", async || member.acquire(credit).await.err()).await;
    case.fill(5..10).await;
    let next = case.join().await;
    let taken = next.take(5).await;
    assert_eq!(texts(&taken), ["5", "6", "7", "8", "9"]);
    next.accept(&taken).await;
    case.leaves(0).await;
}

async fn records_and_letters_are_there_after_a_restart(case: Case) {
    let case = case.set_up(options()).await;
    case.produce(&["good", "bad"]).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    member.applied(&taken[1..], Verdict::Reject).await;
    member.accept(&taken[..1]).await;
    let (records, letters) = (case.read(case.name()).await, case.letters(1).await);
    assert_eq!(records.len(), 2);
    case.crash().await;
    drop(member);
    case.leaves(0).await;
    assert_eq!(case.read(case.name()).await, records);
    assert_eq!(case.letters(1).await, letters);
}
