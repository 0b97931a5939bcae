//! How a call ended, in the host's own words: plain data, exactly one [`CallEnd`] per call. Produced by `instance`, turned into an
//! acknowledgement by the settlement table and nowhere else.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::control::beginning;
use super::services::OutgoingRecord;

/// What the handler returned: this value is the record's acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Accept,
    /// Could not be done now; another attempt follows.
    Release {
        /// Not available again before this much time; `None`: the deployment's back-off.
        after: Option<Duration>,
        /// At most `HandlerLimits::reason_bytes`; longer ones arrive cut and marked.
        reason: Option<String>,
    },
    /// Can never be done.
    Reject {
        /// As for a release.
        reason: Option<String>,
    },
    /// Not finished; the same attempt goes on later.
    Renew {
        /// Call again after this much time; `None`: at once.
        after: Option<Duration>,
        /// State for the next call, at most `HandlerLimits::checkpoint_bytes`; `None` keeps the one there is.
        checkpoint: Option<Bytes>,
    },
}

/// Exactly one of these ends every call and every instantiation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEnd {
    /// The handler returned. The only end after which the instance may be used again.
    Outcome(Outcome),
    /// The guest trapped, or handed the host values that break the canonical ABI (code `invalid-value`).
    Trap {
        /// Kebab-case name of the trap, such as `unreachable` or `stack-overflow`.
        code: String,
        /// One line, control characters escaped.
        message: String,
        /// Innermost frame first, at most 16: function name, or offset in its module.
        backtrace: Vec<String>,
    },
    /// The guest gave up after it was refused memory.
    OutOfMemory {
        /// Bytes that all memories of the instance may have together.
        limit: u64,
    },
    /// The call was stopped because its time was over.
    Deadline {
        /// What the call was given.
        limit: Duration,
    },
    /// The host stopped the call: shutdown, lost lease, by hand. `CallControl::cancel_reason` says which.
    Cancelled,
    /// A limit other than memory and time was passed.
    Limit {
        /// What was counted, such as `host calls` or `checkpoint bytes`.
        what: &'static str,
        /// What was asked for; where counting stopped at the limit, the first value above it.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// The guest called `exit`. Only a return value acknowledges, so this is a fault even with code 0.
    Exit {
        /// The code it gave.
        code: i32,
    },
    /// `configure` refused its settings: the deployment is at fault, not the record.
    Refused {
        /// What the handler said, at most `HandlerLimits::reason_bytes`.
        reason: String,
    },
    /// The host could not do its part (no free instance, a granted directory is gone): not the record's fault.
    HostFault(String),
    /// The host itself panicked during the call. Caught; the record is to blame until shown otherwise.
    Panic(String),
}

/// What one call came to.
#[derive(Debug)]
pub struct CallReport {
    /// How it ended.
    pub end: CallEnd,
    /// What was emitted, in order; empty unless `end` is `Outcome(Accept)`.
    pub emitted: Vec<OutgoingRecord>,
    /// The last lines that the handler logged or printed in this call, oldest first.
    pub log_tail: Vec<String>,
    /// Time that the call held its lane: the sum over all polls, waiting excluded.
    pub cpu: Duration,
    /// When it was last polled to its end.
    pub ended: Instant,
    /// The most bytes that the instance's memories had together, since it was created (they never shrink).
    pub memory_peak: u64,
    /// Calls to `sharemill:worker` functions.
    pub host_calls: u64,
    /// Bytes of log and standard output that were over the budget and dropped.
    pub dropped_log_bytes: u64,
}

impl CallReport {
    /// The report of a call that never reached an instance, or of a stand-in for one in tests.
    pub fn without_call(end: CallEnd) -> Self {
        Self {
            end,
            emitted: Vec::new(),
            log_tail: Vec::new(),
            cpu: Duration::ZERO,
            ended: beginning(),
            memory_peak: 0,
            host_calls: 0,
            dropped_log_bytes: 0,
        }
    }
}

/// What one batch call came to.
#[derive(Debug)]
pub struct BatchReport {
    /// Ends of all records, in order: as many as went in.
    pub ends: Vec<CallEnd>,
    /// What each record emitted; empty unless its end is `Outcome(Accept)`.
    pub emitted: Vec<Vec<OutgoingRecord>>,
    /// As in [`CallReport`], for the whole call.
    pub log_tail: Vec<String>,
    /// As in [`CallReport`].
    pub cpu: Duration,
    /// As in [`CallReport`].
    pub ended: Instant,
    /// As in [`CallReport`].
    pub memory_peak: u64,
    /// As in [`CallReport`].
    pub host_calls: u64,
    /// As in [`CallReport`].
    pub dropped_log_bytes: u64,
}
