//! `wasi:http/outgoing-handler` for deployments that are granted it: every request is held against the grants, its server's address
//! against what is public, and its size and time against the deployment's limits. A connection serves one request; redirects are the
//! handler's, who asks again and is checked again. Nothing outlives the call that it belongs to.

mod address;
mod body;
mod client;
mod exchange;
mod refusal;
mod target;

use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hyper::{Request, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::log_sink::LogSink;
use super::spec::HandlerSpec;
use super::state::HostState;
use crate::config::{HttpGrant, HttpLimits};
use crate::metrics::names;
pub(super) use client::Client;
pub use client::Resolver;
use exchange::{Came, Exchange, refuse};
use refusal::Refusal;

/// What a deployment allows, and its free connections.
pub(super) struct Policy {
    deployment: String,
    grants: Vec<HttpGrant>,
    limits: HttpLimits,
    places: Arc<Semaphore>,
}

impl Policy {
    pub(super) fn new(spec: &HandlerSpec) -> Self {
        let limits = spec.limits.http.clone();
        Self {
            deployment: spec.deployment.clone(),
            grants: spec.grants.http.clone(),
            places: Arc::new(Semaphore::new(limits.connections as usize)),
            limits,
        }
    }

    /// A request came to this.
    fn count(&self, result: &'static str) {
        metrics::counter!(names::HTTP_REQUESTS, "deployment" => self.deployment.clone(), "result" => result)
            .increment(1);
    }
}

/// What the requests of one call share.
#[derive(Default)]
struct Call {
    over: CancellationToken,
    /// As many hold it as are under way, and one.
    under_way: Arc<()>,
}

/// The part of a store that sends requests.
pub(super) struct Outgoing {
    context: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    policy: Arc<Policy>,
    client: Arc<Client>,
    sink: Arc<LogSink>,
    call: Arc<Call>,
    /// Of the last request, if it was refused before anything was begun.
    refused: Option<ErrorCode>,
}

impl Outgoing {
    pub(super) fn new(policy: Arc<Policy>, client: Arc<Client>, sink: Arc<LogSink>) -> Self {
        let mut context = WasiHttpCtx::new();
        let head = usize::try_from(policy.limits.header_bytes).unwrap_or(usize::MAX);
        context.set_field_size_limit(head.saturating_mul(FIELD_OVERHEAD));
        let hooks = Hooks {
            policy,
            client,
            sink,
            call: Arc::default(),
            refused: None,
        };
        Self { context, hooks }
    }

    /// Ends the requests of the call that ended.
    pub(super) fn end(&mut self) {
        if Arc::strong_count(&self.hooks.call) > 1 {
            self.hooks.call.over.cancel();
            self.hooks.call = Arc::default();
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.hooks.call.over.cancel();
    }
}

type Sending = Box<dyn Future<Output = Result<(Response<WasiBody>, exchange::Io), Error>> + Send>;

impl Hooks {
    fn exchange(&self, request: &Request<WasiBody>) -> Result<Exchange, Refusal> {
        let target = target::target(request, &self.policy.grants)?;
        if Arc::strong_count(&self.call.under_way) > REQUESTS_MOST {
            return Err(Refusal::PerCall { limit: REQUESTS_MOST });
        }
        Ok(Exchange {
            policy: self.policy.clone(),
            client: self.client.clone(),
            sink: self.sink.clone(),
            call: self.call.clone(),
            under_way: self.call.under_way.clone(),
            target,
            over: Arc::new(AtomicU64::new(0)),
            came: Came::default(),
        })
    }
}

impl WasiHttpHooks for Hooks {
    /// Ours is what was granted, not what was asked for.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        match self.exchange(&request) {
            Ok(exchange) => Box::new(Arc::new(exchange).run(request, options.unwrap_or_default())),
            Err(refusal) => {
                self.policy.count(refusal.result());
                let error = refuse(&self.sink, &refusal);
                self.refused = code_of(&error);
                Box::new(ready(Err(error)))
            }
        }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (outgoing, table) = self.outgoing();
        WasiHttpCtxView {
            hooks: &mut outgoing.hooks,
            table,
            ctx: &mut outgoing.context,
        }
    }
}

