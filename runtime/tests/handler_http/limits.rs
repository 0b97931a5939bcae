//! How much and how long: connections, heads, bodies, times; and that nothing outlives its call.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use sharemill::handler::{CallControl, CallEnd, CancelReason, Outcome};

use super::web::{Then, Web, answer};
use super::{AMPLE, Names, Reach, SOON, grant, input};

fn granted(web: &Web) -> Vec<sharemill::config::HttpGrant> {
    vec![grant(&web.url(""), &["GET", "POST"], &[])]
}

/// Says nothing until the client goes.
fn silent() -> Web {
    Web::start(|_, _| Then::Hold)
}

#[tokio::test]
async fn the_body_of_a_request_has_a_limit() {
    let web = Web::start(|_, out| answer(out, "200 OK", &[], ""));
    let reach = Reach::new(granted(&web), |limits| limits.request_bytes = 64 << 10);
    assert_eq!(
        reach.told(&format!("http body {} 65536", web.url("/"))).await,
        "200 and 0 bytes"
    );
    let told = reach.told(&format!("http body {} 65537", web.url("/"))).await;
    assert!(told.starts_with("ErrorCode::HttpRequestBodySize(Some(65537"), "{told}");
    assert_eq!(web.asked().len(), 1, "half a request is none");
    insta::assert_snapshot!(reach.logged(&web), @"Warn wasi:http: the body of a request to http://127.0.0.1:PORT has 65537 bytes or more, above the limit of 65536: raise `http.request-bytes`");
}

#[tokio::test]
async fn the_body_of_a_response_has_a_limit() {
    let mut web = Web::start(|asked, out| {
        if asked.path == "/fits" {
            return answer(out, "200 OK", &[], &"x".repeat(64 << 10));
        }
        let _ = write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while write!(out, "400\r\n{}\r\n", "x".repeat(1 << 10)).is_ok() {}
        Then::Close
    });
    let reach = Reach::new(granted(&web), |limits| limits.response_bytes = 64 << 10);
    assert_eq!(
        reach.told(&format!("http send GET {}", web.url("/fits"))).await,
        "200 and 65536 bytes"
    );
    let told = reach.told(&format!("http send GET {}", web.url("/endless"))).await;
    assert!(
        told.contains(" bytes, then Some(ErrorCode::HttpResponseBodySize(Some("),
        "{told}"
    );
    let logged = reach.logged(&web);
    // As much of it as had come when it was too much.
    let (before, rest) = logged.split_once(" has ").unwrap();
    let (size, after) = rest.split_once(' ').unwrap();
    assert!(size.parse::<u64>().unwrap() > 65_536, "{logged}");
    insta::assert_snapshot!(format!("{before} has N {after}"), @"Warn wasi:http: the body of a response from http://127.0.0.1:PORT has N bytes or more, above the limit of 65536: raise `http.response-bytes`");
    // What is not read is not kept going either.
    web.ended().await;
    web.ended().await;
}

#[tokio::test]
async fn heads_have_a_limit() {
    let web = Web::start(|asked, out| match asked.path.as_str() {
        "/many" => {
            let many: Vec<String> = (0..300).map(|n| format!("x-{n}: 1")).collect();
            answer(out, "200 OK", &many.iter().map(String::as_str).collect::<Vec<_>>(), "")
        }
        "/large" => answer(out, "200 OK", &[&format!("x: {}", "x".repeat(20_000))], ""),
        _ => {
            let _ = out.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n");
            Then::Close
        }
    });
    let reach = Reach::new(granted(&web), |_| {});
    for path in ["/many", "/large"] {
        let told = reach.told(&format!("http send GET {}", web.url(path))).await;
        assert_eq!(told, "ErrorCode::HttpResponseHeaderSectionSize(Some(16384))", "{path}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(reach.logged(&web), @"Warn wasi:http: the head of a response from http://127.0.0.1:PORT is above the limit of 16384 bytes or 256 headers: raise `http.header-bytes`");
        }
    }
    let told = reach.told(&format!("http send GET {}", web.url("/ssh"))).await;
    assert_eq!(told, "ErrorCode::HttpProtocolError");
    let path = "/p".repeat(9_000);
    let told = reach.told(&format!("http send GET {}", web.url(&path))).await;
    assert!(
        told.starts_with("ErrorCode::HttpRequestHeaderSectionSize(Some(180"),
        "{told}"
    );
    let report = reach.call("http headers 1000000", &CallControl::new(AMPLE)).await;
    let limit = CallEnd::Limit {
        what: "bytes of HTTP headers",
        value: 16385,
        limit: 16384,
    };
    assert_eq!(report.end, limit);
}

