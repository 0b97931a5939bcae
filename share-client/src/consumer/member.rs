//! The task that keeps the member in its group: heartbeats to the coordinator. Nothing else is awaited here, so that heartbeats are in time.

use std::collections::BTreeSet;
use std::sync::Arc;

use share_wire::code::ErrorCode;
use share_wire::kafka::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep_until;

use super::anybody::Anybody;
use super::shared::{Shared, Stage, now, random};
use super::{AssignedPartition, ConsumerError, JoinError};
use crate::config::Address;
use crate::membership::{Event, Membership, Refusal, Step};
use crate::net::{Connection, NetError};
use crate::session::TopicPartition;

/// The member's task.
pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) membership: Membership,
    pub(super) stage: watch::Receiver<Stage>,
    /// Brokers that are known.
    pub(super) known: watch::Receiver<Vec<Address>>,
    pub(super) assignment: watch::Sender<BTreeSet<TopicPartition>>,
    /// Who waits for the member to be taken; what went wrong meanwhile.
    pub(super) joined: Option<oneshot::Sender<Result<(), JoinError>>>,
    pub(super) trouble: watch::Sender<Option<String>>,
}

impl Member {
    /// Until the member has left, or was refused.
    pub(super) async fn run(mut self) {
        let mut anybody = Anybody::new(self.shared.connector.clone());
        let mut connection = None;
        loop {
            if *self.stage.borrow_and_update() == Stage::Leaving {
                self.membership.leave(now());
            }
            match self.membership.next(now()) {
                Step::End => break,
                Step::Wait(until) => {
                    tokio::select! {
                        () = sleep_until(until.into()) => {}
                        changed = self.stage.changed() => if changed.is_err() { break },
                    }
                }
                Step::Find(request) => {
                    let known = self.known.borrow().clone();
                    match anybody.call(&request, &known).await {
                        Ok(response) => self.membership.found(&response, now(), random()),
                        Err(error) => self.unreachable(&error),
                    }
                }
                Step::Beat(request) => match self.beat(&mut connection, &request).await {
                    Ok(response) => {
                        self.heard();
                        self.membership.beaten(&response, now(), random());
                    }
                    Err(error) => {
                        connection = None;
                        self.unreachable(&error);
                    }
                },
            }
            self.tell();
        }
        self.tell();
    }

    async fn beat(
        &self,
        connection: &mut Option<Connection>,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<ShareGroupHeartbeatResponse, NetError> {
        let Some(coordinator) = self.membership.coordinator() else {
            // `Step::Beat` comes only when it is known; without it the next step is to find it.
            return Ok(ShareGroupHeartbeatResponse::default().with_error_code(ErrorCode::NOT_COORDINATOR.0));
        };
        let open = match connection.take().filter(|open| open.address() == coordinator) {
            Some(open) => open,
            None => self.shared.connector.connect(coordinator).await?,
        };
        connection
            .insert(open)
            .call_within(request, self.membership.patience())
            .await
    }

    fn heard(&self) {
        self.shared.board().silence = None;
        self.shared.look();
    }

    fn unreachable(&mut self, error: &NetError) {
        self.membership.unreachable(now(), random());
        let reason = error.to_string();
        if error.is_final()
            && let Some(joined) = self.joined.take()
        {
            // Whoever waits may be gone.
            drop(joined.send(Err(JoinError::Net(error.clone()))));
        }
        self.trouble.send_replace(Some(reason.clone()));
        let mut board = self.shared.board();
        board.snapshot.last_error = Some(reason.clone());
        board.silence = Some(format!("the group's coordinator cannot be reached: {reason}"));
        drop(board);
        self.shared.look();
    }

    /// Passes on what has happened.
    fn tell(&mut self) {
        let events = self.membership.take_events();
        let mut board = self.shared.board();
        board.snapshot.epoch = self.membership.epoch();
        board.snapshot.coordinator = self.membership.coordinator().cloned();
        board.snapshot.heartbeat_interval = self.membership.interval();
        drop(board);
        for event in events {
            match event {
                Event::Joined => {
                    if let Some(joined) = self.joined.take() {
                        drop(joined.send(Ok(())));
                    }
                }
                Event::Assigned(places) => self.assigned(places),
                Event::Refused(refusal) => {
                    self.shared.board().snapshot.last_error = Some(refusal.to_string());
                    let topics = self.shared.options.topics.join(", ");
                    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
                    self.shared.news().refused(topics.into(), code, refusal.to_string());
                }
                Event::Failed(refusal) => self.failed(refusal),
            }
        }
    }

    fn assigned(&self, places: BTreeSet<TopicPartition>) {
        let partition = |place: &TopicPartition| AssignedPartition {
            topic: None,
            place: *place,
            leader: None,
        };
        self.shared.board().snapshot.assignment = places.iter().map(partition).collect();
        self.shared.news().assigned(places.len());
        self.assignment.send_replace(places);
        self.shared.look();
    }

    fn failed(&mut self, refusal: Refusal) {
        self.shared.board().snapshot.last_error = Some(refusal.to_string());
        if let Some(joined) = self.joined.take() {
            drop(joined.send(Err(JoinError::Refused(refusal))));
            return;
        }
        self.shared.news().failed(refusal.to_string());
        self.shared.desk().close(ConsumerError::Refused(refusal));
    }
}
