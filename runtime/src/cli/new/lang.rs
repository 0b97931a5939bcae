//! The languages that a project can be made in. A new one is a template beside the others, a variant here and its list of files.

use clap::ValueEnum;

/// Language of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Rust
    Rust,
}

impl Lang {
    /// As people write it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
        }
    }

    /// What to type in the new project, with remarks; the last builds it.
    pub(super) fn steps(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &[
                "rustup target add wasm32-wasip2    # once",
                "cargo build --release --target wasm32-wasip2",
            ],
        }
    }

    /// Why a project of this language may not have this name; the end of a sentence.
    pub(super) fn objection(self, name: &str) -> Option<String> {
        match self {
            Self::Rust => rust_objection(name),
        }
    }
}

/// What cargo takes, in lower case, and what neither the compiler nor the project itself has taken.
fn rust_objection(name: &str) -> Option<String> {
    let bad = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if let Some(bad) = name.chars().find(bad) {
        return Some(format!("has the character {bad:?}"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Some("does not begin with a letter".to_owned());
    }
    if name.len() > NAME_MAX {
        return Some(format!(
            "is {} characters long, above the limit of {NAME_MAX}",
            name.len()
        ));
    }
    if KEYWORDS.contains(&name) {
        return Some("is a word of the language".to_owned());
    }
    TAKEN
        .contains(&name)
        .then(|| "is the name of a crate that the project uses".to_owned())
}

/// Of packages on crates.io.
const NAME_MAX: usize = 64;

const TAKEN: &[&str] = &[
    "alloc",
    "core",
    "log",
    "proc-macro",
    "proc_macro",
    "serde",
    "sharemill-handler",
    "sharemill-handler-macros",
    "sharemill_handler",
    "sharemill_handler_macros",
    "std",
    "test",
];

const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_takes_and_others() {
        for name in ["a", "thermometer", "my-handler2", "a_b"] {
            assert_eq!(Lang::Rust.objection(name), None, "{name}");
        }
        let long = "a".repeat(65);
        for name in [
            "", "2a", "-a", "_", "A", "a/b", "a.b", "h\u{e4}", "a b", "fn", "std", "serde", "..", &long,
        ] {
            assert!(Lang::Rust.objection(name).is_some(), "{name}");
        }
    }
}
