//! Takes several records a call, and settings. A record's value is its outcome, `ACTION` or `ACTION REASON`; the setting
//! `default` is the outcome of records without a value. Tests of the host drive it.
use std::sync::OnceLock;
use std::time::Duration;

use sharemill_handler::{BatchOutcome, Outcome, Record, Release, Renew, Settings, handler};

static DEFAULT: OnceLock<String> = OnceLock::new();

/// Once an instance. An unknown default keeps the instance from being used.
fn prepare(settings: Settings) -> Result<(), String> {
    let default = settings.get("default").unwrap_or("accept");
    let _ = outcome(default)?;
    DEFAULT
        .set(default.to_owned())
        .map_err(|_| "configured twice".to_owned())
}

#[handler(batch, configure = prepare)]
fn handle(records: Vec<Record>) -> Result<BatchOutcome, String> {
    let mut outcomes = Vec::with_capacity(records.len());
    for record in &records {
        let default = DEFAULT.get().ok_or("not configured")?;
        match record.text().unwrap_or(default) {
            "all" => return Ok(BatchOutcome::All(Outcome::accept())),
            "fail" => return Err("all of them".to_owned()),
            // The contract's borderline cases: an outcome less, and one more, than there are records.
            "short" => {}
            "long" => outcomes.extend([Outcome::accept(), Outcome::accept()]),
            text => outcomes.push(outcome(text).unwrap_or_else(Outcome::reject)),
        }
    }
    Ok(BatchOutcome::Each(outcomes))
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let (action, reason) = text.split_once(' ').unwrap_or((text, "asked to"));
    match action {
        "accept" => Ok(Outcome::accept()),
        "release" => Ok(Release::after(Duration::from_millis(10)).reason(reason).into()),
        "reject" => Ok(Outcome::reject(reason)),
        "renew" => Ok(Renew::after(Duration::from_millis(10)).checkpoint(reason).into()),
        unknown => Err(format!("unknown action {unknown:?}")),
    }
}
