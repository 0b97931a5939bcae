//! What becomes of a record by what is said of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sharemill::handler::OutgoingRecord;
use sharemill::source::{Delivery, RenewResult, SettleResult, Settlement, SourceEvent, Verdict};
use sharemill_tests::conformance::{Case, Codec, Member, New, On, Options, Scenario, Stage, attempts, offsets, texts};
use sharemill_tests::kafka::Stored;

use crate::differences::{EMITS, LETTERS, STAYS, TRIED};

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(Shared accepted_is_final),
        scenario!(Shared released_comes_again_with_the_next_count),
        scenario!(Shared a_delayed_release_is_not_early),
        scenario!(Shared a_delayed_release_may_come_to_another_member),
        scenario!(Shared rejected_is_final_and_leaves_a_letter),
        scenario!(Shared attempts_end_in_a_letter_with_their_notes),
        scenario!(Shared a_letter_is_a_copy_of_its_record),
        scenario!(Shared a_letter_of_the_largest_record_is_whole;
            On::Kafka => a_letter_of_the_largest_record_goes_without_it: LETTERS),
        scenario!(Shared no_record_ends_before_its_letter_is_there;
            On::Kafka => no_record_ends_while_its_letter_is_refused: TRIED),
        scenario!(Shared without_a_topic_for_letters_nothing_stays),
        scenario!(Shared poison_harms_no_neighbour),
        scenario!(Shared every_outcome_in_one_call_in_any_order),
        scenario!(Shared the_second_word_is_stale),
        scenario!(Shared a_parked_record_goes_on_with_its_attempt),
        scenario!(Shared a_parked_record_outlasts_its_lock),
        scenario!(Shared a_checkpoint_outlives_a_release),
        scenario!(Shared given_back_does_not_count),
        scenario!(Shared untouched_does_not_count),
        scenario!(Shared what_is_given_back_is_for_everybody;
            On::Kafka => what_is_given_back_stays: STAYS),
        scenario!(Shared emitted_records_come_with_the_acceptance),
        scenario!(Shared nothing_is_emitted_for_a_lost_lease),
        scenario!(Shared emitted_together_or_not_at_all;
            On::Kafka => emitted_one_by_one: EMITS),
    ]
}

const NOW: Verdict = Verdict::Release { delay: Duration::ZERO };

pub(crate) const fn later(millis: u64) -> Verdict {
    Verdict::Release {
        delay: Duration::from_millis(millis),
    }
}

pub(crate) fn park(millis: u64, checkpoint: Option<&'static str>) -> Verdict {
    Verdict::Park {
        delay: Duration::from_millis(millis),
        checkpoint: checkpoint.map(|text| Bytes::from_static(text.as_bytes())),
    }
}

fn checkpoint(one: &Delivery) -> Option<&str> {
    one.checkpoint
        .as_deref()
        .map(|bytes| std::str::from_utf8(bytes).unwrap())
}

async fn accepted_is_final(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..3).await;
    let member = case.join().await;
    let taken = member.take(3).await;
    member.accept(&taken).await;
    case.leaves(0).await;
    member.leave().await;
    let next = case.join().await;
    case.produce(&["new"]).await;
    assert_eq!(texts(&next.take(1).await), ["new"]);
}

async fn released_comes_again_with_the_next_count(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..3).await;
    let member = case.join().await;
    let taken = member.take(3).await;
    member.applied(&taken[1..2], NOW).await;
    let again = member.take(1).await;
    assert_eq!((offsets(&again), attempts(&again)), (vec![1], vec![2]));
    member.applied(&again, NOW).await;
    let again = member.take(1).await;
    assert_eq!((offsets(&again), attempts(&again)), (vec![1], vec![3]));
    member.accept(&taken[..1]).await;
    member.accept(&taken[2..]).await;
    member.accept(&again).await;
    case.leaves(0).await;
}

async fn a_delayed_release_is_not_early(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..2).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    let began = Instant::now();
    member.applied(&taken[..1], later(800)).await;
    case.produce(&["new"]).await;
    let mut came = Vec::new();
    while came.len() < 2 {
        let one = member.take(1).await;
        let early = began.elapsed() < Duration::from_millis(800);
        assert!(!early || texts(&one) == ["new"], "{one:?}");
        came.extend(one);
    }
    came.sort_by_key(Delivery::offset);
    assert_eq!((offsets(&came), attempts(&came)), (vec![0, 2], vec![2, 1]));
    member.accept(&taken[1..]).await;
    member.accept(&came).await;
    case.leaves(0).await;
}

