//! The one table from the end of a call to what becomes of the record. Exhaustive: a new kind of end does not compile before it has its
//! row here. A record pays for what its handler did, never for what the host could not do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use share_engine::entropy::Entropy;
use share_engine::ids::LeaseKey;

use super::policy::{Attempt, HostFaultBackoff, delay_before_retry};
use crate::handler::{CallEnd, Outcome, OutgoingRecord};
use crate::source::{Cause, Evidence, Settlement, Verdict};
use crate::supervisor::{Backoff, DeploymentSpec};

/// Decides for one deployment on one lane.
pub struct Desk {
    backoff: Backoff,
    max_lease: Duration,
    module: Arc<str>,
    entropy: Arc<dyn Entropy>,
    host_faults: HostFaultBackoff,
}

/// What the table said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// For the source.
    pub settlement: Settlement,
    /// Label of the metrics: what the call came to.
    pub end: &'static str,
    /// Whether the handler worked as handlers should, whatever it decided. Traps and their like make the host slow down.
    pub healthy: bool,
    /// What the host could not do, for the log: the record is not told of it.
    pub fault: Option<String>,
}

impl Desk {
    /// For the component with this digest (SHA-256, hexadecimal).
    pub fn new(spec: &DeploymentSpec, module: Arc<str>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            backoff: spec.backoff,
            max_lease: spec.max_lease,
            module,
            entropy,
            host_faults: HostFaultBackoff::default(),
        }
    }

    /// The end of one call of the record that `lease` names. `emitted` counts only if the handler accepted.
    pub fn decide(
        &mut self,
        lease: LeaseKey,
        attempt: Attempt,
        end: CallEnd,
        emitted: Vec<OutgoingRecord>,
        log_tail: Vec<String>,
    ) -> Decision {
        let failed = |cause, reason: Option<String>, trap| Row::Failed { cause, reason, trap };
        let fault = match &end {
            CallEnd::HostFault(text) => Some(text.clone()),
            CallEnd::Refused { .. } => Some(start_fault(&end)),
            _ => None,
        };
        let (name, healthy, row) = match end {
            CallEnd::Outcome(outcome) => {
                self.host_faults.handle_success();
                self.outcome_row(outcome, attempt)
            }
            CallEnd::Trap {
                code,
                message,
                backtrace,
            } => {
                let trap = trap_text(&code, &backtrace);
                ("trap", false, failed(Cause::Trap, Some(message), Some(trap)))
            }
            CallEnd::OutOfMemory { limit } => {
                let reason = format!("out of memory: the limit is {limit} bytes");
                ("out-of-memory", false, failed(Cause::OutOfMemory, Some(reason), None))
            }
            CallEnd::Deadline { limit } => {
                let reason = format!("not finished after {limit:?}");
                ("deadline", false, failed(Cause::Deadline, Some(reason), None))
            }
            CallEnd::Limit { what, value, limit } => {
                let reason = format!("{value} {what}, the limit is {limit}");
                ("limit", false, failed(Cause::Limit, Some(reason), None))
            }
            CallEnd::Exit { code } => {
                let reason = format!("the handler called exit({code})");
                ("exit", false, failed(Cause::Exit, Some(reason), None))
            }
            CallEnd::Panic(message) => {
                let reason = Some(format!("the host panicked: {message}"));
                let cause = Cause::HostCrash;
                ("panic", false, Row::GivenUp { cause, reason })
            }
            CallEnd::Cancelled => ("cancelled", true, Row::NotItsFault(Duration::ZERO)),
            CallEnd::HostFault(_) | CallEnd::Refused { .. } => {
                let delay = self.host_fault_delay();
                let row = self.host_fault_row(attempt, fault.as_deref().unwrap_or_default(), delay);
                ("host-fault", false, row)
            }
        };
        Decision {
            settlement: self.settlement(lease, attempt, row, emitted, log_tail),
            end: name,
            healthy,
            fault,
        }
    }

    /// For a record that reached no instance because none started; `fault` says how the last start failed.
    pub fn not_started(&self, lease: LeaseKey, attempt: Attempt, fault: &str, delay: Duration) -> Settlement {
        let row = self.host_fault_row(attempt, fault, delay);
        self.settlement(lease, attempt, row, Vec::new(), Vec::new())
    }

    /// For a record whose emitted records there is no room for: the call was in vain, but by no fault of the record.
    pub fn emit_refused(&self, lease: LeaseKey, attempt: Attempt, reason: &str, delay: Duration) -> Settlement {
        let fault = format!("its emitted records were refused: {reason}");
        let row = self.host_fault_row(attempt, &fault, delay);
        self.settlement(lease, attempt, row, Vec::new(), Vec::new())
    }

    /// For a record whose outcome the source will never take: the attempt has failed.
    pub fn refused_for_good(&self, lease: LeaseKey, attempt: Attempt, reason: &str) -> Settlement {
        let row = Row::Failed {
            cause: Cause::Limit,
            reason: Some(format!("the outcome was refused: {reason}")),
            trap: None,
        };
        self.settlement(lease, attempt, row, Vec::new(), Vec::new())
    }

    /// For a record that no handler saw. Costs it nothing.
    pub fn give_back(lease: LeaseKey) -> Settlement {
        Settlement {
            lease,
            verdict: Verdict::Untouched,
            emitted: Vec::new(),
            evidence: None,
        }
    }

    /// The delay after one more fault of the host.
    pub fn host_fault_delay(&mut self) -> Duration {
        self.host_faults.next(self.entropy.next_u64())
    }

    fn outcome_row(&self, outcome: Outcome, attempt: Attempt) -> (&'static str, bool, Row) {
        match outcome {
            Outcome::Accept => ("accept", true, Row::Done),
            Outcome::Release { after, reason } => ("release", true, Row::Again { after, reason }),
            Outcome::Reject { reason } => {
                let cause = Cause::Reject;
                ("reject", true, Row::GivenUp { cause, reason })
            }
            Outcome::Renew { after, checkpoint } => {
                let delay = after.unwrap_or(Duration::ZERO);
                // Waiting for a continuation that could not run would only tell later what is known now.
                if attempt.age.saturating_add(delay) >= self.max_lease {
                    return ("max-lease", true, self.over_max_lease(None));
                }
                ("renew", true, Row::Later { delay, checkpoint })
            }
        }
    }

    fn host_fault_row(&self, attempt: Attempt, fault: &str, delay: Duration) -> Row {
        // What is given back keeps its attempt; an attempt that the host never gets done must still end. It ends here, where the reason
        // is known, and not while it waits.
        let delay = delay.max(SHORTEST);
        if attempt.age.saturating_add(delay) >= self.max_lease {
            return self.over_max_lease(Some(fault));
        }
        Row::NotItsFault(delay)
    }

    fn over_max_lease(&self, fault: Option<&str>) -> Row {
        let mut reason = format!("the attempt passes max-lease of {:?}", self.max_lease);
        if let Some(fault) = fault {
            reason.push_str("; the last fault of the host: ");
            reason.push_str(fault);
        }
        Row::Failed {
            cause: Cause::MaxLease,
            reason: Some(reason),
            trap: None,
        }
    }

    fn settlement(
        &self,
        lease: LeaseKey,
        attempt: Attempt,
        row: Row,
        emitted: Vec<OutgoingRecord>,
        log_tail: Vec<String>,
    ) -> Settlement {
        let retry = || delay_before_retry(&self.backoff, attempt.number, self.entropy.next_u64());
        let evidence = |cause, reason, trap| {
            Some(Box::new(Evidence {
                cause,
                reason,
                trap,
                module: self.module.clone(),
                log_tail,
            }))
        };
        let (verdict, emitted, evidence) = match row {
            Row::Done => (Verdict::Accept, emitted, None),
            Row::Again { after, reason } => {
                let delay = after.unwrap_or_else(retry);
                let verdict = Verdict::Release { delay };
                (verdict, Vec::new(), evidence(Cause::Release, reason, None))
            }
            Row::Failed { cause, reason, trap } => {
                let verdict = Verdict::Release { delay: retry() };
                (verdict, Vec::new(), evidence(cause, reason, trap))
            }
            Row::GivenUp { cause, reason } => (Verdict::Reject, Vec::new(), evidence(cause, reason, None)),
            Row::Later { delay, checkpoint } => (Verdict::Park { delay, checkpoint }, Vec::new(), None),
            Row::NotItsFault(delay) => (Verdict::GiveBack { delay }, Vec::new(), None),
        };
        Settlement {
            lease,
            verdict,
            emitted,
            evidence,
        }
    }
}

