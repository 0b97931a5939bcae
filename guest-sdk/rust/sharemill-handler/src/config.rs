//! What the deployment gives by name, through `wasi:config`: the values of its `grants.config`, and its `secrets`. Its `settings` are not
//! among them: `#[handler(configure = ..)]` is given these.
use std::fmt;

use crate::host;

/// The value of this name in the deployment's `grants.config`, or its secret of this name; `None` where it has neither.
///
/// # Errors
/// The host could not answer.
pub fn get(name: &str) -> Result<Option<String>, ConfigError> {
    host::config_get(name)
}

/// All values and secrets.
///
/// # Errors
/// The host could not answer.
pub fn all() -> Result<Vec<(String, String)>, ConfigError> {
    host::config_get_all()
}

/// Why the host could not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub(crate) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "values of the deployment cannot be read: {}", self.0)
    }
}

impl std::error::Error for ConfigError {}
