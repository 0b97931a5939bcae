//! Share groups: membership, fetches, acknowledgements, offsets, and the errors that a client has to expect.

use share_wire::Uuid;
use share_wire::kafka::{
    AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DeleteShareGroupOffsetsRequest, FindCoordinatorRequest,
    ListGroupsRequest, ShareGroupDescribeRequest, ShareGroupHeartbeatRequest, alter_share_group_offsets_request,
    delete_share_group_offsets_request,
};
use share_wire::message::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch, AcquireMode, DescribeShareGroupOffsetsRequest,
    FetchPartition, FetchTopic, ForgottenTopic, GroupTopics, ShareAcknowledgeRequest, ShareFetchRequest,
    ShareFetchResponse, TopicPartitions,
};

use crate::plain::{GROUP, TOPIC, text};
use crate::talk::{Exchange, Talk};

const MEMBER: &str = "AAAAAAAAAAAAAAAAAAAAAQ";

pub(crate) fn coordinator(kept: &mut Vec<Exchange>, any: &mut Talk) -> Talk {
    let request = || {
        FindCoordinatorRequest::default()
            .with_key_type(0)
            .with_coordinator_keys(vec![text(GROUP)])
    };
    any.keep(kept, "of a group, the first time", 6, &request());
    for version in 4..=5 {
        any.keep_when(kept, "of a group", version, request, |found| {
            found.coordinators[0].error_code == 0
        });
    }
    let found = any.keep_when(kept, "of a group", 6, request, |found| {
        found.coordinators[0].error_code == 0
    });
    let found = &found.coordinators[0];
    Talk::to(&format!("{}:{}", found.host, found.port))
}

fn heartbeat(epoch: i32) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest::default()
        .with_group_id(text(GROUP).into())
        .with_member_id(text(MEMBER))
        .with_member_epoch(epoch)
}

/// Joins, and returns the epoch of the member when it has an assignment.
pub(crate) fn join(kept: &mut Vec<Exchange>, coordinator: &mut Talk, other: Option<&mut Talk>) -> i32 {
    let join = || {
        heartbeat(0)
            .with_subscribed_topic_names(Some(vec![text(TOPIC).into()]))
            .with_rack_id(Some(text("r1")))
    };
    if let Some(other) = other {
        other.keep(kept, "to a broker that does not coordinate", 1, &join());
    }
    let joined = coordinator.keep_when(kept, "joins", 1, join, |joined| joined.error_code == 0);
    let mut epoch = joined.member_epoch;
    let began = std::time::Instant::now();
    loop {
        let mut one = Vec::new();
        let beat = coordinator.keep(&mut one, "learns its assignment", 1, &heartbeat(epoch));
        epoch = beat.member_epoch;
        if beat
            .assignment
            .is_some_and(|assignment| !assignment.topic_partitions.is_empty())
        {
            kept.append(&mut one);
            break;
        }
        assert!(began.elapsed().as_secs() < 30, "no assignment in 30 s");
    }
    coordinator.keep(kept, "stays", 1, &heartbeat(epoch));
    coordinator.keep(kept, "of an epoch that was never", 1, &heartbeat(epoch + 10));
    coordinator.keep(
        kept,
        "of a member that is not there",
        1,
        &heartbeat(epoch).with_member_id(text("nobody")),
    );
    coordinator.keep(kept, "without a group", 1, &heartbeat(0).with_group_id(text("").into()));
    epoch
}

fn fetch(epoch: i32) -> ShareFetchRequest {
    ShareFetchRequest {
        group_id: Some(GROUP.to_owned()),
        member_id: Some(MEMBER.to_owned()),
        session_epoch: epoch,
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 1 << 20,
        max_records: 2,
        batch_size: 2,
        acquire_mode: AcquireMode::BatchOptimized,
        is_renew_ack: false,
        topics: Vec::new(),
        forgotten: Vec::new(),
    }
}

fn of_topic(topic_id: Uuid, acknowledgements: Vec<AcknowledgementBatch>) -> Vec<FetchTopic> {
    let partition = FetchPartition {
        partition: 0,
        acknowledgements,
    };
    vec![FetchTopic {
        topic_id,
        partitions: vec![partition],
    }]
}

fn acknowledge(epoch: i32, topic_id: Uuid, acknowledgements: Vec<AcknowledgementBatch>) -> ShareAcknowledgeRequest {
    let partition = AcknowledgePartition {
        partition: 0,
        acknowledgements,
    };
    ShareAcknowledgeRequest {
        group_id: Some(GROUP.to_owned()),
        member_id: Some(MEMBER.to_owned()),
        session_epoch: epoch,
        is_renew_ack: false,
        topics: vec![AcknowledgeTopic {
            topic_id,
            partitions: vec![partition],
        }],
    }
}

