//! What the command line writes: data on stdout, everything else on stderr; tables, JSON, errors with hints.
//! The only place of this crate that touches the standard streams. Colour never carries meaning alone.

mod failure;
mod quantity;
mod table;

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;

pub use failure::{Exit, Failure};
pub use quantity::{bytes, counted, milliseconds, timestamp};
pub use table::{Align, Table, printable};

use crate::config::{Problem, Severity};

/// How a query prints its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

/// Writes text to stdout as it is.
pub fn data(text: &str) -> Result<(), Failure> {
    written(io::stdout().lock().write_all(text.as_bytes()))
}

/// Writes one value to stdout as indented JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(format!("cannot print the answer as JSON: {error}")))?;
    text.push('\n');
    data(&text)
}

/// Writes one value to stdout as a line of JSON.
pub fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string(value)
        .map_err(|error| Failure::new(format!("cannot print the answer as JSON: {error}")))?;
    text.push('\n');
    data(&text)
}

/// Tells the user something on stderr.
pub fn message(text: &str) {
    // Nobody is left to be told that stderr is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a person sits at a terminal who can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question at the terminal and waits for a line; `None` if there is none.
pub fn ask(question: &str) -> Option<String> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question}").and_then(|()| terminal.flush()).ok()?;
    let mut line = String::new();
    match io::stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut line) {
        Ok(1..) => Some(line),
        _ => None,
    }
}

/// More than any answer has.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// Prints a finding about the manifest on stderr.
pub fn problem(problem: &Problem) {
    let label = match problem.severity {
        Severity::Error => Label::Error,
        Severity::Warning => Label::Warning,
        Severity::Note => Label::Note,
    };
    labelled(label, &problem.to_string());
    if let Some(hint) = &problem.hint {
        labelled(Label::Hint, hint);
    }
}

/// Prints an error on stderr, and its hint.
pub fn failure(failure: &Failure) {
    for (message, hint) in failure.lines() {
        labelled(Label::Error, message);
        if let Some(hint) = hint {
            labelled(Label::Hint, hint);
        }
    }
}

/// As [`failure`], but waits no longer than `limit` for a reader of stderr who does not read.
pub fn failure_within(told: &Failure, limit: Duration) {
    let (said, hears) = mpsc::channel();
    let copy = told.clone();
    let body = move || {
        failure(&copy);
        // Nobody hears it any more after the limit.
        let _ = said.send(());
    };
    match std::thread::Builder::new().name("failure".to_owned()).spawn(body) {
        // The thread is left behind with the process.
        Ok(_) => drop(hears.recv_timeout(limit)),
        Err(_) => failure(told),
    }
}

/// Prints what is worth knowing on stderr.
pub fn note(text: &str) {
    labelled(Label::Note, text);
}

/// Prints a warning on stderr.
pub fn warning(text: &str) {
    labelled(Label::Warning, text);
}

#[derive(Clone, Copy)]
enum Label {
    Error,
    Warning,
    Note,
    Hint,
}

fn labelled(label: Label, text: &str) {
    let (word, colour) = match label {
        Label::Error => ("error", "31"),
        Label::Warning => ("warning", "33"),
        Label::Note => ("note", "34"),
        Label::Hint => ("hint", "36"),
    };
    if stderr_has_colour() {
        message(&format!("\u{1b}[1;{colour}m{word}\u{1b}[0m: {text}"));
    } else {
        message(&format!("{word}: {text}"));
    }
}

/// A terminal whose user did not ask for none (`NO_COLOR`).
pub fn stderr_has_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stderr().is_terminal()
}

/// A reader that went away (`| head`) is no failure of ours.
fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent()),
        Err(error) => Err(Failure::new(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}
