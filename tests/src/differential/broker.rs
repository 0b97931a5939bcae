//! Kafka's side: a share partition of a real broker, its members with a connection and a share session each, and somebody beside
//! them who never acquires anything and asks what is there.
//!
//! Brokers do not ask whether a member has joined when it fetches or acknowledges, so that none does: the group is made by
//! setting its start offset.

use std::collections::BTreeMap;

use share_engine::share::{AckType, AcquireMode};
use share_wire::code::ErrorCode;
use share_wire::kafka::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use share_wire::kafka::create_topics_request::CreatableTopic;
use share_wire::kafka::produce_request::{PartitionProduceData, TopicProduceData};
use share_wire::kafka::read_share_group_state_request::{PartitionData, ReadStateData};
use share_wire::kafka::{
    AlterShareGroupOffsetsRequest, CreateTopicsRequest, FindCoordinatorRequest, ProduceRequest,
    ReadShareGroupStateRequest, StrBytes,
};
use share_wire::message::{
    self, AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch, DescribeShareGroupOffsetsRequest,
    FetchPartition, FetchTopic, FetchedPartition, GroupTopics, ShareAcknowledgeRequest, ShareFetchRequest,
};
use share_wire::records::{NewBatch, NewRecord};
use share_wire::{Bytes, Uuid};

use super::operation::{Batch, Got, number};
use super::talk::{ReadState, Talk};
use super::{MEMBERS, until};

/// See the module.
pub(crate) struct BrokerSide {
    address: String,
    /// Of the group and of its topic.
    name: String,
    topic_id: Uuid,
    members: [Member; MEMBERS],
    watcher: Member,
    control: Talk,
}

/// One member id with what it has at the broker.
#[derive(Default)]
struct Member {
    connection: Option<Talk>,
    /// Of its next request; 0: it has no session.
    epoch: i32,
}

/// As many as any sequence has in its log.
const MAX_BYTES: i32 = 16 << 20;

/// Ids as Kafka's own clients make them: 16 bytes in base64.
const IDS: [&str; MEMBERS + 1] = [
    "AAAAAAAAAAAAAAAAAAAAAQ",
    "AAAAAAAAAAAAAAAAAAAAAg",
    "AAAAAAAAAAAAAAAAAAAAAw",
    "AAAAAAAAAAAAAAAAAAAABA",
];
const WATCHER: usize = MEMBERS;

/// What a broker says when it has run into an error of its own. The session goes on.
pub(crate) const UNKNOWN_SERVER_ERROR: ErrorCode = ErrorCode(-1);

