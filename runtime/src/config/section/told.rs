//! What a section records: values that are wrong or out of range, keys that are unknown or of another kind of source, each with its
//! full key, its line and a way out.

use toml::de::DeValue;

use super::super::keys::{self, Enforced, Key, Kind, SourceKind};
use super::super::words::{elsewhere, key_name, nearest, quoted, type_name};
use super::{Section, Value};

impl<'i> Section<'_, 'i> {
    /// The same with the ranges and defaults of this kind of source. What this kind does not have is recorded.
    pub(in crate::config) fn of_kind(mut self, kind: SourceKind) -> Self {
        self.kind = kind;
        for (name, _) in self.entries() {
            let pattern = self.pattern_of(name);
            let only = keys::find(&pattern, kind).and_then(|key| key.only);
            match (kind, only, keys::enforced(&pattern)) {
                (SourceKind::Kafka, Some(SourceKind::Embedded), _) => {
                    self.refuse(
                        name,
                        "belongs to an embedded engine",
                        "leave it out: the source is of type \"kafka\"",
                    );
                }
                (SourceKind::Embedded, Some(SourceKind::Kafka), _) => {
                    self.refuse(
                        name,
                        "belongs to a kafka source",
                        "leave it out: the source is an embedded engine",
                    );
                }
                (SourceKind::Kafka, _, Some((Enforced::Refused, why))) => {
                    self.refuse(
                        name,
                        "cannot be had on Kafka",
                        &why.trim_end_matches('.').replace('`', ""),
                    );
                }
                _ => {}
            }
        }
        self
    }

    /// Records that the value under `name` is wrong. `objection` is the end of the sentence that begins with the key.
    pub(in crate::config) fn refuse(&self, name: &str, objection: &str, hint: &str) {
        let key = self.full(name);
        let line = self.line_of(name.split('[').next().unwrap_or(name));
        self.context.error(&key, line, format!("{key} {objection}"), hint);
    }

    /// Records an error about the table as a whole.
    pub(in crate::config) fn report(&self, message: impl Into<String>, hint: &str) {
        self.context.error(&self.path, self.line, message, hint);
    }

    /// Records that the value under `name` is of another type than expected.
    pub(in crate::config) fn wrong_type(&self, name: &str, value: &Value<'i>, found: &DeValue<'i>, expected: &str) {
        let key = self.full(name);
        let message = format!("{key} is {}, expected {expected}", type_name(found));
        let hint = keys::find(&self.pattern_of(name), self.kind)
            .map_or_else(|| format!("write {expected}"), |key| self.range_hint(key));
        self.context
            .error(&key, Some(self.context.line(&value.span())), message, hint);
    }

    /// Whether `value` lies within both ends; recorded if not.
    pub(in crate::config) fn within<T: PartialOrd + Copy>(
        &self,
        name: &str,
        value: T,
        min: T,
        max: T,
        show: impl Fn(&T) -> String,
    ) -> bool {
        let key = self.key(name.split('.').next().unwrap_or(name));
        let side = if value < min {
            ("below", &min)
        } else if value > max {
            ("above", &max)
        } else {
            return true;
        };
        let objection = format!("is {}, {} the limit of {}", show(&value), side.0, show(side.1));
        let hint = match key.kind {
            Kind::Form(_) => format!("choose {} to {}", show(&min), show(&max)),
            _ => self.range_hint(key),
        };
        self.refuse(name, &objection, &hint);
        false
    }

    /// The range and the default of a key, as a way out.
    pub(in crate::config) fn range_hint(&self, key: &Key) -> String {
        let range = match key.kind {
            Kind::Integer { min, max } => format!("choose {min} to {max}"),
            Kind::Fraction { min, max } => format!("choose {min:?} to {max:?}"),
            Kind::Size { min, max } | Kind::Duration { min, max } => format!("choose {min} to {max}"),
            Kind::Choice(words) => format!("choose one of {}", quoted(words)),
            Kind::Form(shape) => format!("write {}", shape.describe().replace('`', "")),
            Kind::Table => format!("write [{}]", key.path.replace('*', "NAME")),
            Kind::Tables => format!("write {} = [{{ ... }}]", key.name()),
            Kind::Names(_) => format!("write {} = [\"NAME\"]", key.name()),
            Kind::Boolean => format!("write {} = true or false", key.name()),
            Kind::Text | Kind::Name(_) | Kind::Path => format!("write {} = \"...\"", key.name()),
        };
        match self.default_value(key) {
            Some(default) => format!("{range} (default {default})"),
            None => range,
        }
    }

    pub(in crate::config) fn refuse_unknown_keys(&self) {
        let known: Vec<&str> = keys::children(&self.pattern).map(Key::name).collect();
        if known.contains(&"*") {
            return;
        }
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => elsewhere(name).unwrap_or_else(|| format!("known keys here: {}", known.join(", "))),
            };
            let full = self.full(&key_name(name));
            self.context.error(
                &full,
                Some(self.context.line(&key.span())),
                format!("unknown key {full}"),
                hint,
            );
        }
    }
}
