//! Share groups: which there are, who is in them, where they stand, and moving and removing what they know.

use std::collections::BTreeMap;
use std::fmt;

use share_wire::Uuid;
use share_wire::code::ErrorCode;
use share_wire::kafka::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use share_wire::kafka::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use share_wire::kafka::share_group_describe_response::{DescribedGroup, Member as DescribedMember};
use share_wire::kafka::{
    AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DeleteShareGroupOffsetsRequest, GroupId, ListGroupsRequest,
    ShareGroupDescribeRequest, TopicName,
};
use share_wire::message::{DescribeShareGroupOffsetsRequest, GroupTopics, TopicPartitions};

use super::Admin;
use super::ask::{Answered, text};
use super::error::{AdminError, Question, Resource};
use super::offsets::{At, Isolation};
use crate::tools::Operation;

/// A share group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: String,
    /// How it is.
    pub state: GroupState,
}

/// How a group is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupState {
    /// Nobody is in it.
    Empty,
    /// It has members.
    Stable,
    /// It is no more.
    Dead,
    /// What this version has no word for, as the broker says it.
    Other(String),
}

/// A share group and who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub group: String,
    /// How it is.
    pub state: GroupState,
    /// Counts changes of its members and topics.
    pub epoch: i32,
    /// The epoch that the assignment belongs to.
    pub assignment_epoch: i32,
    /// The broker that coordinates it.
    pub coordinator: i32,
    /// By id.
    pub members: Vec<Member>,
}

/// A member of a share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it calls itself.
    pub id: String,
    /// The epoch it is at.
    pub epoch: i32,
    /// Its `client.id`.
    pub client_id: String,
    /// Where it connects from, as the broker sees it.
    pub host: String,
    /// Where it stands.
    pub rack: Option<String>,
    /// The topics that it wants.
    pub topics: Vec<String>,
    /// What it is to fetch: topic and partition, in order.
    pub assignment: Vec<(String, i32)>,
}

/// Where a share group stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    /// The topic's name.
    pub topic: String,
    /// The topic's id; zeros if there is no such topic.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// Everything below is finished. `None`: nothing was written of its state yet, which is so until the first record is settled.
    pub start: Option<u64>,
    /// Records that are not finished, those that members hold at the moment among them; `None` if the broker does not know.
    pub lag: Option<u64>,
    /// The leader's epoch when the state was written.
    pub leader_epoch: i32,
}

/// Where to move a group's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveTo {
    /// The first record that is there.
    Earliest,
    /// After the last one.
    Latest,
    /// The first record that is not before this time, in milliseconds since 1970; after the last one if there is none.
    Timestamp(i64),
    /// This offset, in each partition that is named.
    Offset(u64),
}

impl Admin {
    /// All share groups that the principal may know of, by name: every broker tells of those that it coordinates.
    pub async fn groups(&self) -> Result<Vec<GroupListing>, AdminError> {
        self.asker.patiently(|| self.groups_once()).await
    }

    async fn groups_once(&self) -> Result<Vec<GroupListing>, AdminError> {
        let question = Question::new("ListGroups", Operation::Describe, Resource::Cluster);
        let request = ListGroupsRequest::default().with_types_filter(vec![text("share")]);
        let mut found = BTreeMap::new();
        for broker in self.cluster().await?.brokers {
            let response = self.asker.ask(&broker.address, &request, None).await;
            let response = response.map_err(|source| question.net(source))?;
            self.asker
                .check(&question, &broker.address, response.error_code, None)?;
            let rows = response.groups.iter();
            found.extend(rows.map(|row| (row.group_id.to_string(), GroupState::of(&row.group_state))));
        }
        let listing = |(group, state)| GroupListing { group, state };
        Ok(found.into_iter().map(listing).collect())
    }

    /// A share group and its members. [`AdminError::Missing`] if there is none.
    pub async fn group(&self, group: &str) -> Result<Group, AdminError> {
        self.asker.patiently(|| self.group_once(group)).await
    }

    async fn group_once(&self, group: &str) -> Result<Group, AdminError> {
        let question = of_group("ShareGroupDescribe", Operation::Describe, group);
        let request = ShareGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
        let (coordinator, broker) = self.asker.coordinator(group).await?;
        let response = self.asker.ask(&broker, &request, None).await;
        let response = response.map_err(|source| question.net(source))?;
        let row = response.groups.first().ok_or_else(|| question.no_word(&broker))?;
        self.asker
            .check(&question, &broker, row.error_code, row.error_message.as_deref())?;
        Ok(read_group(row, coordinator))
    }

