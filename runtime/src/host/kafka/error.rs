//! Why a host does not start on a Kafka cluster: each with the way out.

use share_client::admin::AdminError;
use share_client::config::{Address, ConfigError};
use share_client::consumer::JoinError;
use share_client::membership::Refusal;
use share_client::net::Failure;
use share_client::tools::Who;

use crate::config::SecretError;
use crate::source::PropertiesError;

/// See the module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The properties do not make a connection.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The properties do not make a producer.
    #[error(transparent)]
    Producer(#[from] PropertiesError),
    /// The cluster did not answer, or refused it.
    #[error("{what}: {source}")]
    Ask {
        /// What was asked for, and what for.
        what: String,
        /// Why there is no answer.
        source: Box<AdminError>,
    },
    /// Before Kafka 4.2.
    #[error(
        "{broker} has no share groups as Kafka 4.2 has them: it is older, or something else that speaks the protocol"
    )]
    TooOld {
        /// Who was asked.
        broker: Address,
    },
    /// The cluster has them switched off.
    #[error("share groups are off at {broker}: share.version is 0")]
    SharesOff {
        /// Who was asked.
        broker: Address,
    },
    /// The manifest cannot work against what the brokers allow.
    #[error("deployments.{deployment}.{key} is {value}: {limit}")]
    Limit {
        /// The deployment.
        deployment: String,
        /// The key.
        key: &'static str,
        /// As the manifest has it.
        value: String,
        /// What stands against it, with its figure.
        limit: String,
        /// The way out.
        hint: String,
    },
    /// The group cannot be joined.
    #[error("deployment {deployment} cannot join group {group}: {source}")]
    Join {
        /// The deployment.
        deployment: String,
        /// Its group.
        group: String,
        /// Who would join.
        who: Box<Who>,
        /// Why not.
        source: Box<JoinError>,
    },
}

impl KafkaError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(_) => Some("see that the user of this process may read it".to_owned()),
            Self::Config(_) | Self::Producer(_) => {
                Some("change properties and secrets of the source; sharemill config check names them".to_owned())
            }
            Self::Ask { source, .. } => asked(source),
            Self::TooOld { .. } => Some(
                "upgrade the brokers to Kafka 4.2.1 or newer, or use a source of type \"embedded\", which needs none"
                    .to_owned(),
            ),
            Self::SharesOff { broker } => Some(format!("switch them on: {}", Who::from(broker).share_groups_on())),
            Self::Limit { hint, .. } => Some(hint.clone()),
            Self::Join { group, who, source, .. } => joined(group, source, who),
        }
    }
}

/// What to do about an answer that did not come, or says no.
pub(super) fn asked(error: &AdminError) -> Option<String> {
    match error {
        AdminError::Denied(denied) => Some(format!("have it granted: {}", denied.command())),
        AdminError::Unreachable { tried, .. } => tried.first().map(|error| reached(&error.failure)),
        AdminError::Net { source, .. } => Some(reached(&source.failure)),
        _ => None,
    }
}

/// What to do about a group that takes nobody.
pub(super) fn joined(group: &str, error: &JoinError, who: &Who) -> Option<String> {
    match error {
        JoinError::Net(error) => Some(reached(&error.failure)),
        JoinError::Refused(Refusal::GroupFull { .. }) => {
            let hint = "raise it at the brokers (group.share.max.size), or end another member; a host whose deployment has a retry topic counts as two";
            Some(hint.to_owned())
        }
        JoinError::Refused(Refusal::GroupDenied { .. } | Refusal::TopicDenied { .. }) => {
            Some("have it granted by whoever administers the cluster".to_owned())
        }
        JoinError::Refused(Refusal::OtherKind { .. }) => Some(format!(
            "write another group for the deployment, or delete the old one: {}",
            who.delete_group(group)
        )),
        JoinError::TimedOut { .. } => Some("see what the coordinator of the group says in its log".to_owned()),
        _ => None,
    }
}

/// The way to a broker.
pub(super) fn reached(failure: &Failure) -> String {
    let way = match failure {
        Failure::Resolve { .. } => "correct the name in bootstrap.servers of the source, or the resolver",
        Failure::Connect { .. } => {
            "see that a broker runs there, and that bootstrap.servers of the source has its address and port"
        }
        Failure::Timeout { .. } => {
            "see that nothing holds up what is sent there (a firewall), and that the port in bootstrap.servers is a broker's"
        }
        Failure::Lost { .. } | Failure::NotKafka { .. } => {
            "set security.protocol of the source to what the listener wants, or bootstrap.servers to another listener"
        }
        Failure::Tls { .. } => {
            "set ssl.ca.location of the source to the authority of the brokers, or security.protocol to what the listener wants"
        }
        Failure::Login { .. } | Failure::Token { .. } => {
            "correct the user among the properties of the source, and the password or token among its secrets"
        }
        Failure::Mechanism { .. } => "set sasl.mechanism of the source to one that the broker has",
        _ => "see that the broker is Apache Kafka 4.2.1 or newer, and what its log says",
    };
    way.to_owned()
}
