//! Topics and groups: one change at a time, each journaled before it holds.

use std::sync::Arc;

use super::message::{AdminReply, AdminRequest};
use super::redrive::redrive_group;
use super::{Pending, Shard, Then};
use crate::catalog::{Catalog, CatalogChange, CatalogError};
use crate::config::{GroupConfig, Retention, TopicConfig};
use crate::engine::gauge::TopicGauge;
use crate::engine::handle::Receipt;
use crate::engine::message::{Operation, Registration};
use crate::engine::reply::Sender;
use crate::engine::reset::{ResetGroup, ResetTo};
use crate::error::{AdminError, Fenced, Unsettled};
use crate::ids::{Offset, PartitionKey, ShareKey, TopicId};
use crate::share::Change;
use crate::time::Now;

/// An answer that waits for the disk, and what is left to do after it.
pub(super) struct Continuation {
    pub(super) reply: Reply,
    /// It is the catalog change that others wait for.
    pub(super) catalog: bool,
}

impl Continuation {
    pub(super) fn fence(self, fenced: &Fenced) {
        drop(self.reply.send(Err(AdminError::Fenced(fenced.clone()))));
    }
}

pub(super) type Reply = Sender<Result<AdminReply, AdminError>>;

impl Shard {
    /// While a change of the catalog is on its way to the disk the next one waits its turn: each is checked against
    /// what holds.
    pub(super) fn administer(&mut self, request: AdminRequest, reply: Reply, now: Now) {
        if request.takes_turns() && self.catalog_busy {
            self.catalog_queue.push_back((request, reply));
            return;
        }
        // The newest snapshot may still list the log of a deleted topic, so that its directory is not free yet.
        if request
            .new_topic()
            .is_some_and(|name| self.upkeep.is_being_removed(name))
        {
            self.after_removal.push((request, reply));
            self.want_drain();
            return;
        }
        let wanted = self.young_wanted(&request, now);
        if !wanted.is_empty() {
            self.find_young(wanted, request, reply);
            return;
        }
        self.do_administer(request, reply, now);
    }

    pub(super) fn do_administer(&mut self, request: AdminRequest, reply: Reply, now: Now) {
        if let Err((error, reply)) = self.try_administer(request, reply, now) {
            drop(reply.send(Err(error)));
        }
    }

    fn try_administer(&mut self, request: AdminRequest, reply: Reply, now: Now) -> Result<(), (AdminError, Reply)> {
        let limits = self.config.limits.clone();
        let one = |change: Result<CatalogChange, CatalogError>| change.map(|change| vec![change]);
        let changes = match request {
            AdminRequest::CreateTopic { name, config } => {
                let id = TopicId(self.entropy.next_u128());
                one(self.world.catalog.create_topic(&name, config, id, None, &limits))
            }
            AdminRequest::AlterTopic { name, config } => one(self.world.catalog.alter_topic(&name, config, &limits)),
            AdminRequest::DeleteTopic { name } => one(self.world.catalog.delete_topic(&name)),
            AdminRequest::CreateGroup { name, config } => self.plan_group(&name, config, true),
            AdminRequest::AlterGroup { name, config } => self.plan_group(&name, config, false),
            AdminRequest::Subscribe { group, topic } => return self.subscribe(&group, &topic, reply, now),
            AdminRequest::DeleteGroup { name, force } => match self.check_deletion(&name, force) {
                Ok(()) => one(self.world.catalog.delete_group(&name)),
                Err(error) => return Err((error, reply)),
            },
            AdminRequest::ResetGroup(request) => return self.reset(&request, reply, now),
            AdminRequest::Redrive {
                topic,
                partition,
                offset,
            } => {
                return self.redrive(&topic, partition, offset, reply, now);
            }
            AdminRequest::Drain => {
                self.drain_waiters.push(reply);
                self.want_drain();
                return Ok(());
            }
            other => {
                let answer = self.query(&other);
                drop(reply.send(answer));
                return Ok(());
            }
        };
        match changes {
            Ok(changes) => {
                self.submit_catalog(changes, Vec::new(), reply);
                Ok(())
            }
            Err(error) => Err((error.into(), reply)),
        }
    }

