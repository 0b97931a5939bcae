//! What answers mean.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use share_wire::code::ErrorCode;
use share_wire::message::{
    AcknowledgeType, CurrentLeader, FetchedPartition, NodeEndpoint, ShareAcknowledgeResponse, ShareFetchResponse,
};

use super::{Batch, Epoch, Event, Flight, Lease, Outcome, Pause, Session, SessionError, Settlement, TopicPartition};

impl Session {
    /// The answer to a fetch. After an error the connection is of no more use.
    pub fn fetched(&mut self, response: ShareFetchResponse, now: Instant) -> Result<(), SessionError> {
        let Some(mut flight) = self.flight.take_if(|flight| flight.is_fetch) else {
            return Err(SessionError::Unasked("ShareFetch"));
        };
        check(&response, flight.credit)?;
        self.has_brought = false;
        if !self.advance(&mut flight, response.error_code, response.error_message, now) {
            return Ok(());
        }
        let (deadline, pause) = (
            self.deadline_of(&flight, response.acquisition_lock_timeout_ms),
            self.pause,
        );
        for topic in response.topics {
            for partition in topic.partitions {
                let place = TopicPartition {
                    topic_id: topic.topic_id,
                    partition: partition.partition,
                };
                if let Some(batch) = flight.batches.remove(&place) {
                    let code = ErrorCode(partition.acknowledge_error_code);
                    self.answered(place, batch, code, deadline, now);
                }
                self.acquired(place, partition, deadline);
            }
        }
        self.unanswered(flight);
        self.name_endpoints(response.node_endpoints);
        // Nothing is to be tried again.
        self.pause = self.pause.filter(|_| self.pause != pause);
        Ok(())
    }

    /// The answer to an acknowledgement. After an error the connection is of no more use.
    pub fn acknowledged(&mut self, response: ShareAcknowledgeResponse, now: Instant) -> Result<(), SessionError> {
        let Some(mut flight) = self.flight.take_if(|flight| !flight.is_fetch) else {
            return Err(SessionError::Unasked("ShareAcknowledge"));
        };
        let ends = self.closing && flight.batches.is_empty();
        if !self.advance(&mut flight, response.error_code, response.error_message, now) {
            if ends {
                self.end();
            }
            return Ok(());
        }
        let (deadline, pause) = (
            self.deadline_of(&flight, response.acquisition_lock_timeout_ms),
            self.pause,
        );
        for topic in response.topics {
            for partition in topic.partitions {
                let place = TopicPartition {
                    topic_id: topic.topic_id,
                    partition: partition.partition,
                };
                let code = ErrorCode(partition.error_code);
                if let Some(batch) = flight.batches.remove(&place) {
                    self.answered(place, batch, code, deadline, now);
                }
                if is_elsewhere(code) {
                    self.moved(place, code, partition.current_leader);
                }
            }
        }
        self.unanswered(flight);
        self.name_endpoints(response.node_endpoints);
        // Nothing is to be tried again.
        self.pause = self.pause.filter(|_| self.pause != pause);
        if ends {
            self.end();
        }
        Ok(())
    }

    /// The connection is gone, and with it the session and all that was acquired through it.
    pub fn disconnected(&mut self) {
        if let Some(flight) = self.flight.take() {
            for (place, batch) in flight.batches {
                self.fail(place, batch, Outcome::Unknown);
            }
        }
        self.end();
    }

    /// Goes on to the next number, or back to the first; `false` if the answer holds nothing more.
    fn advance(&mut self, flight: &mut Flight, code: i16, message: Option<String>, now: Instant) -> bool {
        let code = ErrorCode(code);
        let is_lost = matches!(
            code,
            ErrorCode::SHARE_SESSION_NOT_FOUND
                | ErrorCode::INVALID_SHARE_SESSION_EPOCH
                | ErrorCode::SHARE_SESSION_LIMIT_REACHED
        );
        self.epoch = match self.epoch {
            _ if is_lost => Epoch::Closed,
            // The number goes on after every answer of the session (KIP-932), and begins again at 1.
            Epoch::Closed if code.is_error() => Epoch::Closed,
            Epoch::Closed => Epoch::Open(1),
            Epoch::Open(epoch) => Epoch::Open(epoch.checked_add(1).unwrap_or(1)),
        };
        if !code.is_error() {
            return true;
        }
        self.rest(now);
        let batches = std::mem::take(&mut flight.batches);
        for (place, batch) in batches {
            // None of them was looked at. A new session may settle what the one before had acquired.
            if is_lost || code.is_retriable() {
                self.send_again(place, batch);
            } else {
                self.fail(place, batch, Outcome::Failed(code));
            }
        }
        if self.closing && is_lost {
            self.end();
        }
        self.events.push(Event::Failed { code, message });
        false
    }

