//! The engine: threads and handles around the sans-IO parts.
//!
//! Four threads, each a thin loop over a part that a simulation can step: the journal thread sequences and syncs, the
//! shard thread owns what is known, the drain thread moves the journal into logs and snapshots, the reader thread
//! reads them back.

mod assemble;
mod block_on;
mod clock;
mod delivery;
pub mod describe;
mod desk;
mod gate;
mod gauge;
mod handle;
mod mailbox;
mod member;
mod message;
mod open;
mod part;
mod partitioner;
mod reader;
mod recovery;
mod refusal;
mod reply;
mod reset;
mod routes;
mod sequencer;
mod settlement;
mod shard;
mod stats;
mod survey;
mod sync;
mod threads;
mod verify;
mod window;

/// What members ask with and are answered with.
pub use crate::drain::NEARLY_FULL;
pub use crate::letter::Evidence;
pub use crate::share::{AcquireMode, Refusal};
pub use block_on::block_on;
pub use clock::{SystemClock, SystemEntropy};
pub use delivery::Delivery;
pub use handle::{Engine, Receipt};
pub use member::Member;
pub use open::{Environment, RecoveryReport};
#[cfg(any(test, feature = "testing"))]
pub use open::{Part, Pump};
pub use partitioner::partition_of;
pub use reset::{ResetGroup, ResetTo};
pub use settlement::{EmitRecord, Outcome, Settlement};
pub use stats::StatsSnapshot;
pub use survey::{Survey, open_files_suffice, survey_directory};
pub use verify::{Problem, Unchecked, VerifyReport, is_data_directory, verify, verify_directory};

pub use shard::redrive_group;

pub(crate) use mailbox::Mailbox;
pub(crate) use message::ToJournal;
pub(crate) use shard::ToShard;

#[cfg(all(test, any(loom, shuttle)))]
mod schedules;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
