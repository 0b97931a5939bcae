//! Round trips of every change, and bytes that nobody wrote.

use proptest::prelude::*;

use super::*;
use crate::ids::StateEpoch;

fn any_offset() -> impl Strategy<Value = Offset> {
    prop_oneof![0..1000_u64, 0..=i64::MAX.cast_unsigned()].prop_map(Offset::saturating)
}

fn any_range() -> impl Strategy<Value = OffsetRange> {
    (any_offset(), prop_oneof![0..3_u64, any::<u64>()])
        .prop_map(|(first, more)| OffsetRange::new(first, first.plus(more)).unwrap())
}

fn any_blob() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn any_time() -> impl Strategy<Value = WallTime> {
    prop_oneof![1_600_000_000_000..1_600_000_100_000_i64, any::<i64>()].prop_map(WallTime::from_millis)
}

fn any_cause() -> impl Strategy<Value = ArchiveCause> {
    prop_oneof![
        Just(ArchiveCause::Reject),
        Just(ArchiveCause::DeliveryLimit),
        Just(ArchiveCause::Retention),
        Just(ArchiveCause::Gap),
        Just(ArchiveCause::HostCrash),
    ]
}

pub(super) fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any_range(), any::<u16>(), any_time()).prop_map(|(range, count, at)| Change::Acquire {
            range,
            delivery_count: DeliveryCount(count),
            at,
        }),
        (any_offset(), prop::option::of(any_time())).prop_map(|(offset, begins)| Change::Continue { offset, begins }),
        any_range().prop_map(|range| Change::Acknowledge { range }),
        (any_range(), any_cause()).prop_map(|(range, cause)| Change::Archive { range, cause }),
        (any_range(), any_blob()).prop_map(|(range, note)| Change::Release { range, note }),
        (
            any_offset(),
            any_time(),
            any::<(u64, u32, bool, bool)>(),
            any_blob(),
            any_blob()
        )
            .prop_map(
                |(offset, from, (seconds, nanos, continuation, untouched), checkpoint, note)| Change::Park {
                    offset,
                    delay: Delay {
                        from,
                        length: Duration::new(seconds, nanos % 1_000_000_000),
                    },
                    continuation,
                    untouched,
                    checkpoint,
                    note,
                }
            ),
        any_range().prop_map(|range| Change::Void { range }),
        any_offset().prop_map(|offset| Change::StartOffset { offset }),
        (any::<u32>(), any_offset()).prop_map(|(epoch, start)| Change::Reset {
            epoch: StateEpoch(epoch),
            start,
        }),
    ]
}

proptest! {
    #[test]
    fn changes_are_read_as_written(changes in proptest::collection::vec(any_change(), 0..30)) {
        let mut bytes = Vec::new();
        encode_changes(&changes, &mut bytes);
        prop_assert_eq!(bytes.len(), changes_len(&changes));
        prop_assert_eq!(decode_changes(&bytes).unwrap(), changes);
    }

    #[test]
    fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(changes) = decode_changes(&bytes) {
            let mut again = Vec::new();
            encode_changes(&changes, &mut again);
            prop_assert_eq!(decode_changes(&again).unwrap(), changes);
        }
    }

    #[test]
    fn changes_cut_short_are_noticed(
        changes in proptest::collection::vec(any_change(), 1..4), cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        encode_changes(&changes, &mut bytes);
        bytes.truncate(cut.index(bytes.len()));
        if let Ok(found) = decode_changes(&bytes) {
            prop_assert!(found.len() < changes.len());
            prop_assert_eq!(&found[..], &changes[..found.len()]);
        }
    }

    #[test]
    fn entries_are_read_as_written(entries in proptest::collection::vec((
        proptest::collection::vec(any::<u8>(), BATCH_LEN_MIN..200),
        proptest::collection::vec(any_change(), 1..5),
        any_offset(),
    ), 1..6)) {
        let storage = storage();
        let options = JournalOptions { file_size: 1 << 16, journal_size: 1 << 17, ..small() };
        let mut journal = create(&storage, options.clone());
        let mut group = GroupBuilder::default();
        for (batch, changes, offset) in &entries {
            group.push_entry(u64::MAX, |entry| {
                entry.append(PartitionKey(1), *offset, batch);
                entry.share(ShareKey(2), changes);
            }).unwrap();
        }
        journal.commit(&mut group, Durability::Sync).unwrap();
        let mut at = 0;
        Journal::open(shared(&storage), options, ID, Position::ZERO, &mut |_, entry| {
            let (batch, changes, offset) = &entries[at];
            let [Operation::Append { base_offset, batch: found, .. }, Operation::Share { changes: found_changes, .. }] =
                entry.operations else { panic!("two operations") };
            assert_eq!((base_offset, &found[..8]), (offset, &offset.get().to_be_bytes()[..]));
            assert_eq!((&found[8..12], &found[12..16], &found[16..]), (&batch[8..12], &[0; 4][..], &batch[16..]));
            assert_eq!(found_changes, changes);
            at += 1;
            Ok(())
        }).unwrap();
        prop_assert_eq!(at, entries.len());
    }
}

#[test]
fn a_run_of_acknowledgements_costs_three_bytes_each() {
    let acknowledge = |offset| Change::Acknowledge {
        range: OffsetRange::single(Offset::saturating(offset)),
    };
    let changes: Vec<Change> = (1000..1100).map(acknowledge).collect();
    assert_eq!(changes_len(&changes), 301);
}
