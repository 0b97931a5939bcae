//! Dead letters: a copy of the record with evidence, in the same journal entry as the archiving of its record.
//! A record that is no longer in memory is read back first; until then the entry waits.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::letter::{cause_name, copy_record, standard_message, walk_of};
use super::settle::EvidenceOf;
use super::{Pending, Shard, Then};
use crate::engine::message::{Admission, Append, Operation};
use crate::error::SettleResult;
use crate::ids::{DeliveryCount, Offset, OffsetRange, PartitionKey, ShareKey};
use crate::letter::{self, Evidence, Facts, LOG_BYTES, LOST, REASON_BYTES, TRAP_BYTES, fit, record_size};
use crate::record::{NewRecord, RecordLimits, encode_batch};
use crate::share::{ArchiveCause, Archived, Persisted};
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

    /// What lies there and was not copied by now is lost.
    fn give_up(&mut self, lost: OffsetRange) {
        let gone = |letter: &&mut Letter| letter.record.is_none() && lost.contains(letter.offset);
        for letter in self.letters.iter_mut().filter(gone) {
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

/// Dead letters of one entry at most.
pub(super) const LETTERS_AT_ONCE: u64 = 1_024;

/// What a dead letter may add to its record: 32 notes, a checkpoint, the evidence of the last attempt, names.
const EVIDENCE_BYTES: u64 = 128 << 10;

/// What names, counts and times in a dead letter's headers take at most, and the note of a last attempt.
const NAMES_BYTES: usize = 4 << 10;

/// A record that may be archived, and what its settlement brings along.
pub(super) type Doomed<'a> = (Offset, Option<&'a Evidence>);

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
        self.letter_target(key)
    }

    /// Where dead letters of a share partition come from and go to; `None` if its group wants none.
    fn letter_target(&self, key: ShareKey) -> Option<(PartitionKey, PartitionKey)> {
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

    /// Tells a share partition how many records it may archive at once, so that the dead letters of one entry fit into
    /// the journal whatever they hold. Returns that number.
    pub(super) fn limit_letters(&mut self, key: ShareKey) -> u32 {
        let most = self.letters_at_once(key);
        if let Some(share) = self.world.shares.get_mut(&key) {
            share.state.set_archive_limit(most);
        }
        most
    }

    fn letters_at_once(&mut self, key: ShareKey) -> u32 {
        let start = self.world.shares.get(&key).map(|share| share.state.start_offset());
        let source = self
            .letter_target(key)
            .and_then(|(source, _)| self.world.partitions.get_mut(&source));
        let (Some(source), Some(start)) = (source, start) else {
            return u32::MAX;
        };
        let one = source.largest(start) + EVIDENCE_BYTES;
        u32::try_from((self.config.entry_bytes() / one).clamp(1, LETTERS_AT_ONCE)).unwrap_or(1)
    }

    /// How much of an entry the dead letters of these records would take, in their order; `None` if the group wants none.
    pub(super) fn letter_sizes(&self, key: ShareKey, records: &[Doomed<'_>]) -> Option<Vec<u64>> {
        let (source, _) = self.letter_target(key)?;
        let partition = self.world.partitions.get(&source)?;
        let share = self.world.shares.get(&key)?;
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|index| records.get(*index).map(|(offset, _)| *offset));
        let mut sizes = vec![0; records.len()];
        let mut walk = None;
        for index in order {
            let (Some((offset, evidence)), Some(size)) = (records.get(index), sizes.get_mut(index)) else {
                continue;
            };
            let place = partition
                .find(*offset)
                .map(|batch| walk_of(&mut walk, batch).seek(*offset));
            let record = place
                .flatten()
                .map_or(RecordLimits::default().record_bytes, |place| place.len());
            let notes: usize = share.state.notes(*offset).iter().map(Bytes::len).sum();
            let checkpoint = share.state.checkpoint(*offset).map_or(0, Bytes::len);
            let evidence = evidence
                .map_or(0, Evidence::size)
                .min(REASON_BYTES + TRAP_BYTES + LOG_BYTES);
            *size = (record + notes + checkpoint + evidence + NAMES_BYTES) as u64;
        }
        Some(sizes)
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
            let mut walk = None;
            for letter in blocked
                .letters
                .iter_mut()
                .filter(|letter| letter.record.is_none() && !letter.lost)
            {
                match partition.find(letter.offset) {
                    Some(batch) => {
                        let walk = walk_of(&mut walk, batch);
                        letter.record = copy_record(walk, letter.offset);
                    }
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

    /// A read of the log ended: entries that wait for it go on. What is `lost` goes with headers alone: the record stays
    /// where it is, but nobody can read it.
    pub(super) fn resume_blocked(&mut self, partition: PartitionKey, lost: Option<OffsetRange>, now: Now) {
        let (concerned, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.blocked)
            .into_iter()
            .partition(|one| one.source == partition);
        self.blocked = others;
        for mut blocked in concerned {
            if let Some(lost) = lost {
                blocked.give_up(lost);
            }
            if self.gather(&mut blocked) {
                self.send_letters(blocked, now);
            } else {
                self.blocked.push(blocked);
            }
        }
    }

    fn send_letters(&mut self, mut blocked: Blocked, now: Now) {
        if self.is_overtaken(&blocked) {
            self.drop_overtaken(blocked.pending, now);
            return;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        for letter in std::mem::take(&mut blocked.letters) {
            let record = fit(self.compose(&blocked, letter, now), self.config.largest_entry_bytes());
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

    /// Whether a reset or the end of the group came first: what the entry says fits no state any more.
    fn is_overtaken(&self, blocked: &Blocked) -> bool {
        let share = self.world.shares.get(&blocked.share);
        share.is_none_or(|share| {
            let mut transitions = blocked.pending.transitions.iter();
            !transitions.all(|(_, transition)| share.state.is_open(*transition))
        })
    }

    fn drop_overtaken(&mut self, pending: Pending, now: Now) {
        for (key, transition) in &pending.transitions {
            self.persisted(*key, *transition, Persisted::Refused, now);
        }
        match pending.then {
            Then::Expire => self.expired(&pending.transitions),
            Then::Settle { call, slots } => self.settled(call, &slots, &SettleResult::Stale),
            Then::Retire => self.upkeep.retiring -= 1,
            // Nothing else archives.
            Then::Nothing | Then::Void | Then::Deliver { .. } | Then::Admin(_) => {}
        }
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
        let facts = Facts {
            topic: &topic,
            partition,
            offset: letter.offset,
            group: &group,
            delivery_count: letter.delivery_count,
            archived_at: now.wall,
            cause: cause_name(letter.cause),
            message: standard_message(letter.cause),
            evidence: letter.evidence.map_or_else(Evidence::default, |evidence| *evidence),
            notes: &letter.notes,
            checkpoint: letter.checkpoint,
        };
        letter::write(facts, &mut record);
        if letter.lost {
            record.headers.push(LOST);
        }
        record
    }
}

fn push_batch(operations: &mut Vec<Operation>, target: PartitionKey, records: &[NewRecord], now: Now) {
    let limits = RecordLimits {
        record_bytes: RecordLimits::MAX_BATCH_BYTES,
        batch_bytes: RecordLimits::MAX_BATCH_BYTES,
    };
    // Refused are an empty list and what is above a limit; nothing here is.
    let Ok(batch) = encode_batch(records, now.wall, limits) else {
        return;
    };
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    operations.push(Operation::Append(Append {
        partition: target,
        batch,
        records: count,
        admission: Admission::Always,
    }));
}
