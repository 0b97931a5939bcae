//! Requests that a host must refuse, bound or end.
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use wasip2::io::poll;
use wasip2::io::streams::StreamError;

/// What came of the command.
pub(crate) fn run(words: &[&str]) -> String {
    match words {
        ["send", method, url] => ended(start(method, url, 0, None)),
        ["body", url, bytes] => ended(start("POST", url, bytes.parse().unwrap_or(1), None)),
        ["follow", url] => follow(url),
        ["headers", count] => headers(count.parse().unwrap_or(1)),
        ["many", url, count] => many(url, count.parse().unwrap_or(1)),
        ["crowd", url, count] => crowd(url, count.parse().unwrap_or(1)),
        ["bare", authority, times] => bare(authority, times.parse().unwrap_or(1)),
        ["write", method, url, bytes, is_announced] => write(method, url, bytes.parse().unwrap_or(1), is_announced),
        ["length", authority, bytes] => length(authority, bytes),
        ["hurry", url] => ended(start("GET", url, 0, Some(0))),
        ["leave", url] => {
            // Neither waited for nor dropped.
            std::mem::forget(start("GET", url, 0, None));
            "left".to_owned()
        }
        ["path", path] => {
            let request = OutgoingRequest::new(Fields::new());
            format!("{:?}", request.set_path_with_query(Some(path)))
        }
        ["field", name, value] => {
            let fields = Fields::new();
            format!("{:?}", fields.append(name, value.as_bytes()))
        }
        _ => "unknown command".to_owned(),
    }
}

fn request(method: &str, url: &str, fields: Fields) -> (OutgoingRequest, Result<(), ()>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    let request = OutgoingRequest::new(fields);
    let set = request
        .set_method(&method)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    (request, set)
}

fn start(method: &str, url: &str, bytes: usize, nanos: Option<u64>) -> Result<FutureIncomingResponse, ErrorCode> {
    let (request, set) = request(method, url, Fields::new());
    set.map_err(|()| ErrorCode::InternalError(Some("refused when it was made".to_owned())))?;
    let options = nanos.map(|nanos| {
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(Some(nanos));
        let _ = options.set_first_byte_timeout(Some(nanos));
        let _ = options.set_between_bytes_timeout(Some(nanos));
        options
    });
    let body = (bytes > 0).then(|| request.body().ok()).flatten();
    let pending = outgoing_handler::handle(request, options)?;
    if let Some(body) = body {
        if let Ok(stream) = body.write() {
            let _ = vec![b'x'; bytes]
                .chunks(4096)
                .try_for_each(|part| stream.blocking_write_and_flush(part));
        }
        let _ = OutgoingBody::finish(body, None);
    }
    Ok(pending)
}

/// A secret wherever a request has room for one: to a server of that name, whom nobody knows, or to the one that is named, whose answer
/// is told.
pub(crate) fn tell(secret: &str, server: Option<&str>) -> String {
    let line: String = secret.split_whitespace().collect();
    let (authority, place) = server
        .and_then(|server| server.split_once('/'))
        .unwrap_or((line.as_str(), "nobody"));
    let headers = [
        ("authorization".to_owned(), line.clone().into_bytes()),
        ("x-key".to_owned(), line.clone().into_bytes()),
    ];
    let Ok(headers) = Fields::from_list(&headers) else {
        return "no headers".to_owned();
    };
    let request = OutgoingRequest::new(headers);
    let set = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&Scheme::Http)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(&format!("/{place}/{line}?key={line}"))));
    let body = request.body().ok();
    let pending = outgoing_handler::handle(request, None);
    if let Some(body) = body.filter(|_| pending.is_ok()) {
        if let Ok(stream) = body.write() {
            let _ = stream.blocking_write_and_flush(secret.as_bytes());
        }
        let _ = OutgoingBody::finish(body, None);
    }
    match response(pending) {
        Ok(response) => {
            let entries = response.headers().entries();
            let headers: Vec<String> = entries
                .iter()
                .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
                .collect();
            let mut bytes = Vec::new();
            let end = read(&response, |part| bytes.extend(part));
            let text = String::from_utf8_lossy(&bytes);
            format!("{} with {}; {text}, {end}", response.status(), headers.join(", "))
        }
        Err(code) => format!("{set:?}, {code:?}"),
    }
}

/// As `many`, and the host has its turn after each is begun.
fn crowd(url: &str, count: usize) -> String {
    let mut pending = Vec::new();
    for _ in 0..count {
        pending.push(start("GET", url, 0, None));
        monotonic_clock::subscribe_duration(5_000_000).block();
    }
    let mut told: Vec<String> = pending.into_iter().map(ended).collect();
    told.dedup();
    told.join("; ")
}

