//! The layouts of the responses that the `kafka-protocol` crate reads for us (message schemas of Apache Kafka 4.2.1), in the versions
//! that `call` asks for. Records and transactions are in `produce`, topics and clusters in `topics`, the rest is here.

mod produce;
mod topics;

pub(crate) use self::produce::{ADD_PARTITIONS_TO_TXN, END_TXN, FETCH, INIT_PRODUCER_ID, PRODUCE};
pub(crate) use self::topics::{
    CREATE_PARTITIONS, CREATE_TOPICS, DELETE_RECORDS, DELETE_TOPICS, DESCRIBE_CLUSTER, DESCRIBE_TOPIC_PARTITIONS,
};
use crate::layout::{
    Field, Layout, bool, bytes, inner, int8, int16, int32, int32s, int64, list, optional, text, texts, uuid,
};

const THROTTLE: Field = int32("ThrottleTimeMs");
const ERROR: Field = int16("ErrorCode");
const ERROR_MESSAGE: Field = text("ErrorMessage").nullable();
const NODE_ENDPOINTS: Field = list(
    "NodeEndpoints",
    &[int32("NodeId"), text("Host"), int32("Port"), text("Rack").nullable()],
);

pub(crate) const API_VERSIONS: Layout = Layout {
    name: "ApiVersions response",
    flexible: 3,
    fields: &[
        ERROR,
        list("ApiKeys", &[int16("ApiKey"), int16("MinVersion"), int16("MaxVersion")]),
        int32("ThrottleTimeMs").since(1),
        list(
            "SupportedFeatures",
            &[text("Name"), int16("MinVersion"), int16("MaxVersion")],
        )
        .since(3)
        .tagged(0),
        int64("FinalizedFeaturesEpoch").since(3).tagged(1),
        list(
            "FinalizedFeatures",
            &[text("Name"), int16("MaxVersionLevel"), int16("MinVersionLevel")],
        )
        .since(3)
        .tagged(2),
        bool("ZkMigrationReady").since(3).tagged(3),
    ],
};

pub(crate) const METADATA: Layout = Layout {
    name: "Metadata response",
    flexible: 9,
    fields: &[
        THROTTLE.since(3),
        list(
            "Brokers",
            &[
                int32("NodeId"),
                text("Host"),
                int32("Port"),
                text("Rack").since(1).nullable(),
            ],
        ),
        text("ClusterId").since(2).nullable(),
        int32("ControllerId").since(1),
        list(
            "Topics",
            &[
                ERROR,
                text("Name").nullable_since(12),
                uuid("TopicId").since(10),
                bool("IsInternal").since(1),
                list(
                    "Partitions",
                    &[
                        ERROR,
                        int32("PartitionIndex"),
                        int32("LeaderId"),
                        int32("LeaderEpoch").since(7),
                        int32s("ReplicaNodes"),
                        int32s("IsrNodes"),
                        int32s("OfflineReplicas").since(5),
                    ],
                ),
                int32("TopicAuthorizedOperations").since(8),
            ],
        ),
        int32("ClusterAuthorizedOperations").since(8).until(10),
        ERROR.since(13),
    ],
};

pub(crate) const FIND_COORDINATOR: Layout = Layout {
    name: "FindCoordinator response",
    flexible: 3,
    fields: &[
        THROTTLE.since(1),
        ERROR.until(3),
        ERROR_MESSAGE.since(1).until(3),
        int32("NodeId").until(3),
        text("Host").until(3),
        int32("Port").until(3),
        list(
            "Coordinators",
            &[
                text("Key"),
                int32("NodeId"),
                text("Host"),
                int32("Port"),
                ERROR,
                ERROR_MESSAGE,
            ],
        )
        .since(4),
    ],
};

pub(crate) const SASL_HANDSHAKE: Layout = Layout {
    name: "SaslHandshake response",
    flexible: i16::MAX,
    fields: &[ERROR, texts("Mechanisms")],
};

pub(crate) const SASL_AUTHENTICATE: Layout = Layout {
    name: "SaslAuthenticate response",
    flexible: 2,
    fields: &[
        ERROR,
        ERROR_MESSAGE,
        bytes("AuthBytes"),
        int64("SessionLifetimeMs").since(1),
    ],
};

