//! One store with one instance in it: instantiated, configured, called. After anything but an outcome it is spent: a trap poisons the
//! store, and not every error says so, hence the rule is kept here.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::{Engine, Store};

use super::bindings::exports::sharemill::worker::{record_batch_handler, record_handler};
use super::bindings::sharemill::worker::types::{Delivery, HeaderParam, TimestampType as WitTimestampType};
use super::classify::{Circumstances, UNREACHABLE};
use super::control::CallControl;
use super::load::LoadedHandler;
use super::log_sink::escape;
use super::outcome::{BatchReport, CallEnd, CallReport, Outcome};
use super::returned::{batch_ends, cut, outcome_of};
use super::services::HostServices;
use super::spec::HandlerSpec;
use super::state::{HostState, RecordState};
use super::supervise::{Clock, Supervised, Waiting, supervise};

/// One header of a delivery: `name` and `value` as the handler sees them.
pub type Header<'a> = HeaderParam<'a>;
/// What a delivery's timestamp means.
pub type TimestampType = WitTimestampType;

/// One record for one call. Borrowed: it is copied once, into the guest.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Names this delivery in host calls; not `u64::MAX`.
    pub id: u64,
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// What the timestamp means.
    pub timestamp_type: TimestampType,
    /// 1 on the first attempt.
    pub delivery_count: u32,
    /// `None` is null.
    pub key: Option<&'a [u8]>,
    /// `None` is null.
    pub value: Option<&'a [u8]>,
    /// In order, duplicates kept.
    pub headers: &'a [Header<'a>],
    /// What the last renewal left.
    pub checkpoint: Option<Bytes>,
}

/// An instance with its store. Serves one call at a time, and none after a call that did not end in an outcome, or whose future was
/// dropped.
pub struct Instance {
    store: Store<HostState>,
    exports: Exports,
    usable: bool,
}

struct Exports {
    record: Option<record_handler::Guest>,
    batch: Option<record_batch_handler::Guest>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("handler", &self.store.data().handler)
            .field("usable", &self.usable)
            .finish_non_exhaustive()
    }
}

impl LoadedHandler {
    /// A new instance, configured, within the deployment's deadline. Start functions are guest code: this can end like any call.
    pub async fn instantiate(self: &Arc<Self>, services: Arc<dyn HostServices>) -> Result<Instance, CallEnd> {
        let control = CallControl::new(self.spec().limits.deadline);
        self.instantiate_under(services, &control).await
    }

    /// As [`LoadedHandler::instantiate`], under a control that can be cancelled and may serve the first call as well.
    pub async fn instantiate_under(
        self: &Arc<Self>,
        services: Arc<dyn HostServices>,
        control: &Arc<CallControl>,
    ) -> Result<Instance, CallEnd> {
        let state = HostState::new(Arc::clone(self), services, Arc::clone(control))
            .map_err(|error| CallEnd::HostFault(super::load::one_line(&error)))?;
        let mut store = self.store(state);
        let mut clock = Clock::new();
        let started = {
            let start = pin!(self.start(&mut store));
            let waiting = Waiting {
                timer: pin!(None),
                wake: pin!(None),
            };
            supervise(start, waiting, control, self.activity(), &mut clock).await
        };
        // What was said before the first record has gone to the log; it belongs to no call.
        let _ = store.data_mut().end_call();
        match started {
            Supervised::Done(Ok(Started::Ready(exports))) => {
                store.data_mut().limiter.forget_refusals();
                Ok(Instance {
                    store,
                    exports,
                    usable: true,
                })
            }
            Supervised::Done(Ok(Started::Refused(reason))) => Err(CallEnd::Refused {
                reason: cut(reason, self.spec()),
            }),
            Supervised::Done(Err(error)) => Err(masked(circumstances(&store, true).of(&error), self.spec())),
            Supervised::Stopped => Err(circumstances(&store, true).stopped()),
            Supervised::Panicked(text) => Err(masked(CallEnd::Panic(text), self.spec())),
        }
    }

    fn store(&self, state: HostState) -> Store<HostState> {
        let engine: &Engine = self.pre.component().engine();
        let limits = &self.spec().limits;
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(|context| context.data().on_tick());
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store
    }

