//! A record as JSON: what `produce --ndjson` reads, what crosses the admin socket, what `dead show` prints. One form for all.
//! Text stays text, other bytes are base64 in fields of their own, so that nothing has to be guessed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::AdminError;

/// A record to be produced, or one that was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Key; `None` is Kafka's null.
    pub key: Option<Bytes>,
    /// Value; `None` is Kafka's null.
    pub value: Option<Bytes>,
    /// Headers in order; names may repeat.
    pub headers: Vec<Header>,
    /// Partition; `None`: by key, else in turn.
    pub partition: Option<u32>,
    /// Milliseconds since the Unix epoch; `None`: now.
    pub timestamp: Option<i64>,
}

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name.
    pub name: String,
    /// Value; `None` is Kafka's null.
    pub value: Option<Bytes>,
}

/// A record in a topic, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// What it holds.
    pub record: Record,
}

/// Which records of a topic to read. Reading acquires nothing and changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadQuery {
    /// Only this partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Begin at this offset, in every partition; `None`: the oldest that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// At most so many, 1 to 10,000; `None`: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Records of a topic, by partition and offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadPage {
    /// Records.
    pub records: Vec<StoredRecord>,
    /// There are more: the limit or 32 MiB were reached.
    pub more: bool,
}

/// What became of one produced record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProduceResult {
    /// Position in the stream, from 0.
    pub index: u64,
    /// Where it is, or why it is nowhere.
    #[serde(flatten)]
    pub outcome: ProduceOutcome,
}

/// Where a record is, or why it is nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProduceOutcome {
    /// It is durable.
    Stored {
        /// Partition.
        partition: u32,
        /// Offset.
        offset: u64,
    },
    /// It was refused.
    Refused {
        /// Why.
        error: AdminError,
    },
}

/// The fields of a record, as they are written.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
}

/// Fields by name: a list of values in the order of the fields is no record.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fields, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map))
    }
}

/// `{"name": "value"}` where names differ, or a list.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "headers are an object of names and values, or a list of objects with name and value"
)]
enum Headers {
    Named(serde_json::Map<String, Value>),
    Listed(Vec<HeaderFields>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderFields {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl Default for Headers {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Headers {
    fn is_empty(&self) -> bool {
        match self {
            Self::Named(map) => map.is_empty(),
            Self::Listed(list) => list.is_empty(),
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, key_base64) = written(self.key.as_ref());
        let (value, value_base64) = written(self.value.as_ref());
        let headers = self.headers.iter().map(|header| {
            let (value, value_base64) = written(header.value.as_ref());
            HeaderFields {
                name: header.name.clone(),
                value,
                value_base64,
            }
        });
        let headers = Headers::Listed(headers.collect());
        let (partition, timestamp) = (self.partition, self.timestamp);
        Fields {
            key,
            key_base64,
            value,
            value_base64,
            headers,
            partition,
            timestamp,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = deserializer.deserialize_map(FieldsVisitor)?;
        let headers = match fields.headers {
            Headers::Listed(list) => list
                .into_iter()
                .map(|header| {
                    Ok(Header {
                        value: read("value", header.value, header.value_base64)?,
                        name: header.name,
                    })
                })
                .collect::<Result<_, String>>(),
            Headers::Named(map) => map
                .into_iter()
                .map(|(name, value)| {
                    Ok(Header {
                        name,
                        value: read("value", Some(value), None)?,
                    })
                })
                .collect(),
        };
        Ok(Self {
            key: read("key", fields.key, fields.key_base64).map_err(D::Error::custom)?,
            value: read("value", fields.value, fields.value_base64).map_err(D::Error::custom)?,
            headers: headers.map_err(D::Error::custom)?,
            partition: fields.partition,
            timestamp: fields.timestamp,
        })
    }
}

/// Text where the bytes are text, base64 where they are not, nothing where there are none.
fn written(bytes: Option<&Bytes>) -> (Option<Value>, Option<String>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => (None, None),
        Some((_, Ok(text))) => (Some(Value::String(text.to_owned())), None),
        Some((bytes, Err(_))) => (None, Some(BASE64.encode(bytes))),
    }
}

/// Text as it is, other JSON as its compact text, `null` as null.
fn read(field: &str, plain: Option<Value>, base64: Option<String>) -> Result<Option<Bytes>, String> {
    match (plain, base64) {
        (Some(_), Some(_)) => Err(format!("{field} and {field}_base64 are both given")),
        (None, Some(text)) => match BASE64.decode(&text) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) => Err(format!("{field}_base64 is not base64: {error}")),
        },
        (None | Some(Value::Null), None) => Ok(None),
        (Some(Value::String(text)), None) => Ok(Some(Bytes::from(text))),
        (Some(other), None) => Ok(Some(Bytes::from(other.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Record, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_text_json_bytes_and_null() {
        let record = parse(r#"{"key":"k","value":{"a":1},"headers":{"h":"v"},"partition":2,"timestamp":-1}"#).unwrap();
        assert_eq!(record.key.unwrap(), "k");
        assert_eq!(record.value.unwrap(), r#"{"a":1}"#);
        assert_eq!(
            record.headers,
            [Header {
                name: "h".to_owned(),
                value: Some(Bytes::from("v"))
            }]
        );
        assert_eq!((record.partition, record.timestamp), (Some(2), Some(-1)));
        assert_eq!(
            parse(r#"{"value_base64":"/w=="}"#).unwrap().value.unwrap(),
            b"\xff".as_slice()
        );
        assert_eq!(parse("{}").unwrap(), Record::default());
    }

    #[test]
    fn refuses_with_a_reason() {
        insta::assert_snapshot!(parse(r#"["k"]"#).unwrap_err(), @"invalid type: sequence, expected an object at line 1 column 0");
        insta::assert_snapshot!(parse(r#"{"vlaue":1}"#).unwrap_err(), @"unknown field `vlaue`, expected one of `key`, `key_base64`, `value`, `value_base64`, `headers`, `partition`, `timestamp` at line 1 column 8");
        insta::assert_snapshot!(parse(r#"{"value":"","value_base64":""}"#).unwrap_err(), @"value and value_base64 are both given");
        insta::assert_snapshot!(parse(r#"{"key_base64":"*"}"#).unwrap_err(), @"key_base64 is not base64: Invalid symbol 42, offset 0.");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            value in proptest::option::of("\\PC{0,20}"),
            headers in proptest::collection::vec(("[a-z]{0,3}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5))), 0..4),
            partition: Option<u32>,
            timestamp: Option<i64>,
        ) {
            let headers = headers.into_iter().map(|(name, value)| Header { name, value: value.map(Bytes::from) }).collect();
            let record = Record { key: key.map(Bytes::from), value: value.map(Bytes::from), headers, partition, timestamp };
            prop_assert_eq!(parse(&serde_json::to_string(&record).unwrap()).unwrap(), record);
        }
    }
}
