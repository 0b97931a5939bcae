//! Looking at a data directory and changing what is seen: one trait, spoken over HTTP to a running host or asked of an open engine.
//! The command line knows the trait alone. Types are plain values; the server and the client share them, so that a user reads the same
//! text either way.

mod archived;
mod client;
mod dead;
mod embedded;
mod error;
mod group;
#[cfg(feature = "kafka")]
mod kafka;
mod letter;
mod lines;
mod record;
mod server;
mod socket;
mod survey;
mod topic;
mod verify;

use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use archived::{Archived, ArchivedPage, ArchivedQuery, Forgotten, RecoverFailure, RecoverRequest, RecoverResult};
pub use client::AdminClient;
pub use dead::{
    DeadCause, DeadCauseError, DeadFilter, DeadLetter, DeadLetterDetail, DeadLetterId, DeadPage, DeadQuery,
    RedriveFailure, RedriveRequest, RedriveResult, Redriven, UnreadableLetters,
};
pub use embedded::{Deployed, EmbeddedAdmin};
pub use error::{AdminError, ErrorCode};
pub use group::{
    DeleteGroup, GroupDeleted, GroupDetail, GroupSummary, LeftAlone, Member, RecordState, RecordView, RecordsPage,
    RecordsQuery, ResetGroup, ResetPartition, ResetResult, ResetTo, SharePartitionView,
};
#[cfg(feature = "kafka")]
pub use kafka::{Beside, KafkaAdmin};
pub use record::{Header, ProduceOutcome, ProduceResult, ReadPage, ReadQuery, Record, StoredRecord};
pub use server::router;
pub use socket::{AdminSocket, SocketError, socket_path};
pub use survey::summaries;
pub use topic::{
    CreateTopic, DeleteTopic, PartitionBrokers, PartitionView, TopicDeleted, TopicDetail, TopicGroup, TopicSummary,
};
pub use verify::{Damage, Unchecked, VerifyReport};

/// Version of the admin protocol; raised when a client of the version before would misunderstand an answer.
pub const PROTOCOL: u32 = 1;

/// Records and results under way on each side of a produce stream.
pub const PRODUCE_BUFFER: usize = 1_024;

/// An answer that is on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, AdminError>> + Send + 'a>>;

/// Who answers: the first thing that a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// [`PROTOCOL`] of the host.
    pub protocol: u32,
    /// Version of the host.
    pub version: String,
    /// Process id of the host.
    pub pid: u32,
    /// Device and number of the data directory: a copy of it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

impl About {
    /// This process.
    pub fn this_process() -> Self {
        Self {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            directory: None,
        }
    }
}

/// What a directory is known by as long as it is there, whatever it is called.
fn directory_identity(data_dir: &std::path::Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(data_dir).ok()?;
    Some(format!("{}:{}", found.dev(), found.ino()))
}

/// Everything that the command line can ask of a data directory.
///
/// Implemented by [`AdminClient`] over the socket of a running host, over an open engine, and over a Kafka cluster.
pub trait Admin: Send + Sync {
    /// Who answers.
    fn about(&self) -> Answer<'_, About>;
    /// All topics, by name.
    fn topics(&self) -> Answer<'_, Vec<TopicSummary>>;
    /// One topic.
    fn topic<'a>(&'a self, topic: &'a str) -> Answer<'a, TopicDetail>;
    /// Creates a topic; refused if there is one of that name.
    fn create_topic(&self, request: CreateTopic) -> Answer<'_, TopicDetail>;
    /// Deletes a topic; without `force` refused while it has records or groups.
    fn delete_topic<'a>(&'a self, topic: &'a str, request: DeleteTopic) -> Answer<'a, TopicDeleted>;
    /// Appends what arrives on `records` and sends one result a record, in order, to `results`; ends when `records` does.
    /// Records with the same key, or for the same partition, are stored in the order of the stream. What there is no room for is
    /// tried again before anything behind it, until nothing has been taken for as long as `patience`.
    ///
    /// An error means that the stream as a whole ended. With [`ErrorCode::Full`], what has no result was not stored; with
    /// others it is unknown.
    fn produce<'a>(
        &'a self,
        topic: &'a str,
        patience: Duration,
        records: mpsc::Receiver<Record>,
        results: mpsc::Sender<ProduceResult>,
    ) -> Answer<'a, ()>;
    /// Records of a topic as they stand there. Acquires nothing and changes nothing.
    fn read<'a>(&'a self, topic: &'a str, query: ReadQuery) -> Answer<'a, ReadPage>;
    /// All share groups, by name.
    fn groups(&self) -> Answer<'_, Vec<GroupSummary>>;
    /// One share group.
    fn group<'a>(&'a self, group: &'a str) -> Answer<'a, GroupDetail>;
    /// Moves a group's start offset; refused while a member works on it, unless forced.
    fn reset_group<'a>(&'a self, group: &'a str, request: ResetGroup) -> Answer<'a, ResetResult>;
    /// Deletes a group; refused while a member works on it, and without `force` while it has unsettled records.
    fn delete_group<'a>(&'a self, group: &'a str, request: DeleteGroup) -> Answer<'a, GroupDeleted>;
    /// States of a group's records, by topic, partition and offset.
    fn records<'a>(&'a self, group: &'a str, query: RecordsQuery) -> Answer<'a, RecordsPage>;
    /// Dead letters, oldest first.
    fn dead_letters(&self, query: DeadQuery) -> Answer<'_, DeadPage>;
    /// One dead letter with its evidence.
    fn dead_letter(&self, id: DeadLetterId) -> Answer<'_, DeadLetterDetail>;
    /// The record that a redrive of a dead letter would append, for the partition that it would go to; fails where that would. Changes
    /// nothing, and does not ask whether the letter has been redriven.
    fn original(&self, id: DeadLetterId) -> Answer<'_, Record>;
    /// Appends dead letters to the topic they came from and takes them out, each in one step.
    fn redrive(&self, request: RedriveRequest) -> Answer<'_, RedriveResult>;
    /// Records that a group of a cluster has given up, by topic, partition and offset.
    fn archived<'a>(&'a self, group: &'a str, query: ArchivedQuery) -> Answer<'a, ArchivedPage> {
        let _ = query;
        Box::pin(async move { Err(archived::kept_as_letters(group)) })
    }
    /// Copies records that a group of a cluster has given up to a topic.
    fn recover<'a>(&'a self, group: &'a str, request: RecoverRequest) -> Answer<'a, RecoverResult> {
        let _ = request;
        Box::pin(async move { Err(archived::kept_as_letters(group)) })
    }
    /// Ends what was opened for this one command; a running host goes on.
    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}
