//! Settings of groups, topics and brokers: what they are, and where they come from.

use std::fmt;

use share_wire::kafka::describe_configs_request::DescribeConfigsResource;
use share_wire::kafka::describe_configs_response::DescribeConfigsResourceResult;
use share_wire::kafka::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use share_wire::kafka::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::Admin;
use super::ask::{Answered, text};
use super::error::{AdminError, Question, Resource};
use crate::tools::Operation;

/// Whose settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOf {
    /// A group's. It needs not exist.
    Group(String),
    /// A topic's.
    Topic(String),
    /// A broker's.
    Broker(i32),
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value; `None` if there is none, or if it is a secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
    /// It cannot be changed while the broker runs.
    pub read_only: bool,
}

/// Where the value of a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Set for this topic.
    Topic,
    /// Set for this group.
    Group,
    /// Set for this broker, or all of them, while they ran.
    BrokerDynamic,
    /// The broker's file.
    BrokerFile,
    /// Nobody set it here. Of a group: what the broker has for all groups, wherever that comes from.
    Default,
    /// The broker does not say.
    Unknown,
}

impl Admin {
    /// All settings.
    pub async fn settings(&self, of: &ConfigOf) -> Result<Vec<Setting>, AdminError> {
        self.asker.patiently(|| self.settings_once(of)).await
    }

    async fn settings_once(&self, of: &ConfigOf) -> Result<Vec<Setting>, AdminError> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(of.kind())
            .with_resource_name(text(&of.name()))
            .with_configuration_keys(None);
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let question = Question::new("DescribeConfigs", Operation::DescribeConfigs, of.resource());
        let Answered { broker, response } = match of {
            // Each knows its own only.
            ConfigOf::Broker(id) => {
                let place = self.asker.address_of(*id).await?;
                let broker = place.ok_or_else(|| AdminError::Missing { about: of.resource() })?;
                let response = self.asker.ask(&broker, &request, None).await;
                let response = response.map_err(|source| question.net(source))?;
                Answered { broker, response }
            }
            _ => self.asker.ask_any(&request, false).await?,
        };
        let row = response.results.first().ok_or_else(|| question.no_word(&broker))?;
        if row.error_code == UNKNOWN_TOPIC {
            return Err(AdminError::Missing { about: of.resource() });
        }
        self.asker
            .check(&question, &broker, row.error_code, row.error_message.as_deref())?;
        let mut settings: Vec<Setting> = row.configs.iter().map(read).collect();
        settings.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(settings)
    }

    /// Changes settings of a group; it needs not exist. A value of `None` takes the setting away, so that the broker's holds.
    pub async fn set_group(&self, group: &str, changes: &[(&str, Option<&str>)]) -> Result<(), AdminError> {
        self.set(&ConfigOf::Group(group.to_owned()), changes).await
    }

    /// Changes settings. A value of `None` takes the setting away.
    pub async fn set(&self, of: &ConfigOf, changes: &[(&str, Option<&str>)]) -> Result<(), AdminError> {
        self.asker.patiently(|| self.set_once(of, changes)).await
    }

    async fn set_once(&self, of: &ConfigOf, changes: &[(&str, Option<&str>)]) -> Result<(), AdminError> {
        let change = |(name, value): &(&str, Option<&str>)| {
            AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(if value.is_some() { SET } else { REMOVE })
                .with_value(value.map(text))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(of.kind())
            .with_resource_name(text(&of.name()))
            .with_configs(changes.iter().map(change).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let Answered { broker, response } = self.asker.ask_any(&request, true).await?;
        let question = Question::new("IncrementalAlterConfigs", Operation::AlterConfigs, of.resource());
        let row = response.responses.first().ok_or_else(|| question.no_word(&broker))?;
        self.asker
            .check(&question, &broker, row.error_code, row.error_message.as_deref())
    }
}

impl ConfigOf {
    const fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
            Self::Group(_) => 32,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Topic(name) | Self::Group(name) => name.clone(),
            Self::Broker(id) => id.to_string(),
        }
    }

    fn resource(&self) -> Resource {
        match self {
            Self::Topic(name) => Resource::Topic(name.clone()),
            Self::Group(name) => Resource::Group(name.clone()),
            Self::Broker(id) => Resource::Broker(*id),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topic => "topic",
            Self::Group => "group",
            Self::BrokerDynamic => "broker, set while it ran",
            Self::BrokerFile => "broker's file",
            Self::Default => "default",
            Self::Unknown => "unknown",
        })
    }
}

fn read(row: &DescribeConfigsResourceResult) -> Setting {
    Setting {
        name: row.name.to_string(),
        value: row
            .value
            .as_ref()
            .filter(|_| !row.is_sensitive)
            .map(ToString::to_string),
        origin: match row.config_source {
            1 => Origin::Topic,
            2 | 3 => Origin::BrokerDynamic,
            4 => Origin::BrokerFile,
            5 => Origin::Default,
            8 => Origin::Group,
            _ => Origin::Unknown,
        },
        read_only: row.read_only,
    }
}

/// What to do with a setting.
const SET: i8 = 0;
const REMOVE: i8 = 1;

const UNKNOWN_TOPIC: i16 = 3;
