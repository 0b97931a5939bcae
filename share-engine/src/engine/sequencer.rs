//! The only sequencer: assigns offsets, writes one group, syncs once, then tells everybody. Owned by the journal
//! thread; a simulation steps it. Invariant: an answer leaves only after the group that holds its entry is durable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::gate::Pass;
use super::gauge::TopicGauge;
use super::mailbox::Mailbox;
use super::message::{Admission, Append, Committed, Entry, FromJournal, Operation, Origin, Registration, ToJournal};
use super::reply::Sender;
use super::shard::ToShard;
use crate::config::Durability;
use crate::error::{Fenced, ProduceError};
use crate::ids::{Offset, PartitionKey};
use crate::journal::{CommitError, GroupBuilder, Journal};
use crate::record::StoredBatch;

/// The sequencer's state.
#[derive(Debug)]
pub(crate) struct Sequencer {
    journal: Journal,
    group: GroupBuilder,
    ends: BTreeMap<PartitionKey, PartitionEnd>,
    inbox: Arc<Mailbox<ToJournal>>,
    shard: Arc<Mailbox<ToShard>>,
    backlog: VecDeque<ToJournal>,
    written: Vec<Written>,
    durability: Durability,
    group_bytes: usize,
    fenced: Option<Fenced>,
    closed: bool,
}

#[derive(Debug)]
struct PartitionEnd {
    next: Offset,
    gauge: Arc<TopicGauge>,
}

/// An entry that lies in the group under construction.
#[derive(Debug)]
struct Written {
    committed: Committed,
    producer: Option<(Sender<Result<Offset, ProduceError>>, Option<Pass>)>,
}

impl Sequencer {
    pub(crate) fn new(
        journal: Journal,
        durability: Durability,
        group_bytes: u64,
        inbox: Arc<Mailbox<ToJournal>>,
        shard: Arc<Mailbox<ToShard>>,
    ) -> Self {
        let group_bytes = usize::try_from(group_bytes).unwrap_or(usize::MAX);
        Self {
            group: journal.group(),
            journal,
            ends: BTreeMap::new(),
            inbox,
            shard,
            backlog: VecDeque::new(),
            written: Vec::new(),
            durability,
            group_bytes,
            fenced: None,
            closed: false,
        }
    }

    /// Blocks until there is something to do.
    pub(crate) fn wait(&self) {
        if self.backlog.is_empty() {
            self.inbox.wait(None);
        }
    }

    /// Whether the journal was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Collects what waits, commits it as one group and answers. `false` if there was nothing to do.
    pub(crate) fn step(&mut self) -> bool {
        if self.backlog.is_empty() {
            self.inbox.take(&mut self.backlog);
        }
        if self.backlog.is_empty() {
            return false;
        }
        while let Some(message) = self.backlog.pop_front() {
            match message {
                ToJournal::Entry(entry) => {
                    if let Err(entry) = self.collect(entry) {
                        self.backlog.push_front(ToJournal::Entry(entry));
                        break;
                    }
                }
                ToJournal::Register(list) => self.register(list),
                ToJournal::FreeBefore(position) => self.journal.free_before(position),
                ToJournal::Close(reply) => {
                    self.commit();
                    self.close(reply);
                    return true;
                }
            }
        }
        self.commit();
        true
    }

    /// Puts an entry into the group; gives it back if the group is full.
    fn collect(&mut self, mut entry: Entry) -> Result<(), Entry> {
        if let Some(fenced) = &self.fenced {
            let error = ProduceError::Fenced(fenced.clone());
            self.refuse(entry.origin, error);
            return Ok(());
        }
        if self.closed {
            self.refuse(entry.origin, ProduceError::Closed);
            return Ok(());
        }
        let size = entry_size(&entry);
        if !self.group.is_empty() && self.group.len() + size > self.group_bytes {
            return Err(entry);
        }
        if let Err(error) = self.admit(&entry) {
            self.refuse(entry.origin, error);
            return Ok(());
        }
        let mut committed = Committed { token: None, appended: Vec::new(), catalog: Vec::new() };
        self.group.begin_entry();
        for operation in entry.operations.drain(..) {
            self.write(operation, &mut committed);
        }
        self.group.end_entry();
        let producer = match entry.origin {
            Origin::Producer { reply, pass } => Some((reply, pass)),
            Origin::Shard(token) => {
                committed.token = Some(token);
                None
            }
        };
        self.written.push(Written { committed, producer });
        Ok(())
    }

    fn write(&mut self, operation: Operation, committed: &mut Committed) {
        match operation {
            Operation::Append(append) => {
                let Some(end) = self.ends.get_mut(&append.partition) else { return };
                let base = end.next;
                let next = base.plus(u64::from(append.records));
                let Some(last) = next.previous() else { return };
                end.next = next;
                end.gauge.add(append.batch.len() as u64);
                self.group.append(append.partition, base, &append.batch);
                let batch = StoredBatch::new(base, last, append.max_timestamp, append.batch);
                committed.appended.push((append.partition, batch));
            }
            Operation::Share { share, changes } => self.group.share(share, &changes),
            Operation::Catalog { change, bytes, register, forget } => {
                self.register(register);
                for partition in forget {
                    self.ends.remove(&partition);
                }
                self.group.catalog(&bytes);
                committed.catalog.push(change);
            }
        }
    }

