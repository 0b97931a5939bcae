//! One sequence: each step on both sides, every answer compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use share_engine::share::AcquireMode;
use share_wire::code::ErrorCode;

use super::broker::BrokerSide;
use super::engine::EngineSide;
use super::meant::Meant;
use super::operation::{Batch, Got, List, Operation};
use super::plan::Plan;
use super::report::{Failure, Group, Tally};
use super::schedule::Schedule;
use super::{AGE, ENDS, Limits, MEMBERS, Patience, SETTLES, STEP, limits};

/// Why a sequence ends early.
enum Stop {
    /// The two sides say different things.
    Differs(String),
    /// A step took so long that locks may have ended before their time; what differed then.
    Slow(String),
}

/// See the module.
struct Sequence {
    engine: EngineSide,
    broker: BrokerSide,
    plan: Plan,
    patience: Patience,
    schedule: Schedule,
    tally: Tally,
    /// Steps with what both sides said.
    told: String,
    verbose: bool,
    /// Go on after a difference.
    lenient: bool,
    /// Something was fetched: the broker has a share partition in memory.
    is_fetched: bool,
}

/// How often a sequence is begun on a machine that is too busy for it.
const ATTEMPTS: u64 = 12;
/// Milliseconds for which a broker may hold a fetch that is to bring something.
const FETCH: i32 = 400;
/// How long a broker may take to write what it does by itself: the end of a session, of a lock.
const WRITES: Duration = Duration::from_secs(3);
/// Acquisitions that empty a log at the end.
const DRAINS: usize = 2_000;

/// Does the sequence of a seed on a broker, on which no other run has this name.
pub(crate) fn run(seed: u64, steps: u64, address: &str, run: &str, verbose: bool) -> Result<Tally, Failure> {
    let failure = |what: String| Failure { seed, steps, what };
    let mut slow = 0;
    loop {
        let name = format!("{run}-{seed}-{slow}");
        let sequence = Sequence::new(seed, limits(seed), Patience::after(slow), address, name);
        let mut sequence = sequence.map_err(|error| failure(format!("{error:#}")))?;
        sequence.verbose = verbose;
        match sequence.steps(steps) {
            Ok(()) => {
                let mut tally = sequence.tally;
                tally.count(Group::Exercised, "sequences begun anew: too slow", slow);
                return Ok(tally);
            }
            Err(Stop::Slow(_)) if slow + 1 < ATTEMPTS => slow += 1,
            Err(Stop::Slow(what)) => {
                let what = format!(
                    "{ATTEMPTS} times too slow, or with locks that last too long: {what}\n{}",
                    sequence.told
                );
                return Err(failure(what));
            }
            Err(Stop::Differs(what)) => return Err(failure(format!("{what}\n{}", sequence.told))),
        }
    }
}

/// What both sides say to operations that are written down, differences included.
pub(crate) fn tell(
    operations: &[Operation],
    limits: Limits,
    address: &str,
    name: &str,
) -> anyhow::Result<(String, Tally)> {
    let mut sequence = Sequence::new(0, limits, Patience::after(0), address, name.to_owned())?;
    sequence.lenient = true;
    for operation in operations {
        match sequence.step(operation) {
            Ok(()) => {}
            Err(Stop::Slow(what)) => sequence.tell(&format!("           SLOW: {what}")),
            Err(Stop::Differs(what)) => anyhow::bail!(what),
        }
    }
    Ok((sequence.told, sequence.tally))
}

impl Sequence {
    fn new(seed: u64, limits: Limits, patience: Patience, address: &str, name: String) -> anyhow::Result<Self> {
        Ok(Self {
            engine: EngineSide::new(limits),
            broker: BrokerSide::new(address, name)?,
            plan: Plan::new(seed, patience),
            patience,
            schedule: Schedule::new(),
            tally: Tally::default(),
            told: String::new(),
            verbose: false,
            lenient: false,
            is_fetched: false,
        })
    }

    fn differs(&mut self, what: String) -> Result<(), Stop> {
        if !self.lenient {
            return Err(Stop::Differs(what));
        }
        self.tell(&format!("           DIFFERS: {what}"));
        Ok(())
    }

    fn steps(&mut self, steps: u64) -> Result<(), Stop> {
        for step in 0..steps {
            let operation = match step {
                0 => self.plan.produce(),
                1 => self.plan.acquire(),
                _ => self.plan.next(&self.engine, self.schedule.now()),
            };
            self.step(&operation)?;
        }
        self.drain()
    }

