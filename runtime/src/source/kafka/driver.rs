//! What becomes due by itself: locks of waiting records renewed, delayed releases, dead letters that could not be written before. One task
//! for each member; ends with it.

use std::sync::Arc;
use std::time::Duration;

use share_client::admin::{At, Isolation};
use share_client::consumer::Verb;
use share_engine::ids::Offset;
use share_engine::time::Instant;
use tokio::task::{JoinError, JoinSet};

use super::LOOK;
use super::aside::{is_ready, not_ready, put_aside};
use super::held::{Due, Id, Letter, Span, Then, Turn, Which};
use super::member::Member;
use super::settling::{AGAIN, Written, buried_event};

/// Runs until the members are to leave and this one owes nothing any more, but for some time at most.
pub(super) async fn drive(member: Arc<Member>) {
    let (mut works, mut looks) = (JoinSet::new(), JoinSet::new());
    let mut told = Told::default();
    let mut leaving = member.common.leaving.subscribe();
    let mut leave_by = None;
    loop {
        let now = member.now();
        if leave_by.is_none() && *leaving.borrow_and_update() {
            leave_by = Some(now.after(LEAVE));
            member.held().hurry(now);
        }
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
        if let Some(until) = leave_by {
            if is_done(&member, until <= now) {
                break;
            }
        } else {
            match told.look(&member, now) {
                Some(Found::InTheWay(records)) => {
                    member.asides().is_busy = true;
                    looks.spawn(take_away(member.clone(), records));
                }
                Some(Found::Nothing) => {
                    looks.spawn(look_further(member.clone()));
                }
                None => {}
            }
        }
        let sleep = wake.map_or(LOOK, |at| at.since(now).min(LOOK));
        tokio::select! {
            () = member.stirred.notified() => {}
            () = tokio::time::sleep(sleep) => {}
            Some(done) = works.join_next(), if !works.is_empty() => say_failed(done),
            Some(done) = looks.join_next(), if !looks.is_empty() => say_failed(done),
            changed = leaving.changed(), if leave_by.is_none() => {
                if changed.is_err() {
                    break;
                }
            }
        }
    }
    // Nothing is owed to the brokers any more, but the host may still have to hear of letters.
    let rest = async {
        while let Some(done) = works.join_next().await {
            say_failed(done);
        }
    };
    if tokio::time::timeout(FAREWELL, rest).await.is_err() {
        tracing::warn!(topic = %member.topic, "left before everything was told: dead letters may be there that were not counted");
    }
}

fn say_failed(done: Result<(), JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "what was due could not be carried out");
    }
}

/// Whether a member that leaves may go now. What it still owes when the time is over is told by name.
fn is_done(member: &Member, is_over: bool) -> bool {
    let held = member.held();
    let mut owed = held.owed().peekable();
    if owed.peek().is_none() {
        return true;
    }
    if is_over {
        for delivery in owed {
            tracing::error!(
                topic = %delivery.topic,
                partition = delivery.partition,
                offset = %delivery.offset(),
                "left before the brokers or the dead-letter topic answered: the record comes again, or the broker ends it if that was its last delivery"
            );
        }
    }
    is_over
}

async fn carry_out(member: Arc<Member>, turn: Turn) {
    let gaps = turn.gaps.into_iter().map(|lease| (lease, Verb::Gap)).collect();
    let gaps = async {
        member.consumer.settle(gaps).await;
    };
    let renew = async {
        member.renew(turn.renew).await;
    };
    tokio::join!(gaps, renew, end(&member, turn.tell), write(&member, turn.letters));
}

