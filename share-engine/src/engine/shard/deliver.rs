//! Acquisition: gives waiting members what there is, once it is durable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::letter::walk_of;
use super::members::Waiting;
use super::partition::Fetch;
use super::{Pending, Request, Shard, Then, ToShard};
use crate::engine::mailbox::Mailbox;
use crate::engine::message::Operation;
use crate::error::AdminError;
use crate::ids::{Continuation, DeliveryCount, LeaseKey, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch};
use crate::record::{StoredBatch, Walk};
use crate::share::{AcquireMode, AcquireRequest, AcquiredRange, Acquisition, TransitionId, Window};
use crate::time::{Instant, Now, WallTime};

/// Records acquired together: consecutive, of one share partition, with the same count.
#[derive(Debug, Clone)]
pub(crate) struct AcquiredPart {
    pub(crate) share: ShareKey,
    pub(crate) epoch: StateEpoch,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
    pub(crate) range: OffsetRange,
    pub(crate) delivery_count: DeliveryCount,
    pub(crate) continuation: Continuation,
    pub(crate) deadline: Instant,
    /// When the attempt began: the acquisition that raised the count.
    pub(crate) began: WallTime,
    /// The same as an age, when the records are handed out.
    pub(crate) age: Duration,
    pub(crate) handed_out_at: Instant,
    /// Only of the records that have one.
    pub(crate) checkpoints: Vec<(Offset, Bytes)>,
    pub(crate) batches: Vec<StoredBatch>,
}

impl AcquiredPart {
    /// The keys of all its records.
    pub(crate) fn leases(&self) -> impl Iterator<Item = LeaseKey> + '_ {
        (self.range.first().get()..=self.range.last().get()).map(|offset| LeaseKey {
            share: self.share,
            epoch: self.epoch,
            offset: Offset::saturating(offset),
            delivery_count: self.delivery_count,
            continuation: self.continuation,
        })
    }
}

/// Acquired records on their way to a caller. Dropped before they arrived, they are available again at once.
pub(crate) struct Consignment {
    parts: Vec<AcquiredPart>,
    shard: Arc<Mailbox<ToShard>>,
}

impl Consignment {
    /// They have arrived.
    pub(crate) fn accept(mut self) -> Vec<AcquiredPart> {
        std::mem::take(&mut self.parts)
    }
}

impl Drop for Consignment {
    fn drop(&mut self) {
        if !self.parts.is_empty() {
            let leases = self.parts.iter().flat_map(AcquiredPart::leases).collect();
            self.shard.post(ToShard::Request(Box::new(Request::Abandon { leases })));
        }
    }
}

/// What one pass over a member's share partitions found.
#[derive(Default)]
struct Haul {
    operations: Vec<Operation>,
    transitions: Vec<(ShareKey, TransitionId)>,
    parts: Vec<AcquiredPart>,
    records: u64,
    /// No more than this many bytes of records.
    bytes: u64,
    /// They were measured; before that the batches that hold the records count as a whole.
    measured: bool,
}

impl Haul {
    /// Counts the bytes of the records alone.
    fn measure(&mut self) {
        if std::mem::replace(&mut self.measured, true) {
            return;
        }
        let mut walk = None;
        self.bytes = 0;
        for part in &self.parts {
            for batch in &part.batches {
                self.bytes += walk_of(&mut walk, batch).bytes(part.range);
            }
        }
    }
}

/// Reads of one share partition in one acquisition; scattered records take several.
const ROUNDS: usize = 16;
/// Acquisitions that one member may have waiting.
const WAITING: usize = 4;

impl Shard {
    pub(super) fn acquire(&mut self, index: MemberIndex, waiting: Waiting, now: Now) {
        let Some(member) = self.members.get_mut(&index) else {
            drop(waiting.reply.send(Err(AdminError::Closed)));
            return;
        };
        member.waiting.retain(|waiting| !waiting.reply.is_abandoned());
        if waiting.max_records == 0 || member.waiting.len() >= WAITING {
            drop(waiting.reply.send(Ok(None)));
            return;
        }
        member.waiting.push_back(waiting);
        if !member.tell_gone() {
            self.try_serve(index, now);
        }
    }

    /// Gives members that wait on a changed share partition what there is now.
    pub(super) fn serve_waiting(&mut self, now: Now) -> bool {
        if self.changed.is_empty() || self.fenced.is_some() {
            return false;
        }
        let changed = std::mem::take(&mut self.changed);
        let concerned: Vec<MemberIndex> = self
            .members
            .iter()
            .filter(|(_, member)| !member.waiting.is_empty() && member.shares.iter().any(|key| changed.contains(key)))
            .map(|(index, _)| *index)
            .collect();
        for index in &concerned {
            self.try_serve(*index, now);
        }
        !concerned.is_empty()
    }

