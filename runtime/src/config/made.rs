//! A topic that a command makes: the ranges, defaults and relations of a manifest's topic, because it is read as one.

use std::path::Path;

use serde::Serialize;

use super::load::parse;
use super::problem::Severity;
use super::types::{OnFull, Topic};
use super::units::format_size;
use super::values::Retention;

/// What is said about a topic that is to be made; the manifest's defaults hold for the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TopicSettings {
    /// 1 to 1,000.
    pub partitions: Option<u32>,
    /// How long records are kept.
    pub retention: Option<Retention>,
    /// Bytes that it may hold.
    #[serde(serialize_with = "size")]
    pub max_bytes: Option<u64>,
    /// What happens when it holds that.
    pub on_full: Option<OnFull>,
    /// Bytes after which a segment is closed.
    #[serde(serialize_with = "size")]
    pub segment_bytes: Option<u64>,
}

/// Why a topic cannot be made as it is wished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TopicError {
    /// The setting, its value and the limit.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

/// The topic `name` with these settings, as a manifest that lists it has it.
pub fn topic(name: &str, settings: &TopicSettings) -> Result<Topic, TopicError> {
    let wrong = |message: String| TopicError { message, hint: None };
    let mut topics = toml::Table::new();
    let table = toml::Value::try_from(settings).map_err(|error| wrong(error.to_string()))?;
    topics.insert(name.to_owned(), table);
    let text = toml::Table::from_iter([("topics".to_owned(), toml::Value::Table(topics))]).to_string();
    let mut loaded = parse(Path::new(""), &text);
    let found = loaded
        .problems
        .iter()
        .find(|problem| problem.severity == Severity::Error);
    if let Some(problem) = found {
        let message = problem.message.trim_start_matches("the name ");
        return Err(TopicError {
            // A name is told as one.
            message: message.trim_start_matches("topics.").to_owned(),
            hint: problem.hint.clone(),
        });
    }
    let topic = loaded.manifest.topics.remove(name);
    topic.ok_or_else(|| wrong(format!("topic {name} cannot be made")))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn size<S: serde::Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    // TOML has no whole numbers above 2^63.
    value.map(format_size).serialize(serializer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]
    use super::*;

    fn refused(name: &str, settings: &TopicSettings) -> String {
        let error = topic(name, settings).unwrap_err();
        format!("{}; {}", error.message, error.hint.unwrap_or_default())
    }

    #[test]
    fn a_topic_without_settings_has_the_manifests_defaults() {
        let listed = parse(Path::new(""), "[topics.t]\n").manifest.topics.remove("t");
        assert_eq!(topic("t", &TopicSettings::default()).unwrap(), listed.unwrap());
        assert_eq!(topic("t", &TopicSettings::default()).unwrap().max_bytes, Some(10 << 30));
    }

    #[test]
    fn a_small_topic_has_small_segments() {
        let small = TopicSettings {
            max_bytes: Some(1 << 20),
            ..TopicSettings::default()
        };
        assert_eq!(topic("t", &small).unwrap().segment_bytes, Some(256 << 10));
    }

    #[test]
    fn what_a_manifest_may_not_say_is_refused() {
        let settings = TopicSettings::default;
        insta::assert_snapshot!(refused("a/b", &settings()), @r#"
        "a/b" has the character '/'; a topic name is made of a-z, A-Z, 0-9, ".", "_" and "-"; choose another name
        "#);
        insta::assert_snapshot!(refused("t", &TopicSettings { partitions: Some(1_001), ..settings() }), @"t.partitions is 1001, above the limit of 1000; choose 1 to 1000 (default 1)");
        insta::assert_snapshot!(refused("t", &TopicSettings { max_bytes: Some(u64::MAX), ..settings() }), @"t.max-bytes is 18446744073709551615B, above the limit of 1024TiB; choose 1MiB to 1024TiB (default 10GiB)");
        insta::assert_snapshot!(refused("t", &TopicSettings { segment_bytes: Some(1 << 20), max_bytes: Some(1 << 20), ..settings() }), @"t.segment-bytes is 1MiB, above half of max-bytes (512KiB); space is freed in whole segments: raise max-bytes or lower segment-bytes");
        let retention = Some(Retention::Limited {
            time: None,
            size: Some(1),
        });
        insta::assert_snapshot!(refused("t", &TopicSettings { retention, ..settings() }), @"t.retention.size is 1B, below the limit of 1MiB; choose 1MiB to 1024TiB");
    }
}
