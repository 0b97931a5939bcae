//! Runs the guests that people would compile: the examples, and the one that misbehaves on command. `cargo xtask guests` builds them;
//! `SHAREMILL_GUESTS` names another directory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sharemill::handler::{
    Access, BoxFuture, CallControl, CallEnd, CallReport, FileGrant, HandlerSpec, HostEngine, HostEngineConfig,
    HostServices, Input, InstanceMode, LeaseError, LoadedHandler, LogLevel, LogLine, LogSource, Metric, Outcome,
    OutgoingRecord, ProducerError, TimestampType,
};

const DEADLINE: Duration = Duration::from_millis(100);
/// What is promised: a call ends at most so long after its deadline.
const LATE: Duration = Duration::from_millis(20);
/// Test machines are shared: a measurement may be late twice.
const TRIES: u32 = 3;
/// For what ends by itself, however slow the machine.
const AMPLE: Duration = Duration::from_mins(1);

#[derive(Default)]
struct Services {
    lines: Mutex<Vec<(LogSource, String)>>,
}

impl HostServices for Services {
    fn renew_lease(&self, _id: u64) -> BoxFuture<'_, Result<Duration, LeaseError>> {
        Box::pin(async { Ok(Duration::from_secs(30)) })
    }

    fn send(&self, _records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>> {
        Box::pin(async { Ok(()) })
    }

    fn shows(&self, _: LogLevel) -> bool {
        true
    }

    fn log(&self, line: LogLine<'_>) {
        self.lines.lock().unwrap().push((line.source, line.message.to_owned()));
    }

    fn metric(&self, _metric: Metric<'_>) {}
}

fn guest(name: &str) -> PathBuf {
    let directory = std::env::var_os("SHAREMILL_GUESTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/guests")),
        PathBuf::from,
    );
    let path = directory.join(name).with_extension("wasm");
    assert!(path.exists(), "{} is missing: run `cargo xtask guests`", path.display());
    path
}

fn engine() -> HostEngine {
    HostEngine::new(&HostEngineConfig {
        max_instances: 64,
        memory_max: 256 << 20,
        ..HostEngineConfig::default()
    })
    .unwrap()
}

fn spec(instance: InstanceMode) -> HandlerSpec {
    let mut spec = HandlerSpec {
        deployment: "hostile".to_owned(),
        group: "hostile".to_owned(),
        topic: Some("orders".to_owned()),
        instance,
        ..HandlerSpec::default()
    };
    // Enough to return 100 MiB.
    spec.limits.memory = 128 << 20;
    spec.grants.emit.insert("granted".to_owned());
    spec
}

fn input(value: &str) -> Input<'_> {
    Input {
        id: 7,
        topic: "orders",
        partition: 0,
        offset: 1,
        timestamp_ms: 1_790_000_000_000,
        timestamp_type: TimestampType::CreateTime,
        delivery_count: 1,
        key: None,
        value: Some(value.as_bytes()),
        headers: &[],
        checkpoint: None,
    }
}

struct Slot {
    loaded: Arc<LoadedHandler>,
    services: Arc<Services>,
}

impl Slot {
    fn new(name: &str, spec: HandlerSpec) -> Self {
        let loaded = engine().load(&guest(name), Arc::new(spec));
        Self {
            loaded: loaded.unwrap_or_else(|error| panic!("{error}: {:?}", error.hint())),
            services: Arc::new(Services::default()),
        }
    }

    /// A good record, the command, and another good record with what is left.
    async fn run(&self, command: &str, budget: Duration) -> CallReport {
        self.time(command, budget).await.0
    }

    /// As [`Slot::run`], and how long the command took.
    async fn time(&self, command: &str, budget: Duration) -> (CallReport, Duration) {
        let mut instance = self.loaded.instantiate(self.services.clone()).await.unwrap();
        if self.loaded.spec().instance == InstanceMode::Reuse {
            let control = CallControl::new(AMPLE);
            let before = instance.call(input("accept"), &control).await;
            assert_eq!(before.end, CallEnd::Outcome(Outcome::Accept), "{command}: before");
        }
        let began = Instant::now();
        let report = instance.call(input(command), &CallControl::new(budget)).await;
        let took = began.elapsed();
        if !instance.reusable() || self.loaded.spec().instance == InstanceMode::Fresh {
            instance = self.loaded.instantiate(self.services.clone()).await.unwrap();
        }
        let after = instance.call(input("accept"), &CallControl::new(AMPLE)).await;
        assert_eq!(after.end, CallEnd::Outcome(Outcome::Accept), "{command}: after");
        (report, took)
    }

