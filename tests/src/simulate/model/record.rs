//! What may be the matter with one record in one group. A record has a set of states that it may be in: nearly always
//! one; more after an answer failed to come, or when something went on that is told to nobody. Pure.

use super::{Check, Ghosts, Kind, Seen, State};

/// What tells deliveries of one record apart: share partition, epoch, count, continuation.
pub(crate) type Key = (u32, u32, u16, u32);

/// A delivery that somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) key: Key,
    /// It does not end before.
    pub(crate) deadline: u64,
    /// When its attempt began.
    pub(crate) began: u64,
    pub(crate) member: u32,
    /// It may have ended all the same: its member left, its group was reset.
    pub(crate) loose: bool,
}

/// What a member says of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Reject,
    /// After so many nanoseconds; 0: at once.
    Release(u64),
    /// After so many nanoseconds, with a new checkpoint unless that is 0.
    Renew(u64, u8),
    GiveBack,
}

/// A settlement on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) number: u64,
    pub(crate) verdict: Verdict,
    pub(crate) lease: Key,
    /// When it was asked for.
    pub(crate) at: u64,
    /// The record was delivered again before the answer came.
    pub(crate) passed: bool,
}

/// What of its group and topic matters to a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Deliveries of a record at most: one of the two.
    pub(crate) limit: u16,
    pub(crate) limit_high: u16,
    /// The smallest and the largest that there ever were: what nobody was told of may have ended by either.
    pub(crate) limits_ever: (u16, u16),
    pub(crate) max_lease: u64,
    /// Retention may end it.
    pub(crate) drops: bool,
    /// Acquisitions that may have taken it and reached nobody.
    pub(crate) ghosts: Ghosts,
    /// Loss of power may take it back to how it stood before.
    pub(crate) fickle: bool,
    pub(crate) now: u64,
}

/// A record as a group's members know it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) states: Vec<State>,
    /// How it stood at some time since it was last known to be synced; kept where loss of power may take it back.
    pub(crate) past: Vec<State>,
    /// How it may stand on the disk, after a lease has ended in memory alone.
    behind: Vec<State>,
    pub(crate) lease: Option<Lease>,
    pub(crate) claims: Vec<Claim>,
}

/// What a member got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) key: Key,
    pub(crate) mark: u8,
    pub(crate) deadline: u64,
    pub(crate) member: u32,
    pub(crate) began: u64,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            states: vec![State::FRESH],
            past: Vec::new(),
            behind: Vec::new(),
            lease: None,
            claims: Vec::new(),
        }
    }
}