async fn a_delayed_release_may_come_to_another_member(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..1).await;
    let (first, second) = (case.join().await, case.join().await);
    let taken = first.take(1).await;
    first.applied(&taken, later(300)).await;
    let again = second.take(1).await;
    assert_eq!((offsets(&again), attempts(&again)), (vec![0], vec![2]));
    second.accept(&again).await;
    case.leaves(0).await;
}

async fn rejected_is_final_and_leaves_a_letter(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..2).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    member.applied(&taken[1..], Verdict::Reject).await;
    member.accept(&taken[..1]).await;
    case.leaves(0).await;
    let letters = case.letters(1).await;
    let letter = &letters[0];
    let header = |name: &str| letter.header(name).unwrap_or_default();
    assert_eq!(letter.text(), "1");
    assert_eq!(header("__dlq.errors.topic"), case.name());
    assert_eq!(header("__dlq.errors.partition"), "0");
    assert_eq!(header("__dlq.errors.offset"), "1");
    assert_eq!(header("__dlq.errors.group"), case.name());
    assert_eq!(header("__dlq.errors.delivery.count"), "1");
    assert_eq!(header("__dlq.errors.message"), "never");
    assert_eq!(header("sharemill.cause"), "reject");
    assert_eq!(header("sharemill.origin"), format!("{}/0/1", case.name()));
    assert_eq!(header("sharemill.module"), "0".repeat(64));
    member.finds_nothing(Duration::from_millis(300)).await;
}

async fn attempts_end_in_a_letter_with_their_notes(case: Case) {
    let case = case
        .set_up(Options {
            attempts: 3,
            ..Options::default()
        })
        .await;
    case.fill(0..1).await;
    let member = case.join().await;
    for attempt in 1..=3 {
        let taken = member.take(1).await;
        assert_eq!(attempts(&taken), [attempt]);
        let delay = if attempt == 2 { later(50) } else { NOW };
        member.applied(&taken, delay).await;
    }
    case.leaves(0).await;
    let letters = case.letters(1).await;
    assert_eq!(letters[0].header("__dlq.errors.delivery.count").unwrap(), "3");
    assert_eq!(letters[0].header("__dlq.errors.message").unwrap(), "not now");
    assert_eq!(letters[0].header("sharemill.cause").unwrap(), "release");
    let notes = letters[0].header("sharemill.attempts").unwrap();
    assert_eq!(notes, "release: not now\nrelease: not now");
    member.finds_nothing(Duration::from_millis(300)).await;
}

async fn a_letter_is_a_copy_of_its_record(case: Case) {
    let case = case.set_up(Options::default()).await;
    let headers = vec![("trace".to_owned(), Some(vec![0, 1, 0xff])), ("empty".to_owned(), None)];
    let records = [
        New {
            key: Some(b"key".to_vec()),
            headers: headers.clone(),
            ..New::text("value")
        },
        New::default(),
        New::text(&"large ".repeat(160_000)),
    ];
    case.write(0, &records[..2], Codec::None).await;
    case.write(0, &records[2..], Codec::None).await;
    let member = case.join().await;
    let taken = member.take(3).await;
    member.applied(&taken, Verdict::Reject).await;
    let mut letters = case.letters(3).await;
    letters.sort_by_key(|one| one.header("__dlq.errors.offset"));
    assert_eq!(letters[0].key.as_deref(), Some(&b"key"[..]));
    assert_eq!(letters[0].text(), "value");
    assert_eq!(letters[0].headers[..2], headers);
    assert_eq!((&letters[1].key, &letters[1].value), (&None, &None));
    assert!(letters[2].value == records[2].value, "the large value is another");
}

async fn a_letter_of_the_largest_record_is_whole(case: Case) {
    let (record, letter) = letter_of_the_largest(case).await;
    assert!(letter.value == record.value, "the letter has another value");
    assert_eq!(letter.header("sharemill.payload"), None);
}

async fn a_letter_of_the_largest_record_goes_without_it(case: Case) {
    let (_, letter) = letter_of_the_largest(case).await;
    assert_eq!(letter.value, None);
    assert_eq!(letter.header("sharemill.payload").unwrap(), "lost");
}

/// A record that topics just take, and its letter, which has headers beside it.
async fn letter_of_the_largest(case: Case) -> (New, Stored) {
    let case = case.set_up(Options::default()).await;
    let record = New::text(&"x".repeat(1_048_588 - 100));
    case.write(0, std::slice::from_ref(&record), Codec::None).await;
    let member = case.join().await;
    member.applied(&member.take(1).await, Verdict::Reject).await;
    case.leaves(0).await;
    let mut letters = case.letters(1).await;
    assert_eq!(letters[0].header("__dlq.errors.message").unwrap(), "never");
    (record, letters.remove(0))
}

