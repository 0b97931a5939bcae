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
    /// Empty if all is well. At most one for each log file, two for its indexes.
    pub problems: Vec<Problem>,
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
    ///
    /// # Errors
    /// Those of the disk alone; damage is in the report.
    pub fn verify(&self) -> Result<VerifyReport, LogError> {
        let mut report = VerifyReport::default();
        let metadata = metadata::check(&*self.storage, &self.directory, self.identity.topic_id);
        report.note(metadata)?;
        for segment in self.segments.iter() {
            report.segments += 1;
            let verified = self.verify_segment(segment, &mut report);
            report.note(verified)?;
        }
        Ok(report)
    }

    fn verify_segment(&self, segment: &SegmentState, report: &mut VerifyReport) -> Result<(), LogError> {
        self.check_ends(segment)?;
        let mut index = IndexCheck::load(self, segment, SegmentFile::Index)?;
        let mut timeindex = IndexCheck::load(self, segment, SegmentFile::TimeIndex)?;
        let open = OpenSegment::open(self, segment)?;
        let (mut number, mut position) = (0, 0);
        let mut walked = Walked {
            end: segment.base,
            max_timestamp: WallTime::from_millis(-1),
            max_timestamp_offset: segment.base,
        };
        while number < open.entries {
            let run = open.run(number, position, u64::MAX)?;
            let mut batches = Vec::new();
            open.read_run(position, &run, Offset::ZERO, &mut batches)?;
            for batch in &batches {
                let corrupt = |what: String| LogError::corrupt(&open.log_path, position, what);
                let info = validate(batch.bytes(), UNLIMITED).map_err(|error| corrupt(error.to_string()))?;
                if batch.base() < walked.end || info.header.leader_epoch != 0 {
                    return Err(corrupt(format!("batch of offsets {} is out of place", batch.range())));
                }
                walked.step(batch);
                index.step_offsets(batch, position, segment.base);
                timeindex.step_timestamps(batch, &walked, segment.base);
                report.batches += 1;
                report.records += u64::from(info.header.record_count);
                position += batch.bytes().len() as u64;
            }
            number = run.next;
        }
        report.bytes += position;
        index.finish(report);
        timeindex.finish(report);
        let listed = (segment.max_timestamp, segment.max_timestamp_offset);
        if (walked.max_timestamp, walked.max_timestamp_offset) != listed {
            let what = format!("the largest timestamp is {}", walked.max_timestamp.as_millis());
            return Err(LogError::corrupt(&open.log_path, 0, what));
        }
        Ok(())
    }
}

impl VerifyReport {
    /// Keeps damage as a problem; passes on what the disk refused.
    fn note(&mut self, result: Result<(), LogError>) -> Result<(), LogError> {
        match result {
            Ok(()) => Ok(()),
            Err(LogError::Corrupt { file, position, what }) => {
                self.problems.push(Problem { file, position, what });
                Ok(())
            }
            Err(LogError::Io { file, source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.problems.push(Problem {
                    file,
                    position: 0,
                    what: "the file is missing".to_owned(),
                });
                Ok(())
            }
            Err(error) => Err(error),
        }
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
