//! Text to [`Manifest`]: reads every section through the key table and fills in defaults.
//! What needs more than one key is left to [`super::check`]; what needs the file system to [`super::files`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::kafka::Secret;
use super::keys::SourceKind;
use super::problem::{Problem, Problems, Severity};
use super::section::Section;
use super::source::{Home, read_secrets};
use super::types::{
    Access, Backoff, Deployment, EnvValue, FileGrant, Grants, Host, InstanceMode, LogFormat, Manifest, Profile,
    RetryTopic, Source,
};
use super::values::Start;
use super::values::filter;
use super::values::names::Rule;
use super::{check, files, http, on_kafka, source, topics};

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
    on_kafka::check(&manifest, &root, &context);
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
    let sources = source::read_all(&root.section("sources"));
    let data_dir = sources.values().next().map_or(Path::new(""), Source::data_dir);
    let home = Home::of(&sources);
    let listed = root.section("topics").named(Rule::Topic);
    let deployments = root.section("deployments").named(Rule::Plain);
    Manifest {
        file: file.to_owned(),
        host: read_host(&root.section("host"), data_dir),
        topics: listed
            .into_iter()
            .map(|(name, section)| (name, topics::read(section, &home)))
            .collect(),
        deployments: deployments
            .into_iter()
            .map(|(name, section)| {
                let deployment = read_deployment(&name, section, &home);
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

fn read_deployment(name: &str, section: Section<'_, '_>, home: &Home<'_>) -> Deployment {
    let (source, kind) = home.of_section(&section);
    let section = &section.of_kind(kind);
    let group = section.text("group").unwrap_or_else(|| name.to_owned());
    let backoff = section.section("backoff");
    Deployment {
        component: section.path_value("component").unwrap_or_default(),
        topic: section.text("topic").unwrap_or_default(),
        enabled: section.boolean("enabled"),
        concurrency: small(section.integer("concurrency")),
        instance: if section.choice("instance") == "fresh" {
            InstanceMode::Fresh
        } else {
            InstanceMode::Reuse
        },
        deadline: section.duration("deadline"),
        max_lease: section.duration("max-lease"),
        lock: section.duration_if_any("lock"),
        memory: section.size("memory"),
        attempts: small(section.integer("attempts")),
        dead_letter: read_dead_letter(section, &group),
        retry_topic: (kind == SourceKind::Kafka).then(|| read_retry_topic(section, &group)),
        start: read_start(section).or(home.start(&source)),
        backoff: Backoff {
            first: backoff.duration("first"),
            max: backoff.duration("max"),
            jitter: backoff.fraction("jitter"),
        },
        http: http::read_limits(&section.section("http")),
        settings: read_texts(&section.section("settings")),
        secrets: read_deployment_secrets(section),
        grants: read_grants(&section.section("grants")),
        group,
        source,
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

fn read_retry_topic(section: &Section<'_, '_>, group: &str) -> RetryTopic {
    let value = section.get("retry-topic");
    match value.map(|value| (value, value.get_ref())) {
        None => RetryTopic::Topic(format!("{group}.retry")),
        Some((_, DeValue::Boolean(false))) => RetryTopic::Off,
        Some((_, DeValue::String(name))) => {
            if let Some(objection) = Rule::Topic.objection(name) {
                section.refuse("retry-topic", &objection, "choose another name");
            }
            RetryTopic::Topic(name.to_string())
        }
        Some((value, other)) => {
            section.wrong_type("retry-topic", value, other, "a topic name or false");
            RetryTopic::Off
        }
    }
}

/// A start position; `None` where it is absent and has no default.
pub(super) fn read_start(section: &Section<'_, '_>) -> Option<Start> {
    let text = section.text("start")?;
    let start = text.parse().unwrap_or_else(|error: super::values::StartError| {
        section.refuse(
            "start",
            &error.to_string(),
            "write start = \"earliest\", \"latest\" or \"by-duration:1h\"",
        );
        Start::Earliest
    });
    Some(start)
}

fn read_deployment_secrets(section: &Section<'_, '_>) -> BTreeMap<String, Secret> {
    let of_secrets = section.section("secrets");
    let secrets = read_secrets(&of_secrets);
    let config = section.section("grants").section("config");
    for (name, _) in config.entries().filter(|(name, _)| secrets.contains_key(*name)) {
        of_secrets.refuse(
            name,
            &format!("has a value in {}, too", config.path()),
            "give it in one of the two places",
        );
    }
    secrets
}

fn read_grants(section: &Section<'_, '_>) -> Grants {
    Grants {
        emit: section.names("emit"),
        config: read_texts(&section.section("config")),
        env: read_environment(&section.section("env")),
        files: section.items("files").iter().map(read_file_grant).collect(),
        http: http::read_grants(section),
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

fn read_texts(section: &Section<'_, '_>) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (name, value) in section.entries() {
        match text_of(value.get_ref()) {
            Some(text) => _ = texts.insert(name.to_owned(), text),
            None => section.wrong_type(name, value, value.get_ref(), "text, a number or a boolean"),
        }
    }
    texts
}

/// Text as it is, numbers and booleans as TOML writes them; `None` for other types.
pub(super) fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(integer) => Some(integer.to_string()),
        DeValue::Float(float) => Some(float.to_string()),
        DeValue::Boolean(boolean) => Some(boolean.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
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
pub(super) fn small(value: Option<u64>) -> u32 {
    value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default()
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(", ")
}
