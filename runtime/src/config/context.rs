//! What all sections of one manifest share while it is read: its text, its folder, and where findings go.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use super::problem::{Problem, Problems, Severity};
use super::types::Profile;

/// What every section of one file shares.
pub(super) struct Context<'a> {
    /// The manifest as text.
    pub(super) text: &'a str,
    /// Folder at which relative paths start.
    pub(super) folder: &'a Path,
    /// Decides profiled defaults; set once `host.profile` has been read.
    pub(super) profile: Profile,
    /// What was found so far.
    pub(super) problems: RefCell<Problems>,
}

impl Context<'_> {
    /// Line of a place in the text, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        1 + before.bytes().filter(|byte| *byte == b'\n').count()
    }

    /// Records an error at a key.
    pub(super) fn error(&self, key: &str, line: Option<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let problem = Problem::new(Severity::Error, key, message).line(line).hint(hint);
        self.problems.borrow_mut().push(problem);
    }
}
