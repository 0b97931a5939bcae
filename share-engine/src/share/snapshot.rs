//! The durable view of a share partition as bytes: runs of equal records and the side entries. Open transitions are
//! written as the state they began from. Deterministic: equal durable states give equal bytes.
//!
//! Layout: version u8; epoch, start, number of runs; runs of (offsets skipped, length - 1, tag u8, count and wall second
//! where the tag has them); number of side entries; entries of (offsets skipped, flags u8, continuation, parts by flag).
//! Numbers are LEB128. Skipped offsets were seen but never delivered, or their delivery never became durable.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::apply::HARD_SPAN;
use super::block::{BLOCK, Place, Plane, Slot, bits, places, run};
use super::context::Context;
use super::member::NOBODY;
use super::partition::SharePartition;
use super::side::{MAX_NOTES, Side};
use super::tick::{half, wall};
use super::types::{DecodeError, MAX_CHECKPOINT_BYTES, MAX_NOTE_BYTES, ShareOptions};
use crate::ids::{DeliveryCount, Offset, ShareKey, StateEpoch};
use crate::time::{Delay, Now, WallTime};

const VERSION: u8 = 1;

const STRUCK: u8 = 0x10;
/// The wall second at which the attempt began follows.
const BEGAN: u8 = 0x20;

const HAS_CHECKPOINT: u8 = 1;
const HAS_PARK: u8 = 2;
const CONTINUES: u8 = 4;

/// What makes neighbours one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    tag: u8,
    count: DeliveryCount,
    wall: u32,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    last: u64,
    key: Key,
}

