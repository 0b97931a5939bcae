//! What the log says of failed attempts and dead letters: a few lines a second for each deployment, and how many it left out. A storm costs
//! one short lock for each batch of results, and nothing for each record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use share_engine::time::Instant;

use crate::source::{Delivery, Settlement, Verdict};
use crate::supervisor::DeploymentSpec;

/// What failed in one batch of results.
#[derive(Debug, Default)]
pub(crate) struct Failed {
    dead: Counted,
    again: Counted,
}

#[derive(Debug, Default)]
struct Counted {
    records: u64,
    /// The first of them; the others are only counted.
    first: Vec<Ending>,
}

/// How one attempt ended.
#[derive(Debug)]
struct Ending {
    topic: Arc<str>,
    partition: u32,
    offset: u64,
    attempt: u16,
    cause: &'static str,
    reason: Option<String>,
    delay: Duration,
}

/// One deployment's, over all lanes.
#[derive(Debug, Default)]
pub(crate) struct Endings(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    dead: Window,
    again: Window,
}

/// What was said in the present second, and what was not.
#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    said: usize,
    left_out: u64,
}

impl Failed {
    /// The failed attempt of a record is durable; `last`: it had no other left.
    pub(crate) fn add(&mut self, delivery: &Delivery, settlement: &Settlement, last: bool) {
        let kind = if last { &mut self.dead } else { &mut self.again };
        kind.records += 1;
        if kind.first.len() >= MOST_DEAD {
            return;
        }
        let evidence = settlement.evidence.as_ref();
        let cause = evidence.map_or("release", |evidence| evidence.cause.name());
        let reason = evidence.and_then(|evidence| evidence.reason.as_deref());
        let delay = match settlement.verdict {
            Verdict::Release { delay } => delay,
            _ => Duration::ZERO,
        };
        kind.first.push(Ending::of(delivery, cause, reason, delay));
    }

    /// A record that was given up some time ago, or was never handled, has its dead letter now.
    pub(crate) fn buried(delivery: &Delivery, cause: &'static str, reason: Option<&str>) -> Self {
        Self {
            dead: Counted {
                records: 1,
                first: vec![Ending::of(delivery, cause, reason, Duration::ZERO)],
            },
            again: Counted::default(),
        }
    }
}

impl Endings {
    /// Says as much as the second still holds, and what was left out of the one before.
    pub(crate) fn tell(&self, now: Instant, spec: &DeploymentSpec, failed: &Failed) {
        if failed.dead.records + failed.again.records == 0 {
            return;
        }
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (dead_before, dead) = inner.dead.admit(now, &failed.dead, MOST_DEAD);
        let (again_before, again) = inner.again.admit(now, &failed.again, MOST_AGAIN);
        drop(inner);
        left_out(spec, dead_before, again_before);
        for ending in failed.dead.first.iter().take(dead) {
            ending.tell_dead(spec);
        }
        for ending in failed.again.first.iter().take(again) {
            ending.tell_again(spec);
        }
    }

    /// Says what was left out and what no later record has told of.
    pub(crate) fn tell_rest(&self, now: Instant, spec: &DeploymentSpec) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (dead, again) = (inner.dead.rest(now), inner.again.rest(now));
        drop(inner);
        left_out(spec, dead, again);
    }
}

impl Window {
    /// What was left out of a second that is over, and how many lines may be said now.
    fn admit(&mut self, now: Instant, counted: &Counted, most: usize) -> (u64, usize) {
        if counted.records == 0 {
            return (0, 0);
        }
        let before = if self.is_over(now) {
            self.began = Some(now);
            self.said = 0;
            std::mem::take(&mut self.left_out)
        } else {
            0
        };
        let admitted = counted.first.len().min(most.saturating_sub(self.said));
        self.said += admitted;
        self.left_out += counted.records - admitted as u64;
        (before, admitted)
    }

