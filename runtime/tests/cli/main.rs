//! The command line from outside: the real binary, its exit codes and both its streams.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod admin;
mod config;
mod data;
mod fake;
mod help;
mod invoke;
mod reference;
mod support;
