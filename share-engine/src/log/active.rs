//! The segment that is being appended to: open files, what is not yet written of them, and the index entries.
//! Lives from an append to the next sync or roll, so that an idle log holds no descriptor. Owned by the writer.

use super::error::LogError;
use super::state::{LogOptions, SegmentFile, SegmentState};
use super::sums;
use crate::ids::Offset;
use crate::record::StoredBatch;
use crate::storage::{File, OpenMode, Storage};
use crate::time::WallTime;

pub(super) struct Active {
    /// Lengths count what is still in the buffers; `*_bytes` of the indexes and the sidecar grow at [`Active::finish`].
    state: SegmentState,
    log: Output,
    index: Output,
    timeindex: Output,
    sums: Output,
    /// CRC-32C of the log since `interval_start`.
    interval_crc: u32,
    interval_start: u64,
    bytes_since_index: u64,
    last_time_entry: i64,
    created: bool,
}

impl Active {
    /// Creates the four files; their directory entries are not durable yet.
    pub(super) fn create(
        storage: &dyn Storage,
        directory: &str,
        directory_id: u128,
        base: Offset,
    ) -> Result<Self, LogError> {
        let create = |file: SegmentFile| {
            let path = file.path(directory, base);
            let handle = storage
                .open(&path, OpenMode::CreateNew)
                .map_err(LogError::io(&path, "create"))?;
            Ok(Output::new(path, handle, 0))
        };
        let mut sums = create(SegmentFile::Sums)?;
        sums.put(&sums::header(directory_id, base));
        Ok(Self {
            state: SegmentState {
                base,
                end: base,
                bytes: 0,
                index_bytes: 0,
                timeindex_bytes: 0,
                sums_bytes: sums::HEADER_BYTES as u64,
                max_timestamp: WallTime::from_millis(NO_TIMESTAMP),
                max_timestamp_offset: base,
            },
            log: create(SegmentFile::Log)?,
            index: create(SegmentFile::Index)?,
            timeindex: create(SegmentFile::TimeIndex)?,
            sums,
            interval_crc: 0,
            interval_start: 0,
            bytes_since_index: 0,
            last_time_entry: NO_TIMESTAMP,
            created: true,
        })
    }

    /// Opens a segment as it was left at a sync, to go on behind its listed bytes.
    pub(super) fn reopen(storage: &dyn Storage, directory: &str, state: SegmentState) -> Result<Self, LogError> {
        let open = |file: SegmentFile| {
            let path = file.path(directory, state.base);
            let handle = storage
                .open(&path, OpenMode::ReadWrite)
                .map_err(LogError::io(&path, "open"))?;
            Ok(Output::new(path, handle, file.listed_bytes(&state)))
        };
        let log = open(SegmentFile::Log)?;
        let index = open(SegmentFile::Index)?;
        let timeindex = open(SegmentFile::TimeIndex)?;
        let indexed: u64 = match index.last_entry::<8>()? {
            Some([_, _, _, _, position @ ..]) => u64::from(u32::from_be_bytes(position)),
            None => 0,
        };
        let last_time_entry = match timeindex.last_entry::<12>()? {
            Some([timestamp @ .., _, _, _, _]) => i64::from_be_bytes(timestamp),
            None => NO_TIMESTAMP,
        };
        let Some(bytes_since_index) = state.bytes.checked_sub(indexed) else {
            let what = format!(
                "the last entry is position {indexed}, the log has {} bytes",
                state.bytes
            );
            return Err(LogError::corrupt(
                &index.path,
                state.index_bytes.saturating_sub(4),
                what,
            ));
        };
        Ok(Self {
            log,
            index,
            timeindex,
            sums: open(SegmentFile::Sums)?,
            interval_crc: 0,
            interval_start: state.bytes,
            bytes_since_index,
            last_time_entry,
            created: false,
            state,
        })
    }

    pub(super) const fn state(&self) -> &SegmentState {
        &self.state
    }

    /// Whether the directory must be synced for this segment to exist.
    pub(super) const fn created(&self) -> bool {
        self.created
    }

