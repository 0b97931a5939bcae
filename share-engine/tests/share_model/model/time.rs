//! What becomes of records by themselves: the journal answers, time passes, the log start moves, the process dies.

use crate::words::{Model, Plan, Rec, State, Why};

/// After this a refused archival is tried again.
const RETRY: u64 = 100;

impl Model {
    /// What was decided is durable, or was refused. What time alone decides is not rolled back, or tried again.
    pub(crate) fn persisted(&mut self, plan: &Plan, durable: bool, now: u64) {
        if durable {
            self.jumped = self.jumped.filter(|jumped| jumped.0 > plan.jump);
            self.jumped = self.jumped.map(|(to, from)| (to, from.max(plan.jump)));
        } else if plan.log_start {
            self.uncounted += plan.dropped;
        }
        for (offset, to) in plan.to.iter().cloned() {
            self.coming -= u64::from(to.state == State::Held);
            if offset < self.start {
                // It comes back with a crash, as long as the journal does not know of the start.
                self.recs.extend(durable.then_some((offset, Rec { disk: None, ..to })));
                continue;
            }
            let (mut new, mut old) = (to, self.recs[&offset].clone());
            let released = plan.timeout && new.state == State::Parked;
            new.disk = None;
            if !durable && released {
                new.disk = Some(old.disk.take().unwrap_or_else(|| Box::new(old)));
            } else if !durable {
                let again = if plan.timeout { now + RETRY } else { 0 };
                old.busy = false;
                old.retry = old.retry.max(again);
                old.until = if old.state == State::Held {
                    old.until.max(again)
                } else {
                    old.until
                };
                self.recs.insert(offset, old);
                self.turn();
                continue;
            }
            self.put(offset, new, now);
        }
        self.advance();
    }

    fn put(&mut self, offset: u64, mut rec: Rec, now: u64) {
        if rec.state == State::Parked && rec.until <= now {
            rec.state = State::Free;
        }
        if rec.struck && rec.state == State::Free && *self.out.get_or_insert(offset) != offset {
            rec.state = State::Waiting;
        }
        self.recs.insert(offset, rec);
        self.turn();
    }

    /// One struck record is out until it ends or is parked; then the first that waits.
    fn turn(&mut self) {
        let out = |rec: &Rec| matches!(rec.state, State::Free | State::Held);
        let waits = |rec: &Rec| rec.state == State::Waiting && !rec.busy;
        self.out = self.out.filter(|at| *at >= self.start && out(&self.recs[at]));
        self.out = self.out.or_else(|| self.found(waits).first().copied());
        if let Some(at) = self.out.filter(|at| self.recs[at].state == State::Waiting) {
            self.at(at).state = State::Free;
        }
    }

    fn advance(&mut self) {
        while self.recs.get(&self.start).is_some_and(Rec::done) {
            self.start += 1;
        }
    }

    /// Leases and parks that are over, attempts that have lasted too long, in the order of their times.
    pub(crate) fn tick(&mut self, now: u64) -> Plan {
        let (mut plan, mut due) = (Plan::default(), Vec::new());
        plan.timeout = true;
        for (offset, rec) in self.live().filter(|(_, rec)| !rec.busy) {
            let timed = matches!(rec.state, State::Held | State::Parked);
            let until = if timed { rec.until } else { u64::MAX };
            let end = if rec.resume {
                rec.attempt.saturating_add(self.max_lease)
            } else {
                u64::MAX
            };
            due.push((until.min(end).max(rec.retry), offset));
        }
        due.retain(|(time, _)| *time <= now);
        due.sort_unstable();
        for (_, offset) in due {
            let rec = self.recs[&offset].clone();
            let (held, over) = (rec.state == State::Held, rec.resume && self.over(&rec, now));
            if rec.state == State::Parked && rec.until <= now {
                self.put(offset, rec, now);
            }
            plan.expired += u64::from(held);
            plan.exhausted += u32::from(over);
            if held || over {
                self.plan(&mut plan, offset, self.fail(offset, 0, false));
            }
        }
        plan
    }

    /// What lies before `start` is lost at once; held records as well.
    pub(crate) fn log_start(&mut self, start: u64) -> Plan {
        let mut plan = Plan {
            log_start: true,
            ..Plan::default()
        };
        for offset in self.found(|rec| !rec.busy && !rec.done()) {
            let (lost, known) = (offset < start, self.recs[&offset].count > 0);
            plan.dropped += u64::from(lost && !known);
            plan.to
                .extend((lost && known).then(|| (offset, self.end(offset, Why::Retention))));
        }
        if start > self.start {
            plan.dropped += start.saturating_sub(self.next);
            self.jumped = Some((start, self.jumped.map_or(self.start, |jumped| jumped.1)));
            (self.start, self.next) = (start, self.next.max(start));
        }
        // What is in memory alone is written, again if need be.
        if let Some((to, _)) = self.jumped.filter(|jumped| start > jumped.1) {
            plan.jump = to;
            plan.dropped += std::mem::take(&mut self.uncounted);
        }
        self.advance();
        self.turn();
        plan
    }

    /// What is available before `before` is given up.
    pub(crate) fn retire(&mut self, before: u64) -> Plan {
        let mut plan = Plan::default();
        let open = |rec: &Rec| matches!(rec.state, State::Free | State::Waiting) && !rec.busy;
        for offset in self.found(open).into_iter().filter(|offset| *offset < before) {
            plan.dropped += u64::from(self.recs[&offset].count == 0);
            self.plan(&mut plan, offset, self.end(offset, Why::Retention));
        }
        plan
    }

    /// The process dies: what was on its way is forgotten, leases are void and strike their records, attempts are
    /// remembered in seconds.
    pub(crate) fn crash(&mut self, now: u64) {
        (self.start, self.jumped, self.uncounted) = (self.durable_start(), None, 0);
        self.coming = 0;
        for rec in self.recs.values_mut() {
            *rec = rec.disk.take().map_or_else(|| rec.clone(), |disk| *disk);
            (rec.busy, rec.retry) = (false, now);
            if rec.attempt < u64::MAX {
                rec.attempt = rec.attempt.next_multiple_of(1_000).min(now);
            }
        }
        let known = self.found(|rec| rec.count > 0 || rec.state != State::Free);
        self.next = known.last().map_or(self.start, |last| last + 1);
        self.recs.split_off(&self.next);
        for offset in self.start..self.next {
            let mut rec = self.recs.entry(offset).or_default().clone();
            if rec.state == State::Held {
                let first = self.fail(offset, now, false);
                rec = if rec.struck {
                    self.end(offset, Why::Crash)
                } else {
                    first
                };
                rec.struck = rec.state == State::Parked;
            }
            self.recs.insert(offset, rec);
        }
        self.advance();
    }

    /// The state is read from a snapshot: neighbours that are equal in it are one entry, parks are looked at anew.
    pub(crate) fn reload(&mut self, now: u64) {
        let mut before = None;
        for (offset, rec) in self.recs.range_mut(self.start..) {
            rec.state = match rec.state {
                State::Free | State::Waiting if rec.resume => State::Parked,
                State::Free if rec.struck => State::Waiting,
                state => state,
            };
            let count = if rec.done() { 0 } else { rec.count };
            let began = (rec.state == State::Parked).then(|| rec.attempt.div_ceil(1_000));
            let kind = (std::mem::discriminant(&rec.state), rec.struck, count, began);
            let same = before.filter(|(same, _)| *same == kind);
            (rec.entry, rec.retry) = (same.map_or(*offset, |(_, entry)| entry), now);
            before = Some((kind, rec.entry));
        }
        self.out = None;
        self.turn();
    }
}
