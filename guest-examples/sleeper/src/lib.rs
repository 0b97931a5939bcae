//! Sleeps for as many milliseconds as the record's value says, or else the environment variable `SLEEP_MS`, or else 20, and
//! accepts. Tests of concurrency measure the host with it.

use std::thread::sleep;
use std::time::Duration;

use sharemill_handler::{Outcome, Record, handler};

#[handler]
fn handle(record: Record) -> Outcome {
    let from_value = record.text().ok().and_then(|text| text.trim().parse().ok());
    let from_environment = || std::env::var("SLEEP_MS").ok()?.parse().ok();
    sleep(Duration::from_millis(
        from_value.or_else(from_environment).unwrap_or(20),
    ));
    Outcome::accept()
}
