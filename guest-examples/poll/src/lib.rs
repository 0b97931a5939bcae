//! Waits for a job that somebody else works on, without holding an instance meanwhile. The record's value is the job's name;
//! the job's state is the file `/jobs/NAME`, which the other process writes:
//!
//! * not there: not submitted yet; the record is released and counts an attempt,
//! * `running ...`: the record is renewed with a checkpoint, as often as it takes,
//! * `done ...`: accepted,
//! * `failed REASON`: rejected with the reason.
use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sharemill_handler::{Outcome, Record, Reject, Release, Renew, Result, ResultExt, config, handler};

/// What the handler knows of the job from call to call.
#[derive(Deserialize, Serialize)]
struct Progress {
    /// How often the job was not finished.
    polls: u32,
    /// Milliseconds since the Unix epoch.
    started_at: u128,
}

#[handler]
fn handle(record: Record) -> Result {
    let job = record.text().or_reject()?.trim();
    if job.is_empty() || job.starts_with('.') || job.contains(['/', '\\']) {
        return Err(Reject::new(format_args!("{job:?} is not the name of a job")).into());
    }
    let interval = interval()?;
    let state = match fs::read_to_string(format!("/jobs/{job}")) {
        Ok(state) => state,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Release::after(interval)
                .reason(format_args!("job {job} is not there yet"))
                .into());
        }
        Err(error) => return Err(error.into()),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let mut progress = record.checkpoint_json()?.unwrap_or(Progress {
        polls: 0,
        started_at: now,
    });
    let state = state.trim();
    if let Some(reason) = state.strip_prefix("failed") {
        return Ok(Outcome::reject(format_args!("job {job} failed: {}", reason.trim())));
    }
    if state.starts_with("done") {
        let waited = now.saturating_sub(progress.started_at);
        log::info!("job {job} is done after {} polls in {waited} ms", progress.polls);
        return Ok(Outcome::accept());
    }
    progress.polls += 1;
    Ok(Renew::after(interval).checkpoint_json(&progress)?.into())
}

/// What the deployment is granted as `poll-interval-ms` in `grants.config`, or 200 ms.
fn interval() -> Result<Duration> {
    let setting = config::get("poll-interval-ms")?;
    let millis = setting.map_or(Ok(200), |text| text.parse())?;
    Ok(Duration::from_millis(millis))
}
