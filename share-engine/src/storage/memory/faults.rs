//! Which call fails, and how. Pure; `mod.rs` asks before every call.

use std::io;

/// The calls of the two storage traits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named after the methods")]
pub enum CallKind {
    Read,
    Write,
    Sync,
    SetLen,
    Len,
    Open,
    Create,
    List,
    CreateDir,
    Rename,
    Remove,
    RemoveDir,
    SyncDir,
    FreeSpace,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `EIO`. A failed sync leaves it open which unsynced writes reached the disk; a later sync does not bring the
    /// others there.
    Io,
    /// `ENOSPC`; nothing is written.
    NoSpace,
    /// `EINTR`: retried inside, as the traits promise, so that it only costs calls; when sticky, the call fails.
    Interrupted,
    /// The first sectors of the data are written, the rest fails with `EIO` (a system call breaks off between pages,
    /// never inside a sector). On other calls than writes the same as [`Self::Io`].
    Short,
}

/// A call that fails.
#[derive(Clone, Debug)]
pub struct Fault {
    /// How.
    pub kind: FaultKind,
    /// Which one: the n-th of the calls that match from now on, from 1.
    pub nth: u64,
    /// All later ones that match, too.
    pub sticky: bool,
    /// Only calls of this kind count; `None` counts all.
    pub call: Option<CallKind>,
    /// Only calls on paths that contain this count; empty counts all.
    pub path: String,
}

impl Fault {
    /// The n-th call from now on, of whatever kind, fails once.
    pub const fn nth(kind: FaultKind, nth: u64) -> Self {
        Self {
            kind,
            nth,
            sticky: false,
            call: None,
            path: String::new(),
        }
    }

    /// And every later one.
    #[must_use]
    pub const fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    /// Only calls of this kind count.
    #[must_use]
    pub const fn on(mut self, call: CallKind) -> Self {
        self.call = Some(call);
        self
    }

    fn matches(&self, call: CallKind, path: &str) -> bool {
        self.call.is_none_or(|wanted| wanted == call) && path.contains(&self.path)
    }
}

/// Counts calls and decides.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Fault>,
    calls: u64,
    stop_after: Option<u64>,
}

impl Faults {
    pub(super) const fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.rules.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
        self.stop_after = None;
    }

    pub(super) const fn stop_after(&mut self, calls: u64) {
        self.stop_after = Some(calls);
    }

    /// Counts one call; `Some` if it fails.
    pub(super) fn count(&mut self, call: CallKind, path: &str) -> Option<FaultKind> {
        self.calls += 1;
        if self.stop_after.is_some_and(|limit| self.calls > limit) {
            return Some(FaultKind::Io);
        }
        let mut hit = None;
        self.rules.retain_mut(|rule| {
            if hit.is_some() || !rule.matches(call, path) {
                return true;
            }
            rule.nth = rule.nth.saturating_sub(1);
            if rule.nth == 0 {
                hit = Some((rule.kind, rule.sticky));
            }
            rule.nth > 0 || rule.sticky
        });
        match hit {
            // The retry.
            Some((FaultKind::Interrupted, false)) => self.count(call, path),
            Some((kind, _)) => Some(kind),
            None => None,
        }
    }
}

impl FaultKind {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Io | Self::Short => io::Error::other("injected: input/output error"),
            Self::NoSpace => io::Error::new(io::ErrorKind::StorageFull, "injected: no space left"),
            Self::Interrupted => io::Error::new(io::ErrorKind::Interrupted, "injected: interrupted"),
        }
    }
}
