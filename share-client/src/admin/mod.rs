//! What a host, its command line and `doctor` ask of a cluster: topics, share groups, their settings and what is left for them.
//! Plain questions and answers over one connection for each broker. Coordinators and leaders are found, what is refused for a
//! moment is asked again for at most `socket.timeout.ms`; what changes something is asked over a new connection and once, as long
//! as nobody has refused it.

mod access;
mod ask;
mod backlog;
mod cluster;
mod configs;
mod error;
mod groups;
mod limits;
mod offsets;
mod read;
mod reset;
pub mod states;
mod survey;
mod topics;

use std::sync::Arc;

use crate::config::{ClientConfig, ConfigError};
use crate::net::Connector;
use crate::tools::Who;
use ask::Asker;

pub use access::{Access, Presence};
pub use backlog::{Backlog, Guess, Left};
pub use cluster::{Broker, Cluster, Release, ShareSupport, Support};
pub use configs::{ConfigOf, Origin, Setting};
pub use error::{AdminError, Denied, Resource};
pub use groups::{Group, GroupListing, GroupOffset, GroupState, Member, MoveTo};
pub use limits::{DeadLetters, Limit, Limits, STATE_REPLICAS};
pub use offsets::{At, Isolation, Offset};
pub use read::{Fetched, Visible, Want};
pub use reset::Reset;
pub use topics::{Ensured, NewTopic, Partition, Topic};

/// Asks a cluster. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Admin {
    asker: Arc<Asker>,
}

impl Admin {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// If what the configuration names cannot be read: certificates, keys.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        Connector::new(config).map(Self::over)
    }

    /// As whom it asks, and where.
    pub fn who(&self) -> Who {
        Who::of(self.asker.connector().config())
    }

    /// Over connections that are made like this.
    pub fn over(connector: Connector) -> Self {
        Self {
            asker: Arc::new(Asker::new(connector)),
        }
    }
}
