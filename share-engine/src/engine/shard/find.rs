//! Where a group begins: at the first record, behind the last, or at the first that is young enough. The last is looked for
//! in the log by the reader, since the shard never reads a file; other changes of the catalog wait meanwhile.

use super::admin::Reply;
use super::message::{AdminRequest, Found, ToReader};
use super::{Partition, Shard};
use crate::config::Start;
use crate::engine::reset::{ResetGroup, ResetTo};
use crate::error::AdminError;
use crate::ids::{Offset, PartitionKey};
use crate::log::LogReader;
use crate::time::{Now, WallTime};

impl Shard {
    /// The logs that have to be looked into before a request can be dealt with.
    pub(super) fn young_wanted(&self, request: &AdminRequest, now: Now) -> Vec<(PartitionKey, LogReader, WallTime)> {
        let (keys, millis) = match request {
            AdminRequest::Subscribe { group, topic } => {
                let start = self.world.catalog.group(group).map(|group| group.config.start);
                let (Some(Start::ByDuration(millis)), Some(topic)) = (start, self.world.catalog.topic(topic)) else {
                    return Vec::new();
                };
                (topic.partitions.clone(), millis)
            }
            AdminRequest::ResetGroup(
                reset @ ResetGroup {
                    to: ResetTo::Start(Start::ByDuration(millis)),
                    ..
                },
            ) => {
                let shares = self.plan_reset(reset).unwrap_or_default();
                let partition = |key| Some(self.world.shares.get(&key)?.partition);
                (shares.into_iter().filter_map(partition).collect(), *millis)
            }
            _ => return Vec::new(),
        };
        let at = before(now, millis);
        let partitions = keys.iter().filter_map(|key| self.world.partitions.get(key));
        let unknown = partitions.filter(|partition| !self.is_found(partition));
        unknown
            .filter_map(|partition| Some((partition.key, partition.log.clone()?, at)))
            .collect()
    }

    /// Whether what was found still holds: a log that has changed since may have taken up what was in memory.
    fn is_found(&self, partition: &Partition) -> bool {
        let (Some(found), Some(log)) = (self.found.get(&partition.key), &partition.log) else {
            return false;
        };
        let overtaken = matches!(&found.result, Err(error) if error.is_missing_file()) || found.result.is_ok();
        !overtaken || found.log.is_as_old_as(log)
    }

    /// Has the reader look; the request goes on when it has.
    pub(super) fn find_young(
        &mut self,
        wanted: Vec<(PartitionKey, LogReader, WallTime)>,
        request: AdminRequest,
        reply: Reply,
    ) {
        self.catalog_busy = true;
        self.finding = Some((request, reply));
        self.reader.post(ToReader::Find(wanted));
    }

    pub(super) fn handle_found(&mut self, found: Vec<Found>, now: Now) {
        let Some((request, reply)) = self.finding.take() else {
            return;
        };
        self.catalog_busy = false;
        self.found.extend(found.into_iter().map(|one| (one.partition, one)));
        self.administer(request, reply, now);
        if self.finding.is_none() {
            self.found.clear();
        }
        self.next_change(now);
    }

    /// Where a group begins on a partition.
    pub(super) fn start_offset(&self, key: PartitionKey, start: Start, now: Now) -> Result<Offset, AdminError> {
        let Some(partition) = self.world.partitions.get(&key) else {
            return Ok(Offset::ZERO);
        };
        let millis = match start {
            Start::Earliest => return Ok(partition.start),
            Start::Latest => return Ok(partition.end),
            Start::ByDuration(millis) => millis,
        };
        // Damage is not taken for the end of the log.
        let in_log = match self.found.get(&key).map(|found| &found.result) {
            Some(Ok(offset)) => *offset,
            Some(Err(error)) => return Err(AdminError::Log(error.to_string())),
            None => None,
        };
        let found = in_log.or_else(|| young_in_memory(partition, before(now, millis)));
        Ok(found.unwrap_or(partition.end).max(partition.start))
    }
}

fn young_in_memory(partition: &Partition, at: WallTime) -> Option<Offset> {
    let mut batches = partition.window.since(partition.start);
    let batch = batches.find(|batch| batch.max_timestamp() >= at)?;
    let mut records = batch.records().filter_map(Result::ok);
    let young = records.find(|(view, _)| view.timestamp >= at);
    young.map(|(view, _)| view.offset)
}

/// So many milliseconds ago.
fn before(now: Now, millis: u64) -> WallTime {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    WallTime::from_millis(now.wall.as_millis().saturating_sub(millis))
}
