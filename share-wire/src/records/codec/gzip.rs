//! gzip: one member, or several.

use std::io::Write as _;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{CodecError, read_all};

pub(super) fn expand(packed: &[u8], limit: usize, room: usize) -> Result<Vec<u8>, CodecError> {
    read_all(MultiGzDecoder::new(packed), packed.len(), limit, room)
}

pub(super) fn pack(plain: &[u8], out: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    let mut encoder = GzEncoder::new(out, Compression::default());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?)
}
