//! A place where tests stop the process between the steps of a commit. Without feature `testing` it is an empty
//! value and calling it compiles to nothing.

/// Where a commit or an open stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The group is sealed, nothing is written.
    BeforeWrite,
    /// The group is written and not synced.
    BeforeSync,
    /// The group is synced and nobody has been told.
    AfterSync,
    /// Recovery has read everything and written nothing.
    Recovered,
    /// Recovery has rewritten the unsynced tail.
    Rewritten,
}

/// Called at every [`Phase`]; does nothing by default.
#[derive(Clone, Default)]
pub struct Hook {
    #[cfg(any(test, feature = "testing"))]
    call: Option<std::sync::Arc<dyn Fn(Phase) + Send + Sync>>,
}

impl Hook {
    /// Calls `call` at every phase, on the thread that commits or opens.
    #[cfg(any(test, feature = "testing"))]
    pub fn new(call: impl Fn(Phase) + Send + Sync + 'static) -> Self {
        Self {
            call: Some(std::sync::Arc::new(call)),
        }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn reach(&self, phase: Phase) {
        if let Some(call) = &self.call {
            call(phase);
        }
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "the hook exists in tests only")]
    pub(super) const fn reach(&self, _: Phase) {}
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}
