//! The web server that the example `webhook` sends to: on the loopback and in this process, so that it outlives the host that is killed.
//! It fails now and then, as the event asks for, believes only what is signed, and keeps what it was asked and what it answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// A request and its answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) event: String,
    /// By which the server knows that it is asked again.
    pub(super) key: String,
    pub(super) status: u16,
}

/// A server that runs until the demo ends.
pub(super) struct Receiver {
    address: SocketAddr,
    book: Arc<Book>,
}

struct Book {
    signing_key: String,
    asked: Mutex<Vec<Asked>>,
}

/// Longer than any head or body of the demo.
const BYTES_MAX: u64 = 16 << 10;
/// What a client may take for a request.
const READ_LIMIT: Duration = Duration::from_secs(10);

impl Receiver {
    /// Listens on a free port.
    pub(super) fn start(signing_key: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on the loopback")?;
        let address = listener.local_addr()?;
        let book = Arc::new(Book {
            signing_key: signing_key.to_owned(),
            asked: Mutex::default(),
        });
        let kept = book.clone();
        let body = move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let book = kept.clone();
                // The host has a few connections at a time; one that is not served it tries again.
                let _ = Builder::new()
                    .name("receiver".to_owned())
                    .spawn(move || book.serve(&stream));
            }
        };
        Builder::new().name("receiver".to_owned()).spawn(body)?;
        Ok(Self { address, book })
    }

    /// Where it is, without a path.
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in its order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.book.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Book {
    /// A connection has one request. What is none is not answered.
    fn serve(&self, stream: &TcpStream) {
        let _ = stream.set_read_timeout(Some(READ_LIMIT));
        if let Some(request) = Request::read(stream) {
            let (status, headers) = self.answer(&request);
            let text = if status < 400 { "" } else { "as it was asked for" };
            let mut stream = stream;
            // Whoever asked may have been killed.
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Demo\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{text}",
                text.len()
            );
        }
    }

    /// Status and headers; they are kept before they are sent.
    fn answer(&self, request: &Request) -> (u16, String) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = asked.iter().filter(|one| one.event == request.event).count();
        let polled = asked.iter().any(|one| one.event == request.event && one.status == 202);
        let key = request.header("idempotency-key");
        let signature = request.header("x-signature");
        let (status, headers) = match (request.kind(), request.method.as_str()) {
            _ if signature != signed(&self.signing_key, &request.body) => (401, ""),
            _ if key.is_empty() => (400, ""),
            ("busy", _) if earlier == 0 => (503, "retry-after: 1\r\n"),
            ("limited", _) if earlier == 0 => (429, "retry-after: 1\r\n"),
            ("invalid", _) => (422, ""),
            ("gone", _) => (410, ""),
            ("down", _) => (500, ""),
            ("slow", "POST") => (202, "location: /jobs/EVENT\r\nretry-after: 1\r\n"),
            // Asked for once in vain.
            ("slow", _) if polled && earlier == 1 => (202, "retry-after: 0\r\n"),
            _ => (200, ""),
        };
        asked.push(Asked {
            event: request.event.clone(),
            key: key.to_owned(),
            status,
        });
        (status, headers.replace("EVENT", &request.event))
    }
}

struct Request {
    method: String,
    /// The body of a POST, the end of the path of a GET.
    event: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.take(BYTES_MAX));
        let mut line = || {
            let mut line = String::new();
            lines.read_line(&mut line).ok().filter(|length| *length > 0)?;
            Some(line.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?);
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = line()?.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or("0", String::as_str);
        let mut body = Vec::new();
        lines.take(length.parse().ok()?).read_to_end(&mut body).ok()?;
        let event = match path.strip_prefix("/jobs/") {
            Some(event) => event.to_owned(),
            None => String::from_utf8(body.clone()).ok()?,
        };
        Some(Self {
            method,
            event,
            headers,
            body,
        })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What the event asks for: the end of its name.
    fn kind(&self) -> &str {
        self.event.rsplit('-').next().unwrap_or_default()
    }
}

/// HMAC-SHA256 by its definition; the key is shorter than a block.
fn signed(key: &str, body: &[u8]) -> String {
    let round = |pad: u8, message: &[u8]| {
        let padded = key.bytes().chain(std::iter::repeat(0)).take(64).map(|byte| byte ^ pad);
        Sha256::digest(padded.chain(message.iter().copied()).collect::<Vec<u8>>())
    };
    let mut text = "sha256=".to_owned();
    for byte in round(0x5c, &round(0x36, body)) {
        // Into a text: it cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Sends what is written and returns the status.
    fn ask(receiver: &Receiver, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(receiver.address).unwrap();
        let signature = signed("a key", body.as_bytes());
        let length = body.len();
        let request = format!("{head} HTTP/1.1\r\nX-Signature: {signature}\r\nIdempotency-Key: k\r\n");
        write!(stream, "{request}content-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    }

    /// The second test case of RFC 4231.
    #[test]
    fn signatures_are_those_of_everybody() {
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signed("Jefe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn events_get_what_they_ask_for() {
        let receiver = Receiver::start("a key").unwrap();
        for (head, body, status) in [
            ("POST /", "e-1-ok", "200"),
            ("POST /", "e-2-busy", "503"),
            ("POST /", "e-2-busy", "200"),
            ("POST /", "e-3-slow", "202"),
            ("GET /jobs/e-3-slow", "", "202"),
            ("GET /jobs/e-3-slow", "", "200"),
            ("POST /", "e-4-invalid", "422"),
        ] {
            assert_eq!(ask(&receiver, head, body), status, "{head} {body}");
        }
        let other = Receiver::start("another key").unwrap();
        assert_eq!(ask(&other, "POST /", "e-1-ok"), "401");
        assert_eq!(receiver.asked().len(), 7);
    }
}
