//! What a session asks next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use share_wire::Uuid;
use share_wire::message::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgeType, AcknowledgementBatch, FetchPartition, FetchTopic,
    ForgottenTopic, ShareAcknowledgeRequest, ShareFetchRequest,
};

use super::{Batch, Epoch, Event, Flight, Lease, Outcome, Request, Session, TopicPartition};

impl Session {
    /// The next request, for at most `credit` records; `None` if one is on its way or there is nothing to ask. What it carries is
    /// on its way from now on: hand in what comes of it.
    pub fn next_request(&mut self, credit: u32, now: Instant) -> Option<Request> {
        if self.flight.is_some() {
            return None;
        }
        self.expire(now);
        if self.pause.is_some_and(|pause| now < pause.until) {
            return None;
        }
        let Epoch::Open(epoch) = self.epoch else {
            return self.open(credit, now);
        };
        if self.closing {
            // What has a result to come is sent before: after the end nothing could be sent again.
            let last = self.waiting.is_empty();
            return Some(self.acknowledge(if last { LAST } else { epoch }, now));
        }
        let renews = self.waiting.values().any(|waiting| {
            let batch = waiting.halves.front().unwrap_or(&waiting.fresh);
            batch.values().any(|one| one.verb == AcknowledgeType::Renew)
        });
        let fetches = credit > 0 && !self.wanted.is_empty();
        if renews || !self.waiting.is_empty() && !fetches {
            // With a renewal nothing may be fetched (KIP-1222).
            return Some(self.acknowledge(epoch, now));
        }
        (fetches || self.wanted != self.known).then(|| self.fetch(epoch, credit, now))
    }

    /// When [`Session::next_request`] has to be called again even if nothing else happens: a lease ends, or a pause.
    pub fn deadline(&self) -> Option<Instant> {
        let pause = self.pause.map(|pause| pause.until);
        self.held.next_end().into_iter().chain(pause).min()
    }

    /// Nothing is fetched any more: what waits is sent, what is held is given back, and the session ends.
    pub const fn close(&mut self) {
        self.closing = true;
    }

    /// Whether it has ended after [`Session::close`], and nothing is on its way.
    pub fn is_closed(&self) -> bool {
        self.closing && self.flight.is_none() && self.epoch == Epoch::Closed
    }

    /// Leases whose time is over are not sent: the broker has given the record to somebody else, or is about to.
    fn expire(&mut self, now: Instant) {
        let mut gone = Vec::new();
        for (place, offset) in self.held.over(now) {
            let verb = self.take_back(place, offset);
            // What is on its way ends with its answer.
            let ended = self
                .held
                .remove_if(place, offset, |is_settling| !is_settling || verb.is_some());
            match (ended, verb) {
                (Some(lease), Some(verb)) => self.settled(lease, verb, Outcome::Lost),
                (Some(lease), None) => gone.push(lease),
                (None, _) => {}
            }
        }
        self.gone(gone);
    }

    pub(super) fn gone(&mut self, leases: Vec<Lease>) {
        if !leases.is_empty() {
            self.events.push(Event::Gone { leases });
        }
    }

    /// Takes a settlement out of what waits.
    pub(super) fn take_back(&mut self, place: TopicPartition, offset: i64) -> Option<AcknowledgeType> {
        let waiting = self.waiting.get_mut(&place)?;
        let lists = waiting.halves.iter_mut().chain([&mut waiting.fresh]);
        let found = lists.filter_map(|batch| batch.remove(&offset)).last();
        waiting.halves.retain(|batch| !batch.is_empty());
        if waiting.is_empty() {
            self.waiting.remove(&place);
        }
        found.map(|settlement| settlement.verb)
    }

    /// The first request of a session carries no acknowledgements.
    fn open(&mut self, credit: u32, now: Instant) -> Option<Request> {
        let wishes = credit > 0 && !self.wanted.is_empty() || !self.waiting.is_empty();
        if !wishes || self.closing && self.waiting.is_empty() {
            return None;
        }
        self.known.clear();
        let mut request = self.plain(0, credit);
        request.topics = by_topic(
            self.wanted.iter().map(|place| (*place, Vec::new())),
            |topic_id, partitions| FetchTopic {
                topic_id,
                partitions: partitions.into_iter().map(fetch_partition).collect(),
            },
        );
        self.known.clone_from(&self.wanted);
        self.fly(Some(credit), BTreeMap::new(), now);
        Some(Request::Fetch(request))
    }

