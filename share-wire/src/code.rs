//! Kafka's error codes (class `Errors`, 4.2.1, and those that 4.4 adds).

use std::fmt;

/// An error code of Kafka's, as it stands in responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*
        }
    };
}

named! {
    /// No error.
    NONE = 0;
    /// There is no record at the offset: not any more, or not yet.
    OFFSET_OUT_OF_RANGE = 1;
    /// There is no such partition.
    UNKNOWN_TOPIC_OR_PARTITION = 3;
    /// The broker does not lead the partition.
    NOT_LEADER_OR_FOLLOWER = 6;
    /// The coordinator reads its state.
    COORDINATOR_LOAD_IN_PROGRESS = 14;
    /// There is no coordinator at present.
    COORDINATOR_NOT_AVAILABLE = 15;
    /// Another broker coordinates the group.
    NOT_COORDINATOR = 16;
    /// The coordinator does not know the member.
    UNKNOWN_MEMBER_ID = 25;
    /// The principal may not use the topic.
    TOPIC_AUTHORIZATION_FAILED = 29;
    /// The principal may not use the group.
    GROUP_AUTHORIZATION_FAILED = 30;
    /// The broker does not know the mechanism.
    UNSUPPORTED_SASL_MECHANISM = 33;
    /// The request has a version that the broker does not know, or its feature is off.
    UNSUPPORTED_VERSION = 35;
    /// There is a topic of this name.
    TOPIC_ALREADY_EXISTS = 36;
    /// Fields do not go together.
    INVALID_REQUEST = 42;
    /// The credentials are wrong.
    SASL_AUTHENTICATION_FAILED = 58;
    /// There is no such group, or it is of another kind.
    GROUP_ID_NOT_FOUND = 69;
    /// The leader has changed.
    FENCED_LEADER_EPOCH = 74;
    /// The group has as many members as it may.
    GROUP_MAX_SIZE_REACHED = 81;
    /// There is no topic of that id.
    UNKNOWN_TOPIC_ID = 100;
    /// The member's epoch is an old one.
    FENCED_MEMBER_EPOCH = 110;
    /// A record is not acquired by the member any more.
    INVALID_RECORD_STATE = 121;
    /// There is no share session.
    SHARE_SESSION_NOT_FOUND = 122;
    /// The share session is at another epoch.
    INVALID_SHARE_SESSION_EPOCH = 123;
    /// The broker has as many share sessions as it may.
    SHARE_SESSION_LIMIT_REACHED = 133;
}

impl ErrorCode {
    /// Whether it is one.
    pub const fn is_error(self) -> bool {
        self.0 != 0
    }

    /// Its name in Kafka; `None` for a code that this version does not know.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|(_, name, _)| *name)
    }

    /// Whether Kafka's own clients try again. What is not known is not tried again.
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|(.., retriable)| *retriable)
    }

    fn row(self) -> Option<&'static (i16, &'static str, bool)> {
        let index = CODES.binary_search_by_key(&self.0, |(code, ..)| *code);
        index.ok().and_then(|index| CODES.get(index))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "unknown error code {}", self.0),
        }
    }
}

