//! The engine as a whole, stepped on one thread over a disk in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod basics;
mod crash;
mod damage;
mod faults;
mod full;
mod harness;
mod oracle;
mod regressions;
mod retention;
mod scripts;
