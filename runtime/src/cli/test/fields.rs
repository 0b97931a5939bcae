//! The fields of one JSON object of a record file, taken one by one; what is left over is named. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::json::same;
use crate::config::nearest;

/// An object and what it is called in messages.
pub(super) struct Fields {
    what: &'static str,
    known: &'static [&'static str],
    map: Map<String, Value>,
}

impl Fields {
    /// Fails for anything but an object, and for a field that is not known.
    pub(super) fn new(what: &'static str, value: Value, known: &'static [&'static str]) -> Result<Self, String> {
        let map = match value {
            Value::Object(map) => map,
            other => return Err(format!("{what} is {}, expected an object", kind(&other))),
        };
        for name in map.keys() {
            if !known.contains(&name.as_str()) {
                let advice = nearest(name, known.iter().copied()).map_or_else(
                    || format!("allowed are {}", known.join(", ")),
                    |near| format!("did you mean \"{near}\"?"),
                );
                return Err(format!("{what} has the unknown field \"{name}\"; {advice}"));
            }
        }
        Ok(Self { what, known, map })
    }

    /// A field as it is.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        debug_assert!(self.known.contains(&name), "an unknown field is never there");
        self.map.remove(name)
    }

    /// A field that is text, or null where `None` stands for something.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, &other, "text")),
        }
    }

    /// A whole number within these ends.
    pub(super) fn number(&mut self, name: &str, min: u32, max: u32) -> Result<Option<u32>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!(
                "\"{name}\" of {} is {value}, expected a whole number from {min} to {max}",
                self.what
            )),
        }
    }

    /// A list.
    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(self.wrong(name, &other, "a list")),
        }
    }

    /// Text, any JSON or null under `name`, or bytes under `name_base64`; `None` if neither is there.
    pub(super) fn bytes(&mut self, name: &'static str, base64: &'static str) -> Result<Option<Wanted>, String> {
        match (self.take(name), self.take(base64)) {
            (Some(_), Some(_)) => Err(format!(
                "{} has \"{name}\" and \"{base64}\"; give one of them",
                self.what
            )),
            (None, Some(Value::String(text))) => match BASE64.decode(&text) {
                Ok(bytes) => Ok(Some(Wanted::Bytes(Bytes::from(bytes)))),
                Err(error) => Err(format!("\"{base64}\" of {} is not base64: {error}", self.what)),
            },
            (None, Some(other)) => Err(self.wrong(base64, &other, "text in base64")),
            (None, None) => Ok(None),
            (Some(Value::Null), None) => Ok(Some(Wanted::Null)),
            (Some(Value::String(text)), None) => Ok(Some(Wanted::Bytes(Bytes::from(text)))),
            (Some(json), None) => Ok(Some(Wanted::Json(json))),
        }
    }

    /// What is left, for a reader of its own.
    pub(super) fn rest(self) -> Value {
        Value::Object(self.map)
    }

    fn wrong(&self, name: &str, found: &Value, expected: &str) -> String {
        format!("\"{name}\" of {} is {}, expected {expected}", self.what, kind(found))
    }
}

/// What bytes are to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// Kafka's null.
    Null,
    /// These, byte for byte.
    Bytes(Bytes),
    /// The same JSON, however it is written.
    Json(Value),
}

impl Wanted {
    /// Whether they are.
    pub(super) fn fits(&self, found: Option<&[u8]>) -> bool {
        match (self, found) {
            (Self::Null, found) => found.is_none(),
            (Self::Bytes(wanted), Some(found)) => wanted == found,
            (Self::Json(wanted), Some(found)) => serde_json::from_slice(found).is_ok_and(|found| same(wanted, &found)),
            (_, None) => false,
        }
    }

    /// As bytes that a handler is given.
    pub(super) fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Null => None,
            Self::Bytes(bytes) => Some(bytes),
            Self::Json(json) => Some(Bytes::from(json.to_string())),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
