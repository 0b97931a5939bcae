//! What the records of a test came to, for people and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::case::Case;
use super::expect::Difference;
use crate::cli::invoke::Invocation;
use crate::output;

/// One record, and what came of it.
pub(super) struct Tested {
    pub(super) case: Case,
    pub(super) deployment: String,
    pub(super) came: Invocation,
    pub(super) differences: Vec<Difference>,
}

impl Tested {
    /// A line, and what differs below it.
    pub(super) fn text(&self) -> String {
        let word = if self.differences.is_empty() { "ok" } else { "DIFFERS" };
        let mut text = format!(
            "{word:<8} {}  {}\n",
            self.case.place,
            output::printable(&self.case.name)
        );
        for difference in &self.differences {
            let Difference {
                field,
                expected,
                actual,
            } = difference;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {:<18} expected  {}", field, output::printable(expected));
            let _ = writeln!(text, "  {:<18} came      {}", "", output::printable(actual));
        }
        if !self.differences.is_empty() {
            for line in self.came.log_lines() {
                let _ = writeln!(text, "  {:<18} {}", "log", output::printable(&line));
            }
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "place": self.case.place,
            "name": self.case.name,
            "deployment": self.deployment,
            "expected": self.case.expect.end(),
            "passed": self.differences.is_empty(),
            "differences": self.differences,
            "came": self.came.as_json(),
        })
    }
}

/// The last line.
pub(super) fn summary(tested: usize, differ: usize) -> String {
    let records = output::counted(tested as u64, "record");
    if differ == 0 {
        format!("{records}, all as expected\n")
    } else {
        let differ_word = if differ == 1 { "differs" } else { "differ" };
        format!("{records}, {} as expected, {differ} {differ_word}\n", tested - differ)
    }
}
