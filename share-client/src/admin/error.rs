//! What can go wrong while a cluster is asked: each error says what was asked of whom, and where permission is missing, which.

use std::fmt;

use share_wire::code::ErrorCode;

use super::states::StateError;
use crate::config::Address;
use crate::net::{Failure, NetError};
use crate::tools::{On, Operation, Who};

/// Why there is no answer. Can be cloned, so that one failure can be told to all who wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// None of the brokers could be asked.
    #[error("no broker answers {asking}: {}", Joined(tried))]
    Unreachable {
        /// The request.
        asking: &'static str,
        /// What became of each that was tried; at least one.
        tried: Vec<NetError>,
    },
    /// One broker, who is the one to ask, gave no answer.
    #[error("{asking} for {about}: {source}")]
    Net {
        /// The request.
        asking: &'static str,
        /// What it was about.
        about: Resource,
        /// What happened.
        source: Box<NetError>,
    },
    /// The principal may not do it.
    #[error(transparent)]
    Denied(Box<Denied>),
    /// There is no such topic, partition or group, or the principal may not know of it.
    #[error("{about} does not exist, or may not be seen")]
    Missing {
        /// What was asked for.
        about: Resource,
    },
    /// Nobody leads the partition at present.
    #[error("partition {partition} of topic {topic} has no leader at present")]
    NoLeader {
        /// Its topic.
        topic: String,
        /// Its number.
        partition: i32,
    },
    /// The brokers know share groups, but `share.version` is 0.
    #[error("share groups are off at {broker}: have them switched on with {}", Who::from(broker).share_groups_on())]
    SharesOff {
        /// Who said so.
        broker: Address,
    },
    /// The broker refused it for another reason.
    #[error("{broker} refused {asking} for {about}: {code}{}", Said(.said.as_deref()))]
    Refused {
        /// The request.
        asking: &'static str,
        /// What it was about.
        about: Resource,
        /// Who refused it.
        broker: Address,
        /// Kafka's code.
        code: ErrorCode,
        /// What the broker says of it, at most 500 characters.
        said: Option<String>,
    },
    /// The answer does not hold what was asked for.
    #[error("{broker} answered {asking} without a word on {about}")]
    NoWord {
        /// The request.
        asking: &'static str,
        /// What it was about.
        about: Resource,
        /// Who answered.
        broker: Address,
    },
    /// Records that came cannot be read.
    #[error("records of {about} at {broker}: {reason}")]
    Records {
        /// Topic and partition.
        about: Resource,
        /// Whose they are.
        broker: Address,
        /// What is wrong with them.
        reason: String,
    },
    /// What the broker keeps of a share group cannot be read.
    #[error("{about}, offset {offset}: {source}")]
    State {
        /// Topic and partition.
        about: Resource,
        /// Where the record is.
        offset: i64,
        /// What is wrong with it.
        source: StateError,
    },
}

/// A permission that is missing. Its text says who needs what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// As whom we are logged in, and the cluster that it is about.
    pub who: Who,
    /// What is needed.
    pub operation: Operation,
    /// On what.
    pub resource: Resource,
    /// What was asked.
    pub asking: &'static str,
    /// Who refused it.
    pub broker: Address,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// The cluster as a whole.
    Cluster,
    /// A broker's own settings.
    Broker(i32),
    /// By name.
    Topic(String),
    /// Topic and number.
    Partition(String, i32),
    /// By name.
    Group(String),
    /// Every topic that a group is assigned: which of them is the matter, the broker does not say.
    TopicsOf(String),
}

impl AdminError {
    /// Whether the same question may have an answer a moment later. The admin client has tried for a while already.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Net { source, .. } => !source.is_final(),
            Self::Refused { code, .. } => code.is_retriable(),
            Self::NoLeader { .. } | Self::NoWord { .. } => true,
            _ => false,
        }
    }

    /// The permission that is missing, if that is what is wrong.
    pub fn denied(&self) -> Option<&Denied> {
        match self {
            Self::Denied(denied) => Some(denied),
            _ => None,
        }
    }

    /// Whether what was asked for does not exist.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Whether the broker has no such request: it is too old, or not to be spoken to like this.
    pub fn is_version(&self) -> bool {
        let of = |error: &NetError| matches!(error.failure, Failure::Version(_));
        match self {
            Self::Net { source, .. } => of(source),
            Self::Unreachable { tried, .. } => tried.iter().any(of),
            Self::SharesOff { .. } => true,
            _ => false,
        }
    }
}

impl Denied {
    /// The command that grants it, for whoever may.
    pub fn command(&self) -> String {
        let on = match &self.resource {
            Resource::Topic(name) | Resource::Partition(name, _) => On::Topics(&[name]),
            Resource::Group(name) => On::Group(name),
            Resource::TopicsOf(_) => On::EveryTopic,
            Resource::Cluster | Resource::Broker(_) => On::Cluster,
        };
        self.who.grant(&[self.operation], on)
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            who,
            operation,
            resource,
            ..
        } = self;
        write!(f, "{who} needs {operation} on ")?;
        match resource {
            Resource::Broker(_) => Resource::Cluster.fmt(f),
            Resource::Partition(name, _) => Resource::Topic(name.clone()).fmt(f),
            other => other.fmt(f),
        }
    }
}

