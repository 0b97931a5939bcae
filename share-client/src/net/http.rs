//! One question to a web server: a form posted, a small answer read. No redirects, no proxies, nothing kept.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::Duplex;
use super::dial::Dial;
use super::tls::Secure;
use crate::config::Address;

/// What the server said.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Posts a form. `authorization` is the header's value.
pub(super) async fn post(
    dial: Dial,
    tls: &Secure,
    url: &str,
    authorization: &str,
    form: String,
    deadline: Instant,
) -> Result<Answer, String> {
    let uri: Uri = url.parse().map_err(|error| format!("it is no URL: {error}"))?;
    let is_secure = uri.scheme_str() != Some("http");
    let address = Address {
        host: uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
        port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
    };
    let stream = dial
        .connect(&address, deadline)
        .await
        .map_err(|failure| failure.to_string())?;
    let stream: Box<dyn Duplex> = if is_secure {
        Box::new(
            tls.handshake(&address, stream)
                .await
                .map_err(|failure| failure.to_string())?,
        )
    } else {
        Box::new(stream)
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, authorization)
        .body(Full::new(Bytes::from(form)))
        .map_err(|error| error.to_string())?;
    ask(stream, request).await
}

async fn ask(stream: Box<dyn Duplex>, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let failed = |error: hyper::Error| format!("no answer in HTTP: {error}");
    let builder = &mut http1::Builder::new();
    // What is read of a head, in bytes, at most.
    let handshake = builder.max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
        let body = body.map_err(|error| format!("an answer that cannot be read: {error}"))?;
        Ok(Answer {
            status,
            body: body.to_bytes().to_vec(),
        })
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // All that came is with the exchange by now.
        _ = connection => exchange.await,
    }
}

const HEAD_MAX: usize = 64 << 10;
const BODY_MAX: usize = 1 << 20;
