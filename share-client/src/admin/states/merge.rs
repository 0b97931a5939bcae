//! From records to a state, as a share coordinator reads them: a snapshot is all of it, an update is laid over it. Where two speak of
//! the same offset the higher delivery count holds, and at the same count the state with the higher number.

use super::codec::{Entry, Snapshot, Update};
use super::error::StateError;
use super::{ShareState, StateBatch};

impl ShareState {
    /// The state after one more record, in the order of their offsets.
    ///
    /// # Errors
    /// [`StateError::TooMany`].
    pub fn apply(before: Option<Self>, entry: Entry) -> Result<Option<Self>, StateError> {
        let (mut state, batches) = match entry {
            Entry::Gone => return Ok(None),
            Entry::Snapshot(snapshot) => begun(snapshot),
            Entry::Update(update) => changed(before, update),
        };
        for batch in batches {
            state.lay(batch)?;
        }
        state.tidy();
        Ok(Some(state))
    }

    /// Lays a batch over what is known.
    fn lay(&mut self, batch: StateBatch) -> Result<(), StateError> {
        let start = self.start.unwrap_or(0);
        if batch.last < start {
            return Ok(());
        }
        let new = StateBatch {
            first: batch.first.max(start),
            ..batch
        };
        let from = self.batches.partition_point(|one| one.last < new.first);
        let to = self.batches.partition_point(|one| one.first <= new.last);
        let mut pieces = Vec::new();
        // The next offset of the new batch that is in no piece yet; `None`: all are.
        let mut rest = Some(new.first);
        for old in self.batches.get(from..to).unwrap_or_default() {
            if old.first < new.first {
                pieces.push(StateBatch {
                    last: new.first - 1,
                    ..*old
                });
            }
            let both = (old.first.max(new.first), old.last.min(new.last));
            if let Some(first) = rest.filter(|first| *first < both.0) {
                pieces.push(StateBatch {
                    first,
                    last: both.0 - 1,
                    ..new
                });
            }
            let holds = if rank(old) >= rank(&new) { *old } else { new };
            pieces.push(StateBatch {
                first: both.0,
                last: both.1,
                ..holds
            });
            rest = both.1.checked_add(1).filter(|next| *next <= new.last);
            if old.last > new.last {
                pieces.push(StateBatch {
                    first: new.last + 1,
                    ..*old
                });
            }
        }
        if let Some(first) = rest {
            pieces.push(StateBatch { first, ..new });
        }
        self.batches.splice(from..to, pieces);
        let batches = self.batches.len();
        if batches > BATCHES_MAX {
            return Err(StateError::TooMany {
                batches,
                max: BATCHES_MAX,
            });
        }
        Ok(())
    }

    /// Cuts off what is below the start, and puts together what belongs together.
    fn tidy(&mut self) {
        let start = self.start.unwrap_or(0);
        self.batches.retain(|batch| batch.last >= start);
        if let Some(first) = self.batches.first_mut() {
            first.first = first.first.max(start);
        }
        self.batches.dedup_by(|next, kept| {
            let joins = kept.last.checked_add(1) == Some(next.first) && rank(kept) == rank(next);
            if joins {
                kept.last = next.last;
            }
            joins
        });
    }
}

const fn rank(batch: &StateBatch) -> (u16, i8) {
    (batch.deliveries, batch.state.number())
}

fn begun(snapshot: Snapshot) -> (ShareState, Vec<StateBatch>) {
    let state = ShareState {
        state_epoch: snapshot.state_epoch,
        leader_epoch: snapshot.leader_epoch,
        start: u64::try_from(snapshot.start).ok(),
        finished: u32::try_from(snapshot.finished).ok(),
        created_ms: snapshot.created_ms,
        batches: Vec::new(),
    };
    (state, snapshot.batches)
}

/// An update without a snapshot before it stands for itself.
fn changed(before: Option<ShareState>, update: Update) -> (ShareState, Vec<StateBatch>) {
    let before = before.unwrap_or(ShareState {
        state_epoch: 0,
        leader_epoch: -1,
        start: None,
        finished: None,
        created_ms: -1,
        batches: Vec::new(),
    });
    let state = ShareState {
        leader_epoch: if update.leader_epoch == -1 {
            before.leader_epoch
        } else {
            update.leader_epoch
        },
        start: u64::try_from(update.start).ok().or(before.start),
        finished: u32::try_from(update.finished).ok(),
        ..before
    };
    (state, update.batches)
}

/// No window is wider than 10,000 offsets, and it is exceeded by one batch of records.
const BATCHES_MAX: usize = 1_000_000;
