//! A transaction of a producer on a Kafka cluster, in the requests that make it.

use share_client::admin::{At, Isolation};
use share_wire::kafka::{
    EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, ProducerId, StrBytes, TransactionalId,
};
use share_wire::records::NewBatch;

use super::case::New;
use super::kafka::{Kafka, produce_request};
use super::until;

/// One that is open.
pub struct Transaction<'a> {
    kafka: &'a Kafka,
    topic: String,
    id: TransactionalId,
    producer: ProducerId,
    epoch: i16,
    sequence: i32,
}

impl<'a> Transaction<'a> {
    /// By a producer of its own.
    pub(super) async fn begin(kafka: &'a Kafka, topic: &str) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = TransactionalId(StrBytes::from_string(format!("{topic}-{number}")));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id.clone()))
            .with_transaction_timeout_ms(60_000);
        // The topic of transactions is made for whoever looks for their coordinator.
        let search = FindCoordinatorRequest::default()
            .with_key_type(1)
            .with_coordinator_keys(vec![id.0.clone()]);
        let producer = until("a producer id", async || {
            kafka.any().await.call(&search).await.ok()?;
            let answer = kafka.any().await.call(&request).await.ok()?;
            (answer.error_code == 0).then_some(answer)
        })
        .await;
        Self {
            kafka,
            topic: topic.to_owned(),
            id,
            producer: producer.producer_id,
            epoch: producer.producer_epoch,
            sequence: 0,
        }
    }

    /// One batch to partition 0.
    pub async fn produce(&mut self, values: &[&str]) {
        let batch = NewBatch {
            producer_id: self.producer.0,
            producer_epoch: self.epoch,
            base_sequence: self.sequence,
            is_transactional: true,
            ..NewBatch::default()
        };
        let records: Vec<_> = values.iter().map(|value| New::text(value)).collect();
        let request = produce_request(&self.topic, 0, &records, &batch, Some(&self.id));
        let mut said = 0;
        until("the transaction takes records", async || {
            let answer = self.kafka.any().await.call(&request).await.ok()?;
            said = answer.responses[0].partition_responses[0].error_code;
            (said == 0).then_some(())
        })
        .await;
        self.sequence += i32::try_from(values.len()).unwrap();
    }

    /// Ends it, and waits until its marker stands in the partition.
    pub async fn end(self, committed: bool) {
        let before = self.latest(Isolation::Uncommitted).await;
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(self.producer)
            .with_producer_epoch(self.epoch)
            .with_committed(committed);
        until("the transaction ends", async || {
            let answer = self.kafka.any().await.call(&request).await.ok()?;
            (answer.error_code == 0).then_some(())
        })
        .await;
        until("the marker is written", async || {
            (self.latest(Isolation::Uncommitted).await > before).then_some(())
        })
        .await;
    }

    async fn latest(&self, isolation: Isolation) -> u64 {
        let offsets = self.kafka.admin.offsets(&self.topic, At::Latest, isolation).await;
        offsets.unwrap()[&0].offset.unwrap()
    }
}
