//! What all instances of a deployment may log together in a second. Beyond it lines are dropped and counted, and that is said once a
//! second; as evidence of their own call they are kept all the same. Nothing here waits. Shared by the log sinks of a deployment.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::Counter;

use super::spec::HandlerLimits;
use crate::metrics::names;

/// One per deployment.
pub(super) struct LogBudget {
    lines: u64,
    bytes: u64,
    window: Mutex<Window>,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    lines: u64,
    bytes: u64,
    /// Lines dropped in this second.
    dropped: u64,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It is logged.
    Yes,
    /// It is not; the first of its second.
    FirstDropped,
    /// It is not.
    Dropped,
}

impl LogBudget {
    pub(super) fn new(deployment: &str, limits: &HandlerLimits) -> Self {
        Self {
            lines: limits.log_lines_per_second,
            bytes: limits.log_bytes_per_second,
            window: Mutex::default(),
            dropped: metrics::counter!(names::LOG_DROPPED, "deployment" => deployment.to_owned()),
        }
    }

    pub(super) fn admit(&self, now: Instant, bytes: u64) -> Admitted {
        // Nothing in here panics half-way.
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let over = window
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= SECOND);
        if over {
            *window = Window {
                began: Some(now),
                ..Window::default()
            };
        }
        if window.lines < self.lines && window.bytes.saturating_add(bytes) <= self.bytes {
            window.lines += 1;
            window.bytes += bytes;
            return Admitted::Yes;
        }
        window.dropped += 1;
        self.dropped.increment(1);
        if window.dropped == 1 {
            Admitted::FirstDropped
        } else {
            Admitted::Dropped
        }
    }

    /// Said once a second, in place of what is dropped.
    pub(super) fn notice(&self) -> String {
        let (lines, bytes) = (self.lines, self.bytes >> 10);
        format!(
            "this deployment has logged {lines} lines or {bytes} KiB within a second: the rest of the second is dropped"
        )
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::Admitted::{Dropped, FirstDropped, Yes};
    use super::*;
    use crate::handler::control::beginning;

    #[test]
    fn a_deployment_has_so_many_lines_and_bytes_a_second() {
        let limits = HandlerLimits {
            log_lines_per_second: 3,
            log_bytes_per_second: 100,
            ..HandlerLimits::default()
        };
        let budget = LogBudget::new("d", &limits);
        let start = beginning();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let seen: Vec<Admitted> = [
            (0, 1),
            (1, 1),
            (2, 1),
            (3, 1),
            (4, 1),
            (999, 1),
            (1_000, 60),
            (1_001, 60),
            (1_002, 40),
        ]
        .map(|(millis, bytes)| budget.admit(at(millis), bytes))
        .into();
        assert_eq!(
            seen,
            [Yes, Yes, Yes, FirstDropped, Dropped, Dropped, Yes, FirstDropped, Yes]
        );
    }
}
