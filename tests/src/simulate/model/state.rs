//! One state that a record may be in, and what comes of it: by a settlement, by the end of a lease or of the process, by an
//! acquisition. Pure.

use super::{Rules, Verdict};

/// How a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Available,
    Held,
    Parked,
    Accepted,
    Archived,
}

/// One state that a record may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    /// Deliveries so far.
    pub(crate) count: u16,
    /// The next acquisition goes on with the same delivery.
    pub(crate) again: bool,
    /// A process died with it.
    pub(crate) struck: bool,
    /// Its checkpoint; 0: none.
    pub(crate) mark: u8,
    /// Parked: not available before.
    pub(crate) due: u64,
    /// When its attempt began.
    pub(crate) began: u64,
    /// The last acquisition without a member that may have taken it.
    pub(crate) ghost: u32,
}

/// Acquisitions that may have reached nobody, in the order in which they were given up: those behind `from`, up to `to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ghosts {
    from: u32,
    to: u32,
}

impl Ghosts {
    pub(crate) fn are_there(self) -> bool {
        self.from < self.to
    }

    /// So many more.
    pub(crate) fn add(&mut self, number: u32) {
        self.to += number;
    }

    /// What they did was seen.
    pub(crate) fn end(&mut self) {
        self.from = self.to;
    }

    /// The first that may have come after another.
    pub(super) fn after(self, last: u32) -> Option<u32> {
        let next = last.max(self.from) + 1;
        (next <= self.to).then_some(next)
    }
}

/// What the engine says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    pub(crate) count: u16,
    pub(crate) struck: bool,
    pub(crate) marked: bool,
}

impl State {
    pub(crate) const FRESH: Self = Self {
        kind: Kind::Available,
        count: 0,
        again: false,
        struck: false,
        mark: 0,
        due: 0,
        began: 0,
        ghost: 0,
    };

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.kind, Kind::Accepted | Kind::Archived)
    }

    /// Adds it to a list, unless that has it, or has it with more acquisitions without a member to come.
    pub(super) fn join(self, list: &mut Vec<Self>) {
        let covers = |one: &Self| {
            one.ghost <= self.ghost
                && Self {
                    ghost: self.ghost,
                    ..*one
                } == self
        };
        if !list.iter().any(covers) {
            list.push(self);
        }
    }

    pub(super) fn looks(&self, seen: Seen) -> bool {
        self.kind == seen.kind
            && (self.is_over()
                || self.count == seen.count && self.struck == seen.struck && (self.mark != 0) == seen.marked)
    }

    /// A delivery ended without a result.
    pub(super) fn ended(self, rules: &Rules) -> impl Iterator<Item = Self> + use<> {
        let archived = (self.count >= rules.limit).then(|| self.over(Kind::Archived));
        let available = Self {
            kind: Kind::Available,
            again: false,
            due: 0,
            ..self
        };
        let available = (self.count < rules.limit_high).then_some(available);
        archived.into_iter().chain(available)
    }

    pub(super) fn over(self, kind: Kind) -> Self {
        Self {
            kind,
            again: false,
            mark: 0,
            due: 0,
            ..self
        }
    }

    /// Whether its attempt may have lasted too long. The engine keeps whole seconds over a restart. One that began at 0
    /// may have lasted for longer than there has been time: the wall clock was set.
    pub(super) fn is_exhausted(&self, rules: &Rules) -> bool {
        self.began == 0 || rules.now.saturating_add(1_500_000_000) >= self.began.saturating_add(rules.max_lease)
    }

    /// What a settlement may make of it.
    pub(super) fn settled(self, verdict: Verdict, at: u64, rules: &Rules, into: &mut Vec<Self>) {
        let parked = |length: u64, again| Self {
            kind: if length == 0 { Kind::Available } else { Kind::Parked },
            again,
            due: if length == 0 { 0 } else { at + length },
            ..self
        };
        match verdict {
            Verdict::Accept => into.push(self.over(Kind::Accepted)),
            Verdict::Reject => into.push(self.over(Kind::Archived)),
            Verdict::Release(0) => into.extend(self.ended(rules)),
            Verdict::Release(length) => {
                into.extend(self.ended(rules).filter(|state| state.kind == Kind::Archived));
                if self.count < rules.limit_high {
                    into.push(parked(length, false));
                }
            }
            Verdict::Renew(length, mark) => {
                if self.is_exhausted(rules) {
                    into.extend(self.ended(rules));
                }
                let parked = parked(length, true);
                let mark = if mark == 0 { parked.mark } else { mark };
                into.push(Self { mark, ..parked });
            }
            Verdict::GiveBack => into.push(Self {
                // Its attempt begins anew.
                began: u64::MAX,
                ..parked(0, true)
            }),
        }
    }

    /// What a crash makes of it.
    pub(super) fn crashed(self, rules: &Rules) -> Vec<Self> {
        match self.kind {
            Kind::Held if self.struck => vec![self.over(Kind::Archived)],
            Kind::Held => self.ended(rules).map(|state| Self { struck: true, ..state }).collect(),
            _ => vec![self.reopened()],
        }
    }

    /// Read from the disk, where delays are kept in whole milliseconds.
    pub(super) fn reopened(self) -> Self {
        Self {
            due: self.due / 1_000_000 * 1_000_000,
            ..self
        }
    }

    /// What it becomes when somebody acquires it.
    pub(super) fn acquired(self) -> Self {
        Self {
            kind: Kind::Held,
            count: if self.again { self.count } else { self.count + 1 },
            again: false,
            due: 0,
            ..self
        }
    }
}