    /// Counted from when the request left: the broker began no earlier.
    fn deadline_of(&mut self, flight: &Flight, lock_timeout_ms: i32) -> Instant {
        let lock = Duration::from_millis(u64::try_from(lock_timeout_ms).unwrap_or(0));
        if !lock.is_zero() {
            self.lock = Some(lock);
        }
        flight.sent + lock
    }

    /// The results of one partition.
    fn answered(&mut self, place: TopicPartition, batch: Batch, code: ErrorCode, deadline: Instant, now: Instant) {
        match code {
            ErrorCode::NONE => self.applied(place, batch, deadline),
            ErrorCode::INVALID_RECORD_STATE if batch.len() > 1 => {
                // One of them was not ours any more, and none was applied: each half by itself, until it stands alone.
                let mut first = self.superseded(place, batch);
                let middle = first.keys().nth(first.len() / 2).copied().unwrap_or_default();
                let second = first.split_off(&middle);
                let waiting = self.waiting.entry(place).or_default();
                waiting.halves.push_front(second);
                waiting.halves.push_front(first);
            }
            ErrorCode::INVALID_RECORD_STATE => self.fail(place, batch, Outcome::Stale),
            code if is_elsewhere(code) => self.fail(place, batch, Outcome::Lost),
            code if code.is_retriable() => {
                self.send_again(place, batch);
                self.rest(now);
            }
            code => self.fail(place, batch, Outcome::Failed(code)),
        }
    }

    fn applied(&mut self, place: TopicPartition, batch: Batch, deadline: Instant) {
        for (offset, settlement) in batch {
            if settlement.verb == AcknowledgeType::Renew {
                let next = self.after.remove(&(place, offset));
                self.held.renew(place, offset, deadline, next.is_some());
                self.events.push(Event::Renewed {
                    lease: settlement.lease,
                    ticket: settlement.ticket,
                    deadline,
                });
                if let Some(next) = next {
                    self.waiting.entry(place).or_default().fresh.insert(offset, next);
                }
            } else {
                self.held.remove(place, offset);
                self.settled(settlement, Outcome::Applied);
            }
        }
    }

    /// Before what is fresh, since it is older.
    fn send_again(&mut self, place: TopicPartition, batch: Batch) {
        let batch = self.superseded(place, batch);
        let waiting = self.waiting.entry(place).or_default();
        waiting.halves.push_front(batch);
    }

    /// What is not on its way any more: what was to follow a renewal takes its place.
    fn superseded(&mut self, place: TopicPartition, mut batch: Batch) -> Batch {
        for (offset, settlement) in &mut batch {
            if let Some(next) = self.after.remove(&(place, *offset)) {
                self.events.push(Event::NotRenewed {
                    lease: settlement.lease,
                    ticket: settlement.ticket,
                });
                *settlement = next;
            }
        }
        batch
    }

    /// Asks nothing for a while: twice as long as the last time, if that was not followed by a success.
    fn rest(&mut self, now: Instant) {
        let length = self
            .pause
            .map_or(PAUSE_FIRST, |pause| (pause.length * 2).min(PAUSE_MAX));
        self.pause = Some(Pause {
            until: now + length,
            length,
        });
    }

    fn fail(&mut self, place: TopicPartition, batch: Batch, outcome: Outcome) {
        for (offset, settlement) in batch {
            if matches!(outcome, Outcome::Failed(_)) {
                // Nothing of it was applied, and the record is ours until its time is over.
                self.held.keep(place, offset);
            } else {
                self.held.remove(place, offset);
            }
            self.settled(settlement, outcome);
            if let Some(next) = self.after.remove(&(place, offset)) {
                // What came of the renewal is not known, but that this was never sent.
                let outcome = if outcome == Outcome::Unknown {
                    Outcome::Lost
                } else {
                    outcome
                };
                self.settled(next, outcome);
            }
        }
    }

