//! Properties as they are read: each once, by one name, with its range. What is wrong is gathered.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::error::{ConfigError, Problem};
use super::secret::Secret;
use super::table::{Meaning, meaning};

/// Properties by the names of [`super::table::READ`].
pub(super) struct Reader<'a> {
    values: BTreeMap<&'static str, &'a str>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(properties: &'a BTreeMap<String, String>) -> Self {
        let mut reader = Self {
            values: BTreeMap::new(),
            problems: Vec::new(),
        };
        for (name, value) in properties {
            match meaning(name) {
                Meaning::Read(known) => {
                    let before = reader.values.insert(known, value);
                    if before.is_some_and(|before| before != value) {
                        reader.wrong(
                            name,
                            format!("it means the same as another name of {known}, with another value: leave one out"),
                        );
                    }
                }
                Meaning::Elsewhere(way_out) => reader.wrong(name, way_out),
                Meaning::Unknown(Some(near)) => {
                    reader.wrong(name, format!("there is no such property; is {near} meant?"));
                }
                Meaning::Unknown(None) => reader.wrong(name, "there is no such property"),
            }
        }
        reader
    }

    /// Puts a problem on the list.
    pub(super) fn wrong(&mut self, property: &str, reason: impl Into<String>) {
        self.problems.push(Problem {
            property: property.to_owned(),
            reason: reason.into(),
        });
    }

    /// The names that are there and begin so.
    pub(super) fn beginning(&self, with: &str) -> Vec<&'static str> {
        let all = self.values.keys().copied();
        all.filter(|name| name.starts_with(with)).collect()
    }

    /// A text, unless it is empty.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).copied().filter(|value| !value.is_empty())
    }

    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    pub(super) fn number(&mut self, name: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(text) = self.values.get(name) else {
            return default;
        };
        match text.trim().parse::<u32>() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = range.into_inner();
                self.wrong(name, format!("{text:?} is not a whole number from {least} to {most}"));
                default
            }
        }
    }

    pub(super) fn flag(&mut self, name: &'static str, default: bool) -> bool {
        let choices = [
            ("true", true),
            ("t", true),
            ("1", true),
            ("false", false),
            ("f", false),
            ("0", false),
        ];
        self.choice(name, &choices).unwrap_or(default)
    }

    /// One of some words, in whatever case.
    pub(super) fn choice<T: Copy + PartialEq>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
        if found.is_none() {
            // Of words that mean the same the first is told.
            let is_first = |(index, (_, value)): (usize, &(&str, T))| {
                choices.iter().position(|(_, other)| other == value) == Some(index)
            };
            let words: Vec<&str> = choices
                .iter()
                .enumerate()
                .filter(|row| is_first(*row))
                .map(|(_, (word, _))| *word)
                .collect();
            self.wrong(name, format!("{text:?} is not one of {}", words.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// `value`, unless something was wrong anywhere.
    pub(super) fn end<T>(self, value: T) -> Result<T, ConfigError> {
        ConfigError::of(self.problems).map_or(Ok(value), Err)
    }
}
