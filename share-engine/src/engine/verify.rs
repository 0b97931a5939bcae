//! Reads everything on disk and changes nothing: format, newest snapshot, every partition log that it lists, journal.
//! Behind `sharemill verify`, on a directory that no engine has open. Damage is collected, and everything is read that can be
//! told apart without it; what cannot is named. What a newer version wrote, or the disk refuses, ends nothing either.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::recovery::unreadable;
use crate::catalog::{Catalog, CatalogChange};
use crate::drain::{Image, PartitionImage};
use crate::error::OpenError;
use crate::ids::{PartitionKey, ShareKey};
use crate::journal::{self, Entry, Operation, Position, VisitorError};
use crate::log::{LogIdentity, LogReader, LogState};
use crate::record::StoredBatch;
use crate::share::{DecodeError, ShareOptions, SharePartition};
use crate::snapshot::{self, SectionKind, Snapshot, SnapshotError};
use crate::storage::{FileStorage, Storage};
use crate::time::Now;

pub use crate::log::{Problem, Unchecked};

/// What was read, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Partition logs.
    pub logs: u64,
    /// Segments in them.
    pub segments: u64,
    /// Records in partition logs.
    pub records: u64,
    /// Records in the journal behind the snapshot: none of them is in a log.
    pub journal_records: u64,
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
    /// What a newer version wrote: no damage, and nothing that this one can read.
    pub newer: Vec<Problem>,
    /// What could not be checked because of them.
    pub unchecked: Vec<Unchecked>,
}

/// Verifies a data directory.
///
/// # Errors
/// No data directory, or a disk that refuses to list it.
pub fn verify(storage: &Arc<dyn Storage>) -> Result<VerifyReport, OpenError> {
    let mut report = VerifyReport::default();
    let format = snapshot::read_format(&**storage);
    let owner = || journal::owner(&**storage);
    let directory_id = match format {
        Ok(Some(directory_id)) => Some(directory_id),
        Ok(None) => {
            let directory_id = owner();
            if directory_id.is_none() && !snapshot::is_there(&**storage)? {
                let directory = storage.describe();
                return Err(OpenError::NotADirectory { directory });
            }
            report.add("format".to_owned(), 0, "the file is missing".to_owned());
            directory_id
        }
        Err(error @ SnapshotError::Version { .. }) => {
            report.note(error);
            report.leave_out_all("what they look like is known to the newer version alone");
            return Ok(report);
        }
        Err(error) => {
            report.note(error);
            owner()
        }
    };
    let Some(directory_id) = directory_id else {
        report.leave_out_all("whose directory it is stands in the damaged files");
        return Ok(report);
    };
    let mut position = 0;
    if let Some((snapshot, errors)) = snapshot::examine_newest(&**storage, directory_id)? {
        position = snapshot.position;
        for error in errors {
            report.note(error);
        }
        report.verify_snapshot(storage, directory_id, &snapshot);
    }
    report.verify_journal(&**storage, directory_id, Position::new(position));
    Ok(report)
}

/// Whether there is anything in a directory that only a data directory has. Changes nothing, takes no lock.
pub fn is_data_directory(directory: impl AsRef<Path>) -> bool {
    FileStorage::is_data_directory(directory.as_ref())
}

/// [`verify`] for a directory of this machine, whose lock it takes if it is one of ours.
pub fn verify_directory(directory: impl AsRef<Path>) -> Result<VerifyReport, OpenError> {
    let directory = directory.as_ref();
    if !is_data_directory(directory) {
        let directory = directory.display().to_string();
        return Err(OpenError::NotADirectory { directory });
    }
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::open(directory)?);
    verify(&storage)
}

/// What can be read of a snapshot.
#[derive(Default)]
struct Parts {
    catalog: Option<Catalog>,
    partitions: Option<Vec<PartitionImage>>,
    shares: Vec<(ShareKey, Bytes)>,
}

