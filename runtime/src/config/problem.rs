//! What is wrong with a manifest: one [`Problem`] per finding, collected over the whole file instead of stopping at the first.
//! Written by the loader and the checks, printed by the command line.

use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The manifest cannot be used.
    Error,
    /// It can be used, and probably does not do what was meant.
    Warning,
    /// Something that Sharemill decides where the manifest is silent.
    Note,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The full key, for example `deployments.enrich.lock`; empty for the file as a whole.
    pub key: String,
    /// Line in the manifest, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// One sentence without a full stop.
    pub message: String,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// A finding without a line and a hint.
    pub(crate) fn new(severity: Severity, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity,
            key: key.into(),
            line: None,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds where it is.
    #[must_use]
    pub(crate) fn line(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }

    /// Adds the way out.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// All findings about one manifest, in the order of their lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Adds what was found behind the manifest.
    pub(crate) fn extend(&mut self, found: impl IntoIterator<Item = Problem>) {
        found.into_iter().for_each(|problem| self.push(problem));
        self.sort();
    }

    /// Errors first, then by line; what has no line comes last.
    pub(super) fn sort(&mut self) {
        self.0
            .sort_by_key(|problem| (problem.severity, problem.line.unwrap_or(usize::MAX)));
    }

    /// Every finding.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|problem| problem.severity == severity).count()
    }

    /// Whether the manifest cannot be used.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}
