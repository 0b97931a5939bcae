//! What hosts and members told of single records, put together: who was given which, and which acceptances the brokers confirmed. A line
//! is written after what it tells of has happened, and counts only if it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Shows the lines of a host.
pub const LOG: &str = "log = \"info,sharemill::records=debug\"";

/// Partition and offset.
pub type Place = (i32, u64);

/// Everything that was told.
#[derive(Debug, Default)]
pub struct Trail {
    acquired: Vec<Acquired>,
    /// When an acceptance was confirmed first.
    accepted: BTreeMap<Place, Told>,
    /// Acceptances whose answer was lost.
    unknown: BTreeSet<Place>,
    rejected: BTreeSet<Place>,
}

/// A delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    pub place: Place,
    pub delivery: u16,
    pub told: Told,
}

/// When it was told, since 1970, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub at: Duration,
    pub by: usize,
}

impl Trail {
    /// Lines of one of those who tell; the last one counts only if it is whole.
    #[must_use]
    pub fn with(mut self, by: usize, said: &str) -> Self {
        assert!(!said.contains("log lines were dropped"), "{by} did not tell everything");
        let whole = said.rfind('\n').map_or("", |end| &said[..end]);
        whole.lines().for_each(|line| self.line(by, line));
        self
    }

    fn line(&mut self, by: usize, line: &str) {
        let is_acquired = line.contains(" acquired ");
        if !is_acquired && !line.contains(" settled ") {
            return;
        }
        let field = |name: &str| {
            let (_, rest) = line.split_once(name).unwrap_or_else(|| panic!("no {name} in {line}"));
            rest.split(' ').next().unwrap_or_default()
        };
        let at = humantime::parse_rfc3339(line.split(' ').next().unwrap_or_default());
        let at = at.unwrap_or_else(|error| panic!("{error}: {line}"));
        let told = Told {
            at: at.duration_since(std::time::UNIX_EPOCH).unwrap(),
            by,
        };
        let place = (
            field(" partition=").parse().unwrap(),
            field(" offset=").parse().unwrap(),
        );
        if is_acquired {
            let delivery = field(" delivery=").parse().unwrap();
            self.acquired.push(Acquired { place, delivery, told });
            return;
        }
        match (field(" verb="), field(" outcome=")) {
            ("Accept", "Applied") => {
                let first = self.accepted.entry(place).or_insert(told);
                *first = told.min(*first);
            }
            ("Accept", "Unknown") => drop(self.unknown.insert(place)),
            ("Reject", "Applied" | "Unknown") => drop(self.rejected.insert(place)),
            _ => {}
        }
    }

    /// Deliveries, in the order of the tellers.
    pub fn acquired(&self) -> &[Acquired] {
        &self.acquired
    }

    /// Acceptances that were confirmed.
    pub fn accepted(&self) -> &BTreeMap<Place, Told> {
        &self.accepted
    }

    /// Accepted, and nobody was told whether that was heard.
    pub fn unknown(&self) -> BTreeSet<Place> {
        let open = self.unknown.iter().filter(|place| !self.accepted.contains_key(place));
        open.copied().collect()
    }

    /// Rejected, whether or not that was confirmed.
    pub fn rejected(&self) -> &BTreeSet<Place> {
        &self.rejected
    }

    /// Records that were delivered again.
    pub fn redelivered(&self) -> BTreeSet<Place> {
        let mut seen = BTreeSet::new();
        let again = self.acquired.iter().filter(|one| !seen.insert(one.place));
        again.map(|one| one.place).collect()
    }

    /// Deliveries of records whose acceptance had been confirmed before.
    pub fn repeated(&self) -> Vec<Acquired> {
        let is_late = |one: &&Acquired| self.accepted.get(&one.place).is_some_and(|told| told.at < one.told.at);
        self.acquired.iter().filter(is_late).copied().collect()
    }

    /// What one of them was given, and nobody ever confirmed.
    pub fn left_by(&self, by: usize) -> BTreeSet<Place> {
        let own = self.acquired.iter().filter(|one| one.told.by == by);
        let open = own.filter(|one| !self.accepted.contains_key(&one.place));
        open.map(|one| one.place).collect()
    }

    /// How many acceptances were confirmed to one of them first.
    pub fn accepted_by(&self, by: usize) -> usize {
        self.accepted.values().filter(|told| told.by == by).count()
    }

    /// The longest time from one confirmed acceptance to the next, of anybody, and when it began, counted from the first.
    pub fn longest_pause(&self) -> (Duration, Duration) {
        let mut times: Vec<Duration> = self.accepted.values().map(|told| told.at).collect();
        times.sort_unstable();
        let pauses = times
            .windows(2)
            .map(|two| (two[1].saturating_sub(two[0]), two[0].saturating_sub(times[0])));
        pauses.max().unwrap_or_default()
    }

    /// From the first confirmed acceptance to the last.
    pub fn span(&self) -> Duration {
        let times = || self.accepted.values().map(|told| told.at);
        let first = times().min().unwrap_or_default();
        times().max().unwrap_or_default().saturating_sub(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "\
2026-11-22T10:00:00.000001Z DEBUG acquired topic=jobs partition=0 offset=5 delivery=1
2026-11-22T10:00:00.000002Z DEBUG acquired topic=jobs partition=0 offset=6 delivery=1
2026-11-22T10:00:01.000000Z DEBUG settled topic=jobs partition=0 offset=5 delivery=1 verb=Accept outcome=Applied
2026-11-22T10:00:01.000001Z DEBUG settled topic=jobs partition=0 offset=6 delivery=1 verb=Accept outcome=Unknown
2026-11-22T10:00:01.000002Z DEBUG settled topic=jobs partition=0 offset=7 delivery=1 verb=Accept outcome=App";

    #[test]
    fn what_was_told_is_put_together() {
        let second = "2026-11-22T10:00:02.5Z DEBUG acquired topic=jobs partition=0 offset=6 delivery=2\n\
            2026-11-22T10:00:03.5Z DEBUG settled topic=jobs partition=0 offset=6 delivery=2 verb=Accept outcome=Applied\n";
        let trail = Trail::default().with(0, FIRST);
        assert_eq!(trail.unknown(), BTreeSet::from([(0, 6)]));
        assert_eq!(trail.left_by(0), BTreeSet::from([(0, 6)]));
        let trail = trail.with(1, second);
        assert_eq!(trail.accepted().keys().copied().collect::<Vec<_>>(), [(0, 5), (0, 6)]);
        assert_eq!((trail.accepted_by(0), trail.accepted_by(1)), (1, 1));
        assert_eq!(trail.redelivered(), BTreeSet::from([(0, 6)]));
        assert_eq!(trail.repeated(), []);
        assert_eq!(trail.longest_pause(), (Duration::from_millis(2_500), Duration::ZERO));
    }

    #[test]
    fn a_delivery_after_a_confirmed_acceptance_is_seen() {
        let again = "2026-11-22T10:00:02.0Z DEBUG acquired topic=jobs partition=0 offset=5 delivery=2\n";
        let repeated = Trail::default().with(0, FIRST).with(1, again).repeated();
        assert_eq!(repeated.len(), 1);
        assert_eq!((repeated[0].place, repeated[0].told.by), ((0, 5), 1));
    }
}
