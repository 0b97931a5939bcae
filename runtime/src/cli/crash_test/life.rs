//! How far one child is, when it is to be killed, and whether it gets on.

use std::time::Duration;

use tokio::time::Instant;

use super::drill::Outcome;
use super::patience::PATIENCE;
use super::said::Said;

/// When a child is killed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    /// So long after it has begun to open the engine.
    Opening(Duration),
    /// So long after the load has begun.
    Load(Duration),
    /// It may finish.
    Never,
}

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Starting,
    Opening,
    Looking,
    Loaded,
}

/// Longest time of load before a kill.
pub(super) const LOAD_MAX: Duration = Duration::from_millis(180);
/// How often the parent looks whether it is asked to end.
const LOOK: Duration = Duration::from_millis(50);
/// A child that has not got on for so long will not. Longer than it waits for its engine, whose reasons it can tell.
const STUCK: Duration = PATIENCE.saturating_mul(2);

/// One child's.
#[derive(Debug)]
pub(super) struct Life {
    moment: Moment,
    stage: Stage,
    started: Instant,
    opening: Instant,
    deadline: Option<Instant>,
    /// When this process looked last, and for how much of its own time nothing has got on.
    looked: Instant,
    stuck: Duration,
}

impl Life {
    pub(super) fn new(moment: Moment) -> Self {
        let started = Instant::now();
        Self {
            moment,
            stage: Stage::Starting,
            started,
            opening: started,
            deadline: None,
            looked: started,
            stuck: Duration::ZERO,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn may_finish(&self) -> bool {
        matches!(self.moment, Moment::Never)
    }

    pub(super) fn is_due(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub(super) fn end_now(&mut self) {
        self.deadline = Some(Instant::now());
    }

    /// How long to wait before the next look at the clock.
    pub(super) fn rest(&self) -> Duration {
        let rest = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.map_or(LOOK, rest).min(LOOK)
    }

    /// Whether it does not get on. A time in which this process did not look, as it was stopped, is none in which it waited.
    pub(super) fn is_stuck(&mut self) -> bool {
        self.stuck_at(Instant::now())
    }

    fn stuck_at(&mut self, now: Instant) -> bool {
        self.stuck += now.duration_since(self.looked).min(LOOK * 2);
        self.looked = now;
        self.stuck >= STUCK
    }

    pub(super) fn complaint(&self) -> String {
        let doing = match self.stage {
            Stage::Starting => "the process started",
            Stage::Opening => "the engine was being opened",
            Stage::Looking => "everything was looked at",
            Stage::Loaded => "work was left",
        };
        format!("nothing got on for {} s while {doing}", STUCK.as_secs())
    }

    /// Takes notice of how far it is.
    pub(super) fn reach(&mut self, said: &Said, outcome: &mut Outcome) {
        // Deliveries alone lead nowhere: they come again and again where nothing can be settled.
        if !matches!(said, Said::Got { .. } | Said::Tries(..) | Said::Missed(..)) {
            self.stuck = Duration::ZERO;
        }
        let stage = match said {
            Said::Opening => Stage::Opening,
            Said::Ready => Stage::Looking,
            Said::Looked { .. } => Stage::Loaded,
            _ => return,
        };
        if stage <= self.stage {
            return;
        }
        self.stage = stage;
        let now = Instant::now();
        match stage {
            Stage::Opening => self.opening = now,
            Stage::Looking => {
                outcome.open = now.duration_since(self.opening);
                outcome.ready.push(now.duration_since(self.started));
            }
            Stage::Starting | Stage::Loaded => {}
        }
        self.deadline = self.deadline.or_else(|| self.moment.deadline(stage, now));
    }
}

impl Moment {
    fn deadline(self, reached: Stage, now: Instant) -> Option<Instant> {
        match (self, reached) {
            (Self::Opening(after), Stage::Opening) | (Self::Load(after), Stage::Loaded) => Some(now + after),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::cli::crash_test::said::{Lease, Run, Verb};

    /// A child that gets records again and again, as nothing can be settled, went on for ever.
    #[test]
    fn a_child_that_only_talks_is_stuck() {
        let lease = Lease {
            run: Run::single(0, 0),
            count: 1,
            continuation: 0,
        };
        let mut outcome = Outcome::default();
        let mut life = Life::new(Moment::Never);
        let mut now = life.looked;
        let mut looks = 0;
        while !life.stuck_at(now) && LOOK * looks < STUCK * 2 {
            life.reach(&Said::Missed(Verb::Accept, lease), &mut outcome);
            now += LOOK;
            looks += 1;
        }
        assert_eq!(LOOK * looks, STUCK);
        life.reach(&Said::Done(Verb::Accept, lease), &mut outcome);
        assert!(!life.stuck_at(now));
    }

    /// After Ctrl-Z and `fg` the parent may look at the clock before it hears what the child said meanwhile.
    #[test]
    fn a_parent_that_was_stopped_has_not_waited() {
        let mut life = Life::new(Moment::Never);
        let now = life.looked;
        assert!(!life.stuck_at(now + Duration::from_hours(1)));
    }
}
