//! The embedded engine as a source: one member of one share group on one topic, and the producer that goes with it.
//! Adds nothing to the engine's answers but the host's names for them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use share_engine::engine::{self, AcquireMode, EmitRecord, Engine, Member, Outcome, Refusal};
use share_engine::error::{AdminError, ProduceError};
use share_engine::ids::{LeaseKey, MemberIndex};
use share_engine::record::{Header, NewRecord};

use super::{
    Backlog, BoxFuture, Credit, Delivery, Payload, RefusedBy, RenewResult, SettleResult, Settlement, Source,
    SourceError, SourceEvent, Verdict,
};
use crate::handler::{OutgoingRecord, ProducerError};
use crate::lane::RecordProducer;

/// A member of a share group of the embedded engine.
pub struct EmbeddedSource {
    engine: Engine,
    member: Member,
    topic: Arc<str>,
}

impl EmbeddedSource {
    /// Joins a group that exists and reads the topic.
    pub async fn join(engine: Engine, group: &str, topic: &str) -> Result<Self, AdminError> {
        let member = engine.join(group, &[topic]).await?;
        let topic = Arc::from(topic);
        Ok(Self { engine, member, topic })
    }

    /// Its number, under which the engine names it as holder of records.
    pub fn member(&self) -> MemberIndex {
        self.member.index()
    }
}

impl Source for EmbeddedSource {
    fn acquire(&self, credit: Credit) -> BoxFuture<'_, Result<Vec<Delivery>, SourceError>> {
        Box::pin(async move {
            loop {
                let acquired = self
                    .member
                    .acquire(credit.records, credit.bytes, AcquireMode::RecordLimit)
                    .await;
                let deliveries = acquired.map_err(source_error)?;
                if !deliveries.is_empty() {
                    return Ok(deliveries.into_iter().map(delivery).collect());
                }
            }
        })
    }

    fn settle(&self, batch: Vec<Settlement>) -> BoxFuture<'_, Vec<SettleResult>> {
        let settlements = batch.into_iter().map(settlement).collect();
        Box::pin(async move {
            self.member
                .settle(settlements)
                .await
                .into_iter()
                .map(settle_result)
                .collect()
        })
    }

    fn renew(&self, leases: Vec<LeaseKey>) -> BoxFuture<'_, Vec<RenewResult>> {
        Box::pin(async move {
            let results = self.member.renew(leases).await;
            results
                .into_iter()
                .map(|result| match result {
                    Ok(deadline) => RenewResult::Until(deadline),
                    Err(Refusal::InTransition(_)) => RenewResult::Unavailable,
                    Err(_) => RenewResult::Lost,
                })
                .collect()
        })
    }

    /// The engine tells of a lost lease when it is renewed or settled, and of its own end when it is asked for records.
    fn event(&self) -> BoxFuture<'_, SourceEvent> {
        Box::pin(std::future::pending())
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Backlog, SourceError>> {
        Box::pin(async move {
            let group = self
                .engine
                .describe_group(self.member.group())
                .await
                .map_err(source_error)?;
            let mut backlog = Backlog::default();
            for part in group.partitions.iter().filter(|part| part.topic == *self.topic) {
                backlog.available += part.available + part.struck;
                backlog.acquired += part.acquired;
                backlog.parked += part.parked;
                let due = part.next_due_millis.map(Duration::from_millis);
                backlog.next_due = backlog.next_due.into_iter().chain(due).min();
            }
            Ok(backlog)
        })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Nothing is lost if the engine is closed already: it released everything then.
            let _ = self.member.clone().leave().await;
        })
    }
}

/// Produces to the embedded engine for handlers that `send`.
pub struct EmbeddedProducer {
    engine: Engine,
}

impl EmbeddedProducer {
    /// For all deployments of a host.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

impl RecordProducer for EmbeddedProducer {
    fn send(&self, records: Vec<OutgoingRecord>) -> BoxFuture<'_, Result<(), ProducerError>> {
        Box::pin(async move {
            for record in records {
                let (topic, partition) = (record.topic.clone(), record.partition);
                let results = self.engine.produce(&topic, partition, vec![new_record(record)]).await;
                results
                    .into_iter()
                    .try_for_each(|result| result.map(|_| ()))
                    .map_err(producer_error)?;
            }
            Ok(())
        })
    }
}

fn delivery(delivery: engine::Delivery) -> Delivery {
    let batch = delivery.batch();
    let appended_at = batch.appended_at().unwrap_or(batch.max_timestamp());
    let payload = Payload::Batch {
        batch: delivery.batch().clone(),
        position: delivery.position(),
    };
    Delivery {
        lease: delivery.lease,
        topic: delivery.topic,
        partition: delivery.partition,
        lease_deadline: delivery.deadline,
        attempt_age: delivery.attempt_age,
        acquired_at: delivery.handed_out_at,
        appended_at,
        checkpoint: delivery.checkpoint,
        payload,
    }
}