/// What the rows of the table come to.
enum Row {
    Done,
    Again {
        after: Option<Duration>,
        reason: Option<String>,
    },
    Failed {
        cause: Cause,
        reason: Option<String>,
        trap: Option<String>,
    },
    GivenUp {
        cause: Cause,
        reason: Option<String>,
    },
    Later {
        delay: Duration,
        checkpoint: Option<Bytes>,
    },
    NotItsFault(Duration),
}

/// One line for a start that came to nothing.
pub fn start_fault(end: &CallEnd) -> String {
    let how = match end {
        CallEnd::Trap { code, message, .. } => format!("trap {code}: {message}"),
        CallEnd::OutOfMemory { limit } => format!("out of memory: the limit is {limit} bytes"),
        CallEnd::Deadline { limit } => format!("not finished after {limit:?}"),
        CallEnd::Limit { what, value, limit } => format!("{value} {what}, the limit is {limit}"),
        CallEnd::Exit { code } => format!("it called exit({code})"),
        CallEnd::Refused { reason } => format!("its configure refused the settings: {reason}"),
        CallEnd::HostFault(text) => text.clone(),
        CallEnd::Panic(message) => format!("the host panicked: {message}"),
        CallEnd::Cancelled => "cancelled".to_owned(),
        CallEnd::Outcome(_) => "it returned".to_owned(),
    };
    format!("the instance did not start: {how}")
}

/// Of a delay after a fault of the host: the source's shortest and some more.
const SHORTEST: Duration = Duration::from_millis(20);

fn trap_text(code: &str, backtrace: &[String]) -> String {
    let mut text = code.to_owned();
    for frame in backtrace {
        text.push('\n');
        text.push_str(frame);
    }
    text
}

#[cfg(test)]
mod tests;
