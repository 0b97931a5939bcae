//! The running host on a Kafka cluster: topics and groups brought to what the manifest wishes as far as the principal may, limits read,
//! deployments joined to their groups. Called by `sharemill run`.

mod doctor;
mod error;
mod limits;
mod setup;

use std::sync::Arc;
use std::time::Duration;

use share_client::admin::{Admin, Reset};
use share_client::config::ClientConfig;
use share_client::tools::Who;
use share_engine::engine::{SystemClock, SystemEntropy};
use tokio::task::JoinSet;

use super::{Handlers, HostError, blocking, load, logging, serve, serve_metrics};
use crate::cli::{RunPlan, specs};
use crate::config::{KafkaSource as Settings, RetryTopic};
use crate::lane::WasmFactory;
use crate::shutdown::Stages;
use crate::source::{KafkaContext, KafkaOptions, KafkaProducer, KafkaSource, Source};
use crate::supervisor::{Host, HostContext, HostOptions};
pub use doctor::{Finding, Verdict, examine};
pub use error::KafkaError;

/// What connects to the cluster.
struct Cluster {
    config: ClientConfig,
    admin: Admin,
    producer: Arc<KafkaProducer>,
    letter_bytes: u64,
}

/// Runs the deployments of a plan until `stages` say otherwise, or until nothing is left to do.
pub async fn run(plan: RunPlan<Settings>, stages: &Arc<Stages>) -> Result<(), HostError> {
    logging::start(&plan.manifest.host);
    let mut beside = JoinSet::new();
    serve_metrics(&plan, &mut beside).await?;
    let result = tokio::select! {
        ended = work(&plan, stages) => ended,
        // Brokers give back what was held when the connections end.
        () = stages.given_up() => Err(HostError::GivenUp),
    };
    beside.shutdown().await;
    if result.is_ok() {
        tracing::info!("ended");
    }
    result
}

/// From components to the last record.
async fn work(plan: &RunPlan<Settings>, stages: &Arc<Stages>) -> Result<(), HostError> {
    let planned = plan.clone();
    let host = tokio::select! {
        started = async {
            let handlers = blocking(move || load(&planned)).await?;
            let cluster = connect(plan).await?;
            start(plan, &cluster, handlers).await
        } => started?,
        // Who has not joined by now holds nothing.
        () = stages.ending() => return Ok(()),
    };
    tracing::info!(deployments = host.deployments().len(), "running");
    serve(host, stages, plan).await
}

/// Reads the secrets, sees that somebody answers who has share groups, and makes what connects.
async fn connect(plan: &RunPlan<Settings>) -> Result<Cluster, KafkaError> {
    let source = plan.source.clone();
    let properties = blocking(move || source.resolve()).await?;
    let of_client = properties.of_client();
    let properties = properties.get();
    let config = ClientConfig::new(&of_client)?;
    let admin = Admin::new(&config)?;
    // Before librdkafka tells of the same trouble in its own words.
    setup::check_cluster(&admin).await?;
    let letter_bytes = properties.get("message.max.bytes").and_then(|text| text.parse().ok());
    Ok(Cluster {
        admin,
        producer: Arc::new(KafkaProducer::new(properties)?),
        config,
        letter_bytes: letter_bytes
            .unwrap_or(MESSAGE_BYTES)
            .saturating_sub(BATCH_BYTES)
            .max(BATCH_BYTES),
    })
}

/// What librdkafka and Kafka's topics take unless they are told otherwise.
const MESSAGE_BYTES: u64 = 1_000_000;

/// What a batch has beside its record, and some more.
const BATCH_BYTES: u64 = 1_024;

/// Records that will be started within this time are acquired ahead: longer than on the embedded engine, since a fetch costs a broker
/// the same for many records as for a few, and takes some milliseconds.
const LOOKAHEAD: Duration = Duration::from_millis(25);

async fn start(plan: &RunPlan<Settings>, cluster: &Cluster, handlers: Handlers) -> Result<Host, HostError> {
    setup::topics(&plan.manifest, &cluster.admin, &Who::of(&cluster.config)).await?;
    let context = HostContext::new(Arc::new(SystemClock), Arc::new(SystemEntropy));
    let options = HostOptions {
        lanes: usize::try_from(plan.manifest.host.lanes.unwrap_or(0)).unwrap_or(0),
        drain_timeout: plan.manifest.host.drain_timeout,
    };
    let mut joined = Vec::new();
    for (name, deployment, handler) in handlers {
        let group = setup::group(&name, &deployment, &plan.source, &cluster.admin).await?;
        let mut spec = specs::deployment_spec(&name, &deployment);
        spec.lock = group.lock;
        spec.lookahead = LOOKAHEAD;
        spec.dead_letter = group.dead_letter.as_deref().map(Into::into);
        // The brokers give out no more: to ask for it brings many small answers.
        let windows = u64::from(group.window).saturating_mul(group.partitions.unwrap_or(1).max(1));
        let ahead = windows.saturating_sub(deployment.concurrency.into());
        spec.most_ahead = usize::try_from(ahead).map_or(spec.most_ahead, |ahead| ahead.min(spec.most_ahead));
        let options = KafkaOptions {
            group: deployment.group.clone(),
            topic: deployment.topic.clone(),
            attempts: spec.attempts,
            max_lease: deployment.max_lease,
            lock: group.lock,
            window: group.window,
            window_is_known: group.window_is_known,
            deliveries: group.deliveries,
            from_the_start: group.reset == Reset::Earliest,
            slots: deployment.concurrency,
            parking: usize::try_from(plan.source.parking).unwrap_or(usize::MAX),
            letters: group.letters,
            letter_bytes: cluster.letter_bytes,
            retry_topic: deployment
                .retry_topic
                .as_ref()
                .and_then(RetryTopic::topic)
                .map(str::to_owned),
        };
        let joining = KafkaSource::join(
            KafkaContext {
                config: cluster.config.clone(),
                admin: cluster.admin.clone(),
                producer: cluster.producer.clone(),
                clock: context.clock.clone(),
            },
            options,
        );
        let source = joining.await.map_err(|source| KafkaError::Join {
            deployment: name.clone(),
            group: deployment.group.clone(),
            who: Box::new(Who::of(&cluster.config)),
            source: Box::new(source),
        })?;
        tracing::info!(deployment = %name, group = %deployment.group, topic = %deployment.topic, member = %source.member(), "joined");
        let source: Arc<dyn Source> = Arc::new(source);
        let factory = WasmFactory::new(
            handler,
            &spec,
            source.clone(),
            cluster.producer.clone(),
            context.clock.clone(),
        );
        joined.push((spec, source, factory));
    }
    // Whoever is told to end before holds nothing yet, and what fails to join leaves nothing half done.
    let mut host = Host::start(options, context)?;
    for (spec, source, factory) in joined {
        host.deploy(spec, source, factory)?;
    }
    Ok(host)
}
