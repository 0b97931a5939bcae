//! Brings an engine to what the manifest wishes: missing topics and groups are made, changes applied and told.
//! Partitions only grow; nothing is deleted because it left the manifest.

use share_engine::config::{
    self as engine_config, Durability, EngineConfig, GroupConfig, OnFull, Start, TopicConfig, WindowMode,
};
use share_engine::engine::Engine;
use share_engine::error::AdminError;

use crate::config::{self, Deployment, EmbeddedSource, Manifest, Origin, Profile, Topic};

/// The engine's settings for a source of the manifest.
pub fn engine_config(source: &EmbeddedSource, profile: Profile) -> EngineConfig {
    let mut engine = EngineConfig {
        durability: match source.durability {
            config::Durability::Sync => Durability::Sync,
            config::Durability::Os => Durability::Os,
        },
        journal_bytes: source.journal_size,
        memory_window: source.memory_window,
        reserve_bytes: source.reserve,
        ..EngineConfig::default()
    };
    if profile == Profile::Edge {
        engine.journal_file_bytes = EDGE_FILE_BYTES;
        engine.limits.produce_bytes = EDGE_FILE_BYTES;
        engine.limits.read_ahead_bytes = 1 << 20;
    }
    let wished = source.journal_size.div_ceil(RING_FILES_MAX).next_power_of_two();
    engine.journal_file_bytes = engine
        .journal_file_bytes
        .max(wished)
        .min(source.journal_size / 2 / 512 * 512);
    engine.limits.group_bytes = engine.limits.group_bytes.min(engine.journal_file_bytes / 2);
    engine
}

const EDGE_FILE_BYTES: u64 = 4 << 20;

/// Every ring file is held open: a larger ring has larger files, not more.
const RING_FILES_MAX: u64 = 512;

/// Makes and changes topics and groups; returns one line for each thing done.
pub(super) async fn apply(manifest: &Manifest, engine: &Engine) -> Result<Vec<String>, AdminError> {
    let mut done = Vec::new();
    for (name, topic) in manifest
        .topics
        .iter()
        .filter(|(_, topic)| topic.origin != Origin::DeadLetter)
    {
        apply_topic(name, topic, engine, &mut done).await?;
    }
    for deployment in manifest.deployments.values().filter(|deployment| deployment.enabled) {
        apply_group(manifest, deployment, engine, &mut done).await?;
    }
    Ok(done)
}

/// Makes and changes topics only.
pub async fn apply_topics(manifest: &Manifest, engine: &Engine) -> Result<Vec<String>, AdminError> {
    let mut done = Vec::new();
    for (name, topic) in manifest
        .topics
        .iter()
        .filter(|(_, topic)| topic.origin != Origin::DeadLetter)
    {
        apply_topic(name, topic, engine, &mut done).await?;
    }
    Ok(done)
}

async fn apply_topic(name: &str, topic: &Topic, engine: &Engine, done: &mut Vec<String>) -> Result<(), AdminError> {
    let wanted = topic_config(topic);
    let there = engine.topics().await?.into_iter().find(|one| one.name == name);
    match there {
        None => {
            engine.create_topic(name, wanted).await?;
            done.push(format!("created topic {name} with {} partition(s)", topic.partitions));
        }
        Some(there) if there.config != wanted => {
            let before = there.config.partitions;
            engine.alter_topic(name, wanted).await?;
            done.push(match topic.partitions - before.min(topic.partitions) {
                0 => format!("changed the settings of topic {name}"),
                _ => format!("changed topic {name} from {before} to {} partitions", topic.partitions),
            });
        }
        Some(_) => {}
    }
    Ok(())
}

async fn apply_group(
    manifest: &Manifest,
    deployment: &Deployment,
    engine: &Engine,
    done: &mut Vec<String>,
) -> Result<(), AdminError> {
    let name = &deployment.group;
    let wanted = group_config(deployment);
    let there = engine.groups().await?.into_iter().find(|one| one.name == *name);
    let topics = engine.topics().await?;
    let subscribed = there
        .as_ref()
        .is_some_and(|group| group.topics.contains_key(&deployment.topic));
    match there {
        None => {
            engine.create_group(name, wanted).await?;
            done.push(format!("created share group {name}"));
        }
        // Where a group begins matters only while it is made.
        Some(there)
            if (GroupConfig {
                start: there.config.start,
                ..wanted.clone()
            }) != there.config =>
        {
            engine.alter_group(name, wanted).await?;
            done.push(format!("changed the settings of share group {name}"));
        }
        Some(_) => {}
    }
    if let Some(dead) = &deployment.dead_letter
        && let Some(topic) = manifest.topics.get(dead)
    {
        if topics.iter().any(|topic| topic.name == *dead) {
            apply_topic(dead, topic, engine, done).await?;
        } else {
            // Made with the group; the manifest's settings are part of that.
            apply_topic(dead, topic, engine, &mut Vec::new()).await?;
            done.push(format!("created topic {dead} for the dead letters of {name}"));
        }
    }
    if !subscribed {
        engine.subscribe(name, &deployment.topic).await?;
        done.push(format!("share group {name} takes up topic {}", deployment.topic));
    }
    Ok(())
}

/// A topic's settings as the engine has them.
pub fn topic_config(topic: &Topic) -> TopicConfig {
    TopicConfig {
        partitions: topic.partitions,
        retention: retention(topic.retention.unwrap_or(config::Retention::DEFAULT)),
        max_bytes: topic.max_bytes,
        on_full: match topic.on_full {
            None | Some(config::OnFull::Refuse) => OnFull::Refuse,
            Some(config::OnFull::DropOldest) => OnFull::DropOldest,
        },
        segment_bytes: topic.segment_bytes,
    }
}