impl SharePartition {
    /// Appends the durable view to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let runs = self.runs();
        out.put_u8(VERSION);
        put(out, u64::from(self.epoch.get()));
        put(out, self.window.start());
        put(out, runs.len() as u64);
        let mut at = self.window.start();
        for run in runs {
            put(out, run.first - at);
            put(out, run.last - run.first);
            out.put_u8(run.key.tag);
            if live(run.key.tag) {
                put(out, u64::from(run.key.count.get()));
            }
            if run.key.tag & BEGAN != 0 {
                put(out, u64::from(run.key.wall));
            }
            at = run.last + 1;
        }
        put(out, self.side.len() as u64);
        let mut at = self.window.start();
        for (offset, side) in self.side.iter() {
            put(out, offset - at);
            put_side(out, side);
            at = offset + 1;
        }
    }

    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let (start, next) = (self.window.start(), self.window.next());
        let range = (start < next).then(|| run(start, next - 1));
        for place in range.into_iter().flat_map(places) {
            let Some(block) = self.window.block(place) else {
                continue;
            };
            if block.done & !block.archived == u64::MAX && place.mask == u64::MAX {
                let key = Key {
                    tag: tag(Plane::Acknowledged),
                    count: DeliveryCount(0),
                    wall: 0,
                };
                add(&mut runs, place.base, place.base + BLOCK - 1, key);
                continue;
            }
            for bit in bits(place.mask) {
                let offset = place.base + bit as u64;
                let Some(plane) = block.plane(1 << bit) else { continue };
                let slot = block.slot(bit);
                let done = block.done & (1 << bit) != 0;
                if !done && slot.count == DeliveryCount(0) {
                    continue;
                }
                let parked =
                    block.side & (1 << bit) != 0 && self.side.get(offset).is_some_and(|side| side.park.is_some());
                let began = !done && (parked || plane == Plane::Acquired);
                // Whether a park is over is a matter of time, not of state.
                let plane = if parked && !done { Plane::Parked } else { plane };
                let count = if planted!(CountNotPersisted) {
                    DeliveryCount(1)
                } else {
                    slot.count
                };
                let key = Key {
                    tag: tag(plane)
                        | if block.struck & (1 << bit) == 0 { 0 } else { STRUCK }
                        | if began { BEGAN } else { 0 },
                    count: if done { DeliveryCount(0) } else { count },
                    wall: if began { slot.wall } else { 0 },
                };
                add(&mut runs, offset, offset, key);
            }
        }
        runs
    }

    /// Reads what [`SharePartition::encode`] wrote. Leases in it belong to nobody: apply what the journal holds
    /// behind it, then call [`SharePartition::void_leases`].
    ///
    /// # Errors
    /// The bytes are not a share partition; nothing is allocated for more than they say plausibly.
    pub fn decode(key: ShareKey, options: ShareOptions, bytes: &[u8], now: Now) -> Result<Self, DecodeError> {
        let mut input = Input { bytes, at: 0 };
        let version = input.byte()?;
        if version != VERSION {
            return Err(DecodeError::Version {
                found: version,
                known: VERSION,
            });
        }
        let epoch = input.bounded("epoch", u64::from(u32::MAX))?;
        let epoch = StateEpoch(u32::try_from(epoch).unwrap_or(u32::MAX));
        let start = input.bounded("start", Offset::MAX.get() - 2 * HARD_SPAN)?;
        let mut partition = Self::new(key, epoch, Offset::saturating(start), options);
        partition.latest = now.monotonic;
        let context = Context::of(now, &options);
        let mut at = start;
        for _ in 0..input.number()? {
            let run = input.run(start, &mut at)?;
            partition.load(run, &context);
        }
        let mut at = start;
        for _ in 0..input.number()? {
            let left = input.left();
            let offset = at + input.bounded("side offset", HARD_SPAN)?;
            let place = Place::of(offset);
            let live = matches!(
                partition.window.plane(offset),
                Some(Plane::Available | Plane::Acquired | Plane::Parked | Plane::Waiting)
            );
            if !live || partition.window.slot(offset).count == DeliveryCount(0) {
                return Err(left.error("side offset", offset));
            }
            partition.window.block_mut(place).side |= place.mask;
            partition.load_side(offset, &mut input, &context)?;
            at = offset + 1;
        }
        if input.at != bytes.len() {
            return Err(input.error("length", bytes.len() as u64));
        }
        partition.check_parks(&input)?;
        partition.moved(now);
        partition.since = now.monotonic;
        Ok(partition)
    }

    fn load(&mut self, loaded: Run, context: &Context) {
        let range = run(loaded.first, loaded.last);
        self.window.extend(range);
        let plane = plane(loaded.key.tag);
        let slot = Slot {
            member: NOBODY,
            count: loaded.key.count,
            deadline: half(context.deadline),
            began: context.began(wall(loaded.key.wall)),
            wall: loaded.key.wall,
        };
        for place in places(range) {
            if live(loaded.key.tag) {
                self.window.block_mut(place).slots_mut().fill(place.mask, slot);
            }
            self.window.put(place, plane);
            if loaded.key.tag & STRUCK == 0 {
                continue;
            }
            self.window.block_mut(place).struck |= place.mask;
            match plane {
                Plane::Available => self.make_available(place),
                // One that waits may have been taken for the one that is out.
                Plane::Acquired => self.take_struck(place.base + place.bit() as u64),
                _ => {}
            }
        }
    }

    fn load_side(&mut self, offset: u64, input: &mut Input<'_>, context: &Context) -> Result<(), DecodeError> {
        let before = input.left();
        let flags = input.byte()?;
        if flags & !(HAS_CHECKPOINT | HAS_PARK | CONTINUES) != 0 || flags & (HAS_PARK | CONTINUES) == CONTINUES {
            return Err(before.error("side flags", u64::from(flags)));
        }
        let continuation = input.bounded("continuation", u64::from(u32::MAX))?;
        self.side.entry(offset).continuation = u32::try_from(continuation).unwrap_or(u32::MAX);
        if flags & HAS_CHECKPOINT != 0 {
            let checkpoint = input.blob("checkpoint", MAX_CHECKPOINT_BYTES)?;
            self.side.entry(offset).checkpoint = Some(checkpoint);
        }
        for _ in 0..input.bounded("notes", MAX_NOTES as u64)? {
            let note = input.blob("note", MAX_NOTE_BYTES)?;
            self.side.entry(offset).add_note(note);
        }
        if flags & HAS_PARK != 0 {
            let from = WallTime::from_millis(i64::try_from(input.bounded("park", i64::MAX as u64)?).unwrap_or(0));
            let length = Duration::from_nanos(input.number()?);
            let delay = Delay { from, length };
            let continues = flags & CONTINUES != 0;
            if self.window.plane(offset) != Some(Plane::Parked) {
                return Err(before.error("park of a record that is not parked", offset));
            }
            let now = context.now.monotonic;
            let due = context.due(delay);
            let end = self
                .attempt_left(&self.window.slot(offset), now)
                .filter(|_| continues)
                .map(|left| now.after(left));
            let timer = Some(end.map_or(due, |end| end.min(due))).filter(|_| !planted!(ParkedLost));
            self.side.park(offset, delay, due, continues, timer);
        }
        if self.side.get(offset).is_none_or(Side::is_empty) {
            return Err(before.error("empty side entry", offset));
        }
        Ok(())
    }

    /// Every parked record has a park, and at most one struck record is acquired.
    fn check_parks(&self, input: &Input<'_>) -> Result<(), DecodeError> {
        let (start, next) = (self.window.start(), self.window.next());
        let range = (start < next).then(|| run(start, next - 1));
        for place in range.into_iter().flat_map(places) {
            let Some(block) = self.window.block(place) else {
                continue;
            };
            for bit in bits(block.parked & place.mask) {
                let offset = place.base + bit as u64;
                if self.side.get(offset).is_none_or(|side| side.park.is_none()) {
                    return Err(input.error("parked record without a time", offset));
                }
            }
            for bit in bits(block.struck & (block.acquired | block.available) & place.mask) {
                let offset = place.base + bit as u64;
                if self.struck != Some(offset) {
                    return Err(input.error("second struck record", offset));
                }
            }
        }
        Ok(())
    }
}

