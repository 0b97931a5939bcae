//! The only sequencer: assigns offsets, writes one group, syncs once, then tells everybody. Stepped by whoever is at the
//! desk; a simulation steps it. Invariant: an answer leaves only after the group that holds its entry is durable.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::assemble::{self, Ends, admission, entry_len};
use super::gate::Pass;
use super::gauge::TopicGauge;
use super::mailbox::Mailbox;
use super::message::{Admission, Committed, Entry, FromJournal, Operation, Origin, Registration, ToJournal};
use super::reply::Sender;
use super::shard::ToShard;
use super::stats::EngineStats;
use crate::drain::ToDrain;
use crate::error::{Fenced, ProduceError};
use crate::ids::{Offset, PartitionKey};
use crate::journal::{self, CommitError, Durability, GroupBuilder, Journal};
use crate::record::StoredBatch;
use crate::time::Clock;

/// The sequencer's state.
pub(crate) struct Sequencer {
    /// `None` once it was closed.
    journal: Option<Journal>,
    group: GroupBuilder,
    ends: Ends,
    inbox: Arc<Mailbox<ToJournal>>,
    shard: Arc<Mailbox<ToShard>>,
    drain: Arc<Mailbox<ToDrain>>,
    backlog: VecDeque<ToJournal>,
    /// What waits for the ring to grow, in its order.
    held: VecDeque<Entry>,
    /// Some of it is the shard's, who decides in an order.
    holds_settlements: bool,
    /// The ring could not grow when it was last tried: nothing waits for that.
    stunted: bool,
    written: Vec<Written>,
    /// The shard has seen what the group appends.
    shown: bool,
    durability: Durability,
    group_bytes: u64,
    clock: Arc<dyn Clock>,
    stats: Arc<EngineStats>,
    ended: Arc<Ended>,
    fenced: Option<Fenced>,
}

/// What the journal's end came to, once it has come.
pub(super) type Ended = OnceLock<Result<(), Fenced>>;

/// What a sequencer is made of.
pub(crate) struct SequencerInit {
    pub(crate) journal: Journal,
    pub(crate) partitions: Vec<Registration>,
    pub(crate) durability: Durability,
    pub(crate) group_bytes: u64,
    pub(crate) inbox: Arc<Mailbox<ToJournal>>,
    pub(crate) shard: Arc<Mailbox<ToShard>>,
    pub(crate) drain: Arc<Mailbox<ToDrain>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stats: Arc<EngineStats>,
    pub(crate) ended: Arc<Ended>,
}

/// An entry that lies in the group under construction.
#[derive(Debug)]
struct Written {
    committed: Committed,
    producer: Option<Producer>,
}

/// A producer that waits for its offset.
#[derive(Debug)]
struct Producer {
    reply: Sender<Result<Offset, ProduceError>>,
    pass: Option<Pass>,
    base: Option<Offset>,
}

impl Sequencer {
    pub(crate) fn new(init: SequencerInit) -> Self {
        let mut sequencer = Self {
            journal: Some(init.journal),
            group: GroupBuilder::default(),
            ends: Ends::new(),
            inbox: init.inbox,
            shard: init.shard,
            drain: init.drain,
            backlog: VecDeque::new(),
            held: VecDeque::new(),
            holds_settlements: false,
            stunted: false,
            written: Vec::new(),
            shown: false,
            durability: init.durability,
            group_bytes: init.group_bytes,
            clock: init.clock,
            stats: init.stats,
            ended: init.ended,
            fenced: None,
        };
        assemble::register(&mut sequencer.ends, init.partitions);
        // What was left in the ring may have to be drained before anything can be committed.
        sequencer.tell_ring();
        sequencer
    }

