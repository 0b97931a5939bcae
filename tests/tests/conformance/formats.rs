//! Batches as producers write them: compressed by each codec, and in transactions. The engine is given records, not batches: what it has
//! instead is asserted in their place.

use std::time::Duration;

use sharemill::source::{Payload, SettleResult, Verdict};
use sharemill_tests::conformance::{Case, Codec, New, On, Options, Scenario, Stage, attempts, texts};
use sharemill_tests::kafka::Stored;

use crate::differences::{CODECS, TRANSACTIONS};
use crate::outcomes::{emitting, nothing_is_emitted_for_a_lost_lease, out};

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(Shared batches_by_gzip; On::Embedded => without_a_codec: CODECS),
        scenario!(Shared batches_by_snappy; On::Embedded => without_a_codec: CODECS),
        scenario!(Shared batches_by_lz4; On::Embedded => without_a_codec: CODECS),
        scenario!(Shared batches_by_zstd; On::Embedded => without_a_codec: CODECS),
        scenario!(Shared batches_of_all_codecs_in_turn; On::Embedded => without_a_codec: CODECS),
        scenario!(Shared part_of_a_compressed_batch_is_released; On::Embedded => part_of_a_batch_is_released: CODECS),
        scenario!(Shared a_committed_transaction; On::Embedded => a_commit_of_the_engine: TRANSACTIONS),
        scenario!(Shared an_aborted_transaction; On::Embedded => nothing_is_emitted_for_a_lost_lease: TRANSACTIONS),
        scenario!(Shared an_aborted_transaction_read_uncommitted; On::Embedded => a_commit_of_the_engine: TRANSACTIONS),
        scenario!(Shared an_open_transaction_holds_up_what_is_behind; On::Embedded => a_commit_of_the_engine: TRANSACTIONS),
    ]
}

const CODECS_OF_KAFKA: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

async fn batches_by_gzip(case: Case) {
    batches(case, &[Codec::Gzip; 3]).await;
}

async fn batches_by_snappy(case: Case) {
    batches(case, &[Codec::Snappy; 3]).await;
}

async fn batches_by_lz4(case: Case) {
    batches(case, &[Codec::Lz4; 3]).await;
}

async fn batches_by_zstd(case: Case) {
    batches(case, &[Codec::Zstd; 3]).await;
}

async fn batches_of_all_codecs_in_turn(case: Case) {
    let codecs = [&CODECS_OF_KAFKA[..], &[Codec::None]].concat();
    batches(case, &codecs).await;
}

async fn without_a_codec(case: Case) {
    batches(case, &[Codec::None; 3]).await;
}

fn records(batch: usize) -> Vec<New> {
    let record = |number: usize| New {
        key: Some(format!("key {number}").into_bytes()),
        headers: vec![("batch".to_owned(), Some(batch.to_string().into_bytes()))],
        ..New::text(&format!("{batch}/{number} {}", "again ".repeat(200)))
    };
    (0..5).map(record).collect()
}

