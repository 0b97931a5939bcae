//! The deployment's settings for this handler, through `wasi:config`. A handler that wants them checked before its first
//! record uses `#[handler(configure = ..)]` instead.
use std::fmt;

use crate::host;

/// The setting of this name, if the deployment has it.
///
/// # Errors
/// The host could not read it.
pub fn get(name: &str) -> Result<Option<String>, ConfigError> {
    host::config_get(name)
}

/// All settings.
///
/// # Errors
/// The host could not read them.
pub fn all() -> Result<Vec<(String, String)>, ConfigError> {
    host::config_get_all()
}

/// Why a setting could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub(crate) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the settings cannot be read: {}", self.0)
    }
}

impl std::error::Error for ConfigError {}
