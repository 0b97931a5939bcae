//! The running host: engine, deployments, admin socket and metrics, put together from a manifest and wound up in
//! stages. Called by `sharemill run`.

#[cfg(feature = "testing")]
mod kill;
mod logging;
mod observe;
mod setup;

use std::path::Path;
use std::sync::Arc;

#[cfg(not(feature = "testing"))]
use share_engine::config::EngineConfig;
use share_engine::engine::{Engine, RecoveryReport, SystemClock, SystemEntropy};
use share_engine::error::{AdminError, Fenced, OpenError};

use crate::admin::{AdminSocket, EmbeddedAdmin, SocketError};
use crate::cli::{RunPlan, specs};
use crate::config::{Deployment, Profile};
use crate::handler::{Allocation, HostEngine, HostEngineConfig, HostEngineError, LoadError, LoadedHandler};
use crate::lane::{LaneError, WasmFactory};
use crate::metrics::{MetricsServer, MetricsServerError};
use crate::shutdown::{Signals, Stage, Stages};
use crate::source::{EmbeddedProducer, EmbeddedSource, Source};
use crate::supervisor::{DeployError, Host, HostContext, HostOptions, ShutdownReport};

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
    /// Signals cannot be taken.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    /// The engine stopped after a failed write.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The engine gave up under a deployment.
    #[error("deployment {deployment} lost its source: {reason}; what is on disk is read again at the next start")]
    SourceClosed {
        /// The deployment.
        deployment: String,
        /// Why.
        reason: String,
    },
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

/// Runs the deployments of a plan until a signal, or until nothing is left to do.
pub async fn run(plan: RunPlan) -> Result<(), HostError> {
    logging::start(&plan.manifest.host);
    let signals = Signals::listen().map_err(HostError::Signals)?;
    let metrics = match plan.manifest.host.metrics {
        Some(address) => Some(MetricsServer::bind(address).await?),
        None => None,
    };
    let profile = plan.manifest.host.profile;
    let (engine, report) = open(&plan.source.data_dir, engine_config(&plan.source, profile))?;
    tell(&plan.source.data_dir, &report);
    let result = run_on(&plan, &engine, signals, metrics).await;
    engine.close().await?;
    result
}

async fn run_on(
    plan: &RunPlan,
    engine: &Engine,
    signals: Signals,
    metrics: Option<MetricsServer>,
) -> Result<(), HostError> {
    let handlers = load(plan)?;
    let done = setup::apply(&plan.manifest, engine).await;
    let what = || plan.manifest.file.display().to_string();
    for line in done.map_err(|source| HostError::Setup { what: what(), source })? {
        tracing::info!("{line}");
    }
    let host = start_host(plan, engine, handlers).await?;
    let admin = Arc::new(EmbeddedAdmin::new(engine.clone(), host.deployments().to_vec()));
    let socket = AdminSocket::bind(&plan.source.data_dir)?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut beside = tokio::task::JoinSet::new();
    let mut until = stopped.clone();
    beside.spawn(async move {
        let stopped = async move { drop(until.wait_for(|stopped| *stopped).await) };
        if let Err(error) = socket.serve(admin, stopped).await {
            tracing::error!(%error, "the admin socket failed");
        }
    });
    if let Some(server) = metrics {
        tracing::info!(address = %server.address(), "metrics are served");
        beside.spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "the metrics server failed");
            }
        });
    }
    beside.spawn(observe::publish(engine.clone()));
    tracing::info!(deployments = host.deployments().len(), data = %plan.source.data_dir.display(), "running");
    let ended = serve(host, signals, plan.until_idle).await;
    stop.send_replace(true);
    // The socket finishes its answers; the others have no end of their own.
    drop(tokio::time::timeout(std::time::Duration::from_secs(3), beside.join_next()).await);
    beside.shutdown().await;
    ended
}

/// Waits for a signal or for the last record, then winds the deployments up.
async fn serve(host: Host, signals: Signals, until_idle: bool) -> Result<(), HostError> {
    let stages = Arc::new(Stages::default());
    let driven = stages.clone();
    let driver = tokio::spawn(async move { signals.drive(&driven).await });
    let mut stage = stages.subscribe();
    let idle = async {
        if until_idle {
            host.until_idle().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let mut watchers = tokio::task::JoinSet::new();
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
        _ = stage.wait_for(|stage| *stage > Stage::Running) => {}
        Some(Ok((deployment, reason))) = watchers.join_next() => {
            tracing::error!(%deployment, %reason, "its source closed by itself");
            failed = Some(HostError::SourceClosed { deployment, reason });
            stages.drain();
        }
    }
    watchers.shutdown().await;
    let ShutdownReport {
        wedged_lanes,
        abandoned,
    } = host.shutdown(stages.subscribe()).await;
    driver.abort();
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

type Handlers = Vec<(String, Deployment, Arc<LoadedHandler>)>;

/// Loads every component before anything is changed on disk.
fn load(plan: &RunPlan) -> Result<Handlers, HostError> {
    let enabled = || {
        plan.manifest
            .deployments
            .iter()
            .filter(|(_, deployment)| deployment.enabled)
    };
    let config = wasm_config(plan, enabled().map(|(_, deployment)| deployment));
    let wasm = HostEngine::new(&config)?;
    let mut handlers = Vec::new();
    for (name, deployment) in enabled() {
        let environment = plan.environment.get(name).cloned().unwrap_or_default();
        let spec = Arc::new(specs::handler_spec(name, deployment, &environment));
        let failed = |source| HostError::Component {
            deployment: name.clone(),
            source: Box::new(source),
        };
        let handler = wasm.load(&deployment.component, spec).map_err(failed)?;
        handlers.push((name.clone(), deployment.clone(), handler));
    }
    Ok(handlers)
}

/// Room for every slot, and as much again for instances that are being replaced.
fn wasm_config<'a>(plan: &RunPlan, deployments: impl Iterator<Item = &'a Deployment>) -> HostEngineConfig {
    let (mut slots, mut memory) = (0, 1 << 20);
    for deployment in deployments {
        slots += deployment.concurrency;
        memory = memory.max(deployment.memory);
    }
    HostEngineConfig {
        max_instances: slots.saturating_add(SPARE_INSTANCES),
        allocation: if plan.manifest.host.profile == Profile::Edge {
            Allocation::OnDemand
        } else {
            Allocation::Auto
        },
        memory_max: memory,
        cache_dir: Some(plan.manifest.host.cache_dir.clone()),
        ..HostEngineConfig::default()
    }
}

const SPARE_INSTANCES: u32 = 64;

async fn start_host(plan: &RunPlan, engine: &Engine, handlers: Handlers) -> Result<Host, HostError> {
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
        let source: Arc<dyn Source> = Arc::new(joined.map_err(failed)?);
        let factory = WasmFactory::new(handler, &spec, source.clone(), producer.clone(), context.clock.clone());
        host.deploy(spec, source, factory)?;
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