async fn no_record_ends_before_its_letter_is_there(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..1).await;
    let member = case.join().await;
    member.applied(&member.take(1).await, Verdict::Reject).await;
    assert_eq!(case.left().await, 0);
    assert_eq!(case.read(&format!("{}.dead", case.name())).await.len(), 1);
}

async fn no_record_ends_while_its_letter_is_refused(case: Case) {
    let case = case.set_up(Options::lock(2)).await;
    case.fill(0..2).await;
    let (member, other) = (case.join().await, case.join().await);
    let taken = member.take(2).await;
    case.take_letters(false).await;
    // Told when it is so.
    let results = member.settle(&taken[..1], Verdict::Reject).await;
    assert_eq!(results, [SettleResult::Kept]);
    member.accept(&taken[1..]).await;
    case.leaves(1).await;
    // More than two locks, and nobody else has it.
    other.finds_nothing(Duration::from_millis(4_500)).await;
    assert_eq!(case.left().await, 1);
    case.take_letters(true).await;
    let told = member
        .hears("the letter", |event| match event {
            SourceEvent::Buried { delivery, cause, .. } => Some((delivery.offset().get(), *cause)),
            _ => None,
        })
        .await;
    assert_eq!(told, (0, "reject"));
    assert_eq!(case.letters(1).await[0].text(), "0");
    case.leaves(0).await;
}

async fn without_a_topic_for_letters_nothing_stays(case: Case) {
    let case = case
        .set_up(Options {
            letters: false,
            attempts: 1,
            ..Options::default()
        })
        .await;
    case.fill(0..2).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    member.applied(&taken[..1], Verdict::Reject).await;
    member.applied(&taken[1..], NOW).await;
    case.leaves(0).await;
    assert_eq!(case.read(&format!("{}.dead", case.name())).await, []);
    member.finds_nothing(Duration::from_millis(300)).await;
}

async fn poison_harms_no_neighbour(case: Case) {
    const POISON: u64 = 13;
    let case = case.set_up(Options::default()).await;
    case.fill(0..30).await;
    let member = case.join().await;
    let (mut good, mut poison) = (Vec::new(), Vec::new());
    while good.len() < 29 || poison.len() < 4 {
        let some = member.take_some(7).await;
        let verdicts = some.iter().map(|one| {
            let is_poison = one.offset().get() == POISON;
            (one, if is_poison { NOW } else { Verdict::Accept })
        });
        let results = member.settle_each(verdicts.collect()).await;
        assert_eq!(results, vec![SettleResult::Applied; some.len()]);
        for one in &some {
            if one.offset().get() == POISON {
                poison.push(one.attempt());
            } else {
                assert_eq!(one.attempt(), 1, "{one:?}");
                good.push(one.offset().get());
            }
        }
    }
    assert_eq!(poison, [1, 2, 3, 4]);
    case.leaves(0).await;
    assert_eq!(case.letters(1).await[0].text(), POISON.to_string());
    member.finds_nothing(Duration::from_millis(300)).await;
}

async fn every_outcome_in_one_call_in_any_order(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..6).await;
    let member = case.join().await;
    let taken = member.take(6).await;
    let back = Verdict::GiveBack {
        delay: Duration::from_millis(50),
    };
    let verdicts = vec![
        (&taken[5], Verdict::Accept),
        (&taken[1], NOW),
        (&taken[3], park(0, Some("so far"))),
        (&taken[0], Verdict::Reject),
        (&taken[4], back),
        (&taken[2], later(50)),
    ];
    let results = member.settle_each(verdicts).await;
    assert_eq!(results, vec![SettleResult::Applied; 6]);
    let again = member.take_sorted(4).await;
    assert_eq!(
        (offsets(&again), attempts(&again)),
        (vec![1, 2, 3, 4], vec![2, 2, 1, 1])
    );
    assert_eq!(checkpoint(&again[2]), Some("so far"));
    member.accept(&again).await;
    case.leaves(0).await;
    assert_eq!(case.letters(1).await[0].text(), "0");
}

async fn the_second_word_is_stale(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..3).await;
    let member = case.join().await;
    let taken = member.take(3).await;
    member.accept(&taken[..1]).await;
    member.applied(&taken[1..2], NOW).await;
    member.applied(&taken[2..], park(0, None)).await;
    let again = member.take_sorted(2).await;
    for verdict in [Verdict::Accept, NOW, Verdict::Reject, park(0, None)] {
        let results = member.settle(&taken, verdict).await;
        assert_eq!(results, vec![SettleResult::Stale; 3]);
    }
    // The newest deliveries stand.
    member.accept(&again).await;
    case.leaves(0).await;
    assert_eq!(case.read(&format!("{}.dead", case.name())).await, []);
}