async fn write(member: &Member, letters: Vec<Letter>) {
    if letters.is_empty() {
        return;
    }
    let written = member
        .write_letters(letters.iter().map(|letter| (letter.due, &letter.why)).collect())
        .await;
    let (mut done, mut buried) = (Vec::new(), Vec::new());
    for (letter, written) in letters.into_iter().zip(written) {
        match written {
            Written::Yes(delivery) => {
                done.push((letter.due, Verb::Reject));
                buried.push(buried_event(delivery, letter.why));
            }
            Written::No => put_off(member, letter),
            Written::Gone => {}
        }
    }
    end(member, done).await;
    for event in buried {
        // Last, since it waits for whoever listens; nobody listens to a source that was dropped.
        drop(member.common.events.send(event).await);
    }
}

/// Tried again later, as long as an attempt may take; after that the record comes again. The last delivery that the broker allows is kept
/// for as long as it takes, since the broker would end the record.
fn put_off(member: &Member, letter: Letter) {
    let now = member.now();
    let options = &member.common.options;
    let mut held = member.held();
    let Some(delivery) = held.delivery(letter.due) else {
        return;
    };
    let (topic, partition, offset) = (&member.topic, delivery.partition, delivery.offset());
    let tries = letter.tries.saturating_add(1);
    // Whoever leaves has no time for more.
    let most = if *member.common.leaving.borrow() {
        AGAIN
    } else {
        LONGEST
    };
    let delay = AGAIN.saturating_mul(1 << tries.min(5)).min(most);
    let held_for = now.since(letter.since).saturating_add(delay);
    let is_last = u16::try_from(letter.due.lease.delivery_count).is_ok_and(|count| count >= options.deliveries);
    let max_lease = options.max_lease;
    if held_for < max_lease || is_last {
        if held_for >= max_lease {
            tracing::error!(
                %topic, partition, %offset, tries, ?max_lease,
                "a dead letter could not be written within max-lease; its record is held on, since the broker would end it: see to the \
                 dead-letter topic"
            );
        }
        let Letter { why, since, .. } = letter;
        return held.put_back(letter.due, Then::Letter { why, tries, since }, now.after(delay));
    }
    tracing::error!(
        %topic, partition, %offset, tries, ?max_lease,
        "a dead letter could not be written within max-lease: its record is released, and comes again"
    );
    held.put_back(letter.due, Then::Release, now);
    member.stirred.notify_one();
}

/// Tells the brokers, and forgets the records; what they refuse for now is told them again.
pub(super) async fn end(member: &Member, due: Vec<(Due, Verb)>) {
    if due.is_empty() {
        return;
    }
    let outcomes = member.settle_due(due.clone()).await;
    let again = member.now().after(AGAIN);
    let mut held = member.held();
    for ((due, verb), outcome) in due.into_iter().zip(outcomes) {
        held.answered(due, verb, outcome, true, again);
    }
    drop(held);
    member.common.room.notify_waiters();
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
    let options = &member.common.options;
    let window = u64::from(options.window);
    if !options.window_is_known {
        // The brokers count what is not finished: if that is more than is held here, and nothing comes, the window is smaller than assumed.
        let left = match admin.group_offsets(&options.group, Some(&[&member.topic])).await {
            Ok(offsets) => offsets,
            Err(error) => return tracing::debug!(topic = %member.topic, %error, "cannot see what is left"),
        };
        let mut held = member.held();
        for span in held.spans() {
            let left = left
                .iter()
                .find(|one| one.partition == span.partition)
                .and_then(|one| one.lag);
            if left.is_some_and(|left| left > held.count(span.id.0)) {
                held.presume_full(span.id.0, span.lowest, window);
            }
        }
        return;
    }
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
    /// What was said last of a record, and when.
    record: Option<(Option<Id>, Instant)>,
    /// When it was said that nothing is assigned.
    nothing: Option<(Option<Id>, Instant)>,
}