    /// Puts one batch behind the others. The caller has checked its order and that it fits.
    pub(super) fn append(&mut self, batch: &StoredBatch, options: &LogOptions) -> Result<(), LogError> {
        let position = self.state.bytes;
        let since_index = self.bytes_since_index;
        let indexed = since_index > options.index_interval_bytes;
        if indexed || position - self.interval_start >= options.index_interval_bytes {
            self.close_interval();
        }
        if batch.max_timestamp() > self.state.max_timestamp {
            self.state.max_timestamp = batch.max_timestamp();
            self.state.max_timestamp_offset = batch.last();
        }
        if indexed {
            let last = relative(batch.last(), self.state.base);
            self.index.put(&last.to_be_bytes());
            self.index.put(&narrow(position).to_be_bytes());
            self.put_time_entry();
            self.bytes_since_index = 0;
        }
        let (base, length, rest) = placed(batch);
        for part in [&base[..], length, &LEADER_EPOCH, rest] {
            self.interval_crc = crc32c::crc32c_append(self.interval_crc, part);
            self.log.put(part);
        }
        let len = batch.bytes().len() as u64;
        self.state.bytes += len;
        self.bytes_since_index += len;
        self.state.end = batch.last().next();
        if self.log.pending.len() >= options.write_buffer_bytes {
            self.log.write()?;
        }
        Ok(())
    }

    /// Writes what is left, closes the interval, adds the last time entry and syncs every file that changed.
    /// The segment's state is durable then, but for the directory.
    pub(super) fn finish(mut self) -> Result<SegmentState, LogError> {
        self.close_interval();
        self.put_time_entry();
        for output in [&mut self.log, &mut self.index, &mut self.timeindex, &mut self.sums] {
            output.write()?;
            if output.dirty {
                output.file.sync_data().map_err(LogError::io(&output.path, "sync"))?;
            }
        }
        self.state.index_bytes = self.index.written;
        self.state.timeindex_bytes = self.timeindex.written;
        self.state.sums_bytes = self.sums.written;
        Ok(self.state)
    }

    fn close_interval(&mut self) {
        if self.interval_start == self.state.bytes {
            return;
        }
        let entry = sums::Entry {
            end: narrow(self.state.bytes),
            last: relative(self.state.end, self.state.base) - 1,
            max_timestamp: self.state.max_timestamp,
            crc: self.interval_crc,
        };
        let number = sums::entry_count(self.sums.written + self.sums.pending.len() as u64).unwrap_or(u32::MAX);
        self.sums.put(&entry.encode(self.state.base, number));
        self.interval_start = self.state.bytes;
        self.interval_crc = 0;
    }

    fn put_time_entry(&mut self) {
        let timestamp = self.state.max_timestamp.as_millis();
        if timestamp > self.last_time_entry {
            self.timeindex.put(&timestamp.to_be_bytes());
            let last = relative(self.state.max_timestamp_offset, self.state.base);
            self.timeindex.put(&last.to_be_bytes());
            self.last_time_entry = timestamp;
        }
    }
}

/// One file of the segment and what still has to be written behind its end.
struct Output {
    path: String,
    file: Box<dyn File>,
    pending: Vec<u8>,
    written: u64,
    dirty: bool,
}

impl Output {
    fn new(path: String, file: Box<dyn File>, written: u64) -> Self {
        Self {
            path,
            file,
            pending: Vec::new(),
            written,
            dirty: false,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    fn write(&mut self) -> Result<(), LogError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file
            .write_through_at(&self.pending, self.written)
            .map_err(LogError::io(&self.path, "write"))?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        self.dirty = true;
        Ok(())
    }

    fn last_entry<const N: usize>(&self) -> Result<Option<[u8; N]>, LogError> {
        let Some(position) = self.written.checked_sub(N as u64) else {
            return Ok(None);
        };
        let mut entry = [0; N];
        self.file
            .read_exact_at(&mut entry, position)
            .map_err(LogError::read(&self.path, position))?;
        Ok(Some(entry))
    }
}

/// A batch as it goes to the disk: its base offset, its length field and what follows the leader epoch.
fn placed(batch: &StoredBatch) -> ([u8; 8], &[u8], &[u8]) {
    let bytes: &[u8] = batch.bytes();
    let (length, rest) = bytes.get(8..12).zip(bytes.get(16..)).unwrap_or_default(); // a stored batch has its 61 bytes of header
    (batch.base().get().to_be_bytes(), length, rest)
}

/// An offset in its segment; the writer rolls before 2^31.
fn relative(offset: Offset, base: Offset) -> u32 {
    narrow(offset.since(base))
}

/// A position or number in a segment; the writer rolls before 2^31.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Kafka's mark for none; below every timestamp that counts.
const NO_TIMESTAMP: i64 = -1;
const LEADER_EPOCH: [u8; 4] = [0; 4];
