//! The functions of `sharemill:worker` that a handler may call. Each is counted, small, and refuses by a typed error; only passing the
//! number of calls ends the invocation.

use bytes::Bytes;
use wasmtime::Result;

use super::bindings::sharemill::worker::{context, lease, logging, metrics, producer, types};
use super::control::{nanos, now};
use super::services::{self, Metric, MetricValue, OutgoingRecord};
use super::spec::LogLevel;
use super::state::HostState;

impl types::Host for HostState {}

impl context::Host for HostState {
    fn group(&mut self) -> Result<String> {
        self.count_host_call()?;
        Ok(self.spec().group.clone())
    }

    fn attempt_limit(&mut self) -> Result<Option<u32>> {
        self.count_host_call()?;
        Ok(self.spec().attempt_limit)
    }

    fn idempotency_key(&mut self, id: u64) -> Result<String> {
        self.count_host_call()?;
        let record = self.own_record(id)?;
        if let Some(key) = self.services.idempotency_key(id) {
            return Ok(key);
        }
        let spec = self.spec();
        let topic = match record.topic.as_str() {
            "" => spec.topic.as_deref().unwrap_or_default(),
            topic => topic,
        };
        Ok(format!("{}:{topic}:{}:{}", spec.group, record.partition, record.offset))
    }
}

impl lease::Host for HostState {
    fn checkpoint(&mut self, id: u64) -> Result<Option<Vec<u8>>> {
        self.count_host_call()?;
        let checkpoint = self.own_record(id)?.checkpoint.as_ref();
        Ok(checkpoint.map(|bytes| bytes.to_vec()))
    }

    fn remaining(&mut self, id: u64) -> Result<u64> {
        self.count_host_call()?;
        self.own_record(id)?;
        Ok(nanos(self.call.control.lease_remaining()))
    }

    async fn renew(&mut self, id: u64) -> Result<std::result::Result<u64, lease::LeaseError>> {
        self.count_host_call()?;
        if self.record(id).is_none() {
            return Ok(Err(lease::LeaseError::Lost));
        }
        let renewed = self.services.renew_lease(id).await;
        if let (Ok(remaining), [_]) = (renewed, self.call.records.as_slice()) {
            self.call.control.set_lease_until(now() + remaining);
        }
        Ok(match renewed {
            Ok(remaining) => Ok(nanos(remaining)),
            Err(services::LeaseError::Lost) => Err(lease::LeaseError::Lost),
            Err(services::LeaseError::Exhausted) => Err(lease::LeaseError::Exhausted),
            Err(services::LeaseError::Unavailable) => Err(lease::LeaseError::Unavailable),
        })
    }

    fn deadline(&mut self) -> Result<u64> {
        self.count_host_call()?;
        Ok(nanos(self.call.control.deadline_remaining()))
    }

    fn is_cancelled(&mut self) -> Result<bool> {
        self.count_host_call()?;
        Ok(self.call.control.is_ending())
    }
}

impl logging::Host for HostState {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> Result<()> {
        self.count_host_call()?;
        let level = from_wit(level);
        if level >= self.spec().log_threshold {
            self.sink.log(level, &context, &message);
        }
        Ok(())
    }

    fn threshold(&mut self) -> Result<logging::Level> {
        self.count_host_call()?;
        Ok(to_wit(self.spec().log_threshold))
    }
}

impl metrics::Host for HostState {
    fn counter_add(&mut self, name: String, delta: u64, attributes: metrics::Attributes) -> Result<()> {
        self.measure(&name, MetricValue::CounterAdd(delta), &attributes)
    }

    fn gauge_set(&mut self, name: String, value: f64, attributes: metrics::Attributes) -> Result<()> {
        self.measure(&name, MetricValue::GaugeSet(value), &attributes)
    }

    fn histogram_record(&mut self, name: String, value: f64, attributes: metrics::Attributes) -> Result<()> {
        self.measure(&name, MetricValue::HistogramRecord(value), &attributes)
    }
}

impl producer::Host for HostState {
    fn emit(
        &mut self,
        id: u64,
        records: Vec<producer::OutgoingRecord>,
    ) -> Result<std::result::Result<(), producer::ProducerError>> {
        self.count_host_call()?;
        let admitted = self.admit(records, self.call.emitted_records, self.call.emitted_bytes);
        let (records, bytes) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let count = records.len() as u64;
        let Some(record) = self.call.records.iter_mut().find(|record| record.id == id) else {
            return Ok(Err(producer::ProducerError::Other(format!(
                "no delivery {id} in this call"
            ))));
        };
        record.emitted.extend(records);
        self.call.emitted_records += count;
        self.call.emitted_bytes += bytes;
        Ok(Ok(()))
    }

