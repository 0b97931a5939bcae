//! Where calls for records and brokers that have some meet: who may fetch how much, and who gets what was fetched. Pure but for wakers.
//!
//! Invariants: what was fetched lies here until a call takes it, so that a dropped call loses nothing. No broker waits for credit that
//! another one holds while it has no records: a broker whose last fetch was empty gets a probe of one record that counts against nobody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use share_wire::message::AcquireMode;
use tokio::sync::{Notify, mpsc};

use super::calls::Message;
use super::{Acquisition, ConsumerError, Credit};
use crate::session::{Ask, Lease, TopicPartition};

/// Calls, brokers, and what lies between them.
#[derive(Debug)]
pub(super) struct Desk {
    waits: Waits,
    fetch_max: i32,
    calls: VecDeque<Call>,
    next_call: u64,
    ready: VecDeque<Ready>,
    seats: BTreeMap<i32, Seat>,
    /// Through which broker a partition's records were acquired last.
    routes: BTreeMap<TopicPartition, i32>,
    turn: u64,
    end: Option<ConsumerError>,
}

/// How long brokers wait for records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// While nothing is held.
    pub(super) idle: Duration,
    /// While something is held, or somebody else waits for the credit.
    pub(super) held: Duration,
}

#[derive(Debug)]
struct Call {
    id: u64,
    credit: Credit,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Ready {
    broker: i32,
    since: Instant,
    acquisition: Acquisition,
}

/// A broker's place at the desk.
#[derive(Debug)]
struct Seat {
    mailbox: mpsc::Sender<Message>,
    wakes: Arc<Notify>,
    /// It is connected, and leads something that is assigned.
    is_open: bool,
    /// Its last fetch brought something.
    has_records: bool,
    grant: Option<Granted>,
    /// When it last had a grant.
    turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Granted {
    /// What counts against the credit of calls.
    records: u32,
    is_probe: bool,
}

impl Desk {
    pub(super) fn new(waits: Waits, fetch_max: i32) -> Self {
        Self {
            waits,
            fetch_max,
            calls: VecDeque::new(),
            next_call: 0,
            ready: VecDeque::new(),
            seats: BTreeMap::new(),
            routes: BTreeMap::new(),
            turn: 0,
            end: None,
        }
    }

    /// A call begins; it is at the end of the line.
    pub(super) fn begin(&mut self, credit: Credit) -> u64 {
        let id = self.next_call;
        self.next_call += 1;
        let credit = Credit {
            records: credit.records.max(1),
            bytes: credit.bytes.max(1),
        };
        self.calls.push_back(Call {
            id,
            credit,
            waker: None,
        });
        self.wake_brokers();
        id
    }

    /// Takes what is there for a call, if it is the first in line.
    pub(super) fn poll(&mut self, id: u64, context: &mut Context<'_>) -> Poll<Result<Vec<Acquisition>, ConsumerError>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone()));
        }
        let is_first = self.calls.front().is_some_and(|call| call.id == id);
        let Some(call) = self.calls.iter_mut().find(|call| call.id == id) else {
            return Poll::Ready(Err(ConsumerError::Closed));
        };
        if !is_first || self.ready.is_empty() {
            call.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let credit = call.credit;
        Poll::Ready(Ok(self.take(credit)))
    }

    /// A call is over, whether it was answered or dropped.
    pub(super) fn end(&mut self, id: u64) {
        self.calls.retain(|call| call.id != id);
        self.wake_first();
        self.wake_brokers();
    }

