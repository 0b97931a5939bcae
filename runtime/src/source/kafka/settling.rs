//! What the host decided of records, carried out: verbs to the brokers, records that are emitted or given up to their topics first, and
//! what is to come later kept.

use std::time::Duration;

use share_client::consumer::{Outcome, Verb};
use share_engine::ids::LeaseKey;

use super::super::{Evidence, RefusedBy, SettleResult, Settlement, Verdict};
use super::Letters;
use super::held::{Due, Held, Then, Why};
use super::letter::{Ended, letter};
use super::member::{Kind, Member};
use super::producer::{ProduceFailure, ToProduce};
use super::retry::origin;

/// A settlement on its way: its place in the call, and the record.
struct Way {
    place: usize,
    due: Due,
    key: LeaseKey,
}

/// What a batch comes to.
#[derive(Default)]
struct Plan {
    verbs: Vec<(Way, Verb)>,
    emits: Vec<(Way, Vec<ToProduce>)>,
    letters: Vec<(Way, Why)>,
    /// Known at once.
    results: Vec<Option<SettleResult>>,
    /// Somebody waits for a later time.
    parks: bool,
}

impl Member {
    pub(super) async fn settle(&self, batch: Vec<Settlement>) -> Vec<SettleResult> {
        let plan = self.plan(batch);
        if plan.parks {
            self.stirred.notify_one();
        }
        let mut results = plan.results;
        let (told, emitted, given_up) =
            tokio::join!(self.tell(plan.verbs), self.emit(plan.emits), self.give_up(plan.letters));
        for (place, result) in told.into_iter().chain(emitted).chain(given_up) {
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
            let way = held.out(&key).and_then(|_| held.lease((key.share, key.offset)));
            let way = way.map(|lease| Way {
                place,
                due: Due {
                    id: (key.share, key.offset),
                    lease,
                },
                key,
            });
            let Some(way) = way else {
                plan.results.push(Some(SettleResult::Stale));
                continue;
            };
            let mut known = None;
            let mut wait = |held: &mut Held, delay, checkpoint| {
                held.park(way.due.id, Then::Continue, now.after(delay), checkpoint);
                plan.parks = true;
                known = Some(SettleResult::Applied);
            };
            match settlement.verdict {
                Verdict::Accept if settlement.emitted.is_empty() => plan.verbs.push((way, Verb::Accept)),
                Verdict::Accept => {
                    let records = settlement.emitted.into_iter().map(ToProduce::from).collect();
                    plan.emits.push((way, records));
                }
                Verdict::Reject => plan.letters.push((way, Why::Failed(settlement.evidence))),
                Verdict::Release { .. } if key.delivery_count.get() >= self.common.options.attempts => {
                    plan.letters.push((way, Why::Failed(settlement.evidence)));
                }
                Verdict::Release { delay } => {
                    let id = (key.share, key.offset);
                    let line = settlement.evidence.as_deref().map(Evidence::note);
                    let checkpoint = held.delivery(way.due).and_then(|delivery| delivery.checkpoint.clone());
                    held.notes.add(id, line, checkpoint.as_ref());
                    if delay.is_zero() {
                        plan.verbs.push((way, Verb::Release));
                    } else {
                        held.park(id, Then::Release, now.after(delay), None);
                        plan.parks = true;
                        known = Some(SettleResult::Applied);
                    }
                }
                Verdict::Park { delay, checkpoint } => wait(&mut held, delay, checkpoint),
                // Kafka counts every acquisition: whoever keeps the record here keeps its count.
                Verdict::GiveBack { delay } => wait(&mut held, delay, None),
                Verdict::Untouched => wait(&mut held, Duration::ZERO, None),
            }
            plan.results.push(known);
        }
        plan
    }

