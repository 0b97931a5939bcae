//! The record that a handler was given, with everything that concerns it: data, lease, checkpoint, emitted records.
use std::borrow::Cow;
use std::fmt;

use crate::bindings::imports::sharemill::worker::types as wire;
use crate::{Lease, Malformed, Outgoing, ProducerError, host, malformed};

pub use wire::TimestampType;

/// One record in one delivery. It owns its bytes; [`Record::into_value`] takes them out without a copy.
pub struct Record {
    delivery: wire::Delivery,
}

impl Record {
    /// Names this delivery; another delivery of the same record has another id.
    pub fn id(&self) -> u64 {
        self.delivery.id
    }

    /// Where the record was produced.
    pub fn topic(&self) -> &str {
        &self.delivery.topic
    }

    /// The partition of the topic, from 0.
    pub fn partition(&self) -> u32 {
        self.delivery.partition
    }

    /// The place in the partition, from 0.
    pub fn offset(&self) -> u64 {
        self.delivery.offset
    }

    /// Milliseconds since the Unix epoch, if the record has a timestamp.
    pub fn timestamp_millis(&self) -> Option<i64> {
        (self.delivery.timestamp_type != TimestampType::None).then_some(self.delivery.timestamp)
    }

    /// Who set the timestamp.
    pub fn timestamp_type(&self) -> TimestampType {
        self.delivery.timestamp_type
    }

    /// 1 on the first attempt; not raised when a renewed record is handed over again.
    pub fn delivery_count(&self) -> u32 {
        self.delivery.delivery_count
    }

    /// The key; `None` is a null key, which differs from an empty one.
    pub fn key(&self) -> Option<&[u8]> {
        self.delivery.key.as_deref()
    }

    /// The key as text.
    ///
    /// # Errors
    /// The key is null or not UTF-8.
    pub fn key_text(&self) -> Result<&str, Malformed> {
        malformed::text("key", self.key())
    }

    /// The value; `None` is a null value, which differs from an empty one.
    pub fn value(&self) -> Option<&[u8]> {
        self.delivery.value.as_deref()
    }

    /// The value, without a copy.
    pub fn into_value(self) -> Option<Vec<u8>> {
        self.delivery.value
    }

    /// The value as text.
    ///
    /// # Errors
    /// The value is null or not UTF-8.
    pub fn text(&self) -> Result<&str, Malformed> {
        malformed::text("value", self.value())
    }

    /// The value read as JSON. The type may borrow from the record.
    ///
    /// # Errors
    /// The value is null, not JSON or not of this type; the error has line and column.
    #[cfg(feature = "json")]
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Malformed> {
        malformed::json("value", self.value())
    }

    /// All headers in the order in which they were produced, duplicates included.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = Header<'_>> {
        self.delivery.headers.iter().map(|header| Header {
            name: &header.name,
            value: header.value.as_deref(),
        })
    }

    /// The value of the last header of this name, as Kafka's own clients look it up; `None` too where that value is null.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.delivery
            .headers
            .iter()
            .rev()
            .find(|header| header.name == name)?
            .value
            .as_deref()
    }

    /// What the last `Renew` of this record left.
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        host::checkpoint(self.id())
    }

    /// The same, read as JSON; `None` where there is no checkpoint.
    ///
    /// # Errors
    /// The checkpoint is not JSON or not of this type.
    #[cfg(feature = "json")]
    pub fn checkpoint_json<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>, Malformed> {
        self.checkpoint()
            .map(|state| malformed::json("checkpoint", Some(&state)))
            .transpose()
    }

    /// The same text for every delivery of this record in this group, over renewals, restarts and redrives: what to send
    /// as `Idempotency-Key`.
    pub fn idempotency_key(&self) -> String {
        host::idempotency_key(self.id())
    }

    /// This delivery's lease. The host extends it by itself while the handler runs.
    pub fn lease(&self) -> Lease<'_> {
        Lease::of(self)
    }

    /// Produce this if, and only if, the record is accepted; discarded with any other outcome.
    ///
    /// # Errors
    /// The topic is not granted, or a limit is reached; nothing of this call is kept.
    pub fn emit(&self, record: Outgoing) -> Result<(), ProducerError> {
        self.emit_all([record])
    }

    /// The same for several, in one call: 1,000 records and 4 MiB per handler call at most.
    ///
    /// # Errors
    /// As [`Record::emit`].
    pub fn emit_all(&self, records: impl IntoIterator<Item = Outgoing>) -> Result<(), ProducerError> {
        let records: Vec<_> = records.into_iter().map(Outgoing::into_wire).collect();
        host::emit(self.id(), &records)
    }
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Names may repeat.
    pub name: &'a str,
    /// A null value differs from an empty one.
    pub value: Option<&'a [u8]>,
}

impl From<wire::Delivery> for Record {
    fn from(delivery: wire::Delivery) -> Self {
        Self { delivery }
    }
}

impl From<Record> for wire::Delivery {
    fn from(record: Record) -> Self {
        record.delivery
    }
}

/// Where the record stands, and the beginning of its value.
impl fmt::Debug for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value().map_or(Cow::Borrowed("null"), String::from_utf8_lossy);
        let start: String = value.chars().take(64).collect();
        write!(
            out,
            "{}-{}@{} (attempt {}): {start:?}",
            self.topic(),
            self.partition(),
            self.offset(),
            self.delivery_count()
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use crate::testing::RecordBuilder;

    #[test]
    fn the_last_header_of_a_name_counts() {
        let record = RecordBuilder::new("x")
            .header("a", "1")
            .header("b", "2")
            .header("a", "3")
            .build();
        assert_eq!(record.header("a"), Some(&b"3"[..]));
        assert_eq!(record.header("c"), None);
        assert_eq!(
            record.headers().map(|header| header.name).collect::<Vec<_>>(),
            ["a", "b", "a"]
        );
    }

    #[test]
    fn null_differs_from_empty() {
        let record = RecordBuilder::null().build();
        assert_eq!((record.value(), record.key()), (None, None));
        assert_eq!(record.text().unwrap_err().to_string(), "the value is null");
        let record = RecordBuilder::new("").key("").build();
        assert_eq!((record.value(), record.key_text().unwrap()), (Some(&b""[..]), ""));
    }
}
