//! What a session asks next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use share_wire::Uuid;
use share_wire::message::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgeType, AcknowledgementBatch, FetchPartition, FetchTopic,
    ForgottenTopic, ShareAcknowledgeRequest, ShareFetchRequest,
};

use super::{Ask, Batch, Epoch, Event, Flight, Lease, Outcome, Request, Session, Settlement, TopicPartition};

impl Session {
    /// The next request; `None` if one is on its way or there is nothing to ask. What it carries is
    /// on its way from now on: hand in what comes of it.
    pub fn next_request(&mut self, ask: Ask, now: Instant) -> Option<Request> {
        if self.flight.is_some() {
            return None;
        }
        self.expire(now);
        if self.pause.is_some_and(|pause| now < pause.until) {
            return None;
        }
        let Epoch::Open(epoch) = self.epoch else {
            return self.open(ask, now);
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
        let fetches = ask.records > 0 && !self.wanted.is_empty();
        if renews || !self.waiting.is_empty() && !fetches {
            // With a renewal nothing may be fetched (KIP-1222).
            return Some(self.acknowledge(epoch, now));
        }
        (fetches || self.wanted != self.known).then(|| self.fetch(epoch, ask, now))
    }

    /// When [`Session::next_request`], last called at this time, has to be called again even if nothing else happens: a lease ends, or
    /// a pause.
    pub fn deadline(&self, at: Instant) -> Option<Instant> {
        let pause = self.pause.map(|pause| pause.until).filter(|until| *until > at);
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
            // A renewal on its way ends with its answer, and with it what is to follow.
            if self.after.contains_key(&(place, offset)) {
                continue;
            }
            let settlement = self.take_back(place, offset);
            // What is on its way ends with its answer.
            let ended = self
                .held
                .remove_if(place, offset, |is_settling| !is_settling || settlement.is_some());
            match (ended, settlement) {
                (Some(_), Some(settlement)) => self.settled(settlement, Outcome::Lost),
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

    /// Takes a settlement out of what is to be sent.
    pub(super) fn take_back(&mut self, place: TopicPartition, offset: i64) -> Option<Settlement> {
        let after = self.after.remove(&(place, offset));
        after.or_else(|| self.take_back_if(place, offset, |_| true))
    }

    /// Takes a settlement out of what waits, if it is one of these.
    pub(super) fn take_back_if(
        &mut self,
        place: TopicPartition,
        offset: i64,
        wanted: impl Fn(&Settlement) -> bool,
    ) -> Option<Settlement> {
        let waiting = self.waiting.get_mut(&place)?;
        let find = |batch: &mut Batch| match batch.get(&offset) {
            Some(one) if wanted(one) => batch.remove(&offset),
            _ => None,
        };
        let halves = waiting.halves.iter_mut();
        let found = halves.chain([&mut waiting.fresh]).find_map(find);
        waiting.halves.retain(|batch| !batch.is_empty());
        if waiting.is_empty() {
            self.waiting.remove(&place);
        }
        found
    }

    /// The first request of a session carries no acknowledgements.
    fn open(&mut self, ask: Ask, now: Instant) -> Option<Request> {
        let wishes = ask.records > 0 && !self.wanted.is_empty() || !self.waiting.is_empty();
        if !wishes || self.closing && self.waiting.is_empty() {
            return None;
        }
        self.known.clear();
        let mut request = self.plain(0, ask);
        request.topics = by_topic(
            self.wanted.iter().map(|place| (*place, Vec::new())),
            |topic_id, partitions| FetchTopic {
                topic_id,
                partitions: partitions.into_iter().map(fetch_partition).collect(),
            },
        );
        self.known.clone_from(&self.wanted);
        self.fly(Some(ask.records), BTreeMap::new(), now);
        Some(Request::Fetch(request))
    }

    fn fetch(&mut self, epoch: i32, ask: Ask, now: Instant) -> Request {
        let batches = self.load();
        let mut request = self.plain(epoch, ask);
        if !batches.is_empty() {
            // Their results come with the records: nobody is to wait for both.
            request.max_wait_ms = 0;
        }
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
        self.fly(Some(ask.records), batches, now);
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

    fn plain(&self, session_epoch: i32, ask: Ask) -> ShareFetchRequest {
        let wait = if ask.records == 0 {
            // Without credit the request only changes the session.
            Duration::ZERO
        } else if self.held.is_empty() {
            ask.max_wait
        } else if self.has_brought {
            // A window that is full with what came last moves with settlements, which come soon and would wait for the answer.
            Duration::ZERO
        } else {
            ask.max_wait.min(self.options.max_wait_held)
        };
        let credit = i32::try_from(ask.records).unwrap_or(i32::MAX);
        ShareFetchRequest {
            group_id: Some(self.options.group.clone()),
            member_id: Some(self.options.member.clone()),
            session_epoch,
            max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.options.min_bytes,
            max_bytes: ask.max_bytes,
            max_records: credit,
            batch_size: credit,
            acquire_mode: ask.mode,
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
