//! The languages that a project can be made in. A new one is a template beside the others, a variant here and its list of files.

use clap::ValueEnum;

use super::files::{TEMPLATE, as_crate};

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
    let crates = TAKEN.iter().copied().chain(locked(LOCK));
    let mut same = crates.filter(|taken| as_crate(taken) == as_crate(name));
    same.next()
        .map(|_| "is the name of a crate that the project uses".to_owned())
}

/// The packages of a lock file but the template, which has the project's own name.
fn locked(lock: &str) -> impl Iterator<Item = &str> {
    let name = |line| str::strip_prefix(line, "name = \"")?.strip_suffix('"');
    lock.lines().filter_map(name).filter(|name| *name != TEMPLATE)
}

/// Of packages on crates.io.
const NAME_MAX: usize = 64;

const LOCK: &str = include_str!("../../../../templates/rust/Cargo.lock");

/// What the compiler brings along.
const TAKEN: &[&str] = &["alloc", "core", "proc-macro", "std", "test"];

const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_that_cargo_takes_and_others() {
        for name in ["a", "thermometer", "my-handler", "my_handler", "my-handler2", "a_b"] {
            assert_eq!(Lang::Rust.objection(name), None, "{name}");
        }
        let long = "a".repeat(65);
        for name in [
            "", "2a", "-a", "_", "A", "a/b", "a.b", "h\u{e4}", "a b", "fn", "std", "serde", "..", &long,
        ] {
            assert!(Lang::Rust.objection(name).is_some(), "{name}");
        }
    }

    /// Two packages of one name cannot be told apart in the project's lock.
    #[test]
    fn no_project_has_the_name_of_a_crate_that_it_uses() {
        let lock: toml::Table = LOCK.parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        assert!(packages.len() > 10, "{}", packages.len());
        let names = packages.iter().map(|package| package["name"].as_str().unwrap());
        for name in names.filter(|name| *name != TEMPLATE) {
            for name in [name.to_owned(), as_crate(name), name.replace('_', "-")] {
                let objection = Lang::Rust.objection(&name);
                assert_eq!(
                    objection.as_deref(),
                    Some("is the name of a crate that the project uses"),
                    "{name}"
                );
            }
        }
    }
}
