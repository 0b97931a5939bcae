//! What a member of a group wants, and how much at a time.

use std::time::Duration;

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

impl Credit {
    /// From so many records on, whole batches come.
    pub const EXACT_BELOW: u32 = 500;
}
