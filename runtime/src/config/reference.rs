//! The reference page of the manifest, printed from the key table. A test keeps the committed page up to date.

use std::fmt::Write as _;

use super::keys::{self, Fallback, KEYS, Key, Kind, SourceKind};

/// The reference page as Markdown.
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for heading in KEYS.iter().filter(|key| is_heading(key)) {
        let rows: Vec<&Key> = KEYS
            .iter()
            .filter(|row| !is_heading(row) && heading_of(row) == Some(heading.path))
            .collect();
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## `{}`\n\n{}\n", heading_text(heading), heading.effect);
        if rows.is_empty() {
            continue;
        }
        let (common, own): (Vec<&Key>, Vec<&Key>) = rows.into_iter().partition(|row| row.only.is_none());
        table(&mut page, heading, &common);
        for (kind, only) in [(SourceKind::Embedded, "embedded"), (SourceKind::Kafka, "kafka")] {
            let of_kind: Vec<&Key> = own.iter().copied().filter(|row| row.only == Some(kind)).collect();
            if !of_kind.is_empty() {
                let place = if heading.path == "sources.*" {
                    "With"
                } else {
                    "On a source with"
                };
                let _ = write!(page, "\n{place} `type = \"{only}\"` only:\n");
                table(&mut page, heading, &of_kind);
            }
        }
    }
    page.push_str(ON_KAFKA);
    for key in KEYS {
        if let Some((by, how)) = keys::enforced(key.path) {
            let _ = writeln!(
                page,
                "| `{}` | {} | {how} |",
                key.path.replace('*', "NAME"),
                by.as_str()
            );
        }
    }
    page
}

fn table(page: &mut String, heading: &Key, rows: &[&Key]) {
    page.push_str("\n| key | type | default | range | effect |\n|---|---|---|---|---|\n");
    for row in rows {
        let name = row.path.get(heading.path.len() + 1..).unwrap_or(row.path);
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            name.replace('*', "NAME"),
            of_both(row, |key| type_of(key.kind)),
            of_both(row, |key| default_of(key.default)),
            of_both(row, |key| range_of(key.kind)),
            row.effect
        );
    }
}

/// What is said of a key, and what else on Kafka.
fn of_both(row: &Key, say: impl Fn(&Key) -> String) -> String {
    let said = say(row);
    match keys::find(row.path, SourceKind::Kafka).map(say) {
        Some(on_kafka) if on_kafka != said => format!("{said}; Kafka: {on_kafka}"),
        _ => said,
    }
}

const ON_KAFKA: &str = "
## On Kafka

Who sees to it that a key holds where the source is a Kafka cluster: this host, the broker for all members of the group, or nobody, in
which case the key is refused. `sharemill config show` says it behind each line, and in JSON as `enforced_by`.
What the broker sees to the host writes to the group or to a new topic, if the cluster allows it, and says otherwise which command does.

| key | enforced by | how |
|---|---|---|
";

const INTRODUCTION: &str = "\
# Manifest reference

This page is generated from the table that the loader itself uses (`runtime/src/config/keys.rs`).

A manifest is a TOML file, by default `sharemill.toml` in the current folder. Relative paths start at its folder.
Unknown keys and values out of range are errors. `sharemill config check` names everything that is wrong at once;
`sharemill config show` prints the manifest with every default, `sharemill config schema` a JSON Schema for editors.

Durations are text with units: `250ms`, `30s`, `5m`, `1h30m`, `7d` (`ms`, `s`, `m`, `h`, `d`, `w`).
Sizes are text with a unit, or a whole number of bytes: `64MiB`, `1GB` (`KiB` is 1,024 bytes, `KB` is 1,000).
Flags win over environment variables, those over the manifest.

```toml
[topics.orders]
retention = \"queue\"

[deployments.enrich]
component = \"enrich.wasm\"
topic = \"orders\"
grants = { emit = [\"order-lines\"] }
```

A handler that calls a server, with a key that does not stand here:

```toml
[deployments.webhook]
component = \"webhook.wasm\"
topic = \"events\"
secrets = { SIGNING_KEY = { env = \"SIGNING_KEY\" } }

[deployments.webhook.grants]
config = { url = \"https://api.example.com/hooks\" }
http = [{ url = \"https://api.example.com\", methods = [\"GET\", \"POST\"] }]
```

The first handler on a Kafka cluster takes these lines more:

```toml
[sources.main]
type = \"kafka\"
properties = { \"bootstrap.servers\" = \"k1:9092\", \"security.protocol\" = \"SASL_SSL\", \"sasl.mechanism\" = \"SCRAM-SHA-512\", \"sasl.username\" = \"jobs\" }
secrets = { \"sasl.password\" = { file = \"/run/secrets/kafka\" } }
```
";

/// Tables get a heading of their own where a user writes `[table]`.
fn is_heading(key: &Key) -> bool {
    const HEADINGS: [&str; 4] = ["host", "sources.*", "topics.*", "deployments.*"];
    HEADINGS.contains(&key.path)
}

fn heading_of(key: &Key) -> Option<&'static str> {
    let heading = KEYS.iter().filter(|heading| is_heading(heading));
    heading
        .map(|heading| heading.path)
        .find(|path| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

fn heading_text(key: &Key) -> String {
    format!("[{}]", key.path.replace('*', "NAME"))
}

fn type_of(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Name(_) => "name".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Choice(_) => "choice".to_owned(),
        Kind::Integer { .. } => "whole number".to_owned(),
        Kind::Fraction { .. } => "number".to_owned(),
        Kind::Size { .. } => "size".to_owned(),
        Kind::Duration { .. } => "duration".to_owned(),
        Kind::Names(_) => "list of names".to_owned(),
        Kind::Form(shape) => shape.describe().to_owned(),
        Kind::Table => "table".to_owned(),
        Kind::Tables => "list of tables".to_owned(),
    }
}

fn range_of(kind: Kind) -> String {
    match kind {
        Kind::Choice(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::Integer { min, max } => format!("{min} to {max}"),
        Kind::Fraction { min, max } => format!("{min} to {max}"),
        Kind::Size { min, max } | Kind::Duration { min, max } => format!("{min} to {max}"),
        Kind::Name(rule) | Kind::Names(rule) => {
            let (_, limit) = rule.noun_and_limit();
            format!("1 to {limit} of `a-z A-Z 0-9 . _ -`")
        }
        _ => String::new(),
    }
}

fn default_of(default: Fallback) -> String {
    match default {
        Fallback::Required => "**required**".to_owned(),
        Fallback::Is(value) => format!("`{value}`"),
        Fallback::Profiled { default, edge } => format!("`{default}`; edge: `{edge}`"),
        Fallback::Derived(text) => text.to_owned(),
        Fallback::Nothing => String::new(),
    }
}