    /// Checks everything that could refuse an entry before its first byte is written.
    fn admit(&self, entry: &Entry) -> Result<(), ProduceError> {
        let mut bounded = false;
        for operation in &entry.operations {
            let Operation::Append(append) = operation else { continue };
            self.admit_append(append)?;
            bounded |= append.admission == Admission::Bounded;
        }
        let size = (self.group.len() + entry_size(entry)) as u64;
        let free = if bounded { self.journal.free_for_produce() } else { self.journal.free() };
        if size > free {
            let capacity = self.journal.capacity();
            let limit = if bounded { capacity / 4 * 3 } else { capacity };
            return Err(ProduceError::JournalFull { used: self.journal.used(), limit });
        }
        Ok(())
    }

    fn admit_append(&self, append: &Append) -> Result<(), ProduceError> {
        let Some(end) = self.ends.get(&append.partition) else {
            return Err(ProduceError::UnknownTopic(String::new()));
        };
        let (bytes, limit) = (end.gauge.bytes(), end.gauge.limit());
        if append.admission == Admission::Bounded && bytes.saturating_add(append.batch.len() as u64) > limit {
            return Err(ProduceError::TopicFull { topic: String::new(), bytes, limit, oldest_group: None });
        }
        Ok(())
    }

    fn register(&mut self, list: Vec<Registration>) {
        for Registration { partition, end, gauge } in list {
            self.ends.insert(partition, PartitionEnd { next: end, gauge });
        }
    }

    fn refuse(&self, origin: Origin, error: ProduceError) {
        match origin {
            Origin::Producer { reply, pass } => {
                drop(pass);
                drop(reply.send(Err(error)));
            }
            Origin::Shard(token) => self.shard.post(ToShard::Journal(FromJournal::Refused { token, error })),
        }
    }

    fn commit(&mut self) {
        if self.group.is_empty() {
            return;
        }
        match self.journal.commit(&mut self.group, self.durability) {
            Ok(committed) => self.tell(committed.end),
            Err(CommitError::Refused(reason)) => self.roll_back(&reason.to_string()),
            Err(error) => self.fence(Fenced { reason: error.to_string() }),
        }
    }

    fn tell(&mut self, end: crate::journal::Position) {
        let mut entries = Vec::with_capacity(self.written.len());
        let mut answers = Vec::with_capacity(self.written.len());
        for Written { committed, producer } in self.written.drain(..) {
            if let Some((reply, pass)) = producer
                && let Some((_, batch)) = committed.appended.first()
            {
                answers.push((reply, pass, batch.base));
            }
            entries.push(committed);
        }
        let (used, capacity) = (self.journal.used(), self.journal.capacity());
        self.shard.post(ToShard::Journal(FromJournal::Group { entries, end, used, capacity }));
        for (reply, pass, base) in answers {
            drop(pass);
            drop(reply.send(Ok(base)));
        }
    }

    /// The journal took none of the group: nothing happened, offsets included.
    fn roll_back(&mut self, reason: &str) {
        for Written { committed, producer } in std::mem::take(&mut self.written).into_iter().rev() {
            for (partition, batch) in committed.appended.iter().rev() {
                if let Some(end) = self.ends.get_mut(partition) {
                    end.next = batch.base;
                    end.gauge.subtract(batch.size());
                }
            }
            let error = ProduceError::Record(format!("the journal refused it: {reason}"));
            match (producer, committed.token) {
                (Some((reply, pass)), _) => self.refuse(Origin::Producer { reply, pass }, error),
                (None, Some(token)) => self.refuse(Origin::Shard(token), error),
                (None, None) => {}
            }
        }
        self.group.clear();
    }

    fn fence(&mut self, fenced: Fenced) {
        for Written { producer, .. } in self.written.drain(..) {
            if let Some((reply, pass)) = producer {
                drop(pass);
                drop(reply.send(Err(ProduceError::Fenced(fenced.clone()))));
            }
        }
        self.group.clear();
        self.shard.post(ToShard::Journal(FromJournal::Fenced(fenced.clone())));
        self.fenced = Some(fenced);
    }

    fn close(&mut self, reply: Sender<Result<(), Fenced>>) {
        self.closed = true;
        let result = match &self.fenced {
            Some(fenced) => Err(fenced.clone()),
            None => self.journal.close().map_err(|error| Fenced { reason: error.to_string() }),
        };
        drop(reply.send(result));
    }
}

/// An upper estimate of an entry's bytes in a group.
fn entry_size(entry: &Entry) -> usize {
    entry.operations.iter().map(operation_size).sum::<usize>() + ENTRY_OVERHEAD
}

fn operation_size(operation: &Operation) -> usize {
    OPERATION_OVERHEAD
        + match operation {
            Operation::Append(append) => append.batch.len(),
            Operation::Share { changes, .. } => crate::journal::changes_size(changes),
            Operation::Catalog { bytes, .. } => bytes.len(),
        }
}

const ENTRY_OVERHEAD: usize = 16;
const OPERATION_OVERHEAD: usize = 24;
