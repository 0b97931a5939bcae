//! Responses to what writes and reads records and ends transactions (message schemas of Apache Kafka 4.2.1).

use super::{ERROR, ERROR_MESSAGE, NODE_ENDPOINTS, THROTTLE};
use crate::layout::{Field, Layout, bytes, inner, int16, int32, int64, list, text, uuid};

const CURRENT_LEADER: Field = inner("CurrentLeader", &[int32("LeaderId"), int32("LeaderEpoch")]);

pub(crate) const PRODUCE: Layout = Layout {
    name: "Produce response",
    flexible: 9,
    fields: &[
        list(
            "Responses",
            &[
                text("Name"),
                list(
                    "PartitionResponses",
                    &[
                        int32("Index"),
                        ERROR,
                        int64("BaseOffset"),
                        int64("LogAppendTimeMs"),
                        int64("LogStartOffset").since(5),
                        list(
                            "RecordErrors",
                            &[int32("BatchIndex"), text("BatchIndexErrorMessage").nullable()],
                        )
                        .since(8),
                        ERROR_MESSAGE.since(8),
                        CURRENT_LEADER.since(10).tagged(0),
                    ],
                ),
            ],
        ),
        THROTTLE,
        NODE_ENDPOINTS.since(10).tagged(0),
    ],
};

pub(crate) const FETCH: Layout = Layout {
    name: "Fetch response",
    flexible: 12,
    fields: &[
        THROTTLE,
        ERROR,
        int32("SessionId"),
        list(
            "Responses",
            &[
                text("Topic").until(12),
                uuid("TopicId").since(13),
                list(
                    "Partitions",
                    &[
                        int32("PartitionIndex"),
                        ERROR,
                        int64("HighWatermark"),
                        int64("LastStableOffset"),
                        int64("LogStartOffset"),
                        inner("DivergingEpoch", &[int32("Epoch"), int64("EndOffset")]).tagged(0),
                        CURRENT_LEADER.tagged(1),
                        inner("SnapshotId", &[int64("EndOffset"), int32("Epoch")]).tagged(2),
                        list("AbortedTransactions", &[int64("ProducerId"), int64("FirstOffset")]).nullable(),
                        int32("PreferredReadReplica"),
                        bytes("Records").nullable(),
                    ],
                ),
            ],
        ),
        NODE_ENDPOINTS.since(16).tagged(0),
    ],
};

pub(crate) const INIT_PRODUCER_ID: Layout = Layout {
    name: "InitProducerId response",
    flexible: 2,
    fields: &[THROTTLE, ERROR, int64("ProducerId"), int16("ProducerEpoch")],
};

pub(crate) const ADD_PARTITIONS_TO_TXN: Layout = Layout {
    name: "AddPartitionsToTxn response",
    flexible: 3,
    fields: &[
        THROTTLE,
        list(
            "ResultsByTopicV3AndBelow",
            &[
                text("Name"),
                list(
                    "ResultsByPartition",
                    &[int32("PartitionIndex"), int16("PartitionErrorCode")],
                ),
            ],
        ),
    ],
};

pub(crate) const END_TXN: Layout = Layout {
    name: "EndTxn response",
    flexible: 3,
    fields: &[
        THROTTLE,
        ERROR,
        int64("ProducerId").since(5),
        int16("ProducerEpoch").since(5),
    ],
};
