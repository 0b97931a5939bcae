//! Leases are the host's, not the guest's: extended outside the lanes while a record makes progress, given up when it does not.
//! [`Keeper`] decides, the dispatcher carries out.

mod keeper;

pub use keeper::{Keeper, KeeperLimits, Lost, Renewal};
