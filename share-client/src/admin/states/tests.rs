//! Of the states: what brokers wrote is read, what they cannot have written is refused, and updates come to what they should.

use super::*;
use DeliveryState::{Acknowledged, Archived, Archiving, Available};
use proptest::prelude::*;
use share_wire::Uuid;

fn batch(first: u64, last: u64, state: DeliveryState, deliveries: u16) -> StateBatch {
    StateBatch {
        first,
        last,
        state,
        deliveries,
    }
}

fn snapshot(start: i64, batches: &[StateBatch]) -> Entry {
    Entry::Snapshot(Snapshot {
        state_epoch: 3,
        leader_epoch: 1,
        start,
        finished: 0,
        created_ms: 5,
        batches: batches.to_vec(),
    })
}

fn update(start: i64, batches: &[StateBatch]) -> Entry {
    Entry::Update(Update {
        leader_epoch: -1,
        start,
        finished: 2,
        batches: batches.to_vec(),
    })
}

fn after(entries: impl IntoIterator<Item = Entry>) -> Option<ShareState> {
    entries
        .into_iter()
        .fold(None, |state, entry| ShareState::apply(state, entry).unwrap())
}

/// As Kafka writes a key.
fn key(kind: i16, group: &str) -> Vec<u8> {
    let len = i16::try_from(group.len()).unwrap();
    let id = Uuid::from_u128(7);
    [
        &kind.to_be_bytes()[..],
        &len.to_be_bytes(),
        group.as_bytes(),
        id.as_bytes(),
        &4i32.to_be_bytes(),
    ]
    .concat()
}

/// As Kafka writes a value, after the version: `tags` is the end.
fn value(fields: &[&[u8]], batches: &[StateBatch], tags: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(fields.concat());
    out.push(u8::try_from(batches.len() + 1).unwrap());
    for batch in batches {
        out.extend(batch.first.to_be_bytes());
        out.extend(batch.last.to_be_bytes());
        out.extend(batch.state.number().to_be_bytes());
        out.extend(batch.deliveries.to_be_bytes());
        out.push(0);
    }
    out.extend(tags);
    out
}

const FINISHED: [u8; 7] = [1, 0, 4, 0, 0, 0, 9];

fn update_value(batches: &[StateBatch], tags: &[u8]) -> Vec<u8> {
    value(
        &[&1i32.to_be_bytes(), &2i32.to_be_bytes(), &30i64.to_be_bytes()],
        batches,
        tags,
    )
}

#[test]
fn what_a_broker_writes_is_read() {
    let read = Key::read(&key(1, "packers")).unwrap();
    assert_eq!(
        (read.group.as_str(), read.topic_id, read.partition, read.is_update),
        ("packers", Uuid::from_u128(7), 4, true)
    );
    let batches = [batch(30, 31, Acknowledged, 1), batch(32, 32, Archiving, 5)];
    let entry = Entry::read(&read, Some(&update_value(&batches, &FINISHED))).unwrap();
    assert_eq!(
        entry,
        Entry::Update(Update {
            leader_epoch: 2,
            start: 30,
            finished: 9,
            batches: batches.to_vec()
        })
    );
    // Older brokers do not count, newer ones may say more.
    for (tags, finished) in [(&[0][..], -1), (&[1, 6, 2, 1, 1], -1)] {
        let Entry::Update(update) = Entry::read(&read, Some(&update_value(&[], tags))).unwrap() else {
            panic!("a snapshot")
        };
        assert_eq!(update.finished, finished);
    }

    let read = Key::read(&key(0, "packers")).unwrap();
    let fields: [&[u8]; 6] = [
        &1i32.to_be_bytes(),
        &3i32.to_be_bytes(),
        &2i32.to_be_bytes(),
        &(-1i64).to_be_bytes(),
        &70i64.to_be_bytes(),
        &80i64.to_be_bytes(),
    ];
    let Entry::Snapshot(snapshot) = Entry::read(&read, Some(&value(&fields, &batches, &FINISHED))).unwrap() else {
        panic!("an update")
    };
    assert_eq!(
        (
            snapshot.state_epoch,
            snapshot.leader_epoch,
            snapshot.start,
            snapshot.created_ms
        ),
        (3, 2, -1, 70)
    );
    assert_eq!(Entry::read(&read, None), Ok(Entry::Gone));
}

