//! Starts and stops deployments. Placeholder of the specification until the loop lands.

mod spec;

pub use spec::{Backoff, DeploymentSpec};
