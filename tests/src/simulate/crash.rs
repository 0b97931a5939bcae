//! Ends and beginnings: the process dies, with or without the machine's power; the engine is closed; what is on the disk
//! is opened again.

use share_engine::engine::Part;
use share_engine::storage::CrashPlan;

use super::model::Check;
use super::world::{Answer, Call, World};

impl World {
    /// The process dies, and another takes over.
    pub(crate) fn crash(&mut self) -> Check {
        if self.chance.one_in(2) {
            // Within a step of a part: what it asks of the disk from some call on does not happen any more.
            self.produce()?;
            self.turn()?;
            self.disk.stop_after(self.disk.calls() + self.chance.below(4));
            self.faulty = true;
            self.step_part(Part::Journal)?;
            self.turn()?;
        }
        self.die();
        self.revive()
    }

    /// The process dies; in most cases so does the machine.
    fn die(&mut self) {
        self.say(|| "crash".to_owned());
        self.trace.note(&[8]);
        self.seen.crashes += 1;
        self.note_laps();
        let flying = |wanted: fn(&Call) -> bool| self.flights.iter().any(|flight| wanted(&flight.call));
        self.seen.settling += u64::from(flying(|call| matches!(call, Call::Settle { .. })));
        let acquiring = self.flights.iter().filter_map(|flight| match flight.call {
            Call::Acquire { actor, .. } => self.actors.iter().find(|one| one.number == actor).map(|one| one.group),
            _ => None,
        });
        let unseen: Vec<u8> = acquiring.collect();
        self.seen.acquiring += u64::from(!unseen.is_empty());
        self.doubt = self.change().or(self.doubt);
        for flight in std::mem::take(&mut self.flights) {
            if let Call::Settle { items, .. } = flight.call {
                for item in items {
                    self.doubt_emits(item);
                }
            }
        }
        let now = self.now();
        self.model.crash(|group| unseen.contains(&group), now);
        self.end();
        if !self.chance.one_in(4) {
            self.seen.powerless += 1;
            let plan = match self.chance.below(6) {
                0 => CrashPlan::Lose,
                1 => CrashPlan::Keep,
                _ => CrashPlan::Random(self.chance.next()),
            };
            self.lose_power(plan);
            self.forget_unsynced();
        }
        self.heal();
    }

    /// Where answers do not wait for the disk, what was answered may be lost.
    fn forget_unsynced(&mut self) {
        if self.model.fickle {
            self.seen.fickle += 1;
            self.emits.clear();
            // Leases of the same name may be given once more.
            self.past.clear();
            let now = self.now();
            self.model.drown(now);
        }
    }

    /// What was not synced is lost, kept or torn.
    fn lose_power(&mut self, plan: CrashPlan) {
        self.seen.disk_calls += self.disk.calls();
        self.disk = self.disk.crash(plan);
    }

    /// The engine and everybody who held a part of it are gone.
    fn end(&mut self) {
        if let Some(running) = self.engine.take() {
            let stats = running.engine.stats();
            self.seen.expired += stats.expired;
            self.seen.retired += stats.archived_retention + stats.dropped;
            self.seen.drains += stats.drains;
        }
        self.flights.clear();
        self.actors.clear();
    }

    /// Time passes, the disk is opened, and what is there is compared with what was answered.
    pub(crate) fn revive(&mut self) -> Check {
        let down = self.chance.pick(&[0, 1_000_000, 1_000_000_000, 20_000_000_000]);
        self.wait(down);
        if self.chance.one_in(20) {
            self.set_clock();
        }
        if self.model.jumped {
            self.model.forget_times();
        }
        if self.chance.one_in(12) {
            self.disk.stop_after(self.disk.calls() + self.chance.below(40));
            self.seen.dying += 1;
            if self.open().is_ok() {
                self.rest_deaf()?;
            } else {
                self.seen.unopened += 1;
            }
            self.die_again();
        }
        match self.open() {
            Ok(report) => {
                self.model.synced();
                self.say(|| format!("open {report:?}"));
                self.seen.torn += u64::from(report.torn.is_some());
                self.trace
                    .note(&[9, report.entries, u64::from(report.torn.is_some()), report.held]);
            }
            Err(error) => return Err(format!("I1: cannot be opened: {error}")),
        }
        self.look(true)
    }

    /// The process dies in recovery.
    fn die_again(&mut self) {
        let now = self.now();
        self.model.crash(|_| false, now);
        self.end();
        if self.chance.one_in(2) {
            let plan = CrashPlan::Random(self.chance.next());
            self.lose_power(plan);
            self.forget_unsynced();
        }
        self.heal();
    }

    /// What a new engine does before anybody asks it anything.
    fn rest_deaf(&mut self) -> Check {
        for _ in 0..self.chance.below(20) {
            let part = self
                .chance
                .pick(&[Part::Shard, Part::Journal, Part::Drain, Part::Reader]);
            self.step_part(part)?;
        }
        Ok(())
    }

    /// The disk does as it should again.
    pub(crate) fn heal(&mut self) {
        self.disk.heal();
        self.disk.set_capacity(1 << 40);
        self.faulty = false;
    }

    /// Closes the engine and opens it again.
    pub(crate) fn close(&mut self) -> Check {
        let Some(engine) = self.handle() else { return Ok(()) };
        self.trace.note(&[10]);
        self.closed = None;
        self.leave_all();
        self.start(Call::Close, async move { Answer::Closed(engine.close().await) })?;
        self.rest()?;
        // Some may have got something while the engine closed.
        self.leave_all();
        if self.closed != Some(true) {
            if !self.faulty && !self.is_fenced() {
                let stats = self.engine.as_ref().map(|running| running.engine.stats());
                let left: Vec<_> = self.flights.iter().map(|flight| &flight.call).collect();
                return Err(format!(
                    "I10: the engine was not closed: {:?}, {left:?}, {stats:?}",
                    self.closed
                ));
            }
            return self.crash();
        }
        self.note_laps();
        let tight = self.is_tight();
        self.doubt = self.change().or(self.doubt);
        self.seen.closes += 1;
        self.end();
        let now = self.now();
        self.model.closed(tight, now);
        if self.chance.one_in(2) {
            let plan = CrashPlan::Random(self.chance.next());
            self.lose_power(plan);
        }
        self.heal();
        self.revive()
    }

    /// Ring files that the journal has grown by.
    pub(crate) fn grown(&self) -> u64 {
        let files = self.disk.files();
        let rings = files
            .iter()
            .filter_map(|file| file.strip_prefix("journal/")?.strip_suffix(".ring"));
        (rings.count() as u64).saturating_sub(2)
    }

    /// How often the journal went round.
    fn note_laps(&mut self) {
        if !self.disk.files().iter().any(|file| file == "journal/0000.ring") {
            return;
        }
        let bytes = self.disk.contents("journal/0000.ring");
        let Some(sequence) = bytes.get(32..40).and_then(|bytes| bytes.try_into().ok()) else {
            return;
        };
        let sequence = u64::from_le_bytes(sequence);
        if sequence != u64::MAX && sequence / 2 > self.laps {
            self.seen.laps += sequence / 2 - self.laps;
            self.laps = sequence / 2;
        }
    }
}
