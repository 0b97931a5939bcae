//! What this member remembers of records that it gave back: a line for each attempt, for the dead letter, and the checkpoint that the
//! handler left. Bounded: what is oldest goes first, and a letter has fewer lines then.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::Id;

/// By record.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    known: HashMap<Id, Note>,
    /// In the order in which they came; some may be gone.
    order: VecDeque<Id>,
    /// Of all checkpoints.
    bytes: usize,
}

/// Of one record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    /// A line an attempt, oldest first.
    pub(crate) lines: Vec<Bytes>,
    /// What the last renewal left.
    pub(crate) checkpoint: Option<Bytes>,
}

impl Notes {
    /// One more attempt of a record failed, and it goes back with this checkpoint.
    pub(crate) fn add(&mut self, id: Id, line: Option<String>, checkpoint: Option<&Bytes>) {
        if line.is_none() && checkpoint.is_none() {
            return;
        }
        let mut note = self.take(id);
        if let Some(mut line) = line.filter(|_| note.lines.len() < LINES) {
            line.truncate(line.floor_char_boundary(LINE));
            note.lines.push(Bytes::from(line));
        }
        // A copy: what it is a slice of may be larger.
        note.checkpoint = checkpoint.map(|bytes| Bytes::copy_from_slice(bytes));
        self.put(id, note);
    }

    /// What somebody else has written down of it, unless more is known here.
    pub(crate) fn learn(&mut self, id: Id, lines: Vec<Bytes>, checkpoint: Option<&Bytes>) {
        if self.of(id).is_some() {
            return;
        }
        if !lines.is_empty() || checkpoint.is_some() {
            let lines = lines.into_iter().take(LINES).collect();
            let checkpoint = checkpoint.cloned();
            self.put(id, Note { lines, checkpoint });
        }
    }

    fn put(&mut self, id: Id, note: Note) {
        self.bytes += size(&note);
        self.known.insert(id, note);
        self.order.push_back(id);
        while self.known.len() > RECORDS || self.bytes > BYTES || self.order.len() > 2 * RECORDS {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            // It may stand there again, further behind.
            if !self.order.contains(&oldest) {
                self.take(oldest);
            }
        }
    }

    /// What is known of a record, which is forgotten.
    pub(crate) fn take(&mut self, id: Id) -> Note {
        if self.known.is_empty() {
            return Note::default();
        }
        let note = self.known.remove(&id).unwrap_or_default();
        self.bytes -= size(&note);
        note
    }

    /// What is known of it.
    pub(crate) fn of(&self, id: Id) -> Option<&Note> {
        self.known.get(&id)
    }
}

fn size(note: &Note) -> usize {
    note.checkpoint.as_ref().map_or(0, Bytes::len)
}

/// Records, lines of one, and bytes of a line that are kept: 10 MiB at most.
const RECORDS: usize = 4_096;
const LINES: usize = 10;
const LINE: usize = 256;

/// Of all checkpoints.
const BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use share_engine::ids::{Offset, ShareKey};

    use super::*;

    fn id(offset: u64) -> Id {
        (ShareKey(0), Offset::saturating(offset))
    }

    #[test]
    fn what_is_oldest_is_forgotten_first() {
        let mut notes = Notes::default();
        for offset in 0..5_000 {
            notes.add(id(offset), Some("trap: no".to_owned()), None);
        }
        assert_eq!(notes.known.len(), RECORDS);
        assert!(notes.of(id(903)).is_none() && notes.of(id(904)).is_some());
        let large = Bytes::from(vec![0; 1 << 20]);
        for offset in 0..100 {
            notes.add(id(10_000 + offset), None, Some(&large));
        }
        assert_eq!((notes.bytes, notes.known.len()), (BYTES, 16));
        for _ in 0..100_000 {
            notes.add(id(1), Some("again".to_owned()), None);
        }
        assert!(notes.order.len() <= 2 * RECORDS);
        assert_eq!(notes.take(id(1)).lines.len(), LINES);
    }
}
