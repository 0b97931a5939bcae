//! The data of one store: WASI context, limiter, log sink, and the call that is running. Host functions see this and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::UpdateDeadline;
#[cfg(feature = "http")]
use wasmtime::component::Resource;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;

use super::control::{CallControl, now};
use super::limiter::Limiter;
use super::load::LoadedHandler;
use super::log_sink::{LogSink, Said, StdStream};
use super::services::{HostServices, LogSource, OutgoingRecord};
use super::spec::{Access, HandlerLimits, HandlerSpec};

/// Store data.
pub(super) struct HostState {
    pub(super) handler: Arc<LoadedHandler>,
    pub(super) services: Arc<dyn HostServices>,
    pub(super) sink: Arc<LogSink>,
    pub(super) limiter: Limiter,
    pub(super) call: CallState,
    /// Made when it is first asked for, unless directories must be opened: most handlers never ask.
    wasi: Option<WasiCtx>,
    table: ResourceTable,
    /// As the context of WASI: made when it is first asked for.
    #[cfg(feature = "http")]
    http: Option<super::http::Outgoing>,
}

/// What belongs to one call; reset in place for the next.
pub(super) struct CallState {
    pub(super) control: Arc<CallControl>,
    pub(super) records: Vec<RecordState>,
    pub(super) host_calls: u64,
    pub(super) emitted_records: u64,
    pub(super) emitted_bytes: u64,
}

/// One delivery of the running call.
#[derive(Debug, Default)]
pub(super) struct RecordState {
    pub(super) id: u64,
    /// Empty when it is the deployment's topic.
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) checkpoint: Option<Bytes>,
    pub(super) emitted: Vec<OutgoingRecord>,
}

/// Ends a call from within: found again by `classify`.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Stop {
    #[error("call stopped by the host")]
    Due,
    #[error("{what} over the limit of {limit}: {value}")]
    Limit { what: &'static str, value: u64, limit: u64 },
    /// Where the contract has no error to answer with.
    #[error("delivery {0} is not one of this call")]
    UnknownDelivery(u64),
}

impl HostState {
    pub(super) fn new(
        handler: Arc<LoadedHandler>,
        services: Arc<dyn HostServices>,
        control: Arc<CallControl>,
    ) -> wasmtime::Result<Self> {
        let spec = handler.spec();
        let sink = Arc::new(LogSink::new(
            Arc::clone(&services),
            spec,
            Arc::clone(handler.log_budget()),
        ));
        let wasi = if spec.grants.files.is_empty() {
            None
        } else {
            Some(open_directories(spec, wasi_builder(spec, &sink))?.build())
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(spec.limits.handles);
        Ok(Self {
            #[cfg(feature = "http")]
            http: None,
            limiter: Limiter::new(&spec.limits),
            handler,
            services,
            sink,
            call: CallState {
                control,
                records: Vec::new(),
                host_calls: 0,
                emitted_records: 0,
                emitted_bytes: 0,
            },
            wasi,
            table,
        })
    }

    pub(super) fn spec(&self) -> &HandlerSpec {
        self.handler.spec()
    }

    pub(super) fn limits(&self) -> &HandlerLimits {
        &self.handler.spec().limits
    }

    pub(super) fn config_values(&self) -> &WasiConfigVariables {
        self.handler.config_values()
    }

    /// Once a tick while guest code runs: stop it if that is due, else let the others of the lane run.
    pub(super) fn on_tick(&self) -> wasmtime::Result<UpdateDeadline> {
        self.handler.activity().note();
        if self.call.control.must_stop(now()) {
            return Err(Stop::Due.into());
        }
        self.call.control.note_yield();
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    }

    /// The call ended, and what it began with it.
    pub(super) fn end_call(&mut self) -> Said {
        #[cfg(feature = "http")]
        if let Some(http) = &mut self.http {
            http.end();
        }
        self.sink.end()
    }

    #[cfg(feature = "http")]
    pub(super) fn outgoing(&mut self) -> (&mut super::http::Outgoing, &mut ResourceTable) {
        let (handler, sink) = (&self.handler, &self.sink);
        let http = self.http.get_or_insert_with(|| handler.outgoing(Arc::clone(sink)));
        (http, &mut self.table)
    }

    #[cfg(feature = "http")]
    pub(super) fn stream_error(&self, error: &Resource<wasmtime::Error>) -> wasmtime::Result<&wasmtime::Error> {
        Ok(self.table.get(error)?)
    }

    /// At the head of every function of ours.
    pub(super) fn count_host_call(&mut self) -> wasmtime::Result<()> {
        self.call.host_calls += 1;
        let limit = self.limits().host_calls;
        if self.call.host_calls > limit {
            return Err(Stop::Limit {
                what: "host calls",
                value: self.call.host_calls,
                limit,
            }
            .into());
        }
        Ok(())
    }

    pub(super) fn record(&self, id: u64) -> Option<&RecordState> {
        self.call.records.iter().find(|record| record.id == id)
    }

    /// The delivery, or the end of a guest that names one which it was not given.
    pub(super) fn own_record(&self, id: u64) -> wasmtime::Result<&RecordState> {
        self.record(id).ok_or_else(|| Stop::UnknownDelivery(id).into())
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (spec, sink) = (self.handler.spec(), &self.sink);
        WasiCtxView {
            ctx: self.wasi.get_or_insert_with(|| wasi_builder(spec, sink).build()),
            table: &mut self.table,
        }
    }
}

/// Everything closed but what is said and what was granted.
fn wasi_builder(spec: &HandlerSpec, sink: &Arc<LogSink>) -> WasiCtxBuilder {
    let stream = |source| StdStream {
        sink: Arc::clone(sink),
        source,
    };
    let mut wasi = WasiCtx::builder();
    wasi.stdout(stream(LogSource::Stdout))
        .stderr(stream(LogSource::Stderr))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(spec.limits.random_bytes);
    for (name, value) in &spec.grants.env {
        wasi.env(name, value);
    }
    wasi
}

fn open_directories(spec: &HandlerSpec, mut wasi: WasiCtxBuilder) -> wasmtime::Result<WasiCtxBuilder> {
    for grant in &spec.grants.files {
        let access = match grant.access {
            Access::Read => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        wasi.preopened_dir(&grant.host, &grant.guest, access)
            .map_err(|error| error.context(format!("granted directory {}", grant.host.display())))?;
    }
    Ok(wasi)
}
