//! Whether a broker answers: one `ApiVersions` request of version 0, which needs no login and which a broker answers only
//! after it has joined its cluster.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Asks once.
///
/// # Errors
/// What happened instead of an answer.
pub(crate) fn answers(port: u16) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| format!("{address}: {error}"))?;
    exchange(&mut stream).map_err(|error| format!("{address} does not answer to ApiVersions: {error}"))
}

fn exchange(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&REQUEST)?;
    // Length, correlation id, error code.
    let mut head = [0; 10];
    stream.read_exact(&mut head)?;
    let [_, _, _, _, correlation @ .., error_high, error_low] = head;
    if correlation == *CORRELATION && [error_high, error_low] == [0, 0] {
        return Ok(());
    }
    Err(std::io::Error::other(format!("it sent {head:02x?}")))
}

/// One broker on a busy machine may be slow to answer; one that has not joined yet does not.
const PATIENCE: Duration = Duration::from_secs(1);

const CORRELATION: &[u8; 4] = b"mill";

/// Length, key 18, version 0, correlation id, no client id.
const REQUEST: [u8; 14] = *b"\x00\x00\x00\x0a\x00\x12\x00\x00mill\xff\xff";
