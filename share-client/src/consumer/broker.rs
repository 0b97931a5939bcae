//! The task of one broker: its connection and its session. It fetches as much as the desk grants, sends what is to be settled, and comes
//! back after a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use share_wire::Uuid;
use share_wire::call::Call;
use share_wire::message::{AcknowledgeType, AcquireMode, ShareAcknowledgeRequest, ShareFetchRequest};
use share_wire::versions::VersionError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep_until;

use super::calls::{Calls, Done};
use super::shared::{Shared, Stage, now, random};
use super::{Acquisition, BrokerSnapshot, Link};
use crate::config::Address;
use crate::membership::Backoff;
use crate::net::{Connection, Failure, NetError};
use crate::session::{Ask, Event, Lease, Options, Request, Session, TopicPartition};

pub(super) use super::calls::Message;

/// What a broker is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Duty {
    pub(super) address: Address,
    pub(super) places: BTreeSet<TopicPartition>,
    pub(super) names: BTreeMap<Uuid, Arc<str>>,
    /// Counts whatever is learned of leaders.
    pub(super) round: u64,
}

/// The task of one broker.
pub(super) struct Broker {
    id: i32,
    shared: Arc<Shared>,
    duties: watch::Receiver<Duty>,
    duty: Duty,
    /// What the broker has refused since the duty was set.
    refused: BTreeSet<TopicPartition>,
    mailbox: mpsc::Receiver<Message>,
    wakes: Arc<Notify>,
    stage: watch::Receiver<Stage>,
    session: Session,
    calls: Calls,
    backoff: Backoff,
    is_connected: bool,
    /// Whoever directs it is gone.
    is_orphan: bool,
}

/// How a connection ended.
enum End {
    /// There is nothing to do any more.
    Idle,
    Failed(String),
}

impl Broker {
    pub(super) fn new(
        id: i32,
        shared: Arc<Shared>,
        duties: watch::Receiver<Duty>,
        mailbox: mpsc::Receiver<Message>,
        wakes: Arc<Notify>,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        let times = shared.connector.config().times();
        let duty = duties.borrow().clone();
        Self {
            id,
            duty,
            session: session(&shared),
            backoff: Backoff::new(times.reconnect, times.reconnect_max),
            shared,
            duties,
            refused: BTreeSet::new(),
            mailbox,
            wakes,
            stage,
            calls: Calls::default(),
            is_connected: false,
            is_orphan: false,
        }
    }

    /// Until the consumer is closed, or the broker has left the cluster.
    pub(super) async fn run(mut self) {
        self.take_duty();
        while !self.is_over() {
            if self.duty.places.is_empty() {
                self.say(|row| row.link = Link::Idle);
                self.wait(None).await;
                continue;
            }
            let failure = match self.connect().await {
                Some(Ok(connection)) => match self.serve(connection).await {
                    End::Idle => continue,
                    End::Failed(reason) => reason,
                },
                Some(Err(error)) => {
                    self.say(|row| row.link = Link::Unreachable);
                    error.to_string()
                }
                // The duty has changed meanwhile.
                None => continue,
            };
            self.say(|row| row.last_error = Some(failure));
            self.shared.report(|reports| {
                reports.unreachable.insert(self.id);
            });
            self.shared.look();
            let until = now() + self.backoff.failed(random());
            let address = self.duty.address.clone();
            while now() < until && !self.is_over() && self.duty.address == address && !self.duty.places.is_empty() {
                self.wait(Some(until)).await;
            }
        }
        // Whoever comes now is told so.
        self.mailbox.close();
        self.absorb();
        self.told(None);
        self.say(|row| row.link = Link::Idle);
    }

    fn is_over(&self) -> bool {
        self.is_orphan || self.is_closing()
    }

    fn is_closing(&self) -> bool {
        *self.stage.borrow() != Stage::Running
    }

    /// `None`: there is something else to do now.
    async fn connect(&mut self) -> Option<Result<Connection, NetError>> {
        self.say(|row| {
            if row.link == Link::Idle {
                row.link = Link::Connecting;
            }
        });
        let connector = self.shared.connector.clone();
        let address = self.duty.address.clone();
        let mut connected = std::pin::pin!(connector.connect(&address));
        let connection = loop {
            tokio::select! {
                connection = &mut connected => break connection,
                () = self.wait(None) => {}
            }
            if self.is_over() || self.duty.places.is_empty() || self.duty.address != address {
                return None;
            }
        };
        Some(connection.and_then(|connection| {
            let versions = connection.versions();
            let picked = versions
                .pick::<ShareFetchRequest>()
                .and_then(|_| versions.pick::<ShareAcknowledgeRequest>());
            let version = picked.and_then(needed);
            let version = version.map_err(|version| NetError {
                address: connection.address().clone(),
                failure: Failure::Version(Box::new(version)),
            });
            version.map(|()| connection)
        }))
    }

