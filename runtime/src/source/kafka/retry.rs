//! What a record that was copied to a retry topic carries beside its own headers, so that whoever takes it up there goes on where it
//! stood. Pure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use share_engine::ids::DeliveryCount;
use share_engine::letter::ORIGIN_HEADER;
use share_engine::time::{Instant, WallTime};

use super::super::{Delivery, Header, Payload, RecordFields};
use super::held::Then;
use super::producer::ToProduce;

/// Where a record stood when it was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// When it is due.
    pub(super) due: WallTime,
    /// Which attempt it is then, from 1.
    pub(super) attempt: u16,
    /// When that attempt began; `None` if it is to begin.
    pub(super) begun: Option<WallTime>,
    /// What the handler left.
    pub(super) checkpoint: Option<Bytes>,
    /// A line for each attempt that failed.
    pub(super) notes: Vec<Bytes>,
}

impl Standing {
    /// Of a record that waits for `then` until `at`, both clocks being at `now` and `wall`.
    pub(super) fn of(
        delivery: &Delivery,
        notes: Vec<Bytes>,
        then: &Then,
        at: Instant,
        now: Instant,
        wall: WallTime,
    ) -> Self {
        let attempt = delivery.attempt();
        Self {
            due: wall.after(at.since(now)),
            attempt: if *then == Then::Release { attempt + 1 } else { attempt },
            begun: (*then == Then::Continue).then(|| wall.before(delivery.age(now))),
            checkpoint: delivery.checkpoint.clone(),
            notes,
        }
    }

    /// Puts a delivery of the copy where the record stood: how long it is to wait, and for what; the notes of it. Whoever had it before from
    /// this topic has had an attempt each time, unless it is not due yet.
    pub(super) fn resume(self, delivery: &mut Delivery, wall: WallTime) -> (Duration, Then, Vec<Bytes>) {
        let more = if self.due <= wall {
            delivery.attempt().saturating_sub(1)
        } else {
            0
        };
        delivery.lease.delivery_count = DeliveryCount(self.attempt.saturating_add(more));
        delivery.checkpoint = self.checkpoint;
        let mut then = Then::Begin;
        if let Some(begun) = self.begun.filter(|_| more == 0) {
            delivery.attempt_age = wall.since(begun);
            then = Then::Continue;
        }
        (self.due.since(wall), then, self.notes)
    }
}

/// A record of a retry topic.
#[derive(Debug)]
pub(super) struct Returned {
    /// `None`: nobody here has copied it.
    pub(super) standing: Option<Standing>,
    /// No record, but see [`marker`].
    pub(super) is_marker: bool,
    /// The record as it was.
    pub(super) fields: RecordFields,
}

const DUE: &str = "sharemill.retry.due";
const ATTEMPT: &str = "sharemill.retry.attempt";
const BEGUN: &str = "sharemill.retry.begun";
const CHECKPOINT: &str = "sharemill.retry.checkpoint";
const NOTES: &str = "sharemill.retry.notes";
const TIMESTAMP: &str = "sharemill.retry.timestamp";
const MARKER: &str = "sharemill.retry.marker";

/// A waiting time beyond is nobody's: 7 days.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// What is settled by whoever is given it, so that the brokers write down where the group stands in a partition.
pub(super) fn marker(topic: &str, partition: i32) -> ToProduce {
    ToProduce {
        topic: topic.to_owned(),
        partition: Some(partition),
        headers: vec![(Bytes::from_static(MARKER.as_bytes()), None)],
        ..ToProduce::default()
    }
}

/// The copy of a record for a partition of a retry topic. `None` if the record cannot be read.
pub(super) fn copy(topic: &str, partition: i32, delivery: &Delivery, standing: &Standing) -> Option<ToProduce> {
    let view = delivery.record().ok()?;
    let bytes = Bytes::copy_from_slice;
    let mut headers: Vec<(Bytes, Option<Bytes>)> = view
        .headers()
        .filter(|header| !is_ours(header))
        .map(|header| (bytes(header.name), header.value.map(bytes)))
        .collect();
    let mut add = |name: &'static str, value: Bytes| headers.push((Bytes::from_static(name.as_bytes()), Some(value)));
    let number = |value: i64| Bytes::from(value.to_string());
    if !view.headers().any(|header| header.name == ORIGIN_HEADER.as_bytes()) {
        let origin = format!("{}/{}/{}", delivery.topic, delivery.partition, delivery.offset());
        add(ORIGIN_HEADER, Bytes::from(origin));
    }
    add(TIMESTAMP, number(view.timestamp.as_millis()));
    add(DUE, number(standing.due.as_millis()));
    add(ATTEMPT, number(standing.attempt.into()));
    if let Some(begun) = standing.begun {
        add(BEGUN, number(begun.as_millis()));
    }
    if let Some(checkpoint) = &standing.checkpoint {
        add(CHECKPOINT, checkpoint.clone());
    }
    if !standing.notes.is_empty() {
        add(NOTES, standing.notes.join(&b'\n').into());
    }
    Some(ToProduce {
        topic: topic.to_owned(),
        partition: Some(partition),
        key: view.key.map(bytes),
        value: view.value.map(bytes),
        headers,
        // The copy is as old as it is: the record's own time may be one that its topic no longer keeps.
        timestamp: None,
    })
}

