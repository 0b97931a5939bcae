//! What the brokers allow a share group. Where that may not be read, what Kafka documents is assumed, and said to be.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use share_wire::code::ErrorCode;

use super::Admin;
use super::configs::{ConfigOf, Setting};
use super::error::AdminError;
use super::offsets::Isolation;
use super::reset::Reset;

/// What holds for a share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long an acquired record stays a member's.
    pub lock: Limit<Duration>,
    /// The shortest lock that a group may be given.
    pub lock_min: Limit<Duration>,
    /// The longest lock that a group may be given.
    pub lock_max: Limit<Duration>,
    /// How often a record is delivered at most; after the last time it is archived.
    pub attempts: Limit<u32>,
    /// Offsets of a partition that may be between the first that is not finished and the last that was acquired.
    pub window: Limit<u32>,
    /// Members of a group.
    pub members: Limit<u32>,
    /// Where the group begins in a partition that it has no offset of.
    pub reset: Limit<Reset>,
    /// Whether records of transactions are delivered before they are committed.
    pub isolation: Limit<Isolation>,
    /// Whether the broker writes dead letters for the group (Kafka 4.4).
    pub dead_letters: Limit<Option<DeadLetters>>,
}

/// Where the broker itself writes what it gives up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// The topic.
    pub topic: String,
    /// Whether key, value and headers of the record are copied; else there are headers that name it, and nothing else.
    pub copies: bool,
}

/// A value, and whether anybody said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// The broker said it.
    Known(T),
    /// What Kafka documents as its default.
    Assumed {
        /// The default.
        value: T,
        /// Why the broker does not say: what is missing to ask it.
        why: String,
    },
}

impl<T> Limit<T> {
    /// The value, whoever said it.
    pub const fn value(&self) -> &T {
        match self {
            Self::Known(value) | Self::Assumed { value, .. } => value,
        }
    }

    /// Why it is an assumption, if it is one.
    pub fn assumed(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Assumed { why, .. } => Some(why),
        }
    }
}

impl Admin {
    /// What holds for a group, whether it exists or not. A permission that is missing is no error.
    pub async fn limits(&self, group: &str) -> Result<Limits, AdminError> {
        let of_group = readable(self.settings(&ConfigOf::Group(group.to_owned())).await)?;
        let cluster = self.cluster().await?;
        let of_broker = match cluster.brokers.first() {
            Some(broker) => readable(self.settings(&ConfigOf::Broker(broker.id)).await)?,
            None => Err("the cluster names no broker".to_owned()),
        };
        Ok(limits(&Known { of_group, of_broker }))
    }
}

impl Admin {
    /// How many replicas the brokers give the topic in which they keep the states of share groups. With fewer brokers they cannot make it,
    /// and no group is ever given a partition.
    pub async fn state_replicas(&self) -> Result<Limit<usize>, AdminError> {
        let cluster = self.cluster().await?;
        let of_broker = match cluster.brokers.first() {
            Some(broker) => readable(self.settings(&ConfigOf::Broker(broker.id)).await)?,
            None => Err("the cluster names no broker".to_owned()),
        };
        Ok(limit(named(&of_broker, STATE_REPLICAS), number, 3))
    }
}

/// The broker's setting behind [`Admin::state_replicas`].
pub const STATE_REPLICAS: &str = "share.coordinator.state.topic.replication.factor";

/// Settings by name, or why they cannot be read.
type Read = Result<BTreeMap<String, String>, String>;

struct Known {
    of_group: Read,
    of_broker: Read,
}