    /// A command that only its deadline ends, in time.
    #[expect(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]
    async fn run_endless(&self, command: &str) {
        let mode = self.loaded.spec().instance;
        for attempt in 1..=TRIES {
            let (report, took) = self.time(command, DEADLINE).await;
            assert_eq!(report.end, CallEnd::Deadline { limit: DEADLINE }, "{command}, {mode:?}");
            println!("{command}, {mode:?}: {took:?} of {DEADLINE:?}, measurement {attempt}");
            if took <= DEADLINE + LATE {
                return;
            }
        }
        panic!("{command}, {mode:?}: later than {LATE:?} in each of {TRIES} measurements");
    }
}

type Expected = fn(&CallReport) -> bool;

fn trapped(report: &CallReport) -> bool {
    matches!(report.end, CallEnd::Trap { .. })
}

fn limited(report: &CallReport) -> bool {
    matches!(report.end, CallEnd::Limit { .. })
}

fn accepted(report: &CallReport) -> bool {
    report.end == CallEnd::Outcome(Outcome::Accept)
}

fn released(report: &CallReport, words: &str) -> bool {
    matches!(&report.end, CallEnd::Outcome(Outcome::Release { reason: Some(reason), .. }) if reason.contains(words))
}

/// Only a deadline ends these.
const ENDLESS: &[&str] = &["loop", "sleep", "grow", "stdout-flood", "stderr-flood"];

const COMMANDS: &[(&str, Expected)] = &[
    ("recurse", trapped),
    ("allocate", |report| {
        report.end == CallEnd::OutOfMemory { limit: 128 << 20 }
    }),
    ("return-huge", limited),
    ("log-flood 20000", |report| {
        accepted(report) && report.dropped_log_bytes > 0 && report.log_tail.len() == 20
    }),
    ("log-flood", limited),
    ("log-huge 100000000", limited),
    ("log-huge 2000000", |report| {
        accepted(report) && report.dropped_log_bytes > 1_900_000
    }),
    ("stdout-flood 10000", |report| {
        accepted(report) && report.dropped_log_bytes > 0
    }),
    ("stdout-unfinished 1000000", |report| {
        accepted(report) && report.dropped_log_bytes > 900_000
    }),
    ("metric-flood", limited),
    ("host-calls", |report| {
        report.end
            == CallEnd::Limit {
                what: "host calls",
                value: 100_001,
                limit: 100_000,
            }
    }),
    ("renew-flood", limited),
    ("exit", |report| report.end == CallEnd::Exit { code: 0 }),
    ("exit 1", |report| report.end == CallEnd::Exit { code: 1 }),
    ("abort", trapped),
    ("panic", trapped),
    ("corrupt", trapped),
    ("other-id", trapped),
    ("renew-checkpoint", limited),
    ("emit granted", |report| accepted(report) && report.emitted.len() == 1),
    ("emit secret", |report| {
        released(report, "secret") && report.emitted.is_empty()
    }),
    ("emit-trap granted", |report| {
        trapped(report) && report.emitted.is_empty()
    }),
    ("emit-release granted", |report| {
        released(report, "after emit") && report.emitted.is_empty()
    }),
    ("emit-flood granted", |report| {
        released(report, "") && report.emitted.is_empty()
    }),
    ("emit-huge granted", |report| released(report, "")),
    ("send granted", accepted),
];

#[tokio::test]
async fn each_command_costs_its_own_record() {
    for mode in [InstanceMode::Reuse, InstanceMode::Fresh] {
        let slot = Slot::new("hostile", spec(mode));
        for (command, expected) in COMMANDS {
            let report = slot.run(command, AMPLE).await;
            assert!(expected(&report), "{command}, {mode:?}: {report:?}");
        }
        for command in ENDLESS {
            slot.run_endless(command).await;
        }
    }
}

#[tokio::test]
async fn what_is_printed_is_logged() {
    let slot = Slot::new("hostile", spec(InstanceMode::Reuse));
    let report = slot.run("panic 10", AMPLE).await;
    assert!(
        report.log_tail.iter().any(|line| line.contains("pppppppppp")),
        "{report:?}"
    );
    let report = slot.run("log-control", AMPLE).await;
    assert_eq!(
        report.log_tail,
        ["first\\nsecond \\u{1b}[31mred\\u{1b}[0m \\u{7}\\u{0} third"]
    );
    slot.run("stdout-flood 2", AMPLE).await;
    let lines = slot.services.lines.lock().unwrap();
    assert!(
        lines.contains(&(LogSource::Stdout, "line 1 of a flood".to_owned())),
        "{lines:?}"
    );
}

