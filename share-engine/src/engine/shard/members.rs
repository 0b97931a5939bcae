//! Members of groups: who waits for records. A member lives as long as its handle; it has no heartbeat.

use std::collections::VecDeque;

use super::deliver::Consignment;
use super::{Shard, Then};
use crate::engine::reply::Sender;
use crate::error::{AdminError, Fenced};
use crate::ids::{MemberIndex, ShareKey};
use crate::share::AcquireMode;
use crate::time::Now;

/// One member.
pub(crate) struct Member {
    pub(crate) group: String,
    pub(crate) shares: Vec<ShareKey>,
    /// Which share partition is asked first; moves on, for fairness.
    pub(crate) rotor: usize,
    /// Acquisitions in the order in which they came.
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) topics: Vec<String>,
}

/// An acquisition that waits for records.
pub(crate) struct Waiting {
    pub(crate) max_records: u32,
    pub(crate) max_bytes: u64,
    pub(crate) mode: AcquireMode,
    pub(crate) reply: Sender<Result<Option<Consignment>, AdminError>>,
}

impl Waiting {
    pub(crate) fn fence(self, fenced: &Fenced) {
        drop(self.reply.send(Err(AdminError::Fenced(fenced.clone()))));
    }
}

impl Member {
    /// Answers who waits for records of topics that are all gone. Whether they are.
    pub(crate) fn tell_gone(&mut self) -> bool {
        let is_gone = self.shares.is_empty();
        if is_gone {
            for waiting in self.waiting.drain(..) {
                let (group, topic) = (self.group.clone(), self.topics.join(", "));
                drop(waiting.reply.send(Err(AdminError::NotSubscribed { group, topic })));
            }
        }
        is_gone
    }

    pub(crate) fn fence(&mut self, fenced: &Fenced) {
        for waiting in self.waiting.drain(..) {
            waiting.fence(fenced);
        }
    }
}

impl Shard {
    pub(super) fn join(&mut self, group: &str, topics: &[String], reply: Sender<Result<MemberIndex, AdminError>>) {
        drop(reply.send(self.try_join(group, topics)));
    }

    fn try_join(&mut self, name: &str, topics: &[String]) -> Result<MemberIndex, AdminError> {
        let unknown = || crate::catalog::CatalogError::UnknownGroup(name.to_owned());
        let group = self.world.catalog.group(name).ok_or_else(unknown)?;
        let mut shares = Vec::new();
        for topic in topics {
            let missing = || AdminError::NotSubscribed {
                group: name.to_owned(),
                topic: topic.clone(),
            };
            shares.extend(group.topics.get(topic).ok_or_else(missing)?);
        }
        let index = MemberIndex(self.next_member);
        self.next_member += 1;
        self.changed.extend(&shares);
        let member = Member {
            group: name.to_owned(),
            shares,
            rotor: 0,
            waiting: VecDeque::new(),
            topics: topics.to_vec(),
        };
        self.members.insert(index, member);
        Ok(index)
    }

    /// What a leaving member still holds becomes available at once.
    pub(super) fn leave(&mut self, index: MemberIndex, reply: Sender<Result<(), AdminError>>, now: Now) {
        if let Some(member) = self.members.remove(&index)
            && self.fenced.is_none()
        {
            for key in member.shares {
                self.leaving.push((index, key));
                self.release_left(key, now);
            }
        }
        drop(reply.send(Ok(())));
    }

    /// Releases what members that left still hold. A record with a change under way stays until that is decided: if the
    /// journal refuses it, the record would be held by nobody until its lease ends, or past the end of the process.
    pub(super) fn release_left(&mut self, key: ShareKey, now: Now) {
        let left: Vec<MemberIndex> = self
            .leaving
            .iter()
            .filter(|one| one.1 == key)
            .map(|one| one.0)
            .collect();
        for index in left {
            self.limit_letters(key);
            self.settle_all(
                key,
                now,
                || Then::Nothing,
                |state, now| state.release_member(index, now),
            );
        }
        let shares = &self.world.shares;
        self.leaving
            .retain(|(index, key)| shares.get(key).is_some_and(|share| share.state.holds(*index)));
    }

    /// A topic got more partitions: its members take them up.
    pub(super) fn refresh_members(&mut self, group: &str) {
        let Some(entry) = self.world.catalog.group(group) else {
            return;
        };
        for member in self.members.values_mut().filter(|member| member.group == group) {
            member.shares = member
                .topics
                .iter()
                .filter_map(|topic| entry.topics.get(topic))
                .flatten()
                .copied()
                .collect();
            self.changed.extend(&member.shares);
        }
    }
}