/// A record as it came back.
pub(super) fn returned(payload: &Payload, delivery: &Delivery, now: WallTime) -> Option<Returned> {
    let view = Delivery {
        payload: payload.clone(),
        ..delivery.clone()
    };
    let view = view.record().ok()?;
    let bytes = Bytes::copy_from_slice;
    let mut standing = Standing::default();
    let mut is_marker = false;
    let mut fields = RecordFields {
        key: view.key.map(bytes),
        value: view.value.map(bytes),
        timestamp: view.timestamp,
        timestamp_kind: view.timestamp_kind,
        ..RecordFields::default()
    };
    for header in view.headers() {
        if !is_ours(&header) {
            let name = String::from_utf8_lossy(header.name).into_owned();
            fields.headers.push((name, header.value.map(bytes)));
            continue;
        }
        let value = header.value.unwrap_or_default();
        let number = || str::from_utf8(value).ok()?.parse::<i64>().ok();
        match str::from_utf8(header.name) {
            Ok(DUE) => standing.due = WallTime::from_millis(number()?),
            Ok(ATTEMPT) => standing.attempt = number().and_then(|number| u16::try_from(number).ok())?,
            Ok(BEGUN) => standing.begun = number().map(WallTime::from_millis),
            Ok(TIMESTAMP) => fields.timestamp = WallTime::from_millis(number()?),
            Ok(MARKER) => is_marker = true,
            Ok(CHECKPOINT) => standing.checkpoint = Some(bytes(value)),
            _ => standing.notes = value.split(|byte| *byte == b'\n').map(bytes).collect(),
        }
    }
    // No clock that went wrong keeps a record for ever.
    standing.due = standing.due.min(now.after(LONGEST));
    Some(Returned {
        standing: (standing.attempt > 0).then_some(standing),
        is_marker,
        fields,
    })
}

/// Where a record was first produced, if it says so.
pub(super) fn origin(delivery: &Delivery) -> Option<(Arc<str>, u32, u64)> {
    let view = delivery.record().ok()?;
    let header = view.headers().find(|header| header.name == ORIGIN_HEADER.as_bytes())?;
    let mut parts = str::from_utf8(header.value?).ok()?.rsplitn(3, '/');
    let (offset, partition, topic) = (parts.next()?, parts.next()?, parts.next()?);
    Some((Arc::from(topic), partition.parse().ok()?, offset.parse().ok()?))
}

