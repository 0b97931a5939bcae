//! How long a topic keeps records.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::config::units::{format_duration, format_size};

/// How long a topic keeps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Until every group of the topic has finished with them.
    Queue,
    /// Until the topic or its records are deleted by hand.
    Forever,
    /// Whole segments go once they are older than `time` or the topic is larger than `size` bytes; at least one is given.
    Limited {
        /// Age; 1 second to 3,650 days.
        time: Option<Duration>,
        /// Bytes over all partitions; 1 MiB to 1,024 TiB.
        size: Option<u64>,
    },
}

impl Retention {
    /// What topics without a deployment get.
    pub const DEFAULT: Self = Self::Limited {
        time: Some(Duration::from_secs(7 * 86_400)),
        size: None,
    };
    pub(crate) const TIME_MIN: Duration = Duration::from_secs(1);
    pub(crate) const TIME_MAX: Duration = Duration::from_secs(3_650 * 86_400);
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
