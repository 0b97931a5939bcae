//! Data that a record does not hold in the form that was asked for. The message names the place.
use std::error::Error;
use std::fmt;

/// The bytes are not what the handler expected. With `?` the record is released like after any error; `.or_reject()?`
/// sends it to the dead letters with the position, which is mostly what is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// There are no bytes at all: the key or value is null.
    Null {
        /// `value`, `key` or `checkpoint`.
        part: &'static str,
    },
    /// Not UTF-8.
    Text {
        /// `value`, `key` or `checkpoint`.
        part: &'static str,
        /// The first byte, from 0, that belongs to no character.
        position: usize,
    },
    /// Not JSON, or not of the type that was asked for.
    Json {
        /// `value`, `key` or `checkpoint`.
        part: &'static str,
        /// From 1.
        line: usize,
        /// In bytes, from 1; 0 where the line as a whole is meant.
        column: usize,
        /// What the parser says, without the position.
        message: String,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null { part } => write!(out, "the {part} is null"),
            Self::Text { part, position } => write!(out, "the {part} is not UTF-8 at byte {position}"),
            Self::Json {
                part,
                line,
                column,
                message,
            } => {
                write!(
                    out,
                    "malformed JSON in the {part} at line {line} column {column}: {message}"
                )
            }
        }
    }
}

impl Error for Malformed {}

pub(crate) fn text<'a>(part: &'static str, bytes: Option<&'a [u8]>) -> Result<&'a str, Malformed> {
    let bytes = bytes.ok_or(Malformed::Null { part })?;
    std::str::from_utf8(bytes).map_err(|error| Malformed::Text {
        part,
        position: error.valid_up_to(),
    })
}

#[cfg(feature = "json")]
pub(crate) fn json<'a, T: serde::Deserialize<'a>>(part: &'static str, bytes: Option<&'a [u8]>) -> Result<T, Malformed> {
    let bytes = bytes.ok_or(Malformed::Null { part })?;
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let mut message = error.to_string();
        let position = format!(" at line {line} column {column}");
        if message.ends_with(&position) {
            message.truncate(message.len() - position.len());
        }
        Malformed::Json {
            part,
            line,
            column,
            message,
        }
    })
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn messages_name_the_place() {
        let cases: [(Option<&[u8]>, &str); 4] = [
            (None, "the value is null"),
            (
                Some(b"{\n\"id\": x}"),
                "malformed JSON in the value at line 2 column 7: expected value",
            ),
            (
                Some(b"[1,"),
                "malformed JSON in the value at line 1 column 3: EOF while parsing a value",
            ),
            (
                Some(b"\"seven\""),
                "malformed JSON in the value at line 1 column 7: invalid type: string \"seven\", expected u32",
            ),
        ];
        for (bytes, expected) in cases {
            let error = match bytes {
                Some([b'{', ..]) => json::<BTreeMap<String, u32>>("value", bytes).err(),
                Some([b'[', ..]) => json::<Vec<u32>>("value", bytes).err(),
                _ => json::<u32>("value", bytes).err(),
            };
            assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn text_errors_have_the_byte() {
        assert_eq!(
            text("key", Some(b"ab\xff")),
            Err(Malformed::Text {
                part: "key",
                position: 2
            })
        );
    }
}
