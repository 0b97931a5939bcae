//! The schema beside the loader: what the one takes the other takes, and what a user mistypes both refuse.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use super::schema;
use crate::config::{Severity, markdown, parse};

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("file:///manifest.json", schema()).unwrap();
        let index = compiler.compile("file:///manifest.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn takes(&self, manifest: &str) -> Result<(), String> {
        let value: Value = toml::from_str(manifest).unwrap();
        let valid = self.schemas.validate(&value, self.index);
        valid.map_err(|error| format!("{error:#}"))
    }
}

/// Whether the loader finds nothing wrong with the text; components and folders are not there.
fn loads(manifest: &str) -> bool {
    let loaded = parse(Path::new("/nowhere/sharemill.toml"), manifest);
    let errors = loaded
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    errors.filter(|problem| !problem.message.contains("/nowhere/")).count() == 0
}

/// Each key in a form that is allowed, on both kinds of source.
const SOUND: &[&str] = &[
    "",
    r#"
    [host]
    profile = "edge"
    lanes = 2
    drain-timeout = "1m 30s"
    cache-dir = "cache"
    metrics = "127.0.0.1:0"
    log = "info,sharemill=debug"
    log-format = "json"
    [sources.main]
    type = "embedded"
    data-dir = "data"
    durability = "os"
    journal-size = "64 MiB"
    memory-window = 8388608
    reserve = "0B"
    [topics.a]
    partitions = 4
    retention = { time = "7d", size = "1GiB" }
    max-bytes = "1GB"
    on-full = "drop-oldest"
    segment-bytes = "1MiB"
    [topics."b.c_d-e"]
    retention = "queue"
    [topics.f]
    retention = "36h"
    [deployments.d]
    component = "d.wasm"
    topic = "a"
    group = "g"
    enabled = true
    concurrency = 64
    instance = "fresh"
    deadline = "10s"
    max-lease = "1h"
    lock = "30s"
    memory = "64MiB"
    attempts = 5
    backoff = { first = "1s", max = "5m", jitter = 0.5 }
    dead-letter = "d.letters"
    start = "by-duration:1h30m"
    settings = { text = "x", number = 1.5, truth = true }
    secrets = { KEY = { env = "KEY" }, PEM = { file = "key.pem" } }
    http = { connections = 8, connect-timeout = "1s", first-byte-timeout = "1m", between-bytes-timeout = "1m", header-bytes = "8KiB", request-bytes = "1MiB", response-bytes = 1024 }
    [deployments.d.grants]
    emit = ["b.c_d-e"]
    http = [
        { url = "https://api.example.com", methods = ["GET", "POST"] },
        { url = "http://127.0.0.1:8080/", methods = ["PROPFIND"], addresses = ["10.0.0.0/8", "fd00::1"] },
    ]
    config = { key = "value" }
    env = { A = "text", B = { from = "HOME" } }
    "#,
    r#"
    [sources.main]
    type = "kafka"
    start = "earliest"
    isolation-level = "read_committed"
    parking = 10
    properties = { "bootstrap.servers" = "k1:9092", "security.protocol" = "SASL_SSL", "sasl.mechanism" = "PLAIN", "sasl.username" = "u", "socket.timeout.ms" = 1000 }
    secrets = { "sasl.password" = { env = "PASSWORD" } }
    [deployments.d]
    component = "d.wasm"
    topic = "a"
    lock = "10m"
    attempts = 3
    "#,
];

/// What people mistype: keys, words, types, units, names, and what another kind of source has.
const MISTYPED: &[&str] = &[
    "[host]\nlane = 2",
    "[hosts]",
    "[host]\nlanes = \"2\"",
    "[host]\nlanes = 0",
    "[host]\nprofile = \"small\"",
    "[host]\ndrain-timeout = 30",
    "[host]\ndrain-timeout = \"30 sec\"",
    "[sources.main]\njournal-size = \"64Mib\"",
    "[sources.main]\njournal-size = true",
    "[sources.main]\ntype = \"redis\"",
    "[sources.main]\nparking = 5",
    "[sources.main]\ntype = \"kafka\"\njournal-size = \"64MiB\"\nproperties = { \"bootstrap.servers\" = \"k:1\" }",
    "[sources.main]\ntype = \"kafka\"",
    "[sources.main]\ntype = \"kafka\"\nproperties = { \"bootstrap.servers\" = \"k:1\" }\nsecrets = { \"sasl.password\" = \"literal\" }",
    "[topics.\"a b\"]",
    "[topics.a]\nretention = \"for ever\"",
    "[topics.a]\nretention = { age = \"7d\" }",
    "[topics.a]\npartitions = 1.5",
    "[deployments.d]\ntopic = \"a\"",
    "[deployments.d]\ncomponent = \"d.wasm\"",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\nconcurency = 4",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\nenabled = \"yes\"",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ndead-letter = true",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\nstart = \"oldest\"",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\nbackoff = { first = \"1s\", factor = 2 }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { emit = \"b\" }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { files = [{ host = \"/tmp\", guest = \"data\" }] }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\nsecrets = { KEY = \"literal\" }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\nhttp = { connections = 0 }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { http = [\"https://example.com\"] }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { http = [{ url = \"https://example.com\" }] }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { http = [{ url = \"example.com\", methods = [\"GET\"] }] }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { http = [{ url = \"https://example.com/path\", methods = [\"GET\"] }] }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { http = [{ url = \"https://example.com\", methods = [\"get\"] }] }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { http = [{ url = \"https://example.com\", methods = [\"GET\"], addresses = [\"all\"] }] }",
    "[deployments.d]\ncomponent = \"d.wasm\"\ntopic = \"a\"\ngrants = { env = { A = { env = \"B\" } } }",
];

#[test]
fn what_the_loader_takes_the_schema_takes() {
    let validator = Validator::new();
    for manifest in SOUND {
        assert!(loads(manifest), "{manifest}");
        validator
            .takes(manifest)
            .unwrap_or_else(|error| panic!("{manifest}\n{error}"));
    }
    let page = markdown();
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 3);
    for manifest in examples {
        validator
            .takes(manifest)
            .unwrap_or_else(|error| panic!("{manifest}\n{error}"));
    }
}

#[test]
fn what_people_mistype_both_refuse() {
    let validator = Validator::new();
    for manifest in MISTYPED {
        assert!(!loads(manifest), "the loader takes\n{manifest}");
        assert!(validator.takes(manifest).is_err(), "the schema takes\n{manifest}");
    }
}

#[test]
fn every_key_is_described() {
    let text = schema().to_string();
    for key in crate::config::keys::KEYS {
        let effect = serde_json::to_string(key.effect).unwrap();
        assert!(text.contains(effect.trim_matches('"')), "{}", key.path);
    }
}
