//! One acquired record as it travels from a source to a handler: names of its lease, and its bytes without a copy.
//! A delivery never changes; what happens to it is kept by whoever holds it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use share_engine::ids::{LeaseKey, Offset};
use share_engine::record::{self, RecordError, StoredBatch};
use share_engine::time::{Instant, WallTime};

/// A record that this member holds.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Names this delivery; `settle` and `renew` carry it.
    pub lease: LeaseKey,
    /// Its topic; shared by all deliveries of a source.
    pub topic: Arc<str>,
    /// Its partition in the topic.
    pub partition: u32,
    /// When the lease ends unless it is extended.
    pub lease_deadline: Instant,
    /// How old the attempt was at `acquired_at`; it begins with the acquisition that raises the delivery count. See [`Delivery::age`].
    pub attempt_age: Duration,
    /// When the record was handed over, on the host's monotonic clock.
    pub acquired_at: Instant,
    /// When the record was appended to its partition. A backend that does not know takes the record's timestamp, which is its producer's.
    pub appended_at: WallTime,
    /// What the last `renew` left.
    pub checkpoint: Option<Bytes>,
    /// Key, value and headers.
    pub payload: Payload,
}

impl Delivery {
    /// Where the record stands in its partition.
    pub const fn offset(&self) -> Offset {
        self.lease.offset
    }

    /// 1 on the first attempt.
    pub const fn attempt(&self) -> u16 {
        self.lease.delivery_count.get()
    }

    /// How old the attempt is: what `max-lease` bounds. The wall clock has no part in it.
    pub fn age(&self, now: Instant) -> Duration {
        self.attempt_age.saturating_add(now.since(self.acquired_at))
    }

    /// Bytes of memory that it stands for: its own, or its share of its batch.
    pub fn bytes(&self) -> u64 {
        match &self.payload {
            Payload::Batch { batch, .. } => batch.size() / batch.range().count().max(1),
            Payload::Fields(fields) => fields.bytes(),
        }
    }

    /// The record's fields, borrowed. Fails only if the bytes of its batch are damaged.
    pub fn record(&self) -> Result<RecordView<'_>, RecordError> {
        match &self.payload {
            Payload::Batch { batch, position } => batch.record_at(*position).map(RecordView::from_batch),
            Payload::Fields(fields) => Ok(fields.view()),
        }
    }
}

/// The bytes of a record, shared with its neighbours where they came together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Payload {
    /// One record of a Kafka record batch, parsed where it is used.
    Batch {
        /// The batch, shared by all its deliveries.
        batch: StoredBatch,
        /// The byte at which the record begins (see [`StoredBatch::record_at`]).
        position: u32,
    },
    /// Fields that stand on their own.
    Fields(Arc<RecordFields>),
}

/// A record made of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFields {
    /// `None` is null.
    pub key: Option<Bytes>,
    /// `None` is null.
    pub value: Option<Bytes>,
    /// In order, duplicates kept.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: WallTime,
    /// What `timestamp` means.
    pub timestamp_kind: TimestampKind,
}

impl RecordFields {
    fn bytes(&self) -> u64 {
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + len(value)).sum();
        (len(&self.key) + len(&self.value) + headers) as u64
    }

    fn view(&self) -> RecordView<'_> {
        RecordView {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            timestamp: self.timestamp,
            timestamp_kind: self.timestamp_kind,
            headers: HeaderList::Fields(&self.headers),
        }
    }
}

/// What a record's timestamp means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampKind {
    /// It has none.
    None,
    /// Given by the producer.
    #[default]
    Create,
    /// Given when it was appended.
    Append,
}

/// Borrowed fields of one record.
#[derive(Clone, Debug)]
pub struct RecordView<'a> {
    /// Null differs from empty.
    pub key: Option<&'a [u8]>,
    /// Null differs from empty.
    pub value: Option<&'a [u8]>,
    /// Meaningless when `timestamp_kind` is `None`.
    pub timestamp: WallTime,
    /// What `timestamp` means.
    pub timestamp_kind: TimestampKind,
    headers: HeaderList<'a>,
}

#[derive(Clone, Debug)]
enum HeaderList<'a> {
    Batch(record::Headers<'a>),
    Fields(&'a [(String, Option<Bytes>)]),
}

impl<'a> RecordView<'a> {
    fn from_batch(view: record::RecordView<'a>) -> Self {
        Self {
            key: view.key,
            value: view.value,
            timestamp: view.timestamp,
            timestamp_kind: match view.timestamp_type {
                record::TimestampType::Create => TimestampKind::Create,
                record::TimestampType::Append => TimestampKind::Append,
            },
            headers: HeaderList::Batch(view.headers()),
        }
    }

    /// The headers in their order, duplicates included.
    pub fn headers(&self) -> Headers<'a> {
        Headers(self.headers.clone())
    }
}

/// Headers of one record.
#[derive(Clone, Debug)]
pub struct Headers<'a>(HeaderList<'a>);

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        match &mut self.0 {
            HeaderList::Batch(headers) => headers.next().map(|header| Header {
                name: header.name,
                value: header.value,
            }),
            HeaderList::Fields(headers) => {
                let ((name, value), rest) = headers.split_first()?;
                *headers = rest;
                Some(Header {
                    name: name.as_bytes(),
                    value: value.as_deref(),
                })
            }
        }
    }
}

/// One header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name: UTF-8 in every batch that was checked when it was appended.
    pub name: &'a [u8],
    /// `None` is null.
    pub value: Option<&'a [u8]>,
}