fn settled(first_offset: i64, last_offset: i64, types: &[i8]) -> AcknowledgementBatch {
    AcknowledgementBatch {
        first_offset,
        last_offset,
        types: types.to_vec(),
    }
}

/// First and last offset of the last range that was acquired; `None` if nothing was.
fn acquired(response: &ShareFetchResponse) -> Option<(i64, i64)> {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let last = partitions.flat_map(|partition| &partition.acquired).last()?;
    Some((last.first_offset, last.last_offset))
}

/// A session with the leader of the topic.
pub(crate) struct Session<'t> {
    leader: &'t mut Talk,
    topic_id: Uuid,
    epoch: i32,
    /// What is acquired last.
    first: i64,
    last: i64,
}

impl<'t> Session<'t> {
    pub(crate) fn open(kept: &mut Vec<Exchange>, leader: &'t mut Talk, other: &mut Talk, topic_id: Uuid) -> Self {
        let opening = || ShareFetchRequest {
            topics: of_topic(topic_id, Vec::new()),
            ..fetch(0)
        };
        other.keep_when(kept, "from a broker that does not lead", 2, opening, |response| {
            !response.node_endpoints.is_empty()
        });
        let opened = leader.keep(kept, "opens a session", 2, &opening());
        let mut epoch = 0;
        let next = || {
            epoch += 1;
            fetch(epoch)
        };
        let acquired = acquired(&opened).or_else(|| acquired(&leader.keep_when(kept, "records", 2, next, is_any)));
        let (first, last) = acquired.unwrap();
        assert_eq!(first, 0);
        Self {
            leader,
            topic_id,
            epoch,
            first,
            last,
        }
    }

    fn next(&mut self) -> i32 {
        self.epoch += 1;
        self.epoch
    }

    fn keep_fetch(&mut self, kept: &mut Vec<Exchange>, what: &str, request: ShareFetchRequest) -> ShareFetchResponse {
        let session_epoch = self.next();
        let request = ShareFetchRequest {
            session_epoch,
            ..request
        };
        self.leader.keep(kept, what, 2, &request)
    }

    /// Fetches until something is acquired as it is wanted.
    fn acquire(
        &mut self,
        kept: &mut Vec<Exchange>,
        what: &str,
        version: i16,
        request: &ShareFetchRequest,
        is_wanted: impl Fn(&ShareFetchResponse) -> bool,
    ) {
        let epoch = &mut self.epoch;
        let next = || {
            *epoch += 1;
            ShareFetchRequest {
                session_epoch: *epoch,
                ..request.clone()
            }
        };
        let response = self.leader.keep_when(kept, what, version, next, is_wanted);
        (self.first, self.last) = acquired(&response).unwrap();
    }

    fn settle(&mut self, kept: &mut Vec<Exchange>, what: &str, version: i16, batches: Vec<AcknowledgementBatch>) {
        let is_renew_ack = batches.iter().any(|batch| batch.types.contains(&4));
        let request = ShareAcknowledgeRequest {
            is_renew_ack,
            ..acknowledge(self.next(), self.topic_id, batches)
        };
        self.leader.keep(kept, what, version, &request);
    }

    pub(crate) fn records(&mut self, kept: &mut Vec<Exchange>) {
        let both = vec![settled(self.first, self.last, &[1, 2])];
        let request = ShareFetchRequest {
            topics: of_topic(self.topic_id, both),
            ..fetch(0)
        };
        let brought = self.keep_fetch(kept, "accepts one, releases one, brings others", request);
        let (_, last) = acquired(&brought).unwrap();
        self.settle(kept, "rejects one", 1, vec![settled(last, last, &[3])]);
        self.settle(kept, "accepts what is rejected", 2, vec![settled(last, last, &[1])]);
        self.acquire(kept, "more records", 1, &fetch(0), is_any);
        let (first, last) = (self.first, self.last);
        let limited = ShareFetchRequest {
            acquire_mode: AcquireMode::RecordLimit,
            max_records: 3,
            ..fetch(0)
        };
        self.acquire(kept, "three records and no more", 2, &limited, is_any);
        let some = vec![settled(first, last, &[4]), settled(self.first, self.first, &[1])];
        self.settle(kept, "renews some, accepts one", 2, some);
        let renewal = ShareFetchRequest {
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 0,
            max_records: 0,
            batch_size: 0,
            is_renew_ack: true,
            topics: of_topic(self.topic_id, vec![settled(first, last, &[4])]),
            ..fetch(0)
        };
        self.keep_fetch(kept, "renews and fetches nothing", renewal);
        let many = ShareFetchRequest {
            max_records: 500,
            batch_size: 500,
            ..fetch(0)
        };
        self.acquire(kept, "all codecs, transactions and their ends", 2, &many, |response| {
            acquired(response).is_some_and(|(_, last)| last >= 17)
        });
    }

