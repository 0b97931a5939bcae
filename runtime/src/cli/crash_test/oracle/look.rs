//! What a child finds when it looks at everything, after its open and at the end: compared with what is known, which it becomes.

use super::found::Kind;
use super::grown::Shown;
use super::record::{Fate, Record, Tallied};
use super::{Due, Letter, Oracle, lost};
use crate::cli::crash_test::child::RESULTS_BYTES;
use crate::cli::crash_test::said::{Run, Span, State, Verb};

impl Oracle {
    pub(super) fn start(&mut self, partition: u32, offset: u64) {
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
            // What is finished was there.
            self.counts.produced_unanswered += u64::from(record.tallied == Tallied::No);
            if record.fate == Fate::Open {
                self.ended(partition, offset, &record);
            }
        }
    }

    /// An open record is found to be finished: by the settlement that has no answer, or with a dead letter.
    fn ended(&mut self, partition: u32, offset: u64, record: &Record) {
        match record.trying {
            Some(verb @ (Verb::Accept | Verb::AcceptAndEmit)) => {
                self.presumed.push((partition, offset));
                if verb == Verb::AcceptAndEmit {
                    self.emitted.insert((partition, offset, record.count), Due::Presumed);
                }
            }
            _ => self.expect_letter(partition, offset, record.number),
        }
    }

    pub(super) fn expect_letter(&mut self, partition: u32, offset: u64, number: Option<u64>) {
        if !self.put_aside.contains(&(partition, offset)) {
            self.letters_due.insert((partition, offset), number);
        }
    }

    pub(super) fn lies(&mut self, run: Run, number: u64) {
        let look = self.look;
        for (offset, number) in (run.first..=run.last).zip(number..) {
            if let Some(record) = self.unfinished(run.partition, offset) {
                record.durable = true;
                record.lies = look;
                self.same_number(run.partition, offset, number);
            }
        }
    }

    pub(super) fn stands(&mut self, run: Run, state: State, count: u16) {
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
                    let key = (run.partition, offset, record.count);
                    if record.trying == Some(Verb::AcceptAndEmit) {
                        self.emitted.insert(key, Due::Must);
                    }
                    self.counts.accepted_unanswered += 1;
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
                    let number = record.number;
                    self.expect_letter(run.partition, offset, number);
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

    pub(super) fn looked(&mut self, results: Span, letters: Span) {
        self.look_at_results(results, letters);
        let look = self.look;
        let mut findings = Vec::new();
        for (partition, held) in &mut self.partitions {
            for (offset, record) in held.records.iter().filter(|(_, record)| record.durable) {
                if record.fate == Fate::Open && record.lies != look {
                    findings.push(lost(*partition, *offset, record, "is not in the topic any more"));
                } else if record.stands != look {
                    findings.push(lost(*partition, *offset, record, "is unknown to the group"));
                }
            }
            held.records.retain(|_, record| record.durable);
            for record in held.records.values_mut() {
                self.counts.produced_unanswered += u64::from(record.tallied == Tallied::No);
                record.begin();
            }
        }
        self.add_all(findings);
        // What this look has found does not count for the next.
        self.look += 1;
    }

    /// The letters first: one excuses what was not emitted.
    fn look_at_results(&mut self, results: Span, letters: Span) {
        let Shown { new, gone } = self.letters.looked(letters, false);
        for letter in new {
            self.letter(letter);
        }
        let accepted = |place: &&(u32, u64)| !self.put_aside.contains(*place);
        self.counts.accepted_unanswered += self.presumed.iter().filter(accepted).count() as u64;
        self.presumed.clear();
        for (partition, offset, _) in gone {
            let text = format!("the dead letter of task {partition}/{offset} was there and is gone");
            self.add(Kind::Lost, text);
        }
        for ((partition, offset), _) in std::mem::take(&mut self.letters_due) {
            let text = format!("task {partition}/{offset} was put aside, and its dead letter is gone");
            self.add(Kind::Lost, text);
        }
        // Segments go as a whole.
        let Shown { new, gone } = self.results.looked(results, results.bytes > RESULTS_BYTES / 2);
        for (partition, offset, count) in new {
            if self.emitted.remove(&(partition, offset, count)).is_none() {
                let text = format!("task {partition}/{offset} emitted twice, or without being accepted");
                self.add(Kind::Other, text);
            }
        }
        for (partition, offset, _) in gone {
            let text = format!("what task {partition}/{offset} emitted when it was accepted was there and is gone");
            self.add(Kind::Lost, text);
        }
        for ((partition, offset, _), due) in std::mem::take(&mut self.emitted) {
            let excused = due == Due::Presumed && self.put_aside.contains(&(partition, offset));
            if due == Due::Maybe || excused {
                continue;
            }
            let text = format!("what task {partition}/{offset} emitted when it was accepted is gone");
            self.add(Kind::Lost, text);
        }
    }

    fn letter(&mut self, (partition, offset, number): Letter) {
        self.counts.dead += 1;
        let place = (partition, offset);
        let due = self.letters_due.remove(&place).flatten();
        let record = self
            .partitions
            .get(&partition)
            .and_then(|held| held.records.get(&offset));
        let expected = due.or_else(|| record.and_then(|record| record.number));
        let fate = record.map(|record| record.fate);
        let is_open = record.is_some_and(|record| record.fate == Fate::Open && record.stands == self.look);
        if !self.put_aside.insert(place) {
            let text = format!("task {partition}/{offset} has two dead letters");
            self.add(Kind::Other, text);
        }
        if let Some(expected) = expected.filter(|expected| *expected != number) {
            let text = format!("the dead letter of task {partition}/{offset} holds number {number}, not {expected}");
            self.add(Kind::Lost, text);
        }
        if fate == Some(Fate::Accepted) {
            let text = format!("task {partition}/{offset} was accepted and has a dead letter");
            self.add(Kind::Other, text);
        } else if is_open {
            let text = format!("task {partition}/{offset} is to be delivered again and has a dead letter");
            self.add(Kind::Other, text);
        }
    }
}
