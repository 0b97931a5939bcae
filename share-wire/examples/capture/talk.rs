//! Connections that keep what goes over them, and the files that it is written to.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use share_wire::call::Call;
use share_wire::conversation::Conversation;
use share_wire::frame::FRAME_MAX;
use share_wire::{Bytes, BytesMut};

/// A request and what answered it, without the lengths of their frames.
pub(crate) struct Exchange {
    pub(crate) what: String,
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
}

/// One connection to a broker.
pub(crate) struct Talk {
    stream: TcpStream,
    conversation: Conversation,
}

impl Talk {
    pub(crate) fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self {
            stream,
            conversation: Conversation::new("golden", FRAME_MAX),
        }
    }

    pub(crate) fn peer(&self) -> std::net::SocketAddr {
        self.stream.peer_addr().unwrap()
    }

    /// Asks, and keeps both sides in `kept` under what it shows.
    pub(crate) fn keep<C: Call>(
        &mut self,
        kept: &mut Vec<Exchange>,
        what: &str,
        version: i16,
        request: &C,
    ) -> C::Response {
        let (exchange, response) = self.exchange(version, request);
        kept.push(Exchange {
            what: format!("{} {version}: {what}", C::API.name),
            ..exchange
        });
        response
    }

    /// Asks until the answer is the wanted one, and keeps that.
    pub(crate) fn keep_when<C: Call>(
        &mut self,
        kept: &mut Vec<Exchange>,
        what: &str,
        version: i16,
        mut request: impl FnMut() -> C,
        is_wanted: impl Fn(&C::Response) -> bool,
    ) -> C::Response {
        let began = Instant::now();
        loop {
            let (exchange, response) = self.exchange(version, &request());
            if is_wanted(&response) {
                kept.push(Exchange {
                    what: format!("{} {version}: {what}", C::API.name),
                    ..exchange
                });
                return response;
            }
            let limit = Duration::from_secs(30);
            assert!(
                began.elapsed() < limit,
                "{} {version}: {what}: not in 30 s",
                C::API.name
            );
        }
    }

    pub(crate) fn ask<C: Call>(&mut self, version: i16, request: &C) -> C::Response {
        self.exchange(version, request).1
    }

    fn exchange<C: Call>(&mut self, version: i16, request: &C) -> (Exchange, C::Response) {
        let mut out = BytesMut::new();
        self.conversation.ask(request, version, &mut out).unwrap();
        let response = self.raw(&out[4..]);
        let buffer = self.conversation.buffer();
        buffer.extend_from_slice(&u32::try_from(response.len()).unwrap().to_be_bytes());
        buffer.extend_from_slice(&response);
        let answer = self.conversation.next_answer().unwrap().unwrap();
        let read = answer.read::<C>();
        let request = out[4..].to_vec();
        let read = read.unwrap_or_else(|error| panic!("{error}: {}", hex(&response)));
        let what = String::new();
        (
            Exchange {
                what,
                request,
                response,
            },
            read,
        )
    }

    /// Sends a request and reads what answers it.
    pub(crate) fn raw(&mut self, request: &[u8]) -> Vec<u8> {
        write_frame(&mut self.stream, request).unwrap();
        read_frame(&mut self.stream).expect("the broker ended the connection")
    }
}

pub(crate) fn write_frame(to: &mut impl Write, frame: &[u8]) -> std::io::Result<()> {
    let len = u32::try_from(frame.len()).unwrap();
    to.write_all(&[&len.to_be_bytes(), frame].concat())
}

/// `None` at the end of the connection.
pub(crate) fn read_frame(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    from.read_exact(&mut len).ok()?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(len)).unwrap()];
    from.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// Writes a file of exchanges: a heading in brackets, the request behind `>`, the response behind `<`, in hex digits.
pub(crate) fn write_file(path: &Path, head: &str, kept: &[Exchange]) {
    let mut text = head.lines().fold(String::new(), |text, line| text + "# " + line + "\n");
    for exchange in kept {
        write!(text, "\n[{}]\n", exchange.what).unwrap();
        for (sign, bytes) in [('>', &exchange.request), ('<', &exchange.response)] {
            let digits = hex(bytes);
            for (index, line) in digits.as_bytes().chunks(128).enumerate() {
                let sign = if index == 0 { sign } else { ' ' };
                writeln!(text, "{sign} {}", std::str::from_utf8(line).unwrap()).unwrap();
            }
        }
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

/// One batch of two records.
pub(crate) fn batch(new: share_wire::records::NewBatch, value: &str) -> Bytes {
    use share_wire::records::NewRecord;
    let headers = [("trace", Some(&b"1"[..])), ("trace", None)];
    // Brokers put records of other days, as the ends of transactions would be, into files of their own, and a fetch reads one.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let timestamp = i64::try_from(now.as_millis()).unwrap();
    let record = NewRecord {
        timestamp,
        key: Some(b"key"),
        value: Some(value.as_bytes()),
        headers: &headers,
    };
    let bare = NewRecord {
        timestamp: timestamp + 1,
        ..NewRecord::default()
    };
    new.encode(&[record, bare]).unwrap()
}
