//! A Kafka cluster as a source: its settings, and its secrets, which are read at a start and are in no text that is made of these types.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

#[cfg(feature = "kafka")]
use super::types::{Origin, Topic};
#[cfg(feature = "kafka")]
use super::values::Retention;
use super::values::Start;

/// The share groups of a Kafka cluster. Text made of it, by `Debug` as by serialising, has no secret in it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KafkaSource {
    /// Folder of what needs not last.
    pub data_dir: PathBuf,
    /// Where groups begin whose deployment says nothing; `None`: as the group or its cluster is set. Deployments have taken it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Whether records of open transactions are given out; `None`: as the group or its cluster is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation_level: Option<IsolationLevel>,
    /// Records of a deployment that are held for a later time at most, 0 to 10,000.
    pub parking: u32,
    /// By librdkafka's names; a secret that stands in the manifest is among them. Disjoint with `secrets`.
    #[serde(serialize_with = "without_secrets")]
    pub properties: BTreeMap<String, String>,
    /// Properties whose values are elsewhere, by the same names.
    pub secrets: BTreeMap<String, Secret>,
}

/// Whether a group is given records of transactions that are not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IsolationLevel {
    /// At once; those of an aborted transaction, too.
    ReadUncommitted,
    /// When they are committed.
    ReadCommitted,
}

impl IsolationLevel {
    /// As Kafka writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read_uncommitted",
            Self::ReadCommitted => "read_committed",
        }
    }
}

/// Where the value of a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Secret {
    /// In this file.
    File {
        /// Absolute, or starting at the manifest's folder.
        file: PathBuf,
    },
    /// In this environment variable of the host.
    Env {
        /// Its name.
        env: String,
    },
}

/// A secret that cannot be had. Its value is in no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read as text.
    #[error("{property} cannot be read from {}: {source}", file.display())]
    File {
        /// The property.
        property: String,
        /// Where its value should be.
        file: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The file is none of a secret.
    #[error("{property} cannot be read from {}: it has more than {} bytes, the limit of a secret", file.display(), Secret::BYTES_MAX)]
    Large {
        /// The property.
        property: String,
        /// Where its value should be.
        file: PathBuf,
    },
    /// The variable is not there, or is no text.
    #[error("{property} is to be taken from the variable {variable}, which is not set, or is not text")]
    Env {
        /// The property.
        property: String,
        /// The variable.
        variable: String,
    },
    /// There is nothing in it.
    #[error("{property} is empty in {place}")]
    Empty {
        /// The property.
        property: String,
        /// Where its value should be.
        place: String,
    },
}

impl Secret {
    /// What a file of a secret may have: more than any key or token.
    pub const BYTES_MAX: u64 = 64 << 10;

    /// The value for `property`, without the line end behind it.
    pub fn read(&self, property: &str) -> Result<String, SecretError> {
        let mut value = match self {
            Self::File { file } => read_file(property, file)?,
            Self::Env { env } => std::env::var(env).map_err(|_| SecretError::Env {
                property: property.to_owned(),
                variable: env.clone(),
            })?,
        };
        if value.ends_with('\n') {
            value.pop();
            if value.ends_with('\r') {
                value.pop();
            }
        }
        if value.is_empty() {
            return Err(SecretError::Empty {
                property: property.to_owned(),
                place: self.to_string(),
            });
        }
        Ok(value)
    }
}

fn read_file(property: &str, file: &PathBuf) -> Result<String, SecretError> {
    let failed = |source| SecretError::File {
        property: property.to_owned(),
        file: file.clone(),
        source,
    };
    let mut value = String::new();
    let within = std::fs::File::open(file).map(|opened| opened.take(Secret::BYTES_MAX + 1));
    within
        .and_then(|mut within| within.read_to_string(&mut value))
        .map_err(failed)?;
    if value.len() as u64 > Secret::BYTES_MAX {
        return Err(SecretError::Large {
            property: property.to_owned(),
            file: file.clone(),
        });
    }
    Ok(value)
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => write!(f, "{}", file.display()),
            Self::Env { env } => write!(f, "the variable {env}"),
        }
    }
}

/// Properties with their secrets, for a client. Its `Debug` shows the names alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// By librdkafka's names, secrets in clear.
    pub fn get(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Without those that say how records are produced.
    pub fn of_client(&self) -> BTreeMap<String, String> {
        let mut all = self.0.clone();
        all.retain(|name, _| !PRODUCING.contains(&name.as_str()));
        all
    }
}

/// Properties that say how records are produced, and that no other connection has a use for.
pub const PRODUCING: &[&str] = &[
    "batch.num.messages",
    "batch.size",
    "compression.codec",
    "compression.level",
    "compression.type",
    "linger.ms",
    "message.timeout.ms",
    "queue.buffering.max.ms",
];

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl KafkaSource {
    /// A cluster of which nothing but properties is given.
    pub fn of_properties(properties: BTreeMap<String, String>) -> Self {
        Self {
            data_dir: PathBuf::new(),
            start: None,
            isolation_level: None,
            parking: 0,
            properties,
            secrets: BTreeMap::new(),
        }
    }

    /// All properties, secrets read from where they are. Reads files: not for a thread that must not wait.
    pub fn resolve(&self) -> Result<Properties, SecretError> {
        let mut all = self.properties.clone();
        for (name, secret) in &self.secrets {
            all.insert(name.clone(), secret.read(name)?);
        }
        Ok(Properties(all))
    }
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource")
            .field("data_dir", &self.data_dir)
            .field("start", &self.start)
            .field("isolation_level", &self.isolation_level)
            .field("parking", &self.parking)
            .field("properties", &shown(&self.properties))
            .field("secrets", &self.secrets)
            .finish()
    }
}

