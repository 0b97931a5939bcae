//! Counts of one deployment over its life, for reports and for the recorder. Lanes add tallies in batches; one short lock a batch.

use std::sync::{Mutex, PoisonError};

use metrics::{counter, gauge, histogram};

use super::names;
use super::tally::{Counts, Tally};

/// Everything counted about one deployment since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Durable acknowledgements, by verdict (accept, release, reject, renew, give-back).
    pub verdicts: Counts,
    /// Calls, by end (see the settlement table).
    pub ends: Counts,
    /// Records given up, by cause.
    pub archived: Counts,
    /// Records acquired.
    pub deliveries: u64,
    /// Leases extended.
    pub renewals: u64,
    /// Leases that ran out or were taken away.
    pub expiries: u64,
    /// Outcomes dropped because the lease was lost.
    pub dropped: u64,
    /// Settlements that were stale.
    pub stale: u64,
    /// Settlements refused (tried again).
    pub refused: u64,
    /// Settlements whose fate is unknown.
    pub unknown: u64,
    /// Workers opened.
    pub opened: u64,
}

/// Where a deployment's counts go.
pub struct DeploymentMetrics {
    deployment: String,
    totals: Mutex<Totals>,
    handler: metrics::Histogram,
    acknowledged: metrics::Histogram,
}

impl std::fmt::Debug for DeploymentMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeploymentMetrics")
            .field("deployment", &self.deployment)
            .finish_non_exhaustive()
    }
}

impl DeploymentMetrics {
    /// Uses the recorder that is installed now, if any.
    pub fn new(deployment: &str) -> Self {
        let deployment = deployment.to_owned();
        Self {
            totals: Mutex::default(),
            handler: histogram!(names::HANDLER_SECONDS, "deployment" => deployment.clone()),
            acknowledged: histogram!(names::ACKNOWLEDGED_SECONDS, "deployment" => deployment.clone()),
            deployment,
        }
    }

    /// A copy of everything counted so far.
    pub fn totals(&self) -> Totals {
        self.with(|totals| totals.clone())
    }

    /// What one station saw since the last time; its slots: busy or waiting, idle, waiting.
    pub(crate) fn add(&self, lane: usize, tally: &Tally, slots: [usize; 3]) {
        let [occupied, idle, waiting] = slots;
        for (state, count) in [
            ("busy", occupied.saturating_sub(waiting)),
            ("idle", idle),
            ("waiting", waiting),
        ] {
            let labels = [
                ("deployment", self.name()),
                ("lane", lane.to_string()),
                ("state", state.to_owned()),
            ];
            gauge!(names::SLOTS, &labels).set(small(count));
        }
        for (label, name, counts) in [
            ("verdict", names::RECORDS, &tally.verdicts),
            ("end", names::CALLS, &tally.ends),
            ("cause", names::ARCHIVED, &tally.archived),
        ] {
            for (value, count) in counts.iter() {
                debug_assert!(names::is_value(label, value), "{label} {value} is not in the table");
                counter!(name, "deployment" => self.name(), label => value).increment(count);
            }
        }
        self.count(names::DROPPED, tally.dropped);
        self.count(names::STALE, tally.stale);
        self.count(names::REFUSED, tally.refused);
        self.count(names::UNKNOWN, tally.unknown);
        self.count(names::INSTANCES, tally.opened);
        for (histogram, spread) in [
            (&self.handler, &tally.handler),
            (&self.acknowledged, &tally.acknowledged),
        ] {
            for (seconds, count) in spread.samples() {
                histogram.record_many(seconds, count as usize);
            }
        }
        self.with(|totals| totals.absorb(tally));
    }

    /// A record was given up that had been settled before.
    pub(crate) fn add_archived(&self, cause: &'static str) {
        counter!(names::ARCHIVED, "deployment" => self.name(), "cause" => cause).increment(1);
        self.with(|totals| totals.archived.add(cause));
    }

    pub(crate) fn add_deliveries(&self, count: usize) {
        let count = count as u64;
        self.count(names::DELIVERIES, count);
        self.with(|totals| totals.deliveries += count);
    }

    pub(crate) fn add_leases(&self, renewals: u64, expiries: u64) {
        self.count(names::RENEWALS, renewals);
        self.count(names::EXPIRIES, expiries);
        self.with(|totals| {
            totals.renewals += renewals;
            totals.expiries += expiries;
        });
    }

    pub(crate) fn set_load(&self, held: usize, settling: usize) {
        gauge!(names::HELD, "deployment" => self.name()).set(small(held));
        gauge!(names::SETTLING, "deployment" => self.name()).set(small(settling));
    }

    pub(crate) fn set_parked(&self, parked: u64) {
        let parked = usize::try_from(parked).unwrap_or(usize::MAX);
        gauge!(names::PARKED, "deployment" => self.name()).set(small(parked));
    }

    pub(crate) fn set_wedged(&self, lane: usize, wedged: bool) {
        gauge!(names::WEDGED, "deployment" => self.name(), "lane" => lane.to_string()).set(f64::from(u8::from(wedged)));
    }

    fn name(&self) -> String {
        self.deployment.clone()
    }

    fn count(&self, name: &'static str, count: u64) {
        if count > 0 {
            counter!(name, "deployment" => self.name()).increment(count);
        }
    }

    fn with<T>(&self, action: impl FnOnce(&mut Totals) -> T) -> T {
        action(&mut self.totals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Totals {
    fn absorb(&mut self, tally: &Tally) {
        for (all, new) in [
            (&mut self.verdicts, &tally.verdicts),
            (&mut self.ends, &tally.ends),
            (&mut self.archived, &tally.archived),
        ] {
            for (name, count) in new.iter() {
                all.add_many(name, count);
            }
        }
        self.dropped += tally.dropped;
        self.stale += tally.stale;
        self.refused += tally.refused;
        self.unknown += tally.unknown;
        self.opened += tally.opened;
    }
}

/// Numbers of slots and records are far below 2^32.
fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
