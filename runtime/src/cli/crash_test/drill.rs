//! The parent of a crash test: starts a child, listens, kills it at a random moment, starts the next. What was acknowledged is
//! known to the oracle, which lives here and outlives them all.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use indicatif::ProgressBar;
use share_engine::engine::verify_directory;
use tokio::sync::watch;
use tokio::time::Instant;

use super::chance::Chance;
use super::oracle::{Kind, Oracle};
use super::said::{FINISH, Said, Task};
use crate::cli::args::CRASH_TEST_CHILD;
use crate::output::{Failure, counted};
use crate::shutdown::Stage as Stop;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Drill {
    pub(super) data: PathBuf,
    pub(super) seed: u64,
    /// Kills go on for so long,
    pub(super) limit: Duration,
    /// until there were so many,
    pub(super) kills_max: u64,
    /// or until somebody asks for the end; whoever asks twice does not want a result.
    pub(super) asked: watch::Receiver<Stop>,
    pub(super) plant: Option<String>,
    pub(super) progress: ProgressBar,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) oracle: Oracle,
    pub(super) kills: u64,
    /// Kills that found records in the hands of workers.
    pub(super) kills_under_load: u64,
    /// Kills between the first step of an open and its end.
    pub(super) kills_in_recovery: u64,
    /// From the start of a process to an engine that is open, over all restarts.
    pub(super) ready: Vec<Duration>,
    /// What the last open took.
    open: Duration,
    pub(super) took: Duration,
}

/// When a child is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after it has begun to open the engine.
    Opening(Duration),
    /// So long after the load has begun.
    Load(Duration),
    /// It may finish.
    Never,
}

/// How a child's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Killed,
    Finished,
    /// The oracle has been told why.
    Failed,
}

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Starting,
    Opening,
    Looking,
    Loaded,
}

/// Longest time of load before a kill.
const LOAD_MAX: Duration = Duration::from_millis(180);
/// One kill in so many is meant for the recovery from the kill before.
const RECOVERIES: u64 = 4;
/// A child that has said nothing for so long will not go on.
const SILENCE: Duration = Duration::from_mins(1);
/// How often the parent looks whether it is asked to end.
const LOOK: Duration = Duration::from_millis(50);

impl Drill {
    /// Does it. Blocks.
    ///
    /// # Errors
    /// No child gets to work, or the user has given up. What a child says or does not say goes to the oracle.
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
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
            end = self.live(round, moment, &mut outcome)?;
            round += 1;
            self.progress.set_message(progress(&outcome));
            self.progress
                .set_position(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        if end == End::Killed && outcome.oracle.found().is_empty() {
            self.progress.set_message("working off what is left");
            if self.live(round, Moment::Never, &mut outcome)? == End::Finished {
                outcome.oracle.finished();
                self.verify(&mut outcome.oracle);
            }
        }
        outcome.took = began.elapsed();
        Ok(outcome)
    }

    fn is_over(&self, outcome: &Outcome, began: Instant) -> bool {
        outcome.kills >= self.kills_max
            || began.elapsed() >= self.limit
            || *self.asked.borrow() > Stop::Running
            || !outcome.oracle.found().is_empty()
    }

