//! From what a member acquired to deliveries: which of the acquired offsets have a record, and where it stands in its batch. Pure.

use std::sync::Arc;

use bytes::Bytes;
use share_client::consumer::Acquisition;
use share_engine::ids::Offset;
use share_engine::record::StoredBatch;
use share_engine::time::WallTime;
use share_wire::message::Acquired;
use share_wire::records::{Batch, PLAIN_MAX, batches};

use super::super::{Payload, RecordFields};

/// The acquired offsets of one acquisition: each is in one of the lists, in the order of offsets.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// With their records.
    pub(super) found: Vec<Found>,
    /// Without one: compacted away, or a transaction's marker.
    pub(super) gaps: Vec<Bare>,
    /// With one that cannot be read, and why.
    pub(super) unreadable: Vec<(Bare, Arc<str>)>,
}

/// An offset that was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bare {
    pub(super) offset: Offset,
    pub(super) delivery_count: u16,
}

/// One with its record.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) at: Bare,
    pub(super) payload: Payload,
    /// As the record says, which is its producer's word or the broker's.
    pub(super) timestamp: WallTime,
}

/// Reads what was acquired. Batches are uncompressed here, once for all their records.
pub(super) fn contents(acquisition: &Acquisition) -> Contents {
    let mut contents = Contents::default();
    let mut left = Offsets::of(&acquisition.acquired);
    for batch in batches(acquisition.records.clone()) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                let Some(place) = error.batch() else {
                    // Where the next one begins is not known: none of the rest can be read.
                    let why: Arc<str> = Arc::from(error.to_string());
                    left.rest(|at| contents.unreadable.push((at, why.clone())));
                    break;
                };
                let why: Arc<str> = Arc::from(error.to_string());
                left.before(place.first, |at| contents.gaps.push(at));
                left.before(place.last.saturating_add(1), |at| {
                    contents.unreadable.push((at, why.clone()));
                });
                continue;
            }
        };
        read(&batch, &mut left, &mut contents);
    }
    left.rest(|at| contents.gaps.push(at));
    contents
}

/// What stands for a record that cannot be read.
pub(super) fn nothing() -> Payload {
    Payload::Fields(Arc::new(RecordFields::default()))
}

fn read(batch: &Batch, left: &mut Offsets<'_>, contents: &mut Contents) {
    let header = batch.header();
    left.before(header.base_offset, |at| contents.gaps.push(at));
    let behind = header.last_offset.saturating_add(1);
    // What a transaction leaves behind is no record. A batch of which nothing was acquired is not worth the work.
    if header.is_control || !left.is_within(behind) {
        left.before(behind, |at| contents.gaps.push(at));
        return;
    }
    let stored = batch
        .plain(PLAIN_MAX)
        .map_err(|error| error.to_string())
        .and_then(|plain| stored(header.base_offset, plain.bytes().clone()));
    let stored = match stored {
        Ok(stored) => stored,
        Err(why) => {
            let why: Arc<str> = Arc::from(why);
            left.before(behind, |at| contents.unreadable.push((at, why.clone())));
            return;
        }
    };
    for record in stored.records() {
        match record {
            Ok((view, position)) => {
                let offset = i64::try_from(view.offset.get()).unwrap_or(i64::MAX);
                left.before(offset, |at| contents.gaps.push(at));
                let timestamp = view.timestamp;
                left.before(offset.saturating_add(1), |at| {
                    let batch = stored.clone();
                    contents.found.push(Found {
                        at,
                        payload: Payload::Batch { batch, position },
                        timestamp,
                    });
                });
            }
            Err(error) => {
                let why: Arc<str> = Arc::from(error.to_string());
                left.before(behind, |at| contents.unreadable.push((at, why.clone())));
                return;
            }
        }
    }
    left.before(behind, |at| contents.gaps.push(at));
}

fn stored(base: i64, bytes: Bytes) -> Result<StoredBatch, String> {
    let base = u64::try_from(base).ok().and_then(Offset::new);
    let base = base.ok_or("its first offset is out of range")?;
    StoredBatch::new(base, bytes).map_err(|error| error.to_string())
}

/// What of the acquired offsets has not been said anything of yet; ascending.
struct Offsets<'a> {
    runs: std::slice::Iter<'a, Acquired>,
    /// What is left of the run at hand: from this offset on.
    run: Option<(i64, Acquired)>,
}

