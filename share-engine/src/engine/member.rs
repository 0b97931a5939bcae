//! A member of a share group: acquires, settles, extends, leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::delivery::{Delivery, spread};
use super::handle::Inner;
use super::reply::reply;
use super::settlement::{EmitRecord, Outcome, Settlement};
use super::shard::{EmitBatch, Request, SettleItem, ToShard};
use crate::config::{CHECKPOINT_BYTES, NOTE_BYTES};
use crate::error::{AdminError, ProduceError, RefusedBy, RefusedSettlement, SettleResult};
use crate::ids::{LeaseKey, MemberIndex, PartitionKey};
use crate::letter::clip;
use crate::record::{NewRecord, RecordLimits, encode_batch};
use crate::share::{AcquireMode, MAX_CHECKPOINT_BYTES, MAX_NOTE_BYTES, Refusal, Verdict};
use crate::time::Instant;

/// A member of a share group. Cheap to clone; all clones are the same member.
#[derive(Clone)]
pub struct Member {
    inner: Arc<Inner>,
    index: MemberIndex,
    group: Arc<str>,
}

impl Member {
    pub(super) fn new(inner: Arc<Inner>, index: MemberIndex, group: Arc<str>) -> Self {
        Self { inner, index, group }
    }

    /// The group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The member's number, unique in one run of the engine.
    pub fn index(&self) -> MemberIndex {
        self.index
    }

    /// Waits until at least one record can be had and takes up to `max_records` (more in
    /// [`AcquireMode::BatchOptimized`], which gives whole batches), over all partitions at most `max_bytes` bytes as they lie
    /// in the log; the first record, or batch, may be larger. The acquisition is durable when it returns. Dropping the future gives back what was acquired. Of up to four calls at once the
    /// first is served first; one more gets nothing.
    pub async fn acquire(
        &self,
        max_records: u32,
        max_bytes: u64,
        mode: AcquireMode,
    ) -> Result<Vec<Delivery>, AdminError> {
        let (sender, answer) = reply();
        let request = Request::Acquire {
            member: self.index,
            max_records,
            max_bytes,
            mode,
            reply: sender,
        };
        self.inner.counter.shard.post(ToShard::Request(Box::new(request)));
        let consignment = answer.await.unwrap_or(Err(AdminError::Closed))?;
        Ok(consignment
            .map(|consignment| spread(consignment.accept()))
            .unwrap_or_default())
    }

    /// Settles deliveries; durable when it returns. One result for each, in order; one never affects another.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Vec<SettleResult> {
        let mut results = vec![SettleResult::Unknown; settlements.len()];
        let mut items = Vec::with_capacity(settlements.len());
        let mut slots = Vec::with_capacity(settlements.len());
        for (slot, settlement) in settlements.into_iter().enumerate() {
            match self.item(settlement) {
                Ok(item) => {
                    items.push(item);
                    slots.push(slot);
                }
                Err(error) => {
                    if let Some(place) = results.get_mut(slot) {
                        *place = SettleResult::Refused(error);
                    }
                }
            }
        }
        let (sender, answer) = reply();
        self.inner
            .counter
            .shard
            .post(ToShard::Request(Box::new(Request::Settle { items, reply: sender })));
        for (slot, result) in slots.into_iter().zip(answer.await.unwrap_or_default()) {
            if let Some(place) = results.get_mut(slot) {
                *place = result;
            }
        }
        results
    }

    /// Extends leases by another lock duration from now; returns the new deadlines. Not durable: a lease is void
    /// after a restart anyway.
    pub async fn renew(&self, leases: Vec<LeaseKey>) -> Vec<Result<Instant, Refusal>> {
        let stale: Vec<_> = leases.iter().map(|lease| Err(Refusal::Stale(lease.offset))).collect();
        let (sender, answer) = reply();
        self.inner
            .counter
            .shard
            .post(ToShard::Request(Box::new(Request::Extend { leases, reply: sender })));
        answer.await.unwrap_or(stale)
    }

    /// Leaves the group; what is still held becomes available at once.
    pub async fn leave(self) -> Result<(), AdminError> {
        let (sender, answer) = reply();
        let request = Request::Leave {
            member: self.index,
            reply: sender,
        };
        self.inner.counter.shard.post(ToShard::Request(Box::new(request)));
        answer.await.unwrap_or(Err(AdminError::Closed))
    }

    fn item(&self, settlement: Settlement) -> Result<SettleItem, RefusedSettlement> {
        let limit = self.inner.config.limits.note_bytes;
        let (verdict, emit) = match settlement.outcome {
            Outcome::Accept { emit } => (Verdict::Accept, self.encode_emit(emit).map_err(unfit)?),
            Outcome::Release { after, reason } => (
                Verdict::Release {
                    after,
                    note: reason.map(|reason| clip(&reason, limit)),
                },
                Vec::new(),
            ),
            Outcome::Reject { reason } => (
                Verdict::Reject {
                    note: reason.map(|reason| clip(&reason, limit)),
                },
                Vec::new(),
            ),
            Outcome::Renew { after, checkpoint } => {
                let size = checkpoint.as_ref().map_or(0, Bytes::len);
                let limit = self.inner.config.limits.checkpoint_bytes;
                if size > limit {
                    return Err(RefusedSettlement {
                        by: RefusedBy::Never,
                        reason: Refusal::TooLarge { size, limit }.to_string(),
                    });
                }
                (Verdict::Renew { after, checkpoint }, Vec::new())
            }
            Outcome::GiveBack => (Verdict::GiveBack, Vec::new()),
        };
        Ok(SettleItem {
            lease: settlement.lease,
            verdict,
            emit,
            evidence: settlement.evidence,
        })
    }

    /// One batch for each partition, in the order of the records.
    fn encode_emit(&self, emit: Vec<EmitRecord>) -> Result<Vec<EmitBatch>, ProduceError> {
        let mut parts: BTreeMap<PartitionKey, Vec<NewRecord>> = BTreeMap::new();
        for EmitRecord {
            topic,
            partition,
            record,
        } in emit
        {
            let keys = self.inner.find(&topic)?;
            let (_, key) = self.inner.choose(&topic, &keys, partition, record.key.as_deref())?;
            parts.entry(key).or_default().push(record);
        }
        let now = self.inner.clock.now().wall;
        let encode = |(partition, records): (PartitionKey, Vec<NewRecord>)| {
            let batch = encode_batch(&records, now, RecordLimits::default())?;
            Ok(EmitBatch {
                partition,
                batch,
                records: u32::try_from(records.len()).unwrap_or(u32::MAX),
            })
        };
        parts.into_iter().map(encode).collect()
    }
}

/// What cannot be encoded now cannot be later.
fn unfit(error: ProduceError) -> RefusedSettlement {
    let malformed = matches!(error, ProduceError::Record(_));
    let refused = RefusedSettlement::from(error);
    let by = if malformed { RefusedBy::Never } else { refused.by };
    RefusedSettlement { by, ..refused }
}

const _: () = assert!(
    CHECKPOINT_BYTES == MAX_CHECKPOINT_BYTES as u64 && NOTE_BYTES == MAX_NOTE_BYTES as u64,
    "the settings end where share partitions do"
);