    fn fetch(&mut self, epoch: i32, credit: u32, now: Instant) -> Request {
        let batches = self.load();
        let mut request = self.plain(epoch, credit);
        let acknowledged = batches.iter().map(|(place, batch)| (*place, ranges(batch)));
        let mut named: BTreeMap<TopicPartition, Vec<AcknowledgementBatch>> = acknowledged.collect();
        for place in self.wanted.difference(&self.known) {
            named.entry(*place).or_default();
        }
        // Whatever is named for its acknowledgements is added to the session: it is taken out in the same request.
        let forgotten = named
            .keys()
            .chain(&self.known)
            .filter(|place| !self.wanted.contains(place));
        let mut forgotten: Vec<TopicPartition> = forgotten.copied().collect();
        forgotten.sort_unstable();
        forgotten.dedup();
        request.forgotten = by_topic(
            forgotten.into_iter().map(|place| (place, ())),
            |topic_id, partitions| ForgottenTopic {
                topic_id,
                partitions: partitions.into_iter().map(|(partition, ())| partition).collect(),
            },
        );
        request.topics = by_topic(named.into_iter(), |topic_id, partitions| FetchTopic {
            topic_id,
            partitions: partitions.into_iter().map(fetch_partition).collect(),
        });
        self.known.clone_from(&self.wanted);
        self.fly(Some(credit), batches, now);
        Request::Fetch(request)
    }

    fn acknowledge(&mut self, epoch: i32, now: Instant) -> Request {
        let batches = self.load();
        let verbs = batches.values().flat_map(|batch| batch.values());
        let is_renew_ack = verbs.into_iter().any(|one| one.verb == AcknowledgeType::Renew);
        let named = batches.iter().map(|(place, batch)| (*place, ranges(batch)));
        let topics = by_topic(named, |topic_id, partitions| AcknowledgeTopic {
            topic_id,
            partitions: partitions
                .into_iter()
                .map(|(partition, acknowledgements)| AcknowledgePartition {
                    partition,
                    acknowledgements,
                })
                .collect(),
        });
        self.fly(None, batches, now);
        Request::Acknowledge(ShareAcknowledgeRequest {
            group_id: Some(self.options.group.clone()),
            member_id: Some(self.options.member.clone()),
            session_epoch: epoch,
            is_renew_ack,
            topics,
        })
    }

    fn plain(&self, session_epoch: i32, credit: u32) -> ShareFetchRequest {
        let wait = if self.held.is_empty() {
            self.options.max_wait
        } else {
            self.options.max_wait_held
        };
        let credit = i32::try_from(credit).unwrap_or(i32::MAX);
        // Without credit the request only changes the session.
        let wait = if credit == 0 { Duration::ZERO } else { wait };
        ShareFetchRequest {
            group_id: Some(self.options.group.clone()),
            member_id: Some(self.options.member.clone()),
            session_epoch,
            max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.options.min_bytes,
            max_bytes: self.options.max_bytes,
            max_records: credit,
            batch_size: credit,
            acquire_mode: self.options.mode,
            is_renew_ack: false,
            topics: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    /// One list of each partition.
    fn load(&mut self) -> BTreeMap<TopicPartition, Batch> {
        let mut batches = BTreeMap::new();
        for (place, waiting) in &mut self.waiting {
            let batch = waiting
                .halves
                .pop_front()
                .unwrap_or_else(|| std::mem::take(&mut waiting.fresh));
            batches.insert(*place, batch);
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        batches
    }

    /// `credit`: of a fetch.
    fn fly(&mut self, credit: Option<u32>, batches: BTreeMap<TopicPartition, Batch>, now: Instant) {
        self.flight = Some(Flight {
            is_fetch: credit.is_some(),
            credit: credit.unwrap_or(0),
            sent: now,
            batches,
        });
    }
}

impl super::Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.halves.is_empty() && self.fresh.is_empty()
    }
}

fn fetch_partition((partition, acknowledgements): (i32, Vec<AcknowledgementBatch>)) -> FetchPartition {
    FetchPartition {
        partition,
        acknowledgements,
    }
}

/// Ends a session.
const LAST: i32 = -1;

/// Groups what is said of partitions, which come in order, by their topics.
fn by_topic<T, O>(
    places: impl Iterator<Item = (TopicPartition, T)>,
    topic: impl Fn(Uuid, Vec<(i32, T)>) -> O,
) -> Vec<O> {
    let mut topics: Vec<(Uuid, Vec<(i32, T)>)> = Vec::new();
    for (place, said) in places {
        match topics.last_mut().filter(|(id, _)| *id == place.topic_id) {
            Some((_, partitions)) => partitions.push((place.partition, said)),
            None => topics.push((place.topic_id, vec![(place.partition, said)])),
        }
    }
    topics
        .into_iter()
        .map(|(id, partitions)| topic(id, partitions))
        .collect()
}

/// Neighbours together: with one type if they fare alike, else with one for each.
fn ranges(batch: &Batch) -> Vec<AcknowledgementBatch> {
    let mut ranges: Vec<AcknowledgementBatch> = Vec::new();
    for (offset, settlement) in batch {
        let verb = settlement.verb as i8;
        match ranges.last_mut().filter(|range| range.last_offset + 1 == *offset) {
            Some(range) => {
                range.last_offset = *offset;
                range.types.push(verb);
            }
            None => ranges.push(AcknowledgementBatch {
                first_offset: *offset,
                last_offset: *offset,
                types: vec![verb],
            }),
        }
    }
    for range in &mut ranges {
        if range.types.iter().all(|one| Some(one) == range.types.first()) {
            range.types.truncate(1);
        }
    }
    ranges
}