    pub(super) fn settled(&mut self, settlement: Settlement, outcome: Outcome) {
        self.events.push(Event::Settled {
            lease: settlement.lease,
            verb: settlement.verb,
            ticket: settlement.ticket,
            outcome,
        });
    }

    /// A partition whose acknowledgements have no result: Kafka's own clients take them as not applied.
    fn unanswered(&mut self, flight: Flight) {
        for (place, batch) in flight.batches {
            self.fail(place, batch, Outcome::Stale);
        }
    }

    fn acquired(&mut self, place: TopicPartition, partition: FetchedPartition, deadline: Instant) {
        let code = ErrorCode(partition.error_code);
        if code.is_error() {
            self.moved(place, code, partition.current_leader);
            return;
        }
        if partition.acquired.is_empty() {
            return;
        }
        self.has_brought = true;
        let acquisition = self.options.acquisitions.fetch_add(1, Ordering::Relaxed);
        let mut gone = Vec::new();
        for run in &partition.acquired {
            for offset in run.first_offset..=run.last_offset {
                // A settlement of an earlier delivery is not to meet this one.
                let settlement = self.take_back(place, offset);
                match (self.held.remove(place, offset), settlement) {
                    (Some(_), Some(settlement)) => self.settled(settlement, Outcome::Stale),
                    (Some((before, _)), None) => gone.push(before),
                    (None, _) => {}
                }
                let lease = Lease {
                    place,
                    offset,
                    delivery_count: run.delivery_count,
                    acquisition,
                };
                self.held.acquire(lease, deadline);
            }
        }
        self.gone(gone);
        self.events.push(Event::Acquired {
            place,
            records: partition.records,
            acquired: partition.acquired,
            deadline,
            acquisition,
        });
    }

    /// A partition cannot be had from here; with its leader goes all that was acquired of it.
    fn moved(&mut self, place: TopicPartition, code: ErrorCode, leader: CurrentLeader) {
        if is_elsewhere(code) {
            self.drop_held(Some(place));
        }
        let is_known = is_elsewhere(code) && leader.leader_id >= 0 && leader.leader_epoch >= 0;
        self.events.push(Event::Refused {
            place,
            code,
            leader: is_known.then_some(leader),
        });
    }

    fn name_endpoints(&mut self, endpoints: Vec<NodeEndpoint>) {
        if !endpoints.is_empty() {
            self.events.push(Event::Endpoints(endpoints));
        }
    }

    /// There is no session any more, and the broker gives back what was held.
    fn end(&mut self) {
        self.epoch = Epoch::Closed;
        self.known.clear();
        self.drop_held(None);
    }

    fn drop_held(&mut self, of: Option<TopicPartition>) {
        let mut gone = Vec::new();
        for (place, offset) in self.held.places(of) {
            let Some((lease, is_settling)) = self.held.remove(place, offset) else {
                continue;
            };
            match self.take_back(place, offset) {
                Some(settlement) => self.settled(settlement, Outcome::Lost),
                None if !is_settling => gone.push(lease),
                // On its way: its own answer says what came of it.
                None => {}
            }
        }
        self.gone(gone);
    }
}

/// A broker may hand out more than was asked for, to the end of a batch; its window is a thousand times smaller than this.
fn check(response: &ShareFetchResponse, credit: u32) -> Result<(), SessionError> {
    let mut left = i64::from(credit.max(1)).saturating_add(ACQUIRED_MAX);
    for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
        for run in &partition.acquired {
            let count = run
                .last_offset
                .checked_sub(run.first_offset)
                .filter(|count| *count >= 0);
            left = count.map_or(-1, |count| left.saturating_sub(count).saturating_sub(1));
            if left < 0 || run.first_offset < 0 {
                return Err(SessionError::Acquired {
                    partition: partition.partition,
                    first: run.first_offset,
                    last: run.last_offset,
                    credit,
                });
            }
        }
    }
    Ok(())
}

/// Another broker leads the partition, or it is gone.
const fn is_elsewhere(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
    )
}

/// Offsets beyond what was asked for that one answer may hold.
const ACQUIRED_MAX: i64 = 1_000_000;

/// Pauses before something is tried again.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