impl BrokerSide {
    /// A topic with one partition, and a group that begins with its first record.
    pub(crate) fn new(address: &str, name: String) -> anyhow::Result<Self> {
        let mut control = Talk::to(address)?;
        let topic = CreatableTopic::default()
            .with_name(text(&name).into())
            .with_num_partitions(1)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        let created = control.ask(&request)?;
        let created = created.topics.first().unwrap();
        anyhow::ensure!(created.error_code == 0, "no topic {name}: {created:?}");
        let topic_id = created.topic_id;
        let partition = AlterShareGroupOffsetsRequestPartition::default().with_start_offset(0);
        let topic = AlterShareGroupOffsetsRequestTopic::default()
            .with_topic_name(text(&name).into())
            .with_partitions(vec![partition]);
        let request = AlterShareGroupOffsetsRequest::default()
            .with_group_id(text(&name).into())
            .with_topics(vec![topic]);
        let coordinator = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(&name)]);
        // To ask where the coordinator is makes it. Then it has to hear of the topic.
        until(&format!("a group {name}"), || {
            control.ask(&coordinator)?;
            let altered = control.ask(&request)?;
            let mut partitions = altered.responses.iter().flat_map(|topic| &topic.partitions);
            let is_set = altered.error_code == 0 && partitions.next().is_some_and(|one| one.error_code == 0);
            Ok(is_set.then_some(()))
        })?;
        let mut side = Self {
            address: address.to_owned(),
            name,
            topic_id,
            members: Default::default(),
            watcher: Member::default(),
            control,
        };
        side.open(WATCHER)?;
        Ok(side)
    }

    /// One batch with so many records; returns the offset of the first.
    pub(crate) fn produce(&mut self, values: &[Vec<u8>]) -> anyhow::Result<u64> {
        let record = |value| NewRecord {
            timestamp: 1_700_000_000_000,
            value: Some(value),
            ..NewRecord::default()
        };
        let records: Vec<NewRecord<'_>> = values.iter().map(|value| record(value.as_slice())).collect();
        let batch: Bytes = NewBatch::default().encode(&records)?;
        let partition = PartitionProduceData::default().with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(text(&self.name).into())
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]);
        let control = &mut self.control;
        until("a record batch in the log", || {
            let produced = control.ask(&request)?;
            let partition = &produced.responses[0].partition_responses[0];
            match ErrorCode(partition.error_code) {
                ErrorCode::NONE => Ok(Some(u64::try_from(partition.base_offset)?)),
                // The broker has yet to hear that it leads the new partition.
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::NOT_LEADER_OR_FOLLOWER => Ok(None),
                code => anyhow::bail!("a produce was refused: {code}"),
            }
        })
    }

    /// What a fetch acquires. It waits at the broker for so many milliseconds at most.
    pub(crate) fn acquire(
        &mut self,
        member: usize,
        max: u32,
        batch_size: u32,
        mode: AcquireMode,
        wait: i32,
    ) -> anyhow::Result<Vec<Got>> {
        self.open(member)?;
        let request = ShareFetchRequest {
            max_wait_ms: wait,
            min_bytes: 1,
            max_bytes: MAX_BYTES,
            max_records: i32::try_from(max)?,
            batch_size: i32::try_from(batch_size)?,
            acquire_mode: match mode {
                AcquireMode::BatchOptimized => message::AcquireMode::BatchOptimized,
                AcquireMode::RecordLimit => message::AcquireMode::RecordLimit,
            },
            topics: Vec::new(),
            ..self.fetch(member)
        };
        let Some(fetched) = self.ask_fetch(member, &request)? else {
            return Ok(Vec::new());
        };
        let got = fetched.acquired.iter().map(|acquired| {
            Ok(Got {
                first: u64::try_from(acquired.first_offset)?,
                last: u64::try_from(acquired.last_offset)?,
                count: u16::try_from(acquired.delivery_count)?,
            })
        });
        got.collect()
    }

    /// What the broker says of one request.
    pub(crate) fn acknowledge(&mut self, member: usize, batches: &[Batch]) -> anyhow::Result<ErrorCode> {
        self.open(member)?;
        let epoch = self.member(member).epoch;
        let code = self.ask_acknowledge(member, epoch, batches)?;
        self.member(member).epoch += 1;
        Ok(code)
    }

    /// Closes the member's session; what it says of the last acknowledgements.
    pub(crate) fn leave(&mut self, member: usize, batches: &[Batch]) -> anyhow::Result<ErrorCode> {
        self.open(member)?;
        let code = self.ask_acknowledge(member, -1, batches)?;
        self.member(member).epoch = 0;
        Ok(code)
    }

    /// The next request of the member comes over a new connection.
    pub(crate) fn kill(&mut self, member: usize) {
        *self.member(member) = Member::default();
    }

    /// Opens another session for the member in the place of the one it has.
    pub(crate) fn reopen(&mut self, member: usize, other_connection: bool) -> anyhow::Result<()> {
        let one = self.member(member);
        one.epoch = 0;
        let old = if other_connection { one.connection.take() } else { None };
        self.open(member)?;
        drop(old);
        Ok(())
    }

    /// Whether this is the start offset: whoever holds nothing may acknowledge what lies before it, and nothing else.
    pub(crate) fn starts_at(&mut self, offset: u64) -> anyhow::Result<bool> {
        let before = match offset.checked_sub(1) {
            Some(before) => self.probe(before)? == ErrorCode::NONE,
            None => true,
        };
        Ok(before && self.probe(offset)? != ErrorCode::NONE)
    }

    fn probe(&mut self, offset: u64) -> anyhow::Result<ErrorCode> {
        let batch = Batch {
            first: offset,
            last: offset,
            types: vec![AckType::Accept],
        };
        self.acknowledge(WATCHER, &[batch])
    }

    /// What the share coordinator has: start offset, and state and delivery count of each record.
    pub(crate) fn written(&mut self) -> anyhow::Result<(u64, Written)> {
        let partition = PartitionData::default().with_partition(0).with_leader_epoch(0);
        let topic = ReadStateData::default()
            .with_topic_id(self.topic_id)
            .with_partitions(vec![partition]);
        let request = ReadShareGroupStateRequest::default()
            .with_group_id(text(&self.name))
            .with_topics(vec![topic]);
        let read = self.control.ask(&ReadState(request))?;
        let partition = &read.results[0].partitions[0];
        anyhow::ensure!(partition.error_code == 0, "no state: {partition:?}");
        let mut records = BTreeMap::new();
        for batch in &partition.state_batches {
            let count = u16::try_from(batch.delivery_count)?;
            for offset in batch.first_offset..=batch.last_offset {
                records.insert(u64::try_from(offset)?, (batch.delivery_state, count));
            }
        }
        Ok((u64::try_from(partition.start_offset)?, records))
    }

    /// What `DescribeShareGroupOffsets` tells: start offset and lag.
    pub(crate) fn described(&mut self) -> anyhow::Result<(i64, i64)> {
        let group = GroupTopics {
            group_id: self.name.clone(),
            topics: None,
        };
        let described = self
            .control
            .ask(&DescribeShareGroupOffsetsRequest { groups: vec![group] })?;
        let partition = &described.groups[0].topics[0].partitions[0];
        anyhow::ensure!(partition.error_code == 0, "no offsets: {partition:?}");
        Ok((partition.start_offset, partition.lag))
    }

    fn member(&mut self, member: usize) -> &mut Member {
        match self.members.get_mut(member) {
            Some(found) => found,
            None => &mut self.watcher,
        }
    }

    fn talk(&mut self, member: usize) -> anyhow::Result<&mut Talk> {
        if self.member(member).connection.is_none() {
            let connection = Talk::to(&self.address)?;
            self.member(member).connection = Some(connection);
        }
        Ok(self.member(member).connection.as_mut().unwrap())
    }

    /// Opens a session, unless there is one, with a fetch for no records.
    fn open(&mut self, member: usize) -> anyhow::Result<()> {
        if self.member(member).epoch > 0 {
            return Ok(());
        }
        let request = self.fetch(member);
        self.ask_fetch(member, &request)?;
        Ok(())
    }

    /// For no records.
    fn fetch(&mut self, member: usize) -> ShareFetchRequest {
        let partition = FetchPartition {
            partition: 0,
            acknowledgements: Vec::new(),
        };
        ShareFetchRequest {
            group_id: Some(self.name.clone()),
            member_id: Some(IDS[member].to_owned()),
            session_epoch: self.member(member).epoch,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 0,
            max_records: 0,
            batch_size: 0,
            acquire_mode: message::AcquireMode::RecordLimit,
            is_renew_ack: false,
            topics: vec![FetchTopic {
                topic_id: self.topic_id,
                partitions: vec![partition],
            }],
            forgotten: Vec::new(),
        }
    }

    /// What it says of the partition; a broker leaves out what has nothing new.
    fn ask_fetch(&mut self, member: usize, request: &ShareFetchRequest) -> anyhow::Result<Option<FetchedPartition>> {
        let response = self.talk(member)?.ask(request)?;
        let code = ErrorCode(response.error_code);
        anyhow::ensure!(!code.is_error(), "a fetch was refused: {code}");
        self.member(member).epoch += 1;
        let mut partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
        let Some(partition) = partitions.next() else {
            return Ok(None);
        };
        let code = ErrorCode(partition.error_code);
        anyhow::ensure!(!code.is_error(), "a fetch of the partition was refused: {code}");
        Ok(Some(partition))
    }

    fn ask_acknowledge(&mut self, member: usize, epoch: i32, batches: &[Batch]) -> anyhow::Result<ErrorCode> {
        let mut types = batches.iter().flat_map(|batch| &batch.types);
        let is_renew_ack = types.any(|one| *one == AckType::Renew);
        let acknowledgements: anyhow::Result<Vec<_>> = batches.iter().map(of_wire).collect();
        let partition = AcknowledgePartition {
            partition: 0,
            acknowledgements: acknowledgements?,
        };
        let topic = AcknowledgeTopic {
            topic_id: self.topic_id,
            partitions: vec![partition],
        };
        let request = ShareAcknowledgeRequest {
            group_id: Some(self.name.clone()),
            member_id: Some(IDS[member].to_owned()),
            session_epoch: epoch,
            is_renew_ack,
            topics: if batches.is_empty() { Vec::new() } else { vec![topic] },
        };
        let response = self.talk(member)?.ask(&request)?;
        let code = ErrorCode(response.error_code);
        if code == UNKNOWN_SERVER_ERROR {
            return Ok(code);
        }
        anyhow::ensure!(!code.is_error(), "an acknowledgement was refused as a whole: {code}");
        let partition = response.topics.first().and_then(|topic| topic.partitions.first());
        Ok(partition.map_or(ErrorCode::NONE, |partition| ErrorCode(partition.error_code)))
    }
}

fn of_wire(batch: &Batch) -> anyhow::Result<AcknowledgementBatch> {
    Ok(AcknowledgementBatch {
        first_offset: i64::try_from(batch.first)?,
        last_offset: i64::try_from(batch.last)?,
        types: batch.types.iter().map(|one| number(*one)).collect(),
    })
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// State and delivery count by offset.
type Written = BTreeMap<u64, (i8, u16)>;
