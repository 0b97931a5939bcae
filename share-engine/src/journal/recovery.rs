//! Reads the journal from a position to its end and tells a torn tail from corruption. Changes nothing on disk;
//! `Journal::open` repairs afterwards, `verify` only reports.

use super::codec::{self, DecodeError, Decoded, Operation, Source};
use super::error::{Damage, JournalError};
use super::header::{self, GROUP_HEADER, GroupHeader, VERSION};
use super::position::{Position, SECTOR, SECTOR_BYTES};
use super::ring::{self, Ring, Slot};

/// A recovered entry: the operations that are applied together.
#[derive(Debug)]
pub struct Entry<'a> {
    /// In the order in which they were written; at least one.
    pub operations: &'a [Operation<'a>],
}

/// The bytes of a group that was being written when the process or the machine stopped; nobody was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The ring file, relative to the data directory.
    pub file: String,
    /// Where the cut is.
    pub offset: u64,
    /// How many bytes behind it are given up, as far as can be told.
    pub bytes: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where reading began.
    pub from: Position,
    /// Where it ended and writing goes on.
    pub tail: Position,
    /// Everything below was known to be on disk.
    pub synced_through: Position,
    /// Groups read.
    pub groups: u64,
    /// Entries handed to the visitor.
    pub entries: u64,
    /// The last thing that the earlier process did was to close the journal.
    pub clean: bool,
    /// What was cut.
    pub torn: Option<TornTail>,
}

/// What a visitor of recovered entries may fail with.
pub type VisitorError = Box<dyn std::error::Error + Send + Sync>;

/// Called with every entry, in order, and with the end of the group that holds it.
pub type Visitor<'v> = dyn FnMut(Position, Entry<'_>) -> Result<(), VisitorError> + 'v;

/// The report and what only the journal needs to go on.
pub(super) struct Scanned {
    pub(super) report: Report,
    /// The newest generation ever written.
    pub(super) generation: u64,
    /// What stands at the tail and is older is left over from a cut one.
    pub(super) floor: u64,
}

/// Why a scan stopped.
pub(super) struct Stopped {
    pub(super) error: JournalError,
    /// Where it stopped.
    pub(super) at: Position,
    /// Where the next sound group stands, if that is known.
    pub(super) resume: Option<Position>,
    /// How sure it is that the file was not just left here for one that the ring has not.
    pub(super) left: Left,
}

/// Whether a file ends where nothing of its own follows. Its successor would say so; matters only without it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Something that belongs here does follow, or its successor says that something should.
    No,
    /// What is here may be a damaged group, or what is left of an earlier lap.
    Perhaps,
    /// What is here was never written over: zeros, or the start of a group of an earlier lap.
    Yes,
}

impl From<JournalError> for Stopped {
    fn from(error: JournalError) -> Self {
        Self {
            error,
            at: Position::ZERO,
            resume: None,
            left: Left::No,
        }
    }
}

/// Reads every group from `from` on.
pub(super) fn scan(ring: &Ring, from: Position, visit: &mut Visitor<'_>) -> Result<Scanned, Stopped> {
    let headers = || ring.slots.iter().map(|slot| &slot.header);
    let newest = headers().map(|header| header.generation).max().unwrap_or(0);
    let marked = headers()
        .map(|header| header.synced_through)
        .max()
        .unwrap_or(Position::ZERO);
    let mut scan = Scan {
        ring,
        window: Window::default(),
        at: from,
        floor: 0,
        synced: marked,
        groups: 0,
        entries: 0,
        ended: None,
    };
    let walked = scan.walk(visit);
    walked.map_err(|stopped| Stopped { at: scan.at, ..stopped })?;
    // Every open raises the generation, so that an end mark of an older one is not the last word.
    let clean = scan.ended == Some(newest);
    let mut torn = None;
    // Whoever knows of more than the end mark knows of groups that are missing behind it.
    if !(clean && scan.synced == scan.at) {
        let looked = scan.look_behind_the_tail();
        torn = looked.map_err(|stopped| Stopped { at: scan.at, ..stopped })?;
    }
    Ok(Scanned {
        report: Report {
            from,
            tail: scan.at,
            synced_through: scan.synced.max(from),
            groups: scan.groups,
            entries: scan.entries,
            clean: clean && torn.is_none(),
            torn,
        },
        generation: newest.max(scan.floor),
        floor: scan.floor,
    })
}

struct Scan<'r> {
    ring: &'r Ring,
    window: Window,
    at: Position,
    /// Groups of an older generation are left over from a cut tail.
    floor: u64,
    synced: Position,
    groups: u64,
    entries: u64,
    /// The generation of the last group if that was an end mark.
    ended: Option<u64>,
}

