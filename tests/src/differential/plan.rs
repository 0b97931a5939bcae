//! What happens next: drawn from a seed and from what our side holds at the moment, so that most requests mean something and some are
//! wrong in a way that somebody could get wrong.

use share_engine::share::{AckType, AcquireMode};

use super::engine::EngineSide;
use super::operation::{Batch, Operation};
use super::{AGE, MEMBERS, Patience};
use crate::simulate::chance::Chance;

/// See the module.
pub(crate) struct Plan {
    chance: Chance,
    kinds: Vec<(Kind, u64)>,
    verbs: Vec<(AckType, u64)>,
    /// One in so many acquisitions is for whole batches.
    whole: u64,
    patience: Patience,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Produce,
    Acquire,
    Right,
    Wrong,
    Reopen,
    Kill,
    Leave,
    Age,
    Expire,
}

/// How often of a hundred, before the seed has its say.
const KINDS: [(Kind, u64); 9] = [
    (Kind::Produce, 10),
    (Kind::Acquire, 34),
    (Kind::Right, 30),
    (Kind::Wrong, 12),
    (Kind::Reopen, 2),
    (Kind::Kill, 3),
    (Kind::Leave, 3),
    (Kind::Age, 3),
    (Kind::Expire, 3),
];

const VERBS: [(AckType, u64); 5] = [
    (AckType::Accept, 6),
    (AckType::Release, 8),
    (AckType::Reject, 3),
    (AckType::Renew, 3),
    (AckType::Gap, 1),
];

/// Records that may wait in the log, so that a sequence ends some time.
const BACKLOG: u64 = 150;

impl Plan {
    pub(crate) fn new(seed: u64, patience: Patience) -> Self {
        let mut chance = Chance::new(seed);
        let kinds = KINDS.map(|(kind, weight)| (kind, weight * chance.pick(&[1, 2, 4])));
        let verbs = VERBS.map(|(verb, weight)| (verb, weight * chance.pick(&[0, 1, 2, 6])));
        let mut verbs = verbs.to_vec();
        if verbs.iter().all(|(_, weight)| *weight == 0) {
            verbs = VERBS.to_vec();
        }
        let whole = chance.pick(&[1, 2, 3, 1_000]);
        Self {
            chance,
            kinds: kinds.to_vec(),
            verbs,
            whole,
            patience,
        }
    }

    /// What happens at this moment of our side's clock.
    pub(crate) fn next(&mut self, engine: &EngineSide, now: u64) -> Operation {
        // A lock that ends while a broker works on a request would leave open which of the two was first.
        let earliest = engine.held().map(|held| held.ends).min();
        let left = earliest.map(|ends| ends.saturating_sub(now));
        let at_stake = self.patience.at_stake();
        if left.is_some_and(|left| left < at_stake) {
            return Operation::Expire;
        }
        loop {
            let operation = match weighted(&mut self.chance, &self.kinds) {
                Kind::Produce if engine.log_end() - engine.next_new() < BACKLOG => Some(self.produce()),
                // Mostly there is something to be had.
                Kind::Acquire if engine.may_give() || self.chance.one_in(6) => Some(self.acquire()),
                Kind::Produce | Kind::Acquire => None,
                Kind::Right => self.right(engine),
                Kind::Wrong => Some(self.wrong(engine)),
                Kind::Reopen => Some(Operation::Reopen {
                    member: self.member(),
                    other_connection: self.chance.one_in(2),
                }),
                Kind::Kill => Some(Operation::Kill { member: self.member() }),
                Kind::Leave => Some(self.leave(engine)),
                Kind::Age => left.is_some_and(|left| left > AGE + at_stake).then_some(Operation::Age),
                Kind::Expire => left.map(|_| Operation::Expire),
            };
            if let Some(operation) = operation {
                return operation;
            }
        }
    }

    fn member(&mut self) -> usize {
        self.chance.index(MEMBERS)
    }

    /// Batches of some records each.
    pub(crate) fn produce(&mut self) -> Operation {
        let count = self.chance.within(1, 4);
        let largest = self.chance.pick(&[1, 4, 12, 40]);
        let sizes = (0..count).map(|_| self.chance.within(1, largest)).collect();
        Operation::Produce { sizes }
    }

    /// Values of these sizes, so that batches are not alike.
    pub(crate) fn values(&mut self, size: u64) -> Vec<Vec<u8>> {
        let value = |_| vec![b'v'; self.chance.index(60)];
        (0..size).map(value).collect()
    }

    pub(crate) fn acquire(&mut self) -> Operation {
        let max = self.chance.pick(&[1, 2, 3, 5, 8, 13, 30, 70, 500]);
        let whole = self.chance.one_in(self.whole);
        let mode = if whole {
            AcquireMode::BatchOptimized
        } else {
            AcquireMode::RecordLimit
        };
        Operation::Acquire {
            member: self.member(),
            max,
            batch_size: if self.chance.one_in(3) { 5 } else { max },
            mode,
        }
    }

