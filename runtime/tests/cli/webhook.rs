//! The example `webhook` against a real web server: what the server answers becomes of the record.
#![allow(clippy::disallowed_methods, reason = "the server notes when it was asked")]

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::Folder;
use crate::web::{Asked, Web, answer};

const KEY: &str = "a key of the server's";

fn folder(url: &str, grant: &str) -> Folder {
    let manifest = format!(
        "[host]\ncache-dir = \"cache\"\n[deployments.webhook]\ncomponent = \"webhook.wasm\"\ntopic = \"events\"\n\
         attempts = 3\nbackoff = {{ first = \"10ms\", max = \"10ms\", jitter = 0 }}\n\
         secrets = {{ SIGNING_KEY = {{ env = \"SIGNING_KEY\" }} }}\n\
         [deployments.webhook.grants]\nconfig = {{ url = \"{url}\" }}\n{grant}\n"
    );
    Folder::with_guest("webhook", &manifest)
}

fn granted(url: &str) -> String {
    let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
    format!("http = [{{ url = \"{origin}\", methods = [\"GET\", \"POST\"] }}]")
}

/// Runs a command with the key in its environment; exit code, standard output and standard error.
fn run(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String, String) {
    finish(folder.command(arguments).env("SIGNING_KEY", KEY))
}

