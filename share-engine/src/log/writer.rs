//! The owner of one partition log: appends, rolls, syncs, drops. Called by the drain thread alone.
//! Invariant: what [`LogWriter::state`] lists is on disk, whole and synced.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::active::Active;
use super::error::LogError;
use super::metadata;
use super::reader::LogReader;
use super::state::{LogIdentity, LogOptions, LogState, SegmentFile, SegmentState};
use crate::ids::Offset;
use crate::record::{BatchHeader, HEADER_BYTES, StoredBatch};
use crate::storage::{OpenMode, Storage};
use crate::time::WallTime;

/// A partition log, open for appending.
pub struct LogWriter {
    storage: Arc<dyn Storage>,
    directory: String,
    identity: LogIdentity,
    options: LogOptions,
    /// As of the last sync.
    segments: Arc<Vec<SegmentState>>,
    /// Finished since the last sync; the directory may not know them yet.
    rolled: Vec<SegmentState>,
    active: Option<Active>,
    directory_changed: bool,
    /// Taken off the list; their files go once a snapshot no longer lists them.
    dropped: Vec<Offset>,
    end: Offset,
    /// The segment that was looked at last, and the timestamp of its first batch.
    began: Option<(Offset, WallTime)>,
    failed: bool,
}

impl LogWriter {
    /// Opens the log with exactly the segments that the snapshot lists; with an empty list it is created.
    ///
    /// Files and bytes beyond the list are removed: they are in the journal still. What is listed must be there; its
    /// lengths and the last checksum of each segment are looked at, its bytes only by [`LogReader::verify`] and reads.
    pub fn open(
        storage: Arc<dyn Storage>,
        directory: &str,
        identity: LogIdentity,
        options: LogOptions,
        known: &LogState,
    ) -> Result<Self, LogError> {
        // First what must be there, so that a damaged log is left as it was found.
        let reader = LogReader::listed(Arc::clone(&storage), directory, identity, known);
        for segment in &known.segments {
            reader.check_ends(segment)?;
        }
        Self::resume(storage, directory, identity, options, known)
    }

    /// [`LogWriter::open`] of a log that was opened before by this process: what has been damaged or lost since is for its
    /// readers to report, and does not keep others from appending.
    pub fn resume(
        storage: Arc<dyn Storage>,
        directory: &str,
        identity: LogIdentity,
        options: LogOptions,
        known: &LogState,
    ) -> Result<Self, LogError> {
        if known.segments.is_empty() {
            // Even if it exists: an earlier attempt may have failed before its entry was durable.
            create_directory(&*storage, directory)?;
        }
        let mut writer = Self {
            storage,
            directory: directory.to_owned(),
            identity,
            options,
            segments: Arc::new(known.segments.clone()),
            rolled: Vec::new(),
            active: None,
            directory_changed: false,
            dropped: Vec::new(),
            end: known.segments.last().map_or(Offset::ZERO, |segment| segment.end),
            began: None,
            failed: false,
        };
        if known.segments.is_empty() {
            metadata::write(&*writer.storage, directory, identity.topic_id)?;
            writer.directory_changed = true;
        } else {
            metadata::check(&*writer.storage, directory, identity.topic_id)?;
        }
        writer.cut_to_list()?;
        if writer.directory_changed {
            writer.sync_directory()?;
        }
        Ok(writer)
    }

    /// Other sizes and ages from now on; segments that are there stay as they are.
    pub const fn set_options(&mut self, options: LogOptions) {
        self.options = options;
    }

    /// Appends batches in offset order, rolling where a segment is full. Nothing is durable before [`LogWriter::sync`].
    ///
    /// # Errors
    /// [`LogError::Order`] before anything of that batch is written; after any other error the log is fenced.
    pub fn append(&mut self, batches: &[StoredBatch]) -> Result<(), LogError> {
        self.check_fence()?;
        for batch in batches {
            if batch.base() < self.end {
                return Err(LogError::Order {
                    base: batch.base(),
                    end: self.end,
                });
            }
            let result = self.append_one(batch);
            self.fence_on_error(result)?;
        }
        Ok(())
    }

