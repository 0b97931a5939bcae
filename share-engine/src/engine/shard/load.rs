//! What has left memory: reads of partition logs that are asked for, and what comes of them. A place that cannot be read
//! stops the share partitions that need it, and nobody else; it is told, shown, and tried again.

use std::time::Duration;

use super::Shard;
use super::message::{Loaded, Overtaken, ReadFor, ToReader};
use crate::ids::{Offset, OffsetRange, PartitionKey};
use crate::log::LogError;
use crate::time::{Instant, Now};

/// After which time a place that could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(10);

impl Shard {
    /// Asks the reader for what is needed from `from` on.
    pub(super) fn read_ahead(&mut self, key: PartitionKey, from: Offset) {
        let Some(partition) = self.world.partitions.get_mut(&key) else {
            return;
        };
        let Some(log) = partition.log.clone() else { return };
        if partition.is_loading() {
            return;
        }
        let careful = partition.begin_read(from);
        let max_bytes = if careful {
            1
        } else {
            self.config.limits.read_ahead_bytes
        };
        self.reader.post(ToReader::Read {
            log,
            from,
            max_bytes,
            answer: ReadFor::Shard {
                partition: key,
                careful,
            },
        });
    }

    pub(super) fn handle_loaded(&mut self, loaded: Loaded, now: Now) {
        let key = loaded.partition;
        let Some(partition) = self.world.partitions.get_mut(&key) else {
            // Its topic was deleted meanwhile.
            self.refuse_reading(key, None, "the topic was deleted");
            self.resume_blocked(key, Some(OffsetRange::ALL), now);
            return;
        };
        let stale = partition.log.as_ref().is_none_or(|log| !log.is_as_old_as(&loaded.log));
        let error = match loaded.result {
            // What was drained meanwhile is no hole.
            Ok(batches) if batches.is_empty() && stale => {
                partition.end_read(false);
                self.read_again(key, now);
                return;
            }
            Ok(batches) => {
                partition.loaded(loaded.from, batches, loaded.from, self.config.limits.read_ahead_bytes);
                self.read_again(key, now);
                return;
            }
            Err(error) => error,
        };
        if error.is_missing_file() {
            if stale {
                partition.end_read(false);
                self.read_again(key, now);
                return;
            }
            // The drain under way may have dropped the segment; its end brings a new list.
            if self.upkeep.draining {
                self.upkeep.rereads.push(key);
                return;
            }
        }
        if loaded.careful {
            self.fail_log(key, loaded.from, &error, now);
        } else {
            // Somewhere within a long read: what lies before is still good.
            partition.end_read(true);
            self.read_again(key, now);
        }
    }

    /// A caller's read missed a file. With a new list it is read anew; with the same one the file is gone.
    pub(super) fn handle_overtaken(&mut self, overtaken: Overtaken) {
        let caller = &overtaken.caller;
        let key = self.find_partition(&caller.topic, caller.partition).ok();
        let partition = key.and_then(|key| self.world.partitions.get(&key));
        let log = partition.and_then(|partition| partition.log.as_ref());
        if log.is_none_or(|log| !log.is_as_old_as(&overtaken.log)) {
            self.read(overtaken.caller, overtaken.from, overtaken.max_bytes);
        } else if self.upkeep.draining {
            // As above.
            self.upkeep.overtaken.push(overtaken);
        } else {
            drop(overtaken.caller.reply.send(Err(overtaken.error)));
        }
    }

    /// Damage is never served and never skipped: who needs this place waits until it is mended.
    fn fail_log(&mut self, key: PartitionKey, from: Offset, error: &LogError, now: Now) {
        let reason = error.to_string();
        if let Some(partition) = self.world.partitions.get_mut(&key) {
            self.stats.log_failure(&format!(
                "topic {:?} partition {} cannot be read from offset {from} on: {reason}",
                partition.topic, partition.index
            ));
            partition.fail_at(from, reason.clone(), now.monotonic.after(AGAIN));
            self.changed.extend(&partition.shares);
        }
        self.refuse_reading(key, Some(from), &reason);
        self.resume_blocked(key, Some(OffsetRange::single(from)), now);
        self.resume_admin(key, now);
    }

    /// Whoever waits for a read of a log has another look.
    fn read_again(&mut self, key: PartitionKey, now: Now) {
        if let Some(partition) = self.world.partitions.get(&key) {
            self.changed.extend(&partition.shares);
        }
        self.resume_blocked(key, None, now);
        self.resume_admin(key, now);
    }

    /// A drain has ended: reads that it may have overtaken are asked for with the new list.
    pub(super) fn reread(&mut self, now: Now) {
        for key in std::mem::take(&mut self.upkeep.rereads) {
            if let Some(partition) = self.world.partitions.get_mut(&key) {
                partition.end_read(false);
            }
            self.read_again(key, now);
        }
        for overtaken in std::mem::take(&mut self.upkeep.overtaken) {
            self.handle_overtaken(overtaken);
        }
    }

    /// Places that could not be read are tried again after a while.
    pub(super) fn look_again(&mut self, now: Instant) {
        let partitions = self.world.partitions.values();
        for partition in partitions.filter(|partition| partition.may_be_mended(now)) {
            self.changed.extend(&partition.shares);
        }
    }
}
