//! Opens the engine of a data directory for one command, where no host runs on it.

use crate::admin::{Admin, AdminError, ErrorCode, VerifyReport};
use crate::config::EmbeddedSource;

/// An open engine. Fails with [`ErrorCode::InUse`], naming directory and holder, if another process owns the directory.
pub(super) async fn open(source: &EmbeddedSource) -> Result<Box<dyn Admin>, AdminError> {
    Err(missing(source))
}

/// Reads everything in a data directory that nobody owns.
pub(super) async fn verify(source: &EmbeddedSource) -> Result<VerifyReport, AdminError> {
    Err(missing(source))
}

fn missing(source: &EmbeddedSource) -> AdminError {
    let message = format!(
        "no host runs on {}, and this build cannot open it by itself",
        source.data_dir.display()
    );
    AdminError::new(ErrorCode::Unavailable, message).hint("start one with sharemill run")
}
