//! Schedules of threads: what may happen at each hand-off whoever runs next. With `--cfg loom` all of them, for each hand-off by itself;
//! with `--cfg shuttle` random ones, for the engine as a whole. `cargo xtask test --only schedules` builds and runs both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod bench;
#[cfg(shuttle)]
mod commits;
#[cfg(loom)]
mod desk;
#[cfg(loom)]
mod hand_offs;
