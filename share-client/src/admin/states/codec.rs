//! Keys and values as they lie in `__share_group_state` (schemas of Apache Kafka 4.2.1, the same in 4.4.0): two bytes with the kind of
//! the key or the version of the value, then the fields. Nothing is trusted, and no room made, before the bytes are seen to be there.

use share_wire::Uuid;

use super::error::StateError;
use super::{DeliveryState, StateBatch};

/// Whose state a record is about, and how it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The group.
    pub group: String,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// A change of the state, not the whole of it.
    pub is_update: bool,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// All of the state.
    Snapshot(Snapshot),
    /// What has changed.
    Update(Update),
    /// The state is gone.
    Gone,
}

/// All of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts how often the state was begun anew.
    pub state_epoch: i32,
    /// The leader's.
    pub leader_epoch: i32,
    /// -1: none yet.
    pub start: i64,
    /// -1: not counted.
    pub finished: i32,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// As they lie there: in any order, perhaps with overlaps.
    pub batches: Vec<StateBatch>,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// -1: unchanged.
    pub leader_epoch: i32,
    /// -1: unchanged.
    pub start: i64,
    /// -1: not counted.
    pub finished: i32,
    /// As they lie there: in any order, perhaps with overlaps.
    pub batches: Vec<StateBatch>,
}

impl Key {
    /// Reads a whole key.
    pub fn read(bytes: &[u8]) -> Result<Self, StateError> {
        let from = &mut Cursor(bytes);
        let is_update = match from.i16("kind of key")? {
            0 => false,
            1 => true,
            found => return Err(StateError::Kind { found }),
        };
        let key = Self {
            group: from.string("GroupId")?,
            topic_id: Uuid::from_bytes(from.array("TopicId")?),
            partition: from.i32("Partition")?,
            is_update,
        };
        from.finish("a key")?;
        Ok(key)
    }
}

impl Entry {
    /// Reads the whole value that stands with a key.
    pub fn read(key: &Key, value: Option<&[u8]>) -> Result<Self, StateError> {
        let Some(bytes) = value else {
            return if key.is_update {
                Err(StateError::Nothing)
            } else {
                Ok(Self::Gone)
            };
        };
        let what = if key.is_update { "ShareUpdate" } else { "ShareSnapshot" };
        let from = &mut Cursor(bytes);
        let found = from.i16("version")?;
        if found != 0 {
            return Err(StateError::Version { what, found });
        }
        from.i32("SnapshotEpoch")?;
        let entry = if key.is_update {
            let mut update = Update {
                leader_epoch: from.i32("LeaderEpoch")?,
                start: from.i64("StartOffset")?,
                finished: -1,
                batches: from.batches()?,
            };
            update.finished = from.finished()?;
            Self::Update(update)
        } else {
            let mut snapshot = Snapshot {
                state_epoch: from.i32("StateEpoch")?,
                leader_epoch: from.i32("LeaderEpoch")?,
                start: from.i64("StartOffset")?,
                finished: -1,
                created_ms: from.i64("CreateTimestamp")?,
                batches: {
                    from.i64("WriteTimestamp")?;
                    from.batches()?
                },
            };
            snapshot.finished = from.finished()?;
            Self::Snapshot(snapshot)
        };
        from.finish(what)?;
        Ok(entry)
    }
}

/// What is left to be read.
struct Cursor<'b>(&'b [u8]);