    /// A member acknowledges some of what it holds.
    fn right(&mut self, engine: &EngineSide) -> Option<Operation> {
        let holders: Vec<usize> = (0..MEMBERS)
            .filter(|member| engine.held().any(|held| held.member == *member))
            .collect();
        if holders.is_empty() {
            return None;
        }
        let member = self.chance.pick(&holders);
        let batches = self.some_of(&runs(engine, member));
        Some(Operation::Acknowledge { member, batches })
    }

    /// A member goes, with or without a last word.
    fn leave(&mut self, engine: &EngineSide) -> Operation {
        let member = self.member();
        let held = runs(engine, member);
        let batches = if held.is_empty() || self.chance.one_in(2) {
            Vec::new()
        } else {
            self.some_of(&held)
        };
        Operation::Leave { member, batches }
    }

    /// Up to three parts of what is held, ascending.
    fn some_of(&mut self, held: &[(u64, u64)]) -> Vec<Batch> {
        let begin = self.chance.index(held.len());
        let most = self.chance.pick(&[1, 1, 1, 2, 3]);
        let some = held[begin..].iter().take(most);
        let some: Vec<(u64, u64)> = some.copied().collect();
        some.into_iter().map(|run| self.part_of(run)).collect()
    }

    fn part_of(&mut self, (first, last): (u64, u64)) -> Batch {
        let cut = self.chance.within(first, last);
        let (first, last) = match self.chance.below(5) {
            0 => (first, cut),
            1 => (cut, last),
            2 => (cut, self.chance.within(cut, last)),
            _ => (first, last),
        };
        let count = if self.chance.one_in(3) { last - first + 1 } else { 1 };
        let types = (0..count).map(|_| self.verb()).collect();
        Batch { first, last, types }
    }

    fn verb(&mut self) -> AckType {
        weighted(&mut self.chance, &self.verbs)
    }

    /// All that the first member holds.
    pub(crate) fn accept_all(engine: &EngineSide) -> Vec<Batch> {
        let accept = |(first, last)| Batch {
            first,
            last,
            types: vec![AckType::Accept],
        };
        runs(engine, 0).into_iter().map(accept).collect()
    }

    /// A request that has something wrong with it, or nearly.
    fn wrong(&mut self, engine: &EngineSide) -> Operation {
        let (start, next) = (engine.start(), engine.next_new());
        let whose = self.member();
        let mine = runs(engine, whose);
        let mut member = whose;
        let mut batches = if mine.is_empty() {
            let first = self.chance.within(start.saturating_sub(4), next + 4);
            vec![self.part_from(first)]
        } else {
            self.some_of(&mine)
        };
        let last = batches.len() - 1;
        match self.chance.below(8) {
            // Too far.
            0 => batches[last].last += self.chance.within(1, 5),
            // Too early.
            1 => {
                let early = batches[0].first.saturating_sub(self.chance.within(1, 5));
                batches[0].first = early;
            }
            // Somebody else's.
            2 => member = (member + 1) % MEMBERS,
            // Anywhere.
            3 => {
                let first = self.chance.within(start.saturating_sub(8), next + 2);
                batches = vec![self.part_from(first)];
            }
            // Behind everything.
            4 => {
                let first = next + self.chance.below(3);
                batches = vec![self.part_from(first)];
            }
            // Twice, or back.
            5 => {
                let again = batches[last].clone();
                batches.push(again);
            }
            // Before everything.
            6 => {
                let end = start.saturating_sub(1);
                batches = vec![self.part_of((end.saturating_sub(3), end))];
            }
            // A good one before one of nobody's.
            _ => {
                let first = batches[last].last + 1 + self.chance.below(4);
                batches.push(self.part_from(first));
            }
        }
        for batch in &mut batches {
            let count = usize::try_from(batch.last - batch.first + 1).unwrap();
            // Types of single offsets go with the range, but for a few.
            if batch.types.len() > 1 && !self.chance.one_in(4) {
                let verb = self.verb();
                batch.types.resize(count, verb);
            }
        }
        Operation::Acknowledge { member, batches }
    }

    /// A few offsets from there on.
    fn part_from(&mut self, first: u64) -> Batch {
        let more = self.chance.pick(&[0, 0, 1, 3, 20]);
        self.part_of((first, first + more))
    }
}

/// What a member holds, neighbours together.
fn runs(engine: &EngineSide, member: usize) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for held in engine.held().filter(|held| held.member == member) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == held.offset => *last = held.offset,
            _ => runs.push((held.offset, held.offset)),
        }
    }
    runs
}

fn weighted<T: Copy>(chance: &mut Chance, list: &[(T, u64)]) -> T {
    let all: u64 = list.iter().map(|(_, weight)| weight).sum();
    let mut at = chance.below(all);
    for (one, weight) in list {
        if at < *weight {
            return *one;
        }
        at -= weight;
    }
    list[0].0
}
