//! Responses to what makes, changes and describes topics and clusters (message schemas of Apache Kafka 4.2.1).

use super::{ERROR, ERROR_MESSAGE, THROTTLE};
use crate::layout::{Field, Layout, bool, int8, int16, int32, int32s, int64, list, optional, text, uuid};

pub(crate) const CREATE_TOPICS: Layout = Layout {
    name: "CreateTopics response",
    flexible: 5,
    fields: &[
        THROTTLE,
        list(
            "Topics",
            &[
                text("Name"),
                uuid("TopicId").since(7),
                ERROR,
                ERROR_MESSAGE,
                int16("TopicConfigErrorCode").tagged(0),
                int32("NumPartitions"),
                int16("ReplicationFactor"),
                list(
                    "Configs",
                    &[
                        text("Name"),
                        text("Value").nullable(),
                        bool("ReadOnly"),
                        int8("ConfigSource"),
                        bool("IsSensitive"),
                    ],
                )
                .nullable(),
            ],
        ),
    ],
};

pub(crate) const DELETE_TOPICS: Layout = Layout {
    name: "DeleteTopics response",
    flexible: 4,
    fields: &[
        THROTTLE,
        list(
            "Responses",
            &[
                text("Name").nullable_since(6),
                uuid("TopicId").since(6),
                ERROR,
                ERROR_MESSAGE,
            ],
        ),
    ],
};

pub(crate) const CREATE_PARTITIONS: Layout = Layout {
    name: "CreatePartitions response",
    flexible: 2,
    fields: &[THROTTLE, list("Results", &[text("Name"), ERROR, ERROR_MESSAGE])],
};

pub(crate) const DELETE_RECORDS: Layout = Layout {
    name: "DeleteRecords response",
    flexible: 2,
    fields: &[
        THROTTLE,
        list(
            "Topics",
            &[
                text("Name"),
                list("Partitions", &[int32("PartitionIndex"), int64("LowWatermark"), ERROR]),
            ],
        ),
    ],
};

pub(crate) const DESCRIBE_CLUSTER: Layout = Layout {
    name: "DescribeCluster response",
    flexible: 0,
    fields: &[
        THROTTLE,
        ERROR,
        ERROR_MESSAGE,
        int8("EndpointType").since(1),
        text("ClusterId"),
        int32("ControllerId"),
        list(
            "Brokers",
            &[
                int32("BrokerId"),
                text("Host"),
                int32("Port"),
                text("Rack").nullable(),
                bool("IsFenced").since(2),
            ],
        ),
        int32("ClusterAuthorizedOperations"),
    ],
};

pub(crate) const DESCRIBE_TOPIC_PARTITIONS: Layout = Layout {
    name: "DescribeTopicPartitions response",
    flexible: 0,
    fields: &[
        THROTTLE,
        list(
            "Topics",
            &[
                ERROR,
                text("Name").nullable(),
                uuid("TopicId"),
                bool("IsInternal"),
                list("Partitions", PARTITION),
                int32("TopicAuthorizedOperations"),
            ],
        ),
        optional("NextCursor", &[text("TopicName"), int32("PartitionIndex")]),
    ],
};

const PARTITION: &[Field] = &[
    ERROR,
    int32("PartitionIndex"),
    int32("LeaderId"),
    int32("LeaderEpoch"),
    int32s("ReplicaNodes"),
    int32s("IsrNodes"),
    int32s("EligibleLeaderReplicas").nullable(),
    int32s("LastKnownElr").nullable(),
    int32s("OfflineReplicas"),
];
