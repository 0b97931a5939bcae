//! Log lines on standard error, as the manifest, the environment or a flag wishes them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Host, LogFormat};

/// Starts logging. A filter that cannot be read is told and replaced by `info`.
pub(super) fn start(host: &Host) {
    let (filter, wrong) = match EnvFilter::try_new(&host.log) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour);
    // A second host in one process, as in tests, keeps the first one's.
    let _ = match host.log_format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Some(error) = wrong {
        tracing::warn!(filter = host.log, %error, "the log filter cannot be read; info is used");
    }
}
