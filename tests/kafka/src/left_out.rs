//! What becomes of tests on a machine that cannot run Kafka: a developer is told what is left out, and what to install; where
//! everything has to run (`CI=true`), the test fails.

use std::io::Write as _;

use crate::error::Error;
use crate::version::Version;
use crate::{jars, java};

/// Why Kafka cannot run here, if it cannot. Jars that are there need no Maven.
pub fn missing(version: Version) -> Option<Error> {
    let fetched = [version, version.of_tools()].into_iter().all(jars::are_there);
    let maven = || if fetched { Ok(()) } else { java::maven().map(drop) };
    java::find().map(drop).and_then(|()| maven()).err()
}

/// Whether this test can run. If not, it says so on standard error, past what the test harness keeps for itself.
///
/// # Panics
/// With `CI=true`, if it cannot.
pub fn runs_here(version: Version, test: &str) -> bool {
    let Some(missing) = missing(version) else {
        return true;
    };
    let must = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!must, "test {test} needs Kafka {version}: {missing}");
    // A closed standard error is no reason to fail.
    let _ = writeln!(std::io::stderr(), "test {test} is left out: {missing}");
    false
}
