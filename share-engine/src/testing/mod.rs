//! What tests and simulations inject: a manual clock, seeded entropy, input that is nearly valid.

mod clock;
mod mutate;
#[cfg(feature = "plant")]
pub mod plant;

pub use clock::{ManualClock, SeededEntropy};
pub use mutate::Mutator;
