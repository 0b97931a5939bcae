//! What the host counts: one table of names ([`NAMES`]), tallies that lanes keep without atomics, totals that everybody may read, and the
//! Prometheus endpoint. Domain code writes metrics and never reads them.

mod guest;
pub mod names;
mod reference;
mod server;
mod tally;
mod totals;

pub use guest::GuestMetrics;
pub use names::{BUCKETS, CAUSES, Kind, NAMES, Name, Unit, describe};
pub use reference::markdown;
pub use server::{MetricsServer, MetricsServerError};
pub use tally::{Counts, Spread, Tally};
pub use totals::{DeploymentMetrics, Totals};
