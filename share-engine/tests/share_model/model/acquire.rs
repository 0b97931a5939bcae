//! What a member is given: first what was seen before, entry by entry, then new offsets.

use crate::words::{Ask, Got, Model, Plan, Rec, Why};

impl Model {
    pub(crate) fn acquire(&mut self, ask: &Ask<'_>, now: u64) -> (Got, Plan) {
        let (mut got, mut plan) = (Got::new(), Plan::default());
        let (Some(&(found, _)), Some(&(_, end))) = (ask.read.first(), ask.read.last()) else {
            return (got, plan);
        };
        if self.start == self.next && ask.from <= self.next && found > self.next {
            self.jumped = Some((found, self.jumped.map_or(self.start, |jumped| jumped.1)));
            (self.start, self.next) = (found, found);
        }
        plan.jump = self.jumped.map_or(0, |jumped| jumped.0);
        // A full window gives only what it holds.
        let (last, window) = match self.span.saturating_sub(self.next - self.start) {
            0 => (end.min(self.next - 1), self.next.saturating_sub(ask.from)),
            room => (end, room),
        };
        let room = |held: u64| held.saturating_sub(self.holding());
        let max = ask.max.min(self.held.map_or(window, room));
        if max == 0 || end < self.start {
            return (got, plan);
        }
        for gone in (ask.from..found.min(self.next)).collect::<Vec<_>>() {
            if self.free(gone) {
                self.plan(&mut plan, gone, self.end(gone, Why::Gap));
            }
        }
        let more = self.acquire_again(ask, max, last, &mut got, &mut plan, now);
        let left = max.saturating_sub(got.iter().map(|got| got.1 - got.0 + 1).sum());
        if more && left > 0 && last >= self.next {
            self.acquire_new(ask, left, last, &mut got, &mut plan, now);
        }
        (got, plan)
    }

    /// What was seen before, entry by entry. Kafka's rules: an entry that has failed often is halved and ends it all, a
    /// record that may be at its last attempt is alone. Whether there may be more.
    fn acquire_again(&mut self, ask: &Ask<'_>, max: u64, last: u64, got: &mut Got, plan: &mut Plan, now: u64) -> bool {
        let (mut taken, mut cap, mut failing, mut whole, mut ranges) = (0, u64::MAX, false, None, 0);
        for at in ask.read[0].0.max(self.start)..self.next.min(last + 1) {
            if !self.free(at) {
                continue;
            }
            let (rec, entry) = (self.recs[&at].clone(), self.entry(at));
            if whole != Some(entry.1) {
                let often = self.limit.div_ceil(2).max(2);
                let counts: Vec<u16> = (at..=entry.1.min(last))
                    .filter(|offset| self.free(*offset))
                    .map(|offset| self.recs[&offset].count)
                    .collect();
                let worst = counts.iter().position(|count| self.held.is_none() && *count >= often);
                if taken >= max || failing || worst.is_some() && taken > 0 {
                    return false;
                }
                // A part of the entry, unless it has given as many before the first that failed often.
                let part = |index: usize| ((entry.1 - entry.0 + 1) >> (counts[index] - often + 1)).max(1);
                cap = match worst {
                    Some(index) if (index as u64) < part(index) => part(index),
                    _ => u64::MAX,
                };
                failing = worst.is_some();
                (whole, ranges, plan.throttled) = (Some(entry.1), got.len(), failing);
            }
            if rec.resume && self.over(&rec, now) {
                continue;
            }
            let alone = failing && self.limit > 2 && !rec.resume && rec.count + 1 == self.limit;
            let begun = |got: &(u64, u64, u16, u32)| ask.read.iter().any(|batch| batch.0 <= got.1 && at <= batch.1);
            let soft = !ask.exact && (self.held.is_none() || rec.count > 0 || got.last().is_some_and(begun));
            if !soft && taken >= max || taken >= cap || alone && taken > 0 {
                return false;
            }
            let (count, on) = self.hold(plan, at, ask.member, now);
            match got[ranges..].last_mut() {
                Some(last) if (last.1 + 1, last.2, last.3, on) == (at, count, 0, 0) => last.1 = at,
                _ => got.push((at, at, count, on)),
            }
            taken += 1;
            if alone {
                return false;
            }
        }
        !failing
    }

    /// Whole record batches, or exactly so many; the rest of a batch that was begun is seen as well.
    fn acquire_new(&mut self, ask: &Ask<'_>, max: u64, last: u64, got: &mut Got, plan: &mut Plan, now: u64) {
        let batch_end = |at| {
            ask.read
                .iter()
                .find(|batch| batch.0 <= at && at <= batch.1)
                .map_or(at, |batch| batch.1)
        };
        let (first, mut entry) = (self.next.max(ask.read[0].0), self.next);
        let target = last.min(first + max - 1);
        let take = if ask.exact { target } else { batch_end(target) };
        let seen = self.next..batch_end(take) + 1;
        self.next = seen.end;
        for offset in seen {
            let base = ask.read.iter().any(|batch| batch.0 == offset) && !ask.exact && offset <= take;
            if offset == first || base && offset > first && offset - entry >= ask.batch_size {
                entry = offset;
            }
            self.recs.insert(offset, Rec::default());
            self.at(offset).entry = entry;
            if offset < first && offset >= ask.from {
                self.plan(plan, offset, self.end(offset, Why::Gap));
            } else if offset >= first && offset <= take {
                self.hold(plan, offset, ask.member, now);
                match got.last_mut() {
                    Some(last) if offset > entry => last.1 = offset,
                    _ => got.push((offset, offset, 1, 0)),
                }
            }
        }
    }
}
