//! Which servers are reached: those that are granted, at addresses that are public or granted.

use metrics_exporter_prometheus::PrometheusBuilder;
use sharemill::handler::CallControl;

use std::time::Duration;

use super::web::{Then, Web, answer};
use super::{Names, Reach, SOON, grant};

fn hello() -> Web {
    Web::start(|_, out| answer(out, "200 OK", &["x-server: test"], "hello"))
}

#[tokio::test]
async fn a_granted_request_goes_through() {
    let web = hello();
    let reach = Reach::new(vec![grant(&web.url(""), &["GET", "POST"], &[])], |_| {});
    assert_eq!(
        reach.told(&format!("http send GET {}", web.url("/a?b=c"))).await,
        "200 and 5 bytes"
    );
    assert_eq!(
        reach.told(&format!("http body {} 100000", web.url(""))).await,
        "200 and 5 bytes"
    );
    let asked = web.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("GET", "/a?b=c"));
    assert_eq!(
        asked[0].header("host"),
        Some(format!("127.0.0.1:{}", web.port()).as_str())
    );
    assert_eq!((asked[1].method.as_str(), asked[1].path.as_str()), ("POST", "/"));
    assert_eq!(asked[1].body.len(), 100_000);
    assert_eq!(reach.logged(&web), "");
}

