//! How long a topic keeps records.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap as _};

use crate::config::units::{UnitError, format_duration, format_size, parse_duration, parse_size};

/// How long a topic keeps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Until every group of the topic has finished with them.
    Queue,
    /// Until the topic or its records are deleted by hand.
    Forever,
    /// Whole segments go once they are older than `time` or their partition is larger than `size` bytes; at least one is given.
    Limited {
        /// Age; 1 second to 3,650 days.
        time: Option<Duration>,
        /// Bytes of each partition, as `retention.bytes` of Kafka; 1 MiB to 1,024 TiB.
        size: Option<u64>,
    },
}

impl Retention {
    /// What topics without a deployment get.
    pub const DEFAULT: Self = Self::Limited {
        time: Some(Duration::from_hours(7 * 24)),
        size: None,
    };
    pub(crate) const TIME_MIN: Duration = Duration::from_secs(1);
    pub(crate) const TIME_MAX: Duration = Duration::from_hours(3_650 * 24);
    pub(crate) const SIZE_MIN: u64 = 1 << 20;
    pub(crate) const SIZE_MAX: u64 = 1 << 50;
}

impl Serialize for Retention {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Queue => serializer.serialize_str("queue"),
            Self::Forever => serializer.serialize_str("forever"),
            Self::Limited {
                time: Some(time),
                size: None,
            } => serializer.serialize_str(&format_duration(time)),
            Self::Limited { time, size } => {
                let mut map = serializer.serialize_map(None)?;
                if let Some(time) = time {
                    map.serialize_entry("time", &format_duration(time))?;
                }
                if let Some(size) = size {
                    map.serialize_entry("size", &format_size(size))?;
                }
                map.end()
            }
        }
    }
}

/// Why retention could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// Neither a word nor a duration.
    #[error("expected queue, forever or a duration such as 7d: {0}")]
    Form(UnitError),
    /// The duration is out of range.
    #[error("{} is outside of 1s to 3650d", format_duration(*.0))]
    Time(Duration),
}

impl FromStr for Retention {
    type Err = RetentionError;

    /// `queue`, `forever` or a duration; limits by size are written in the manifest only.
    fn from_str(text: &str) -> Result<Self, RetentionError> {
        match text {
            "queue" => Ok(Self::Queue),
            "forever" => Ok(Self::Forever),
            _ => {
                let time = parse_duration(text).map_err(RetentionError::Form)?;
                if (Self::TIME_MIN..=Self::TIME_MAX).contains(&time) {
                    Ok(Self::Limited {
                        time: Some(time),
                        size: None,
                    })
                } else {
                    Err(RetentionError::Time(time))
                }
            }
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = match *self {
            Self::Queue => return f.write_str("queue"),
            Self::Forever => return f.write_str("forever"),
            Self::Limited { time, size } => [time.map(format_duration), size.map(format_size)],
        };
        f.write_str(&limits.into_iter().flatten().collect::<Vec<_>>().join(" or "))
    }
}

/// The form that [`Retention`] serialises to.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Word(String),
    Limits { time: Option<String>, size: Option<String> },
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Form::deserialize(deserializer)? {
            Form::Word(word) => word.parse().map_err(D::Error::custom),
            Form::Limits { time, size } => Ok(Self::Limited {
                time: time
                    .map(|text| parse_duration(&text))
                    .transpose()
                    .map_err(D::Error::custom)?,
                size: size
                    .map(|text| parse_size(&text))
                    .transpose()
                    .map_err(D::Error::custom)?,
            }),
        }
    }
}