#[test]
fn what_no_broker_writes_is_refused() {
    let (of_update, of_snapshot) = (Key::read(&key(1, "g")).unwrap(), Key::read(&key(0, "g")).unwrap());
    let said = |error: StateError| error.to_string();
    assert_eq!(
        said(Key::read(&key(2, "g")).unwrap_err()),
        "unknown kind 2 of key; 0 (ShareSnapshot) and 1 (ShareUpdate) are known"
    );
    assert_eq!(Entry::read(&of_update, None), Err(StateError::Nothing));
    let mut newer = update_value(&[], &FINISHED);
    newer[1] = 1;
    assert_eq!(
        said(Entry::read(&of_update, Some(&newer)).unwrap_err()),
        "unknown version 1 of ShareUpdate; 0 is known"
    );
    assert_eq!(
        said(Entry::read(&of_snapshot, Some(&newer)).unwrap_err()),
        "unknown version 1 of ShareSnapshot; 0 is known"
    );
    let whole = update_value(&[batch(1, 2, Available, 1)], &FINISHED);
    for len in 0..whole.len() {
        Entry::read(&of_update, Some(&whole[..len])).unwrap_err();
    }
    let key = key(0, "packers");
    for len in 0..key.len() {
        Key::read(&key[..len]).unwrap_err();
    }
    let more = [&whole[..], &[0]].concat();
    assert_eq!(
        Entry::read(&of_update, Some(&more)),
        Err(StateError::Long {
            what: "ShareUpdate",
            bytes: 1
        })
    );
    let at = whole.len() - FINISHED.len() - 20;
    let with = |offset: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[offset] = byte;
        Entry::read(&of_update, Some(&bytes)).unwrap_err()
    };
    assert_eq!(
        with(at, 0x80),
        StateError::Offsets {
            first: i64::MIN + 1,
            last: 2
        }
    );
    assert_eq!(with(at + 7, 3), StateError::Offsets { first: 3, last: 2 });
    assert_eq!(
        with(at + 16, 1),
        StateError::Value {
            field: "DeliveryState",
            found: 1
        }
    );
    assert_eq!(
        with(at + 17, 0x80),
        StateError::Value {
            field: "DeliveryCount",
            found: -32_767
        }
    );
    assert!(matches!(with(at - 1, 0x7f), StateError::Count { claimed: 126, .. }));
    assert!(matches!(with(at - 1, 0), StateError::Value { found: -1, .. }));
}

#[test]
fn updates_are_laid_over_a_snapshot() {
    let state = after([
        snapshot(10, &[batch(10, 19, Available, 1)]),
        update(-1, &[batch(12, 13, Acknowledged, 1), batch(15, 25, Archived, 2)]),
    ])
    .unwrap();
    assert_eq!(
        (state.state_epoch, state.leader_epoch, state.start, state.finished),
        (3, 1, Some(10), Some(2))
    );
    assert_eq!(
        state.batches,
        [
            batch(10, 11, Available, 1),
            batch(12, 13, Acknowledged, 1),
            batch(14, 14, Available, 1),
            batch(15, 25, Archived, 2)
        ]
    );
    assert_eq!(state.at(13).unwrap().state, Acknowledged);
    assert_eq!((state.at(9), state.at(26)), (None, None));

    // A start that moves takes what is below it along; what is known of more deliveries holds.
    let state = after([
        snapshot(10, &[batch(10, 19, Archived, 3)]),
        update(
            15,
            &[
                batch(8, 30, Available, 2),
                batch(18, 18, Acknowledged, 3),
                batch(19, 19, Available, 4),
            ],
        ),
    ]);
    let expected = [
        batch(15, 18, Archived, 3),
        batch(19, 19, Available, 4),
        batch(20, 30, Available, 2),
    ];
    assert_eq!(state.unwrap().batches, expected);

    assert_eq!(after([snapshot(0, &[]), Entry::Gone]), None);
    let state = after([snapshot(0, &[batch(0, 4, Archived, 1)]), snapshot(7, &[])]).unwrap();
    assert_eq!((state.start, state.batches), (Some(7), vec![]));
    let state = after([update(4, &[batch(3, 6, Acknowledged, 1), batch(7, 7, Acknowledged, 1)])]).unwrap();
    assert_eq!(state.batches, [batch(4, 7, Acknowledged, 1)]);
    let all = batch(0, u64::MAX, Available, 1);
    let state = after([snapshot(-1, &[all]), update(-1, &[batch(5, u64::MAX, Archived, 1)])]).unwrap();
    assert_eq!(
        state.batches,
        [batch(0, 4, Available, 1), batch(5, u64::MAX, Archived, 1)]
    );
}

#[test]
fn places_are_those_of_java() {
    // `"g:AAAAAAAAAAAAAAAAAAAAAA:0".hashCode()` and so on, by Java itself.
    let id = Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
    assert_eq!(place("packers", id, 3, 50), JAVA.0);
    assert_eq!(place("gr\u{fc}\u{df}e \u{1f980}", Uuid::nil(), 0, 50), JAVA.1);
    assert_eq!(place("packers", id, 3, 1), 0);
    assert_eq!(place("packers", id, 3, 0), 0);
}

const JAVA: (u32, u32) = (35, 27);

fn any_batch() -> impl Strategy<Value = StateBatch> {
    let state = prop::sample::select(DeliveryState::ALL.to_vec());
    (0..40u64, 0..8u64, state, 1..4u16)
        .prop_map(|(first, more, state, deliveries)| batch(first, first + more, state, deliveries))
}

