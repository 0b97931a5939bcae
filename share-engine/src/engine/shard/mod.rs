//! The shard: owns the catalog, the share partitions, the batches in memory and everything that waits for them.
//! Owned by the shard thread; a simulation steps it. Invariant: nobody hears of a change before it is durable.

mod admin;
mod deliver;
mod find;
mod letter;
mod letters;
mod load;
mod members;
mod message;
mod partition;
mod pending;
mod query;
mod redrive;
mod retention;
mod settle;
mod upkeep;
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::mailbox::Mailbox;
use super::message::{FromJournal, ToJournal};
use super::reply::Sender;
use super::routes::Routes;
use super::stats::EngineStats;
use crate::config::EngineConfig;
use crate::drain::ToDrain;
use crate::entropy::Entropy;
use crate::error::{AdminError, Fenced};
use crate::hook::{Hook, Load, Phase};
use crate::ids::{MemberIndex, Offset, PartitionKey, ShareKey};
use crate::journal::Position;
use crate::share::SharePartition;
use crate::time::{Clock, Instant, Now};

pub(crate) use deliver::AcquiredPart;
pub(crate) use message::{
    AdminReply, AdminRequest, Caller, EmitBatch, Found, Loaded, Overtaken, ReadFor, Request, SettleItem, ToReader,
    ToShard,
};
pub(crate) use partition::{Partition, PartitionInit};
use pending::{Pending, Then};
pub use redrive::redrive_group;
pub(crate) use retention::log_options;
pub(crate) use upkeep::directory;
pub(crate) use world::World;

/// When a fenced engine, which waits to be closed, has something to do by itself.
const NEVER: std::time::Duration = std::time::Duration::from_hours(24);

/// The shard's state.
pub(crate) struct Shard {
    config: EngineConfig,
    world: World,
    members: BTreeMap<MemberIndex, members::Member>,
    next_member: u32,
    /// Members that left, where some of what they held had a change under way.
    leaving: Vec<(MemberIndex, ShareKey)>,
    pending: BTreeMap<u64, Pending>,
    next_token: u64,
    /// The process before this one did not end well: what it held may have been the cause.
    crashed: bool,
    /// Where partitions end that hold what is sequenced and not durable.
    sequenced: BTreeMap<PartitionKey, Offset>,
    calls: BTreeMap<u64, settle::Call>,
    blocked: Vec<letters::Blocked>,
    deadlines: BTreeSet<(Instant, ShareKey)>,
    changed: BTreeSet<ShareKey>,
    /// Share partitions whose acquisition the journal refused: asked again when it has moved on.
    stalled: BTreeSet<ShareKey>,
    inbox: Arc<Mailbox<ToShard>>,
    queue: VecDeque<ToShard>,
    journal: Arc<Mailbox<ToJournal>>,
    reader: Arc<Mailbox<ToReader>>,
    drain: Arc<Mailbox<ToDrain>>,
    upkeep: upkeep::Upkeep,
    entropy: Arc<dyn Entropy>,
    stats: Arc<EngineStats>,
    hook: Hook,
    position: Position,
    routes: Arc<Routes>,
    /// Bytes of all batches in memory windows.
    window_bytes: u64,
    /// Callers who wait for the next drain, and for the one under way.
    drain_waiters: Vec<AdminSender>,
    draining_for: Vec<AdminSender>,
    catalog_busy: bool,
    catalog_queue: VecDeque<(AdminRequest, AdminSender)>,
    /// Topics to be made under the name of a deleted one, whose log has to go first.
    after_removal: Vec<(AdminRequest, AdminSender)>,
    /// Requests that wait for a read of a partition log.
    reading_admin: Vec<(PartitionKey, AdminRequest, AdminSender)>,
    /// The request that waits for the reader to look for young records, and what it has found.
    finding: Option<(AdminRequest, AdminSender)>,
    found: BTreeMap<PartitionKey, Found>,
    closing: Vec<Sender<Result<(), Fenced>>>,
    fenced: Option<Fenced>,
    closed: bool,
}

type AdminSender = Sender<Result<AdminReply, AdminError>>;

/// One share partition and where it belongs.
pub(crate) struct Share {
    pub(crate) state: SharePartition,
    pub(crate) group: Arc<str>,
    pub(crate) partition: PartitionKey,
    deadline: Option<Instant>,
    /// Parts of what has run out that are on their way to the disk.
    expiring: u32,
}

impl Share {
    pub(crate) fn new(state: SharePartition, group: Arc<str>, partition: PartitionKey) -> Self {
        Self {
            state,
            group,
            partition,
            deadline: None,
            expiring: 0,
        }
    }
}

/// What an engine consists of when the shard begins: built by recovery.
pub(crate) struct ShardInit {
    pub(crate) config: EngineConfig,
    pub(crate) world: World,
    pub(crate) routes: Arc<Routes>,
    pub(crate) position: Position,
    /// The process before this one did not end well.
    pub(crate) crashed: bool,
    pub(crate) inbox: Arc<Mailbox<ToShard>>,
    pub(crate) journal: Arc<Mailbox<ToJournal>>,
    pub(crate) reader: Arc<Mailbox<ToReader>>,
    pub(crate) drain: Arc<Mailbox<ToDrain>>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) stats: Arc<EngineStats>,
    pub(crate) hook: Hook,
}

