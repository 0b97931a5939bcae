//! The parent of a crash test: starts a child, listens, kills it at a random moment, starts the next. What was acknowledged is
//! known to the oracle, which lives here and outlives them all.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use indicatif::ProgressBar;
use share_engine::engine::verify_directory;
use tokio::sync::watch;
use tokio::time::Instant;

use super::chance::Chance;
use super::ground::Ground;
use super::life::{LOAD_MAX, Life, Moment, Stage};
use super::machine;
use super::oracle::{Kind, Oracle};
use super::process::{Child, Death};
use super::said::{FINISH, Said, Task};
use crate::output::counted;
use crate::shutdown::Stage as Stop;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Drill {
    /// What is started and killed, with its arguments.
    pub(super) program: Vec<OsString>,
    pub(super) data: PathBuf,
    pub(super) ground: Ground,
    pub(super) seed: u64,
    /// Kills go on for so long,
    pub(super) limit: Duration,
    /// until there were so many,
    pub(super) kills_max: u64,
    /// or until somebody asks for the end, who gets what can be checked within `end_limit`; whoever asks twice does not want to
    /// know more.
    pub(super) asked: watch::Receiver<Stop>,
    pub(super) end_limit: Duration,
    pub(super) plant: Option<String>,
    pub(super) progress: ProgressBar,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) oracle: Oracle,
    /// Why it came to no end, which is no promise broken.
    pub(super) unfinished: Option<String>,
    pub(super) kills: u64,
    /// Kills that found records in the hands of workers.
    pub(super) kills_under_load: u64,
    /// Kills between the first step of an open and its end.
    pub(super) kills_in_recovery: u64,
    /// All others: nothing was in hand, or everything was being looked at.
    pub(super) kills_in_between: u64,
    /// Somebody ended it so long after its beginning, before it was over.
    pub(super) interrupted: Option<Duration>,
    /// When it was noticed first that somebody asks for the end.
    pub(super) asked: Option<Instant>,
    /// From the start of a process to an engine that is open, over all restarts.
    pub(super) ready: Vec<Duration>,
    /// What the last open took.
    pub(super) open: Duration,
    pub(super) took: Duration,
}

/// How a child's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Killed,
    Finished,
    /// The oracle has been told why.
    Failed,
}

/// Why a child is not listened to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Turn {
    /// It is time to kill it.
    Due,
    Finished,
    /// The engine, in its words.
    Failed(String),
    /// It has closed its standard output.
    Gone,
    /// It does not get on.
    Stuck,
    /// The user does not want to know more.
    GivenUp,
}

/// One kill in so many is meant for the recovery from the kill before.
const RECOVERIES: u64 = 4;

