//! The running host: engine, deployments, admin socket and metrics, put together from a manifest and wound up in
//! stages. Called by `sharemill run`.

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "testing")]
mod kill;
mod log_queue;
mod logging;
mod observe;
mod outlook;
mod setup;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(feature = "testing"))]
use share_engine::config::EngineConfig;
use share_engine::engine::{Engine, RecoveryReport, SystemClock, SystemEntropy, block_on};
use share_engine::error::{AdminError, Fenced, OpenError};

use crate::admin::{AdminSocket, Deployed, EmbeddedAdmin, SocketError};
use crate::cli::{RunPlan, specs};
use crate::config::{self, Deployment, Profile};
use crate::handler::{
    Allocation, HandlerSpec, HostEngine, HostEngineConfig, HostEngineError, LoadError, LoadedHandler,
};
use crate::lane::{LaneError, WasmFactory};
use crate::metrics::{MetricsServer, MetricsServerError};
use crate::shutdown::Stages;
use crate::source::{EmbeddedProducer, EmbeddedSource, Source};
use crate::supervisor::{DeployError, Host, HostContext, HostOptions, ShutdownReport};
use tokio::task::JoinSet;

#[cfg(feature = "kafka")]
pub use kafka::{Finding, KafkaError, Verdict, examine, run as run_on_kafka};
pub(crate) use logging::flush as flush_log;
pub(crate) use outlook::{RAISE_OPEN_FILES, foresee};
pub use setup::{apply_topics, engine_config, retention, start, topic_config};

/// Why a host did not start, or did not end as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The data directory cannot be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// A topic or group of the manifest cannot be had.
    #[error("{what}: {source}")]
    Setup {
        /// What was being set up.
        what: String,
        /// Why not.
        source: AdminError,
    },
    /// A deployment's component cannot be run.
    #[error("deployment {deployment}: {source}")]
    Component {
        /// The deployment.
        deployment: String,
        /// Why not.
        source: Box<LoadError>,
    },
    /// The wasm engine.
    #[error(transparent)]
    Engine(#[from] HostEngineError),
    /// The lanes.
    #[error(transparent)]
    Lanes(#[from] LaneError),
    /// Two deployments that cannot be together.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// The admin socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The metrics address.
    #[error(transparent)]
    Metrics(#[from] MetricsServerError),
    /// The engine stopped after a failed write.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// Three signals.
    #[error("given up by a third signal; what was held is delivered again")]
    GivenUp,
    /// Deployments that would not settle and leave.
    #[error("deployments did not end within {} s; what they held is delivered again", .0.as_secs())]
    NotEnded(Duration),
    /// The data directory is another's, or nobody's.
    #[error("{0}; nothing is acknowledged since")]
    DirectoryLost(String),
    /// The disk does not answer.
    #[error("the engine did not close within {} s; what is on disk is read again at the next start", .0.as_secs())]
    NotClosed(Duration),
    /// The engine gave up under a deployment, or a cluster put its member out for good.
    #[error("deployment {deployment} lost its source: {reason}; what is not settled is delivered again")]
    SourceClosed {
        /// The deployment.
        deployment: String,
        /// Why.
        reason: String,
    },
    /// The Kafka cluster of the manifest.
    #[cfg(feature = "kafka")]
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// Handlers that would not end.
    #[error("{0} lane(s) were wedged and left behind; what they held is delivered again")]
    Wedged(usize),
}

#[cfg(feature = "testing")]
use kill::open;

#[cfg(not(feature = "testing"))]
fn open(directory: &Path, config: EngineConfig) -> Result<(Engine, RecoveryReport), OpenError> {
    Engine::open(directory, config)
}

/// Runs the deployments of a plan until `stages` say otherwise, or until nothing is left to do. Answers on the admin socket from the
/// moment in which the engine is open until it is about to be closed.
pub async fn run(plan: RunPlan, stages: &Arc<Stages>) -> Result<(), HostError> {
    logging::start(&plan.manifest.host);
    let mut beside = JoinSet::new();
    serve_metrics(&plan, &mut beside).await?;
    warn(&plan);
    let (engine, report) = tokio::select! {
        opened = open_soon(&plan) => opened?,
        // Recovery cannot be stopped; it is left behind.
        () = stages.given_up() => return Err(HostError::GivenUp),
    };
    tell(&plan.source.data_dir, &report);
    beside.spawn(observe::publish(engine.clone(), stages.clone()));
    let result = tokio::select! {
        ended = run_on(&plan, &engine, stages) => ended,
        // Members leave as the engine closes, whatever their handlers do.
        () = stages.given_up() => Err(HostError::GivenUp),
    };
    beside.shutdown().await;
    let closed = close(engine.clone()).await;
    let stats = engine.stats();
    if let Some(report) = stats.died {
        tracing::error!(%report, "a bug of the engine ended it; what is on disk is read again at the next start");
    }
    if let Some(reason) = stats.lost {
        // Whatever else failed failed because of that.
        return Err(HostError::DirectoryLost(reason));
    }
    if let (Err(_), Err(error)) = (&result, &closed) {
        // What came first is what is answered.
        tracing::error!(%error, "the data directory was not closed cleanly either");
    }
    if result.is_ok() && closed.is_ok() {
        tracing::info!("ended");
    }
    result.and(closed)
}

async fn serve_metrics<S>(plan: &RunPlan<S>, beside: &mut JoinSet<()>) -> Result<(), MetricsServerError> {
    if let Some(address) = plan.manifest.host.metrics {
        let server = MetricsServer::bind(address).await?;
        tracing::info!(address = %server.address(), "metrics are served");
        beside.spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "the metrics server failed");
            }
        });
    }
    Ok(())
}

