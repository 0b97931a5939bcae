//! An embedded, durable share-partition engine: topics, share groups, leases and acknowledgements with the
//! semantics of Kafka share groups (KIP-932), in one library and one data directory.
//!
//! Module map, from the values outwards: [`ids`], [`time`], [`entropy`]; `record` (Kafka v2 batches), `letter` (dead letters); [`storage`]
//! (the seam to the disk); `journal`, `log`, `snapshot`, `drain` (what is on disk); `share`, `catalog` (sans-IO state);
//! `engine` (threads and handles).

#![forbid(unsafe_code)]

/// Whether a bug is planted here: `false`, but for feature `plant`.
#[cfg(feature = "plant")]
macro_rules! planted {
    ($plant:ident) => {
        $crate::testing::plant::is_armed($crate::testing::plant::Plant::$plant)
    };
}
#[cfg(not(feature = "plant"))]
macro_rules! planted {
    ($plant:ident) => {
        false
    };
}

pub mod entropy;
pub mod ids;
pub mod storage;
pub mod time;

pub mod catalog;
pub mod config;
pub mod drain;
pub mod engine;
pub mod error;
pub mod hook;
pub mod journal;
pub mod letter;
pub mod log;
pub mod record;
pub mod share;
pub mod snapshot;

mod sys;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
