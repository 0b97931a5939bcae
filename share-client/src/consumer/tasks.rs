//! Starts and ends the tasks of a consumer: one for the member, one for leaders, and through that one for each broker. They end in this
//! order: brokers, so that everything is settled; then the member leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::desk::{Desk, Waits};
use super::leaders::Leaders;
use super::member::Member;
use super::shared::{Shared, Stage, member_id, now};
use super::{ConsumerError, Inner, JoinError, JoinOptions, Snapshot};
use crate::config::ClientConfig;
use crate::membership::{self, Membership};
use crate::net::Connector;
use crate::tools::Who;

/// Says whether the member was taken.
type Joined = oneshot::Receiver<Result<(), JoinError>>;

/// Starts all tasks. Also returns who is told of the join, and what went wrong last meanwhile.
pub(super) fn start(
    config: &ClientConfig,
    options: JoinOptions,
) -> Result<(Inner, Joined, watch::Receiver<Option<String>>), JoinError> {
    let connector = Connector::new(config)?;
    let member = options.member.clone().unwrap_or_else(member_id);
    let waits = Waits {
        idle: options.max_wait.min(config.times().fetch_wait),
        held: options.max_wait_held,
    };
    let desk = Desk::new(waits, i32::try_from(config.sizes().fetch_max).unwrap_or(i32::MAX));
    let snapshot = Snapshot {
        group: options.group.clone(),
        member: member.clone(),
        ..Snapshot::default()
    };
    let membership = Membership::new(
        membership::Options {
            group: options.group.clone(),
            member,
            topics: options.topics.clone(),
            rack: config.client_rack().map(str::to_owned),
            who: Who::of(config),
        },
        now(),
    );
    let shared = Arc::new(Shared::new(connector, options, desk, snapshot));
    let (stage, stages) = watch::channel(Stage::Running);
    let (assignment, assignments) = watch::channel(BTreeSet::new());
    let (known, brokers) = watch::channel(Vec::new());
    let (joined, is_joined) = oneshot::channel();
    let (trouble, troubles) = watch::channel(None);
    let member = Member {
        shared: Arc::clone(&shared),
        membership,
        stage: stages.clone(),
        known: brokers,
        assignment,
        joined: Some(joined),
        trouble,
    };
    let leaders = Leaders::new(Arc::clone(&shared), assignments, stages, known);
    let (close, closing) = watch::channel(false);
    let (closed, is_closed) = watch::channel(false);
    let inner = Inner {
        shared: Arc::clone(&shared),
        close,
        closed: is_closed,
    };
    tokio::spawn(supervise(shared, member, leaders, stage, closing, closed));
    Ok((inner, is_joined, troubles))
}

/// Ends with the last handle, and with it all tasks.
async fn supervise(
    shared: Arc<Shared>,
    member: Member,
    leaders: Leaders,
    stage: watch::Sender<Stage>,
    mut closing: watch::Receiver<bool>,
    closed: watch::Sender<bool>,
) {
    let (mut of_member, mut of_leaders) = (JoinSet::new(), JoinSet::new());
    of_member.spawn(member.run());
    of_leaders.spawn(leaders.run());
    if closing.wait_for(|closing| *closing).await.is_err() {
        return;
    }
    shared.desk().close(ConsumerError::Closed);
    let limit = shared.options.close_within;
    let end = Instant::now() + limit;
    stage.send_replace(Stage::Closing);
    // The last quarter is for leaving: whoever does not, is missed only after the session timeout.
    if timeout_at(end - limit / 4, of_leaders.join_next()).await.is_err() {
        of_leaders.shutdown().await;
    }
    stage.send_replace(Stage::Leaving);
    drop(timeout_at(end, of_member.join_next()).await);
    of_member.shutdown().await;
    closed.send_replace(true);
}
