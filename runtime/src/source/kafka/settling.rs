//! What the host decided of records, carried out: verbs to the brokers, records that are emitted or given up to their topics first, and
//! what is to come later kept.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use share_client::consumer::{Outcome, Verb};
use share_engine::time::Instant;

use super::super::{Delivery, Evidence, RefusedBy, SettleResult, Settlement, SourceEvent, Verdict};
use super::Letters;
use super::held::{Due, Then, Why};
use super::letter::{Ended, letter};
use super::member::{Kind, Member};
use super::producer::{ProduceFailure, ToProduce};
use super::retry::origin;

/// A settlement on its way: its place in the call, and the record.
#[derive(Clone, Copy)]
struct Way {
    place: usize,
    due: Due,
}

/// What a batch comes to.
#[derive(Default)]
struct Plan {
    verbs: Vec<(Way, Verb)>,
    emits: Vec<(Way, Vec<ToProduce>)>,
    letters: Vec<(Way, Why)>,
    /// To be kept here for a later time.
    stays: Vec<(Way, Stay)>,
    /// Known at once.
    results: Vec<Option<SettleResult>>,
}

/// How a record is kept here.
struct Stay {
    then: Then,
    due: Instant,
    checkpoint: Option<Bytes>,
}

/// What a record does whose settlement the brokers refuse for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// The host hears of it, and decides what comes next.
    Told,
    /// It stays here until they take it: what was done before is not to be done once more.
    Stays,
}

/// What became of a dead letter.
#[derive(Debug)]
pub(super) enum Written {
    /// The record, as it was then, may be rejected.
    Yes(Box<Delivery>),
    /// It is to be tried again.
    No,
    /// The record is not held any more: there is nothing to be said of it.
    Gone,
}

impl Member {
    pub(super) async fn settle(&self, batch: Vec<Settlement>) -> Vec<SettleResult> {
        let plan = self.plan(batch);
        let mut results = plan.results;
        let (told, emitted, given_up) = tokio::join!(
            self.tell(plan.verbs, Refused::Told),
            self.emit(plan.emits),
            self.give_up(plan.letters)
        );
        let stayed = self.stay(plan.stays);
        for (place, result) in told.into_iter().chain(emitted).chain(given_up).chain(stayed) {
            if let Some(slot) = results.get_mut(place) {
                *slot = Some(result);
            }
        }
        // Every settlement has its result by now; one without would be delivered again.
        results
            .into_iter()
            .map(|result| result.unwrap_or(SettleResult::Unknown))
            .collect()
    }

    fn plan(&self, batch: Vec<Settlement>) -> Plan {
        let now = self.now();
        let mut plan = Plan::default();
        let mut held = self.held();
        for (place, settlement) in batch.into_iter().enumerate() {
            let key = settlement.lease;
            let id = (key.share, key.offset);
            let Some(lease) = held.out(&key).and_then(|_| held.lease(id)) else {
                plan.results.push(Some(SettleResult::Stale));
                continue;
            };
            let way = Way {
                place,
                due: Due { id, lease },
            };
            plan.results.push(None);
            let mut stay = |then, delay, checkpoint| {
                let due = now.after(delay);
                plan.stays.push((way, Stay { then, due, checkpoint }));
            };
            match settlement.verdict {
                Verdict::Accept if settlement.emitted.is_empty() => plan.verbs.push((way, Verb::Accept)),
                Verdict::Accept => {
                    let records = settlement.emitted.into_iter().map(ToProduce::from).collect();
                    plan.emits.push((way, records));
                }
                Verdict::Release { delay } if key.delivery_count.get() < self.common.options.attempts => {
                    let line = settlement.evidence.as_deref().map(Evidence::note);
                    let checkpoint = held.delivery(way.due).and_then(|delivery| delivery.checkpoint.clone());
                    held.notes.add(id, line, checkpoint.as_ref());
                    if delay.is_zero() {
                        plan.verbs.push((way, Verb::Release));
                    } else {
                        stay(Then::Release, delay, None);
                    }
                }
                Verdict::Reject | Verdict::Release { .. } => {
                    let why = Why::Failed(settlement.evidence);
                    if self.common.letters_fail.load(Ordering::Relaxed) {
                        // Others are not to wait until the next one fails, too.
                        let tries = 0;
                        stay(Then::Letter { why, tries, since: now }, Duration::ZERO, None);
                    } else {
                        plan.letters.push((way, why));
                    }
                }
                Verdict::Park { delay, checkpoint } => stay(Then::Continue, delay, checkpoint),
                // Kafka counts every acquisition: whoever keeps the record here keeps its count.
                Verdict::GiveBack { delay } => stay(Then::Continue, delay, None),
                Verdict::Untouched => stay(Then::Continue, Duration::ZERO, None),
            }
        }
        plan
    }

