//! JSON as record files have it: read strictly, compared by what it means. Pure.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value in which no object has a name twice: of two, one would be taken silently.
pub(super) struct Unique(pub(super) Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Unique(value))) = object.next_entry::<String, _>()? {
            if map.contains_key(&name) {
                return Err(de::Error::custom(format_args!("\"{name}\" is given twice")));
            }
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

/// Whether two values mean the same: 11 is 11.0, and no object has an order.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in_other = |(name, value)| other.get(name).is_some_and(|found| same(value, found));
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        (one, other) => one == other,
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    if one == other {
        return true;
    }
    // To the last digit, which a conversion of the integer would round.
    let is_exactly = |whole: &Number, float: &Number| {
        let float = float.as_f64().filter(|_| float.is_f64());
        !whole.is_f64() && float.is_some_and(|float| (float + 0.0).to_string() == whole.to_string())
    };
    is_exactly(one, other) || is_exactly(other, one)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let same = |one: &str, other: &str| {
            let value = |text| serde_json::from_str::<Value>(text).unwrap();
            let is_same = same(&value(one), &value(other));
            assert_eq!(is_same, same(&value(other), &value(one)), "{one} {other}");
            is_same
        };
        for (one, other) in [
            ("11", "11.0"),
            ("-3", "-3.0"),
            ("0", "-0.0"),
            ("1e3", "1000"),
            ("9007199254740992", "9007199254740992.0"),
            (
                r#"{"a": [1, {"b": 2}], "c": null}"#,
                r#"{"c": null, "a": [1.0, {"b": 2.0}]}"#,
            ),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("11", "11.5"),
            ("11", "12.0"),
            ("1", "\"1\""),
            ("0", "false"),
            ("9007199254740993", "9007199254740992.0"),
            ("[1]", "[1, 1]"),
            (r#"{"a": 1}"#, r#"{"b": 1}"#),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_name_that_is_given_twice_is_told() {
        let read = |text: &str| serde_json::from_str::<Unique>(text).map(|Unique(value)| value.to_string());
        let text = r#"{"a":[1,-2,0.5,"b",true,null,{"a":{}}],"b":[]}"#;
        assert_eq!(read(text).unwrap(), text);
        for text in [r#"{"a": 1, "a": 1}"#, r#"[{"b": {"a": 1, "c": 2, "a": 1}}]"#] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("\"a\" is given twice at line 1 column"), "{error}");
        }
    }
}
