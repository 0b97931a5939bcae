//! Typed access to one table of the manifest, driven by the key table: a value of the wrong type or out of range is recorded
//! with its full key and line, and the default stands in so that the rest of the file is still checked.

mod told;

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::keys::{self, Fallback, Key, Kind, SourceKind};
use super::types::Profile;
use super::units::{format_duration, format_size, parse_duration, parse_size};
use super::values::names;
use super::words::{integer_of, joined, key_name, nearest, quoted, table_duration, table_size};

/// A value of the manifest with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// One table of the manifest, possibly absent.
#[derive(Clone)]
pub(super) struct Section<'a, 'i> {
    context: &'a Context<'a>,
    /// Full key, for people.
    path: String,
    /// The same with `*` and `[]`, for the key table.
    pattern: String,
    table: Option<&'a DeTable<'i>>,
    line: Option<usize>,
    /// Whose ranges and defaults hold.
    kind: SourceKind,
}

impl<'a, 'i> Section<'a, 'i> {
    /// The whole file. Unknown keys in it are recorded here and in every section made from it.
    pub(super) fn root(context: &'a Context<'a>, table: &'a DeTable<'i>) -> Self {
        let section = Self {
            context,
            path: String::new(),
            pattern: String::new(),
            table: Some(table),
            line: None,
            kind: SourceKind::Embedded,
        };
        section.refuse_unknown_keys();
        section
    }

    /// Full key of this table.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Line of a key in this table; the table's own where the key is absent.
    pub(super) fn line_of(&self, name: &str) -> Option<usize> {
        self.get(name)
            .map(|value| self.context.line(&value.span()))
            .or(self.line)
    }

    /// The table under `name`; an empty one where it is absent.
    pub(super) fn section(&self, name: &str) -> Section<'a, 'i> {
        let mut section = self.child(name, name, None);
        if let Some(value) = self.get(name) {
            section.line = Some(self.context.line(&value.span()));
            match value.get_ref() {
                DeValue::Table(table) => section.table = Some(table),
                other => self.wrong_type(name, value, other, "a table"),
            }
        }
        section.refuse_unknown_keys();
        section
    }

    /// The table of a user's name inside this one, for a second look; nothing is recorded.
    pub(super) fn section_at(&self, name: &str) -> Section<'a, 'i> {
        let key = self.table.and_then(|table| table.get_key_value(name));
        let line = key.map(|(key, _)| self.context.line(&key.span()));
        let mut section = self.child(&key_name(name), "*", line);
        section.table = key.and_then(|(_, value)| value.get_ref().as_table());
        section
    }

    /// A table that is not in the file, from which every default can be read.
    pub(super) fn absent(&self, name: &str, pattern: &str) -> Section<'a, 'i> {
        self.child(name, pattern, None)
    }