    /// Keeps records here. Done when the rest of the batch is: until the host has the results, it renews the leases and is not to be told
    /// that they are lost.
    fn stay(&self, stays: Vec<(Way, Stay)>) -> Vec<(usize, SettleResult)> {
        if stays.is_empty() {
            return Vec::new();
        }
        let mut held = self.held();
        let results = stays.into_iter().map(|(way, stay)| {
            if !held.is_out(way.due) {
                // Lost meanwhile.
                return (way.place, SettleResult::Stale);
            }
            let result = match &stay.then {
                Then::Letter { .. } => SettleResult::Kept,
                _ => SettleResult::Applied,
            };
            held.park(way.due.id, stay.then, stay.due, stay.checkpoint);
            (way.place, result)
        });
        let results = results.collect();
        drop(held);
        self.stirred.notify_one();
        results
    }

    /// Verbs to the brokers.
    async fn tell(&self, verbs: Vec<(Way, Verb)>, if_refused: Refused) -> Vec<(usize, SettleResult)> {
        if verbs.is_empty() {
            return Vec::new();
        }
        let due = verbs.iter().map(|(way, verb)| (way.due, *verb)).collect();
        let outcomes = self.settle_due(due).await;
        let again = self.now().after(AGAIN);
        let mut held = self.held();
        let results = verbs.into_iter().zip(outcomes).map(|((way, verb), outcome)| {
            let stays = if_refused == Refused::Stays || verb == Verb::Release;
            if held.answered(way.due, verb, outcome, stays, again) {
                self.stirred.notify_one();
                return (way.place, SettleResult::Applied);
            }
            (way.place, result(outcome))
        });
        results.collect()
    }

    /// Tells the brokers, and says so where records are followed.
    pub(super) async fn settle_due(&self, verbs: Vec<(Due, Verb)>) -> Vec<Outcome> {
        let batch = verbs.iter().map(|(due, verb)| (due.lease, *verb)).collect();
        let outcomes = self.consumer.settle(batch).await;
        for ((due, verb), outcome) in verbs.iter().zip(&outcomes) {
            self.tell_settled(&due.lease, *verb, *outcome);
            if let Outcome::Failed(code) = outcome {
                tracing::warn!(
                    topic = %self.topic, partition = due.lease.place.partition, offset = due.lease.offset, %code, ?verb,
                    "the broker refuses a settlement; it is tried again while the record is held"
                );
            }
        }
        outcomes
    }

    /// Records that handlers emitted, and then the acceptance of those whose records are all stored.
    async fn emit(&self, emits: Vec<(Way, Vec<ToProduce>)>) -> Vec<(usize, SettleResult)> {
        if emits.is_empty() {
            return Vec::new();
        }
        let (mut ways, mut records) = (Vec::new(), Vec::new());
        for (way, emitted) in emits {
            ways.push((way, emitted.len()));
            records.extend(emitted);
        }
        let mut stored = self.common.producer.produce_all(records).await.into_iter();
        let (mut results, mut accepted) = (Vec::new(), Vec::new());
        for (way, count) in ways {
            let failures = stored.by_ref().take(count).filter_map(Result::err);
            // All are looked at, so that the next one's results are its own.
            let failures: Vec<ProduceFailure> = failures.collect();
            match failures.into_iter().next() {
                None => accepted.push((way, Verb::Accept)),
                Some(failure) => {
                    let by = if failure.may_pass() {
                        RefusedBy::TargetFull
                    } else {
                        RefusedBy::Never
                    };
                    let reason = failure.to_string();
                    results.push((way.place, SettleResult::Refused { by, reason }));
                }
            }
        }
        results.extend(self.tell(accepted, Refused::Stays).await);
        results
    }

