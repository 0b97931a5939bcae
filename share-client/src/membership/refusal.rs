//! Why a coordinator refuses a member, in words that say what to do.

use share_wire::code::ErrorCode;

use crate::tools::{On, Operation, Who};

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
        "not allowed: {who} needs the operation READ on the group `{group}` ({})",
        .who.grant(&[Operation::Read], On::Group(.group))
    )]
    GroupDenied {
        /// The group.
        group: String,
        /// Who it is.
        who: Who,
    },
    /// The principal may not see a topic.
    #[error(
        "not allowed: {who} needs the operations DESCRIBE and READ on each of the topics {} ({}){said}",
        .topics.join(", "),
        to_read(.who, .topics)
    )]
    TopicDenied {
        /// The topics of the subscription: the broker does not always say which.
        topics: Vec<String>,
        /// Who it is.
        who: Who,
        /// What the broker says, if anything, after `: `.
        said: String,
    },
    /// The cluster has share groups off.
    #[error(
        "share groups are off in this cluster ({} turns them on; they need Apache Kafka 4.2 or newer)",
        .who.share_groups_on()
    )]
    Off {
        /// Who asked.
        who: Who,
    },
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

fn to_read(who: &Who, topics: &[String]) -> String {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    who.grant(&[Operation::Describe, Operation::Read], On::Topics(&topics))
}
