//! Deficit round-robin between the deployments of one lane, on measured time: who has used its share waits while another that has not
//! stands at the gate. Pure; called by slots when a slice of theirs is over.

/// Shares of one lane. Keys are given by [`Fair::join`].
#[derive(Debug, Default)]
pub struct Fair {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Nanoseconds left to use; negative after a slice that took longer.
    left: i64,
    /// Slots that stand at the gate.
    at_gate: usize,
}

impl Fair {
    /// One more deployment.
    pub fn join(&mut self) -> usize {
        self.entries.push(Entry {
            left: QUANTUM,
            at_gate: 0,
        });
        self.entries.len() - 1
    }

    /// A slot of `key` used its lane for so long.
    pub fn charge(&mut self, key: usize, nanos: u64) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.left = entry.left.saturating_sub(i64::try_from(nanos).unwrap_or(i64::MAX));
        }
    }

    /// A slot of `key` comes to the gate.
    pub fn enter(&mut self, key: usize) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.at_gate += 1;
        }
    }

    /// It leaves the gate.
    pub fn leave(&mut self, key: usize) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.at_gate = entry.at_gate.saturating_sub(1);
        }
    }

    /// Whether a slot of `key`, which stands at the gate, may go on. If not, somebody else who stands there may.
    pub fn admits(&mut self, key: usize) -> bool {
        let at_gate = |entry: &&mut Entry| entry.at_gate > 0;
        let richest = self.entries.iter_mut().filter(at_gate).map(|entry| entry.left).max();
        if let Some(richest) = richest.filter(|left| *left <= 0) {
            // Nobody has anything left: as many rounds as it takes until somebody has.
            let rounds = -richest / QUANTUM + 1;
            for entry in self.entries.iter_mut().filter(at_gate) {
                entry.left = (entry.left + rounds * QUANTUM).min(QUANTUM);
            }
        }
        self.entries.get(key).is_none_or(|entry| entry.left > 0)
    }
}

/// 1 ms: what a round gives to each.
const QUANTUM: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots that always have work, each with the nanoseconds that a slice of it takes; the time each deployment got.
    fn run(slices: &[(usize, u64)], deployments: usize, turns: usize) -> Vec<u64> {
        let mut fair = Fair::default();
        for _ in 0..deployments {
            fair.join();
        }
        let mut used = vec![0; deployments];
        for (key, _) in slices {
            fair.enter(*key);
        }
        for _ in 0..turns {
            for &(key, nanos) in slices {
                if fair.admits(key) {
                    fair.charge(key, nanos);
                    used[key] += nanos;
                }
            }
        }
        used
    }

    #[test]
    fn many_slots_and_long_slices_win_nothing() {
        for slices in [
            vec![(0, 500_000), (1, 500_000)],
            vec![(0, 500_000), (0, 500_000), (0, 500_000), (1, 500_000)],
            vec![(0, 20_000_000), (1, 500_000)],
        ] {
            let used = run(&slices, 2, 20_000);
            let share = used[0] * 100 / (used[0] + used[1]);
            assert!((47..=53).contains(&share), "{slices:?}: {share} %");
        }
    }

    #[test]
    fn alone_nobody_waits() {
        let mut fair = Fair::default();
        let (busy, _idle) = (fair.join(), fair.join());
        for _ in 0..100 {
            fair.enter(busy);
            assert!(fair.admits(busy));
            fair.leave(busy);
            fair.charge(busy, 30_000_000_000);
        }
    }
}