impl Drill {
    /// Does it. Blocks. What a child says or does not say goes to the oracle.
    pub(super) fn run(&self) -> Outcome {
        let began = Instant::now();
        let mut outcome = Outcome::default();
        let mut chance = Chance::new(self.seed, u64::MAX);
        let mut round = 0;
        let mut end = End::Killed;
        while end == End::Killed && !self.is_over(&outcome, began) {
            let moment = if round > 0 && chance.one_in(RECOVERIES) {
                Moment::Opening(chance.moment(outcome.open))
            } else {
                Moment::Load(chance.moment(LOAD_MAX))
            };
            end = self.live(round, moment, &mut outcome);
            end = self.forgive(end, &mut outcome);
            round += 1;
            self.progress.set_message(progress(&outcome));
            self.progress
                .set_position(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        if self.is_asked() && end == End::Killed && outcome.kills < self.kills_max && began.elapsed() < self.limit {
            outcome.interrupted = Some(began.elapsed());
        }
        if end == End::Killed && outcome.oracle.found().is_empty() {
            self.progress.set_message("working off what is left");
            let end = self.live(round, Moment::Never, &mut outcome);
            if end == End::Finished {
                outcome.oracle.finished();
                self.verify(&mut outcome);
            }
            self.forgive(end, &mut outcome);
        }
        outcome.took = began.elapsed();
        outcome
    }

    fn is_over(&self, outcome: &Outcome, began: Instant) -> bool {
        outcome.kills >= self.kills_max
            || began.elapsed() >= self.limit
            || self.is_asked()
            || !outcome.oracle.found().is_empty()
    }

    fn is_asked(&self) -> bool {
        *self.asked.borrow() > Stop::Running
    }

    /// Nothing is held against an engine whose data directory was taken away: that says nothing of it.
    fn forgive(&self, end: End, outcome: &mut Outcome) -> End {
        if outcome.oracle.found().is_empty() && end != End::Failed {
            // A directory that somebody else has made meanwhile would be taken for a loss by the next process.
            self.ground.note();
            if !self.ground.is_gone() {
                return end;
            }
        } else if outcome.oracle.found().is_empty() || !self.ground.is_going() {
            return end;
        }
        let seen = outcome.oracle.forgive();
        let seen = seen.map_or_else(String::new, |text| format!("; then: {text}"));
        outcome.stop(format!(
            "the data directory was deleted, moved or replaced while the test ran{seen}"
        ));
        End::Failed
    }

    /// One child, from its start to its end.
    fn live(&self, round: u32, moment: Moment, outcome: &mut Outcome) -> End {
        let task = Task {
            round,
            seed: self.seed,
            known: outcome.oracle.known(),
            plant: self.plant.clone(),
        };
        let mut child = match Child::start(&self.program, &task) {
            Ok(child) => child,
            Err(why) => {
                outcome.stop(why);
                return End::Failed;
            }
        };
        let mut life = Life::new(moment);
        let turn = self.attend(&mut child, &mut life, outcome);
        let mut last = None;
        let death = if turn == Turn::Gone {
            child.end()
        } else {
            child.kill(|said| match said {
                // What it said before the kill counts, a failure more than anything.
                Said::Failed(_) if !matches!(last, Some(Said::Failed(_))) => last = Some(said),
                Said::Failed(_) | Said::Finished => last = last.take().or(Some(said)),
                said => outcome.hear(&mut life, said),
            })
        };
        outcome.judge(turn, last, &death, &life)
    }

    /// Listens to a child until something is to be done.
    fn attend(&self, child: &mut Child, life: &mut Life, outcome: &mut Outcome) -> Turn {
        loop {
            if life.is_due() {
                return Turn::Due;
            }
            if life.is_stuck() {
                return Turn::Stuck;
            }
            if self.is_asked() {
                let asked = *outcome.asked.get_or_insert_with(Instant::now);
                if *self.asked.borrow() > Stop::Draining {
                    return Turn::GivenUp;
                }
                if !life.may_finish() {
                    return Turn::Due;
                }
                if asked.elapsed() >= self.end_limit {
                    return Turn::GivenUp;
                }
            }
            match child.says(life.rest()) {
                Ok(Said::Finished) => return Turn::Finished,
                Ok(Said::Failed(why)) => return Turn::Failed(why),
                Ok(said) => {
                    let before = life.stage();
                    outcome.hear(life, said);
                    let loaded = life.stage() == Stage::Loaded;
                    if loaded && before != Stage::Loaded && life.may_finish() {
                        child.tell(FINISH);
                    }
                    if loaded && !outcome.oracle.found().is_empty() {
                        life.end_now();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Turn::Gone,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn verify(&self, outcome: &mut Outcome) {
        let report = match verify_directory(&self.data) {
            Ok(report) => report,
            Err(error) => return outcome.fail(format!("the data directory cannot be verified: {error}")),
        };
        for problem in report.problems.into_iter().chain(report.newer) {
            outcome.fail(format!(
                "{} is damaged at byte {}: {}",
                problem.file, problem.position, problem.what
            ));
        }
        for left_out in report.unchecked {
            outcome.fail(format!("{} cannot be checked: {}", left_out.file, left_out.why));
        }
    }
}

impl Outcome {
    fn hear(&mut self, life: &mut Life, said: Said) {
        life.reach(&said, self);
        self.oracle.hear(said);
    }

    /// A child is gone: `turn` made this process end it, `last` it had said before it was gone, and nobody had heard it.
    fn judge(&mut self, turn: Turn, last: Option<Said>, death: &Death, life: &Life) -> End {
        let held = self.oracle.killed();
        match (turn, last) {
            (Turn::Failed(why), _) | (_, Some(Said::Failed(why))) => self.fail(format!("the engine failed: {why}")),
            (Turn::Finished, _) | (_, Some(_)) => return End::Finished,
            (Turn::Due, None) if death.is_kill() => {
                self.kills += 1;
                *match life.stage() {
                    _ if held > 0 => &mut self.kills_under_load,
                    Stage::Opening => &mut self.kills_in_recovery,
                    Stage::Starting | Stage::Looking | Stage::Loaded => &mut self.kills_in_between,
                } += 1;
                return End::Killed;
            }
            (Turn::Due | Turn::Gone, None) if death.is_from_outside() => {
                self.stop(format!("somebody else ended the process: {}", death.in_words()));
            }
            (Turn::Due | Turn::Gone, None) => {
                self.fail(format!("the process ended by itself: {}", death.in_words()));
            }
            (Turn::Stuck, None) => self.fail(life.complaint()),
            (Turn::GivenUp, None) => self.stop("interrupted before everything was checked".to_owned()),
        }
        End::Failed
    }

    /// A promise was broken, unless it was the machine that failed.
    fn fail(&mut self, why: String) {
        match machine::at_fault(&why) {
            Some(who) => self.stop(format!("{who}: {why}")),
            None => self.oracle.add(Kind::Other, why),
        }
    }

    /// It cannot go on, for a reason that says nothing of the engine.
    fn stop(&mut self, why: String) {
        self.unfinished.get_or_insert(why);
    }
}

fn progress(outcome: &Outcome) -> String {
    let counts = outcome.oracle.counts();
    let kills = counted(outcome.kills, "kill");
    format!(
        "{kills}, {} produced, {} accepted, 0 lost",
        counts.produced, counts.accepted
    )
}

#[cfg(test)]
mod tests;
