//! Sixty-four offsets: one bit per offset and plane, one state word per touched offset. Chunks are sixteen blocks.
//!
//! Invariant: an offset is in at most one of the planes available, acquired, parked, waiting, done; archived and hole
//! lie inside done. An offset in none of them was never seen. The state words exist while anything in the block lives.

use crate::ids::{DeliveryCount, Offset, OffsetRange};

/// Offsets in a block.
pub(super) const BLOCK: u64 = 64;
/// Blocks in a chunk.
pub(super) const BLOCKS: usize = 16;
/// Offsets in a chunk.
pub(super) const CHUNK: u64 = 1_024;

/// Where a set of offsets of one block lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// `offset / CHUNK`.
    pub(super) chunk: u64,
    /// Below [`BLOCKS`].
    pub(super) block: usize,
    /// Offset of bit 0.
    pub(super) base: u64,
    /// Which offsets; never 0.
    pub(super) mask: u64,
}

impl Place {
    /// The place of one offset.
    pub(super) fn of(offset: u64) -> Self {
        Self {
            chunk: offset / CHUNK,
            block: narrow(offset % CHUNK / BLOCK),
            base: offset - offset % BLOCK,
            mask: 1 << (offset % BLOCK),
        }
    }

    /// The lowest bit of the mask, as an index into the state words.
    pub(super) fn bit(self) -> usize {
        narrow(u64::from(self.mask.trailing_zeros()))
    }
}

/// The places of a run of offsets, block by block.
pub(super) fn places(range: OffsetRange) -> impl Iterator<Item = Place> {
    let (first, last) = (range.first().get(), range.last().get());
    (first / BLOCK..=last / BLOCK).map(move |number| {
        let base = number * BLOCK;
        let low = first.saturating_sub(base);
        let end = if planted!(WordBoundary) && last - base >= BLOCK {
            BLOCK - 2
        } else {
            BLOCK - 1
        };
        let high = (last - base).min(end);
        Place {
            chunk: base / CHUNK,
            block: narrow(base % CHUNK / BLOCK),
            base,
            mask: (u64::MAX << low) & (u64::MAX >> (BLOCK - 1 - high)),
        }
    })
}

/// The offsets of a mask, ascending, as bit numbers.
pub(super) fn bits(mask: u64) -> impl Iterator<Item = usize> {
    let mut left = mask;
    std::iter::from_fn(move || {
        (left != 0).then(|| {
            let bit = left.trailing_zeros();
            left &= left - 1;
            narrow(u64::from(bit))
        })
    })
}

/// For indices, all of which are below 1,024.
fn narrow(value: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "an index below 1,024")]
    let index = value as usize;
    index
}

/// The state of one offset, as a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plane {
    Available,
    Acquired,
    Parked,
    Waiting,
    Acknowledged,
    Archived,
    /// No record, and it was never delivered.
    Hole,
}

/// One bit per offset for everything that is asked for many offsets at once.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) available: u64,
    pub(super) acquired: u64,
    pub(super) parked: u64,
    pub(super) waiting: u64,
    pub(super) done: u64,
    pub(super) archived: u64,
    pub(super) hole: u64,
    /// A change of the offset waits for the disk.
    pub(super) transition: u64,
    /// The first offset of what was acquired together.
    pub(super) boundary: u64,
    /// The process died once while the record was in a handler.
    pub(super) struck: u64,
    /// There is an entry in the side map.
    pub(super) side: u64,
    slots: Option<Box<Slots>>,
}

impl Block {
    /// What can be acquired.
    pub(super) fn ready(&self) -> u64 {
        self.available & !self.transition
    }

    /// What has a state at all.
    pub(super) fn tracked(&self) -> u64 {
        self.available | self.acquired | self.parked | self.waiting | self.done
    }

    /// `None` if the offset was never seen.
    pub(super) fn plane(&self, mask: u64) -> Option<Plane> {
        if self.done & mask != 0 {
            return Some(if self.hole & mask != 0 {
                Plane::Hole
            } else if self.archived & mask != 0 {
                Plane::Archived
            } else {
                Plane::Acknowledged
            });
        }
        [
            (self.available, Plane::Available),
            (self.acquired, Plane::Acquired),
            (self.parked, Plane::Parked),
            (self.waiting, Plane::Waiting),
        ]
        .into_iter()
        .find_map(|(plane, name)| (plane & mask != 0).then_some(name))
    }

    /// Moves the offsets of `mask` to one plane. Their transition, if any, is over.
    pub(super) fn put(&mut self, mask: u64, plane: Plane) {
        self.available &= !mask;
        self.acquired &= !mask;
        self.parked &= !mask;
        self.waiting &= !mask;
        self.done &= !mask;
        self.transition &= !mask;
        match plane {
            Plane::Available => self.available |= mask,
            Plane::Acquired => self.acquired |= mask,
            Plane::Parked => self.parked |= mask,
            Plane::Waiting => self.waiting |= mask,
            Plane::Acknowledged => self.done |= mask,
            Plane::Archived => {
                self.done |= mask;
                self.archived |= mask;
            }
            Plane::Hole => {
                self.done |= mask;
                self.archived |= mask;
                self.hole |= mask;
            }
        }
        if self.done & mask != 0 {
            self.struck &= !mask;
            if self.done == u64::MAX {
                self.slots = None;
            }
        }
    }

