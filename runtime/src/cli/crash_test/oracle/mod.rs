//! What a client knows: every acknowledgement that a child passed on, kept in the parent, who is never killed. Judges everything
//! that a later child finds or is given. What was under way at a kill may have become either, until it is seen as one of both.

mod found;
mod grown;
mod look;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use super::said::{Known, Lease, Run, Said, Verb, checkpoint};
use grown::Grown;
use record::{Fate, Record, Tallied};

pub(super) use found::{Finding, Found, Kind};

/// What was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Records acknowledged to their producer.
    pub(super) produced: u64,
    /// Records that are there although no answer came to their producer before the kill.
    pub(super) produced_unanswered: u64,
    /// Deliveries.
    pub(super) delivered: u64,
    /// Accepts acknowledged.
    pub(super) accepted: u64,
    /// Accepts that hold although no answer came before the kill.
    pub(super) accepted_unanswered: u64,
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
    emitted: BTreeMap<Emitted, Due>,
    results: Grown<Emitted>,
    /// Records whose dead letter must be there and was not seen yet, and their numbers.
    letters_due: BTreeMap<(u32, u64), Option<u64>>,
    /// Records that are finished since this look, by an accept that had no answer, if no dead letter of theirs turns up.
    presumed: Vec<(u32, u64)>,
    /// Records whose dead letter was seen.
    put_aside: BTreeSet<(u32, u64)>,
    letters: Grown<Letter>,
    /// Number of the child's look.
    look: u64,
    counts: Counts,
    found: Found,
}

/// What was emitted by which delivery of which task: partition, offset, delivery count.
type Emitted = (u32, u64, u16);
/// The dead letter of which task, with which content: partition, offset, number.
type Letter = (u32, u64, u64);

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
        Known {
            results: self.results.next(),
            letters: self.letters.next(),
        }
    }

    /// Promises that were not kept.
    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    /// Forgets what was found, as nobody answers for it: the first of it.
    pub(super) fn forgive(&mut self) -> Option<String> {
        let found = std::mem::take(&mut self.found);
        found.first.into_iter().next().map(|finding| finding.text)
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
                self.results.begin();
                self.letters.begin();
            }
            Said::Start { partition, offset } => self.start(partition, offset),
            Said::Lies { run, number } => self.lies(run, number),
            Said::Stands { run, state, count } => self.stands(run, state, count),
            Said::Emitted {
                at,
                partition,
                offset,
                count,
            } => self.results.see(at, (partition, offset, count)),
            Said::Letter {
                at,
                partition,
                offset,
                number,
            } => self.letters.see(at, (partition, offset, number)),
            Said::Looked { results, letters } => self.looked(results, letters),
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
            // Of these the parent takes notice itself.
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
            // The start is as of the child's look, and all that it produces comes after that.
            if let Some(record) = self.unfinished(run.partition, offset) {
                record.durable = true;
                record.tallied = Tallied::Yes;
                self.same_number(run.partition, offset, number);
            } else {
                let record = Record {
                    number: Some(number),
                    ..Record::default()
                };
                let what = "lies where its group had finished everything: nobody is ever given it";
                self.found.add(lost(run.partition, offset, &record, what));
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
            if record.is_late(lease) {
                record.told.push(lease.count);
                continue;
            }
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
            let record = self.record(partition, offset);
            let number = record.number;
            let current = record.is_of(lease);
            if current {
                record.held = false;
                record.answered(verb);
            }
            let after = (record.count, record.continuation) > (lease.count, lease.continuation);
            match verb {
                Verb::Accept | Verb::AcceptAndEmit => record.fate = Fate::Accepted,
                Verb::Reject => record.fate = Fate::Archived,
                // The next delivery may have been told before.
                Verb::Park if current => record.checkpoint = Some(checkpoint(lease.count, lease.continuation)),
                Verb::Park | Verb::Release | Verb::GiveBack => {}
            }
            if verb == Verb::Reject {
                self.expect_letter(partition, offset, number);
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
                record.answered(verb);
            }
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
