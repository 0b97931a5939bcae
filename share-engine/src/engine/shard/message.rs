//! What the shard is told and what it tells the reader.

use bytes::Bytes;

use super::deliver::Consignment;
use crate::catalog::{Group, Topic};
use crate::config::{GroupConfig, TopicConfig};
use crate::drain::DrainDone;
use crate::engine::describe::{GroupDescription, RecordInfo, TopicDescription};
use crate::engine::handle::Receipt;
use crate::engine::message::FromJournal;
use crate::engine::reply::Sender;
use crate::engine::reset::ResetGroup;
use crate::error::{AdminError, Fenced, SettleResult};
use crate::ids::{LeaseKey, MemberIndex, Offset, PartitionKey};
use crate::letter::Evidence;
use crate::log::{LogError, LogReader};
use crate::record::StoredBatch;
use crate::share::{AcquireMode, Refusal, Verdict};
use crate::time::{Instant, WallTime};

/// What the shard is told.
pub(crate) enum ToShard {
    Journal(FromJournal),
    Request(Box<Request>),
    Loaded(Loaded),
    Overtaken(Overtaken),
    Found(Vec<Found>),
    Drained(DrainDone),
}

/// What the reader is asked for.
pub(crate) enum ToReader {
    /// Batches from an offset on.
    Read {
        log: LogReader,
        from: Offset,
        max_bytes: u64,
        answer: ReadFor,
    },
    /// The first records that are young enough.
    Find(Vec<(PartitionKey, LogReader, WallTime)>),
    /// End.
    Stop,
}

/// The first record of a log that is young enough.
pub(crate) struct Found {
    pub(crate) partition: PartitionKey,
    /// The log as it was listed then.
    pub(crate) log: LogReader,
    pub(crate) result: Result<Option<Offset>, LogError>,
}

/// Who wants what was read.
pub(crate) enum ReadFor {
    /// The shard, to acquire or to copy into a dead letter. `careful`: as little as can be read, since a longer read
    /// failed somewhere.
    Shard { partition: PartitionKey, careful: bool },
    /// A caller.
    Caller(Caller),
}

/// Who reads a topic, and which.
pub(crate) struct Caller {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) reply: Sender<Result<Vec<StoredBatch>, AdminError>>,
}

/// A caller's read that missed a file: its segment may have been dropped since the log was listed.
pub(crate) struct Overtaken {
    pub(crate) caller: Caller,
    pub(crate) from: Offset,
    pub(crate) max_bytes: u64,
    /// What was read, as it was listed then.
    pub(crate) log: LogReader,
    /// The answer if nothing was dropped.
    pub(crate) error: AdminError,
}

/// What the reader found.
pub(crate) struct Loaded {
    pub(crate) partition: PartitionKey,
    pub(crate) from: Offset,
    pub(crate) careful: bool,
    /// What was read, as it was listed then.
    pub(crate) log: LogReader,
    pub(crate) result: Result<Vec<StoredBatch>, LogError>,
}

/// One settlement as the shard takes it.
pub(crate) struct SettleItem {
    pub(crate) lease: LeaseKey,
    pub(crate) verdict: Verdict,
    pub(crate) emit: Vec<EmitBatch>,
    pub(crate) evidence: Option<Box<Evidence>>,
}

/// Emitted records for one partition, encoded by the caller.
pub(crate) struct EmitBatch {
    pub(crate) partition: PartitionKey,
    pub(crate) batch: Bytes,
    pub(crate) records: u32,
}