    async fn start(&self, store: &mut Store<HostState>) -> wasmtime::Result<Started> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let record = self.record.as_ref().map(|indices| indices.load(&mut *store, &instance));
        let batch = self.batch.as_ref().map(|indices| indices.load(&mut *store, &instance));
        let exports = Exports {
            record: record.transpose()?,
            batch: batch.transpose()?,
        };
        if let Some(indices) = &self.lifecycle {
            let guest = indices.load(&mut *store, &instance)?;
            let settings = &self.spec().settings;
            let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            if let Err(reason) = guest.call_configure(&mut *store, &settings).await? {
                return Ok(Started::Refused(reason));
            }
        }
        Ok(Started::Ready(exports))
    }
}

enum Started {
    Ready(Exports),
    Refused(String),
}

impl Instance {
    /// True while another call may be made.
    pub fn reusable(&self) -> bool {
        self.usable
    }

    /// Bytes that the instance's memories have together.
    pub fn memory(&self) -> u64 {
        self.store.data().limiter.memory()
    }

    /// Runs one record. Ends within the control's deadline, give or take a tick and what else its lane runs.
    ///
    /// # Panics
    ///
    /// If the instance is not [`Instance::reusable`], or the handler takes batches only: both are bugs of the caller.
    pub async fn call(&mut self, input: Input<'_>, control: &Arc<CallControl>) -> CallReport {
        assert!(self.usable, "call on a spent instance");
        self.usable = false;
        self.begin(std::slice::from_ref(&input), control);
        let mut clock = Clock::new();
        let handler = Arc::clone(&self.store.data().handler);
        #[expect(
            clippy::expect_used,
            reason = "documented: the caller asks `is_record_handler` once at load"
        )]
        let guest = self.exports.record.as_ref().expect("a handler of single records");
        let ended = {
            let call = pin!(guest.call_handle(&mut self.store, delivery(&input)));
            let waiting = Waiting {
                timer: pin!(None),
                wake: pin!(None),
            };
            supervise(call, waiting, control, handler.activity(), &mut clock).await
        };
        let end = self.end_of(ended, outcome_of);
        let end = end.unwrap_or_else(|end| end);
        self.usable = matches!(end, CallEnd::Outcome(_));
        self.report(end, &clock)
    }

    /// Runs several records in one call. An end that is not an outcome is every record's end.
    ///
    /// # Panics
    ///
    /// As [`Instance::call`]; `inputs` is not empty.
    pub async fn call_batch(&mut self, inputs: &[Input<'_>], control: &Arc<CallControl>) -> BatchReport {
        assert!(self.usable, "call on a spent instance");
        assert!(!inputs.is_empty(), "call without records");
        self.usable = false;
        self.begin(inputs, control);
        let mut clock = Clock::new();
        let handler = Arc::clone(&self.store.data().handler);
        let deliveries: Vec<Delivery<'_>> = inputs.iter().map(delivery).collect();
        #[expect(
            clippy::expect_used,
            reason = "documented: the caller asks `is_batch_handler` once at load"
        )]
        let guest = self.exports.batch.as_ref().expect("a handler of batches");
        let ended = {
            let call = pin!(guest.call_handle_batch(&mut self.store, &deliveries));
            let waiting = Waiting {
                timer: pin!(None),
                wake: pin!(None),
            };
            supervise(call, waiting, control, handler.activity(), &mut clock).await
        };
        let ends = self.end_of(ended, |outcome, spec| batch_ends(outcome, inputs.len(), spec));
        self.usable = ends.is_ok();
        let ends = ends.unwrap_or_else(|end| vec![end; inputs.len()]);
        self.batch_report(ends, &clock)
    }

    fn begin(&mut self, inputs: &[Input<'_>], control: &Arc<CallControl>) {
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        state.limiter.forget_refusals();
        let call = &mut state.call;
        if !Arc::ptr_eq(&call.control, control) {
            call.control = Arc::clone(control);
        }
        call.host_calls = 0;
        call.emitted_records = 0;
        call.emitted_bytes = 0;
        call.records.resize_with(inputs.len(), RecordState::default);
        let own_topic = state.handler.spec().topic.as_deref();
        for (record, input) in call.records.iter_mut().zip(inputs) {
            record.id = input.id;
            record.topic.clear();
            if own_topic != Some(input.topic) {
                record.topic.push_str(input.topic);
            }
            record.partition = input.partition;
            record.offset = input.offset;
            record.checkpoint.clone_from(&input.checkpoint);
            record.emitted.clear();
        }
        if let Some(first) = inputs.first() {
            state.sink.begin(first.id);
        }
    }

    fn end_of<W, T>(
        &self,
        ended: Supervised<wasmtime::Result<W>>,
        convert: impl FnOnce(W, &HandlerSpec) -> Result<T, CallEnd>,
    ) -> Result<T, CallEnd> {
        let end = match ended {
            Supervised::Done(Ok(returned)) => return convert(returned, self.store.data().spec()),
            Supervised::Done(Err(error)) => circumstances(&self.store, false).of(&error),
            Supervised::Stopped => circumstances(&self.store, false).stopped(),
            Supervised::Panicked(text) => CallEnd::Panic(text),
        };
        Err(masked(end, self.store.data().spec()))
    }

    fn report(&mut self, mut end: CallEnd, clock: &Clock) -> CallReport {
        let state = self.store.data_mut();
        let said = state.end_call();
        complained(&mut end, said.complaint.as_deref(), state.spec());
        let emitted = match (&end, state.call.records.first_mut()) {
            (CallEnd::Outcome(Outcome::Accept), Some(record)) => std::mem::take(&mut record.emitted),
            _ => Vec::new(),
        };
        CallReport {
            end,
            emitted,
            log_tail: said.tail,
            cpu: clock.busy,
            ended: clock.ended,
            memory_peak: state.limiter.memory(),
            host_calls: state.call.host_calls,
            dropped_log_bytes: said.dropped,
        }
    }

    fn batch_report(&mut self, mut ends: Vec<CallEnd>, clock: &Clock) -> BatchReport {
        let state = self.store.data_mut();
        let said = state.end_call();
        for end in &mut ends {
            complained(end, said.complaint.as_deref(), state.spec());
        }
        let emitted = ends
            .iter()
            .zip(&mut state.call.records)
            .map(|(end, record)| match end {
                CallEnd::Outcome(Outcome::Accept) => std::mem::take(&mut record.emitted),
                _ => Vec::new(),
            })
            .collect();
        BatchReport {
            ends,
            emitted,
            log_tail: said.tail,
            cpu: clock.busy,
            ended: clock.ended,
            memory_peak: state.limiter.memory(),
            host_calls: state.call.host_calls,
            dropped_log_bytes: said.dropped,
        }
    }
}

