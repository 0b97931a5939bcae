//! Connections to a real broker: by every protocol and mechanism, and what is said of each wrong thing.
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

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kafka_cluster::{Cluster, Options, PASSWORD, Version};
use share_client::net::{Connection, Failure, NetError};
use share_wire::kafka::{MetadataRequest, ShareGroupHeartbeatRequest};
use support::{Authority, connect, file, refused, server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

/// A broker with every listener.
struct Place {
    cluster: Cluster,
    folder: tempfile::TempDir,
    clients: Authority,
}

type Properties<'a> = Vec<(&'a str, &'a str)>;

impl Place {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clients = Authority::new("of clients");
        let trusted = file(folder.path(), "clients.pem", clients.pem());
        let options = Options {
            tls_sasl: true,
            ..Options::default()
        };
        let cluster = Cluster::start(
            options
                .set("listener.name.ssl.ssl.client.auth", "required")
                .set("listener.name.ssl.ssl.truststore.type", "PEM")
                .set("listener.name.ssl.ssl.truststore.location", trusted.to_str().unwrap())
                .set(
                    "listener.name.sasl_plaintext.sasl.enabled.mechanisms",
                    "PLAIN,SCRAM-SHA-512",
                )
                .set(
                    "listener.name.sasl_plaintext.scram-sha-512.connections.max.reauth.ms",
                    "1500",
                )
                .set("connection.failed.authentication.delay.ms", "0"),
        );
        Self {
            cluster: cluster.unwrap(),
            folder,
            clients,
        }
    }

    fn authority(&self) -> &str {
        self.cluster.authority().unwrap().to_str().unwrap()
    }
}

async fn works(connection: &mut Connection) {
    let answer = connection.call(&MetadataRequest::default()).await.unwrap();
    assert_eq!(answer.brokers.len(), 1);
}

#[track_caller]
fn says(error: &NetError, words: &str) {
    let text = error.to_string();
    assert!(text.contains(words), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
}

#[tokio::test]
async fn every_way_in_and_every_way_to_miss_it() {
    if !kafka_cluster::runs_here(Version::default(), "connect::every_way_in_and_every_way_to_miss_it") {
        return;
    }
    let place = Place::start();
    every_mechanism(&place).await;
    certificates(&place).await;
    logins_that_fail(&place).await;
    wrong_listeners(&place).await;
    a_login_that_ends_is_made_anew(&place).await;
    tokens_from_a_server(&place).await;
    an_end_of_the_broker(place).await;
}

fn login<'a>(mechanism: &'a str, password: &'a str) -> Properties<'a> {
    if mechanism == "OAUTHBEARER" {
        return vec![
            ("sasl.mechanism", mechanism),
            ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
            ("sasl.oauthbearer.config", "principal=admin extension_traceId=1"),
        ];
    }
    vec![
        ("sasl.mechanism", mechanism),
        ("sasl.username", "admin"),
        ("sasl.password", password),
    ]
}

async fn every_mechanism(place: &Place) {
    let (open, tls, plain) = (
        place.cluster.bootstrap(),
        place.cluster.bootstrap_tls_sasl().unwrap(),
        place.cluster.bootstrap_sasl().unwrap(),
    );
    works(&mut connect(&[("bootstrap.servers", &open)]).await.unwrap()).await;
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] {
        let line = [
            ("bootstrap.servers", tls.as_str()),
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", place.authority()),
        ];
        let mut connection = connect(&[&line[..], &login(mechanism, PASSWORD)].concat())
            .await
            .unwrap();
        works(&mut connection).await;
        assert_eq!(connection.versions().feature("share.version"), 1);
    }
    let line = [
        ("bootstrap.servers", plain.as_str()),
        ("security.protocol", "SASL_PLAINTEXT"),
    ];
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        works(
            &mut connect(&[&line[..], &login(mechanism, PASSWORD)].concat())
                .await
                .unwrap(),
        )
        .await;
    }
    let error = refused(&[&line[..], &login("OAUTHBEARER", "")].concat()).await;
    says(
        &error,
        "the broker has no login by OAUTHBEARER; sasl.mechanism may be one of PLAIN, SCRAM-SHA-512",
    );
    assert!(error.is_final());
}