/// What handles ask for.
pub(crate) enum Request {
    Acquire {
        member: MemberIndex,
        max_records: u32,
        max_bytes: u64,
        mode: AcquireMode,
        reply: Sender<Result<Option<Consignment>, AdminError>>,
    },
    Settle {
        items: Vec<SettleItem>,
        reply: Sender<Vec<SettleResult>>,
    },
    Extend {
        leases: Vec<LeaseKey>,
        reply: Sender<Vec<Result<Instant, Refusal>>>,
    },
    /// Records that were acquired for a caller who had gone.
    Abandon {
        leases: Vec<LeaseKey>,
    },
    Join {
        group: String,
        topics: Vec<String>,
        reply: Sender<Result<MemberIndex, AdminError>>,
    },
    Leave {
        member: MemberIndex,
        reply: Sender<Result<(), AdminError>>,
    },
    Admin(AdminRequest, Sender<Result<AdminReply, AdminError>>),
    Read {
        topic: String,
        partition: u32,
        from: Offset,
        max_bytes: u64,
        reply: Sender<Result<Vec<StoredBatch>, AdminError>>,
    },
    Close {
        reply: Sender<Result<(), Fenced>>,
    },
}

/// Topics, groups and queries.
#[derive(Debug, Clone)]
pub(crate) enum AdminRequest {
    CreateTopic {
        name: String,
        config: TopicConfig,
    },
    AlterTopic {
        name: String,
        config: TopicConfig,
    },
    DeleteTopic {
        name: String,
    },
    CreateGroup {
        name: String,
        config: GroupConfig,
    },
    AlterGroup {
        name: String,
        config: GroupConfig,
    },
    Subscribe {
        group: String,
        topic: String,
    },
    DeleteGroup {
        name: String,
        force: bool,
    },
    ResetGroup(ResetGroup),
    Redrive {
        topic: String,
        partition: u32,
        offset: Offset,
    },
    Topics,
    Groups,
    DescribeTopic {
        name: String,
    },
    DescribeGroup {
        name: String,
        now: Instant,
    },
    Records {
        group: String,
        topic: String,
        partition: u32,
        from: Offset,
        limit: usize,
        now: Instant,
    },
    Drain,
}

/// What an admin request is answered with.
#[derive(Debug, Clone)]
pub(crate) enum AdminReply {
    Done,
    /// Where the record went.
    Appended(Receipt),
    Topics(Vec<Topic>),
    Groups(Vec<Group>),
    Topic(Box<TopicDescription>),
    Group(Box<GroupDescription>),
    Records(Vec<RecordInfo>),
}

impl Request {
    /// Whether it makes sense when nothing can be written any more.
    pub(crate) fn works_fenced(&self) -> bool {
        match self {
            Self::Close { .. } | Self::Leave { .. } | Self::Read { .. } => true,
            Self::Admin(request, _) => request.only_looks(),
            Self::Acquire { .. }
            | Self::Settle { .. }
            | Self::Extend { .. }
            | Self::Abandon { .. }
            | Self::Join { .. } => false,
        }
    }

    /// Answers that the engine is fenced.
    pub(crate) fn refuse(self, fenced: &Fenced) {
        let error = || AdminError::Fenced(fenced.clone());
        match self {
            Self::Acquire { reply, .. } => drop(reply.send(Err(error()))),
            Self::Settle { items, reply } => drop(reply.send(vec![SettleResult::Unknown; items.len()])),
            Self::Extend { leases, reply } => {
                let stale = leases.iter().map(|lease| Err(Refusal::Stale(lease.offset)));
                drop(reply.send(stale.collect()));
            }
            Self::Join { reply, .. } => drop(reply.send(Err(error()))),
            Self::Admin(_, reply) => drop(reply.send(Err(error()))),
            Self::Abandon { .. } | Self::Leave { .. } | Self::Read { .. } | Self::Close { .. } => {}
        }
    }
}

impl AdminRequest {
    /// Whether it waits for the one before it.
    pub(super) fn takes_turns(&self) -> bool {
        !self.only_looks() && !matches!(self, Self::Drain)
    }

    /// The topic that it makes, if there is none of the name.
    pub(super) fn new_topic(&self) -> Option<&str> {
        match self {
            Self::CreateTopic { name, .. } => Some(name),
            Self::CreateGroup { config, .. } | Self::AlterGroup { config, .. } => config.dead_letter.as_deref(),
            _ => None,
        }
    }

    fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::Topics
                | Self::Groups
                | Self::DescribeTopic { .. }
                | Self::DescribeGroup { .. }
                | Self::Records { .. }
        )
    }
}
