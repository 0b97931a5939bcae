//! Opens the engine of a data directory for one command, where no host runs on it, or looks at it; or begins to ask a cluster.

use share_engine::engine::{self, Engine, Survey};
use share_engine::error::OpenError;

#[cfg(feature = "kafka")]
use super::open::Absent;
use super::open::Place;
#[cfg(feature = "kafka")]
use crate::admin::KafkaAdmin;
use crate::admin::{Admin, AdminError, Damage, EmbeddedAdmin, ErrorCode, Unchecked, VerifyReport};
use crate::config::EmbeddedSource;
#[cfg(feature = "kafka")]
use crate::config::KafkaSource;
use crate::output::{self, Failure};

/// An open engine. Fails with [`ErrorCode::InUse`], naming directory and holder, if another process owns the directory.
/// With `topics` those of the manifest are made first, so that records can be produced before the first run.
pub(super) async fn open(place: &Place, topics: bool) -> Result<Box<dyn Admin>, Failure> {
    let source = place.engine()?;
    let config = crate::host::engine_config(source, place.profile);
    let directory = source.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Engine::open(directory, config)).await;
    let opened = opened.map_err(|error| AdminError::new(ErrorCode::Internal, error.to_string()))?;
    let (engine, _) = opened.map_err(|error| open_error(&error))?;
    if topics && let Some(manifest) = &place.manifest {
        for line in crate::host::apply_topics(manifest, &engine)
            .await
            .map_err(AdminError::from)?
        {
            output::message(&line);
        }
    }
    Ok(Box::new(EmbeddedAdmin::owning(engine)))
}

/// A cluster. A topic that is to be there, and that the manifest has, is made if it is not.
#[cfg(feature = "kafka")]
pub(super) async fn open_cluster(
    place: &Place,
    source: &KafkaSource,
    absent: Absent<'_>,
) -> Result<Box<dyn Admin>, Failure> {
    let read = source.clone();
    let resolved = tokio::task::spawn_blocking(move || read.resolve()).await;
    let resolved = resolved.map_err(|error| AdminError::new(ErrorCode::Internal, error.to_string()))?;
    let properties = resolved.map_err(|error| Failure::new(error.to_string()).hint(SECRETS))?;
    let admin = KafkaAdmin::new(&properties, place.beside())?;
    if let (Absent::CreateFor(name), Some(manifest)) = (absent, &place.manifest)
        && let Some(topic) = manifest.topics.get(name)
        && admin.ensure_topic(name, topic).await?
    {
        output::message(&format!("created topic {name}"));
    }
    Ok(Box::new(admin))
}

/// What to do about a secret that cannot be had.
#[cfg(feature = "kafka")]
const SECRETS: &str = "the source's secrets say where it is: { file = \"PATH\" } or { env = \"NAME\" }";

/// Looks at a data directory that nobody owns, and leaves it as it is.
pub(super) async fn survey(source: &EmbeddedSource) -> Result<Survey, AdminError> {
    let directory = source.data_dir.clone();
    let looked = tokio::task::spawn_blocking(move || engine::survey_directory(directory)).await;
    let looked = looked.map_err(|error| AdminError::new(ErrorCode::Internal, error.to_string()))?;
    looked.map_err(|error| open_error(&error))
}

/// Reads everything in a data directory that nobody owns.
pub(super) async fn verify(source: &EmbeddedSource) -> Result<VerifyReport, AdminError> {
    let directory = source.data_dir.clone();
    let read = tokio::task::spawn_blocking(move || engine::verify_directory(directory))
        .await
        .map_err(|error| AdminError::new(ErrorCode::Internal, error.to_string()))?;
    let report = read.map_err(|error| open_error(&error))?;
    Ok(VerifyReport {
        segments: report.segments,
        records: report.records,
        journal_records: report.journal_records,
        journal_entries: report.entries,
        bytes: report.bytes,
        clean: report.clean,
        torn: report.torn.map(damage),
        damage: report.problems.into_iter().map(damage).collect(),
        newer: report.newer.into_iter().map(damage).collect(),
        unchecked: report.unchecked.into_iter().map(unchecked).collect(),
    })
}

fn damage(problem: engine::Problem) -> Damage {
    Damage {
        file: problem.file,
        position: problem.position,
        message: problem.what,
    }
}

fn unchecked(left_out: engine::Unchecked) -> Unchecked {
    Unchecked {
        file: left_out.file,
        message: left_out.why,
    }
}

fn open_error(error: &OpenError) -> AdminError {
    let text = error.to_string();
    match error {
        OpenError::InUse { .. } => AdminError::new(ErrorCode::InUse, text)
            .hint("the process that holds it does not answer on its admin socket; wait for it or stop it"),
        OpenError::Corrupt(_) => AdminError::new(ErrorCode::Unavailable, text).hint("sharemill verify shows all of it"),
        OpenError::NotADirectory { .. } => AdminError::new(ErrorCode::NotFound, text).hint(super::open::NAME_ANOTHER),
        OpenError::OpenFiles { .. } => {
            AdminError::new(ErrorCode::Unavailable, text).hint(crate::host::RAISE_OPEN_FILES)
        }
        OpenError::NewerFormat { .. } => {
            AdminError::new(ErrorCode::Unavailable, text).hint("use the newer version of sharemill that wrote it")
        }
        _ => AdminError::new(ErrorCode::Unavailable, text),
    }
}
