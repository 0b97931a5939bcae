//! Text to [`Manifest`]: reads every section through the key table and fills in defaults.
//! What needs more than one key is left to [`super::check`]; what needs the file system to [`super::files`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::problem::{Problem, Problems, Severity};
use super::section::{Section, Value};
use super::types::{
    Access, Backoff, Deployment, Durability, EmbeddedSource, EnvValue, FileGrant, Grants, Host, InstanceMode,
    LogFormat, Manifest, OnFull, Profile, Topic,
};
use super::values::filter;
use super::values::names::Rule;
use super::values::{Retention, Start};
use super::{check, files, topics};

/// A manifest, or as much of it as could be understood, with everything that was found.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Usable only if `problems` has no errors.
    pub manifest: Manifest,
    /// What was found, errors first.
    pub problems: Problems,
    /// By deployment: the line of its component, or its own where it names none. Empty if the file is not TOML.
    pub component_lines: BTreeMap<String, usize>,
}

/// A manifest that could not even be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such file.
    #[error("there is no manifest at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is there and cannot be read.
    #[error("cannot read the manifest {}: {source}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Reads the manifest at `path` and checks all of it, the files that it names included.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => LoadError::Missing { path: path.to_owned() },
        _ => LoadError::Unreadable {
            path: path.to_owned(),
            source,
        },
    })?;
    let path = std::path::absolute(path).map_err(|source| LoadError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Ok(parse_with(&path, &text, files::check))
}

/// Reads a manifest from text, without touching the file system. `file` gives the folder at which relative paths start.
pub fn parse(file: &Path, text: &str) -> Loaded {
    parse_with(file, text, |_, _, _| {})
}