    /// Serves a member's acquisitions in turn until there is nothing more for one of them.
    fn try_serve(&mut self, index: MemberIndex, now: Now) {
        while let Some(waiting) = self
            .members
            .get_mut(&index)
            .and_then(|member| member.waiting.pop_front())
        {
            if !waiting.reply.is_abandoned() && !self.serve(index, waiting, now) {
                return;
            }
        }
    }

    /// `false` if there was nothing; the acquisition waits on.
    fn serve(&mut self, index: MemberIndex, waiting: Waiting, now: Now) -> bool {
        let Some(member) = self.members.get_mut(&index) else {
            return false;
        };
        let shares = member.shares.clone();
        let rotor = member.rotor;
        member.rotor = rotor.wrapping_add(1);
        let mut haul = Haul::default();
        for step in 0..shares.len() {
            let wanted = u64::from(waiting.max_records).saturating_sub(haul.records);
            let Some(key) = shares.get((rotor + step) % shares.len()) else {
                break;
            };
            if wanted == 0 {
                break;
            }
            self.take_from(*key, index, &waiting, wanted, &mut haul, now);
        }
        if haul.parts.is_empty() {
            if !haul.operations.is_empty() {
                self.submit(haul.operations, Pending::new(haul.transitions, Then::Nothing));
            }
            self.wait_again(index, waiting);
            return false;
        }
        let then = Then::Deliver {
            member: index,
            waiting,
            parts: haul.parts,
        };
        self.submit(haul.operations, Pending::new(haul.transitions, then));
        true
    }

    fn take_from(
        &mut self,
        key: ShareKey,
        member: MemberIndex,
        waiting: &Waiting,
        wanted: u64,
        haul: &mut Haul,
        now: Now,
    ) {
        let mut left = wanted;
        for round in 0..ROUNDS {
            let Some(share) = self.world.shares.get_mut(&key) else {
                return;
            };
            let reach = match share.state.options().window {
                // Kafka's rules are for one read of all that the window can take: a second one would give what throttling
                // has held back.
                Window::Span(_) if round > 0 => break,
                Window::Span(limit) => left.saturating_add(u64::from(limit)),
                Window::Acquired(_) => left,
            };
            let Some(partition) = self.world.partitions.get_mut(&share.partition) else {
                return;
            };
            if left == 0 || !share.state.can_acquire() {
                break;
            }
            let from = share.state.next_fetch_offset();
            let budget = waiting.max_bytes.saturating_sub(haul.bytes);
            let batches = match partition.fetch(from, reach, budget) {
                Fetch::Batches(batches) if batches.is_empty() => break,
                Fetch::Batches(batches) => batches,
                Fetch::Reading => break,
                // Nothing is skipped: the share partition stands until the place is mended, or passed by a reset.
                Fetch::Read(from)
                    if partition
                        .failure_at(from)
                        .is_some_and(|one| one.again_at > now.monotonic) =>
                {
                    break;
                }
                Fetch::Read(from) => {
                    let partition = share.partition;
                    self.read_ahead(partition, from);
                    break;
                }
            };
            if batches.iter().map(StoredBatch::size).sum::<u64>() > budget {
                haul.measure();
            }
            let budget = waiting.max_bytes.saturating_sub(haul.bytes);
            let fitting = fitting(&batches, from, waiting.mode, budget, haul.parts.is_empty());
            if fitting.is_empty() {
                break;
            }
            let request = AcquireRequest {
                member,
                mode: waiting.mode,
                max_records: u32::try_from(left).unwrap_or(u32::MAX),
                batch_size: u32::MAX,
                from,
                batches: &fitting,
            };
            let acquisition = share.state.acquire(&request, now);
            let taken = self.add_to_haul(key, acquisition, &batches, haul);
            left = left.saturating_sub(taken);
            if taken == 0 {
                break;
            }
        }
        self.schedule(key);
    }

