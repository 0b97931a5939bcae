//! What a client knows: every acknowledgement that a child passed on, kept in the parent, who is never killed. Judges everything
//! that a later child finds or is given. What was under way at a kill may have become either, until it is seen as one of both.

mod found;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use super::said::{Known, Lease, Run, Said, State, Verb, checkpoint};
use record::{Fate, Record};

pub(super) use found::{Finding, Found, Kind};

/// What was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Records acknowledged to their producer.
    pub(super) produced: u64,
    /// Deliveries.
    pub(super) delivered: u64,
    /// Accepts acknowledged.
    pub(super) accepted: u64,
    /// Records emitted by acknowledged accepts.
    pub(super) emitted: u64,
    /// Dead letters found, of rejects and of records that were held at two kills.
    pub(super) dead: u64,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    partitions: BTreeMap<u32, Partition>,
    /// What was emitted and not seen yet, by partition, offset and delivery count of the task.
    emitted: BTreeMap<(u32, u64, u16), Due>,
    /// Records whose dead letter must be there and was not seen yet.
    letters_due: BTreeSet<(u32, u64)>,
    /// Records whose dead letter was seen.
    letters: BTreeSet<(u32, u64)>,
    /// What the child's look has come upon in the topics that only grow; counts when the look is complete.
    pending: Vec<Said>,
    known: Known,
    /// Number of the child's look.
    look: u64,
    counts: Counts,
    found: Found,
}

/// What is expected in the topic of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// There or not: the accept has no answer.
    Maybe,
    /// There, unless the record got a dead letter: it is finished, and the accept had no answer.
    Presumed,
    /// There: the accept was acknowledged.
    Must,
}

#[derive(Debug, Default)]
struct Partition {
    /// Everything before it is finished.
    start: u64,
    records: BTreeMap<u64, Record>,
}

impl Oracle {
    /// What was acknowledged up to now.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// What the next child need not look at again.
    pub(super) fn known(&self) -> Known {
        self.known
    }

    /// Promises that were not kept.
    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    /// Adds what somebody else has seen.
    pub(super) fn add(&mut self, kind: Kind, text: String) {
        self.found.add(Finding { kind, text });
    }

    /// Takes in what a child says.
    pub(super) fn hear(&mut self, said: Said) {
        match said {
            Said::Opening => {
                self.look += 1;
                self.pending.clear();
            }
            Said::Start { partition, offset } => self.start(partition, offset),
            Said::Lies { run, number } => self.lies(run, number),
            Said::Stands { run, state, count } => self.stands(run, state, count),
            Said::Emitted { .. } | Said::Letter { .. } => self.pending.push(said),
            Said::Looked(known) => self.looked(known),
            Said::Produced { run, number } => self.produced(run, number),
            Said::Got {
                lease,
                number,
                checkpoint,
            } => self.got(lease, number, checkpoint),
            Said::Tries(verb, lease) => self.tries(verb, lease),
            Said::Done(verb, lease) => self.done(verb, lease),
            Said::Missed(verb, lease) => self.missed(verb, lease),
            Said::Wrong(text) => self.add(Kind::Other, text),
            Said::Ready | Said::Finished | Said::Failed(_) => {}
        }
    }

    /// The child is gone: how many records it held.
    pub(super) fn killed(&mut self) -> u64 {
        let mut held = 0;
        for record in self.partitions.values_mut().flat_map(|one| one.records.values_mut()) {
            held += u64::from(record.held);
            record.held = false;
        }
        held
    }

    /// A child has worked off everything and looked at it.
    pub(super) fn finished(&mut self) {
        let mut findings = Vec::new();
        for (partition, held) in &self.partitions {
            let open = held.records.iter().filter(|(_, record)| record.fate == Fate::Open);
            findings.extend(open.map(|(offset, record)| {
                let count = record.count;
                lost(
                    *partition,
                    *offset,
                    record,
                    &format!("was never finished; deliveries: {count}"),
                )
            }));
        }
        self.add_all(findings);
    }

