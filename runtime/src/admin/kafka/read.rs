//! Records of a cluster's topic as they stand there, beside every group. One read brings a mebibyte; nothing is kept of it but what
//! was asked for.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use share_client::admin::{Admin as Client, AdminError as ClientError, Fetched, Want};
use share_wire::code::ErrorCode as Code;
use share_wire::records::{PLAIN_MAX, Record as View};

use super::KafkaAdmin;
use crate::admin::{AdminError, ErrorCode, Header, ReadPage, ReadQuery, Record, StoredRecord};

/// A record as it stands in a partition. Names of headers stay bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) partition: i32,
    pub(super) offset: u64,
    pub(super) timestamp: i64,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Taken {
    /// As the admin interface shows it.
    pub(super) fn shown(self) -> StoredRecord {
        StoredRecord {
            partition: number(self.partition),
            offset: self.offset,
            record: Record {
                key: self.key,
                value: self.value,
                headers: shown_headers(self.headers),
                partition: None,
                timestamp: Some(self.timestamp),
            },
        }
    }

    /// About what it takes in memory.
    pub(super) fn size(&self) -> usize {
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + len(value));
        len(&self.key) + len(&self.value) + headers.sum::<usize>()
    }
}

/// As the admin interface shows them.
pub(super) fn shown_headers(headers: Vec<(Bytes, Option<Bytes>)>) -> Vec<Header> {
    let header = |(name, value): (Bytes, Option<Bytes>)| Header {
        name: String::from_utf8_lossy(&name).into_owned(),
        value,
    };
    headers.into_iter().map(header).collect()
}

/// The records of a partition between two offsets, in order. Offsets may be skipped forward.
pub(super) struct Walk<'c> {
    client: &'c Client,
    topic: String,
    partition: i32,
    span: Range<u64>,
    /// Records that were read and not given out.
    read: VecDeque<Taken>,
}

impl<'c> Walk<'c> {
    pub(super) fn new(client: &'c Client, topic: &str, partition: i32, span: Range<u64>) -> Self {
        Self {
            client,
            topic: topic.to_owned(),
            partition,
            span,
            read: VecDeque::new(),
        }
    }

    /// The first offset that was not read yet.
    pub(super) fn position(&self) -> u64 {
        self.read.front().map_or(self.span.start, |record| record.offset)
    }

    /// Goes on at this offset, which lies ahead.
    pub(super) fn skip_to(&mut self, offset: u64) {
        self.read.retain(|record| record.offset >= offset);
        if self.read.is_empty() {
            self.span.start = self.span.start.max(offset);
        }
    }

    /// The next record, if it is before this offset.
    pub(super) async fn next_before(&mut self, end: u64) -> Result<Option<Taken>, AdminError> {
        if self.read.is_empty() && self.span.start >= end {
            return Ok(None);
        }
        let next = self.next().await?;
        match next {
            Some(behind) if behind.offset >= end => {
                self.read.push_front(behind);
                Ok(None)
            }
            next => Ok(next),
        }
    }