    async fn send(
        &mut self,
        records: Vec<producer::OutgoingRecord>,
    ) -> Result<std::result::Result<(), producer::ProducerError>> {
        self.count_host_call()?;
        let records = match self.admit(records, 0, 0) {
            Ok((records, _)) => records,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(self.services.send(records).await.map_err(|error| match error {
            services::ProducerError::NotPermitted(topic) => producer::ProducerError::NotPermitted(topic),
            services::ProducerError::TooLarge => producer::ProducerError::TooLarge,
            services::ProducerError::QuotaExceeded => producer::ProducerError::QuotaExceeded,
            services::ProducerError::Unavailable(why) => producer::ProducerError::Unavailable(why),
            services::ProducerError::Other(why) => producer::ProducerError::Other(why),
        }))
    }
}

impl HostState {
    fn measure(&mut self, name: &str, value: MetricValue, attributes: &[(String, String)]) -> Result<()> {
        self.count_host_call()?;
        let secrets = &self.spec().secrets;
        if secrets.values().is_empty() {
            self.services.metric(Metric {
                name,
                value,
                attributes,
            });
            return Ok(());
        }
        let mask = |text: &str| secrets.mask(text).into_owned();
        let attributes: Vec<(String, String)> = attributes.iter().map(|(k, v)| (mask(k), mask(v))).collect();
        self.services.metric(Metric {
            name: &mask(name),
            value,
            attributes: &attributes,
        });
        Ok(())
    }

    /// All of the records or none: grant, size of each, number and bytes of all on top of what was emitted before.
    fn admit(
        &self,
        records: Vec<producer::OutgoingRecord>,
        records_before: u64,
        bytes_before: u64,
    ) -> std::result::Result<(Vec<OutgoingRecord>, u64), producer::ProducerError> {
        let limits = self.limits();
        if records_before.saturating_add(records.len() as u64) > limits.emit_records {
            return Err(producer::ProducerError::QuotaExceeded);
        }
        let granted = &self.spec().grants.emit;
        let mut bytes = 0_u64;
        for (index, record) in (records_before..).zip(&records) {
            if !granted.contains(&record.topic) {
                return Err(producer::ProducerError::NotPermitted(record.topic.clone()));
            }
            let payload = payload_bytes(record);
            let size = encoded_bytes(record, index);
            if payload > limits.record_bytes || size > RECORD_MOST {
                return Err(producer::ProducerError::TooLarge);
            }
            bytes = bytes.saturating_add(size);
        }
        if bytes_before.saturating_add(bytes) > limits.emit_bytes.min(CALL_MOST) {
            return Err(producer::ProducerError::QuotaExceeded);
        }
        Ok((records.into_iter().map(outgoing).collect(), bytes))
    }
}

fn payload_bytes(record: &producer::OutgoingRecord) -> u64 {
    let optional = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len) as u64;
    let headers: u64 = record
        .headers
        .iter()
        .map(|header| header.name.len() as u64 + optional(&header.value))
        .sum();
    optional(&record.key) + optional(&record.value) + headers
}

/// What a record takes in a batch of its own, as Kafka counts it. `index`: how many come before it in the call, at most.
fn encoded_bytes(record: &producer::OutgoingRecord, index: u64) -> u64 {
    let field = |bytes: Option<usize>| bytes.map_or(1, |len| varint(len as u64) + len as u64);
    let optional = |bytes: &Option<Vec<u8>>| field(bytes.as_ref().map(Vec::len));
    let headers: u64 = record
        .headers
        .iter()
        .map(|header| field(Some(header.name.len())) + optional(&header.value))
        .sum();
    // Attributes and the distance in time take a byte each.
    let body = 2
        + varint(index)
        + optional(&record.key)
        + optional(&record.value)
        + varint(record.headers.len() as u64)
        + headers;
    BATCH_HEAD + varint(body) + body
}

/// Bytes of a number of 0 or more in Kafka's signed variable-length form.
fn varint(value: u64) -> u64 {
    let bits = u64::BITS - value.saturating_mul(2).max(1).leading_zeros();
    u64::from(bits.div_ceil(7))
}

/// Every backend refuses a record above this, and would do so when the outcome is settled; Kafka's own limit.
const RECORD_MOST: u64 = 1_048_588;

/// A commit takes so much, what belongs to it beside the records taken off.
const CALL_MOST: u64 = (4 << 20) - (64 << 10);

/// Of a batch, before its records.
const BATCH_HEAD: u64 = 61;

fn outgoing(record: producer::OutgoingRecord) -> OutgoingRecord {
    OutgoingRecord {
        topic: record.topic,
        partition: record.partition,
        key: record.key.map(Bytes::from),
        value: record.value.map(Bytes::from),
        headers: record
            .headers
            .into_iter()
            .map(|header| (header.name, header.value.map(Bytes::from)))
            .collect(),
    }
}

fn from_wit(level: logging::Level) -> LogLevel {
    match level {
        logging::Level::Trace => LogLevel::Trace,
        logging::Level::Debug => LogLevel::Debug,
        logging::Level::Info => LogLevel::Info,
        logging::Level::Warn => LogLevel::Warn,
        logging::Level::Error => LogLevel::Error,
        logging::Level::Critical => LogLevel::Critical,
    }
}

fn to_wit(level: LogLevel) -> logging::Level {
    match level {
        LogLevel::Trace => logging::Level::Trace,
        LogLevel::Debug => logging::Level::Debug,
        LogLevel::Info => logging::Level::Info,
        LogLevel::Warn => logging::Level::Warn,
        LogLevel::Error => logging::Level::Error,
        LogLevel::Critical => logging::Level::Critical,
    }
}
