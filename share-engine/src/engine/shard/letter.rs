//! What a dead letter is made of: the record's copy, texts cut to their limits, and what is left out when it does not fit.

use bytes::Bytes;

use super::letters::ORIGIN_HEADER;
use super::settle::clip;
use crate::ids::Offset;
use crate::record::{Header, NewRecord, StoredBatch, Walk};
use crate::share::ArchiveCause;

/// Says that the record itself could not be read.
pub(super) const LOST: Header = Header {
    name: Bytes::from_static(b"sharemill.payload"),
    value: Some(Bytes::from_static(b"lost")),
};

/// The walk that goes on in `batch`, a new one if that was another batch's.
pub(super) fn walk_of<'w, 'b>(walk: &'w mut Option<Walk<'b>>, batch: &'b StoredBatch) -> &'w mut Walk<'b> {
    let same = |walk: &Walk<'_>| walk.batch().bytes().as_ptr() == batch.bytes().as_ptr();
    if !walk.as_ref().is_some_and(same) {
        *walk = None;
    }
    walk.get_or_insert_with(|| Walk::new(batch))
}

/// A record of a batch, as it was produced.
pub(super) fn copy_record(walk: &mut Walk<'_>, offset: Offset) -> Option<NewRecord> {
    let place = walk.seek(offset)?;
    let batch = walk.batch();
    let view = batch.record_at(u32::try_from(place.start).ok()?).ok()?;
    let bytes = |value: Option<&[u8]>| value.map(|value| batch.bytes().slice_ref(value));
    let headers = view.headers().map(|header| Header {
        name: batch.bytes().slice_ref(header.name),
        value: bytes(header.value),
    });
    Some(NewRecord {
        key: bytes(view.key),
        value: bytes(view.value),
        headers: headers.collect(),
        timestamp: Some(view.timestamp),
    })
}

/// A letter that no entry could hold goes without the record's content, and if need be with the facts alone.
pub(super) fn fit(mut record: NewRecord, limit: u64) -> NewRecord {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if record_size(&record) <= limit {
        return record;
    }
    record.key = None;
    record.value = None;
    record.headers.retain(|header| *header != LOST);
    record.headers.push(LOST);
    if record_size(&record) > limit {
        let facts = [ORIGIN_HEADER, "sharemill.cause", "sharemill.archived-at"];
        record.headers.retain(|header| {
            let is_fact = facts.iter().any(|name| header.name.as_ref() == name.as_bytes());
            is_fact || *header == LOST || header.name.starts_with(b"__dlq.")
        });
    }
    record
}

/// Text of at most so many bytes, marked if it was longer.
pub(super) fn cut(text: &str, limit: usize) -> String {
    String::from_utf8_lossy(&clip(text, limit)).into_owned()
}

/// The last lines that fit into `limit` bytes.
pub(super) fn tail(lines: &[String], limit: usize) -> String {
    let mut left = limit;
    let mut kept: Vec<String> = Vec::new();
    for line in lines.iter().rev() {
        if line.len() >= left {
            if kept.is_empty() {
                kept.push(cut(line, limit));
            }
            break;
        }
        left -= line.len() + 1;
        kept.push(line.clone());
    }
    kept.reverse();
    kept.join("\n")
}

pub(super) fn record_size(record: &NewRecord) -> usize {
    let part = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    let headers: usize = record
        .headers
        .iter()
        .map(|header| header.name.len() + part(&header.value) + 8)
        .sum();
    part(&record.key) + part(&record.value) + headers + 32
}

/// Kafka 4.4's texts for its causes, ours for the others.
pub(super) fn standard_message(cause: ArchiveCause) -> &'static str {
    match cause {
        ArchiveCause::Reject => "Offset rejected by client.",
        ArchiveCause::DeliveryLimit => "Offset delivery count exceeded the threshold.",
        ArchiveCause::Retention => "Offset dropped by retention before it was processed.",
        ArchiveCause::HostCrash => "The process died twice while the record was being processed.",
        ArchiveCause::Gap => "No record at this offset.",
    }
}

/// The cause as it is counted and shown.
pub(crate) fn cause_name(cause: ArchiveCause) -> &'static str {
    match cause {
        ArchiveCause::Reject => "reject",
        ArchiveCause::DeliveryLimit => "delivery-limit",
        ArchiveCause::Retention => "retention",
        ArchiveCause::HostCrash => "host-crash",
        ArchiveCause::Gap => "gap",
    }
}