    fn rest(&mut self, now: Instant) -> u64 {
        if self.is_over(now) {
            std::mem::take(&mut self.left_out)
        } else {
            0
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.began.is_none_or(|began| now.since(began) >= SECOND)
    }
}

impl Ending {
    fn of(delivery: &Delivery, cause: &'static str, reason: Option<&str>, delay: Duration) -> Self {
        Self {
            topic: delivery.topic.clone(),
            partition: delivery.partition,
            offset: delivery.offset().get(),
            attempt: delivery.attempt(),
            cause,
            reason: reason.map(shortened),
            delay,
        }
    }

    fn tell_dead(&self, spec: &DeploymentSpec) {
        let (cause, reason, attempts) = (self.cause, self.reason.as_deref(), self.attempt);
        let (deployment, record) = (&*spec.name, self.record());
        match &spec.dead_letter {
            Some(to) => {
                let to = &**to;
                tracing::info!(deployment, %record, cause, reason, attempts, to, "dead letter");
            }
            None => {
                tracing::info!(deployment, %record, cause, reason, attempts, "record given up: no dead letters are kept");
            }
        }
    }

    fn tell_again(&self, spec: &DeploymentSpec) {
        let (cause, reason) = (self.cause, self.reason.as_deref());
        let (deployment, record) = (&*spec.name, self.record());
        let attempt = format_args!("{} of {}", self.attempt, spec.attempts);
        tracing::info!(deployment, %record, cause, reason, attempt = %attempt, again_in = ?rounded(self.delay), "attempt failed");
    }

    /// As `dead list` names where a letter is from.
    fn record(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

fn left_out(spec: &DeploymentSpec, dead: u64, again: u64) {
    let deployment = &*spec.name;
    if dead > 0 {
        tracing::info!(
            deployment,
            count = dead,
            "more dead letters within a second, not shown one by one"
        );
    }
    if again > 0 {
        tracing::info!(
            deployment,
            count = again,
            "more failed attempts within a second, not shown one by one"
        );
    }
}

fn shortened(reason: &str) -> String {
    if reason.chars().nth(REASON_CHARACTERS).is_none() {
        return reason.to_owned();
    }
    reason
        .chars()
        .take(REASON_CHARACTERS - 3)
        .chain("...".chars())
        .collect()
}

const SECOND: Duration = Duration::from_secs(1);
/// Dead letters said in a second.
const MOST_DEAD: usize = 10;
/// Failed attempts said in a second: they come again, and end among the dead letters if they go on failing.
const MOST_AGAIN: usize = 1;
/// The dead letter has all of it.
const REASON_CHARACTERS: usize = 200;

/// For people.
fn rounded(delay: Duration) -> Duration {
    Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(records: u64) -> Counted {
        let ending = || Ending {
            topic: Arc::from("t"),
            partition: 0,
            offset: 0,
            attempt: 1,
            cause: "reject",
            reason: None,
            delay: Duration::ZERO,
        };
        let first = (0..records.min(MOST_DEAD as u64)).map(|_| ending()).collect();
        Counted { records, first }
    }

    #[test]
    fn a_second_holds_so_many_lines_and_the_next_one_tells_how_many_it_left_out() {
        let mut window = Window::default();
        let at = |millis| Instant::default().after(Duration::from_millis(millis));
        assert_eq!(window.admit(at(0), &many(3), 10), (0, 3));
        assert_eq!(window.admit(at(1), &many(256), 10), (0, 7));
        assert_eq!(window.admit(at(2), &many(100_000), 10), (0, 0));
        assert_eq!(window.rest(at(999)), 0);
        assert_eq!(window.admit(at(1_000), &many(1), 10), (249 + 100_000, 1));
        assert_eq!(window.admit(at(1_500), &many(20), 10), (0, 9));
        assert_eq!((window.rest(at(2_000)), window.rest(at(2_001))), (11, 0));
    }

    #[test]
    fn reasons_are_cut() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"\u{e4}".repeat(10_000));
        assert_eq!(long.chars().count(), REASON_CHARACTERS);
        assert!(long.ends_with("..."), "{long}");
    }
}
