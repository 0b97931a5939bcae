//! Dead letters that go back. Two groups may each have a letter of the same record: which of them a copy came from that turns
//! up without an answer nobody can tell, but never are there more copies than letters that were sent.

use super::value::Id;
use super::{Check, Model};

/// A dead letter that was, or may have been, sent back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redrive {
    pub(crate) id: Id,
    pub(crate) to: u8,
    /// It was seen in the topic, or what was seen there is taken for it.
    pub(crate) arrived: bool,
    /// Where: partition and offset.
    pub(crate) at: Option<(u32, u64)>,
    /// It went back for certain.
    pub(crate) sure: bool,
    /// Its copy may have come to its end before anybody saw it.
    pub(crate) hidden: bool,
}

impl Redrive {
    /// A letter that was asked to go back.
    pub(crate) fn new(id: Id, to: u8) -> Self {
        Self {
            id,
            to,
            arrived: false,
            at: None,
            sure: false,
            hidden: false,
        }
    }

    /// Its copy is lost with the power.
    pub(crate) fn lose(&mut self) {
        (self.arrived, self.sure, self.at) = (false, false, None);
    }

    fn arrive(&mut self, at: (u32, u64), sure: bool) {
        (self.arrived, self.sure, self.at) = (true, sure, Some(at));
    }

    fn is_of(&self, id: Id, to: u8) -> bool {
        (self.id, self.to) == (id, to)
    }
}

impl Model {
    /// A copy was seen in a topic. `false` if there is no letter that it may have come from.
    pub(super) fn copy_found(&mut self, id: Id, to: u8, at: (u32, u64)) -> bool {
        let open = self.sent_as(id, to).find(|one| !one.arrived);
        let Some(open) = open else { return false };
        open.arrive(at, false);
        if self.sent_as(id, to).all(|one| one.arrived) {
            // As many copies as letters.
            self.sent_as(id, to).for_each(|one| one.sure = true);
        }
        true
    }

    /// I13: a letter went back, says the engine, and there its copy lies.
    pub(crate) fn sent_back(&mut self, letter: (u8, u64), at: (u32, u64)) -> Check {
        let Some(sent) = self.redriven.get(&letter).copied() else {
            return Ok(());
        };
        let twice = || {
            Err(format!(
                "I13: the dead letter {} {} went back twice",
                letter.0, letter.1
            ))
        };
        if let Some(other) = sent.at.filter(|other| *other != at) {
            // That copy came from another letter.
            let copied = !sent.sure && self.copy_found(sent.id, sent.to, other);
            if !copied {
                return twice();
            }
        }
        if let Some(sent) = self.redriven.get_mut(&letter) {
            sent.arrive(at, true);
        }
        Ok(())
    }

    /// A letter does not go back, says the engine.
    pub(crate) fn not_sent_back(&mut self, letter: (u8, u64)) {
        let sent = self.redriven.get(&letter);
        if sent.is_some_and(|sent| !self.may_have_gone(sent)) {
            self.redriven.remove(&letter);
        }
    }

    /// All logs were read after a crash: what was sent back has arrived, unless it may be gone already.
    pub(super) fn decide_redriven(&mut self) {
        let gone: Vec<(u8, u64)> = self
            .redriven
            .iter()
            .filter(|(_, sent)| !self.may_have_gone(sent))
            .map(|(letter, _)| *letter)
            .collect();
        for letter in gone {
            self.redriven.remove(&letter);
        }
    }

    /// Whether a letter may have gone back, by what was seen up to now.
    fn may_have_gone(&self, sent: &Redrive) -> bool {
        let drops = self.topics.get(&sent.to).is_some_and(|topic| topic.drops.any());
        let mut others = self.redriven.values().filter(|one| one.is_of(sent.id, sent.to));
        sent.arrived || sent.hidden || drops || others.any(|one| one.arrived && !one.sure)
    }

    fn sent_as(&mut self, id: Id, to: u8) -> impl Iterator<Item = &mut Redrive> {
        self.redriven.values_mut().filter(move |one| one.is_of(id, to))
    }

    /// What was produced to these topics and not seen yet may come to its end before anybody sees it.
    pub(crate) fn hide_unseen(&mut self, hidden: impl Fn(u8) -> bool) {
        let unseen = self.limbo.values_mut().filter(|limbo| hidden(limbo.topic));
        unseen.for_each(|limbo| limbo.hidden = true);
        let unseen = self
            .redriven
            .values_mut()
            .filter(|sent| hidden(sent.to) && !sent.arrived);
        unseen.for_each(|sent| sent.hidden = true);
    }
}