async fn a_parked_record_goes_on_with_its_attempt(case: Case) {
    let case = case
        .set_up(Options {
            attempts: 1,
            ..Options::default()
        })
        .await;
    case.fill(0..1).await;
    let member = case.join().await;
    let taken = member.take(1).await;
    assert_eq!(checkpoint(&taken[0]), None);
    let mut last = taken;
    for (said, kept) in [(Some("one"), "one"), (None, "one"), (Some("two"), "two")] {
        member.applied(&last, park(100, said)).await;
        let next = member.take(1).await;
        assert_eq!((attempts(&next), checkpoint(&next[0])), (vec![1], Some(kept)));
        assert!(next[0].lease.continuation > last[0].lease.continuation, "{next:?}");
        assert!(next[0].attempt_age > last[0].attempt_age, "{next:?}");
        last = next;
    }
    member.accept(&last).await;
    case.leaves(0).await;
}

async fn a_parked_record_outlasts_its_lock(case: Case) {
    let case = case.set_up(Options::lock(2)).await;
    case.fill(0..2).await;
    let (member, other) = (case.join().await, case.join().await);
    let taken = member.take(2).await;
    let began = Instant::now();
    member.applied(&taken, park(5_000, Some("so far"))).await;
    other.finds_nothing(Duration::from_millis(4_500)).await;
    let again = member.take(2).await;
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(attempts(&again), [1, 1]);
    assert_eq!(checkpoint(&again[0]), Some("so far"));
    member.accept(&again).await;
    case.leaves(0).await;
}

async fn a_checkpoint_outlives_a_release(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..1).await;
    let member = case.join().await;
    member.applied(&member.take(1).await, park(0, Some("so far"))).await;
    member.applied(&member.take(1).await, NOW).await;
    let again = member.take(1).await;
    assert_eq!((attempts(&again), checkpoint(&again[0])), (vec![2], Some("so far")));
    member.accept(&again).await;
}

async fn given_back_does_not_count(case: Case) {
    given_back(
        case,
        Verdict::GiveBack {
            delay: Duration::from_millis(100),
        },
    )
    .await;
}

async fn untouched_does_not_count(case: Case) {
    given_back(case, Verdict::Untouched).await;
}

async fn given_back(case: Case, verdict: Verdict) {
    let case = case
        .set_up(Options {
            attempts: 1,
            ..Options::default()
        })
        .await;
    case.fill(0..2).await;
    let member = case.join().await;
    for _ in 0..6 {
        let taken = member.take(2).await;
        assert_eq!(attempts(&taken), [1, 1]);
        member.applied(&taken, verdict.clone()).await;
    }
    let taken = member.take(2).await;
    assert_eq!(attempts(&taken), [1, 1]);
    member.accept(&taken).await;
    case.leaves(0).await;
    assert_eq!(case.read(&format!("{}.dead", case.name())).await, []);
}

async fn what_is_given_back_is_for_everybody(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..1).await;
    let (first, second) = (case.join().await, case.join().await);
    let taken = first.take(1).await;
    first.applied(&taken, Verdict::Untouched).await;
    let taken = second.take(1).await;
    assert_eq!(attempts(&taken), [1]);
    second
        .applied(
            &taken,
            Verdict::GiveBack {
                delay: Duration::from_millis(100),
            },
        )
        .await;
    let taken = first.take(1).await;
    assert_eq!(attempts(&taken), [1]);
    first.accept(&taken).await;
}

async fn what_is_given_back_stays(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..1).await;
    let (first, second) = (case.join().await, case.join().await);
    for verdict in [
        Verdict::Untouched,
        Verdict::GiveBack {
            delay: Duration::from_millis(100),
        },
    ] {
        let taken = first.take(1).await;
        assert_eq!(attempts(&taken), [1]);
        first.applied(&taken, verdict).await;
        second.finds_nothing(Duration::from_millis(800)).await;
    }
    let taken = first.take(1).await;
    assert_eq!(attempts(&taken), [1]);
    first.accept(&taken).await;
    what_stays_is_the_host_s_until_its_batch_is_answered(&case, &first, &second).await;
}

