//! What a dead letter of the engine is made of: the record's copy, and names of causes.

use crate::ids::Offset;
use crate::record::{Header, NewRecord, StoredBatch, Walk};
use crate::share::ArchiveCause;

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