fn tag(plane: Plane) -> u8 {
    match plane {
        Plane::Available | Plane::Waiting => 1,
        Plane::Acquired => 2,
        Plane::Parked => 3,
        Plane::Acknowledged => 4,
        Plane::Archived => 5,
        Plane::Hole => 6,
    }
}

fn plane(tag: u8) -> Plane {
    match tag & 0xf {
        1 => Plane::Available,
        2 => Plane::Acquired,
        3 => Plane::Parked,
        4 => Plane::Acknowledged,
        5 => Plane::Archived,
        _ => Plane::Hole,
    }
}

fn live(tag: u8) -> bool {
    tag & 0xf <= 3
}

fn add(runs: &mut Vec<Run>, first: u64, last: u64, key: Key) {
    match runs.last_mut() {
        Some(run) if run.key == key && run.last + 1 == first => run.last = last,
        _ => runs.push(Run { first, last, key }),
    }
}

fn put_side(out: &mut BytesMut, side: &Side) {
    let park = side
        .park
        .map_or(0, |park| HAS_PARK | if park.continuation { CONTINUES } else { 0 });
    let checkpoint = if side.checkpoint.is_some() { HAS_CHECKPOINT } else { 0 };
    out.put_u8(park | checkpoint);
    put(out, u64::from(side.continuation));
    if let Some(checkpoint) = &side.checkpoint {
        put_blob(out, checkpoint);
    }
    put(out, side.notes.len() as u64);
    for note in &side.notes {
        put_blob(out, note);
    }
    if let Some(park) = side.park {
        put(out, u64::try_from(park.delay.from.as_millis()).unwrap_or(0));
        put(out, u64::try_from(park.delay.length.as_nanos()).unwrap_or(u64::MAX));
    }
}

fn put_blob(out: &mut BytesMut, blob: &Bytes) {
    put(out, blob.len() as u64);
    out.put_slice(blob);
}

fn put(out: &mut BytesMut, number: u64) {
    let mut left = number;
    while left >= 0x80 {
        out.put_u8(u8::try_from(left & 0x7f).unwrap_or(0) | 0x80);
        left >>= 7;
    }
    out.put_u8(u8::try_from(left).unwrap_or(0));
}

/// Bytes that are read, and how far.
#[derive(Clone, Copy, Debug)]
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn error(&self, field: &'static str, value: u64) -> DecodeError {
        DecodeError::Field {
            field,
            value,
            at: self.at,
        }
    }

    /// The place, to blame it later.
    fn left(&self) -> Self {
        *self
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = self.bytes.get(self.at).copied().ok_or(DecodeError::Truncated {
            at: self.at,
            missing: 1,
        })?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let before = self.left();
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(before.error("number", number))
    }

    fn bounded(&mut self, field: &'static str, limit: u64) -> Result<u64, DecodeError> {
        let before = self.left();
        let number = self.number()?;
        if number > limit {
            return Err(before.error(field, number));
        }
        Ok(number)
    }

    fn run(&mut self, start: u64, at: &mut u64) -> Result<Run, DecodeError> {
        let before = self.left();
        let first = *at + self.bounded("run offset", HARD_SPAN)?;
        let last = first + self.bounded("run length", HARD_SPAN)?;
        if last - start >= HARD_SPAN {
            return Err(before.error("run end", last));
        }
        let tag = self.byte()?;
        let began = matches!(tag & 0xf, 2 | 3);
        let known = matches!(tag & 0xf, 1..=6) && tag & !(0xf | STRUCK | BEGAN) == 0;
        if !known || (tag & BEGAN != 0) != began || (!live(tag) && tag & STRUCK != 0) {
            return Err(before.error("run tag", u64::from(tag)));
        }
        let count = if live(tag) {
            self.bounded("delivery count", u64::from(u16::MAX))?
        } else {
            0
        };
        if live(tag) && count == 0 {
            return Err(before.error("delivery count", count));
        }
        let wall = if tag & BEGAN == 0 {
            0
        } else {
            self.bounded("second", u64::from(u32::MAX))?
        };
        *at = last + 1;
        Ok(Run {
            first,
            last,
            key: Key {
                tag,
                count: DeliveryCount(u16::try_from(count).unwrap_or(u16::MAX)),
                wall: u32::try_from(wall).unwrap_or(u32::MAX),
            },
        })
    }

    fn blob(&mut self, field: &'static str, limit: usize) -> Result<Bytes, DecodeError> {
        let length = usize::try_from(self.bounded(field, limit as u64)?).unwrap_or(limit);
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let blob = left.get(..length).ok_or_else(|| DecodeError::Truncated {
            at: self.at,
            missing: length.saturating_sub(left.len()),
        })?;
        self.at += length;
        Ok(Bytes::copy_from_slice(blob))
    }
}
