//! Connections to brokers. A [`Connector`] makes them as the configuration says: TCP, TLS, the versions that both sides speak, the login.
//! A [`Connection`] asks one request at a time. Every wait has a limit, and every size that a broker names.

mod connection;
mod dial;
mod error;
mod guess;
mod http;
mod login;
mod tls;
mod token;

use std::fmt;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::config::{Address, ClientConfig, ConfigError};
pub use connection::Connection;
use dial::Dial;
use error::late;
pub use error::{Failure, NetError};
use login::Credentials;
use tls::Secure;
pub use token::Token;

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

/// What all connections have in common.
struct Shared {
    config: ClientConfig,
    dial: Dial,
    tls: Option<Secure>,
    credentials: Option<Credentials>,
}

/// What a connection goes over.
trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

impl Connector {
    /// Reads the files that the configuration names: certificates, keys.
    ///
    /// # Errors
    /// If a file cannot be read, or holds something else.
    pub fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let dial = Dial {
            family: config.family(),
            keep_alive: config.keep_alive(),
            limit: config.times().setup,
        };
        let tls = config.tls().map(Secure::new).transpose();
        let credentials = config.login().map(|login| Credentials::new(login, dial)).transpose();
        let shared = Shared {
            config: config.clone(),
            dial,
            tls: tls.map_err(ConfigError::from)?,
            credentials: credentials.map_err(ConfigError::from)?,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The brokers that are asked for the others.
    pub fn bootstrap(&self) -> &[Address] {
        self.shared.config.bootstrap()
    }

    /// What it was made from.
    pub fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    /// Connects to a broker: TCP, TLS, the versions that both sides speak, the login; within `socket.connection.setup.timeout.ms`.
    pub async fn connect(&self, address: &Address) -> Result<Connection, NetError> {
        let connected = self.reach(address).await;
        connected.map_err(|failure| failure.at(address.clone()))
    }

    /// A token as logins are made with it, within `socket.connection.setup.timeout.ms`. `None`: the mechanism is not `OAUTHBEARER`.
    pub async fn token(&self) -> Option<Result<Token, Failure>> {
        let deadline = Instant::now() + self.shared.dial.limit;
        self.shared.credentials.as_ref()?.token(deadline).await
    }

    async fn reach(&self, address: &Address) -> Result<Connection, Failure> {
        let Dial { limit, .. } = self.shared.dial;
        let deadline = Instant::now() + limit;
        let in_time = |doing| move |_| late(doing, limit);
        let stream = self.shared.dial.connect(address, deadline).await?;
        let stream: Box<dyn Duplex> = match &self.shared.tls {
            Some(tls) => {
                let handshake = timeout_at(deadline, tls.handshake(address, stream)).await;
                Box::new(handshake.map_err(in_time("the TLS handshake"))??)
            }
            None => Box::new(stream),
        };
        let mut connection = Connection::new(stream, address, self.shared.clone());
        let negotiated = timeout_at(deadline, connection.negotiate()).await;
        negotiated.map_err(in_time("the answer to the first request (ApiVersions)"))??;
        let logged_in = timeout_at(deadline, connection.log_in(deadline)).await;
        logged_in.map_err(in_time("the login"))??;
        Ok(connection)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