/// Whether the value of a property is to be seen by nobody: librdkafka's names for passwords, keys and tokens end like that.
pub(super) fn is_secret(property: &str) -> bool {
    const ENDS: [&str; 4] = ["password", "secret", "key.pem", "jaas.config"];
    const ALSO: [&str; 2] = [
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
    ];
    ENDS.iter().any(|end| property.ends_with(end)) || ALSO.contains(&property)
}

/// What stands for a secret of the manifest where it is printed.
pub(super) const HIDDEN: &str = "(hidden)";

#[cfg(feature = "kafka")]
impl Topic {
    /// How it is made in a cluster that lacks it; what nobody has said the cluster decides.
    pub fn in_kafka(&self, name: &str) -> share_client::admin::NewTopic {
        let is_listed = self.origin == Origin::Listed;
        share_client::admin::NewTopic {
            partitions: is_listed.then(|| i32::try_from(self.partitions).unwrap_or(i32::MAX)),
            settings: self.kafka_settings(),
            ..share_client::admin::NewTopic::named(name)
        }
    }

    fn kafka_settings(&self) -> BTreeMap<String, String> {
        const WITHOUT_LIMIT: &str = "-1";
        let mut settings = BTreeMap::new();
        if let Some(bytes) = self.segment_bytes {
            settings.insert("segment.bytes".to_owned(), bytes.to_string());
        }
        let (time, size) = match self.retention {
            // Kafka has nothing like a queue's retention: no topic of a Kafka source says so.
            None | Some(Retention::Queue) => return settings,
            Some(Retention::Forever) => (None, None),
            Some(Retention::Limited { time, size }) => (time, size),
        };
        let mut limit = |name: &str, limit: Option<String>| {
            settings.insert(name.to_owned(), limit.unwrap_or_else(|| WITHOUT_LIMIT.to_owned()))
        };
        limit("retention.ms", time.map(|time| time.as_millis().to_string()));
        limit("retention.bytes", size.map(|size| size.to_string()));
        settings
    }
}

fn shown(properties: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let show = |(name, value)| -> (&str, &str) {
        let (name, value): (&String, &String) = (name, value);
        (name, if is_secret(name) { HIDDEN } else { value })
    };
    properties.iter().map(show).collect()
}

fn without_secrets<S: Serializer>(properties: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    shown(properties).serialize(serializer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn secret_with(bytes: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, bytes).unwrap();
        let value = Secret::File { file }.read("sasl.password");
        value.map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "DIR"))
    }

    #[test]
    fn a_secret_is_what_stands_before_the_line_end() {
        for (bytes, value) in [
            ("a b", "a b"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            (" a ", " a "),
        ] {
            assert_eq!(secret_with(bytes.as_bytes()), Ok(value.to_owned()));
        }
        insta::assert_snapshot!(secret_with(b"\n").unwrap_err(), @"sasl.password is empty in DIR/secret");
        insta::assert_snapshot!(secret_with(&[0xff]).unwrap_err(), @"sasl.password cannot be read from DIR/secret: stream did not contain valid UTF-8");
        insta::assert_snapshot!(secret_with(&vec![b'a'; 65_537]).unwrap_err(), @"sasl.password cannot be read from DIR/secret: it has more than 65536 bytes, the limit of a secret");
        assert!(secret_with(&vec![b'a'; 65_536]).is_ok());
        let env = "SHAREMILL_HAS_NO_SUCH_VARIABLE".to_owned();
        insta::assert_snapshot!(Secret::Env { env }.read("sasl.password").unwrap_err(), @"sasl.password is to be taken from the variable SHAREMILL_HAS_NO_SUCH_VARIABLE, which is not set, or is not text");
    }

    #[test]
    fn no_text_has_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "sesame\n").unwrap();
        let mut source = KafkaSource {
            data_dir: PathBuf::new(),
            start: None,
            isolation_level: None,
            parking: 0,
            properties: BTreeMap::new(),
            secrets: BTreeMap::from([("sasl.password".to_owned(), Secret::File { file })]),
        };
        for name in [
            "ssl.key.password",
            "ssl.keystore.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
        ] {
            source.properties.insert(name.to_owned(), "sesame".to_owned());
        }
        source.properties.insert("client.id".to_owned(), "jobs".to_owned());
        let all = source.resolve().unwrap();
        assert_eq!(all.get().values().filter(|value| *value == "sesame").count(), 5);
        let printed = toml::to_string(&source).unwrap();
        for text in [format!("{source:?}"), format!("{all:?}"), printed] {
            assert!(!text.contains("sesame"), "{text}");
            assert!(text.contains("client.id"), "{text}");
        }
    }

    #[test]
    fn what_a_topic_says_is_written_by_kafkas_names() {
        let settings = |line: &str| {
            let text = format!("[sources.main]\ntype = \"kafka\"\n[topics.t]\n{line}\n");
            let manifest = parse(Path::new(""), &text).manifest;
            let settings = manifest.topics.values().next().unwrap().kafka_settings();
            let pairs = settings.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(settings("partitions = 3"), "");
        assert_eq!(settings("segment-bytes = \"1MiB\""), "segment.bytes=1048576");
        assert_eq!(
            settings("retention = \"forever\""),
            "retention.bytes=-1 retention.ms=-1"
        );
        assert_eq!(
            settings("retention = \"1d\""),
            "retention.bytes=-1 retention.ms=86400000"
        );
        assert_eq!(
            settings("retention = { size = \"1MiB\" }"),
            "retention.bytes=1048576 retention.ms=-1"
        );
    }
}