impl VerifyReport {
    fn verify_snapshot(&mut self, storage: &Arc<dyn Storage>, directory_id: u128, snapshot: &Snapshot) {
        let parts = self.parts(snapshot);
        let file = snapshot::path(snapshot.position);
        for (key, bytes) in &parts.shares {
            match SharePartition::decode(*key, ShareOptions::default(), bytes, Now::default()) {
                Ok(_) => {}
                Err(error @ DecodeError::Version { .. }) => {
                    self.refuse(file.clone(), 0, unreadable(snapshot.position, *key, &error));
                }
                Err(error) => self.add(file.clone(), 0, format!("share partition {key}: {error}")),
            }
        }
        let (Some(catalog), Some(partitions)) = (parts.catalog, parts.partitions) else {
            // Every whole snapshot has both.
            let names = storage.list("logs").or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(Vec::new()),
                _ => Err(error),
            });
            let names = names.unwrap_or_else(|source| {
                self.add("logs".to_owned(), 0, format!("the disk does not let it list: {source}"));
                Vec::new()
            });
            for name in names {
                let why = "what belongs to it stands in the snapshot, which cannot be read";
                self.leave_out(&format!("logs/{name}"), why);
            }
            return;
        };
        let logs: BTreeMap<PartitionKey, &LogState> = partitions.iter().map(|one| (one.key, &one.log)).collect();
        for topic in catalog.topics() {
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
                let found = reader.verify();
                self.logs += 1;
                self.segments += found.segments;
                self.records += found.records;
                self.bytes += found.bytes;
                self.problems.extend(found.problems);
                self.newer.extend(found.newer);
                self.unchecked.extend(found.unchecked);
            }
        }
    }

    fn parts(&mut self, snapshot: &Snapshot) -> Parts {
        let mut parts = Parts::default();
        for (kind, bytes) in &snapshot.sections {
            let section = Snapshot {
                position: snapshot.position,
                sections: vec![(*kind, bytes.clone())],
            };
            match (kind, Image::decode(&section)) {
                (_, Err(error)) => self.add(snapshot::path(snapshot.position), 0, error.to_string()),
                (SectionKind::Catalog, Ok(image)) => parts.catalog = Some(image.catalog),
                (SectionKind::PartitionLogs, Ok(image)) => parts.partitions = Some(image.partitions),
                (SectionKind::SharePartition, Ok(image)) => parts.shares.extend(image.shares),
            }
        }
        parts
    }

    fn verify_journal(&mut self, storage: &dyn Storage, directory_id: u128, from: Position) {
        let mut records = 0;
        let mut visit = |_: Position, entry: Entry<'_>| look(&entry, &mut records);
        let found = journal::verify(storage, directory_id, from, &mut visit);
        self.journal_records = records;
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
        for refused in found.refused {
            self.refuse(refused.file, refused.offset, refused.error.into());
        }
        for (file, why) in found.unread {
            self.leave_out(&file, why);
        }
    }

    /// What is wrong with a snapshot or the format file.
    fn note(&mut self, error: SnapshotError) {
        match error {
            SnapshotError::Damaged { file, position, what } => self.add(file, position, what),
            SnapshotError::ForeignDirectory { ref file, .. } => self.add(file.clone(), 12, error.to_string()),
            SnapshotError::UnknownKind { ref file, position, .. } => self.refuse(file.clone(), position, error.into()),
            SnapshotError::Io { ref file, .. } | SnapshotError::Version { ref file, .. } => {
                self.refuse(file.clone(), 0, error.into());
            }
        }
    }

    /// What is newer, and what else is as an open would say it.
    fn refuse(&mut self, file: String, position: u64, error: OpenError) {
        match error {
            OpenError::NewerFormat { what, found, known, .. } => self.newer.push(Problem {
                file,
                position,
                what: format!("has {what} {found}, this program reads {known}"),
            }),
            OpenError::Io { context, source } => self.add(file, position, format!("{context}: {source}")),
            other => self.add(file, position, other.to_string()),
        }
    }

    fn leave_out_all(&mut self, why: &str) {
        for part in ["snapshots", "logs", "journal"] {
            self.leave_out(part, why);
        }
    }

    fn add(&mut self, file: String, position: u64, what: String) {
        self.problems.push(Problem { file, position, what });
    }

    fn leave_out(&mut self, file: &str, why: &str) {
        let (file, why) = (file.to_owned(), why.to_owned());
        self.unchecked.push(Unchecked { file, why });
    }
}

/// Counts records; fails for what makes no sense, or is of a newer version.
fn look(entry: &Entry<'_>, records: &mut u64) -> Result<(), VisitorError> {
    for operation in entry.operations {
        match operation {
            Operation::Append { base_offset, batch, .. } => {
                let batch = StoredBatch::new(*base_offset, Bytes::copy_from_slice(batch))?;
                *records += batch.range().count();
            }
            Operation::Catalog { bytes } => drop(CatalogChange::decode(bytes)?),
            Operation::Share { .. } => {}
        }
    }
    Ok(())
}
