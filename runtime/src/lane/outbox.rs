//! Outcomes on their way to the source: collected in batches, sent, and kept while the source refuses them. Belongs to one station.

use std::collections::VecDeque;
use std::time::Duration;

use share_engine::time::{Instant, Now};

use super::chunk::Item;
use super::endings::Failed;
use crate::metrics::Tally;
use crate::settle::{Attempt, Desk, HostFaultBackoff, delay_before_retry};
use crate::source::{RefusedBy, SettleResult, Settlement, Verdict};
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
    /// A release or a rejection: the source must take those some time.
    gave_up: bool,
    cause: Option<&'static str>,
    last: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    ready: Vec<Outcome>,
    refused: VecDeque<(Instant, Outcome)>,
    refusals: u16,
    /// Answers in a row with which emitted records were refused.
    emit_refusals: HostFaultBackoff,
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

    /// Settlements that wait for the backend: nothing new is begun meanwhile.
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
                gave_up: matches!(settlement.verdict, Verdict::Release { .. } | Verdict::Reject),
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

    /// The results of a batch. What is refused for ever is a failed attempt. What the backend has no room for comes again later; but one
    /// that carried emitted records is given back: whether they fit is for a later call to see. `told` hears why, for the log. The
    /// failed attempts that are durable now.
    pub(crate) fn handle_results(
        &mut self,
        sent: Sent,
        results: Vec<SettleResult>,
        now: Now,
        desk: &mut Desk,
        random: u64,
        mut told: impl FnMut(&str),
    ) -> Failed {
        self.in_flight -= 1;
        self.on_the_way -= sent.entries.len();
        let mut results = results.into_iter();
        let (mut worked, mut refused, mut emitted) = (false, false, false);
        let mut emit_delay = None;
        let mut failed = Failed::default();
        for entry in sent.entries {
            // A source that answers too little has failed on the way.
            match results.next().unwrap_or(SettleResult::Unknown) {
                SettleResult::Applied => {
                    worked = true;
                    emitted |= entry.emits;
                    self.applied(&entry, now);
                    if let (true, Some(delivery), Some(settlement)) =
                        (entry.gave_up, entry.item.delivery(), &entry.again)
                    {
                        failed.add(delivery, settlement, entry.last);
                    }
                    entry.item.chunk.finish(entry.item.index);
                }
                SettleResult::Kept => {
                    worked = true;
                    self.tally.verdicts.add(entry.verdict);
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
                SettleResult::Refused { by, reason } => {
                    told(&reason);
                    self.tally.refused += 1;
                    refused |= by == RefusedBy::Backend;
                    let delay = if entry.emits && by != RefusedBy::Never {
                        // One step further for all that were refused together.
                        *emit_delay.get_or_insert_with(|| self.emit_refusals.next(random))
                    } else {
                        Duration::ZERO
                    };
                    self.again(entry, by, &reason, now.monotonic, delay, desk, random);
                }
            }
        }
        if emitted {
            self.emit_refusals.handle_success();
        }
        if refused {
            self.refusals = self.refusals.saturating_add(1);
        } else if worked {
            self.refusals = 0;
        }
        failed
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
            // No time that a producer or the wall clock got wrong makes it shorter than what was seen of it here.
            let here = now.monotonic.since(delivery.acquired_at);
            self.tally
                .acknowledged
                .record(now.wall.since(delivery.appended_at).max(here));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one refusal, seen from all sides")]
    fn again(
        &mut self,
        entry: SentEntry,
        by: RefusedBy,
        reason: &str,
        now: Instant,
        emit_delay: Duration,
        desk: &mut Desk,
        random: u64,
    ) {
        let Some(delivery) = entry.item.delivery() else {
            return;
        };
        if entry.item.chunk.phase(entry.item.index) == super::Phase::Lost {
            self.tally.dropped += 1;
            return;
        }
        let (lease, attempt) = (delivery.lease, Attempt::of(delivery, now));
        let settlement = match entry.again {
            _ if by == RefusedBy::Never && !entry.gave_up => desk.refused_for_good(lease, attempt, reason),
            _ if entry.emits => desk.emit_refused(lease, attempt, reason, emit_delay),
            Some(settlement) => *settlement,
            None => Settlement {
                lease,
                verdict: Verdict::Accept,
                emitted: Vec::new(),
                evidence: None,
            },
        };
        let item = entry.item;
        let outcome = Outcome { item, settlement };
        // Only what stands in the way of all others holds them up.
        if by != RefusedBy::Backend && !entry.gave_up {
            self.ready.push(outcome);
            return;
        }
        let delay = delay_before_retry(&REFUSED, self.refusals.saturating_add(1), random);
        let at = self.refused.back().map_or(now, |(at, _)| *at).max(now.after(delay));
        self.refused.push_back((at, outcome));
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
