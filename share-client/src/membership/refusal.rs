//! Why a coordinator refuses a member, in words that say what to do.

use share_wire::code::ErrorCode;

/// Why a coordinator refuses a member for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The group has as many members as it may.
    #[error("group `{group}` is full: {said} (the broker's group.share.max.size)")]
    GroupFull {
        /// The group.
        group: String,
        /// What the broker says, with its limit.
        said: String,
    },
    /// The principal may not use the group.
    #[error(
        "not allowed: {principal} needs the operation READ on the group `{group}` (kafka-acls.sh --add --allow-principal {principal} \
         --operation Read --group {group})"
    )]
    GroupDenied {
        /// The group.
        group: String,
        /// `User:` and the name, or what stands for it.
        principal: String,
    },
    /// The principal may not see a topic.
    #[error(
        "not allowed: {principal} needs the operations DESCRIBE and READ on each of the topics {topics} (kafka-acls.sh --add \
         --allow-principal {principal} --operation Describe --operation Read --topic TOPIC){said}"
    )]
    TopicDenied {
        /// The topics of the subscription: the broker does not always say which.
        topics: String,
        /// `User:` and the name, or what stands for it.
        principal: String,
        /// What the broker says, if anything, after `: `.
        said: String,
    },
    /// The cluster has share groups off.
    #[error(
        "share groups are off in this cluster (kafka-features.sh upgrade --feature share.version=1 turns them on; they need \
         Apache Kafka 4.2 or newer)"
    )]
    Off,
    /// The id belongs to a group of another kind.
    #[error("`{group}` is not a share group: a consumer group or another one has this id")]
    OtherKind {
        /// The group.
        group: String,
    },
    /// Anything else.
    #[error("the coordinator of group `{group}` refuses the member: {code}{said}")]
    Other {
        /// The group.
        group: String,
        /// Why.
        code: ErrorCode,
        /// What the broker says, if anything, after `: `.
        said: String,
    },
}
