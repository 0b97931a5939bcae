//! One connection: asks, waits for the answer, asks again. Whatever goes wrong between the first byte of a request and the last of its
//! answer ends it, since nobody could tell what the next bytes belong to.

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use share_wire::call::Call;
use share_wire::conversation::{Answer, Conversation};
use share_wire::error::WireError;
use share_wire::versions::{Negotiation, Versions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::{Failure, NetError};
use super::{Duplex, timeout};
use crate::config::{Address, ClientConfig};

/// A connection to a broker, after the login if there is one.
///
/// Brokers serve the requests of a connection one by one, so that a second one would only wait. A call that failed, or was dropped
/// before its answer was there, leaves the connection broken, and every later call says so.
pub struct Connection {
    stream: Box<dyn Duplex>,
    conversation: Conversation,
    versions: Versions,
    address: Address,
    request_limit: Duration,
    /// Why it cannot be used any more.
    broken: Option<String>,
    out: BytesMut,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Duplex>, address: &Address, config: &ClientConfig) -> Self {
        Self {
            stream,
            conversation: Conversation::new(config.client_id(), config.sizes().receive_max),
            versions: Versions::default(),
            address: address.clone(),
            request_limit: config.times().request,
            broken: None,
            out: BytesMut::new(),
        }
    }

    /// Asks and waits for the answer, at most `socket.timeout.ms`.
    pub async fn call<C: Call>(&mut self, request: &C) -> Result<C::Response, NetError> {
        self.call_within(request, self.request_limit).await
    }

    /// Asks and waits for the answer, at most so long. A request that waits at the broker needs more than it waits there.
    pub async fn call_within<C: Call>(&mut self, request: &C, limit: Duration) -> Result<C::Response, NetError> {
        let answered = self.ask(request, limit).await;
        answered.map_err(|failure| failure.at(self.address.clone()))
    }

    /// Which versions the broker speaks, and its features.
    pub const fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Of the broker, as it was asked for.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Whether every further call fails.
    pub const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Finds out which versions the broker speaks.
    pub(super) async fn negotiate(&mut self) -> Result<(), Failure> {
        let request = Negotiation::request(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let mut negotiation = Negotiation::default();
        loop {
            let answer = self
                .exchange(&request, negotiation.version(), self.request_limit)
                .await?;
            let answered = negotiation.answered(answer);
            if let Some(versions) = answered.map_err(|source| Failure::Version(Box::new(source)))? {
                self.versions = versions;
                return Ok(());
            }
        }
    }

    async fn ask<C: Call>(&mut self, request: &C, limit: Duration) -> Result<C::Response, Failure> {
        if let Some(reason) = self.broken.clone() {
            return Err(Failure::Broken { reason });
        }
        let picked = self.versions.pick::<C>();
        let version = picked.map_err(|source| Failure::Version(Box::new(source)))?;
        let answer = self.exchange(request, version, limit).await?;
        let read = answer.read::<C>().map_err(wire::<C>);
        self.broken = read.as_ref().err().map(ToString::to_string);
        read
    }

    async fn exchange<C: Call>(&mut self, request: &C, version: i16, limit: Duration) -> Result<Answer, Failure> {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        // Nothing leaves if this fails: the connection is as it was.
        self.conversation.ask(request, version, &mut out).map_err(wire::<C>)?;
        self.broken = Some(format!("{} was given up before its answer was there", C::API.name));
        let waited = tokio::time::timeout(limit, self.transfer::<C>(&out)).await;
        let result = waited.unwrap_or_else(|_| Err(timeout(&format!("the answer to {}", C::API.name), limit)));
        self.broken = result.as_ref().err().map(ToString::to_string);
        // A large request is no reason to keep its room.
        if out.capacity() <= KEPT_MAX {
            self.out = out;
        }
        result
    }

    async fn transfer<C: Call>(&mut self, out: &[u8]) -> Result<Answer, Failure> {
        let sent = async {
            self.stream.write_all(out).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| lost::<C>(&error.to_string()))?;
        loop {
            if let Some(answer) = self.conversation.next_answer().map_err(wire::<C>)? {
                return Ok(answer);
            }
            let buffer = self.conversation.buffer();
            buffer.reserve(READ_MIN);
            match self.stream.read_buf(buffer).await {
                Ok(0) => return Err(lost::<C>("the broker closed it")),
                Ok(_) => {}
                Err(error) => return Err(lost::<C>(&error.to_string())),
            }
        }
    }
}

fn lost<C: Call>(reason: &str) -> Failure {
    Failure::Lost {
        doing: format!("during {}", C::API.name),
        reason: reason.to_owned(),
    }
}

fn wire<C: Call>(source: WireError) -> Failure {
    Failure::Wire {
        api: C::API,
        source: Box::new(source),
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

/// Room for what is read at once.
const READ_MIN: usize = 16 << 10;

/// Room that is kept for the next request.
const KEPT_MAX: usize = 64 << 10;
