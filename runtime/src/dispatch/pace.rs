//! How many records a deployment may hold: what it will start within its lookahead at its measured handler time, at least one for each
//! free place. Pure: told what was measured, asked for credit. A slow handler gets exactly its free places, so that the lock of a record
//! runs while it is handled and not while it waits.

use std::time::Duration;

/// Credit of one deployment.
#[derive(Clone, Debug)]
pub struct Pace {
    concurrency: usize,
    lanes: usize,
    lookahead: Duration,
    most_ahead: usize,
    wall: Mean,
    busy: Mean,
}

/// How many records may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Records held at most, waiting and running together.
    pub target: usize,
    /// Of these, how many stand ready for places that are not free yet.
    pub ahead: usize,
}

impl Pace {
    /// `concurrency` places spread over `lanes` lanes, both at least 1; `most_ahead` records stand ready for later, however short the
    /// calls are.
    pub fn new(concurrency: usize, lanes: usize, lookahead: Duration, most_ahead: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            lanes: lanes.max(1),
            lookahead,
            most_ahead,
            wall: Mean::default(),
            busy: Mean::default(),
        }
    }

    /// `calls` ended; together they took `wall` from start to end and held their lanes for `busy`.
    pub fn handle_calls(&mut self, calls: u64, wall: Duration, busy: Duration) {
        self.wall.add(calls, wall);
        self.busy.add(calls, busy);
    }

    /// Places and lanes that can be used now: fewer while a lane is wedged.
    pub fn set_places(&mut self, concurrency: usize, lanes: usize) {
        self.concurrency = concurrency;
        self.lanes = lanes.max(1);
    }

    /// How many records may be held now.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers of places and records, capped below"
    )]
    pub fn allowance(&self) -> Allowance {
        let places = Allowance {
            target: self.concurrency,
            ahead: 0,
        };
        let (Some(wall), Some(busy)) = (self.wall.value(), self.busy.value()) else {
            return places;
        };
        if self.concurrency == 0 || wall > self.lookahead.as_nanos() as f64 * SLOW {
            return places;
        }
        let by_places = self.concurrency as f64 / wall.max(1.0);
        let by_lanes = self.lanes as f64 / busy.max(1.0);
        let starts_per_nano = by_places.min(by_lanes);
        let ahead = (starts_per_nano * self.lookahead.as_nanos() as f64)
            .ceil()
            .min(self.most_ahead as f64) as usize;
        let running = (starts_per_nano * wall).ceil().min(self.concurrency as f64) as usize;
        let target = self.concurrency.max(running + ahead);
        Allowance {
            target,
            ahead: target.saturating_sub(self.concurrency).min(ahead),
        }
    }

    /// Records to ask for when `held` are here and `requested` are on their way: 0, or a batch worth asking for.
    pub fn credit(&self, held: usize, requested: usize) -> usize {
        let allowance = self.allowance();
        let here = held + requested;
        let credit = allowance.target.saturating_sub(here);
        // A free place is filled at once; what stands ready for later is topped up in batches.
        if here < self.concurrency || credit >= batch(allowance.ahead) {
            credit
        } else {
            0
        }
    }

    /// With this many records held or fewer there is credit again.
    pub fn refill_at(&self) -> usize {
        let allowance = self.allowance();
        let by_batch = allowance.target.saturating_sub(batch(allowance.ahead));
        by_batch.max(self.concurrency.saturating_sub(1))
    }
}

/// The part of what stands ready that is asked for together.
fn batch(ahead: usize) -> usize {
    (ahead / 4).max(1)
}

/// A handler is slow above this many lookaheads. Above 1, because a handler that waits for as long as the lookahead measures a
/// little more (timers are late, never early), and still needs its successor ready.
const SLOW: f64 = 1.5;

/// A mean that forgets: half of it is from the last sixteen calls.
#[derive(Clone, Copy, Debug, Default)]
struct Mean(Option<f64>);

impl Mean {
    #[expect(clippy::cast_precision_loss, reason = "a mean of durations")]
    fn add(&mut self, calls: u64, total: Duration) {
        if calls == 0 {
            return;
        }
        let mean = total.as_nanos() as f64 / calls as f64;
        let kept = 0.957_f64.powi(i32::try_from(calls).unwrap_or(i32::MAX));
        self.0 = Some(self.0.map_or(mean, |old| old * kept + mean * (1.0 - kept)));
    }

    fn value(self) -> Option<f64> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKAHEAD: Duration = Duration::from_millis(5);

    fn measured(concurrency: usize, lanes: usize, wall: Duration, busy: Duration) -> Pace {
        let mut pace = Pace::new(concurrency, lanes, LOOKAHEAD, 16_384);
        pace.handle_calls(1_000, wall * 1_000, busy * 1_000);
        pace
    }

    #[test]
    fn nothing_measured_is_one_record_a_place() {
        let pace = Pace::new(8, 2, LOOKAHEAD, 16_384);
        assert_eq!(pace.credit(0, 0), 8);
        assert_eq!(pace.credit(3, 4), 1);
        assert_eq!(pace.credit(8, 0), 0);
    }

    #[test]
    fn slow_handlers_get_exactly_their_free_places() {
        for slow in [8, 20, 30_000] {
            let pace = measured(64, 2, Duration::from_millis(slow), Duration::from_micros(20));
            assert_eq!(pace.allowance(), Allowance { target: 64, ahead: 0 });
            assert_eq!((pace.credit(63, 0), pace.credit(64, 0)), (1, 0));
            assert_eq!(pace.refill_at(), 63);
        }
    }

    #[test]
    fn a_handler_as_long_as_the_lookahead_has_its_successor_ready() {
        for concurrency in [1, 64, 1_000] {
            let pace = measured(concurrency, 2, Duration::from_micros(5_500), Duration::from_micros(2));
            let ahead = pace.allowance().ahead;
            assert!(
                ahead > concurrency * 8 / 10 && ahead <= concurrency,
                "{concurrency}: {ahead}"
            );
        }
    }

    #[test]
    fn microsecond_handlers_get_thousands_in_batches() {
        let micros = Duration::from_micros(2);
        let pace = measured(64, 2, micros, micros);
        let target = pace.allowance().target;
        assert!((4_990..=5_010).contains(&target), "{target}");
        assert_eq!(pace.credit(target - 10, 0), 0, "not worth asking");
        assert!(pace.credit(target * 3 / 4, 0) > 1_000);
        assert!(pace.refill_at() < target && pace.refill_at() > target / 2);
    }

    #[test]
    fn lanes_bound_what_places_promise() {
        let pace = measured(1_000, 1, Duration::from_millis(1), Duration::from_micros(100));
        assert!(
            pace.allowance().target <= 1_000,
            "50 starts in 5 ms: the places are enough"
        );
        let pace = measured(10, 1, Duration::from_micros(100), Duration::from_micros(100));
        assert!((50..=52).contains(&pace.allowance().target));
    }

    #[test]
    fn a_handler_that_turns_slow_is_noticed_within_some_calls() {
        let mut pace = measured(4, 2, Duration::from_micros(2), Duration::from_micros(2));
        pace.handle_calls(4, Duration::from_secs(4), Duration::from_micros(8));
        assert_eq!(pace.allowance().target, 4);
    }

    #[test]
    fn no_place_no_credit() {
        let mut pace = measured(4, 2, Duration::from_micros(2), Duration::from_micros(2));
        pace.set_places(0, 0);
        assert_eq!(pace.credit(0, 0), 0);
    }
}
