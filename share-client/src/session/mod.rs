//! A share session: one member with one broker (KIP-932, "Share sessions"; `SharePartitionManager` and `ShareConsumeRequestManager`
//! of Kafka 4.2.1). Sans-IO: says what to ask next, is told what came of it, and is told the time.
//!
//! Invariants: one request is on its way at most, since a second one would break the session. Every settlement that was taken has
//! exactly one result. What is sent is held as long as the broker holds it: a lease whose time is over is never sent.

mod answer;
mod held;
mod request;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use bytes::Bytes;
use share_wire::Uuid;
use share_wire::code::ErrorCode;
use share_wire::message::{
    AcknowledgeType, AcquireMode, Acquired, CurrentLeader, NodeEndpoint, ShareAcknowledgeRequest, ShareFetchRequest,
};

use held::{Held, Taken};

/// A partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
}

/// The right to settle a record: this delivery of it, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// Where the record lies.
    pub place: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// How often it was delivered, this time included.
    pub delivery_count: i16,
    /// The acquisition that it came with. No two of a consumer have the same number, while counts may come twice: a new leader has
    /// forgotten those that the one before it had not written.
    pub acquisition: u64,
}

/// What came of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it. It says so too of a record that somebody else has settled, if all before it are settled as well.
    Applied,
    /// The record was not ours any more when the broker read it, or when we were about to send it.
    Stale,
    /// The lease was over before it was sent, or what was acquired went with the connection or the leader. The record comes again,
    /// perhaps to somebody else.
    Lost,
    /// It was on its way when the connection broke: it was applied, or the record comes again.
    Unknown,
    /// The broker has refused it; the lease stands as it was.
    Failed(ErrorCode),
}

/// Whatever tells one settlement from another, for whoever hands it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Records were acquired. `records` are record batches that hold them, and perhaps others.
    Acquired {
        /// Of which partition.
        place: TopicPartition,
        /// Record batches.
        records: Bytes,
        /// What of them is ours: ascending and disjoint.
        acquired: Vec<Acquired>,
        /// Until when, at least.
        deadline: Instant,
        /// Its number, which its leases bear.
        acquisition: u64,
    },
    /// A settlement has its result.
    Settled {
        /// Of which lease.
        lease: Lease,
        /// What it was.
        verb: AcknowledgeType,
        /// As it was handed in.
        ticket: Ticket,
        /// What came of it.
        outcome: Outcome,
    },
    /// A lease lasts longer.
    Renewed {
        /// Which.
        lease: Lease,
        /// As it was handed in.
        ticket: Ticket,
        /// Until when, at least.
        deadline: Instant,
    },
    /// A renewal was not asked for, since the lease is being settled or renewed already; it stands as it was.
    NotRenewed {
        /// Which.
        lease: Lease,
        /// As it was handed in.
        ticket: Ticket,
    },
    /// Leases ended that nobody had settled: with the connection, the leader, or their time.
    Gone {
        /// Which.
        leases: Vec<Lease>,
    },
    /// The partition cannot be fetched from here.
    Refused {
        /// Which.
        place: TopicPartition,
        /// Why.
        code: ErrorCode,
        /// Who leads it, if the broker has said so.
        leader: Option<CurrentLeader>,
    },
    /// The broker refuses the request as a whole.
    Failed {
        /// Why.
        code: ErrorCode,
        /// What it says of it.
        message: Option<String>,
    },
    /// Where the leaders named in [`Event::Refused`] can be reached.
    Endpoints(Vec<NodeEndpoint>),
}

/// What to ask next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// For records, and perhaps with acknowledgements.
    Fetch(ShareFetchRequest),
    /// With acknowledgements alone; the last one of a session ends it.
    Acknowledge(ShareAcknowledgeRequest),
}

/// How a session asks.
#[derive(Clone, Debug)]
pub struct Options {
    /// The share group.
    pub group: String,
    /// The member, by the id that it gave itself.
    pub member: String,
    /// How long a broker may wait for records while something is held: settlements wait until it has answered.
    pub max_wait_held: Duration,
    /// Bytes worth waiting for.
    pub min_bytes: i32,
    /// Numbers for acquisitions, which all sessions of a consumer share.
    pub acquisitions: Arc<AtomicU64>,
}

/// What there is room for, and how it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Records at most; 0: none are asked for.
    pub records: u32,
    /// Bytes at most, but for one batch.
    pub max_bytes: i32,
    /// How exactly the limit of records is kept.
    pub mode: AcquireMode,
    /// How long the broker may wait for records, if nothing is held and nothing is settled with the request.
    pub max_wait: Duration,
}

