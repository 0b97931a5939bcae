//! What tests and simulations inject: a manual clock, seeded entropy, a storage that fails on demand.

mod clock;
#[cfg(feature = "plant")]
pub mod plant;

pub use clock::{ManualClock, SeededEntropy};