fn finish(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// HMAC-SHA256 by its definition.
fn signature(body: &[u8]) -> String {
    let mut key = [0_u8; 64];
    key[..KEY.len()].copy_from_slice(KEY.as_bytes());
    let round = |pad: u8, message: &[u8]| {
        let block: Vec<u8> = key
            .iter()
            .map(|byte| byte ^ pad)
            .chain(message.iter().copied())
            .collect();
        Sha256::digest(&block)
    };
    let inner = round(0x36, body);
    let hex: String = round(0x5c, &inner).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// How often a record was asked for before, by its key.
fn earlier(seen: &Mutex<Vec<(Asked, Instant)>>, asked: &Asked) -> usize {
    let mut seen = seen.lock().unwrap();
    let key = |asked: &Asked| asked.header("idempotency-key").unwrap().to_owned();
    let count = seen.iter().filter(|(other, _)| key(other) == key(asked)).count();
    seen.push((asked.clone(), Instant::now()));
    count
}

#[test]
fn what_the_server_answers_becomes_of_the_record() {
    let seen: Arc<Mutex<Vec<(Asked, Instant)>>> = Arc::default();
    let log = seen.clone();
    let web = Web::start(move |asked, out| {
        let count = earlier(&log, asked);
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        match (asked.method.as_str(), asked.path.as_str(), body.as_str(), count) {
            ("POST", "/hooks?v=1", "good", _) => answer(out, "201 Created", &[], "thanks"),
            ("POST", "/hooks?v=1", "slow", 0) => {
                answer(out, "202 Accepted", &["location: /jobs/7", "retry-after: 0"], "")
            }
            ("GET", "/jobs/7", "", 1) => answer(out, "202 Accepted", &["retry-after: 0"], "still at it"),
            ("GET", "/jobs/7", "", 2) => answer(out, "204 No Content", &[], ""),
            ("POST", "/hooks?v=1", "slow to fail", 0) => answer(out, "202 Accepted", &["location: jobs/8"], ""),
            ("GET", "/jobs/8", "", 1) => answer(out, "410 Gone", &[], "the job failed"),
            ("POST", "/hooks?v=1", "busy", 0) => answer(out, "429 Too Many Requests", &["retry-after: 1"], "wait"),
            ("POST", "/hooks?v=1", "down", 0) => answer(out, "503 Service Unavailable", &["retry-after: 1"], ""),
            ("POST", "/hooks?v=1", "hasty", 0) => answer(out, "429 Too Many Requests", &[], ""),
            ("POST", "/hooks?v=1", "broken", 0 | 1) => answer(out, "500 Internal Server Error", &[], "oh"),
            ("POST", "/hooks?v=1", "bad", 0) => answer(out, "422 Unprocessable Entity", &[], "no such order\n"),
            ("POST", "/hooks?v=1", "moved", _) => answer(out, "307 Temporary Redirect", &["location: /elsewhere"], ""),
            ("POST", "/hooks?v=1", "garbled", 0) => {
                let _ = out.write_all(b"what?\r\n\r\n");
                crate::web::Then::Close
            }
            ("POST", "/hooks?v=1", "busy" | "down" | "hasty" | "broken" | "garbled", _) => {
                answer(out, "200 OK", &[], "")
            }
            other => panic!("{other:?}"),
        }
    });
    let url = web.url("/hooks?v=1");
    let folder = folder(&url, &granted(&url));
    let values = [
        "good",
        "slow",
        "slow to fail",
        "busy",
        "down",
        "hasty",
        "broken",
        "bad",
        "moved",
        "garbled",
    ];
    let (code, ..) = run(&folder, &[&["produce", "events"], values.as_slice()].concat());
    assert_eq!(code, Some(0));
    let (code, _, log) = run(&folder, &["run", "--until-idle"]);
    assert_eq!(code, Some(0), "{log}");
    let (_, dead, _) = run(&folder, &["dead", "list"]);
    assert!(log.contains("accepted=7 dead_letters=3 "), "{log}\n{dead}");
    for reason in [
        "the server said 422: no such order",
        "the server said 410: the job failed",
        "the server said 307:",
    ] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    assert!(!log.contains(KEY));

    let seen = seen.lock().unwrap();
    for (asked, _) in seen.iter() {
        assert_eq!(asked.header("x-signature"), Some(signature(&asked.body).as_str()));
        assert_eq!(asked.header("host"), Some(format!("127.0.0.1:{}", web.port()).as_str()));
        let key = asked.header("idempotency-key").unwrap();
        assert!(key.starts_with("webhook:events:0:"), "{key}");
    }
    let of = |body: &str| -> Vec<_> { seen.iter().filter(|(asked, _)| asked.body == body.as_bytes()).collect() };
    for (body, times) in [
        ("good", 1),
        ("bad", 1),
        ("broken", 3),
        ("moved", 3),
        ("hasty", 2),
        ("garbled", 2),
    ] {
        assert_eq!(of(body).len(), times, "{body}");
    }
    for body in ["busy", "down"] {
        let [(_, first), (_, second)] = of(body)[..] else {
            panic!("{body}")
        };
        assert!(
            second.duration_since(*first) >= Duration::from_secs(1),
            "{body}: Retry-After was not honoured"
        );
    }
    // Every answer of a job was asked for with a GET of its own, the last one ended it.
    let jobs = |path: &str| seen.iter().filter(|(asked, _)| asked.path == path).count();
    assert_eq!((jobs("/jobs/7"), jobs("/jobs/8")), (2, 1));
}

#[test]
fn one_record_is_tried_by_invoke() {
    let web = Web::start(|_, out| answer(out, "404 Not Found", &[], "nobody here"));
    let folder = folder(&web.url("/"), &granted(&web.url("/")));
    let (code, out, _) = run(&folder, &["invoke", "-", "--deployment", "webhook", "--value", "x"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("reject: the server said 404: nobody here"), "{out}");
}

#[test]
fn without_its_grant_it_is_refused_with_the_line_that_grants_it() {
    let folder = folder("https://api.example.com/", "");
    insta::assert_snapshot!(folder.run(&["invoke", "webhook.wasm", "--value", "x"]), @r#"
    exit 1
    --- stderr
    error: webhook.wasm imports wasi:http/types@0.2.12, which a deployment has to grant
    hint: name one with --deployment NAME whose grants have `http = [{ url = "https://HOST", methods = ["GET", "POST"] }]`
    "#);
    let inspected = folder.run(&["module", "inspect", "webhook.wasm"]);
    let listed = "not granted: grants = { http = [{ url = \"https://HOST\", methods = [\"GET\", \"POST\"] }] }";
    assert!(
        inspected.starts_with("exit 0") && inspected.contains(listed),
        "{inspected}"
    );
    for deployed in [&["webhook.wasm", "--deployment", "webhook"][..], &["-"]] {
        let inspected = folder.run(&[&["module", "inspect"], deployed].concat());
        assert!(
            inspected.starts_with("exit 1") && inspected.contains(listed),
            "{inspected}"
        );
    }
    let (code, _, told) = run(&folder, &["run", "--until-idle"]);
    assert_eq!(code, Some(1));
    let line = "add `http = [{ url = \"https://HOST\", methods = [\"GET\", \"POST\"] }]` with the server's name to [deployments.webhook.grants]";
    assert!(told.contains(line), "{told}");
    let (code, _, told) = run(&folder, &["config", "check"]);
    assert_eq!(code, Some(1));
    assert!(told.contains(line), "{told}");
    // One that is there and wrong is told of alone, with what was meant.
    let http = r#"http = [{ url = "https://api.example.com/hooks", methods = ["POST"] }]"#;
    let (code, _, told) = run(
        &self::folder("https://api.example.com/hooks", http),
        &["config", "check"],
    );
    assert_eq!(code, Some(1));
    assert!(
        told.contains(r#"hint: write url = "https://api.example.com""#),
        "{told}"
    );
    assert!(!told.contains("not granted"), "{told}");
}

/// A grant for one server, and a `url` on another: the record says why, and the log how to mend it.
#[test]
fn a_server_that_is_not_granted_is_named_in_log_and_dead_letter() {
    let web = Web::start(|_, _| panic!("nobody asks"));
    let folder = folder(&web.url("/"), &granted("https://api.example.com/"));
    run(&folder, &["produce", "events", "x"]);
    let (_, _, log) = run(&folder, &["run", "--until-idle"]);
    let line = format!("POST http://127.0.0.1:{} is not granted: add", web.port());
    assert!(log.contains(&line), "{log}");
    let (_, shown, _) = run(&folder, &["dead", "show", "webhook.dead/0/0"]);
    assert!(shown.contains("HttpRequestDenied") && shown.contains(&line), "{shown}");
}

/// An authority, and a certificate for `localhost` that it signed, both in PEM, with the key.
fn certificate() -> (String, rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = BASE64_STANDARD.encode(params.self_signed(&key).unwrap().der());
    let authority = format!("-----BEGIN CERTIFICATE-----\n{authority}\n-----END CERTIFICATE-----\n");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (authority, certificate, key)
}

#[test]
fn a_server_proves_who_it_is() {
    let (authority, certificate, key) = certificate();
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.into()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let web = Web::over(
        move |stream| {
            let connection = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
            Ok(StreamOwned::new(connection, stream))
        },
        |_, out| answer(out, "200 OK", &[], ""),
    );
    let url = format!("https://localhost:{}/", web.port());
    let folder = folder(&url, &granted(&url));
    let trusted = folder.file("trusted.pem", &authority);
    let other = folder.file("other.pem", &self::certificate().0);
    let invoke = |authorities: &std::path::Path| {
        let mut command = folder.command(&["invoke", "-", "--deployment", "webhook", "--value", "x"]);
        finish(command.env("SIGNING_KEY", KEY).env("SSL_CERT_FILE", authorities))
    };
    let (code, out, told) = invoke(&trusted);
    assert!(code == Some(0) && out.contains("outcome   accept"), "{out}{told}");
    assert_eq!(web.asked().len(), 1);
    let (_, out, _) = invoke(&other);
    assert!(
        out.contains("TlsCertificateError") && out.contains("no TLS with https://localhost"),
        "{out}"
    );
    assert_eq!(web.asked().len(), 1);
    fs::write(&other, "nothing").unwrap();
    let (code, _, told) = invoke(&other);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("the system's certificates are not there") && told.contains("SSL_CERT_FILE"),
        "{told}"
    );
}
