//! Who gets which records, how many at a time, and what is in them.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use sharemill::source::{Credit, TimestampKind};
use sharemill_tests::conformance::{Case, Codec, Member, New, Options, Scenario, Stage, attempts, offsets, texts};

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(Shared records_come_once_and_in_order),
        scenario!(Shared what_one_member_holds_nobody_else_gets),
        scenario!(Shared many_members_share_a_partition),
        scenario!(Shared one_member_gets_all_partitions),
        scenario!(Shared partitions_are_shared_by_two_members),
        scenario!(Shared every_group_gets_everything),
        scenario!(Shared record_limit_cuts_through_a_batch),
        scenario!(Shared one_record_comes_however_small_the_byte_limit),
        scenario!(Shared a_dropped_call_loses_nothing),
        scenario!(Shared a_waiting_call_gets_what_is_produced_later),
        scenario!(Shared large_values_come_whole),
        scenario!(Shared empty_and_null_are_not_the_same),
        scenario!(Shared headers_keep_order_duplicates_and_null),
        scenario!(Shared timestamps_are_the_producers),
        scenario!(Shared keys_choose_the_same_partition_everywhere),
        scenario!(Shared a_thousand_records_in_small_batches),
    ]
}

async fn records_come_once_and_in_order(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..20).await;
    let member = case.join().await;
    let taken = member.take(20).await;
    assert_eq!(offsets(&taken), (0..20).collect::<Vec<_>>());
    assert_eq!(attempts(&taken), [1; 20]);
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(texts(&taken), expected);
    member.accept(&taken).await;
    case.leaves(0).await;
    member.finds_nothing(Duration::from_millis(300)).await;
    member.leave().await;
}

async fn what_one_member_holds_nobody_else_gets(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..10).await;
    let (first, second) = (case.join().await, case.join().await);
    let held = first.take(5).await;
    let others = second.take(5).await;
    let mut all = [offsets(&held), offsets(&others)].concat();
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    // What comes next is what is new.
    case.produce(&["new"]).await;
    assert_eq!(texts(&second.take(1).await), ["new"]);
    first.accept(&held).await;
    second.accept(&others).await;
    first.leave().await;
    second.leave().await;
}

async fn many_members_share_a_partition(case: Case) {
    const RECORDS: usize = 200;
    let case = case.set_up(Options::default()).await;
    let mut members = Vec::new();
    for _ in 0..5 {
        members.push(case.join().await);
    }
    let mut seen = BTreeSet::new();
    let mut shares = [0; 5];
    for first in (0..RECORDS).step_by(20) {
        case.fill(first..first + 20).await;
    }
    // In turn: each has something of it, and holds it until all have.
    while seen.len() < RECORDS {
        let mut held = Vec::new();
        for (index, member) in members.iter().enumerate() {
            if seen.len() == RECORDS {
                break;
            }
            let some = member.take_some(4).await;
            assert!(some.len() <= 4, "{some:?}");
            shares[index] += some.len();
            for offset in offsets(&some) {
                assert!(seen.insert(offset), "{offset} twice");
            }
            held.push((member, some));
        }
        for (member, some) in held {
            member.accept(&some).await;
        }
    }
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    case.leaves(0).await;
}

