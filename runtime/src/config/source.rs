//! Sources of a manifest: which kind each is, its settings, and what the keys of its topics and deployments take from it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::kafka::{IsolationLevel, KafkaSource, Secret};
use super::keys::SourceKind;
use super::load::{read_start, small, text_of};
use super::section::Section;
use super::types::{Durability, EmbeddedSource, Profile, Source};
use super::values::Start;
use super::values::names::Rule;

/// Where topics and deployments live that do not name a source.
pub(super) struct Home<'a> {
    sources: &'a BTreeMap<String, Source>,
}

impl<'a> Home<'a> {
    pub(super) fn of(sources: &'a BTreeMap<String, Source>) -> Self {
        Self { sources }
    }

    /// The source that a topic or a deployment names, or the first, and its kind. An unknown one is taken for embedded: it is told
    /// of elsewhere.
    pub(super) fn of_section(&self, section: &Section<'_, '_>) -> (String, SourceKind) {
        let first = || self.sources.keys().next().cloned().unwrap_or_default();
        let name = section.text("source").unwrap_or_else(first);
        let kind = self.kind(&name);
        (name, kind)
    }

    /// The kind of the source of this name.
    pub(super) fn kind(&self, name: &str) -> SourceKind {
        match self.sources.get(name) {
            Some(Source::Kafka(_)) => SourceKind::Kafka,
            Some(Source::Embedded(_)) | None => SourceKind::Embedded,
        }
    }

    /// Where groups on it begin that say nothing themselves.
    pub(super) fn start(&self, name: &str) -> Option<Start> {
        match self.sources.get(name) {
            Some(Source::Kafka(source)) => source.start,
            Some(Source::Embedded(_)) | None => None,
        }
    }
}

/// Every source; without any an embedded engine.
pub(super) fn read_all(section: &Section<'_, '_>) -> BTreeMap<String, Source> {
    let named = section.named(Rule::Plain);
    if named.is_empty() {
        let source = read_embedded(&section.absent("main", "*"));
        return BTreeMap::from([("main".to_owned(), Source::Embedded(source))]);
    }
    let mut sources = BTreeMap::new();
    for (name, section) in named {
        let source = read(section.clone());
        if let Some((first, other)) = sources.first_key_value() {
            let message = match (other, &source) {
                (Source::Embedded(_), Source::Embedded(_)) => format!(
                    "{} is a second embedded source, and one process owns one data directory",
                    section.path()
                ),
                _ => format!(
                    "{} is a second source beside {first}, and one process runs on one",
                    section.path()
                ),
            };
            section.report(message, "run a second host with a manifest of its own");
        }
        sources.insert(name, source);
    }
    sources
}

fn read(section: Section<'_, '_>) -> Source {
    if section.choice("type") != "kafka" {
        return Source::Embedded(read_embedded(&section.of_kind(SourceKind::Embedded)));
    }
    if !cfg!(feature = "kafka") {
        section.refuse(
            "type",
            "is \"kafka\", and this build has no kafka",
            "use one with the feature: cargo build --package sharemill --features kafka",
        );
    }
    Source::Kafka(read_kafka(&section.of_kind(SourceKind::Kafka)))
}

/// A source of which nothing but the directory is given.
pub(super) fn default_source(data_dir: PathBuf, profile: Profile) -> EmbeddedSource {
    let context = Context {
        text: "",
        folder: Path::new(""),
        profile,
        problems: RefCell::default(),
    };
    let table = DeTable::new();
    let source = read_embedded(&Section::root(&context, &table).section("sources").absent("main", "*"));
    EmbeddedSource { data_dir, ..source }
}

fn read_embedded(section: &Section<'_, '_>) -> EmbeddedSource {
    EmbeddedSource {
        data_dir: section.path_value("data-dir").unwrap_or_default(),
        durability: if section.choice("durability") == "os" {
            Durability::Os
        } else {
            Durability::Sync
        },
        journal_size: section.size("journal-size"),
        memory_window: section.size("memory-window"),
        reserve: section.size("reserve"),
    }
}

fn read_kafka(section: &Section<'_, '_>) -> KafkaSource {
    KafkaSource {
        data_dir: section.path_value("data-dir").unwrap_or_default(),
        start: read_start(section),
        isolation_level: match section.choice("isolation-level").as_str() {
            "read_committed" => Some(IsolationLevel::ReadCommitted),
            "read_uncommitted" => Some(IsolationLevel::ReadUncommitted),
            _ => None,
        },
        parking: small(section.integer("parking")),
        properties: read_properties(&section.section("properties")),
        secrets: read_secrets(&section.section("secrets")),
    }
}

fn read_properties(section: &Section<'_, '_>) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    for (name, value) in section.entries() {
        let found = value.get_ref();
        if let Some(text) = text_of(found) {
            let text = if is_path(name, &text) {
                section.absolute(&text).to_str().map_or(text, str::to_owned)
            } else {
                text
            };
            properties.insert(name.to_owned(), text);
        } else if let Some((inner, _)) = found.as_table().and_then(|table| table.iter().next()) {
            let hint = format!(
                "a name with dots stands in quotes: \"{name}.{}\" = \"...\"",
                inner.get_ref()
            );
            section.refuse(name, "is a table, expected text, a number or a boolean", &hint);
        } else {
            section.wrong_type(name, value, found, "text, a number or a boolean");
        }
    }
    properties
}

/// Whether a property names a file or a folder. `probe` stands for the system's own, and nothing for none.
pub(super) fn is_path(property: &str, value: &str) -> bool {
    property.ends_with(".location") && !matches!(value, "" | "probe")
}

pub(super) fn read_secrets(section: &Section<'_, '_>) -> BTreeMap<String, Secret> {
    let mut secrets = BTreeMap::new();
    for (name, value) in section.entries() {
        let table = value.get_ref().as_table();
        let entry = table
            .filter(|table| table.len() == 1)
            .and_then(|table| table.iter().next());
        let text = entry.and_then(|(key, value)| Some((&**key.get_ref(), value.get_ref().as_str()?)));
        let secret = match text {
            Some(("file", path)) if !path.is_empty() => Secret::File {
                file: section.absolute(path),
            },
            Some(("env", variable)) if !variable.is_empty() => Secret::Env {
                env: variable.to_owned(),
            },
            _ => {
                let found = value.get_ref();
                if matches!(found, DeValue::Table(_)) {
                    section.refuse(
                        name,
                        "is a table of another form",
                        "write { file = \"PATH\" } or { env = \"NAME\" }",
                    );
                } else {
                    section.wrong_type(name, value, found, "{ file = \"PATH\" } or { env = \"NAME\" }");
                }
                continue;
            }
        };
        secrets.insert(name.to_owned(), secret);
    }
    secrets
}
