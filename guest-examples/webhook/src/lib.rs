//! Hands each record to a web server, signed. What the server answers becomes of the record: `README.md` has the table.
use std::fmt::Display;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sharemill_handler::{Outcome, Record, Release, Renew, Result, config, handler};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};

/// What is kept of a record that the server works on: where to ask for it.
#[derive(Deserialize, Serialize)]
struct Pending {
    location: String,
}

#[handler]
fn handle(record: Record) -> Result {
    let url = config::get("url")?.ok_or_else(|| later("grants.config has no url"))?;
    let (answer, place) = match record.checkpoint_json::<Pending>()? {
        None => (send(&Method::Post, &url, &record)?, url),
        Some(pending) => (send(&Method::Get, &pending.location, &record)?, pending.location),
    };
    let (status, headers) = (answer.status(), answer.headers());
    let header = |name| String::from_utf8(headers.get(name).pop()?).ok();
    let wait = header("retry-after").and_then(|seconds| Some(Duration::from_secs(seconds.trim().parse().ok()?)));
    Ok(match status {
        202 => {
            let location = header("location").map_or(place.clone(), |to| resolved(&place, &to));
            let renew = Renew::after(wait.unwrap_or(Duration::from_secs(1)));
            renew.checkpoint_json(&Pending { location })?.into()
        }
        200..=299 => Outcome::accept(),
        429 | 503 => {
            let release = wait.map_or_else(Release::backoff, Release::after);
            release.reason(said(status, &answer)).into()
        }
        400..=499 => Outcome::reject(said(status, &answer)),
        _ => Outcome::release(said(status, &answer)),
    })
}

/// Sends a signed request and waits for the head of the answer.
fn send(method: &Method, url: &str, record: &Record) -> Result<IncomingResponse> {
    let posted = record.value().filter(|_| matches!(method, Method::Post));
    let body = posted.unwrap_or_default();
    let key = config::get("SIGNING_KEY")?.ok_or_else(|| later("secrets has no SIGNING_KEY"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(later)?;
    mac.update(body);
    let signature: Vec<_> = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let field = |name: &str, value: String| (name.to_owned(), value.into_bytes());
    let headers = Fields::from_list(&[
        field("content-length", body.len().to_string()),
        field("idempotency-key", record.idempotency_key()),
        field("x-signature", format!("sha256={}", signature.concat())),
    ])?;
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    let request = OutgoingRequest::new(headers);
    let wrong = |()| later(format_args!("{url} is no URL"));
    request.set_method(method).map_err(wrong)?;
    request.set_scheme(Some(&scheme)).map_err(wrong)?;
    request.set_authority(Some(authority)).map_err(wrong)?;
    request.set_path_with_query(Some(path)).map_err(wrong)?;
    let outgoing = request.body().map_err(|()| later("no body"))?;
    let pending = outgoing_handler::handle(request, None)?;
    if let Ok(stream) = outgoing.write() {
        // A server may answer without reading everything.
        let mut parts = body.chunks(4096);
        let _ = parts.try_for_each(|part| stream.blocking_write_and_flush(part));
    }
    let _ = OutgoingBody::finish(outgoing, None);
    pending.subscribe().block();
    let answer = pending.get().ok_or_else(|| later("no answer"))?;
    Ok(answer.map_err(|()| later("no answer"))??)
}

fn later(why: impl Display) -> Release {
    Release::backoff().reason(why)
}

/// `Location` may be relative to the place that sent it.
fn resolved(place: &str, to: &str) -> String {
    let first = |count| place.split('/').take(count).collect::<Vec<_>>().join("/");
    match to {
        _ if to.contains("://") => to.to_owned(),
        _ if to.starts_with('/') => first(if to.starts_with("//") { 1 } else { 3 }) + to,
        _ => format!("{}/{to}", first((place.split('/').count() - 1).max(3))),
    }
}

/// The status, and the beginning of what the server said with it.
fn said(status: u16, answer: &IncomingResponse) -> String {
    let read = |body: IncomingBody| body.stream()?.blocking_read(900).map_err(drop);
    let text = answer.consume().and_then(read).unwrap_or_default();
    format!("the server said {status}: {}", String::from_utf8_lossy(&text).trim())
}
