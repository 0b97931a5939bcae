//! One request and its response: a free connection, the server's address, the connection, the request, the head of the response. The
//! body is read through what is left of it, and all of it ends with the call that it belongs to.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::super::control::now;
use super::super::log_sink::LogSink;
use super::super::spec::LogLevel;
use super::body::{Received, Sent};
use super::client::Client;
use super::refusal::{HEADERS_MOST, Refusal};
use super::target::{Target, admitted};
use super::{Call, Policy};
use crate::config::{HttpLimits, WebOrigin};

/// What a request needs while it lasts.
pub(super) struct Exchange {
    pub(super) policy: Arc<Policy>,
    pub(super) client: Arc<Client>,
    pub(super) sink: Arc<LogSink>,
    pub(super) call: Arc<Call>,
    /// Counted by its holders.
    #[expect(dead_code, reason = "held, not read")]
    pub(super) under_way: Arc<()>,
    pub(super) target: Target,
    /// Bytes of a request's body that is over the limit; else 0.
    pub(super) over: Arc<AtomicU64>,
    pub(super) came: Came,
}

/// What came of a request, as it is counted.
#[derive(Default)]
pub(super) struct Came {
    is_answered: AtomicBool,
    /// Result of the first refusal, which may be one of the body.
    refused: OnceLock<&'static str>,
}

/// Once for each, those included that nobody waits for any longer.
impl Drop for Exchange {
    fn drop(&mut self) {
        let came = &self.came;
        let answered = came.is_answered.load(Ordering::Relaxed).then_some("answered");
        let result = came.refused.get().copied().or(answered);
        self.policy.count(result.unwrap_or("failed"));
    }
}

/// Keeps the connection going until the response is read.
pub(super) type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Wire = Connection<TokioIo<Box<dyn Stream>>, Sent>;

impl Exchange {
    pub(super) fn origin(&self) -> &WebOrigin {
        &self.target.origin
    }

    pub(super) fn limits(&self) -> &HttpLimits {
        &self.policy.limits
    }

