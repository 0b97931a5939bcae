//! Sharemill host.

// One module, `handler::compiled`, has an exception, with its reason.
#![deny(unsafe_code)]

pub mod handler;