    /// A group that is new or has new settings, and what its dead letters need.
    fn plan_group(&self, name: &str, config: GroupConfig, new: bool) -> Result<Vec<CatalogChange>, CatalogError> {
        let mut after = self.world.catalog.clone();
        let dead = config.dead_letter.clone();
        let change = if new {
            after.create_group(name, config, false, &self.config.limits)?
        } else {
            after.alter_group(name, config)?
        };
        after.apply(&change)?;
        let mut changes = vec![change];
        if let Some(dead) = dead {
            changes.extend(self.plan_dead_letters(&mut after, name, &dead)?);
        }
        Ok(changes)
    }

    /// The topic for a group's dead letters, and the group that hands them out for redrive, if they are not there.
    fn plan_dead_letters(
        &self,
        after: &mut Catalog,
        group: &str,
        dead: &str,
    ) -> Result<Vec<CatalogChange>, CatalogError> {
        let limits = &self.config.limits;
        let redrive = redrive_group(dead);
        let mut changes = Vec::new();
        if after.topic(dead).is_none() {
            let config = TopicConfig {
                retention: Retention::Queue,
                ..TopicConfig::default()
            };
            let id = TopicId(self.entropy.next_u128());
            let change = after.create_topic(dead, config, id, Some(group.to_owned()), limits)?;
            after.apply(&change)?;
            changes.push(change);
        }
        if after.group(&redrive).is_none() {
            let change = after.create_group(&redrive, GroupConfig::default(), true, limits)?;
            after.apply(&change)?;
            changes.push(change);
            let change = after.subscribe(&redrive, dead)?;
            after.apply(&change)?;
            changes.push(change);
        }
        Ok(changes)
    }

    fn subscribe(&mut self, group: &str, topic: &str, reply: Reply, now: Now) -> Result<(), (AdminError, Reply)> {
        let change = match self.world.catalog.subscribe(group, topic) {
            Ok(change) => change,
            Err(error) => return Err((error.into(), reply)),
        };
        let start = self
            .world
            .catalog
            .group(group)
            .map(|group| group.config.start)
            .unwrap_or_default();
        let mut apply = Vec::new();
        if let (CatalogChange::Subscribe(subscription), Some(topic)) = (&change, self.world.catalog.topic(topic)) {
            for (share, partition) in subscription.shares.iter().zip(&topic.partitions) {
                match self.start_offset(*partition, start, now) {
                    Ok(offset) => apply.push((*share, Change::StartOffset { offset })),
                    Err(error) => return Err((error, reply)),
                }
            }
        }
        self.submit_catalog(vec![change], apply, reply);
        Ok(())
    }

    fn check_idle(&self, group: &str) -> Result<(), AdminError> {
        let members = self.members.values().filter(|member| member.group == group).count();
        match members {
            0 => Ok(()),
            members => Err(AdminError::GroupRunning {
                group: group.to_owned(),
                members,
            }),
        }
    }

    /// A group that has something left to do goes only by force.
    fn check_deletion(&self, name: &str, force: bool) -> Result<(), AdminError> {
        self.check_idle(name)?;
        let Some(group) = self.world.catalog.group(name).filter(|_| !force) else {
            return Ok(());
        };
        let mut unsettled = Unsettled::default();
        for share in group
            .topics
            .values()
            .flatten()
            .filter_map(|key| self.world.shares.get(key))
        {
            let Some(partition) = self.world.partitions.get(&share.partition) else {
                continue;
            };
            let counts = share.state.counts();
            let untried = share.state.untried();
            unsettled.acquired += counts.acquired;
            unsettled.parked += counts.parked;
            unsettled.again += counts.available + counts.waiting - untried;
            unsettled.new += untried + partition.end.since(share.state.next_new_offset().max(partition.start));
        }
        let starts = self.world.starts_without(name).into_iter();
        let dropped = starts.filter_map(|(key, to)| Some(self.world.shares.get(&key)?.state.unsettled_before(to)));
        unsettled.dropped = dropped.sum();
        if unsettled.all() == 0 {
            return Ok(());
        }
        Err(AdminError::GroupUnsettled {
            group: name.to_owned(),
            unsettled,
        })
    }

