//! librdkafka's producer: made as the properties say, made anew when it has lost its place, its log among the host's, its answers in our
//! words.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};
use share_client::net::Connector;
use share_client::tools::Who;
use share_engine::engine::SystemClock;
use share_engine::time::Clock as _;
use tokio::runtime::Handle;

use super::{Limits, ProduceFailure, Produced, PropertiesError, ToProduce};
use crate::config::PRODUCING;

/// What producers are made of.
#[derive(Clone)]
pub(super) struct Maker {
    config: ClientConfig,
    context: Context,
}

/// A producer at work.
pub(super) type Link = FutureProducer<Context>;

impl Maker {
    /// Of librdkafka's properties; a record may take `timeout`, unless they say how long.
    pub(super) fn new(properties: &BTreeMap<String, String>, timeout: Duration) -> Result<Self, PropertiesError> {
        let mut config = ClientConfig::new();
        let millis = |duration: Duration| duration.as_millis().to_string();
        config
            .set("linger.ms", millis(Limits::LINGER))
            // 0 would be no limit at all.
            .set("message.timeout.ms", millis(timeout.max(Limits::TIMEOUT_MIN)));
        for (name, value) in properties.iter().filter(|(name, _)| !is_consuming(name)) {
            config.set(name, value);
        }
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", Limits::MESSAGES.to_string())
            .set("queue.buffering.max.kbytes", Limits::KIB.to_string());
        config.set_log_level(RDKafkaLogLevel::Warning);
        let context = Context::new(properties)?;
        Ok(Self { config, context })
    }

    /// The same, but that each record goes by itself.
    pub(super) fn single(&self) -> Self {
        let mut single = self.clone();
        single.config.set("batch.num.messages", "1");
        single
    }

    /// As whom records are written, and where.
    pub(super) fn who(&self) -> Arc<Who> {
        self.context.who.clone()
    }

    pub(super) fn make(&self) -> Result<Link, PropertiesError> {
        let made = self.config.create_with_context(self.context.clone());
        made.map_err(|error| PropertiesError { reason: told(error) })
    }

    /// An idempotent producer that lost its place says no to everything for ever: it is replaced.
    pub(super) fn renew_if_lost(&self, producer: &mut Link) {
        if let Some((code, reason)) = producer.client().fatal_error() {
            if code == RDKafkaErrorCode::TopicAuthorizationFailed {
                // Whose record it was has been told already.
                tracing::debug!(%code, reason, "the producer is begun anew");
            } else {
                tracing::warn!(%code, reason, "the producer is begun anew");
            }
            match self.make() {
                Ok(fresh) => *producer = fresh,
                Err(error) => tracing::error!(%error, "the producer cannot be begun anew"),
            }
        }
    }
}

/// What librdkafka says of its properties, without the value of any: it may be a secret, or one that stands at the wrong name.
fn told(error: KafkaError) -> String {
    let KafkaError::ClientConfig(_, description, name, _) = error else {
        return error.to_string();
    };
    // Numbers and elements of lists stand in the description.
    if let Some((_, range)) = description.split_once(" is outside ") {
        return format!("{name} is outside {}", range.trim_end());
    }
    if description.contains("value \"") {
        return format!("{name} has a value that it cannot have");
    }
    format!("{name}: {description}")
}

/// How lines of librdkafka are marked in the log.
const PRODUCER: &str = "sharemill::producer";

/// The facility of a producer that has lost its place.
const FATAL: &str = "FATAL";

/// librdkafka's log among the host's, and tokens from where the other connections have theirs.
#[derive(Clone)]
pub(super) struct Context {
    /// As whom records are written, and where.
    who: Arc<Who>,
    /// Of those that log in with tokens, and what waits for them.
    tokens: Option<(Connector, Handle)>,
}

impl Context {
    fn new(properties: &BTreeMap<String, String>) -> Result<Self, PropertiesError> {
        let failed = |error: &dyn std::fmt::Display| PropertiesError {
            reason: error.to_string(),
        };
        let mechanism = ["sasl.mechanism", "sasl.mechanisms"]
            .iter()
            .find_map(|name| properties.get(*name));
        let mut of_client = properties.clone();
        of_client.retain(|name, _| !PRODUCING.contains(&name.as_str()));
        let config = share_client::config::ClientConfig::new(&of_client);
        let who = Arc::new(config.as_ref().map_or_else(|_| nobody(properties), Who::of));
        if mechanism.is_none_or(|name| name != "OAUTHBEARER") {
            return Ok(Self { who, tokens: None });
        }
        let config = config.map_err(|error| failed(&error))?;
        let connector = Connector::new(&config).map_err(|error| failed(&error))?;
        let runtime = Handle::try_current().map_err(|error| failed(&error))?;
        Ok(Self {
            who,
            tokens: Some((connector, runtime)),
        })
    }
}