impl<'b> Cursor<'b> {
    fn bytes(&mut self, len: usize, field: &'static str) -> Result<&'b [u8], StateError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(StateError::Short { field })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], StateError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(StateError::Short { field })?;
        self.0 = rest;
        Ok(*taken)
    }

    fn i8(&mut self, field: &'static str) -> Result<i8, StateError> {
        self.array(field).map(i8::from_be_bytes)
    }

    fn i16(&mut self, field: &'static str) -> Result<i16, StateError> {
        self.array(field).map(i16::from_be_bytes)
    }

    fn i32(&mut self, field: &'static str) -> Result<i32, StateError> {
        self.array(field).map(i32::from_be_bytes)
    }

    fn i64(&mut self, field: &'static str) -> Result<i64, StateError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// With its length in two bytes: keys have no flexible versions.
    fn string(&mut self, field: &'static str) -> Result<String, StateError> {
        let len = self.i16(field)?;
        let len = usize::try_from(len).map_err(|_| StateError::Value {
            field,
            found: len.into(),
        })?;
        let text = std::str::from_utf8(self.bytes(len, field)?);
        text.map(ToOwned::to_owned).map_err(|_| StateError::Text { field })
    }

    /// An unsigned number, seven bits to the byte.
    fn uvarint(&mut self, field: &'static str) -> Result<u32, StateError> {
        let mut number = 0u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array(field)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let found = i64::try_from(number).unwrap_or(i64::MAX);
                return u32::try_from(number).map_err(|_| StateError::Value { field, found });
            }
        }
        Err(StateError::Value {
            field,
            found: i64::from(u32::MAX) + 1,
        })
    }

    fn batches(&mut self) -> Result<Vec<StateBatch>, StateError> {
        let field = "StateBatches";
        let room = self.0.len();
        let len = self
            .uvarint(field)?
            .checked_sub(1)
            .ok_or(StateError::Value { field, found: -1 })?;
        let count = usize::try_from(len).ok().filter(|count| *count <= room / BATCH_LEAST);
        let count = count.ok_or(StateError::Count {
            field,
            claimed: len.into(),
            room,
        })?;
        (0..count).map(|_| self.batch()).collect()
    }

    fn batch(&mut self) -> Result<StateBatch, StateError> {
        let (first, last) = (self.i64("FirstOffset")?, self.i64("LastOffset")?);
        let state = self.i8("DeliveryState")?;
        let deliveries = self.i16("DeliveryCount")?;
        self.skip_tags(|_, _| Ok(()))?;
        let offsets = || StateError::Offsets { first, last };
        let batch = StateBatch {
            first: u64::try_from(first).map_err(|_| offsets())?,
            last: u64::try_from(last).map_err(|_| offsets())?,
            state: DeliveryState::of(state).ok_or(StateError::Value {
                field: "DeliveryState",
                found: state.into(),
            })?,
            deliveries: u16::try_from(deliveries).map_err(|_| StateError::Value {
                field: "DeliveryCount",
                found: deliveries.into(),
            })?,
        };
        if batch.last < batch.first {
            return Err(offsets());
        }
        Ok(batch)
    }

    /// `DeliveryCompleteCount`, which is tagged.
    fn finished(&mut self) -> Result<i32, StateError> {
        let field = "DeliveryCompleteCount";
        let mut finished = -1;
        self.skip_tags(|tag, bytes| {
            if tag == 0 {
                let number = bytes.try_into().map_err(|_| StateError::Short { field })?;
                finished = i32::from_be_bytes(number);
            }
            Ok(())
        })?;
        if finished < -1 {
            return Err(StateError::Value {
                field,
                found: finished.into(),
            });
        }
        Ok(finished)
    }

    /// Tagged fields; those of newer brokers are passed over, as Kafka means them to be.
    fn skip_tags(&mut self, mut visit: impl FnMut(u32, &'b [u8]) -> Result<(), StateError>) -> Result<(), StateError> {
        let field = "tagged fields";
        for _ in 0..self.uvarint(field)? {
            let tag = self.uvarint(field)?;
            let len = self.uvarint(field)?;
            let len = usize::try_from(len).map_err(|_| StateError::Short { field })?;
            visit(tag, self.bytes(len, field)?)?;
        }
        Ok(())
    }

    fn finish(&self, what: &'static str) -> Result<(), StateError> {
        match self.0.len() {
            0 => Ok(()),
            bytes => Err(StateError::Long { what, bytes }),
        }
    }
}

/// The fewest bytes that a batch takes.
const BATCH_LEAST: usize = 20;
