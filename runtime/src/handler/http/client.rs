//! What all handlers of the process have in common in reaching servers: name lookups, and the certificates that are trusted.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::super::services::BoxFuture;
use super::refusal::Refusal;
use crate::config::{ServerName, WebOrigin};

/// Finds the addresses of names for the requests of handlers.
pub trait Resolver: Send + Sync {
    /// All of them, in the order in which to try them.
    fn addresses(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// One per process.
pub(in crate::handler) struct Client {
    resolver: Arc<dyn Resolver>,
    tls: OnceLock<Result<TlsConnector, String>>,
}

impl Client {
    /// With the system's names and certificates.
    pub(in crate::handler) fn of_system() -> Self {
        Self::new(Arc::new(SystemNames {
            lookups: Arc::new(Semaphore::new(LOOKUPS_MOST)),
        }))
    }

    pub(in crate::handler) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self {
            resolver,
            tls: OnceLock::new(),
        }
    }

    /// Reads the certificates, unless that was done. Not for a lane; why there are none, if so.
    pub(in crate::handler) fn prepare_tls(&self) -> Result<(), String> {
        self.tls
            .get_or_init(connector)
            .as_ref()
            .map(|_| ())
            .map_err(Clone::clone)
    }

    /// All addresses of a server.
    pub(super) async fn addresses(&self, origin: &WebOrigin) -> Result<Vec<IpAddr>, Refusal> {
        match &origin.host {
            ServerName::Address(address) => Ok(vec![*address]),
            ServerName::Name(name) => self.resolver.addresses(name).await.map_err(|error| Refusal::Unknown {
                origin: origin.clone(),
                why: error.to_string(),
            }),
        }
    }

    /// Connects to the first of these addresses that answers; none gets more than its share of the time.
    pub(super) async fn connect(
        origin: &WebOrigin,
        addresses: &[IpAddr],
        until: Instant,
        now: fn() -> std::time::Instant,
    ) -> Result<TcpStream, Refusal> {
        let addresses = addresses.get(..ADDRESSES_MOST).unwrap_or(addresses);
        let mut failed = io::Error::from(io::ErrorKind::TimedOut);
        for (index, address) in addresses.iter().enumerate() {
            let left = until.saturating_duration_since(Instant::from_std(now()));
            let rest = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let connecting = TcpStream::connect(SocketAddr::new(*address, origin.port));
            match tokio::time::timeout(left / rest, connecting).await {
                Ok(Ok(stream)) => {
                    // What is written is whole: nothing follows that it could wait for.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = error,
                Err(_) => {}
            }
        }
        Err(Refusal::Connect {
            origin: origin.clone(),
            why: failed,
        })
    }

    /// TLS over a connection, with the name that the request has.
    pub(super) async fn secure(&self, origin: &WebOrigin, stream: TcpStream) -> Result<TlsStream<TcpStream>, Refusal> {
        let failed = |why| Refusal::Tls {
            origin: origin.clone(),
            why,
        };
        // Read at load; a lane does not get here first.
        let connector = match self.tls.get_or_init(connector) {
            Ok(connector) => connector,
            Err(why) => return Err(failed(io::Error::other(why.clone()))),
        };
        let name = match &origin.host {
            ServerName::Address(address) => pki_types::ServerName::from(*address),
            ServerName::Name(name) => {
                pki_types::ServerName::try_from(name.clone()).map_err(|error| failed(io::Error::other(error)))?
            }
        };
        connector.connect(name, stream).await.map_err(failed)
    }
}

fn connector() -> Result<TlsConnector, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems trust certificates that no other program can read.
    if roots.add_parsable_certificates(found.certs).0 == 0 {
        let why = found.errors.first();
        return Err(why.map_or_else(|| "none was found".to_owned(), ToString::to_string));
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The system's own resolver, which blocks: each lookup has a thread, and there are so many and no more, those included that nobody
/// waits for any longer.
struct SystemNames {
    lookups: Arc<Semaphore>,
}

impl Resolver for SystemNames {
    fn addresses(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (name, lookups) = (name.to_owned(), self.lookups.clone());
        Box::pin(async move {
            let place = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let (tell, told) = oneshot::channel();
            let look = move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                let addresses = found.map(|found| found.map(|address| address.ip()).collect());
                drop(place);
                // Nobody may wait any longer.
                let _ = tell.send(addresses);
            };
            std::thread::Builder::new().name("names".to_owned()).spawn(look)?;
            told.await.map_err(io::Error::other)?
        })
    }
}

const LOOKUPS_MOST: usize = 32;
/// Of one name that are tried.
const ADDRESSES_MOST: usize = 8;
