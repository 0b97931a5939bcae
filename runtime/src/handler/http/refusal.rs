//! Why a request came to nothing, twice: as the error code that the handler gets, and as the line that people read, with value, limit
//! and way out.

use std::net::IpAddr;
use std::time::Duration;

use wasmtime_wasi_http::Error;

use crate::config::{WebOrigin, format_duration};

/// A request that was refused, stopped or lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "{method} {origin} is not granted: add {{ url = \"{origin}\", methods = [\"{method}\"] }} to `grants.http`"
    )]
    NotGranted { method: String, origin: WebOrigin },
    #[error("the method {method} is not granted for {origin}, but {granted}: add it to `methods` in `grants.http`")]
    Method {
        method: String,
        origin: WebOrigin,
        granted: String,
    },
    #[error("{what}: send a path, and as authority a name or an address with a port, if any")]
    NoTarget { what: String },
    #[error("a request cannot be sent ({why}): {advice}")]
    Malformed { why: String, advice: &'static str },
    #[error(
        "{origin} has the address {address}, which is {kind}: name it in `addresses` of its `grants.http` if that is meant"
    )]
    Address {
        origin: WebOrigin,
        address: IpAddr,
        kind: &'static str,
    },
    #[error("no address of {origin} is known: {why}")]
    Unknown { origin: WebOrigin, why: String },
    #[error("this call has {limit} requests under way, the limit: end one before the next")]
    PerCall { limit: usize },
    #[error(
        "no connection to {origin} was free within {}: this deployment has {limit}, raise `http.connections`, or lower `concurrency`",
        format_duration(*.within)
    )]
    Connections {
        origin: WebOrigin,
        limit: u32,
        within: Duration,
    },
    #[error("cannot connect to {origin}: {why}")]
    Connect { origin: WebOrigin, why: std::io::Error },
    #[error("no TLS with {origin}: {why}")]
    Tls { origin: WebOrigin, why: std::io::Error },
    #[error("no connection to {origin} within {}: raise `http.connect-timeout`, or what the handler asks for", format_duration(*.within))]
    ConnectTimeout { origin: WebOrigin, within: Duration },
    #[error("no response from {origin} within {}: raise `http.first-byte-timeout`, or what the handler asks for", format_duration(*.within))]
    FirstByteTimeout { origin: WebOrigin, within: Duration },
    #[error("no more of the response from {origin} within {}: raise `http.between-bytes-timeout`, or what the handler asks for", format_duration(*.within))]
    BetweenBytesTimeout { origin: WebOrigin, within: Duration },
    #[error(
        "the head of a request to {origin} has {size} bytes, above the limit of {limit}: raise `http.header-bytes`"
    )]
    RequestHead { origin: WebOrigin, size: u64, limit: u64 },
    #[error(
        "the body of a request to {origin} has {size} bytes or more, above the limit of {limit}: raise `http.request-bytes`"
    )]
    RequestBody { origin: WebOrigin, size: u64, limit: u64 },
    #[error(
        "the head of a response from {origin} is above the limit of {limit} bytes or {HEADERS_MOST} headers: raise `http.header-bytes`"
    )]
    ResponseHead { origin: WebOrigin, limit: u64 },
    #[error(
        "the body of a response from {origin} has {size} bytes or more, above the limit of {limit}: raise `http.response-bytes`"
    )]
    ResponseBody { origin: WebOrigin, size: u64, limit: u64 },
    #[error("the response from {origin} is not HTTP: {why}")]
    Protocol { origin: WebOrigin, why: String },
    #[error("{origin} ended the connection: {why}")]
    Ended { origin: WebOrigin, why: String },
    #[error("the body of a request to {origin} was not finished")]
    Unfinished { origin: WebOrigin },
    /// Nobody waits for it.
    #[error("the call that the request to {origin} belongs to is over")]
    CallOver { origin: WebOrigin },
}

/// Headers of a response at most.
pub(super) const HEADERS_MOST: usize = 256;

impl Refusal {
    /// What the metrics have it under.
    pub(super) fn result(&self) -> &'static str {
        match self {
            Self::NotGranted { .. }
            | Self::Method { .. }
            | Self::NoTarget { .. }
            | Self::Malformed { .. }
            | Self::Address { .. }
            | Self::PerCall { .. }
            | Self::Connections { .. }
            | Self::RequestHead { .. }
            | Self::RequestBody { .. } => "refused",
            Self::Unknown { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::ConnectTimeout { .. }
            | Self::FirstByteTimeout { .. }
            | Self::BetweenBytesTimeout { .. }
            | Self::ResponseHead { .. }
            | Self::ResponseBody { .. }
            | Self::Protocol { .. }
            | Self::Ended { .. }
            | Self::Unfinished { .. }
            | Self::CallOver { .. } => "failed",
        }
    }

    /// What the handler gets.
    pub(super) fn code(&self) -> Error {
        match self {
            Self::NotGranted { .. } | Self::Method { .. } => Error::HttpRequestDenied,
            Self::NoTarget { .. } => Error::HttpRequestUriInvalid,
            Self::Address { .. } => Error::DestinationIpProhibited,
            Self::Unknown { why, .. } => Error::DnsError {
                rcode: Some(why.clone()),
                info_code: None,
            },
            Self::PerCall { .. } | Self::Connections { .. } => Error::ConnectionLimitReached,
            Self::Connect { why, .. } if why.kind() == std::io::ErrorKind::ConnectionRefused => {
                Error::ConnectionRefused
            }
            Self::Connect { .. } => Error::DestinationUnavailable,
            Self::Tls { why, .. } => tls_code(why),
            Self::ConnectTimeout { .. } => Error::ConnectionTimeout,
            Self::FirstByteTimeout { .. } => Error::HttpResponseTimeout,
            Self::BetweenBytesTimeout { .. } => Error::ConnectionReadTimeout,
            Self::RequestHead { size, .. } => Error::HttpRequestHeaderSectionSize(u32::try_from(*size).ok()),
            Self::RequestBody { size, .. } => Error::HttpRequestBodySize(Some(*size)),
            Self::ResponseHead { limit, .. } => Error::HttpResponseHeaderSectionSize(u32::try_from(*limit).ok()),
            Self::ResponseBody { size, .. } => Error::HttpResponseBodySize(Some(*size)),
            Self::Malformed { .. } | Self::Protocol { .. } => Error::HttpProtocolError,
            Self::Ended { .. } | Self::CallOver { .. } => Error::ConnectionTerminated,
            Self::Unfinished { .. } => Error::HttpRequestBodySize(None),
        }
    }
}

fn tls_code(why: &std::io::Error) -> Error {
    let inner = why
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<tokio_rustls::rustls::Error>());
    match inner {
        Some(tokio_rustls::rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
        Some(tokio_rustls::rustls::Error::AlertReceived(alert)) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        _ => Error::TlsProtocolError,
    }
}
