//! How a command ends: exit codes, and errors with their way out.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked: 0.
    Success,
    /// It could not: 1.
    Failure,
    /// It was asked in a way that makes no sense: 2.
    Usage,
    /// It was to find something out, and could not: 3.
    Undecided,
}

impl Exit {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Usage, Self::Undecided];

    /// What the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Undecided => 3,
        }
    }

    /// What it says, for the reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => {
                "It did what it was asked. A host that was told to end has finished what it worked on, or released it."
            }
            Self::Failure => {
                "It could not, and said why; or it found what it was to look for: `verify` damage, `config check` mistakes, `doctor` what stands \
                 in the way, `test` a difference, `crash-test` a broken promise."
            }
            Self::Usage => {
                "It was called in a way that makes no sense: an unknown argument, a value out of its range, a record file that is none."
            }
            Self::Undecided => "`crash-test` alone: it came to no end, and has not seen a broken promise.",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    /// Message and hint of each error; empty if everything has been said.
    lines: Vec<(String, Option<String>)>,
    /// Nothing was done, and the reason goes away by itself.
    passing: bool,
}

impl Failure {
    /// An error that is told with `error:`; exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failure,
            lines: vec![(message.into(), None)],
            passing: false,
        }
    }

    /// The command was called wrongly; exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new(message)
        }
    }

    /// What was to be found out is not known; exit code 3.
    pub fn undecided(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Undecided,
            ..Self::new(message)
        }
    }

    /// The reason has been told; exit code 1.
    pub fn told() -> Self {
        Self {
            exit: Exit::Failure,
            lines: Vec::new(),
            passing: false,
        }
    }

    /// Whoever read the output is gone; exit code 0.
    pub fn silent() -> Self {
        Self {
            exit: Exit::Success,
            lines: Vec::new(),
            passing: false,
        }
    }

    /// Adds the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.lines.last_mut() {
            last.1 = Some(hint.into());
        }
        self
    }

    /// Nothing was done, and the reason goes away by itself: the same may be tried again.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    /// Whether the same may be tried again.
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    /// The same end, of which everything has been said.
    #[must_use]
    pub fn said(self) -> Self {
        Self {
            lines: Vec::new(),
            ..self
        }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Message and hint of each error.
    pub fn lines(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.lines
            .iter()
            .map(|(message, hint)| (message.as_str(), hint.as_deref()))
    }
}