    /// Says it to the log, and as a code to the handler.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Error {
        self.came.refused.get_or_init(|| refusal.result());
        refuse(&self.sink, refusal)
    }

    /// Sends the request and waits for the response.
    pub(super) async fn run(
        self: Arc<Self>,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<(Response<WasiBody>, Io), Error> {
        let call = self.call.clone();
        let sent = tokio::select! {
            sent = self.clone().send(request, options) => sent,
            () = call.over.cancelled() => Err(Refusal::CallOver { origin: self.origin().clone() }),
        };
        sent.map_err(|refusal| self.refuse(&refusal))
    }

    async fn send(
        self: Arc<Self>,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<(Response<WasiBody>, Io), Refusal> {
        let request = self.within_limits(request)?;
        let limits = self.limits();
        let connect = at_most(options.connect_timeout, limits.connect_timeout);
        let first_byte = at_most(options.first_byte_timeout, limits.first_byte_timeout);
        let between = at_most(options.between_bytes_timeout, limits.between_bytes_timeout);

        let until = Instant::from_std(now()) + connect;
        let waiting = tokio::time::timeout_at(until, self.policy.places.clone().acquire_owned());
        let Ok(Ok(place)) = waiting.await else {
            return Err(Refusal::Connections {
                origin: self.origin().clone(),
                limit: limits.connections,
                within: connect,
            });
        };
        let connecting = tokio::time::timeout_at(until, self.connect(until));
        let (mut sender, mut wire) = connecting.await.map_err(|_| self.late(connect)).flatten()?;
        let sending = tokio::time::timeout(first_byte, sender.send_request(request));
        let mut sending = pin!(sending);
        let mut is_wired = true;
        let sent = loop {
            tokio::select! {
                biased;
                sent = &mut sending => break sent,
                // What went wrong with it the request is told.
                _ = &mut wire, if is_wired => is_wired = false,
            }
        };
        let response = sent
            .map_err(|_| Refusal::FirstByteTimeout {
                origin: self.origin().clone(),
                within: first_byte,
            })?
            .map_err(|error| self.lost(&error))?;
        let io: Io = if is_wired {
            Box::new(drive(wire, place, self.call.clone()))
        } else {
            Box::new(std::future::ready(Ok(())))
        };
        self.came.is_answered.store(true, Ordering::Relaxed);
        let response = response.map(|body| {
            let received = Received {
                body,
                exchange: self,
                bytes: 0,
                between,
                waiting: None,
            };
            received.boxed_unsync()
        });
        Ok((response, io))
    }

    /// The request as it goes over the wire: path instead of a whole URL, the host that was granted, a body that is counted.
    fn within_limits(&self, request: Request<WasiBody>) -> Result<Request<Sent>, Refusal> {
        let limits = self.limits();
        let (mut parts, body) = request.into_parts();
        let body = Sent {
            body,
            is_ended: false,
            bytes: 0,
            limit: limits.request_bytes,
            over: self.over.clone(),
            call: self.call.clone(),
        };
        let no_target = |what: String| Refusal::NoTarget { what };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('?') {
            format!("/{path}")
        } else {
            path.to_owned()
        };
        let host = HeaderValue::from_str(&self.target.host);
        parts
            .headers
            .insert(HOST, host.map_err(|error| no_target(error.to_string()))?);
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4);
        let head = parts.method.as_str().len() + path.len() + 12 + headers.sum::<usize>();
        if head as u64 > limits.header_bytes {
            return Err(Refusal::RequestHead {
                origin: self.origin().clone(),
                size: head as u64,
                limit: limits.header_bytes,
            });
        }
        let announced = parts.headers.get(hyper::header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if let Some(size) = announced.filter(|size| *size > limits.request_bytes) {
            return Err(Refusal::RequestBody {
                origin: self.origin().clone(),
                size,
                limit: limits.request_bytes,
            });
        }
        parts.uri = path.parse::<Uri>().map_err(|error| no_target(error.to_string()))?;
        Ok(Request::from_parts(parts, body))
    }

    async fn connect(&self, until: Instant) -> Result<(SendRequest<Sent>, Wire), Refusal> {
        let origin = self.origin();
        let found = self.client.addresses(origin).await?;
        let addresses = admitted(origin, &found, &self.policy.grants)?;
        let stream = Client::connect(origin, &addresses, until, now).await?;
        let stream: Box<dyn Stream> = match origin.scheme {
            crate::config::Scheme::Http => Box::new(stream),
            crate::config::Scheme::Https => Box::new(self.client.secure(origin, stream).await?),
        };
        let most = usize::try_from(self.limits().header_bytes).unwrap_or(usize::MAX);
        http1::Builder::new()
            .max_buf_size(most.max(HEAD_LEAST))
            .max_headers(HEADERS_MOST)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.lost(&error))
    }

    fn late(&self, within: Duration) -> Refusal {
        Refusal::ConnectTimeout {
            origin: self.origin().clone(),
            within,
        }
    }

    /// What became of a request that ended in an error.
    pub(super) fn lost(&self, error: &hyper::Error) -> Refusal {
        let origin = self.origin().clone();
        let (over, limits) = (self.over.load(Ordering::Relaxed), self.limits());
        if self.call.over.is_cancelled() {
            Refusal::CallOver { origin }
        } else if over > 0 {
            Refusal::RequestBody {
                origin,
                size: over,
                limit: limits.request_bytes,
            }
        } else if error.is_parse_too_large() {
            Refusal::ResponseHead {
                origin,
                limit: limits.header_bytes,
            }
        } else if error.is_parse() {
            Refusal::Protocol {
                origin,
                why: error.to_string(),
            }
        } else if error.is_user() {
            Refusal::Unfinished { origin }
        } else {
            let inner = std::error::Error::source(error);
            Refusal::Ended {
                origin,
                why: inner.map_or_else(|| error.to_string(), |inner| format!("{error}: {inner}")),
            }
        }
    }
}

/// Says it to the log, where somebody waits for it, and gives the handler its code.
pub(super) fn refuse(sink: &LogSink, refusal: &Refusal) -> Error {
    if !matches!(refusal, Refusal::CallOver { .. }) {
        sink.log(LogLevel::Warn, CONTEXT, &refusal.to_string());
    }
    refusal.code()
}

/// What it ends with the response's body knows.
async fn drive(wire: Wire, place: OwnedSemaphorePermit, call: Arc<Call>) -> Result<(), Error> {
    tokio::select! {
        _ = wire => {}
        () = call.over.cancelled() => {}
    }
    drop(place);
    Ok(())
}

fn at_most(wished: Option<Duration>, limit: Duration) -> Duration {
    wished.map_or(limit, |wished| wished.min(limit))
}

/// Where a line about a request comes from.
const CONTEXT: &str = "wasi:http";
/// What a connection reads at a time, at least.
const HEAD_LEAST: usize = 8 << 10;