impl Shard {
    /// Takes over what recovery found; every lease of an earlier process is void.
    pub(crate) fn new(mut init: ShardInit, now: Now) -> Self {
        let forgotten = std::mem::take(&mut init.world.forgotten);
        let mut shard = Self {
            config: init.config,
            window_bytes: init
                .world
                .partitions
                .values()
                .map(|partition| partition.window.bytes())
                .sum(),
            world: init.world,
            routes: init.routes,
            drain_waiters: Vec::new(),
            draining_for: Vec::new(),
            after_removal: Vec::new(),
            catalog_busy: false,
            catalog_queue: VecDeque::new(),
            reading_admin: Vec::new(),
            finding: None,
            found: BTreeMap::new(),
            closing: Vec::new(),
            members: BTreeMap::new(),
            next_member: 0,
            leaving: Vec::new(),
            pending: BTreeMap::new(),
            next_token: 0,
            sequenced: BTreeMap::new(),
            calls: BTreeMap::new(),
            blocked: Vec::new(),
            deadlines: BTreeSet::new(),
            changed: BTreeSet::new(),
            stalled: BTreeSet::new(),
            inbox: init.inbox,
            queue: VecDeque::new(),
            journal: init.journal,
            reader: init.reader,
            drain: init.drain,
            upkeep: upkeep::Upkeep::new(now.monotonic, forgotten),
            entropy: init.entropy,
            stats: init.stats,
            hook: init.hook,
            position: init.position,
            crashed: init.crashed,
            fenced: None,
            closed: false,
        };
        shard.publish_routes();
        shard.void_leases(now);
        shard.drop_all_finished();
        shard
    }

    /// Blocks until there is something to do.
    pub(crate) fn wait(&self, now: Instant) {
        self.inbox.wait(Some(self.poll_deadline().since(now)));
    }

    /// When [`Shard::step`] has to be called again even if nobody says anything.
    pub(crate) fn poll_deadline(&self) -> Instant {
        let upkeep = self.upkeep.next();
        if self.fenced.is_some() {
            return upkeep.after(NEVER);
        }
        self.deadlines.first().map_or(upkeep, |(lease, _)| upkeep.min(*lease))
    }

    /// Whether somebody waits for records.
    pub(crate) fn has_credit(&self) -> bool {
        self.fenced.is_none() && self.members.values().any(|member| !member.waiting.is_empty())
    }

