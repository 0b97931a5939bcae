//! Values of the manifest that have a form of their own: retention, start position, names.
//! Pure; parsing what was printed gives the same value.

pub(crate) mod filter;
pub(crate) mod names;
mod retention;
mod start;

pub use retention::{Retention, RetentionError};
pub use start::{Start, StartError};