fn settlement(settlement: Settlement) -> engine::Settlement {
    let Settlement {
        lease,
        verdict,
        emitted,
        evidence,
    } = settlement;
    let note = || evidence.as_ref().map(|evidence| evidence.note());
    let outcome = match verdict {
        Verdict::Accept => Outcome::Accept {
            emit: emitted.into_iter().map(emit_record).collect(),
        },
        Verdict::Release { delay } => Outcome::Release {
            after: Some(delay).filter(|one| !one.is_zero()),
            reason: note(),
        },
        Verdict::Reject => Outcome::Reject { reason: note() },
        Verdict::Park { delay, checkpoint } => Outcome::Renew {
            after: delay,
            checkpoint,
        },
        Verdict::Untouched => Outcome::GiveBack,
        // The same attempt goes on: its count is not raised by the next acquisition.
        Verdict::GiveBack { delay } => Outcome::Renew {
            after: delay,
            checkpoint: None,
        },
    };
    engine::Settlement {
        lease,
        outcome,
        evidence: evidence.map(|evidence| Box::new((*evidence).into())),
    }
}

fn emit_record(record: OutgoingRecord) -> EmitRecord {
    EmitRecord {
        topic: record.topic.clone(),
        partition: record.partition,
        record: new_record(record),
    }
}

fn new_record(record: OutgoingRecord) -> NewRecord {
    let header = |(name, value): (String, Option<Bytes>)| Header {
        name: Bytes::from(name),
        value,
    };
    NewRecord {
        key: record.key,
        value: record.value,
        headers: record.headers.into_iter().map(header).collect(),
        timestamp: None,
    }
}

fn settle_result(result: share_engine::error::SettleResult) -> SettleResult {
    use share_engine::error::SettleResult as Engine;
    match result {
        Engine::Applied => SettleResult::Applied,
        Engine::Stale => SettleResult::Stale,
        Engine::Refused(refused) => SettleResult::Refused {
            by: match refused.by {
                share_engine::error::RefusedBy::TopicFull => RefusedBy::TargetFull,
                share_engine::error::RefusedBy::Never => RefusedBy::Never,
                _ => RefusedBy::Backend,
            },
            reason: refused.reason,
        },
        _ => SettleResult::Unknown,
    }
}

fn source_error(error: AdminError) -> SourceError {
    match error {
        AdminError::Closed => SourceError::Closed,
        AdminError::Refused(reason) => SourceError::Unavailable(reason),
        other => SourceError::Failed(other.to_string()),
    }
}

fn producer_error(error: ProduceError) -> ProducerError {
    match error {
        ProduceError::Record(_) | ProduceError::RecordTooLarge { .. } | ProduceError::EntryTooLarge { .. } => {
            ProducerError::TooLarge
        }
        ProduceError::TopicFull { .. } | ProduceError::JournalFull { .. } => ProducerError::QuotaExceeded,
        ProduceError::Fenced(_) | ProduceError::Closed => ProducerError::Unavailable(error.to_string()),
        other => ProducerError::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
    use share_engine::config::{EngineConfig, GroupConfig, TopicConfig};
    use share_engine::engine::SystemClock;
    use share_engine::time::{Clock as _, WallTime};

    use super::*;

    #[tokio::test]
    async fn no_producer_says_when_its_record_was_appended() {
        let directory = tempfile::TempDir::new().unwrap();
        let (engine, _) = Engine::open(directory.path(), EngineConfig::default()).unwrap();
        engine.create_topic("t", TopicConfig::default()).await.unwrap();
        engine.create_group("g", GroupConfig::default()).await.unwrap();
        engine.subscribe("g", "t").await.unwrap();
        let source = EmbeddedSource::join(engine.clone(), "g", "t").await.unwrap();
        let before = SystemClock.now().wall;
        for millis in [1_000, 10_000_000_000_000] {
            let record = NewRecord {
                timestamp: Some(WallTime::from_millis(millis)),
                ..NewRecord::default()
            };
            assert!(engine.produce("t", None, vec![record]).await[0].is_ok());
        }
        let credit = Credit {
            records: 2,
            bytes: 1 << 20,
        };
        let mut deliveries = Vec::new();
        while deliveries.len() < 2 {
            deliveries.extend(source.acquire(credit).await.unwrap());
        }
        let after = SystemClock.now().wall;
        for delivery in deliveries {
            assert!((before..=after).contains(&delivery.appended_at), "{delivery:?}");
        }
        engine.close().await.unwrap();
    }
}
