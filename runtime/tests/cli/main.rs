//! The command line from outside: the real binary, its exit codes and both its streams.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::too_many_lines, reason = "snapshots count as lines")]
#![allow(clippy::format_collect, clippy::format_push_string, reason = "short texts in tests")]

mod admin;
mod config;
mod data;
#[cfg(feature = "demo")]
mod demo;
mod fake;
mod help;
mod host;
mod inspect;
mod invoke;
mod json;
#[cfg(feature = "kafka")]
mod kafka;
mod leftover;
mod log;
mod lost;
#[cfg(feature = "manual")]
mod manual;
mod new;
mod produce;
mod record_files;
mod records;
mod reference;
#[cfg(feature = "http")]
mod secrets;
mod support;
mod verify;
#[cfg(feature = "http")]
#[path = "../web/mod.rs"]
mod web;
#[cfg(feature = "http")]
mod webhook;
mod wit;
