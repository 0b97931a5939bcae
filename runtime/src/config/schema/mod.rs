//! The JSON Schema of the manifest, for editors, made from the key table. It refuses nothing that the loader takes; relations between keys,
//! and ranges of sizes and durations, only the loader knows.

use serde_json::{Map, Value, json};

use super::keys::{self, Fallback, Key, Kind, Shape, SourceKind};
use super::values::names::Rule;

/// The schema, draft 7, which is what editors for TOML know.
pub fn schema() -> Value {
    let mut schema = table("");
    let head = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Sharemill manifest",
        "description": "What `sharemill run` runs, by default in sharemill.toml.",
    });
    merge(&mut schema, head);
    schema
}

/// The table at a path, with the keys directly inside.
fn table(path: &str) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let mut others = json!(false);
    let mut names = None;
    for key in keys::children(path) {
        let value = value(key);
        if key.name() == "*" {
            others = value;
            names = rule_of(key.path);
            continue;
        }
        if matches!(key.default, Fallback::Required) {
            required.push(key.name());
        }
        properties.insert(key.name().to_owned(), value);
    }
    let mut table = json!({ "type": "object", "properties": properties, "additionalProperties": others });
    if !required.is_empty() {
        merge(&mut table, json!({ "required": required }));
    }
    if let Some(rule) = names {
        merge(&mut table, json!({ "propertyNames": name(rule) }));
    }
    if path == "sources.*" {
        let refused = |only| -> Map<String, Value> {
            let others = keys::children(path).filter(|key| key.only.is_some_and(|kind| kind != only));
            others.map(|key| (key.name().to_owned(), json!(false))).collect()
        };
        let is_kafka = json!({ "properties": { "type": { "const": "kafka" } }, "required": ["type"] });
        let (kafka, embedded) = (refused(SourceKind::Kafka), refused(SourceKind::Embedded));
        let choice = json!({
            "if": is_kafka,
            "then": { "properties": kafka, "required": ["properties"] },
            "else": { "properties": embedded },
        });
        merge(&mut table, choice);
    }
    table
}

/// Which names a table takes whose names the user chooses; `None`: any.
fn rule_of(path: &str) -> Option<Rule> {
    match path {
        "sources.*" | "deployments.*" => Some(Rule::Plain),
        "topics.*" => Some(Rule::Topic),
        _ => None,
    }
}

fn value(key: &Key) -> Value {
    let mut value = match key.kind {
        Kind::Table => table(key.path),
        Kind::Tables => json!({ "type": "array", "items": table(&format!("{}[]", key.path)) }),
        kind => {
            let here = plain(kind);
            match keys::find(key.path, SourceKind::Kafka).map(|other| plain(other.kind)) {
                // Which of the two holds, the source says, which may be named anywhere.
                Some(other) if other != here => json!({ "anyOf": [here, other] }),
                _ => here,
            }
        }
    };
    merge(&mut value, json!({ "description": description(key) }));
    if let Some(default) = default(key) {
        merge(&mut value, json!({ "default": default }));
    }
    value
}

fn description(key: &Key) -> String {
    match key.kind {
        Kind::Size { min, max } | Kind::Duration { min, max } => format!("{} ({min} to {max})", key.effect),
        _ => key.effect.to_owned(),
    }
}

fn default(key: &Key) -> Option<Value> {
    let Fallback::Is(text) = key.default else {
        return None;
    };
    Some(match key.kind {
        Kind::Boolean | Kind::Integer { .. } | Kind::Fraction { .. } => text.parse().ok()?,
        _ => json!(text),
    })
}

fn plain(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Path | Kind::Table | Kind::Tables => json!({ "type": "string" }),
        Kind::Name(rule) => name(rule),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Fraction { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Size { .. } => {
            json!({ "anyOf": [{ "type": "string", "pattern": SIZE }, { "type": "integer", "minimum": 0 }] })
        }
        Kind::Duration { .. } => json!({ "type": "string", "pattern": DURATION }),
        Kind::Names(rule) => json!({ "type": "array", "items": name(rule) }),
        Kind::Form(shape) => form(shape),
    }
}

fn form(shape: Shape) -> Value {
    let retention = |words: &[&str]| {
        json!({ "anyOf": [
            { "enum": words },
            { "type": "string", "pattern": DURATION },
            {
                "type": "object",
                "properties": {
                    "time": { "type": "string", "pattern": DURATION },
                    "size": plain(Kind::Size { min: "", max: "" }),
                },
                "additionalProperties": false,
                "minProperties": 1,
            },
        ] })
    };
    let one_of = |names: &[&str]| {
        let properties: Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({ "type": "string", "minLength": 1 })))
            .collect();
        json!({
            "type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
        })
    };
    match shape {
        Shape::Address => json!({ "type": "string", "pattern": "^\\S+:[0-9]{1,5}$" }),
        Shape::Start => {
            json!({ "anyOf": [{ "enum": ["earliest", "latest"] }, { "type": "string", "pattern": "^by[-_]duration:.+$" }] })
        }
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Secret => one_of(&["file", "env"]),
        Shape::Retention => retention(&["queue", "forever"]),
        Shape::RetentionOnKafka => retention(&["forever"]),
        Shape::TopicOrNone => json!({ "anyOf": [name(Rule::DeadLetter), { "const": false }] }),
        Shape::AbsolutePath => json!({ "type": "string", "pattern": "^/" }),
        Shape::Origin => json!({ "type": "string", "pattern": "^https?://[^/?#@*]+/?$" }),
        Shape::Networks => {
            json!({ "type": "array", "items": { "type": "string", "pattern": "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$" } })
        }
        Shape::TextOrFrom => json!({ "anyOf": [{ "type": "string" }, one_of(&["from"])] }),
    }
}

fn name(rule: Rule) -> Value {
    let (_, limit) = rule.noun_and_limit();
    if rule == Rule::Method {
        return json!({ "type": "string", "pattern": "^[A-Z]+$", "maxLength": limit });
    }
    json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]+$", "maxLength": limit, "not": { "enum": [".", ".."] } })
}

/// Adds the members of one object to another.
fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// As the loader reads them, which allows blanks around numbers and units.
const DURATION: &str = r"^\s*([0-9]+\s*(ms|s|m|h|d|w)\s*)+$";
const SIZE: &str = r"^\s*[0-9]+\s*(B|[KMGT]i?B)\s*$";

#[cfg(test)]
mod tests;
