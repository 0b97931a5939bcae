//! Reads a whole log and reports everything that is not as it was written. Called by `sharemill verify`.

use std::io;

use super::error::LogError;
use super::metadata;
use super::reader::{LogReader, OpenSegment};
use super::state::{SegmentFile, SegmentState};
use crate::ids::Offset;
use crate::record::{RecordLimits, StoredBatch, validate};
use crate::storage::OpenMode;
use crate::time::WallTime;

/// What was read, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Segments listed.
    pub segments: u64,
    /// Batches read.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of log files read.
    pub bytes: u64,
    /// Empty if all is well. One for each interval of a log file that is not as it was written.
    pub problems: Vec<Problem>,
    /// What a newer version wrote.
    pub newer: Vec<Problem>,
    /// What could not be compared, since something else is damaged.
    pub unchecked: Vec<Unchecked>,
}

/// What could not be read or compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked {
    /// Path within the data directory, or what lies in it.
    pub file: String,
    /// What it needs, which is damaged.
    pub why: String,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path within the data directory.
    pub file: String,
    /// Byte in the file.
    pub position: u64,
    /// What was found and what was expected.
    pub what: String,
}

impl LogReader {
    /// Reads everything listed: sidecars, batches, records, indexes, metadata.
    pub fn verify(&self) -> VerifyReport {
        let mut report = VerifyReport::default();
        for (name, content) in metadata::files(self.identity.topic_id) {
            let path = format!("{}/{name}", self.directory);
            report.note(metadata::check_file(&*self.storage, &path, &content));
        }
        for segment in self.segments.iter() {
            report.segments += 1;
            // An index is worth nothing without the log; the log is read without its indexes.
            let fit = report.note(self.check_length(segment, SegmentFile::Log))
                & report.note(self.check_length(segment, SegmentFile::Sums));
            let [index, timeindex] = [SegmentFile::Index, SegmentFile::TimeIndex].map(|file| {
                let loaded = self.check_length(segment, file);
                let loaded = loaded.and_then(|()| IndexCheck::load(self, segment, file));
                loaded.map_err(|error| report.note(Err(error))).ok()
            });
            if fit && report.note(self.check_last_entry(segment)) {
                let verified = self.verify_segment(segment, (index, timeindex), &mut report);
                report.note(verified);
            } else {
                let indexes = [index, timeindex].into_iter().flatten().map(|index| index.path);
                let log = SegmentFile::Log.path(&self.directory, segment.base);
                for file in [log].into_iter().chain(indexes) {
                    report.leave_out(file, "the files of its segment do not fit together");
                }
            }
        }
        report
    }

    fn verify_segment(
        &self,
        segment: &SegmentState,
        (index, timeindex): (Option<IndexCheck>, Option<IndexCheck>),
        report: &mut VerifyReport,
    ) -> Result<(), LogError> {
        let open = OpenSegment::open(self, segment)?;
        let mut walk = SegmentWalk {
            base: segment.base,
            index,
            timeindex,
            walked: Walked {
                end: segment.base,
                max_timestamp: WallTime::from_millis(-1),
                max_timestamp_offset: segment.base,
            },
        };
        let (mut number, mut position, mut is_whole) = (0, 0, true);
        while number < open.entries {
            let mut step = walk.step(&open, (number, position), u64::MAX, report);
            if step.is_err() {
                // Which interval it is.
                step = walk.step(&open, (number, position), 1, report);
            }
            (number, position) = match step {
                Ok(next) => next,
                Err(error) => {
                    report.note(Err(error));
                    is_whole = false;
                    walk.step_over(&open, number)
                }
            };
        }
        report.bytes += segment.bytes;
        let indexes = [walk.index, walk.timeindex].into_iter().flatten();
        if !is_whole {
            for index in indexes {
                let why = "it is compared with the batches, and not all can be read";
                report.leave_out(index.path, why);
            }
            return Ok(());
        }
        indexes.for_each(|index| index.finish(report));
        let walked = &walk.walked;
        let listed = (segment.max_timestamp, segment.max_timestamp_offset);
        if (walked.max_timestamp, walked.max_timestamp_offset) != listed {
            let what = format!("the largest timestamp is {}", walked.max_timestamp.as_millis());
            return Err(LogError::corrupt(&open.log_path, 0, what));
        }
        Ok(())
    }
}

/// What goes along with the batches of a segment.
struct SegmentWalk {
    base: Offset,
    /// `None`: it cannot be read itself.
    index: Option<IndexCheck>,
    timeindex: Option<IndexCheck>,
    walked: Walked,
}

impl SegmentWalk {
    /// Reads intervals from a number and the position where it begins, about `wanted` bytes; where the next begins. Nothing is
    /// counted if anything in them is damaged.
    fn step(
        &mut self,
        open: &OpenSegment,
        (number, position): (u32, u64),
        wanted: u64,
        report: &mut VerifyReport,
    ) -> Result<(u32, u64), LogError> {
        let run = open.run(number, position, wanted)?;
        let mut batches = Vec::new();
        open.read_run(position, &run, Offset::ZERO, &mut batches)?;
        let (mut at, mut end, mut records) = (position, self.walked.end, 0);
        for batch in &batches {
            let corrupt = |what: String| LogError::corrupt(&open.log_path, at, what);
            let info = validate(batch.bytes(), UNLIMITED).map_err(|error| corrupt(error.to_string()))?;
            if batch.base() < end || info.header.leader_epoch != 0 {
                return Err(corrupt(format!("batch of offsets {} is out of place", batch.range())));
            }
            end = batch.last().next();
            at += batch.bytes().len() as u64;
            records += u64::from(info.header.record_count);
        }
        let mut at = position;
        for batch in &batches {
            self.walked.step(batch);
            if let Some(index) = &mut self.index {
                index.step_offsets(batch, at, self.base);
            }
            if let Some(index) = &mut self.timeindex {
                index.step_timestamps(batch, &self.walked, self.base);
            }
            at += batch.bytes().len() as u64;
        }
        report.batches += batches.len() as u64;
        report.records += records;
        Ok((run.next, at))
    }

