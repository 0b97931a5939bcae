//! One connection: asks, waits for the answer, asks again. Whatever goes wrong between the first byte of a request and the last of its
//! answer ends it, since nobody could tell what the next bytes belong to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use share_wire::call::Call;
use share_wire::conversation::{Answer, Conversation};
use share_wire::error::WireError;
use share_wire::kafka::ApiVersionsRequest;
use share_wire::versions::{Negotiation, Versions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::error::{Failure, NetError, late};
use super::tls::Secure;
use super::{Duplex, Shared, guess};
use crate::config::Address;

/// A connection to a broker, after the login if there is one.
///
/// Brokers serve the requests of a connection one by one, so that a second one would only wait. A call that failed, or was dropped
/// before its answer was there, leaves the connection broken, and every later call says so. If the broker lets a login hold for some
/// time only, a call late in that time logs in anew before it asks.
pub struct Connection {
    stream: Box<dyn Duplex>,
    conversation: Conversation,
    versions: Versions,
    address: Address,
    shared: Arc<Shared>,
    /// When to log in anew.
    login_due: Option<Instant>,
    /// Answers so far, to requests of any kind.
    answers: u64,
    /// Why it cannot be used any more.
    broken: Option<String>,
    out: BytesMut,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Duplex>, address: &Address, shared: Arc<Shared>) -> Self {
        let config = &shared.config;
        Self {
            stream,
            conversation: Conversation::new(config.client_id(), config.sizes().receive_max),
            versions: Versions::default(),
            address: address.clone(),
            shared,
            login_due: None,
            answers: 0,
            broken: None,
            out: BytesMut::new(),
        }
    }

    /// Asks and waits for the answer, at most `socket.timeout.ms`.
    pub async fn call<C: Call>(&mut self, request: &C) -> Result<C::Response, NetError> {
        self.call_within(request, self.shared.config.times().request).await
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
            self.write(&request, negotiation.version())?;
            let answer = self.transfer::<ApiVersionsRequest>().await?;
            if let Some(versions) = negotiation.answered(answer).map_err(version)? {
                self.versions = versions;
                return Ok(());
            }
        }
    }

    /// Logs in, if there is a login.
    pub(super) async fn log_in(&mut self, deadline: Instant) -> Result<(), Failure> {
        let shared = self.shared.clone();
        if let Some(credentials) = &shared.credentials {
            let life = credentials.log_in(self, deadline).await?;
            let used = |life: Duration| life.mul_f64(USED_OF_SESSION).max(LOGINS_APART);
            self.login_due = life.map(|life| Instant::now() + used(life));
        }
        Ok(())
    }

    /// Whether there was a login that holds for some time only.
    pub(super) const fn was_logged_in(&self) -> bool {
        self.login_due.is_some()
    }

    /// One request of a login and its answer, without a limit.
    pub(super) async fn exchange<C: Call>(&mut self, request: &C) -> Result<C::Response, Failure> {
        let picked = self.versions.pick::<C>().map_err(version)?;
        self.write(request, picked)?;
        let answer = self.transfer::<C>().await?;
        answer.read::<C>().map_err(wire::<C>)
    }

    async fn ask<C: Call>(&mut self, request: &C, limit: Duration) -> Result<C::Response, Failure> {
        if let Some(reason) = self.broken.clone() {
            return Err(Failure::Broken { reason });
        }
        let picked = self.versions.pick::<C>().map_err(version)?;
        if self.login_due.is_some_and(|due| due <= Instant::now()) {
            self.log_in_anew().await?;
        }
        // Nothing leaves if this fails: the connection is as it was.
        self.write(request, picked)?;
        self.broken = Some(format!("{} was given up before its answer was there", C::API.name));
        let answered = timeout(limit, self.transfer::<C>()).await;
        let answered = answered.unwrap_or_else(|_| Err(late(&format!("the answer to {}", C::API.name), limit)));
        let read = answered.and_then(|answer| answer.read::<C>().map_err(wire::<C>));
        self.broken = read.as_ref().err().map(ToString::to_string);
        read
    }

    async fn log_in_anew(&mut self) -> Result<(), Failure> {
        self.broken = Some("a login was given up before it was done".to_owned());
        let limit = self.shared.config.times().request;
        let done = timeout(limit, self.log_in(Instant::now() + limit)).await;
        let done = done.unwrap_or_else(|_| Err(late("the login", limit)));
        self.broken = done.as_ref().err().map(ToString::to_string);
        done
    }

    /// Puts a request where [`Self::transfer`] takes it.
    fn write<C: Call>(&mut self, request: &C, version: i16) -> Result<(), Failure> {
        self.out.clear();
        let asked = self.conversation.ask(request, version, &mut self.out);
        asked.map(drop).map_err(wire::<C>)
    }

    async fn transfer<C: Call>(&mut self) -> Result<Answer, Failure> {
        let sent = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        if let Err(error) = sent.await {
            return Err(self.lost::<C>(Some(&error)));
        }
        // A large request is no reason to keep its room.
        if self.out.capacity() > KEPT_MAX {
            self.out = BytesMut::new();
        }
        loop {
            match self.conversation.next_answer() {
                Ok(Some(answer)) => {
                    self.answers = self.answers.saturating_add(1);
                    return Ok(answer);
                }
                Ok(None) => {}
                // Whoever has answered once is a broker.
                Err(WireError::FrameTooLarge { .. }) if self.answers == 0 => {
                    let reason = guess::peer(self.conversation.buffer());
                    return Err(Failure::NotKafka { reason });
                }
                Err(source) => return Err(wire::<C>(source)),
            }
            let buffer = self.conversation.buffer();
            buffer.reserve(READ_MIN);
            match self.stream.read_buf(buffer).await {
                Ok(0) => return Err(self.lost::<C>(None)),
                Ok(_) => {}
                Err(error) => return Err(self.lost::<C>(Some(&error))),
            }
        }
    }

    /// Why the connection has ended: without an error it was closed.
    fn lost<C: Call>(&self, error: Option<&std::io::Error>) -> Failure {
        let of_tls = error.zip(self.shared.tls.as_ref());
        if let Some(failure) = of_tls.and_then(|(error, tls): (_, &Secure)| tls.explain(error)) {
            return failure;
        }
        let closed = guess::closed(&self.shared.config, self.answers);
        Failure::Lost {
            doing: format!("during {}", C::API.name),
            reason: error.map_or_else(|| closed.to_owned(), |error| format!("{error}; {closed}")),
        }
    }
}

fn wire<C: Call>(source: WireError) -> Failure {
    Failure::Wire {
        api: C::API,
        source: Box::new(source),
    }
}

fn version(source: share_wire::versions::VersionError) -> Failure {
    Failure::Version(Box::new(source))
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

/// Of the time that a login holds.
const USED_OF_SESSION: f64 = 0.85;

/// Brokers refuse a second login within a second (`KafkaChannel` of Kafka 4.2.1).
const LOGINS_APART: Duration = Duration::from_millis(1_050);

/// Room for what is read at once.
const READ_MIN: usize = 16 << 10;

/// Room that is kept for the next request.
const KEPT_MAX: usize = 64 << 10;
