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
    /// The last before share groups: it does not know their requests.
    #[serde(rename = "3.9.1")]
    V3_9_1,
}

impl Version {
    /// All that are known, the default first.
    pub const ALL: [Self; 3] = [Self::V4_2_1, Self::V4_4_0, Self::V3_9_1];

    /// As the release is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4_2_1 => "4.2.1",
            Self::V4_4_0 => "4.4.0",
            Self::V3_9_1 => "3.9.1",
        }
    }

    /// Whose command-line classes work with it: not every release has published its own.
    pub(crate) fn of_tools(self) -> Self {
        match self {
            Self::V4_2_1 | Self::V4_4_0 => Self::V4_2_1,
            Self::V3_9_1 => Self::V3_9_1,
        }
    }

    /// Whether it logs by Log4j 1, which comes with it, and not by Log4j 2.
    pub(crate) fn has_old_logging(self) -> bool {
        self == Self::V3_9_1
    }

    /// Whether there are share groups that can be on or off.
    pub(crate) fn has_share_groups(self) -> bool {
        self != Self::V3_9_1
    }

    /// All names, for messages.
    pub(crate) fn names() -> String {
        let [first, others @ .., last] = Self::ALL.map(Self::name);
        let others: String = others.map(|name| format!(", {name}")).concat();
        format!("{first}{others} and {last}")
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
