//! Partition logs: what outlived the journal, one log a partition, in Kafka's own log and index format.
//!
//! The drain thread owns a [`LogWriter`]; readers hold a [`LogReader`], a list of segments as of the last sync.
//! Only bytes that the newest snapshot lists count: whatever lies beyond is still in the journal and is cut at open.
//! Offsets may have holes, since what every group had finished with before it drained is never written.
//!
//! A directory `logs/<topic>-<partition>` holds, numbers big-endian except in the sidecar:
//!
//! | file | content |
//! |---|---|
//! | `%020d.log` | record batches ([`crate::record`]) with base offset and leader epoch 0 filled in; named by the base offset of its first batch |
//! | `%020d.index` | 8 bytes: i32 last offset of a batch minus segment base, i32 position of that batch; one about every 4096 bytes |
//! | `%020d.timeindex` | 12 bytes: i64 largest timestamp so far, i32 last offset of its batch minus segment base; with each index entry, at each sync and roll, if the timestamp rose |
//! | `%020d.sums` | sidecar, below |
//! | `partition.metadata` | `version: 0`, newline, `topic_id: ` and 22 characters of base64url |
//! | `leader-epoch-checkpoint` | lines `0`, `1`, `0 0` |
//!
//! Sidecar, little-endian: a header of 40 bytes and an entry of 24 bytes for each interval. An interval is a run of
//! whole batches; it ends before an indexed batch and at each sync, so that every synced byte of the log is covered.
//! Reading finds its way by the sidecar alone; the index files are there for Kafka's tools.
//!
//! | byte | header field | | byte | entry field |
//! |---|---|---|---|---|
//! | 0 | magic `SMILLSUM` | | 0 | u32 position in the log behind the interval |
//! | 8 | u32 format version, 1 | | 4 | u32 last offset in the interval minus segment base |
//! | 12 | u128 data directory id | | 8 | i64 largest timestamp of the segment so far |
//! | 28 | u64 segment base offset | | 16 | u32 CRC-32C of the interval's bytes in the log |
//! | 36 | u32 CRC-32C of bytes 0-35 | | 20 | u32 CRC-32C of segment base (u64), entry number (u32), bytes 0-19 |
//!
//! After a crash: while appending or rolling, bytes and files beyond the snapshot's list, removed at open; while
//! dropping, files that the snapshot no longer lists, removed at open.

mod active;
mod error;
mod metadata;
mod reader;
mod state;
mod sums;
mod verify;
mod writer;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

pub use error::LogError;
pub use reader::LogReader;
pub use state::{LogIdentity, LogOptions, LogState, SegmentState};
pub use verify::{Problem, Unchecked, VerifyReport};
pub use writer::{LogWriter, delete_log};
