//! Records that wait for a later time and keep others from coming are copied to a retry topic and accepted; a second member of the group
//! takes them up there, holds what it has room for, and hands out what is due.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use share_client::admin::{AdminError, NewTopic};
use share_client::consumer::{Credit, Verb};
use share_engine::time::Instant;
use tokio::task::JoinSet;

use super::super::SourceEvent;
use super::driver::{drive, end};
use super::held::{Due, Then, Which};
use super::member::{Common, Kind, Member};
use super::retry::{Standing, copy, marker};

/// Joins the group a second time as soon as the retry topic is there, and works on it. Runs until the members are to leave.
pub(super) async fn attend(common: Arc<Common>, topic: String) {
    let mut leaving = common.leaving.subscribe();
    let member = tokio::select! {
        member = join(&common, &topic) => Arc::new(member),
        _ = leaving.wait_for(|leaving| *leaving) => return,
    };
    // Nobody else sets it.
    drop(common.second.set(Arc::downgrade(&member)));
    let mut tasks = JoinSet::new();
    tasks.spawn(hear(common.clone(), member.clone()));
    tasks.spawn(begin(common.clone(), topic));
    let taken_up = async {
        tokio::select! {
            () = take_up(&common, &member) => {}
            _ = leaving.wait_for(|leaving| *leaving) => {}
        }
    };
    tokio::join!(taken_up, drive(member.clone()));
    member.consumer.close().await;
}