    /// The state word of one offset; zero if it was never touched.
    pub(super) fn slot(&self, bit: usize) -> Slot {
        self.slots.as_ref().map_or_else(Slot::default, |slots| slots.get(bit))
    }

    /// The delivery count of one offset, without a look at the rest.
    #[inline]
    pub(super) fn count(&self, bit: usize) -> DeliveryCount {
        let word = self.slots.as_ref().map_or(0, |slots| slots.word(bit));
        DeliveryCount(u16::try_from(word >> 32 & 0xffff).unwrap_or(0))
    }

    /// The member slot of one offset, without a look at the rest.
    #[inline]
    pub(super) fn member(&self, bit: usize) -> u16 {
        let word = self.slots.as_ref().map_or(0, |slots| slots.word(bit));
        u16::try_from(word >> 48).unwrap_or(0)
    }

    /// All state words, made if there are none.
    pub(super) fn slots_mut(&mut self) -> &mut Slots {
        self.slots.get_or_insert_with(Box::default)
    }

    /// Whether state words are allocated.
    pub(super) fn has_slots(&self) -> bool {
        self.slots.is_some()
    }
}

/// State words of one block.
#[derive(Debug)]
pub(super) struct Slots {
    /// Member slot, delivery count, lease deadline: 16, 16 and 32 bits.
    words: [u64; 64],
    /// When the attempt began, in monotonic ticks.
    began: [u32; 64],
    /// When the attempt began, in seconds since the Unix epoch.
    wall: [u32; 64],
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            words: [0; 64],
            began: [0; 64],
            wall: [0; 64],
        }
    }
}

#[expect(clippy::indexing_slicing, reason = "bit numbers are below 64")]
impl Slots {
    fn get(&self, bit: usize) -> Slot {
        let word = self.words[bit];
        Slot {
            member: u16::try_from(word >> 48).unwrap_or(0),
            count: DeliveryCount(u16::try_from(word >> 32 & 0xffff).unwrap_or(0)),
            deadline: u32::try_from(word & 0xffff_ffff).unwrap_or(0),
            began: self.began[bit],
            wall: self.wall[bit],
        }
    }

    #[inline]
    fn word(&self, bit: usize) -> u64 {
        self.words[bit]
    }

    /// Writes one state word.
    pub(super) fn set(&mut self, bit: usize, slot: Slot) {
        self.words[bit] = slot.word();
        self.began[bit] = slot.began;
        self.wall[bit] = slot.wall;
    }

    /// Writes the same state word for every offset of `mask`.
    pub(super) fn fill(&mut self, mask: u64, slot: Slot) {
        if mask == u64::MAX {
            self.words.fill(slot.word());
            self.began.fill(slot.began);
            self.wall.fill(slot.wall);
        } else {
            for bit in bits(mask) {
                self.set(bit, slot);
            }
        }
    }

    /// Moves the deadline of one offset.
    pub(super) fn set_deadline(&mut self, bit: usize, deadline: u32) {
        self.words[bit] = self.words[bit] & !0xffff_ffff | u64::from(deadline);
    }
}

/// One state word, unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// Index into the member table; meaningful while acquired.
    pub(super) member: u16,
    pub(super) count: DeliveryCount,
    /// Monotonic tick; meaningful while acquired.
    pub(super) deadline: u32,
    /// Monotonic tick at which the attempt began.
    pub(super) began: u32,
    /// Second of the Unix epoch at which the attempt began; or [`NOT_BEGUN`](super::tick::NOT_BEGUN).
    pub(super) wall: u32,
}

impl Slot {
    fn word(self) -> u64 {
        u64::from(self.member) << 48 | u64::from(self.count.get()) << 32 | u64::from(self.deadline)
    }
}

/// 1,024 offsets and what is asked of them as a whole.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) blocks: [Block; BLOCKS],
    /// How many can be acquired.
    pub(super) ready: u32,
    /// How many are acquired.
    pub(super) acquired: u32,
    /// How many wait because they are struck.
    pub(super) waiting: u32,
    /// Tick at which leases are looked at; `u64::MAX`: never.
    pub(super) armed: u64,
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            blocks: std::array::from_fn(|_| Block::default()),
            ready: 0,
            acquired: 0,
            waiting: 0,
            armed: u64::MAX,
        }
    }
}

/// A run of offsets from numbers that are known to be in order.
pub(super) fn run(first: u64, last: u64) -> OffsetRange {
    let first = Offset::saturating(first);
    OffsetRange::new(first, Offset::saturating(last)).unwrap_or(OffsetRange::single(first))
}
