//! What a fetch brings: record batches (format 2, in use since Kafka 0.11), one behind the other. They are cut apart and their
//! checksums compared ([`batches`]), uncompressed under a limit ([`Batch::plain`]), and read in place ([`Plain::records`]).
//! [`NewBatch`] goes the other way.
//!
//! ```
//! use share_wire::records::{Codec, NewBatch, NewRecord, PLAIN_MAX, batches};
//!
//! let new = NewBatch { codec: Codec::Zstd, ..NewBatch::default() };
//! let fetched = new.encode(&[NewRecord { value: Some(b"paid"), ..NewRecord::default() }])?;
//! for batch in batches(fetched) {
//!     let plain = batch?.plain(PLAIN_MAX)?;
//!     for record in plain.records() {
//!         assert_eq!(record?.value, Some(&b"paid"[..]));
//!     }
//! }
//! # Ok::<_, share_wire::records::RecordsError>(())
//! ```

mod batch;
mod codec;
mod error;
mod header;
mod new;
mod plain;
mod record;
mod varint;

pub use batch::{Batch, Batches, batches};
pub use codec::{Codec, PLAIN_MAX};
pub use error::{Offsets, RecordsError};
pub use header::{BatchHeader, TimestampType};
pub use new::{NewBatch, NewRecord};
pub use plain::{Plain, Records};
pub use record::{Header, Headers, Record};

#[cfg(test)]
mod tests;
