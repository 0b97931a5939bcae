//! A handler is one function: it gets a record and says what becomes of it. This one reads temperatures and raises alerts.
//!
//! | it returns | the record |
//! |---|---|
//! | `Outcome::accept()` | is done |
//! | `Release::after(delay)`, or any error by `?` | comes back later, up to the deployment's number of attempts |
//! | `Reject::new(reason)` | is a dead letter with the reason |
//! | `Renew::after(delay).checkpoint(state)` | is not finished: called again later, with the state, and no instance waits |
use serde::Deserialize;
use sharemill_handler::{Outcome, Outgoing, Record, Reject, Result, ResultExt, config, handler};

#[cfg(test)]
mod tests;

/// The value of a record.
#[derive(Deserialize)]
struct Reading {
    sensor: String,
    unit: String,
    value: f64,
}

#[handler]
fn handle(record: Record) -> Result {
    // What is malformed stays so: a dead letter at once, with line and column as its reason.
    let reading: Reading = record.json().or_reject()?;
    let celsius = match reading.unit.as_str() {
        "C" => reading.value,
        unit => {
            return Err(Reject::new(format_args!("{} reports in {unit}", reading.sensor)).into());
        }
    };
    if celsius > limit()? {
        log::warn!("{} is hot", reading.sensor);
        let alert = format!("{} has {celsius:.1} C", reading.sensor);
        // Produced if, and only if, this record is accepted: after a crash there are both or neither.
        record.emit(Outgoing::new("alerts").key(reading.sensor).value(alert))?;
    }
    Ok(Outcome::accept())
}

/// `limit` of the deployment's `grants.config`, or 30. An error here is one by `?`: the record comes back, with the value as it is then.
fn limit() -> Result<f64> {
    let setting = config::get("limit")?;
    Ok(setting.map_or(Ok(30.0), |text| text.parse())?)
}
