//! Who leads what: topics' names and ids, the leaders of partitions and where they are. Pure: told what brokers say, asked who is to be
//! fetched from. A leader with a newer epoch takes the place of an older one, wherever it was named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use share_wire::Uuid;
use share_wire::code::ErrorCode;
use share_wire::kafka::metadata_request::MetadataRequestTopic;
use share_wire::kafka::{MetadataRequest, MetadataResponse, StrBytes, TopicName};
use share_wire::message::{CurrentLeader, NodeEndpoint};

use crate::config::Address;
use crate::session::TopicPartition;

/// What is known of some topics.
#[derive(Debug)]
pub struct Metadata {
    topics: Vec<Arc<str>>,
    brokers: BTreeMap<i32, Address>,
    names: BTreeMap<Uuid, Arc<str>>,
    leaders: BTreeMap<TopicPartition, Leader>,
    /// Whoever was said to lead these does not: nobody is asked before more is known.
    refused: BTreeSet<TopicPartition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leader {
    broker: i32,
    epoch: i32,
}

/// Which broker is to be asked for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// By the numbers of brokers.
    pub brokers: BTreeMap<i32, BTreeSet<TopicPartition>>,
    /// Nobody is known to lead these.
    pub missing: BTreeSet<TopicPartition>,
}

impl Metadata {
    /// Nothing is known of these topics yet.
    pub fn new(topics: &[String]) -> Self {
        Self {
            topics: topics.iter().map(|topic| topic.as_str().into()).collect(),
            brokers: BTreeMap::new(),
            names: BTreeMap::new(),
            leaders: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    /// What to ask any broker. Topics are not created by being asked for.
    pub fn request(&self) -> MetadataRequest {
        let topic = |name: &Arc<str>| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_string()))))
        };
        MetadataRequest::default()
            .with_topics(Some(self.topics.iter().map(topic).collect()))
            .with_allow_auto_topic_creation(false)
    }

    /// A broker's answer. Returns the topics of which it knows nothing, or may say nothing.
    pub fn answered(&mut self, response: &MetadataResponse) -> Vec<(Arc<str>, ErrorCode)> {
        self.brokers = response
            .brokers
            .iter()
            .filter_map(|broker| Some((broker.node_id.0, address(broker.host.to_string(), broker.port)?)))
            .collect();
        self.names.clear();
        self.refused.clear();
        let before = std::mem::take(&mut self.leaders);
        let mut troubles = Vec::new();
        for topic in &response.topics {
            let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
            let known = self.topics.iter().find(|known| &***known == name);
            let name = known.map_or_else(|| name.into(), Arc::clone);
            let code = ErrorCode(topic.error_code);
            if code.is_error() {
                troubles.push((name, code));
                continue;
            }
            self.names.insert(topic.topic_id, name);
            for partition in &topic.partitions {
                let place = TopicPartition {
                    topic_id: topic.topic_id,
                    partition: partition.partition_index,
                };
                let said = Leader {
                    broker: partition.leader_id.0,
                    epoch: partition.leader_epoch,
                };
                // A broker that has not heard of a change must not undo it.
                let newer = before.get(&place).filter(|known| known.epoch > said.epoch);
                self.leaders.insert(place, newer.copied().unwrap_or(said));
            }
        }
        troubles
    }

    /// Whoever was asked does not have the partition, and may have said who has.
    pub fn refused(&mut self, place: TopicPartition, leader: Option<CurrentLeader>) {
        let newer = leader.filter(|leader| {
            let known = self.leaders.get(&place);
            known.is_none_or(|known| leader.leader_epoch > known.epoch)
        });
        match newer {
            Some(leader) => {
                self.refused.remove(&place);
                let leader = Leader {
                    broker: leader.leader_id,
                    epoch: leader.leader_epoch,
                };
                self.leaders.insert(place, leader);
            }
            None => {
                self.refused.insert(place);
            }
        }
    }

    /// Where brokers are, as one of them says it beside leaders.
    pub fn endpoints(&mut self, endpoints: Vec<NodeEndpoint>) {
        for endpoint in endpoints {
            if let Some(address) = address(endpoint.host, endpoint.port) {
                self.brokers.insert(endpoint.node_id, address);
            }
        }
    }

    /// Who is to be asked for what is assigned.
    pub fn place(&self, assignment: &BTreeSet<TopicPartition>) -> Placement {
        let mut placement = Placement::default();
        for place in assignment {
            match self.leader(*place).filter(|_| !self.refused.contains(place)) {
                Some(broker) => {
                    placement.brokers.entry(broker).or_default().insert(*place);
                }
                None => {
                    placement.missing.insert(*place);
                }
            }
        }
        placement
    }

    /// The broker that leads a partition, if it is known and can be reached.
    pub fn leader(&self, place: TopicPartition) -> Option<i32> {
        let leader = self.leaders.get(&place)?;
        self.brokers.contains_key(&leader.broker).then_some(leader.broker)
    }

    /// All brokers.
    pub const fn brokers(&self) -> &BTreeMap<i32, Address> {
        &self.brokers
    }

    /// Topics' names by their ids.
    pub const fn names(&self) -> &BTreeMap<Uuid, Arc<str>> {
        &self.names
    }
}