    /// Dead letters, and then the rejection of those whose letters are stored; the others are kept, and tried again.
    async fn give_up(&self, letters: Vec<(Way, Why)>) -> Vec<(usize, SettleResult)> {
        if letters.is_empty() {
            return Vec::new();
        }
        let now = self.now();
        let written = letters.iter().map(|(way, why)| (way.due, why)).collect();
        let written = self.write_letters(written).await;
        let (mut results, mut rejected, mut buried) = (Vec::new(), Vec::new(), BTreeMap::new());
        for ((way, why), written) in letters.into_iter().zip(written) {
            match written {
                Written::Yes(delivery) => {
                    buried.insert(way.place, buried_event(delivery, why));
                    rejected.push((way, Verb::Reject));
                }
                Written::Gone => results.push((way.place, SettleResult::Stale)),
                Written::No => {
                    let (tries, at) = (1, self.now().after(AGAIN));
                    let then = Then::Letter { why, tries, since: now };
                    self.held().put_back(way.due, then, at);
                    self.stirred.notify_one();
                    results.push((way.place, SettleResult::Kept));
                }
            }
        }
        let told = self.tell(rejected, Refused::Stays).await;
        for (place, result) in &told {
            if is_written_unsaid(&self.common.options.letters, result)
                && let Some(event) = buried.remove(place)
            {
                drop(self.common.events.send(event).await);
            }
        }
        results.extend(told);
        results
    }

    /// Writes dead letters of records that are held: as many answers, in their order.
    pub(super) async fn write_letters(&self, letters: Vec<(Due, &Why)>) -> Vec<Written> {
        let mut written = Vec::with_capacity(letters.len());
        let mut rest = letters.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut lot, mut bytes) = (Vec::new(), 0);
            {
                let held = self.held();
                while let Some((due, why)) = rest.next_if(|_| bytes < LOT_BYTES && lot.len() < LOT) {
                    lot.push(held.delivery(due).map(|delivery| {
                        bytes += delivery.bytes();
                        let notes = held.notes.of(due.id).map_or_else(Vec::new, |note| note.lines.clone());
                        (delivery.clone(), why, notes)
                    }));
                }
            }
            written.extend(self.write_lot(lot).await);
        }
        written
    }

    async fn write_lot(&self, lot: Vec<Option<(Delivery, &Why, Vec<Bytes>)>>) -> Vec<Written> {
        let yes = |delivery| Written::Yes(Box::new(delivery));
        let Letters::Host(topic) = &self.common.options.letters else {
            let is_there = |one: Option<(Delivery, _, _)>| one.map_or(Written::Gone, |one| yes(one.0));
            return lot.into_iter().map(is_there).collect();
        };
        let at = self.common.clock.now().wall;
        let limit = self.common.options.letter_bytes;
        let write = |(delivery, why, notes): &(Delivery, &Why, Vec<Bytes>), limit| {
            let here = || (delivery.topic.clone(), delivery.partition, delivery.offset().get());
            let first = origin(delivery).filter(|_| self.kind == Kind::Retry);
            let ended = Ended {
                group: &self.common.options.group,
                delivery,
                from: first.unwrap_or_else(here),
                why,
                notes,
                at,
            };
            letter(topic, &ended, limit)
        };
        let whole = lot.iter().flatten().map(|one| write(one, limit)).collect();
        let mut stored = self.common.producer.produce_all(whole).await.into_iter();
        let mut written = Vec::new();
        for one in lot {
            let Some(one) = one else {
                written.push(Written::Gone);
                continue;
            };
            let mut stored = stored.next().unwrap_or(Err(ProduceFailure::Full));
            if let Err(ProduceFailure::TooLarge { .. }) = &stored {
                // What the topic takes is not known here: without its content the letter is small.
                let small = write(&one, limit.min(SMALL));
                stored = self
                    .common
                    .producer
                    .produce_all(vec![small])
                    .await
                    .pop()
                    .unwrap_or(stored);
            }
            if let Err(error) = &stored {
                let delivery = &one.0;
                let record = format!("{}/{}/{}", delivery.topic, delivery.partition, delivery.offset());
                tracing::warn!(record, to = topic, %error, "a dead letter is not written; its record is held, and it is tried again");
            }
            self.common.letters_fail.store(stored.is_err(), Ordering::Relaxed);
            written.push(if stored.is_ok() { yes(one.0) } else { Written::No });
        }
        written
    }
}

