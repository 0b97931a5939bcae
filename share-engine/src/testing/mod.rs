//! What tests and simulations inject: a manual clock, seeded entropy, a storage that fails on demand.

mod clock;

pub use clock::{ManualClock, SeededEntropy};
