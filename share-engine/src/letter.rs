//! What a dead letter says of its record: headers beside the record's own, under Kafka 4.4's names (KIP-1191) and ours. The same whoever
//! writes it: the engine in the entry that archives the record, or a host that works on a Kafka cluster.

use bytes::Bytes;

use crate::ids::{DeliveryCount, Offset};
use crate::record::{Header, NewRecord};
use crate::time::WallTime;

/// Header that names where a record was first produced, as `TOPIC/PARTITION/OFFSET`: kept over dead letter and
/// redrive, so that its idempotency key stays the same.
pub const ORIGIN_HEADER: &str = "sharemill.origin";

/// Bytes of a reason that are kept.
pub const REASON_BYTES: usize = 1 << 10;
/// Bytes of a trap's text that are kept.
pub const TRAP_BYTES: usize = 4 << 10;
/// Bytes of log lines that are kept: the last ones.
pub const LOG_BYTES: usize = 16 << 10;
const WORD_BYTES: usize = 256;

/// Says that the record itself could not be read.
pub const LOST: Header = Header {
    name: Bytes::from_static(b"sharemill.payload"),
    value: Some(Bytes::from_static(b"lost")),
};

/// What a dead letter tells about the last attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// In a word: `reject`, `trap`, `deadline`, `limit` ...
    pub cause: String,
    /// The handler's or the host's explanation.
    pub reason: Option<String>,
    /// SHA-256 of the component, in hexadecimal.
    pub module: Option<String>,
    /// The trap and where it happened.
    pub trap: Option<String>,
    /// The last log lines.
    pub log: Vec<String>,
}

impl Evidence {
    /// Bytes of its texts.
    pub(crate) fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let log: usize = self.log.iter().map(|line| line.len() + 1).sum();
        self.cause.len() + text(&self.reason) + text(&self.module) + text(&self.trap) + log
    }
}

/// What is known of a record that is given up.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The topic it was taken from.
    pub topic: &'a str,
    /// Its partition there.
    pub partition: u32,
    /// Its offset there.
    pub offset: Offset,
    /// The share group that gave it up.
    pub group: &'a str,
    /// How often it was delivered.
    pub delivery_count: DeliveryCount,
    /// When it was given up.
    pub archived_at: WallTime,
    /// Why, where the evidence has no word for it.
    pub cause: &'static str,
    /// In Kafka's words, where the evidence has no reason.
    pub message: &'static str,
    /// Of the last attempt.
    pub evidence: Evidence,
    /// One line for each attempt, oldest first.
    pub notes: &'a [Bytes],
    /// What the handler left last.
    pub checkpoint: Option<Bytes>,
}

/// Adds what is known to a copy of the record.
pub fn write(facts: Facts<'_>, record: &mut NewRecord) {
    let is_origin = |header: &Header| header.name.as_ref() == ORIGIN_HEADER.as_bytes();
    let known = record.headers.iter().any(is_origin);
    let mut add = |name: &str, value: String| {
        record.headers.push(Header {
            name: Bytes::copy_from_slice(name.as_bytes()),
            value: Some(Bytes::from(value)),
        });
    };
    let (partition, offset) = (facts.partition, facts.offset);
    add("__dlq.errors.topic", facts.topic.to_owned());
    add("__dlq.errors.partition", partition.to_string());
    add("__dlq.errors.offset", offset.to_string());
    add("__dlq.errors.group", facts.group.to_owned());
    add("__dlq.errors.delivery.count", facts.delivery_count.to_string());
    let evidence = facts.evidence;
    let reason = evidence.reason.as_deref().unwrap_or(facts.message);
    add("__dlq.errors.message", cut(reason, REASON_BYTES));
    let cause = Some(evidence.cause.as_str()).filter(|cause| !cause.is_empty());
    add("sharemill.cause", cut(cause.unwrap_or(facts.cause), WORD_BYTES));
    add("sharemill.archived-at", facts.archived_at.as_millis().to_string());
    if !known {
        add(ORIGIN_HEADER, format!("{}/{partition}/{offset}", facts.topic));
    }
    if let Some(module) = evidence.module {
        add("sharemill.module", cut(&module, WORD_BYTES));
    }
    if let Some(trap) = evidence.trap {
        add("sharemill.trap", cut(&trap, TRAP_BYTES));
    }
    if !facts.notes.is_empty() {
        let lines: Vec<_> = facts.notes.iter().map(|note| String::from_utf8_lossy(note)).collect();
        add("sharemill.attempts", lines.join("\n"));
    }
    if !evidence.log.is_empty() {
        add("sharemill.log", tail(&evidence.log, LOG_BYTES));
    }
    if let Some(checkpoint) = facts.checkpoint {
        record.headers.push(Header {
            name: Bytes::from_static(b"sharemill.checkpoint"),
            value: Some(checkpoint),
        });
    }
}

/// A letter of more than `limit` bytes goes without the record's content, and if need be with the facts alone.
pub fn fit(mut record: NewRecord, limit: u64) -> NewRecord {
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

/// The record of a letter as a redrive appends it: with its own headers, and where it was first produced. `None`: the letter has no record.
pub fn original(mut letter: NewRecord) -> Option<NewRecord> {
    if letter.headers.contains(&LOST) {
        return None;
    }
    letter.headers.retain(|header| {
        let added = header.name.starts_with(b"__dlq.") || header.name.starts_with(b"sharemill.");
        !added || header.name.as_ref() == ORIGIN_HEADER.as_bytes()
    });
    letter.timestamp = None;
    Some(letter)
}

/// Text of at most so many bytes, marked if it was longer.
fn cut(text: &str, limit: usize) -> String {
    String::from_utf8_lossy(&clip(text, limit)).into_owned()
}

/// The last lines that fit into `limit` bytes.
fn tail(lines: &[String], limit: usize) -> String {
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

/// Bytes that a record takes at most in a batch of its own, without the batch's header.
pub fn record_size(record: &NewRecord) -> usize {
    let part = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    let headers: usize = record
        .headers
        .iter()
        .map(|header| header.name.len() + part(&header.value) + 8)
        .sum();
    part(&record.key) + part(&record.value) + headers + 32
}

/// Reasons and notes as they are kept: cut at a character and marked.
pub fn clip(text: &str, limit: usize) -> Bytes {
    const MARK: &str = "...";
    if text.len() <= limit {
        return Bytes::copy_from_slice(text.as_bytes());
    }
    let mut end = limit.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Bytes::from(format!("{}{MARK}", text.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_as_large_as_all_its_texts() {
        assert_eq!(Evidence::default().size(), 0);
        let text = |len| Some("x".repeat(len));
        let evidence = Evidence {
            cause: "x".repeat(7),
            reason: text(20),
            module: text(300),
            trap: text(4_000),
            log: vec!["x".repeat(50_000), "x".repeat(10_000)],
        };
        // Each line of the log ends.
        assert_eq!(evidence.size(), 64_327 + 2);
    }
}