async fn certificates(place: &Place) {
    let servers = place.cluster.bootstrap_tls().unwrap();
    let line = [
        ("bootstrap.servers", servers.as_str()),
        ("security.protocol", "SSL"),
        ("ssl.ca.location", place.authority()),
    ];
    let own = place.clients.names("jobs");
    let key = file(place.folder.path(), "key.pem", &own.key());
    let with = |certificate: &str, key: &str| {
        let pair = [("ssl.certificate.pem", certificate), ("ssl.key.location", key)];
        pair.map(|(name, value)| (name, value.to_owned()))
    };
    let pair = with(&own.certificate(), key.to_str().unwrap());
    let pair: Properties<'_> = pair.iter().map(|(name, value)| (*name, value.as_str())).collect();
    works(&mut connect(&[&line[..], &pair].concat()).await.unwrap()).await;
    says(
        &refused(&line).await,
        "one that wants a certificate of its clients does so: see ssl.certificate.location",
    );

    let stranger = Authority::new("a stranger").names("jobs");
    let key = file(place.folder.path(), "key2.pem", &stranger.key());
    let pair = with(&stranger.certificate(), key.to_str().unwrap());
    let pair: Properties<'_> = pair.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let error = refused(&[&line[..], &pair].concat()).await;
    says(&error, "the broker refuses the certificate of ssl.certificate.*");

    let other = Authority::new("a stranger");
    let error = refused(&[&line[..2], &[("ssl.ca.pem", other.pem())]].concat()).await;
    says(&error, "the certificate is signed by nobody whom ssl.ca.pem names");
    assert!(matches!(error.failure, Failure::Tls { .. }) && error.is_final());
}

async fn logins_that_fail(place: &Place) {
    let servers = place.cluster.bootstrap_tls_sasl().unwrap();
    let line = [
        ("bootstrap.servers", servers.as_str()),
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", place.authority()),
    ];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let error = refused(&[&line[..], &login(mechanism, "a-wrong-one")].concat()).await;
        says(
            &error,
            &format!("the login of \"admin\" by {mechanism} failed: Authentication failed"),
        );
        assert!(!error.to_string().contains("a-wrong-one") && error.is_final());
    }
    let short = "principal=admin principalClaimName=azp";
    let token = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", short),
    ];
    let error = refused(&[&line[..], &token].concat()).await;
    says(&error, "the login of \"admin\" by OAUTHBEARER failed: ");
}

async fn wrong_listeners(place: &Place) {
    let [open, tls_sasl, tls, sasl] = [
        place.cluster.bootstrap(),
        place.cluster.bootstrap_tls_sasl().unwrap(),
        place.cluster.bootstrap_tls().unwrap(),
        place.cluster.bootstrap_sasl().unwrap(),
    ];
    for servers in [&tls_sasl, &tls] {
        let error = refused(&[("bootstrap.servers", servers)]).await;
        says(&error, "security.protocol");
        says(&error, "SSL or SASL_SSL");
    }
    let authority = ("ssl.ca.location", place.authority());
    let error = refused(&[("bootstrap.servers", &open), ("security.protocol", "SSL"), authority]).await;
    says(&error, "is security.protocol PLAINTEXT or SASL_PLAINTEXT meant?");

    // The listener has no login, or wants one.
    let with_login = [
        &[
            ("bootstrap.servers", open.as_str()),
            ("security.protocol", "SASL_PLAINTEXT"),
        ][..],
        &login("PLAIN", PASSWORD),
    ];
    says(
        &refused(&with_login.concat()).await,
        "this listener wants no login; is security.protocol PLAINTEXT or SSL meant",
    );
    let mut connection = connect(&[("bootstrap.servers", &sasl)]).await.unwrap();
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    says(
        &error,
        "a listener that wants a login does so: is security.protocol SASL_PLAINTEXT or SASL_SSL meant?",
    );
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Broken { .. }), "{error}");
    assert!(!error.may_have_arrived());
}

/// The broker holds each login for a second and a half, and ends connections that go on after it.
async fn a_login_that_ends_is_made_anew(place: &Place) {
    let servers = place.cluster.bootstrap_sasl().unwrap();
    let line = [
        ("bootstrap.servers", servers.as_str()),
        ("security.protocol", "SASL_PLAINTEXT"),
    ];
    let mut connection = connect(&[&line[..], &login("SCRAM-SHA-512", PASSWORD)].concat())
        .await
        .unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        works(&mut connection).await;
    }
}