impl Scan<'_> {
    fn walk(&mut self, visit: &mut Visitor<'_>) -> Result<(), Stopped> {
        let geometry = self.ring.geometry;
        loop {
            let sequence = geometry.sequence(self.at);
            let headers = self.ring.slots.iter().map(|slot| &slot.header);
            let begun = headers
                .filter(|header| header.valid_from <= self.at)
                .map(|header| header.generation);
            self.floor = self.floor.max(begun.max().unwrap_or(0));
            if planted!(NoGenerationCheck) {
                self.floor = 0;
            }
            if let Some(slot) = self.ring.slot_of(sequence)
                && let Some(group) = self.window.group(self.ring, slot, geometry.offset(self.at))?
                && group.position == self.at
                && group.generation >= self.floor
            {
                self.enter(slot, &group, visit)?;
                continue;
            }
            let Some(start) = sequence.checked_add(1).map(|next| geometry.start(next)) else {
                return Ok(());
            };
            match self.ring.slot_of(sequence + 1) {
                Some(next) if next.header.previous_end == self.at && next.header.generation >= self.floor => {
                    self.at = start;
                }
                _ => return Ok(()),
            }
        }
    }

    fn enter(&mut self, slot: &Slot, group: &GroupHeader, visit: &mut Visitor<'_>) -> Result<(), Stopped> {
        let offset = self.ring.geometry.offset(self.at);
        let end = self.at.plus(group.disk_len());
        let stop = |error| Stopped {
            resume: Some(end),
            ..Stopped::from(error)
        };
        if group.version > VERSION {
            return Err(stop(JournalError::NewerVersion {
                file: ring::slot_path(slot.header.slot),
                found: group.version,
                supported: VERSION,
            }));
        }
        let fail = |error| {
            stop(match error {
                DecodeError::UnknownKind { what, kind, newest } => JournalError::UnknownKind {
                    file: ring::slot_path(slot.header.slot),
                    offset,
                    what,
                    kind,
                    newest,
                },
                DecodeError::Malformed(reason) => ring::damage(slot.header.slot, offset, group.disk_len(), reason),
            })
        };
        let mut payload = Source::new(self.window.payload(offset, group));
        let mut operations = Vec::new();
        let mut count = 0_u32;
        self.ended = None;
        while !payload.is_empty() {
            match codec::read_entry(&mut payload, &mut operations).map_err(fail)? {
                Decoded::End => self.ended = Some(group.generation),
                Decoded::Operations => {
                    self.ended = None;
                    self.entries += 1;
                    let entry = Entry {
                        operations: &operations,
                    };
                    visit(end, entry).map_err(|source| stop(JournalError::Visitor { position: end, source }))?;
                }
            }
            count += 1;
        }
        if count != group.entries {
            return Err(fail(DecodeError::Malformed("the number of entries does not match")));
        }
        self.groups += 1;
        self.floor = group.generation;
        self.synced = self.synced.max(group.synced_through);
        self.at = end;
        Ok(())
    }

    /// Nothing follows at the tail. If anything behind it knows that more had been synced, the journal is damaged
    /// there; otherwise what is there was being written.
    fn look_behind_the_tail(&mut self) -> Result<Option<TornTail>, Stopped> {
        let geometry = self.ring.geometry;
        let sequence = geometry.sequence(self.at);
        let (mut next_sound, mut last_end) = (None::<Position>, self.at);
        let mut slots: Vec<&Slot> = self
            .ring
            .slots
            .iter()
            .filter(|slot| slot.header.sequence >= Some(sequence))
            .collect();
        slots.sort_by_key(|slot| slot.header.sequence);
        for slot in slots {
            let first = if slot.header.sequence == Some(sequence) {
                geometry.offset(self.at)
            } else {
                SECTOR
            };
            let mut offset = first;
            while offset < geometry.file_size() {
                let group = self.window.group(self.ring, slot, offset)?;
                let Some(group) = group.filter(|group| Some(geometry.sequence(group.position)) == slot.header.sequence)
                else {
                    offset += SECTOR;
                    continue;
                };
                offset += group.disk_len();
                self.synced = self.synced.max(group.synced_through);
                if group.generation >= self.floor {
                    next_sound = next_sound.or(Some(group.position));
                    last_end = last_end.max(group.position.plus(group.disk_len()));
                }
            }
        }
        let slot = self.ring.slot_of(sequence);
        let number = slot.map_or(0, |slot| slot.header.slot);
        let offset = geometry.offset(self.at);
        let claimed = match slot {
            Some(slot) => self.window.claimed_len(self.ring, slot, offset, self.at, self.floor)?,
            None => 0,
        };
        if self.synced > self.at {
            let until = next_sound.map_or(self.synced, |next| next.min(self.synced));
            let bytes = if claimed > 0 { claimed } else { until.since(self.at) };
            let error = if slot.is_some() {
                ring::damage(
                    number,
                    offset,
                    bytes.min(geometry.rest(self.at)),
                    "a synced group is not whole",
                )
            } else {
                JournalError::Corrupt(Damage {
                    file: ring::DIRECTORY.to_owned(),
                    offset: self.at.get(),
                    bytes,
                    reason: "no file holds this position of the journal",
                })
            };
            let resume = next_sound.filter(|next| *next > self.at);
            return Err(Stopped {
                left: self.is_left(claimed > 0 || resume.is_some_and(|next| geometry.sequence(next) == sequence))?,
                resume,
                ..Stopped::from(error)
            });
        }
        let bytes = claimed.max(last_end.since(self.at));
        Ok((bytes > 0).then(|| TornTail {
            file: ring::slot_path(number),
            offset,
            bytes,
        }))
    }

    /// Whether the file was left here; not if something in it `follows`.
    fn is_left(&mut self, follows: bool) -> Result<Left, JournalError> {
        let geometry = self.ring.geometry;
        let sequence = geometry.sequence(self.at);
        let (Some(slot), None, false) = (
            self.ring.slot_of(sequence),
            self.ring.slot_of(sequence.saturating_add(1)),
            follows,
        ) else {
            return Ok(Left::No);
        };
        let offset = geometry.offset(self.at);
        let is_old = self.window.group(self.ring, slot, offset)?.is_some();
        let sector = self.window.read(self.ring, slot, offset, SECTOR)?;
        Ok(if is_old || sector.iter().all(|byte| *byte == 0) {
            Left::Yes
        } else {
            Left::Perhaps
        })
    }
}

