//! Counts that one lane keeps by itself, to be added up in batches: no atomic per record.

use std::time::Duration;

use super::names::BUCKETS;

/// What happened on one station since the last time.
#[derive(Debug, Default)]
pub struct Tally {
    /// Durable acknowledgements, by verdict.
    pub verdicts: Counts,
    /// Calls, by end.
    pub ends: Counts,
    /// Records given up, by cause.
    pub archived: Counts,
    /// Outcomes dropped because the lease was lost.
    pub dropped: u64,
    /// Settlements that were stale.
    pub stale: u64,
    /// Settlements refused.
    pub refused: u64,
    /// Settlements whose fate is unknown.
    pub unknown: u64,
    /// Workers opened.
    pub opened: u64,
    /// From the start to the end of calls.
    pub handler: Spread,
    /// From append to durable acceptance.
    pub acknowledged: Spread,
}

impl Tally {
    /// Nothing happened.
    pub fn is_empty(&self) -> bool {
        let single = self.dropped + self.stale + self.refused + self.unknown + self.opened;
        single == 0 && self.ends.0.is_empty() && self.verdicts.0.is_empty()
    }
}

/// Counters by name; few names, the most frequent first after a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    /// One more of `name`.
    pub fn add(&mut self, name: &'static str) {
        self.add_many(name, 1);
    }

    /// So many more of `name`.
    pub fn add_many(&mut self, name: &'static str, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, counted)) => *counted += count,
            None => self.0.push((name, count)),
        }
    }

    /// How many of `name`.
    pub fn get(&self, name: &str) -> u64 {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(0, |(_, count)| *count)
    }

    /// All names that were seen.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().copied()
    }
}

/// Durations in buckets, each with its sum: the mean of a bucket stands for all that fell into it.
#[derive(Clone, Debug)]
pub struct Spread {
    counts: [u32; BUCKETS.len() + 1],
    sums: [f64; BUCKETS.len() + 1],
    touched: bool,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS.len() + 1],
            sums: [0.0; BUCKETS.len() + 1],
            touched: false,
        }
    }
}

impl Spread {
    /// One more.
    pub fn record(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BUCKETS.partition_point(|bound| *bound < seconds);
        if let (Some(count), Some(sum)) = (self.counts.get_mut(bucket), self.sums.get_mut(bucket)) {
            *count += 1;
            *sum += seconds;
            self.touched = true;
        }
    }

    /// For each bucket that has some: the mean in seconds, and how many.
    pub fn samples(&self) -> impl Iterator<Item = (f64, u32)> + '_ {
        let buckets = self.counts.iter().zip(&self.sums).filter(|_| self.touched);
        buckets
            .filter(|(count, _)| **count > 0)
            .map(|(count, sum)| (sum / f64::from(*count), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_stay_in_their_buckets() {
        let mut spread = Spread::default();
        for micros in [3, 5, 60, 70, 2_000_000, 100_000_000] {
            spread.record(Duration::from_micros(micros));
        }
        let samples: Vec<(f64, u32)> = spread.samples().collect();
        assert_eq!(samples.len(), 4);
        assert!((samples[0].0 - 0.000_004).abs() < 1e-9 && samples[0].1 == 2);
        assert!((samples[1].0 - 0.000_065).abs() < 1e-9 && samples[1].1 == 2);
        assert_eq!((samples[3].0, samples[3].1), (100.0, 1));
    }
}
