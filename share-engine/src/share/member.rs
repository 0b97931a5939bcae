//! Short numbers for the members that hold records, so that a state word needs 16 bits for its member.
//! A number is given up with the last record held under it.

use std::collections::BTreeMap;

use crate::ids::MemberIndex;

/// Holds records acquired by an earlier process, whose members are not known.
pub(super) const NOBODY: u16 = u16::MAX;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Members {
    numbers: BTreeMap<MemberIndex, u16>,
    /// Who, and how many records (and open acquisitions).
    held: Vec<(MemberIndex, u64)>,
    free: Vec<u16>,
}

impl Members {
    /// The number of a member, with one more use. `None` if 65,535 members hold records.
    pub(super) fn open(&mut self, member: MemberIndex) -> Option<u16> {
        if let Some(&number) = self.numbers.get(&member) {
            self.add(number, 1);
            return Some(number);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => u16::try_from(self.held.len()).ok().filter(|&number| number != NOBODY)?,
        };
        match self.held.get_mut(usize::from(number)) {
            Some(slot) => *slot = (member, 1),
            None => self.held.push((member, 1)),
        }
        self.numbers.insert(member, number);
        Some(number)
    }

    /// So many uses more.
    pub(super) fn add(&mut self, number: u16, count: u64) {
        if let Some((_, uses)) = self.held.get_mut(usize::from(number)) {
            *uses += count;
        }
    }

    /// One use less.
    pub(super) fn close(&mut self, number: u16) {
        if let Some((member, uses)) = self.held.get_mut(usize::from(number)) {
            *uses -= 1;
            if *uses == 0 {
                self.numbers.remove(member);
                self.free.push(number);
            }
        }
    }

    /// The number of a member that holds something.
    pub(super) fn number(&self, member: MemberIndex) -> Option<u16> {
        self.numbers.get(&member).copied()
    }

    /// Who has this number.
    pub(super) fn member(&self, number: u16) -> Option<MemberIndex> {
        let (member, uses) = self.held.get(usize::from(number))?;
        (*uses > 0).then_some(*member)
    }

    pub(super) fn uses(&self, number: u16) -> u64 {
        self.held.get(usize::from(number)).map_or(0, |(_, uses)| *uses)
    }
}
