//! Which records a member gets: first those that are available again, entry by entry, then new ones.
//!
//! An *entry* is what was acquired together when it was new. Poison-batch throttling looks at entries, Kafka's
//! acquired ranges never cross them. Throttling applies to Kafka's window only.

use std::ops::ControlFlow;

use super::block::{Place, bits, run};
use super::draft::{follow, note_archived};
use super::open::Kind;
use super::partition::SharePartition;
use super::tick::{NOT_BEGUN, half, tick, tick_after};
use super::types::{AcquireMode, AcquireRequest, AcquiredRange, Acquisition, Window};
use super::{ArchiveCause, Change};
use crate::ids::{Continuation, DeliveryCount, Offset, OffsetRange};
use crate::time::Now;

/// A move of the start offset that holds in memory alone. It is written until it is durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jump {
    /// Where the start offset would be after a restart.
    pub(super) from: Offset,
    pub(super) to: Offset,
}

impl SharePartition {
    /// Takes records for a member. They count as acquired, and may be handed out, once the transition is durable; their
    /// leases run from now. A share partition that is being reset gives nothing.
    pub fn acquire(&mut self, request: &AcquireRequest<'_>, now: Now) -> Acquisition {
        self.latest = self.latest.max(now.monotonic);
        let mut out = Acquisition::default();
        let (Some(first), Some(last)) = (request.batches.first(), request.batches.last()) else {
            return out;
        };
        self.jump(request, first.first().get(), now);
        let Some(bounds) = self.bounds(request, last.last().get()) else {
            return out;
        };
        if last.last().get() < self.window.start() {
            return out;
        }
        let Some(member) = self.members.open(request.member) else {
            return out;
        };
        if self.window.span() == 0 {
            self.since = now.monotonic;
        }
        out.changes
            .extend(self.jumped.map(|jump| Change::StartOffset { offset: jump.to }));
        self.archive_stale(request, first.first().get(), &mut out);
        let lowest = first.first().get().max(self.window.start());
        let mut taker = Taker::new(request, bounds.max);
        let stopped = self.take_again(lowest, bounds.last, &mut taker, now).is_break();
        if !stopped && taker.taken < taker.max && bounds.last >= self.window.next() {
            self.take_new(request, lowest, bounds.last, &mut taker, &mut out);
        }
        if taker.taken == 0 && out.archived.is_empty() && self.jumped.is_some() && out.changes.len() == 1 {
            // The jump alone is worth no journal entry: it comes along with the first records.
            out.changes.clear();
        }
        out.ranges = taker.ranges;
        for range in &out.ranges {
            self.window.mark_run(range.range);
            out.changes.push(if range.continuation > Continuation(0) {
                let offset = range.range.first();
                let untouched = self.window.slot(offset.get()).wall == NOT_BEGUN;
                Change::Continue {
                    offset,
                    begins: untouched.then_some(now.wall),
                }
            } else {
                Change::Acquire {
                    range: range.range,
                    delivery_count: range.delivery_count,
                    at: now.wall,
                }
            });
        }
        self.pending += taker.taken;
        let kind = Kind::Acquire {
            member,
            deadline: tick_after(now.monotonic, self.options.lock),
            began: half(tick(now.monotonic)),
            count: taker.taken,
        };
        out.transition = self.begin(kind, &out.changes, now);
        if out.transition.is_none() {
            self.members.close(member);
        }
        out
    }

    /// With nothing in flight the start offset moves over what the log does not have, however far that is. This holds in
    /// memory at once, and is written with every acquisition until one of them is durable.
    fn jump(&mut self, request: &AcquireRequest<'_>, found: u64, now: Now) {
        let next = self.window.next();
        if self.resetting || self.window.span() > 0 || request.from.get() > next || found <= next {
            return;
        }
        self.jump_to(found);
        self.since = now.monotonic;
    }

    /// As [`skip_to`](SharePartition::skip_to), before that is durable.
    pub(super) fn jump_to(&mut self, start: u64) {
        self.jumped = Some(Jump {
            from: self.durable_start(),
            to: Offset::saturating(start),
        });
        self.skip_to(start);
    }

    /// A start offset is durable, of this jump or an earlier one.
    pub(super) fn landed(&mut self, start: Offset) {
        self.jumped = self.jumped.filter(|jump| jump.to > start);
        if let Some(jump) = &mut self.jumped {
            jump.from = jump.from.max(start);
        }
    }

    /// How many records may be taken, and up to which offset. `None`: nothing at all.
    fn bounds(&self, request: &AcquireRequest<'_>, last: u64) -> Option<Bounds> {
        if self.resetting || request.max_records == 0 {
            return None;
        }
        let wanted = u64::from(request.max_records);
        let (span, span_max) = (self.window.span(), self.span_max());
        let last = last.min(self.window.start() + super::apply::HARD_SPAN - 1);
        // A full window gives only what it holds.
        let held = self.window.next().saturating_sub(1);
        let bounds = match self.options.window {
            Window::Span(_) if span < span_max => Bounds {
                max: wanted.min(span_max - span),
                last,
            },
            Window::Span(_) => Bounds {
                max: wanted.min(self.window.next().saturating_sub(request.from.get())),
                last: last.min(held),
            },
            Window::Acquired(limit) => Bounds {
                max: wanted.min(u64::from(limit).saturating_sub(self.held_or_pending())),
                last: if span < span_max { last } else { last.min(held) },
            },
        };
        (bounds.max > 0).then_some(bounds)
    }

