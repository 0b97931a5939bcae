//! The wire members' path, as Kafka has it: all batches of a request or none, a fixed order of checks, gaps, renewals.

use super::ArchiveCause;
use super::block::{Place, Plane};
use super::draft::Draft;
use super::open::Kind;
use super::partition::{SharePartition, range_of};
use super::types::{AckBatch, AckError, AckType, Settled};
use crate::ids::{MemberIndex, Offset};
use crate::time::Now;

impl SharePartition {
    /// Applies a member's acknowledgements, all or none; only renewals take effect at once and stay.
    ///
    /// # Errors
    /// The first batch that does not fit; see [`AckError`].
    pub fn acknowledge(
        &mut self,
        member: MemberIndex,
        batches: &[AckBatch<'_>],
        now: Now,
    ) -> Result<Settled, AckError> {
        let mut draft = Draft::default();
        for batch in batches {
            if let Err(error) = self.acknowledge_batch(member, batch, &mut draft, now) {
                for change in &draft.settled.changes {
                    let range = range_of(change).and_then(|range| self.window.clamp(range));
                    for place in range.into_iter().flat_map(super::block::places) {
                        self.window.unmark(place);
                        // A timer may have passed over it while it was marked.
                        self.window.arm(place.chunk, self.hear_tick(now));
                    }
                }
                return Err(error);
            }
        }
        Ok(self.finish_draft(draft, Kind::Settle, now))
    }

    fn acknowledge_batch(
        &mut self,
        member: MemberIndex,
        batch: &AckBatch<'_>,
        draft: &mut Draft,
        now: Now,
    ) -> Result<(), AckError> {
        let invalid = AckError::InvalidRequest(batch.range);
        if batch.types.len() != 1 && batch.types.len() as u64 != batch.range.count() {
            return Err(invalid);
        }
        let (first, last) = (batch.range.first().get(), batch.range.last().get());
        let start = self.window.start();
        if last < start {
            return Ok(());
        }
        let state = |offset| AckError::InvalidRecordState(Offset::saturating(offset));
        if self.resetting || self.window.span() == 0 {
            // Past the end of what ever was acquired is Kafka's answer for an empty window too.
            return Err(state(first));
        }
        let no_record = |offset| self.window.plane(offset) == Some(Plane::Hole);
        if last >= self.window.next() || no_record(last) || no_record(first) {
            // A hole of the log may lie inside a batch, but a batch neither begins nor ends in one.
            return Err(invalid);
        }
        let number = self.members.number(member);
        for offset in first.max(start)..=last {
            let place = Place::of(offset);
            let Some(block) = self.window.block(place) else {
                return Err(state(offset));
            };
            if block.hole & place.mask != 0 {
                continue;
            }
            let slot = block.slot(place.bit());
            let held = block.acquired & !block.transition & place.mask != 0 && Some(slot.member) == number;
            if !held {
                return Err(state(offset));
            }
            let at = Offset::saturating(offset);
            match kind_of(batch, offset - first) {
                AckType::Accept => draft.acknowledge(at),
                AckType::Gap => draft.archive(at, ArchiveCause::Gap, slot.count),
                AckType::Reject => draft.archive(at, ArchiveCause::Reject, slot.count),
                AckType::Release => {
                    self.release_or_archive(offset, None, draft);
                    continue;
                }
                AckType::Renew => {
                    self.extend_one(place, now).ok_or(state(offset))?;
                    continue;
                }
            }
            self.window.mark(place);
        }
        Ok(())
    }

    fn hear_tick(&self, now: Now) -> u64 {
        super::tick::tick(now.monotonic.max(self.latest))
    }
}

/// The type for the offset at `index` of a batch.
fn kind_of(batch: &AckBatch<'_>, index: u64) -> AckType {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    batch
        .types
        .get(index)
        .or(batch.types.first())
        .copied()
        .unwrap_or(AckType::Renew)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OffsetRange;

    #[test]
    fn one_type_stands_for_all() {
        let range = OffsetRange::new(Offset::saturating(5), Offset::saturating(9)).unwrap();
        let one = AckBatch {
            range,
            types: &[AckType::Reject],
        };
        assert_eq!(kind_of(&one, 4), AckType::Reject);
    }
}
