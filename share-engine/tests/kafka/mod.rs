//! Kafka's own classes, as the tests of this folder call them.

use kafka_cluster::Version;

/// Whether they run on this machine; if not, it is said which test is left out.
pub(crate) fn runs_here(test: &str) -> bool {
    kafka_cluster::runs_here(Version::default(), &format!("dump_log_segments::{test}"))
}

/// Runs one of Kafka's command-line classes, or a program in one source file, and returns what it printed, on standard
/// output and then on standard error; fails the test if it fails.
#[track_caller]
pub(crate) fn run(class: &str, arguments: &[&str]) -> String {
    let printed = kafka_cluster::run(Version::default(), class, arguments);
    let printed = printed.unwrap_or_else(|error| panic!("{error}"));
    printed.stdout + &printed.stderr
}