    fn add_all(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            self.found.add(finding);
        }
    }

    fn record(&mut self, partition: u32, offset: u64) -> &mut Record {
        self.partitions
            .entry(partition)
            .or_default()
            .records
            .entry(offset)
            .or_default()
    }

    /// The record, unless its partition is known to be finished with it.
    fn unfinished(&mut self, partition: u32, offset: u64) -> Option<&mut Record> {
        let start = self.partitions.entry(partition).or_default().start;
        (offset >= start).then(|| self.record(partition, offset))
    }

    fn produced(&mut self, run: Run, number: u64) {
        self.counts.produced += run.count();
        for (offset, number) in (run.first..=run.last).zip(number..) {
            // It may have been delivered and accepted before its producer said so.
            if let Some(record) = self.unfinished(run.partition, offset) {
                record.durable = true;
                self.same_number(run.partition, offset, number);
            }
        }
    }

    fn same_number(&mut self, partition: u32, offset: u64, number: u64) {
        let known = *self.record(partition, offset).number.get_or_insert(number);
        if known != number {
            let text = format!("task {partition}/{offset} was number {known} and is number {number} now");
            self.add(Kind::Other, text);
        }
    }

    fn got(&mut self, lease: Lease, number: u64, with: Option<u32>) {
        self.counts.delivered += lease.run.count();
        let partition = lease.run.partition;
        for (offset, number) in (lease.run.first..=lease.run.last).zip(number..) {
            if self.unfinished(partition, offset).is_none() {
                let text = format!("task {partition}/{offset} comes again although everything before it was finished");
                self.add(Kind::Redelivered, text);
                continue;
            }
            self.same_number(partition, offset, number);
            let record = self.record(partition, offset);
            let objection = record.objection(lease, with);
            record.deliver(lease);
            if let Some((kind, objection)) = objection {
                self.add(kind, format!("task {partition}/{offset} {objection}"));
            }
        }
    }

    fn tries(&mut self, verb: Verb, lease: Lease) {
        for offset in lease.run.first..=lease.run.last {
            if verb == Verb::AcceptAndEmit {
                self.emitted
                    .insert((lease.run.partition, offset, lease.count), Due::Maybe);
            }
            if let Some(record) = self.unfinished(lease.run.partition, offset)
                && record.is_of(lease)
            {
                record.trying = Some(verb);
                record.same_again |= matches!(verb, Verb::Park | Verb::GiveBack);
            }
        }
    }

    fn done(&mut self, verb: Verb, lease: Lease) {
        let partition = lease.run.partition;
        for offset in lease.run.first..=lease.run.last {
            if verb.accepts() {
                self.counts.accepted += 1;
            }
            if verb == Verb::AcceptAndEmit {
                self.counts.emitted += 1;
                self.emitted.insert((partition, offset, lease.count), Due::Must);
            }
            if verb == Verb::Reject {
                self.expect_letter(partition, offset);
            }
            let record = self.record(partition, offset);
            let current = record.is_of(lease);
            if current {
                record.held = false;
                record.trying = None;
            }
            let after = (record.count, record.continuation) > (lease.count, lease.continuation);
            match verb {
                Verb::Accept | Verb::AcceptAndEmit => record.fate = Fate::Accepted,
                Verb::Reject => record.fate = Fate::Archived,
                // The next delivery may have been told before.
                Verb::Park if current => record.checkpoint = Some(checkpoint(lease.count, lease.continuation)),
                Verb::Park | Verb::Release | Verb::GiveBack => {}
            }
            if verb.accepts() && after {
                let text = format!("task {partition}/{offset} was delivered again while its accept was acknowledged");
                self.add(Kind::Redelivered, text);
            }
        }
    }

    fn missed(&mut self, verb: Verb, lease: Lease) {
        for offset in lease.run.first..=lease.run.last {
            if verb == Verb::AcceptAndEmit {
                self.emitted.remove(&(lease.run.partition, offset, lease.count));
            }
            if let Some(record) = self.unfinished(lease.run.partition, offset)
                && record.is_of(lease)
            {
                record.trying = None;
            }
        }
    }

    fn start(&mut self, partition: u32, offset: u64) {
        let held = self.partitions.entry(partition).or_default();
        if offset < held.start {
            let text = format!(
                "partition {partition} was finished up to {} and is up to {offset} now",
                held.start
            );
            self.add(Kind::Other, text);
            return;
        }
        held.start = offset;
        let rest = held.records.split_off(&offset);
        let finished = std::mem::replace(&mut held.records, rest);
        for (offset, record) in finished {
            if record.fate == Fate::Open {
                self.ended(partition, offset, &record);
            }
        }
    }

    /// An open record is found to be finished: by the settlement that has no answer, or with a dead letter.
    fn ended(&mut self, partition: u32, offset: u64, record: &Record) {
        match record.trying {
            Some(Verb::AcceptAndEmit) => {
                self.emitted.insert((partition, offset, record.count), Due::Presumed);
            }
            Some(Verb::Accept) => {}
            _ => self.expect_letter(partition, offset),
        }
    }

    fn expect_letter(&mut self, partition: u32, offset: u64) {
        if !self.letters.contains(&(partition, offset)) {
            self.letters_due.insert((partition, offset));
        }
    }

    fn lies(&mut self, run: Run, number: u64) {
        let look = self.look;
        for (offset, number) in (run.first..=run.last).zip(number..) {
            if let Some(record) = self.unfinished(run.partition, offset) {
                record.durable = true;
                record.lies = look;
                self.same_number(run.partition, offset, number);
            }
        }
    }

    fn stands(&mut self, run: Run, state: State, count: u16) {
        let look = self.look;
        for offset in run.first..=run.last {
            let Some(record) = self.unfinished(run.partition, offset) else {
                continue;
            };
            record.stands = look;
            let place = format!("task {}/{offset}", run.partition);
            match (record.fate, state) {
                (Fate::Open, State::Open) => self.still_open(run.partition, offset, count),
                (Fate::Open, State::Acknowledged) if record.trying.is_some_and(Verb::accepts) => {
                    record.fate = Fate::Accepted;
                    if record.trying == Some(Verb::AcceptAndEmit) {
                        let key = (run.partition, offset, record.count);
                        self.emitted.insert(key, Due::Must);
                    }
                }
                (Fate::Open, State::Acknowledged) => {
                    record.fate = Fate::Accepted;
                    self.add(
                        Kind::Lost,
                        format!("{place} counts as accepted, and nobody accepted it"),
                    );
                }
                (Fate::Open, State::Archived) => {
                    record.fate = Fate::Archived;
                    self.expect_letter(run.partition, offset);
                }
                (Fate::Accepted, State::Acknowledged) | (Fate::Archived, State::Archived) => {}
                (Fate::Accepted, State::Open) => {
                    self.add(
                        Kind::Redelivered,
                        format!("{place} was accepted and is to be delivered again"),
                    );
                }
                (fate, state) => {
                    self.add(Kind::Other, format!("{place} was {fate:?} and is {state:?}"));
                }
            }
        }
    }

    fn still_open(&mut self, partition: u32, offset: u64, count: u16) {
        let record = self.record(partition, offset);
        let before = record.count;
        let tried = record.trying.take();
        if count > before {
            // Acquired, and killed before it was handed out.
            record.count = count;
            record.same_again = false;
        }
        if tried == Some(Verb::AcceptAndEmit) {
            self.emitted.remove(&(partition, offset, before));
        }
        if count < before {
            let text = format!("the delivery count of task {partition}/{offset} fell from {before} to {count}");
            self.add(Kind::Other, text);
        }
    }

    fn looked(&mut self, known: Known) {
        for said in std::mem::take(&mut self.pending) {
            match said {
                Said::Emitted {
                    partition,
                    offset,
                    count,
                } if self.emitted.remove(&(partition, offset, count)).is_none() => {
                    let text = format!("task {partition}/{offset} emitted twice, or without being accepted");
                    self.add(Kind::Other, text);
                }
                Said::Letter { partition, offset } => self.letter(partition, offset),
                _ => {}
            }
        }
        self.known = known;
        let mut findings = Vec::new();
        for ((partition, offset, _), due) in std::mem::take(&mut self.emitted) {
            let excused = due == Due::Presumed && self.letters.contains(&(partition, offset));
            if due == Due::Maybe || excused {
                continue;
            }
            let text = format!("what task {partition}/{offset} emitted when it was accepted is gone");
            findings.push(Finding { kind: Kind::Lost, text });
        }
        for (partition, offset) in std::mem::take(&mut self.letters_due) {
            let text = format!("task {partition}/{offset} was put aside, and its dead letter is gone");
            findings.push(Finding { kind: Kind::Lost, text });
        }
        let look = self.look;
        for (partition, held) in &mut self.partitions {
            for (offset, record) in held.records.iter().filter(|(_, record)| record.durable) {
                if record.fate == Fate::Open && record.lies != look {
                    findings.push(lost(*partition, *offset, record, "is not in the topic any more"));
                } else if record.stands != look {
                    findings.push(lost(*partition, *offset, record, "is unknown to the group"));
                }
            }
            held.records.retain(|_, record| record.durable);
        }
        self.add_all(findings);
        // What this look has found does not count for the next.
        self.look += 1;
    }

    fn letter(&mut self, partition: u32, offset: u64) {
        self.counts.dead += 1;
        self.letters_due.remove(&(partition, offset));
        if !self.letters.insert((partition, offset)) {
            let text = format!("task {partition}/{offset} has two dead letters");
            self.add(Kind::Other, text);
        }
        let held = self
            .partitions
            .get(&partition)
            .and_then(|held| held.records.get(&offset));
        if held.is_some_and(|record| record.fate == Fate::Accepted) {
            let text = format!("task {partition}/{offset} was accepted and has a dead letter");
            self.add(Kind::Other, text);
        }
    }
}

fn lost(partition: u32, offset: u64, record: &Record, what: &str) -> Finding {
    let number = record
        .number
        .map_or_else(|| "?".to_owned(), |number| number.to_string());
    let text = format!("task {partition}/{offset} (number {number}) was acknowledged and {what}");
    Finding { kind: Kind::Lost, text }
}

#[cfg(test)]
mod tests;