    /// Nothing is acquired any more.
    pub(super) fn close(&mut self, end: ConsumerError) {
        self.end.get_or_insert(end);
        self.ready.clear();
        for call in &mut self.calls {
            call.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// A broker takes its seat.
    pub(super) fn seat(&mut self, broker: i32, mailbox: mpsc::Sender<Message>, wakes: Arc<Notify>) {
        let seat = Seat {
            mailbox,
            wakes,
            is_open: false,
            has_records: false,
            grant: None,
            turn: 0,
        };
        self.seats.insert(broker, seat);
    }

    /// A broker is gone from the cluster.
    pub(super) fn unseat(&mut self, broker: i32) {
        self.seats.remove(&broker);
        self.routes.retain(|_, through| *through != broker);
        self.ready.retain(|ready| ready.broker != broker);
        self.wake_brokers();
    }

    /// Whether records can be had of this broker.
    pub(super) fn open(&mut self, broker: i32, is_open: bool) {
        let Some(seat) = self.seats.get_mut(&broker) else {
            return;
        };
        if std::mem::replace(&mut seat.is_open, is_open) != is_open {
            seat.has_records = false;
            // Whoever is alone waits in another way.
            self.wake_brokers();
        }
    }

    /// What a broker may fetch now; to be given back with [`Desk::fetched`].
    pub(super) fn grant(&mut self, broker: i32) -> Option<Ask> {
        let (wanted, bytes) = self.wanted();
        if wanted == 0 || self.end.is_some() {
            return None;
        }
        let open = self.seats.values().filter(|seat| seat.is_open).count();
        let seat = self
            .seats
            .get(&broker)
            .filter(|seat| seat.is_open && seat.grant.is_none())?;
        let is_exact = wanted < Credit::EXACT_BELOW;
        let (granted, wait) = if open == 1 {
            (
                Granted {
                    records: wanted,
                    is_probe: false,
                },
                self.waits.idle,
            )
        } else if seat.has_records {
            let records = self.share(seat, wanted)?;
            (
                Granted {
                    records,
                    is_probe: false,
                },
                self.waits.held,
            )
        } else {
            let probes = self.seats.values().filter_map(|seat| seat.grant);
            if probes.filter(|grant| grant.is_probe).count() >= PROBES_MAX {
                return None;
            }
            (
                Granted {
                    records: 0,
                    is_probe: true,
                },
                self.waits.idle,
            )
        };
        self.turn += 1;
        let turn = self.turn;
        let seat = self.seats.get_mut(&broker)?;
        seat.turn = turn;
        seat.grant = Some(granted);
        let part = bytes / u64::from(wanted) * u64::from(granted.records.max(1));
        Some(Ask {
            records: granted.records.max(1),
            max_bytes: i32::try_from(part.max(1)).unwrap_or(i32::MAX).min(self.fetch_max),
            mode: if is_exact || granted.is_probe {
                AcquireMode::RecordLimit
            } else {
                AcquireMode::BatchOptimized
            },
            max_wait: wait,
        })
    }

    /// A grant was not used.
    pub(super) fn unused(&mut self, broker: i32) {
        if self.seats.get_mut(&broker).and_then(|seat| seat.grant.take()).is_some() {
            // It would only be told what it knows.
            self.wake_brokers_but(broker);
        }
    }

    /// A fetch is over, and brought this.
    pub(super) fn fetched(&mut self, broker: i32, acquisitions: Vec<Acquisition>, now: Instant) {
        let has_records = !acquisitions.is_empty();
        if let Some(seat) = self.seats.get_mut(&broker) {
            seat.has_records = has_records;
            seat.grant = None;
        }
        for acquisition in acquisitions {
            self.routes.insert(acquisition.place, broker);
            if self.end.is_none() {
                self.ready.push_back(Ready {
                    broker,
                    since: now,
                    acquisition,
                });
            }
        }
        self.wake_first();
        self.wake_brokers_but(broker);
    }

    /// These leases are over. Returns those that a call has been given.
    pub(super) fn withdraw(&mut self, broker: i32, mut leases: Vec<Lease>) -> Vec<Lease> {
        if !self.ready.iter().any(|ready| ready.broker == broker) {
            return leases;
        }
        leases.sort_unstable();
        let mut here = Vec::new();
        for ready in self.ready.iter_mut().filter(|ready| ready.broker == broker) {
            let gone: Vec<Lease> = ready
                .acquisition
                .leases()
                .filter(|lease| leases.binary_search(lease).is_ok())
                .collect();
            if !gone.is_empty() {
                ready.acquisition.withdraw(&gone);
                here.extend(gone);
            }
        }
        self.ready.retain(|ready| !ready.acquisition.acquired.is_empty());
        here.sort_unstable();
        leases.retain(|lease| here.binary_search(lease).is_err());
        leases
    }

    /// What a broker has brought and nobody has asked for in good time, to be released.
    pub(super) fn unasked(&mut self, broker: i32, now: Instant) -> Vec<Lease> {
        let mut leases = Vec::new();
        self.ready.retain(|ready| {
            let is_due = ready.broker == broker && ready.due() <= now;
            if is_due {
                leases.extend(ready.acquisition.leases());
            }
            !is_due
        });
        leases
    }

    /// When [`Desk::unasked`] has something next.
    pub(super) fn unasked_at(&self, broker: i32) -> Option<Instant> {
        let of_it = self.ready.iter().filter(|ready| ready.broker == broker);
        of_it.map(Ready::due).min()
    }

    /// Offsets that nobody has asked for.
    pub(super) fn ready(&self) -> u64 {
        self.ready.iter().map(|ready| ready.acquisition.offsets()).sum()
    }

    /// The broker that settles records of a partition.
    pub(super) fn route(&self, place: TopicPartition) -> Option<(i32, &mpsc::Sender<Message>)> {
        let broker = self.routes.get(&place)?;
        self.seats.get(broker).map(|seat| (*broker, &seat.mailbox))
    }

    /// What calls want that is neither here nor on its way to them: records and bytes. A call that finds something here takes it and
    /// wants nothing else.
    fn wanted(&self) -> (u32, u64) {
        let mut here = self.ready();
        let (mut records, mut bytes) = (0u32, 0u64);
        for call in &self.calls {
            if here > 0 {
                here = here.saturating_sub(u64::from(call.credit.records));
            } else {
                records = records.saturating_add(call.credit.records);
                bytes = bytes.saturating_add(call.credit.bytes);
            }
        }
        let granted = self.seats.values().filter_map(|seat| seat.grant);
        let granted = granted.fold(0, |sum: u32, grant| sum.saturating_add(grant.records));
        (records.saturating_sub(granted), bytes)
    }

    /// The part of a broker that has records in what is wanted; `None` if others come first.
    fn share(&self, seat: &Seat, wanted: u32) -> Option<u32> {
        let others = self.seats.values();
        let others = others.filter(|other| other.is_open && other.has_records && other.grant.is_none());
        let (mut waiting, mut before) = (0u32, 0u32);
        for other in others {
            waiting += 1;
            before += u32::from(other.turn < seat.turn);
        }
        if before >= wanted {
            return None;
        }
        Some((wanted / waiting.max(1)).max(1))
    }

    fn take(&mut self, credit: Credit) -> Vec<Acquisition> {
        let mut taken: Vec<Acquisition> = Vec::new();
        let (mut records, mut bytes) = (u64::from(credit.records), credit.bytes);
        while let Some(mut ready) = self.ready.pop_front() {
            let size = u64::try_from(ready.acquisition.records.len()).unwrap_or(u64::MAX);
            if records == 0 || !taken.is_empty() && size > bytes {
                self.ready.push_front(ready);
                break;
            }
            if credit.records < Credit::EXACT_BELOW
                && let Some(rest) = ready.acquisition.split_off(records)
            {
                self.ready.push_front(Ready {
                    acquisition: rest,
                    ..ready
                });
            }
            records = records.saturating_sub(ready.acquisition.offsets());
            bytes = bytes.saturating_sub(size);
            taken.push(ready.acquisition);
        }
        taken
    }

    fn wake_first(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        if let Some(call) = self.calls.front_mut() {
            call.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    fn wake_brokers(&self) {
        self.wake(|_| true);
    }

    fn wake_brokers_but(&self, broker: i32) {
        self.wake(|id| id != broker);
    }

    fn wake(&self, wanted: impl Fn(i32) -> bool) {
        let seats = self.seats.iter().filter(|(id, _)| wanted(**id));
        for (_, seat) in seats.filter(|(_, seat)| seat.is_open && seat.grant.is_none()) {
            seat.wakes.notify_one();
        }
    }
}

impl Ready {
    /// When it is released unless somebody asks.
    fn due(&self) -> Instant {
        let third = self.acquisition.deadline.saturating_duration_since(self.since) / 3;
        self.since + third.min(UNASKED_MAX)
    }
}

/// So long a record that nobody asks for is kept from other members. Not shorter, since giving it back counts as a delivery.
const UNASKED_MAX: Duration = Duration::from_secs(5);

/// Brokers without records that are asked at once while others have some: each may bring one record more than was wanted.
const PROBES_MAX: usize = 16;

#[cfg(test)]
mod tests;