proptest! {
    /// Offset by offset, without ranges.
    #[test]
    fn batches_come_to_what_each_offset_comes_to(
        updates in prop::collection::vec((prop::option::of(0..30i64), prop::collection::vec(any_batch(), 0..6)), 0..8)
    ) {
        let mut known = std::collections::BTreeMap::new();
        let mut from = 0;
        for (start, batches) in &updates {
            from = start.map_or(from, |start| u64::try_from(start).unwrap());
            known.retain(|offset, _| *offset >= from);
            for one in batches {
                for offset in one.first.max(from)..=one.last {
                    let says = (one.deliveries, one.state.number());
                    let holds = known.entry(offset).or_insert(says);
                    *holds = says.max(*holds);
                }
            }
        }
        let entries = updates.iter().map(|(start, batches)| update(start.unwrap_or(-1), batches));
        let state = after(entries);
        let batches = state.map(|state| state.batches).unwrap_or_default();
        let told = batches.iter().flat_map(|one| (one.first..=one.last).map(|offset| (offset, (one.deliveries, one.state.number()))));
        prop_assert_eq!(told.collect::<Vec<_>>(), known.into_iter().collect::<Vec<_>>());
        for pair in batches.windows(2) {
            prop_assert!(pair[0].last < pair[1].first);
            let joins = pair[0].last + 1 == pair[1].first;
            prop_assert!(!joins || (pair[0].deliveries, pair[0].state) != (pair[1].deliveries, pair[1].state));
        }
    }

    #[test]
    fn bytes_at_random_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0..3u8) {
        let bytes = [&[0, kind][..], &bytes].concat();
        let _ = Key::read(&bytes);
        for is_update in [false, true] {
            let key = Key { group: String::new(), topic_id: Uuid::nil(), partition: 0, is_update };
            if let Ok(entry) = Entry::read(&key, Some(&bytes)) {
                let _ = ShareState::apply(None, entry);
            }
        }
    }
}

fn history(entries: impl IntoIterator<Item = Entry>) -> History {
    let entries = entries.into_iter();
    entries.fold(History::default(), |history, entry| history.apply(entry).unwrap())
}

fn ranges(history: &History) -> Vec<(u64, u64)> {
    history.archived().map(|batch| (batch.first, batch.last)).collect()
}

#[test]
fn what_was_given_up_is_known_below_the_start_as_long_as_it_is_written() {
    let given_up = update(-1, &[batch(2, 4, Archived, 1), batch(5, 5, Archiving, 5)]);
    let accepted = update(0, &[batch(0, 1, Acknowledged, 1), batch(6, 9, Acknowledged, 2)]);
    let moved = update(10, &[batch(12, 12, Archived, 1)]);
    let all = [snapshot(0, &[]), given_up, accepted, moved];
    let known = history(all.clone());
    assert_eq!(known.now(), after(all.clone()).as_ref());
    assert_eq!(ranges(&known), [(2, 4), (5, 5), (12, 12)]);
    let state = |offset| known.at(offset).map(|batch| batch.state);
    assert_eq!(
        (state(1), state(4), state(11)),
        (Some(Acknowledged), Some(Archived), None)
    );

    assert_eq!((known.forgotten(0), known.forgotten(20)), (0, 0));

    // A snapshot takes nothing away that came before it, and is all there is where that was cut off.
    let again = snapshot(10, &[batch(12, 12, Archived, 1)]);
    assert_eq!(
        ranges(&history(all.into_iter().chain([again.clone()]))),
        [(2, 4), (5, 5), (12, 12)]
    );
    let rest = history([again]);
    assert_eq!((ranges(&rest), rest.at(4)), (vec![(12, 12)], None));
    assert_eq!((rest.forgotten(0), rest.forgotten(3)), (10, 7));
}

#[test]
fn a_history_ends_with_its_state() {
    let given_up = || update(-1, &[batch(2, 4, Archived, 1)]);
    let gone = history([snapshot(0, &[]), given_up(), Entry::Gone]);
    assert_eq!((gone.now(), ranges(&gone)), (None, vec![]));
    let Entry::Snapshot(begun) = snapshot(7, &[]) else {
        unreachable!()
    };
    let reset = Entry::Snapshot(Snapshot {
        state_epoch: begun.state_epoch + 1,
        ..begun
    });
    let known = history([snapshot(0, &[]), given_up(), reset]);
    assert_eq!((ranges(&known), known.at(3)), (vec![], None));
}

#[test]
fn what_was_only_to_be_delivered_again_has_no_outcome_below_the_start() {
    let known = history([
        snapshot(0, &[]),
        update(-1, &[batch(0, 3, Available, 1)]),
        update(4, &[]),
    ]);
    assert_eq!((known.at(2), known.forgotten(1)), (None, 3));
}