fn address(host: String, port: i32) -> Option<Address> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    Some(Address { host, port })
}

#[cfg(test)]
mod tests {
    use share_wire::kafka::BrokerId;
    use share_wire::kafka::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };

    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn place(partition: i32) -> TopicPartition {
        TopicPartition {
            topic_id: ID,
            partition,
        }
    }

    /// Two brokers; partitions by their leaders and epochs.
    fn response(code: i16, partitions: &[(i32, i32)]) -> MetadataResponse {
        let broker = |id: i32| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_static_str("localhost"))
                .with_port(9000 + id)
        };
        let partitions = (0..).zip(partitions).map(|(index, (leader, epoch))| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(BrokerId(*leader))
                .with_leader_epoch(*epoch)
        });
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("orders"))))
            .with_topic_id(ID)
            .with_error_code(code)
            .with_partitions(partitions.collect());
        MetadataResponse::default()
            .with_brokers(vec![broker(1), broker(2)])
            .with_topics(vec![topic])
    }

    fn leaders(metadata: &Metadata) -> Vec<Option<i32>> {
        let assignment = BTreeSet::from([place(0), place(1)]);
        let placement = metadata.place(&assignment);
        let of = |place: &TopicPartition| {
            let mut brokers = placement.brokers.iter();
            brokers.find(|(_, places)| places.contains(place)).map(|(id, _)| *id)
        };
        assert_eq!(
            placement.missing.len(),
            assignment.iter().filter(|place| of(place).is_none()).count()
        );
        assignment.iter().map(of).collect()
    }

    #[test]
    fn the_newest_leader_counts_wherever_it_was_named() {
        let mut metadata = Metadata::new(&["orders".to_owned()]);
        assert_eq!(leaders(&metadata), [None, None]);
        assert_eq!(metadata.answered(&response(0, &[(1, 5), (2, 5)])), []);
        assert_eq!(metadata.names()[&ID], "orders".into());
        assert_eq!(leaders(&metadata), [Some(1), Some(2)]);
        let named = |leader_id, leader_epoch| {
            Some(CurrentLeader {
                leader_id,
                leader_epoch,
            })
        };
        // Newer, and older.
        metadata.refused(place(0), named(2, 6));
        metadata.refused(place(1), named(1, 5));
        assert_eq!(leaders(&metadata), [Some(2), None]);
        // A broker that has not heard of it.
        metadata.answered(&response(0, &[(1, 5), (2, 5)]));
        assert_eq!(leaders(&metadata), [Some(2), Some(2)]);
        metadata.answered(&response(0, &[(1, 7), (-1, 7)]));
        assert_eq!(leaders(&metadata), [Some(1), None]);
        // Somebody new, whose address comes with it.
        metadata.refused(place(0), named(3, 8));
        assert_eq!(leaders(&metadata), [None, None]);
        metadata.endpoints(vec![NodeEndpoint {
            node_id: 3,
            host: "localhost".to_owned(),
            port: 9003,
            rack: None,
        }]);
        assert_eq!(leaders(&metadata), [Some(3), None]);
    }

    #[test]
    fn a_topic_that_is_gone_has_no_leaders() {
        let mut metadata = Metadata::new(&["orders".to_owned()]);
        metadata.answered(&response(0, &[(1, 5), (2, 5)]));
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(
            metadata.answered(&response(unknown.0, &[])),
            [("orders".into(), unknown)]
        );
        assert_eq!(leaders(&metadata), [None, None]);
        let request = metadata.request();
        assert!(!request.allow_auto_topic_creation);
        assert_eq!(request.topics.unwrap().len(), 1);
    }
}
