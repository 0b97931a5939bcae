//! Where a share group begins, or is set back to. The manifest and `group reset --to` share this form.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units::{UnitError, format_duration, parse_duration};

/// Where a share group begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record there is.
    #[default]
    Earliest,
    /// With the first record produced from now on.
    Latest,
    /// With the first record not older than this.
    ByDuration(Duration),
}

/// Why a start position could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Not one of the three forms.
    #[error("is \"{0}\", expected \"earliest\", \"latest\" or \"by-duration:AGE\"")]
    Form(String),
    /// The age behind `by-duration:` is none.
    #[error("has an age that cannot be read: {0}")]
    Age(UnitError),
}

impl FromStr for Start {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, StartError> {
        let age = text
            .strip_prefix("by-duration:")
            .or_else(|| text.strip_prefix("by_duration:"));
        match (text, age) {
            ("earliest", _) => Ok(Self::Earliest),
            ("latest", _) => Ok(Self::Latest),
            (_, Some(age)) => parse_age(age).map(Self::ByDuration).map_err(StartError::Age),
            _ => Err(StartError::Form(text.to_owned())),
        }
    }
}

impl Start {
    /// As a group's `share.auto.offset.reset` has it.
    pub fn to_kafka(self) -> String {
        match self {
            Self::Earliest => "earliest".to_owned(),
            Self::Latest => "latest".to_owned(),
            Self::ByDuration(age) => {
                let (seconds, millis) = (age.as_secs(), age.subsec_millis());
                let fraction = if millis == 0 {
                    String::new()
                } else {
                    format!(".{millis:03}")
                };
                format!("by_duration:PT{seconds}{fraction}S")
            }
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::ByDuration(age) => write!(f, "by-duration:{}", format_duration(*age)),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// `1h30m`, or the same as Kafka writes it: `PT1H30M`, `P7D`, `P1DT12H`.
fn parse_age(text: &str) -> Result<Duration, UnitError> {
    match text.strip_prefix('P') {
        None => parse_duration(text),
        Some(iso) => parse_duration(&iso.replace('T', "").to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_both_spellings_of_an_age() {
        for text in ["by-duration:1h30m", "by-duration:PT1H30M", "by_duration:PT90M"] {
            assert_eq!(text.parse(), Ok(Start::ByDuration(Duration::from_mins(90))), "{text}");
        }
        assert_eq!("earliest".parse(), Ok(Start::Earliest));
        assert_eq!(
            Start::ByDuration(Duration::from_mins(90)).to_string(),
            "by-duration:1h30m"
        );
    }

    #[test]
    fn kafka_reads_what_is_written_for_it() {
        let ages = [("90m", "by_duration:PT5400S"), ("1500ms", "by_duration:PT1.500S")];
        for (age, expected) in ages {
            let start: Start = format!("by-duration:{age}").parse().unwrap();
            assert_eq!(start.to_kafka(), expected);
        }
        assert_eq!(Start::Latest.to_kafka(), "latest");
    }

    #[test]
    fn refuses_with_a_reason() {
        insta::assert_snapshot!("newest".parse::<Start>().unwrap_err(), @r#"is "newest", expected "earliest", "latest" or "by-duration:AGE""#);
        insta::assert_snapshot!("by-duration:x".parse::<Start>().unwrap_err(), @r#"has an age that cannot be read: "x" is not a number with a unit, expected a duration such as "30s", "5m", "1h30m" or "250ms""#);
    }
}
