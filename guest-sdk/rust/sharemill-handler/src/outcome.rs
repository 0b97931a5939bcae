//! What becomes of a record: the four outcomes as builders. Texts are cut here, once, so that no handler can hand over
//! a reason above the contract's limit by accident.
use std::fmt::Display;
use std::time::Duration;

use crate::bindings::imports::sharemill::worker::types as wire;
use crate::reason;

/// Most bytes of a reason, its mark of a cut included.
pub const REASON_LIMIT: usize = 1024;

/// Most bytes of a checkpoint. Above it the host fails the call; nothing is cut.
pub const CHECKPOINT_LIMIT: usize = 64 * 1024;

/// What becomes of the record. The builders convert into it with `into()`, and a handler may return them as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an outcome does something only when the handler returns it"]
pub enum Outcome {
    /// Done; never delivered again to this group.
    Accept,
    /// Could not be done now; another attempt follows, up to the deployment's number of attempts.
    Release(Release),
    /// Can never be done; the record and the reason go to the dead letters.
    Reject(Reject),
    /// Not finished; the same attempt goes on later.
    Renew(Renew),
}

impl Outcome {
    /// The record is done.
    pub fn accept() -> Self {
        Self::Accept
    }

    /// Give the record back, to come again after the deployment's back-off.
    pub fn release(reason: impl Display) -> Self {
        Release::backoff().reason(reason).into()
    }

    /// The record can never be done.
    pub fn reject(reason: impl Display) -> Self {
        Reject::new(reason).into()
    }
}

/// Gives the record back. It counts as an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a release does something only when the handler returns it"]
pub struct Release {
    after: Option<Duration>,
    reason: Option<String>,
}

impl Release {
    /// Available again after the deployment's back-off.
    pub fn backoff() -> Self {
        Self {
            after: None,
            reason: None,
        }
    }

    /// Not available before this much time has passed: 10 ms to 7 days, what is outside is moved to the nearer end.
    pub fn after(delay: Duration) -> Self {
        Self {
            after: Some(delay),
            reason: None,
        }
    }

    /// Kept with the attempt; cut at [`REASON_LIMIT`] bytes, and the cut is marked.
    pub fn reason(self, reason: impl Display) -> Self {
        Self {
            reason: Some(reason::bounded(format_args!("{reason:#}"))),
            ..self
        }
    }

    /// The delay that was asked for.
    pub fn delay(&self) -> Option<Duration> {
        self.after
    }

    /// The reason that was given.
    pub fn text(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

/// Sends the record to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a rejection does something only when the handler returns it"]
pub struct Reject {
    reason: Option<String>,
}

impl Reject {
    /// Kept with the dead letter; cut at [`REASON_LIMIT`] bytes, and the cut is marked.
    pub fn new(reason: impl Display) -> Self {
        Self {
            reason: Some(reason::bounded(format_args!("{reason:#}"))),
        }
    }

    /// Without a reason. Whoever looks at the dead letter will wish there were one.
    pub fn silently() -> Self {
        Self { reason: None }
    }

    /// The reason that was given.
    pub fn text(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

/// Ends this call but not the attempt: the host calls again later, and no instance is held meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a renewal does something only when the handler returns it"]
pub struct Renew {
    after: Option<Duration>,
    checkpoint: Option<Vec<u8>>,
}

impl Renew {
    /// Call again at once.
    pub fn now() -> Self {
        Self {
            after: None,
            checkpoint: None,
        }
    }

    /// Call again after this much time: 10 ms to 7 days, what is outside is moved to the nearer end.
    pub fn after(delay: Duration) -> Self {
        Self {
            after: Some(delay),
            checkpoint: None,
        }
    }

    /// State for the next call, which reads it with `Record::checkpoint`; at most [`CHECKPOINT_LIMIT`] bytes.
    /// Without one the record keeps the checkpoint that it has.
    pub fn checkpoint(self, state: impl Into<Vec<u8>>) -> Self {
        Self {
            checkpoint: Some(state.into()),
            ..self
        }
    }

    /// The same, with a value that serde can write; `Record::checkpoint_json` reads it.
    ///
    /// # Errors
    /// The value cannot be written as JSON, such as a map whose keys are no strings.
    #[cfg(feature = "json")]
    pub fn checkpoint_json(self, state: &impl serde::Serialize) -> Result<Self, serde_json::Error> {
        Ok(self.checkpoint(serde_json::to_vec(state)?))
    }

    /// The delay that was asked for.
    pub fn delay(&self) -> Option<Duration> {
        self.after
    }

    /// The state that was given.
    pub fn state(&self) -> Option<&[u8]> {
        self.checkpoint.as_deref()
    }
}

impl From<Release> for Outcome {
    fn from(release: Release) -> Self {
        Self::Release(release)
    }
}

impl From<Reject> for Outcome {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl From<Renew> for Outcome {
    fn from(renew: Renew) -> Self {
        Self::Renew(renew)
    }
}

impl From<Outcome> for wire::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accept => Self::Accept,
            Outcome::Release(Release { after, reason }) => Self::Release(wire::ReleaseOptions {
                after: after.map(nanoseconds),
                reason,
            }),
            Outcome::Reject(Reject { reason }) => Self::Reject(reason),
            Outcome::Renew(Renew { after, checkpoint }) => Self::Renew(wire::Renewal {
                after: after.map(nanoseconds),
                checkpoint,
            }),
        }
    }
}

/// As the contract counts: 584 years at most.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_become_the_contract_s_values() {
        let release = Release::after(Duration::from_millis(5)).reason("busy");
        let wire::Outcome::Release(release) = Outcome::from(release).into() else {
            panic!("not a release")
        };
        assert_eq!(
            (release.after, release.reason.as_deref()),
            (Some(5_000_000), Some("busy"))
        );

        let renew = Renew::after(Duration::MAX).checkpoint(*b"half");
        let wire::Outcome::Renew(renew) = Outcome::from(renew).into() else {
            panic!("not a renewal")
        };
        assert_eq!(
            (renew.after, renew.checkpoint.as_deref()),
            (Some(u64::MAX), Some(&b"half"[..]))
        );

        assert!(matches!(Outcome::accept().into(), wire::Outcome::Accept));
        assert!(matches!(
            Outcome::from(Reject::silently()).into(),
            wire::Outcome::Reject(None)
        ));
    }
}