/// Whether a dead letter is there that the host does not hear of by what became of its settlement: the rejection was lost on its way.
fn is_written_unsaid(letters: &Letters, result: &SettleResult) -> bool {
    matches!(letters, Letters::Host(_)) && *result != SettleResult::Applied
}

/// What the host is to hear of a record whose letter is written, and that it does not hear as the result of a settlement.
pub(super) fn buried_event(delivery: Box<Delivery>, why: Why) -> SourceEvent {
    let (cause, reason) = match why {
        Why::Failed(Some(evidence)) => (evidence.cause.name(), evidence.reason),
        Why::Failed(None) => ("reject", None),
        Why::Exhausted => ("delivery-limit", None),
        Why::Unreadable(reason) => ("unreadable", Some(reason.to_string())),
    };
    SourceEvent::Buried {
        delivery,
        cause,
        reason,
    }
}

fn result(outcome: Outcome) -> SettleResult {
    match outcome {
        Outcome::Applied => SettleResult::Applied,
        Outcome::Stale | Outcome::Lost => SettleResult::Stale,
        Outcome::Unknown => SettleResult::Unknown,
        Outcome::Failed(code) => SettleResult::Refused {
            by: RefusedBy::Backend,
            reason: format!("the broker refuses it: {code}"),
        },
    }
}

/// Before a dead letter is tried again for the first time.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// Dead letters, and bytes of their records, that are written at a time.
const LOT: usize = 500;
const LOT_BYTES: u64 = 4 << 20;

/// Bytes of a letter that any topic takes.
const SMALL: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use share_wire::code::ErrorCode;

    use super::*;

    /// It was neither counted nor said, though it lay in the dead-letter topic.
    #[test]
    fn a_letter_whose_rejection_is_lost_is_told_by_itself() {
        let ours = Letters::Host("jobs.dead".to_owned());
        for result in [SettleResult::Stale, SettleResult::Unknown] {
            assert!(is_written_unsaid(&ours, &result));
            assert!(!is_written_unsaid(&Letters::Nobody, &result) && !is_written_unsaid(&Letters::Broker, &result));
        }
        assert!(!is_written_unsaid(&ours, &SettleResult::Applied));
    }

    #[test]
    fn the_host_hears_what_the_brokers_said() {
        let told = [Outcome::Applied, Outcome::Stale, Outcome::Lost, Outcome::Unknown].map(result);
        let wanted = [
            SettleResult::Applied,
            SettleResult::Stale,
            SettleResult::Stale,
            SettleResult::Unknown,
        ];
        assert_eq!(told, wanted);
        let failed = result(Outcome::Failed(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        let SettleResult::Refused { by, reason } = failed else {
            panic!("{failed:?}")
        };
        assert_eq!(by, RefusedBy::Backend);
        assert!(reason.contains("NOT_LEADER_OR_FOLLOWER"), "{reason}");
    }
}