/// A piece of one ring file in memory.
#[derive(Default)]
struct Window {
    slot: Option<u32>,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The group at `offset` if there is a sound one, of this journal, that says it stands there.
    fn group(&mut self, ring: &Ring, slot: &Slot, offset: u64) -> Result<Option<GroupHeader>, JournalError> {
        let geometry = ring.geometry;
        let Some(group) = GroupHeader::decode(self.read(ring, slot, offset, SECTOR)?) else {
            return Ok(None);
        };
        let expected = u64::try_from(slot.header.directory_id & u128::from(u64::MAX)).unwrap_or(0);
        if group.directory != expected || geometry.offset(group.position) != offset || !group.fits(geometry) {
            return Ok(None);
        }
        let bytes = self.read(ring, slot, offset, group.disk_len())?;
        let sound = planted!(NoTornTailCheck) || header::group_is_sound(bytes);
        Ok(sound.then_some(group))
    }

    /// The length that a group header at `offset` claims, sound or not; 0 if there is none or it is left over.
    fn claimed_len(
        &mut self,
        ring: &Ring,
        slot: &Slot,
        offset: u64,
        position: Position,
        floor: u64,
    ) -> Result<u64, JournalError> {
        let group = GroupHeader::decode(self.read(ring, slot, offset, SECTOR)?);
        let ours = group.filter(|group| group.position == position && group.generation >= floor);
        Ok(ours.map_or(0, |group| group.disk_len().min(ring.geometry.rest(position))))
    }

    /// The entries of a group that [`Window::group`] has just found.
    fn payload(&self, offset: u64, group: &GroupHeader) -> &[u8] {
        let start = usize::try_from(offset - self.start)
            .unwrap_or(usize::MAX)
            .saturating_add(GROUP_HEADER);
        let len = usize::try_from(group.payload_len).unwrap_or(usize::MAX);
        self.bytes.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    /// Bytes of the file, read ahead in larger pieces.
    fn read(&mut self, ring: &Ring, slot: &Slot, offset: u64, len: u64) -> Result<&[u8], JournalError> {
        let held = self.start + self.bytes.len() as u64;
        if self.slot != Some(slot.header.slot) || offset < self.start || offset + len > held {
            let end = (offset + len.max(READ_AHEAD)).min(ring.geometry.file_size());
            self.slot = None;
            self.bytes
                .resize(usize::try_from(end - offset).unwrap_or(SECTOR_BYTES), 0);
            let path = ring::slot_path(slot.header.slot);
            slot.file
                .read_exact_at(&mut self.bytes, offset)
                .map_err(JournalError::io("read", &path))?;
            self.slot = Some(slot.header.slot);
            self.start = offset;
        }
        let start = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(self.bytes.get(start..end).unwrap_or_default())
    }
}

/// Bytes read at once.
const READ_AHEAD: u64 = 256 << 10;