impl std::error::Error for Denied {}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Partition(name, partition) => write!(f, "topic {name}, partition {partition}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::TopicsOf(group) => write!(f, "each topic of group {group}"),
        }
    }
}

/// What is asked, about what, and what it takes: the answers to it are read in its light.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) asking: &'static str,
    pub(super) about: Resource,
    pub(super) needs: Operation,
}

impl Question {
    pub(super) const fn new(asking: &'static str, needs: Operation, about: Resource) -> Self {
        Self { asking, about, needs }
    }

    /// What a code in an answer means.
    pub(super) fn refused(&self, broker: &Address, who: &Who, code: ErrorCode, said: Option<&str>) -> AdminError {
        let Self { asking, about, needs } = self.clone();
        let broker = broker.clone();
        let resource = match (code, &about) {
            (ErrorCode::TOPIC_AUTHORIZATION_FAILED, Resource::Group(group)) => Resource::TopicsOf(group.clone()),
            (CLUSTER_AUTHORIZATION_FAILED, _) => Resource::Cluster,
            _ => about.clone(),
        };
        match code {
            ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | CLUSTER_AUTHORIZATION_FAILED => AdminError::Denied(Box::new(Denied {
                who: who.clone(),
                operation: if matches!(resource, Resource::TopicsOf(_)) {
                    Operation::Describe
                } else {
                    needs
                },
                resource,
                asking,
                broker,
            })),
            ErrorCode::GROUP_ID_NOT_FOUND => AdminError::Missing { about },
            ErrorCode::UNSUPPORTED_VERSION if matches!(about, Resource::Group(_)) => AdminError::SharesOff { broker },
            _ => AdminError::Refused {
                asking,
                about,
                broker,
                code,
                said: said
                    .filter(|said| !said.is_empty())
                    .map(|said| said.chars().take(SAID_MAX).collect()),
            },
        }
    }

    pub(super) fn net(&self, source: NetError) -> AdminError {
        AdminError::Net {
            asking: self.asking,
            about: self.about.clone(),
            source: Box::new(source),
        }
    }

    pub(super) fn no_word(&self, broker: &Address) -> AdminError {
        AdminError::NoWord {
            asking: self.asking,
            about: self.about.clone(),
            broker: broker.clone(),
        }
    }
}

const CLUSTER_AUTHORIZATION_FAILED: ErrorCode = ErrorCode(31);

/// Characters of what a broker says.
const SAID_MAX: usize = 500;

struct Joined<'a>(&'a [NetError]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{error}")?;
        }
        Ok(())
    }
}

struct Said<'a>(Option<&'a str>);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |said| write!(f, ": {said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_who_needs_what_and_how_to_grant_it() {
        let broker = Address::parse("k1:9092").unwrap();
        let question = Question::new(
            "DescribeShareGroupOffsets",
            Operation::Describe,
            Resource::Topic("orders".into()),
        );
        let who = |principal: Option<&str>| Who {
            principal: principal.map(str::to_owned),
            servers: "k1:9092,k2:9092".to_owned(),
        };
        let refused = |principal, code| question.refused(&broker, &who(principal), code, None);
        let error = refused(Some("User:jobs"), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        assert_eq!(error.to_string(), "User:jobs needs DESCRIBE on topic orders");
        assert_eq!(
            error.denied().unwrap().command(),
            "kafka-acls.sh --bootstrap-server k1:9092,k2:9092 --add --allow-principal User:jobs --operation Describe --topic orders"
        );
        let error = refused(None, CLUSTER_AUTHORIZATION_FAILED);
        assert_eq!(
            error.to_string(),
            "the principal of this connection needs DESCRIBE on the cluster"
        );
        let error = refused(None, ErrorCode(42));
        assert_eq!(
            error.to_string(),
            "k1:9092 refused DescribeShareGroupOffsets for topic orders: INVALID_REQUEST (42)"
        );

        let question = Question::new(
            "ShareGroupDescribe",
            Operation::Describe,
            Resource::Group("pack it".into()),
        );
        let error = question.refused(&broker, &who(None), ErrorCode::TOPIC_AUTHORIZATION_FAILED, None);
        assert!(
            error
                .to_string()
                .ends_with("needs DESCRIBE on each topic of group pack it"),
            "{error}"
        );
        let error = question.refused(&broker, &who(None), ErrorCode::GROUP_AUTHORIZATION_FAILED, None);
        assert!(
            error
                .denied()
                .unwrap()
                .command()
                .ends_with("--operation Describe --group 'pack it'")
        );
    }
}
