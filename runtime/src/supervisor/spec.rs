//! What the host needs to know of one deployment: plain data that the manifest is parsed into, ranges checked there.

use std::sync::Arc;
use std::time::Duration;

use crate::handler::InstanceMode;

/// One deployment: one member of one share group on one topic, and how its records are handled.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentSpec {
    /// Its name: unique in the host, label of its metrics.
    pub name: Arc<str>,
    /// Its share group.
    pub group: Arc<str>,
    /// Its topic.
    pub topic: Arc<str>,
    /// Records in handlers at once, over all lanes; at least 1.
    pub concurrency: u32,
    /// Whether an instance serves one record or many.
    pub instance: InstanceMode,
    /// Calls after which an instance is replaced; drawn anew for each from 20 % around.
    pub max_instance_reuse: u32,
    /// An instance without work is dropped after this time.
    pub idle_instance_timeout: Duration,
    /// One call.
    pub deadline: Duration,
    /// One attempt, renewals and parking included.
    pub max_lease: Duration,
    /// The group's acquisition lock: how long a lease is, and by how much it is extended.
    pub lock: Duration,
    /// Bytes of memory of one instance.
    pub memory: u64,
    /// Deliveries a record gets.
    pub attempts: u16,
    /// Delay of a release that names none.
    pub backoff: Backoff,
    /// The topic to which a record given up is copied; `None`: it is gone.
    pub dead_letter: Option<Arc<str>>,
    /// Records that will be started within this time are acquired ahead.
    pub lookahead: Duration,
    /// Of these, so many beyond the free places at most.
    pub most_ahead: usize,
    /// Bytes of records acquired and not finished.
    pub max_waiting_bytes: u64,
    /// Records started per second; `None`: as many as come.
    pub rate_limit: Option<f64>,
}

impl DeploymentSpec {
    /// 10,000.
    pub const MAX_INSTANCE_REUSE: u32 = 10_000;
    /// 10 s.
    pub const IDLE_INSTANCE_TIMEOUT: Duration = Duration::from_secs(10);
    /// 30 s.
    pub const DEADLINE: Duration = Duration::from_secs(30);
    /// 10 min.
    pub const MAX_LEASE: Duration = Duration::from_mins(10);
    /// 30 s, Kafka's default.
    pub const LOCK: Duration = Duration::from_secs(30);
    /// 64 MiB.
    pub const MEMORY: u64 = 64 << 20;
    /// 5, Kafka's default.
    pub const ATTEMPTS: u16 = 5;
    /// 16.
    pub const CONCURRENCY: u32 = 16;
    /// 5 ms.
    pub const LOOKAHEAD: Duration = Duration::from_millis(5);
    /// 16,384.
    pub const MOST_AHEAD: usize = 16_384;
    /// 64 MiB.
    pub const MAX_WAITING_BYTES: u64 = 64 << 20;

    /// A deployment with every default; the group is named after it.
    pub fn new(name: &str, topic: &str) -> Self {
        let name: Arc<str> = Arc::from(name);
        Self {
            group: name.clone(),
            topic: Arc::from(topic),
            concurrency: Self::CONCURRENCY,
            instance: InstanceMode::Reuse,
            max_instance_reuse: Self::MAX_INSTANCE_REUSE,
            idle_instance_timeout: Self::IDLE_INSTANCE_TIMEOUT,
            deadline: Self::DEADLINE,
            max_lease: Self::MAX_LEASE,
            lock: Self::LOCK,
            memory: Self::MEMORY,
            attempts: Self::ATTEMPTS,
            backoff: Backoff::default(),
            dead_letter: Some(Arc::from(format!("{name}.dead"))),
            lookahead: Self::LOOKAHEAD,
            most_ahead: Self::MOST_AHEAD,
            max_waiting_bytes: Self::MAX_WAITING_BYTES,
            rate_limit: None,
            name,
        }
    }
}

/// Delay between attempts: `first`, doubled for each further one up to `max`, moved at random by up to `jitter` of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// After the first attempt.
    pub first: Duration,
    /// Never longer, jitter included.
    pub max: Duration,
    /// 0 to 1.
    pub jitter: f64,
}

impl Default for Backoff {
    /// 1 s, 5 min, 0.2.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            max: Duration::from_mins(5),
            jitter: 0.2,
        }
    }
}