/// A missing permission, and a broker that knows no settings of groups, leave assumptions.
fn readable(settings: Result<Vec<Setting>, AdminError>) -> Result<Read, AdminError> {
    match settings {
        Ok(settings) => {
            let named = |setting: Setting| Some((setting.name, setting.value?));
            Ok(Ok(settings.into_iter().filter_map(named).collect()))
        }
        Err(
            error @ (AdminError::Denied(_)
            | AdminError::Refused {
                code: ErrorCode::INVALID_REQUEST,
                ..
            }),
        ) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

fn limits(known: &Known) -> Limits {
    let millis = |value: &str| value.parse().ok().map(Duration::from_millis);
    let lock = known.either("share.record.lock.duration.ms", "group.share.record.lock.duration.ms");
    let attempts = known.either("share.delivery.count.limit", "group.share.delivery.count.limit");
    let window = known.either(
        "share.partition.max.record.locks",
        "group.share.partition.max.record.locks",
    );
    Limits {
        lock: limit(lock, millis, Duration::from_secs(30)),
        lock_min: limit(
            known.broker("group.share.min.record.lock.duration.ms"),
            millis,
            Duration::from_secs(15),
        ),
        lock_max: limit(
            known.broker("group.share.max.record.lock.duration.ms"),
            millis,
            Duration::from_mins(1),
        ),
        attempts: limit(attempts, number, 5),
        window: limit(window, number, 2_000),
        members: limit(known.broker("group.share.max.size"), number, 200),
        reset: limit(known.group("share.auto.offset.reset"), Reset::parse, Reset::Latest),
        isolation: limit(
            known.group("share.isolation.level"),
            Isolation::parse,
            Isolation::Uncommitted,
        ),
        dead_letters: known.dead_letters(),
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn limit<T>(text: Result<&str, String>, read: impl Fn(&str) -> Option<T>, default: T) -> Limit<T> {
    match text.map(|text| (read(text), text)) {
        Ok((Some(value), _)) => Limit::Known(value),
        Ok((None, text)) => Limit::Assumed {
            value: default,
            why: format!("the broker says {text:?}, which cannot be read"),
        },
        Err(why) => Limit::Assumed { value: default, why },
    }
}

impl Known {
    fn group(&self, name: &str) -> Result<&str, String> {
        named(&self.of_group, name)
    }

    fn broker(&self, name: &str) -> Result<&str, String> {
        named(&self.of_broker, name)
    }

    /// The group's value, which older brokers have not, or else the broker's.
    fn either(&self, of_group: &str, of_broker: &str) -> Result<&str, String> {
        self.group(of_group).or_else(|_| self.broker(of_broker))
    }

    fn dead_letters(&self) -> Limit<Option<DeadLetters>> {
        let settings = match &self.of_group {
            Ok(settings) => settings,
            Err(why) => {
                return Limit::Assumed {
                    value: None,
                    why: why.clone(),
                };
            }
        };
        let topic = settings
            .get("errors.deadletterqueue.topic.name")
            .filter(|topic| !topic.is_empty());
        let copies = settings.get("errors.deadletterqueue.copy.record.enable");
        Limit::Known(topic.map(|topic| DeadLetters {
            topic: topic.clone(),
            copies: copies.is_some_and(|value| value == "true"),
        }))
    }
}

fn named<'a>(settings: &'a Read, name: &str) -> Result<&'a str, String> {
    let settings = settings.as_ref().map_err(Clone::clone)?;
    let value = settings.get(name).map(String::as_str);
    value.ok_or_else(|| format!("the broker has no setting {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as settings are held")]
    fn read(rows: &[(&str, &str)]) -> Read {
        Ok(rows
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect())
    }

    #[test]
    fn what_may_not_be_read_is_assumed_and_said_to_be() {
        let denied = || Err("User:jobs needs DESCRIBE_CONFIGS on the cluster".to_owned());
        let found = limits(&Known {
            of_group: denied(),
            of_broker: denied(),
        });
        assert_eq!(*found.lock.value(), Duration::from_secs(30));
        assert_eq!(
            (*found.attempts.value(), *found.window.value(), *found.members.value()),
            (5, 2_000, 200)
        );
        assert_eq!(
            found.window.assumed(),
            Some("User:jobs needs DESCRIBE_CONFIGS on the cluster")
        );
        assert!(found.dead_letters.assumed().is_some());

        let of_group = read(&[
            ("share.record.lock.duration.ms", "1500"),
            ("share.auto.offset.reset", "sometime"),
        ]);
        let found = limits(&Known {
            of_group,
            of_broker: denied(),
        });
        assert_eq!(found.lock, Limit::Known(Duration::from_millis(1_500)));
        assert!(found.reset.assumed().unwrap().contains("\"sometime\""));
        assert_eq!(found.dead_letters, Limit::Known(None));
    }

    #[test]
    fn a_group_s_own_value_comes_before_the_broker_s() {
        let of_broker = read(&[("group.share.delivery.count.limit", "7"), ("group.share.max.size", "3")]);
        let of_group = read(&[
            ("share.delivery.count.limit", "9"),
            ("errors.deadletterqueue.topic.name", "dlq.x"),
        ]);
        let found = limits(&Known {
            of_group,
            of_broker: of_broker.clone(),
        });
        assert_eq!(found.attempts, Limit::Known(9));
        assert_eq!(found.members, Limit::Known(3));
        assert_eq!(found.dead_letters.value().as_ref().unwrap().topic, "dlq.x");
        let found = limits(&Known {
            of_group: read(&[]),
            of_broker,
        });
        assert_eq!(found.attempts, Limit::Known(7));
        assert_eq!(
            found.window.assumed(),
            Some("the broker has no setting group.share.partition.max.record.locks")
        );
    }
}