/// Ascending: the code, its name, and whether it is retriable.
const CODES: &[(i16, &str, bool)] = &[
    (-1, "UNKNOWN_SERVER_ERROR", false),
    (0, "NONE", false),
    (1, "OFFSET_OUT_OF_RANGE", false),
    (2, "CORRUPT_MESSAGE", true),
    (3, "UNKNOWN_TOPIC_OR_PARTITION", true),
    (5, "LEADER_NOT_AVAILABLE", true),
    (6, "NOT_LEADER_OR_FOLLOWER", true),
    (7, "REQUEST_TIMED_OUT", true),
    (9, "REPLICA_NOT_AVAILABLE", true),
    (10, "MESSAGE_TOO_LARGE", false),
    (13, "NETWORK_EXCEPTION", true),
    (14, "COORDINATOR_LOAD_IN_PROGRESS", true),
    (15, "COORDINATOR_NOT_AVAILABLE", true),
    (16, "NOT_COORDINATOR", true),
    (17, "INVALID_TOPIC_EXCEPTION", false),
    (18, "RECORD_LIST_TOO_LARGE", false),
    (19, "NOT_ENOUGH_REPLICAS", true),
    (20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true),
    (21, "INVALID_REQUIRED_ACKS", false),
    (24, "INVALID_GROUP_ID", false),
    (25, "UNKNOWN_MEMBER_ID", false),
    (29, "TOPIC_AUTHORIZATION_FAILED", false),
    (30, "GROUP_AUTHORIZATION_FAILED", false),
    (31, "CLUSTER_AUTHORIZATION_FAILED", false),
    (32, "INVALID_TIMESTAMP", false),
    (33, "UNSUPPORTED_SASL_MECHANISM", false),
    (34, "ILLEGAL_SASL_STATE", false),
    (35, "UNSUPPORTED_VERSION", false),
    (36, "TOPIC_ALREADY_EXISTS", false),
    (37, "INVALID_PARTITIONS", false),
    (38, "INVALID_REPLICATION_FACTOR", false),
    (39, "INVALID_REPLICA_ASSIGNMENT", false),
    (40, "INVALID_CONFIG", false),
    (41, "NOT_CONTROLLER", true),
    (42, "INVALID_REQUEST", false),
    (43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false),
    (44, "POLICY_VIOLATION", false),
    (45, "OUT_OF_ORDER_SEQUENCE_NUMBER", false),
    (46, "DUPLICATE_SEQUENCE_NUMBER", false),
    (47, "INVALID_PRODUCER_EPOCH", false),
    (48, "INVALID_TXN_STATE", false),
    (49, "INVALID_PRODUCER_ID_MAPPING", false),
    (50, "INVALID_TRANSACTION_TIMEOUT", false),
    (51, "CONCURRENT_TRANSACTIONS", true),
    (53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", false),
    (56, "KAFKA_STORAGE_ERROR", true),
    (58, "SASL_AUTHENTICATION_FAILED", false),
    (59, "UNKNOWN_PRODUCER_ID", false),
    (68, "NON_EMPTY_GROUP", false),
    (69, "GROUP_ID_NOT_FOUND", false),
    (73, "TOPIC_DELETION_DISABLED", false),
    (74, "FENCED_LEADER_EPOCH", true),
    (75, "UNKNOWN_LEADER_EPOCH", true),
    (76, "UNSUPPORTED_COMPRESSION_TYPE", false),
    (78, "OFFSET_NOT_AVAILABLE", true),
    (81, "GROUP_MAX_SIZE_REACHED", false),
    (87, "INVALID_RECORD", false),
    (89, "THROTTLING_QUOTA_EXCEEDED", true),
    (90, "PRODUCER_FENCED", false),
    (91, "RESOURCE_NOT_FOUND", false),
    (100, "UNKNOWN_TOPIC_ID", true),
    (103, "INCONSISTENT_TOPIC_ID", true),
    (104, "INCONSISTENT_CLUSTER_ID", false),
    (110, "FENCED_MEMBER_EPOCH", false),
    (111, "UNRELEASED_INSTANCE_ID", false),
    (112, "UNSUPPORTED_ASSIGNOR", false),
    (113, "STALE_MEMBER_EPOCH", false),
    (114, "MISMATCHED_ENDPOINT_TYPE", false),
    (115, "UNSUPPORTED_ENDPOINT_TYPE", false),
    (120, "TRANSACTION_ABORTABLE", false),
    (121, "INVALID_RECORD_STATE", false),
    (122, "SHARE_SESSION_NOT_FOUND", true),
    (123, "INVALID_SHARE_SESSION_EPOCH", true),
    (124, "FENCED_STATE_EPOCH", false),
    (129, "REBOOTSTRAP_REQUIRED", false),
    (133, "SHARE_SESSION_LIMIT_REACHED", true),
    (134, "GROUP_DELETION_FAILED", false),
    (135, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", false),
    (136, "CONTROLLER_ID_NOT_REGISTERED", false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_by_number() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        let code = ErrorCode::INVALID_RECORD_STATE;
        assert_eq!(code.to_string(), "INVALID_RECORD_STATE (121)");
        assert!(!code.is_retriable() && code.is_error());
        assert!(ErrorCode::SHARE_SESSION_NOT_FOUND.is_retriable());
        assert!(!ErrorCode::NONE.is_error());
        assert_eq!(ErrorCode(9_999).to_string(), "unknown error code 9999");
        assert!(!ErrorCode(9_999).is_retriable());
        assert_eq!(ErrorCode(-1).name(), Some("UNKNOWN_SERVER_ERROR"));
    }
}
