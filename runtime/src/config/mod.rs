//! The manifest: text to values, every range and relation checked, everything wrong reported at once with key, line and way out.
//! One table of keys drives loading, defaults and the reference page. Nothing behind [`Manifest`] validates again.

mod check;
mod context;
mod files;
#[cfg(any(test, feature = "testing"))]
mod fuzz;
mod http;
mod kafka;
mod keys;
mod load;
mod made;
mod on_kafka;
mod problem;
mod reference;
mod schema;
mod section;
mod shown;
mod source;
mod topics;
mod types;
mod units;
mod values;
mod words;

pub use files::user_cache_dir;
#[cfg(any(test, feature = "testing"))]
pub use fuzz::fuzz_manifest;
pub use http::{HttpGrant, HttpLimits, Network, Scheme, ServerName, WebOrigin};
pub use kafka::{IsolationLevel, KafkaSource, PRODUCING, Properties, Secret, SecretError};
pub use keys::Enforced;
pub use load::{LoadError, Loaded, load, parse};
pub use made::{TopicError, TopicSettings, topic};
pub use problem::{Problem, Problems, Severity};
pub use reference::markdown;
pub use schema::schema;
pub use shown::Shown;
pub use types::{
    Access, Backoff, Deployment, Durability, EmbeddedSource, EnvValue, FileGrant, Grants, Host, InstanceMode,
    LogFormat, Manifest, OnFull, Origin, Profile, RetryTopic, Source, Topic,
};
pub use units::{UnitError, format_duration, format_size, parse_duration, parse_size};
pub(crate) use values::filter;
pub use values::{Retention, RetentionError, Start, StartError};
pub(crate) use words::nearest;
