//! Wasm instances as workers: a delivery becomes the handler's input without a copy, and what a handler asks of the host is answered here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use share_engine::letter::ORIGIN_HEADER;
use share_engine::time::Clock;

use super::worker::{Worker, WorkerFactory, plain_report};
use crate::handler::{
    BatchReport, BoxFuture, CallControl, CallEnd, CallReport, Header, HostEngine, HostServices, Input, Instance,
    LeaseError, LoadedHandler, LogLevel, LogLine, Metric, MetricValue, OutgoingRecord, ProducerError, TimestampType,
};
use crate::metrics::GuestMetrics;
use crate::source::{Delivery, RenewResult, Source, TimestampKind};
use crate::supervisor::DeploymentSpec;

/// Where `send` goes to.
pub trait RecordProducer: Send + Sync {
    /// Produces now; resolves when the records are durable.
    fn send(&self, records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>>;
}

/// Makes instances of one component for one deployment.
pub struct WasmFactory {
    handler: Arc<LoadedHandler>,
    module: Arc<str>,
    desk: Arc<ServiceDesk>,
}

/// What the instances of a deployment share in asking the host.
struct ServiceDesk {
    deployment: Arc<str>,
    group: Arc<str>,
    max_lease: Duration,
    source: Arc<dyn Source>,
    producer: Arc<dyn RecordProducer>,
    clock: Arc<dyn Clock>,
    metrics: GuestMetrics,
}

impl WasmFactory {
    /// For the deployment of `spec`, which works on `source`.
    pub fn new(
        handler: Arc<LoadedHandler>,
        spec: &DeploymentSpec,
        source: Arc<dyn Source>,
        producer: Arc<dyn RecordProducer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            module: Arc::from(handler.inspect().digest),
            handler,
            desk: Arc::new(ServiceDesk {
                deployment: spec.name.clone(),
                group: spec.group.clone(),
                max_lease: spec.max_lease,
                source,
                producer,
                clock,
                metrics: GuestMetrics::new(&spec.name),
            }),
        }
    }
}

impl WorkerFactory for WasmFactory {
    type Worker = WasmWorker;

    async fn open(&self, control: &Arc<CallControl>) -> Result<WasmWorker, CallEnd> {
        let services = Arc::new(Services {
            desk: self.desk.clone(),
            current: Mutex::new(None),
        });
        let instance = self.handler.instantiate_under(services.clone(), control).await?;
        Ok(WasmWorker {
            instance,
            services,
            takes_batches: !self.handler.is_record_handler(),
        })
    }

    fn module(&self) -> Arc<str> {
        self.module.clone()
    }

    fn prepare_lane(&self) {
        HostEngine::prepare_thread();
    }
}

/// One instance.
pub struct WasmWorker {
    instance: Instance,
    services: Arc<Services>,
    /// Its handler has no function for single records: it gets batches of one.
    takes_batches: bool,
}

impl Worker for WasmWorker {
    async fn call(&mut self, delivery: &Delivery, id: u64, control: &Arc<CallControl>) -> CallReport {
        self.services.begin(delivery, id);
        let fault = |text: String| plain_report(CallEnd::HostFault(text), Duration::ZERO);
        let record = match delivery.record() {
            Ok(record) => record,
            Err(error) => return fault(format!("damaged record: {error}")),
        };
        let headers: Result<Vec<Header<'_>>, _> = record
            .headers()
            .map(|header| {
                std::str::from_utf8(header.name).map(|name| Header {
                    name,
                    value: header.value,
                })
            })
            .collect();
        let headers = match headers {
            Ok(headers) => headers,
            Err(error) => return fault(format!("damaged header name: {error}")),
        };
        let input = Input {
            id,
            topic: &delivery.topic,
            partition: delivery.partition,
            offset: delivery.offset().get(),
            timestamp_ms: record.timestamp.as_millis(),
            timestamp_type: match record.timestamp_kind {
                TimestampKind::None => TimestampType::None,
                TimestampKind::Create => TimestampType::CreateTime,
                TimestampKind::Append => TimestampType::LogAppendTime,
            },
            delivery_count: u32::from(delivery.attempt()),
            key: record.key,
            value: record.value,
            headers: &headers,
            checkpoint: delivery.checkpoint.clone(),
        };
        if self.takes_batches {
            return alone(self.instance.call_batch(&[input], control).await);
        }
        self.instance.call(input, control).await
    }
}

