//! `sharemill run`: flags, environment and manifest to a [`RunPlan`]; the host does the rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::RunArgs;
use super::given::Given;
use super::{component, environment, manifest};
use crate::admin::{AdminClient, AdminError, ErrorCode};
use crate::config::{EmbeddedSource, KafkaSource, LogFormat, Manifest, Source, filter};
use crate::handler::HostEngineError;
use crate::host::{HostError, flush_log};
use crate::metrics::MetricsServerError;
use crate::output::{self, Failure};
use crate::shutdown::{Signals, Stages};
use share_engine::error::OpenError;

/// Everything that the host needs to know: the manifest with flags and environment applied. Plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan<S = EmbeddedSource> {
    /// Host settings, topics and deployments; flags and environment have been applied to `host`.
    pub manifest: Manifest,
    /// The source's settings.
    pub source: S,
    /// What the deployments take from the host's surroundings, by name.
    pub given: BTreeMap<String, Given>,
    /// End when every record is handled and nothing is parked.
    pub until_idle: bool,
}

/// Runs the deployments of a manifest until a signal, or until nothing is left to do. Signals are heard from here on.
pub(super) async fn run(args: RunArgs) -> Result<(), Failure> {
    let signals = Signals::listen().map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))?;
    let stages = Arc::new(Stages::default());
    let mut driver = tokio::task::JoinSet::new();
    let driven = stages.clone();
    driver.spawn(async move {
        signals.drive(&driven).await;
        // What gives up closes the data directory first, so that nobody's record is taken for the cause of a crash.
        tokio::time::sleep(LAST_WRITE).await;
        end_at_once();
    });
    let result = run_with(&args, &stages).await;
    flush_log(FLUSH_LIMIT);
    // Said while signals are still heard: nobody may read standard error.
    result.map_err(|failure| {
        output::failure_within(&failure, TELL_LIMIT);
        failure.said()
    })
}

/// What a host that was given up gets for its last write. A disk that takes longer is left behind, as by a crash.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// What the reason for the end gets to reach standard error; the exit code tells it too.
const TELL_LIMIT: Duration = Duration::from_secs(1);
/// What the last log lines get to reach standard error.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

async fn run_with(args: &RunArgs, stages: &Arc<Stages>) -> Result<(), Failure> {
    let plan = plan(args)?;
    match plan.source.clone() {
        Source::Embedded(source) => {
            let data_dir = &source.data_dir;
            match AdminClient::connect(data_dir).await {
                Ok(Some(client)) => return Err(in_use(data_dir, client.pid())),
                Err(error) if error.code != ErrorCode::Ended => return Err(error.into()),
                Ok(None) | Err(_) => {}
            }
            let run = crate::host::run(plan.on(source), stages).await;
            run.map_err(|error| failure(&error))
        }
        Source::Kafka(source) => run_on_kafka(plan.on(source), stages).await,
    }
}

impl RunPlan<Source> {
    /// The same on this source.
    fn on<S>(self, source: S) -> RunPlan<S> {
        RunPlan {
            manifest: self.manifest,
            source,
            given: self.given,
            until_idle: self.until_idle,
        }
    }
}

/// Any number of hosts on one cluster, with one manifest or with several.
#[cfg(feature = "kafka")]
async fn run_on_kafka(plan: RunPlan<KafkaSource>, stages: &Arc<Stages>) -> Result<(), Failure> {
    let run = crate::host::run_on_kafka(plan, stages).await;
    run.map_err(|error| failure_on_kafka(&error))
}

#[cfg(feature = "kafka")]
fn failure_on_kafka(error: &HostError) -> Failure {
    match error {
        // The coordinator refuses the member, or brokers cannot be talked to any more; the reason says which.
        HostError::SourceClosed { .. } => Failure::new(error.to_string()).hint(
            "sharemill doctor says what stands in the way; start the host again when it is gone, other hosts of the group have its records meanwhile",
        ),
        error => failure(error),
    }
}

/// The manifest's check refuses such a source already.
#[cfg(not(feature = "kafka"))]
async fn run_on_kafka(_: RunPlan<KafkaSource>, _: &Arc<Stages>) -> Result<(), Failure> {
    Err(Failure::new("this build of sharemill has no kafka"))
}

#[expect(
    clippy::exit,
    reason = "whoever sends three signals wants the process gone, whatever still runs in it"
)]
fn end_at_once() -> ! {
    flush_log(Duration::from_millis(200));
    std::process::exit(1)
}

