//! One connection to a broker, which waits for each answer, and the one request that only brokers ask.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use share_wire::call::{Api, Call};
use share_wire::conversation::Conversation;
use share_wire::error::WireError;
use share_wire::frame::FRAME_MAX;
use share_wire::kafka::{ReadShareGroupStateRequest, ReadShareGroupStateResponse};
use share_wire::{Bytes, BytesMut};

/// See the module. Dropped, it closes.
pub(crate) struct Talk {
    stream: TcpStream,
    conversation: Conversation,
}

/// For one answer, however busy the machine.
const ANSWER: Duration = Duration::from_mins(1);

impl Talk {
    pub(crate) fn to(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        Ok(Self {
            stream,
            conversation: Conversation::new("differential", FRAME_MAX),
        })
    }

    /// Asks in the newest version that we speak.
    pub(crate) fn ask<C: Call>(&mut self, request: &C) -> anyhow::Result<C::Response> {
        let mut out = BytesMut::new();
        self.conversation.ask(request, C::VERSIONS.1, &mut out)?;
        self.stream.write_all(&out)?;
        let mut read = [0; 16 << 10];
        loop {
            if let Some(answer) = self.conversation.next_answer()? {
                return Ok(answer.read::<C>()?);
            }
            let size = self.stream.read(&mut read)?;
            anyhow::ensure!(size > 0, "the broker closed the connection during {}", C::API);
            self.conversation.buffer().extend_from_slice(&read[..size]);
        }
    }
}

/// Asks the share coordinator what is written of a share partition.
pub(crate) struct ReadState(pub(crate) ReadShareGroupStateRequest);

impl Call for ReadState {
    const API: Api = Api {
        key: 84,
        name: "ReadShareGroupState",
    };
    const VERSIONS: (i16, i16) = (0, 0);
    const FLEXIBLE: i16 = 0;
    type Response = ReadShareGroupStateResponse;

    fn put(&self, version: i16, out: &mut BytesMut) -> Result<(), WireError> {
        self.0.encode(out, version).unwrap();
        Ok(())
    }

    fn take(version: i16, mut bytes: Bytes) -> Result<Self::Response, WireError> {
        Ok(ReadShareGroupStateResponse::decode(&mut bytes, version).unwrap())
    }
}
