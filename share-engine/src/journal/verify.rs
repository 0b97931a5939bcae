//! Reads the whole journal and changes nothing: what `sharemill verify` does with it. Damage is collected, and reading
//! goes on at the next sound group.

use super::error::{Damage, JournalError};
use super::position::Position;
use super::recovery::{self, Report, Visitor};
use super::ring::Ring;
use crate::storage::Storage;

/// What was found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Ring files.
    pub files: u32,
    /// Bytes of all ring files.
    pub bytes: u64,
    /// As at open; groups and entries are summed over all readable stretches.
    pub report: Report,
    /// Every damage, in order; empty if all is well.
    pub damage: Vec<Damage>,
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

/// Reads everything behind `from` (the newest snapshot's position). An error is for what cannot be read at all; damage
/// is in the report.
pub fn verify(storage: &dyn Storage, directory_id: u128, from: Position) -> Result<VerifyReport, JournalError> {
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
        damage: Vec::new(),
    };
    let ring = match Ring::load(storage, directory_id) {
        Ok(ring) => ring,
        Err(JournalError::Corrupt(damage)) => {
            all.damage.push(damage);
            return Ok(all);
        }
        Err(error) => return Err(error),
    };
    all.files = ring.slots.len().try_into().unwrap_or(u32::MAX);
    all.bytes = ring.geometry.file_size().saturating_mul(u64::from(all.files));
    let mut next = Some(from);
    while let Some(at) = next.take() {
        let (mut groups, mut last) = (0, None);
        let scanned = recovery::scan(&ring, at, &mut |end, _| {
            groups += u64::from(last != Some(end));
            last = Some(end);
            all.report.entries += 1;
            Ok(())
        });
        match scanned {
            Ok(scanned) => {
                all.report.groups += scanned.report.groups;
                all.report.tail = scanned.report.tail;
                all.report.synced_through = scanned.report.synced_through;
                all.report.clean = scanned.report.clean && all.damage.is_empty();
                all.report.torn = scanned.report.torn;
            }
            Err(stopped) => {
                let JournalError::Corrupt(damage) = stopped.error else {
                    return Err(stopped.error);
                };
                all.report.groups += groups;
                all.damage.push(damage);
                next = stopped.resume.filter(|resume| *resume > at);
            }
        }
    }
    Ok(all)
}
