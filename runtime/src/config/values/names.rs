//! Rules for names that users choose. Topic names follow Kafka's rule, so that they mean the same on both sources.

/// Which characters and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Sources and deployments: 1 to 100 of `a-z A-Z 0-9 . _ -`.
    Plain,
    /// Topics: 1 to 249 of `a-z A-Z 0-9 . _ -`, not `.` or `..`.
    Topic,
    /// Groups: 1 to 234 of the same, which leaves room for `.dead`, and for what stands before that.
    Group,
    /// Topics for dead letters: 1 to 239 of the same. The engine's group that hands them out for redrive bears their name with a prefix.
    DeadLetter,
    /// Methods of HTTP: 1 to 20 of `A-Z`.
    Method,
}

impl Rule {
    /// What it is called, and how many characters it may have.
    pub(crate) fn noun_and_limit(self) -> (&'static str, usize) {
        match self {
            Self::Plain => ("name", 100),
            Self::Topic => ("topic name", 249),
            Self::Group => ("group name", 234),
            Self::DeadLetter => ("topic name for dead letters", 239),
            Self::Method => ("method", 20),
        }
    }

    /// What is wrong with `name`, as the end of a sentence; `None` if nothing is.
    pub(crate) fn objection(self, name: &str) -> Option<String> {
        let (noun, limit) = self.noun_and_limit();
        let (is_good, made_of): (fn(char) -> bool, _) = match self {
            Self::Method => (|c| c.is_ascii_uppercase(), "A-Z"),
            _ => (
                |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'),
                r#"a-z, A-Z, 0-9, ".", "_" and "-""#,
            ),
        };
        let bad = name.chars().find(|c| !is_good(*c));
        if name.is_empty() {
            Some(format!("is empty, expected a {noun}"))
        } else if let Some(bad) = bad {
            Some(format!("has the character {bad:?}; a {noun} is made of {made_of}"))
        } else if name.len() > limit {
            Some(format!(
                "is {} characters long, above the limit of {limit} for a {noun}",
                name.len()
            ))
        } else if matches!(name, "." | "..") {
            Some(format!("is \"{name}\", which is no {noun}"))
        } else {
            None
        }
    }
}
