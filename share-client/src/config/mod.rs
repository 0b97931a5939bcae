//! How a cluster is reached, from properties by librdkafka's names. Everything is checked once, here: what comes out fits together.

mod address;
mod error;

use std::collections::BTreeMap;
use std::time::Duration;

pub use address::Address;
pub use error::{ConfigError, Problem};

/// What the properties say, with defaults in place of what they leave out.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    bootstrap: Vec<Address>,
    client_id: String,
    client_rack: Option<String>,
    times: Times,
    sizes: Sizes,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Of a request, until it is answered: `socket.timeout.ms`, 60 s.
    pub request: Duration,
    /// Of a connection, until it can be used: `socket.connection.setup.timeout.ms`, 30 s.
    pub setup: Duration,
    /// Before a broker is tried again for the first time: `reconnect.backoff.ms`, 100 ms. It doubles with every failure.
    pub reconnect: Duration,
    /// Before a broker is tried again, at most: `reconnect.backoff.max.ms`, 10 s.
    pub reconnect_max: Duration,
    /// After which the cluster is asked again who leads what: `topic.metadata.refresh.interval.ms`, 5 minutes.
    pub metadata: Duration,
    /// A fetch waits so long for `fetch.min.bytes`: `fetch.wait.max.ms`, 500 ms.
    pub fetch_wait: Duration,
}

/// How much there may be of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// A fetch is answered when there are so many bytes: `fetch.min.bytes`, 1.
    pub fetch_min: u32,
    /// A fetch brings no more than so many bytes, but for one batch: `fetch.max.bytes`, 50 MiB.
    pub fetch_max: u32,
    /// The largest response, in bytes: `receive.message.max.bytes`, 100,000,000.
    pub receive_max: u32,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            request: Duration::from_mins(1),
            setup: Duration::from_secs(30),
            reconnect: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(10),
            metadata: Duration::from_mins(5),
            fetch_wait: Duration::from_millis(500),
        }
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            fetch_min: 1,
            fetch_max: 50 << 20,
            receive_max: 100_000_000,
        }
    }
}

impl ClientConfig {
    /// Reads properties.
    ///
    /// # Errors
    /// Everything that is wrong with them at once.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let servers = properties.get("bootstrap.servers").map_or("", String::as_str);
        let bootstrap = servers.split(',').filter_map(Address::parse).collect();
        Ok(Self {
            bootstrap,
            client_id: properties
                .get("client.id")
                .cloned()
                .unwrap_or_else(|| "sharemill".to_owned()),
            client_rack: properties.get("client.rack").cloned(),
            times: Times::default(),
            sizes: Sizes::default(),
        })
    }

    /// The brokers that are asked for the others: `bootstrap.servers`. At least one.
    pub fn bootstrap(&self) -> &[Address] {
        &self.bootstrap
    }

    /// How brokers name us in logs and quotas: `client.id`.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where we stand: `client.rack`.
    pub fn client_rack(&self) -> Option<&str> {
        self.client_rack.as_deref()
    }

    /// How long things may take.
    pub const fn times(&self) -> Times {
        self.times
    }

    /// How much there may be of what.
    pub const fn sizes(&self) -> Sizes {
        self.sizes
    }
}