fn is_ours(header: &Header<'_>) -> bool {
    [DUE, ATTEMPT, BEGUN, CHECKPOINT, NOTES, TIMESTAMP, MARKER]
        .iter()
        .any(|name| header.name == name.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use share_engine::ids::{Continuation, LeaseKey, Offset, ShareKey, StateEpoch};

    use super::*;

    fn delivery(fields: RecordFields) -> Delivery {
        Delivery {
            lease: LeaseKey {
                share: ShareKey(0),
                epoch: StateEpoch::default(),
                offset: Offset::saturating(42),
                delivery_count: DeliveryCount(2),
                continuation: Continuation(1),
            },
            topic: Arc::from("a/b"),
            partition: 3,
            lease_deadline: Instant::default(),
            attempt_age: Duration::ZERO,
            acquired_at: Instant::default(),
            appended_at: WallTime::default(),
            checkpoint: None,
            payload: Payload::Fields(Arc::new(fields)),
        }
    }

    fn payload(copied: &ToProduce) -> Payload {
        let headers = copied.headers.iter();
        Payload::Fields(Arc::new(RecordFields {
            key: copied.key.clone(),
            value: copied.value.clone(),
            headers: headers
                .map(|(name, value)| (String::from_utf8(name.to_vec()).unwrap(), value.clone()))
                .collect(),
            timestamp: WallTime::from_millis(9_999),
            ..RecordFields::default()
        }))
    }

    #[test]
    fn a_record_comes_back_as_it_went() {
        let fields = RecordFields {
            key: None,
            value: Some(Bytes::new()),
            headers: vec![("h".to_owned(), None), ("h".to_owned(), Some(Bytes::from_static(b"1")))],
            timestamp: WallTime::from_millis(7),
            ..RecordFields::default()
        };
        let first = delivery(fields.clone());
        let standing = Standing {
            due: WallTime::from_millis(5_000),
            attempt: 2,
            begun: Some(WallTime::from_millis(1_000)),
            checkpoint: Some(Bytes::from_static(b"\0half\n")),
            notes: vec![Bytes::from_static(b"trap: one"), Bytes::from_static(b"release: two")],
        };
        let copied = copy("g.retry", 1, &first, &standing).unwrap();
        let back = returned(&payload(&copied), &first, WallTime::default()).unwrap();
        assert_eq!(back.standing, Some(standing.clone()));
        let origin_header = back.fields.headers.last().unwrap().clone();
        assert_eq!(
            origin_header,
            (ORIGIN_HEADER.to_owned(), Some(Bytes::from_static(b"a/b/3/42")))
        );
        assert_eq!(back.fields.headers[..2], fields.headers);
        assert_eq!(
            (
                back.fields.key.clone(),
                back.fields.value.clone(),
                back.fields.timestamp
            ),
            (fields.key, fields.value, fields.timestamp)
        );
        assert!(!back.is_marker);
        // A second time it names the same origin, and nothing twice.
        let second = delivery(back.fields);
        assert_eq!(origin(&second), Some((Arc::from("a/b"), 3, 42)));
        let again = copy("g.retry", 1, &second, &standing).unwrap();
        assert_eq!(again.headers, copied.headers);
    }

    #[test]
    fn a_record_of_somebody_else_stands_nowhere_and_no_clock_keeps_one() {
        let fields = RecordFields {
            headers: vec![(DUE.to_owned(), Some(Bytes::from_static(b"9000000000000000")))],
            ..RecordFields::default()
        };
        let foreign = delivery(fields);
        let back = returned(&foreign.payload, &foreign, WallTime::from_millis(1)).unwrap();
        assert_eq!((back.standing, back.is_marker), (None, false));
        let marked = payload(&marker("g.retry", 3));
        assert!(returned(&marked, &foreign, WallTime::default()).unwrap().is_marker);
        let standing = Standing {
            due: WallTime::from_millis(i64::MAX),
            attempt: 1,
            ..Standing::default()
        };
        let copied = copy("g.retry", 1, &delivery(RecordFields::default()), &standing).unwrap();
        let back = returned(&payload(&copied), &foreign, WallTime::from_millis(1)).unwrap();
        assert_eq!(back.standing.unwrap().due, WallTime::from_millis(1).after(LONGEST));
    }

    #[test]
    fn an_attempt_that_waits_goes_on_elsewhere_at_its_age() {
        let seconds = |seconds| Instant::default().after(Duration::from_secs(seconds));
        let (wall, later) = (WallTime::from_millis(100_000), WallTime::from_millis(107_000));
        let mut here = delivery(RecordFields::default());
        here.attempt_age = Duration::from_secs(3);
        here.acquired_at = seconds(50);
        here.checkpoint = Some(Bytes::from_static(b"half"));
        let standing = |then| {
            Standing::of(
                &here,
                vec![Bytes::from_static(b"one")],
                &then,
                seconds(70),
                seconds(60),
                wall,
            )
        };
        let there = |standing: Standing, count, wall| {
            let mut there = delivery(RecordFields::default());
            there.lease.delivery_count = DeliveryCount(count);
            let (wait, then, notes) = standing.resume(&mut there, wall);
            assert_eq!(notes, [Bytes::from_static(b"one")]);
            assert_eq!(there.checkpoint, here.checkpoint);
            (there.attempt(), there.attempt_age, wait, then)
        };
        // 3 s from before, 10 s since it was acquired, 7 s on the way.
        let continued = there(standing(Then::Continue), 1, later);
        assert_eq!(
            continued,
            (2, Duration::from_secs(20), Duration::from_secs(3), Then::Continue)
        );
        let released = there(standing(Then::Release), 1, later);
        assert_eq!(released, (3, Duration::ZERO, Duration::from_secs(3), Then::Begin));
        // Given out before it was due: nobody has begun it. Later: somebody has.
        assert_eq!(there(standing(Then::Continue), 3, later).0, 2);
        let due = WallTime::from_millis(110_000);
        assert_eq!(
            there(standing(Then::Continue), 3, due),
            (4, Duration::ZERO, Duration::ZERO, Then::Begin)
        );
    }
}
