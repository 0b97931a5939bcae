//! How a journal comes to life: created empty, or read, repaired and given a new generation. Nothing is written before
//! everything has been read and accepted.

use std::io;
use std::sync::Arc;

use super::error::JournalError;
use super::header::FileHeader;
use super::options::JournalOptions;
use super::position::{Geometry, Position, SECTOR};
use super::recovery::{self, Report, Visitor};
use super::ring::{self, DIRECTORY, Ring};
use super::writer::{Durability, Journal};
use crate::hook::Phase;
use crate::storage::Storage;

impl Journal {
    /// Makes an empty journal. What an earlier creation that was cut short left behind is removed;
    /// [`JournalError::NotEmpty`] if there is more. Durable when it returns, directory included.
    pub fn create(
        storage: Arc<dyn Storage>,
        options: JournalOptions,
        directory_id: u128,
    ) -> Result<Self, JournalError> {
        let geometry = options.check()?;
        ring::check_open_files(&*storage, options.files_max(geometry))?;
        ring::remove_unused(&*storage)?;
        storage
            .create_dir(DIRECTORY)
            .map_err(JournalError::io("create", DIRECTORY))?;
        storage
            .sync_dir("")
            .map_err(JournalError::io("sync", &storage.describe()))?;
        for slot in 0..options.initial_files {
            ring::make_file(&*storage, geometry, directory_id, slot)?;
        }
        let (journal, _) = Self::open(storage, options, directory_id, Position::ZERO, &mut |_, _| Ok(()))?;
        Ok(journal)
    }

    /// Reads every entry behind `from` (the position of the newest snapshot) and makes the journal ready to go on.
    /// An error leaves the disk as it was, unless it is [`JournalError::Io`].
    pub fn open(
        storage: Arc<dyn Storage>,
        options: JournalOptions,
        directory_id: u128,
        from: Position,
        visit: &mut Visitor<'_>,
    ) -> Result<(Self, Report), JournalError> {
        options.check()?;
        if !from.get().is_multiple_of(SECTOR) {
            return Err(JournalError::Options {
                option: "from",
                value: from.get(),
                rule: "not the end of a group",
            });
        }
        let ring = Ring::load(&*storage, directory_id)?;
        ring::check_open_files(&*storage, options.files_max(ring.geometry))?;
        let scanned = recovery::scan(&ring, from, visit).map_err(|stopped| stopped.error)?;
        options.hook.reach(Phase::Recovered);
        let report = scanned.report;
        let mut journal = Self {
            storage,
            options,
            directory_id,
            ring,
            current: 0,
            generation: scanned.generation.saturating_add(1),
            began: report.tail,
            tail: report.tail,
            synced: report.synced_through.min(report.tail),
            freed: from,
            growing: false,
            fence: None,
            #[cfg(feature = "plant")]
            late: None,
        };
        journal.rewrite_tail()?;
        journal.options.hook.reach(Phase::Rewritten);
        journal.enter_generation(scanned.floor)?;
        journal.free_before(from);
        Ok((journal, report))
    }

    /// What was read above the last known sync may be in the page cache only: it is written and synced again. A sync alone
    /// does not bring a page to the disk whose writing failed in an earlier process, and the engine would say of it for ever
    /// that it is there. With [`Durability::Os`] that may be the whole ring; what the system has not written yet costs
    /// no more than the sync.
    fn rewrite_tail(&mut self) -> Result<(), JournalError> {
        let geometry = self.ring.geometry;
        let mut buffer = Vec::new();
        let mut at = self.synced;
        while at < self.tail {
            let end = self.tail.min(geometry.start(geometry.sequence(at).saturating_add(1)));
            if let Some(index) = self.ring.index_of(geometry.sequence(at)) {
                let path = self.ring.path(index);
                if let Some(header) = self.ring.slots.get(index).map(|slot| slot.header) {
                    self.ring
                        .write_header(index, header)
                        .map_err(JournalError::io("write", &path))?;
                }
                if let Some(slot) = self.ring.slots.get(index) {
                    copy_over_itself(&*slot.file, geometry, at, end, &mut buffer)
                        .map_err(JournalError::io("rewrite", &path))?;
                }
            }
            at = end;
        }
        self.sync_ring()?;
        if !planted!(OpenNotSynced) {
            self.synced = self.tail;
        }
        Ok(())
    }

    /// Makes the new generation durable before any group bears it.
    fn enter_generation(&mut self, floor: u64) -> Result<(), JournalError> {
        let geometry = self.ring.geometry;
        let sequence = geometry.sequence(self.tail);
        let newest = || {
            let entered = |slot: &ring::Slot| slot.header.sequence.filter(|number| *number < sequence);
            let slots = self.ring.slots.iter().enumerate();
            slots
                .filter_map(|(index, slot)| Some((entered(slot)?, index)))
                .max()
                .map(|(_, index)| index)
        };
        let claimed = self
            .ring
            .index_of(sequence)
            .or_else(|| self.ring.claim(sequence, self.extent()));
        let Some(index) = claimed.or_else(newest) else {
            return Err(ring::damage(0, 0, SECTOR, "no file of the ring can be written"));
        };
        let old = self.ring.slots.get(index).map(|slot| slot.header);
        let header = match old {
            // A header left over from a cut tail does not know where the file before it was left this time; one whose groups were
            // read does, whatever generation they say.
            Some(old)
                if claimed.is_none()
                    || (old.sequence == Some(sequence)
                        && (old.generation >= floor || self.tail > geometry.start(sequence))) =>
            {
                FileHeader {
                    generation: self.generation,
                    valid_from: self.tail,
                    synced_through: self.synced,
                    ..old
                }
            }
            _ => self.header(index, sequence, self.tail),
        };
        self.current = index;
        let path = self.ring.path(index);
        self.ring
            .write_header(index, header)
            .map_err(JournalError::io("write", &path))?;
        self.sync_ring()
    }

    fn sync_ring(&mut self) -> Result<(), JournalError> {
        if planted!(OpenNotSynced) && self.options.durability == Durability::Os {
            return Ok(());
        }
        self.ring.sync().map_err(|(index, error)| {
            let path = self.ring.path(index);
            JournalError::io("sync", &path)(error)
        })
    }
}

fn copy_over_itself(
    file: &dyn crate::storage::File,
    geometry: Geometry,
    mut at: Position,
    end: Position,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    while at < end {
        let len = end.since(at).min(REWRITE_CHUNK);
        buffer.resize(usize::try_from(len).unwrap_or(0), 0);
        // Addressed from the start of the piece, which never crosses the end of its file.
        file.read_exact_at(buffer, geometry.offset(at))?;
        file.write_all_at(buffer, geometry.offset(at))?;
        at = at.plus(len);
    }
    Ok(())
}

/// Bytes rewritten at once.
const REWRITE_CHUNK: u64 = 1 << 20;
