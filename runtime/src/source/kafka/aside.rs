//! Records that wait for a later time and keep others from coming are copied to a retry topic and accepted; a second member of the group
//! takes them up there, holds what it has room for, and hands out what is due.

use std::sync::Arc;
use std::time::Duration;

use share_client::admin::NewTopic;
use share_client::consumer::{Credit, Verb};
use share_engine::time::Instant;
use tokio::task::JoinSet;

use super::super::SourceEvent;
use super::driver::{drive, end};
use super::held::{Due, Then};
use super::member::{Common, Kind, Member};
use super::retry::{Standing, copy};

/// Joins the group a second time as soon as the retry topic is there, and works on it. Runs until it is aborted.
pub(super) async fn attend(common: Arc<Common>, topic: String) {
    let mut said = false;
    loop {
        match common.admin.topic(&topic).await {
            Ok(_) => match Member::join(common.clone(), Kind::Retry).await {
                Ok(member) => break work(common, Arc::new(member)).await,
                Err(error) => tracing::warn!(%topic, %error, "cannot join the group for its retry topic"),
            },
            Err(error) if error.is_missing() => {}
            Err(error) if said => tracing::debug!(%topic, %error, "cannot look for the retry topic"),
            Err(error) => {
                said = true;
                tracing::warn!(%topic, %error, "cannot look for the retry topic; records that others copied there wait for another host");
            }
        }
        tokio::select! {
            () = common.second_wanted.notified() => make(&common, &topic).await,
            // Another host may have made it.
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn work(common: Arc<Common>, member: Arc<Member>) {
    // Nobody else sets it.
    drop(common.second.set(member.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(drive(member.clone()));
    tasks.spawn(hear(common.clone(), member.clone()));
    take_up(&common, &member).await;
}

/// Acquires what there is room for; what is due is handed out by the source.
async fn take_up(common: &Common, member: &Member) {
    loop {
        let changed = common.room.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let room = common.options.parking.max(1).saturating_sub(member.held().parked());
        if room == 0 {
            changed.await;
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
    }
}

/// What the second member's client tells: what was lost goes to the host.
async fn hear(common: Arc<Common>, member: Arc<Member>) {
    loop {
        let event = member.consumer.event().await;
        match member.event(event) {
            Some(SourceEvent::LeasesLost(lost)) => drop(common.lost.send(lost).await),
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
    let mut copies = Vec::new();
    let mut copied = Vec::new();
    let mut stay = Vec::new();
    {
        let held = member.held();
        for (due, then, at) in records {
            let Some(delivery) = held.delivery(due) else {
                continue;
            };
            let attempt = delivery.attempt();
            let note = held.notes.of(due.id);
            let standing = Standing {
                due: wall.after(at.since(now)),
                attempt: if then == Then::Release { attempt + 1 } else { attempt },
                begun: (then == Then::Continue).then(|| wall.before(delivery.age(now))),
                checkpoint: delivery.checkpoint.clone(),
                notes: note.map(|note| note.lines.clone()).unwrap_or_default(),
            };
            match copy(topic, delivery, &standing) {
                Some(record) => {
                    copies.push(record);
                    copied.push((due, then, at));
                }
                None => stay.push((due, then, at)),
            }
        }
    }
    let stored = member.common.producer.produce_all(copies).await;
    let mut done = Vec::new();
    for (record, stored) in copied.into_iter().zip(stored) {
        match stored {
            Ok(_) => done.push((record.0, record.1)),
            Err(error) => {
                tracing::warn!(%topic, %error, "a record that waits cannot be copied to the retry topic; it waits on here");
                stay.push(record);
            }
        }
    }
    {
        let mut held = member.held();
        for (due, then, at) in stay {
            held.put_back(due, then, at);
        }
    }
    if !done.is_empty() {
        tracing::info!(from = %member.topic, to = topic, records = done.len(), "records that wait were copied, so that others can come");
        end(member, done, Verb::Accept).await;
    }
}

/// Whether what is copied to the retry topic comes back from there: a member works on it, and may read it. If there is none, one is
/// asked for.
pub(super) fn is_ready(common: &Common, now: Instant) -> bool {
    let Some(second) = common.second.get() else {
        common.second_wanted.notify_one();
        return false;
    };
    !second.was_refused(now) && !second.consumer.snapshot().assignment.is_empty()
}

/// Makes the topic if it is missing.
async fn make(common: &Common, topic: &str) {
    let admin = &common.admin;
    if admin.topic(topic).await.is_err_and(|error| error.is_missing())
        && let Err(error) = admin.create_topic(&NewTopic::named(topic)).await
    {
        tracing::warn!(%topic, %error, "the retry topic is not there and cannot be made; records that wait stay where they are");
    }
}

/// Between looks for a retry topic that another host may have made.
const LOOK: Duration = Duration::from_secs(30);

/// Of the retry topic at a time.
const MOST: u32 = 100;
const BYTES: u64 = 8 << 20;
