//! A small web server on the loopback for tests: each connection has one request, which is kept, and an answer that the test writes byte
//! by byte.
#![allow(dead_code, reason = "no test uses all of it")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What becomes of the connection when the answer is written.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// The server ends it.
    Close,
    /// It stays until the client ends it.
    Hold,
}

pub(crate) struct Web {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: UnboundedReceiver<()>,
}

impl Web {
    pub(crate) fn start(answer: impl Fn(&Asked, &mut dyn Write) -> Then + Send + Sync + 'static) -> Self {
        Self::over(Ok, answer)
    }

    /// With what `wrap` makes of a connection, such as TLS.
    pub(crate) fn over<S: Read + Write>(
        wrap: impl Fn(TcpStream) -> std::io::Result<S> + Send + Sync + 'static,
        answer: impl Fn(&Asked, &mut dyn Write) -> Then + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, (end, ended)) = (Arc::<Mutex<Vec<Asked>>>::default(), unbounded_channel());
        let (seen, both) = (asked.clone(), Arc::new((wrap, answer)));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, end, both) = (seen.clone(), end.clone(), both.clone());
                std::thread::spawn(move || {
                    let plain = stream.try_clone().unwrap();
                    if let Ok(mut stream) = both.0(stream)
                        && let Some(request) = read(&mut stream)
                    {
                        seen.lock().unwrap().push(request.clone());
                        if let Then::Close = both.1(&request, &mut stream) {
                            let _ = stream.flush();
                            let _ = plain.shutdown(Shutdown::Write);
                        }
                        // Until the client has ended it, too.
                        let _ = stream.read_to_end(&mut Vec::new());
                    }
                    // A test may be over.
                    let _ = end.send(());
                });
            }
        });
        Self { address, asked, ended }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until a connection has ended.
    pub(crate) async fn ended(&mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.ended.recv());
        assert_eq!(ended.await, Ok(Some(())));
    }
}

/// A whole answer.
pub(crate) fn answer(out: &mut dyn Write, status: &str, headers: &[&str], body: &str) -> Then {
    let headers = headers.iter().flat_map(|header| [*header, "\r\n"]).collect::<String>();
    let length = body.len();
    // The client may have gone.
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    Then::Close
}

/// `None`: the client ended it before it had asked.
fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut stream = BufReader::new(stream);
    let mut line = || {
        let mut text = String::new();
        let length = stream.read_line(&mut text).ok().filter(|length| *length > 0)?;
        Some(text.get(..length)?.trim_end().to_owned())
    };
    let first = line()?;
    let mut asked = Asked::default();
    let mut words = first.split(' ').map(str::to_owned);
    (asked.method, asked.path) = (words.next()?, words.next()?);
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).ok().map(|()| bytes)
    };
    if let Some(length) = asked.header("content-length") {
        asked.body = take(length.parse().ok()?)?;
    } else if asked.header("transfer-encoding").is_some() {
        loop {
            let mut size = Vec::new();
            while !size.ends_with(b"\r\n") {
                size.extend(take(1)?);
            }
            let size = usize::from_str_radix(std::str::from_utf8(&size).ok()?.trim(), 16).ok()?;
            asked.body.extend(take(size)?);
            take(2)?;
            if size == 0 {
                break;
            }
        }
    }
    Some(asked)
}