    /// Until the connection fails, or is not needed any more.
    async fn serve(&mut self, mut connection: Connection) -> End {
        self.say(|row| {
            row.link = Link::Connected;
            row.connects += 1;
        });
        self.shared.look();
        self.is_connected = true;
        let end = self.converse(&mut connection).await;
        self.is_connected = false;
        self.shared.desk().unused(self.id);
        self.assign();
        // Nothing is held any more after a proper end, and everything is lost after another one.
        self.session.disconnected();
        self.told(None);
        if matches!(end, End::Idle) {
            self.session = session(&self.shared);
        }
        self.say(|row| row.link = Link::Connecting);
        end
    }

    async fn converse(&mut self, connection: &mut Connection) -> End {
        let mut has_waited = false;
        loop {
            self.absorb();
            let ask = if self.is_over() {
                None
            } else {
                self.shared.desk().grant(self.id)
            };
            if ask.is_none() && self.calls.unsettled() > 0 && !std::mem::replace(&mut has_waited, true) {
                // Whoever settles often acquires next: one request can carry both.
                tokio::task::yield_now().await;
                continue;
            }
            let at = now();
            let request = self.session.next_request(ask.unwrap_or(NOTHING), at);
            let is_fetch = matches!(request, Some(Request::Fetch(_)));
            if ask.is_some() && !is_fetch {
                self.shared.desk().unused(self.id);
            }
            let ask = ask.filter(|_| is_fetch);
            let answered = match request {
                Some(Request::Fetch(request)) => match self.call(connection, &request).await {
                    Ok(response) => self.session.fetched(response, now()),
                    Err(error) => return End::Failed(error.to_string()),
                },
                Some(Request::Acknowledge(request)) => match self.call(connection, &request).await {
                    Ok(response) => self.session.acknowledged(response, now()),
                    Err(error) => return End::Failed(error.to_string()),
                },
                None if self.session.is_closed() => return End::Idle,
                None => {
                    self.told(None);
                    self.wait(self.alarm(at)).await;
                    continue;
                }
            };
            if let Err(error) = answered {
                return End::Failed(format!("{}: {error}", connection.address()));
            }
            self.backoff.succeeded();
            has_waited = false;
            self.told(ask);
        }
    }

    /// Asks, and takes messages meanwhile.
    async fn call<C: Call>(&mut self, connection: &mut Connection, request: &C) -> Result<C::Response, NetError> {
        let mut answer = std::pin::pin!(connection.call(request));
        loop {
            tokio::select! {
                answer = &mut answer => {
                    self.say(|row| row.answered += 1);
                    return answer;
                }
                Some(message) = self.mailbox.recv() => self.settle(message),
            }
        }
    }

    /// Takes whatever has come.
    fn absorb(&mut self) {
        self.take_duty();
        while let Ok(message) = self.mailbox.try_recv() {
            self.settle(message);
        }
        let unasked = self.shared.desk().unasked(self.id, now());
        for lease in unasked {
            self.session.settle(lease, AcknowledgeType::Release, Calls::NOBODY);
        }
        let is_idle = self.duty.places.is_empty() && self.session.held_in_all() == 0 && self.calls.unsettled() == 0;
        if self.is_over() || is_idle {
            self.session.close();
        }
    }

    /// When there is something to do after this time, though nobody says so.
    fn alarm(&self, at: Instant) -> Option<Instant> {
        let unasked = self.shared.desk().unasked_at(self.id);
        self.session.deadline(at).into_iter().chain(unasked).min()
    }