fn failure(error: &HostError) -> Failure {
    let hint = match error {
        HostError::Component { source, .. } => Some(source.hint()),
        HostError::Open(OpenError::InUse { .. }) => {
            Some("stop the other process first, or give this host another data-dir".to_owned())
        }
        HostError::Open(OpenError::Corrupt(_)) => Some("run sharemill verify to see all of the damage".to_owned()),
        HostError::Open(OpenError::NewerFormat { .. }) => {
            Some("use the newer version of sharemill that wrote it".to_owned())
        }
        HostError::Open(OpenError::OpenFiles { .. }) => Some(crate::host::RAISE_OPEN_FILES.to_owned()),
        HostError::Open(_) => Some("check that the folder can be written to, and that the disk has room".to_owned()),
        HostError::Setup { source, .. } => AdminError::from(source.clone()).hint,
        HostError::Engine(error) => Some(engine_hint(error).to_owned()),
        HostError::Lanes(_) => Some(THREADS.to_owned()),
        HostError::Deploy(_) => Some("give one of them another group".to_owned()),
        HostError::Socket(error) => Some(error.hint()),
        HostError::Metrics(MetricsServerError::Bind { .. }) => {
            Some("choose another address with --metrics or metrics under [host]; port 0 takes a free one".to_owned())
        }
        HostError::Metrics(_) | HostError::GivenUp => None,
        #[cfg(feature = "kafka")]
        HostError::Kafka(error) => error.hint(),
        HostError::Fenced(_) | HostError::NotClosed(_) | HostError::SourceClosed { .. } => {
            Some("look for errors of the disk in the system's log; sharemill verify reads all that is on it".to_owned())
        }
        HostError::DirectoryLost(_) => Some(
            "bring it back, or let a new run make one; a host has to be stopped before its data is moved or deleted"
                .to_owned(),
        ),
        HostError::NotEnded(_) | HostError::Wedged(_) => {
            Some("the log names handlers that did not end; a lower deadline ends them sooner".to_owned())
        }
    };
    let failure = Failure::new(error.to_string());
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What to do about a wasm engine that cannot be built.
pub(super) fn engine_hint(error: &HostEngineError) -> &'static str {
    match error {
        HostEngineError::Cache { .. } => {
            "make it a folder that this user can write to, or name another as cache-dir under [host]"
        }
        HostEngineError::Engine { .. } => {
            "lower concurrency and memory of the deployments, or write profile = \"edge\" under [host]"
        }
        HostEngineError::Thread(_) => THREADS,
    }
}

const THREADS: &str = "raise the limit on threads and memory of this process (ulimit -u, -v)";

/// Another process owns the data directory.
pub(crate) fn in_use(data_dir: &Path, pid: u32) -> Failure {
    Failure::new(format!(
        "the data directory {} is in use by process {pid}",
        data_dir.display()
    ))
    .hint(format!(
        "stop it first (kill {pid}), or give this host another data-dir"
    ))
}

fn plan(args: &RunArgs) -> Result<RunPlan<Source>, Failure> {
    let mut manifest = manifest::load(args.manifest.manifest.clone())?;
    apply(&mut manifest, args)?;
    let source = manifest.sources.values().next().cloned();
    let source = source.ok_or_else(|| Failure::new("the manifest has no source"))?;
    let enabled = manifest.deployments.iter().filter(|(_, deployment)| deployment.enabled);
    for (_, deployment) in enabled.clone() {
        component::note_if_stale(&manifest, deployment);
    }
    let given = enabled
        .map(|(name, deployment)| Ok((name.clone(), Given::of(name, deployment)?)))
        .collect::<Result<_, Failure>>()?;
    Ok(RunPlan {
        manifest,
        source,
        given,
        until_idle: args.until_idle,
    })
}

/// Flag before environment before manifest.
fn apply(manifest: &mut Manifest, args: &RunArgs) -> Result<(), Failure> {
    let host = &mut manifest.host;
    if let Some(timeout) = args.drain_timeout {
        host.drain_timeout = timeout;
    }
    host.metrics = match (args.metrics, environment::text(environment::METRICS)) {
        (Some(address), _) => Some(address),
        (None, Some(text)) => Some(text.parse().map_err(|_| {
            Failure::usage(format!(
                "{} is \"{text}\", expected an address and a port",
                environment::METRICS
            ))
            .hint(format!("set {}=127.0.0.1:9464", environment::METRICS))
        })?),
        (None, None) => host.metrics,
    };
    if let Some(wished) = args.log.clone().or_else(|| environment::text(environment::LOG)) {
        if let Some(objection) = filter::objection(&wished) {
            return Err(Failure::usage(format!("the log filter {objection}")).hint(filter::HINT));
        }
        host.log = wished;
    }
    host.log_format = match (args.log_format, environment::text(environment::LOG_FORMAT).as_deref()) {
        (Some(format), _) => format.into(),
        (None, Some("text")) => LogFormat::Text,
        (None, Some("json")) => LogFormat::Json,
        (None, Some(other)) => {
            let message = format!("{} is \"{other}\", expected text or json", environment::LOG_FORMAT);
            return Err(Failure::usage(message));
        }
        (None, None) => host.log_format,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "kafka")]
    fn a_source_that_closed_is_looked_for_where_it_is() {
        let closed = HostError::SourceClosed {
            deployment: "jobs".to_owned(),
            reason: "the reason".to_owned(),
        };
        let told = |failure: Failure| {
            let lines: Vec<_> = failure.lines().collect();
            let (message, hint) = lines[0];
            assert!(
                message.starts_with("deployment jobs lost its source: the reason"),
                "{message}"
            );
            hint.unwrap().to_owned()
        };
        let (embedded, cluster) = (told(failure(&closed)), told(failure_on_kafka(&closed)));
        assert!(embedded.contains("errors of the disk"), "{embedded}");
        assert!(
            cluster.contains("sharemill doctor") && !cluster.contains("disk"),
            "{cluster}"
        );
    }
}
