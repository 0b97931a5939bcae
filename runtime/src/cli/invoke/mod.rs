//! `sharemill invoke`: one record through one component, without an engine, and everything that came of it. `sharemill test` does the
//! same with many.

mod report;
mod services;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;

use super::args::InvokeArgs;
use super::component;
use crate::admin::{Header, Record};
use crate::handler::{self, BatchReport, CallControl, CallEnd, CallReport, Input, LoadedHandler, TimestampType};
use crate::output::Failure;
use report::Times;
pub(super) use report::{Invocation, describe, outgoing_line};
use services::Recorder;

/// Runs one record; fails if the call does not end in an outcome.
pub(super) async fn run(args: InvokeArgs) -> Result<(), Failure> {
    let delivery = Delivery {
        record: record(&args)?,
        topic: args.topic.clone(),
        offset: 0,
        attempt: args.attempt,
        checkpoint: args.checkpoint.as_deref().map(read).transpose()?.map(Bytes::from),
        identity: Identity::MadeUp("invoke".to_owned()),
    };
    let begun = now();
    let component = component::load(&args.component, args.deployment.as_deref(), &args.manifest)?;
    let load = now().duration_since(begun);
    let mut invocation = once(&component.handler, &delivery).await;
    invocation.times.load = load;
    invocation.print(args.format.into())?;
    match invocation.end {
        CallEnd::Outcome(_) => Ok(()),
        _ => Err(invocation.failure()),
    }
}

/// One delivery, as it is said to be.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) record: Record,
    /// `None`: the deployment's own.
    pub(super) topic: Option<String>,
    pub(super) offset: u64,
    pub(super) attempt: u32,
    pub(super) checkpoint: Option<Bytes>,
    pub(super) identity: Identity,
}

/// What the idempotency key is made of.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// A record that is in no queue, by where it comes from. No server must take it for one that is, or for that of an earlier run.
    MadeUp(String),
    /// Where a record was first produced, TOPIC/PARTITION/OFFSET: what is done for it now is not to be done again.
    Origin(String),
}

/// One delivery through a new instance, and everything that came of it. Loading it took no time.
pub(super) async fn once(handler: &Arc<LoadedHandler>, delivery: &Delivery) -> Invocation {
    let group = &handler.spec().group;
    let key = match &delivery.identity {
        Identity::MadeUp(place) => format!("test:{group}:{}:{}", in_a_header(place), now_ms()),
        Identity::Origin(place) => format!("{group}:{}", place.replace('/', ":")),
    };
    let services = Arc::new(Recorder::new(key));
    let topic = delivery.topic.as_deref().or(handler.spec().topic.as_deref());
    let loaded = now();
    let called = call(handler, &services, delivery, topic.unwrap_or("invoke")).await;
    let times = Times {
        load: Duration::ZERO,
        start: called
            .ready
            .map_or(Duration::ZERO, |ready| ready.duration_since(loaded)),
        call: called
            .ready
            .map_or(Duration::ZERO, |ready| called.ended.duration_since(ready)),
        cpu: called.cpu,
    };
    Invocation {
        end: called.end,
        emitted: called.emitted,
        said: services.take(),
        times,
        memory_peak: called.memory_peak,
        host_calls: called.host_calls,
        dropped_log_bytes: called.dropped_log_bytes,
        digest: handler.inspect().digest,
    }
}

/// File names may have what no header takes.
fn in_a_header(text: &str) -> String {
    let odd = |c: char| !c.is_ascii_graphic();
    text.replace(odd, "_")
}

/// What came of instantiation and call.
struct Called {
    end: CallEnd,
    emitted: Vec<handler::OutgoingRecord>,
    ready: Option<Instant>,
    ended: Instant,
    cpu: Duration,
    memory_peak: u64,
    host_calls: u64,
    dropped_log_bytes: u64,
}

async fn call(handler: &Arc<LoadedHandler>, services: &Arc<Recorder>, delivery: &Delivery, topic: &str) -> Called {
    let record = &delivery.record;
    let services: Arc<Recorder> = Arc::clone(services);
    let mut instance = match handler.instantiate(services).await {
        Ok(instance) => instance,
        Err(end) => return Called::failed(end),
    };
    let ready = now();
    let headers: Vec<handler::Header<'_>> = record
        .headers
        .iter()
        .map(|Header { name, value }| handler::Header {
            name,
            value: value.as_deref(),
        })
        .collect();
    let input = Input {
        id: 1,
        topic,
        partition: record.partition.unwrap_or(0),
        offset: delivery.offset,
        timestamp_ms: record.timestamp.unwrap_or_else(now_ms),
        timestamp_type: TimestampType::CreateTime,
        delivery_count: delivery.attempt,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &headers,
        checkpoint: delivery.checkpoint.clone(),
    };
    let control = CallControl::new(handler.spec().limits.deadline);
    if handler.is_record_handler() {
        Called::of(instance.call(input, &control).await, ready)
    } else {
        Called::of_batch(instance.call_batch(&[input], &control).await, ready)
    }
}

impl Called {
    fn failed(end: CallEnd) -> Self {
        Self {
            end,
            emitted: Vec::new(),
            ready: None,
            ended: now(),
            cpu: Duration::ZERO,
            memory_peak: 0,
            host_calls: 0,
            dropped_log_bytes: 0,
        }
    }

    fn of(report: CallReport, ready: Instant) -> Self {
        Self {
            end: report.end,
            emitted: report.emitted,
            ready: Some(ready),
            ended: report.ended,
            cpu: report.cpu,
            memory_peak: report.memory_peak,
            host_calls: report.host_calls,
            dropped_log_bytes: report.dropped_log_bytes,
        }
    }

    /// A batch of one.
    fn of_batch(report: BatchReport, ready: Instant) -> Self {
        let end = report.ends.into_iter().next();
        Self {
            end: end.unwrap_or_else(|| CallEnd::HostFault("the batch call ended without a result".to_owned())),
            emitted: report.emitted.into_iter().flatten().collect(),
            ready: Some(ready),
            ended: report.ended,
            cpu: report.cpu,
            memory_peak: report.memory_peak,
            host_calls: report.host_calls,
            dropped_log_bytes: report.dropped_log_bytes,
        }
    }
}

/// The record of the arguments; without any, one with a null value.
fn record(args: &InvokeArgs) -> Result<Record, Failure> {
    let mut record = match &args.record {
        Some(path) => serde_json::from_slice(&read(path)?)
            .map_err(|error| Failure::new(format!("{} is not a record: {error}", path.display())))?,
        None => Record {
            value: args.value.clone().map(Bytes::from),
            ..Record::default()
        },
    };
    if let Some(key) = &args.key {
        record.key = Some(Bytes::from(key.clone()));
    }
    let headers = args.headers.iter().map(|(name, value)| Header {
        name: name.clone(),
        value: Some(Bytes::from(value.clone())),
    });
    record.headers.extend(headers);
    Ok(record)
}

/// A file, or standard input for `-`; at most [`INPUT_BYTES_MAX`].
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    const INPUT_BYTES_MAX: u64 = 8 << 20;
    let cannot = |error| Failure::new(format!("cannot read {}: {error}", path.display()));
    let source: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(cannot)?)
    };
    let mut content = Vec::new();
    source
        .take(INPUT_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(cannot)?;
    if content.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::new(format!(
            "{} is larger than the limit of {INPUT_BYTES_MAX} bytes",
            path.display()
        )));
    }
    Ok(content)
}

#[expect(clippy::disallowed_methods, reason = "shown to a person, decides nothing")]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "stands in for the time at which a record would be produced"
)]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
