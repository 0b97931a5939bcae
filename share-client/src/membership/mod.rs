//! A member of a share group as its coordinator sees it (KIP-932, `ShareGroupHeartbeat`; `GroupMetadataManager` of Kafka 4.2.1). Sans-IO: says
//! what to ask next, is told what came of it, and is told the time and a random number.
//!
//! Invariants: one heartbeat is on its way at most. The member's id is its own and never changes. An assignment is taken as it comes:
//! a share group has nothing to hand over.

mod backoff;
mod refusal;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use share_wire::code::ErrorCode;
use share_wire::kafka::{
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
    StrBytes, TopicName,
};

use crate::config::Address;
use crate::session::TopicPartition;
use crate::tools::Who;
pub use backoff::Backoff;
pub use refusal::Refusal;

/// Who joins what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The share group.
    pub group: String,
    /// The member's id, 1 to 36 characters.
    pub member: String,
    /// The topics, at least one.
    pub topics: Vec<String>,
    /// Where the member stands.
    pub rack: Option<String>,
    /// Who that is to the brokers.
    pub who: Who,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Ask any broker who coordinates the group.
    Find(FindCoordinatorRequest),
    /// Ask the coordinator.
    Beat(ShareGroupHeartbeatRequest),
    /// Nothing before this time.
    Wait(Instant),
    /// Nothing at all: the member has left, or was refused for good.
    End,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The coordinator has taken the member, for the first time or again.
    Joined,
    /// What is assigned from now on.
    Assigned(BTreeSet<TopicPartition>),
    /// A topic is refused, and the member stays in the group.
    Refused(Refusal),
    /// The member is out of the group for good.
    Failed(Refusal),
}

/// A member with its coordinator.
#[derive(Debug)]
pub struct Membership {
    options: Options,
    state: State,
    coordinator: Option<Address>,
    epoch: i32,
    /// Whether the next heartbeat says everything, for an answer that says everything: a coordinator names an assignment once, and
    /// again only to who tells it the subscription (`GroupMetadataManager.shareGroupHeartbeat`).
    is_full: bool,
    assignment: BTreeSet<TopicPartition>,
    interval: Option<Duration>,
    /// When the next thing is to be asked.
    due: Instant,
    /// When the heartbeat that is on its way left.
    sent: Option<Instant>,
    backoff: Backoff,
    events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not in the group, or put out of it.
    Joining,
    Member,
    Leaving,
    Ended,
}

