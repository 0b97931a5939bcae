//! The Wasm side of the host: loads components, checks them, runs records through them within limits, and says how each call ended. It
//! knows nothing of sources, groups, lanes or tasks; a call is one future that the caller polls where it likes.
//!
//! ```text
//! HostEngine --load--> LoadedHandler --instantiate--> Instance --call(Input, CallControl)--> CallReport
//!   engine, linker,      InstancePre,                   one store                              one CallEnd
//!   epoch thread,        spec, digest                     |
//!   compile cache                                         +--> HostServices (leases, send, log, metrics)
//! ```
//!
//! What holds, and where it is kept:
//! * A call ends in exactly one [`CallEnd`]; `classify` is the only reader of wasmtime's errors.
//! * A call ends within its deadline: guest code is stopped by the epoch callback (`state`), a guest that waits in a host call by dropping
//!   its future (`supervise`). Start functions, `configure`, `cabi_realloc` and `post-return` run under the same clock.
//! * An [`Instance`] serves another call only after an [`Outcome`]. Anything else, a dropped future included, spends its store.
//! * No host function blocks, and none is linked that is not closed until granted (`host_engine`, `state`).
//! * Nothing that was emitted leaves a call that was not accepted (`instance`).
//! * Compiled code is mapped only from files that this host wrote (`compiled`, the one module with `unsafe`).
//!
//! Errors at load are [`LoadError`]s with a hint; after it nothing about a component can be wrong but its behaviour.

mod bindings;
mod classify;
mod compiled;
mod complaint;
mod control;
mod host_calls;
mod host_engine;
#[cfg(feature = "http")]
mod http;
mod instance;
mod limiter;
mod load;
mod load_error;
mod log_budget;
mod log_sink;
mod look;
mod outcome;
mod report;
mod returned;
mod secrets;
mod services;
mod sniff;
mod spec;
mod state;
mod supervise;
mod ticker;
mod version;

pub use compiled::CompiledFrom;
pub use control::{CallControl, CancelReason};
pub use host_engine::{Allocation, HostEngine, HostEngineConfig, HostEngineError};
#[cfg(feature = "http")]
pub use http::Resolver;
pub use instance::{Header, Input, Instance, TimestampType};
pub use load::{BATCH_HANDLER, LoadedHandler, RECORD_HANDLER};
pub use load_error::LoadError;
pub use look::{Looked, Producer};
pub use outcome::{BatchReport, CallEnd, CallReport, Outcome};
pub(crate) use report::HTTP_GRANT_LINE;
pub use report::{ComponentReport, ImportGrant, ImportUse};
pub use secrets::{SecretRefused, Secrets};
pub use services::{
    BoxFuture, HostServices, LeaseError, LogLine, LogSource, Metric, MetricValue, NullServices, OutgoingRecord,
    ProducerError,
};
pub use spec::{Access, FileGrant, Grants, HandlerLimits, HandlerSpec, InstanceMode, LogLevel};
pub use version::CONTRACT;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