/// It renews its leases for that long, and was told that the one that stays is lost.
async fn what_stays_is_the_host_s_until_its_batch_is_answered(case: &Case, first: &Member, second: &Member) {
    let out = out(case).await;
    second.leave().await;
    case.fill(0..2).await;
    let taken = first.take_sorted(2).await;
    let stays = Settlement {
        verdict: park(0, None),
        ..emitting(&taken[1], &[])
    };
    let batch = vec![emitting(&taken[0], &[(&out, "on its way")]), stays];
    let (results, renewed) = tokio::join!(first.settle_batch(batch), first.renew(&taken[1..]));
    assert_eq!(results, [SettleResult::Applied, SettleResult::Applied]);
    assert!(matches!(renewed[..], [RenewResult::Until(_)]), "{renewed:?}");
    let again = first.take(1).await;
    assert_eq!((offsets(&again), attempts(&again)), (offsets(&taken[1..]), vec![1]));
    first.accept(&again).await;
    case.leaves(0).await;
}

/// The name of a topic beside the scenario's, which is made.
pub(crate) async fn out(case: &Case) -> String {
    let out = format!("{}-out", case.name());
    case.create_topic(&out, 1).await;
    out
}

pub(crate) fn emitting(delivery: &Delivery, records: &[(&str, &str)]) -> Settlement {
    let record = |(topic, value): &(&str, &str)| OutgoingRecord {
        topic: (*topic).to_owned(),
        partition: None,
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: vec![("name".to_owned(), None)],
    };
    Settlement {
        lease: delivery.lease,
        verdict: Verdict::Accept,
        emitted: records.iter().map(record).collect(),
        evidence: None,
    }
}

async fn emitted_records_come_with_the_acceptance(case: Case) {
    let case = case.set_up(Options::default()).await;
    let out = out(&case).await;
    case.fill(0..2).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    assert_eq!(case.read(&out).await, []);
    let batch = vec![
        emitting(&taken[0], &[(&out, "a"), (&out, "b")]),
        emitting(&taken[1], &[(&out, "c")]),
    ];
    assert_eq!(member.settle_batch(batch).await, vec![SettleResult::Applied; 2]);
    let stored = case.read(&out).await;
    let values: Vec<_> = stored.iter().map(Stored::text).collect();
    assert_eq!(values, ["a", "b", "c"]);
    assert_eq!(stored[0].key.as_deref(), Some(&b"key"[..]));
    assert_eq!(stored[0].headers, [("name".to_owned(), None)]);
    case.leaves(0).await;
}

pub(crate) async fn nothing_is_emitted_for_a_lost_lease(case: Case) {
    let case = case.set_up(Options::lock(3)).await;
    let out = out(&case).await;
    case.fill(0..1).await;
    let (first, second) = (case.join().await, case.join().await);
    let taken = first.take(1).await;
    let again = second.take(1).await;
    lost(&first, &taken).await;
    let results = first.settle_batch(vec![emitting(&taken[0], &[(&out, "lost")])]).await;
    assert_eq!(results, [SettleResult::Stale]);
    let results = second.settle_batch(vec![emitting(&again[0], &[(&out, "kept")])]).await;
    assert_eq!(results, [SettleResult::Applied]);
    let stored = case.read(&out).await;
    assert_eq!(stored.iter().map(Stored::text).collect::<Vec<_>>(), ["kept"]);
}

/// The member knows that it is.
async fn lost(member: &Member, deliveries: &[Delivery]) {
    use sharemill::source::RenewResult;
    let renewed = member.renew(deliveries).await;
    assert_eq!(renewed, vec![RenewResult::Lost; deliveries.len()]);
}

async fn emitted_together_or_not_at_all(case: Case) {
    assert_eq!(refused_after_one(case).await, [] as [String; 0]);
}

async fn emitted_one_by_one(case: Case) {
    assert_eq!(refused_after_one(case).await, ["first"]);
}

/// One record that can be stored, and one that never can. What is there, then.
async fn refused_after_one(case: Case) -> Vec<String> {
    let case = case.set_up(Options::default()).await;
    let out = out(&case).await;
    case.fill(0..1).await;
    let member = case.join().await;
    let taken = member.take(1).await;
    let huge = "x".repeat(3 << 20);
    let batch = vec![emitting(&taken[0], &[(&out, "first"), (&out, &huge)])];
    let results = member.settle_batch(batch).await;
    assert!(matches!(results[0], SettleResult::Refused { .. }), "{results:?}");
    let stored = case.read(&out).await;
    // It is still held, and may be settled.
    member.accept(&taken).await;
    case.leaves(0).await;
    stored.iter().map(Stored::text).collect()
}
