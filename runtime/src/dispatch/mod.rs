//! From a source to lanes: how much to acquire (`pace`, `breaker`, `rate`), which lane gets it (`spread`), who comes first on a
//! lane (`fair`): all pure. `dispatcher` is the task that carries it out, one per deployment, outside the lanes.

mod breaker;
mod dispatcher;
mod fair;
mod pace;
mod rate;
mod spread;

pub use breaker::Breaker;
pub(crate) use dispatcher::{Dispatcher, DispatcherParts};
pub use fair::Fair;
pub use pace::{Allowance, Pace};
pub use rate::RateLimit;
pub use spread::spread;
