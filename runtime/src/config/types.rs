//! The manifest as values: parsed, every default filled in, paths absolute. Nothing behind this border validates again.
//! Serialised in the form in which it is written, so that printing and loading gives the same manifest.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::http::{HttpGrant, HttpLimits};
use super::kafka::{KafkaSource, Secret};
use super::units::{format_duration, format_size};
use super::values::{Retention, Start};

/// A manifest that can be run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    /// Where it was read from.
    #[serde(skip)]
    pub file: PathBuf,
    /// The process as a whole.
    pub host: Host,
    /// Where records come from, by name; never empty.
    pub sources: BTreeMap<String, Source>,
    /// Every topic that is listed or named anywhere, by name.
    pub topics: BTreeMap<String, Topic>,
    /// Handlers and what they work on, by name.
    pub deployments: BTreeMap<String, Deployment>,
}

/// Which defaults apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Laptops and servers.
    #[default]
    Default,
    /// Small machines.
    Edge,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The process as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Host {
    /// Which defaults apply.
    pub profile: Profile,
    /// Threads that run handlers, 1 to 256; `None`: one per core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u32>,
    /// What running handlers get after the first signal.
    #[serde(serialize_with = "duration")]
    pub drain_timeout: Duration,
    /// Where compiled components are kept.
    pub cache_dir: PathBuf,
    /// Address that serves Prometheus text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// Log filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// It is on disk.
    Sync,
    /// The operating system has it.
    Os,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Source {
    /// An engine in this process.
    Embedded(EmbeddedSource),
    /// A Kafka cluster.
    Kafka(KafkaSource),
}

impl Source {
    /// The folder where a host on it answers.
    pub fn data_dir(&self) -> &Path {
        match self {
            Self::Embedded(source) => &source.data_dir,
            Self::Kafka(source) => &source.data_dir,
        }
    }

    /// Whether it is a Kafka cluster.
    pub fn is_kafka(&self) -> bool {
        matches!(self, Self::Kafka(_))
    }
}

/// An engine in this process.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EmbeddedSource {
    /// Folder that holds everything durable.
    pub data_dir: PathBuf,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// Bytes that the journal may grow to.
    #[serde(serialize_with = "size")]
    pub journal_size: u64,
    /// Bytes of records in memory before they drain.
    #[serde(serialize_with = "size")]
    pub memory_window: u64,
    /// Bytes of disk held back; 0 for none.
    #[serde(serialize_with = "size")]
    pub reserve: u64,
}

impl EmbeddedSource {
    /// A source of which nothing but the directory is given.
    pub fn with_defaults(data_dir: PathBuf, profile: Profile) -> Self {
        super::source::default_source(data_dir, profile)
    }
}

/// What happens when a topic has reached `max-bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// Producing fails.
    Refuse,
    /// The oldest records go, processed or not.
    DropOldest,
}

impl OnFull {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::DropOldest => "drop-oldest",
        }
    }
}

/// Why a topic is part of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It has a table of its own.
    Listed,
    /// A deployment works on it.
    Consumed,
    /// A deployment may emit to it.
    Emitted,
    /// It takes dead letters; created with the first one.
    DeadLetter,
    /// It takes what would keep a window from moving on, on Kafka; created with the first record.
    Retry,
}

/// One topic. What is always given for an embedded engine is, on Kafka, `None` where the cluster decides or has no such thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Topic {
    /// Why it is here.
    #[serde(skip)]
    pub origin: Origin,
    /// The source it lives in.
    pub source: String,
    /// 1 to 1,000.
    pub partitions: u32,
    /// Bytes on disk over all partitions; `None` on Kafka.
    #[serde(serialize_with = "size_if_any", skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// What happens there; `None` on Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_full: Option<OnFull>,
    /// Bytes after which a segment is closed.
    #[serde(serialize_with = "size_if_any", skip_serializing_if = "Option::is_none")]
    pub segment_bytes: Option<u64>,
    /// How long records are kept; never `Queue` on Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// How instances are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceMode {
    /// One record after another.
    Reuse,
    /// A new one for each record.
    Fresh,
}

