//! A stream of records into a cluster's topic. What arrives together goes together, and the next only after it, so that records of one
//! key keep their order, and after a failure nothing more is sent.

use std::time::Duration;

use bytes::Bytes;
use share_client::tools::{On, Operation};
use tokio::sync::mpsc;

use super::KafkaAdmin;
use super::error::no_topic;
use super::read::{index, number};
use crate::admin::{AdminError, ErrorCode, ProduceOutcome, ProduceResult, Record};
use crate::source::{KafkaProducer, ProduceFailure, Produced, ToProduce};

/// Records, and bytes of them, that are on their way at the same time, at most.
const AT_ONCE: usize = 1_000;
const BYTES_AT_ONCE: usize = 8 << 20;

impl KafkaAdmin {
    pub(super) async fn produce_stream(
        &self,
        topic: &str,
        patience: Duration,
        mut records: mpsc::Receiver<Record>,
        results: mpsc::Sender<ProduceResult>,
    ) -> Result<(), AdminError> {
        let count = self.client.topic(topic).await?.partitions.len();
        self.require_write(topic).await?;
        let producer = self.producer(Some(patience))?;
        let mut position = 0;
        let mut arrived = Vec::with_capacity(AT_ONCE);
        while records.recv_many(&mut arrived, AT_ONCE).await > 0 {
            let mut rest = std::mem::take(&mut arrived).into_iter();
            loop {
                let run = next_run(&mut rest);
                if run.is_empty() {
                    break;
                }
                let (outcomes, ended) = produce_some(&producer, topic, count, run).await;
                for outcome in outcomes {
                    let result = ProduceResult {
                        index: position,
                        outcome,
                    };
                    if results.send(result).await.is_err() {
                        return Ok(());
                    }
                    position += 1;
                }
                if let Some(error) = ended {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Fails if the brokers say that records would be refused.
    pub(super) async fn require_write(&self, topic: &str) -> Result<(), AdminError> {
        let known = self.client.access(&[topic]).await?;
        let may = known.get(topic).and_then(|access| access.allows(Operation::Write));
        if may == Some(false) {
            let (topic, who) = (topic.to_owned(), Box::new(self.client.who()));
            return Err(ProduceFailure::Denied { topic, who }.into());
        }
        Ok(())
    }

    /// What writes to the cluster; a record may take as long as `patience`, or as it usually does.
    pub(super) fn producer(&self, patience: Option<Duration>) -> Result<KafkaProducer, AdminError> {
        let made = match patience {
            Some(patience) => KafkaProducer::within(self.properties.get(), patience),
            None => KafkaProducer::new(self.properties.get()),
        };
        made.map_err(|error| AdminError::new(ErrorCode::Invalid, error.to_string()))
    }
}

/// Neighbours that are not too many together; none at the end.
fn next_run(rest: &mut impl Iterator<Item = Record>) -> Vec<Record> {
    let len = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
    let mut bytes = 0;
    let mut run = Vec::new();
    while bytes < BYTES_AT_ONCE {
        let Some(record) = rest.next() else { break };
        let headers = record.headers.iter().map(|one| one.name.len() + len(&one.value));
        bytes += len(&record.key) + len(&record.value) + headers.sum::<usize>();
        run.push(record);
    }
    run
}

/// What became of each, in order, and whether the stream ends with it: nothing that came later was sent.
async fn produce_some(
    producer: &KafkaProducer,
    topic: &str,
    count: usize,
    records: Vec<Record>,
) -> (Vec<ProduceOutcome>, Option<AdminError>) {
    let no_partition = |wanted: u32| {
        let message = format!("topic {topic} has no partition {wanted}, it has {count}");
        AdminError::new(ErrorCode::Invalid, message)
    };
    let unfit = |record: &Record| record.partition.filter(|wanted| *wanted as usize >= count);
    let unfit: Vec<Option<u32>> = records.iter().map(unfit).collect();
    let fit = records.into_iter().zip(&unfit).filter(|(_, unfit)| unfit.is_none());
    let sent = producer.produce_all(fit.map(|(record, _)| to_produce(topic, record)).collect());
    let mut stored = sent.await.into_iter();
    let mut outcomes = Vec::with_capacity(unfit.len());
    let mut ended = None;
    for unfit in unfit {
        let stored = match unfit {
            Some(wanted) => Err(no_partition(wanted)),
            None => match stored.next() {
                Some(Err(failure)) => {
                    let is_final = !failure.may_pass();
                    let error = AdminError::from(failure);
                    if !is_final && ended.is_none() {
                        ended = Some(ends(error.clone()));
                    }
                    Err(error)
                }
                Some(Ok(produced)) => Ok(produced),
                None => Err(AdminError::new(ErrorCode::Internal, "a record without a result")),
            },
        };
        outcomes.push(match stored {
            Ok(Produced { partition, offset }) => ProduceOutcome::Stored {
                partition: number(partition),
                offset: u64::try_from(offset).unwrap_or(0),
            },
            Err(error) => ProduceOutcome::Refused { error },
        });
    }
    (outcomes, ended)
}

/// The code that says: what has no result was not stored.
fn ends(error: AdminError) -> AdminError {
    AdminError {
        code: ErrorCode::Full,
        ..error
    }
}

fn to_produce(topic: &str, record: Record) -> ToProduce {
    let headers = record.headers.into_iter();
    ToProduce {
        topic: topic.to_owned(),
        partition: record.partition.map(index),
        key: record.key,
        value: record.value,
        headers: headers.map(|header| (Bytes::from(header.name), header.value)).collect(),
        timestamp: record.timestamp,
    }
}

impl From<ProduceFailure> for AdminError {
    fn from(failure: ProduceFailure) -> Self {
        let text = failure.to_string();
        match failure {
            ProduceFailure::TooLarge { .. } => Self::new(ErrorCode::TooLarge, text)
                .hint("keep what is large in a file, and send where it lies; or raise the limit here and at the topic"),
            ProduceFailure::Missing { topic } => Self::new(ErrorCode::NotFound, text).hint(no_topic(&topic)),
            ProduceFailure::Denied { topic, who } => {
                let message = format!("{who} may not write to topic {topic}");
                let command = who.grant(&[Operation::Write], On::Topics(&[&topic]));
                Self::new(ErrorCode::Denied, message).hint(format!("whoever may, allows it by: {command}"))
            }
            ProduceFailure::Refused { .. } => Self::new(ErrorCode::Invalid, text),
            _ => Self::new(ErrorCode::Unavailable, text),
        }
    }
}