/// What its journal will not do; what stops it, the open says.
fn warn(plan: &RunPlan) {
    for name in plan.manifest.sources.keys() {
        for problem in foresee(name, &plan.source, plan.manifest.host.profile) {
            if problem.severity == config::Severity::Warning {
                let (key, hint) = (&problem.key, problem.hint.as_deref().unwrap_or_default());
                tracing::warn!(%key, %hint, "{}", problem.message);
            }
        }
    }
}

/// Opens the engine beside the runtime's threads. A command that has the directory for the moment is waited for.
async fn open_soon(plan: &RunPlan) -> Result<(Engine, RecoveryReport), OpenError> {
    let give_up = tokio::time::Instant::now() + OPEN_WAIT;
    loop {
        let directory = plan.source.data_dir.clone();
        let config = engine_config(&plan.source, plan.manifest.host.profile);
        match blocking(move || open(&directory, config)).await {
            Err(OpenError::InUse { .. }) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(OPEN_AGAIN).await;
            }
            opened => return opened,
        }
    }
}

/// How long the directory may be another's before this host is refused: commands have it for milliseconds.
const OPEN_WAIT: Duration = Duration::from_secs(2);
const OPEN_AGAIN: Duration = Duration::from_millis(20);

/// What is under way is settled by now: what is left is the end entry, which one sync makes durable.
async fn close(engine: Engine) -> Result<(), HostError> {
    let closing = blocking(move || block_on(engine.close()));
    match tokio::time::timeout(CLOSE_LIMIT, closing).await {
        Ok(closed) => Ok(closed?),
        Err(_) => Err(HostError::NotClosed(CLOSE_LIMIT)),
    }
}

/// A disk that takes longer for its last sync is left behind: the next start recovers, as after a crash.
const CLOSE_LIMIT: Duration = Duration::from_secs(15);

/// Runs what blocks beside the runtime's threads; a panic goes on here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and everything on it.
            Err(_) => std::future::pending().await,
        },
    }
}

async fn run_on(plan: &RunPlan, engine: &Engine, stages: &Arc<Stages>) -> Result<(), HostError> {
    let admin = Arc::new(EmbeddedAdmin::of_host(engine.clone(), &plan.source.data_dir));
    let socket = AdminSocket::bind(&plan.source.data_dir)?;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let mut serving = JoinSet::new();
    let answering = admin.clone();
    serving.spawn(async move {
        let stopped = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        if let Err(error) = socket.serve(answering, stopped).await {
            tracing::error!(%error, "the admin socket failed");
        }
    });
    let ended = work(plan, engine, stages, &admin).await;
    // Whoever waits for the start is told that there will be none.
    admin.handle_started();
    stop.send_replace(true);
    // The socket finishes its answers.
    drop(tokio::time::timeout(SOCKET_LIMIT, serving.join_next()).await);
    serving.shutdown().await;
    ended
}

/// A little more than what the socket grants to answers under way.
const SOCKET_LIMIT: Duration = Duration::from_secs(3);

/// From components to the last record.
async fn work(plan: &RunPlan, engine: &Engine, stages: &Arc<Stages>, admin: &EmbeddedAdmin) -> Result<(), HostError> {
    let planned = plan.clone();
    let handlers = tokio::select! {
        loaded = blocking(move || load(&planned)) => loaded?,
        // The compiler cannot be stopped; it is left behind.
        () = stages.ending() => return Ok(()),
    };
    let done = setup::apply(&plan.manifest, engine).await;
    let what = || plan.manifest.file.display().to_string();
    for line in done.map_err(|source| HostError::Setup { what: what(), source })? {
        tracing::info!("{line}");
    }
    let host = start_host(plan, engine, handlers, admin).await?;
    admin.handle_started();
    tracing::info!(deployments = host.deployments().len(), data = %plan.source.data_dir.display(), "running");
    serve(host, stages, plan).await
}

