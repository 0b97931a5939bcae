//! A request and how its response is read: one trait over the messages of the `kafka-protocol` crate and our own.

use std::fmt;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Message, Request};

use crate::error::WireError;
use crate::kafka;
use crate::layout::Layout;
use crate::layouts;

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Api {
    /// Its number.
    pub key: i16,
    /// Its name in Kafka's schemas.
    pub name: &'static str,
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.key)
    }
}

/// A request that we speak.
pub trait Call {
    /// Which.
    const API: Api;
    /// The oldest and the newest version that we speak, both inclusive.
    const VERSIONS: (i16, i16);
    /// The first version with tagged fields, in both headers too.
    const FLEXIBLE: i16;
    /// What answers it.
    type Response;

    /// Writes the request without its header. The version is one of [`Call::VERSIONS`].
    fn put(&self, version: i16, out: &mut BytesMut) -> Result<(), WireError>;

    /// Reads a whole response without its header.
    fn take(version: i16, bytes: Bytes) -> Result<Self::Response, WireError>;

    /// Refuses versions that we do not speak.
    fn check_version(version: i16) -> Result<(), WireError> {
        let (least, newest) = Self::VERSIONS;
        if (least..=newest).contains(&version) {
            return Ok(());
        }
        Err(WireError::Version {
            api: Self::API,
            version,
            least,
            newest,
        })
    }
}

/// Writes a message of the `kafka-protocol` crate.
fn put<R: Request>(request: &R, api: Api, version: i16, out: &mut BytesMut) -> Result<(), WireError> {
    request.encode(out, version).map_err(|error| WireError::Refused {
        message: api.name,
        reason: format!("{error:#}"),
    })
}

/// Reads a message of the `kafka-protocol` crate, after its lengths.
fn take<M: Message + Decodable>(layout: &Layout, version: i16, mut bytes: Bytes) -> Result<M, WireError> {
    layout.check(version, &bytes)?;
    M::decode(&mut bytes, version).map_err(|error| WireError::Refused {
        message: layout.name,
        reason: format!("{error:#}"),
    })
}

macro_rules! calls {
    ($($name:literal $request:ident -> $response:ident $least:literal to $newest:literal, $layout:ident;)*) => {
        $(impl Call for kafka::$request {
            const API: Api = Api { key: <Self as Request>::KEY, name: $name };
            const VERSIONS: (i16, i16) = ($least, $newest);
            const FLEXIBLE: i16 = layouts::$layout.flexible;
            type Response = kafka::$response;

            fn put(&self, version: i16, out: &mut BytesMut) -> Result<(), WireError> {
                put(self, Self::API, version, out)
            }

            fn take(version: i16, bytes: Bytes) -> Result<Self::Response, WireError> {
                take(&layouts::$layout, version, bytes)
            }
        })*

        #[cfg(test)]
        pub(crate) fn each(visit: &mut impl Visit) {
            $(visit.visit::<kafka::$request, kafka::$response>(&layouts::$layout);)*
        }
    };
}

calls! {
    "ApiVersions" ApiVersionsRequest -> ApiVersionsResponse 0 to 4, API_VERSIONS;
    "Metadata" MetadataRequest -> MetadataResponse 10 to 13, METADATA;
    "FindCoordinator" FindCoordinatorRequest -> FindCoordinatorResponse 4 to 6, FIND_COORDINATOR;
    "SaslHandshake" SaslHandshakeRequest -> SaslHandshakeResponse 1 to 1, SASL_HANDSHAKE;
    "SaslAuthenticate" SaslAuthenticateRequest -> SaslAuthenticateResponse 0 to 2, SASL_AUTHENTICATE;
    "ShareGroupHeartbeat" ShareGroupHeartbeatRequest -> ShareGroupHeartbeatResponse 1 to 1, SHARE_GROUP_HEARTBEAT;
    "ShareGroupDescribe" ShareGroupDescribeRequest -> ShareGroupDescribeResponse 1 to 1, SHARE_GROUP_DESCRIBE;
    "AlterShareGroupOffsets" AlterShareGroupOffsetsRequest -> AlterShareGroupOffsetsResponse 0 to 0, ALTER_SHARE_GROUP_OFFSETS;
    "DeleteShareGroupOffsets" DeleteShareGroupOffsetsRequest -> DeleteShareGroupOffsetsResponse 0 to 0, DELETE_SHARE_GROUP_OFFSETS;
    "ListOffsets" ListOffsetsRequest -> ListOffsetsResponse 1 to 10, LIST_OFFSETS;
    "DescribeConfigs" DescribeConfigsRequest -> DescribeConfigsResponse 1 to 4, DESCRIBE_CONFIGS;
    "IncrementalAlterConfigs" IncrementalAlterConfigsRequest -> IncrementalAlterConfigsResponse 0 to 1, INCREMENTAL_ALTER_CONFIGS;
    "ListGroups" ListGroupsRequest -> ListGroupsResponse 5 to 5, LIST_GROUPS;
    "DeleteGroups" DeleteGroupsRequest -> DeleteGroupsResponse 0 to 2, DELETE_GROUPS;
    // From version 13 on it names topics by id. With `acks` 0 a broker does not answer, which nobody here expects: ask for 1 or -1.
    "Produce" ProduceRequest -> ProduceResponse 7 to 12, PRODUCE;
    "Fetch" FetchRequest -> FetchResponse 12 to 16, FETCH;
    "InitProducerId" InitProducerIdRequest -> InitProducerIdResponse 2 to 5, INIT_PRODUCER_ID;
    // From version 4 on only brokers ask it.
    "AddPartitionsToTxn" AddPartitionsToTxnRequest -> AddPartitionsToTxnResponse 3 to 3, ADD_PARTITIONS_TO_TXN;
    "EndTxn" EndTxnRequest -> EndTxnResponse 3 to 5, END_TXN;
    "CreateTopics" CreateTopicsRequest -> CreateTopicsResponse 5 to 7, CREATE_TOPICS;
    "DeleteTopics" DeleteTopicsRequest -> DeleteTopicsResponse 5 to 6, DELETE_TOPICS;
    "CreatePartitions" CreatePartitionsRequest -> CreatePartitionsResponse 2 to 3, CREATE_PARTITIONS;
    "DeleteRecords" DeleteRecordsRequest -> DeleteRecordsResponse 2 to 2, DELETE_RECORDS;
    "DescribeCluster" DescribeClusterRequest -> DescribeClusterResponse 0 to 2, DESCRIBE_CLUSTER;
    "DescribeTopicPartitions" DescribeTopicPartitionsRequest -> DescribeTopicPartitionsResponse 0 to 0, DESCRIBE_TOPIC_PARTITIONS;
}

/// What tests do with each request.
#[cfg(test)]
pub(crate) trait Visit {
    fn visit<Q, A>(&mut self, layout: &'static Layout)
    where
        Q: Request + Call<Response = A>,
        A: Message + kafka_protocol::protocol::Encodable + Decodable + PartialEq + fmt::Debug;
}
