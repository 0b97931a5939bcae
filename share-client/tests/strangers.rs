//! Peers that are no brokers, or not the right ones, or say what no broker says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use proptest::prelude::*;
use rcgen::{CertificateParams, date_time_ymd};
use share_client::net::{Connector, Failure};
use share_wire::kafka::MetadataRequest;
use support::{Authority, config, connect, file, refused, server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Answers whatever it is asked with these bytes, and closes the connection.
async fn says(bytes: Vec<u8>) -> String {
    let port = server(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await;
            if read.is_ok() && stream.write_all(&bytes).await.is_ok() {
                drop(stream.shutdown().await);
                // What is closed before all of it was read is reset.
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
            }
        }
    });
    format!("127.0.0.1:{}", port.await)
}

#[tokio::test]
async fn other_servers_are_told_apart() {
    for (bytes, words) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "it is a web server, not a Kafka broker; is the port right?",
        ),
        (
            b"-ERR unknown command\r\n",
            "it is not a Kafka broker; is the port right? It sent \"-ERR unknown command",
        ),
        (
            b"\x15\x03\x03\x00\x02\x02\x46",
            "it speaks TLS: security.protocol has to be SSL or SASL_SSL",
        ),
        (b"", "is security.protocol SSL or SASL_SSL meant?"),
    ] {
        let address = says(bytes.to_vec()).await;
        let error = refused(&[("bootstrap.servers", &address)]).await.to_string();
        assert!(
            error.starts_with(&format!("{address}: ")) && error.contains(words),
            "{error}"
        );
    }
    let address = says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    let error = refused(&[
        ("bootstrap.servers", &address),
        ("security.protocol", "SSL"),
        ("ssl.ca.pem", Authority::new("a").pem()),
    ])
    .await;
    assert!(error.to_string().contains("it does not speak TLS"), "{error}");
}

#[tokio::test]
async fn names_and_ports_that_are_not_there_are_told() {
    let error = refused(&[("bootstrap.servers", "no-such-host.invalid:9092")]).await;
    assert!(matches!(error.failure, Failure::Resolve { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("no-such-host.invalid:9092: the name cannot be resolved: "),
        "{error}"
    );
    let error = refused(&[("bootstrap.servers", "127.0.0.1:9092"), ("broker.address.family", "v6")]).await;
    assert!(
        error
            .to_string()
            .contains("it has no address of version 6, and broker.address.family is v6"),
        "{error}"
    );
}

#[tokio::test]
async fn silence_has_an_end() {
    let port = server(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    });
    let address = format!("127.0.0.1:{}", port.await);
    let short = [
        ("bootstrap.servers", address.as_str()),
        ("socket.connection.setup.timeout.ms", "1000"),
    ];
    let error = refused(&short).await.to_string();
    assert_eq!(
        error,
        format!("{address}: the answer to the first request (ApiVersions) took longer than 1 s")
    );
    let authority = Authority::new("a");
    let tls = [("security.protocol", "SSL"), ("ssl.ca.pem", authority.pem())];
    let error = refused(&[&short[..], &tls].concat()).await.to_string();
    assert_eq!(error, format!("{address}: the TLS handshake took longer than 1 s"));
}

/// The bytes of a broker's answer to `ApiVersions` in version 4, with two requests.
fn versions(correlation: i32) -> Vec<u8> {
    let mut body = correlation.to_be_bytes().to_vec();
    body.extend([0, 0, 3]);
    for (key, least, newest) in [(3_i16, 0_i16, 12_i16), (18, 0, 4)] {
        for number in [key, least, newest] {
            body.extend(number.to_be_bytes());
        }
        body.push(0);
    }
    body.extend([0, 0, 0, 0, 0]);
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_the_connection_broken() {
    let port = server(|mut stream| async move {
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(&versions(0)).await.unwrap();
        std::future::pending::<()>().await;
    });
    let address = format!("127.0.0.1:{}", port.await);
    let mut connection = connect(&[("bootstrap.servers", &address)]).await.unwrap();
    let request = MetadataRequest::default();
    let limit = Duration::from_millis(20);
    let error = connection.call_within(&request, limit).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address}: the answer to Metadata took longer than 20 ms")
    );
    assert!(error.may_have_arrived() && connection.is_broken());

    let mut connection = connect(&[("bootstrap.servers", &address)]).await.unwrap();
    let dropped = tokio::time::timeout(limit, connection.call(&request));
    assert!(dropped.await.is_err());
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    let words = "the connection is closed: Metadata was given up before its answer was there";
    assert_eq!(error.to_string(), format!("{address}: {words}"));
}

