//! From produce to durable acknowledgement through the real host: source, dispatcher, lanes and instances.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use share_engine::config::TopicConfig;
use share_engine::engine::Engine;
use share_engine::record::NewRecord;
use sharemill::handler::{CallControl, CallEnd, CallReport, Grants, HandlerLimits, HandlerSpec, InstanceMode, Outcome};
use sharemill::lane::{WasmFactory, Worker, WorkerFactory, plain_report};
use sharemill::shutdown::Stages;
use sharemill::source::{Delivery, EmbeddedProducer, EmbeddedSource};
use sharemill::supervisor::{DeploymentSpec, Host, HostContext, HostOptions};

use crate::report::Sample;
use crate::rig::{GROUP, Meter, Rig, TOPIC, component, produce_all, record};
use crate::watch::Watch;

pub(crate) fn reused(rig: &Rig, _: &str) -> Result<Sample> {
    through(
        rig,
        Handler::Guest("bench-accept", InstanceMode::Reuse),
        rig.count(300_000),
        record,
    )
}

pub(crate) fn fresh(rig: &Rig, _: &str) -> Result<Sample> {
    through(
        rig,
        Handler::Guest("bench-accept", InstanceMode::Fresh),
        rig.count(100_000),
        record,
    )
}

pub(crate) fn fresh_lean(rig: &Rig, _: &str) -> Result<Sample> {
    through(
        rig,
        Handler::Guest("bench-accept-lean", InstanceMode::Fresh),
        rig.count(100_000),
        record,
    )
}

pub(crate) fn native(rig: &Rig, _: &str) -> Result<Sample> {
    through(rig, Handler::Native, rig.count(300_000), record)
}

pub(crate) fn enrich(rig: &Rig, _: &str) -> Result<Sample> {
    through(
        rig,
        Handler::Guest("enrich", InstanceMode::Reuse),
        rig.count(60_000),
        order,
    )
}

/// What handles the records.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    Guest(&'static str, InstanceMode),
    Native,
}

/// A host at work on the engine's topic.
pub(crate) struct Running {
    pub(crate) watch: Arc<Watch>,
    host: Host,
}

impl Running {
    pub(crate) async fn start(rig: &Rig, engine: &Engine, handler: Handler, concurrency: u32) -> Result<Self> {
        let context = HostContext::system();
        let mut host = Host::start(HostOptions::default(), context.clone())?;
        let watch = Arc::new(Watch::new(EmbeddedSource::join(engine.clone(), GROUP, TOPIC).await?));
        let mut spec = DeploymentSpec::new("bench", TOPIC);
        spec.group = Arc::from(GROUP);
        spec.concurrency = concurrency;
        match handler {
            Handler::Guest(name, mode) => {
                spec.instance = mode;
                let loaded = rig.wasm.load(&component(rig, name), Arc::new(handler_spec(mode)))?;
                let producer = Arc::new(EmbeddedProducer::new(engine.clone()));
                let factory = WasmFactory::new(loaded, &spec, watch.clone(), producer, context.clock.clone());
                host.deploy(spec, watch.clone(), factory)?;
            }
            Handler::Native => {
                host.deploy(spec, watch.clone(), NativeFactory)?;
            }
        }
        Ok(Self { watch, host })
    }

    pub(crate) async fn stop(self) {
        let stages = Stages::default();
        stages.drain();
        self.host.shutdown(stages.subscribe()).await;
    }
}

fn handler_spec(mode: InstanceMode) -> HandlerSpec {
    HandlerSpec {
        deployment: "bench".to_owned(),
        group: GROUP.to_owned(),
        topic: Some(TOPIC.to_owned()),
        limits: HandlerLimits::default(),
        grants: Grants {
            emit: BTreeSet::from(["order-lines".to_owned()]),
            ..Grants::default()
        },
        attempt_limit: Some(5),
        instance: mode,
        ..HandlerSpec::default()
    }
}

fn through(rig: &Rig, handler: Handler, count: u64, make: fn(u64) -> NewRecord) -> Result<Sample> {
    let data = rig.bench(1)?;
    rig.runtime.block_on(async {
        data.engine.create_topic("order-lines", TopicConfig::default()).await?;
        let running = Running::start(rig, &data.engine, handler, DeploymentSpec::CONCURRENCY).await?;
        let warm = 400;
        produce_all(&data.engine, warm, 4, 100, make).await?;
        running.watch.settled(warm).await;
        let meter = Meter::start();
        let (produced, ()) = tokio::join!(
            produce_all(&data.engine, count, 4, 100, make),
            running.watch.settled(warm + count)
        );
        produced?;
        let sample = meter.sample(count, data.control);
        running.stop().await;
        data.close().await?;
        Ok(sample)
    })
}

/// A valid order of two lines.
pub(crate) fn order(number: u64) -> NewRecord {
    let value = format!(
        r#"{{"id":"order-{number:010}","customer":"customer-{:06}","lines":[{{"sku":"bolt-m8","quantity":4,"price_cents":25}},{{"sku":"nut-m8","quantity":4,"price_cents":10}}]}}"#,
        number % 1_000
    );
    NewRecord {
        key: None,
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
        timestamp: None,
    }
}

/// What `bench-accept` does, in the host's own code.
struct NativeFactory;

struct NativeWorker;

impl WorkerFactory for NativeFactory {
    type Worker = NativeWorker;

    async fn open(&self, _: &Arc<CallControl>) -> Result<NativeWorker, CallEnd> {
        Ok(NativeWorker)
    }

    fn module(&self) -> Arc<str> {
        Arc::from("native")
    }
}

impl Worker for NativeWorker {
    async fn call(&mut self, delivery: &Delivery, _: u64, _: &Arc<CallControl>) -> CallReport {
        let Ok(record) = delivery.record() else {
            return plain_report(CallEnd::HostFault("damaged record".to_owned()), Duration::ZERO);
        };
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for part in [
            delivery.topic.as_bytes(),
            record.key.unwrap_or_default(),
            record.value.unwrap_or_default(),
        ] {
            for word in part.chunks(8) {
                let mut bytes = [0; 8];
                for (to, from) in bytes.iter_mut().zip(word) {
                    *to = *from;
                }
                hash = (hash ^ u64::from_le_bytes(bytes)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        std::hint::black_box(hash);
        plain_report(CallEnd::Outcome(Outcome::Accept), Duration::ZERO)
    }
}
