//! How a consumer stands, for people and metrics.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Address;
use crate::session::TopicPartition;

/// How a consumer stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The share group.
    pub group: String,
    /// The member's id.
    pub member: String,
    /// The member's epoch; 0 while it is not in the group.
    pub epoch: i32,
    /// The broker that coordinates the group, if it is known.
    pub coordinator: Option<Address>,
    /// How often the coordinator wants to hear of the member, if it has said so.
    pub heartbeat_interval: Option<Duration>,
    /// What is assigned.
    pub assignment: Vec<AssignedPartition>,
    /// Brokers that lead or have led assigned partitions, by their numbers.
    pub brokers: Vec<BrokerSnapshot>,
    /// How long records are acquired for, as brokers last said it.
    pub lock: Option<Duration>,
    /// Offsets that were fetched and that nobody has asked for yet.
    pub ready: u64,
    /// What went wrong last, with the coordinator or in looking up leaders.
    pub last_error: Option<String>,
}

/// A partition that is assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedPartition {
    /// The topic's name, if it is known.
    pub topic: Option<Arc<str>>,
    /// The partition.
    pub place: TopicPartition,
    /// The broker that leads it, if it is known.
    pub leader: Option<i32>,
}

/// How a consumer stands with one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSnapshot {
    /// The broker's number.
    pub id: i32,
    /// Where it is.
    pub address: Address,
    /// Whether it can be reached.
    pub link: Link,
    /// Assigned partitions that it leads.
    pub partitions: u32,
    /// Leases that are held of it, those that are being settled included.
    pub held: u64,
    /// Settlements and renewals that have no result yet.
    pub unsettled: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Offsets that were acquired.
    pub acquired: u64,
    /// Connections that were made.
    pub connects: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// A connection to a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// There is none, since none is needed.
    #[default]
    Idle,
    /// It is being made.
    Connecting,
    /// It stands.
    Connected,
    /// It could not be made the last time; it is tried again.
    Unreachable,
}

impl Snapshot {
    /// Leases that are held of all brokers, those that are being settled included.
    pub fn held(&self) -> u64 {
        self.brokers.iter().map(|broker| broker.held).sum()
    }
}