/// Somebody whom librdkafka knows better.
fn nobody(properties: &BTreeMap<String, String>) -> Who {
    Who {
        principal: None,
        servers: properties.get("bootstrap.servers").cloned().unwrap_or_default(),
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// Called by librdkafka's own thread.
    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let (connector, runtime) = self.tokens.as_ref().ok_or("no tokens are asked for")?;
        let token = runtime.block_on(connector.token()).ok_or("no tokens are asked for")??;
        let now = SystemClock.now().wall;
        Ok(OAuthToken {
            token: token.value.reveal().to_owned(),
            principal_name: token.user,
            lifetime_ms: now.after(token.life).as_millis(),
        })
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel as Level;
        // Each of its records says why it was not written, and whoever begins a producer anew says that.
        if facility == FATAL {
            tracing::debug!(target: PRODUCER, facility, "{message}");
        } else if matches!(level, Level::Emerg | Level::Alert | Level::Critical | Level::Error) {
            tracing::error!(target: PRODUCER, facility, "{message}");
        } else if matches!(level, Level::Warning) {
            tracing::warn!(target: PRODUCER, facility, "{message}");
        } else {
            tracing::debug!(target: PRODUCER, facility, "{message}");
        }
    }

    /// What concerns a record comes as its result; what concerns a broker is tried again, and is in the log.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: PRODUCER, %error, "{reason}");
    }
}

pub(super) type Started = Result<DeliveryFuture, KafkaError>;

/// Hands a record over.
pub(super) fn begin(producer: &Link, record: &ToProduce) -> Started {
    let headers = record
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (name, value)| {
            let name: Cow<'_, str> = String::from_utf8_lossy(name);
            headers.insert(Header {
                key: &name,
                value: value.as_deref(),
            })
        });
    let to_send = FutureRecord::<[u8], [u8]> {
        topic: &record.topic,
        partition: record.partition,
        payload: record.value.as_deref(),
        key: record.key.as_deref(),
        timestamp: record.timestamp,
        headers: (!record.headers.is_empty()).then_some(headers),
    };
    producer.send_result(to_send).map_err(|(error, _)| error)
}

/// Waits for what became of it.
pub(super) async fn stored(
    producer: &Link,
    who: &Who,
    record: &ToProduce,
    started: Started,
) -> Result<Produced, ProduceFailure> {
    let failure = |error: &KafkaError| failure(who, record, error);
    let delivered = started.map_err(|error| failure(&error))?.await;
    match delivered {
        Ok(Ok(delivery)) => Ok(Produced {
            partition: delivery.partition,
            offset: delivery.offset,
        }),
        Ok(Err((error, _))) => Err(failure(&cause(producer, error))),
        Err(_) => Err(ProduceFailure::Unavailable {
            topic: record.topic.clone(),
            reason: "the producer ended".to_owned(),
        }),
    }
}

/// A producer that may go on no more throws away what it has; why, it says for all of it.
fn cause(producer: &Link, error: KafkaError) -> KafkaError {
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PurgeQueue) {
        return error;
    }
    let fatal = producer.client().fatal_error();
    fatal.map_or(error, |(code, _)| KafkaError::MessageProduction(code))
}

fn failure(who: &Who, record: &ToProduce, error: &KafkaError) -> ProduceFailure {
    use RDKafkaErrorCode as Code;
    let topic = record.topic.clone();
    match error.rdkafka_error_code() {
        Some(Code::QueueFull) => ProduceFailure::Full,
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge) => {
            let bytes = record.bytes();
            ProduceFailure::TooLarge { topic, bytes }
        }
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
            ProduceFailure::Missing { topic }
        }
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
            let who = Box::new(who.clone());
            ProduceFailure::Denied { topic, who }
        }
        Some(Code::InvalidTopic | Code::InvalidRecord | Code::InvalidTimestamp | Code::PolicyViolation) => {
            ProduceFailure::Refused {
                topic,
                reason: error.to_string(),
            }
        }
        _ => ProduceFailure::Unavailable {
            topic,
            reason: error.to_string(),
        },
    }
}

/// Properties that concern consumers alone, or tokens, which come from elsewhere.
fn is_consuming(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "client.rack",
        "enable.sasl.oauthbearer.unsecure.jwt",
        "fetch.max.bytes",
        "fetch.min.bytes",
        "fetch.wait.max.ms",
    ];
    NAMES.contains(&name) || name.starts_with("sasl.oauthbearer.") || name.starts_with("https.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_not_told() {
        const CANARY: &str = "canary-7f3a";
        let refused = |name: &str, value: &str| {
            let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let maker = Maker::new(&properties, Duration::from_secs(1)).unwrap();
            maker.make().err().unwrap().to_string()
        };
        for name in [
            "socket.keepalive.enable",
            "security.protocol",
            "debug",
            "no.such.property",
        ] {
            let told = refused(name, CANARY);
            assert!(told.contains(name) && !told.contains(CANARY), "{told}");
        }
        assert_eq!(
            refused("socket.timeout.ms", "7777777canary"),
            "no producer can be made of these properties: socket.timeout.ms is outside allowed range 10..300000"
        );
    }
}
