//! A topic that only grows, as far as it was looked at: what was seen in it once has to be seen wherever a look comes by again.

use std::collections::BTreeMap;

use crate::cli::crash_test::said::Span;

/// What lies where in the topic.
#[derive(Debug)]
pub(super) struct Grown<T> {
    /// By offset; what the topic has dropped since is forgotten.
    seen: BTreeMap<u64, T>,
    /// Up to where it was looked at.
    next: u64,
    /// What the child's look has come upon; counts when the look is complete.
    pending: BTreeMap<u64, T>,
}

/// What a look has shown.
#[derive(Debug)]
pub(super) struct Shown<T> {
    /// Was never there before.
    pub(super) new: Vec<T>,
    /// Was there, and is not any more, or something else is.
    pub(super) gone: Vec<T>,
}

impl<T> Default for Grown<T> {
    fn default() -> Self {
        Self {
            seen: BTreeMap::new(),
            next: 0,
            pending: BTreeMap::new(),
        }
    }
}

impl<T: Copy + PartialEq> Grown<T> {
    /// Up to where it is known.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// A look begins; one that was cut off counts for nothing.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
    }

    /// The look comes upon something.
    pub(super) fn see(&mut self, at: u64, what: T) {
        self.pending.insert(at, what);
    }

    /// The look is complete. What the topic `may_drop` is everything before its start.
    pub(super) fn looked(&mut self, span: Span, may_drop: bool) -> Shown<T> {
        let shown = std::mem::take(&mut self.pending);
        let kept = self.seen.split_off(&span.start);
        let dropped = std::mem::replace(&mut self.seen, kept);
        let mut gone: Vec<T> = if may_drop {
            Vec::new()
        } else {
            dropped.into_values().collect()
        };
        // What lay behind an end that has moved back is gone wherever the look began.
        let looked_at = self.seen.range(span.from.min(span.end)..);
        let missing: Vec<u64> = looked_at
            .filter(|(at, what)| shown.get(at) != Some(what))
            .map(|(at, _)| *at)
            .collect();
        gone.extend(missing.iter().filter_map(|at| self.seen.remove(at)));
        let mut new = Vec::new();
        for (at, what) in shown {
            if self.seen.insert(at, what).is_none() {
                new.push(what);
            }
        }
        self.next = span.end;
        Shown { new, gone }
    }
}