/// A member with one broker.
#[derive(Debug)]
pub struct Session {
    options: Options,
    epoch: Epoch,
    /// What is to be fetched from this broker.
    wanted: BTreeSet<TopicPartition>,
    /// What the broker fetches for us.
    known: BTreeSet<TopicPartition>,
    held: Held,
    waiting: BTreeMap<TopicPartition, Waiting>,
    /// What is to be sent when a renewal of the same lease has its result, which is on its way.
    after: BTreeMap<(TopicPartition, i64), Settlement>,
    lock: Option<Duration>,
    flight: Option<Flight>,
    pause: Option<Pause>,
    /// The last fetch brought something: what it left may be had at once, and settlements of it may come at any moment.
    has_brought: bool,
    closing: bool,
    events: Vec<Event>,
}

/// Settlements of one partition that are sent together, by offset. All of them are applied, or none.
type Batch = BTreeMap<i64, Settlement>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settlement {
    lease: Lease,
    verb: AcknowledgeType,
    ticket: Ticket,
}

/// Settlements of one partition that are to be sent.
#[derive(Debug, Default)]
struct Waiting {
    /// Halves of what was refused as a whole: each goes with a request of its own, before what is fresh.
    halves: VecDeque<Batch>,
    fresh: Batch,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Epoch {
    /// There is none: the next request opens it.
    Closed,
    /// The next request bears this number, at least 1.
    Open(i32),
}

/// The request that is on its way.
#[derive(Debug)]
struct Flight {
    is_fetch: bool,
    credit: u32,
    sent: Instant,
    batches: BTreeMap<TopicPartition, Batch>,
}

/// Nothing is asked for a while, since what was asked is to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pause {
    until: Instant,
    length: Duration,
}

/// An answer that no broker gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Nothing of the kind was asked.
    #[error("an answer to {0} that was not asked")]
    Unasked(&'static str),
    /// Offsets that are no range, or more than a broker hands out at once.
    #[error(
        "offsets {first} to {last} of partition {partition} were acquired, in answer to a request for {credit} records"
    )]
    Acquired {
        /// The partition.
        partition: i32,
        /// The first offset.
        first: i64,
        /// The last offset.
        last: i64,
        /// Records that were asked for.
        credit: u32,
    },
}

impl Session {
    /// A session that is not open yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            epoch: Epoch::Closed,
            wanted: BTreeSet::new(),
            known: BTreeSet::new(),
            held: Held::default(),
            waiting: BTreeMap::new(),
            after: BTreeMap::new(),
            lock: None,
            flight: None,
            pause: None,
            has_brought: false,
            closing: false,
            events: Vec::new(),
        }
    }

    /// What is to be fetched from this broker from now on. What is held of other partitions can still be settled.
    pub fn assign(&mut self, wanted: BTreeSet<TopicPartition>) {
        self.wanted = wanted;
    }

    /// Settles a record, or asks for more time for it. The result comes as an event with this ticket; with the next call of
    /// [`Session::take_events`] if the lease is not held. A settlement that meets a renewal of its lease takes its place or follows it.
    pub fn settle(&mut self, lease: Lease, verb: AcknowledgeType, ticket: Ticket) {
        let settlement = Settlement { lease, verb, ticket };
        let (place, offset) = (lease.place, lease.offset);
        let renews = verb == AcknowledgeType::Renew;
        match self.held.settle(lease) {
            Taken::Now => {}
            Taken::Before if renews => {
                self.events.push(Event::NotRenewed { lease, ticket });
                return;
            }
            Taken::Before => match self.take_back_if(place, offset, |one| one.verb == AcknowledgeType::Renew) {
                Some(renewal) => self.events.push(Event::NotRenewed {
                    lease,
                    ticket: renewal.ticket,
                }),
                None if self.is_renewing(place, offset) && !self.after.contains_key(&(place, offset)) => {
                    self.after.insert((place, offset), settlement);
                    return;
                }
                None => return self.settled(settlement, Outcome::Stale),
            },
            Taken::No => return self.settled(settlement, Outcome::Stale),
        }
        let waiting = self.waiting.entry(place).or_default();
        waiting.fresh.insert(offset, settlement);
    }

    /// Whether a renewal of this offset is on its way.
    fn is_renewing(&self, place: TopicPartition, offset: i64) -> bool {
        let batches = self.flight.as_ref().and_then(|flight| flight.batches.get(&place));
        let settlement = batches.and_then(|batch| batch.get(&offset));
        settlement.is_some_and(|one| one.verb == AcknowledgeType::Renew)
    }

    /// Takes what has happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Leases that are held and not being settled.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Leases that are held, those included that are being settled.
    pub fn held_in_all(&self) -> usize {
        self.held.len_in_all()
    }

    /// How long records are acquired for, as the broker last said it.
    pub const fn lock(&self) -> Option<Duration> {
        self.lock
    }

    /// Whether a request is on its way.
    pub const fn is_asking(&self) -> bool {
        self.flight.is_some()
    }
}

#[cfg(test)]
mod tests;