    /// Whether nobody has said anything since the last turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Whether the engine was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed || self.inbox.is_closed()
    }

    /// Handles everything that waits and everything that is due. `false` if there was nothing to do.
    pub(crate) fn step(&mut self, clock: &dyn Clock) -> bool {
        self.inbox.take(&mut self.queue);
        // Not before: a delay counts from when the engine has heard of it.
        let now = clock.now();
        let mut worked = !self.queue.is_empty();
        while let Some(message) = self.queue.pop_front() {
            match message {
                ToShard::Journal(message) => self.handle_journal(message, now),
                ToShard::Request(request) => self.handle_request(*request, now),
                ToShard::Loaded(loaded) => self.handle_loaded(loaded, now),
                ToShard::Overtaken(overtaken) => self.handle_overtaken(overtaken),
                ToShard::Found(found) => self.handle_found(found, now),
                ToShard::Drained(done) => self.handle_drained(done, now),
            }
        }
        worked |= self.handle_timeouts(now);
        worked |= self.serve_waiting(now);
        worked |= self.run_upkeep(now);
        self.hook.load(|| self.load());
        self.finish_closing();
        worked
    }

    fn handle_journal(&mut self, message: FromJournal, now: Now) {
        match message {
            FromJournal::Group {
                entries,
                end,
                used,
                capacity,
            } => {
                for entry in entries {
                    for change in &entry.catalog {
                        self.apply_catalog(change);
                    }
                    let first = entry
                        .appended
                        .first()
                        .map(|(partition, batch)| (*partition, batch.base()));
                    for (partition, batch) in entry.appended {
                        self.handle_appended(partition, batch);
                    }
                    if let Some(pending) = entry.token.and_then(|token| self.pending.remove(&token)) {
                        self.finish(pending, first, now);
                    }
                }
                self.sequenced.clear();
                self.position = end;
                self.upkeep.ring(used, capacity);
                self.changed.append(&mut self.stalled);
            }
            FromJournal::Ring { used, capacity } => {
                if self.upkeep.ring(used, capacity) {
                    self.changed.append(&mut self.stalled);
                    self.void_again(now);
                }
            }
            FromJournal::Refused { token, error } => {
                if let Some(pending) = self.pending.remove(&token) {
                    self.roll_back(pending, &error, now);
                }
            }
            FromJournal::Fenced(fenced) => self.fence(fenced),
        }
    }

    /// Everything that waits is answered `unknown`; only recovery can tell what is on disk.
    fn fence(&mut self, fenced: Fenced) {
        let blocked = std::mem::take(&mut self.blocked)
            .into_iter()
            .map(letters::Blocked::into_pending);
        let pending = std::mem::take(&mut self.pending).into_values().chain(blocked);
        for entry in pending.collect::<Vec<_>>() {
            match entry.then {
                Then::Settle { call, slots } => self.settled(call, &slots, &crate::error::SettleResult::Unknown),
                Then::Admin(continuation) => continuation.fence(&fenced),
                Then::Deliver { waiting, .. } => waiting.fence(&fenced),
                Then::Nothing | Then::Expire | Then::Retire | Then::Void => {}
            }
        }
        for member in self.members.values_mut() {
            member.fence(&fenced);
        }
        let waiting = self.catalog_queue.drain(..).chain(self.after_removal.drain(..));
        let mut replies: Vec<AdminSender> = waiting.map(|(_, reply)| reply).collect();
        replies.extend(self.reading_admin.drain(..).map(|(_, _, reply)| reply));
        replies.extend(self.finding.take().map(|(_, reply)| reply));
        replies.append(&mut self.drain_waiters);
        replies.append(&mut self.draining_for);
        for reply in replies {
            drop(reply.send(Err(AdminError::Fenced(fenced.clone()))));
        }
        self.fenced = Some(fenced);
    }

    /// Keeps the deadline of a share partition in order.
    fn schedule(&mut self, key: ShareKey) {
        let Some(share) = self.world.shares.get_mut(&key) else {
            return;
        };
        let deadline = share.state.poll_deadline();
        if deadline == share.deadline {
            return;
        }
        if let Some(old) = std::mem::replace(&mut share.deadline, deadline) {
            self.deadlines.remove(&(old, key));
        }
        if let Some(new) = deadline {
            self.deadlines.insert((new, key));
        }
    }

    fn handle_request(&mut self, request: Request, now: Now) {
        if let Some(fenced) = &self.fenced
            && !request.works_fenced()
        {
            request.refuse(&fenced.clone());
            return;
        }
        match request {
            Request::Acquire {
                member,
                max_records,
                max_bytes,
                mode,
                reply,
            } => {
                self.acquire(
                    member,
                    members::Waiting {
                        max_records,
                        max_bytes,
                        mode,
                        reply,
                    },
                    now,
                );
            }
            Request::Settle { items, reply } => self.settle(items, reply, now),
            Request::Extend { leases, reply } => {
                self.hook.reach(Phase::Extending);
                self.extend(&leases, reply, now);
            }
            Request::Abandon { leases } => self.abandon(&leases, now),
            Request::Join { group, topics, reply } => self.join(&group, &topics, reply),
            Request::Leave { member, reply } => self.leave(member, reply, now),
            Request::Admin(request, reply) => self.administer(request, reply, now),
            Request::Read {
                topic,
                partition,
                from,
                max_bytes,
                reply,
            } => {
                let caller = Caller {
                    topic,
                    partition,
                    reply,
                };
                self.read(caller, from, max_bytes);
            }
            Request::Close { reply } => self.close(reply, now),
        }
    }

    /// What the hook is told.
    fn load(&self) -> Load {
        let settling = |pending: &Pending| match &pending.then {
            Then::Settle { slots, .. } => slots.len() as u64,
            _ => 0,
        };
        let shares = self.world.shares.values();
        Load {
            acquired: shares.map(|share| share.state.counts().acquired).sum(),
            settling: self.pending.values().map(settling).sum(),
        }
    }

    fn publish_routes(&self) {
        let topics = self.world.catalog.topics();
        self.routes.publish(
            topics
                .map(|topic| (topic.name.clone(), topic.partitions.clone().into()))
                .collect(),
        );
    }

    /// Releases what is held, lets what is under way reach the disk, then closes the journal.
    fn close(&mut self, reply: Sender<Result<(), Fenced>>, now: Now) {
        let members: Vec<MemberIndex> = self.members.keys().copied().collect();
        for member in members {
            let (sender, _) = super::reply::reply();
            self.leave(member, sender, now);
        }
        self.closing.push(reply);
    }

    /// Everything under way has reached the disk: the journal may write its end entry.
    fn finish_closing(&mut self) {
        let idle = self.fenced.is_some()
            || (self.pending.is_empty() && self.blocked.is_empty() && self.queue.is_empty() && self.inbox.is_empty());
        if idle && !self.closing.is_empty() {
            let replies = std::mem::take(&mut self.closing);
            self.drain.post(ToDrain::Stop);
            self.reader.post(ToReader::Stop);
            self.journal.post(ToJournal::Close(replies));
            self.closed = true;
        }
    }
}

/// However its thread ends: nobody waits for an answer of it any more.
impl Drop for Shard {
    fn drop(&mut self) {
        self.inbox.close();
    }
}