/// Requests that say nothing of a path: what came of the last one.
fn bare(authority: &str, times: u32) -> String {
    let mut told = String::new();
    for _ in 0..times {
        let request = OutgoingRequest::new(Fields::new());
        let set = request.set_scheme(Some(&Scheme::Http));
        let _ = set.and_then(|()| request.set_authority(Some(authority).filter(|text| *text != "-")));
        told = ended(outgoing_handler::handle(request, None));
    }
    told
}

/// A body to its end, whatever becomes of the request, and then one look whether there is room for more: what each of them came to.
fn write(method: &str, url: &str, bytes: usize, is_announced: &str) -> String {
    let fields = Fields::new();
    if is_announced == "announced" {
        let _ = fields.append("content-length", bytes.to_string().as_bytes());
    }
    let (request, set) = request(method, url, fields);
    let Ok(body) = request.body() else {
        return "no body".to_owned();
    };
    let pending = match set.map(|()| outgoing_handler::handle(request, None)) {
        Ok(Ok(pending)) => pending,
        refused => return format!("at once: {refused:?}"),
    };
    let Ok(stream) = body.write() else {
        return "no stream".to_owned();
    };
    let mut told = Vec::new();
    for part in vec![b'x'; bytes].chunks(4096) {
        told.push(format!("{:?}", stream.blocking_write_and_flush(part)));
    }
    told.dedup();
    // Without a length nothing but its end says that the body is whole.
    if is_announced == "announced" {
        pending.subscribe().block();
    }
    told.push(format!("{:?}", stream.check_write().map(|room| room > 0)));
    drop(stream);
    told.push(format!("{:?}", OutgoingBody::finish(body, None)));
    told.push(ended(Ok(pending)));
    told.join(", ")
}

/// A request without a body, and with a length of one.
fn length(authority: &str, bytes: &str) -> String {
    let fields = Fields::new();
    let _ = fields.append("content-length", bytes.as_bytes());
    let request = OutgoingRequest::new(fields);
    let set = request.set_scheme(Some(&Scheme::Http));
    let _ = set.and_then(|()| request.set_authority(Some(authority)));
    ended(outgoing_handler::handle(request, None))
}

fn response(pending: Result<FutureIncomingResponse, ErrorCode>) -> Result<IncomingResponse, ErrorCode> {
    let pending = pending?;
    pending.subscribe().block();
    match pending.get() {
        Some(Ok(answer)) => answer,
        _ => Err(ErrorCode::InternalError(Some("no answer".to_owned()))),
    }
}

fn ended(pending: Result<FutureIncomingResponse, ErrorCode>) -> String {
    match response(pending) {
        Ok(response) => {
            let mut bytes = 0;
            let end = read(&response, |part| bytes += part.len());
            format!("{} and {bytes} {end}", response.status())
        }
        Err(code) => format!("{code:?}"),
    }
}

/// How the body ended.
fn read(response: &IncomingResponse, mut part: impl FnMut(Vec<u8>)) -> String {
    let Ok(body) = response.consume() else {
        return "no body".to_owned();
    };
    let end = {
        let Ok(stream) = body.stream() else {
            return "no stream".to_owned();
        };
        loop {
            match stream.blocking_read(64 << 10) {
                Ok(bytes) => part(bytes),
                Err(StreamError::Closed) => break "bytes".to_owned(),
                Err(StreamError::LastOperationFailed(error)) => {
                    break format!("bytes, then {:?}", http_error_code(&error));
                }
            }
        }
    };
    drop(IncomingBody::finish(body));
    end
}

/// As a client that follows redirects does, which is another request.
fn follow(url: &str) -> String {
    let first = match response(start("GET", url, 0, None)) {
        Ok(first) => first,
        Err(code) => return format!("{code:?}"),
    };
    let to = first.headers().get("location").pop().unwrap_or_default();
    let to = String::from_utf8_lossy(&to).into_owned();
    let status = first.status();
    drop(first);
    format!("{status} to {to}: {}", ended(start("GET", &to, 0, None)))
}

fn headers(count: u32) -> String {
    let fields = Fields::new();
    for n in 0..count {
        if let Err(error) = fields.append(&format!("x-{n}"), b"value") {
            return format!("{n} headers, then {error:?}");
        }
    }
    format!("{count} headers")
}

/// All at once: what became of each, in order, without repetitions.
fn many(url: &str, count: usize) -> String {
    let pending: Vec<_> = (0..count).map(|_| start("GET", url, 0, None)).collect();
    let waiting: Vec<_> = pending
        .iter()
        .flatten()
        .map(FutureIncomingResponse::subscribe)
        .collect();
    for one in &waiting {
        poll::poll(&[one]);
    }
    drop(waiting);
    let mut told: Vec<String> = pending.into_iter().map(ended).collect();
    told.dedup();
    told.join("; ")
}
