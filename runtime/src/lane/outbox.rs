//! Outcomes on their way to the source: collected in batches, sent, and kept while the source refuses them. Belongs to one station.

use std::collections::VecDeque;
use std::time::Duration;

use share_engine::time::{Instant, Now};

use super::chunk::Item;
use crate::metrics::Tally;
use crate::settle::{Desk, delay_before_retry};
use crate::source::{SettleResult, Settlement, Verdict};
use crate::supervisor::Backoff;

/// What became of one record, and which one it was.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) item: Item,
    pub(crate) settlement: Settlement,
}

/// A batch on its way: what is needed to understand the results.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    entries: Vec<SentEntry>,
}

#[derive(Debug)]
struct SentEntry {
    item: Item,
    /// `None`: a plain accept, made again from the delivery.
    again: Option<Box<Settlement>>,
    verdict: &'static str,
    emits: bool,
    cause: Option<&'static str>,
    last: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    ready: Vec<Outcome>,
    refused: VecDeque<(Instant, Outcome)>,
    refusals: u16,
    in_flight: usize,
    on_the_way: usize,
    pub(crate) tally: Tally,
}

impl Outbox {
    pub(crate) fn push(&mut self, outcome: Outcome) {
        self.ready.push(outcome);
    }

    /// Nothing more can be taken before something is settled.
    pub(crate) fn is_full(&self) -> bool {
        self.ready.len() + self.refused.len() >= MOST_READY
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    /// Settlements that are not known to be applied or lost.
    pub(crate) fn pending(&self) -> usize {
        self.ready.len() + self.refused.len() + self.on_the_way
    }

    /// Something was counted that is not reported yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.tally.is_empty()
    }

    /// Settlements that were refused and are tried again.
    pub(crate) fn refused(&self) -> usize {
        self.refused.len()
    }

    /// When refused settlements are tried again.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.refused.front().map(|(at, _)| *at)
    }

    /// A batch to be sent, if there is one and not too many are on their way.
    pub(crate) fn take(&mut self, now: Instant, attempts: u16) -> Option<(Vec<Settlement>, Sent)> {
        while let Some((_, outcome)) = self.refused.pop_front_if(|(at, _)| *at <= now) {
            self.ready.push(outcome);
        }
        if self.ready.is_empty() || self.in_flight >= MOST_IN_FLIGHT {
            return None;
        }
        self.in_flight += 1;
        self.on_the_way += self.ready.len();
        let mut batch = Vec::with_capacity(self.ready.len());
        let mut sent = Sent::default();
        sent.entries.reserve(self.ready.len());
        for Outcome { item, settlement } in self.ready.drain(..) {
            let plain = settlement.verdict == Verdict::Accept && settlement.emitted.is_empty();
            let cause = settlement.evidence.as_ref().map(|evidence| evidence.cause.name());
            sent.entries.push(SentEntry {
                verdict: settlement.verdict.name(),
                emits: !settlement.emitted.is_empty(),
                last: settlement.verdict == Verdict::Reject
                    || matches!(settlement.verdict, Verdict::Release { .. })
                        && settlement.lease.delivery_count.get() >= attempts,
                cause,
                again: (!plain && settlement.emitted.is_empty()).then(|| Box::new(settlement.clone())),
                item,
            });
            batch.push(settlement);
        }
        Some((batch, sent))
    }

    /// The results of a batch. Refused settlements come again later; one that carried emitted records is given back instead: whether
    /// they fit is for the next attempt to see.
    pub(crate) fn handle_results(
        &mut self,
        sent: Sent,
        results: Vec<SettleResult>,
        now: Now,
        desk: &mut Desk,
        random: u64,
    ) {
        self.in_flight -= 1;
        self.on_the_way -= sent.entries.len();
        let mut results = results.into_iter();
        let (mut worked, mut refused) = (false, false);
        for entry in sent.entries {
            // A source that answers too little has failed on the way.
            match results.next().unwrap_or(SettleResult::Unknown) {
                SettleResult::Applied => {
                    worked = true;
                    self.applied(&entry, now);
                    entry.item.chunk.finish(entry.item.index);
                }
                SettleResult::Stale => {
                    self.tally.stale += 1;
                    entry.item.chunk.finish(entry.item.index);
                }
                SettleResult::Unknown => {
                    self.tally.unknown += 1;
                    entry.item.chunk.finish(entry.item.index);
                }
                SettleResult::Refused { .. } => {
                    self.tally.refused += 1;
                    refused = true;
                    self.again(entry, now.monotonic, desk, random);
                }
            }
        }
        if refused {
            self.refusals = self.refusals.saturating_add(1);
        } else if worked {
            self.refusals = 0;
        }
    }

    fn applied(&mut self, entry: &SentEntry, now: Now) {
        self.tally.verdicts.add(entry.verdict);
        if entry.last
            && let Some(cause) = entry.cause
        {
            self.tally.archived.add(cause);
        }
        if entry.verdict == Verdict::Accept.name()
            && let Some(delivery) = entry.item.delivery()
        {
            self.tally.acknowledged.record(now.wall.since(delivery.appended_at));
        }
    }

    fn again(&mut self, entry: SentEntry, now: Instant, desk: &mut Desk, random: u64) {
        let Some(lease) = entry.item.delivery().map(|delivery| delivery.lease) else {
            return;
        };
        if entry.item.chunk.phase(entry.item.index) == super::Phase::Lost {
            self.tally.dropped += 1;
            return;
        }
        let settlement = match entry.again {
            Some(settlement) => *settlement,
            None if entry.emits => Desk::give_back(lease, desk.host_fault_delay()),
            None => Settlement {
                lease,
                verdict: Verdict::Accept,
                emitted: Vec::new(),
                evidence: None,
            },
        };
        let delay = delay_before_retry(&REFUSED, self.refusals.saturating_add(1), random);
        let item = entry.item;
        let at = self.refused.back().map_or(now, |(at, _)| *at).max(now.after(delay));
        self.refused.push_back((at, Outcome { item, settlement }));
    }
}

/// Outcomes that may wait before slots take no further record.
const MOST_READY: usize = 8_192;

/// Batches that may be on their way: enough to fill every group commit, few enough to make batches.
const MOST_IN_FLIGHT: usize = 4;

/// Between tries of a settlement that the source refuses.
const REFUSED: Backoff = Backoff {
    first: Duration::from_millis(20),
    max: Duration::from_secs(2),
    jitter: 0.2,
};
