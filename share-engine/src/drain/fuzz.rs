//! The fuzz body of what a snapshot's sections hold: any bytes, no panic, and what is read is written the same.

use bytes::{Bytes, BytesMut};

use super::image::{Image, encode_catalog, encode_partitions};
use crate::share::{ShareOptions, SharePartition};
use crate::snapshot::{SectionKind, Snapshot};
use crate::time::Now;

/// The first byte chooses the kind of the section, the others are its content. Panics only on a bug.
pub fn fuzz_image(data: &[u8]) {
    let Some((choice, content)) = data.split_first() else {
        return;
    };
    let kind = match choice % 3 {
        0 => SectionKind::Catalog,
        1 => SectionKind::PartitionLogs,
        _ => SectionKind::SharePartition,
    };
    let decode = |content: Bytes| {
        Image::decode(&Snapshot {
            position: 0,
            sections: vec![(kind, content)],
        })
    };
    let Ok(image) = decode(Bytes::copy_from_slice(content)) else {
        return;
    };
    match kind {
        SectionKind::Catalog => {
            let again = decode(encode_catalog(&image.catalog)).map(|again| again.catalog);
            assert_eq!(again.as_ref(), Ok(&image.catalog), "a catalog has one meaning");
        }
        SectionKind::PartitionLogs => {
            assert_eq!(
                encode_partitions(&image.partitions),
                content,
                "the list of logs has one form"
            );
        }
        SectionKind::SharePartition => {
            for (key, bytes) in &image.shares {
                let read = |bytes: &[u8]| SharePartition::decode(*key, ShareOptions::default(), bytes, Now::default());
                let write = |share: &SharePartition| {
                    let mut out = BytesMut::new();
                    share.encode(&mut out);
                    out.freeze()
                };
                let Ok(share) = read(bytes) else { continue };
                let once = write(&share);
                let twice = read(&once).map(|again| write(&again));
                assert_eq!(
                    twice.as_ref(),
                    Ok(&once),
                    "a share partition that was read can be read again"
                );
            }
        }
    }
}
