//! Calls real components, alone and together, and holds each end, its time and what is left of the instance against what is promised.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod contract;