impl Told {
    /// Whether it is to be said: another record was named last, or this a minute ago.
    fn is_news(&mut self, about: Option<Id>, now: Instant) -> bool {
        let last = if about.is_some() {
            &mut self.record
        } else {
            &mut self.nothing
        };
        let is_news = last.is_none_or(|(last, at)| last != about || now.since(at) >= REPEAT);
        if is_news {
            *last = Some((about, now));
        }
        is_news
    }

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
        if now.since(since) >= UNASSIGNED && member.consumer.snapshot().assignment.is_empty() {
            if self.is_news(None, now) {
                tracing::warn!(
                    topic = %member.topic,
                    "group {} has given this member no partition for {} s: sharemill doctor says why",
                    member.common.options.group,
                    now.since(since).as_secs()
                );
            }
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
                let some = ASIDE.min(parking.div_ceil(2));
                return Some(Found::InTheWay(held.take_aside(Which::Longest, after, some)));
            }
            let is_known = self.looked_further.is_some_and(|at| now.since(at) < FURTHER);
            if held.len() == 0 || is_known || now.since(since) < FURTHER {
                return None;
            }
            self.looked_further = Some(now);
            return Some(Found::Nothing);
        };
        let is_parked = span.is_parked && moves(member, now);
        let aside = is_parked.then(|| Found::InTheWay(held.take_aside(Which::LowestOf(span.id.0), after, ASIDE)));
        drop(held);
        if self.is_news(Some(span.id), now) {
            say(member, span, slots.min(member.common.options.slots.into()), now);
        }
        aside
    }
}

/// Whether records may be moved to the retry topic now.
fn moves(member: &Member, now: Instant) -> bool {
    member.common.options.retry_topic.is_some() && !member.asides().rests(now) && is_ready(&member.common, now)
}

/// What becomes of a record that is in the way.
fn way(member: &Member, is_parked: bool, now: Instant) -> &'static str {
    if !is_parked {
        return "a handler has it, so that it cannot be copied elsewhere";
    }
    if member.common.options.retry_topic.is_none() {
        return "it waits, and there is no retry-topic that it could be copied to";
    }
    if member.asides().rests(now) {
        return "it waits, and is copied to the retry topic within half a minute: records were, or could not be, just now";
    }
    not_ready(&member.common, now).unwrap_or("it waits, and is copied to the retry topic")
}

fn say(member: &Member, span: Span, slots: u64, now: Instant) {
    let (offsets, window) = (span.offsets(), member.common.options.window);
    let assumed = if member.common.options.window_is_known {
        ""
    } else {
        " (assumed: the brokers' limits may not be read)"
    };
    tracing::warn!(
        topic = %member.topic,
        partition = span.partition,
        offset = %span.lowest,
        age = ?now.since(span.since),
        parked = span.is_parked,
        "window full: {offsets} of {window}{assumed}, {slots} slots waiting; the broker gives out no more before this record is settled: {}",
        way(member, span.is_parked, now)
    );
}

/// Records that are copied to the retry topic at a time.
const ASIDE: usize = 100;

/// Before the brokers are asked why nothing comes, and between two such questions.
const FURTHER: Duration = Duration::from_secs(3);

/// A group that has just begun takes some heartbeats.
const UNASSIGNED: Duration = Duration::from_secs(10);

/// Between two lines about the same record.
const REPEAT: Duration = Duration::from_mins(1);

/// The longest wait for a dead-letter topic.
const LONGEST: Duration = Duration::from_secs(30);

/// So long a member that leaves goes on with what it owes.
const LEAVE: Duration = Duration::from_secs(15);

/// And so long the host is told what came of it.
const FAREWELL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute() {
        let mut told = Told::default();
        let at = |seconds| Instant::default().after(Duration::from_secs(seconds));
        assert!(told.is_news(None, at(10)));
        assert!(!told.is_news(None, at(11)) && !told.is_news(None, at(69)));
        assert!(told.is_news(None, at(70)));
        let record = (share_engine::ids::ShareKey(0), Offset::ZERO);
        assert!(told.is_news(Some(record), at(71)));
        assert!(!told.is_news(Some(record), at(72)));
        assert!(!told.is_news(None, at(73)), "the one does not hide the other");
    }
}
