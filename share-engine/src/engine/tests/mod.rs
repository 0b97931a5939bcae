//! The engine as a whole, stepped on one thread over a disk in memory.
#![allow(
    clippy::unwrap_used,
    clippy::duration_suboptimal_units,
    clippy::needless_pass_by_value,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::single_match_else,
    clippy::cast_possible_truncation,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "tests; the number of states that were visited is printed"
)]

mod amounts;
mod basics;
mod crash;
mod damage;
mod deletion;
mod drop_oldest;
mod faults;
mod flips;
mod found;
mod full;
mod fuzz;
mod harness;
mod image;
mod life;
mod missing;
mod oracle;
mod properties;
mod races;
mod regressions;
mod released;
mod retention;
mod room;
mod scripts;
mod settling;
mod waiting;
mod wire;
