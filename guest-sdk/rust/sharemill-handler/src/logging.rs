//! The backend of the crate `log`: what the handler logs goes to the host with the deployment, topic, partition, offset and
//! attempt. Installed by `#[handler]`. The host's threshold is asked for at most once a call, and only by a call that logs.
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::bindings::imports::sharemill::worker::logging as wire;
use crate::host;

/// Called before every handler call: the threshold may have changed since the last one.
pub(crate) fn begin_call() {
    if !INSTALLED.swap(true, Relaxed) && log::set_logger(&HOST).is_ok() {
        // A handler that has set a logger of its own keeps it, and its maximum level.
        log::set_max_level(LevelFilter::Trace);
    }
    THRESHOLD.store(UNKNOWN, Relaxed);
}

struct Host;

impl Log for Host {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        wire_level(metadata.level()) as u8 >= threshold()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = wire_level(record.level());
        match record.args().as_str() {
            Some(text) => host::log(level, record.target(), text),
            None => host::log(level, record.target(), &record.args().to_string()),
        }
    }

    fn flush(&self) {}
}

fn threshold() -> u8 {
    let known = THRESHOLD.load(Relaxed);
    if known != UNKNOWN {
        return known;
    }
    let asked = host::threshold() as u8;
    THRESHOLD.store(asked, Relaxed);
    asked
}

fn wire_level(level: Level) -> wire::Level {
    match level {
        Level::Trace => wire::Level::Trace,
        Level::Debug => wire::Level::Debug,
        Level::Info => wire::Level::Info,
        Level::Warn => wire::Level::Warn,
        Level::Error => wire::Level::Error,
    }
}

static HOST: Host = Host;
static INSTALLED: AtomicBool = AtomicBool::new(false);
static THRESHOLD: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = u8::MAX;
