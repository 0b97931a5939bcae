//! The cluster as a whole: its brokers, and whether share groups can be had on them.

use std::fmt;

use share_wire::kafka::{ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, MetadataRequest};

use super::Admin;
use super::ask::{Answered, address, broker, text};
use super::error::{AdminError, Question, Resource};
use crate::config::Address;
use crate::net::NetError;
use crate::tools::Operation;

/// Who belongs to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: Option<String>,
    /// By number, those that are up.
    pub brokers: Vec<Broker>,
}

/// A broker, as it says where it is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// Where it listens for clients like us.
    pub address: Address,
    /// Where it stands.
    pub rack: Option<String>,
}

/// What a broker can do for share groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// Who was asked.
    pub broker: Address,
    /// Which release it is by all appearances.
    pub release: Release,
    /// Whether share groups can be had.
    pub shares: ShareSupport,
}

/// Whether share groups can be had on a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareSupport {
    /// It does not know them, or not as they were released in 4.2.
    TooOld,
    /// It knows them, but `share.version` is 0.
    Off,
    /// They can be had: the level of `share.version`, from 1. From level 2 on (Kafka 4.4) brokers write dead letters.
    On(i16),
}

/// A release of Apache Kafka, by the requests that its brokers know. Other brokers that speak the protocol are taken for one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Release {
    /// Before 3.7.
    Older,
    /// 3.7.
    V3_7,
    /// 3.8 or 3.9.
    V3_8,
    /// 4.0: share groups as a first try, of which nothing is left.
    V4_0,
    /// 4.1: share groups as a preview.
    V4_1,
    /// 4.2 or 4.3.
    V4_2,
    /// 4.4 or newer.
    V4_4,
}

impl Admin {
    /// The brokers that are up.
    pub async fn cluster(&self) -> Result<Cluster, AdminError> {
        self.asker.patiently(|| self.cluster_once()).await
    }

    async fn cluster_once(&self) -> Result<Cluster, AdminError> {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let Answered { response, .. } = self.asker.metadata(&request).await?;
        let mut brokers: Vec<Broker> = response
            .brokers
            .iter()
            .filter_map(|row| {
                Some(Broker {
                    id: broker(row.node_id)?,
                    address: address(&row.host, row.port)?,
                    rack: row.rack.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Ok(Cluster {
            id: response.cluster_id.map(|id| id.to_string()),
            brokers,
        })
    }

    /// What any broker says that the cluster is called: needs nothing but a login, and says that somebody answers.
    pub async fn ping(&self) -> Result<String, AdminError> {
        let Answered { broker, response } = self.asker.ask_any(&DescribeClusterRequest::default(), false).await?;
        let question = Question::new("DescribeCluster", Operation::Describe, Resource::Cluster);
        let said = response.error_message.as_deref();
        self.asker.check(&question, &broker, response.error_code, said)?;
        Ok(response.cluster_id.to_string())
    }

    /// Whether share groups can be had on the broker at this address.
    pub async fn support(&self, at: &Address) -> Result<Support, NetError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text(env!("CARGO_PKG_NAME")))
            .with_client_software_version(text(env!("CARGO_PKG_VERSION")));
        let response = self.asker.ask(at, &request, None).await?;
        Ok(Support {
            broker: at.clone(),
            release: Release::of(&response),
            shares: ShareSupport::of(&response),
        })
    }
}

impl Release {
    fn of(response: &ApiVersionsResponse) -> Self {
        let newest = |key: i16| {
            response
                .api_keys
                .iter()
                .find(|row| row.api_key == key)
                .map(|row| row.max_version)
        };
        match (newest(API_VERSIONS), newest(SHARE_FETCH)) {
            (Some(5..), Some(2..)) => Self::V4_4,
            (_, Some(2..)) => Self::V4_2,
            (_, Some(1)) => Self::V4_1,
            (_, Some(_)) => Self::V4_0,
            // What is new in `DescribeTopicPartitions` and `ListConfigResources` (once `ListClientMetricsResources`).
            (_, None) if newest(STREAMS_HEARTBEAT).is_some() => Self::V4_1,
            (_, None) if newest(ADD_PARTITIONS).is_some_and(|newest| newest >= 5) && newest(PRODUCE) >= Some(12) => {
                Self::V4_0
            }
            (_, None) if newest(DESCRIBE_TOPIC_PARTITIONS).is_some() => Self::V3_8,
            (_, None) if newest(LIST_CONFIG_RESOURCES).is_some() => Self::V3_7,
            (_, None) => Self::Older,
        }
    }
}

impl ShareSupport {
    fn of(response: &ApiVersionsResponse) -> Self {
        let known = |key: i16, needed: i16| {
            let row = response.api_keys.iter().find(|row| row.api_key == key);
            row.is_some_and(|row| row.max_version >= needed)
        };
        if !known(SHARE_FETCH, 2) || !known(SHARE_HEARTBEAT, 1) {
            return Self::TooOld;
        }
        let level = response
            .finalized_features
            .iter()
            .find(|feature| &*feature.name == "share.version");
        match level.map_or(0, |feature| feature.max_version_level) {
            ..=0 => Self::Off,
            level => Self::On(level),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Older => "Kafka older than 3.7",
            Self::V3_7 => "Kafka 3.7",
            Self::V3_8 => "Kafka 3.8 or 3.9",
            Self::V4_0 => "Kafka 4.0",
            Self::V4_1 => "Kafka 4.1",
            Self::V4_2 => "Kafka 4.2 or 4.3",
            Self::V4_4 => "Kafka 4.4 or newer",
        })
    }
}

impl fmt::Display for Support {
    /// A sentence for people: what it is, and what can be done about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, release, .. } = self;
        match self.shares {
            ShareSupport::TooOld if *release == Release::V4_1 => {
                write!(
                    f,
                    "{broker} is {release}, where share groups are a preview; 4.2.1 or newer is needed"
                )
            }
            ShareSupport::TooOld => write!(
                f,
                "{broker} is {release}, which has no share groups; 4.2.1 or newer is needed"
            ),
            ShareSupport::Off => AdminError::SharesOff { broker: broker.clone() }.fmt(f),
            ShareSupport::On(level) => write!(f, "{broker} is {release}, with share groups (share.version {level})"),
        }
    }
}

const PRODUCE: i16 = 0;
const API_VERSIONS: i16 = 18;
const ADD_PARTITIONS: i16 = 24;
const LIST_CONFIG_RESOURCES: i16 = 74;
const DESCRIBE_TOPIC_PARTITIONS: i16 = 75;
const SHARE_HEARTBEAT: i16 = 76;
const SHARE_FETCH: i16 = 78;
const STREAMS_HEARTBEAT: i16 = 88;
