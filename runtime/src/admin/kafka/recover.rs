//! Copies of records that a group has given up, in another topic: key, value, headers and timestamp as they are.

use super::KafkaAdmin;
use super::archived::Found;
use super::read::{Taken, number};
use crate::admin::{AdminError, RecoverFailure, RecoverRequest, RecoverResult};
use crate::source::{KafkaProducer, ToProduce};

/// Records and bytes that are copied together: after a failure as many may follow it.
const AT_ONCE: usize = 500;
const BYTES_AT_ONCE: usize = 4 << 20;

/// Records that wait to be copied, of one partition.
#[derive(Default)]
struct Chunk {
    records: Vec<Taken>,
    bytes: usize,
}

impl KafkaAdmin {
    pub(super) async fn copy_archived(
        &self,
        group: &str,
        request: RecoverRequest,
    ) -> Result<RecoverResult, AdminError> {
        let RecoverRequest { query, to } = request;
        // Says that it is not there, or may not be written, before anything is read.
        self.client.topic(&to).await?;
        self.require_write(&to).await?;
        let shares = self.given_up(group, &query).await?;
        let producer = self.producer(None)?;
        let mut result = RecoverResult::default();
        for mut given_up in shares {
            result.forgotten.extend(given_up.forgotten.take());
            loop {
                let mut chunk = Chunk::default();
                let mut end = None;
                while end.is_none() && chunk.records.len() < AT_ONCE && chunk.bytes < BYTES_AT_ONCE {
                    match given_up.next().await {
                        Ok(Some(Found { record: None, .. })) => result.gone += 1,
                        Ok(Some(Found {
                            record: Some(record), ..
                        })) => {
                            chunk.bytes += record.size();
                            chunk.records.push(record);
                        }
                        Ok(None) => end = Some(Ok(())),
                        Err(error) => end = Some(Err(error)),
                    }
                }
                copy(&producer, &given_up.topic, &to, chunk.records, &mut result).await;
                let is_over = end.is_some();
                if let Some(Err(error)) = end {
                    if result.recovered == 0 && result.failed.is_empty() {
                        return Err(error);
                    }
                    // How many were copied is told all the same.
                    result.failed.push(RecoverFailure {
                        topic: given_up.topic.clone(),
                        partition: number(given_up.partition),
                        offset: given_up.position(),
                        error,
                    });
                }
                if !result.failed.is_empty() {
                    return Ok(result);
                }
                if is_over {
                    break;
                }
            }
        }
        Ok(result)
    }
}

async fn copy(producer: &KafkaProducer, from: &str, to: &str, records: Vec<Taken>, result: &mut RecoverResult) {
    let places: Vec<(i32, u64)> = records.iter().map(|one| (one.partition, one.offset)).collect();
    let copies = records.into_iter().map(|one| ToProduce {
        topic: to.to_owned(),
        partition: None,
        key: one.key,
        value: one.value,
        headers: one.headers,
        timestamp: Some(one.timestamp),
    });
    let stored = producer.produce_all(copies.collect()).await;
    for ((partition, offset), stored) in places.into_iter().zip(stored) {
        match stored {
            Ok(_) => result.recovered += 1,
            Err(failure) => result.failed.push(RecoverFailure {
                topic: from.to_owned(),
                partition: number(partition),
                offset,
                error: failure.into(),
            }),
        }
    }
}
