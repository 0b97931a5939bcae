//! Real Kafka brokers on loopback, for tests and for `cargo xtask kafka`: jars fetched by Maven, `KRaft` brokers that are
//! formatted, started, killed and started again, and Kafka's own command-line classes. It knows nothing of our crates.
//!
//! [`Cluster`] belongs to the process that starts it and ends with it, however that ends. [`Standing`] is one that goes on
//! after its starter, in a folder that names its processes. Every wait asks for a condition, has a limit, and tells what it
//! saw last.
//!
//! ```no_run
//! # fn main() -> Result<(), kafka_cluster::Error> {
//! use kafka_cluster::{Cluster, Options};
//!
//! let mut cluster = Cluster::start(Options::default())?;
//! let servers = cluster.bootstrap();
//! cluster.tool(
//!     "org.apache.kafka.tools.TopicCommand",
//!     &["--bootstrap-server", &servers, "--create", "--topic", "orders"],
//! )?;
//! cluster.kill(1)?;
//! cluster.restart(1)?;
//! # Ok(())
//! # }
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "other programs are waited for on the real clock: they tell nobody"
)]

mod archive;
mod broker;
mod certificates;
mod cluster;
mod error;
mod jars;
mod java;
mod left_out;
mod options;
mod ports;
mod properties;
mod ready;
mod standing;
mod version;

pub use cluster::{Cluster, PASSWORD, USERS};
pub use error::Error;
pub use java::{Printed, run, run_optimised};
pub use left_out::{missing, runs_here};
pub use options::Options;
pub use standing::{Began, Ended, Look, Member, Standing};
pub use version::Version;
