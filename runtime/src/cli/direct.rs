//! Opens the engine of a data directory for one command, where no host runs on it.

use share_engine::engine::Engine;
use share_engine::error::OpenError;

use crate::admin::{Admin, AdminError, EmbeddedAdmin, ErrorCode, VerifyReport};
use crate::config::{EmbeddedSource, Profile};

/// An open engine. Fails with [`ErrorCode::InUse`], naming directory and holder, if another process owns the directory.
pub(super) async fn open(source: &EmbeddedSource) -> Result<Box<dyn Admin>, AdminError> {
    let config = crate::host::engine_config(source, Profile::Default);
    let directory = source.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Engine::open(directory, config)).await;
    let opened = opened.map_err(|error| AdminError::new(ErrorCode::Internal, error.to_string()))?;
    let (engine, _) = opened.map_err(open_error)?;
    Ok(Box::new(EmbeddedAdmin::owning(engine)))
}

/// Reads everything in a data directory that nobody owns.
pub(super) async fn verify(source: &EmbeddedSource) -> Result<VerifyReport, AdminError> {
    let message = format!("{} cannot be verified by this build", source.data_dir.display());
    Err(AdminError::new(ErrorCode::Unavailable, message))
}

fn open_error(error: OpenError) -> AdminError {
    let text = error.to_string();
    match error {
        OpenError::InUse { .. } => AdminError::new(ErrorCode::InUse, text)
            .hint("the process that holds it does not answer on its admin socket; wait for it or stop it"),
        OpenError::Corrupt(_) => AdminError::new(ErrorCode::Unavailable, text).hint("sharemill verify shows all of it"),
        OpenError::NewerFormat { .. } => {
            AdminError::new(ErrorCode::Unavailable, text).hint("use the newer version of sharemill that wrote it")
        }
        _ => AdminError::new(ErrorCode::Unavailable, text),
    }
}
