//! What a snapshot holds of partitions and share partitions, byte by byte. All numbers little-endian.
//!
//! Partitions: u32 count; for each u32 key, u64 start, u64 end, then [`LogState`].
//! A share partition: u32 key, then the share partition's own encoding; one section each.

use bytes::{BufMut, Bytes, BytesMut};

use crate::catalog::Catalog;
use crate::ids::{Offset, PartitionKey, ShareKey};
use crate::log::LogState;
use crate::share::SharePartition;
use crate::snapshot::{SectionKind, Snapshot};

/// A snapshot's content.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// The journal position that it sums up.
    pub(crate) position: u64,
    pub(crate) catalog: Catalog,
    pub(crate) partitions: Vec<PartitionImage>,
    pub(crate) shares: Vec<(ShareKey, Bytes)>,
}

/// A partition's end and log.
#[derive(Debug, Clone)]
pub(crate) struct PartitionImage {
    pub(crate) key: PartitionKey,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) log: LogState,
}

/// A section that is not what its kind says, although its checksum holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("snapshot section {0} cannot be read")]
pub(crate) struct ImageError(&'static str);

impl Image {
    /// Reads a snapshot.
    pub(crate) fn decode(snapshot: &Snapshot) -> Result<Self, ImageError> {
        let mut image = Self {
            position: snapshot.position,
            ..Self::default()
        };
        for (kind, bytes) in &snapshot.sections {
            match kind {
                SectionKind::Catalog => {
                    image.catalog = serde_json::from_slice(bytes).map_err(|_| ImageError("catalog"))?;
                }
                SectionKind::PartitionLogs => {
                    image.partitions = decode_partitions(bytes).ok_or(ImageError("partition logs"))?;
                }
                SectionKind::SharePartition => {
                    let (key, _) = bytes.split_first_chunk::<4>().ok_or(ImageError("share partition"))?;
                    image
                        .shares
                        .push((ShareKey(u32::from_le_bytes(*key)), bytes.slice(4..)));
                }
            }
        }
        Ok(image)
    }
}

/// The catalog's section.
pub(crate) fn encode_catalog(catalog: &Catalog) -> Bytes {
    // Maps with text keys and plain numbers: there is nothing in it that JSON could refuse.
    serde_json::to_vec(catalog).map(Bytes::from).unwrap_or_default()
}

/// A share partition's section.
pub(crate) fn encode_share(share: &SharePartition) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u32_le(share.key().get());
    share.encode(&mut out);
    out.freeze()
}

/// The partitions' section.
pub(super) fn encode_partitions(partitions: &[PartitionImage]) -> Bytes {
    let mut out = Vec::new();
    out.put_u32_le(u32::try_from(partitions.len()).unwrap_or(u32::MAX));
    for partition in partitions {
        out.put_u32_le(partition.key.get());
        out.put_u64_le(partition.start.get());
        out.put_u64_le(partition.end.get());
        partition.log.encode(&mut out);
    }
    Bytes::from(out)
}

fn decode_partitions(bytes: &Bytes) -> Option<Vec<PartitionImage>> {
    let mut rest: &[u8] = bytes;
    let count = take_u32(&mut rest)?;
    let mut partitions = Vec::new();
    for _ in 0..count {
        partitions.push(PartitionImage {
            key: PartitionKey(take_u32(&mut rest)?),
            start: Offset::new(take_u64(&mut rest)?)?,
            end: Offset::new(take_u64(&mut rest)?)?,
            log: LogState::decode(&mut rest)?,
        });
    }
    rest.is_empty().then_some(partitions)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (head, tail) = bytes.split_first_chunk::<4>()?;
    *bytes = tail;
    Some(u32::from_le_bytes(*head))
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (head, tail) = bytes.split_first_chunk::<8>()?;
    *bytes = tail;
    Some(u64::from_le_bytes(*head))
}