    /// Everything is given up, fetched, and accepted: what comes tells how it was left.
    fn drain(&mut self) -> Result<(), Stop> {
        for member in 0..MEMBERS {
            self.step(&Operation::Kill { member })?;
        }
        for _ in 0..DRAINS {
            let acquire = Operation::Acquire {
                member: 0,
                max: 500,
                batch_size: 500,
                mode: AcquireMode::RecordLimit,
            };
            self.step(&acquire)?;
            let batches: Vec<Batch> = Plan::accept_all(&self.engine);
            if batches.is_empty() {
                break;
            }
            self.step(&Operation::Acknowledge { member: 0, batches })?;
        }
        let (start, end) = (self.engine.start(), self.engine.log_end());
        if start != end {
            return Err(Stop::Differs(format!(
                "our side gave all it had, and starts at {start}, not at {end}"
            )));
        }
        let (start, lag) = self.broker.described().map_err(refused)?;
        let written = self.engine.written().0.cast_signed();
        self.tally.count(Group::Compared, "described offsets", 1);
        if (start, lag) != (written, 0) {
            let what = format!("the broker describes start {start} and lag {lag}, not {written} and 0");
            return Err(Stop::Differs(what));
        }
        Ok(())
    }

    fn step(&mut self, operation: &Operation) -> Result<(), Stop> {
        self.schedule.wait();
        let now = self.schedule.now();
        self.engine.set_clock(now);
        self.tell(&format!("{now:>6} ms: {operation}"));
        self.tally.count(Group::Operations, operation.name(), 1);
        let held = self.engine.held().next().is_some();
        let done = self.perform(operation);
        let holds = self.engine.held().next().is_some();
        let late = self.schedule.late();
        if (held || holds) && late > self.patience.late {
            let told = done.err().map(|stop| match stop {
                Stop::Differs(what) | Stop::Slow(what) => what,
            });
            return Err(Stop::Slow(format!("{late} ms late; {}", told.unwrap_or_default())));
        }
        if !holds {
            self.schedule.forgive();
        }
        done
    }

    fn perform(&mut self, operation: &Operation) -> Result<(), Stop> {
        let mut cost = STEP;
        let written = self.engine.writes();
        match operation {
            Operation::Produce { sizes } => self.produce(sizes)?,
            Operation::Acquire {
                member,
                max,
                batch_size,
                mode,
            } => self.acquire(*member, *max, *batch_size, *mode)?,
            Operation::Acknowledge { member, batches } => {
                let meant = Meant::by(&self.engine, batches);
                let ours = self.engine.acknowledge(*member, batches);
                let theirs = self.broker.acknowledge(*member, batches).map_err(refused)?;
                self.answered(ours, theirs, meant)?;
            }
            Operation::Reopen {
                member,
                other_connection,
            } => self.broker.reopen(*member, *other_connection).map_err(refused)?,
            Operation::Kill { member } => {
                self.engine.release(*member);
                self.broker.kill(*member);
                cost = SETTLES;
            }
            Operation::Leave { member, batches } => {
                let meant = Meant::by(&self.engine, batches);
                let ours = self.engine.acknowledge(*member, batches);
                let theirs = self.broker.leave(*member, batches).map_err(refused)?;
                self.answered(ours, theirs, meant)?;
                self.engine.release(*member);
                cost = SETTLES;
            }
            Operation::Age => cost = AGE,
            Operation::Expire => {
                self.expire();
                // A broker that is later than this is too slow, or holds on for longer than it should.
                cost = ENDS;
            }
        }
        self.schedule.pass(cost);
        if self.engine.writes() > written {
            self.compare_written()?;
        }
        if cost == SETTLES {
            // What is written may be a moment ahead of what can be acquired.
            self.schedule.wait();
        }
        if self.is_fetched {
            self.compare_start()?;
        }
        Ok(())
    }

    fn produce(&mut self, sizes: &[u64]) -> Result<(), Stop> {
        for size in sizes {
            let first = self.engine.log_end();
            let values = self.plan.values(*size);
            let theirs = self.broker.produce(&values).map_err(refused)?;
            self.engine.produce(*size);
            if theirs != first {
                return Err(Stop::Differs(format!("a batch lies at {theirs}, not at {first}")));
            }
        }
        Ok(())
    }

    fn acquire(&mut self, member: usize, max: u32, batch_size: u32, mode: AcquireMode) -> Result<(), Stop> {
        let ours = self.engine.acquire(member, max, batch_size, mode);
        let wait = if ours.is_empty() { 0 } else { FETCH };
        let theirs = self.broker.acquire(member, max, batch_size, mode, wait);
        let theirs = theirs.map_err(refused)?;
        self.is_fetched = true;
        self.tell(&format!("           {}", List(&ours)));
        self.tally.count(Group::Compared, "acquisitions", 1);
        self.note(&ours);
        if ours != theirs {
            let what = format!("our side gives {}, the broker gives {}", List(&ours), List(&theirs));
            return self.differs(what);
        }
        Ok(())
    }

