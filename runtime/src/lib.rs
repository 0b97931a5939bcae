//! Sharemill host.

// One module, `handler::compiled`, has an exception, with its reason.
#![deny(unsafe_code)]

pub mod handler;
pub mod host;

pub mod admin;
pub mod cli;
pub mod config;
pub mod dispatch;
pub mod lane;
pub mod lease;
pub mod metrics;
pub mod output;
pub mod settle;
pub mod shutdown;
pub mod source;
pub mod supervisor;
