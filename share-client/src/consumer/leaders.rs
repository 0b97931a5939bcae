//! The task that knows who leads what is assigned: it looks leaders up, and starts and directs one task for each broker.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use share_wire::code::ErrorCode;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::anybody::Anybody;
use super::broker::{Broker, Duty, MAILBOX};
use super::shared::{Shared, Stage, now, random};
use super::{AssignedPartition, BrokerSnapshot, Link};
use crate::config::Address;
use crate::membership::Backoff;
use crate::metadata::Metadata;
use crate::session::TopicPartition;
use crate::tools::{On, Operation, Who};

/// The task that directs brokers.
pub(super) struct Leaders {
    shared: Arc<Shared>,
    metadata: Metadata,
    assignment: watch::Receiver<BTreeSet<TopicPartition>>,
    stage: watch::Receiver<Stage>,
    known: watch::Sender<Vec<Address>>,
    brokers: BTreeMap<i32, watch::Sender<Duty>>,
    tasks: JoinSet<()>,
    /// When leaders are looked up again.
    due: Instant,
    /// When they were, or that was tried.
    looked: Instant,
    backoff: Backoff,
    /// Troubles with topics that were told, and when.
    told: BTreeMap<(Arc<str>, ErrorCode), Instant>,
    round: u64,
}

