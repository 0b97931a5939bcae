//! Reads the whole journal and changes nothing: what `sharemill verify` does with it. Damage is collected, and reading
//! goes on at the next sound group, and without the files whose headers are damaged.

use super::error::{Damage, JournalError};
use super::position::Position;
use super::recovery::{self, Left, Report, Stopped, Visitor};
use super::ring::{self, Ring};
use crate::storage::Storage;

/// What was found on disk.
#[derive(Debug)]
pub struct VerifyReport {
    /// Ring files that were read.
    pub files: u32,
    /// Bytes of them.
    pub bytes: u64,
    /// As at open; groups and entries are summed over all readable stretches.
    pub report: Report,
    /// Every damage, in order; empty if all is well.
    pub damage: Vec<Damage>,
    /// What is no damage and cannot be read all the same.
    pub refused: Vec<Refused>,
    /// What was left out, and why.
    pub unread: Vec<(String, &'static str)>,
}

/// What a newer version wrote, the disk refuses, or the visitor cannot make sense of.
#[derive(Debug)]
pub struct Refused {
    /// The file, relative to the data directory.
    pub file: String,
    /// Where the group begins, or 0.
    pub offset: u64,
    /// Why.
    pub error: JournalError,
}

/// Reads every entry behind `from` as [`super::Journal::open`] does, and changes nothing.
pub fn read(
    storage: &dyn Storage,
    directory_id: u128,
    from: Position,
    visit: &mut Visitor<'_>,
) -> Result<Report, JournalError> {
    let ring = Ring::load(storage, directory_id)?;
    let scanned = recovery::scan(&ring, from, visit).map_err(|stopped| stopped.error)?;
    Ok(scanned.report)
}

/// Reads everything behind `from` (the newest snapshot's position) and calls `visit` with every sound entry.
pub fn verify(storage: &dyn Storage, directory_id: u128, from: Position, visit: &mut Visitor<'_>) -> VerifyReport {
    let found = Ring::examine(storage, directory_id);
    let damaged = found.damage.iter().map(|one| &one.file);
    let left_out = damaged.chain(found.refused.iter().map(|(file, _)| file));
    let mut all = VerifyReport {
        files: 0,
        bytes: 0,
        report: Report {
            from,
            tail: from,
            synced_through: from,
            groups: 0,
            entries: 0,
            clean: false,
            torn: None,
        },
        unread: left_out
            .map(|file| (file.clone(), "which part of the journal it holds is not known"))
            .collect(),
        damage: found.damage,
        refused: Vec::new(),
    };
    let refused = found.refused.into_iter();
    all.refused
        .extend(refused.map(|(file, error)| Refused { file, offset: 0, error }));
    if let Some(ring) = found.ring {
        all.files = ring.slots.len().try_into().unwrap_or(u32::MAX);
        all.bytes = ring.geometry.file_size().saturating_mul(u64::from(all.files));
        all.read(&ring, from, visit);
    }
    all
}

/// Which data directory the journal was written for, if it was ever written and a file of it can be read.
pub fn owner(storage: &dyn Storage) -> Option<u128> {
    ring::owner(storage)
}

impl VerifyReport {
    fn read(&mut self, ring: &Ring, from: Position, visit: &mut Visitor<'_>) {
        let is_whole = self.unread.is_empty();
        let mut next = Some(from);
        while let Some(at) = next.take() {
            let (mut groups, mut last) = (0, None);
            let scanned = recovery::scan(ring, at, &mut |end, entry| {
                groups += u64::from(last != Some(end));
                last = Some(end);
                self.report.entries += 1;
                visit(end, entry)
            });
            match scanned {
                Ok(scanned) => {
                    self.report.groups += scanned.report.groups;
                    self.report.tail = scanned.report.tail;
                    self.report.synced_through = scanned.report.synced_through;
                    let is_sound = self.damage.is_empty() && self.refused.is_empty();
                    self.report.clean = scanned.report.clean && is_sound;
                    // What looks torn may go on in a file that was left out.
                    self.report.torn = scanned.report.torn.filter(|_| is_whole);
                }
                Err(stopped) => {
                    self.report.groups += groups;
                    next = stopped.resume.filter(|resume| *resume > at);
                    self.note(ring, stopped, is_whole);
                }
            }
        }
    }

    fn note(&mut self, ring: &Ring, stopped: Stopped, is_whole: bool) {
        let slot = ring.slot_of(ring.geometry.sequence(stopped.at));
        let file = slot.map_or_else(|| ring::DIRECTORY.to_owned(), |slot| ring::slot_path(slot.header.slot));
        match stopped.error {
            // A position that no file holds lies in one that was left out.
            JournalError::Corrupt(damage) if !is_whole && damage.file == ring::DIRECTORY => {}
            JournalError::Corrupt(_) if !is_whole && stopped.left == Left::Yes => {}
            JournalError::Corrupt(_) if !is_whole && stopped.left == Left::Perhaps => {
                let why = "where it was left stands in a file that was left out";
                self.unread.push((file, why));
            }
            JournalError::Corrupt(damage) => self.damage.push(damage),
            error => {
                let is_last = stopped.resume.is_none();
                if is_last {
                    self.unread
                        .push((ring::DIRECTORY.to_owned(), "a file of it cannot be read"));
                }
                let (file, offset) = match &error {
                    JournalError::Io { path, .. } => (path.clone(), 0),
                    _ => (file, ring.geometry.offset(stopped.at)),
                };
                self.refused.push(Refused { file, offset, error });
            }
        }
    }
}