    /// Where a group stands in the partitions of these topics, or of all that it knows. A topic that does not exist is not in the
    /// answer, nor is a partition of which the broker knows nothing.
    pub async fn group_offsets(&self, group: &str, topics: Option<&[&str]>) -> Result<Vec<GroupOffset>, AdminError> {
        self.asker.patiently(|| self.group_offsets_once(group, topics)).await
    }

    async fn group_offsets_once(&self, group: &str, topics: Option<&[&str]>) -> Result<Vec<GroupOffset>, AdminError> {
        let question = of_group("DescribeShareGroupOffsets", Operation::Describe, group);
        let topics = match topics {
            None => None,
            Some(names) => {
                let mut wanted = Vec::new();
                for name in names {
                    match self.topic_once(name).await {
                        Ok(topic) => wanted.push(TopicPartitions {
                            topic: topic.name,
                            partitions: topic.partitions.iter().map(|one| one.partition).collect(),
                        }),
                        Err(error) if error.is_missing() => {}
                        Err(error) => return Err(error),
                    }
                }
                Some(wanted)
            }
        };
        let request = DescribeShareGroupOffsetsRequest {
            groups: vec![GroupTopics {
                group_id: group.to_owned(),
                topics,
            }],
        };
        let answered = self.asker.ask_coordinator(&question, group, &request, false).await?;
        let Answered { broker, response } = answered;
        let row = response.groups.first().ok_or_else(|| question.no_word(&broker))?;
        self.asker
            .check(&question, &broker, row.error_code, row.error_message.as_deref())?;
        let mut offsets = Vec::new();
        for topic in &row.topics {
            let question = Question::new(
                question.asking,
                Operation::Describe,
                Resource::Topic(topic.topic.clone()),
            );
            for one in &topic.partitions {
                let said = one.error_message.as_deref();
                self.asker.check(&question, &broker, one.error_code, said)?;
                offsets.push(GroupOffset {
                    topic: topic.topic.clone(),
                    topic_id: topic.topic_id,
                    partition: one.partition,
                    start: u64::try_from(one.start_offset).ok(),
                    lag: u64::try_from(one.lag).ok(),
                    leader_epoch: one.leader_epoch,
                });
            }
        }
        offsets.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(offsets)
    }

    /// Moves a group's start in these partitions of a topic, or in all; what it knew of their records is forgotten. Nobody may be
    /// in the group. Says where each partition starts now. A group that does not exist is made.
    pub async fn move_group(
        &self,
        group: &str,
        topic: &str,
        partitions: Option<&[i32]>,
        to: MoveTo,
    ) -> Result<BTreeMap<i32, u64>, AdminError> {
        let targets = self.targets(topic, to).await?;
        let wanted = |partition: &i32| partitions.is_none_or(|list| list.contains(partition));
        let targets: BTreeMap<i32, u64> = targets.into_iter().filter(|(partition, _)| wanted(partition)).collect();
        if let Some(unknown) = partitions.and_then(|list| list.iter().find(|one| !targets.contains_key(one))) {
            let about = Resource::Partition(topic.to_owned(), *unknown);
            return Err(AdminError::Missing { about });
        }
        self.asker
            .patiently(|| self.move_group_once(group, topic, &targets))
            .await?;
        Ok(targets)
    }

    /// Where that is, in each partition of the topic.
    async fn targets(&self, topic: &str, to: MoveTo) -> Result<BTreeMap<i32, u64>, AdminError> {
        let whole = async |at| {
            let found = self.offsets(topic, at, Isolation::Uncommitted).await?;
            let known = |(partition, found): (i32, super::Offset)| Some((partition, found.offset?));
            Ok::<BTreeMap<i32, u64>, AdminError>(found.into_iter().filter_map(known).collect())
        };
        match to {
            MoveTo::Earliest => whole(At::Earliest).await,
            MoveTo::Latest => whole(At::Latest).await,
            MoveTo::Timestamp(time) => {
                let mut ends = whole(At::Latest).await?;
                ends.extend(whole(At::Timestamp(time)).await?);
                Ok(ends)
            }
            MoveTo::Offset(offset) => {
                let topic = self.topic(topic).await?;
                Ok(topic.partitions.iter().map(|one| (one.partition, offset)).collect())
            }
        }
    }

