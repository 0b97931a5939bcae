//! A place where tests stop the process between the steps of the engine's work. Without feature `testing` it is an
//! empty value and calling it compiles to nothing. Called by the journal, the drainer, snapshots and the shard.

/// Where the engine's work stands.
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
    /// A drain has synced the partition logs, no snapshot lists what it added.
    LogsSynced,
    /// The snapshot is synced under its temporary name.
    SnapshotWritten,
    /// The snapshot has its name, and what it makes superfluous is still there.
    SnapshotNamed,
    /// An accept with emitted records has arrived, the journal has not heard of it.
    Settling,
    /// Leases are being extended.
    Extending,
}

/// What the engine is busy with; see `Hook::load`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Records that members hold.
    pub acquired: u64,
    /// Records whose settlement has arrived and is not durable.
    pub settling: u64,
}

/// Called at every [`Phase`]; does nothing by default.
#[derive(Clone, Default)]
pub struct Hook {
    #[cfg(any(test, feature = "testing"))]
    inner: Option<std::sync::Arc<Inner>>,
}

#[cfg(any(test, feature = "testing"))]
struct Inner {
    call: Box<dyn Fn(Phase, Load) + Send + Sync>,
    acquired: std::sync::atomic::AtomicU64,
    settling: std::sync::atomic::AtomicU64,
}

#[cfg(any(test, feature = "testing"))]
impl Hook {
    /// Calls `call` at every phase, on the thread that reaches it.
    pub fn new(call: impl Fn(Phase) + Send + Sync + 'static) -> Self {
        Self::with_load(move |phase, _| call(phase))
    }

    /// As [`Hook::new`]; `call` is told what the shard was busy with when it last said so.
    pub fn with_load(call: impl Fn(Phase, Load) + Send + Sync + 'static) -> Self {
        Self {
            inner: Some(std::sync::Arc::new(Inner {
                call: Box::new(call),
                acquired: std::sync::atomic::AtomicU64::new(0),
                settling: std::sync::atomic::AtomicU64::new(0),
            })),
        }
    }

    pub(crate) fn reach(&self, phase: Phase) {
        use std::sync::atomic::Ordering::Relaxed;
        if let Some(inner) = &self.inner {
            let load = Load {
                acquired: inner.acquired.load(Relaxed),
                settling: inner.settling.load(Relaxed),
            };
            (inner.call)(phase, load);
        }
    }

    /// Notes what the shard is busy with. `measure` runs only if somebody listens.
    pub(crate) fn load(&self, measure: impl FnOnce() -> Load) {
        use std::sync::atomic::Ordering::Relaxed;
        if let Some(inner) = &self.inner {
            let load = measure();
            inner.acquired.store(load.acquired, Relaxed);
            inner.settling.store(load.settling, Relaxed);
        }
    }
}

#[cfg(not(any(test, feature = "testing")))]
#[expect(clippy::unused_self, reason = "the hook exists in tests only")]
impl Hook {
    pub(crate) const fn reach(&self, _: Phase) {}

    pub(crate) fn load(&self, _: impl FnOnce() -> Load) {}
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}
