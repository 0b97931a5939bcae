//! The contract in Rust, generated from `wit/` and committed, so that handlers build without a WIT parser.
//! `cargo xtask guests --check` fails when these files are not what the generator writes.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]

#[rustfmt::skip]
pub mod batch_handler;
#[rustfmt::skip]
pub mod config;
#[rustfmt::skip]
pub mod handler;
#[rustfmt::skip]
pub mod imports;
#[rustfmt::skip]
pub mod lifecycle;