    /// One child, from its start to its end.
    fn live(&self, round: u32, moment: Moment, outcome: &mut Outcome) -> Result<End, Failure> {
        let task = Task {
            round,
            seed: self.seed,
            known: outcome.oracle.known(),
            plant: self.plant.clone(),
        };
        let mut life = Life::new(moment);
        let mut child = Child::start(&self.data, &task)?;
        loop {
            if life.is_due() {
                child.kill();
                while let Ok(said) = child.says.recv() {
                    life.reach(&said, outcome);
                    outcome.oracle.hear(said);
                }
                let held = outcome.oracle.killed();
                outcome.kills += 1;
                outcome.kills_under_load += u64::from(held > 0);
                outcome.kills_in_recovery += u64::from(life.stage == Stage::Opening);
                return Ok(End::Killed);
            }
            let why = match child.says.recv_timeout(life.rest()) {
                Ok(Said::Finished) => return Ok(End::Finished),
                Ok(Said::Failed(why)) => format!("the engine failed: {why}"),
                Ok(said) => {
                    if life.reach(&said, outcome) == Some(Stage::Loaded) && matches!(moment, Moment::Never) {
                        // One that is gone is noticed by its silence.
                        let _ = child.tell(FINISH);
                    }
                    outcome.oracle.hear(said);
                    if life.stage == Stage::Loaded && !outcome.oracle.found().is_empty() {
                        life.deadline = Some(life.heard);
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => format!("the process ended by itself: {}", child.end()),
                Err(RecvTimeoutError::Timeout) if life.heard.elapsed() > SILENCE => {
                    let seconds = SILENCE.as_secs();
                    format!("nothing was delivered or done for {seconds} s, with work left")
                }
                Err(RecvTimeoutError::Timeout) if *self.asked.borrow() > Stop::Draining => {
                    return Err(Failure::new("given up before everything was checked"));
                }
                Err(RecvTimeoutError::Timeout) => continue,
            };
            if outcome.kills == 0 {
                // Nothing was promised yet: it is the disk, or the machine.
                return Err(Failure::new(why));
            }
            outcome.oracle.add(Kind::Other, why);
            return Ok(End::Failed);
        }
    }

    fn verify(&self, oracle: &mut Oracle) {
        match verify_directory(&self.data) {
            Ok(report) => {
                for problem in report.problems {
                    let text = format!(
                        "{} is damaged at byte {}: {}",
                        problem.file, problem.position, problem.what
                    );
                    oracle.add(Kind::Other, text);
                }
                for left_out in report.unchecked {
                    oracle.add(
                        Kind::Other,
                        format!("{} cannot be checked: {}", left_out.file, left_out.why),
                    );
                }
            }
            Err(error) => oracle.add(Kind::Other, format!("the data directory cannot be verified: {error}")),
        }
    }
}

/// One child's.
struct Life {
    moment: Moment,
    stage: Stage,
    started: Instant,
    opening: Instant,
    heard: Instant,
    deadline: Option<Instant>,
}

impl Life {
    fn new(moment: Moment) -> Self {
        let started = Instant::now();
        Self {
            moment,
            stage: Stage::Starting,
            started,
            opening: started,
            heard: started,
            deadline: None,
        }
    }

    fn is_due(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// How long to wait before the next look at the clock.
    fn rest(&self) -> Duration {
        let rest = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.map_or(LOOK, rest).min(LOOK)
    }

    /// Takes notice of how far it is; the stage that it has just reached for the first time.
    fn reach(&mut self, said: &Said, outcome: &mut Outcome) -> Option<Stage> {
        self.heard = Instant::now();
        let stage = reached(said).filter(|stage| *stage > self.stage)?;
        self.stage = stage;
        match stage {
            Stage::Opening => self.opening = self.heard,
            Stage::Looking => {
                outcome.open = self.heard.duration_since(self.opening);
                outcome.ready.push(self.heard.duration_since(self.started));
            }
            Stage::Starting | Stage::Loaded => {}
        }
        self.deadline = self.deadline.or_else(|| self.moment.deadline(stage, self.heard));
        Some(stage)
    }
}

fn reached(said: &Said) -> Option<Stage> {
    match said {
        Said::Opening => Some(Stage::Opening),
        Said::Ready => Some(Stage::Looking),
        Said::Looked { .. } => Some(Stage::Loaded),
        _ => None,
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

fn progress(outcome: &Outcome) -> String {
    let counts = outcome.oracle.counts();
    let kills = counted(outcome.kills, "kill");
    format!(
        "{kills}, {} produced, {} accepted, 0 lost",
        counts.produced, counts.accepted
    )
}

/// A child process. Ends with its value at the latest.
struct Child {
    process: std::process::Child,
    says: Receiver<Said>,
}

/// Lines that the reader may be ahead.
const AHEAD: usize = 4_096;

impl Child {
    fn start(data: &PathBuf, task: &Task) -> Result<Self, Failure> {
        let cannot = |error| Failure::new(format!("cannot start another process of this program: {error}"));
        let program = std::env::current_exe().map_err(cannot)?;
        let mut process = Command::new(program)
            .arg(CRASH_TEST_CHILD)
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is meant for the parent.
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        let (sender, says) = sync_channel(AHEAD);
        let stdout = process.stdout.take();
        let mut child = Self { process, says };
        let read = move || {
            let Some(stdout) = stdout else { return };
            let mut lines = BufReader::new(stdout);
            let mut line = Vec::new();
            // A line without an end is one that the child was killed in.
            while lines.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
                let said = serde_json::from_slice(&line);
                let said =
                    said.unwrap_or_else(|error| Said::Failed(format!("it said what nobody understands: {error}")));
                if sender.send(said).is_err() {
                    return;
                }
                line.clear();
            }
        };
        std::thread::Builder::new()
            .name("crash-test-reader".to_owned())
            .spawn(read)
            .map_err(cannot)?;
        let task = serde_json::to_string(task).unwrap_or_default();
        // A child that is gone already is noticed by its silence.
        let _ = child.tell(&task);
        Ok(child)
    }

    fn tell(&mut self, line: &str) -> std::io::Result<()> {
        match &mut self.process.stdin {
            Some(stdin) => stdin.write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        }
    }

    /// SIGKILL, and its end.
    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for its end and says how it was.
    fn end(&mut self) -> String {
        match self.process.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