    /// Until something happens, or this time.
    async fn wait(&mut self, until: Option<Instant>) {
        let alarm = async {
            match until {
                Some(until) => sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(message) = self.mailbox.recv() => self.settle(message),
            () = self.wakes.notified() => {}
            changed = self.duties.changed() => match changed {
                Ok(()) => self.take_duty(),
                Err(_) => self.is_orphan = true,
            },
            changed = self.stage.changed() => self.is_orphan |= changed.is_err(),
            () = alarm => {}
        }
        if !self.session.is_asking() {
            self.told(None);
        }
    }

    fn settle(&mut self, message: Message) {
        let Message { batch, reply } = message;
        let mut ticket = self.calls.begin(batch.len(), reply);
        for (lease, verb) in batch {
            self.session.settle(lease, verb, ticket);
            ticket.0 += 1;
        }
    }

    fn take_duty(&mut self) {
        let duty = self.duties.borrow_and_update();
        if duty.round != self.duty.round {
            self.refused.clear();
        }
        self.duty.clone_from(&duty);
        drop(duty);
        self.assign();
    }

    fn assign(&mut self) {
        let wanted: BTreeSet<TopicPartition> = self.duty.places.difference(&self.refused).copied().collect();
        let is_open = !wanted.is_empty() && !self.is_over() && self.is_connected;
        self.session.assign(wanted);
        self.shared.desk().open(self.id, is_open);
    }

    /// Passes on what the session has to tell. `fetched`: what a fetch that is over was granted.
    fn told(&mut self, fetched: Option<Ask>) {
        let (mut acquisitions, mut gone) = (Vec::new(), Vec::new());
        for event in self.session.take_events() {
            match event {
                Event::Acquired {
                    place,
                    records,
                    acquired,
                    deadline,
                    acquisition,
                } => acquisitions.push(Acquisition {
                    topic: self.name(place),
                    place,
                    records,
                    acquired,
                    deadline,
                    number: acquisition,
                }),
                Event::Settled { ticket, outcome, .. } => self.calls.done(ticket, Done::Settled(outcome)),
                Event::Renewed { ticket, deadline, .. } => self.calls.done(ticket, Done::Renewed(deadline)),
                Event::NotRenewed { ticket, .. } => self.calls.done(ticket, Done::NotRenewed),
                Event::Gone { leases } => gone.extend(leases),
                Event::Refused { place, code, leader } => {
                    self.refused.insert(place);
                    self.shared.report(|reports| {
                        reports.refused.insert(place, (code, leader));
                    });
                    self.assign();
                }
                Event::Failed { code, message } => {
                    let message = message.map_or_else(String::new, |message| format!(": {message}"));
                    self.say(|row| row.last_error = Some(format!("{code}{message}")));
                }
                Event::Endpoints(endpoints) => self.shared.report(|reports| {
                    let rows = endpoints.into_iter().map(|endpoint| (endpoint.node_id, endpoint));
                    reports.endpoints.extend(rows);
                }),
            }
        }
        self.hand_over(acquisitions, gone, fetched.is_some());
        // After all else, so that whoever is told finds things as they are now.
        self.calls.tell();
    }

    fn hand_over(&mut self, acquisitions: Vec<Acquisition>, gone: Vec<Lease>, is_fetched: bool) {
        let offsets: u64 = acquisitions.iter().map(Acquisition::offsets).sum();
        let (held, unsettled) = (self.session.held_in_all(), self.calls.unsettled());
        let lock = self.session.lock();
        let mut board = self.shared.board();
        board.snapshot.lock = lock.or(board.snapshot.lock);
        drop(board);
        self.say(|row| {
            row.acquired += offsets;
            row.held = u64::try_from(held).unwrap_or(u64::MAX);
            row.unsettled = u64::try_from(unsettled).unwrap_or(u64::MAX);
        });
        let mut desk = self.shared.desk();
        let gone = desk.withdraw(self.id, gone);
        if is_fetched {
            desk.fetched(self.id, acquisitions, now());
        }
        drop(desk);
        if !gone.is_empty() {
            self.shared.news().lost(gone);
        }
    }

    fn name(&self, place: TopicPartition) -> Arc<str> {
        let name = self.duty.names.get(&place.topic_id);
        name.map_or_else(|| place.topic_id.to_string().into(), Arc::clone)
    }

    fn say(&self, change: impl FnOnce(&mut BrokerSnapshot)) {
        self.shared.broker(self.id, change);
    }
}

/// Renewals and exact limits came with these.
fn needed(version: i16) -> Result<(), VersionError> {
    if version >= 2 {
        return Ok(());
    }
    let api = ShareAcknowledgeRequest::API;
    Err(VersionError::Apart {
        api,
        least: version,
        newest: version,
        ours_least: 2,
        ours_newest: ShareAcknowledgeRequest::VERSIONS.1,
    })
}

fn session(shared: &Shared) -> Session {
    let sizes = shared.connector.config().sizes();
    Session::new(Options {
        group: shared.options.group.clone(),
        member: shared.board().snapshot.member.clone(),
        max_wait_held: shared.options.max_wait_held,
        min_bytes: i32::try_from(sizes.fetch_min).unwrap_or(i32::MAX),
        acquisitions: Arc::clone(&shared.acquisitions),
    })
}

/// Where there is no credit.
const NOTHING: Ask = Ask {
    records: 0,
    max_bytes: 0,
    mode: AcquireMode::RecordLimit,
    max_wait: Duration::ZERO,
};

/// Calls that wait for a broker's task; more of them wait in line.
pub(super) const MAILBOX: usize = 64;
