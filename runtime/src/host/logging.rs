//! Log lines on standard error, as the manifest, the environment or a flag wishes them. What handlers may say follows the same filter.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write as _};
use std::panic::PanicHookInfo;
use std::sync::LazyLock;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::log_queue::{GUEST_TARGET, LogQueue};
use crate::config::{Host, LogFormat};
use crate::handler::LogLevel;
use crate::metrics::names;

/// Starts logging. A filter that cannot be read is told and replaced by `info`.
pub(super) fn start(host: &Host) {
    let (filter, wrong) = match EnvFilter::try_new(&host.log) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(QUEUE.clone())
        .with_ansi(colour);
    let started = match host.log_format {
        LogFormat::Text => builder
            .with_target(false)
            .finish()
            .with(filter_fn(may_be_shown))
            .try_init(),
        LogFormat::Json => builder.json().finish().with(filter_fn(may_be_shown)).try_init(),
    };
    // A second host in one process, as in tests, keeps the first one's.
    if started.is_ok() {
        let writing = QUEUE.start(std::io::stderr(), tell_dropped);
        debug_assert!(writing.is_ok(), "the first thread of a host starts");
        std::panic::set_hook(Box::new(tell_panic));
    }
    if let Some(error) = wrong {
        tracing::warn!(filter = host.log, %error, "the log filter cannot be read; info is used");
    }
}

/// WASI's own lines are about what guests call it with: paths with tokens, whatever the filter says, and as many warnings as a guest wants,
/// past its budget. What matters of them this host says itself.
fn may_be_shown(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("wasmtime_wasi") || *event.level() == Level::ERROR
}

/// Waits until everything logged is on standard error, but not longer than `limit`.
pub(crate) fn flush(limit: Duration) {
    QUEUE.flush(limit);
}

/// The least severe level that handlers are asked for. Never above `info`: what a handler said is kept with its dead letters,
/// whatever the log shows.
pub(super) fn guest_threshold(filter: &str) -> LogLevel {
    let shows = |level: &Level| match filter.parse::<Targets>() {
        Ok(targets) => targets.would_enable(GUEST_TARGET, level),
        // Directives about spans and fields: everything might be shown.
        Err(_) => EnvFilter::try_new(filter)
            .ok()
            .and_then(|filter| filter.max_level_hint())
            .is_some_and(|most| most >= *level),
    };
    if shows(&Level::TRACE) {
        LogLevel::Trace
    } else if shows(&Level::DEBUG) {
        LogLevel::Debug
    } else {
        LogLevel::Info
    }
}

fn tell_dropped(lines: u64) {
    metrics::counter!(names::LOG_LOST).increment(lines);
    tracing::warn!(
        lines,
        "log lines were dropped: standard error is not read as fast as it is written"
    );
}

/// A panic takes the way of every other line, so that a thread that panics is not held up for long by a reader that does not read.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("?");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("?");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread = name, at, "panicked: {message}\n{backtrace}");
    } else {
        tracing::error!(thread = name, at, "panicked: {message}");
    }
    // A filter that shows nothing hides no panic.
    if !tracing::enabled!(Level::ERROR) {
        let line = format!("thread {name:?} panicked at {at}: {message}\n");
        let _ = QUEUE.make_writer().write_all(line.as_bytes());
    }
    flush(PANIC_FLUSH);
}

static QUEUE: LazyLock<LogQueue> = LazyLock::new(LogQueue::default);

/// What a panic waits until it is on standard error.
const PANIC_FLUSH: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_asked_for_what_the_filter_shows() {
        for (filter, wanted) in [
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
            ("error", LogLevel::Info),
            ("off", LogLevel::Info),
            ("info,sharemill=debug", LogLevel::Info),
            ("warn,handler=trace", LogLevel::Trace),
            ("debug,handler=info", LogLevel::Info),
            ("info,[span{field=1}]=debug", LogLevel::Trace),
            ("no=such=filter", LogLevel::Info),
        ] {
            assert_eq!(guest_threshold(filter), wanted, "{filter}");
        }
    }
}
