//! What was acquired, sorted: records that the host is to work on, and what it is not to see, which is dealt with here.

use std::sync::Arc;
use std::time::Duration;

use share_client::consumer::{Acquisition, Lease, Verb};
use share_engine::ids::{Continuation, DeliveryCount, LeaseKey, ShareKey, StateEpoch};
use share_engine::time::{Instant, WallTime};

use super::super::{Delivery, Payload};
use super::convert::{Bare, Found, contents, nothing};
use super::held::{Held, Then, Why};
use super::member::Member;
use super::retry::returned;

/// What the deliveries of one acquisition have in common.
struct Arrival<'a> {
    acquisition: &'a Acquisition,
    share: ShareKey,
    now: Instant,
    deadline: Instant,
}

impl Arrival<'_> {
    fn key(&self, at: Bare) -> LeaseKey {
        LeaseKey {
            share: self.share,
            // Counts may come twice, numbers of acquisitions do not.
            #[expect(clippy::cast_possible_truncation, reason = "the same after 4 billion acquisitions")]
            epoch: StateEpoch(self.acquisition.number as u32),
            offset: at.offset,
            delivery_count: DeliveryCount(at.delivery_count),
            continuation: Continuation::default(),
        }
    }

    /// As the brokers know it.
    fn lease(&self, at: Bare) -> Lease {
        Lease {
            place: self.acquisition.place,
            offset: i64::try_from(at.offset.get()).unwrap_or(i64::MAX),
            delivery_count: i16::try_from(at.delivery_count).unwrap_or(i16::MAX),
            acquisition: self.acquisition.number,
        }
    }

    fn delivery(&self, at: Bare, payload: Payload, appended_at: WallTime) -> Delivery {
        Delivery {
            lease: self.key(at),
            topic: self.acquisition.topic.clone(),
            partition: u32::try_from(self.acquisition.place.partition).unwrap_or(0),
            lease_deadline: self.deadline,
            attempt_age: Duration::ZERO,
            acquired_at: self.now,
            appended_at,
            checkpoint: None,
            payload,
        }
    }
}

impl Member {
    /// Returns what the host is to work on.
    pub(super) fn arrive(&self, acquisitions: &[Acquisition]) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let mut kept = false;
        for acquisition in acquisitions {
            let contents = contents(acquisition);
            let (now, deadline) = (self.now(), self.moment(acquisition.deadline));
            let mut held = self.held();
            let arrival = Arrival {
                share: held.share_key(acquisition.place),
                acquisition,
                now,
                deadline,
            };
            kept |= !contents.gaps.is_empty() || !contents.unreadable.is_empty();
            deliveries.reserve(contents.found.len());
            for found in contents.found {
                match self.found(&arrival, found, &mut held) {
                    Some(delivery) => deliveries.push(delivery),
                    None => kept = true,
                }
            }
            for at in contents.gaps {
                held.gap(arrival.lease(at));
            }
            for (at, why) in contents.unreadable {
                self.unreadable(&arrival, at, why, &mut held);
            }
        }
        if kept {
            self.stirred.notify_one();
        }
        deliveries
    }

    /// Records of a retry topic: each waits here until it is due.
    pub(super) fn return_to_wait(&self, acquisitions: &[Acquisition]) {
        for acquisition in acquisitions {
            let contents = contents(acquisition);
            let (now, deadline) = (self.now(), self.moment(acquisition.deadline));
            let wall = self.common.clock.now().wall;
            let mut held = self.held();
            let arrival = Arrival {
                share: held.share_key(acquisition.place),
                acquisition,
                now,
                deadline,
            };
            for found in contents.found {
                self.returned(&arrival, &found, wall, &mut held);
            }
            for at in contents.gaps {
                held.gap(arrival.lease(at));
            }
            for (at, why) in contents.unreadable {
                self.unreadable(&arrival, at, why, &mut held);
            }
        }
        self.stirred.notify_one();
    }

    fn returned(&self, arrival: &Arrival<'_>, found: &Found, wall: WallTime, held: &mut Held) {
        let lease = arrival.lease(found.at);
        let mut delivery = arrival.delivery(found.at, found.payload.clone(), found.timestamp);
        let mut due = arrival.now;
        let mut then = Then::Begin;
        if let Some(back) = returned(&found.payload, &delivery, wall) {
            if back.is_marker {
                return held.keep(&delivery, lease, Then::Tell(Verb::Accept), due);
            }
            delivery.appended_at = back.fields.timestamp;
            delivery.payload = Payload::Fields(Arc::new(back.fields));
            if let Some(standing) = back.standing {
                let (wait, resumed, notes) = standing.resume(&mut delivery, wall);
                due = due.after(wait);
                then = resumed;
                let id = (arrival.share, found.at.offset);
                held.notes.learn(id, notes, delivery.checkpoint.as_ref());
            }
        }
        if let Some(letter) = exhausted(&delivery, self.common.options.attempts, arrival.now) {
            then = letter;
            due = arrival.now;
        }
        held.keep(&delivery, lease, then, due);
    }

    /// A record. `None` if it has had all its attempts.
    fn found(&self, arrival: &Arrival<'_>, found: Found, held: &mut Held) -> Option<Delivery> {
        let lease = arrival.lease(found.at);
        let mut delivery = arrival.delivery(found.at, found.payload, found.timestamp);
        if delivery.attempt() > 1 {
            let note = held.notes.of((arrival.share, delivery.offset()));
            delivery.checkpoint = note.and_then(|note| note.checkpoint.clone());
        }
        if let Some(letter) = exhausted(&delivery, self.common.options.attempts, arrival.now) {
            held.keep(&delivery, lease, letter, arrival.now);
            return None;
        }
        let LeaseKey {
            offset, delivery_count, ..
        } = delivery.lease;
        self.tell_acquired(delivery.partition, offset.get(), delivery_count.get());
        held.take(&delivery, lease);
        Some(delivery)
    }

    /// What was damaged on the way may be whole the next time.
    fn unreadable(&self, arrival: &Arrival<'_>, at: Bare, why: Arc<str>, held: &mut Held) {
        let delivery = arrival.delivery(at, nothing(), self.common.clock.now().wall);
        tracing::error!(
            topic = %delivery.topic,
            partition = delivery.partition,
            offset = %delivery.offset(),
            reason = %why,
            "a record cannot be read"
        );
        let then = if delivery.attempt() >= self.common.options.attempts {
            let why = Why::Unreadable(why);
            Then::Letter {
                why,
                tries: 0,
                since: arrival.now,
            }
        } else {
            Then::Release
        };
        held.keep(&delivery, arrival.lease(at), then, arrival.now);
    }
}

/// What becomes of a record that has had all its attempts.
fn exhausted(delivery: &Delivery, attempts: u16, since: Instant) -> Option<Then> {
    let why = Why::Exhausted;
    let letter = Then::Letter { why, tries: 0, since };
    (delivery.attempt() > attempts).then_some(letter)
}
