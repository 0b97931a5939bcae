//! Reads every byte that it is given and accepts. Benchmarks measure the host with it, so it does nothing else: no
//! logging, no calls to the host.
use sharemill_handler::{Outcome, Record, handler};

mod fold;

#[handler]
fn handle(record: Record) -> Outcome {
    fold::every_field(&record);
    Outcome::accept()
}
