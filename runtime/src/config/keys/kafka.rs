//! What the keys of topics and deployments mean on Kafka: other ranges and defaults, and who sees to each of them.

use serde::Serialize;

use super::{Fallback, Key, Kind, Shape, key};

/// Who sees to it that a key of a topic or deployment holds on Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforced {
    /// This process.
    Host,
    /// The cluster, for all members of the group.
    Broker,
    /// Nobody: the key is refused.
    Refused,
}

impl Enforced {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Broker => "broker",
            Self::Refused => "refused",
        }
    }
}

/// Who sees to the key at `path`, written with `*` and `[]`, and how. `None` for keys that are of no topic and no deployment.
pub(in crate::config) fn enforced(path: &str) -> Option<(Enforced, &'static str)> {
    let row = ENFORCED.iter().find(|(known, ..)| *known == path);
    row.map(|(_, by, how)| (*by, *how))
}

/// Keys whose range or default is another on Kafka.
pub(super) const OTHERWISE: &[Key] = &[
    key(
        "topics.*.segment-bytes",
        Kind::Size {
            min: "1MiB",
            max: "1GiB",
        },
        Fallback::Derived("as the cluster has it"),
        "",
    ),
    key(
        "topics.*.retention",
        Kind::Form(Shape::RetentionOnKafka),
        Fallback::Derived("as the cluster has it"),
        "",
    ),
    key(
        "deployments.*.lock",
        Kind::Duration { min: "1s", max: "1h" },
        Fallback::Derived("as the group or the cluster has it"),
        "",
    ),
    key(
        "deployments.*.attempts",
        Kind::Integer { min: 1, max: 9 },
        Fallback::Is("4"),
        "",
    ),
    key(
        "deployments.*.start",
        Kind::Form(Shape::Start),
        Fallback::Derived("`start` of the source"),
        "",
    ),
];

use Enforced::{Broker, Host, Refused};

/// Every key of topics and deployments.
const ENFORCED: &[(&str, Enforced, &str)] = &[
    ("topics.*.source", Host, ""),
    (
        "topics.*.partitions",
        Broker,
        "A topic that is missing is made with so many; one that is there stays as it is.",
    ),
    (
        "topics.*.retention",
        Broker,
        "`retention.ms` and `retention.bytes` of a topic that is made. `\"queue\"` is refused: Kafka does not know when all groups have finished with a record.",
    ),
    (
        "topics.*.max-bytes",
        Refused,
        "Kafka bounds each partition: `retention = { size = \"1GiB\" }`.",
    ),
    (
        "topics.*.on-full",
        Refused,
        "Kafka drops the oldest segments past its retention, and never refuses a record for want of room.",
    ),
    (
        "topics.*.segment-bytes",
        Broker,
        "`segment.bytes` of a topic that is made.",
    ),
    ("deployments.*.component", Host, ""),
    ("deployments.*.topic", Broker, "The group subscribes to it."),
    ("deployments.*.source", Host, ""),
    (
        "deployments.*.group",
        Broker,
        "The share group that the host is a member of.",
    ),
    ("deployments.*.enabled", Host, ""),
    (
        "deployments.*.concurrency",
        Host,
        "The host fetches what it has places for. The broker gives a group at most `group.share.partition.max.record.locks` records of a partition.",
    ),
    ("deployments.*.instance", Host, ""),
    ("deployments.*.deadline", Host, ""),
    (
        "deployments.*.max-lease",
        Host,
        "The host renews the acquisition lock so long, and no longer.",
    ),
    (
        "deployments.*.lock",
        Broker,
        "`share.record.lock.duration.ms` of the group, within the broker's own limits.",
    ),
    ("deployments.*.memory", Host, ""),
    (
        "deployments.*.attempts",
        Host,
        "At most one less than the broker's `group.share.delivery.count.limit`, so that the host has the last word: past that the broker archives a record, and nobody has a dead letter.",
    ),
    (
        "deployments.*.backoff",
        Host,
        "A delayed record is held and its lock renewed, within `parking` of the source.",
    ),
    ("deployments.*.backoff.first", Host, ""),
    ("deployments.*.backoff.max", Host, ""),
    ("deployments.*.backoff.jitter", Host, ""),
    (
        "deployments.*.dead-letter",
        Host,
        "Written before the record is rejected. Where the group has a dead-letter topic of the broker (4.4), the broker writes.",
    ),
    (
        "deployments.*.retry-topic",
        Host,
        "Written before the record is accepted.",
    ),
    ("deployments.*.start", Broker, "`share.auto.offset.reset` of the group."),
    ("deployments.*.http", Host, ""),
    ("deployments.*.http.connections", Host, ""),
    ("deployments.*.http.connect-timeout", Host, ""),
    ("deployments.*.http.first-byte-timeout", Host, ""),
    ("deployments.*.http.between-bytes-timeout", Host, ""),
    ("deployments.*.http.header-bytes", Host, ""),
    ("deployments.*.http.request-bytes", Host, ""),
    ("deployments.*.http.response-bytes", Host, ""),
    ("deployments.*.settings", Host, ""),
    ("deployments.*.settings.*", Host, ""),
    ("deployments.*.secrets", Host, ""),
    ("deployments.*.secrets.*", Host, ""),
    ("deployments.*.grants", Host, ""),
    (
        "deployments.*.grants.emit",
        Host,
        "Emitted records are written before their input is acknowledged; a crash between the two has them written again.",
    ),
    ("deployments.*.grants.files", Host, ""),
    ("deployments.*.grants.files[].host", Host, ""),
    ("deployments.*.grants.files[].guest", Host, ""),
    ("deployments.*.grants.files[].access", Host, ""),
    ("deployments.*.grants.http", Host, ""),
    ("deployments.*.grants.http[].url", Host, ""),
    ("deployments.*.grants.http[].methods", Host, ""),
    ("deployments.*.grants.http[].addresses", Host, ""),
    ("deployments.*.grants.config", Host, ""),
    ("deployments.*.grants.config.*", Host, ""),
    ("deployments.*.grants.env", Host, ""),
    ("deployments.*.grants.env.*", Host, ""),
];

#[cfg(test)]
mod tests {
    use super::super::KEYS;
    use super::*;

    #[test]
    fn somebody_sees_to_each_key_of_a_topic_and_a_deployment() {
        let is_of_both = |path: &&str| path.starts_with("topics.*.") || path.starts_with("deployments.*.");
        let keys: Vec<&str> = KEYS.iter().map(|key| key.path).filter(is_of_both).collect();
        let rows: Vec<&str> = ENFORCED.iter().map(|(path, ..)| *path).collect();
        assert_eq!(keys, rows);
        for key in OTHERWISE {
            assert!(keys.contains(&key.path), "{}", key.path);
        }
    }
}
