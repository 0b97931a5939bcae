//! The files in `tests/golden`, and what every exchange in them has to stand.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use share_wire::call::Call;
use share_wire::conversation::{Answer, Conversation};
use share_wire::frame::FRAME_MAX;
use share_wire::message::{DescribeShareGroupOffsetsRequest, ShareAcknowledgeRequest, ShareFetchRequest};
use share_wire::{Bytes, BytesMut, kafka};

/// A request and what answered it, without the lengths of their frames.
pub(crate) struct Exchange {
    /// What it shows.
    pub(crate) what: String,
    pub(crate) request: Bytes,
    pub(crate) response: Bytes,
}

/// All of a file, in order.
pub(crate) fn file(name: &str) -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = fs::read_to_string(path).unwrap();
    text.split("\n[").skip(1).map(exchange).collect()
}

fn exchange(text: &str) -> Exchange {
    let (what, lines) = text.split_once("]\n").unwrap();
    let (request, response) = lines.strip_prefix("> ").unwrap().split_once("\n< ").unwrap();
    Exchange {
        what: what.to_owned(),
        request: bytes(request),
        response: bytes(response),
    }
}

fn bytes(digits: &str) -> Bytes {
    let digits: String = digits.split_whitespace().collect();
    let pairs = digits.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    bytes.collect()
}

/// A request that tests read, too, and whose response they write.
pub(crate) trait Both: Call + Sized {
    fn parse(version: i16, bytes: Bytes) -> Self;
    fn write(response: &Self::Response, version: i16, out: &mut BytesMut);
}

macro_rules! of_the_crate {
    ($($request:ident)*) => {
        $(impl Both for kafka::$request {
            fn parse(version: i16, mut bytes: Bytes) -> Self {
                let request = Self::decode(&mut bytes, version).unwrap();
                assert!(bytes.is_empty());
                request
            }

            fn write(response: &Self::Response, version: i16, out: &mut BytesMut) {
                response.encode(out, version).unwrap();
            }
        })*

        /// Holds an exchange against the code for its request.
        pub(crate) fn check(exchange: &Exchange) {
            let key = exchange.key();
            $(if key == <kafka::$request as Call>::API.key {
                return exchange.check::<kafka::$request>();
            })*
            match key {
                78 => exchange.check::<ShareFetchRequest>(),
                79 => exchange.check::<ShareAcknowledgeRequest>(),
                90 => exchange.check::<DescribeShareGroupOffsetsRequest>(),
                _ => panic!("{}: nobody speaks it", exchange.what),
            }
        }
    };
}

of_the_crate! {
    AddPartitionsToTxnRequest AlterShareGroupOffsetsRequest ApiVersionsRequest CreatePartitionsRequest CreateTopicsRequest
    DeleteGroupsRequest DeleteRecordsRequest DeleteShareGroupOffsetsRequest DeleteTopicsRequest DescribeClusterRequest
    DescribeConfigsRequest DescribeTopicPartitionsRequest EndTxnRequest FetchRequest FindCoordinatorRequest
    IncrementalAlterConfigsRequest InitProducerIdRequest ListGroupsRequest ListOffsetsRequest MetadataRequest ProduceRequest
    SaslAuthenticateRequest SaslHandshakeRequest ShareGroupDescribeRequest ShareGroupHeartbeatRequest
}

impl Both for ShareFetchRequest {
    fn parse(version: i16, bytes: Bytes) -> Self {
        Self::parse(version, bytes).unwrap()
    }

    fn write(response: &Self::Response, _version: i16, out: &mut BytesMut) {
        response.put(out);
    }
}

impl Both for ShareAcknowledgeRequest {
    fn parse(version: i16, bytes: Bytes) -> Self {
        Self::parse(version, bytes).unwrap()
    }

    fn write(response: &Self::Response, version: i16, out: &mut BytesMut) {
        response.put(version, out);
    }
}

impl Both for DescribeShareGroupOffsetsRequest {
    fn parse(version: i16, bytes: Bytes) -> Self {
        Self::parse(version, bytes).unwrap()
    }

    fn write(response: &Self::Response, version: i16, out: &mut BytesMut) {
        response.put(version, out);
    }
}

impl Exchange {
    fn number(&self, at: usize) -> i16 {
        i16::from_be_bytes([self.request[at], self.request[at + 1]])
    }

    pub(crate) fn key(&self) -> i16 {
        self.number(0)
    }

    pub(crate) fn version(&self) -> i16 {
        self.number(2)
    }

    /// As our code reads the request.
    pub(crate) fn asked<C: Both>(&self) -> C {
        assert_eq!(self.key(), C::API.key, "{}", self.what);
        let client = usize::try_from(self.number(8)).unwrap();
        let tags = usize::from(self.version() >= C::FLEXIBLE);
        C::parse(self.version(), self.request.slice(10 + client + tags..))
    }

    /// As our code reads the response, by way of a connection.
    pub(crate) fn answered<C: Both>(&self) -> C::Response {
        self.answer::<C>()
            .read::<C>()
            .unwrap_or_else(|error| panic!("{}: {error}", self.what))
    }

    /// The request, written by us, has to be the one that was sent; the answer comes out of the connection.
    fn answer<C: Both>(&self) -> Answer {
        let client = usize::try_from(self.number(8)).unwrap();
        let client = std::str::from_utf8(&self.request[10..10 + client]).unwrap();
        let mut conversation = Conversation::new(client, FRAME_MAX);
        let mut out = BytesMut::new();
        conversation.ask(&self.asked::<C>(), self.version(), &mut out).unwrap();
        // The number is the connection's own.
        out[8..12].copy_from_slice(&self.request[4..8]);
        assert_eq!(out[4..], self.request[..], "{}", self.what);
        assert_eq!(self.response[..4], self.request[4..8], "{}", self.what);
        let buffer = conversation.buffer();
        buffer.extend_from_slice(&u32::try_from(self.response.len()).unwrap().to_be_bytes());
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(&self.response[4..]);
        conversation.next_answer().unwrap().unwrap()
    }

    /// Both sides come back as they were, and nothing less than the whole response is read.
    fn check<C: Both>(&self)
    where
        C::Response: Debug,
    {
        let (answer, version) = (self.answer::<C>(), self.version());
        let body = answer.body.clone();
        let read = self.answered::<C>();
        let mut out = BytesMut::new();
        C::write(&read, version, &mut out);
        assert_eq!(out[..], body[..], "{}: {read:?}", self.what);
        for len in 0..body.len() {
            let cut = Answer {
                body: body.slice(..len),
                ..answer.clone()
            };
            assert!(cut.read::<C>().is_err(), "{}: {len} bytes", self.what);
        }
    }
}
