//! Starts deployments on lanes and ends them: the one place that knows sources, workers, lanes and dispatchers together. Every thread is
//! joined and every task awaited by [`Host::shutdown`].
//!
//! ```text
//! Host::start -> deploy(spec, source, factory) -> DeploymentHandle (pause, resume, totals)
//!      |-> until_idle        ends when nothing is left to do anywhere
//!      `-> shutdown(stages)  drain, release, settle, leave
//! ```

mod context;
mod host;
mod spec;

pub use context::{Anchor, HostContext};
pub use host::{DeployError, DeploymentHandle, Host, HostOptions, ShutdownReport};
pub use spec::{Backoff, DeploymentSpec};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
