//! Small helpers of the loader: names of keys and types, numbers of any radix, the nearest known word. Pure.

use std::time::Duration;

use toml::de::DeValue;

use super::keys;
use super::units::{parse_duration, parse_size};

/// Defaults and ranges of the key table are tested to be well formed.
pub(super) fn table_duration(text: &str) -> Duration {
    parse_duration(text).unwrap_or_default()
}

pub(super) fn table_size(text: &str) -> u64 {
    parse_size(text).unwrap_or_default()
}

pub(super) fn joined(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

/// A name that a user chose, with quotes where TOML needs them.
pub(super) fn key_name(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_bare { name.to_owned() } else { format!("{name:?}") }
}

/// Text of a number with its radix taken off; `None` for other types.
pub(super) fn integer_of(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(super) fn quoted(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known word most like `word`, if it is like enough to be a slip of the finger.
pub(crate) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    known
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(&plain(word), &plain(candidate)),
                candidate,
            )
        })
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Where a key of this name does belong.
pub(super) fn elsewhere(name: &str) -> Option<String> {
    let key = keys::KEYS.iter().find(|key| key.name() == name)?;
    let parent = key.parent().replace('*', "NAME").replace("[]", "");
    Some(format!("\"{name}\" belongs to [{parent}]"))
}
