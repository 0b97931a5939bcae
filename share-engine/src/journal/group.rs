//! Collects entries into one group in a buffer that is used again for the next one. The journal thread fills it while
//! the previous group is being synced; `Journal::commit` seals it. No allocation per entry once the buffer has grown.

use super::codec::{self, BATCH_LEN_MIN, ENTRY_OVERHEAD, Kind, OPERATION_OVERHEAD};
use super::header::{self, GROUP_HEADER, GroupHeader};
use super::position::padded;
use crate::ids::{Offset, PartitionKey, ShareKey};
use crate::share::Change;

/// Entries that will be written and synced together.
#[derive(Debug)]
pub struct GroupBuilder {
    /// The header's place, then the entries.
    buffer: Vec<u8>,
    entries: u32,
}

/// An entry does not fit any more; the group is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the group would take {needed} bytes of {room}")]
pub struct DoesNotFit {
    /// Bytes on disk that the group would take with the entry.
    pub needed: u64,
    /// Bytes that it may take.
    pub room: u64,
}

/// Bytes on disk of a group that holds one entry of `entry_len` bytes and nothing else.
pub const fn alone_on_disk(entry_len: usize) -> u64 {
    padded(GROUP_HEADER as u64 + entry_len as u64)
}

impl Default for GroupBuilder {
    fn default() -> Self {
        Self {
            buffer: vec![0; GROUP_HEADER],
            entries: 0,
        }
    }
}

impl GroupBuilder {
    /// Drops all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.truncate(GROUP_HEADER);
        self.entries = 0;
    }

    /// Number of entries.
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    /// Whether there is nothing to commit.
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes that the group takes on disk: header, entries, padding to a whole sector.
    pub const fn disk_len(&self) -> u64 {
        padded(self.buffer.len() as u64)
    }

    /// Bytes on disk if an entry of `entry_len` bytes (see [`entry_len`]) came in too.
    pub const fn disk_len_with(&self, entry_len: usize) -> u64 {
        padded(self.buffer.len() as u64 + entry_len as u64)
    }

    /// Adds the entry that `write` composes, unless the group would then take more than `room` bytes on disk
    /// (see `Journal::room`). An entry without operations is dropped.
    pub fn push_entry(&mut self, room: u64, write: impl FnOnce(&mut EntryWriter<'_>)) -> Result<(), DoesNotFit> {
        let before = self.buffer.len();
        codec::write_prefixed(&mut self.buffer, |buffer| write(&mut EntryWriter { buffer }));
        let needed = self.disk_len();
        if self.buffer.len() == before + ENTRY_OVERHEAD {
            self.buffer.truncate(before);
            return Ok(());
        }
        if needed > room {
            self.buffer.truncate(before);
            return Err(DoesNotFit { needed, room });
        }
        self.entries += 1;
        Ok(())
    }

    pub(super) fn push_end(&mut self) {
        codec::write_prefixed(&mut self.buffer, |buffer| {
            codec::write_operation(buffer, Kind::End, |_| {});
        });
        self.entries += 1;
    }

    /// Completes the group; the header's lengths and counts are filled in here.
    pub(super) fn seal(&mut self, header: &GroupHeader) -> &[u8] {
        let header = GroupHeader {
            payload_len: u32::try_from(self.buffer.len() - GROUP_HEADER).unwrap_or(u32::MAX),
            entries: self.entries,
            ..*header
        };
        self.buffer
            .resize(usize::try_from(header.disk_len()).unwrap_or(usize::MAX), 0);
        if let Some(place) = self.buffer.first_chunk_mut::<GROUP_HEADER>() {
            *place = header.encode();
        }
        header::seal_group(&mut self.buffer);
        &self.buffer
    }
}

/// Composes one entry: its operations are applied whole or not at all.
#[derive(Debug)]
pub struct EntryWriter<'a> {
    buffer: &'a mut Vec<u8>,
}

impl EntryWriter<'_> {
    /// Appends a record batch at `base_offset`. The bytes are copied once; offset and leader epoch (0), which lie
    /// outside the batch's checksum, are set in the copy.
    ///
    /// # Panics
    /// If `batch` is shorter than [`BATCH_LEN_MIN`]: batches are validated long before.
    pub fn append(&mut self, partition: PartitionKey, base_offset: Offset, batch: &[u8]) {
        assert!(batch.len() >= BATCH_LEN_MIN, "a record batch has {} bytes", batch.len());
        codec::write_operation(self.buffer, Kind::Append, |buffer| {
            buffer.extend_from_slice(&partition.get().to_le_bytes());
            buffer.extend_from_slice(&base_offset.get().to_be_bytes());
            buffer.extend_from_slice(batch.get(8..12).unwrap_or_default());
            buffer.extend_from_slice(&[0; 4]);
            buffer.extend_from_slice(batch.get(16..).unwrap_or_default());
        });
    }

    /// Records what changed in a share partition; nothing if `changes` is empty.
    pub fn share(&mut self, share: ShareKey, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        codec::write_operation(self.buffer, Kind::Share, |buffer| {
            buffer.extend_from_slice(&share.get().to_le_bytes());
            codec::encode_changes(changes, buffer);
        });
    }

    /// Records a change of the catalog.
    pub fn catalog(&mut self, bytes: &[u8]) {
        codec::write_operation(self.buffer, Kind::Catalog, |buffer| buffer.extend_from_slice(bytes));
    }
}

/// Bytes of an entry: `batches` and `changes` as they would be passed to [`EntryWriter`], one operation each, no
/// catalog.
pub fn entry_len<'a>(
    batches: impl IntoIterator<Item = &'a [u8]>,
    changes: impl IntoIterator<Item = &'a [Change]>,
) -> usize {
    let batches = batches.into_iter().map(|batch| OPERATION_OVERHEAD + batch.len());
    let changes = changes
        .into_iter()
        .filter(|changes| !changes.is_empty())
        .map(|changes| OPERATION_OVERHEAD + codec::changes_len(changes));
    ENTRY_OVERHEAD + batches.sum::<usize>() + changes.sum::<usize>()
}