/// However much was said before, and of that call alone.
#[tokio::test]
async fn what_a_panic_says_is_the_reason() {
    const TRAP: &str = "wasm trap: wasm `unreachable` instruction executed";
    let slot = Slot::new("hostile", spec(InstanceMode::Reuse));
    let reason = async |command| match slot.run(command, AMPLE).await.end {
        CallEnd::Trap { message, .. } => message,
        end => panic!("{command}: {end:?}"),
    };
    // Without the SDK's hook, Rust's own words.
    for (command, words) in [("panic 10", "pppppppppp"), ("complain", "second")] {
        assert_eq!(reason(command).await, format!("{words} ({TRAP})"), "{command}");
    }
    let told = reason("panic").await;
    let limit = spec(InstanceMode::Reuse).limits.reason_bytes;
    assert!(told.starts_with("ppp") && told.len() <= limit, "{told}");
    assert!(told.contains("ppp [cut, "), "{told}");
    assert_eq!(reason("abort").await, TRAP);
}

#[tokio::test]
async fn state_ends_with_its_instance() {
    let slot = Slot::new("hostile", spec(InstanceMode::Reuse));
    let mut instance = slot.loaded.instantiate(slot.services.clone()).await.unwrap();
    for (command, accepts) in [("corrupt-quietly", true), ("check-state", false)] {
        let report = instance.call(input(command), &CallControl::new(AMPLE)).await;
        assert_eq!(accepted(&report), accepts, "{command}: {report:?}");
    }
    let mut instance = slot.loaded.instantiate(slot.services.clone()).await.unwrap();
    let report = instance.call(input("check-state"), &CallControl::new(AMPLE)).await;
    assert!(accepted(&report), "{report:?}");
}

#[tokio::test]
async fn an_order_becomes_its_lines() {
    let mut granted = spec(InstanceMode::Reuse);
    granted.grants.emit.insert("order-lines".to_owned());
    let order = r#"{"id": "o-1", "customer": "ada", "lines": [{"sku": "nail", "quantity": 3, "price_cents": 250}]}"#;
    let slot = Slot::new("enrich", granted);
    let mut instance = slot.loaded.instantiate(slot.services.clone()).await.unwrap();
    let report = instance.call(input(order), &CallControl::new(AMPLE)).await;
    assert!(accepted(&report), "{report:?}");
    assert_eq!(report.emitted.len(), 1);
    assert!(report.emitted.iter().all(|record| record.topic == "order-lines"));
    let report = instance.call(input("{nonsense"), &CallControl::new(AMPLE)).await;
    assert!(
        matches!(report.end, CallEnd::Outcome(Outcome::Reject { reason: Some(_) })),
        "{report:?}"
    );
}

#[tokio::test]
async fn directories_are_granted_one_by_one() {
    let temporary = tempfile::tempdir().unwrap();
    let (images, thumbnails) = (temporary.path().join("images"), temporary.path().join("thumbnails"));
    std::fs::create_dir_all(&images).unwrap();
    std::fs::create_dir_all(&thumbnails).unwrap();
    std::fs::write(images.join("text.png"), "no image").unwrap();
    std::fs::write(temporary.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(temporary.path().join("secret"), images.join("escape.png")).unwrap();
    let grant = |host: &PathBuf, guest: &str, access| FileGrant {
        host: host.clone(),
        guest: guest.to_owned(),
        access,
    };
    let mut granted = spec(InstanceMode::Reuse);
    granted.grants.files = vec![
        grant(&images, "/images", Access::Read),
        grant(&thumbnails, "/thumbnails", Access::ReadWrite),
    ];
    let slot = Slot::new("thumbnail", granted);
    let mut instance = slot.loaded.instantiate(slot.services.clone()).await.unwrap();
    for (file, fits) in [
        (
            "text.png",
            (|end| matches!(end, CallEnd::Outcome(Outcome::Reject { .. }))) as fn(&CallEnd) -> bool,
        ),
        ("missing.png", |end| {
            matches!(end, CallEnd::Outcome(Outcome::Release { .. }))
        }),
        ("escape.png", |end| {
            matches!(end, CallEnd::Outcome(Outcome::Release { .. }))
        }),
    ] {
        let report = instance.call(input(file), &CallControl::new(AMPLE)).await;
        assert!(fits(&report.end), "{file}: {report:?}");
    }
    // Without grants there is nothing to see.
    let slot = Slot::new("thumbnail", spec(InstanceMode::Reuse));
    let mut instance = slot.loaded.instantiate(slot.services.clone()).await.unwrap();
    let report = instance.call(input("text.png"), &CallControl::new(AMPLE)).await;
    assert!(released(&report, "text.png"), "{report:?}");
}
