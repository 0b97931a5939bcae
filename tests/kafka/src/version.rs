//! The versions of Kafka that are known to start this way, and what each needs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A release of Apache Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// The oldest whose share groups are sound: 4.2.0 may deadlock.
    #[default]
    #[serde(rename = "4.2.1")]
    V4_2_1,
    /// The newest; it has dead-letter topics of its own (`share.version` 2).
    #[serde(rename = "4.4.0")]
    V4_4_0,
}

impl Version {
    /// All that are known, the default first.
    pub const ALL: [Self; 2] = [Self::V4_2_1, Self::V4_4_0];

    /// As the release is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4_2_1 => "4.2.1",
            Self::V4_4_0 => "4.4.0",
        }
    }

    /// Whose command-line classes work with it: not every release has published its own.
    pub(crate) fn of_tools(self) -> Self {
        match self {
            Self::V4_2_1 | Self::V4_4_0 => Self::V4_2_1,
        }
    }

    /// All names, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(" and ")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|version| version.name() == text);
        known.ok_or_else(|| Error::UnknownVersion { asked: text.to_owned() })
    }
}