#[tokio::test]
async fn what_is_not_granted_is_refused_and_said() {
    let (web, other) = (hello(), hello());
    let reach = Reach::new(vec![grant(&web.url(""), &["GET"], &[])], |_| {});
    let url = other.url("/secret?token=1");
    assert_eq!(
        reach.told(&format!("http send GET {url}")).await,
        "ErrorCode::HttpRequestDenied"
    );
    insta::assert_snapshot!(reach.logged(&other), @r#"Warn wasi:http: GET http://127.0.0.1:PORT is not granted: add { url = "http://127.0.0.1:PORT", methods = ["GET"] } to `grants.http`"#);
    assert_eq!(
        reach.told(&format!("http send POST {}", web.url("/"))).await,
        "ErrorCode::HttpRequestDenied"
    );
    insta::assert_snapshot!(reach.logged(&web), @"Warn wasi:http: the method POST is not granted for http://127.0.0.1:PORT, but GET: add it to `methods` in `grants.http`");
    for url in [
        format!("https://127.0.0.1:{}/", web.port()),
        format!("http://localhost:{}/", web.port()),
        format!("http://127.1:{}/", web.port()),
        format!("http://2130706433:{}/", web.port()),
        format!("http://0x7f000001:{}/", web.port()),
        format!("http://[::ffff:127.0.0.1]:{}/", web.port()),
        format!("http://127.0.0.1:{}@127.0.0.1:{}/", web.port(), other.port()),
        format!("http://evil@127.0.0.1:{}/", web.port()),
        format!("ftp://127.0.0.1:{}/", web.port()),
        "http:///".to_owned(),
    ] {
        let told = reach.told(&format!("http send GET {url}")).await;
        let refused = [
            "ErrorCode::HttpRequestDenied",
            "ErrorCode::HttpRequestUriInvalid",
            "ErrorCode::HttpProtocolError",
        ];
        let never_made = "ErrorCode::InternalError(Some(\"refused when it was made\"))";
        assert!(refused.contains(&told.as_str()) || told == never_made, "{url}: {told}");
    }
    assert!(web.asked().is_empty() && other.asked().is_empty());
}

/// Libraries look for room once more after the last byte, when the server may have it all and the request be over: they took the closed
/// stream for the answer.
#[tokio::test]
async fn a_body_can_be_written_to_its_end_whatever_becomes_of_the_request() {
    let web = hello();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = format!("http://{nobody}");
    let grants = vec![grant(&web.url(""), &["POST"], &[]), grant(&nobody, &["POST"], &[])];
    let reach = Reach::new(grants, |limits| limits.request_bytes = 200_000);
    for (bytes, way) in [
        (5, "announced"),
        (100_000, "announced"),
        (5, "chunks"),
        (100_000, "chunks"),
    ] {
        let there = reach
            .told(&format!("http write POST {} {bytes} {way}", web.url("/")))
            .await;
        assert_eq!(there, "Ok(()), Ok(true), Ok(()), 200 and 5 bytes", "{bytes} {way}");
        let nowhere = reach.told(&format!("http write POST {nobody}/ {bytes} {way}")).await;
        assert_eq!(
            nowhere, "Ok(()), Ok(true), Ok(()), ErrorCode::ConnectionRefused",
            "{bytes} {way}"
        );
    }
    assert_eq!(web.asked().len(), 4);
    for (bytes, way) in [(200_001, "announced"), (300_000, "chunks")] {
        let told = reach
            .told(&format!("http write POST {} {bytes} {way}", web.url("/")))
            .await;
        let size = if way == "announced" { bytes } else { told_size(&told) };
        let expected = format!("Ok(()), Ok(true), Ok(()), ErrorCode::HttpRequestBodySize(Some({size}))");
        assert_eq!(told, expected, "{bytes} {way}");
        assert!(size > 200_000, "{told}");
    }
    // What is refused before anything is begun is told at once.
    let denied = reach.told(&format!("http write PUT {} 5 chunks", web.url("/"))).await;
    assert_eq!(denied, "at once: Ok(Err(ErrorCode::HttpRequestDenied))");
}

/// How much was seen of a body without a length before it was too much.
fn told_size(told: &str) -> u64 {
    let (_, size) = told.rsplit_once("Some(").unwrap();
    size.trim_end_matches(')').parse().unwrap()
}

/// Each counts once while it waits, whatever else it holds.
#[tokio::test]
async fn a_call_may_have_sixteen_requests_under_way() {
    let web = Web::start(|_, _| Then::Hold);
    let reach = Reach::new(vec![grant(&web.url(""), &["GET"], &[])], |limits| {
        limits.connections = 1;
        (limits.connect_timeout, limits.first_byte_timeout) = (Duration::from_secs(3), Duration::from_secs(3));
    });
    for (requests, refused) in [(16, 0), (17, 1)] {
        reach.told(&format!("http crowd {} {requests}", web.url("/"))).await;
        let logged = reach.logged(&web);
        assert_eq!(
            logged.matches("16 requests under way").count(),
            refused,
            "{requests}: {logged}"
        );
        assert!(logged.contains("no connection to "), "they waited: {logged}");
    }
}

/// WASI lets a request do without a path.
#[tokio::test]
async fn a_request_without_a_path_asks_for_the_root() {
    let web = hello();
    let reach = Reach::new(vec![grant(&web.url(""), &["GET"], &[])], |_| {});
    let told = reach.told(&format!("http bare 127.0.0.1:{} 1", web.port())).await;
    assert_eq!(told, "200 and 5 bytes");
    assert_eq!(web.asked()[0].path, "/");
    assert_eq!(reach.logged(&web), "");
}

/// Also what never comes as far as the grants.
#[tokio::test]
async fn what_is_no_request_is_said() {
    let web = hello();
    let reach = Reach::new(vec![grant(&web.url(""), &["GET"], &[])], |_| {});
    let mut told = Vec::new();
    for command in ["bare - 1".to_owned(), format!("length 127.0.0.1:{} 5", web.port())] {
        let code = reach.told(&format!("http {command}")).await;
        told.push(format!("{code}\n{}", reach.logged(&web)));
    }
    insta::assert_snapshot!(told.join("\n"), @"
    ErrorCode::HttpRequestUriInvalid
    Warn wasi:http: a request cannot be sent (ErrorCode::HttpRequestUriInvalid): give it an authority, such as api.example.com
    ErrorCode::HttpRequestBodySize(Some(0))
    Warn wasi:http: a request cannot be sent (ErrorCode::HttpRequestBodySize(Some(0))): give it a `content-length` only with a body of that length
    ");
    assert!(web.asked().is_empty());
}

/// A URL where a path belongs, and headers that would say something else about where it goes.
#[tokio::test]
async fn neither_path_nor_headers_lead_elsewhere() {
    let web = hello();
    let reach = Reach::new(vec![grant(&web.url(""), &["GET"], &[])], |_| {});
    for path in ["http://evil.example/", "evil", "*", "//\u{7f}"] {
        assert_eq!(reach.told(&format!("http path {path}")).await, "Err(())", "{path}");
    }
    for name in [
        "host",
        "connection",
        "transfer-encoding",
        "upgrade",
        "proxy-authorization",
        "keep-alive",
    ] {
        let told = reach.told(&format!("http field {name} x")).await;
        assert_eq!(told, "Err(HeaderError::Forbidden)", "{name}");
    }
    assert_eq!(
        reach
            .told(&format!("http send GET {}", web.url("//evil.example/")))
            .await,
        "200 and 5 bytes"
    );
    assert_eq!(web.asked()[0].path, "//evil.example/");
}

#[tokio::test]
async fn a_redirect_is_another_request() {
    let other = hello();
    let (near, far) = ("/next".to_owned(), other.url("/"));
    let web = Web::start(move |asked, out| match asked.path.as_str() {
        "/near" => answer(
            out,
            "302 Found",
            &[&format!("location: http://{}{near}", asked.header("host").unwrap())],
            "",
        ),
        "/far" => answer(out, "307 Temporary Redirect", &[&format!("location: {far}")], ""),
        _ => answer(out, "200 OK", &[], "arrived"),
    });
    let reach = Reach::new(vec![grant(&web.url(""), &["GET"], &[])], |_| {});
    // The host follows nothing by itself.
    assert_eq!(
        reach.told(&format!("http send GET {}", web.url("/near"))).await,
        "302 and 0 bytes"
    );
    assert_eq!(web.asked().len(), 1);
    let told = reach.told(&format!("http follow {}", web.url("/near"))).await;
    assert_eq!(told, format!("302 to {}: 200 and 7 bytes", web.url("/next")));
    let told = reach.told(&format!("http follow {}", web.url("/far"))).await;
    assert_eq!(told, format!("307 to {}: ErrorCode::HttpRequestDenied", other.url("/")));
    assert!(other.asked().is_empty());
    insta::assert_snapshot!(reach.logged(&other), @r#"Warn wasi:http: GET http://127.0.0.1:PORT is not granted: add { url = "http://127.0.0.1:PORT", methods = ["GET"] } to `grants.http`"#);
}

#[tokio::test]
async fn a_name_leads_to_no_private_address() {
    let web = hello();
    let url = format!("http://api.example.com:{}", web.port());
    for (address, kind) in [
        ("127.0.0.1", "loopback"),
        ("10.1.2.3", "private"),
        ("169.254.169.254", "link-local"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "an IPv4 address in IPv6 form"),
        ("0.0.0.0", "unspecified"),
        ("fd00::1", "unique local"),
    ] {
        let names = Names::new(&[&[address]]);
        let reach = Reach::with_names(vec![grant(&url, &["GET"], &[])], |_| {}, names.clone());
        let told = reach.told(&format!("http send GET {url}/")).await;
        assert_eq!(told, "ErrorCode::DestinationIpProhibited", "{address}");
        assert_eq!(*names.asked.lock().unwrap(), ["api.example.com"]);
        let logged = reach.logged(&web);
        let line = format!(
            "Warn wasi:http: http://api.example.com:PORT has the address {address}, which is {kind}: name it in `addresses` of its \
             `grants.http` if that is meant"
        );
        assert_eq!(logged, line);
    }
    assert!(web.asked().is_empty());
}

#[tokio::test]
async fn an_address_that_is_granted_is_reached_by_name() {
    let web = hello();
    let url = format!("http://inside.example.com:{}", web.port());
    let names = Names::new(&[&["10.1.2.3", "127.0.0.1"]]);
    let reach = Reach::with_names(vec![grant(&url, &["GET"], &["127.0.0.0/8"])], |_| {}, names);
    assert_eq!(reach.told(&format!("http send GET {url}/")).await, "200 and 5 bytes");
    assert_eq!(
        web.asked()[0].header("host"),
        Some(url.strip_prefix("http://").unwrap())
    );
    // `localhost` names the loopback, whatever says so.
    let url = format!("http://localhost:{}", web.port());
    let local = Reach::with_names(vec![grant(&url, &["GET"], &[])], |_| {}, Names::new(&[&["127.0.0.1"]]));
    assert_eq!(local.told(&format!("http send GET {url}/")).await, "200 and 5 bytes");
    let elsewhere = Reach::with_names(vec![grant(&url, &["GET"], &[])], |_| {}, Names::new(&[&["10.0.0.1"]]));
    assert_eq!(
        elsewhere.told(&format!("http send GET {url}/")).await,
        "ErrorCode::DestinationIpProhibited"
    );
}

/// A name that has one address when it is checked and another one when it is used would reach what is private: it is asked for once.
#[tokio::test]
async fn what_is_checked_is_what_is_connected_to() {
    let web = hello();
    let url = format!("http://rebinding.example.com:{}", web.port());
    let names = Names::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let reach = Reach::with_names(vec![grant(&url, &["GET"], &["127.0.0.1"])], |_| {}, names.clone());
    assert_eq!(reach.told(&format!("http send GET {url}/")).await, "200 and 5 bytes");
    assert_eq!(names.asked.lock().unwrap().len(), 1);
    assert_eq!(
        reach.told(&format!("http send GET {url}/")).await,
        "ErrorCode::DestinationIpProhibited"
    );
    assert_eq!(names.asked.lock().unwrap().len(), 2);
    assert_eq!(web.asked().len(), 1);
}

/// Each once, whatever its status and however it ended.
#[tokio::test]
async fn requests_are_counted_by_what_came_of_them() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let _installed = metrics::set_default_local_recorder(&recorder);
    let mut web = Web::start(|asked, out| match asked.path.as_str() {
        "/silent" => Then::Hold,
        "/ssh" => {
            let _ = out.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n");
            Then::Close
        }
        "/half" => {
            let _ = out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
            Then::Close
        }
        _ => answer(out, "503 Service Unavailable", &[], "not now"),
    });
    let url = |path: &str| web.url(path);
    let reach = Reach::new(vec![grant(&url(""), &["GET", "POST"], &[])], |limits| {
        limits.request_bytes = 1 << 10;
    });
    for command in [
        format!("http send GET {}", url("/")),
        format!("http body {} 1024", url("/")),
        format!("http send GET {}", url("/ssh")),
        format!("http send DELETE {}", url("/")),
        "http send GET http://elsewhere.example.com/".to_owned(),
        format!("http body {} 1025", url("/")),
        // A head without the body that it announces.
        format!("http send GET {}", url("/half")),
        "http bare - 1".to_owned(),
    ] {
        reach.told(&command).await;
    }
    let late = format!("http send GET {}", url("/silent"));
    reach.call(&late, &CallControl::new(SOON)).await;
    // The last one, too, is over when its connection is.
    for _ in 0..6 {
        web.ended().await;
    }
    let page = shown.render();
    let mut counted: Vec<&str> = page.lines().filter(|line| line.contains("http_requests")).collect();
    counted.sort_unstable();
    insta::assert_snapshot!(counted.join("\n"), @r#"
    # TYPE sharemill_http_requests_total counter
    sharemill_http_requests_total{deployment="reach",result="answered"} 2
    sharemill_http_requests_total{deployment="reach",result="failed"} 3
    sharemill_http_requests_total{deployment="reach",result="refused"} 4
    "#);
}
