//! Dead letters of a Kafka source: a copy of the record with what is known of its end. Pure.

use std::sync::Arc;

use bytes::Bytes;
use share_engine::ids::{DeliveryCount, Offset};
use share_engine::letter::{self, Evidence, Facts};
use share_engine::record::{Header, NewRecord};
use share_engine::time::WallTime;

use super::super::Delivery;
use super::held::Why;
use super::producer::ToProduce;

/// A record that is given up, and what is known of that.
pub(super) struct Ended<'a> {
    pub(super) group: &'a str,
    pub(super) delivery: &'a Delivery,
    /// Topic, partition and offset that it was taken from first.
    pub(super) from: (Arc<str>, u32, u64),
    pub(super) why: &'a Why,
    pub(super) notes: &'a [Bytes],
    pub(super) at: WallTime,
}

/// The letter for `topic`; `limit` bytes at most.
pub(super) fn letter(topic: &str, ended: &Ended<'_>, limit: u64) -> ToProduce {
    let Ended { delivery, why, .. } = *ended;
    let mut record = match why {
        Why::Unreadable(_) => unread(),
        _ => copy(delivery),
    };
    let (cause, message, evidence) = match why {
        Why::Failed(evidence) => {
            let evidence = evidence.clone().map(|evidence| Evidence::from(*evidence));
            ("reject", REJECTED, evidence.unwrap_or_default())
        }
        Why::Exhausted => ("delivery-limit", EXHAUSTED, Evidence::default()),
        Why::Unreadable(reason) => {
            let evidence = Evidence {
                reason: Some(reason.to_string()),
                ..Evidence::default()
            };
            ("unreadable", REJECTED, evidence)
        }
    };
    let facts = Facts {
        topic: &ended.from.0,
        partition: ended.from.1,
        offset: Offset::saturating(ended.from.2),
        group: ended.group,
        delivery_count: DeliveryCount(delivery.attempt()),
        archived_at: ended.at,
        cause,
        message,
        evidence,
        notes: ended.notes,
        checkpoint: delivery.checkpoint.clone(),
    };
    letter::write(facts, &mut record);
    let record = letter::fit(record, limit);
    let headers = record.headers.into_iter();
    ToProduce {
        topic: topic.to_owned(),
        partition: None,
        key: record.key,
        value: record.value,
        headers: headers.map(|header| (header.name, header.value)).collect(),
        timestamp: record.timestamp.map(WallTime::as_millis),
    }
}

/// What Kafka 4.4 writes (KIP-1191).
const REJECTED: &str = "Offset rejected by client.";
const EXHAUSTED: &str = "Offset delivery count exceeded the threshold.";

fn copy(delivery: &Delivery) -> NewRecord {
    let Ok(view) = delivery.record() else {
        return unread();
    };
    let bytes = Bytes::copy_from_slice;
    NewRecord {
        key: view.key.map(bytes),
        value: view.value.map(bytes),
        headers: view
            .headers()
            .map(|header| Header {
                name: bytes(header.name),
                value: header.value.map(bytes),
            })
            .collect(),
        timestamp: None,
    }
}

fn unread() -> NewRecord {
    NewRecord {
        headers: vec![letter::LOST],
        ..NewRecord::default()
    }
}
