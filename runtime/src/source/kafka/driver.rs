//! What becomes due by itself: locks of waiting records renewed, delayed releases, dead letters that could not be written before. One task
//! for each member; ends with it.

use std::sync::Arc;
use std::time::Duration;

use share_client::admin::{At, Isolation};
use share_client::consumer::{Lease, Outcome, Verb};
use share_engine::ids::Offset;
use share_engine::time::Instant;
use tokio::task::JoinSet;

use super::aside::{is_ready, put_aside};
use super::held::{Due, Id, Span, Then, Turn, Why};
use super::member::Member;
use super::settling::AGAIN;

/// Runs until it is aborted.
pub(super) async fn drive(member: Arc<Member>) {
    let mut works = JoinSet::new();
    let mut told = Told::default();
    loop {
        let now = member.now();
        let (turn, wake) = {
            let mut held = member.held();
            (held.turn(now), held.next_wake())
        };
        if turn.ready {
            member.common.room.notify_waiters();
        }
        if !turn.is_empty() {
            works.spawn(carry_out(member.clone(), turn));
        }
        match told.look(&member, now) {
            Some(Found::InTheWay(records)) => {
                works.spawn(take_away(member.clone(), records));
            }
            Some(Found::Nothing) => {
                works.spawn(look_further(member.clone()));
            }
            None => {}
        }
        let sleep = wake.map_or(LOOK, |at| at.since(now).min(LOOK));
        tokio::select! {
            () = member.stirred.notified() => {}
            () = tokio::time::sleep(sleep) => {}
            Some(done) = works.join_next(), if !works.is_empty() => {
                if let Err(error) = done {
                    tracing::error!(%error, "what was due could not be carried out");
                }
            }
        }
    }
}

async fn carry_out(member: Arc<Member>, turn: Turn) {
    let gaps = turn.gaps.into_iter().map(|lease| (lease, Verb::Gap)).collect();
    let gaps = async {
        settle(&member, gaps).await;
    };
    let renew = async {
        member.renew(turn.renew).await;
    };
    tokio::join!(
        gaps,
        renew,
        release(&member, turn.release),
        write(&member, turn.letters)
    );
}

async fn settle(member: &Member, batch: Vec<(Lease, Verb)>) -> Vec<Outcome> {
    if batch.is_empty() {
        return Vec::new();
    }
    member.consumer.settle(batch).await
}

async fn release(member: &Member, due: Vec<Due>) {
    let due = due.into_iter().map(|due| (due, Then::Release)).collect();
    end(member, due, Verb::Release).await;
}

async fn write(member: &Member, letters: Vec<(Due, Why, u16)>) {
    let mut letters = letters;
    while !letters.is_empty() {
        let some: Vec<_> = letters.drain(..letters.len().min(LETTERS)).collect();
        let written = member.write_letters(some.iter().map(|(due, why, _)| (*due, why))).await;
        let now = member.now();
        let mut done = Vec::new();
        for ((due, why, tries), written) in some.into_iter().zip(written) {
            if written {
                done.push((due, Then::Letter { why, tries }));
            } else {
                put_off(member, due, why, tries, now);
            }
        }
        end(member, done, Verb::Reject).await;
    }
}

/// Tried again later, as long as the attempt may take; after that the record comes again.
fn put_off(member: &Member, due: Due, why: Why, tries: u16, now: Instant) {
    let mut held = member.held();
    let Some(delivery) = held.delivery(due) else {
        return;
    };
    let tries = tries.saturating_add(1);
    let delay = AGAIN.saturating_mul(1 << tries.min(5)).min(LONGEST);
    let place = (delivery.partition, delivery.offset());
    let then = if delivery.age(now).saturating_add(delay) < member.common.options.max_lease {
        Then::Letter { why, tries }
    } else {
        let (partition, offset) = place;
        let max_lease = member.common.options.max_lease;
        tracing::error!(
            topic = %member.topic, partition, %offset, tries, ?max_lease,
            "a dead letter could not be written within max-lease: its record is released"
        );
        Then::Release
    };
    let at = if then == Then::Release { now } else { now.after(delay) };
    held.put_back(due, then, at);
}

/// Tells the brokers, and forgets the records; what is refused for now is tried again.
pub(super) async fn end(member: &Member, due: Vec<(Due, Then)>, verb: Verb) {
    let batch = due.iter().map(|(due, _)| (due.lease, verb)).collect();
    let outcomes = settle(member, batch).await;
    let now = member.now();
    let mut held = member.held();
    for ((due, then), outcome) in due.into_iter().zip(outcomes) {
        member.tell_settled(&due.lease, verb, outcome);
        if let Outcome::Failed(code) = outcome {
            tracing::warn!(%code, ?verb, "the broker refuses a settlement; it is tried again");
            held.put_back(due, then, now.after(AGAIN));
            continue;
        }
        held.end(due);
        if verb == Verb::Reject {
            held.notes.take(due.id);
        }
    }
    drop(held);
    member.common.room.notify_waiters();
}

