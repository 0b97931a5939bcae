//! One suite for every backend: what a scenario needs of the embedded engine and of a Kafka cluster, under the same names, and the matrix
//! that a run ends with. Scenarios are in `tests/conformance`.

mod backend;
mod case;
mod cli;
mod embedded;
mod kafka;
mod matrix;
mod member;
mod rendezvous;
mod run;
mod scenario;
mod transaction;

pub use backend::{Backend, Place};
pub use case::{Case, New, Options, To};
pub use cli::Cli;
pub use matrix::{Cell, Matrix};
pub use member::{Member, attempts, failed, offsets, texts};
pub use run::run;
pub use scenario::{Difference, On, Run, Scenario, Stage};
pub use share_wire::records::Codec;
pub use transaction::Transaction;

use std::time::Duration;

use crate::AMPLE;

/// What does not come within [`AMPLE`] fails the scenario.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(AMPLE, work).await;
    waited.unwrap_or_else(|_| panic!("{what}: not within {AMPLE:?}"))
}

/// Asks again and again until there is an answer.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            // Nothing tells when it happens: another process does it.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, asked).await
}
