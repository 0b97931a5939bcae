//! Harm: the wall clock is set, calls of the disk fail, the disk fills up.

use share_engine::storage::{CallKind, Fault, FaultKind, Storage as _};

use super::world::World;

impl World {
    /// Sets the wall clock, forward or back.
    pub(crate) fn set_clock(&mut self) {
        self.seen.clocks += 1;
        let millis = self.chance.pick(&[-3_600_000, -5_000, 5_000, 3_600_000]);
        self.say(|| format!("clock {millis}"));
        self.clock.jump(millis);
        self.model.jumped = true;
    }

    /// One of the next calls of the disk fails, or many do.
    pub(crate) fn fail_call(&mut self) {
        let kind = self.chance.pick(&[
            FaultKind::Io,
            FaultKind::NoSpace,
            FaultKind::Interrupted,
            FaultKind::Short,
        ]);
        let mut fault = Fault::nth(kind, self.chance.within(1, 30));
        fault.call = self.chance.pick(&[
            None,
            Some(CallKind::Write),
            Some(CallKind::Sync),
            Some(CallKind::Read),
            Some(CallKind::Create),
            Some(CallKind::Rename),
        ]);
        let path = self.chance.pick(&["", "", "logs", "snapshots", "journal"]);
        path.clone_into(&mut fault.path);
        fault.sticky = self.chance.one_in(8);
        self.disk.fail(fault);
        self.faulty = true;
        self.seen.faults += 1;
    }

    /// The disk fills up, or has room again.
    pub(crate) fn fill_disk(&mut self) {
        if self.faulty {
            self.heal();
            return;
        }
        self.seen.full += 1;
        let used = (1 << 40) - self.disk.free_space().unwrap_or(1 << 40);
        self.disk.set_capacity(used + self.chance.below(64 << 10));
        self.faulty = true;
    }
}