#[tokio::test]
async fn waiting_has_a_limit() {
    let mut web = Web::start(|asked, out| {
        if asked.path == "/slow" {
            let _ = write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
            let _ = out.flush();
        }
        Then::Hold
    });
    let reach = Reach::new(granted(&web), |limits| {
        limits.first_byte_timeout = SOON;
        limits.between_bytes_timeout = SOON;
    });
    let told = reach.told(&format!("http send GET {}", web.url("/silent"))).await;
    assert_eq!(told, "ErrorCode::HttpResponseTimeout");
    insta::assert_snapshot!(reach.logged(&web), @"Warn wasi:http: no response from http://127.0.0.1:PORT within 100ms: raise `http.first-byte-timeout`, or what the handler asks for");
    let told = reach.told(&format!("http send GET {}", web.url("/slow"))).await;
    assert_eq!(told, "200 and 5 bytes, then Some(ErrorCode::ConnectionReadTimeout)");
    insta::assert_snapshot!(reach.logged(&web), @"Warn wasi:http: no more of the response from http://127.0.0.1:PORT within 100ms: raise `http.between-bytes-timeout`, or what the handler asks for");
    web.ended().await;
    web.ended().await;
    // A name that nobody answers for.
    let nowhere = Reach::with_names(
        vec![grant("http://nowhere.example.com", &["GET"], &[])],
        |limits| limits.connect_timeout = SOON,
        Names::new(&[]),
    );
    let told = nowhere.told("http send GET http://nowhere.example.com/").await;
    assert_eq!(told, "ErrorCode::ConnectionTimeout");
    insta::assert_snapshot!(nowhere.logged(&web), @"Warn wasi:http: no connection to http://nowhere.example.com within 100ms: raise `http.connect-timeout`, or what the handler asks for");
    // No time at all is little, and no more.
    let told = reach.told(&format!("http hurry {}", web.url("/silent"))).await;
    assert!(
        ["ConnectionTimeout", "ConnectionLimitReached", "HttpResponseTimeout"]
            .contains(&told.trim_start_matches("ErrorCode::")),
        "{told}"
    );
}

#[tokio::test]
async fn nobody_there_is_said() {
    let web = silent();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    let reach = Reach::new(vec![grant(&url, &["GET"], &[])], |_| {});
    assert_eq!(
        reach.told(&format!("http send GET {url}/")).await,
        "ErrorCode::ConnectionRefused"
    );
    let logged = reach.logged(&web);
    assert!(logged.contains(&format!("cannot connect to {url}: ")), "{logged}");
}