impl Record {
    /// Whether it has ended, so that nothing comes of it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.states.iter().all(State::is_over)
    }

    /// Whether it may have ended by now.
    pub(crate) fn may_be_over(&self, rules: &Rules) -> bool {
        self.states.iter().any(State::is_over) || self.possible(rules).iter().any(State::is_over)
    }

    /// What it may be now is about to change.
    pub(crate) fn remember(&mut self, rules: &Rules) {
        if rules.fickle {
            for state in self.possible(rules) {
                State { ghost: 0, ..state }.join(&mut self.past);
            }
        }
    }

    /// The power was lost, and with it what was not synced: it stands as it did at some time.
    pub(crate) fn drown(&mut self, rules: &Rules) {
        self.states.append(&mut self.past);
        self.crash(rules, true);
    }

    /// Everything that it may be by now.
    pub(crate) fn possible(&self, rules: &Rules) -> Vec<State> {
        let mut all = self.states.clone();
        let mut next = 0;
        while let Some(state) = all.get(next).copied() {
            next += 1;
            let from = all.len();
            self.follow(state, rules, &mut all);
            let new = all.split_off(from);
            for state in new {
                state.join(&mut all);
            }
        }
        all
    }

    /// What may come of a state by itself.
    fn follow(&self, state: State, rules: &Rules, into: &mut Vec<State>) {
        match state.kind {
            Kind::Held => {
                let lease = self.lease.filter(|lease| lease.key.2 == state.count);
                if lease.is_none_or(|lease| lease.loose || lease.deadline <= rules.now) {
                    into.extend(state.ended(rules));
                }
                for claim in self.claims.iter().filter(|claim| !claim.passed) {
                    if lease.is_some_and(|lease| lease.key == claim.lease) {
                        state.settled(claim.verdict, claim.at, rules, into);
                    }
                }
            }
            Kind::Parked => {
                if state.due <= rules.now {
                    into.push(State {
                        kind: Kind::Available,
                        due: 0,
                        ..state
                    });
                }
                if state.again && state.is_exhausted(rules) {
                    into.extend(state.ended(rules));
                }
            }
            Kind::Available => {
                if state.again && state.is_exhausted(rules) {
                    into.extend(state.ended(rules));
                }
                if let Some(ghost) = rules.ghosts.after(state.ghost) {
                    let state = State { ghost, ..state };
                    // Given back, or ended with the member.
                    into.push(State {
                        kind: Kind::Available,
                        again: true,
                        began: u64::MAX,
                        ..state.acquired()
                    });
                    let then = Rules {
                        limit: rules.limits_ever.0,
                        limit_high: rules.limits_ever.1,
                        ..*rules
                    };
                    into.extend(state.acquired().ended(&then));
                    // With a full journal it is held by nobody until a lock is over.
                    into.push(state.acquired());
                }
                if rules.drops {
                    into.push(state.over(Kind::Archived));
                }
            }
            Kind::Accepted | Kind::Archived => {}
        }
    }

    /// A member got it.
    pub(crate) fn deliver(&mut self, got: &Delivered, rules: &Rules) -> Check {
        let possible = self.possible(rules);
        let fits = |state: &&State| {
            state.kind == Kind::Available
                && state.mark == got.mark
                && state.again == (got.key.3 > 0)
                && state.acquired().count == got.key.2
        };
        let before: Vec<State> = possible.iter().filter(fits).copied().collect();
        if before.is_empty() {
            let broken = if possible.iter().all(State::is_over) {
                "I2"
            } else if possible.iter().all(|state| state.kind == Kind::Held) {
                "I3"
            } else {
                "I5"
            };
            return Err(format!("{broken}: delivered as {got:?}, may be {possible:?}: {self:?}"));
        }
        self.remember(rules);
        self.behind.clear();
        self.states.clear();
        for state in before {
            let state = State {
                began: got.began,
                ..state.acquired()
            };
            state.join(&mut self.states);
        }
        for claim in &mut self.claims {
            claim.passed = true;
        }
        self.lease = Some(Lease {
            key: got.key,
            deadline: got.deadline,
            began: got.began,
            member: got.member,
            loose: false,
        });
        Ok(())
    }

    /// Takes a claim out, now that there is an answer.
    pub(crate) fn answered(&mut self, number: u64) -> Option<Claim> {
        let index = self.claims.iter().position(|claim| claim.number == number)?;
        Some(self.claims.remove(index))
    }

    /// A settlement was applied, says the engine.
    pub(crate) fn applied(&mut self, claim: &Claim, rules: &Rules) -> Check {
        if claim.passed {
            // It was what made the record available for the delivery that came first.
            return match claim.verdict {
                Verdict::Accept | Verdict::Reject => Err(format!("I2: {claim:?} applied, delivered since: {self:?}")),
                _ => Ok(()),
            };
        }
        let mut after = Vec::new();
        let current = self.lease.filter(|lease| lease.key == claim.lease);
        if current.is_some() {
            for state in self.states.iter().filter(|state| state.kind == Kind::Held) {
                state.settled(claim.verdict, claim.at, rules, &mut after);
            }
        }
        if after.is_empty() {
            return Err(format!("I3: {claim:?} applied without a lease: {self:?}"));
        }
        self.remember(rules);
        self.states = after;
        self.lease = None;
        Ok(())
    }

    /// Its lease may be over, or not.
    pub(crate) fn loosen(&mut self, loose: bool) {
        if let Some(lease) = &mut self.lease {
            lease.loose |= loose;
        }
    }

    /// A settlement, or an extension, came too late, says the engine.
    pub(crate) fn stale(&mut self, lease: Key, rules: &Rules) -> Check {
        let Some(current) = self.lease.filter(|one| one.key == lease) else {
            return Ok(());
        };
        let left: Vec<State> = self.possible(rules);
        let left: Vec<State> = left.into_iter().filter(|state| state.kind != Kind::Held).collect();
        if left.is_empty() {
            return Err(format!(
                "I7: lease {current:?} is over at {}: {:?}",
                rules.now, self.states
            ));
        }
        if current.loose {
            // What ended it may not be durable.
            self.states.extend(left);
            return Ok(());
        }
        self.remember(rules);
        self.states = left;
        self.lease = None;
        Ok(())
    }

    /// The process has died; `unseen`: acquisitions were on their way.
    pub(crate) fn crash(&mut self, rules: &Rules, unseen: bool) {
        if self.is_over() && self.behind.is_empty() {
            self.lease = None;
            self.claims.clear();
            return;
        }
        self.remember(rules);
        let mut all = self.possible(rules);
        all.append(&mut self.behind);
        if unseen {
            let taken = all.iter().filter(|state| state.kind == Kind::Available);
            let taken: Vec<State> = taken.map(|state| state.acquired()).collect();
            all.extend(taken);
        }
        self.states.clear();
        for state in all {
            // With a full journal nobody holds it, and it is not said, until there is room or a lock is over.
            let left = (state.kind == Kind::Held).then_some(state);
            for state in left.into_iter().chain(state.crashed(rules)) {
                state.join(&mut self.states);
            }
        }
        self.lease = None;
        self.claims.clear();
    }

    /// The journal had no room, and has some now: what ended a lease in memory alone was never written.
    pub(crate) fn lag(&mut self, seen: Seen, rules: &Rules) {
        if seen.kind == Kind::Available {
            let open = self
                .possible(rules)
                .into_iter()
                .filter(|state| !state.is_over() && !state.looks(seen));
            self.behind.extend(open);
        }
    }

    /// It has ended, in one way or another.
    pub(crate) fn pass(&mut self, rules: &Rules) {
        self.remember(rules);
        self.states = self.possible(rules);
        self.states.retain(State::is_over);
        if self.states.is_empty() {
            self.states.push(State::FRESH.over(Kind::Archived));
        }
        self.behind.clear();
        self.lease = None;
    }

    /// The engine was closed: nobody holds it, but for what the disk may not know.
    pub(crate) fn close(&mut self, rules: &Rules) {
        self.states = self.possible(rules);
        self.states.retain(|state| state.kind != Kind::Held);
        self.states.append(&mut self.behind);
        for state in &mut self.states {
            *state = state.reopened();
        }
        self.claims.clear();
        self.lease = None;
    }

    /// The engine says how it stands. Returns what of all that it may be fits.
    pub(crate) fn see(&mut self, seen: Seen, tight: bool, rules: &Rules) -> Result<Vec<State>, String> {
        let possible = self.possible(rules);
        let fits: Vec<State> = possible.iter().filter(|state| state.looks(seen)).copied().collect();
        if fits.is_empty() {
            return Err(format!("it is {seen:?}, may be {possible:?}: {self:?}"));
        }
        // Without room in the journal a lease that is over is not over on the disk: a crash makes it one that it met.
        if !tight {
            self.remember(rules);
            if seen.kind != Kind::Held {
                self.lease = None;
            }
            self.states.clone_from(&fits);
        }
        Ok(fits)
    }
}