/// A further check: the manifest, its root section, where findings go.
type Check = fn(&Manifest, &Section<'_, '_>, &Context<'_>);

fn parse_with(file: &Path, text: &str, further: Check) -> Loaded {
    let (table, errors) = DeTable::parse_recoverable(text);
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut context = Context {
        text,
        folder,
        profile: profile_of(table.get_ref()),
        problems: RefCell::new(Problems::default()),
    };
    let syntax_is_wrong = !errors.is_empty();
    let name = Path::new(file.file_name().unwrap_or(file.as_os_str()));
    for error in errors {
        let line = error.span().map(|span| context.line(&span));
        let problem = Problem::new(
            Severity::Error,
            "",
            format!("{} is not valid TOML: {}", name.display(), one_line(error.message())),
        )
        .line(line);
        context.problems.get_mut().push(problem);
    }
    let root = Section::root(&context, table.get_ref());
    let mut manifest = read_all(&root, file);
    if syntax_is_wrong {
        // What the rest says may be an echo of the damage.
        drop(root);
        let problems = context.problems.into_inner();
        let kept = problems
            .iter()
            .filter(|problem| problem.key.is_empty())
            .cloned()
            .collect();
        return Loaded {
            manifest,
            problems: kept,
            component_lines: BTreeMap::new(),
        };
    }
    topics::complete(&mut manifest, &root, &context);
    check::relations(&manifest, &root, &context);
    further(&manifest, &root, &context);
    let deployments = root.section("deployments");
    let component_line = |name: &String| Some((name.clone(), deployments.section_at(name).line_of("component")?));
    let component_lines = manifest.deployments.keys().filter_map(component_line).collect();
    drop((root, deployments));
    let mut problems = context.problems.into_inner();
    problems.sort();
    Loaded {
        manifest,
        problems,
        component_lines,
    }
}

fn read_all(root: &Section<'_, '_>, file: &Path) -> Manifest {
    let sources = read_sources(&root.section("sources"));
    let data_dir = sources
        .values()
        .next()
        .map_or_else(PathBuf::new, |source| source.data_dir.clone());
    let only_source = sources.keys().next().cloned().unwrap_or_default();
    let topics = root.section("topics").named(Rule::Topic);
    let deployments = root.section("deployments").named(Rule::Plain);
    Manifest {
        file: file.to_owned(),
        host: read_host(&root.section("host"), &data_dir),
        topics: topics
            .into_iter()
            .map(|(name, section)| (name, read_topic(&section, &only_source)))
            .collect(),
        deployments: deployments
            .into_iter()
            .map(|(name, section)| {
                let deployment = read_deployment(&name, &section, &only_source);
                (name, deployment)
            })
            .collect(),
        sources,
    }
}

/// Decides defaults of other keys, and is therefore read before everything else; errors are recorded when its turn comes.
fn profile_of(table: &DeTable<'_>) -> Profile {
    let named = table
        .get("host")
        .and_then(|host| host.get_ref().get("profile"))
        .and_then(|value| value.get_ref().as_str());
    if named == Some("edge") {
        Profile::Edge
    } else {
        Profile::Default
    }
}

fn read_host(section: &Section<'_, '_>, data_dir: &Path) -> Host {
    let profile = if section.choice("profile") == "edge" {
        Profile::Edge
    } else {
        Profile::Default
    };
    let metrics = section.text("metrics").and_then(|text| {
        let address = text.parse().ok();
        if address.is_none() {
            section.refuse(
                "metrics",
                &format!("is \"{text}\", expected an address and a port"),
                "write metrics = \"127.0.0.1:9464\"",
            );
        }
        address
    });
    let log = section.text("log").unwrap_or_default();
    if let Some(objection) = filter::objection(&log) {
        section.refuse("log", &objection, filter::HINT);
    }
    Host {
        profile,
        lanes: section.integer("lanes").and_then(|lanes| u32::try_from(lanes).ok()),
        drain_timeout: section.duration("drain-timeout"),
        cache_dir: section
            .path_value("cache-dir")
            .unwrap_or_else(|| files::default_cache_dir(data_dir)),
        metrics,
        log,
        log_format: if section.choice("log-format") == "json" {
            LogFormat::Json
        } else {
            LogFormat::Text
        },
    }
}

fn read_sources(section: &Section<'_, '_>) -> BTreeMap<String, EmbeddedSource> {
    let named = section.named(Rule::Plain);
    if named.is_empty() {
        return BTreeMap::from([("main".to_owned(), read_source(&section.absent("main", "*")))]);
    }
    for (_, extra) in named.iter().skip(1) {
        let message = format!(
            "{} is a second embedded source, and one process owns one data directory",
            extra.path()
        );
        let hint = "run a second host with a manifest of its own";
        extra.report(message, hint);
    }
    named
        .into_iter()
        .map(|(name, section)| (name, read_source(&section)))
        .collect()
}

/// A source of which nothing but the directory is given.
pub(super) fn default_source(data_dir: PathBuf, profile: Profile) -> EmbeddedSource {
    let context = Context {
        text: "",
        folder: Path::new(""),
        profile,
        problems: RefCell::new(Problems::default()),
    };
    let table = DeTable::new();
    let source = read_source(&Section::root(&context, &table).section("sources").absent("main", "*"));
    EmbeddedSource { data_dir, ..source }
}

fn read_source(section: &Section<'_, '_>) -> EmbeddedSource {
    if section.choice("type") == "kafka" {
        section.refuse(
            "type",
            "is \"kafka\", and this build has no kafka source yet",
            "use type = \"embedded\"",
        );
    }
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

/// Segment size of topics that are large enough for it.
const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// A topic; retention is completed by [`topics::complete`] where it is absent.
pub(super) fn read_topic(section: &Section<'_, '_>, only_source: &str) -> Topic {
    let max_bytes = section.size("max-bytes");
    let segment_bytes = match section.get("segment-bytes") {
        Some(_) => section.size("segment-bytes"),
        None => SEGMENT_BYTES_DEFAULT.min(max_bytes / 4),
    };
    Topic {
        origin: super::types::Origin::Listed,
        source: section.text("source").unwrap_or_else(|| only_source.to_owned()),
        partitions: small(section.integer("partitions")),
        max_bytes,
        on_full: if section.choice("on-full") == "drop-oldest" {
            OnFull::DropOldest
        } else {
            OnFull::Refuse
        },
        segment_bytes,
        retention: section
            .get("retention")
            .and_then(|value| read_retention(section, value))
            .unwrap_or(Retention::DEFAULT),
    }
}

fn read_retention<'i>(section: &Section<'_, 'i>, value: &Value<'i>) -> Option<Retention> {
    match value.get_ref() {
        DeValue::String(text) if &**text == "queue" => Some(Retention::Queue),
        DeValue::String(text) if &**text == "forever" => Some(Retention::Forever),
        DeValue::String(text) if text.starts_with(|c: char| c.is_ascii_digit()) => section
            .duration_of("retention", value, Retention::TIME_MIN, Retention::TIME_MAX)
            .map(|time| Retention::Limited {
                time: Some(time),
                size: None,
            }),
        DeValue::String(text) => {
            let message = format!("is \"{text}\", expected \"queue\", \"forever\" or a duration such as \"7d\"");
            section.refuse(
                "retention",
                &message,
                "queue keeps records until every group has finished with them",
            );
            None
        }
        DeValue::Table(table) => read_limits(section, table),
        other => {
            section.wrong_type(
                "retention",
                value,
                other,
                "\"queue\", \"forever\", a duration or a table",
            );
            None
        }
    }
}

fn read_limits<'i>(section: &Section<'_, 'i>, table: &DeTable<'i>) -> Option<Retention> {
    let (mut time, mut size) = (None, None);
    for (key, value) in table {
        match &**key.get_ref() {
            "time" => time = section.duration_of("retention.time", value, Retention::TIME_MIN, Retention::TIME_MAX),
            "size" => size = section.size_of("retention.size", value, Retention::SIZE_MIN, Retention::SIZE_MAX),
            other => {
                let message = format!("unknown key {}.retention.{other}", section.path());
                section.report(message, "known keys here: time, size");
            }
        }
    }
    if table.is_empty() {
        section.refuse("retention", "is an empty table", "give time, size or both");
    }
    (time.is_some() || size.is_some()).then_some(Retention::Limited { time, size })
}

