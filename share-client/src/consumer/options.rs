//! What a member of a group wants, and how much at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use super::JoinError;

/// Which group a consumer joins, and how it behaves there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinOptions {
    /// The share group: not empty.
    pub group: String,
    /// Names of topics: at least one, none twice. One that does not exist yet is consumed as soon as it does.
    pub topics: Vec<String>,
    /// The member's id, 1 to 36 characters, which nobody else in the group may have. `None`: one is made up.
    pub member: Option<String>,
    /// How long a fetch waits at a broker for records while nothing is held of it: 500 ms, and no longer than
    /// `fetch.wait.max.ms`.
    pub max_wait: Duration,
    /// The same while something is held: 20 ms. A settlement waits so long at most before it leaves.
    pub max_wait_held: Duration,
    /// How long [`super::ShareConsumer::join`] tries while nobody can be reached: 30 s.
    pub join_within: Duration,
    /// How long [`super::ShareConsumer::close`] takes at most: 5 s.
    pub close_within: Duration,
}

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// At most this many records; 0 counts as 1. Below [`Credit::EXACT_BELOW`] the limit is kept exactly (`record_limit`);
    /// from there on whole batches come, which may be a little more (`batch_optimized`), since that costs brokers far less.
    pub records: u32,
    /// At most about this many bytes, but for one batch; 0 counts as 1.
    pub bytes: u64,
}

impl JoinOptions {
    /// A member of this group that consumes these topics; all else by default.
    pub fn new(group: &str, topics: &[&str]) -> Self {
        Self {
            group: group.to_owned(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            member: None,
            max_wait: Duration::from_millis(500),
            max_wait_held: Duration::from_millis(20),
            join_within: Duration::from_secs(30),
            close_within: Duration::from_secs(5),
        }
    }
}

impl JoinOptions {
    pub(super) fn check(&self) -> Result<(), JoinError> {
        let wrong = |option, reason: &str| {
            Err(JoinError::Option {
                option,
                reason: reason.to_owned(),
            })
        };
        if self.group.is_empty() || self.group.len() > NAME_MAX {
            return wrong("group", "1 to 249 bytes are needed");
        }
        if self.topics.is_empty()
            || self
                .topics
                .iter()
                .any(|topic| topic.is_empty() || topic.len() > NAME_MAX)
        {
            return wrong("topics", "at least one is needed, each of 1 to 249 bytes");
        }
        if self.topics.iter().collect::<BTreeSet<_>>().len() < self.topics.len() {
            return wrong("topics", "one of them is named twice");
        }
        let length = self.member.as_ref().map_or(1, |member| member.chars().count());
        if !(1..=MEMBER_MAX).contains(&length) {
            return wrong("member", "1 to 36 characters are needed");
        }
        Ok(())
    }
}

impl Credit {
    /// From so many records on, whole batches come.
    pub const EXACT_BELOW: u32 = 256;
}

/// Bytes of a topic's name, as Kafka has it; of a group's, so that it can be read.
const NAME_MAX: usize = 249;

/// Characters of a member's id, as Kafka has it.
const MEMBER_MAX: usize = 36;