    fn reset(&mut self, request: &ResetGroup, reply: Reply, now: Now) -> Result<(), (AdminError, Reply)> {
        let keys = match self.plan_reset(request) {
            Ok(keys) => keys,
            Err(error) => return Err((error, reply)),
        };
        let mut starts = Vec::with_capacity(keys.len());
        for key in keys {
            match self.reset_offset(key, request.to, now) {
                Ok(start) => starts.push((key, start)),
                Err(error) => return Err((error, reply)),
            }
        }
        let mut operations = Vec::new();
        let mut transitions = Vec::new();
        for (key, start) in starts {
            let Some(share) = self.world.shares.get_mut(&key) else {
                continue;
            };
            let settled = share.state.reset(share.state.epoch().next(), start, now);
            operations.push(Operation::Share {
                share: key,
                changes: settled.changes,
            });
            transitions.extend(settled.transition.map(|transition| (key, transition)));
        }
        // The group reads nothing: an entry without an operation would never be written, and so never be answered.
        if operations.is_empty() {
            drop(reply.send(Ok(AdminReply::Done)));
            return Ok(());
        }
        self.catalog_busy = true;
        let then = Then::Admin(Continuation { reply, catalog: true });
        self.submit(operations, Pending::new(transitions, then));
        Ok(())
    }

    /// Where a reset leads: an offset that the log has passed is its first one, one that it has not reached is refused,
    /// since everything up to it would be lost unseen.
    fn reset_offset(&self, key: ShareKey, to: ResetTo, now: Now) -> Result<Offset, AdminError> {
        let partition = self.world.shares.get(&key).map(|share| share.partition);
        let Some(partition) = partition.and_then(|key| self.world.partitions.get(&key)) else {
            return Ok(Offset::ZERO);
        };
        match to {
            ResetTo::Start(start) => self.start_offset(partition.key, start, now),
            ResetTo::Offset(offset) if offset > partition.end => Err(AdminError::OffsetBeyondEnd {
                topic: partition.topic.to_string(),
                partition: partition.index,
                offset: offset.get(),
                end: partition.end.get(),
            }),
            ResetTo::Offset(offset) => Ok(offset.max(partition.start)),
        }
    }

    /// The share partitions that a reset concerns.
    pub(super) fn plan_reset(&self, request: &ResetGroup) -> Result<Vec<ShareKey>, AdminError> {
        if !request.force {
            self.check_idle(&request.group)?;
        }
        let unknown = || CatalogError::UnknownGroup(request.group.clone());
        let group = self.world.catalog.group(&request.group).ok_or_else(unknown)?;
        if let Some(topic) = &request.topic
            && !group.topics.contains_key(topic)
        {
            return Err(AdminError::NotSubscribed {
                group: request.group.clone(),
                topic: topic.clone(),
            });
        }
        let wanted = group
            .topics
            .iter()
            .filter(|(name, _)| request.topic.as_ref().is_none_or(|topic| topic == *name));
        let mut keys = Vec::new();
        for (topic, shares) in wanted {
            match request.partition {
                None => keys.extend(shares),
                Some(partition) => {
                    let index = usize::try_from(partition).unwrap_or(usize::MAX);
                    let missing = || AdminError::UnknownPartition {
                        topic: topic.clone(),
                        partition,
                    };
                    keys.push(*shares.get(index).ok_or_else(missing)?);
                }
            }
        }
        Ok(keys)
    }

    fn submit_catalog(&mut self, changes: Vec<CatalogChange>, apply: StartChanges, reply: Reply) {
        let mut operations = Vec::new();
        for change in changes {
            let (register, forget) = self.sequencer_view(&change);
            // Names and numbers: there is nothing in a change that JSON could refuse.
            let bytes = change.encode().unwrap_or_default();
            operations.push(Operation::Catalog {
                change,
                bytes,
                register,
                forget,
            });
        }
        for (share, change) in &apply {
            operations.push(Operation::Share {
                share: *share,
                changes: vec![change.clone()],
            });
        }
        self.catalog_busy = true;
        self.submit(
            operations,
            Pending {
                apply,
                ..Pending::new(vec![], Then::Admin(Continuation { reply, catalog: true }))
            },
        );
    }

    fn sequencer_view(&mut self, change: &CatalogChange) -> (Vec<Registration>, Vec<PartitionKey>) {
        match change {
            CatalogChange::CreateTopic(topic) => {
                let gauge = self.world.fresh_gauge(&topic.name, &topic.config);
                (register(&topic.partitions, &gauge), vec![])
            }
            CatalogChange::AlterTopic {
                name,
                config,
                partitions,
                ..
            } => {
                let gauge = self.world.gauge(name, config);
                (register(partitions, &gauge), vec![])
            }
            CatalogChange::DeleteTopic { name } => (
                vec![],
                self.world
                    .catalog
                    .topic(name)
                    .map(|topic| topic.partitions.clone())
                    .unwrap_or_default(),
            ),
            _ => (vec![], vec![]),
        }
    }

