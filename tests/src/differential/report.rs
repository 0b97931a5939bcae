//! What was done and compared, and what differed.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by name. Equal for equal seeds, but for how often a sequence was too slow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<(Group, &'static str), u64>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Operations,
    Acknowledgements,
    Compared,
    Exercised,
    Deliberate,
}

impl Tally {
    pub(crate) fn count(&mut self, group: Group, name: &'static str, by: u64) {
        if by > 0 {
            *self.counts.entry((group, name)).or_default() += by;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for ((group, name), count) in &other.counts {
            self.count(*group, name, *count);
        }
    }

    /// All of a group.
    pub(crate) fn sum(&self, group: Group) -> u64 {
        let of_group = self.counts.iter().filter(|((of, _), _)| *of == group);
        of_group.map(|(_, count)| count).sum()
    }

    /// How often this was seen, in whatever group.
    pub fn of(&self, name: &str) -> u64 {
        let named = self.counts.iter().filter(|((_, one), _)| *one == name);
        named.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in [
            Group::Operations,
            Group::Acknowledgements,
            Group::Compared,
            Group::Exercised,
            Group::Deliberate,
        ] {
            let title = match group {
                Group::Operations => "operations",
                Group::Acknowledgements => "acknowledgements, by answer",
                Group::Compared => "comparisons",
                Group::Exercised => "seen",
                Group::Deliberate => "differences that are meant",
            };
            writeln!(f, "{:>8}  {title}", self.sum(group))?;
            for ((of, name), count) in &self.counts {
                if *of == group {
                    writeln!(f, "{count:>12}  {name}")?;
                }
            }
        }
        Ok(())
    }
}

/// A sequence that did not go as it had to.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Of the sequence.
    pub seed: u64,
    /// How many operations it was to have.
    pub steps: u64,
    /// What differs, and what led to it.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, steps, what } = self;
        write!(
            f,
            "seed {seed}: {what}\nagain: differential --seed {seed} --steps {steps} --verbose"
        )
    }
}