impl<'a> Offsets<'a> {
    fn of(acquired: &'a [Acquired]) -> Self {
        let mut runs = acquired.iter();
        let run = runs.next().map(|run| (run.first_offset, *run));
        Self { runs, run }
    }

    /// Whether there is one below `behind`.
    fn is_within(&self, behind: i64) -> bool {
        self.run.is_some_and(|(next, _)| next < behind)
    }

    /// Takes those below `behind`.
    fn before(&mut self, behind: i64, mut told: impl FnMut(Bare)) {
        while let Some((next, run)) = self.run.filter(|(next, _)| *next < behind) {
            told(Bare {
                offset: Offset::saturating(u64::try_from(next).unwrap_or(0)),
                delivery_count: u16::try_from(run.delivery_count).unwrap_or(1).max(1),
            });
            self.run = if next < run.last_offset {
                Some((next + 1, run))
            } else {
                self.runs.next().map(|run| (run.first_offset, *run))
            };
        }
    }

    fn rest(&mut self, told: impl FnMut(Bare)) {
        self.before(i64::MAX, told);
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        reason = "tests"
    )]
    use std::time::Instant;

    use share_client::consumer::TopicPartition;
    use share_wire::records::{Codec, NewBatch, NewRecord};

    use super::*;

    fn batch(base_offset: i64, records: usize, codec: Codec) -> Bytes {
        let new = NewBatch {
            base_offset,
            codec,
            ..NewBatch::default()
        };
        let record = NewRecord {
            value: Some(b"value"),
            ..NewRecord::default()
        };
        new.encode(&vec![record; records]).unwrap()
    }

    fn acquisition(batches: &[Bytes], acquired: &[(i64, i64, i16)]) -> Acquisition {
        let run = |&(first_offset, last_offset, delivery_count): &(i64, i64, i16)| Acquired {
            first_offset,
            last_offset,
            delivery_count,
        };
        Acquisition {
            topic: Arc::from("t"),
            place: TopicPartition {
                topic_id: share_wire::Uuid::nil(),
                partition: 0,
            },
            records: batches.concat().into(),
            acquired: acquired.iter().map(run).collect(),
            deadline: Instant::now(),
            number: 0,
        }
    }

    fn told(contents: &Contents) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        let offsets = |bare: &Bare| bare.offset.get();
        (
            contents.found.iter().map(|one| offsets(&one.at)).collect(),
            contents.gaps.iter().map(offsets).collect(),
            contents.unreadable.iter().map(|(at, _)| offsets(at)).collect(),
        )
    }

    #[test]
    fn every_acquired_offset_is_in_one_list() {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            // Offsets 13 to 15 were compacted away.
            let batches = [batch(10, 3, codec), batch(16, 2, codec)];
            let contents = contents(&acquisition(&batches, &[(11, 16, 1), (19, 20, 2)]));
            assert_eq!(told(&contents), (vec![11, 12, 16], vec![13, 14, 15, 19, 20], vec![]));
            assert_eq!(contents.gaps[4].delivery_count, 2);
            let Payload::Batch { batch, position } = &contents.found[1].payload else {
                panic!("{contents:?}");
            };
            let view = batch.record_at(*position).unwrap();
            assert_eq!((view.offset.get(), view.value), (12, Some(&b"value"[..])));
        }
    }

    #[test]
    fn a_damaged_batch_takes_no_other_with_it() {
        let mut damaged = batch(12, 2, Codec::None).to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        let batches = [batch(10, 2, Codec::None), damaged.into(), batch(14, 1, Codec::None)];
        let contents = contents(&acquisition(&batches, &[(10, 14, 3)]));
        assert_eq!(told(&contents), (vec![10, 11, 14], vec![], vec![12, 13]));
        assert!(contents.unreadable[0].1.contains("checksum"), "{contents:?}");
    }

    #[test]
    fn behind_a_batch_without_an_end_nothing_is_read() {
        let mut endless = batch(12, 2, Codec::None).to_vec();
        endless[8..12].copy_from_slice(&(-1_i32).to_be_bytes());
        let batches = [batch(10, 2, Codec::None), endless.into()];
        let contents = contents(&acquisition(&batches, &[(10, 13, 1)]));
        assert_eq!(told(&contents), (vec![10, 11], vec![], vec![12, 13]));
    }
}
