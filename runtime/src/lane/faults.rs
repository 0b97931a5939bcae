//! What goes wrong in one deployment without being a record's fault, over all lanes: failed starts, and what has been said of it all. The
//! lock is taken where something failed, and never otherwise.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use share_engine::time::Instant;

use crate::settle::{Starts, Warnings};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The last start failed.
    failing: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    starts: Starts,
    warnings: Warnings,
}

impl Faults {
    /// An instance did not start. The delay before its record is tried again.
    pub(crate) fn start_failed(&self, now: Instant, deployment: &str, text: &str, random: u64) -> Duration {
        self.warn(now, deployment, "an instance did not start", text);
        let (delay, broke) = self.with(|inner| {
            let before = inner.starts.is_broken();
            let delay = inner.starts.handle_failed(now, text, random);
            (delay, !before && inner.starts.is_broken())
        });
        self.failing.store(true, Ordering::Release);
        if broke {
            tracing::error!(
                deployment,
                fault = text,
                "no instance starts: one record at a time tries again, at growing distances"
            );
        }
        delay
    }

    /// An instance started, or one that had started worked.
    pub(crate) fn worked(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.failing.store(false, Ordering::Release);
            self.with(|inner| inner.starts.handle_good());
        }
    }

    /// How long nothing is to be started.
    pub(crate) fn rest(&self, now: Instant) -> Option<Duration> {
        if !self.failing.load(Ordering::Acquire) {
            return None;
        }
        self.with(|inner| inner.starts.rest(now))
    }

    /// Several starts failed in a row.
    pub(crate) fn is_broken(&self) -> bool {
        self.failing.load(Ordering::Acquire) && self.with(|inner| inner.starts.is_broken())
    }

    /// How the last start failed.
    pub(crate) fn last_start(&self) -> String {
        self.with(|inner| inner.starts.last().to_owned())
    }

    /// A line in the log, unless the same was said lately.
    pub(crate) fn warn(&self, now: Instant, deployment: &str, what: &str, text: &str) {
        if self.with(|inner| inner.warnings.admits(now, text)) {
            tracing::warn!(deployment, fault = text, "{what}");
        }
    }

    fn with<T>(&self, action: impl FnOnce(&mut Inner) -> T) -> T {
        action(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
