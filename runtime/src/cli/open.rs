//! Finds the data directory and whoever answers for it: the host that runs on it, over its socket, or an engine opened for one command;
//! or else the cluster.
//! Between the two, while a host starts or ends or another command has the directory, it waits.

use std::cell::Cell;
#[cfg(feature = "kafka")]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use share_engine::engine::is_data_directory;
use share_engine::error::OpenError;
use tokio::time::Instant;

use super::args::DataArgs;
use super::{direct, environment, manifest};
#[cfg(feature = "kafka")]
use crate::admin::Beside;
use crate::admin::{Admin, AdminClient, AdminError, ErrorCode};
use crate::config::{EmbeddedSource, Manifest, Profile, Severity, Source, nearest};
#[cfg(feature = "kafka")]
use crate::config::{KafkaSource, RetryTopic};
use crate::output::{self, Failure};

/// A data directory with the settings of its source.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// What the manifest calls the source.
    name: String,
    /// Settings, the directory among them.
    source: Source,
    /// Which defaults apply.
    pub(super) profile: Profile,
    /// The manifest that names it, if there is nothing wrong with it.
    pub(super) manifest: Option<Box<Manifest>>,
    /// There is a manifest, and something else than the source is wrong with it.
    pub(super) is_broken: bool,
}

impl Place {
    /// The directory.
    pub(super) fn data_dir(&self) -> &Path {
        self.source.data_dir()
    }

    /// Whether records are in a Kafka cluster.
    pub(super) fn is_cluster(&self) -> bool {
        self.source.is_kafka()
    }

    /// The settings of the engine, for a command that opens one. Fails where records are in a Kafka cluster.
    pub(super) fn engine(&self) -> Result<&EmbeddedSource, Failure> {
        match &self.source {
            Source::Embedded(source) => Ok(source),
            Source::Kafka(_) => {
                let message = format!(
                    "{} is a kafka source: there is no engine on this disk that this command could open",
                    self.name
                );
                Err(Failure::new(message)
                    .hint("the records are with the cluster's brokers, which look after their files themselves"))
            }
        }
    }

    /// Topics beside the main ones, as the manifest has them.
    #[cfg(feature = "kafka")]
    pub(super) fn beside(&self) -> Beside {
        let mut beside = Beside::default();
        for one in self.manifest.iter().flat_map(|manifest| manifest.deployments.values()) {
            let letters = one.dead_letter.clone();
            beside
                .dead_letters
                .extend(letters.map(|topic| (one.group.clone(), topic)));
            let retry = one.retry_topic.as_ref().and_then(RetryTopic::topic);
            beside
                .retries
                .extend(retry.map(|topic| (one.group.clone(), topic.to_owned())));
        }
        beside
    }
}

/// What a command does when there is no data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent<'a> {
    /// It makes one.
    Create,
    /// It makes one if the manifest has this topic.
    CreateFor(&'a str),
    /// It fails.
    Refuse,
}

/// Runs `command` against whoever answers for the data directory, and closes what was opened for it. It runs again if the host ended
/// before it took what was asked.
pub(super) async fn with<T>(
    args: &DataArgs,
    absent: Absent<'_>,
    command: impl AsyncFn(&dyn Admin) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_place(&place(args)?, absent, command).await
}

/// The same where the place is known.
pub(super) async fn with_place<T>(
    place: &Place,
    absent: Absent<'_>,
    command: impl AsyncFn(&dyn Admin) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let patience = Patience::default();
    loop {
        match once(place, absent, &patience, async |admin| command(admin).await).await {
            Err(failure) if failure.is_passing() && patience.wait(&failure).await => {}
            done => return done,
        }
    }
}

/// Runs `command` once against whoever answers.
pub(super) async fn once<T>(
    place: &Place,
    absent: Absent<'_>,
    patience: &Patience,
    command: impl AsyncFnOnce(&dyn Admin) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let admin = open(place, absent, patience).await?;
    let result = command(admin.as_ref()).await;
    let closed = admin.close().await;
    let value = result?;
    closed?;
    Ok(value)
}

/// Whoever answers for the data directory, as soon as somebody does.
pub(super) async fn open(place: &Place, absent: Absent<'_>, patience: &Patience) -> Result<Box<dyn Admin>, Failure> {
    loop {
        match try_open(place, absent).await {
            Err(failure) if failure.is_passing() && patience.wait(&failure).await => {}
            opened => return opened,
        }
    }
}

async fn try_open(place: &Place, absent: Absent<'_>) -> Result<Box<dyn Admin>, Failure> {
    #[cfg(feature = "kafka")]
    if let Source::Kafka(source) = &place.source {
        // The cluster knows more than a host that works on it.
        return direct::open_cluster(place, source, absent).await;
    }
    if let Some(client) = AdminClient::connect(place.data_dir()).await? {
        return Ok(Box::new(client));
    }
    let has_topic = |topic| {
        let manifest = place.manifest.as_ref();
        manifest.is_some_and(|manifest| manifest.topics.contains_key(topic))
    };
    let may_create = match absent {
        Absent::Create => true,
        Absent::CreateFor(topic) => has_topic(topic),
        Absent::Refuse => false,
    };
    place.engine()?;
    if !may_create {
        require(place).map_err(|failure| not_wished(place, absent).unwrap_or(failure))?;
    }
    direct::open(place, absent != Absent::Refuse).await
}