    /// A change of the catalog is durable.
    pub(super) fn apply_catalog(&mut self, change: &CatalogChange) {
        // It was checked against the same catalog when it was submitted.
        let Ok(removed) = self.world.apply(change) else { return };
        self.window_bytes = self.window_bytes.saturating_sub(removed.freed);
        for partition in removed.partitions {
            self.window_bytes = self.window_bytes.saturating_sub(partition.window.bytes());
            self.forget_log(partition.key, super::upkeep::directory(&partition));
        }
        for (key, share) in removed.shares {
            if let Some(deadline) = share.deadline {
                self.deadlines.remove(&(deadline, key));
            }
            for member in self.members.values_mut() {
                member.shares.retain(|other| *other != key);
            }
        }
        for member in self.members.values_mut() {
            member.tell_gone();
        }
        match change {
            CatalogChange::AlterTopic { shares, .. } => {
                for group in shares.keys() {
                    self.refresh_members(group);
                }
            }
            // There may be more to be had for whoever waits.
            CatalogChange::AlterGroup { name, .. } => {
                let group = self.world.catalog.group(name).into_iter();
                let shares: Vec<ShareKey> = group
                    .flat_map(|group| group.topics.values().flatten())
                    .copied()
                    .collect();
                for key in shares {
                    self.schedule(key);
                    self.changed.insert(key);
                }
            }
            _ => {}
        }
        self.publish_routes();
    }

    pub(super) fn admin_done(
        &mut self,
        continuation: Continuation,
        result: Result<Option<(PartitionKey, Offset)>, AdminError>,
        now: Now,
    ) {
        let answer = result.map(|appended| match appended {
            Some((key, offset)) => {
                let partition = self.world.partitions.get(&key).map_or(0, |partition| partition.index);
                AdminReply::Appended(Receipt { partition, offset })
            }
            None => AdminReply::Done,
        });
        drop(continuation.reply.send(answer));
        if continuation.catalog {
            self.catalog_busy = false;
        }
        self.next_change(now);
    }

    /// Those who waited for their turn at the catalog.
    pub(super) fn next_change(&mut self, now: Now) {
        while !self.catalog_busy {
            let Some((request, reply)) = self.catalog_queue.pop_front() else {
                break;
            };
            self.administer(request, reply, now);
        }
    }

    /// A read of the log failed: requests that need what lies `at` the offset, or anything at all, fail.
    pub(super) fn refuse_reading(&mut self, key: PartitionKey, at: Option<Offset>, reason: &str) {
        let concerned = |request: &AdminRequest| match (request, at) {
            (AdminRequest::Redrive { offset, .. }, Some(at)) => *offset == at,
            _ => true,
        };
        let (failed, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.reading_admin)
            .into_iter()
            .partition(|one| one.0 == key && concerned(&one.1));
        self.reading_admin = others;
        for (_, _, reply) in failed {
            drop(reply.send(Err(AdminError::Log(reason.to_owned()))));
        }
    }

    /// The logs of deleted topics are gone, or not: those who wait to use their names again.
    pub(super) fn resume_creations(&mut self, failure: Option<&AdminError>, now: Now) {
        for (request, reply) in std::mem::take(&mut self.after_removal) {
            match failure {
                Some(error) => drop(reply.send(Err(error.clone()))),
                None => self.administer(request, reply, now),
            }
        }
    }

    /// A read of the log ended: requests that wait for it go on.
    pub(super) fn resume_admin(&mut self, key: PartitionKey, now: Now) {
        let (ready, others) = std::mem::take(&mut self.reading_admin)
            .into_iter()
            .partition(|one| one.0 == key);
        self.reading_admin = others;
        for (_, request, reply) in ready {
            self.administer(request, reply, now);
        }
    }
}

type StartChanges = Vec<(ShareKey, Change)>;

fn register(partitions: &[PartitionKey], gauge: &Arc<TopicGauge>) -> Vec<Registration> {
    let one = |partition: &PartitionKey| Registration {
        partition: *partition,
        end: Offset::ZERO,
        gauge: Arc::clone(gauge),
    };
    partitions.iter().map(one).collect()
}
