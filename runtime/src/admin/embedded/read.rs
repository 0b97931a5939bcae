//! Reading a topic's records as they stand there: for looks from outside, beside every group. Bounded in number and bytes.

use bytes::Bytes;
use share_engine::ids::Offset;
use share_engine::record::RecordView;

use super::EmbeddedAdmin;
use crate::admin::{AdminError, ErrorCode, Header, ReadPage, ReadQuery, Record, StoredRecord};

/// Bytes read at once, and bytes after which a page ends.
const READ_BYTES: u64 = 1 << 20;
const PAGE_BYTES: u64 = 32 << 20;
/// Records of a page that does not say.
const LIMIT: u32 = 100;

impl EmbeddedAdmin {
    pub(super) async fn read_page(&self, topic: &str, query: ReadQuery) -> Result<ReadPage, AdminError> {
        let description = self.topic_named(topic).await?;
        let limit = usize::try_from(query.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
        let count = description.partitions.len();
        if let Some(number) = query.partition.filter(|number| *number as usize >= count) {
            let message = format!("topic {topic} has no partition {number}, it has {count}");
            return Err(AdminError::new(ErrorCode::NotFound, message));
        }
        let mut records = Vec::new();
        let mut bytes = 0;
        for (partition, kept) in (0..).zip(&description.partitions) {
            if query.partition.is_some_and(|number| number != partition) {
                continue;
            }
            let mut from = query.from.unwrap_or(0).max(kept.start);
            // One more than asked for tells that there are more.
            while records.len() <= limit && bytes < PAGE_BYTES {
                let first = Offset::saturating(from);
                let batches = self.engine.read(topic, partition, first, READ_BYTES).await?;
                let Some(last) = batches.last() else { break };
                let next = last.range().last().get() + 1;
                for batch in &batches {
                    bytes += batch.size();
                    for record in batch.records() {
                        let (view, _) =
                            record.map_err(|error| AdminError::new(ErrorCode::Internal, error.to_string()))?;
                        // A batch may begin before the offset that was asked for.
                        if view.offset.get() >= from {
                            records.push(stored(partition, &view));
                        }
                    }
                }
                from = next;
            }
        }
        let more = records.len() > limit || bytes >= PAGE_BYTES;
        records.truncate(limit);
        Ok(ReadPage { records, more })
    }
}

fn stored(partition: u32, view: &RecordView<'_>) -> StoredRecord {
    let bytes = |value: Option<&[u8]>| value.map(Bytes::copy_from_slice);
    let headers = view.headers().map(|header| Header {
        name: String::from_utf8_lossy(header.name).into_owned(),
        value: bytes(header.value),
    });
    StoredRecord {
        partition,
        offset: view.offset.get(),
        record: Record {
            key: bytes(view.key),
            value: bytes(view.value),
            headers: headers.collect(),
            partition: None,
            timestamp: Some(view.timestamp.as_millis()),
        },
    }
}