    /// The tables that the user named inside this one, with their names checked.
    pub(super) fn named(&self, rule: names::Rule) -> Vec<(String, Section<'a, 'i>)> {
        let mut sections = Vec::new();
        for (key, value) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            let mut section = self.child(&key_name(name), "*", Some(self.context.line(&key.span())));
            if let Some(objection) = rule.objection(name) {
                let message = format!("the name {} {objection}", section.path);
                self.context
                    .error(&section.path, section.line, message, "choose another name");
            }
            match value.get_ref() {
                DeValue::Table(table) => section.table = Some(table),
                other => self.wrong_type(name, value, other, "a table"),
            }
            section.refuse_unknown_keys();
            sections.push((name.to_owned(), section));
        }
        sections
    }

    /// The tables in the list under `name`.
    pub(super) fn items(&self, name: &str) -> Vec<Section<'a, 'i>> {
        let mut sections = Vec::new();
        for (index, value) in self.array(name).into_iter().flatten().enumerate() {
            let path = format!("{name}[{index}]");
            let mut section = self.child(&path, &format!("{name}[]"), Some(self.context.line(&value.span())));
            match value.get_ref() {
                DeValue::Table(table) => section.table = Some(table),
                other => self.wrong_type(&path, value, other, "a table"),
            }
            section.refuse_unknown_keys();
            sections.push(section);
        }
        sections
    }

    /// Names and values inside this table, as they stand.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value<'i>)> + use<'a, 'i> {
        self.table
            .into_iter()
            .flatten()
            .map(|(key, value)| (&**key.get_ref(), value))
    }

    /// The raw value under `name`.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value<'i>> {
        self.table?.get(name)
    }

    /// Text; `None` where it is absent or wrong (a required one is recorded).
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let key = self.key(name);
        let Some(value) = self.get(name) else {
            return self.default_text(key);
        };
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(name, value, value.get_ref(), "text");
            return self.default_text(key);
        };
        if let Kind::Name(rule) = key.kind
            && let Some(objection) = rule.objection(text)
        {
            self.refuse(name, &objection, "choose another name");
        }
        Some(text.to_string())
    }

    /// A path, absolute or starting at the manifest's folder.
    pub(super) fn path_value(&self, name: &str) -> Option<PathBuf> {
        let text = self.text(name)?;
        if text.is_empty() {
            self.refuse(
                name,
                "is empty, expected a path",
                "give a path, relative to the manifest",
            );
        }
        Some(self.absolute(&text))
    }

    /// A path that starts at the manifest's folder.
    pub(super) fn absolute(&self, text: &str) -> PathBuf {
        // Without `.` parts; `..` stays, because what is above a link is not what its path says.
        self.context.folder.join(text).components().collect()
    }

    /// One of the words that the key table lists; nothing where it is absent and has no fixed default.
    pub(super) fn choice(&self, name: &str) -> String {
        let Kind::Choice(words) = self.key(name).kind else {
            unreachable!("{name} is not a choice")
        };
        let Some(text) = self.text(name) else {
            return String::new();
        };
        if words.contains(&text.as_str()) {
            return text;
        }
        let hint = nearest(&text, words.iter().copied()).map_or_else(
            || format!("choose one of {}", quoted(words)),
            |word| format!("did you mean \"{word}\"?"),
        );
        self.refuse(
            name,
            &format!("is \"{text}\", expected one of {}", quoted(words)),
            &hint,
        );
        self.default_text(self.key(name)).unwrap_or_default()
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, name: &str) -> bool {
        match self.get(name).map(|value| (value, value.get_ref())) {
            Some((_, DeValue::Boolean(value))) => *value,
            Some((value, other)) => {
                self.wrong_type(name, value, other, "true or false");
                false
            }
            None => self.default_text(self.key(name)).as_deref() == Some("true"),
        }
    }

    /// A whole number within the key's range; `None` where it is absent and has no fixed default.
    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        let key = self.key(name);
        let Kind::Integer { min, max } = key.kind else {
            unreachable!("{name} is not an integer")
        };
        let default = || self.default_text(key).and_then(|text| text.parse().ok());
        let Some(value) = self.get(name) else { return default() };
        let Some(number) = integer_of(value.get_ref()) else {
            self.wrong_type(name, value, value.get_ref(), "a whole number");
            return default();
        };
        self.within(name, number, i128::from(min), i128::from(max), ToString::to_string);
        u64::try_from(number)
            .ok()
            .filter(|n| (min..=max).contains(n))
            .or_else(default)
    }

    /// A number within the key's range.
    pub(super) fn fraction(&self, name: &str) -> f64 {
        let key = self.key(name);
        let Kind::Fraction { min, max } = key.kind else {
            unreachable!("{name} is not a fraction")
        };
        let default = self.default_text(key).and_then(|text| text.parse().ok()).unwrap_or(min);
        let Some(value) = self.get(name) else { return default };
        let number = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            _ => None,
        };
        match number {
            None => self.wrong_type(name, value, value.get_ref(), "a number"),
            Some(number) if !(min..=max).contains(&number) => {
                self.refuse(
                    name,
                    &format!("is {number}, outside of {min} to {max}"),
                    &self.range_hint(key),
                );
            }
            Some(number) => return number,
        }
        default
    }

    /// Text with a unit, within the key's range.
    pub(super) fn duration(&self, name: &str) -> Duration {
        self.duration_if_any(name).unwrap_or_default()
    }

    /// The same; `None` where it is absent and has no fixed default.
    pub(super) fn duration_if_any(&self, name: &str) -> Option<Duration> {
        let key = self.key(name);
        let Kind::Duration { min, max } = key.kind else {
            unreachable!("{name} is not a duration")
        };
        let given = self.get(name);
        given
            .and_then(|value| self.duration_of(name, value, table_duration(min), table_duration(max)))
            .or_else(|| self.default_text(key).map(|text| table_duration(&text)))
    }

    /// Bytes within the key's range.
    pub(super) fn size(&self, name: &str) -> u64 {
        let key = self.key(name);
        let Kind::Size { min, max } = key.kind else {
            unreachable!("{name} is not a size")
        };
        let default = table_size(&self.default_text(key).unwrap_or_default());
        self.get(name)
            .and_then(|value| self.size_of(name, value, table_size(min), table_size(max)))
            .unwrap_or(default)
    }

    /// Reads a duration from `value` and checks its range; what is wrong is recorded under `name`.
    pub(super) fn duration_of(&self, name: &str, value: &Value<'i>, min: Duration, max: Duration) -> Option<Duration> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(name, value, value.get_ref(), "a duration such as \"30s\"");
            return None;
        };
        match parse_duration(text) {
            Err(error) => self.refuse(
                name,
                &error.to_string(),
                "write a number and a unit, for example \"30s\"",
            ),
            Ok(duration) if self.within(name, duration, min, max, |d| format_duration(*d)) => return Some(duration),
            Ok(_) => {}
        }
        None
    }

    /// Reads bytes from `value` and checks their range; what is wrong is recorded under `name`.
    pub(super) fn size_of(&self, name: &str, value: &Value<'i>, min: u64, max: u64) -> Option<u64> {
        let parsed = match value.get_ref() {
            DeValue::String(text) => parse_size(text).map_err(|error| error.to_string()),
            other => match integer_of(other).map(u64::try_from) {
                Some(Ok(bytes)) => Ok(bytes),
                Some(Err(_)) => Err("it is no number of bytes".to_owned()),
                None => {
                    self.wrong_type(name, value, other, "a size such as \"64MiB\"");
                    return None;
                }
            },
        };
        match parsed {
            Err(message) => {
                self.refuse(
                    name,
                    &format!("cannot be read: {message}"),
                    "write a number and a unit, for example \"64MiB\"",
                );
            }
            Ok(bytes) if self.within(name, bytes, min, max, |b| format_size(*b)) => return Some(bytes),
            Ok(_) => {}
        }
        None
    }

    /// A list of names, each checked.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let Kind::Names(rule) = self.key(name).kind else {
            unreachable!("{name} is not a list of names")
        };
        let mut list = Vec::new();
        for (index, value) in self.array(name).into_iter().flatten().enumerate() {
            let path = format!("{name}[{index}]");
            match value.get_ref() {
                DeValue::String(text) => {
                    if let Some(objection) = rule.objection(text) {
                        self.refuse(&path, &objection, "choose another name");
                    }
                    if !list.iter().any(|known: &String| known == text) {
                        list.push(text.to_string());
                    }
                }
                other => self.wrong_type(&path, value, other, "text"),
            }
        }
        list
    }

    /// A list of texts, as they stand.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let mut list = Vec::new();
        for (index, value) in self.array(name).into_iter().flatten().enumerate() {
            match value.get_ref() {
                DeValue::String(text) => list.push(text.to_string()),
                other => self.wrong_type(&format!("{name}[{index}]"), value, other, "text"),
            }
        }
        list
    }

    fn array(&self, name: &str) -> Option<&'a toml::de::DeArray<'i>> {
        let value = self.get(name)?;
        match value.get_ref() {
            DeValue::Array(array) => Some(array),
            other => {
                self.wrong_type(name, value, other, "a list");
                None
            }
        }
    }

    fn default_value(&self, key: &Key) -> Option<&'static str> {
        match key.default {
            Fallback::Is(value) => Some(value),
            Fallback::Profiled { default, edge } => Some(if self.context.profile == Profile::Edge {
                edge
            } else {
                default
            }),
            Fallback::Required | Fallback::Derived(_) | Fallback::Nothing => None,
        }
    }

    /// The fixed default; a required key that is absent is recorded.
    fn default_text(&self, key: &Key) -> Option<String> {
        if matches!(key.default, Fallback::Required) && self.table.is_some() && self.get(key.name()).is_none() {
            let hint = format!("add {} = \"...\"", key.name());
            let full = self.full(key.name());
            self.context.error(&full, self.line, format!("{full} is missing"), hint);
        }
        self.default_value(key).map(str::to_owned)
    }

    fn key(&self, name: &str) -> &'static Key {
        let pattern = self.pattern_of(name);
        keys::find(&pattern, self.kind).unwrap_or_else(|| unreachable!("{pattern} is not in the key table"))
    }

    fn pattern_of(&self, name: &str) -> String {
        joined(&self.pattern, name)
    }

    fn full(&self, name: &str) -> String {
        let is_of_names = keys::children(&self.pattern).any(|key| key.name() == "*");
        if is_of_names && !name.starts_with('"') {
            return joined(&self.path, &key_name(name));
        }
        joined(&self.path, name)
    }

    fn child(&self, name: &str, pattern: &str, line: Option<usize>) -> Section<'a, 'i> {
        Section {
            context: self.context,
            path: self.full(name),
            pattern: joined(&self.pattern, pattern),
            table: None,
            line,
            kind: self.kind,
        }
    }
}
