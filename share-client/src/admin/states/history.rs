//! What became of records below the start offset: brokers forget it, but as long as what they wrote before lies in the topic, it can
//! be read. Nothing is concluded: an offset of which nothing is found has no outcome.

use super::codec::{Entry, Snapshot, Update};
use super::error::StateError;
use super::{DeliveryState, ShareState, StateBatch};

/// All that the records of a share partition say that were read so far, those of the present state and those before it. It begins
/// anew when the state does: by a reset, or with a group that is made again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    now: Option<ShareState>,
    /// The same records without a start: nothing is cut off.
    all: Option<ShareState>,
}

impl History {
    /// The history after one more record, in the order of their offsets.
    ///
    /// # Errors
    /// [`StateError::TooMany`].
    pub fn apply(self, entry: Entry) -> Result<Self, StateError> {
        let is_new = match (&entry, &self.now) {
            (Entry::Snapshot(snapshot), Some(now)) => snapshot.state_epoch != now.state_epoch,
            _ => false,
        };
        let before = if is_new { None } else { self.all };
        let all = match (&entry, before) {
            // A snapshot has what is not finished below the start no more; what came before it is still true.
            (Entry::Snapshot(snapshot), Some(before)) => ShareState::apply(Some(before), laid_over(snapshot))?,
            (entry, before) => ShareState::apply(before, without_start(entry))?,
        };
        let now = ShareState::apply(self.now, entry)?;
        Ok(Self { now, all })
    }

    /// What brokers keep now. `None`: nothing.
    pub const fn now(&self) -> Option<&ShareState> {
        self.now.as_ref()
    }

    /// What is known of an offset. Below the start only how it ended counts.
    pub fn at(&self, offset: u64) -> Option<&StateBatch> {
        let now = self.now.as_ref()?;
        if now.start.is_none_or(|start| offset >= start) {
            return now.at(offset);
        }
        self.all.as_ref()?.at(offset).filter(|batch| batch.state.is_final())
    }

    /// How many offsets below the start are finished without anybody knowing how, from this one on.
    pub fn forgotten(&self, from: u64) -> u64 {
        let start = self.now.as_ref().and_then(|now| now.start).unwrap_or(0);
        let known = self.all.iter().flat_map(|all| &all.batches);
        let known = known.filter(|batch| batch.state.is_final());
        let lens = known.map(|batch| {
            batch
                .last
                .saturating_add(1)
                .min(start)
                .saturating_sub(batch.first.max(from))
        });
        start.saturating_sub(from).saturating_sub(lens.sum())
    }

    /// Offsets that were given up, ascending and disjoint: below the start, too, as far as that is known.
    pub fn archived(&self) -> impl Iterator<Item = StateBatch> + '_ {
        let start = self.now.as_ref().and_then(|now| now.start).unwrap_or(0);
        let given_up = |batch: &&StateBatch| matches!(batch.state, DeliveryState::Archived | DeliveryState::Archiving);
        let past = self.all.iter().flat_map(|all| &all.batches).filter(given_up);
        let past = past
            .filter(move |batch| batch.first < start)
            .map(move |batch| StateBatch {
                last: batch.last.min(start - 1),
                ..*batch
            });
        let now = self.now.iter().flat_map(|now| &now.batches).filter(given_up);
        past.chain(now.copied())
    }
}

fn without_start(entry: &Entry) -> Entry {
    match entry.clone() {
        Entry::Snapshot(snapshot) => Entry::Snapshot(Snapshot { start: -1, ..snapshot }),
        Entry::Update(update) => Entry::Update(Update { start: -1, ..update }),
        Entry::Gone => Entry::Gone,
    }
}

fn laid_over(snapshot: &Snapshot) -> Entry {
    Entry::Update(Update {
        leader_epoch: snapshot.leader_epoch,
        start: -1,
        finished: snapshot.finished,
        batches: snapshot.batches.clone(),
    })
}
