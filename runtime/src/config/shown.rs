//! A manifest as `config show` prints it: with every default, and on Kafka with who sees to each key. Printing changes nothing of
//! what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use toml::de::{DeTable, DeValue};

use super::keys::{self, Enforced, KEYS, Key};
use super::types::{Deployment, Host, Manifest, Source, Topic};

/// A manifest to be printed. Serialised, a topic or deployment on Kafka has `enforced_by` beside its keys: key to who sees to it.
#[derive(Serialize)]
pub struct Shown<'a> {
    host: &'a Host,
    sources: &'a BTreeMap<String, Source>,
    topics: BTreeMap<&'a str, Annotated<&'a Topic>>,
    deployments: BTreeMap<&'a str, Annotated<&'a Deployment>>,
    #[serde(skip)]
    manifest: &'a Manifest,
}

#[derive(Serialize)]
struct Annotated<T> {
    #[serde(flatten)]
    it: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforced_by: Option<Keys>,
}

/// The keys below this one.
struct Keys(&'static str);

impl<'a> Shown<'a> {
    /// This manifest.
    pub fn new(manifest: &'a Manifest) -> Self {
        let keys = |source: &str, root| is_kafka(manifest, source).then_some(Keys(root));
        let topics = manifest.topics.iter().map(|(name, it)| {
            let enforced_by = keys(&it.source, TOPIC);
            (name.as_str(), Annotated { it, enforced_by })
        });
        let deployments = manifest.deployments.iter().map(|(name, it)| {
            let enforced_by = keys(&it.source, DEPLOYMENT);
            (name.as_str(), Annotated { it, enforced_by })
        });
        Self {
            host: &manifest.host,
            sources: &manifest.sources,
            topics: topics.collect(),
            deployments: deployments.collect(),
            manifest,
        }
    }

    /// As TOML, with comments that say who sees to what; reading it gives the same manifest.
    pub fn toml(&self) -> Result<String, toml::ser::Error> {
        let manifest = self.manifest;
        let plain = toml::to_string(manifest)?;
        let mut comments = Comments {
            text: &plain,
            found: BTreeMap::new(),
        };
        // What was printed is TOML; if it were not, comments would be missing and no more.
        if let Ok(root) = DeTable::parse(&plain) {
            for (name, topic) in &manifest.topics {
                let table = table_at(root.get_ref(), "topics", name);
                if let Some(table) = table.filter(|_| is_kafka(manifest, &topic.source)) {
                    comments.of(table, TOPIC);
                }
            }
            for (name, deployment) in &manifest.deployments {
                let table = table_at(root.get_ref(), "deployments", name);
                if let Some(table) = table.filter(|_| is_kafka(manifest, &deployment.source)) {
                    comments.of(table, DEPLOYMENT);
                }
            }
        }
        Ok(comments.insert())
    }
}

const TOPIC: &str = "topics.*";
const DEPLOYMENT: &str = "deployments.*";

fn is_kafka(manifest: &Manifest, source: &str) -> bool {
    manifest.sources.get(source).is_some_and(Source::is_kafka)
}

fn table_at<'a, 'i>(root: &'a DeTable<'i>, part: &str, name: &str) -> Option<&'a DeTable<'i>> {
    root.get(part)?.get_ref().as_table()?.get(name)?.get_ref().as_table()
}

/// What stands behind lines, by the place of their ends.
struct Comments<'t> {
    text: &'t str,
    found: BTreeMap<usize, String>,
}

impl Comments<'_> {
    /// Behind each line of a topic or deployment, and a line of its own for each key that it does not have.
    fn of(&mut self, table: &DeTable<'_>, root: &str) {
        self.lines(table, root, None);
        let ends = table.iter().filter(|(_, value)| !is_of_lines(value.get_ref()));
        let last = ends.map(|(_, value)| self.line_end(value.span().end)).max();
        let given: BTreeSet<&str> = table.iter().map(|(name, _)| &**name.get_ref()).collect();
        let missing = keys::children(root).filter(|key| !given.contains(key.name()) && key.is_leaf());
        let Some(place) = last else { return };
        for key in missing {
            let comment = match keys::enforced(key.path) {
                Some((Enforced::Refused, _)) => format!("\n# {} # refused", key.name()),
                Some((by, _)) => format!("\n# {} is not given # {}", key.name(), by.as_str()),
                None => continue,
            };
            self.found.entry(place).or_default().push_str(&comment);
        }
    }

    fn lines(&mut self, table: &DeTable<'_>, pattern: &str, above: Option<Enforced>) {
        for (name, value) in table {
            let own = format!("{pattern}.{}", name.get_ref());
            let path = if keys::enforced(&own).is_some() {
                own
            } else {
                format!("{pattern}.*")
            };
            let by = keys::enforced(&path).map(|(by, _)| by).or(above);
            match (value.get_ref(), by) {
                (DeValue::Table(inner), _) => self.lines(inner, &path, by),
                (DeValue::Array(items), _) if is_of_lines(value.get_ref()) => {
                    for item in items.iter().filter_map(|item| item.get_ref().as_table()) {
                        self.lines(item, &format!("{path}[]"), by);
                    }
                }
                (_, Some(by)) => {
                    let comment = format!(" # {}", by.as_str());
                    self.found.insert(self.line_end(value.span().end), comment);
                }
                (_, None) => {}
            }
        }
    }

    fn line_end(&self, place: usize) -> usize {
        let rest = self.text.get(place..).and_then(|rest| rest.find('\n'));
        rest.map_or(self.text.len(), |rest| place + rest)
    }

    fn insert(self) -> String {
        let mut text = String::with_capacity(self.text.len() * 2);
        let mut done = 0;
        for (place, comment) in &self.found {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{comment}", self.text.get(done..*place).unwrap_or_default());
            done = *place;
        }
        text.push_str(self.text.get(done..).unwrap_or_default());
        text
    }
}

/// Whether it is printed with headings of its own: a table, or a list of tables.
fn is_of_lines(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => items.iter().next().is_some_and(|item| item.get_ref().is_table()),
        _ => false,
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for key in KEYS.iter().filter(|key| key.is_leaf()) {
            let name = key.path.strip_prefix(self.0).and_then(|rest| rest.strip_prefix('.'));
            if let (Some(name), Some((by, _))) = (name, keys::enforced(key.path)) {
                map.serialize_entry(name, &by)?;
            }
        }
        map.end()
    }
}

impl Key {
    /// Whether no key of a fixed name is below it, and it has one itself.
    fn is_leaf(&self) -> bool {
        let item = format!("{}[]", self.path);
        let is_below = |key: &&Key| key.parent() == self.path || key.parent() == item;
        self.name() != "*" && KEYS.iter().filter(is_below).all(|key| key.name() == "*")
    }
}
