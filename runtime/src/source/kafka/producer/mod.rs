//! Records to a Kafka cluster, by librdkafka: idempotent, acknowledged by all replicas in sync. One for a host; what it is given in order
//! reaches a partition in order.

mod link;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use share_client::tools::{On, Operation, Who};

use crate::handler::{BoxFuture, OutgoingRecord, ProducerError};
use crate::lane::RecordProducer;
use link::{Link, Maker, begin, stored};

/// Produces to a cluster. librdkafka's own threads do the work; nothing here blocks.
pub struct KafkaProducer {
    maker: Maker,
    inner: Mutex<Link>,
    /// Sends each record by itself. Made when it is needed first.
    single: Arc<Single>,
}

/// A record on its way to a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToProduce {
    /// Which must exist, or be one that the cluster makes by itself.
    pub topic: String,
    /// `None`: by key as Kafka's Java producer chooses (murmur2), without a key any.
    pub partition: Option<i32>,
    /// `None` is null.
    pub key: Option<Bytes>,
    /// `None` is null.
    pub value: Option<Bytes>,
    /// In order, duplicates kept. A name that is not UTF-8 is sent as near to it as can be.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// Milliseconds since 1970; `None`: now.
    pub timestamp: Option<i64>,
}

/// Where a record stands now, on all replicas in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    /// The partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

/// Why a record was not produced, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceFailure {
    /// A broker's or the client's limit.
    #[error(
        "the record takes {bytes} bytes, more than topic {topic} (its max.message.bytes) or this client (message.max.bytes) takes: raise the \
         one that is too low, or keep what is large elsewhere and send where it is"
    )]
    TooLarge {
        /// The topic.
        topic: String,
        /// Key, value and headers.
        bytes: usize,
    },
    /// There is no such topic, or no such partition.
    #[error("topic {topic} is not there, or has no such partition")]
    Missing {
        /// The topic.
        topic: String,
    },
    /// The principal may not write there.
    #[error(
        "{who} may not write to topic {topic}: whoever may, allows it by {}",
        to_write(who, topic)
    )]
    Denied {
        /// The topic.
        topic: String,
        /// Who it is.
        who: Box<Who>,
    },
    /// What is on its way fills the client's memory.
    #[error(
        "{} records or {} KiB are on their way to the cluster already",
        Limits::MESSAGES,
        Limits::KIB
    )]
    Full,
    /// For now; trying again may help.
    #[error("topic {topic}: {reason}")]
    Unavailable {
        /// The topic.
        topic: String,
        /// What librdkafka says.
        reason: String,
    },
    /// The record cannot be sent as it is.
    #[error("topic {topic}: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// What librdkafka says.
        reason: String,
    },
}

fn to_write(who: &Who, topic: &str) -> String {
    who.grant(&[Operation::Write], On::Topics(&[topic]))
}

impl ProduceFailure {
    /// Whether the same record may be taken later.
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::Refused { .. })
    }
}

/// Properties that librdkafka cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no producer can be made of these properties: {reason}")]
pub struct PropertiesError {
    reason: String,
}

impl KafkaProducer {
    /// With librdkafka's properties, secrets in clear; those that say how records are consumed are passed over. Connects to nothing yet.
    /// Who logs in with tokens needs a tokio runtime.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<Self, PropertiesError> {
        Self::within(properties, Limits::TIMEOUT)
    }

    /// The same, with another limit of what a record may take.
    pub fn within(properties: &BTreeMap<String, String>, timeout: Duration) -> Result<Self, PropertiesError> {
        let maker = Maker::new(properties, timeout)?;
        let inner = Mutex::new(maker.make()?);
        let single = Arc::new(Single {
            maker: maker.single(),
            made: Mutex::default(),
        });
        Ok(Self { maker, inner, single })
    }

    /// Hands records over, in order; each future resolves when its record is stored, or is not. Dropping one changes nothing.
    pub fn produce(
        &self,
        records: Vec<ToProduce>,
    ) -> impl Iterator<Item = impl Future<Output = Result<Produced, ProduceFailure>> + Send + use<>> + Send + use<>
    {
        let producer = self.usable();
        let started: Vec<_> = records
            .into_iter()
            .map(|record| (begin(&producer, &record), record))
            .collect();
        let (single, who) = (self.single.clone(), self.maker.who());
        started.into_iter().map(move |(started, record)| {
            let (producer, single, who) = (producer.clone(), single.clone(), who.clone());
            async move {
                match stored(&producer, &who, &record, started).await {
                    // A topic takes a batch or refuses it, and whoever shared it with others may be small enough.
                    Err(ProduceFailure::TooLarge { .. }) => single.send(&record).await,
                    result => result,
                }
            }
        })
    }

    /// The same, when all are through: as many results as records, in their order.
    pub async fn produce_all(&self, records: Vec<ToProduce>) -> Vec<Result<Produced, ProduceFailure>> {
        join_all(self.produce(records)).await
    }

    fn usable(&self) -> Link {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.maker.renew_if_lost(&mut inner);
        inner.clone()
    }
}

/// A second producer, whose batches hold one record each; made when it is needed first.
struct Single {
    maker: Maker,
    made: Mutex<Option<Link>>,
}

impl Single {
    async fn send(&self, record: &ToProduce) -> Result<Produced, ProduceFailure> {
        let producer = self.producer(&record.topic)?;
        let started = begin(&producer, record);
        stored(&producer, &self.maker.who(), record, started).await
    }

    fn producer(&self, topic: &str) -> Result<Link, ProduceFailure> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = made.as_mut() {
            self.maker.renew_if_lost(producer);
            return Ok(producer.clone());
        }
        let producer = self.maker.make().map_err(|error| ProduceFailure::Unavailable {
            topic: topic.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(made.insert(producer).clone())
    }
}

impl RecordProducer for KafkaProducer {
    fn send(&self, records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>> {
        Box::pin(async move {
            let records = records.into_iter().map(ToProduce::from).collect();
            for result in self.produce_all(records).await {
                result.map_err(|failure| match failure {
                    ProduceFailure::TooLarge { .. } => ProducerError::TooLarge,
                    ProduceFailure::Full => ProducerError::QuotaExceeded,
                    ProduceFailure::Unavailable { .. } => ProducerError::Unavailable(failure.to_string()),
                    _ => ProducerError::Other(failure.to_string()),
                })?;
            }
            Ok(())
        })
    }
}

impl ToProduce {
    /// Key, value and headers.
    fn bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + length(value));
        length(&self.key) + length(&self.value) + headers.sum::<usize>()
    }
}

impl From<OutgoingRecord> for ToProduce {
    fn from(record: OutgoingRecord) -> Self {
        let headers = record.headers.into_iter();
        Self {
            topic: record.topic,
            partition: record.partition.map(|one| i32::try_from(one).unwrap_or(i32::MAX)),
            key: record.key,
            value: record.value,
            headers: headers.map(|(name, value)| (Bytes::from(name), value)).collect(),
            timestamp: None,
        }
    }
}

/// What is fixed for all records of a host.
struct Limits;

impl Limits {
    /// On their way at the same time.
    const MESSAGES: u32 = 100_000;
    /// The same in KiB.
    const KIB: u32 = 64 << 10;
    /// A record waits so long for others that go with it.
    const LINGER: Duration = Duration::from_millis(2);
    /// What a record may take. A handler's record is held and its lock renewed meanwhile.
    const TIMEOUT: Duration = Duration::from_secs(30);
    /// No record is through sooner on a cluster that is far away.
    const TIMEOUT_MIN: Duration = Duration::from_secs(1);
}
