//! Reads everything on disk and changes nothing: format, newest snapshot, every partition log that it lists, journal.
//! Behind `sharemill verify`, on a directory that no engine has open. Damage is collected; what has not been written
//! by this version, or cannot be read at all, is an error.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::recovery::unreadable;
use crate::drain::Image;
use crate::error::OpenError;
use crate::ids::PartitionKey;
use crate::journal::{self, Position};
use crate::log::{LogError, LogIdentity, LogReader, LogState};
use crate::share::{DecodeError, ShareOptions, SharePartition};
use crate::snapshot::{self, SnapshotError};
use crate::storage::{FileStorage, Storage};
use crate::time::Now;

pub use crate::log::Problem;

/// What was read, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Partition logs.
    pub logs: u64,
    /// Segments in them.
    pub segments: u64,
    /// Records in partition logs.
    pub records: u64,
    /// Bytes of log files and of the journal's ring.
    pub bytes: u64,
    /// Entries of the journal behind the snapshot.
    pub entries: u64,
    /// The engine was closed before.
    pub clean: bool,
    /// The group that was being written when the process ended: no damage, the next open cuts it.
    pub torn: Option<Problem>,
    /// Empty if all is well. Every one with its file and offset.
    pub problems: Vec<Problem>,
}

/// Verifies a data directory.
///
/// # Errors
/// No data directory, a newer format, or a disk that refuses.
pub fn verify(storage: &Arc<dyn Storage>) -> Result<VerifyReport, OpenError> {
    let mut report = VerifyReport::default();
    let directory_id = match snapshot::read_format(&**storage) {
        Ok(Some(directory_id)) => directory_id,
        Ok(None) => {
            return Err(OpenError::Corrupt(format!(
                "{} is not a data directory: it has no format file",
                storage.describe()
            )));
        }
        Err(error) => {
            report.note(error)?;
            return Ok(report);
        }
    };
    match snapshot::load_newest(&**storage, directory_id) {
        Ok(found) => {
            let position = found.as_ref().map_or(0, |snapshot| snapshot.position);
            if let Some(snapshot) = found {
                report.verify_snapshot(storage, directory_id, &snapshot)?;
            }
            report.verify_journal(&**storage, directory_id, Position::new(position))?;
        }
        // Where the journal begins is not known without it.
        Err(error) => report.note(error)?,
    }
    Ok(report)
}

/// [`verify`] for a directory of this machine, whose lock it takes.
pub fn verify_directory(directory: impl AsRef<Path>) -> Result<VerifyReport, OpenError> {
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::open(directory.as_ref())?);
    verify(&storage)
}

impl VerifyReport {
    fn verify_snapshot(
        &mut self,
        storage: &Arc<dyn Storage>,
        directory_id: u128,
        snapshot: &snapshot::Snapshot,
    ) -> Result<(), OpenError> {
        let file = snapshot::path(snapshot.position);
        let image = match Image::decode(snapshot) {
            Ok(image) => image,
            Err(error) => {
                self.add(file, 0, error.to_string());
                return Ok(());
            }
        };
        for (key, bytes) in &image.shares {
            if let Err(error) = SharePartition::decode(*key, ShareOptions::default(), bytes, Now::default()) {
                if matches!(error, DecodeError::Version { .. }) {
                    return Err(unreadable(snapshot.position, *key, &error));
                }
                self.add(file.clone(), 0, format!("share partition {key}: {error}"));
            }
        }
        let logs: BTreeMap<PartitionKey, &LogState> = image.partitions.iter().map(|one| (one.key, &one.log)).collect();
        for topic in image.catalog.topics() {
            for (index, key) in topic.partitions.iter().enumerate() {
                let Some(state) = logs.get(key).filter(|state| !state.segments.is_empty()) else {
                    continue;
                };
                let identity = LogIdentity {
                    directory_id,
                    topic_id: topic.id,
                };
                let directory = format!("logs/{}-{index}", topic.name);
                let reader = LogReader::listed(Arc::clone(storage), &directory, identity, state);
                let found = match reader.verify() {
                    Ok(found) => found,
                    Err(LogError::Io { file, source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                        self.add(file, 0, "the file is listed and is not there".to_owned());
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                self.logs += 1;
                self.segments += found.segments;
                self.records += found.records;
                self.bytes += found.bytes;
                self.problems.extend(found.problems);
            }
        }
        Ok(())
    }

    fn verify_journal(&mut self, storage: &dyn Storage, directory_id: u128, from: Position) -> Result<(), OpenError> {
        let found = journal::verify(storage, directory_id, from)?;
        self.bytes += found.bytes;
        self.entries = found.report.entries;
        self.clean = found.report.clean;
        self.torn = found.report.torn.map(|torn| Problem {
            file: torn.file,
            position: torn.offset,
            what: format!("{} bytes were being written", torn.bytes),
        });
        for damage in found.damage {
            let what = format!("{} ({} bytes)", damage.reason, damage.bytes);
            self.add(damage.file, damage.offset, what);
        }
        Ok(())
    }

    fn note(&mut self, error: SnapshotError) -> Result<(), OpenError> {
        match error {
            SnapshotError::Damaged { file, position, what } => {
                self.add(file, position, what);
                Ok(())
            }
            other => Err(other.into()),
        }
    }

    fn add(&mut self, file: String, position: u64, what: String) {
        self.problems.push(Problem { file, position, what });
    }
}
