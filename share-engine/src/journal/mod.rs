//! The journal: one ring of preallocated files with one group commit, through which everything durable passes first.
//!
//! A *group* is what one commit writes and syncs; it holds *entries*, which recovery applies whole or not at all; an
//! entry holds *operations*. A [`Position`] is a byte address that only grows. The journal thread owns the [`Journal`]
//! and fills a [`GroupBuilder`]; another thread makes new ring files ([`Growth`]); a durable snapshot as of some
//! position lets [`Journal::free_before`] give files back.
//!
//! # Layout
//!
//! All numbers are little endian; checksums are CRC-32C. Files are `journal/NNNN.ring`, numbered from 0 without a gap,
//! all of one size. A position is mapped by `room = file size - 512`: file `position / room` of an endless sequence, at
//! offset `512 + position % room`. The header says which file of the sequence a slot holds at the moment.
//!
//! File header, the first sector:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `SHRMRING` |
//! | 8 | 4 | checksum of bytes 12 to 512 |
//! | 12 | 2 | format version, 1 |
//! | 14 | 2 | zero |
//! | 16 | 16 | data directory id |
//! | 32 | 8 | which file of the sequence; 2^64 - 1: holds nothing yet |
//! | 40 | 8 | generation: how often the journal had been opened |
//! | 48 | 8 | valid from: where that generation began; groups at or above, in whatever file, have at least that generation |
//! | 56 | 8 | synced through: everything below this position was on disk when the header was written |
//! | 64 | 8 | previous end: where the file before this one in the sequence was left |
//! | 72 | 8 | file size |
//! | 80 | 4 | slot, the number in the name |
//! | 84 | 4 | files in the ring, at least |
//! | 88 | 424 | zero |
//!
//! Group, at a multiple of 512, never across the end of a file (what does not fit starts the next file, whose header
//! tells where the last one was left):
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `SMJG` |
//! | 4 | 4 | checksum of everything behind it, padding included |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | zero |
//! | 12 | 4 | payload length |
//! | 16 | 8 | low half of the data directory id |
//! | 24 | 8 | position |
//! | 32 | 8 | generation |
//! | 40 | 8 | synced through |
//! | 48 | 4 | number of entries |
//! | 52 | 12 | zero |
//! | 64 | n | payload: entries |
//! | 64 + n | | zeros to the next multiple of 512 |
//!
//! An entry is a 32-bit length and that many bytes of operations. An operation is a kind (one byte), a 32-bit length
//! and a body:
//!
//! | kind | body |
//! |---|---|
//! | 1 append | partition key (4), Kafka v2 record batch with its base offset in place |
//! | 2 share | share key (4), changes |
//! | 3 catalog | bytes of the catalog |
//! | 4 end | nothing; alone in its entry: the journal was closed |
//! | 16 to 20 | reserved: producer ids, key-value state, transactions, schedules, deployments |
//!
//! A change is a kind (one byte) and fields. `u` is an unsigned base-128 integer, `s` a signed one (zigzag). *offset*
//! is an `s`: the distance from the end of the change before it in the list (from 0 in the first). *range* is an offset
//! and a `u`, the count minus 1. *time* is an `s`, milliseconds since the time before it in the list. *blob* is a `u`
//! length and bytes.
//!
//! | kind | fields |
//! |---|---|
//! | 1 acquire | range, `u` delivery count, time |
//! | 2 continue | offset |
//! | 3 acknowledge | range |
//! | 4 archive | range, cause (one byte: 1 reject, 2 delivery limit, 3 retention, 4 gap, 5 host crash) |
//! | 5 release | range |
//! | 6 release with note | range, blob |
//! | 7 park | offset, flags (one byte: 1 continuation, 2 checkpoint, 4 note), time, `u` seconds, `u` nanoseconds, blobs |
//! | 8 void | range |
//! | 9 start offset | offset |
//! | 10 reset | `u` epoch, offset |
//! | 11 continue what was given back untouched | offset, time at which the attempt begins |
//!
//! # What a crash leaves
//!
//! Assumed of the disk: a sector of 512 bytes is written whole or not at all, and what `fdatasync` acknowledged stays.
//!
//! * While a ring file is made: a `.new` file, which the next attempt removes. It gets its name after its sync.
//! * While a group is written: some of its sectors. It fails its checksum and is the torn tail: cut, reported, written
//!   over. With [`Durability::Os`] several groups may be unsynced; the first that is missing cuts all behind it.
//! * While the ring goes on to the next file: the new header with or without the group, or neither. The old content of
//!   that file was not needed any more.
//! * While the journal is opened: nothing new. The tail above the last known sync is written and synced again, then
//!   the tail's file header gets the next generation and is synced; only then is a group written. Groups behind a cut
//!   have an older generation than what is written over the cut, and are never taken for its continuation.
//! * While it is closed: the end mark or not; then a header that says how far everything is synced.
//!
//! Torn or damaged? Every group and file header tells how far the journal was synced when it was written. If anything
//! behind a gap tells of more than the gap's position, what is in the gap had been on disk: damage, reported with file
//! and offset, and nothing is opened. A damaged file header or a file of another length is always damage. After a
//! clean close all bytes are known to be synced, so that any damage in live bytes is reported.

mod codec;
mod error;
#[cfg(any(test, feature = "testing"))]
mod fuzz;
mod group;
mod growth;
mod header;
#[cfg(feature = "plant")]
mod late;
mod open;
mod options;
mod position;
mod recovery;
mod ring;
mod verify;
mod writer;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

pub use crate::hook::{Hook, Phase};
pub use codec::{
    BATCH_LEN_MIN, DecodeError, ENTRY_OVERHEAD, OPERATION_OVERHEAD, Operation, changes_len, decode_changes,
    encode_changes,
};
pub use error::{CommitError, Damage, JournalError, RefusedError};
#[cfg(any(test, feature = "testing"))]
pub use fuzz::{fuzz_journal, fuzz_ring};
pub use group::{DoesNotFit, EntryWriter, GroupBuilder, alone_on_disk, entry_len};
pub use growth::{GrownFile, Growth};
pub use header::GROUP_HEADER;
pub use options::JournalOptions;
pub use position::{Position, SECTOR};
pub use recovery::{Entry, Report, TornTail, Visitor, VisitorError};
pub use ring::files_within;
pub use verify::{Refused, VerifyReport, owner, read, verify};
pub use writer::{Admission, Committed, Durability, Journal};