    /// The next record. `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Taken>, AdminError> {
        let mut cut = 0;
        while self.read.is_empty() && !self.span.is_empty() {
            let from = self.span.start;
            match self.client.read(&self.topic, self.partition, Want::from(from)).await {
                Ok(fetched) => self.take(&fetched)?,
                // The beginning was cut off meanwhile.
                Err(ClientError::Refused {
                    code: Code::OFFSET_OUT_OF_RANGE,
                    ..
                }) if cut < CUTS_MAX => {
                    cut += 1;
                    let spans = self.client.spans(&self.topic).await?;
                    let Some(there) = spans.get(&self.partition) else {
                        return Ok(None);
                    };
                    self.span = from.max(there.start)..self.span.end.min(there.end);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.read.pop_front())
    }

    fn take(&mut self, fetched: &Fetched) -> Result<(), AdminError> {
        let from = self.span.start;
        let mut batches = fetched.batches();
        for batch in batches.by_ref() {
            let plain = batch.and_then(|batch| batch.plain(PLAIN_MAX));
            let plain = plain.map_err(|error| AdminError::from(fetched.unreadable(&error)))?;
            for record in plain.records() {
                let view = record.map_err(|error| AdminError::from(fetched.unreadable(&error)))?;
                // A batch may begin before what was asked for.
                if let Ok(offset) = u64::try_from(view.offset)
                    && self.span.contains(&offset)
                {
                    self.read.push_back(taken(self.partition, offset, &view));
                }
            }
        }
        match batches.next_offset().filter(|next| *next > from) {
            Some(next) => self.span.start = next,
            // There is nothing behind what was asked for.
            None if fetched.latest <= from => self.span.end = from,
            None => {
                let (topic, partition) = (self.topic.clone(), self.partition);
                return Err(ClientError::NoLeader { topic, partition }.into());
            }
        }
        Ok(())
    }
}

fn taken(partition: i32, offset: u64, view: &View<'_>) -> Taken {
    let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
    let headers = view.headers();
    Taken {
        partition,
        offset,
        timestamp: view.timestamp,
        key: bytes(view.key),
        value: bytes(view.value),
        headers: headers
            .map(|header| (Bytes::copy_from_slice(header.name), bytes(header.value)))
            .collect(),
    }
}

impl KafkaAdmin {
    pub(super) async fn read_page(&self, topic: &str, query: ReadQuery) -> Result<ReadPage, AdminError> {
        let limit = usize::try_from(query.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
        let spans = self.client.spans(topic).await?;
        if let Some(wanted) = query.partition {
            self.require_partition(topic, wanted).await?;
        }
        let mut records = Vec::new();
        let mut bytes = 0;
        for (partition, span) in spans {
            if query.partition.is_some_and(|wanted| wanted != number(partition)) {
                continue;
            }
            let from = query.from.unwrap_or(0).max(span.start);
            let mut walk = Walk::new(&self.client, topic, partition, from..span.end);
            // One more than asked for tells that there are more.
            while records.len() <= limit && bytes < PAGE_BYTES {
                let Some(record) = walk.next().await? else { break };
                bytes += record.size();
                records.push(record.shown());
            }
        }
        let more = records.len() > limit || bytes >= PAGE_BYTES;
        records.truncate(limit);
        Ok(ReadPage { records, more })
    }

    /// Fails unless the topic has such a partition.
    pub(super) async fn require_partition(&self, topic: &str, wanted: u32) -> Result<(), AdminError> {
        let count = self.client.topic(topic).await?.partitions.len();
        if (wanted as usize) < count {
            return Ok(());
        }
        let message = format!("topic {topic} has no partition {wanted}, it has {count}");
        let hint = format!("sharemill topic describe {topic} shows its partitions");
        Err(AdminError::new(ErrorCode::NotFound, message).hint(hint))
    }

    /// One record, if it is there.
    pub(super) async fn record_at(
        &self,
        topic: &str,
        partition: u32,
        offset: u64,
    ) -> Result<Option<Taken>, AdminError> {
        let index = index(partition);
        let spans = self.client.spans(topic).await?;
        let there = spans.get(&index).is_some_and(|span| span.contains(&offset));
        if !there {
            return Ok(None);
        }
        let mut walk = Walk::new(&self.client, topic, index, offset..offset + 1);
        walk.next().await
    }
}

/// A partition's number as the admin interface has it.
pub(super) fn number(partition: i32) -> u32 {
    u32::try_from(partition).unwrap_or(0)
}

/// And back.
pub(super) fn index(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// Bytes after which a page ends.
const PAGE_BYTES: usize = 32 << 20;
/// Records of a page that does not say.
const LIMIT: u32 = 100;
/// How often reading goes on further ahead.
const CUTS_MAX: u32 = 3;
