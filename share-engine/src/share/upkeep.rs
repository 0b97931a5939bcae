//! What retention and queries ask: which offsets are finished, held or new.

use super::{RecordState, SharePartition};
use crate::ids::{Offset, OffsetRange};

impl SharePartition {
    /// The first offset that no member was ever given.
    pub fn next_new_offset(&self) -> Offset {
        let counts = self.counts();
        if counts.available + counts.acquired + counts.parked + counts.waiting + counts.terminal == 0 {
            self.start_offset()
        } else {
            self.end_offset().next()
        }
    }

    /// Whether every offset of `range` is finished with.
    pub fn is_finished(&self, range: OffsetRange) -> bool {
        let Some(open) = OffsetRange::new(self.start_offset().max(range.first()), range.last()) else { return true };
        if open.last() >= self.next_new_offset() {
            return false;
        }
        self.records(open).all(|record| {
            matches!(record.state, RecordState::Acknowledged | RecordState::Archived) && !record.in_transition
        })
    }

    /// Whether a member holds a record of `range`, one is parked, or a change of one is under way.
    pub fn holds_any(&self, range: OffsetRange) -> bool {
        let Some(open) = OffsetRange::new(self.start_offset().max(range.first()), range.last()) else { return false };
        self.records(open).any(|record| {
            matches!(record.state, RecordState::Acquired | RecordState::Parked) || record.in_transition
        })
    }
}
