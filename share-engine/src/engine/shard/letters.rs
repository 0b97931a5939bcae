//! Dead letters: a copy of the record with evidence, in the same journal entry as the archiving of its record.
//! A record that is no longer in memory is read back first; until then the entry waits.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::settle::EvidenceOf;
use super::{Pending, Shard};
use crate::engine::message::{Admission, Append, Operation};
use crate::engine::settlement::Evidence;
use crate::ids::{DeliveryCount, Offset, PartitionKey, ShareKey};
use crate::record::{Header, NewRecord, RecordLimits, StoredBatch, encode_batch};
use crate::share::{ArchiveCause, Archived};
use crate::time::Now;

/// An entry that waits for records to be read back.
pub(super) struct Blocked {
    operations: Vec<Operation>,
    pending: Pending,
    letters: Vec<Letter>,
    source: PartitionKey,
    target: PartitionKey,
    share: ShareKey,
}

impl Blocked {
    pub(super) fn into_pending(self) -> Pending {
        self.pending
    }

    /// What is not there by now is lost.
    fn give_up(&mut self) {
        for letter in self.letters.iter_mut().filter(|letter| letter.record.is_none()) {
            letter.lost = true;
        }
    }
}

/// One dead letter to be written.
struct Letter {
    offset: Offset,
    cause: ArchiveCause,
    delivery_count: DeliveryCount,
    evidence: Option<Box<Evidence>>,
    notes: Vec<Bytes>,
    checkpoint: Option<Bytes>,
    /// Copied as soon as the record was seen: what was read back may be forgotten before all are there.
    record: Option<NewRecord>,
    /// The record cannot be read; the letter is headers alone.
    lost: bool,
}

/// Bytes of one batch of dead letters; a single one may be larger.
const BATCH_BYTES: usize = 1 << 20;

impl Shard {
    /// Adds dead letters for what was archived and submits, now or when the records are there.
    pub(super) fn submit_with_letters(
        &mut self,
        key: ShareKey,
        operations: Vec<Operation>,
        pending: Pending,
        archived: &[Archived],
        evidence: &[EvidenceOf],
        now: Now,
    ) {
        self.stats.archived(archived);
        let Some((source, target)) = self.letter_route(key, archived) else {
            self.submit(operations, pending);
            return;
        };
        let letters = self.letters_for(key, archived, evidence);
        let mut blocked = Blocked {
            operations,
            pending,
            letters,
            source,
            target,
            share: key,
        };
        if self.gather(&mut blocked) {
            self.send_letters(blocked, now);
        } else {
            self.blocked.push(blocked);
        }
    }

    /// Where letters come from and go to; `None` if the group wants none, or nothing of it needs one.
    fn letter_route(&self, key: ShareKey, archived: &[Archived]) -> Option<(PartitionKey, PartitionKey)> {
        if archived.iter().all(|run| run.cause == ArchiveCause::Gap) {
            return None;
        }
        let share = self.world.shares.get(&key)?;
        let group = self.world.catalog.group(&share.group)?;
        let topic = self.world.catalog.topic(group.config.dead_letter.as_deref()?)?;
        let source = self.world.partitions.get(&share.partition)?;
        // A dead-letter topic has none of its own.
        if self.world.catalog.topic(&source.topic)?.dead_letters_of.is_some() {
            return None;
        }
        let count = topic.partitions.len();
        let index = usize::try_from(source.index).unwrap_or(0).checked_rem(count)?;
        Some((share.partition, *topic.partitions.get(index)?))
    }

    fn letters_for(&self, key: ShareKey, archived: &[Archived], evidence: &[EvidenceOf]) -> Vec<Letter> {
        let Some(share) = self.world.shares.get(&key) else {
            return Vec::new();
        };
        let known: BTreeMap<Offset, &Evidence> = evidence
            .iter()
            .map(|(offset, evidence)| (*offset, evidence.as_ref()))
            .collect();
        let mut letters = Vec::new();
        for run in archived.iter().filter(|run| run.cause != ArchiveCause::Gap) {
            for offset in run.range.first().get()..=run.range.last().get() {
                let offset = Offset::saturating(offset);
                letters.push(Letter {
                    offset,
                    cause: run.cause,
                    delivery_count: run.delivery_count,
                    evidence: known.get(&offset).map(|evidence| Box::new((*evidence).clone())),
                    notes: share.state.notes(offset).to_vec(),
                    checkpoint: share.state.checkpoint(offset).cloned(),
                    record: None,
                    lost: false,
                });
            }
        }
        letters
    }

    /// Copies what is in memory; asks for the first that is not. `true` when all are there.
    fn gather(&mut self, blocked: &mut Blocked) -> bool {
        let mut cold = None;
        if let Some(partition) = self.world.partitions.get(&blocked.source) {
            for letter in blocked
                .letters
                .iter_mut()
                .filter(|letter| letter.record.is_none() && !letter.lost)
            {
                match partition.find(letter.offset) {
                    Some(batch) => letter.record = copy_record(batch, letter.offset),
                    None if partition.is_cold(letter.offset) => cold = cold.or(Some(letter.offset)),
                    None => {}
                }
                letter.lost = letter.record.is_none() && !partition.is_cold(letter.offset);
            }
        }
        match cold {
            Some(offset) => {
                self.read_ahead(blocked.source, offset);
                false
            }
            None => true,
        }
    }