async fn one_member_gets_all_partitions(case: Case) {
    let case = case
        .set_up(Options {
            partitions: 3,
            ..Options::default()
        })
        .await;
    for partition in 0..3 {
        let text = format!("in {partition}");
        case.write(partition, &[New::text(&text), New::text(&text)], Codec::None)
            .await;
    }
    let member = case.join().await;
    let taken = member.take_sorted(6).await;
    assert_eq!(texts(&taken), ["in 0", "in 0", "in 1", "in 1", "in 2", "in 2"]);
    assert_eq!(offsets(&taken), [0, 1, 0, 1, 0, 1]);
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn partitions_are_shared_by_two_members(case: Case) {
    let case = case
        .set_up(Options {
            partitions: 3,
            ..Options::default()
        })
        .await;
    let (first, second) = (case.join().await, case.join().await);
    for partition in 0..3 {
        let records: Vec<_> = (0..10)
            .map(|number| New::text(&format!("{partition}/{number}")))
            .collect();
        case.write(partition, &records, Codec::None).await;
    }
    let seen = Mutex::new(BTreeSet::new());
    tokio::join!(work(&first, &seen), work(&second, &seen));
    case.leaves(0).await;
}

/// Accepts what comes, until thirty values were seen.
async fn work(member: &Member, seen: &Mutex<BTreeSet<String>>) {
    let credit = Credit {
        records: 3,
        bytes: 1 << 20,
    };
    while seen.lock().unwrap().len() < 30 {
        // The other one may have had the last.
        let some = tokio::time::timeout(Duration::from_millis(500), member.acquire(credit)).await;
        let some = some.map_or_else(|_| Vec::new(), Result::unwrap);
        member.accept(&some).await;
        for text in texts(&some) {
            assert!(seen.lock().unwrap().insert(text.clone()), "{text} twice");
        }
    }
}

async fn every_group_gets_everything(case: Case) {
    let case = case.set_up(Options::default()).await;
    let other = format!("{}-other", case.name());
    case.create_group(&other, case.options()).await;
    case.fill(0..5).await;
    let (one, another) = (case.join().await, case.join_group(&other).await);
    for member in [one, another] {
        let taken = member.take(5).await;
        assert_eq!(offsets(&taken), [0, 1, 2, 3, 4]);
        assert_eq!(attempts(&taken), [1; 5]);
        member.accept(&taken).await;
        member.leave().await;
    }
}

async fn record_limit_cuts_through_a_batch(case: Case) {
    let case = case.set_up(Options::default()).await;
    case.fill(0..10).await;
    let (first, second) = (case.join().await, case.join().await);
    let some = first.take_some(3).await;
    assert_eq!(offsets(&some), [0, 1, 2]);
    let rest = second.take_some(100).await;
    assert_eq!(offsets(&rest), [3, 4, 5, 6, 7, 8, 9]);
    first.accept(&some).await;
    second.accept(&rest).await;
    case.leaves(0).await;
}

async fn one_record_comes_however_small_the_byte_limit(case: Case) {
    let case = case.set_up(Options::default()).await;
    let large = "x".repeat(100_000);
    for _ in 0..3 {
        case.produce(&[&large]).await;
    }
    let member = case.join().await;
    let credit = Credit { records: 3, bytes: 1 };
    for offset in 0..3 {
        let one = member.acquire(credit).await.unwrap();
        assert_eq!(offsets(&one), [offset]);
        member.accept(&one).await;
    }
    case.leaves(0).await;
}

async fn a_dropped_call_loses_nothing(case: Case) {
    let case = case.set_up(Options::default()).await;
    let member = case.join().await;
    for round in 0..5 {
        // Dropped while it waits, and perhaps while something is on its way to it.
        member.finds_nothing(Duration::from_millis(30)).await;
        case.fill(round..round + 1).await;
        let taken = member.take(1).await;
        assert_eq!(texts(&taken), [round.to_string()]);
        member.accept(&taken).await;
    }
    case.leaves(0).await;
}

async fn a_waiting_call_gets_what_is_produced_later(case: Case) {
    let case = case.set_up(Options::default()).await;
    let member = case.join().await;
    let (taken, ()) = tokio::join!(member.take(2), async {
        case.produce(&["one"]).await;
        case.produce(&["two"]).await;
    });
    assert_eq!(texts(&taken), ["one", "two"]);
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn large_values_come_whole(case: Case) {
    let case = case.set_up(Options::default()).await;
    let value = |seed: u8| {
        (0..900_000_u32)
            .map(|at| at.to_le_bytes()[0].wrapping_mul(seed))
            .collect::<Vec<u8>>()
    };
    for seed in [3, 5] {
        let record = New {
            value: Some(value(seed)),
            ..New::default()
        };
        case.write(0, &[record], Codec::None).await;
    }
    let member = case.join().await;
    let taken = member.take(2).await;
    for (one, seed) in taken.iter().zip([3, 5]) {
        assert!(one.record().unwrap().value == Some(&value(seed)[..]), "{seed}");
    }
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn empty_and_null_are_not_the_same(case: Case) {
    let case = case.set_up(Options::default()).await;
    let empty = || Some(Vec::new());
    let fields = [(None, None), (None, empty()), (empty(), None), (empty(), empty())];
    let records: Vec<_> = fields
        .iter()
        .map(|(key, value)| New {
            key: key.clone(),
            value: value.clone(),
            ..New::default()
        })
        .collect();
    case.write(0, &records, Codec::None).await;
    let member = case.join().await;
    let taken = member.take(4).await;
    for (one, (key, value)) in taken.iter().zip(&fields) {
        let record = one.record().unwrap();
        assert_eq!((record.key, record.value), (key.as_deref(), value.as_deref()));
        assert_eq!(record.headers().count(), 0);
    }
    member.accept(&taken).await;
    case.leaves(0).await;
}

async fn headers_keep_order_duplicates_and_null(case: Case) {
    let case = case.set_up(Options::default()).await;
    let headers: Vec<(String, Option<Vec<u8>>)> = vec![
        ("b".to_owned(), Some(b"1".to_vec())),
        ("a".to_owned(), None),
        ("b".to_owned(), Some(vec![0, 0xff])),
        (String::new(), Some(Vec::new())),
    ];
    let record = New {
        headers: headers.clone(),
        ..New::text("value")
    };
    case.write(0, &[record], Codec::None).await;
    let member = case.join().await;
    let taken = member.take(1).await;
    let record = taken[0].record().unwrap();
    let came: Vec<_> = record
        .headers()
        .map(|one| {
            (
                String::from_utf8_lossy(one.name).into_owned(),
                one.value.map(<[u8]>::to_vec),
            )
        })
        .collect();
    assert_eq!(came, headers);
    member.accept(&taken).await;
}

async fn timestamps_are_the_producers(case: Case) {
    let case = case.set_up(Options::default()).await;
    let times = [1_000, 1_700_000_000_000, 1_600_000_000_001];
    let record = |time: &i64| New {
        timestamp: Some(*time),
        ..New::text("value")
    };
    let records: Vec<_> = times.iter().map(record).collect();
    case.write(0, &records, Codec::None).await;
    let member = case.join().await;
    let taken = member.take(3).await;
    let came: Vec<_> = taken
        .iter()
        .map(|one| {
            let record = one.record().unwrap();
            assert_eq!(record.timestamp_kind, TimestampKind::Create);
            record.timestamp.as_millis()
        })
        .collect();
    assert_eq!(came, times);
    member.accept(&taken).await;
}

/// As Kafka's own producer chooses them (murmur2), in a topic with seven partitions.
async fn keys_choose_the_same_partition_everywhere(case: Case) {
    let case = case
        .set_up(Options {
            partitions: 7,
            ..Options::default()
        })
        .await;
    let mut chosen = Vec::new();
    for key in ["a", "order-1", "order-2", "customer 42", ""] {
        let record = New {
            key: Some(key.into()),
            ..New::text(key)
        };
        chosen.push(case.write_by_key(&record).await);
    }
    assert_eq!(chosen, [5, 4, 1, 5, 2]);
    let member = case.join().await;
    let taken = member.take(5).await;
    for one in &taken {
        let record = one.record().unwrap();
        assert_eq!(record.key, record.value);
    }
    member.accept(&taken).await;
}

async fn a_thousand_records_in_small_batches(case: Case) {
    const RECORDS: usize = 1_000;
    let case = case.set_up(Options::default()).await;
    let member = case.join().await;
    let produce = async {
        for first in (0..RECORDS).step_by(25) {
            case.fill(first..first + 25).await;
        }
    };
    let work = async {
        let mut done = Vec::new();
        while done.len() < RECORDS {
            let some = member.take_some(60).await;
            assert_eq!(attempts(&some), vec![1; some.len()]);
            member.accept(&some).await;
            done.extend(offsets(&some));
        }
        done
    };
    let ((), done) = tokio::join!(produce, work);
    assert_eq!(done, (0..RECORDS as u64).collect::<Vec<_>>());
    case.leaves(0).await;
}