    async fn move_group_once(&self, group: &str, topic: &str, to: &BTreeMap<i32, u64>) -> Result<(), AdminError> {
        let question = of_group("AlterShareGroupOffsets", Operation::Read, group);
        let partition = |(partition, offset): (&i32, &u64)| {
            AlterShareGroupOffsetsRequestPartition::default()
                .with_partition_index(*partition)
                .with_start_offset(i64::try_from(*offset).unwrap_or(i64::MAX))
        };
        let row = AlterShareGroupOffsetsRequestTopic::default()
            .with_topic_name(TopicName(text(topic)))
            .with_partitions(to.iter().map(partition).collect());
        let request = AlterShareGroupOffsetsRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(vec![row]);
        let answered = self.asker.ask_coordinator(&question, group, &request, true).await?;
        let Answered { broker, response } = answered;
        let said = response.error_message.as_deref();
        self.asker.check(&question, &broker, response.error_code, said)?;
        for one in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let about = Resource::Partition(topic.to_owned(), one.partition_index);
            let question = Question::new(question.asking, Operation::Read, about);
            let said = one.error_message.as_deref();
            self.asker.check(&question, &broker, one.error_code, said)?;
        }
        Ok(())
    }

    /// Has a group forget a topic. Nobody may be in the group. [`AdminError::Missing`] if it knows nothing of the topic.
    pub async fn delete_group_offsets(&self, group: &str, topic: &str) -> Result<(), AdminError> {
        self.asker
            .patiently(|| self.delete_group_offsets_once(group, topic))
            .await
    }

    async fn delete_group_offsets_once(&self, group: &str, topic: &str) -> Result<(), AdminError> {
        let question = of_group("DeleteShareGroupOffsets", Operation::Delete, group);
        let row = DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(TopicName(text(topic)));
        let request = DeleteShareGroupOffsetsRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(vec![row]);
        let answered = self.asker.ask_coordinator(&question, group, &request, true).await?;
        let Answered { broker, response } = answered;
        let said = response.error_message.as_deref();
        self.asker.check(&question, &broker, response.error_code, said)?;
        let row = response.responses.first().ok_or_else(|| question.no_word(&broker))?;
        let question = Question::new(question.asking, Operation::Read, Resource::Topic(topic.to_owned()));
        if ErrorCode(row.error_code) == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
            return Err(AdminError::Missing { about: question.about });
        }
        self.asker
            .check(&question, &broker, row.error_code, row.error_message.as_deref())
    }

    /// Removes a group and all that it knows. Nobody may be in it. [`AdminError::Missing`] if there is none.
    pub async fn delete_group(&self, group: &str) -> Result<(), AdminError> {
        self.asker.patiently(|| self.delete_group_once(group)).await
    }

    async fn delete_group_once(&self, group: &str) -> Result<(), AdminError> {
        let question = of_group("DeleteGroups", Operation::Delete, group);
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
        let answered = self.asker.ask_coordinator(&question, group, &request, true).await?;
        let Answered { broker, response } = answered;
        let row = response.results.first().ok_or_else(|| question.no_word(&broker))?;
        self.asker.check(&question, &broker, row.error_code, None)
    }
}

fn of_group(asking: &'static str, needs: Operation, group: &str) -> Question {
    Question::new(asking, needs, Resource::Group(group.to_owned()))
}

fn read_group(row: &DescribedGroup, coordinator: i32) -> Group {
    let mut members: Vec<Member> = row.members.iter().map(read_member).collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Group {
        group: row.group_id.to_string(),
        state: GroupState::of(&row.group_state),
        epoch: row.group_epoch,
        assignment_epoch: row.assignment_epoch,
        coordinator,
        members,
    }
}

fn read_member(row: &DescribedMember) -> Member {
    let topics = row.assignment.topic_partitions.iter();
    let mut assignment: Vec<(String, i32)> = topics
        .flat_map(|topic| topic.partitions.iter().map(|one| (topic.topic_name.to_string(), *one)))
        .collect();
    assignment.sort_unstable();
    Member {
        id: row.member_id.to_string(),
        epoch: row.member_epoch,
        client_id: row.client_id.to_string(),
        host: row.client_host.trim_start_matches('/').to_owned(),
        rack: row.rack_id.as_ref().map(ToString::to_string),
        topics: row.subscribed_topic_names.iter().map(|name| name.to_string()).collect(),
        assignment,
    }
}

impl GroupState {
    fn of(word: &str) -> Self {
        match word {
            "Empty" => Self::Empty,
            "Stable" => Self::Stable,
            "Dead" => Self::Dead,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
            Self::Other(word) => word,
        })
    }
}