/// Retention as the engine has it.
pub fn retention(retention: config::Retention) -> engine_config::Retention {
    match retention {
        config::Retention::Queue => engine_config::Retention::Queue,
        config::Retention::Forever => engine_config::Retention::Bounded {
            millis: None,
            bytes: None,
        },
        config::Retention::Limited { time, size } => engine_config::Retention::Bounded {
            millis: time.map(millis),
            bytes: size,
        },
    }
}

fn group_config(deployment: &Deployment) -> GroupConfig {
    GroupConfig {
        attempts: u16::try_from(deployment.attempts).unwrap_or(u16::MAX),
        lock_millis: u32::try_from(deployment.lock.unwrap_or(Deployment::LOCK).as_millis()).unwrap_or(u32::MAX),
        max_lease_millis: millis(deployment.max_lease),
        start: start(deployment.start.unwrap_or_default()),
        dead_letter: deployment.dead_letter.clone(),
        window: WindowMode::Acquired(100_000),
    }
}

/// A start position as the engine has it.
pub fn start(start: config::Start) -> Start {
    match start {
        config::Start::Earliest => Start::Earliest,
        config::Start::Latest => Start::Latest,
        config::Start::ByDuration(age) => Start::ByDuration(millis(age)),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]
    use std::path::Path;

    use share_engine::config::Limits;

    use super::*;

    fn loaded(line: &str) -> config::Loaded {
        let text = |table: &str| format!("{table}\n{line}\n");
        let text = match line.split(' ').next().unwrap() {
            "partitions" | "max-bytes" | "segment-bytes" => text("[topics.t]\nsegment-bytes = \"64KiB\""),
            "journal-size" | "memory-window" | "reserve" => text("[sources.main]"),
            _ => text("[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"t\""),
        };
        config::parse(
            Path::new(""),
            &text.replacen("segment-bytes = \"64KiB\"\nsegment", "segment", 1),
        )
    }

    #[test]
    fn the_engine_takes_both_ends_of_every_range_of_the_manifest() {
        for (key, least, most, beyond) in [
            ("partitions", "1", "1000", "1001"),
            ("max-bytes", "\"1MiB\"", "\"1024TiB\"", "\"1025TiB\""),
            ("segment-bytes", "\"64KiB\"", "\"1GiB\"", "\"2GiB\""),
            ("attempts", "1", "10", "11"),
            ("lock", "\"1s\"", "\"60s\"", "\"61s\""),
            ("max-lease", "\"30s\"", "\"7d\"", "\"8d\""),
            ("journal-size", "\"16MiB\"", "\"64GiB\"", "\"65GiB\""),
            ("memory-window", "\"1MiB\"", "\"16GiB\"", "\"17GiB\""),
            ("reserve", "0", "\"1GiB\"", "\"2GiB\""),
        ] {
            for value in [least, most] {
                let loaded = loaded(&format!("{key} = {value}"));
                assert!(!loaded.problems.has_errors(), "{key} = {value}: {:?}", loaded.problems);
                let manifest = loaded.manifest;
                let limits = Limits::default();
                for topic in manifest.topics.values() {
                    assert_eq!(topic_config(topic).check(&limits), Ok(()), "{key} = {value}");
                }
                for deployment in manifest.deployments.values() {
                    assert_eq!(group_config(deployment).check(), Ok(()), "{key} = {value}");
                }
                for profile in [Profile::Default, Profile::Edge] {
                    let config::Source::Embedded(source) = &manifest.sources["main"] else {
                        panic!("{manifest:?}");
                    };
                    assert_eq!(engine_config(source, profile).check(), Ok(()), "{key} = {value}");
                }
            }
            let beyond = loaded(&format!("{key} = {beyond}"));
            assert!(beyond.problems.has_errors(), "{key}: the range is wider than this test");
        }
    }

    #[test]
    fn a_large_journal_has_large_files_not_many() {
        let file_bytes = |journal_size: &str, profile| {
            let manifest = loaded(&format!("journal-size = \"{journal_size}\"")).manifest;
            let config::Source::Embedded(source) = &manifest.sources["main"] else {
                panic!("{manifest:?}");
            };
            engine_config(source, profile).journal_file_bytes
        };
        for (journal_size, expected) in [("16MiB", 8), ("512MiB", 8), ("4GiB", 8), ("5GiB", 16), ("64GiB", 128)] {
            assert_eq!(
                file_bytes(journal_size, Profile::Default),
                expected << 20,
                "{journal_size}"
            );
        }
        assert_eq!(file_bytes("16MiB", Profile::Edge), 4 << 20);
    }

    /// The engine adds to names what it makes beside a group.
    #[tokio::test]
    async fn the_engine_takes_the_longest_names_of_a_manifest() {
        let directory = tempfile::TempDir::new().unwrap();
        let (engine, _) = Engine::open(directory.path(), EngineConfig::default()).unwrap();
        for (key, most) in [("group", 234), ("dead-letter", 239)] {
            let named = |length: usize| loaded(&format!("{key} = \"{}\"", "n".repeat(length)));
            let manifest = named(most).manifest;
            assert!(!named(most).problems.has_errors(), "{key}");
            apply(&manifest, &engine).await.unwrap();
            assert!(
                named(most + 1).problems.has_errors(),
                "{key}: the limit is higher than this test"
            );
        }
        engine.close().await.unwrap();
    }
}
