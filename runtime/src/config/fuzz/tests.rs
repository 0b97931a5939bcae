//! Manifests that were changed at random: whatever loads prints as itself, and nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests; the number of inputs is printed"
)]
use share_engine::testing::Mutator;

use super::*;

const EVERYTHING: &str = r#"
[host]
profile = "edge"
lanes = 3
drain-timeout = "1m30s"
cache-dir = "cache"
metrics = "127.0.0.1:9464"
log = "info,sharemill=debug"
log-format = "json"

[sources.main]
type = "embedded"
data-dir = "data"
durability = "os"
journal-size = "64MiB"
memory-window = "8MiB"
reserve = 0

[topics.orders]
partitions = 4
retention = { time = "7d", size = "1GiB" }
max-bytes = "2GiB"
on-full = "drop-oldest"
segment-bytes = "16MiB"

[topics.lines]
retention = "forever"

[deployments.enrich]
component = "enrich.wasm"
topic = "orders"
group = "enrich"
enabled = false
concurrency = 64
instance = "fresh"
deadline = "250ms"
max-lease = "1h"
lock = "15s"
memory = "128MiB"
attempts = 7
backoff = { first = "100ms", max = "1d", jitter = 0.5 }
dead-letter = false
start = "by-duration:1h"
settings = { currency = "EUR", limit = 10, strict = true, rate = 0.25 }

[deployments.enrich.grants]
emit = ["lines"]
files = [{ host = "in", guest = "/in", access = "read-write" }]
config = { region = "north" }
env = { TOKEN = { from = "TOKEN" }, MODE = "test" }
"#;

const CLUSTER: &str = r#"
[sources.main]
type = "kafka"
data-dir = "state"
start = "latest"
isolation-level = "read_committed"
parking = 0
properties = { "bootstrap.servers" = "k1:9092,k2:9092", "security.protocol" = "SASL_SSL", "sasl.mechanism" = "PLAIN", "sasl.password" = "12", "ssl.ca.location" = "ca.pem", "socket.timeout.ms" = 500 }
secrets = { "client.id" = { file = "name" }, "sasl.username" = { env = "USER" } }

[topics.orders]
partitions = 4
retention = { time = "7d", size = "1GiB" }
segment-bytes = "16MiB"

[deployments.enrich]
component = "enrich.wasm"
topic = "orders"
lock = "40m"
attempts = 9
dead-letter = "gone"
retry-topic = "again"
start = "by-duration:1h"
settings = { a = "one\ntwo" }

[deployments.enrich.grants]
emit = ["lines"]

[deployments.audit]
component = "audit.wasm"
topic = "orders"
retry-topic = false
"#;

const LEAST: &str = "[deployments.a]\ncomponent = \"a.wasm\"\ntopic = \"b\"\n";

/// What is worth a look of its own.
fn found() -> Vec<String> {
    vec![
        String::new(),
        "[".repeat(100_000),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{b=".repeat(50_000)),
        format!("{}[deployments.{}]\n", LEAST, "a.".repeat(20_000)),
        LEAST.replace("\"b\"", "\"\u{1F600}\\u0000\""),
        LEAST.replace("a.wasm", "../../\\u0000"),
        format!("{LEAST}deadline = \"99999999999999999999d\"\nmemory = \"18446744073709551615TiB\"\n"),
        format!("{LEAST}attempts = 9223372036854775808\nconcurrency = -1\nbackoff.jitter = nan\n"),
        format!("{LEAST}attempts = 0x7fffffffffffffff\nsettings = {{ a = 1e999, b = -inf, c = 07:32:00 }}\n"),
    ]
}

/// `SHAREMILL_FUZZ` sets the number of inputs (20,000).
#[test]
fn any_manifest_is_understood_or_refused() {
    let wanted = std::env::var("SHAREMILL_FUZZ")
        .ok()
        .and_then(|count| count.parse().ok());
    let wanted: u64 = wanted.unwrap_or(20_000);
    for text in &found() {
        fuzz_manifest(text.as_bytes());
    }
    // What the reference says of keys and values gives the pieces.
    let words = include_bytes!("../../../../docs/manifest.md");
    let corpus = [EVERYTHING, CLUSTER, LEAST];
    for text in corpus {
        fuzz_manifest(text.as_bytes());
    }
    let mutator = Mutator::new(3);
    let mut understood = 0;
    for number in 0..wanted {
        let mut bytes = corpus[mutator.below(corpus.len())].as_bytes().to_vec();
        let start = mutator.below(words.len());
        let other = if number % 2 == 0 {
            &words[start..]
        } else {
            EVERYTHING.as_bytes()
        };
        mutator.mutate(&mut bytes, &other[..other.len().min(600)]);
        fuzz_manifest(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let problems = parse(Path::new("/folder/sharemill.toml"), &text).problems;
        understood += u64::from(problems.iter().all(|problem| problem.severity != Severity::Error));
    }
    println!("{wanted} manifests, {understood} understood");
    assert!(understood > wanted / 100, "{understood} of {wanted}");
}

#[test]
fn everything_can_be_said() {
    let in_this_build = if cfg!(feature = "kafka") {
        &[EVERYTHING, CLUSTER][..]
    } else {
        &[EVERYTHING]
    };
    for text in in_this_build {
        let loaded = parse(Path::new("/folder/sharemill.toml"), text);
        assert!(
            loaded.problems.iter().all(|one| one.severity != Severity::Error),
            "{:?}",
            loaded.problems
        );
    }
}
