//! Records that a handler produces: with its outcome (`Record::emit`) or at once ([`send`]).
use std::fmt;

use crate::bindings::imports::sharemill::worker::producer as wire;
use crate::host;

/// A record to produce. Without a key its value goes to any partition; with one, to the partition of that key.
#[derive(Clone, Debug)]
#[must_use = "produce it with Record::emit or send"]
pub struct Outgoing {
    record: wire::OutgoingRecord,
}

impl Outgoing {
    /// To this topic, which the deployment must be granted. The value is null.
    pub fn new(topic: impl Into<String>) -> Self {
        let topic = topic.into();
        Self {
            record: wire::OutgoingRecord {
                topic,
                partition: None,
                key: None,
                value: None,
                headers: Vec::new(),
            },
        }
    }

    /// The value.
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.record.value = Some(value.into());
        self
    }

    /// The value, written as JSON.
    ///
    /// # Errors
    /// The value cannot be written as JSON, such as a map whose keys are no strings.
    #[cfg(feature = "json")]
    pub fn json(self, value: &impl serde::Serialize) -> Result<Self, serde_json::Error> {
        Ok(self.value(serde_json::to_vec(value)?))
    }

    /// The key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.record.key = Some(key.into());
        self
    }

    /// This partition, from 0, whatever the key is.
    pub fn partition(mut self, partition: u32) -> Self {
        self.record.partition = Some(partition);
        self
    }

    /// One more header; names may repeat.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.record.headers.push(wire::Header {
            name: name.into(),
            value: Some(value.into()),
        });
        self
    }

    pub(crate) fn into_wire(self) -> wire::OutgoingRecord {
        self.record
    }
}

/// Produces now and waits until the records are durable, whatever the outcome will be. A record that is tried again sends
/// again; `Record::emit` does not have that problem.
///
/// # Errors
/// See [`ProducerError`].
pub fn send(records: impl IntoIterator<Item = Outgoing>) -> Result<(), ProducerError> {
    let records: Vec<_> = records.into_iter().map(Outgoing::into_wire).collect();
    host::send(&records)
}

/// Why records were not produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProducerError {
    /// The topic that the deployment was not granted.
    NotPermitted(String),
    /// A record above 1 MiB, or more than 4 MiB in this call of the handler.
    TooLarge,
    /// More than 1,000 records in this call of the handler.
    QuotaExceeded,
    /// The backend did not take them now.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for ProducerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted(topic) => write!(
                out,
                "producing to topic {topic} is not granted to this deployment: add it to `emit` in its grants"
            ),
            Self::TooLarge => out.write_str("the records are too large to be produced"),
            Self::QuotaExceeded => out.write_str("this call has produced as many records as it may"),
            Self::Unavailable(reason) => write!(out, "the records could not be produced now: {reason}"),
            Self::Other(reason) => write!(out, "the records could not be produced: {reason}"),
        }
    }
}

impl std::error::Error for ProducerError {}

impl From<wire::ProducerError> for ProducerError {
    fn from(error: wire::ProducerError) -> Self {
        match error {
            wire::ProducerError::NotPermitted(topic) => Self::NotPermitted(topic),
            wire::ProducerError::TooLarge => Self::TooLarge,
            wire::ProducerError::QuotaExceeded => Self::QuotaExceeded,
            wire::ProducerError::Unavailable(reason) => Self::Unavailable(reason),
            wire::ProducerError::Other(reason) => Self::Other(reason),
        }
    }
}