    pub(crate) fn errors(mut self, kept: &mut Vec<Exchange>) {
        let some = vec![settled(self.last, self.last, &[1])];
        self.settle(kept, "a batch that ends before it begins", 2, vec![settled(9, 8, &[1])]);
        let unknown = Uuid::from_u128(7);
        let request = ShareFetchRequest {
            topics: of_topic(unknown, Vec::new()),
            ..fetch(0)
        };
        self.keep_fetch(kept, "a topic that is not there", request);
        let forgotten = ForgottenTopic {
            topic_id: unknown,
            partitions: vec![0],
        };
        let request = ShareFetchRequest {
            forgotten: vec![forgotten],
            ..fetch(0)
        };
        self.keep_fetch(kept, "forgets it", request);
        let (leader, topic_id) = (self.leader, self.topic_id);
        leader.keep(kept, "an epoch that was never", 2, &fetch(99));
        let request = acknowledge(99, topic_id, some.clone());
        leader.keep(kept, "an epoch that was never", 2, &request);
        let nobody = Some("nobody".to_owned());
        let request = ShareFetchRequest {
            member_id: nobody.clone(),
            ..fetch(1)
        };
        leader.keep(kept, "a session that is not there", 2, &request);
        let request = ShareAcknowledgeRequest {
            member_id: nobody,
            ..acknowledge(1, topic_id, some.clone())
        };
        leader.keep(kept, "a session that is not there", 2, &request);
        leader.keep(kept, "ends the session", 2, &acknowledge(-1, topic_id, some));
    }
}

fn is_any(response: &ShareFetchResponse) -> bool {
    acquired(response).is_some()
}

pub(crate) fn group(kept: &mut Vec<Exchange>, coordinator: &mut Talk, epoch: i32) {
    let groups =
        || ShareGroupDescribeRequest::default().with_group_ids(vec![text(GROUP).into(), text("nobody").into()]);
    coordinator.keep(kept, "one with a member, and one that is not there", 1, &groups());
    let alter = |start| {
        let partition = alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition::default()
            .with_start_offset(start);
        let topic = alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic::default()
            .with_topic_name(text(TOPIC).into())
            .with_partitions(vec![partition]);
        AlterShareGroupOffsetsRequest::default()
            .with_group_id(text(GROUP).into())
            .with_topics(vec![topic])
    };
    coordinator.keep(kept, "of a group with a member", 0, &alter(1));
    for version in 0..=1 {
        let topics = ["orders", "nowhere"].map(|topic| TopicPartitions {
            topic: topic.to_owned(),
            partitions: vec![0],
        });
        let groups = [Some(topics.to_vec()), None].map(|topics| GroupTopics {
            group_id: GROUP.to_owned(),
            topics,
        });
        let [named, all] = groups.map(|group| DescribeShareGroupOffsetsRequest { groups: vec![group] });
        coordinator.keep(kept, "a topic that is there and one that is not", version, &named);
        coordinator.keep(kept, "all topics", version, &all);
    }
    let all = || ListGroupsRequest::default().with_types_filter(vec![text("Share")]);
    coordinator.keep(kept, "share groups", 5, &all());
    let left = || heartbeat(-1);
    coordinator.keep(kept, "leaves", 1, &left());
    assert!(epoch > 0);
    coordinator.keep_when(
        kept,
        "sets the start",
        0,
        || alter(1),
        |altered| altered.error_code == 0,
    );
    let topic = |name: &str| {
        delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic::default()
            .with_topic_name(text(name).into())
    };
    let request = DeleteShareGroupOffsetsRequest::default()
        .with_group_id(text(GROUP).into())
        .with_topics(vec![topic(TOPIC), topic("nowhere")]);
    coordinator.keep(kept, "of a topic that is there and of one that is not", 0, &request);
    for version in 0..=2 {
        let name = if version == 2 { GROUP } else { "nobody" };
        let request = DeleteGroupsRequest::default().with_groups_names(vec![text(name).into()]);
        coordinator.keep(kept, "a group", version, &request);
    }
}