/// How long a command waits for a data directory whose owner does not answer: all its waits together. Told after a second.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    told: Cell<bool>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            told: Cell::new(false),
        }
    }
}

impl Patience {
    /// Waits a moment, if there is time left; nothing tells when another process lets go.
    pub(super) async fn wait(&self, reason: &Failure) -> bool {
        let waited = self.began.elapsed();
        if waited >= Self::LIMIT {
            return false;
        }
        if waited >= Self::TOLD_AFTER && !self.told.replace(true) {
            for (message, _) in reason.lines() {
                output::message(&format!("waiting for up to {} s: {message}", Self::LIMIT.as_secs()));
            }
        }
        tokio::time::sleep(Self::LOOK).await;
        true
    }

    const LIMIT: Duration = Duration::from_secs(10);
    const TOLD_AFTER: Duration = Duration::from_secs(1);
    const LOOK: Duration = Duration::from_millis(20);
}

/// A topic that neither is anywhere nor stands in a manifest without mistakes.
fn not_wished(place: &Place, absent: Absent<'_>) -> Option<Failure> {
    let (Absent::CreateFor(topic), Some(manifest)) = (absent, &place.manifest) else {
        return None;
    };
    let known = manifest.topics.keys().map(String::as_str);
    let hint = nearest(topic, known).map_or_else(
        || format!("add [topics.{topic}] to the manifest, or make it: sharemill topic create {topic}"),
        |known| format!("did you mean {known}?"),
    );
    Some(Failure::new(format!("unknown topic \"{topic}\"")).hint(hint))
}

/// Fails where there is no data directory.
pub(super) fn require(place: &Place) -> Result<(), Failure> {
    let data_dir = place.data_dir();
    if data_dir.is_dir() {
        if is_data_directory(data_dir) {
            return Ok(());
        }
        let directory = data_dir.display().to_string();
        return Err(Failure::new(OpenError::NotADirectory { directory }.to_string()).hint(NAME_ANOTHER));
    }
    let hint = if place.is_broken {
        "sharemill run makes it, when nothing is wrong with the manifest: sharemill config check"
    } else {
        NAME_ANOTHER
    };
    Err(Failure::new(format!("there is no data directory at {}", data_dir.display())).hint(hint))
}

/// Where there is none.
pub(super) const NAME_ANOTHER: &str = "sharemill run makes it; name another with --data-dir DIR or --manifest FILE";

/// The data directory that the arguments, the environment or the manifest name, in this order.
pub(super) fn place(args: &DataArgs) -> Result<Place, Failure> {
    #[cfg(feature = "kafka")]
    if let Some(servers) = &args.bootstrap {
        return Ok(place_of_cluster(servers, &args.properties));
    }
    let given = args.data_dir.clone();
    let from_environment = || {
        if args.manifest.is_none() {
            environment::data_dir()
        } else {
            None
        }
    };
    match given.or_else(from_environment) {
        Some(data_dir) => Ok(Place {
            name: "main".to_owned(),
            source: Source::Embedded(EmbeddedSource::with_defaults(absolute(&data_dir)?, Profile::Default)),
            profile: Profile::Default,
            manifest: None,
            is_broken: false,
        }),
        None => place_of_manifest(args),
    }
}

/// A cluster that no manifest names.
#[cfg(feature = "kafka")]
fn place_of_cluster(servers: &str, properties: &[(String, String)]) -> Place {
    let mut properties: BTreeMap<String, String> = properties.iter().cloned().collect();
    properties.insert("bootstrap.servers".to_owned(), servers.to_owned());
    Place {
        name: format!("--bootstrap {servers}"),
        source: Source::Kafka(KafkaSource::of_properties(properties)),
        profile: Profile::Default,
        manifest: None,
        is_broken: false,
    }
}

/// Only what is wrong with the source stops a command that needs nothing else of the manifest.
fn place_of_manifest(args: &DataArgs) -> Result<Place, Failure> {
    let loaded = manifest::read(args.manifest.clone())
        .map_err(|failure| failure.hint("name one with --manifest FILE, or the data directory with --data-dir DIR"))?;
    let is_fatal = |key: &str| key.is_empty() || key == "sources" || key.starts_with("sources.");
    let mut fatal = loaded
        .problems
        .iter()
        .filter(|p| p.severity == Severity::Error && is_fatal(&p.key))
        .peekable();
    if fatal.peek().is_some() {
        fatal.for_each(output::problem);
        return Err(Failure::told());
    }
    let sources = loaded.manifest.sources.iter();
    let first = sources.map(|(name, source)| (name.clone(), source.clone())).next();
    let (name, source) = first.ok_or_else(|| Failure::new("the manifest has no source"))?;
    let whole = loaded
        .problems
        .iter()
        .all(|problem| problem.severity != Severity::Error);
    Ok(Place {
        name,
        source,
        profile: loaded.manifest.host.profile,
        manifest: whole.then(|| Box::new(loaded.manifest)),
        is_broken: !whole,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(format!("cannot find {}: {error}", path.display())))
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let passing = matches!(error.code, ErrorCode::InUse | ErrorCode::Ended);
        let failure = Self::new(error.message);
        let failure = if passing { failure.passing() } else { failure };
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