impl Membership {
    /// A member that is to join now.
    pub fn new(options: Options, now: Instant) -> Self {
        Self {
            options,
            state: State::Joining,
            coordinator: None,
            epoch: 0,
            is_full: true,
            assignment: BTreeSet::new(),
            interval: None,
            due: now,
            sent: None,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_MAX),
            events: Vec::new(),
        }
    }

    /// What to do next. Whatever is to be asked is on its way from now on: hand in what comes of it.
    pub fn next(&mut self, now: Instant) -> Step {
        if self.state == State::Ended {
            return Step::End;
        }
        if now < self.due {
            return Step::Wait(self.due);
        }
        if self.coordinator.is_none() {
            let key = StrBytes::from_string(self.options.group.clone());
            return Step::Find(
                FindCoordinatorRequest::default()
                    .with_key_type(GROUP)
                    .with_coordinator_keys(vec![key]),
            );
        }
        self.sent = Some(now);
        let request = self.heartbeat();
        // Until this one is answered well: its answer may be lost, and an assignment with it.
        self.is_full = true;
        Step::Beat(request)
    }

    /// A broker's answer to [`Step::Find`].
    pub fn found(&mut self, response: &FindCoordinatorResponse, now: Instant, random: u64) {
        let Some(found) = response.coordinators.first() else {
            return self.later(now, random);
        };
        let code = ErrorCode(found.error_code);
        let address = u16::try_from(found.port).ok().filter(|port| *port > 0);
        match (code, address) {
            (ErrorCode::NONE, Some(port)) => {
                self.coordinator = Some(Address {
                    host: found.host.to_string(),
                    port,
                });
                // The pause goes on growing until a heartbeat is answered: the coordinator may be gone, and still be named.
                self.due = now;
            }
            (code, _) if code.is_error() && !code.is_retriable() => {
                let said = found.error_message.as_ref().map(ToString::to_string);
                self.fail(code, said);
            }
            _ => self.later(now, random),
        }
    }

    /// The coordinator's answer to [`Step::Beat`].
    pub fn beaten(&mut self, response: &ShareGroupHeartbeatResponse, now: Instant, random: u64) {
        let sent = self.sent.take().unwrap_or(now);
        let code = ErrorCode(response.error_code);
        if self.state == State::Leaving {
            match code {
                ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => self.search(now, random),
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => self.later(now, random),
                // Whoever is not known has left.
                _ => self.end(),
            }
            return;
        }
        match code {
            ErrorCode::NONE => self.accepted(response, sent, now),
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH => self.rejoin(now, random),
            // The group was deleted after this member had been put out of it; if the id has become another group's, joining says so.
            ErrorCode::GROUP_ID_NOT_FOUND if self.epoch > 0 => self.rejoin(now, random),
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => self.search(now, random),
            ErrorCode::TOPIC_AUTHORIZATION_FAILED if self.state == State::Member => {
                let said = response.error_message.as_ref().map(ToString::to_string);
                let refusal = self.refusal(code, said);
                self.events.push(Event::Refused(refusal));
                self.later(now, random);
            }
            code if code.is_retriable() => self.later(now, random),
            code => {
                let said = response.error_message.as_ref().map(ToString::to_string);
                self.fail(code, said);
            }
        }
    }

    /// Nobody could be asked: neither is it known who coordinates the group now.
    pub fn unreachable(&mut self, now: Instant, random: u64) {
        self.sent = None;
        self.coordinator = None;
        self.later(now, random);
    }

    /// Leaves the group. A heartbeat that is on its way is to be waited for.
    pub fn leave(&mut self, now: Instant) {
        match self.state {
            State::Ended | State::Leaving => {}
            State::Joining if self.sent.is_none() && self.epoch == 0 => self.end(),
            _ => {
                self.state = State::Leaving;
                self.due = now;
            }
        }
    }

    /// Takes what has happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The broker that coordinates the group, if it is known.
    pub const fn coordinator(&self) -> Option<&Address> {
        self.coordinator.as_ref()
    }

    /// The member's epoch; 0 while it is not in the group.
    pub const fn epoch(&self) -> i32 {
        self.epoch
    }

    /// How often the coordinator wants to hear of the member, if it has said so.
    pub const fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// How long an answer may take: the coordinator puts out who is silent for several intervals.
    pub fn patience(&self) -> Duration {
        let intervals = self.interval.unwrap_or(PATIENCE_MAX).saturating_mul(2);
        intervals.clamp(PATIENCE_MIN, PATIENCE_MAX)
    }

    fn heartbeat(&self) -> ShareGroupHeartbeatRequest {
        let Options {
            group,
            member,
            topics,
            rack,
            ..
        } = &self.options;
        let text = |text: &String| StrBytes::from_string(text.clone());
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_member_id(text(member));
        match self.state {
            State::Leaving => request.with_member_epoch(LEAVE),
            _ if self.is_full => {
                let topics = topics.iter().map(|topic| TopicName(text(topic)));
                request
                    .with_member_epoch(self.epoch)
                    .with_rack_id(rack.as_ref().map(text))
                    .with_subscribed_topic_names(Some(topics.collect()))
            }
            _ => request.with_member_epoch(self.epoch),
        }
    }

    fn accepted(&mut self, response: &ShareGroupHeartbeatResponse, sent: Instant, now: Instant) {
        self.backoff.succeeded();
        self.is_full = false;
        let millis = |millis: i32| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        let interval = millis(response.heartbeat_interval_ms).clamp(INTERVAL_MIN, INTERVAL_MAX);
        self.interval = Some(interval);
        self.due = (sent + interval).max(now + millis(response.throttle_time_ms).min(INTERVAL_MAX));
        self.epoch = response.member_epoch.max(0);
        if std::mem::replace(&mut self.state, State::Member) == State::Joining {
            self.events.push(Event::Joined);
        }
        let Some(assignment) = &response.assignment else { return };
        let topics = assignment.topic_partitions.iter();
        let places = topics.flat_map(|topic| {
            topic.partitions.iter().map(|partition| TopicPartition {
                topic_id: topic.topic_id,
                partition: *partition,
            })
        });
        self.assign(places.collect());
    }

    fn assign(&mut self, assignment: BTreeSet<TopicPartition>) {
        if self.assignment != assignment {
            self.assignment.clone_from(&assignment);
            self.events.push(Event::Assigned(assignment));
        }
    }

    /// With the same id, at once; more slowly if that is answered in the same way.
    fn rejoin(&mut self, now: Instant, random: u64) {
        self.assign(BTreeSet::new());
        let is_first = self.state == State::Member;
        self.epoch = 0;
        self.state = State::Joining;
        if is_first {
            self.due = now;
        } else {
            self.later(now, random);
        }
    }

    /// Asks who coordinates the group: at once, unless that did not help before.
    fn search(&mut self, now: Instant, random: u64) {
        self.coordinator = None;
        if self.backoff.failures() == 0 {
            self.backoff.failed(random);
            self.due = now;
        } else {
            self.later(now, random);
        }
    }

    fn later(&mut self, now: Instant, random: u64) {
        self.due = now + self.backoff.failed(random);
    }

    fn fail(&mut self, code: ErrorCode, said: Option<String>) {
        let refusal = self.refusal(code, said);
        self.events.push(Event::Failed(refusal));
        self.end();
    }

    fn end(&mut self) {
        self.assign(BTreeSet::new());
        self.epoch = 0;
        self.state = State::Ended;
    }

    fn refusal(&self, code: ErrorCode, said: Option<String>) -> Refusal {
        let Options { group, who, topics, .. } = &self.options;
        let (group, who) = (group.clone(), who.clone());
        let after = || said.as_ref().map_or_else(String::new, |said| format!(": {said}"));
        match code {
            ErrorCode::GROUP_MAX_SIZE_REACHED => Refusal::GroupFull {
                group,
                said: said.unwrap_or_else(|| "it has as many members as it may".to_owned()),
            },
            ErrorCode::GROUP_AUTHORIZATION_FAILED => Refusal::GroupDenied { group, who },
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => Refusal::TopicDenied {
                topics: topics.clone(),
                who,
                said: after(),
            },
            ErrorCode::UNSUPPORTED_VERSION => Refusal::Off { who },
            ErrorCode::GROUP_ID_NOT_FOUND => Refusal::OtherKind { group },
            code => Refusal::Other {
                group,
                code,
                said: after(),
            },
        }
    }
}

/// What is looked for in `FindCoordinator`.
const GROUP: i8 = 0;

/// The epoch of whoever leaves.
const LEAVE: i32 = -1;

/// Pauses before something is tried again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a coordinator may ask for between heartbeats.
const INTERVAL_MIN: Duration = Duration::from_millis(50);
const INTERVAL_MAX: Duration = Duration::from_mins(1);

/// How long an answer may take.
const PATIENCE_MIN: Duration = Duration::from_secs(2);
const PATIENCE_MAX: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
