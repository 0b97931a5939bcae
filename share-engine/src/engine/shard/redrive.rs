//! Redrive: a dead letter goes back to its topic and is acknowledged, in one journal entry.

use super::admin::{Continuation, Reply};
use super::letter::copy_record;
use super::message::AdminRequest;
use super::{Pending, Shard, Then};
use crate::catalog::CatalogError;
use crate::engine::message::{Admission, Append, Operation};
use crate::error::AdminError;
use crate::ids::{Offset, PartitionKey, ShareKey};
use crate::letter::original;
use crate::record::{NewRecord, RecordLimits, Walk, encode_batch};
use crate::time::Now;

impl Shard {
    /// One entry: the record goes back to its topic and the dead letter is acknowledged.
    pub(super) fn redrive(
        &mut self,
        topic: &str,
        partition: u32,
        offset: Offset,
        reply: Reply,
        now: Now,
    ) -> Result<(), (AdminError, Reply)> {
        match self.plan_redrive(topic, partition, offset, now) {
            Ok(Redrive::Go { share, append }) => {
                let Some(entry) = self.world.shares.get_mut(&share) else {
                    return Ok(());
                };
                let settled = entry.state.conclude(offset, now);
                let Some(transition) = settled.transition else {
                    let missing = AdminError::NoDeadLetter {
                        topic: topic.to_owned(),
                        offset: offset.get(),
                    };
                    return Err((missing, reply));
                };
                let operations = vec![
                    Operation::Share {
                        share,
                        changes: settled.changes,
                    },
                    Operation::Append(append),
                ];
                self.catalog_busy = true;
                let then = Then::Admin(Continuation { reply, catalog: true });
                self.submit(operations, Pending::new(vec![(share, transition)], then));
                Ok(())
            }
            Ok(Redrive::Read(key)) => {
                let request = AdminRequest::Redrive {
                    topic: topic.to_owned(),
                    partition,
                    offset,
                };
                self.reading_admin.push((key, request, reply));
                self.read_ahead(key, offset);
                Ok(())
            }
            Err(error) => Err((error, reply)),
        }
    }

    fn plan_redrive(&self, topic: &str, partition: u32, offset: Offset, now: Now) -> Result<Redrive, AdminError> {
        let unknown = || AdminError::from(CatalogError::UnknownTopic(topic.to_owned()));
        let dead = self.world.catalog.topic(topic).ok_or_else(unknown)?;
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let no_partition = || AdminError::UnknownPartition {
            topic: topic.to_owned(),
            partition,
        };
        let key = *dead.partitions.get(index).ok_or_else(no_partition)?;
        let missing = || AdminError::NoDeadLetter {
            topic: topic.to_owned(),
            offset: offset.get(),
        };
        let group = self.world.catalog.group(&redrive_group(topic)).ok_or_else(missing)?;
        let share = *group
            .topics
            .get(topic)
            .and_then(|shares| shares.get(index))
            .ok_or_else(missing)?;
        let held = self.world.partitions.get(&key).ok_or_else(missing)?;
        let Some(batch) = held.find(offset) else {
            return if held.is_cold(offset) {
                Ok(Redrive::Read(key))
            } else {
                Err(missing())
            };
        };
        let letter = copy_record(&mut Walk::new(batch), offset).ok_or_else(missing)?;
        let target = self.target(&letter);
        let record = original(letter).ok_or_else(|| {
            let reason = format!("the dead letter at offset {offset} holds no record, only what is known of it");
            AdminError::Refused(reason)
        })?;
        let target = target.ok_or_else(missing)?;
        let limits = RecordLimits {
            record_bytes: RecordLimits::MAX_BATCH_BYTES,
            batch_bytes: RecordLimits::MAX_BATCH_BYTES,
        };
        let batch =
            encode_batch(&[record], now.wall, limits).map_err(|error| AdminError::Refused(error.to_string()))?;
        Ok(Redrive::Go {
            share,
            append: Append {
                partition: target,
                batch,
                records: 1,
                admission: Admission::Always,
            },
        })
    }

    /// Where the record came from.
    fn target(&self, letter: &NewRecord) -> Option<PartitionKey> {
        let text = |name: &str| {
            let header = letter
                .headers
                .iter()
                .find(|header| header.name.as_ref() == name.as_bytes())?;
            String::from_utf8(header.value.as_ref()?.to_vec()).ok()
        };
        let topic = self.world.catalog.topic(&text("__dlq.errors.topic")?)?;
        let index: usize = text("__dlq.errors.partition")?.parse().ok()?;
        let partition = index.checked_rem(topic.partitions.len())?;
        topic.partitions.get(partition).copied()
    }
}

enum Redrive {
    Go { share: ShareKey, append: Append },
    Read(PartitionKey),
}

/// The group that hands a dead-letter topic's records out for redrive.
pub fn redrive_group(topic: &str) -> String {
    format!("__redrive.{topic}")
}
