//! What a share partition does, said as simply as possible: a record for each offset, every rule a loop. Shares nothing
//! with the engine. The driver asks both, compares, and says what the journal answered.

mod acquire;
mod settle;
mod time;

use crate::words::{Model, Plan, Rec, State, Why};

impl Model {
    pub(crate) fn free(&self, offset: u64) -> bool {
        let rec = self.recs.get(&offset).filter(|_| offset >= self.start);
        rec.is_some_and(|rec| rec.state == State::Free && !rec.busy)
    }

    pub(crate) fn next_fetch(&self) -> u64 {
        (self.start..self.next)
            .find(|offset| self.free(*offset))
            .unwrap_or(self.next)
    }

    pub(crate) fn can_acquire(&self) -> bool {
        let room = self.next - self.start < self.span;
        (self.next_fetch() < self.next || room) && self.held.is_none_or(|max| self.holding() < max)
    }

    pub(crate) fn holding(&self) -> u64 {
        self.count(|rec| rec.state == State::Held) + self.coming
    }

    pub(crate) fn over(&self, rec: &Rec, now: u64) -> bool {
        now >= rec.attempt.saturating_add(self.max_lease)
    }

    pub(crate) fn at(&mut self, offset: u64) -> &mut Rec {
        self.recs.get_mut(&offset).unwrap()
    }

    pub(crate) fn plan(&mut self, plan: &mut Plan, offset: u64, to: Rec) {
        self.at(offset).busy = true;
        plan.to.push((offset, to));
    }

    pub(crate) fn end(&self, offset: u64, why: Why) -> Rec {
        let mut rec = Rec::default();
        (rec.count, rec.entry) = (self.recs[&offset].count, self.recs[&offset].entry);
        let hole = why == Why::Gap && rec.count == 0;
        rec.state = if hole { State::Hole } else { State::Archived(why) };
        rec
    }

    /// A delivery ends without a result.
    pub(crate) fn fail(&self, offset: u64, until: u64, note: bool) -> Rec {
        let mut rec = self.recs[&offset].clone();
        if rec.count >= self.limit {
            return self.end(offset, Why::Limit);
        }
        rec.notes += usize::from(note);
        (rec.state, rec.until, rec.resume) = (State::Parked, until, false);
        rec
    }

    pub(crate) fn until(&self, rec: &Rec, now: u64) -> u64 {
        (now + self.lock).min(rec.attempt.saturating_add(self.max_lease))
    }

    fn hold(&mut self, plan: &mut Plan, offset: u64, member: u32, now: u64) -> (u16, u32) {
        let mut rec = self.recs[&offset].clone();
        let attempt = if rec.attempt == u64::MAX { now } else { rec.attempt };
        let on = (rec.count, rec.continuation + 1, attempt);
        let (count, continuation, attempt) = if rec.resume { on } else { (rec.count + 1, 0, now) };
        (rec.count, rec.continuation, rec.attempt, rec.resume) = (count, continuation, attempt, false);
        (rec.state, rec.member, rec.until) = (State::Held, member, self.until(&rec, now));
        self.plan(plan, offset, rec);
        self.coming += 1;
        (count, continuation)
    }

    /// First and last offset of an entry. A hole ends it; what it had before a multiple of 1,024 is not known.
    fn entry(&self, offset: u64) -> (u64, u64) {
        let first = self.recs[&offset].entry;
        let same = |next: &u64| self.recs[next].entry == first && self.recs[next].state != State::Hole;
        let last = (offset..self.next).take_while(same).last().unwrap();
        let kafka = (first.max(self.start / 1_024 * 1_024), last);
        self.held.map_or(kafka, |_| (0, u64::MAX))
    }
}
