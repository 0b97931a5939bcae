//! Reads batches back from a partition log, every byte under a checksum that was verified.
//! A list of segments as of one sync; the writer goes on beside it. Called by the reader thread and by `verify`.

use std::sync::Arc;

use bytes::Bytes;

use super::error::LogError;
use super::state::{LogIdentity, LogState, SegmentFile, SegmentState};
use super::sums::{self, Entry};
use crate::ids::Offset;
use crate::record::{BatchHeader, StoredBatch};
use crate::storage::{File, OpenMode, Storage};
use crate::time::WallTime;

/// A log as of one sync. Cheap to clone; holds no descriptor.
#[derive(Clone)]
pub struct LogReader {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) directory: Arc<str>,
    pub(super) identity: LogIdentity,
    pub(super) segments: Arc<Vec<SegmentState>>,
}

impl LogReader {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        directory: &str,
        identity: LogIdentity,
        segments: Arc<Vec<SegmentState>>,
    ) -> Self {
        Self {
            storage,
            directory: directory.into(),
            identity,
            segments,
        }
    }

    /// A view of a log as a snapshot lists it, without a writer beside it.
    pub fn listed(storage: Arc<dyn Storage>, directory: &str, identity: LogIdentity, state: &LogState) -> Self {
        Self::new(storage, directory, identity, Arc::new(state.segments.clone()))
    }

    /// Whether the other view lists the same segments, as of the same sync or drop.
    pub fn is_as_old_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.segments, &other.segments)
    }

    /// The segments it reads, in offset order.
    pub fn segments(&self) -> &[SegmentState] {
        &self.segments
    }

    /// The batches that hold `from` or lie behind it, in order, until `max_bytes` are reached: at least one if there
    /// is one, and past `max_bytes` by less than one interval (4096 bytes or one batch). Holes are stepped over; empty
    /// at the end.
    ///
    /// The batches of one call share one or a few buffers: they are freed together.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] names file and position, and nothing read in this call is given out.
    /// [`LogError::is_missing_file`] may mean that the segment was dropped since this list was made.
    pub fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<StoredBatch>, LogError> {
        let first = self.segments.partition_point(|segment| segment.end <= from);
        let mut batches = Vec::new();
        let mut left = max_bytes as u64;
        for segment in self.segments.get(first..).unwrap_or_default() {
            let open = OpenSegment::open(self, segment)?;
            let relative = u32::try_from(from.since(segment.base)).unwrap_or(u32::MAX);
            let mut number = open.search(|entry| entry.last >= relative)?;
            let mut position = open.start_of(number)?;
            while left > 0 && number < open.entries {
                let run = open.run(number, position, left)?;
                left = left.saturating_sub(run.end - position);
                open.read_run(position, &run, from, &mut batches)?;
                number = run.next;
                position = run.end;
            }
            if left == 0 {
                break;
            }
        }
        Ok(batches)
    }

    /// Where the interval that holds `from` ends, or its segment if the sidecar does not say: what comes after damage in it.
    pub fn behind(&self, from: Offset) -> Offset {
        let first = self.segments.partition_point(|segment| segment.end <= from);
        let Some(segment) = self.segments.get(first) else {
            return from.next();
        };
        let end = OpenSegment::open(self, segment).and_then(|open| {
            let relative = u32::try_from(from.since(segment.base)).unwrap_or(u32::MAX);
            let number = open.search(|entry| entry.last >= relative)?;
            open.entry(number)
        });
        let last = |entry: Entry| Offset::saturating(segment.base.get().saturating_add(entry.last.into()));
        end.map_or(segment.end, |entry| last(entry).next()).max(from.next())
    }

    /// The first record whose timestamp is `at` or later, in offset order; `None` if there is none.
    pub fn offset_for_timestamp(&self, at: WallTime) -> Result<Option<Offset>, LogError> {
        let at = at.max(WallTime::from_millis(-1)); // no record has less, and all have at least that
        for segment in self.segments.iter().filter(|segment| segment.max_timestamp >= at) {
            let open = OpenSegment::open(self, segment)?;
            let number = open.search(|entry| entry.max_timestamp >= at)?;
            if number == open.entries {
                let what = format!("no interval reaches timestamp {}", segment.max_timestamp.as_millis());
                return Err(LogError::corrupt(&open.sums_path, 0, what));
            }
            let position = open.start_of(number)?;
            let run = open.run(number, position, 1)?;
            let mut batches = Vec::new();
            open.read_run(position, &run, Offset::ZERO, &mut batches)?;
            for batch in batches.iter().filter(|batch| batch.max_timestamp() >= at) {
                for record in batch.records() {
                    let (view, _) =
                        record.map_err(|error| LogError::corrupt(&open.log_path, position, error.to_string()))?;
                    if view.timestamp >= at {
                        return Ok(Some(view.offset));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether this version can read the segment: looks at the sidecar's header alone.
    pub fn check_version(&self, segment: &SegmentState) -> Result<(), LogError> {
        OpenSegment::open(self, segment).map(drop)
    }

    /// What an open looks at: the files' lengths, the sidecar's header and its last entry.
    pub(super) fn check_ends(&self, segment: &SegmentState) -> Result<(), LogError> {
        for file in SegmentFile::ALL {
            self.check_length(segment, file)?;
        }
        self.check_last_entry(segment)
    }

    /// Whether a file of a segment is as long as it is listed.
    pub(super) fn check_length(&self, segment: &SegmentState, file: SegmentFile) -> Result<(), LogError> {
        let path = file.path(&self.directory, segment.base);
        let listed = file.listed_bytes(segment);
        let handle = match self.storage.open(&path, OpenMode::Read) {
            Ok(handle) => handle,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = format!("the file is missing, {listed} bytes expected");
                return Err(LogError::corrupt(&path, 0, what));
            }
            Err(error) => return Err(LogError::io(&path, "open")(error)),
        };
        let found = handle.len().map_err(LogError::io(&path, "measure"))?;
        if found < listed {
            let what = format!("the file ends here, {listed} bytes expected");
            return Err(LogError::corrupt(&path, found, what));
        }
        Ok(())
    }

    /// The sidecar's header and its last entry.
    pub(super) fn check_last_entry(&self, segment: &SegmentState) -> Result<(), LogError> {
        let open = OpenSegment::open(self, segment)?;
        let last = open
            .entries
            .checked_sub(1)
            .map(|number| open.entry(number))
            .transpose()?;
        let ends = last.map(|entry| (u64::from(entry.end), u64::from(entry.last) + 1));
        if ends != Some((segment.bytes, segment.end.since(segment.base))) {
            let what = format!("the last entry is {ends:?}, not the segment's end");
            return Err(LogError::corrupt(&open.sums_path, segment.sums_bytes, what));
        }
        Ok(())
    }
}

/// A segment with log and sidecar open.
pub(super) struct OpenSegment {
    segment: SegmentState,
    log: Box<dyn File>,
    sums: Box<dyn File>,
    pub(super) log_path: String,
    pub(super) sums_path: String,
    pub(super) entries: u32,
}

/// Intervals that lie behind one another.
pub(super) struct Run {
    intervals: Vec<Entry>,
    /// Position in the log behind them.
    pub(super) end: u64,
    /// Number of the interval behind them.
    pub(super) next: u32,
}

impl OpenSegment {
    pub(super) fn open(reader: &LogReader, segment: &SegmentState) -> Result<Self, LogError> {
        let open = |file: SegmentFile| {
            let path = file.path(&reader.directory, segment.base);
            match reader.storage.open(&path, OpenMode::Read) {
                Ok(handle) => Ok((handle, path)),
                Err(error) => Err(LogError::io(&path, "open")(error)),
            }
        };
        let (log, log_path) = open(SegmentFile::Log)?;
        let (sums, sums_path) = open(SegmentFile::Sums)?;
        let mut header = [0; sums::HEADER_BYTES];
        sums.read_exact_at(&mut header, 0)
            .map_err(LogError::read(&sums_path, 0))?;
        sums::check_header(&header, &sums_path, reader.identity.directory_id, segment.base)?;
        let Some(entries) = sums::entry_count(segment.sums_bytes) else {
            let what = format!("{} bytes are no whole number of entries", segment.sums_bytes);
            return Err(LogError::corrupt(&sums_path, segment.sums_bytes, what));
        };
        Ok(Self {
            segment: *segment,
            log,
            sums,
            log_path,
            sums_path,
            entries,
        })
    }

    /// One entry of the sidecar, its checksum verified.
    pub(super) fn entry(&self, number: u32) -> Result<Entry, LogError> {
        let position = sums::entry_position(number);
        let mut bytes = [0; sums::ENTRY_BYTES];
        self.sums
            .read_exact_at(&mut bytes, position)
            .map_err(LogError::read(&self.sums_path, position))?;
        Entry::parse(&bytes, self.segment.base, number)
            .map_err(|what| LogError::corrupt(&self.sums_path, position, what))
    }

    /// Number of the first interval for which `reached` holds; it must hold for all behind that.
    fn search(&self, reached: impl Fn(&Entry) -> bool) -> Result<u32, LogError> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            if reached(&self.entry(middle)?) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    /// Position in the log at which an interval begins.
    fn start_of(&self, number: u32) -> Result<u64, LogError> {
        match number.checked_sub(1) {
            None => Ok(0),
            Some(before) => Ok(u64::from(self.entry(before)?.end)),
        }
    }

    /// At least one interval from `number` on, then more until `wanted` bytes are reached.
    pub(super) fn run(&self, number: u32, position: u64, wanted: u64) -> Result<Run, LogError> {
        let mut run = Run {
            intervals: Vec::new(),
            end: position,
            next: number,
        };
        while run.next < self.entries && run.end - position < wanted.min(MAX_RUN_BYTES) {
            let count = (self.entries - run.next).min(ENTRIES_AT_ONCE);
            let mut block = vec![0; count as usize * sums::ENTRY_BYTES];
            let at = sums::entry_position(run.next);
            self.sums
                .read_exact_at(&mut block, at)
                .map_err(LogError::read(&self.sums_path, at))?;
            let (entries, _) = block.as_chunks::<{ sums::ENTRY_BYTES }>();
            for bytes in entries {
                let at = sums::entry_position(run.next);
                let corrupt = |what| LogError::corrupt(&self.sums_path, at, what);
                let entry = Entry::parse(bytes, self.segment.base, run.next).map_err(corrupt)?;
                if u64::from(entry.end) <= run.end || u64::from(entry.end) > self.segment.bytes {
                    let what = format!("an interval ends at {}, the one before at {}", entry.end, run.end);
                    return Err(corrupt(what));
                }
                run.end = entry.end.into();
                run.next += 1;
                run.intervals.push(entry);
                if run.end - position >= wanted.min(MAX_RUN_BYTES) {
                    break;
                }
            }
        }
        Ok(run)
    }

    /// Reads a run's bytes, verifies every interval and batch, and adds the batches that reach `from`.
    pub(super) fn read_run(
        &self,
        position: u64,
        run: &Run,
        from: Offset,
        batches: &mut Vec<StoredBatch>,
    ) -> Result<(), LogError> {
        let len = usize::try_from(run.end - position).unwrap_or(usize::MAX);
        let mut buffer = vec![0; len];
        self.log
            .read_exact_at(&mut buffer, position)
            .map_err(LogError::read(&self.log_path, position))?;
        let mut rest = Bytes::from(buffer);
        let mut at = position;
        for entry in &run.intervals {
            let end = u64::from(entry.end);
            let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(rest.len());
            let interval = rest.split_to(len);
            let matches = crc32c::crc32c(&interval) == entry.crc;
            let found = self.split(interval, at);
            // A damaged batch is the more exact answer, if it can be told.
            let found = found?;
            if !matches {
                let what = format!("the interval up to byte {end} does not match its CRC-32C");
                return Err(LogError::corrupt(&self.log_path, at, what));
            }
            let last = found.last().map(|batch| batch.last().since(self.segment.base));
            if last != Some(entry.last.into()) {
                let what = format!(
                    "the interval ends with offset {last:?} of its segment, {} expected",
                    entry.last
                );
                return Err(LogError::corrupt(&self.log_path, at, what));
            }
            batches.extend(found.into_iter().filter(|batch| batch.last() >= from));
            at = end;
        }
        Ok(())
    }

    /// The batches of one interval, each CRC verified.
    fn split(&self, mut interval: Bytes, mut at: u64) -> Result<Vec<StoredBatch>, LogError> {
        let mut batches: Vec<StoredBatch> = Vec::new();
        while !interval.is_empty() {
            let corrupt = |what: String| LogError::corrupt(&self.log_path, at, what);
            let header = BatchHeader::parse(&interval).map_err(|error| corrupt(error.to_string()))?;
            header
                .check_crc(&interval)
                .map_err(|error| corrupt(error.to_string()))?;
            let bytes = interval.split_to(header.total_len.min(interval.len()));
            let len = bytes.len() as u64;
            let base = Offset::saturating(header.base_offset);
            let batch = StoredBatch::new(base, bytes).map_err(|error| corrupt(error.to_string()))?;
            let lowest = batches.last().map_or(self.segment.base, |before| before.last().next());
            if base < lowest || batch.last() >= self.segment.end {
                let what = format!(
                    "batch of offsets {} does not lie in {lowest} to {}",
                    batch.range(),
                    self.segment.end
                );
                return Err(corrupt(what));
            }
            batches.push(batch);
            at += len;
        }
        Ok(batches)
    }
}

/// How much one call of the disk reads at most, a single larger interval excepted.
const MAX_RUN_BYTES: u64 = 1 << 20;
const ENTRIES_AT_ONCE: u32 = 64;
