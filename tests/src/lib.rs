//! Harness of the end-to-end tests: the real command in a folder of its own, real components, a real disk. Every wait
//! has a deadline and ends with what the host said. Used by the binaries in `tests/` alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

pub mod client;
#[cfg(feature = "kafka")]
pub mod conformance;
#[cfg(feature = "plant")]
pub mod differential;
pub mod folder;
pub mod guests;
pub mod host;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "plant")]
pub mod simulate;
pub mod topics;
pub mod trail;

pub use folder::{Folder, Output, SYNC_CALLS, failing_syncs, program};
pub use host::{End, Host};

use std::time::{Duration, Instant};

/// For what has to happen some time, however slow the machine.
pub const AMPLE: Duration = Duration::from_mins(1);

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none after [`AMPLE`].
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < AMPLE, "{what}: not within {AMPLE:?}");
        // Nothing tells when it happens: another process does it.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