/// Adds what `load` refuses to components that are not granted it.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    add_own(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What is done in another way here.
fn add_own(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    // An error that comes while a body is read has its code in another type than the one that is looked for.
    linker.instance(TYPES)?.func_wrap(
        "http-error-code",
        |store, (error,): (Resource<wasmtime::Error>,)| -> wasmtime::Result<(Option<ErrorCode>,)> {
            let error = store.data().stream_error(&error)?;
            let code = error.downcast_ref::<ErrorCode>().cloned();
            Ok((code.or_else(|| error.downcast_ref::<Error>().and_then(code_of)),))
        },
    )?;
    linker.instance(HANDLER)?.func_wrap(
        "handle",
        |mut store, (request, options): (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>)| {
            handle(store.data_mut(), request, options).map(|handled| (handled,))
        },
    )
}

type Handled = Result<Resource<HostFutureIncomingResponse>, ErrorCode>;

/// A request need not have a path; one that is not sent is told and counted like those that [`Hooks::send_request`] refuses.
fn handle(
    state: &mut HostState,
    request: Resource<HostOutgoingRequest>,
    options: Option<Resource<RequestOptions>>,
) -> wasmtime::Result<Handled> {
    let begun = state.outgoing().1.get_mut(&request)?;
    begun.path_with_query.get_or_insert_with(|| "/".to_owned());
    let handled = outgoing_handler::Host::handle(&mut state.http(), request, options);
    let (outgoing, table) = state.outgoing();
    let hooks = &mut outgoing.hooks;
    let code = match (handled, hooks.refused.take()) {
        (Ok(pending), None) => return Ok(Ok(pending)),
        // At once, and not as its answer: whoever writes a body first would never ask for that.
        (Ok(pending), Some(code)) => {
            table.delete(pending)?;
            return Ok(Err(code));
        }
        (Err(error), _) => error.downcast()?,
    };
    let refusal = Refusal::Malformed {
        why: format!("{code:?}"),
        advice: match code {
            ErrorCode::HttpRequestUriInvalid => "give it an authority, such as api.example.com",
            ErrorCode::HttpRequestBodySize(_) | ErrorCode::InternalError(_) => {
                "give it a `content-length` only with a body of that length"
            }
            ErrorCode::HttpProtocolError => "its scheme has to be http or https",
            _ => "see to its method, scheme, authority and headers",
        },
    };
    hooks.policy.count(refusal.result());
    refuse(&hooks.sink, &refusal);
    Ok(Err(code))
}

/// Of what can end a body, or refuse a request before it is begun.
fn code_of(error: &Error) -> Option<ErrorCode> {
    Some(match error {
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::HttpResponseHeaderSectionSize(size) => ErrorCode::HttpResponseTrailerSectionSize(*size),
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        Error::HttpRequestDenied => ErrorCode::HttpRequestDenied,
        Error::HttpRequestUriInvalid => ErrorCode::HttpRequestUriInvalid,
        Error::ConnectionLimitReached => ErrorCode::ConnectionLimitReached,
        _ => return None,
    })
}

const TYPES: &str = "wasi:http/types@0.2.12";
const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";
/// Requests of one call under way at a time.
const REQUESTS_MOST: usize = 16;
/// What a header takes in memory beside its bytes is up to so many times them.
const FIELD_OVERHEAD: usize = 8;
/// What one write of a body may bring.
const CHUNK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Under another version they would be added beside what they stand for.
    #[test]
    fn what_is_done_in_another_way_is_there_before() {
        let engine = wasmtime::Engine::default();
        let both = |linker: &mut Linker<HostState>, has_theirs: bool| {
            if has_theirs {
                wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker).unwrap();
            }
            let instances = [(TYPES, "http-error-code"), (HANDLER, "handle")];
            instances.map(|(instance, name)| {
                let added = linker.instance(instance).unwrap().func_wrap(name, |_, ()| Ok(()));
                added.is_ok()
            })
        };
        assert_eq!(both(&mut Linker::new(&engine), true), [false; 2]);
        assert_eq!(both(&mut Linker::new(&engine), false), [true; 2]);
    }
}
