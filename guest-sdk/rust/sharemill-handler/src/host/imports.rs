//! The imports of the contract under one name each. An interface whose functions a handler does not call is no import of
//! its component: the linker drops these re-exports.
use crate::ProducerError;
use crate::bindings::config::wasi::config::store;
use crate::bindings::imports::sharemill::worker::producer::OutgoingRecord;
use crate::bindings::imports::sharemill::worker::{lease, producer};
use crate::config::ConfigError;

pub(crate) use crate::bindings::imports::sharemill::worker::context::{attempt_limit, group, idempotency_key};
#[cfg(feature = "log")]
pub(crate) use crate::bindings::imports::sharemill::worker::logging::{log, threshold};
pub(crate) use crate::bindings::imports::sharemill::worker::metrics::{counter_add, gauge_set, histogram_record};
pub(crate) use lease::{checkpoint, deadline, is_cancelled, remaining, renew};

pub(crate) fn emit(id: u64, records: &[OutgoingRecord]) -> Result<(), ProducerError> {
    producer::emit(id, records).map_err(ProducerError::from)
}

pub(crate) fn send(records: &[OutgoingRecord]) -> Result<(), ProducerError> {
    producer::send(records).map_err(ProducerError::from)
}

pub(crate) fn config_get(name: &str) -> Result<Option<String>, ConfigError> {
    store::get(name).map_err(config_error)
}

pub(crate) fn config_get_all() -> Result<Vec<(String, String)>, ConfigError> {
    store::get_all().map_err(config_error)
}

fn config_error(error: store::Error) -> ConfigError {
    match error {
        store::Error::Upstream(reason) | store::Error::Io(reason) => ConfigError(reason),
    }
}