    /// What this acquisition shows.
    fn note(&mut self, got: &[Got]) {
        let records = got.iter().map(|one| one.last - one.first + 1).sum();
        let again = got.iter().filter(|one| one.count > 1);
        let again = again.map(|one| one.last - one.first + 1).sum();
        self.tally.count(Group::Exercised, "records delivered", records);
        self.tally.count(Group::Exercised, "records delivered again", again);
        self.tally.count(
            Group::Exercised,
            "acquisitions of several ranges",
            u64::from(got.len() > 1),
        );
        self.tally
            .count(Group::Exercised, "acquisitions of nothing", u64::from(got.is_empty()));
        let is_full = self.engine.is_full();
        self.tally.count(Group::Exercised, "windows full", u64::from(is_full));
    }

    fn answered(&mut self, ours: ErrorCode, theirs: ErrorCode, meant: Option<Meant>) -> Result<(), Stop> {
        let name = match ours {
            ErrorCode::NONE => "done",
            ErrorCode::INVALID_RECORD_STATE => "INVALID_RECORD_STATE",
            _ => "INVALID_REQUEST",
        };
        self.tell(&format!("           {name}"));
        self.tally.count(Group::Acknowledgements, name, 1);
        self.tally.count(Group::Compared, "answers to acknowledgements", 1);
        if let Some(meant) = meant {
            self.tally.count(Group::Deliberate, meant.name(), 1);
        }
        if (ours, theirs) == meant.map_or((ours, ours), Meant::answers) {
            return Ok(());
        }
        let of = |code: ErrorCode| {
            if code.is_error() {
                code.to_string()
            } else {
                "done".to_owned()
            }
        };
        let what = format!("our side answers {}, the broker answers {}", of(ours), of(theirs));
        self.differs(what)
    }

    /// The oldest locks end, with those that would end soon after them.
    fn expire(&mut self) {
        let mut ends: Vec<u64> = self.engine.held().map(|held| held.ends).collect();
        ends.sort_unstable();
        let mut end = ends.first().copied().unwrap_or_default();
        for one in &ends {
            if *one > end + self.patience.apart() {
                break;
            }
            end = *one;
        }
        self.schedule.pass(end.saturating_sub(self.schedule.now()));
        self.schedule.wait();
        self.engine.set_clock(self.schedule.now());
        let expired = self.engine.expire();
        self.tally.count(Group::Exercised, "locks ended", expired);
        let left = self.engine.held().next().is_some();
        self.tally
            .count(Group::Exercised, "ends of locks beside younger ones", u64::from(left));
        self.tell(&format!("           {expired} at {end} ms"));
    }

    /// What the share coordinator has of every record. A broker ends sessions and locks behind the scenes: it is asked until it has.
    fn compare_written(&mut self) -> Result<(), Stop> {
        self.tally.count(Group::Compared, "written states", 1);
        let began = Instant::now();
        loop {
            let (start, records) = self.broker.written().map_err(refused)?;
            let Some(difference) = self.written_differs(start, &records) else {
                return Ok(());
            };
            if began.elapsed() > WRITES {
                return self.differs(difference);
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    fn written_differs(&self, start: u64, theirs: &BTreeMap<u64, (i8, u16)>) -> Option<String> {
        let (least, ours) = self.engine.written();
        let most = self.engine.start();
        if start < least || start > most {
            return Some(format!("the broker has written start {start}, not {least} to {most}"));
        }
        let strange = theirs.iter().find(|(offset, state)| ours.get(offset) != Some(state));
        let missing = ours.range(most..).find(|(offset, _)| !theirs.contains_key(offset));
        let (offset, _) = strange.or(missing)?;
        let of = |map: &BTreeMap<u64, (i8, u16)>| match map.get(offset) {
            Some((state, count)) => format!("state {state}, delivery count {count}"),
            None => "nothing".to_owned(),
        };
        Some(format!(
            "of offset {offset} the broker has written {}, our side {}",
            of(theirs),
            of(ours)
        ))
    }

    fn compare_start(&mut self) -> Result<(), Stop> {
        let start = self.engine.start();
        self.tally.count(Group::Compared, "start offsets", 1);
        let began = Instant::now();
        while !self.broker.starts_at(start).map_err(refused)? {
            if began.elapsed() > WRITES {
                return self.differs(format!("our side starts at {start}, the broker does not"));
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        Ok(())
    }

    fn tell(&mut self, line: &str) {
        if self.verbose {
            eprintln!("{line}");
        }
        // A text takes it all.
        let _ = writeln!(self.told, "{line}");
    }
}

/// A broker refuses what it has to do, or is gone.
#[expect(clippy::needless_pass_by_value, reason = "called for errors as they come")]
fn refused(error: anyhow::Error) -> Stop {
    Stop::Differs(format!("{error:#}"))
}