#[tokio::test]
async fn connections_are_so_many_and_no_more() {
    // The two that may be there at a time meet.
    let two = Arc::new(Barrier::new(2));
    let most = Arc::new(Mutex::new((0, 0)));
    let (meet, count) = (two.clone(), most.clone());
    let web = Web::start(move |_, out| {
        {
            let mut count = count.lock().unwrap();
            count.0 += 1;
            count.1 = count.1.max(count.0);
        }
        meet.wait();
        count.lock().unwrap().0 -= 1;
        answer(out, "200 OK", &[], "")
    });
    let reach = Reach::new(granted(&web), |limits| limits.connections = 2);
    assert_eq!(
        reach.told(&format!("http many {} 16", web.url("/"))).await,
        "200 and 0 bytes"
    );
    assert_eq!(most.lock().unwrap().1, 2);
    assert_eq!(web.asked().len(), 16);
    // Those of one call that are too many are refused at once.
    let told = reach.told(&format!("http many {} 18", web.url("/"))).await;
    assert_eq!(told, "200 and 0 bytes; ErrorCode::ConnectionLimitReached");
    insta::assert_snapshot!(reach.logged(&web), @"
    Warn wasi:http: this call has 16 requests under way, the limit: end one before the next
    Warn wasi:http: this call has 16 requests under way, the limit: end one before the next
    ");
}

#[tokio::test]
async fn who_finds_no_free_connection_is_told() {
    let web = silent();
    let reach = Reach::new(granted(&web), |limits| {
        limits.connections = 1;
        limits.connect_timeout = SOON;
        limits.first_byte_timeout = SOON * 4;
    });
    let told = reach.told(&format!("http many {} 2", web.url("/"))).await;
    assert_eq!(
        told,
        "ErrorCode::HttpResponseTimeout; ErrorCode::ConnectionLimitReached"
    );
    insta::assert_snapshot!(reach.logged(&web), @"
    Warn wasi:http: no connection to http://127.0.0.1:PORT was free within 100ms: this deployment has 1, raise `http.connections`, or lower `concurrency`
    Warn wasi:http: no response from http://127.0.0.1:PORT within 400ms: raise `http.first-byte-timeout`, or what the handler asks for
    ");
}

#[tokio::test]
async fn a_request_ends_with_its_call() {
    let mut web = silent();
    let reach = Reach::new(granted(&web), |_| {});
    // Out of time.
    let began = Instant::now();
    let report = reach
        .call(&format!("http send GET {}", web.url("/")), &CallControl::new(SOON))
        .await;
    assert_eq!(report.end, CallEnd::Deadline { limit: SOON });
    assert!(began.elapsed() < Duration::from_secs(10));
    web.ended().await;
    // Cancelled, once the server has it.
    let (there, came) = channel();
    let there = Mutex::new(there);
    let mut telling = Web::start(move |_, _| {
        let _ = there.lock().unwrap().send(());
        Then::Hold
    });
    let reach = Reach::new(granted(&telling), |_| {});
    let control = CallControl::new(AMPLE);
    let cancel = control.clone();
    let canceller = std::thread::spawn(move || {
        came.recv().unwrap();
        cancel.cancel(CancelReason::LeaseLost, Duration::ZERO);
    });
    let report = reach
        .call(&format!("http send GET {}", telling.url("/")), &control)
        .await;
    assert_eq!(report.end, CallEnd::Cancelled);
    canceller.join().unwrap();
    telling.ended().await;
}

/// An instance that goes on has nothing left of the requests of an earlier record.
#[tokio::test]
async fn what_a_handler_leaves_ends_with_its_call() {
    let web = Web::start(|asked, out| match asked.path.as_str() {
        "/silent" => Then::Hold,
        _ => answer(out, "200 OK", &[], ""),
    });
    let reach = Reach::new(granted(&web), |limits| limits.connections = 1);
    let mut instance = reach.instance().await;
    let rejected = |reason: &str| {
        CallEnd::Outcome(Outcome::Reject {
            reason: Some(reason.to_owned()),
        })
    };
    for _ in 0..20 {
        let left = format!("http leave {}", web.url("/silent"));
        let report = instance.call(input(&left), &CallControl::new(AMPLE)).await;
        assert_eq!(report.end, rejected("left"));
        // The one connection is free again.
        let sent = format!("http send GET {}", web.url("/"));
        let report = instance.call(input(&sent), &CallControl::new(AMPLE)).await;
        assert_eq!(report.end, rejected("200 and 0 bytes"));
    }
    assert_eq!(reach.logged(&web), "");
}