    /// Whether something was taken that did not fit into the last group.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether the journal was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.journal.is_none() || self.inbox.is_closed()
    }

    /// Collects what waits, commits it as one group and answers. `false` if there was nothing to do.
    pub(crate) fn step(&mut self) -> bool {
        let worked = self.gather();
        self.commit();
        worked
    }

    /// Collects what waits into one group. `false` if there was nothing to do.
    pub(crate) fn gather(&mut self) -> bool {
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
                ToJournal::FreeBefore(position) => {
                    if let Some(journal) = &mut self.journal {
                        journal.free_before(position);
                    }
                    // There may be more room on the disk, too.
                    self.stunted = false;
                    self.tell_ring();
                    self.try_held();
                }
                ToJournal::Grown(result) => {
                    self.adopt(result);
                    self.tell_ring();
                }
                ToJournal::CheckDirectory => self.check_directory(),
                ToJournal::Close(replies) => {
                    self.commit();
                    for entry in std::mem::take(&mut self.held) {
                        self.refuse(entry.origin, ProduceError::Closed);
                    }
                    self.close(replies);
                    return true;
                }
            }
        }
        true
    }

    /// Shows the batches of the group under construction, in their order, to somebody who may add to it. Not where an entry of the shard
    /// appends too or changes the catalog, since the shard hears of that when it is durable; not where the group is full. Whether it was
    /// shown; then it is durable as a whole, or the engine is fenced.
    pub(crate) fn let_ride(&mut self, show: impl FnOnce(Vec<(PartitionKey, StoredBatch)>)) -> bool {
        let plain = |one: &Written| {
            one.committed.catalog.is_empty() && (one.producer.is_some() || one.committed.appended.is_empty())
        };
        if self.has_backlog() || !self.written.iter().all(plain) {
            return false;
        }
        let appended = self
            .written
            .iter_mut()
            .flat_map(|one| std::mem::take(&mut one.committed.appended));
        let appended: Vec<_> = appended.collect();
        self.shown = !appended.is_empty();
        if self.shown {
            show(appended);
        }
        self.shown
    }

    /// Puts an entry into the group; gives it back if the group is full.
    fn collect(&mut self, mut entry: Entry) -> Result<(), Entry> {
        if let Some(fenced) = &self.fenced {
            let error = ProduceError::Fenced(fenced.clone());
            self.refuse(entry.origin, error);
            return Ok(());
        }
        let Some(journal) = &self.journal else {
            self.refuse(entry.origin, ProduceError::Closed);
            return Ok(());
        };
        let len = self.group.disk_len_with(entry_len(&entry));
        if !self.group.is_empty() && len > self.group_bytes {
            return Err(entry);
        }
        let admission = admission(&entry);
        // Produces keep their order, and so do settlements; a produce never holds up a settlement. A reset ends what the
        // settlements before it speak of, those with emitted records too.
        let overtakes = match admission {
            journal::Admission::Always if !assemble::resets(&entry) => self.holds_settlements,
            _ => !self.held.is_empty(),
        };
        if overtakes || len > journal.room(admission) {
            if !overtakes && !self.group.is_empty() {
                return Err(entry);
            }
            self.hold(entry, admission);
            return Ok(());
        }
        if let Err(error) = self.admit(&entry) {
            self.refuse(entry.origin, error);
            return Ok(());
        }
        let mut committed = Committed {
            token: None,
            appended: Vec::new(),
            catalog: Vec::new(),
        };
        let Self { group, ends, clock, .. } = self;
        let now = clock.now().wall;
        let pushed = group.push_entry(u64::MAX, |writer| {
            for operation in entry.operations.drain(..) {
                assemble::write(operation, writer, ends, now, &mut committed);
            }
        });
        debug_assert!(pushed.is_ok(), "there was room");
        let producer = match entry.origin {
            Origin::Producer { reply, pass } => {
                let base = committed.appended.first().map(|(_, batch)| batch.base());
                Some(Producer { reply, pass, base })
            }
            Origin::Shard(token) => {
                committed.token = Some(token);
                None
            }
        };
        self.written.push(Written { committed, producer });
        Ok(())
    }

    /// There is no room. While the ring can grow, which takes some milliseconds, the entry waits; else it is refused.
    fn hold(&mut self, entry: Entry, admission: journal::Admission) {
        let Some(journal) = &self.journal else { return };
        let (size, most) = (journal::alone_on_disk(entry_len(&entry)), journal.group_len_max());
        if size > most {
            self.refuse(entry.origin, ProduceError::EntryTooLarge { size, limit: most });
            return;
        }
        self.order(Journal::order_growth);
        let Some(journal) = &self.journal else { return };
        if journal.is_growing() && !self.stunted {
            self.holds_settlements |= admission == journal::Admission::Always;
            self.held.push_back(entry);
            return;
        }
        let (used, limit) = (journal.used(), limit(journal, admission));
        // Only draining makes room now.
        self.tell_ring();
        self.refuse(entry.origin, ProduceError::JournalFull { used, limit });
    }

    /// There may be room now: what waits for it comes before everything else.
    fn try_held(&mut self) {
        self.holds_settlements = false;
        while let Some(entry) = self.held.pop_back() {
            self.backlog.push_front(ToJournal::Entry(entry));
        }
    }

    /// Orders one more ring file if `begin` finds that it is time.
    fn order(&mut self, begin: impl FnOnce(&mut Journal) -> Option<journal::Growth>) {
        if let Some(growth) = self.journal.as_mut().and_then(begin) {
            self.drain.post(ToDrain::Grow(growth));
        }
    }

    /// Checks everything that could refuse an entry before its first byte is written.
    fn admit(&self, entry: &Entry) -> Result<(), ProduceError> {
        // Nearly always one topic or two.
        let mut added: Vec<(*const TopicGauge, u64)> = Vec::new();
        for operation in &entry.operations {
            let Operation::Append(append) = operation else { continue };
            let end = self
                .ends
                .get(&append.partition)
                .ok_or_else(|| ProduceError::UnknownTopic(String::new()))?;
            let gauge = Arc::as_ptr(&end.gauge);
            let len = append.batch.len() as u64;
            let more = match added.iter_mut().find(|(topic, _)| *topic == gauge) {
                Some((_, more)) => {
                    *more += len;
                    *more
                }
                None if entry.operations.len() == 1 => len,
                None => {
                    added.push((gauge, len));
                    len
                }
            };
            let (bytes, limit) = (end.gauge.bytes(), end.gauge.limit());
            if append.admission == Admission::Bounded && bytes.saturating_add(more) > limit {
                return Err(ProduceError::TopicFull {
                    topic: end.gauge.topic().to_owned(),
                    bytes,
                    limit,
                    oldest_group: None,
                });
            }
        }
        Ok(())
    }

    fn adopt(&mut self, result: Result<journal::GrownFile, journal::JournalError>) {
        let Some(journal) = &mut self.journal else { return };
        self.stunted = result.is_err();
        match result {
            Ok(file) => {
                journal.adopt(file);
                self.order(Journal::begin_growth);
            }
            Err(error) => {
                // The ring is as good as before, only smaller than it might be.
                journal.abandon_growth();
                self.stats.drain_failure(&error.to_string());
            }
        }
        self.try_held();
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

    /// Writes and syncs the group, then tells everybody. `false` if it is not durable.
    pub(crate) fn commit(&mut self) -> bool {
        if self.group.is_empty() {
            return self.fenced.is_none();
        }
        let Some(journal) = &mut self.journal else { return true };
        let began = self.clock.now().monotonic;
        let shown = std::mem::take(&mut self.shown);
        match journal.commit(&mut self.group, self.durability) {
            Ok(committed) => {
                self.stats.synced(self.clock.now().monotonic.since(began));
                self.group.clear();
                self.tell(committed.end);
                return true;
            }
            Err(CommitError::Refused(reason)) if !shown => self.roll_back(&reason.to_string()),
            Err(error) => self.fence(Fenced {
                reason: error.to_string(),
            }),
        }
        false
    }

    fn tell(&mut self, end: journal::Position) {
        let mut entries = Vec::with_capacity(self.written.len());
        let mut answers = Vec::with_capacity(self.written.len());
        for Written { committed, producer } in self.written.drain(..) {
            if let Some(Producer {
                reply,
                pass,
                base: Some(base),
            }) = producer
            {
                answers.push((reply, pass, base));
            }
            entries.push(committed);
        }
        let (used, capacity) = self.ring();
        if !self.stunted {
            self.order(Journal::begin_growth);
        }
        self.shard.post(ToShard::Journal(FromJournal::Group {
            entries,
            end,
            used,
            capacity,
        }));
        for (reply, pass, base) in answers {
            drop(pass);
            drop(reply.send(Ok(base)));
        }
    }

    /// Bytes of the ring in use, and in all. What it may become counts: growing is cheaper than writing everything twice.
    fn ring(&self) -> (u64, u64) {
        let Some(journal) = &self.journal else {
            return (0, u64::MAX);
        };
        let capacity = if self.stunted {
            journal.capacity()
        } else {
            journal.capacity_max()
        };
        (journal.used(), capacity)
    }

    /// The shard drains by what is in use, and must not go by what was.
    fn tell_ring(&self) {
        let (used, capacity) = self.ring();
        self.shard.post(ToShard::Journal(FromJournal::Ring { used, capacity }));
    }

    /// The journal took none of the group: nothing happened, offsets included.
    fn roll_back(&mut self, reason: &str) {
        for Written { committed, producer } in std::mem::take(&mut self.written).into_iter().rev() {
            for (partition, batch) in committed.appended.iter().rev() {
                if let Some(end) = self.ends.get_mut(partition) {
                    end.next = batch.base();
                    end.gauge.subtract(batch.size());
                }
            }
            let error = ProduceError::Record(format!("the journal refused it: {reason}"));
            match (producer, committed.token) {
                (Some(Producer { reply, pass, .. }), _) => self.refuse(Origin::Producer { reply, pass }, error),
                (None, Some(token)) => self.refuse(Origin::Shard(token), error),
                (None, None) => {}
            }
        }
        self.group.clear();
    }

    fn fence(&mut self, fenced: Fenced) {
        for Written { producer, .. } in self.written.drain(..) {
            if let Some(Producer { reply, pass, .. }) = producer {
                drop(pass);
                drop(reply.send(Err(ProduceError::Fenced(fenced.clone()))));
            }
        }
        self.group.clear();
        self.shard.post(ToShard::Journal(FromJournal::Fenced(fenced.clone())));
        for entry in std::mem::take(&mut self.held) {
            self.refuse(entry.origin, ProduceError::Fenced(fenced.clone()));
        }
        self.fenced = Some(fenced);
    }

    /// What is written to a directory that was taken away is read by nobody again: it must not be answered for.
    fn check_directory(&mut self) {
        let journal = self.journal.as_ref().filter(|_| self.fenced.is_none());
        if let Some(reason) = journal.and_then(Journal::lost) {
            self.stats.lost(&reason);
            self.fence(Fenced { reason });
        }
    }

    fn close(&mut self, replies: Vec<Sender<Result<(), Fenced>>>) {
        let journal = self.journal.take();
        let result = match (&self.fenced, journal) {
            (Some(fenced), _) => Err(fenced.clone()),
            (None, Some(journal)) => match journal.close() {
                Ok(_) => Ok(()),
                Err(error) => Err(Fenced {
                    reason: error.to_string(),
                }),
            },
            (None, None) => Ok(()),
        };
        let result = self.ended.get_or_init(|| result);
        for reply in replies {
            drop(reply.send(result.clone()));
        }
    }
}

/// However its thread ends: nobody waits for an answer of it any more.
impl Drop for Sequencer {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

fn limit(journal: &Journal, admission: journal::Admission) -> u64 {
    match admission {
        journal::Admission::Produce => journal.capacity() / 4 * 3,
        journal::Admission::Always => journal.capacity(),
    }
}
