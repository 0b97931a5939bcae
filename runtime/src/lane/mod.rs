//! Where records are handled: one OS thread per lane with a current-thread runtime; on it, for each deployment, a station with its queue
//! and its slots. No task per record, no stealing between lanes, nothing that blocks.
//!
//! ```text
//! dispatcher --chunk--> station inbox --> queue --> slot: start, call, end --> outbox --> source.settle
//!      ^                   (one lock a chunk)        (one worker each)            |
//!      +----------- held, measured times (atomics, a batch at a time) <-----------+
//! ```

mod chunk;
mod endings;
mod faults;
mod foreman;
mod outbox;
mod seat;
mod shared;
mod slot;
mod station;
mod thread;
mod wasm;
mod worker;

pub use chunk::{Chunk, Item, Phase};
pub(crate) use endings::Failed;
pub(crate) use shared::Notice;
pub use shared::{DeploymentShared, LANE_SILENCE, Stage, StationShared};
pub(crate) use slot::Staff;
pub use thread::LaneError;
pub(crate) use thread::{LanePool, StationPlan};
pub use wasm::{RecordProducer, WasmFactory};
pub use worker::{Worker, WorkerFactory, plain_report};
