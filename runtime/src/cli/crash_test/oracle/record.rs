//! What is known of one task that its group has not finished.

use super::Kind;
use crate::cli::crash_test::said::{Lease, Verb};

/// One task.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) number: Option<u64>,
    /// Acknowledged, or seen after a restart: it must be there from now on.
    pub(super) durable: bool,
    pub(super) tallied: Tallied,
    /// The look that found it in the topic, and the one that found it in the group.
    pub(super) lies: u64,
    pub(super) stands: u64,
    pub(super) fate: Fate,
    /// Of the last delivery.
    pub(super) count: u16,
    pub(super) continuation: u32,
    /// The count at the child's start, and the ones that it has told since.
    pub(super) floor: u16,
    pub(super) told: Vec<u16>,
    pub(super) held: bool,
    /// The settlement of the last delivery that has no answer.
    pub(super) trying: Option<Verb>,
    /// The last delivery may go on with the same count.
    pub(super) same_again: bool,
    /// The newest that was acknowledged.
    pub(super) checkpoint: Option<u32>,
}

/// Whether it counts as produced, with an answer or without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tallied {
    #[default]
    No,
    Yes,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    #[default]
    Open,
    Accepted,
    Archived,
}

impl Record {
    pub(super) fn is_of(&self, lease: Lease) -> bool {
        (self.count, self.continuation) == (lease.count, lease.continuation)
    }

    /// A delivery of this child's that is over since, as a later one was told before it: whoever got it could not say so while
    /// its lease lasted.
    pub(super) fn is_late(&self, lease: Lease) -> bool {
        self.floor < lease.count && lease.count < self.count && !self.told.contains(&lease.count)
    }

    pub(super) fn deliver(&mut self, lease: Lease) {
        self.count = lease.count;
        self.continuation = lease.continuation;
        self.told.push(lease.count);
        self.held = true;
        self.trying = None;
        self.same_again = false;
    }

    /// A settlement has an answer. The same delivery may have been given back and be settled by another since.
    pub(super) fn answered(&mut self, verb: Verb) {
        self.trying = self.trying.filter(|trying| *trying != verb);
    }

    /// Another child begins.
    pub(super) fn begin(&mut self) {
        self.tallied = Tallied::Yes;
        self.floor = self.count;
        self.told.clear();
    }

    /// What is wrong with its being delivered like this.
    pub(super) fn objection(&self, lease: Lease, with: Option<u32>) -> Option<(Kind, String)> {
        let (before, now) = (self.count, lease.count);
        match self.fate {
            Fate::Accepted => return Some((Kind::Redelivered, "was accepted and comes again".to_owned())),
            Fate::Archived => return Some((Kind::Other, "was put aside and comes again".to_owned())),
            Fate::Open => {}
        }
        if now < before {
            let text = format!("was delivered {before} times, and its next delivery is number {now}");
            return Some((Kind::Other, text));
        }
        if now == before && !self.same_again {
            return Some((Kind::Other, format!("was delivered twice as delivery number {now}")));
        }
        if self.checkpoint.is_some_and(|left| with.is_none_or(|with| with < left)) {
            return Some((Kind::Lost, "comes without the checkpoint that it was left".to_owned()));
        }
        None
    }
}
