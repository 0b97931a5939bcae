//! What `wasi:http` and its neighbours let a handler reach: the guest `reach` against servers on the loopback.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod closed;
mod grants;
mod limits;
#[path = "../web/mod.rs"]
mod web;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sharemill::config::{HttpGrant, HttpLimits};
use sharemill::handler::{
    BoxFuture, CallControl, CallEnd, CallReport, HandlerSpec, HostEngine, HostEngineConfig, HostServices, Input,
    Instance, LeaseError, LoadedHandler, LogLevel, LogLine, Metric, Outcome, OutgoingRecord, ProducerError, Resolver,
    TimestampType,
};

/// For what ends by itself, however slow the machine.
const AMPLE: Duration = Duration::from_mins(1);
/// For what is to be late: nothing waits longer than it has to.
const SOON: Duration = Duration::from_millis(100);

/// Keeps what is logged.
#[derive(Default)]
struct Services {
    lines: Mutex<Vec<String>>,
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
        let line = format!("{:?} {}: {}", line.level, line.context, line.message);
        self.lines.lock().unwrap().push(line);
    }

    fn metric(&self, _metric: Metric<'_>) {}
}

/// Answers lookups in turn, the last one for ever; without any, never.
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            asked: Mutex::default(),
        })
    }
}

impl Resolver for Names {
    fn addresses(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        Box::pin(async move {
            match answer {
                Some(answer) => Ok(answer),
                None => std::future::pending().await,
            }
        })
    }
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

fn grant(url: &str, methods: &[&str], addresses: &[&str]) -> HttpGrant {
    HttpGrant {
        url: url.parse().unwrap(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        addresses: addresses.iter().map(|network| network.parse().unwrap()).collect(),
    }
}

/// The guest with its deployment, and what it said.
struct Reach {
    handler: Arc<LoadedHandler>,
    services: Arc<Services>,
}

impl Reach {
    fn new(grants: Vec<HttpGrant>, limits: impl FnOnce(&mut HttpLimits)) -> Self {
        Self::with_names(grants, limits, Names::new(&[]))
    }

    fn with_names(grants: Vec<HttpGrant>, limits: impl FnOnce(&mut HttpLimits), names: Arc<Names>) -> Self {
        let mut spec = HandlerSpec {
            deployment: "reach".to_owned(),
            group: "reach".to_owned(),
            ..HandlerSpec::default()
        };
        spec.grants.http = grants;
        limits(&mut spec.limits.http);
        Self::of(spec, names)
    }

    fn of(spec: HandlerSpec, names: Arc<Names>) -> Self {
        let config = HostEngineConfig {
            max_instances: 8,
            memory_max: 128 << 20,
            ..HostEngineConfig::default()
        };
        let engine = HostEngine::new(&config).unwrap().resolving_with(names);
        let handler = engine.load(&guest("reach"), Arc::new(spec));
        Self {
            handler: handler.unwrap_or_else(|error| panic!("{error}: {:?}", error.hint())),
            services: Arc::default(),
        }
    }

    async fn instance(&self) -> Instance {
        self.handler.instantiate(self.services.clone()).await.unwrap()
    }

    /// What came of a command; the next record is handled afterwards.
    async fn told(&self, command: &str) -> String {
        let report = self.call(command, &CallControl::new(AMPLE)).await;
        match report.end {
            CallEnd::Outcome(Outcome::Reject { reason }) => reason.unwrap_or_default(),
            end => panic!("{command}: {end:?}"),
        }
    }

    async fn call(&self, command: &str, control: &Arc<CallControl>) -> CallReport {
        let mut instance = self.instance().await;
        let report = instance.call(input(command), control).await;
        if !instance.reusable() {
            instance = self.instance().await;
        }
        let after = instance.call(input("accept"), &CallControl::new(AMPLE)).await;
        assert_eq!(after.end, CallEnd::Outcome(Outcome::Accept), "{command}: after");
        report
    }

    /// What was logged since the last time, without ports.
    fn logged(&self, web: &web::Web) -> String {
        let lines = std::mem::take(&mut *self.services.lines.lock().unwrap());
        lines.join("\n").replace(&web.port().to_string(), "PORT")
    }
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
