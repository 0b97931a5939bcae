//! What the headers of a dead letter say, whoever wrote it: the engine, a host on a Kafka cluster, or a broker of 4.4 by itself, which
//! writes those that begin with `__dlq.`. Pure.

use std::collections::BTreeMap;

use share_engine::letter::ORIGIN_HEADER;

use super::{DeadFilter, DeadLetter, DeadLetterDetail, DeadLetterId, Record};

/// The headers that were added to the record's own, as text.
pub(super) struct Added(BTreeMap<String, String>);

impl Added {
    /// From all headers of a letter.
    pub(super) fn of<'a>(headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let added = headers.filter(|(name, _)| is_added(name));
        Self(
            added
                .map(|(name, value)| (text(name), text(value.unwrap_or_default())))
                .collect(),
        )
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = self.get(name).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What a list shows. `None`: it is no dead letter. `written`: when, where no header says it.
    pub(super) fn summary(&self, id: &DeadLetterId, written: i64) -> Option<DeadLetter> {
        Some(DeadLetter {
            id: id.clone(),
            group: self.get("__dlq.errors.group")?.to_owned(),
            source_topic: self.get("__dlq.errors.topic")?.to_owned(),
            source_partition: self.number("__dlq.errors.partition")?,
            source_offset: self.number("__dlq.errors.offset")?,
            cause: self.cause().to_owned(),
            reason: self.get("__dlq.errors.message").map(str::to_owned),
            delivery_count: self.number("__dlq.errors.delivery.count").unwrap_or(0),
            timestamp: self.number("sharemill.archived-at").unwrap_or(written),
        })
    }

    /// A broker says it in a sentence only.
    fn cause(&self) -> &str {
        let by_broker = |message| BY_BROKER.iter().find(|(known, _)| *known == message);
        let message = self.get("__dlq.errors.message").unwrap_or_default();
        let said = self.get("sharemill.cause");
        said.unwrap_or_else(|| by_broker(message).map_or("", |(_, cause)| *cause))
    }

    /// Whether a broker wrote it, which may have left the record out.
    pub(super) fn is_of_broker(&self) -> bool {
        self.get("sharemill.cause").is_none()
    }

    /// All of it, with the record as it was.
    pub(super) fn detail(&self, summary: DeadLetter, record: Record, checkpoint: Option<u32>) -> DeadLetterDetail {
        DeadLetterDetail {
            summary,
            record,
            origin: self.get(ORIGIN_HEADER).map(str::to_owned),
            module: self.get("sharemill.module").map(str::to_owned),
            trap: self.get("sharemill.trap").map(str::to_owned),
            attempts: self.lines("sharemill.attempts"),
            log: self.lines("sharemill.log"),
            checkpoint_bytes: checkpoint,
            by_broker: self.is_of_broker(),
        }
    }
}

/// What a broker of 4.4 says, and our word for it.
const BY_BROKER: &[(&str, &str)] = &[
    ("Offset rejected by client.", "reject"),
    ("Offset delivery count exceeded the threshold.", "delivery-limit"),
];

/// Whether a header is none of the record's own.
pub(super) fn is_added(name: &[u8]) -> bool {
    name.starts_with(b"__dlq.") || name.starts_with(b"sharemill.")
}

/// The header that has what the handler left last.
pub(super) const CHECKPOINT: &[u8] = b"sharemill.checkpoint";

/// Whether the filter leaves a letter; its topic is another matter.
pub(super) fn fits(letter: &DeadLetter, filter: &DeadFilter) -> bool {
    filter.group.as_ref().is_none_or(|group| *group == letter.group)
        && filter.cause.is_none_or(|cause| cause.as_str() == letter.cause)
}