/// Delay before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Backoff {
    /// After the first attempt.
    #[serde(serialize_with = "duration")]
    pub first: Duration,
    /// What it grows to.
    #[serde(serialize_with = "duration")]
    pub max: Duration,
    /// Random share of the delay, 0 to 1.
    pub jitter: f64,
}

/// Where a record goes on Kafka that is held for later and keeps the window of its partition from moving on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryTopic {
    /// To this topic, of the same group.
    Topic(String),
    /// It stays, and the window stands still.
    Off,
}

impl RetryTopic {
    /// The topic, if there is one.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Self::Topic(name) => Some(name),
            Self::Off => None,
        }
    }
}

impl Serialize for RetryTopic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Topic(name) => serializer.serialize_str(name),
            Self::Off => serializer.serialize_bool(false),
        }
    }
}

/// A handler and what it works on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Deployment {
    /// The component file.
    pub component: PathBuf,
    /// The topic whose records it handles.
    pub topic: String,
    /// The source of that topic.
    pub source: String,
    /// The share group that it joins.
    pub group: String,
    /// Whether it is run.
    pub enabled: bool,
    /// Records in the handler at the same time, 1 to 10,000.
    pub concurrency: u32,
    /// How instances are used.
    pub instance: InstanceMode,
    /// What one call may take.
    #[serde(serialize_with = "duration")]
    pub deadline: Duration,
    /// What one attempt may take, parking included.
    #[serde(serialize_with = "duration")]
    pub max_lease: Duration,
    /// Acquisition lock, 1 s to 60 s, on Kafka to 1 h; `None`, on Kafka only: as the group or its cluster is set.
    #[serde(serialize_with = "duration_if_any", skip_serializing_if = "Option::is_none")]
    pub lock: Option<Duration>,
    /// Bytes that one instance may allocate.
    #[serde(serialize_with = "size")]
    pub memory: u64,
    /// Deliveries before a record becomes a dead letter, 1 to 10, on Kafka to 9.
    pub attempts: u32,
    /// Topic for dead letters; `None` drops them.
    #[serde(serialize_with = "name_or_false")]
    pub dead_letter: Option<String>,
    /// Where records go that would keep a window from moving on; `None` where an embedded engine has no such window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_topic: Option<RetryTopic>,
    /// Where the group begins when it is created; `None`, on Kafka only: as the group or its cluster is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Delay before the next attempt.
    pub backoff: Backoff,
    /// Bounds of the requests that the handler sends.
    pub http: HttpLimits,
    /// Passed to the handler's `configure`.
    pub settings: BTreeMap<String, String>,
    /// Values of `wasi:config` that are elsewhere; disjoint with those of the grants.
    pub secrets: BTreeMap<String, Secret>,
    /// What the handler may reach.
    pub grants: Grants,
}

impl Deployment {
    /// The acquisition lock of a group that nobody has set one for.
    pub const LOCK: Duration = Duration::from_secs(30);
}

/// What a handler may reach; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// Topics that it may produce to.
    pub emit: Vec<String>,
    /// Values that `wasi:config` answers with.
    pub config: BTreeMap<String, String>,
    /// Environment variables.
    pub env: BTreeMap<String, EnvValue>,
    /// Folders that it may open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileGrant>,
    /// Servers that it may send requests to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpGrant>,
}

/// Where an environment variable of a handler has its value from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EnvValue {
    /// Given in the manifest.
    Literal(String),
    /// Taken from this variable of the host when it starts.
    Inherited {
        /// The host's variable.
        from: String,
    },
}

/// What a handler may do in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Open and list.
    Read,
    /// Create, change and delete, too.
    ReadWrite,
}

/// A folder that a handler may open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileGrant {
    /// Folder on this machine.
    pub host: PathBuf,
    /// Absolute path under which the handler sees it.
    pub guest: String,
    /// What it may do there.
    pub access: Access,
}

fn duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*value))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn size<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_size(*value))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn name_or_false<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(name) => serializer.serialize_str(name),
        None => serializer.serialize_bool(false),
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn size_if_any<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(format_size).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn duration_if_any<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(format_duration).serialize(serializer)
}