    fn add_to_haul(&self, key: ShareKey, acquisition: Acquisition, batches: &[StoredBatch], haul: &mut Haul) -> u64 {
        let (Some(share), Some(transition)) = (self.world.shares.get(&key), acquisition.transition) else {
            return 0;
        };
        let Some(partition) = self.world.partitions.get(&share.partition) else {
            return 0;
        };
        let mut taken = 0;
        for AcquiredRange {
            range,
            delivery_count,
            continuation,
        } in acquisition.ranges
        {
            taken += range.count();
            let held = batches
                .iter()
                .filter(|batch| batch.range().intersect(range).is_some())
                .cloned();
            let held: Vec<StoredBatch> = held.collect();
            haul.bytes += held.iter().map(StoredBatch::size).sum::<u64>();
            haul.measured = false;
            haul.parts.push(AcquiredPart {
                share: key,
                epoch: share.state.epoch(),
                topic: Arc::clone(&partition.topic),
                partition: partition.index,
                range,
                delivery_count,
                continuation,
                deadline: Instant::default(),
                began: WallTime::default(),
                age: Duration::ZERO,
                handed_out_at: Instant::default(),
                checkpoints: share
                    .state
                    .checkpoints(range)
                    .map(|(offset, checkpoint)| (offset, checkpoint.clone()))
                    .collect(),
                batches: held,
            });
        }
        haul.records += taken;
        haul.transitions.push((key, transition));
        haul.operations.push(Operation::Share {
            share: key,
            changes: acquisition.changes,
        });
        taken
    }

    pub(super) fn wait_again(&mut self, index: MemberIndex, waiting: Waiting) {
        match self.members.get_mut(&index) {
            Some(member) => {
                member.waiting.push_front(waiting);
                member.tell_gone();
            }
            None => drop(waiting.reply.send(Ok(None))),
        }
    }

    /// The acquisition is durable: the records go out. A caller who went away gives them back.
    pub(super) fn hand_out(&mut self, index: MemberIndex, waiting: Waiting, mut parts: Vec<AcquiredPart>, now: Now) {
        // A topic may have been deleted in the same commit: nobody holds its records.
        parts.retain(|part| self.world.shares.contains_key(&part.share));
        if parts.is_empty() {
            self.wait_again(index, waiting);
            return;
        }
        for part in &mut parts {
            let Some(share) = self.world.shares.get(&part.share) else {
                continue;
            };
            let first = part.range.first();
            part.deadline = share.state.lease_deadline(first).unwrap_or_default();
            part.age = share.state.attempt_age(first, now.monotonic);
            part.began = now.wall.before(part.age);
            part.handed_out_at = now.monotonic;
        }
        if !self.members.contains_key(&index) || waiting.reply.is_abandoned() {
            let leases: Vec<_> = parts.iter().flat_map(AcquiredPart::leases).collect();
            self.abandon(&leases, now);
            return;
        }
        let consignment = Consignment {
            parts,
            shard: Arc::clone(&self.inbox),
        };
        let records = consignment.parts.iter().map(|part| part.range.count()).sum();
        self.stats.deliveries(records);
        drop(waiting.reply.send(Ok(Some(consignment))));
    }
}

/// What of these batches, from `from` on, may be given out within so many bytes: whole batches, or records one by one. The
/// first of an acquisition may be larger.
fn fitting(batches: &[StoredBatch], from: Offset, mode: AcquireMode, budget: u64, first: bool) -> Vec<OffsetRange> {
    let mut fit = Vec::with_capacity(batches.len());
    let mut left = budget;
    for batch in batches {
        let wanted = OffsetRange::new(batch.base().max(from), batch.last());
        let Some(wanted) = wanted else { continue };
        let size = match mode {
            AcquireMode::BatchOptimized => batch.size(),
            AcquireMode::RecordLimit if batch.size() <= left => batch.size(),
            AcquireMode::RecordLimit => Walk::new(batch).bytes(wanted),
        };
        if size <= left {
            left -= size;
            fit.push(batch.range());
            continue;
        }
        let first = first && fit.is_empty();
        match mode {
            AcquireMode::BatchOptimized if first => fit.push(batch.range()),
            AcquireMode::BatchOptimized => {}
            AcquireMode::RecordLimit => {
                let last = last_fitting(batch, wanted, left).or(first.then_some(wanted.first()));
                fit.extend(last.and_then(|last| OffsetRange::new(batch.base(), last)));
            }
        }
        break;
    }
    fit
}

/// The last record of a run in a batch that fits into so many bytes with those before it.
fn last_fitting(batch: &StoredBatch, wanted: OffsetRange, bytes: u64) -> Option<Offset> {
    let mut walk = Walk::new(batch);
    let mut left = bytes;
    let mut last = None;
    let mut offset = wanted.first();
    while let Some(place) = walk.seek(offset).filter(|place| place.len() as u64 <= left) {
        left -= place.len() as u64;
        last = Some(offset);
        offset = offset.next();
    }
    last
}
