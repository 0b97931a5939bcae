//! How a cluster is reached, from properties by librdkafka's names. Everything is checked once, here: what comes out fits together.

mod address;
mod error;
mod login;
mod read;
mod secret;
mod table;
mod trust;

use std::collections::BTreeMap;
use std::time::Duration;

pub use address::Address;
pub use error::{ConfigError, Problem};
pub use login::{Login, OAuth, Oidc, Scram, Unsecured};
use read::Reader;
pub use secret::Secret;
pub use trust::{Authorities, Pair, Pem, Tls};

/// What the properties say, with defaults in place of what they leave out. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    bootstrap: Vec<Address>,
    client_id: String,
    client_rack: Option<String>,
    family: Family,
    keep_alive: bool,
    times: Times,
    sizes: Sizes,
    tls: Option<Tls>,
    login: Option<Login>,
}

/// Which IP addresses of a name are used: `broker.address.family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `any`, the default.
    Any,
    /// `v4`.
    V4,
    /// `v6`.
    V6,
}

/// What a connection is made of: `security.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Neither TLS nor login, the default.
    Plaintext,
    /// TLS.
    Ssl,
    /// A login, over an open line.
    SaslPlaintext,
    /// A login over TLS.
    SaslSsl,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Of a request, until it is answered: `socket.timeout.ms`, 60 s.
    pub request: Duration,
    /// Of a connection, until it can be used: `socket.connection.setup.timeout.ms`, 30 s.
    pub setup: Duration,
    /// Before a broker is tried again for the first time: `reconnect.backoff.ms`, 100 ms. It doubles with every failure.
    pub reconnect: Duration,
    /// Before a broker is tried again, at most: `reconnect.backoff.max.ms`, 10 s.
    pub reconnect_max: Duration,
    /// After which the cluster is asked again who leads what: `topic.metadata.refresh.interval.ms`, 5 minutes.
    pub metadata: Duration,
    /// A fetch waits so long for `fetch.min.bytes`: `fetch.wait.max.ms`, 500 ms.
    pub fetch_wait: Duration,
}

/// How much there may be of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// A fetch is answered when there are so many bytes: `fetch.min.bytes`, 1.
    pub fetch_min: u32,
    /// A fetch brings no more than so many bytes, but for one batch: `fetch.max.bytes`, 50 MiB.
    pub fetch_max: u32,
    /// The largest response, in bytes: `receive.message.max.bytes`, 100,000,000.
    pub receive_max: u32,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            request: Duration::from_mins(1),
            setup: Duration::from_secs(30),
            reconnect: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(10),
            metadata: Duration::from_mins(5),
            fetch_wait: Duration::from_millis(500),
        }
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            fetch_min: 1,
            fetch_max: 50 << 20,
            receive_max: 100_000_000,
        }
    }
}

impl ClientConfig {
    /// Reads properties by librdkafka's names.
    ///
    /// # Errors
    /// Everything that is wrong with them at once. Names that are not known, or have no meaning here, are wrong too.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(properties);
        let protocol = reader.choice("security.protocol", &PROTOCOLS);
        let protocol = protocol.unwrap_or(Protocol::Plaintext);
        let families = [("any", Family::Any), ("v4", Family::V4), ("v6", Family::V6)];
        let config = Self {
            bootstrap: bootstrap(&mut reader, protocol),
            client_id: client_id(&mut reader),
            client_rack: reader.text("client.rack").map(str::to_owned),
            family: reader.choice("broker.address.family", &families).unwrap_or(Family::Any),
            keep_alive: reader.flag("socket.keepalive.enable", false),
            times: times(&mut reader),
            sizes: sizes(&mut reader),
            tls: trust::read(&mut reader, protocol),
            login: login::read(&mut reader, protocol),
        };
        reader.end(config)
    }

    /// The brokers that are asked for the others: `bootstrap.servers`. At least one.
    pub fn bootstrap(&self) -> &[Address] {
        &self.bootstrap
    }

    /// How brokers name us in logs and quotas: `client.id`, `sharemill`.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where we stand: `client.rack`.
    pub fn client_rack(&self) -> Option<&str> {
        self.client_rack.as_deref()
    }

    /// Which IP addresses of a name are used.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Whether the system finds out that a silent broker is gone: `socket.keepalive.enable`, no.
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// How long things may take.
    pub const fn times(&self) -> Times {
        self.times
    }

    /// How much there may be of what.
    pub const fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// What a connection is made of.
    pub const fn protocol(&self) -> Protocol {
        match (&self.tls, &self.login) {
            (None, None) => Protocol::Plaintext,
            (Some(_), None) => Protocol::Ssl,
            (None, Some(_)) => Protocol::SaslPlaintext,
            (Some(_), Some(_)) => Protocol::SaslSsl,
        }
    }

    /// How brokers are trusted, if the line is encrypted.
    pub const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// How we log in, if we do.
    pub const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