async fn join(common: &Arc<Common>, topic: &str) -> Member {
    let mut said = false;
    loop {
        match common.admin.topic(topic).await {
            Ok(_) => match Member::join(common.clone(), Kind::Retry).await {
                Ok(member) => return member,
                Err(error) => tracing::warn!(
                    %topic, %error,
                    "cannot join the group a second time, for its retry topic; records that wait stay where they are"
                ),
            },
            Err(error) if error.is_missing() => {}
            Err(error) if said => tracing::debug!(%topic, %error, "cannot look for the retry topic"),
            Err(error) => {
                said = true;
                tracing::warn!(%topic, %error, "cannot look for the retry topic; records that others copied there wait for another host");
            }
        }
        tokio::select! {
            () = common.second_wanted.notified() => make(common, topic).await,
            // Another host may have made it.
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Sees to it that whatever is copied comes: a group that begins at the end skips what is there before its brokers have written down where
/// it stands, after each change of leaders anew. Ends when they have, for all partitions.
async fn begin(common: Arc<Common>, topic: String) {
    loop {
        match missing(&common, &topic).await {
            Ok(missing) if missing.is_empty() => return,
            Ok(missing) => {
                let markers = missing.into_iter().map(|partition| marker(&topic, partition));
                for error in common
                    .producer
                    .produce_all(markers.collect())
                    .await
                    .into_iter()
                    .filter_map(Result::err)
                {
                    tracing::debug!(%topic, %error, "nothing can be written to the retry topic");
                }
            }
            Err(error) => tracing::debug!(%topic, %error, "cannot see where the group stands in its retry topic"),
        }
        tokio::time::sleep(BEGIN).await;
    }
}

/// Partitions of the retry topic that the group has no start in. The others may be copied to.
async fn missing(common: &Common, topic: &str) -> Result<Vec<i32>, AdminError> {
    let partitions = common.admin.topic(topic).await?.partitions;
    let all = partitions.iter().map(|one| one.partition);
    let begun: Vec<i32> = if common.options.from_the_start {
        all.clone().collect()
    } else {
        let offsets = common
            .admin
            .group_offsets(&common.options.group, Some(&[topic]))
            .await?;
        let begun = offsets.iter().filter(|one| one.start.is_some());
        begun.map(|one| one.partition).collect()
    };
    let missing = all.filter(|partition| !begun.contains(partition)).collect();
    *common.begun.lock().unwrap_or_else(PoisonError::into_inner) = begun;
    Ok(missing)
}

/// Acquires what there is room for; what is due is handed out by the source.
async fn take_up(common: &Common, member: &Member) {
    loop {
        let changed = common.room.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let room = common.options.parking.max(1).saturating_sub(member.held().parked());
        // What is here already would only be given back, which counts as a delivery.
        let room = room.max(usize::from(member.consumer.ready() > 0));
        if room == 0 {
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(super::LOOK) => {}
            }
            continue;
        }
        let records = u32::try_from(room).unwrap_or(u32::MAX).min(MOST);
        let _waits = member.waits(records);
        let credit = Credit { records, bytes: BYTES };
        match member.consumer.acquire(credit).await {
            Ok(acquired) => member.return_to_wait(&acquired),
            Err(error) => {
                tracing::error!(topic = %member.topic, %error, "nothing more is taken up from the retry topic");
                std::future::pending::<()>().await;
            }
        }
        // Whoever held one before and ended has used up a delivery of it. A new copy has them all.
        let later = member.now().after(BEGIN);
        if is_ready(common, member.now()) {
            let tired = member.held().take_aside(Which::Delivered(2), later, usize::MAX);
            if !tired.is_empty() {
                put_aside(member, &member.topic, tired).await;
            }
        }
    }
}

/// What the second member's client tells: what was lost goes to the host.
async fn hear(common: Arc<Common>, member: Arc<Member>) {
    loop {
        let event = member.consumer.event().await;
        match member.event(event) {
            Some(lost @ SourceEvent::LeasesLost(_)) => drop(common.events.send(lost).await),
            Some(SourceEvent::Unavailable { reason }) => {
                tracing::warn!(topic = %member.topic, reason, "the retry topic cannot be reached");
            }
            _ => {}
        }
    }
}

/// Copies records to the retry topic and accepts them. What cannot be copied waits on here.
pub(super) async fn put_aside(member: &Member, topic: &str, records: Vec<(Due, Then, Instant)>) {
    let (now, wall) = (member.now(), member.common.clock.now().wall);
    let partitions = member
        .common
        .begun
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let (mut copies, mut copied, mut stay) = (Vec::new(), Vec::new(), Vec::new());
    if partitions.is_empty() {
        // Nobody knows that a copy would come.
        stay = records;
    } else {
        let held = member.held();
        for ((due, then, at), partition) in records.into_iter().zip(partitions.iter().cycle()) {
            let Some(delivery) = held.delivery(due) else {
                continue;
            };
            let notes = held.notes.of(due.id).map(|note| note.lines.clone());
            let standing = Standing::of(delivery, notes.unwrap_or_default(), &then, at, now, wall);
            match copy(topic, *partition, delivery, &standing) {
                Some(record) => {
                    copies.push(record);
                    copied.push((due, then, at));
                }
                None => stay.push((due, then, at)),
            }
        }
    }
    let stored = member.common.producer.produce_all(copies).await;
    let (mut done, mut failed) = (Vec::new(), None);
    for (record, stored) in copied.into_iter().zip(stored) {
        match stored {
            Ok(_) => done.push((record.0, Verb::Accept)),
            Err(error) => {
                failed.get_or_insert(error);
                stay.push(record);
            }
        }
    }
    let rest = if let Some(error) = failed {
        let records = stay.len();
        tracing::warn!(%topic, records, %error, "records that wait cannot be copied to the retry topic; they wait on here");
        Some(AFTER_FAILURE)
    } else {
        // There they are behind others, not out of the way for good.
        (member.kind == Kind::Retry).then_some(AROUND)
    };
    {
        let mut held = member.held();
        for (due, then, at) in stay {
            held.put_back(due, then, at);
        }
    }
    if !done.is_empty() {
        tracing::info!(from = %member.topic, to = topic, records = done.len(), "records that wait were copied, so that others can come");
        end(member, done).await;
    }
    let mut asides = member.asides();
    asides.is_busy = false;
    asides.rest_until = rest.map(|rest| member.now().after(rest));
}

/// Whether what is copied to the retry topic comes back from there: a member works on it, and may read it. If there is none, one is
/// asked for.
pub(super) fn is_ready(common: &Common, now: Instant) -> bool {
    not_ready(common, now).is_none()
}

/// Why nothing can be copied there now, if it cannot.
pub(super) fn not_ready(common: &Common, now: Instant) -> Option<&'static str> {
    let Some(second) = common.second.get().and_then(Weak::upgrade) else {
        common.second_wanted.notify_one();
        return Some(
            "this host is not in the group for the retry topic yet: it makes the topic, if it may, and joins a second time",
        );
    };
    if second.was_refused(now) {
        return Some("the retry topic may not be read");
    }
    if common.begun.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        return Some("the group has no start in the retry topic yet");
    }
    let is_idle = second.consumer.snapshot().assignment.is_empty();
    is_idle.then_some("this host has no partition of the retry topic yet")
}

/// Makes the topic if it is missing.
async fn make(common: &Common, topic: &str) {
    let wanted = retry_topic(topic);
    if let Err(error) = common.admin.ensure_topic(&wanted).await {
        let command = match &error {
            AdminError::Denied(denied) => Some(wanted.command(&denied.who)),
            _ => None,
        };
        tracing::warn!(%topic, %error, command = command.as_deref(), "the retry topic is not there and cannot be made; records that wait stay where they are");
    }
}

/// How a retry topic is made that the manifest does not list: a record waits for a week at most there, and some more while no host
/// runs.
pub fn retry_topic(topic: &str) -> NewTopic {
    let settings = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "2592000000"),
        ("retention.bytes", "-1"),
    ];
    NewTopic {
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..NewTopic::named(topic)
    }
}

/// Between looks for a retry topic that another host may have made.
const LOOK: Duration = Duration::from_secs(30);

/// Between looks for where a group stands.
const BEGIN: Duration = Duration::from_secs(2);

/// Before records are moved again: after that failed, and within a retry topic.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
const AROUND: Duration = Duration::from_secs(30);

/// Of the retry topic at a time.
const MOST: u32 = 100;
const BYTES: u64 = 8 << 20;
