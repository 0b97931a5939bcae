//! Changes that need to know nothing but which records they are about, and may therefore be applied many at a time. Called by
//! [`super::apply`], and for everything that a transition has made durable.

use super::Change;
use super::block::{Place, Plane, bits, places};
use super::context::Context;
use super::partition::SharePartition;
use super::types::ReplayError;
use crate::ids::OffsetRange;

/// Changes that need to know nothing but which records they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Acknowledge,
    Release,
    Void,
}

impl Plain {
    fn of(change: &Change) -> Option<(Self, OffsetRange)> {
        match change {
            Change::Acknowledge { range } => Some((Self::Acknowledge, *range)),
            Change::Release { range, note: None } => Some((Self::Release, *range)),
            Change::Void { range } => Some((Self::Void, *range)),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Release => "release",
            Self::Void => "void",
        }
    }

    /// Where records may be that such a change is about.
    pub(super) const fn planes(self) -> &'static [Plane] {
        match self {
            Self::Acknowledge | Self::Void => &[Plane::Acquired],
            Self::Release => &[Plane::Acquired, Plane::Available, Plane::Parked, Plane::Waiting],
        }
    }
}

impl SharePartition {
    /// Applies changes in order. Those that follow each other in one block, and do the same, are applied together: it makes no
    /// difference, and records that end apart from each other are many.
    pub(super) fn apply_all(&mut self, changes: &[Change], context: &Context) -> Result<(), ReplayError> {
        let mut open: Option<(Plain, Place)> = None;
        for change in changes {
            let Some((plain, range)) = Plain::of(change) else {
                if let Some((plain, place)) = open.take() {
                    self.apply_plainly(plain, place)?;
                }
                self.apply_change(change, context)?;
                continue;
            };
            for place in self.window.unpassed(range).into_iter().flat_map(places) {
                match &mut open {
                    Some((same, all))
                        if *same == plain
                            && all.base == place.base
                            && all.mask < place.mask & place.mask.wrapping_neg() =>
                    {
                        all.mask |= place.mask;
                    }
                    _ => {
                        if let Some((plain, place)) = open.replace((plain, place)) {
                            self.apply_plainly(plain, place)?;
                        }
                    }
                }
            }
        }
        open.map_or(Ok(()), |(plain, place)| self.apply_plainly(plain, place))
    }

    pub(super) fn apply_plain(&mut self, plain: Plain, range: OffsetRange) -> Result<(), ReplayError> {
        let live = self.expect(range, plain.name(), plain.planes())?;
        self.each(live, |this, place| this.put_plainly(plain, place));
        Ok(())
    }

    fn apply_plainly(&mut self, plain: Plain, place: Place) -> Result<(), ReplayError> {
        self.expect_place(place, plain.name(), plain.planes())?;
        self.put_plainly(plain, place);
        Ok(())
    }

    fn put_plainly(&mut self, plain: Plain, place: Place) {
        match plain {
            Plain::Acknowledge => self.finish(place, Plane::Acknowledged),
            Plain::Release => {
                self.let_go(place);
                let (side, _) = self.marks(place);
                for bit in bits(side) {
                    self.update_side(place.base + bit as u64, super::side::SideMap::unpark);
                }
                self.make_available(place);
            }
            Plain::Void => {
                self.let_go(place);
                self.window.block_mut(place).struck |= place.mask;
                self.make_available(place);
            }
        }
    }
}
