//! Keeps a deployment whose calls nearly all fail from burning the lanes: after a window in which at least four of five calls were
//! unhealthy it may spend on them a quarter of the time at most. Records among them that are well cost nothing until then. Pure.

use std::time::Duration;

use share_engine::time::Instant;

/// One deployment's breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    lanes: u32,
    window: Option<Window>,
    rest_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    healthy: u64,
    unhealthy: u64,
    busy: Duration,
}

impl Breaker {
    /// For a deployment that runs on this many lanes.
    pub fn new(lanes: usize) -> Self {
        Self {
            lanes: u32::try_from(lanes.max(1)).unwrap_or(u32::MAX),
            window: None,
            rest_until: None,
        }
    }

    /// Calls that ended by `now`, and how long all of them held their lanes.
    pub fn handle_calls(&mut self, now: Instant, healthy: u64, unhealthy: u64, busy: Duration) {
        if healthy + unhealthy == 0 {
            return;
        }
        let window = self.window.get_or_insert(Window {
            began: now,
            healthy: 0,
            unhealthy: 0,
            busy: Duration::ZERO,
        });
        window.healthy += healthy;
        window.unhealthy += unhealthy;
        window.busy += busy;
        let seen = window.healthy + window.unhealthy;
        if seen < ENOUGH && now.since(window.began) < WINDOW {
            return;
        }
        if seen >= FEW && window.unhealthy * 5 >= seen * 4 {
            let rest = window.busy * REST / self.lanes;
            self.rest_until = Some(now.after(rest.min(LONGEST_REST)));
        }
        self.window = None;
    }

    /// Until when nothing is to be acquired; `None`: go on.
    pub fn resting(&mut self, now: Instant) -> Option<Instant> {
        self.rest_until = self.rest_until.filter(|until| *until > now);
        self.rest_until
    }
}

/// A window is judged when it is this old, or has seen enough.
const WINDOW: Duration = Duration::from_millis(100);
const ENOUGH: u64 = 64;
/// Fewer calls than this are no storm.
const FEW: u64 = 8;
/// Rest is this many times the work.
const REST: u32 = 3;
/// A deployment that recovered is noticed within this time.
const LONGEST_REST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1_000)
    }

    #[test]
    fn a_storm_gets_a_quarter_of_the_time() {
        let mut breaker = Breaker::new(2);
        let (mut now, mut busy) = (0, 0);
        for _ in 0..1_000 {
            if let Some(until) = breaker.resting(at(now)) {
                now = until.as_nanos() / 1_000;
            }
            // 64 traps of 30 us on two lanes.
            now += 960;
            busy += 960;
            breaker.handle_calls(at(now), 0, 64, Duration::from_micros(1_920));
        }
        let share = busy * 100 / now;
        assert!((24..=26).contains(&share), "{share} %");
    }

    #[test]
    fn some_poison_rests_nobody() {
        for unhealthy in [0, 1, 10, 50, 79] {
            let mut breaker = Breaker::new(2);
            breaker.handle_calls(at(1), 100 - unhealthy, unhealthy, Duration::from_millis(1));
            assert_eq!(breaker.resting(at(2)), None, "{unhealthy} %");
        }
    }

    #[test]
    fn a_few_failures_rest_nobody_and_the_rest_ends() {
        let mut breaker = Breaker::new(1);
        breaker.handle_calls(at(0), 0, 7, Duration::from_millis(1));
        breaker.handle_calls(at(200_000), 0, 0, Duration::ZERO);
        assert_eq!(breaker.resting(at(200_000)), None);
        breaker.handle_calls(at(200_000), 0, 64, Duration::from_mins(1));
        assert_eq!(breaker.resting(at(200_001)), Some(at(1_200_000)));
        assert_eq!(breaker.resting(at(1_200_000)), None);
    }
}