/// Whoever gives up on purpose says why on standard error, and then traps.
fn complained(end: &mut CallEnd, complaint: Option<&[u8]>, spec: &HandlerSpec) {
    if let (CallEnd::Trap { code, message, .. }, Some(complaint)) = (end, complaint)
        && code == UNREACHABLE
    {
        let text = String::from_utf8_lossy(complaint);
        let masked = spec.secrets.mask_head(text.trim(), spec.limits.reason_bytes);
        *message = cut(format!("{} ({message})", escape(&masked)), spec);
    }
}

fn masked(mut end: CallEnd, spec: &HandlerSpec) -> CallEnd {
    spec.secrets.mask_end(&mut end);
    end
}

fn circumstances(store: &Store<HostState>, starting: bool) -> Circumstances<'_> {
    let state = store.data();
    Circumstances {
        limits: state.limits(),
        control: &state.call.control,
        limiter: &state.limiter,
        starting,
    }
}

fn delivery<'a>(input: &Input<'a>) -> Delivery<'a> {
    Delivery {
        id: input.id,
        topic: input.topic,
        partition: input.partition,
        offset: input.offset,
        timestamp: input.timestamp_ms,
        timestamp_type: input.timestamp_type,
        delivery_count: input.delivery_count,
        key: input.key,
        value: input.value,
        headers: input.headers,
    }
}
