//! What a share partition is, said as simply as possible: one map entry per offset, time in milliseconds.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    Held { member: u32, deadline: u64 },
    Parked,
    Acked,
    Archived,
}

#[derive(Clone, Debug)]
pub(crate) struct Rec {
    pub(crate) state: State,
    pub(crate) count: u16,
    pub(crate) continuation: u32,
    /// The next delivery goes on with the same attempt.
    pub(crate) resume: bool,
    pub(crate) due: u64,
    pub(crate) attempt: u64,
    pub(crate) checkpoint: usize,
    pub(crate) notes: usize,
    pub(crate) struck: bool,
    /// Waits for the journal.
    pub(crate) busy: bool,
    pub(crate) retry: u64,
}

/// What a record becomes when the journal says so.
#[derive(Clone, Debug)]
pub(crate) enum To {
    Held {
        member: u32,
        deadline: u64,
        attempt: u64,
        goes_on: bool,
    },
    Free {
        note: bool,
    },
    Parked {
        due: u64,
        resume: bool,
        checkpoint: Option<usize>,
        note: bool,
    },
    Acked,
    Archived,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) recs: BTreeMap<u64, Rec>,
    pub(crate) start: u64,
    pub(crate) limit: u16,
    pub(crate) lock: u64,
    pub(crate) max_lease: Option<u64>,
}

impl Model {
    pub(crate) fn rec(&mut self, offset: u64) -> &mut Rec {
        self.recs.entry(offset).or_insert(Rec {
            state: State::Free,
            count: 0,
            continuation: 0,
            resume: false,
            due: 0,
            attempt: 0,
            checkpoint: 0,
            notes: 0,
            struck: false,
            busy: false,
            retry: 0,
        })
    }

    pub(crate) fn over(&self, rec: &Rec, now: u64) -> bool {
        self.max_lease.is_some_and(|max| now >= rec.attempt + max)
    }

    pub(crate) fn deadline(&self, attempt: u64, now: u64) -> u64 {
        (now + self.lock).min(self.max_lease.map_or(u64::MAX, |max| attempt + max))
    }

    /// Whether a record may be given to a member; struck ones are left to the caller.
    pub(crate) fn can_take(&self, offset: u64, now: u64) -> bool {
        offset >= self.start
            && self
                .recs
                .get(&offset)
                .is_none_or(|rec| rec.state == State::Free && !rec.busy && !(rec.resume && self.over(rec, now)))
    }

    pub(crate) fn take(&mut self, offset: u64, member: u32, now: u64) -> (u16, u32, To) {
        let (lock, max) = (self.lock, self.max_lease.unwrap_or(u64::MAX));
        let rec = self.rec(offset);
        rec.busy = true;
        let goes_on = rec.resume;
        let attempt = if goes_on { rec.attempt } else { now };
        let deadline = (now + lock).min(attempt.saturating_add(max));
        let counts = if goes_on {
            (rec.count, rec.continuation + 1)
        } else {
            (rec.count + 1, 0)
        };
        (
            counts.0,
            counts.1,
            To::Held {
                member,
                deadline,
                attempt,
                goes_on,
            },
        )
    }

    /// A delivery ends without a result.
    pub(crate) fn fail(&mut self, offset: u64) -> To {
        let limit = self.limit;
        let rec = self.rec(offset);
        rec.busy = true;
        if rec.count >= limit {
            To::Archived
        } else {
            To::Free { note: false }
        }
    }

    pub(crate) fn become_(&mut self, offset: u64, to: &To, now: u64) {
        if offset < self.start {
            return;
        }
        let rec = self.rec(offset);
        rec.busy = false;
        match *to {
            To::Held {
                member,
                deadline,
                attempt,
                goes_on,
            } => {
                rec.continuation = if goes_on { rec.continuation + 1 } else { 0 };
                rec.count += u16::from(!goes_on);
                rec.attempt = attempt;
                rec.resume = false;
                rec.state = State::Held { member, deadline };
            }
            To::Free { note } => {
                rec.resume = false;
                rec.notes += usize::from(note);
                rec.state = State::Free;
            }
            To::Parked {
                due,
                resume,
                checkpoint,
                note,
            } => {
                rec.checkpoint = checkpoint.unwrap_or(rec.checkpoint);
                rec.notes += usize::from(note);
                rec.resume = resume;
                rec.due = due;
                rec.state = if due <= now { State::Free } else { State::Parked };
            }
            To::Acked | To::Archived => {
                let state = if matches!(to, To::Acked) {
                    State::Acked
                } else {
                    State::Archived
                };
                let count = rec.count;
                self.recs.remove(&offset);
                let rec = self.rec(offset);
                (rec.state, rec.count) = (state, count);
            }
        }
        self.advance();
    }

    pub(crate) fn advance(&mut self) {
        while let Some(rec) = self.recs.get(&self.start)
            && matches!(rec.state, State::Acked | State::Archived)
        {
            self.recs.remove(&self.start);
            self.start += 1;
        }
    }

    pub(crate) fn skip_to(&mut self, start: u64) {
        self.start = self.start.max(start);
        self.recs = self.recs.split_off(&self.start);
        self.advance();
    }

    /// Time has come: what fails now, what is free from now on.
    pub(crate) fn tick(&mut self, now: u64) -> Vec<(u64, To)> {
        let offsets: Vec<u64> = self.recs.keys().copied().collect();
        let mut failed = Vec::new();
        for offset in offsets {
            let rec = self.recs[&offset].clone();
            if rec.busy || rec.retry > now {
                continue;
            }
            let live = matches!(rec.state, State::Free | State::Parked);
            let ended = match rec.state {
                State::Held { deadline, .. } => deadline <= now,
                _ => live && rec.resume && self.over(&rec, now),
            };
            if rec.state == State::Parked && rec.due <= now {
                self.rec(offset).state = State::Free;
            }
            if ended {
                failed.push((offset, self.fail(offset)));
            }
        }
        failed
    }

    /// The process dies: what was on its way is forgotten, attempts are remembered in seconds.
    pub(crate) fn crash(&mut self, now: u64) {
        self.recs
            .retain(|_, rec| rec.count > 0 || !matches!(rec.state, State::Free));
        for rec in self.recs.values_mut() {
            rec.busy = false;
            rec.retry = 0;
            rec.attempt = rec.attempt.div_ceil(1_000).saturating_mul(1_000).min(now);
            if let State::Held { .. } = rec.state {
                let last = rec.struck || rec.count >= self.limit;
                rec.state = if last { State::Archived } else { State::Free };
                rec.struck = true;
            }
            if matches!(rec.state, State::Archived) {
                (rec.continuation, rec.checkpoint, rec.notes, rec.struck) = (0, 0, 0, false);
            }
        }
        self.advance();
    }
}