/// The token is one that nobody signed, from a server that asks for a secret.
async fn tokens_from_a_server(place: &Place) {
    let authority = Authority::new("of tokens");
    let acceptor = authority.names("127.0.0.1").acceptor();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let seen = asked.clone();
    let port = server(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut request = vec![0; 4096];
            let mut len = 0;
            while !request[..len].ends_with(b"grant_type=client_credentials&scope=kafka+all") {
                let read = stream.read(&mut request[len..]).await.unwrap();
                assert!(read > 0, "{}", request[..len].escape_ascii());
                len += read;
            }
            let request = String::from_utf8_lossy(&request[..len]).to_ascii_lowercase();
            seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // jobs:hush
            let known = request.contains("authorization: basic am9iczpodxno");
            assert!(request.starts_with("post /token http/1.1\r\n"), "{request}");
            let (status, body) = if known {
                ("200 OK", token())
            } else {
                ("401 Unauthorized", "{\"error\":\"invalid_client\"}".to_owned())
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await;
    let (servers, url) = (
        place.cluster.bootstrap_tls_sasl().unwrap(),
        format!("https://127.0.0.1:{port}/token"),
    );
    let properties = [
        ("bootstrap.servers", servers.as_str()),
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", place.authority()),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.client.id", "jobs"),
        ("sasl.oauthbearer.scope", "kafka all"),
        ("sasl.oauthbearer.token.endpoint.url", url.as_str()),
    ];
    let secret = ("sasl.oauthbearer.client.secret", "hush");
    let trusted = ("https.ca.pem", authority.pem());
    let config = support::config(&[&properties[..], &[secret, trusted]].concat());
    let connector = share_client::net::Connector::new(&config).unwrap();
    for _ in 0..2 {
        works(&mut connector.connect(&connector.bootstrap()[0]).await.unwrap()).await;
    }
    assert_eq!(
        asked.load(std::sync::atomic::Ordering::Relaxed),
        1,
        "a token serves many connections"
    );

    let wrong = ("sasl.oauthbearer.client.secret", "other");
    let error = refused(&[&properties[..], &[wrong, trusted]].concat()).await;
    says(
        &error,
        &format!("no token from {url}: it answers with status 401: invalid_client"),
    );
    let stranger = Authority::new("a stranger");
    let error = refused(&[&properties[..], &[secret, ("https.ca.pem", stranger.pem())]].concat()).await;
    says(
        &error,
        "TLS: the certificate is signed by nobody whom https.ca.pem names",
    );
}

/// Good for a long time.
fn token() -> String {
    let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
    let claims = "{\"sub\":\"admin\",\"iat\":1000000000,\"exp\":4000000000}";
    let token = format!("{}.{}.", part("{\"alg\":\"none\"}"), part(claims));
    format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":300}}")
}

async fn an_end_of_the_broker(place: Place) {
    let servers = place.cluster.bootstrap();
    let mut connection = connect(&[("bootstrap.servers", &servers)]).await.unwrap();
    works(&mut connection).await;
    drop(place);
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Lost { .. }), "{error}");
    assert!(error.may_have_arrived() && !error.is_final());
    let error = refused(&[("bootstrap.servers", &servers)]).await;
    says(
        &error,
        &format!("{servers}: no connection: 127.0.0.1: connection refused: nothing listens on this port"),
    );
}

#[tokio::test]
async fn a_broker_before_share_groups_says_so() {
    if !kafka_cluster::runs_here(Version::V3_9_1, "connect::a_broker_before_share_groups_says_so") {
        return;
    }
    let cluster = Cluster::start(Options {
        version: Version::V3_9_1,
        ..Options::default()
    });
    let mut cluster = cluster.unwrap();
    let mut connection = connect(&[("bootstrap.servers", &cluster.bootstrap())]).await.unwrap();
    works(&mut connection).await;
    let error = connection
        .call(&ShareGroupHeartbeatRequest::default())
        .await
        .unwrap_err();
    says(
        &error,
        "the broker has no ShareGroupHeartbeat (76); share groups need Apache Kafka 4.2.1 or newer",
    );
    assert!(error.is_final() && !error.may_have_arrived());
    works(&mut connection).await;
    cluster.stop(1).unwrap();
    assert!(cluster.log(1).unwrap().contains("shut down completed"));
    assert_eq!(cluster.pid(1), None);
}