impl Protocol {
    /// Its name, as `security.protocol` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

fn bootstrap(reader: &mut Reader<'_>, protocol: Protocol) -> Vec<Address> {
    const NAME: &str = "bootstrap.servers";
    let mut addresses = Vec::new();
    let Some(text) = reader.text(NAME) else {
        reader.wrong(NAME, "it is missing: name at least one broker as host:port");
        return addresses;
    };
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        // librdkafka takes a protocol before an address.
        let (before, plain) = part.split_once("://").unwrap_or((protocol.name(), part));
        match Address::parse(plain.trim_end_matches('/')) {
            Some(_) if !before.eq_ignore_ascii_case(protocol.name()) => {
                let reason = format!("{part:?} does not go with security.protocol {}", protocol.name());
                reader.wrong(NAME, reason);
            }
            Some(address) if !addresses.contains(&address) => addresses.push(address),
            Some(_) => {}
            None => reader.wrong(NAME, format!("{part:?} is not host:port with a port from 1 to 65535")),
        }
    }
    if addresses.is_empty() && text.split(',').all(|part| part.trim().is_empty()) {
        reader.wrong(NAME, "it names no broker: name at least one as host:port");
    }
    addresses
}

fn client_id(reader: &mut Reader<'_>) -> String {
    let text = reader.text("client.id").unwrap_or("sharemill");
    if text.len() > CLIENT_ID_MAX {
        let reason = format!("{} bytes are more than the limit of {CLIENT_ID_MAX}", text.len());
        reader.wrong("client.id", reason);
    }
    text.to_owned()
}

fn times(reader: &mut Reader<'_>) -> Times {
    let mut milliseconds = |name, range, default: Duration| {
        let default = u32::try_from(default.as_millis()).unwrap_or(u32::MAX);
        Duration::from_millis(reader.number(name, range, default).into())
    };
    let usual = Times::default();
    let refresh = milliseconds("topic.metadata.refresh.interval.ms", 10..=3_600_000, usual.metadata);
    let times = Times {
        request: milliseconds("socket.timeout.ms", 10..=300_000, usual.request),
        setup: milliseconds(
            "socket.connection.setup.timeout.ms",
            1_000..=i32::MAX.unsigned_abs(),
            usual.setup,
        ),
        reconnect: milliseconds("reconnect.backoff.ms", 1..=3_600_000, usual.reconnect),
        reconnect_max: milliseconds("reconnect.backoff.max.ms", 1..=3_600_000, usual.reconnect_max),
        // In Java the one, in librdkafka the other is the time between two questions: whoever sets one of them means that.
        metadata: refresh.min(milliseconds("metadata.max.age.ms", 10..=86_400_000, refresh)),
        fetch_wait: milliseconds("fetch.wait.max.ms", 0..=300_000, usual.fetch_wait),
    };
    if times.reconnect > times.reconnect_max {
        let (least, most) = (times.reconnect.as_millis(), times.reconnect_max.as_millis());
        let reason = format!("{least} is more than reconnect.backoff.max.ms, which is {most}");
        reader.wrong("reconnect.backoff.ms", reason);
    }
    times
}

fn sizes(reader: &mut Reader<'_>) -> Sizes {
    let usual = Sizes::default();
    let message = reader.number("message.max.bytes", 1_000..=1_000_000_000, 1_000_000);
    let fetch = reader.number(
        "fetch.max.bytes",
        0..=i32::MAX.unsigned_abs() - OVERHEAD,
        usual.fetch_max,
    );
    let fetch_max = fetch.max(message);
    let receive = reader.number("receive.message.max.bytes", 1_000..=i32::MAX.unsigned_abs(), 0);
    if (1..fetch_max.saturating_add(OVERHEAD)).contains(&receive) {
        let reason = format!(
            "{receive} is less than the larger of fetch.max.bytes and message.max.bytes, {fetch_max}, and {OVERHEAD} more"
        );
        reader.wrong("receive.message.max.bytes", reason);
    }
    Sizes {
        fetch_min: reader.number("fetch.min.bytes", 1..=100_000_000, usual.fetch_min),
        fetch_max,
        receive_max: if receive == 0 {
            usual.receive_max.max(fetch_max.saturating_add(OVERHEAD))
        } else {
            receive
        },
    }
}

const PROTOCOLS: [(&str, Protocol); 4] = [
    ("PLAINTEXT", Protocol::Plaintext),
    ("SSL", Protocol::Ssl),
    ("SASL_PLAINTEXT", Protocol::SaslPlaintext),
    ("SASL_SSL", Protocol::SaslSsl),
];

/// What a response holds beside records, in bytes, as librdkafka reckons.
const OVERHEAD: u32 = 512;

/// In bytes. Every request carries it.
const CLIENT_ID_MAX: usize = 249;

#[cfg(test)]
mod tests;
