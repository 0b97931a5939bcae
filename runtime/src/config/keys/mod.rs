//! The one table of manifest keys: type, range, default, effect, and what a Kafka source makes of them.
//! The loader takes ranges and defaults from it, the reference page is printed from it; no key exists outside it.

mod given;
mod kafka;
mod table;

use super::values::names::Rule;
pub use kafka::Enforced;
pub(super) use kafka::enforced;

/// Every key, in the order in which the reference and `config show` print them.
pub(super) const KEYS: &[Key] = &ALL;

#[expect(
    clippy::indexing_slicing,
    reason = "a constant: an index that is wrong does not compile"
)]
const ALL: [Key; table::KEYS.len() + given::KEYS.len()] = {
    let (first, last) = (table::KEYS, given::KEYS);
    let mut all = [first[0]; table::KEYS.len() + given::KEYS.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = if index < first.len() {
            first[index]
        } else {
            last[index - first.len()]
        };
        index += 1;
    }
    all
};

/// What a key holds, with its range where it has one. Ranges include both ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Kind {
    /// Any text.
    Text,
    /// A name under this rule.
    Name(Rule),
    /// A path; relative ones start at the manifest's folder.
    Path,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number.
    Integer { min: u64, max: u64 },
    /// A number.
    Fraction { min: f64, max: f64 },
    /// Bytes, written as text with a unit or as a whole number.
    Size { min: &'static str, max: &'static str },
    /// Text with a unit.
    Duration { min: &'static str, max: &'static str },
    /// A list of names.
    Names(Rule),
    /// A form of its own, read by [`super::values`].
    Form(Shape),
    /// A table whose keys follow in this list.
    Table,
    /// A list of tables whose keys follow in this list.
    Tables,
}

/// Forms that are neither a plain value nor a table of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Shape {
    /// Where to listen.
    Address,
    /// Where a group begins.
    Start,
    /// Any plain value, taken as text.
    Scalar,
    /// Where a secret is read from.
    Secret,
    /// How long a topic keeps records.
    Retention,
    /// The same, where nobody knows of queues.
    RetentionOnKafka,
    /// A topic, or none.
    TopicOrNone,
    /// A path from the root on.
    AbsolutePath,
    /// A text, or the name of a variable that has it.
    TextOrFrom,
    /// Scheme, host and port.
    Origin,
    /// A list of addresses and networks.
    Networks,
}

impl Shape {
    /// As references and hints describe it.
    pub(in crate::config) const fn describe(self) -> &'static str {
        match self {
            Self::Address => "address and port",
            Self::Start => "`\"earliest\"`, `\"latest\"` or `\"by-duration:AGE\"`",
            Self::Scalar => "text, number or boolean",
            Self::Secret => "`{ file = \"PATH\" }` or `{ env = \"NAME\" }`",
            Self::Retention => "`\"queue\"`, `\"forever\"`, a duration, or `{ time, size }`",
            Self::RetentionOnKafka => "`\"forever\"`, a duration, or `{ time, size }`",
            Self::TopicOrNone => "a topic name or `false`",
            Self::AbsolutePath => "absolute path",
            Self::Origin => "`\"https://HOST\"` or `\"https://HOST:PORT\"`, or with `http`",
            Self::Networks => "list of addresses and networks such as `\"10.1.0.0/16\"`",
            Self::TextOrFrom => "text or `{ from = \"NAME\" }`",
        }
    }
}

/// What holds where the manifest is silent.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Fallback {
    /// The key must be given.
    Required,
    /// This value, as the manifest would write it (without quotes).
    Is(&'static str),
    /// This value in the default profile, that in the edge profile.
    Profiled { default: &'static str, edge: &'static str },
    /// Taken from elsewhere, as described.
    Derived(&'static str),
    /// Nothing.
    Nothing,
}

/// One manifest key. `*` in a path stands for a name that the user chooses, `[]` for an item of a list.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Key {
    pub(in crate::config) path: &'static str,
    pub(in crate::config) kind: Kind,
    pub(in crate::config) default: Fallback,
    pub(in crate::config) effect: &'static str,
    /// The kind of source that it belongs to, where it does not belong to both.
    pub(in crate::config) only: Option<SourceKind>,
}

/// What `type` of a source says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum SourceKind {
    /// An engine in this process.
    Embedded,
    /// A Kafka cluster.
    Kafka,
}

impl Key {
    const fn only(self, kind: SourceKind) -> Self {
        Self {
            only: Some(kind),
            ..self
        }
    }

    /// The part behind the last dot.
    pub(in crate::config) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The part before the last dot; empty at the top.
    pub(in crate::config) fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }
}

/// The key at `path`, written with `*` and `[]`, as a source of this kind has it.
pub(in crate::config) fn find(path: &str, kind: SourceKind) -> Option<&'static Key> {
    let of_kind = match kind {
        SourceKind::Embedded => &[],
        SourceKind::Kafka => kafka::OTHERWISE,
    };
    of_kind.iter().chain(KEYS).find(|key| key.path == path)
}

/// The keys directly inside `parent`.
pub(in crate::config) fn children(parent: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.parent() == parent)
}

const fn key(path: &'static str, kind: Kind, default: Fallback, effect: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        effect,
        only: None,
    }
}