    /// Verbs to the brokers.
    async fn tell(&self, verbs: Vec<(Way, Verb)>) -> Vec<(usize, SettleResult)> {
        if verbs.is_empty() {
            return Vec::new();
        }
        let batch = verbs.iter().map(|(way, verb)| (way.due.lease, *verb)).collect();
        let outcomes = self.consumer.settle(batch).await;
        let mut held = self.held();
        let results = verbs.into_iter().zip(outcomes).map(|((way, verb), outcome)| {
            self.tell_settled(&way.due.lease, verb, outcome);
            let result = result(outcome);
            let is_over = !matches!(result, SettleResult::Refused { .. });
            // A newer delivery of the same record stays.
            if is_over && held.out(&way.key).is_some() {
                held.end(way.due);
                if verb != Verb::Release {
                    held.notes.take(way.due.id);
                }
            }
            (way.place, result)
        });
        results.collect()
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
        results.extend(self.tell(accepted).await);
        results
    }

    /// Dead letters, and then the rejection of those whose letters are stored; the others are kept, and tried again.
    async fn give_up(&self, letters: Vec<(Way, Why)>) -> Vec<(usize, SettleResult)> {
        if letters.is_empty() {
            return Vec::new();
        }
        let written = self
            .write_letters(letters.iter().map(|(way, why)| (way.due, why)))
            .await;
        let (mut results, mut rejected) = (Vec::new(), Vec::new());
        for ((way, why), written) in letters.into_iter().zip(written) {
            if written {
                rejected.push((way, Verb::Reject));
                continue;
            }
            let mut held = self.held();
            if held.out(&way.key).is_some() {
                held.park(
                    way.due.id,
                    Then::Letter { why, tries: 1 },
                    self.now().after(AGAIN),
                    None,
                );
            }
            results.push((way.place, SettleResult::Applied));
        }
        if !results.is_empty() {
            self.stirred.notify_one();
        }
        results.extend(self.tell(rejected).await);
        results
    }

    /// Writes dead letters of records that are held. Whether each may be rejected now.
    pub(super) async fn write_letters(&self, letters: impl Iterator<Item = (Due, &Why)>) -> Vec<bool> {
        let Letters::Host(topic) = &self.common.options.letters else {
            return letters.map(|_| true).collect();
        };
        let at = self.common.clock.now().wall;
        let limit = self.common.options.letter_bytes;
        // `None`: no longer held, there is nothing to be said.
        let written: Vec<Option<(ToProduce, ToProduce)>> = {
            let held = self.held();
            let write = |(due, why): (Due, &Why)| {
                let delivery = held.delivery(due)?;
                let here = || (delivery.topic.clone(), delivery.partition, delivery.offset().get());
                let first = origin(delivery).filter(|_| self.kind == Kind::Retry);
                let ended = Ended {
                    group: &self.common.options.group,
                    delivery,
                    from: first.unwrap_or_else(here),
                    why,
                    notes: held.notes.of(due.id).map_or(&[], |note| &note.lines),
                    at,
                };
                let write = |limit| letter(topic, &ended, limit);
                Some((write(limit), write(limit.min(SMALL))))
            };
            letters.map(write).collect()
        };
        let whole = written.iter().flatten().map(|(whole, _)| whole.clone()).collect();
        let mut stored = self.common.producer.produce_all(whole).await.into_iter();
        let mut done = Vec::new();
        for letter in written {
            let Some((_, small)) = letter else {
                done.push(true);
                continue;
            };
            let mut stored = stored.next().unwrap_or(Err(ProduceFailure::Full));
            if let Err(ProduceFailure::TooLarge { .. }) = &stored {
                // What the topic takes is not known here: without its content the letter is small.
                stored = self
                    .common
                    .producer
                    .produce_all(vec![small])
                    .await
                    .pop()
                    .unwrap_or(stored);
            }
            if let Err(error) = &stored {
                tracing::warn!(%topic, %error, "a dead letter is not written; its record is held, and it is tried again");
            }
            done.push(stored.is_ok());
        }
        done
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

/// Bytes of a letter that any topic takes.
const SMALL: u64 = 64 << 10;
