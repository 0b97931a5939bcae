//! Write Sharemill handlers in Rust. A handler is one function: it gets a [`Record`] and says what becomes of it.
//!
//! ```
//! use sharemill_handler::{Outcome, Record, Reject, Result, ResultExt, handler};
//!
//! #[handler]
//! fn handle(record: Record) -> Result<Outcome> {
//!     let text = record.text().or_reject()?; // not UTF-8: it never will be
//!     let number: u64 = text.trim().parse()?; // any error with `?`: released, and tried again
//!     if number == 0 {
//!         return Err(Reject::new("zero is not a number of things").into());
//!     }
//!     Ok(Outcome::accept())
//! }
//! ```
//!
//! | the handler returns | the record |
//! |---|---|
//! | [`Outcome::accept`] or `()` | is done; this group never sees it again |
//! | [`Release`], or any error with `?` | comes back later, up to the deployment's number of attempts |
//! | [`Reject`] | goes to the dead letters with the reason |
//! | [`Renew`] | is not finished: the same attempt goes on later, with a checkpoint, and holds no instance meanwhile |
//!
//! A panic is a trap: the host gives the record back and counts the attempt. What else a handler may use: [`Record`]
//! has the record's data, lease, checkpoint and `emit`; [`context`] has the group and the deadline of this call; [`send`]
//! produces at once; [`metrics`], [`config`] and the crate `log` do what their names say. [`testing`] stands in for the
//! host in native unit tests.
//!
//! What it is not: it starts nothing, opens no connections and keeps no state; all of that is the host's.

extern crate self as sharemill_handler;

mod batch;
#[doc(hidden)]
pub mod bindings;
pub mod config;
pub mod context;
mod host;
mod lease;
#[cfg(feature = "log")]
mod logging;
mod malformed;
pub mod metrics;
mod outcome;
mod producer;
mod reason;
mod record;
mod returned;
mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use batch::{BatchOutcome, IntoBatchOutcome};
pub use lease::{Lease, LeaseError};
pub use malformed::Malformed;
pub use outcome::{CHECKPOINT_LIMIT, Outcome, REASON_LIMIT, Reject, Release, Renew};
pub use producer::{Outgoing, ProducerError, send};
pub use record::{Header, Record, TimestampType};
pub use returned::{Failure, IntoFailure, IntoOutcome, Result, ResultExt};
pub use settings::Settings;
pub use sharemill_handler_macros::handler;

/// What the attribute's expansion refers to; no part of the interface.
#[doc(hidden)]
pub mod __private;