/// Waits for a signal or for the last record, then winds the deployments up.
async fn serve<S>(host: Host, stages: &Arc<Stages>, plan: &RunPlan<S>) -> Result<(), HostError> {
    let idle = async {
        if plan.until_idle {
            host.until_idle().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let mut watchers = JoinSet::new();
    for deployment in host.deployments() {
        let deployment = deployment.clone();
        watchers.spawn(async move {
            let reason = deployment.failed().await;
            (deployment.spec().name.to_string(), reason)
        });
    }
    let mut failed = None;
    tokio::select! {
        () = idle => stages.drain(),
        () = stages.ending() => {}
        Some(Ok((deployment, reason))) = watchers.join_next() => {
            tracing::error!(%deployment, %reason, "its source closed by itself");
            failed = Some(HostError::SourceClosed { deployment, reason });
            stages.drain();
        }
    }
    watchers.shutdown().await;
    let limit = plan.manifest.host.drain_timeout + END_LIMIT;
    let deployments = host.deployments().to_vec();
    let ended = tokio::time::timeout(limit, host.shutdown(stages.subscribe())).await;
    let ShutdownReport {
        wedged_lanes,
        abandoned,
    } = ended.map_err(|_| HostError::NotEnded(limit))?;
    deployments.iter().for_each(observe::sum_up);
    if abandoned > 0 {
        tracing::warn!(
            abandoned,
            "records were given up while they ran; they are delivered again"
        );
    }
    match (failed, wedged_lanes) {
        (Some(failed), _) => Err(failed),
        (None, 0) => Ok(()),
        (None, lanes) => Err(HostError::Wedged(lanes)),
    }
}

/// Beyond the drain: what is released has to be settled, and groups left, which takes a few syncs of the disk.
const END_LIMIT: Duration = Duration::from_secs(30);

type Handlers = Vec<(String, Deployment, Arc<LoadedHandler>)>;

/// Loads every component before anything is changed on disk.
fn load<S>(plan: &RunPlan<S>) -> Result<Handlers, HostError> {
    let enabled = || {
        plan.manifest
            .deployments
            .iter()
            .filter(|(_, deployment)| deployment.enabled)
    };
    let config = wasm_config(&plan.manifest.host, enabled().map(|(_, deployment)| deployment));
    let wasm = HostEngine::new(&config)?;
    let log_threshold = logging::guest_threshold(&plan.manifest.host.log);
    let mut handlers = Vec::new();
    for (name, deployment) in enabled() {
        let given = plan.given.get(name).cloned().unwrap_or_default();
        let spec = Arc::new(HandlerSpec {
            log_threshold,
            ..specs::handler_spec(name, deployment, &given)
        });
        let failed = |source| HostError::Component {
            deployment: name.clone(),
            source: Box::new(source),
        };
        let handler = wasm.load(&deployment.component, spec).map_err(failed)?;
        handlers.push((name.clone(), deployment.clone(), handler));
    }
    Ok(handlers)
}

/// The wasm engine that these deployments run on: room for every slot, and some for instances that are being replaced.
pub(crate) fn wasm_config<'a>(
    host: &config::Host,
    deployments: impl Iterator<Item = &'a Deployment>,
) -> HostEngineConfig {
    let (mut slots, mut memory) = (0, 1 << 20);
    for deployment in deployments {
        slots += deployment.concurrency;
        memory = memory.max(deployment.memory);
    }
    HostEngineConfig {
        max_instances: slots.saturating_add(SPARE_INSTANCES),
        allocation: if host.profile == Profile::Edge {
            Allocation::Sparing
        } else {
            Allocation::Auto
        },
        memory_max: memory,
        cache_dir: Some(host.cache_dir.clone()),
        ..HostEngineConfig::default()
    }
}

const SPARE_INSTANCES: u32 = 64;

async fn start_host(
    plan: &RunPlan,
    engine: &Engine,
    handlers: Handlers,
    admin: &EmbeddedAdmin,
) -> Result<Host, HostError> {
    let context = HostContext::new(Arc::new(SystemClock), Arc::new(SystemEntropy));
    let options = HostOptions {
        lanes: usize::try_from(plan.manifest.host.lanes.unwrap_or(0)).unwrap_or(0),
        drain_timeout: plan.manifest.host.drain_timeout,
    };
    let producer = Arc::new(EmbeddedProducer::new(engine.clone()));
    let mut host = Host::start(options, context.clone())?;
    for (name, deployment, handler) in handlers {
        let spec = specs::deployment_spec(&name, &deployment);
        let joined = EmbeddedSource::join(engine.clone(), &deployment.group, &deployment.topic).await;
        let failed = |source| HostError::Setup {
            what: format!("deployment {name}"),
            source,
        };
        let source = joined.map_err(failed)?;
        let member = source.member();
        let source: Arc<dyn Source> = Arc::new(source);
        let factory = WasmFactory::new(handler, &spec, source.clone(), producer.clone(), context.clock.clone());
        admin.handle_deployed(Deployed {
            handle: host.deploy(spec, source, factory)?,
            member,
            emit: deployment.grants.emit,
            dead_letter: deployment.dead_letter,
        });
    }
    Ok(host)
}

/// What opening found, for the log.
fn tell(directory: &Path, report: &RecoveryReport) {
    if let Some((file, offset, bytes)) = &report.torn {
        tracing::warn!(%file, offset, bytes, "the last write was cut short by a crash; nobody was told of it");
    }
    if !report.clean {
        let (entries, held) = (report.entries, report.held);
        tracing::warn!(
            directory = %directory.display(),
            entries,
            held,
            "recovered after an unclean end; what was held is available again"
        );
    }
}