fn read_deployment(name: &str, section: &Section<'_, '_>, only_source: &str) -> Deployment {
    let group = section.text("group").unwrap_or_else(|| name.to_owned());
    let backoff = section.section("backoff");
    Deployment {
        component: section.path_value("component").unwrap_or_default(),
        topic: section.text("topic").unwrap_or_default(),
        source: section.text("source").unwrap_or_else(|| only_source.to_owned()),
        enabled: section.boolean("enabled"),
        concurrency: small(section.integer("concurrency")),
        instance: if section.choice("instance") == "fresh" {
            InstanceMode::Fresh
        } else {
            InstanceMode::Reuse
        },
        deadline: section.duration("deadline"),
        max_lease: section.duration("max-lease"),
        lock: section.duration("lock"),
        memory: section.size("memory"),
        attempts: small(section.integer("attempts")),
        dead_letter: read_dead_letter(section, &group),
        start: read_start(section),
        backoff: Backoff {
            first: backoff.duration("first"),
            max: backoff.duration("max"),
            jitter: backoff.fraction("jitter"),
        },
        settings: read_texts(&section.section("settings")),
        grants: read_grants(&section.section("grants")),
        group,
    }
}

fn read_dead_letter(section: &Section<'_, '_>, group: &str) -> Option<String> {
    let value = section.get("dead-letter");
    match value.map(|value| (value, value.get_ref())) {
        None => Some(format!("{group}.dead")),
        Some((_, DeValue::Boolean(false))) => None,
        Some((_, DeValue::String(name))) => {
            if let Some(objection) = Rule::DeadLetter.objection(name) {
                section.refuse("dead-letter", &objection, "choose another name");
            }
            Some(name.to_string())
        }
        Some((value, other)) => {
            section.wrong_type("dead-letter", value, other, "a topic name or false");
            Some(format!("{group}.dead"))
        }
    }
}

fn read_start(section: &Section<'_, '_>) -> Start {
    let text = section.text("start").unwrap_or_default();
    text.parse().unwrap_or_else(|error: super::values::StartError| {
        section.refuse(
            "start",
            &error.to_string(),
            "write start = \"earliest\", \"latest\" or \"by-duration:1h\"",
        );
        Start::Earliest
    })
}

fn read_grants(section: &Section<'_, '_>) -> Grants {
    Grants {
        emit: section.names("emit"),
        config: read_texts(&section.section("config")),
        env: read_environment(&section.section("env")),
        files: section.items("files").iter().map(read_file_grant).collect(),
    }
}

/// What is missing stays empty: it has been recorded, and positions in the list must not move.
fn read_file_grant(section: &Section<'_, '_>) -> FileGrant {
    FileGrant {
        host: section.path_value("host").unwrap_or_default(),
        guest: section.text("guest").unwrap_or_default(),
        access: if section.choice("access") == "read-write" {
            Access::ReadWrite
        } else {
            Access::Read
        },
    }
}

/// Text as it is, numbers and booleans as TOML writes them.
fn read_texts(section: &Section<'_, '_>) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (name, value) in section.entries() {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(integer) => integer.to_string(),
            DeValue::Float(float) => float.to_string(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            other => {
                section.wrong_type(name, value, other, "text, a number or a boolean");
                continue;
            }
        };
        texts.insert(name.to_owned(), text);
    }
    texts
}

fn read_environment(section: &Section<'_, '_>) -> BTreeMap<String, EnvValue> {
    let mut variables = BTreeMap::new();
    for (name, value) in section.entries() {
        let from = value.get_ref().get("from").and_then(|from| from.get_ref().as_str());
        let fields = value.get_ref().as_table().map_or(0, toml::map::Map::len);
        let variable = match (value.get_ref(), from, fields) {
            (DeValue::String(text), ..) => EnvValue::Literal(text.to_string()),
            (DeValue::Table(_), Some(from), 1) => EnvValue::Inherited { from: from.to_owned() },
            (other, ..) => {
                section.wrong_type(name, value, other, "text or { from = \"NAME\" }");
                continue;
            }
        };
        if name.is_empty() || name.contains('=') {
            section.refuse(
                name,
                "is no name of an environment variable",
                "use letters, digits and \"_\"",
            );
        }
        variables.insert(name.to_owned(), variable);
    }
    variables
}

/// Ranges in the key table keep these within 32 bits.
fn small(value: Option<u64>) -> u32 {
    value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default()
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(", ")
}