/// A server with a certificate, to which nobody talks after the handshake.
async fn secured(authority: &Authority, params: &CertificateParams) -> u16 {
    let acceptor = authority.signs(params).acceptor();
    server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut request = [0; 1024];
                if stream.read(&mut request).await.is_ok() {
                    drop(stream.write_all(&versions(0)).await);
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn certificates_are_held_against_time_and_name() {
    let authority = Authority::new("a");
    let line = [("security.protocol", "SSL"), ("ssl.ca.pem", authority.pem())];
    let params = |name: &str| CertificateParams::new([name.to_owned()]).unwrap();
    let port = secured(&authority, &params("kafka.example.com")).await;
    let address = format!("127.0.0.1:{port}");
    let there = [&line[..], &[("bootstrap.servers", &address)]].concat();
    let error = refused(&there).await;
    assert!(
        error
            .to_string()
            .contains("the certificate is not made out to 127.0.0.1, but to kafka.example.com; use such a name"),
        "{error}"
    );
    for lenient in [
        ("ssl.endpoint.identification.algorithm", "none"),
        ("enable.ssl.certificate.verification", "false"),
    ] {
        connect(&[&there[..], &[lenient]].concat()).await.unwrap();
    }
    // Without a look at the name, the authority still matters.
    let stranger = Authority::new("b");
    let other = [
        ("security.protocol", "SSL"),
        ("ssl.ca.pem", stranger.pem()),
        ("bootstrap.servers", &address),
    ];
    let error = refused(&[&other[..], &[("ssl.endpoint.identification.algorithm", "none")]].concat()).await;
    assert!(
        error.to_string().contains("signed by nobody whom ssl.ca.pem names"),
        "{error}"
    );
    // Another authority of the same name.
    let again = Authority::new("a");
    let error = refused(&[
        ("security.protocol", "SSL"),
        ("ssl.ca.pem", again.pem()),
        ("bootstrap.servers", &address),
    ])
    .await;
    assert!(error.to_string().contains("was the authority made anew?"), "{error}");

    for (from, to, words) in [
        (2000, 2001, "the certificate has expired, "),
        (2900, 2901, "the certificate is not valid before "),
    ] {
        let mut params = params("127.0.0.1");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let address = format!("127.0.0.1:{}", secured(&authority, &params).await);
        let error = refused(&[&line[..], &[("bootstrap.servers", &address)]].concat()).await;
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn files_that_hold_something_else_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let own = Authority::new("a").names("jobs");
    let path = |name: &str, text: &str| file(folder.path(), name, text).to_str().unwrap().to_owned();
    let said = |properties: &[(&str, &str)]| {
        let line = [("bootstrap.servers", "kafka:1"), ("security.protocol", "SSL")];
        Connector::new(&config(&[&line[..], properties].concat()))
            .unwrap_err()
            .to_string()
    };
    let missing = folder.path().join("missing.pem");
    let error = said(&[("ssl.ca.location", missing.to_str().unwrap())]);
    assert!(
        error.starts_with("ssl.ca.location: ") && error.contains("missing.pem: No such file"),
        "{error}"
    );
    let empty = path("empty.pem", "nothing");
    assert_eq!(
        said(&[("ssl.ca.location", &empty)]),
        format!("ssl.ca.location: {empty} holds no certificate in PEM")
    );
    let broken = path("broken.pem", &support::pem("CERTIFICATE", b"nothing"));
    assert!(said(&[("ssl.ca.location", &broken)]).contains("a certificate that cannot be trusted"));

    let authority = Authority::new("a");
    let with = |certificate: &str, key: &str| {
        said(&[
            ("ssl.ca.pem", authority.pem()),
            ("ssl.certificate.pem", certificate),
            ("ssl.key.pem", key),
        ])
    };
    let other = authority.names("jobs");
    assert!(
        with(&own.certificate(), &other.key()).starts_with("ssl.key.pem: the key does not go with the certificate")
    );
    assert!(with("x", &own.key()).starts_with("ssl.certificate.pem: it holds no certificate in PEM"));
    assert!(with(&own.certificate(), "x").starts_with("ssl.key.pem: it holds no private key in PEM"));
    let encrypted = support::pem("ENCRYPTED PRIVATE KEY", b"hush");
    assert!(with(&own.certificate(), &encrypted).starts_with("ssl.key.pem: keys with a password are not read"));
}

#[tokio::test]
async fn a_server_of_tokens_is_not_read_for_ever() {
    let broker = says(versions(0)).await;
    for (head, words) in [
        (
            "HTTP/1.1 200 OK\r\n\r\n",
            "an answer that cannot be read: length limit exceeded",
        ),
        ("HTTP/1.1 200 OK\r\nx: ", "no answer in HTTP: message head is too large"),
        (
            "220 mail.example.com ESMTP\r\n",
            "no answer in HTTP: invalid HTTP version parsed",
        ),
    ] {
        let port = server(move |mut stream| async move {
            let mut request = [0; 1024];
            drop(stream.read(&mut request).await);
            drop(stream.write_all(head.as_bytes()).await);
            // Until the client has enough.
            while stream.write_all(&[b'a'; 8_192]).await.is_ok() {}
        });
        let url = format!("http://127.0.0.1:{}/token", port.await);
        let properties = [
            ("bootstrap.servers", broker.as_str()),
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.client.id", "jobs"),
            ("sasl.oauthbearer.client.secret", "hush"),
            ("sasl.oauthbearer.token.endpoint.url", &url),
        ];
        let error = refused(&properties).await.to_string();
        assert_eq!(error, format!("{broker}: no token from {url}: {words}"));
    }
}

/// What a peer does with a request: nothing but bytes, as it comes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let anything = proptest::collection::vec(any::<u8>(), 0..600);
    // A frame of the length that it says, for the request that was asked.
    let framed = proptest::collection::vec(any::<u8>(), 0..600).prop_map(|bytes| {
        let mut frame = u32::try_from(bytes.len() + 4).unwrap().to_be_bytes().to_vec();
        frame.extend([0; 4]);
        frame.extend(bytes);
        frame
    });
    // A good answer that is cut off or changed, and one after it to the next request.
    let changed = (0..60_usize, any::<u8>(), 0..120_usize).prop_map(|(at, byte, len)| {
        let mut good = [versions(0), versions(1)].concat();
        let last = good.len() - 1;
        good[at.min(last)] = byte;
        good.truncate(len);
        good
    });
    prop_oneof![anything, framed, changed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_a_peer_sends_is_an_error_or_an_answer(bytes in bytes(), login in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let address = says(bytes).await;
            let line = [("bootstrap.servers", address.as_str())];
            let sasl = [
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanism", "SCRAM-SHA-256"),
                ("sasl.username", "jobs"),
                ("sasl.password", "hush"),
            ];
            let sasl = if login { &sasl[..] } else { &[] };
            if let Ok(mut connection) = connect(&[&line[..], sasl].concat()).await {
                drop(connection.call(&MetadataRequest::default()).await);
            }
        });
    }
}