    /// What could be acquired between the start of the read and what it found is not in the log any more.
    fn archive_stale(&mut self, request: &AcquireRequest<'_>, found: u64, out: &mut Acquisition) {
        let end = found.min(self.window.next());
        let mut cursor = request.from.get();
        while let Some(offset) = self.window.first_ready(cursor).filter(|&offset| offset < end) {
            let at = Offset::saturating(offset);
            let count = self.window.slot(offset).count;
            self.window.mark(Place::of(offset));
            if count > DeliveryCount(0) {
                note_archived(&mut out.archived, at, ArchiveCause::Gap, count);
            }
            if let Some(Change::Archive { range, .. }) = out.changes.last_mut()
                && let Some(longer) = follow(*range, at)
            {
                *range = longer;
            } else {
                out.changes.push(gap(OffsetRange::single(at)));
            }
            cursor = offset + 1;
        }
    }

    /// Takes what is available again in `lowest..=last`.
    fn take_again(&self, lowest: u64, last: u64, taker: &mut Taker<'_>, now: Now) -> ControlFlow<()> {
        let kafka = matches!(self.options.window, Window::Span(_));
        let reach = last.min(self.window.next().saturating_sub(1));
        let mut cursor = lowest;
        while let Some(offset) = self.window.first_ready(cursor).filter(|&offset| offset <= reach) {
            if taker.taken >= taker.max {
                return ControlFlow::Break(());
            }
            taker.entry = taker.ranges.len();
            let end = if kafka {
                self.window.entry_last(offset, reach)
            } else {
                reach
            };
            let throttle = if kafka { self.throttle(offset, end) } else { None };
            if throttle.is_some() && taker.taken > 0 {
                return ControlFlow::Break(());
            }
            taker.cap = throttle.map(|cap| taker.taken.saturating_add(cap));
            self.take_entry(offset, end, taker, now)?;
            if throttle.is_some() {
                return ControlFlow::Break(());
            }
            cursor = end + 1;
        }
        ControlFlow::Continue(())
    }

    fn take_entry(&self, first: u64, last: u64, taker: &mut Taker<'_>, now: Now) -> ControlFlow<()> {
        let mut cursor = first;
        while let Some(offset) = self.window.first_ready(cursor).filter(|&offset| offset <= last) {
            let place = Place::of(offset);
            let Some(block) = self.window.block(place) else { break };
            let high = u64::MAX >> (63 - (last - place.base).min(63));
            let ready = block.ready() & (u64::MAX << (offset - place.base)) & high;
            for bit in bits(ready) {
                let at = place.base + bit as u64;
                let slot = block.slot(bit);
                let side = if block.side & (1 << bit) == 0 {
                    None
                } else {
                    self.side.get(at)
                };
                match side.filter(|side| side.park.is_some_and(|park| park.continuation)) {
                    Some(side) => {
                        // An attempt that has lasted too long fails in `handle_timeout`; it does not go on.
                        if self
                            .attempt_left(&slot, now.monotonic)
                            .is_none_or(|left| !left.is_zero())
                        {
                            taker.offer(at, slot.count, Continuation(side.continuation).next())?;
                        }
                    }
                    None => self.offer_again(at, slot.count, taker)?,
                }
            }
            cursor = place.base + super::block::BLOCK;
        }
        ControlFlow::Continue(())
    }

