//! TCP: from a name to a socket that is connected.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Failure, humane, late};
use crate::config::{Address, Family};

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dial {
    pub(super) family: Family,
    pub(super) keep_alive: bool,
    /// All that it may take, for messages.
    pub(super) limit: Duration,
}

impl Dial {
    /// Tries the addresses of a name one after another; each gets its share of the time that is left.
    pub(super) async fn connect(self, address: &Address, deadline: Instant) -> Result<TcpStream, Failure> {
        let found = self.resolve(address, deadline).await?;
        let mut reasons = Vec::new();
        for (index, socket) in found.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(found.len() - index).unwrap_or(1);
            let reason = match timeout(share, self.socket(*socket)).await {
                Ok(Ok(stream)) => {
                    // Requests are small, and nothing follows until they are answered. Without the option all works too.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    "connection refused: nothing listens on this port".to_owned()
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {}: a firewall, or the host is down", humane(share)),
            };
            reasons.push(format!("{}: {reason}", socket.ip()));
        }
        let reason = reasons.join("; ");
        Err(Failure::Connect { reason })
    }

    async fn resolve(self, address: &Address, deadline: Instant) -> Result<Vec<SocketAddr>, Failure> {
        let Address { host, port } = address;
        let found = timeout_at(deadline, tokio::net::lookup_host((host.as_str(), *port))).await;
        let found = found.map_err(|_| late("looking up the name", self.limit))?;
        let found = found.map_err(|error| Failure::Resolve {
            reason: error.to_string(),
        })?;
        let fits = |socket: &SocketAddr| match self.family {
            Family::Any => true,
            Family::V4 => socket.is_ipv4(),
            Family::V6 => socket.is_ipv6(),
        };
        let found: Vec<_> = found.filter(fits).take(TRIED_MAX).collect();
        if found.is_empty() {
            let kind = match self.family {
                Family::Any => "",
                Family::V4 => " of version 4, and broker.address.family is v4",
                Family::V6 => " of version 6, and broker.address.family is v6",
            };
            let reason = format!("it has no address{kind}");
            return Err(Failure::Resolve { reason });
        }
        Ok(found)
    }

    async fn socket(self, to: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if self.keep_alive {
            socket.set_keepalive(true)?;
        }
        socket.connect(to).await
    }
}

/// IP addresses of one name.
const TRIED_MAX: usize = 8;
