//! Every environment variable that the command line reads. Flag before variable before manifest before default.

use std::ffi::OsString;
use std::path::PathBuf;

/// Manifest to read where `--manifest` is not given.
pub const MANIFEST: &str = "SHAREMILL_MANIFEST";
/// Data directory where neither `--data-dir` nor `--manifest` is given.
pub const DATA_DIR: &str = "SHAREMILL_DATA_DIR";
/// Address of the metrics where `--metrics` is not given.
pub const METRICS: &str = "SHAREMILL_METRICS";
/// Log filter where `--log` is not given.
pub const LOG: &str = "SHAREMILL_LOG";
/// Look of log lines where `--log-format` is not given.
pub const LOG_FORMAT: &str = "SHAREMILL_LOG_FORMAT";

/// The manifest where nobody names one.
pub(super) const USUAL_MANIFEST: &str = "sharemill.toml";

/// The manifest to read.
pub(super) fn manifest(flag: Option<PathBuf>) -> PathBuf {
    flag.or_else(|| set(MANIFEST).map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(USUAL_MANIFEST))
}

/// The data directory, if one is given directly.
pub(super) fn data_dir() -> Option<PathBuf> {
    set(DATA_DIR).map(PathBuf::from)
}

/// A variable's value; empty counts as not set.
pub(super) fn text(name: &str) -> Option<String> {
    set(name).map(|value| value.to_string_lossy().into_owned())
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