impl Leaders {
    pub(super) fn new(
        shared: Arc<Shared>,
        assignment: watch::Receiver<BTreeSet<TopicPartition>>,
        stage: watch::Receiver<Stage>,
        known: watch::Sender<Vec<Address>>,
    ) -> Self {
        Self {
            metadata: Metadata::new(&shared.options.topics),
            shared,
            assignment,
            stage,
            known,
            brokers: BTreeMap::new(),
            tasks: JoinSet::new(),
            due: now(),
            looked: now(),
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_MAX),
            told: BTreeMap::new(),
            round: 0,
        }
    }

    /// Until all brokers' tasks have ended after the stage changed.
    pub(super) async fn run(mut self) {
        let mut anybody = Anybody::new(self.shared.connector.clone());
        while *self.stage.borrow_and_update() == Stage::Running {
            if self.due <= now() {
                self.look_up(&mut anybody).await;
            }
            self.take_reports();
            self.place();
            tokio::select! {
                changed = self.assignment.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    // It may be that the topic is gone: whoever waits for records is to hear of it.
                    if self.assignment.borrow().is_empty() {
                        self.hurry();
                    }
                }
                () = self.shared.reported.notified() => {}
                changed = self.stage.changed() => if changed.is_err() { break },
                () = sleep_until(self.due.into()) => {}
                Some(_) = self.tasks.join_next() => self.brokers.retain(|_, duty| !duty.is_closed()),
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    async fn look_up(&mut self, anybody: &mut Anybody) {
        let known = self.known.borrow().clone();
        let request = self.metadata.request();
        let answer = tokio::select! {
            answer = anybody.call(&request, &known) => answer,
            _ = self.stage.changed() => return self.stage.mark_changed(),
        };
        self.looked = now();
        match answer {
            Ok(response) if !ErrorCode(response.error_code).is_error() => {
                self.due = self.looked + self.shared.connector.config().times().metadata;
                self.round += 1;
                let troubles = self.metadata.answered(&response);
                self.known
                    .send_replace(self.metadata.brokers().values().cloned().collect());
                for (topic, code) in troubles {
                    self.trouble(topic, code);
                }
            }
            Ok(response) => {
                let code = ErrorCode(response.error_code);
                self.shared.board().snapshot.last_error = Some(format!("leaders cannot be looked up: {code}"));
                self.known.send_replace(Vec::new());
                self.hurry();
            }
            Err(error) => {
                self.shared.board().snapshot.last_error = Some(format!("leaders cannot be looked up: {error}"));
                self.hurry();
            }
        }
    }

    /// Looks leaders up soon: the sooner, the longer ago they were.
    fn hurry(&mut self) {
        let now = now();
        if now.saturating_duration_since(self.looked) > QUIET {
            self.backoff.succeeded();
        }
        if self.due > self.looked + PAUSE_MAX * 2 || self.due <= now {
            self.due = now.max(self.looked + self.backoff.failed(random()));
        }
    }

    fn take_reports(&mut self) {
        let reports = self.shared.take_reports();
        self.metadata.endpoints(reports.endpoints.into_values().collect());
        for (place, (code, leader)) in reports.refused {
            self.metadata.refused(place, leader);
            if code == ErrorCode::TOPIC_AUTHORIZATION_FAILED
                && let Some(topic) = self.metadata.names().get(&place.topic_id)
            {
                self.trouble(Arc::clone(topic), code);
            }
            self.round += 1;
        }
        if !reports.unreachable.is_empty() {
            self.hurry();
        }
    }

    /// Tells of a topic, once in a while.
    fn trouble(&mut self, topic: Arc<str>, code: ErrorCode) {
        let now = now();
        self.told.retain(|_, told| *told + TELL_AGAIN > now);
        // The time stays that of the telling.
        match self.told.entry((Arc::clone(&topic), code)) {
            Entry::Occupied(_) => return,
            Entry::Vacant(untold) => untold.insert(now),
        };
        let reason = match code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => format!(
                "there is no topic `{topic}`, or {} may not know of it (operation DESCRIBE); it is consumed as soon as it is there",
                Who::of(self.shared.connector.config())
            ),
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                let who = Who::of(self.shared.connector.config());
                let command = who.grant(&[Operation::Describe, Operation::Read], On::Topics(&[&topic]));
                format!("not allowed: {who} needs the operations DESCRIBE and READ on the topic `{topic}` ({command})")
            }
            code => format!("topic `{topic}` cannot be consumed: {code}"),
        };
        self.shared.board().snapshot.last_error = Some(reason.clone());
        self.shared.news().refused(topic, code, reason);
    }

    /// Tells each broker what it is to be asked for.
    fn place(&mut self) {
        let assignment = self.assignment.borrow_and_update().clone();
        let placement = self.metadata.place(&assignment);
        if !placement.missing.is_empty() {
            self.hurry();
        }
        self.publish(&assignment, &placement.brokers);
        for (id, places) in &placement.brokers {
            if !self.brokers.contains_key(id) {
                self.start(*id, places.clone());
            }
        }
        let nothing = BTreeSet::new();
        for (id, duty) in &self.brokers {
            let places = placement.brokers.get(id).unwrap_or(&nothing);
            let (address, round) = (self.metadata.brokers().get(id), self.round);
            duty.send_if_modified(|duty| {
                let is_same = duty.places == *places && address.is_none_or(|address| *address == duty.address);
                // What was refused is asked for again only after something was learned.
                if is_same && (duty.round == round || places.is_empty()) {
                    return false;
                }
                duty.places.clone_from(places);
                duty.names.clone_from(self.metadata.names());
                duty.round = round;
                if let Some(address) = address {
                    duty.address.clone_from(address);
                }
                true
            });
        }
        self.forget();
        self.shared.look();
    }

    /// Brokers that have left the cluster, and of which nothing is held.
    fn forget(&mut self) {
        let gone = |id: &i32, duty: &watch::Sender<Duty>| {
            !self.metadata.brokers().contains_key(id) && duty.borrow().places.is_empty()
        };
        let gone: Vec<i32> = self
            .brokers
            .iter()
            .filter(|(id, duty)| gone(id, duty))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            let mut board = self.shared.board();
            if board.snapshot.brokers.iter().any(|row| row.id == id && row.held > 0) {
                continue;
            }
            board.snapshot.brokers.retain(|row| row.id != id);
            drop(board);
            // Its task ends with this.
            self.brokers.remove(&id);
            self.shared.desk().unseat(id);
        }
    }

    fn start(&mut self, id: i32, places: BTreeSet<TopicPartition>) {
        let Some(address) = self.metadata.brokers().get(&id) else {
            return;
        };
        let (duty, duties) = watch::channel(Duty {
            address: address.clone(),
            places,
            names: self.metadata.names().clone(),
            round: self.round,
        });
        let (mailbox, messages) = mpsc::channel(MAILBOX);
        let wakes = Arc::new(Notify::new());
        self.shared.desk().seat(id, mailbox, Arc::clone(&wakes));
        let broker = Broker::new(
            id,
            Arc::clone(&self.shared),
            duties,
            messages,
            wakes,
            self.stage.clone(),
        );
        self.tasks.spawn(broker.run());
        self.brokers.insert(id, duty);
    }

    /// Says how things stand.
    fn publish(&self, assignment: &BTreeSet<TopicPartition>, brokers: &BTreeMap<i32, BTreeSet<TopicPartition>>) {
        let names = self.metadata.names();
        let partition = |place: &TopicPartition| AssignedPartition {
            topic: names.get(&place.topic_id).cloned(),
            place: *place,
            leader: self.metadata.leader(*place),
        };
        let mut board = self.shared.board();
        board.snapshot.assignment = assignment.iter().map(partition).collect();
        let rows = &mut board.snapshot.brokers;
        for id in brokers.keys() {
            let index = rows.binary_search_by_key(id, |row| row.id);
            if let (Err(index), Some(address)) = (index, self.metadata.brokers().get(id)) {
                rows.insert(index, row(*id, address.clone()));
            }
        }
        for row in rows {
            let count = brokers.get(&row.id).map_or(0, BTreeSet::len);
            row.partitions = u32::try_from(count).unwrap_or(u32::MAX);
            if let Some(address) = self.metadata.brokers().get(&row.id) {
                row.address.clone_from(address);
            }
        }
    }
}

const fn row(id: i32, address: Address) -> BrokerSnapshot {
    BrokerSnapshot {
        id,
        address,
        link: Link::Idle,
        partitions: 0,
        held: 0,
        unsettled: 0,
        answered: 0,
        acquired: 0,
        connects: 0,
        last_error: None,
    }
}

/// Between look-ups while something is missing.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// After so long without a look-up, the next trouble is a new one.
const QUIET: Duration = Duration::from_secs(10);

/// The same trouble with a topic is told again after so long.
const TELL_AGAIN: Duration = Duration::from_mins(1);