/// A batch by each codec, each as it was when it was written.
async fn batches(case: Case, codecs: &[Codec]) {
    let case = case.set_up(Options::default()).await;
    for (batch, codec) in codecs.iter().enumerate() {
        case.write(0, &records(batch), *codec).await;
    }
    assert_eq!(case.codecs().await, codecs);
    let member = case.join().await;
    let taken = member.take(5 * codecs.len()).await;
    let expected = (0..codecs.len()).flat_map(records);
    for (one, expected) in taken.iter().zip(expected) {
        let record = one.record().unwrap();
        let headers: Vec<_> = record
            .headers()
            .map(|one| {
                (
                    String::from_utf8_lossy(one.name).into_owned(),
                    one.value.map(<[u8]>::to_vec),
                )
            })
            .collect();
        assert_eq!(
            (record.key, record.value),
            (expected.key.as_deref(), expected.value.as_deref())
        );
        assert_eq!(headers, expected.headers);
        // Handlers are given plain bytes in any case.
        assert!(matches!(one.payload, Payload::Batch { .. }), "{one:?}");
    }
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn part_of_a_compressed_batch_is_released(case: Case) {
    partly_released(case, Codec::Zstd).await;
}

async fn part_of_a_batch_is_released(case: Case) {
    partly_released(case, Codec::None).await;
}

async fn partly_released(case: Case, codec: Codec) {
    let case = case.set_up(Options::default()).await;
    case.write(0, &records(0), codec).await;
    assert_eq!(case.codecs().await, [codec]);
    let (first, second) = (case.join().await, case.join().await);
    let taken = first.take(5).await;
    first.accept(&taken[..2]).await;
    first.applied(&taken[2..4], crate::outcomes::later(0)).await;
    let again = second.take_sorted(2).await;
    assert_eq!(attempts(&again), [2, 2]);
    assert_eq!(texts(&again), texts(&taken[2..4]));
    second.accept(&again).await;
    first.applied(&taken[4..], Verdict::Reject).await;
    case.leaves(0).await;
    assert!(case.letters(1).await[0].text().starts_with("0/4 "));
}

fn committed() -> Options {
    Options {
        read_committed: true,
        ..Options::default()
    }
}

async fn a_committed_transaction(case: Case) {
    let case = case.set_up(committed()).await;
    case.produce(&["before"]).await;
    let mut transaction = case.transaction().await;
    transaction.produce(&["one", "two"]).await;
    transaction.produce(&["three"]).await;
    transaction.end(true).await;
    case.produce(&["behind"]).await;
    let member = case.join().await;
    let taken = member.take(5).await;
    assert_eq!(texts(&taken), ["before", "one", "two", "three", "behind"]);
    member.accept(&taken).await;
    // Its marker is no record, and is left for nobody.
    case.leaves(0).await;
}

async fn an_aborted_transaction(case: Case) {
    let case = case.set_up(committed()).await;
    case.produce(&["before"]).await;
    let mut transaction = case.transaction().await;
    transaction.produce(&["never", "never"]).await;
    transaction.end(false).await;
    case.produce(&["behind"]).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    assert_eq!(texts(&taken), ["before", "behind"]);
    member.accept(&taken).await;
    case.leaves(0).await;
    assert_eq!(case.read(&format!("{}.dead", case.name())).await, []);
    member.finds_nothing(Duration::from_millis(300)).await;
}

async fn an_aborted_transaction_read_uncommitted(case: Case) {
    let case = case.set_up(Options::default()).await;
    let mut transaction = case.transaction().await;
    transaction.produce(&["aborted", "aborted"]).await;
    let member = case.join().await;
    let taken = member.take(2).await;
    assert_eq!(texts(&taken), ["aborted", "aborted"]);
    member.accept(&taken).await;
    transaction.end(false).await;
    case.produce(&["behind"]).await;
    let taken = member.take(1).await;
    assert_eq!(texts(&taken), ["behind"]);
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn an_open_transaction_holds_up_what_is_behind(case: Case) {
    let case = case.set_up(committed()).await;
    case.produce(&["before"]).await;
    let mut transaction = case.transaction().await;
    transaction.produce(&["inside"]).await;
    case.produce(&["behind"]).await;
    let member = case.join().await;
    let before = member.take(1).await;
    assert_eq!(texts(&before), ["before"]);
    member.accept(&before).await;
    member.finds_nothing(Duration::from_millis(700)).await;
    transaction.end(true).await;
    let taken = member.take(2).await;
    assert_eq!(texts(&taken), ["inside", "behind"]);
    member.accept(&taken).await;
    // The marker at the end counts until somebody asks for more.
    member.finds_nothing(Duration::from_millis(700)).await;
    case.leaves(0).await;
}

/// What the engine has instead: what is emitted is there with the acceptance, and not before.
async fn a_commit_of_the_engine(case: Case) {
    let case = case.set_up(Options::default()).await;
    let out = out(&case).await;
    case.fill(0..1).await;
    let member = case.join().await;
    let taken = member.take(1).await;
    let batch = vec![emitting(&taken[0], &[(&out, "one"), (&out, "two"), (&out, "three")])];
    assert_eq!(member.settle_batch(batch).await, [SettleResult::Applied]);
    let stored = case.read(&out).await;
    let values: Vec<_> = stored.iter().map(Stored::text).collect();
    assert_eq!(values, ["one", "two", "three"]);
    case.leaves(0).await;
}