    /// Another delivery of a record; one that may be its last is alone in its acquisition.
    fn offer_again(&self, offset: u64, count: DeliveryCount, taker: &mut Taker<'_>) -> ControlFlow<()> {
        let limit = self.options.delivery_limit;
        let last_attempt = taker.cap.is_some() && limit > DeliveryCount(2) && count.next() == limit;
        if last_attempt && taker.taken > 0 {
            return ControlFlow::Break(());
        }
        // Kafka's maximum does not end within an entry.
        let exact = matches!(self.options.window, Window::Acquired(_));
        if exact && count == DeliveryCount(0) && !taker.fits_batch(offset) {
            return ControlFlow::Break(());
        }
        taker.offer(offset, count.next(), Continuation(0))?;
        if last_attempt {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// How many records of an entry may be taken if one of them has failed often; `None` if none has. A broker looks for the
    /// moment at which exactly so many are taken: if the records before the first that has failed often are as many
    /// already, they do not end there.
    fn throttle(&self, first: u64, last: u64) -> Option<u64> {
        let limit = u64::from(self.options.delivery_limit.get());
        let threshold = limit.div_ceil(2).max(2);
        let mut before = 0;
        let mut cursor = first;
        while let Some(offset) = self.window.first_ready(cursor).filter(|&offset| offset <= last) {
            let place = Place::of(offset);
            let Some(block) = self.window.block(place) else { break };
            let high = u64::MAX >> (63 - (last - place.base).min(63));
            let ready = block.ready() & (u64::MAX << (offset - place.base)) & high;
            for bit in bits(ready) {
                let count = u64::from(block.slot(bit).count.get());
                if count >= threshold {
                    let whole = self.window.entry_last(first, self.window.next() - 1);
                    let size = whole - self.window.entry_first(first) + 1;
                    let shift = u32::try_from(count - threshold + 1).unwrap_or(u32::MAX);
                    let cap = size.checked_shr(shift).unwrap_or(0).max(1);
                    return Some(if before < cap { cap } else { u64::MAX });
                }
                before += 1;
            }
            cursor = place.base + super::block::BLOCK;
        }
        None
    }

    /// Takes never-seen offsets up to `last`.
    fn take_new(
        &mut self,
        request: &AcquireRequest<'_>,
        lowest: u64,
        last: u64,
        taker: &mut Taker<'_>,
        out: &mut Acquisition,
    ) {
        let next = self.window.next();
        let first = lowest.max(next);
        if first > last {
            return;
        }
        let target = first.saturating_add(taker.max - taker.taken - 1);
        let index = request.batches.partition_point(|batch| batch.last().get() < target);
        let batch = request.batches.get(index);
        let batch_last = batch.map_or(last, |batch| batch.last().get()).min(last);
        let take_last = match (request.mode, batch) {
            // A record batch that is begun is taken whole; one behind a hole that the target lies in is not begun.
            (AcquireMode::BatchOptimized, Some(batch)) if batch.first().get() <= target => batch_last,
            _ => target.min(last),
        };
        // The rest of a record batch that was begun is in flight too, available and never delivered.
        let seen_last = match batch {
            Some(batch) if batch.first().get() <= take_last => batch_last.max(take_last),
            _ => take_last,
        };
        self.window.extend(run(first, seen_last));
        if first > next && request.from.get() < first {
            let hole = run(next.max(request.from.get()), first - 1);
            self.window.mark_run(hole);
            out.changes.push(gap(hole));
        }
        let mut begin = first;
        if request.mode == AcquireMode::BatchOptimized {
            for batch in request.batches {
                let base = batch.first().get();
                if base > take_last {
                    break;
                }
                if base.saturating_sub(begin) >= u64::from(request.batch_size.max(1)) {
                    taker.push_new(run(begin, base - 1));
                    self.window.set_boundary(base);
                    begin = base;
                }
            }
        }
        taker.push_new(run(begin, take_last));
        taker.taken += take_last - first + 1;
    }
}

/// No record is at these offsets.
fn gap(range: OffsetRange) -> Change {
    Change::Archive {
        range,
        cause: ArchiveCause::Gap,
    }
}

/// What an acquisition may take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    max: u64,
    last: u64,
}

/// Collects what is taken.
#[derive(Debug)]
struct Taker<'a> {
    ranges: Vec<AcquiredRange>,
    /// Index of the first range of the present entry: ranges do not grow over entries.
    entry: usize,
    taken: u64,
    max: u64,
    /// With throttling: `taken` at which this entry, and with it the acquisition, ends.
    cap: Option<u64>,
    mode: AcquireMode,
    batches: &'a [OffsetRange],
}

impl<'a> Taker<'a> {
    fn new(request: &AcquireRequest<'a>, max: u64) -> Self {
        Self {
            ranges: Vec::new(),
            entry: 0,
            taken: 0,
            max,
            cap: None,
            mode: request.mode,
            batches: request.batches,
        }
    }

    fn offer(&mut self, offset: u64, count: DeliveryCount, continuation: Continuation) -> ControlFlow<()> {
        let full = self.mode == AcquireMode::RecordLimit && self.taken >= self.max;
        if full || self.cap.is_some_and(|cap| self.taken >= cap) {
            return ControlFlow::Break(());
        }
        self.taken += 1;
        let offset = Offset::saturating(offset);
        if self.ranges.len() > self.entry
            && let Some(last) = self.ranges.last_mut()
            && continuation == Continuation(0)
            && last.continuation == continuation
            && last.delivery_count == count
            && let Some(longer) = follow(last.range, offset)
        {
            last.range = longer;
        } else {
            self.ranges.push(AcquiredRange {
                range: OffsetRange::single(offset),
                delivery_count: count,
                continuation,
            });
        }
        ControlFlow::Continue(())
    }

    /// Whether a never-delivered record may be taken: past the limit only to the end of a record batch.
    fn fits_batch(&self, offset: u64) -> bool {
        if self.taken < self.max {
            return true;
        }
        let Some(last) = self.ranges.last() else { return false };
        let index = self.batches.partition_point(|batch| batch.last() < last.range.last());
        self.batches
            .get(index)
            .is_some_and(|batch| batch.first() <= last.range.last() && offset <= batch.last().get())
    }

    fn push_new(&mut self, range: OffsetRange) {
        self.ranges.push(AcquiredRange {
            range,
            delivery_count: DeliveryCount(1),
            continuation: Continuation(0),
        });
    }
}