pub(crate) const SHARE_GROUP_HEARTBEAT: Layout = Layout {
    name: "ShareGroupHeartbeat response",
    flexible: 0,
    fields: &[
        THROTTLE,
        ERROR,
        ERROR_MESSAGE,
        text("MemberId").nullable(),
        int32("MemberEpoch"),
        int32("HeartbeatIntervalMs"),
        optional("Assignment", ASSIGNMENT),
    ],
};

const ASSIGNMENT: &[Field] = &[list("TopicPartitions", &[uuid("TopicId"), int32s("Partitions")])];

pub(crate) const SHARE_GROUP_DESCRIBE: Layout = Layout {
    name: "ShareGroupDescribe response",
    flexible: 0,
    fields: &[
        THROTTLE,
        list(
            "Groups",
            &[
                ERROR,
                ERROR_MESSAGE,
                text("GroupId"),
                text("GroupState"),
                int32("GroupEpoch"),
                int32("AssignmentEpoch"),
                text("AssignorName"),
                list(
                    "Members",
                    &[
                        text("MemberId"),
                        text("RackId").nullable(),
                        int32("MemberEpoch"),
                        text("ClientId"),
                        text("ClientHost"),
                        texts("SubscribedTopicNames"),
                        inner(
                            "Assignment",
                            &[list(
                                "TopicPartitions",
                                &[uuid("TopicId"), text("TopicName"), int32s("Partitions")],
                            )],
                        ),
                    ],
                ),
                int32("AuthorizedOperations"),
            ],
        ),
    ],
};

pub(crate) const ALTER_SHARE_GROUP_OFFSETS: Layout = Layout {
    name: "AlterShareGroupOffsets response",
    flexible: 0,
    fields: &[
        THROTTLE,
        ERROR,
        ERROR_MESSAGE,
        list(
            "Responses",
            &[
                text("TopicName"),
                uuid("TopicId"),
                list("Partitions", &[int32("PartitionIndex"), ERROR, ERROR_MESSAGE]),
            ],
        ),
    ],
};

pub(crate) const DELETE_SHARE_GROUP_OFFSETS: Layout = Layout {
    name: "DeleteShareGroupOffsets response",
    flexible: 0,
    fields: &[
        THROTTLE,
        ERROR,
        ERROR_MESSAGE,
        list("Responses", &[text("TopicName"), uuid("TopicId"), ERROR, ERROR_MESSAGE]),
    ],
};

pub(crate) const LIST_OFFSETS: Layout = Layout {
    name: "ListOffsets response",
    flexible: 6,
    fields: &[
        THROTTLE.since(2),
        list(
            "Topics",
            &[
                text("Name"),
                list(
                    "Partitions",
                    &[
                        int32("PartitionIndex"),
                        ERROR,
                        int64("Timestamp"),
                        int64("Offset"),
                        int32("LeaderEpoch").since(4),
                    ],
                ),
            ],
        ),
    ],
};

pub(crate) const DESCRIBE_CONFIGS: Layout = Layout {
    name: "DescribeConfigs response",
    flexible: 4,
    fields: &[
        THROTTLE,
        list(
            "Results",
            &[
                ERROR,
                ERROR_MESSAGE,
                int8("ResourceType"),
                text("ResourceName"),
                list(
                    "Configs",
                    &[
                        text("Name"),
                        text("Value").nullable(),
                        bool("ReadOnly"),
                        int8("ConfigSource"),
                        bool("IsSensitive"),
                        list("Synonyms", &[text("Name"), text("Value").nullable(), int8("Source")]),
                        int8("ConfigType").since(3),
                        text("Documentation").since(3).nullable(),
                    ],
                ),
            ],
        ),
    ],
};

pub(crate) const INCREMENTAL_ALTER_CONFIGS: Layout = Layout {
    name: "IncrementalAlterConfigs response",
    flexible: 1,
    fields: &[
        THROTTLE,
        list(
            "Responses",
            &[ERROR, ERROR_MESSAGE, int8("ResourceType"), text("ResourceName")],
        ),
    ],
};

pub(crate) const LIST_GROUPS: Layout = Layout {
    name: "ListGroups response",
    flexible: 3,
    fields: &[
        THROTTLE.since(1),
        ERROR,
        list(
            "Groups",
            &[
                text("GroupId"),
                text("ProtocolType"),
                text("GroupState").since(4),
                text("GroupType").since(5),
            ],
        ),
    ],
};

pub(crate) const DELETE_GROUPS: Layout = Layout {
    name: "DeleteGroups response",
    flexible: 2,
    fields: &[THROTTLE, list("Results", &[text("GroupId"), ERROR])],
};