    /// Makes everything appended durable: log, indexes, sidecars, and the directory if files were created.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_fence()?;
        let result = self.sync_all();
        self.fence_on_error(result)
    }

    /// The segments as of the last sync: for the snapshot.
    pub fn state(&self) -> LogState {
        LogState {
            segments: self.segments.to_vec(),
        }
    }

    /// The offset behind the last appended record, synced or not; 0 for a log that was opened empty.
    pub const fn end(&self) -> Offset {
        self.end
    }

    /// A view of everything synced so far.
    pub fn reader(&self) -> LogReader {
        LogReader::new(
            Arc::clone(&self.storage),
            &self.directory,
            self.identity,
            Arc::clone(&self.segments),
        )
    }

    /// Takes every segment off the list for which `finished` holds, and returns them. Their files stay until
    /// [`LogWriter::remove_dropped`], which must wait for a snapshot of the new [`LogWriter::state`].
    ///
    /// Looks at synced segments; the one that is being appended to since is kept.
    pub fn drop_segments(&mut self, mut finished: impl FnMut(&SegmentState) -> bool) -> Vec<SegmentState> {
        let open = self.active.as_ref().map(|active| active.state().base);
        let rolled: Vec<Offset> = self.rolled.iter().map(|segment| segment.base).collect();
        let (dropped, kept): (Vec<_>, Vec<_>) = self
            .segments
            .iter()
            .partition(|segment| Some(segment.base) != open && !rolled.contains(&segment.base) && finished(segment));
        if !dropped.is_empty() {
            self.segments = Arc::new(kept);
            self.dropped.extend(dropped.iter().map(|segment| segment.base));
        }
        dropped
    }

    /// [`LogWriter::drop_segments`] for what lies wholly before `offset`.
    pub fn drop_segments_before(&mut self, offset: Offset) -> Vec<SegmentState> {
        self.drop_segments(|segment| segment.end <= offset)
    }

    /// Whether [`LogWriter::remove_dropped`] has anything to do.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Removes the files of dropped segments. To be called when no snapshot that may be loaded lists them; a crash
    /// in between leaves files that the next open removes. May be called again after an error.
    pub fn remove_dropped(&mut self) -> Result<(), LogError> {
        while let Some(base) = self.dropped.last() {
            for file in SegmentFile::ALL {
                metadata::remove_if_there(&*self.storage, &file.path(&self.directory, *base))?;
            }
            self.dropped.pop();
        }
        self.sync_directory()
    }

    /// Removes the log and its directory. To be called when no snapshot lists it any more.
    pub fn delete(self) -> Result<(), LogError> {
        delete_log(&*self.storage, &self.directory)
    }

    fn append_one(&mut self, batch: &StoredBatch) -> Result<(), LogError> {
        let mut active = match self.active.take() {
            Some(active) if self.fits(active.state(), batch) => active,
            Some(active) => {
                self.finish(active)?;
                self.create(batch)?
            }
            None => match self.segments.last().copied() {
                Some(last) if self.fits(&last, batch) => {
                    match Active::reopen(&*self.storage, &self.directory, last) {
                        // Whoever reads it is told; what comes now goes into a segment of its own.
                        Err(error) if error.is_damage() => self.create(batch)?,
                        other => other?,
                    }
                }
                _ => self.create(batch)?,
            },
        };
        active.append(batch, &self.options)?;
        self.active = Some(active);
        self.end = batch.last().next();
        Ok(())
    }

    fn fits(&mut self, segment: &SegmentState, batch: &StoredBatch) -> bool {
        let most = self.options.segment_bytes.min(LogOptions::MAX_SEGMENT_BYTES);
        if segment.bytes + batch.bytes().len() as u64 > most
            || batch.last().since(segment.base) >= i32::MAX.unsigned_abs().into()
        {
            return false;
        }
        let Some(millis) = self.options.segment_millis else {
            return true;
        };
        // A segment that cannot be read is not appended to.
        self.began(segment.base)
            .is_ok_and(|began| batch.max_timestamp().since(began) <= Duration::from_millis(millis))
    }

    /// The timestamp of a segment's first batch.
    fn began(&mut self, base: Offset) -> Result<WallTime, LogError> {
        if let Some((known, began)) = self.began
            && known == base
        {
            return Ok(began);
        }
        let path = SegmentFile::Log.path(&self.directory, base);
        let file = self
            .storage
            .open(&path, OpenMode::Read)
            .map_err(LogError::io(&path, "open"))?;
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0).map_err(LogError::read(&path, 0))?;
        let header = BatchHeader::parse(&header).map_err(|error| LogError::corrupt(&path, 0, error.to_string()))?;
        let began = WallTime::from_millis(header.max_timestamp);
        self.began = Some((base, began));
        Ok(began)
    }

    fn create(&mut self, batch: &StoredBatch) -> Result<Active, LogError> {
        self.began = Some((batch.base(), batch.max_timestamp()));
        Active::create(
            &*self.storage,
            &self.directory,
            self.identity.directory_id,
            batch.base(),
        )
    }

    fn finish(&mut self, active: Active) -> Result<(), LogError> {
        self.directory_changed |= active.created();
        let state = active.finish()?;
        self.rolled.push(state);
        Ok(())
    }

    fn sync_all(&mut self) -> Result<(), LogError> {
        if let Some(active) = self.active.take() {
            self.finish(active)?;
        }
        if self.directory_changed {
            self.sync_directory()?;
        }
        if self.rolled.is_empty() {
            return Ok(());
        }
        let mut segments = self.segments.to_vec();
        for state in self.rolled.drain(..) {
            // The first may be the last one of the list, grown.
            segments.pop_if(|last| last.base == state.base);
            segments.push(state);
        }
        self.segments = Arc::new(segments);
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), LogError> {
        self.storage
            .sync_dir(&self.directory)
            .map_err(LogError::io(&self.directory, "sync"))?;
        self.directory_changed = false;
        Ok(())
    }

    /// Removes segment files that are not listed and bytes behind the listed lengths.
    fn cut_to_list(&mut self) -> Result<(), LogError> {
        let names = self
            .storage
            .list(&self.directory)
            .map_err(LogError::io(&self.directory, "list"))?;
        for name in names {
            let Some(base) = SegmentFile::base_of(&name) else {
                continue;
            };
            if self
                .segments
                .binary_search_by_key(&base, |segment| segment.base)
                .is_err()
            {
                let path = format!("{}/{name}", self.directory);
                self.storage.remove(&path).map_err(LogError::io(&path, "remove"))?;
                self.directory_changed = true;
            }
        }
        for segment in self.segments.iter() {
            for file in SegmentFile::ALL {
                let path = file.path(&self.directory, segment.base);
                let listed = file.listed_bytes(segment);
                let handle = match self.storage.open(&path, OpenMode::ReadWrite) {
                    Ok(handle) => handle,
                    // Nothing to be cut.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(LogError::io(&path, "open")(error)),
                };
                if handle.len().map_err(LogError::io(&path, "measure"))? > listed {
                    handle.set_len(listed).map_err(LogError::io(&path, "cut"))?;
                    handle.sync_data().map_err(LogError::io(&path, "sync"))?;
                }
            }
        }
        Ok(())
    }

    fn check_fence(&self) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Fenced {
                directory: self.directory.clone(),
            });
        }
        Ok(())
    }

    fn fence_on_error(&mut self, result: Result<(), LogError>) -> Result<(), LogError> {
        self.failed |= result.is_err();
        result
    }
}

/// Removes a log that nothing lists: its files, its directory, and the entry of that. No error if it is gone already.
pub fn delete_log(storage: &dyn Storage, directory: &str) -> Result<(), LogError> {
    let names = match storage.list(directory) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LogError::io(directory, "list")(error)),
    };
    for name in names {
        let path = format!("{directory}/{name}");
        storage.remove(&path).map_err(LogError::io(&path, "remove"))?;
    }
    storage
        .remove_dir(directory)
        .map_err(LogError::io(directory, "remove"))?;
    let parent = parent(directory);
    storage.sync_dir(parent).map_err(LogError::io(parent, "sync"))
}

/// The directory, its parent and their entries, durable.
fn create_directory(storage: &dyn Storage, directory: &str) -> Result<(), LogError> {
    storage
        .create_dir(directory)
        .map_err(LogError::io(directory, "create"))?;
    let mut path = directory;
    while !path.is_empty() {
        path = parent(path);
        storage.sync_dir(path).map_err(LogError::io(path, "sync"))?;
    }
    Ok(())
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}
