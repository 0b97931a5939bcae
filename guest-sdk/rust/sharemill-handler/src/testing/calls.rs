//! The host's functions, answered by this thread's stand-in. Same names and types as `host::imports`.
use std::time::Duration;

#[cfg(feature = "log")]
use super::Level;
use super::{Host, OutgoingRecord, with_host};
use crate::bindings::imports::sharemill::worker::lease::LeaseError as WireLeaseError;
use crate::config::ConfigError;
use crate::{LeaseError, ProducerError};

pub(crate) fn group() -> String {
    with_host(|host| host.group.clone())
}

pub(crate) fn attempt_limit() -> Option<u32> {
    with_host(|host| host.attempt_limit)
}

pub(crate) fn idempotency_key(id: u64) -> String {
    with_host(|host| format!("{}-{id}", host.group))
}

pub(crate) fn checkpoint(_id: u64) -> Option<Vec<u8>> {
    with_host(|host| host.checkpoint.clone())
}

pub(crate) fn remaining(_id: u64) -> u64 {
    with_host(|host| host.lease.map_or(0, nanoseconds))
}

pub(crate) fn renew(_id: u64) -> Result<u64, WireLeaseError> {
    with_host(|host| host.lease.map(nanoseconds)).map_err(|error| match error {
        LeaseError::Lost => WireLeaseError::Lost,
        LeaseError::Exhausted => WireLeaseError::Exhausted,
        LeaseError::Unavailable => WireLeaseError::Unavailable,
    })
}

pub(crate) fn deadline() -> u64 {
    with_host(|host| nanoseconds(host.deadline))
}

pub(crate) fn is_cancelled() -> bool {
    with_host(|host| host.is_cancelled)
}

#[cfg(feature = "log")]
pub(crate) fn log(level: Level, _target: &str, message: &str) {
    with_host(|host| host.logged.push((level, message.to_owned())));
}

#[cfg(feature = "log")]
pub(crate) fn threshold() -> Level {
    with_host(|host| host.threshold)
}

#[expect(clippy::cast_precision_loss, reason = "for a look in a test")]
pub(crate) fn counter_add(name: &str, delta: u64, _attributes: &[(String, String)]) {
    with_host(|host| host.measured.push((name.to_owned(), delta as f64)));
}

pub(crate) fn gauge_set(name: &str, value: f64, _attributes: &[(String, String)]) {
    with_host(|host| host.measured.push((name.to_owned(), value)));
}

pub(crate) fn histogram_record(name: &str, value: f64, _attributes: &[(String, String)]) {
    with_host(|host| host.measured.push((name.to_owned(), value)));
}

pub(crate) fn emit(_id: u64, records: &[OutgoingRecord]) -> Result<(), ProducerError> {
    produce(records, |host| &mut host.emitted)
}

pub(crate) fn send(records: &[OutgoingRecord]) -> Result<(), ProducerError> {
    produce(records, |host| &mut host.sent)
}

fn produce(
    records: &[OutgoingRecord],
    place: impl FnOnce(&mut Host) -> &mut Vec<OutgoingRecord>,
) -> Result<(), ProducerError> {
    with_host(|host| {
        host.produce.clone()?;
        place(host).extend_from_slice(records);
        Ok(())
    })
}

#[expect(clippy::unnecessary_wraps, reason = "as the import")]
pub(crate) fn config_get(name: &str) -> Result<Option<String>, ConfigError> {
    let find = |host: &mut Host| {
        host.settings
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, text)| text.clone())
    };
    Ok(with_host(find))
}

#[expect(clippy::unnecessary_wraps, reason = "as the import")]
pub(crate) fn config_get_all() -> Result<Vec<(String, String)>, ConfigError> {
    Ok(with_host(|host| host.settings.clone()))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