    /// A read of the log ended: entries that wait for it go on. If it `failed`, with headers alone: the record stays
    /// where it is, but nobody can read it.
    pub(super) fn resume_blocked(&mut self, partition: PartitionKey, failed: bool, now: Now) {
        let (concerned, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.blocked)
            .into_iter()
            .partition(|one| one.source == partition);
        self.blocked = others;
        for mut blocked in concerned {
            if failed {
                blocked.give_up();
            }
            if self.gather(&mut blocked) {
                self.send_letters(blocked, now);
            } else {
                self.blocked.push(blocked);
            }
        }
    }

    fn send_letters(&mut self, mut blocked: Blocked, now: Now) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for letter in std::mem::take(&mut blocked.letters) {
            let record = self.compose(&blocked, letter, now);
            let size = record_size(&record);
            if !batch.is_empty() && bytes + size > BATCH_BYTES {
                push_batch(&mut blocked.operations, blocked.target, &batch, now);
                batch.clear();
                bytes = 0;
            }
            bytes += size;
            batch.push(record);
        }
        push_batch(&mut blocked.operations, blocked.target, &batch, now);
        self.submit(blocked.operations, blocked.pending);
    }

    fn compose(&self, blocked: &Blocked, letter: Letter, now: Now) -> NewRecord {
        let source = self.world.partitions.get(&blocked.source);
        let group = self
            .world
            .shares
            .get(&blocked.share)
            .map(|share| share.group.to_string())
            .unwrap_or_default();
        let topic = source.map(|partition| partition.topic.to_string()).unwrap_or_default();
        let partition = source.map_or(0, |partition| partition.index);
        let mut record = letter.record.unwrap_or_default();
        let origin = format!("{topic}/{partition}/{}", letter.offset);
        let known = record
            .headers
            .iter()
            .any(|header| header.name.as_ref() == ORIGIN_HEADER.as_bytes());
        let mut add = |name: &str, value: String| {
            record.headers.push(Header {
                name: Bytes::copy_from_slice(name.as_bytes()),
                value: Some(Bytes::from(value)),
            });
        };
        add("__dlq.errors.topic", topic);
        add("__dlq.errors.partition", partition.to_string());
        add("__dlq.errors.offset", letter.offset.to_string());
        add("__dlq.errors.group", group);
        add("__dlq.errors.delivery.count", letter.delivery_count.to_string());
        let evidence = letter.evidence.unwrap_or_default();
        let reason = evidence
            .reason
            .unwrap_or_else(|| standard_message(letter.cause).to_owned());
        add("__dlq.errors.message", reason);
        let cause = if evidence.cause.is_empty() {
            cause_name(letter.cause).to_owned()
        } else {
            evidence.cause
        };
        add("sharemill.cause", cause);
        add("sharemill.archived-at", now.wall.as_millis().to_string());
        if !known {
            add(ORIGIN_HEADER, origin);
        }
        if let Some(module) = evidence.module {
            add("sharemill.module", module);
        }
        if let Some(trap) = evidence.trap {
            add("sharemill.trap", trap);
        }
        if !letter.notes.is_empty() {
            let lines: Vec<_> = letter
                .notes
                .iter()
                .map(|note| String::from_utf8_lossy(note).into_owned())
                .collect();
            add("sharemill.attempts", lines.join("\n"));
        }
        if !evidence.log.is_empty() {
            add("sharemill.log", evidence.log.join("\n"));
        }
        if let Some(checkpoint) = letter.checkpoint {
            record.headers.push(Header {
                name: Bytes::from_static(b"sharemill.checkpoint"),
                value: Some(checkpoint),
            });
        }
        if letter.lost {
            record.headers.push(LOST);
        }
        record
    }
}

/// Says that the record itself could not be read.
const LOST: Header = Header {
    name: Bytes::from_static(b"sharemill.payload"),
    value: Some(Bytes::from_static(b"lost")),
};

/// Header that names where a record was first produced, as `TOPIC/PARTITION/OFFSET`: kept over dead letter and
/// redrive, so that its idempotency key stays the same.
pub const ORIGIN_HEADER: &str = "sharemill.origin";

/// A record of a batch, as it was produced.
pub(super) fn copy_record(batch: &StoredBatch, offset: Offset) -> Option<NewRecord> {
    let (_, position) = batch.positions().filter_map(Result::ok).find(|(at, _)| *at == offset)?;
    let view = batch.record_at(position).ok()?;
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

fn push_batch(operations: &mut Vec<Operation>, target: PartitionKey, records: &[NewRecord], now: Now) {
    if records.is_empty() {
        return;
    }
    let limits = RecordLimits {
        record_bytes: RecordLimits::MAX_BATCH_BYTES,
        batch_bytes: RecordLimits::MAX_BATCH_BYTES,
    };
    let batch = match encode_batch(records, now.wall, limits) {
        Ok(batch) => batch,
        // Too large with its evidence: headers alone.
        Err(_) => match encode_batch(&without_payload(records), now.wall, limits) {
            Ok(batch) => batch,
            Err(_) => return,
        },
    };
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    operations.push(Operation::Append(Append {
        partition: target,
        batch,
        records: count,
        admission: Admission::Always,
    }));
}

fn without_payload(records: &[NewRecord]) -> Vec<NewRecord> {
    records
        .iter()
        .map(|record| NewRecord {
            key: None,
            value: None,
            ..record.clone()
        })
        .collect()
}

fn record_size(record: &NewRecord) -> usize {
    let part = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    let headers: usize = record
        .headers
        .iter()
        .map(|header| header.name.len() + part(&header.value) + 8)
        .sum();
    part(&record.key) + part(&record.value) + headers + 32
}

/// Kafka 4.4's texts for its causes, ours for the others.
fn standard_message(cause: ArchiveCause) -> &'static str {
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
