//! Connections to brokers. A [`Connector`] makes them as the configuration says: TCP, the versions that both sides speak. A
//! [`Connection`] asks one request at a time. Every wait has a limit, and every size that a broker names.

mod connection;
mod error;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::{Address, ClientConfig, ConfigError};
pub use connection::Connection;
pub use error::{Failure, NetError};

/// Makes connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
}

/// What a connection goes over.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

impl Connector {
    /// Reads what the configuration names: certificates, keys.
    ///
    /// # Errors
    /// If a file cannot be read, or holds something else.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            config: Arc::new(config.clone()),
        })
    }

    /// The brokers that are asked for the others.
    pub fn bootstrap(&self) -> &[Address] {
        self.config.bootstrap()
    }

    /// What it was made from.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Connects to a broker and asks which versions it speaks, within `socket.connection.setup.timeout.ms`.
    pub async fn connect(&self, address: &Address) -> Result<Connection, NetError> {
        let connected = self.reach(address).await;
        connected.map_err(|failure| failure.at(address.clone()))
    }

    async fn reach(&self, address: &Address) -> Result<Connection, Failure> {
        let limit = self.config.times().setup;
        let deadline = Instant::now() + limit;
        let stream = tcp(address, deadline, limit).await?;
        let mut connection = Connection::new(Box::new(stream), address, &self.config);
        let negotiated = timeout_at(deadline, connection.negotiate()).await;
        negotiated.unwrap_or_else(|_| Err(timeout("the first request (ApiVersions)", limit)))?;
        Ok(connection)
    }
}

/// Tries the addresses of a name one after another; each gets its share of the time that is left.
async fn tcp(address: &Address, deadline: Instant, limit: Duration) -> Result<TcpStream, Failure> {
    let Address { host, port } = address;
    let found = timeout_at(deadline, tokio::net::lookup_host((host.as_str(), *port))).await;
    let found = found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let unresolved = |reason: String| Failure::Resolve { reason };
    let found = found.map_err(|error| unresolved(error.to_string()))?;
    let found: Vec<_> = found.take(TRIED_MAX).collect();
    if found.is_empty() {
        return Err(unresolved("it has no address".to_owned()));
    }
    let mut reasons = Vec::new();
    for (index, socket) in found.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(found.len() - index).unwrap_or(1);
        match tokio::time::timeout(share, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                // Requests are small, and nothing follows until they are answered. A socket without the option works too.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Ok(Err(error)) => reasons.push(format!("{}: {}", socket.ip(), plain(&error))),
            Err(_) => reasons.push(format!("{}: no answer within {}", socket.ip(), error::humane(share))),
        }
    }
    if Instant::now() >= deadline {
        return Err(timeout("connecting", limit));
    }
    Err(Failure::Connect {
        reason: reasons.join("; "),
    })
}

/// The common causes in words.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused: nothing listens on this port".to_owned(),
        _ => error.to_string(),
    }
}

fn timeout(doing: &str, limit: Duration) -> Failure {
    Failure::Timeout {
        doing: doing.to_owned(),
        limit,
    }
}

/// IP addresses of one name.
const TRIED_MAX: usize = 8;
