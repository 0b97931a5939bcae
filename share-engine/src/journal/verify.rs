//! Reads the whole journal and changes nothing: what `sharemill verify` does with it. Damage is collected, and reading
//! goes on at the next sound group, and without the files whose headers are damaged.

use super::error::{Damage, JournalError};
use super::position::Position;
use super::recovery::{self, Report, Visitor};
use super::ring::{self, Ring};
use crate::storage::Storage;

/// What was found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Ring files that were read.
    pub files: u32,
    /// Bytes of them.
    pub bytes: u64,
    /// As at open; groups and entries are summed over all readable stretches.
    pub report: Report,
    /// Every damage, in order; empty if all is well.
    pub damage: Vec<Damage>,
    /// Files that were left out: which part of the journal they hold is not known.
    pub unread: Vec<String>,
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

/// Reads everything behind `from` (the newest snapshot's position) and calls `visit` with every sound entry. An error is for
/// what a newer version wrote and for what the disk refuses; damage is in the report.
pub fn verify(
    storage: &dyn Storage,
    directory_id: u128,
    from: Position,
    visit: &mut Visitor<'_>,
) -> Result<VerifyReport, JournalError> {
    let (ring, damage) = Ring::examine(storage, directory_id)?;
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
        unread: damage.iter().map(|one| one.file.clone()).collect(),
        damage,
    };
    if let Some(ring) = ring {
        all.files = ring.slots.len().try_into().unwrap_or(u32::MAX);
        all.bytes = ring.geometry.file_size().saturating_mul(u64::from(all.files));
        all.read(&ring, from, visit)?;
    }
    Ok(all)
}

/// Which data directory the journal was written for, if it was ever written and a file of it can be read.
pub fn owner(storage: &dyn Storage) -> Option<u128> {
    ring::owner(storage)
}

impl VerifyReport {
    fn read(&mut self, ring: &Ring, from: Position, visit: &mut Visitor<'_>) -> Result<(), JournalError> {
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
                    self.report.clean = scanned.report.clean && self.damage.is_empty();
                    // What looks torn may go on in a file that was left out.
                    self.report.torn = scanned.report.torn.filter(|_| is_whole);
                }
                Err(stopped) => {
                    let JournalError::Corrupt(damage) = stopped.error else {
                        return Err(stopped.error);
                    };
                    self.report.groups += groups;
                    // A position that no file holds lies in one that was left out.
                    if is_whole || damage.file != ring::DIRECTORY {
                        self.damage.push(damage);
                    }
                    next = stopped.resume.filter(|resume| *resume > at);
                }
            }
        }
        Ok(())
    }
}