/// The report of a batch of one record.
fn alone(report: BatchReport) -> CallReport {
    let BatchReport {
        ends,
        emitted,
        log_tail,
        cpu,
        ended,
        memory_peak,
        host_calls,
        dropped_log_bytes,
    } = report;
    let missing = || CallEnd::HostFault("a batch of one record came to nothing".to_owned());
    CallReport {
        end: ends.into_iter().next().unwrap_or_else(missing),
        emitted: emitted.into_iter().next().unwrap_or_default(),
        log_tail,
        cpu,
        ended,
        memory_peak,
        host_calls,
        dropped_log_bytes,
    }
}

/// What one instance asks the host; knows the record that it runs.
struct Services {
    desk: Arc<ServiceDesk>,
    current: Mutex<Option<Current>>,
}

#[derive(Clone)]
struct Current {
    id: u64,
    delivery: Delivery,
}

impl Services {
    fn begin(&self, delivery: &Delivery, id: u64) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Current {
            id,
            delivery: delivery.clone(),
        });
    }

    fn current(&self, id: u64) -> Option<Current> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|current| current.id == id).cloned()
    }
}

impl HostServices for Services {
    fn renew_lease(&self, id: u64) -> BoxFuture<'_, Result<Duration, LeaseError>> {
        Box::pin(async move {
            let current = self.current(id).ok_or(LeaseError::Lost)?;
            if current.delivery.age(self.desk.clock.now().monotonic) >= self.desk.max_lease {
                return Err(LeaseError::Exhausted);
            }
            let results = self.desk.source.renew(vec![current.delivery.lease]).await;
            match results.first() {
                Some(RenewResult::Until(until)) => Ok(until.since(self.desk.clock.now().monotonic)),
                Some(RenewResult::Lost) => Err(LeaseError::Lost),
                Some(RenewResult::Unavailable) | None => Err(LeaseError::Unavailable),
            }
        })
    }

    fn send(&self, records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>> {
        self.desk.producer.send(records)
    }

    fn shows(&self, level: LogLevel) -> bool {
        match level {
            LogLevel::Trace => tracing::enabled!(target: "handler", tracing::Level::TRACE),
            LogLevel::Debug => tracing::enabled!(target: "handler", tracing::Level::DEBUG),
            LogLevel::Info => tracing::enabled!(target: "handler", tracing::Level::INFO),
            LogLevel::Warn => tracing::enabled!(target: "handler", tracing::Level::WARN),
            LogLevel::Error | LogLevel::Critical => tracing::enabled!(target: "handler", tracing::Level::ERROR),
        }
    }

    fn log(&self, line: LogLine<'_>) {
        let current = line.id.and_then(|id| self.current(id));
        let deployment = &*self.desk.deployment;
        let partition = current.as_ref().map(|current| current.delivery.partition);
        let offset = current.as_ref().map(|current| current.delivery.lease.offset.get());
        let attempt = current
            .as_ref()
            .map(|current| current.delivery.lease.delivery_count.get());
        let (context, message) = (line.context, line.message);
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(target: "handler", tracing::Level::$level, deployment, partition, offset, attempt, context, "{message}")
            };
        }
        match line.level {
            LogLevel::Trace => emit!(TRACE),
            LogLevel::Debug => emit!(DEBUG),
            LogLevel::Info => emit!(INFO),
            LogLevel::Warn => emit!(WARN),
            LogLevel::Error | LogLevel::Critical => emit!(ERROR),
        }
    }

    fn metric(&self, metric: Metric<'_>) {
        let (name, attributes) = (metric.name, metric.attributes);
        match metric.value {
            MetricValue::CounterAdd(delta) => self.desk.metrics.count(name, attributes, delta),
            MetricValue::GaugeSet(value) => self.desk.metrics.set(name, attributes, value),
            MetricValue::HistogramRecord(value) => self.desk.metrics.record(name, attributes, value),
        }
    }

    /// A redriven record names the place where it was first produced; for all others the host's own rule holds.
    fn idempotency_key(&self, id: u64) -> Option<String> {
        let current = self.current(id)?;
        let record = current.delivery.record().ok()?;
        let origin = record
            .headers()
            .find(|header| header.name == ORIGIN_HEADER.as_bytes())?;
        let origin = std::str::from_utf8(origin.value?).ok()?;
        Some(format!("{}:{}", self.desk.group, origin.replace('/', ":")))
    }
}

#[cfg(test)]
mod tests;
