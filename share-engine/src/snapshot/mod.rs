//! Snapshots: catalog, partition logs and share partitions as of one journal position; and the `format` file that
//! says whose data directory this is. The drain thread writes, recovery loads. Only the container is known here:
//! what a section holds is the business of its owner.
//!
//! `snapshots/<position as 20 digits>.snap`, all numbers little-endian:
//!
//! | byte | header field | | byte | section field | | byte | trailer field |
//! |---|---|---|---|---|---|---|---|
//! | 0 | magic `SMILLSNP` | | 0 | u16 kind | | 0 | magic `SMILLEND` |
//! | 8 | u32 format version, 1 | | 2 | u16 zero | | 8 | u64 bytes of the file |
//! | 12 | u128 data directory id | | 4 | u64 bytes of data | | 16 | u32 CRC-32C, below |
//! | 28 | u64 journal position | | 12 | u32 CRC-32C of the data | | | |
//! | 36 | u32 number of sections | | 16 | u32 CRC-32C of bytes 0-15 | | | |
//! | 40 | u32 CRC-32C of bytes 0-39 | | 20 | data | | | |
//!
//! The trailer's CRC covers the header (44 bytes), the 20 bytes before every section's data, and the trailer's first
//! 16 bytes. The header keeps its shape in every version.
//!
//! Kinds: 1 catalog, 2 partition logs, 3 share partition. Reserved: 4 producer ids, 5 key-value state,
//! 6 transactions, 7 schedules, 8 deployments.
//!
//! A snapshot is written under `<20 digits>.tmp`, synced, renamed, and the directory synced: a crash leaves a `.tmp`
//! that nobody reads, or the whole file. Only the newest counts; the others are removed.
//!
//! `format`, 32 bytes in every version, written the same way: magic `SMILLDIR`, u32 format version (1), u128 data
//! directory id, u32 CRC-32C of bytes 0-27.

mod container;
mod error;
mod format;
mod store;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

pub use container::{SectionKind, Snapshot, fuzz_snapshot};
pub use error::SnapshotError;
pub use format::{read_format, write_format};
pub use store::{discard_after, examine_newest, is_there, load_newest, path, prune, write};