impl Member {
    /// Before the member leaves: letters that wait are tried once more. What is held then is released by the broker.
    pub(super) async fn last_letters(&self) {
        let letters = self.held().take_letters();
        write(self, letters).await;
    }
}

/// Why nothing comes.
enum Found {
    /// These wait here and keep others from coming.
    InTheWay(Vec<(Due, Then, Instant)>),
    /// Nothing that is known here.
    Nothing,
}

async fn take_away(member: Arc<Member>, records: Vec<(Due, Then, Instant)>) {
    if let Some(topic) = &member.common.options.retry_topic {
        put_aside(&member, topic, records).await;
    }
}

/// What other members of the group were given is not known here; how far the partitions go on is.
async fn look_further(member: Arc<Member>) {
    let admin = &member.common.admin;
    let ends = match admin.offsets(&member.topic, At::Latest, Isolation::Uncommitted).await {
        Ok(ends) => ends,
        Err(error) => return tracing::debug!(topic = %member.topic, %error, "cannot look where the topic ends"),
    };
    let window = u64::from(member.common.options.window);
    let mut held = member.held();
    for span in held.spans() {
        if let Some(end) = ends.get(&span.partition).and_then(|end| end.offset) {
            held.presume(span.id.0, span.lowest, Offset::saturating(end), window);
        }
    }
}

/// What was said of windows that do not move.
#[derive(Debug, Default)]
struct Told {
    looked: Option<Instant>,
    /// Since when it is known how far the partitions go on.
    looked_further: Option<Instant>,
    last: Option<(Id, Instant)>,
}

impl Told {
    /// Says so, once a minute, if slots wait and the reason is a record that this member holds. Records that wait here and are in the way
    /// of others are taken aside.
    fn look(&mut self, member: &Member, now: Instant) -> Option<Found> {
        if self.looked.is_some_and(|at| now.since(at) < LOOK) {
            return None;
        }
        self.looked = Some(now);
        let (slots, since) = member.waited()?;
        if now.since(since) < LOOK {
            return None;
        }
        // What is due soon is soon out of the way.
        let after = now.after(LOOK);
        let window = u64::from(member.common.options.window);
        let mut held = member.held();
        let pinned = held.spans().into_iter().filter(|span| span.offsets() >= window);
        let Some(span) = pinned.max_by_key(Span::offsets) else {
            let parking = member.common.options.parking.max(1);
            if held.parked() >= parking && moves(member, now) {
                return Some(Found::InTheWay(held.take_aside(
                    None,
                    after,
                    ASIDE.min(parking.div_ceil(2)),
                )));
            }
            let is_known = self.looked_further.is_some_and(|at| now.since(at) < FURTHER);
            if held.len() == 0 || is_known || now.since(since) < FURTHER {
                return None;
            }
            self.looked_further = Some(now);
            return Some(Found::Nothing);
        };
        let is_parked = span.is_parked && moves(member, now);
        let aside = is_parked.then(|| Found::InTheWay(held.take_aside(Some(span.id.0), after, ASIDE)));
        drop(held);
        let known = self.last.filter(|(id, at)| *id == span.id && now.since(*at) < REPEAT);
        if known.is_none() {
            self.last = Some((span.id, now));
            say(member, span, slots.min(member.common.options.slots.into()), now);
        }
        aside
    }
}

fn moves(member: &Member, now: Instant) -> bool {
    member.common.options.retry_topic.is_some() && is_ready(&member.common, now)
}

fn say(member: &Member, span: Span, slots: u64, now: Instant) {
    let (offsets, window) = (span.offsets(), member.common.options.window);
    tracing::warn!(
        topic = %member.topic,
        partition = span.partition,
        offset = %span.lowest,
        age = ?now.since(span.since),
        parked = span.is_parked,
        "window full: {offsets} of {window}, {slots} slots waiting; the broker gives out no more before this record is settled"
    );
}

/// Records that are copied to the retry topic at a time.
const ASIDE: usize = 100;

/// Between two looks at what stands still.
const LOOK: Duration = Duration::from_secs(1);

/// Before the brokers are asked why nothing comes, and between two such questions.
const FURTHER: Duration = Duration::from_secs(3);

/// Between two lines about the same record.
const REPEAT: Duration = Duration::from_mins(1);

/// The longest wait for a dead-letter topic.
const LONGEST: Duration = Duration::from_secs(30);

/// Dead letters that are written at a time.
const LETTERS: usize = 500;