    /// The next interval whose beginning is known.
    fn step_over(&mut self, open: &OpenSegment, number: u32) -> (u32, u64) {
        for skipped in number..open.entries {
            if let Ok(entry) = open.entry(skipped) {
                let last = self.base.get().saturating_add(entry.last.into());
                self.walked.end = self.walked.end.max(Offset::saturating(last).next());
                return (skipped + 1, entry.end.into());
            }
        }
        (open.entries, 0)
    }
}

impl VerifyReport {
    /// Keeps what is wrong; whether nothing is.
    fn note(&mut self, result: Result<(), LogError>) -> bool {
        let Err(error) = result else { return true };
        let what = error.to_string();
        let (file, position, what) = match error {
            LogError::Version { file, found, supported } => {
                let what = format!("has format {found}, this program reads up to {supported}");
                self.newer.push(Problem {
                    file,
                    position: 0,
                    what,
                });
                return false;
            }
            LogError::Corrupt { file, position, what } => (file, position, what),
            LogError::Io { file, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                (file, 0, "the file is missing".to_owned())
            }
            LogError::Io { file, action, source } => (file, 0, format!("the disk does not let it {action}: {source}")),
            LogError::ForeignDirectory { file, .. } => (file, 12, what),
            // Of writers alone.
            LogError::Fenced { .. } | LogError::Order { .. } | LogError::Batch { .. } => (String::new(), 0, what),
        };
        self.problems.push(Problem { file, position, what });
        false
    }

    fn leave_out(&mut self, file: String, why: &str) {
        let why = why.to_owned();
        self.unchecked.push(Unchecked { file, why });
    }
}

/// What the batches so far add up to.
struct Walked {
    end: Offset,
    max_timestamp: WallTime,
    max_timestamp_offset: Offset,
}

impl Walked {
    fn step(&mut self, batch: &StoredBatch) {
        self.end = batch.last().next();
        if batch.max_timestamp() > self.max_timestamp {
            self.max_timestamp = batch.max_timestamp();
            self.max_timestamp_offset = batch.last();
        }
    }
}

/// An index file, compared with the batches as they come by.
struct IndexCheck {
    path: String,
    bytes: Vec<u8>,
    entry_bytes: usize,
    position: usize,
    problem: Option<String>,
}

impl IndexCheck {
    fn load(reader: &LogReader, segment: &SegmentState, file: SegmentFile) -> Result<Self, LogError> {
        let path = file.path(&reader.directory, segment.base);
        let handle = reader
            .storage
            .open(&path, OpenMode::Read)
            .map_err(LogError::io(&path, "open"))?;
        let len = usize::try_from(file.listed_bytes(segment)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        handle.read_exact_at(&mut bytes, 0).map_err(LogError::read(&path, 0))?;
        Ok(Self {
            path,
            bytes,
            entry_bytes: if file == SegmentFile::Index { 8 } else { 12 },
            position: 0,
            problem: None,
        })
    }

    fn step_offsets(&mut self, batch: &StoredBatch, position: u64, base: Offset) {
        let Some([a, b, c, d, at @ ..]) = self.next::<8>() else {
            return;
        };
        let indexed = u64::from(u32::from_be_bytes(at));
        if indexed > position {
            return;
        }
        let last = u64::from(u32::from_be_bytes([a, b, c, d]));
        if indexed < position || last != batch.last().since(base) {
            self.problem = Some(format!("entry of offset {last} and position {indexed} fits no batch"));
            return;
        }
        self.position += self.entry_bytes;
    }

    fn step_timestamps(&mut self, batch: &StoredBatch, walked: &Walked, base: Offset) {
        let Some([timestamp @ .., a, b, c, d]) = self.next::<12>() else {
            return;
        };
        let last = u64::from(u32::from_be_bytes([a, b, c, d]));
        let here = batch.last().since(base);
        if last > here {
            return;
        }
        let timestamp = i64::from_be_bytes(timestamp);
        let new_maximum = walked.max_timestamp_offset == batch.last();
        if last < here || !new_maximum || timestamp != walked.max_timestamp.as_millis() {
            self.problem = Some(format!(
                "entry of timestamp {timestamp} and offset {last} fits no batch"
            ));
            return;
        }
        self.position += self.entry_bytes;
    }

    fn next<const N: usize>(&self) -> Option<[u8; N]> {
        if self.problem.is_some() {
            return None;
        }
        self.bytes.get(self.position..)?.first_chunk::<N>().copied()
    }

    fn finish(self, report: &mut VerifyReport) {
        let left = self.bytes.len() - self.position;
        let what = match self.problem {
            Some(what) => what,
            None if left > 0 => format!("{left} bytes fit no batch"),
            None => return,
        };
        report.problems.push(Problem {
            file: self.path,
            position: self.position as u64,
            what,
        });
    }
}

/// What lies on the disk was within the limits of its day.
const UNLIMITED: RecordLimits = RecordLimits {
    record_bytes: usize::MAX,
    batch_bytes: usize::MAX,
};
